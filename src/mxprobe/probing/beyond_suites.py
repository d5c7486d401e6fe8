"""From answers to the facts beyond suites: groups, schemes, features, quirks, kinds of certificates."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, replace
from typing import get_args

from mxprobe.facts import Features, Listing, ProtocolFacts, Quirks
from mxprobe.terms import PROTOCOLS, CertificateKind, Protocol
from mxprobe.tls.code_points import group_name, scheme_name
from mxprobe.tls.endings import ending_text
from mxprobe.tls.everything import Everything
from mxprobe.tls.free_facts import Feature, FreeFacts, FreeFeatures
from mxprobe.tls.offer import Answer, Chosen, Offer
from mxprobe.tls.preferences import Listed
from mxprobe.tls.signing_keys import KIND_OF_SCHEME, kind_of_key
from mxprobe.tls.suites import suite
from mxprobe.tls.sweep import SuitesFound
from mxprobe.trust.certificate import Certificate

_SEEN_ONLY = "only what was chosen in other questions; the others were not asked"

_AUTHENTICATION: dict[CertificateKind, str] = {
    "RSA": "RSA",
    "RSA-PSS": "RSA",
    "ECDSA": "ECDSA",
    "EdDSA": "ECDSA",
    "DSA": "DSS",
}
"""The suites before TLS 1.3 in which a kind can serve, by OpenSSL's word (RFC 8422 §5.2 for EdDSA)."""


def with_groups_and_schemes(
    protocols: Mapping[Protocol, ProtocolFacts], free: FreeFacts, asked: Everything | None
) -> dict[Protocol, ProtocolFacts]:
    """The facts of the versions with their groups, schemes and finite fields: as asked, else as far as was seen."""
    return {
        protocol: replace(
            facts,
            groups=_listing(free.groups, asked.groups if asked else {}, protocol, group_name),
            schemes=_listing(free.schemes, asked.schemes if asked else {}, protocol, scheme_name),
            dh=free.finite_fields.get(protocol, ()),
        )
        for protocol, facts in protocols.items()
    }


def features_of(free: FreeFacts, asked: Everything | None) -> Features | None:
    """What the server does beside agreeing on suites; None if nothing at all is known of that."""
    own = asked.asked if asked else None
    features = Features(
        **{each.name: getattr(free, each.name) for each in fields(FreeFeatures)},
        compression=own.compression if own else None,
        ocsp_staple=own.ocsp_staple if own else None,
        fallback_scsv=own.fallback_scsv if own else None,
    )
    return None if features == Features() else features


def quirks_of(swept: Mapping[Protocol, SuitesFound], asked: Everything | None) -> Quirks | None:
    """What the server stumbles over; None where neither anything was asked nor an offer was too long."""
    limits = [found.max_suites for found in swept.values() if found.max_suites is not None]
    small = any(found.small_hellos for found in swept.values())
    if asked is None:
        fails = Feature(state="no", reason="only hellos of less than 256 bytes are answered") if small else None
        return Quirks(max_suites=min(limits), large_hello=fails) if limits else None
    return Quirks(
        max_suites=min(limits, default=None),
        grease=asked.coped.grease,
        newer_version=asked.coped.newer_version,
        large_hello=asked.coped.large_hello,
        fragmented_hello=asked.coped.fragmented_hello,
        server_name=asked.asked.server_name,
    )


