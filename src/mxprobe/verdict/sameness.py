"""Whether all addresses of a next-hop do the same: who sends mail gets any of them, and a difference shows as mail that
sometimes fails."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from mxprobe.facts import EndpointFacts, EvidenceValue, ProtocolFacts, Severity, Target, Verdict
from mxprobe.terms import PROTOCOLS
from mxprobe.tls.signing_keys import kind_of_key
from mxprobe.verdict import rules
from mxprobe.verdict.checks import Check, Outcome
from mxprobe.verdict.rules import endpoint_name

_IN_SUMMARY = 4
"""How many names of one kind a summary has: the evidence has all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What is known that one endpoint has; `whole` is whether that is all."""

    values: tuple[str, ...] = ()
    whole: bool = True


UNKNOWN = Held(whole=False)

Compared = dict[str, Held]
"""What is to be the same, by endpoint."""


def sameness_checks(target: Target) -> Iterator[Check]:
    """One check for each aspect: STARTTLS, versions, suites with their order, certificates, capabilities.

    Certificates have to be the same at all addresses of an MX host. Different MX hosts may have their own, of the same
    kinds, and all or none trusted and for their name.
    """
    endpoints = target.endpoints
    if len(endpoints) < 2:
        summary = "there are not two endpoints that could differ"
        yield _check(target, "addresses", "passed" if endpoints else "unknown", summary, {})
        return
    yield from _aspect(target, "starttls", {"STARTTLS": {endpoint_name(each): _starttls(each) for each in endpoints}})
    speaking = [facts for facts in endpoints if facts.starttls.state in ("works", "unknown")]
    aspects: dict[str, Callable[[list[EndpointFacts]], Mapping[str, Compared]]] = {
        "versions": _versions,
        "suites": _suites,
        "certificates": _certificates,
        "capabilities": _capabilities,
    }
    for name, compared in aspects.items():
        if len(speaking) > 1 and (parts := compared(speaking)):
            yield from _aspect(target, name, parts)


def _aspect(target: Target, name: str, parts: Mapping[str, Compared]) -> Iterator[Check]:
    differences = {part: said for part, held in parts.items() if (said := difference(held))}
    open_questions = {
        part: tuple(where for where, has in held.items() if not has.whole)
        for part, held in parts.items()
        if part not in differences and not all(has.whole for has in held.values())
    }
    if differences:
        alike: dict[str, list[str]] = {}
        for part, text in differences.items():
            alike.setdefault(text, []).append(part)
        said = "; ".join(f"{', '.join(same)}: {text}" for text, same in list(alike.items())[:_IN_SUMMARY])
        evidence: dict[str, EvidenceValue] = {part: _all_of(parts[part]) for part in differences}
        yield _check(target, name, "failed", f"{name} differ by address: {said}", evidence)
    elif open_questions:
        where = ", ".join(dict.fromkeys(place for places in open_questions.values() for place in places))
        summary = f"{name} could not be compared everywhere: {_listed(tuple(open_questions))} not known at {where}"
        yield _check(target, name, "unknown", summary, dict(open_questions))
    else:
        yield _check(target, name, "passed", f"{name} are the same everywhere", {})


def difference(held: Compared) -> str:
    """What some endpoint has, and another, of which all is known, has not; empty where there is no such thing."""
    if all(len(has.values) == 1 or (not has.values and not has.whole) for has in held.values()):
        return _one_each(held)
    by_places: dict[tuple[tuple[str, ...], tuple[str, ...]], list[str]] = {}
    for value in dict.fromkeys(value for has in held.values() for value in has.values):
        having = tuple(where for where, has in held.items() if value in has.values)
        lacking = tuple(where for where, has in held.items() if value not in has.values and has.whole)
        if lacking:
            by_places.setdefault((having, lacking), []).append(value)
    return ", ".join(
        f"{_listed(tuple(values))} at {_listed(having)} and not at {_listed(lacking)}"
        for (having, lacking), values in list(by_places.items())[:_IN_SUMMARY]
    )


def _one_each(held: Compared) -> str:
    """The difference where each endpoint has one value, or is not known."""
    places: dict[str, list[str]] = {}
    for where, has in held.items():
        for value in has.values:
            places.setdefault(value, []).append(where)
    sure = {has.values for has in held.values() if has.whole}
    if len(places) < 2 or not sure:
        return ""
    for good, bad in _OPPOSITES:
        if places.keys() == {good, bad}:
            return f"{good} at {_listed(places[good])} and not at {_listed(places[bad])}"
    return ", ".join(f"{value} at {_listed(where)}" for value, where in list(places.items())[:_IN_SUMMARY])


_OPPOSITES = (("accepted", "refused"), ("trusted", "not trusted"), ("host named", "host not named"))


def _starttls(facts: EndpointFacts) -> Held:
    return UNKNOWN if facts.starttls.state == "unknown" else Held(values=(facts.starttls.state,))


def _versions(endpoints: list[EndpointFacts]) -> Mapping[str, Compared]:
    def state(facts: ProtocolFacts | None) -> Held:
        return UNKNOWN if facts is None or facts.state == "unknown" else Held(values=(facts.state,))

    asked = [name for name in PROTOCOLS if any(name in facts.protocols for facts in endpoints)]
    if not asked:
        return {"versions": {endpoint_name(facts): UNKNOWN for facts in endpoints}}
    return {name: {endpoint_name(facts): state(facts.protocols.get(name)) for facts in endpoints} for name in asked}


def _suites(endpoints: list[EndpointFacts]) -> Mapping[str, Compared]:
    """The suites of each version that some endpoint accepts, and the order of those that all have."""
    parts: dict[str, Compared] = {}
    for protocol in PROTOCOLS:
        seen = {endpoint_name(facts): facts.protocols.get(protocol) for facts in endpoints}
        if not any(each is not None and each.state == "accepted" for each in seen.values()):
            continue
        # Where a version is refused, the versions differ: that is said there.
        asked = {where: each for where, each in seen.items() if each is None or each.state != "refused"}
        names = {where: tuple(suite.name for suite in each.suites) if each else () for where, each in asked.items()}
        parts[f"suites of {protocol}"] = {
            where: Held(values=names[where], whole=each is not None and each.state == "accepted" and each.complete)
            for where, each in asked.items()
        }
        common = set.intersection(*(set(each) for each in names.values()))
        if len(common) > 1:
            parts[f"order of {protocol}"] = {where: _order(each, common) for where, each in asked.items()}
    return parts


def _order(seen: ProtocolFacts | None, common: set[str]) -> Held:
    if seen is None or seen.order == "unknown":
        return UNKNOWN
    if seen.order == "client":
        return Held(values=("the client's order",))
    return Held(values=(" > ".join(suite.name for suite in seen.suites if suite.name in common),))


def _certificates(endpoints: list[EndpointFacts]) -> Mapping[str, Compared]:
    parts: dict[str, Compared] = {}
    for host in dict.fromkeys(facts.host for facts in endpoints):
        own = [facts for facts in endpoints if facts.host == host]
        if len(own) > 1:
            # As much of the fingerprint as tells them apart in a line that is read.
            shown = {
                endpoint_name(facts): tuple(f"{each.key} {each.sha256[:16]}" for each in facts.certificates)
                for facts in own
            }
            parts[f"certificates of {host}"] = {
                endpoint_name(facts): Held(values=shown[endpoint_name(facts)], whole=_all_certificates(facts))
                for facts in own
            }
    kinds = {
        endpoint_name(facts): Held(
            values=tuple(dict.fromkeys(kind_of_key(each.key) or each.key for each in facts.certificates)),
            whole=_all_certificates(facts),
        )
        for facts in endpoints
    }
    trusted = {
        endpoint_name(facts): _told(rules.trusted(facts), yes="trusted", no="not trusted") for facts in endpoints
    }
    named = {
        endpoint_name(facts): _told(rules.name_matches(facts), yes="host named", no="host not named")
        for facts in endpoints
    }
    return {**parts, "kinds of certificates": kinds, "trust": trusted, "names": named}


def _told(verdict: Verdict, *, yes: str, no: str) -> Held:
    return UNKNOWN if verdict.state == "unknown" else Held(values=(yes if verdict.state == "yes" else no,))


def _all_certificates(facts: EndpointFacts) -> bool:
    """Whether no certificate can be missing: each was looked for with every suite."""
    accepted = [seen for seen in facts.protocols.values() if seen.state == "accepted"]
    unknown = any(seen.state == "unknown" for seen in facts.protocols.values())
    return bool(facts.certificates and accepted) and not unknown and all(seen.complete for seen in accepted)


def _capabilities(endpoints: list[EndpointFacts]) -> Mapping[str, Compared]:
    if all(facts.computed_from is not None for facts in endpoints):
        return {}
    return {
        "capabilities": {
            endpoint_name(facts): Held(values=tuple(line.upper() for line in facts.capabilities))
            if facts.capabilities or facts.helo
            else UNKNOWN
            for facts in endpoints
        }
    }


def _all_of(held: Compared) -> tuple[str, ...]:
    return tuple(f"{where}: {', '.join(has.values) or 'none'}" for where, has in held.items())


def _listed(names: Iterable[str]) -> str:
    names = tuple(names)
    more = len(names) - _IN_SUMMARY
    return ", ".join(names[:_IN_SUMMARY]) + (f" and {more} more" if more > 0 else "")


def _check(target: Target, name: str, outcome: Outcome, summary: str, evidence: dict[str, EvidenceValue]) -> Check:
    severity: Severity = "ok" if outcome == "passed" else "warning"
    return Check(
        id="same-everywhere",
        name=name,
        subject=target.next_hop,
        outcome=outcome,
        severity=severity,
        summary=summary,
        evidence=evidence,
        source="RFC 5321 §5.1",
    )
