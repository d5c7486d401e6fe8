"""What is lost and gained against a baseline: the facts of another time, or of the server that is in use today.

Only what is known on both sides is compared. The loss of something that worked is a failed check; what worked and is
unknown now is unknown; what is new is noted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mxprobe.facts import EndpointFacts, Target
from mxprobe.mta.profile import Profile
from mxprobe.verdict import loss_of_certificates, loss_of_senders, loss_of_tls
from mxprobe.verdict.checks import Check
from mxprobe.verdict.comparison import Pair
from mxprobe.verdict.rules import endpoint_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What was known before. `name` says from where, for readers, such as a file."""

    name: str
    targets: tuple[Target, ...]


def baseline_checks(target: Target, baseline: Baseline, senders: Iterable[Profile]) -> tuple[Check, ...]:
    """Compare each endpoint of a target with those of the baseline that it stands for; `senders` are all that matter.

    It stands for the one of the same MX host and address, else for all of the same MX host, else for all of the same
    next-hop, else, where the baseline has only one next-hop, for all of that. What any of them did counts as done.
    """
    senders = tuple(senders)
    found: list[Check] = []
    before = _endpoints_for(target, baseline)
    if not before:
        return (
            Check(
                id="baseline",
                name=baseline.name,
                subject=target.next_hop,
                outcome="unknown",
                severity="warning",
                summary=f"{baseline.name} knows no endpoint that this one could be compared with",
                evidence={"next_hops": tuple(each.next_hop for each in baseline.targets[:20])},
            ),
        )
    for after in target.endpoints:
        pair = Pair(subject=target.next_hop, before=_counterparts(after, before), after=after)
        found += _compared(pair, senders)
    found += _hosts(target, before)
    return tuple(found)


def _compared(pair: Pair, senders: tuple[Profile, ...]) -> Iterator[Check]:
    starttls = loss_of_tls.starttls(pair)
    yield from starttls
    if pair.after.starttls.state == "works" and any(facts.starttls.state == "works" for facts in pair.before):
        yield from loss_of_tls.versions_and_suites(pair)
        yield from loss_of_certificates.certificates(pair)
        yield from loss_of_senders.senders(pair, senders)
    yield from loss_of_tls.capabilities(pair)


def _endpoints_for(target: Target, baseline: Baseline) -> tuple[EndpointFacts, ...]:
    same = [other for other in baseline.targets if other.next_hop.lower() == target.next_hop.lower()]
    hosts = {facts.host for facts in target.endpoints}
    by_host = [other for other in baseline.targets if any(facts.host in hosts for facts in other.endpoints)]
    chosen = same or by_host or (list(baseline.targets) if len(baseline.targets) == 1 else [])
    return tuple({endpoint_name(facts): facts for other in chosen for facts in other.endpoints}.values())


def _counterparts(after: EndpointFacts, before: tuple[EndpointFacts, ...]) -> tuple[EndpointFacts, ...]:
    same_host = [facts for facts in before if facts.host == after.host]
    same = [facts for facts in same_host if (facts.address, facts.port) == (after.address, after.port)]
    return tuple(same or same_host or before)


def _hosts(target: Target, before: tuple[EndpointFacts, ...]) -> Iterator[Check]:
    """The MX hosts that are no more, where any is the same; a change of all is another server for the same name."""
    now = {facts.host for facts in target.endpoints} | {host.name for host in target.route.hosts}
    gone = [host for host in dict.fromkeys(facts.host for facts in before) if host not in now]
    if gone and len(gone) < len({facts.host for facts in before}):
        for host in gone:
            yield Check(
                id="changed",
                name=host,
                subject=target.next_hop,
                outcome="noted",
                severity="info",
                summary=f"MX host {host} is no more",
            )
