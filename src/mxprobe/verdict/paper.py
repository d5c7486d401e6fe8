"""Facts that nobody saw: what a probe would find of a server that has this profile, so that all that judges a probe
judges a configuration too."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final, get_args

from mxprobe.facts import (
    EndpointFacts,
    Listing,
    Natural,
    Order,
    ProtocolFacts,
    Starttls,
    Suite,
    Target,
)
from mxprobe.mta.profile import NoTls, ServerProfile
from mxprobe.routing.route import MxHost, Route
from mxprobe.terms import PROTOCOLS, CertificateKind, Protocol
from mxprobe.tls.code_points import TLS12_GROUPS, TLS13_GROUPS, group_name, scheme_name
from mxprobe.tls.families import families_of
from mxprobe.tls.free_facts import Feature, FiniteField
from mxprobe.tls.groups import HYBRIDS, OTHER_TLS13_GROUPS
from mxprobe.tls.offer import Stage
from mxprobe.tls.signing_keys import KIND_OF_SCHEME, KINDS_OF_AUTHENTICATION, NOT_IN_TLS13, SCHEME_OF_CURVE
from mxprobe.tls.suites import allowed, candidates, suite
from mxprobe.trust.certificate import Certificate
from mxprobe.trust.names import NameMatch
from mxprobe.trust.verification import Verification
from mxprobe.verdict.rules import judge

PORT: Final = 25
"""The port of mail exchange; no other would be asked of a configuration."""

_IN_TLS13: Final = frozenset((*HYBRIDS, *TLS13_GROUPS, *OTHER_TLS13_GROUPS))
_STAGES: Final[dict[str, Stage]] = {"not-offered": "ehlo", "refused": "starttls", "offered-but-broken": "hello"}
_NO_KEY_EXCHANGE: Final = "no suite with an ephemeral key is accepted"
_NO_SIGNATURE: Final = "no suite that signs is accepted"


def facts_on_paper(
    server: ServerProfile | NoTls,
    *,
    host: str,
    time: datetime,
    certificates: tuple[Certificate, ...] = (),
    verification: Verification | None = None,
    name_match: NameMatch | None = None,
) -> EndpointFacts:
    """What a probe at depth *everything* would find, as far as the profile says: features and quirks stay unknown.

    `certificates` are those that the server would send, `verification` and `name_match` what was found of the first.
    `host` stands for the address too, since there is none. Suites that need a kind of key which the server lacks are
    left out, as no probe would find them; a profile without any kind says nothing of keys. A server without TLS has a
    STARTTLS that does not work, or none, and refuses every version.
    """
    if isinstance(server, NoTls):
        starttls = Starttls(state=server.starttls, stage=_STAGES[server.starttls], reason=server.reason)
        refused = ProtocolFacts(state="refused", reason=server.reason, complete=True)
        protocols = dict.fromkeys(PROTOCOLS, refused)
        source, natural, kinds = server.where or server.name, None, {}
    else:
        starttls = Starttls(state="works", stage="handshake")
        served = {protocol: _served(server, protocol) for protocol in PROTOCOLS}
        protocols = {protocol: _protocol(server, protocol, served[protocol], certificates) for protocol in PROTOCOLS}
        if not any(served.values()):
            why = "no suite of any version that it allows is left for its keys"
            starttls = Starttls(state="offered-but-broken", stage="hello", reason=why)
        source, natural = server.source or server.name, _natural(served, server)
        kinds = _kinds(server.certificate_kinds)
    return EndpointFacts(
        host=host,
        address=host,
        port=PORT,
        started_at=time,
        starttls=starttls,
        capabilities=("STARTTLS",) if starttls.state != "not-offered" else (),
        server_name=host,
        protocols=protocols,
        natural=natural,
        certificates=certificates,
        verification=verification,
        name_match=name_match,
        certificate_kinds=kinds,
        computed_from=source,
    )


def target_on_paper(
    server: ServerProfile | NoTls,
    *,
    host: str,
    time: datetime,
    certificates: tuple[Certificate, ...] = (),
    verification: Verification | None = None,
    name_match: NameMatch | None = None,
) -> Target:
    """The target that these facts make, judged at `time`: one MX host, which is its own address."""
    facts = facts_on_paper(
        server,
        host=host,
        time=time,
        certificates=certificates,
        verification=verification,
        name_match=name_match,
    )
    mx_host = MxHost(name=host, canonical_name=host, preference=None, addresses=(host,))
    return judge(f"[{host}]", Route(kind="literal", hosts=(mx_host,)), (facts,), time)


def _served(server: ServerProfile, protocol: Protocol) -> tuple[int, ...]:
    """The suites of a version for which the server has a key."""
    held = server.certificate_kinds
    if not held:
        return server.suites.get(protocol, ())
    if protocol == "TLSv1.3" and not any(kind != "DSA" for kind in held):  # RFC 8446 §4.2.3
        return ()
    found = []
    for number in server.suites.get(protocol, ()):
        needed = KINDS_OF_AUTHENTICATION.get(suite(number).authentication)
        if needed is None or any(kind in held for kind in needed):
            found.append(number)
    return tuple(found)


def _protocol(
    server: ServerProfile, protocol: Protocol, served: tuple[int, ...], certificates: tuple[Certificate, ...]
) -> ProtocolFacts:
    if not served:
        lacks = server.suites.get(protocol)
        why = "no suite is left for its keys" if lacks else f"{server.source or server.name} does not allow it"
        return ProtocolFacts(state="refused", reason=why, complete=True)
    finite = server.dh_bits is not None and any(suite(number).key_exchange == "DH" for number in served)
    order: Order = server.order if len(served) > 1 else "unknown"
    return ProtocolFacts(
        state="accepted",
        complete=True,
        suites=tuple(_suite(number, protocol) for number in served),
        order="client" if protocol == "SSLv2" else order,
        groups=_groups(server, protocol, served),
        schemes=_schemes(server, protocol, served, certificates),
        dh=(FiniteField(bits=server.dh_bits or 0, prime=""),) if finite else (),
        families=families_of(protocol, served, complete=True),
    )


def _suite(number: int, protocol: Protocol) -> Suite:
    known = suite(number)
    return Suite(
        id=known.id,
        name=known.name,
        iana=known.iana,
        reached="handshake-complete",
        standard=allowed(number, protocol),
    )


def _groups(server: ServerProfile, protocol: Protocol, served: tuple[int, ...]) -> Listing | None:
    """The groups of the profile that are for this version. In TLS 1.3 whose order counts is not only a matter of lists:
    many servers take the first group that came with a key share."""
    if protocol in ("SSLv2", "SSLv3"):
        return None
    if protocol != "TLSv1.3" and not any("ECDH" in suite(number).key_exchange for number in served):
        return Listing(state="refused", complete=True, reason=_NO_KEY_EXCHANGE)
    if server.groups is None:
        return None
    usable = _IN_TLS13 if protocol == "TLSv1.3" else frozenset(TLS12_GROUPS)
    names = tuple(group_name(number) for number in dict.fromkeys(server.groups) if number in usable)
    order: Order = "unknown" if protocol == "TLSv1.3" and server.order == "client" else server.order
    return Listing(state="accepted" if names else "refused", names=names, order=order, complete=True)


def _schemes(
    server: ServerProfile, protocol: Protocol, served: tuple[int, ...], certificates: tuple[Certificate, ...]
) -> Listing | None:
    """The schemes of the profile by which one of its keys signs in this version; in TLS 1.3 a curve has one alone."""
    if protocol not in ("TLSv1.2", "TLSv1.3"):
        return None
    authentications = {suite(number).authentication for number in served if _signs(number)}
    if protocol == "TLSv1.2" and not authentications:
        return Listing(state="refused", complete=True, reason=_NO_SIGNATURE)
    if server.signature_schemes is None:
        return None
    kinds = set(server.certificate_kinds or get_args(CertificateKind))
    if protocol == "TLSv1.2":
        kinds &= {kind for word in authentications for kind in KINDS_OF_AUTHENTICATION.get(word, ())}
    curves = {each.key[3:] for each in certificates if each.key.startswith("EC ")}
    others = set(SCHEME_OF_CURVE.values()) - {SCHEME_OF_CURVE.get(curve) for curve in curves} if curves else set()
    names = tuple(
        scheme_name(number)
        for number in dict.fromkeys(server.signature_schemes)
        if KIND_OF_SCHEME.get(number) in kinds
        and not (protocol == "TLSv1.3" and (number in NOT_IN_TLS13 or number in others))
    )
    return Listing(state="accepted" if names else "refused", names=names, order=server.order, complete=True)


def _signs(number: int) -> bool:
    """Whether a suite before TLS 1.3 has a signed key exchange."""
    known = suite(number)
    return known.key_exchange in ("ECDH", "DH") and known.authentication in KINDS_OF_AUTHENTICATION


def _natural(served: dict[Protocol, tuple[int, ...]], server: ServerProfile) -> Natural | None:
    """The session that a client of everything would get: the newest version, and the first suite in whose order it is
    (for the client's, that of OpenSSL)."""
    for protocol in reversed(PROTOCOLS):
        if suites := served[protocol]:
            first = suites[0]
            if server.order == "client":
                first = next((number for number in candidates(protocol) if number in suites), first)
            return Natural(protocol=protocol, suite=suite(first).name)
    return None


def _kinds(held: Iterable[CertificateKind]) -> dict[CertificateKind, Feature]:
    held = tuple(held)
    if not held:
        return {}
    return {kind: Feature(state="yes" if kind in held else "no") for kind in get_args(CertificateKind)}
