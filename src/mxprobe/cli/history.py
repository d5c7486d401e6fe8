"""`mxprobe history` and `mxprobe diff`: what changed at a next-hop, by what the store knows."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from mxprobe.cli.outcome import COULD_NOT_TELL, FINDING, NOTHING_TO_REPORT
from mxprobe.cli.printing import output_format
from mxprobe.cli.running import run_async
from mxprobe.cli.stored import moment, never_scanned, store_url
from mxprobe.errors import InvalidSetting, StoreError
from mxprobe.facts import Target
from mxprobe.report.escape import printable
from mxprobe.report.history import (
    difference_document,
    difference_lines,
    differences,
    history_entry,
    history_line,
)
from mxprobe.report.history import moment as as_text
from mxprobe.store import Past, Store, open_store
from mxprobe.store.location import without_password
from mxprobe.verdict.baseline import Baseline, baseline_checks
from mxprobe.verdict.history import History
from mxprobe.verdict.route_comparison import is_known, route_checks
from mxprobe.verdict.rules import judge


def history(next_hop: str, path: Path, url: str | None, output: str) -> int:
    """Run the command: a line for each scan of the next-hop, oldest first, as they are read."""
    form = output_format(output)
    url = store_url(path, url)
    if not run_async(_history(url, next_hop, form)):
        raise never_scanned(url, [next_hop])
    return NOTHING_TO_REPORT


def diff(next_hop: str, path: Path, url: str | None, output: str, since: str | None, until: str | None) -> int:
    """Run the command; the exit code says whether something is different."""
    form = output_format(output)
    start = None if since is None else moment(since, "--from")
    end = datetime.now(UTC) if until is None else moment(until, "--to")
    if start is not None and start > end:
        raise InvalidSetting("--from", f"{since} is later than {until or 'now'}")
    url = store_url(path, url)
    before, after = run_async(_two_states(url, next_hop, start, end))
    targets = _judged(before), _judged(after)
    baseline = Baseline(name=as_text(before.started_at), targets=(targets[0],))
    checks = (*route_checks(*targets), *(baseline_checks(targets[1], baseline, ()) if targets[1].endpoints else ()))
    found = differences(checks)
    if form == "text":
        print("\n".join(difference_lines(next_hop, before.started_at, after.started_at, found)))
    else:
        indent = 2 if form == "json" else None
        print(difference_document(next_hop, before.started_at, after.started_at, found, indent=indent))
    if any(word != "unknown" for word, _ in found):
        return FINDING
    return COULD_NOT_TELL if found else NOTHING_TO_REPORT


async def _history(url: str, next_hop: str, form: str) -> bool:
    steps = History()
    any_yet = False
    async with open_store(url, read_only=True) as store:
        async for past in store.past(next_hop):
            target = _judged(past)
            step = steps.step(target)
            if form == "text":
                if not any_yet:
                    print(printable(next_hop, 1000))
                line = history_line(past.started_at, target, step, first=not any_yet, complete=past.complete)
            else:
                line = history_entry(past.started_at, past.finished_at, target, step, complete=past.complete)
            if form == "json":
                sys.stdout.write(",\n" if any_yet else "[\n")
            sys.stdout.write(line if form == "json" else f"{line}\n")
            any_yet = True
    if any_yet and form == "json":
        sys.stdout.write("\n]\n")
    return any_yet


async def _two_states(url: str, next_hop: str, start: datetime | None, end: datetime) -> tuple[Past, Past]:
    """The last known state by `end`, and the one that was known by `start`, or the one before."""
    async with open_store(url, read_only=True) as store:
        after = await _known_by(store, next_hop, end)
        if after is None:
            if await _known_by(store, next_hop, None) is None:
                raise never_scanned(url, [next_hop])
            raise StoreError(f"{without_password(url)}: nothing is known of {next_hop} by {as_text(end)}")
        before = await _known_by(store, next_hop, start or after.started_at, other_than=None if start else after)
        if before is None:
            by = f"by {as_text(start)}" if start else f"before the scan of {as_text(after.started_at)}"
            raise StoreError(f"{without_password(url)}: nothing is known of {next_hop} {by}")
        return before, after


async def _known_by(store: Store, next_hop: str, until: datetime | None, other_than: Past | None = None) -> Past | None:
    async for past in store.past(next_hop, until=until, newest_first=True):
        if (other_than is None or past.scan_id != other_than.scan_id) and is_known(past.target):
            return past
    return None


def _judged(past: Past) -> Target:
    """The target with verdicts as of the scan."""
    target = past.target
    return replace(target, verdicts=judge(target.next_hop, target.route, target.endpoints, past.started_at).verdicts)
