"""`mxprobe check` of servers that run: before they are in the DNS, or as the next-hops of a group."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mxprobe.cli import options
from mxprobe.cli.checking.baselines import baseline_of_file, baseline_of_store
from mxprobe.cli.checking.conditions import conditions, known_senders
from mxprobe.cli.every_certificate import ONE_KIND, without_them
from mxprobe.cli.probe import probe_all
from mxprobe.cli.probing_options import probe_settings, settings_over
from mxprobe.cli.running import run_async
from mxprobe.cli.scan import settings_of
from mxprobe.configuration.probes_toml import Group, read_configuration
from mxprobe.errors import InvalidSetting
from mxprobe.facts import Target
from mxprobe.mta.profile import Profile
from mxprobe.probing.prober import TargetProbe
from mxprobe.probing.settings import ProbeSettings
from mxprobe.report.progress import progress
from mxprobe.terms import NextHop, parse_next_hop
from mxprobe.verdict.baseline import Baseline, baseline_checks
from mxprobe.verdict.checks import Check, CheckReport
from mxprobe.verdict.gate import Conditions, gate_checks

if TYPE_CHECKING:
    from mxprobe.cli.checking.request import Request


_Asked = tuple[tuple[Group | None, Conditions], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What is checked, by what: all of it is known before a connection is opened.

    `conditions` are those of each next-hop, with the group that sets them if one does. With a baseline every known
    sender matters: the hellos of all `known` are sent, too.
    """

    hops: tuple[NextHop, ...]
    conditions: Mapping[NextHop, _Asked]
    settings: ProbeSettings
    known: tuple[Profile, ...] = ()
    baseline: Baseline | None = None
    live: NextHop | None = None


def check_live(request: Request) -> CheckReport:
    """Probe, and judge by all conditions and the baseline.

    Raises:
        InvalidSetting: an option cannot be used; nothing was dialled then.
        InvalidNextHop: there is something that is no next-hop.
    """
    plan = _plan(request)
    started_at, started = datetime.now(UTC), time.monotonic()
    with progress() as display:
        before, spent_before = (
            run_async(probe_all((plan.live,), replace(plan.settings, connect={}, profiles=plan.known), display))
            if plan.live
            else ([], 0)
        )
        found, spent = run_async(probe_all(plan.hops, plan.settings, display))
    now = datetime.now(UTC)
    found = [replace(probed, target=without_them(probed, now)) for probed in found]
    baseline = plan.baseline
    if plan.live is not None:
        baseline = Baseline(name=plan.live.text, targets=tuple(each.target for each in before))
    checks: dict[tuple[str, ...], Check] = {}
    for hop, probed in zip(plan.hops, found, strict=True):
        for check in _judged(plan.conditions[hop], probed, baseline, plan.known, now):
            # Next-hops of several groups are judged for each, mostly by the same.
            checks.setdefault((check.id, check.name, check.subject, check.endpoint, check.summary), check)
    return CheckReport(
        started_at=started_at,
        subject=", ".join(hop.text for hop in plan.hops),
        kind="live",
        checks=tuple(checks.values()),
        targets=tuple(
            _about(plan.conditions[hop], probed.target) for hop, probed in zip(plan.hops, found, strict=True)
        ),
        connections=spent + spent_before,
        elapsed_seconds=round(time.monotonic() - started, 3),
    )


def _judged(
    asked: _Asked, probed: TargetProbe, baseline: Baseline | None, known: tuple[Profile, ...], now: datetime
) -> Iterable[Check]:
    for each in asked:
        yield from gate_checks(_about((each,), probed.target), each[1], now, probed.certificates)
    if baseline is not None:
        yield from baseline_checks(probed.target, baseline, known)


def _about(asked: _Asked, target: Target) -> Target:
    """The target with verdicts on those profiles alone that conditions are about: others were sent beside them."""
    names = {sender.name for _, wanted in asked for sender in wanted.senders}
    names |= {group.profile.name for group, _ in asked if group and group.profile}
    verdicts = (each for each in target.verdicts if each.id != "shared-cipher" or each.evidence["profile"] in names)
    return replace(target, verdicts=tuple(verdicts))


def _plan(request: Request) -> _Plan:
    live = parse_next_hop(request.baseline_live) if request.baseline_live is not None else None
    if request.groups or request.configuration is not None:
        return _with_baseline(_plan_of_groups(request, live), request)
    wanted = _wanted(request)
    hops, connect = options.destinations(request.next_hops, request.connect, request.known_as)
    hops = tuple(dict.fromkeys(hops))
    known = _known(request, wanted)
    sent = tuple(dict.fromkeys((*wanted.senders, *known, *_beside(wanted))))
    settings = probe_settings(request.probing, connect, sent)
    asked: _Asked = ((None, wanted),)
    plan = _Plan(hops=hops, conditions=dict.fromkeys(hops, asked), settings=settings, known=known, live=live)
    return _with_baseline(plan, request)


def _with_baseline(plan: _Plan, request: Request) -> _Plan:
    if request.baseline is not None:
        return replace(plan, baseline=baseline_of_file(request.baseline))
    if request.baseline_store is not None:
        return replace(plan, baseline=baseline_of_store(request.baseline_store, plan.hops))
    return plan


def _known(request: Request, wanted: Conditions) -> tuple[Profile, ...]:
    """Whose loss against a baseline matters; nobody where there is none."""
    against = (request.baseline, request.baseline_store, request.baseline_live)
    return () if all(each is None for each in against) else known_senders(wanted)


def _beside(wanted: Conditions) -> tuple[Profile, ...]:
    """What is sent beside the hellos of senders: only for what is asked of every certificate."""
    return ONE_KIND if wanted.covers or wanted.days is not None else ()


def _wanted(request: Request, *, profiles_too: bool = False) -> Conditions:
    return conditions(
        request.require,
        request.senders,
        request.covers,
        request.days,
        same_everywhere=request.same_everywhere,
        profiles_too=profiles_too,
    )


def _plan_of_groups(request: Request, live: NextHop | None) -> _Plan:
    """The next-hops of groups, what each group requires, and how probes.toml has them probed."""
    configuration = read_configuration(request.configuration or Path("probes.toml"))
    groups = configuration.select_groups(request.groups)
    wanted = _wanted(request, profiles_too=all(group.profile for group in groups))
    asked: dict[NextHop, _Asked] = {}
    for group in groups:
        required = group.requirements if group.requirements and not request.require else wanted.requirements
        for hop in group.next_hops:
            asked[hop] = (*asked.get(hop, ()), (group, replace(wanted, requirements=required)))
    profiles = {group.profile.name: group.profile for group in groups if group.profile}
    for added in (*wanted.senders, *_beside(wanted)):
        if profiles.setdefault(added.name, added) != added:
            raise InvalidSetting("--sender", f"{configuration.path} has another profile that is called {added.name!r}")
    # One whose name a profile of probes.toml has is not sent.
    known = tuple(each for each in _known(request, wanted) if profiles.setdefault(each.name, each) == each)
    settings = replace(settings_over(settings_of(configuration), request.probing), profiles=tuple(profiles.values()))
    return _Plan(hops=tuple(asked), conditions=asked, settings=settings, known=known, live=live)
