"""What a difference between two known values of an aspect is called, how much it matters, and in which words.

A function for each kind of aspect, from the value that was known and what is seen now; nothing here knows of time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

from mxprobe.facts import EvidenceValue, Severity
from mxprobe.tls.suites import suite
from mxprobe.tls.weak_suites import weaknesses
from mxprobe.verdict.aspects_of_certificates import EXPIRED, VALID
from mxprobe.verdict.aspects_of_routes import NO_ADDRESS
from mxprobe.verdict.comparison import listed
from mxprobe.verdict.loss_of_tls import WEAK_VERSIONS
from mxprobe.verdict.seen import SETS, Aspect, AspectKind, Seen

GOOD: dict[AspectKind, str] = {
    "starttls": "works",
    "shared-cipher": "yes",
    "needs-sslv3": "no",
    "name": "yes",
    "trusted": "yes",
}
"""The one value that nobody has to be told of; an endpoint that comes new is held against it."""

STARTTLS = "RFC 3207 §4"
SHARED = "RFC 5246 §7.4.1.3, RFC 8446 §4.1.1"
TRUST = "RFC 5280 §6, postconf(5) smtp_tls_scert_verifydepth"
DATES = "RFC 5280 §4.1.2.5"
NAMES = "RFC 9525 §6"
ROUTE = "RFC 5321 §5.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A difference that is worth telling; what `Event` says, without whose and when.

    `good` is whether nothing is wrong any more. None: that is so where it is as it was before something went wrong; or,
    of a list, where it has again what is in `missed`, and no longer what is in `regretted`.
    """

    kind: str
    severity: Severity
    aspect: Aspect
    before: str | None
    after: str | None
    summary: str
    evidence: dict[str, EvidenceValue] = field(default_factory=dict)
    source: str = ""
    good: bool | None = None
    missed: tuple[str, ...] = ()
    regretted: tuple[str, ...] = ()


def differences(before: str, complete: bool, seen: Seen) -> tuple[Difference, ...]:
    """What is other than `before`, where `seen` has a value; of a list `complete` says whether that was all of it.

    At most one for each aspect. Of MX hosts each has an aspect of its own.
    """
    if seen.value is None or seen.value == before:
        return ()
    return tuple(_RULES[seen.aspect.kind](before, complete, seen, seen.value))


def merged(before: str, complete: bool, seen: Seen) -> tuple[str, bool]:
    """What is known after an observation with a value, and whether a list is complete."""
    value = seen.value or ""
    if seen.aspect.kind == "expiry" and _certificate(before) == _certificate(value) and _days(before) < _days(value):
        return before, True  # the clock went back; what was told of this certificate was told
    if seen.aspect.kind not in SETS or seen.complete:
        return value, True
    if seen.aspect.kind == "mx":
        hosts = dict(_host(word) for word in (*before.split(), *value.split()))
        return " ".join(sorted(f"{preference}:{name}" for name, preference in hosts.items())), complete
    return " ".join(sorted({*before.split(), *value.split()})), complete


def weaker(seen: Seen, elsewhere: str) -> Difference | None:
    """What is wrong with an endpoint that is known for the first time, where all others before it (`elsewhere`) were
    good; None where nothing is."""
    good = GOOD.get(seen.aspect.kind)
    if good is None or seen.value in (None, good):
        return None
    found = differences(good, True, seen)
    if not found:
        return None
    return Difference(
        kind="weaker-endpoint",
        severity=found[0].severity,
        aspect=seen.aspect,
        before=good,
        after=seen.value,
        summary=f"{seen.reason or found[0].summary}; this is new here, and less than at {elsewhere}",
        evidence={**seen.evidence, "elsewhere": elsewhere},
        source=found[0].source,
    )


Rule = Callable[[str, bool, Seen, str], Iterator[Difference]]


def _difference(
    kind: str, severity: Severity, before: str, seen: Seen, summary: str, source: str = "", good: bool | None = None
) -> Difference:
    evidence: dict[str, EvidenceValue] = dict(seen.evidence)
    if seen.reason:
        evidence["reason"] = seen.reason
    return Difference(
        kind=kind,
        severity=severity,
        aspect=seen.aspect,
        before=before,
        after=seen.value,
        summary=summary,
        evidence=evidence,
        source=source,
        good=good,
    )


def _mail(before: str, complete: bool, seen: Seen, value: str) -> Iterator[Difference]:
    if value == "null-mx":
        summary = "accepts no mail any more (null MX)"
        yield _difference("null-mx", "warning", before, seen, summary, "RFC 7505 §3", False)
    elif value == "no-domain":
        summary = f"there is no way to deliver mail any more: {seen.reason}"
        yield _difference("domain-gone", "critical", before, seen, summary, ROUTE, False)
    else:
        was = "it had a null MX" if before == "null-mx" else "there was no way to deliver it"
        yield _difference("accepts-mail", "info", before, seen, f"accepts mail again; {was}", ROUTE, True)


