"""`mxprobe scan`: one pass over probes.toml, into the store."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from mxprobe.cli.options import ehlo_name
from mxprobe.cli.outcome import exit_code, explain
from mxprobe.cli.printing import output_format, print_report
from mxprobe.cli.running import run_async
from mxprobe.cli.scan_plan import plan_scan
from mxprobe.configuration.next_hop_files import MAX_FILE, text_of
from mxprobe.configuration.probes_toml import Configuration, Group, read_configuration
from mxprobe.errors import InvalidSetting
from mxprobe.facts import EndpointFacts, Report, Target
from mxprobe.mta.profile import Profile
from mxprobe.network.resolver import parse_resolver
from mxprobe.probing.prober import Prober
from mxprobe.probing.settings import ProbeSettings
from mxprobe.report.progress import Progress as Display
from mxprobe.report.progress import progress
from mxprobe.schedule.recheck import Recheck, recheck
from mxprobe.schedule.scan import Progress, ScanResult
from mxprobe.schedule.scan import scan as scan_into
from mxprobe.schedule.visits import Wanted
from mxprobe.store import open_store
from mxprobe.terms import Endpoint
from mxprobe.verdict.requirements import Unmet, unmet
from mxprobe.verdict.rules import judge


def scan(path: Path, groups: tuple[str, ...], output: str, *, verbose: bool, plan: bool = False) -> int:
    """Run the command; the exit code says whether the requirements of the groups hold."""
    form = output_format(output)
    configuration = read_configuration(path, standard_input=next_hops_from_standard_input, asks=True)
    if plan:
        return run_async(_plan(configuration, groups))
    with progress() as display:
        found = run_async(scan_configuration(configuration, groups, display))
    report = judged(found.report, datetime.now(UTC))
    print_report(report, form, verbose=verbose, summary=form == "text" and not verbose)
    missed = unmet_requirements(configuration, groups, report)
    explain(missed)
    return exit_code(obstacle for _, obstacle in missed)


def next_hops_from_standard_input() -> str:
    """All of standard input, for the group whose file is ``-``.

    Raises:
        InvalidSetting: there is none, or it is no text.
    """
    where = "standard input"
    if sys.stdin is None:
        raise InvalidSetting(where, "it is closed")
    return text_of(sys.stdin.buffer.read(MAX_FILE + 1), where, by_line=True)


async def scan_configuration(configuration: Configuration, groups: tuple[str, ...], display: Display) -> ScanResult:
    """Scan with the real prober into the real store."""
    configuration.select_groups(groups)
    prober = Prober(settings_of(configuration), None)

    def show(now: Progress) -> None:
        known = f"{now.endpoints_known} of {now.endpoints} endpoints" if now.endpoints is not None else ""
        display.say(known or f"{now.routes_known} of {now.routes} routes")

    try:
        async with open_store(configuration.store_url) as store:
            wanted: dict[Endpoint, Wanted] = {}

            async def what_to_ask(endpoint: Endpoint) -> Recheck:
                how = wanted[endpoint]
                known = await store.since_sweep(endpoint, how.full_every)
                return recheck(how.depth, known, how.full_every)

            async def when_ready(endpoint: Endpoint) -> None:
                asked = await what_to_ask(endpoint)
                if asked.before is None and asked.depth in ("full", "everything"):
                    await prober.twin_swept(endpoint)

            async def probe_endpoint(
                endpoint: Endpoint, profiles: tuple[Profile, ...], /
            ) -> tuple[EndpointFacts, Mapping[str, bytes]]:
                asked = await what_to_ask(endpoint)
                found = await prober.endpoint(endpoint, profiles, depth=asked.depth, before=asked.before)
                return found.facts, found.certificates

            return await scan_into(
                configuration,
                store,
                probe_route=prober.resolve,
                probe_endpoint=probe_endpoint,
                clock=lambda: datetime.now(UTC),
                groups=groups,
                on_progress=show,
                when_ready=when_ready,
                when_routed=wanted.update,
            )
    finally:
        await prober.close()


async def _plan(configuration: Configuration, groups: tuple[str, ...]) -> int:
    prober = Prober(settings_of(configuration), None)
    try:
        return await plan_scan(configuration, groups, prober)
    finally:
        await prober.close()


def judged(report: Report, time: datetime) -> Report:
    """The report with verdicts as of `time`."""
    targets = tuple(judge(target.next_hop, target.route, target.endpoints, time) for target in report.targets)
    return replace(report, targets=targets)


def unmet_requirements(
    configuration: Configuration, groups: tuple[str, ...], report: Report
) -> list[tuple[str, Unmet]]:
    """What every group requires of its next-hops and does not get, each once."""
    targets = {target.next_hop: target for target in report.targets}
    missed: dict[tuple[str, Unmet], None] = {}
    for group in configuration.select_groups(groups):
        for hop in group.next_hops:
            if hop.text in targets:
                for obstacle in unmet(group.requirements, as_asked_by(group, targets[hop.text])):
                    missed[hop.text, obstacle] = None
    return list(missed)


def as_asked_by(group: Group, target: Target) -> Target:
    """The target without what the profiles of other groups came to, at endpoints that are theirs too."""
    own = group.profile.name if group.profile else None
    verdicts = (each for each in target.verdicts if each.id != "shared-cipher" or each.evidence["profile"] == own)
    return replace(target, verdicts=tuple(verdicts))


def settings_of(configuration: Configuration) -> ProbeSettings:
    """What `[probe]` and `[limits]` tell a prober."""
    section = configuration.probe
    settings = ProbeSettings(
        contact=section.contact,
        ca_file=section.ca_file,
        ca_path=section.ca_path,
        verify_depth=section.verify_depth,
        depth=section.depth,
        resolver=parse_resolver(section.resolver, where=f"{configuration.path}: probe.resolver")
        if section.resolver
        else None,
        ignore=section.ignore,
        allow_private=section.allow_private,
        limits=configuration.limits,
        timeouts=section.timeouts,
        deadline=section.deadline,
        twins=section.twins,
    )
    return replace(settings, ehlo=ehlo_name(section.ehlo)) if section.ehlo else settings
