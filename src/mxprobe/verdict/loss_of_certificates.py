"""What of a server's certificates is lost against a baseline: a kind of key, a name, trust, time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mxprobe.facts import EndpointFacts, EvidenceValue
from mxprobe.terms import CertificateKind, State
from mxprobe.tls.signing_keys import kind_of_key
from mxprobe.trust.certificate import Certificate
from mxprobe.trust.names import postfix_matches
from mxprobe.verdict.checks import Check
from mxprobe.verdict.comparison import Pair, listed
from mxprobe.verdict.rules import name_matches, trusted


def certificates(pair: Pair) -> Iterator[Check]:
    """Each kind of certificate that was shown, beside the one of that kind that is shown now; and trust in them."""
    before = _by_kind(shown for facts in pair.before for shown in facts.certificates)
    now = _by_kind(pair.after.certificates)
    if not before:
        return
    if not now:
        summary = "no certificate was seen, so that those of before could not be compared"
        yield pair.check("keeps", "certificates", "unknown", summary)
        return
    shown_before = {shown.sha256 for facts in pair.before for shown in facts.certificates}
    for kind, old in before.items():
        if kind not in now:
            yield _lost_kind(pair, kind, old)
    for kind in now:
        if kind not in before and all(_lacked(kind, facts) for facts in pair.before):
            yield pair.check("gained", f"{kind} certificate", "noted", f"there is also a certificate of kind {kind}")
    same = all(shown.sha256 in shown_before for shown in pair.after.certificates)
    if same and len(before) == len(now):
        yield pair.check("keeps", "certificates", "passed", "the certificates are the same")
    else:
        yield _names(pair)
        for kind, new in now.items():
            if kind in before and new.sha256 not in shown_before:
                yield from _renewed(pair, kind, before[kind], new)
    yield from _trust(pair)


def _lost_kind(pair: Pair, kind: CertificateKind, old: Certificate) -> Check:
    told = pair.after.certificate_kinds.get(kind)
    name = f"{kind} certificate"
    evidence: dict[str, EvidenceValue] = {"sha256": old.sha256}
    if told is not None and told.state == "yes":
        return pair.check("keeps", name, "passed", f"there still is a certificate of kind {kind}")
    if (told is None or told.state == "unknown") and not _all_seen(pair.after):
        summary = f"the {kind} certificate of before was not seen"
        return pair.check("keeps", name, "unknown", summary, evidence=evidence)
    return pair.check(
        "keeps", name, "failed", f"the {kind} certificate is lost: no suite brings one", evidence=evidence
    )


def _lacked(kind: CertificateKind, facts: EndpointFacts) -> bool:
    """Whether a server is known to have had no certificate of a kind, which is not only that none was seen."""
    told = facts.certificate_kinds.get(kind)
    return _all_seen(facts) if told is None or told.state == "unknown" else told.state == "no"


def _all_seen(facts: EndpointFacts) -> bool:
    """Whether every suite of every version that is accepted was tried, so that every certificate came."""
    accepted = [seen for seen in facts.protocols.values() if seen.state == "accepted"]
    older = [seen for protocol, seen in facts.protocols.items() if seen.state == "accepted" and protocol != "TLSv1.3"]
    return bool(older) and all(seen.complete for seen in accepted)


def _names(pair: Pair) -> Check:
    """The names that were covered, and that some certificate of now does not cover."""
    before = dict.fromkeys(name for facts in pair.before for shown in facts.certificates for name in names_of(shown))
    unread = [shown for shown in pair.after.certificates if shown.error is not None]
    gone = [name for name in before if not all(_covers(shown, name) for shown in pair.after.certificates)]
    if gone and unread:
        summary = f"not known whether {listed(gone)} are still covered: {unread[0].error}"
        return pair.check("keeps", "names", "unknown", summary)
    if gone:
        evidence: dict[str, EvidenceValue] = {"lost": tuple(gone)}
        return pair.check(
            "keeps",
            "names",
            "failed",
            f"the certificate no longer names {listed(gone)}",
            evidence=evidence,
            source="RFC 9525 §6",
        )
    return pair.check("keeps", "names", "passed", "every name is still covered", source="RFC 9525 §6")


def _by_kind(certificates: Iterable[Certificate]) -> dict[CertificateKind, Certificate]:
    """The first certificate of each kind; one that could not be read is of none."""
    found: dict[CertificateKind, Certificate] = {}
    for shown in certificates:
        kind = kind_of_key(shown.key)
        if kind is not None:
            found.setdefault(kind, shown)
    return found


def names_of(shown: Certificate) -> tuple[str, ...]:
    """What a certificate is for: its alternative names, or, as Postfix has it, its common name where it has none."""
    return shown.names or ((shown.common_name,) if shown.common_name else ())


def _covers(shown: Certificate, name: str) -> bool:
    return any(postfix_matches(own, name) for own in names_of(shown))


def _renewed(pair: Pair, kind: str, old: Certificate, new: Certificate) -> Iterator[Check]:
    source = "RFC 5280 §4.1"
    name = f"{kind} certificate"
    evidence: dict[str, EvidenceValue] = {"before": old.sha256, "now": new.sha256}
    if old.issuer != new.issuer:
        summary = f"the {kind} certificate is issued by {new.issuer or 'nobody'}, it was by {old.issuer or 'nobody'}"
        yield pair.check("changed", f"{name} issuer", "noted", summary, evidence=evidence, source=source)
    if old.key != new.key:
        yield pair.check(
            "changed", f"{name} key", "noted", f"the key is {new.key}, it was {old.key}", evidence=evidence
        )
    if old.not_after is not None and new.not_after is not None and new.not_after < old.not_after:
        summary = f"the {kind} certificate ends on {new.not_after:%Y-%m-%d}, that of before on {old.not_after:%Y-%m-%d}"
        yield pair.check(
            "changed", f"{name} validity", "noted", summary, severity="warning", evidence=evidence, source=source
        )


def _trust(pair: Pair) -> Iterator[Check]:
    def verified(facts: EndpointFacts) -> State:
        return trusted(facts).state

    def named(facts: EndpointFacts) -> State:
        return name_matches(facts).state

    source = "RFC 5280 §6"
    if pair.was(verified) == "yes":
        now = verified(pair.after)
        said = trusted(pair.after).summary
        if now == "no":
            summary = f"trust is lost: {said}"
            yield pair.check("keeps", "trust", "failed", summary, severity="critical", source=source)
        elif now == "unknown":
            summary = f"not known whether the certificate still verifies: {said}"
            yield pair.check("keeps", "trust", "unknown", summary, source=source)
        else:
            yield pair.check("keeps", "trust", "passed", "the certificate still verifies", source=source)
    elif pair.was(verified) == "no" and verified(pair.after) == "yes":
        yield pair.check("gained", "trust", "noted", "the certificate verifies now", source=source)
    if pair.was(named) == "yes" and named(pair.after) == "no" and pair.after.name_match:
        summary = f"its own name is lost: {pair.after.name_match.reason}"
        yield pair.check("keeps", "own name", "failed", summary, source="RFC 9525 §6")