def _exchanges(before: str, complete: bool, seen: Seen, value: str) -> Iterator[Difference]:
    then, now = (dict(_host(word) for word in text.split()) for text in (before, value))
    for host in sorted({*then, *now}):
        old, new = then.get(host), now.get(host)
        if old is not None and new is not None and old != new:
            yield _of_host("mx-moved", seen, host, old, new, f"MX {host} has preference {new}, it had {old}")
        elif old is None and new is not None and complete:
            yield _of_host("mx-added", seen, host, None, new, f"{host} is an MX now, with preference {new}")
        elif new is None and old is not None and seen.complete:
            yield _of_host("mx-removed", seen, host, old, None, f"{host} is no MX any more; it had preference {old}")


def _of_host(kind: str, seen: Seen, host: str, old: str | None, new: str | None, summary: str) -> Difference:
    return Difference(
        kind=kind,
        severity="info",
        aspect=Aspect(kind="mx", item=host),
        before=None if old is None else f"{old}:{host}",
        after=None if new is None else f"{new}:{host}",
        summary=summary,
        evidence=dict(seen.evidence),
        source=ROUTE,
    )


def _host(word: str) -> tuple[str, str]:
    preference, _, name = word.partition(":")
    return name, preference


def _addresses(before: str, complete: bool, seen: Seen, value: str) -> Iterator[Difference]:
    host = seen.aspect.item
    if value == NO_ADDRESS:
        yield _difference("address-changed", "warning", before, seen, f"{host} has no address any more", ROUTE, False)
    else:
        summary = f"{host} has other addresses: {value}; it had {before}"
        yield _difference("address-changed", "info", before, seen, summary, ROUTE, True)


def _starttls(before: str, complete: bool, seen: Seen, value: str) -> Iterator[Difference]:
    if value == "works":
        was = "TLS failed behind it" if before == "broken" else "there was none"
        yield _difference("starttls-appeared", "info", before, seen, f"STARTTLS works; {was}", STARTTLS, True)
    elif value == "broken":
        summary = f"STARTTLS is broken: {seen.reason}"
        yield _difference("starttls-broken", "critical", before, seen, summary, STARTTLS, False)
    else:
        was = "it worked" if before == "works" else "it was broken"
        summary = f"STARTTLS is gone ({was}): {seen.reason}"
        yield _difference("starttls-vanished", "critical", before, seen, summary, STARTTLS, False)


def _version(before: str, complete: bool, seen: Seen, value: str) -> Iterator[Difference]:
    protocol = seen.aspect.item
    weak = protocol in WEAK_VERSIONS
    if value == "accepted":
        yield _difference("version-new", "warning" if weak else "info", before, seen, f"{protocol} is accepted now")
    else:
        why = f": {seen.reason}" if seen.reason else ""
        severity: Severity = "info" if weak else "warning"
        yield _difference("version-gone", severity, before, seen, f"{protocol} is refused now{why}")


def _suites(before: str, complete: bool, seen: Seen, value: str) -> Iterator[Difference]:
    """One event for all: of what is gone if anything is, else of what is new."""
    then, now = before.split(), value.split()
    gone = [word for word in then if word not in now] if seen.complete else []
    new = [word for word in now if word not in then] if complete else []
    if not gone and not new:
        return
    protocol = seen.aspect.item
    weak_version = protocol in WEAK_VERSIONS
    lost, gained = ({word: _name(word) for word in words} for words in (gone, new))
    texts = []
    if lost:
        texts.append(f"{protocol} no longer takes {_count(lost.values())}")
    if gained:
        texts.append(f"{'it takes' if lost else f'{protocol} takes'} {_count(gained.values())}, which it did not")
    missed = tuple(word for word, name in lost.items() if not weak_version and not weaknesses(name))
    regretted = tuple(word for word, name in gained.items() if weak_version or weaknesses(name))
    evidence: dict[str, EvidenceValue] = {"gone": tuple(lost.values()), "new": tuple(gained.values())}
    yield Difference(
        kind="suite-gone" if gone else "suite-new",
        severity="warning" if missed or regretted else "info",
        aspect=seen.aspect,
        before=" ".join(gone) or None,
        after=" ".join(new) or None,
        summary="; ".join(texts),
        evidence=evidence,
        missed=missed,
        regretted=regretted,
    )


def _name(word: str) -> str:
    return suite(int(word, 16)).name


def _count(names: Collection[str]) -> str:
    return f"{len(names)} {'suite' if len(names) == 1 else 'suites'}: {listed(names)}"


def _shared_cipher(before: str, complete: bool, seen: Seen, value: str) -> Iterator[Difference]:
    profile = seen.aspect.item
    if value == "yes":
        summary = f"profile {profile} gets TLS, and did not: {seen.reason}"
        yield _difference("shared-cipher-regained", "info", before, seen, summary, SHARED)
    else:
        summary = f"profile {profile} is cut off from TLS: {seen.reason}"
        yield _difference("shared-cipher-lost", "critical", before, seen, summary, SHARED)


