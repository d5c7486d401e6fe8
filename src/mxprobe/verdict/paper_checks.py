"""What a server's configuration has to hear beside the conditions of a gate: holes between versions, words that took a
sender's suites away, TLS that is demanded of everybody, and where in the file each of it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from mxprobe.facts import EndpointFacts, Severity
from mxprobe.mta.postfix.exclusions import Exclusion
from mxprobe.mta.profile import Profile
from mxprobe.terms import PROTOCOLS, Protocol
from mxprobe.verdict.checks import Check, Place
from mxprobe.verdict.overlap import hole, missing_overlaps, missing_words, place_of
from mxprobe.verdict.requirements import PROTOCOL_REQUIREMENTS

MAX_MISSING = 3
"""Words named for one sender, the most telling first."""

_SPOKEN: Mapping[Protocol, str] = {"TLSv1": "TLS 1.0", "TLSv1.1": "TLS 1.1", "TLSv1.2": "TLS 1.2", "TLSv1.3": "TLS 1.3"}

_OF_CERTIFICATES = frozenset({"trusted", "name-matches", "not-expired"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where a configuration says what: its level, its versions, its certificates, its suites and groups where one line
    alone decides on them; None where that is a default, or no single line."""

    level: Place | None = None
    protocols: Place | None = None
    certificates: Place | None = None
    no_tls: Place | None = None
    suites: Place | None = None
    groups: Place | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Blame:
    """What may be in the way of a sender, and where: words that take suites away, and the senders by name. `no_tls` is
    why there is no TLS at all."""

    places: Places
    exclusions: tuple[Exclusion, ...] = ()
    senders: Mapping[str, Profile] = field(default_factory=dict)
    no_tls: str = ""


def placed(checks: Iterable[Check], blame: Blame) -> Iterator[Check]:
    """The checks, each with the line to blame where one is; a sender without a common suite also with the overlap that
    is missing, and the words that took it away."""
    for check in checks:
        if check.outcome == "passed" or check.place is not None:
            yield check
        elif check.id == "sender" and check.evidence.get("obstacle") == "suite":
            yield _without_suite(check, blame)
        else:
            why = "" if blame.no_tls in check.summary or check.id != "require" else f": {blame.no_tls}"
            yield replace(check, summary=check.summary + why, place=_place(check, blame.places))


def version_checks(subject: str, facts: EndpointFacts, places: Places, *, knows_sslv3: bool) -> Iterator[Check]:
    """Whom the versions shut out: clients whose newest version is older than ours, or in a hole between ours.

    `knows_sslv3` is whether SSLv3 could be had at all: it is then said what that would not help.
    """
    taken = tuple(version for version in PROTOCOLS[1:] if _accepts(facts, version))
    if not taken:
        return
    found = hole(taken)
    if found is not None:
        absent, older = found
        newest = PROTOCOLS[PROTOCOLS.index(absent[-1]) + 1]
        yield _versions(
            subject,
            "hole",
            f"{_spoken(absent)} is off between {older[-1]} and {newest}: senders whose newest version it is get no "
            f"TLS, or, where they speak {older[-1]} too, get that, so that they only look {older[-1]}-only",
            places,
            "warning",
        )
        return
    oldest = taken[0]
    if PROTOCOLS.index(oldest) <= PROTOCOLS.index("TLSv1"):
        return
    off = PROTOCOLS[PROTOCOLS.index("TLSv1") : PROTOCOLS.index(oldest)]
    summary = f"senders that speak nothing newer than {_SPOKEN[off[-1]]} get no TLS"
    if knows_sslv3:
        summary += "; to allow SSLv3 without TLSv1 would only make them look SSLv3-only"
    yield _versions(subject, "oldest", summary, places, "info")


def mandatory_check(subject: str, places: Places) -> Check:
    """TLS is demanded of all senders: what a server that takes mail from everywhere must not do."""
    return Check(
        id="mandatory-tls",
        name="port 25",
        subject=subject,
        outcome="noted",
        severity="warning",
        summary="TLS is mandatory: mail of senders without STARTTLS is refused, which a public MX must not do",
        source="RFC 3207 §4",
        place=places.level,
    )


def _versions(subject: str, name: str, summary: str, places: Places, severity: Severity) -> Check:
    return Check(
        id="versions",
        name=name,
        subject=subject,
        outcome="noted",
        severity=severity,
        summary=summary,
        source="RFC 5246 appendix E.1",
        place=places.protocols,
    )


def _without_suite(check: Check, blame: Blame) -> Check:
    sender = blame.senders.get(check.name)
    missing = missing_overlaps(blame.exclusions, sender.suites if sender else ())
    if not missing:
        return replace(check, place=_place(check, blame.places))
    said = [f"{missing_words(each)}, excluded by {each.exclusion}" for each in missing[:MAX_MISSING]]
    return replace(
        check,
        summary=f"{check.summary}; missing overlap: {'; '.join(said)}",
        evidence=check.evidence | {"missing_overlap": tuple(said)},
        place=place_of(missing[0].exclusion) or _place(check, blame.places),
    )


def _place(check: Check, places: Places) -> Place | None:
    if places.no_tls is not None:
        return places.no_tls
    name = check.name.removeprefix("!")
    if check.id in ("covers", "lasts") or name in _OF_CERTIFICATES:
        return places.certificates
    if name in PROTOCOL_REQUIREMENTS or name in PROTOCOLS or name == "needs-sslv3":
        return places.protocols
    if check.evidence.get("obstacle") == "version":
        return places.protocols
    if check.evidence.get("obstacle") == "certificate kind":
        return places.certificates
    if check.evidence.get("obstacle") == "suite" or name.endswith(" suites"):
        return places.suites
    if check.evidence.get("obstacle") == "group" or name.endswith(" groups"):
        return places.groups
    return places.level if name == "starttls" else None


def _accepts(facts: EndpointFacts, version: Protocol) -> bool:
    seen = facts.protocols.get(version)
    return seen is not None and seen.state == "accepted"


def _spoken(versions: Iterable[Protocol]) -> str:
    return ", ".join(_SPOKEN.get(version, version) for version in versions)
