"""What the certificates of an endpoint come to, aspect by aspect: which they are, from whom, for whom, for how long."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta

from mxprobe.facts import EndpointFacts, EvidenceValue
from mxprobe.terms import State
from mxprobe.tls.signing_keys import kind_of_key
from mxprobe.trust.certificate import Certificate
from mxprobe.trust.names import postfix_matches
from mxprobe.verdict.rules import endpoint_name, name_matches, trusted
from mxprobe.verdict.seen import Aspect, NoticeSettings, Seen, as_value

EXPIRED = "expired"
VALID = "valid"
SELF_SIGNED = "self-signed"

_LIFE_PER_THRESHOLD = 3
"""A threshold of n days says something of a certificate that was issued for 3n days or more: ACME clients renew when a
third of the life is left, and one that lives for six days is not about to expire all its life."""

_HAS_EXPIRED = 10
"""X509_V_ERR_CERT_HAS_EXPIRED."""

_ATTRIBUTE = re.compile(r"(?:\\.|[^\\,+])+", re.DOTALL)
"""One attribute of a name; in its value a comma and a plus sign are escaped (RFC 4514 §2.4)."""
_DIGITS = 16


def certificate_aspects(facts: EndpointFacts, at: datetime, settings: NoticeSettings) -> Iterator[Seen]:
    """What the certificates say at `at`. The first is the one that an ordinary client is shown: trust, and its name and
    issuer, are aspects without an item; those of a further kind of key have that kind for their item."""
    if not facts.certificates:
        return
    endpoint = endpoint_name(facts)
    shown = _by_kind(facts)
    first = facts.certificates[0]
    yield Seen(
        aspect=Aspect(kind="certificate-kind", endpoint=endpoint),
        value=_kind(first),
        evidence={"sha256": first.sha256},
    )
    for kind, certificate in shown.items():
        about = {"sha256": certificate.sha256, **_described(certificate)}
        aspect = Aspect(kind="certificate", endpoint=endpoint, item=kind)
        yield Seen(aspect=aspect, value=certificate.sha256, evidence=about)
        yield _expiry(Aspect(kind="expiry", endpoint=endpoint, item=kind), certificate, at, settings)
        item = "" if certificate is first else kind
        if certificate.issuer:
            aspect = Aspect(kind="issuer", endpoint=endpoint, item=item)
            yield Seen(aspect=aspect, value=issued_by(certificate), evidence=about)
        named = _named(facts, certificate)
        aspect = Aspect(kind="name", endpoint=endpoint, item=item)
        yield Seen(aspect=aspect, value=None if named == "unknown" else named, reason=_names(certificate))
    verified = facts.verification
    # An expired certificate is told by its dates. Whoever renews it in kind has lost no trust.
    if verified is not None and (verified.code != _HAS_EXPIRED or verified.depth != 0):
        verdict = trusted(facts)
        yield Seen(
            aspect=Aspect(kind="trusted", endpoint=endpoint),
            value=None if verdict.state == "unknown" else verdict.state,
            reason=verdict.summary,
            evidence={**verdict.evidence, "issuer": first.issuer, "sha256": first.sha256},
        )


def issued_by(certificate: Certificate) -> str:
    """Who issued it: the organisation, as CAs change intermediates at every renewal; the whole name where it has none
    (RFC 4514), and nobody else where it is self-signed."""
    if certificate.issuer == certificate.subject:
        return SELF_SIGNED
    attributes = (each.partition("=") for each in _ATTRIBUTE.findall(certificate.issuer))
    organisation = next((value.strip() for name, _, value in attributes if name.strip() == "O"), "")
    return as_value(organisation or certificate.issuer)


def _expiry(aspect: Aspect, certificate: Certificate, at: datetime, settings: NoticeSettings) -> Seen:
    """The certificate and the last threshold that it has come to: ``0123456789abcdef 7``."""
    ends, begins = certificate.not_after, certificate.not_before
    if ends is None:
        return Seen(aspect=aspect, value=None, reason=f"its dates cannot be read: {certificate.error}")
    left = ends - at
    days = [
        number
        for number in sorted(settings.expiry_days)
        if left <= timedelta(days=number)
        and (begins is None or ends - begins >= _LIFE_PER_THRESHOLD * timedelta(number))
    ]
    stage = EXPIRED if left < timedelta(0) else str(days[0]) if days else VALID
    return Seen(
        aspect=aspect,
        value=f"{certificate.sha256[:_DIGITS]} {stage}",
        evidence={"sha256": certificate.sha256, "days_left": left // timedelta(days=1), **_described(certificate)},
    )


def _by_kind(facts: EndpointFacts) -> dict[str, Certificate]:
    found: dict[str, Certificate] = {}
    for certificate in facts.certificates:
        found.setdefault(_kind(certificate), certificate)
    return found


def _kind(certificate: Certificate) -> str:
    """The kind of its key; all that are not known are one more kind."""
    return kind_of_key(certificate.key) or "other"


def _named(facts: EndpointFacts, certificate: Certificate) -> State:
    """Whether it names the MX host. Of the first the verdict says so; of the others the names that were kept."""
    if certificate is facts.certificates[0]:
        return name_matches(facts).state
    if any(postfix_matches(name, facts.host) for name in certificate.names):
        return "yes"
    return "unknown" if certificate.error is not None else "no"


def _names(certificate: Certificate) -> str:
    names = certificate.names or ((certificate.common_name,) if certificate.common_name else ())
    shown = ", ".join(as_value(name) for name in names[:3])
    more = len(names) - 3
    return f"it names {shown}{f' and {more} more' if more > 0 else ''}" if names else "it names nobody"


def _described(certificate: Certificate) -> dict[str, EvidenceValue]:
    return {
        "subject": certificate.subject,
        "issuer": certificate.issuer,
        "not_after": certificate.not_after.isoformat() if certificate.not_after else None,
    }