def _needs_sslv3(before: str, complete: bool, seen: Seen, value: str) -> Iterator[Difference]:
    if value == "yes":
        summary = seen.reason or "needs SSLv3"
        yield _difference("needs-sslv3-began", "critical", before, seen, summary, "RFC 7568 §3")
    else:
        summary = f"does not need SSLv3 any more: {seen.reason}"
        yield _difference("needs-sslv3-ended", "info", before, seen, summary, "RFC 7568 §3")


def _certificate(value: str) -> str:
    return value.partition(" ")[0]


def _replaced(before: str, complete: bool, seen: Seen, value: str) -> Iterator[Difference]:
    issuer, ends = seen.evidence.get("issuer") or "nobody", _in_utc(seen.evidence.get("not_after")) or "no time"
    summary = f"another {seen.aspect.item} certificate, issued by {issuer}, valid until {ends}"
    yield _difference("certificate-replaced", "info", before, seen, summary, "RFC 5280 §4.1")


def _certificate_kind(before: str, complete: bool, seen: Seen, value: str) -> Iterator[Difference]:
    summary = f"an ordinary client is shown a certificate of kind {value}, it was one of kind {before}"
    yield _difference("certificate-replaced", "info", before, seen, summary, "RFC 5280 §4.1")


def _issuer(before: str, complete: bool, seen: Seen, value: str) -> Iterator[Difference]:
    kind = f"{seen.aspect.item} certificate" if seen.aspect.item else "certificate"
    summary = f"the {kind} is {_issued(value)}, it was {_issued(before)}"
    yield _difference("other-issuer", "info", before, seen, summary, "RFC 5280 §4.1.2.4")


def _issued(value: str) -> str:
    return value if value == "self-signed" else f"issued by {value}"


def _named(before: str, complete: bool, seen: Seen, value: str) -> Iterator[Difference]:
    host = seen.aspect.endpoint.partition("[")[0] or seen.aspect.endpoint
    kind = f"{seen.aspect.item} certificate" if seen.aspect.item else "certificate"
    if value == "yes":
        summary = f"the {kind} names {host}, and did not"
        yield _difference("name-regained", "info", before, seen, summary, NAMES)
    else:
        summary = f"the {kind} does not name {host} any more: {seen.reason}"
        yield _difference("name-lost", "warning", before, seen, summary, NAMES)


def _trusted(before: str, complete: bool, seen: Seen, value: str) -> Iterator[Difference]:
    if value == "yes":
        yield _difference("trusted-again", "info", before, seen, "the certificate is trusted, and was not", TRUST)
    else:
        yield _difference("no-longer-trusted", "critical", before, seen, f"was trusted: {seen.reason}", TRUST)


def _expiry(before: str, complete: bool, seen: Seen, value: str) -> Iterator[Difference]:
    """A certificate that came nearer to its end, once at each threshold; or another one that needs no word."""
    stage = value.partition(" ")[2]
    same = _certificate(before) == _certificate(value)
    kind = seen.aspect.item
    ends = _in_utc(seen.evidence.get("not_after"))
    if same and _days(value) >= _days(before):
        return
    if stage == VALID:
        if _days(before) < _days(value):
            summary = f"the {kind} certificate is another one, valid until {ends}"
            yield _difference("recovered", "info", before, seen, summary, DATES, good=True)
    elif stage == EXPIRED:
        summary = f"the {kind} certificate has expired: {ends}"
        yield _difference("certificate-expired", "critical", before, seen, summary, DATES, good=False)
    else:
        left = seen.evidence.get("days_left")
        words = "less than a day" if left == 0 else f"{left} {'day' if left == 1 else 'days'}"
        summary = f"the {kind} certificate expires in {words}: {ends}"
        yield _difference("certificate-expiring", "warning", before, seen, summary, DATES, good=False)


def _in_utc(moment: EvidenceValue) -> str:
    """A time of the evidence, ISO 8601 in UTC, as people read it."""
    return str(moment or "").replace("T", " ").replace("+00:00", " UTC")


def _days(value: str) -> int:
    """The threshold of a value as a number, less for worse."""
    stage = value.partition(" ")[2]
    if stage == EXPIRED:
        return -1
    return int(stage) if stage.isascii() and stage.isdigit() else 1 << 30


_RULES: dict[AspectKind, Rule] = {
    "mail": _mail,
    "mx": _exchanges,
    "addresses": _addresses,
    "starttls": _starttls,
    "version": _version,
    "suites": _suites,
    "shared-cipher": _shared_cipher,
    "needs-sslv3": _needs_sslv3,
    "certificate": _replaced,
    "certificate-kind": _certificate_kind,
    "expiry": _expiry,
    "issuer": _issuer,
    "name": _named,
    "trusted": _trusted,
}
