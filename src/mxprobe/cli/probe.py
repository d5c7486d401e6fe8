"""`mxprobe probe`: ad hoc, from next-hops to a report."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from mxprobe.cli import options
from mxprobe.cli.outcome import NOTHING_TO_REPORT, exit_code, explain
from mxprobe.cli.plan import leads_to, twins_among
from mxprobe.cli.printing import output_format, print_lines, print_report, print_transcript
from mxprobe.cli.probing_options import ProbingOptions, probe_settings
from mxprobe.cli.running import run_async
from mxprobe.errors import InvalidSetting
from mxprobe.facts import Report, Target
from mxprobe.probing.plan import cost, in_words
from mxprobe.probing.prober import Prober, TargetProbe
from mxprobe.probing.settings import ProbeSettings
from mxprobe.report.escape import printable
from mxprobe.report.progress import Progress, progress
from mxprobe.routing.route import endpoints_behind
from mxprobe.terms import Endpoint, NextHop
from mxprobe.verdict.requirements import Requirement, unmet


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the command line said, as text and numbers; `probing` are the options that other commands have, too."""

    next_hops: tuple[str, ...]
    profiles: tuple[str, ...]
    configuration: Path | None
    require: tuple[str, ...]
    connect: tuple[str, ...]
    known_as: str | None
    protocol: str | None
    cipher: str | None
    output: str
    verbose: bool
    plan: bool
    probing: ProbingOptions


def probe(request: Request) -> int:
    """Run the command; the exit code says what was found."""
    output = output_format(request.output)
    hops, connect = options.destinations(request.next_hops, request.connect, request.known_as)
    profiles = tuple(options.profile(text, request.configuration) for text in request.profiles)
    required = options.requirements(request.require, profiles=bool(profiles))
    settings = probe_settings(request.probing, connect, profiles)
    if request.plan:
        return run_async(_plan(hops, settings))
    if request.protocol is not None or request.cipher is not None:
        if request.require or request.profiles:
            raise InvalidSetting("--require/--profile", "they judge a whole probe; --protocol and --cipher are one try")
        from mxprobe.cli.combination import one_combination

        protocol = options.protocol(request.protocol) if request.protocol is not None else None
        asked = (protocol,) if protocol is not None else ()
        number = options.suite_number(request.cipher, protocols=asked) if request.cipher is not None else None
        strict = request.probing.ca_file is not None or request.probing.ca_path is not None
        return run_async(one_combination(hops, settings, protocol, number, output, strict=strict))

    started_at, started = datetime.now(UTC), time.monotonic()
    with progress() as display:
        probes, spent = run_async(probe_all(hops, settings, display, print_lines if output == "ndjson" else None))
    report = Report(
        started_at=started_at,
        targets=tuple(found.target for found in probes),
        connections=spent,
        elapsed_seconds=round(time.monotonic() - started, 3),
    )
    if output != "ndjson":
        print_report(report, output, verbose=request.verbose)
    if request.probing.trace:
        print_transcript((entry for found in probes for entry in found.transcript), output)
    return _outcome(report, required)


async def probe_all(
    hops: tuple[NextHop, ...],
    settings: ProbeSettings,
    display: Progress,
    print_at_once: Callable[[Target], None] | None = None,
) -> tuple[list[TargetProbe], int]:
    """Probe these next-hops side by side, showing how far it is; and the number of connections that it took."""

    def say(endpoint: Endpoint, hellos: int) -> None:
        display.say(f"{endpoint}: {hellos} hellos answered")

    prober = Prober(settings, say)
    display.expect(len(hops))

    async def one(hop: NextHop) -> TargetProbe:
        found = await prober.target(hop)
        display.finish(hop.text)
        if print_at_once:
            with display.paused():
                print_at_once(found.target)
        return found

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(hop)) for hop in hops]
        return [task.result() for task in tasks], prober.connections
    finally:
        await prober.close()


async def _plan(hops: tuple[NextHop, ...], settings: ProbeSettings) -> int:
    prober = Prober(settings)
    endpoints: dict[Endpoint, None] = {}
    for hop in hops:
        route = await prober.resolve(hop)
        print(printable(f"{hop.text}: {leads_to(hop, route)}", 1000))
        endpoints.update(dict.fromkeys(endpoints_behind(hop, route)))
    twins = twins_among(endpoints) if settings.twins else frozenset()
    costs = [cost(settings.depth, len(settings.profiles), twin=endpoint in twins) for endpoint in endpoints]
    print(f"{in_words(settings.depth, costs)}; {settings.limits.per_address} at a time to one address")
    return NOTHING_TO_REPORT


def _outcome(report: Report, required: tuple[Requirement, ...]) -> int:
    found = [(target.next_hop, obstacle) for target in report.targets for obstacle in unmet(required, target)]
    explain(found)
    return exit_code(obstacle for _, obstacle in found)
