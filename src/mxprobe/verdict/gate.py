"""The gate: what has to hold of our own side, judged by facts that were seen or computed.

`docs/check.md` lists the checks. One that could not be judged is *unknown*, and never *passed*.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from mxprobe.facts import EvidenceValue, Target
from mxprobe.mta.profile import Profile
from mxprobe.verdict.certificate_checks import covers_checks, lasts_checks
from mxprobe.verdict.checks import Check
from mxprobe.verdict.requirements import Requirement, not_looked_at, unmet
from mxprobe.verdict.rules import endpoint_name
from mxprobe.verdict.sameness import sameness_checks
from mxprobe.verdict.sender_checks import sender_checks

DEFAULT_REQUIREMENTS = (Requirement(name="starttls"), Requirement(name="not-expired"))
"""What is required of our own MX unless told: without STARTTLS mail comes in clear text, and a certificate that has
expired is what brings mail from senders that verify (MTA-STS, DANE-TA) to a stop, without warning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What has to hold.

    `senders` must get TLS; `covers` are host names that every certificate must name; `days` is how long every
    certificate must still last. `same_everywhere` is whether every address must do the same: None for where there is
    more than one.
    """

    requirements: tuple[Requirement, ...] = DEFAULT_REQUIREMENTS
    senders: tuple[Profile, ...] = ()
    covers: tuple[str, ...] = ()
    days: int | None = None
    same_everywhere: bool | None = None


def gate_checks(
    target: Target, conditions: Conditions, time: datetime, certificates: Mapping[str, bytes] | None = None
) -> tuple[Check, ...]:
    """Judge a target, with its verdicts as of `time` (aware), by all conditions.

    `certificates` are those that were served, chains included, in DER by their SHA-256.
    """
    if target.route.kind == "null-mx":
        return (_route(target, conditions), *_required(target, conditions))
    found = [_route(target, conditions), *_required(target, conditions)]
    for facts in target.endpoints:
        found += sender_checks(target.next_hop, facts, conditions.senders)
        found += covers_checks(target.next_hop, facts, conditions.covers, certificates or {})
        if conditions.days is not None:
            found += lasts_checks(target.next_hop, facts, conditions.days, time, certificates or {})
    if conditions.same_everywhere or (conditions.same_everywhere is None and len(target.endpoints) > 1):
        found += sameness_checks(target)
    return tuple(found)


def _route(target: Target, conditions: Conditions) -> Check:
    """Whether all that the next-hop leads to was looked at."""
    source = "RFC 5321 §5.1"
    if target.route.kind == "null-mx":
        wanted = any(required.name == "null-mx" for required in conditions.requirements)
        return Check(
            id="route",
            name="route",
            subject=target.next_hop,
            outcome="passed" if wanted else "unknown",
            severity="ok" if wanted else "warning",
            summary="accepts no mail (null MX): there is no server to check",
            source="RFC 7505 §3",
        )
    missing = [(where, reason) for where, _, reason in not_looked_at(target)]
    names = tuple(endpoint_name(facts) for facts in target.endpoints)
    evidence: dict[str, EvidenceValue] = {"endpoints": names}
    if not missing and names:
        looked_at = names[0] if len(names) == 1 else f"all {len(names)} endpoints"
        how = "computed" if all(facts.computed_from is not None for facts in target.endpoints) else "probed"
        return Check(
            id="route",
            name="route",
            subject=target.next_hop,
            outcome="passed",
            severity="ok",
            summary=f"{looked_at} {'was' if len(names) == 1 else 'were'} {how}",
            evidence=evidence,
            source=source,
        )
    said = "; ".join(f"{where}: {reason}" if where else reason for where, reason in missing)
    return Check(
        id="route",
        name="route",
        subject=target.next_hop,
        outcome="unknown",
        severity="warning",
        summary=f"not everything could be checked: {said or 'it leads to no endpoint'}",
        evidence=evidence,
        source=source,
    )


def _required(target: Target, conditions: Conditions) -> list[Check]:
    found = []
    for requirement in conditions.requirements:
        missed = unmet((requirement,), target)
        places = {obstacle.endpoint for obstacle in missed}
        source = next((verdict.source for verdict in target.verdicts if verdict.id == requirement.name), "")
        for obstacle in missed:
            failed = obstacle.outcome == "failed"
            found.append(
                Check(
                    id="require",
                    name=str(requirement),
                    subject=target.next_hop,
                    endpoint=obstacle.endpoint,
                    outcome=obstacle.outcome,
                    severity="critical" if failed and requirement.name == "starttls" else "warning",
                    summary=f"{requirement} {'does not hold' if failed else 'could not be told'}: "
                    + obstacle.reason.removeprefix("could not find out: "),
                    source=source,
                )
            )
        asked = [""] if requirement.name == "null-mx" else [endpoint_name(facts) for facts in target.endpoints]
        for endpoint in asked:
            if endpoint in places:
                continue
            said = [
                verdict.summary
                for verdict in target.verdicts
                if verdict.id == requirement.name and verdict.endpoint == endpoint
            ]
            found.append(
                Check(
                    id="require",
                    name=str(requirement),
                    subject=target.next_hop,
                    endpoint=endpoint,
                    outcome="passed",
                    severity="ok",
                    summary=f"{requirement} holds" + (f": {said[0]}" if said else ""),
                    source=source,
                )
            )
    return found