def certificate_kinds(
    swept: Mapping[Protocol, SuitesFound], asked: Everything | None, certificates: Iterable[Certificate]
) -> dict[CertificateKind, Feature]:
    """Of which kinds of keys the server has certificates.

    *yes*: one was seen. *no*: no version that is accepted would serve one: before TLS 1.3 by its suites (and in TLS 1.2
    by its schemes, which alone tell the two kinds of RSA and of elliptic curves apart), in TLS 1.3 by its schemes.
    """
    accepted = {protocol: found for protocol, found in swept.items() if found.accepted and protocol != "SSLv2"}
    shown = {kind_of_key(certificate.key) for certificate in certificates if certificate.key}
    listed = asked.schemes if asked else {}
    shown |= {KIND_OF_SCHEME.get(scheme) for each in listed.values() for scheme in each.accepted}
    if not accepted and not shown - {None}:
        return {}
    kinds: dict[CertificateKind, Feature] = {}
    for kind in get_args(CertificateKind):
        open_questions = [reason for protocol in PROTOCOLS if (reason := _open(kind, protocol, swept, listed))]
        if kind in shown:
            kinds[kind] = Feature(state="yes")
        elif open_questions:
            kinds[kind] = Feature(state="unknown", reason="; ".join(open_questions))
        else:
            kinds[kind] = Feature(state="no")
    return kinds


def chains_of(exchanges: Iterable[tuple[Offer, Answer]], server_name: str | None) -> tuple[tuple[bytes, ...], ...]:
    """The chains of all answers to hellos with this server name: certificates for others are none of the endpoint's."""
    return tuple(
        answer.certificates
        for offer, answer in exchanges
        if isinstance(answer, Chosen) and answer.certificates and offer.server_name == server_name
    )


def _open(
    kind: CertificateKind,
    protocol: Protocol,
    swept: Mapping[Protocol, SuitesFound],
    listed: Mapping[Protocol, Listed],
) -> str:
    """Why a version does not rule a kind of certificate out; empty if it does."""
    found = swept.get(protocol)
    if protocol in ("SSLv2", "SSLv3"):
        # These serve what newer versions serve, if not less; by themselves they know RSA and DSA alone.
        others = any(other.accepted for name, other in swept.items() if name not in ("SSLv2", "SSLv3"))
        if others or kind not in ("RSA", "DSA") or found is None or not found.accepted:
            return ""
    if found is None:
        return f"{protocol} was not asked"
    if found.state == "refused":
        return ""
    if not found.accepted:
        return f"{protocol} is unknown"
    if protocol == "TLSv1.3":
        if kind == "DSA":  # RFC 8446 §4.2.3
            return ""
        schemes = listed.get(protocol)
        return "" if schemes is not None and schemes.complete else f"the schemes of {protocol} are not all known"
    authentication = _AUTHENTICATION[kind]
    if any(authentication in suite(number).authentication for number in found.suites):
        if kind in ("RSA", "DSA") and protocol != "TLSv1.2":
            return f"{protocol} takes suites for it, and no certificate was seen"
        schemes = listed.get(protocol)
        if protocol != "TLSv1.2":  # older versions name no schemes, and hardly have these
            return ""
        return "" if schemes is not None and schemes.complete else f"the schemes of {protocol} are not all known"
    return "" if found.complete else f"the suites of {protocol} are not all known"


def _listing(
    seen: Mapping[Protocol, tuple[int, ...]],
    asked: Mapping[Protocol, Listed],
    protocol: Protocol,
    name: Callable[[int], str],
) -> Listing | None:
    found = asked.get(protocol)
    others = seen.get(protocol, ())
    if found is None:
        if not others:
            return None
        return Listing(state="accepted", names=tuple(map(name, others)), reason=_SEEN_ONLY)
    # What a suite was agreed on with is accepted, whatever the list by itself came to.
    more = tuple(number for number in others if number not in found.accepted)
    reasons = [found.reason] if found.reason else []
    if not found.complete and found.ending is not None:
        reasons.append(ending_text(found.ending))
    return Listing(
        state="accepted" if more else found.state,
        names=tuple(map(name, (*found.accepted, *more))),
        order=found.order if not more else "unknown",
        complete=found.complete and not more,
        reason="; ".join(reasons) if not more else "some were chosen in other questions alone",
        undecided=tuple(name(number) for number in found.undecided if number not in more),
        hellos=found.hellos,
    )
