"""What a check compares with: a document of an earlier run, a store of scans, or a server that is in use."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from mxprobe.cli.running import run_async
from mxprobe.configuration.files import read_at_most
from mxprobe.errors import InvalidSetting, MxprobeError, StoreError
from mxprobe.facts import EndpointFacts
from mxprobe.store.location import without_password
from mxprobe.terms import NextHop, host_name
from mxprobe.verdict.baseline import Baseline
from mxprobe.verdict.rules import endpoint_name

_SUITE_ID = re.compile(r"0x[0-9A-Fa-f]{1,6}")

MAX_FILE = 200_000_000
"""Bytes of a document that are read: some ten thousand endpoints, and short of taking the machine's memory."""


def baseline_of_file(path: Path) -> Baseline:
    """The targets of a document of ``probe --format json`` or ``check --format json``.

    Raises:
        InvalidSetting: it cannot be read, is none, or is of another major version of the schema.
    """
    from mxprobe.report.check_document import read_targets

    try:
        data = read_at_most(path, MAX_FILE)
    except OSError as error:
        raise InvalidSetting("--baseline", f"{path} cannot be read: {error.strerror or error}") from error
    if len(data) > MAX_FILE:
        raise InvalidSetting("--baseline", f"{path} is longer than {MAX_FILE} bytes")
    try:
        targets = read_targets(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise InvalidSetting("--baseline", f"{path} is not UTF-8") from error
    except MxprobeError as error:
        raise InvalidSetting("--baseline", f"{path}: {error}") from error
    if not any(target.endpoints for target in targets):
        raise InvalidSetting("--baseline", f"{path} has no endpoint to compare with")
    for facts in (facts for target in targets for facts in target.endpoints):
        if wrong := _wrong(facts):
            raise InvalidSetting("--baseline", f"{path}: {endpoint_name(facts)}: {wrong}")
    return Baseline(name=str(path), targets=targets)


def _wrong(facts: EndpointFacts) -> str:
    """What the schema lets through, and no mxprobe writes; empty for facts that can be compared."""
    for seen in facts.protocols.values():
        for suite in seen.suites:
            if not _SUITE_ID.fullmatch(suite.id):
                return f"{suite.id[:20]!r} is not the id of a suite (like 0x00C02F)"
    for shown in facts.certificates:
        for moment in (shown.not_before, shown.not_after):
            if moment is not None and moment.tzinfo is None:
                return f"the certificate's {moment.isoformat()} has no time zone"
    return ""


def baseline_of_store(url: str, hops: Iterable[NextHop]) -> Baseline:
    """What a store knows of these next-hops, by the name that they were scanned by, else by the MX host.

    It may know nothing of them: that is unknown, and nothing to mend.

    Raises:
        InvalidSetting: it cannot be opened.
    """
    try:
        return run_async(_stored(url, tuple(hops)))
    except StoreError as error:
        raise InvalidSetting("--baseline-store", str(error)) from error


async def _stored(url: str, hops: tuple[NextHop, ...]) -> Baseline:
    from mxprobe.store import open_store

    names = _scanned_as(url, hops)
    async with open_store(url, read_only=True) as store:
        report = await store.latest(names) if names else None
    return Baseline(name=without_password(url), targets=report.targets if report else ())


def _scanned_as(url: str, hops: tuple[NextHop, ...]) -> tuple[str, ...]:
    """The next-hops of a store that are these; an MX host is in it under the domains whose mail it takes."""
    from mxprobe.store.partners import partners

    wanted = {hop.text.lower() for hop in hops} | {hop.host for hop in hops}
    hosts = {hop.host for hop in hops}
    by_name, by_host = [], []
    for partner in partners(url):
        if partner.next_hop.lower() in wanted:
            by_name.append(partner.next_hop)
        elif any(_host(server.endpoint.host) in hosts for server in partner.servers):
            by_host.append(partner.next_hop)
    return tuple(by_name or by_host)


def _host(text: str) -> str:
    try:
        return host_name(text)
    except ValueError:
        return text
