"""Targets as a probe would report them, written by hand: what the tests of reports print.

Addresses are of the documentation networks (RFC 5737); reasons are worded as OpenSSL and SMTP servers word them.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from mxprobe.facts import (
    EndpointFacts,
    Natural,
    ProfileAnswer,
    ProtocolFacts,
    Report,
    Severity,
    Starttls,
    Suite,
    Target,
    Verdict,
)
from mxprobe.routing.route import MxHost, Route, RouteError
from mxprobe.smtp.replies import Reply
from mxprobe.terms import Protocol, State
from mxprobe.trust.certificate import Certificate
from mxprobe.trust.names import NameMatch
from mxprobe.trust.verification import Verification, VerifyStep

SEEN_AT = datetime(2026, 3, 1, 2, 0, 0, tzinfo=UTC)
ADDRESS = "192.0.2.1"
CA_PATH = "/etc/ssl/certs"

LEAF = "ab" * 32
ISSUER = "cd" * 32

AES256_TLS13 = Suite(id="0x001302", name="TLS_AES_256_GCM_SHA384", iana="TLS_AES_256_GCM_SHA384")
AES128_TLS13 = Suite(id="0x001301", name="TLS_AES_128_GCM_SHA256", iana="TLS_AES_128_GCM_SHA256")
ECDHE_AES256 = Suite(
    id="0x00C030",
    name="ECDHE-RSA-AES256-GCM-SHA384",
    iana="TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    reached="flight-complete",
)
ECDHE_AES128 = Suite(
    id="0x00C02F",
    name="ECDHE-RSA-AES128-GCM-SHA256",
    iana="TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    reached="flight-complete",
)
RC4_SHA = Suite(id="0x000005", name="RC4-SHA", iana="TLS_RSA_WITH_RC4_128_SHA", reached="flight-complete")
TRIPLE_DES = Suite(id="0x00000A", name="DES-CBC3-SHA", iana="TLS_RSA_WITH_3DES_EDE_CBC_SHA", reached="flight-complete")
UNKNOWN_SUITE = Suite(id="0x00FEFE", name="0x00FEFE", iana=None, standard=False, reached="flight-complete")

REFUSED_VERSION = ProtocolFacts(state="refused", reason="alert 70 (protocol_version)", complete=True, hellos=1)
REFUSED_SUITES = ProtocolFacts(state="refused", reason="alert 40 (handshake_failure)", complete=True, hellos=1)


def accepted(*suites: Suite) -> ProtocolFacts:
    """A protocol that accepted exactly these, in the server's order."""
    return ProtocolFacts(state="accepted", complete=True, suites=suites, order="server", hellos=len(suites) + 1)


GOOD_PROTOCOLS: dict[Protocol, ProtocolFacts] = {
    "SSLv2": ProtocolFacts(state="refused", reason="closed without a word (FIN)", complete=True, hellos=1),
    "SSLv3": REFUSED_VERSION,
    "TLSv1": REFUSED_VERSION,
    "TLSv1.1": REFUSED_VERSION,
    "TLSv1.2": accepted(ECDHE_AES256, ECDHE_AES128),
    "TLSv1.3": accepted(AES256_TLS13, AES128_TLS13),
}


def certificate(host: str, *, days_left: int = 89, issuer: str = "CN = Example CA") -> Certificate:
    """A certificate for one host."""
    return Certificate(
        sha256=LEAF,
        subject=f"CN = {host}",
        issuer=issuer,
        common_name=host,
        names=(host,),
        serial="1f",
        not_before=datetime(2026, 1, 1, tzinfo=UTC),
        # Half a day more, so that a number of whole days is left.
        not_after=SEEN_AT + timedelta(days=days_left, hours=12),
        key="RSA 2048",
        signature="sha256WithRSAEncryption",
        chain=(LEAF, ISSUER),
    )


def verified(
    code: int = 0, text: str = "ok", *, depth: int = 0, subject: str = "CN = mx1.example.test"
) -> Verification:
    """What OpenSSL said: `code` at `depth`."""
    return Verification(
        ok=code == 0,
        code=code,
        text=text,
        depth=depth,
        ca_path=CA_PATH,
        ca_file=None,
        depth_limit=3,
        chain_depth=1 if code == 0 else None,
        steps=(VerifyStep(depth=depth, code=code, text=text, subject=subject),),
    )


def endpoint(host: str, address: str = ADDRESS, **changes: object) -> EndpointFacts:
    """A good server's endpoint, with changes."""
    facts = EndpointFacts(
        host=host,
        address=address,
        port=25,
        started_at=SEEN_AT,
        connections=41,
        elapsed_seconds=1.9,
        greeting=Reply(code=220, lines=(f"{host} ESMTP",)),
        capabilities=("PIPELINING", "SIZE 10240000", "STARTTLS"),
        starttls=Starttls(state="works", reply=Reply(code=220, lines=("2.0.0 Ready to start TLS",))),
        protocols=GOOD_PROTOCOLS,
        natural=Natural(protocol="TLSv1.3", suite="TLS_AES_256_GCM_SHA384", group="x25519"),
        certificates=(certificate(host),),
        verification=verified(subject=f"CN = {host}"),
        name_match=NameMatch(host=host, matches=True, postfix_matches=True, names=(host,), reason=""),
        profiles=(ProfileAnswer(profile="outbound", state="yes", protocol="TLSv1.3", suite="TLS_AES_256_GCM_SHA384"),),
    )
    return replace(facts, **changes)  # type: ignore[arg-type]


def verdict(
    verdict_id: str,
    state: State,
    severity: Severity,
    summary: str,
    *,
    host: str | None = "mx1.example.test",
    source: str = "RFC 3207",
) -> Verdict:
    """A verdict on the host's usual endpoint, or on the whole target where `host` is None."""
    name = f"{host}[{ADDRESS}]:25" if host else ""
    return Verdict(
        id=verdict_id, state=state, severity=severity, endpoint=name, summary=summary, evidence={}, source=source
    )


def mx(*hosts: MxHost) -> Route:
    """A route through MX records."""
    return Route(kind="mx", hosts=hosts)


def mx_host(name: str, *addresses: str, preference: int = 10, canonical_name: str | None = None) -> MxHost:
    """One MX host."""
    return MxHost(
        name=name, canonical_name=canonical_name or name, preference=preference, addresses=addresses or (ADDRESS,)
    )


def unanswered(state: str, reason: str, *, connections: int = 1, **changes: object) -> EndpointFacts:
    """An endpoint whose STARTTLS did not work."""
    nothing: dict[str, object] = {
        "starttls": Starttls(state=state, reason=reason),  # type: ignore[arg-type]
        "protocols": {},
        "natural": None,
        "certificates": (),
        "verification": None,
        "name_match": None,
        "profiles": (),
        "connections": connections,
    }
    return endpoint("mx1.example.test", **{**nothing, **changes})


GOOD = Target(
    next_hop="good.example.test",
    route=mx(mx_host("mx1.example.test")),
    endpoints=(endpoint("mx1.example.test"),),
    verdicts=(
        verdict("starttls", "yes", "ok", "STARTTLS works"),
        verdict("needs-sslv3", "no", "ok", "TLS works", source="RFC 7568"),
        verdict("trusted", "yes", "ok", "the chain leads to a trusted CA", source="RFC 5280"),
        verdict("name-matches", "yes", "ok", "the certificate names mx1.example.test", source="RFC 9525"),
        verdict("not-expired", "yes", "ok", "89 days left", source="RFC 5280"),
    ),
)

SSLV3_ONLY = Target(
    next_hop="old.example.test",
    route=mx(mx_host("mx1.example.test")),
    endpoints=(
        endpoint(
            "mx1.example.test",
            protocols={
                "SSLv2": ProtocolFacts(state="unknown", reason="no answer within 10 s", hellos=1),
                "SSLv3": accepted(RC4_SHA, TRIPLE_DES),
                "TLSv1": REFUSED_SUITES,
                "TLSv1.1": REFUSED_SUITES,
                "TLSv1.2": REFUSED_SUITES,
                "TLSv1.3": REFUSED_SUITES,
            },
            natural=Natural(protocol="SSLv3", suite="RC4-SHA", reached="flight-complete"),
            profiles=(ProfileAnswer(profile="outbound", state="no", reason="alert 40 (handshake_failure)"),),
        ),
    ),
    verdicts=(
        verdict("starttls", "yes", "ok", "STARTTLS works"),
        verdict("shared-cipher", "no", "warning", "profile outbound gets alert 40", source="RFC 8446"),
        verdict("needs-sslv3", "yes", "critical", "no TLS version works, SSLv3 does", source="RFC 7568"),
    ),
)

NO_SHARED_CIPHER = Target(
    next_hop="aes128only.example.test",
    route=mx(mx_host("mx1.example.test")),
    endpoints=(
        endpoint(
            "mx1.example.test",
            protocols={**GOOD_PROTOCOLS, "TLSv1.2": accepted(ECDHE_AES128), "TLSv1.3": REFUSED_VERSION},
            natural=Natural(protocol="TLSv1.2", suite="ECDHE-RSA-AES128-GCM-SHA256", group="secp256r1"),
            profiles=(ProfileAnswer(profile="outbound", state="no", reason="alert 40 (handshake_failure)"),),
        ),
    ),
    verdicts=(
        verdict("starttls", "yes", "ok", "STARTTLS works"),
        verdict("shared-cipher", "no", "critical", "profile outbound gets alert 40 (handshake_failure)"),
    ),
)

EXPIRED = Target(
    next_hop="expired.example.test",
    route=mx(mx_host("mx1.example.test")),
    endpoints=(
        endpoint(
            "mx1.example.test",
            certificates=(certificate("mx1.example.test", days_left=-4),),
            verification=verified(10, "certificate has expired"),
        ),
    ),
    verdicts=(
        verdict("not-expired", "no", "critical", "expired 3 days ago", source="RFC 5280"),
        verdict("trusted", "no", "critical", "10 (certificate has expired) at depth 0", source="RFC 5280"),
    ),
)

SELF_SIGNED = Target(
    next_hop="selfsigned.example.test",
    route=mx(mx_host("mx1.example.test")),
    endpoints=(
        endpoint(
            "mx1.example.test",
            certificates=(certificate("mx1.example.test", issuer="CN = mx1.example.test"),),
            verification=verified(18, "self-signed certificate"),
        ),
    ),
    verdicts=(verdict("trusted", "no", "warning", "18 (self-signed certificate) at depth 0", source="RFC 5280"),),
)

WRONG_NAME = Target(
    next_hop="wrongname.example.test",
    route=mx(mx_host("mx1.example.test")),
    endpoints=(
        endpoint(
            "mx1.example.test",
            certificates=(certificate("mail.hoster.test"),),
            name_match=NameMatch(
                host="mx1.example.test",
                matches=False,
                postfix_matches=False,
                names=("mail.hoster.test",),
                reason="it names mail.hoster.test",
            ),
        ),
    ),
    verdicts=(
        verdict("trusted", "yes", "ok", "the chain leads to a trusted CA", source="RFC 5280"),
        verdict("name-matches", "no", "warning", "the certificate names mail.hoster.test", source="RFC 9525"),
    ),
)

BROKEN = Target(
    next_hop="broken.example.test",
    route=mx(mx_host("mx1.example.test")),
    endpoints=(
        unanswered(
            "offered-but-broken",
            "bytes that are not TLS came after the 220",
            handshake_error="wrong version number",
            early_bytes=b"550 no\r\n".hex(),
        ),
    ),
    verdicts=(verdict("starttls", "no", "critical", "STARTTLS is offered, then the handshake breaks"),),
)

THROTTLED = Target(
    next_hop="busy.example.test",
    route=mx(mx_host("mx1.example.test")),
    endpoints=(
        endpoint(
            "mx1.example.test",
            protocols={
                "SSLv3": ProtocolFacts(state="unknown", reason="421 4.7.0 too many connections"),
                "TLSv1.2": ProtocolFacts(
                    state="accepted", reason="421 4.7.0 too many connections", suites=(ECDHE_AES256,), hellos=1
                ),
            },
            natural=None,
            certificates=(),
            verification=None,
            name_match=None,
            profiles=(ProfileAnswer(profile="outbound", state="unknown", reason="421 4.7.0 too many connections"),),
            connections=4,
            endings={"421 4.7.0 too many connections": 3},
        ),
    ),
    verdicts=(
        verdict("starttls", "yes", "ok", "STARTTLS works"),
        verdict("trusted", "unknown", "info", "no certificate was seen: 421 4.7.0 too many connections"),
    ),
)

NULL_MX = Target(
    next_hop="nomail.example.test",
    route=Route(kind="null-mx"),
    verdicts=(verdict("null-mx", "yes", "info", "the domain takes no mail", host=None, source="RFC 7505"),),
)

CNAME_MX = Target(
    next_hop="alias.example.test",
    route=mx(mx_host("mx.alias.example.test", canonical_name="mx1.example.test")),
    endpoints=(endpoint("mx.alias.example.test"),),
    verdicts=(verdict("starttls", "yes", "ok", "STARTTLS works", host="mx.alias.example.test"),),
)

UNREACHABLE = Target(
    next_hop="down.example.test",
    route=mx(mx_host("mx1.example.test"), mx_host("mx2.example.test", "192.0.2.2", preference=20)),
    endpoints=(unanswered("unknown", "connect: no answer within 30 s"),),
    verdicts=(verdict("starttls", "unknown", "warning", "nothing was seen: no answer within 30 s"),),
)

UNRESOLVED = Target(
    next_hop="servfail.example.test",
    route=Route(
        kind="error", error=RouteError(status="servfail", text="MX servfail.example.test: SERVFAIL", temporary=True)
    ),
)

ALL: dict[str, Target] = {
    "good": GOOD,
    "sslv3-only": SSLV3_ONLY,
    "no-shared-cipher": NO_SHARED_CIPHER,
    "expired": EXPIRED,
    "self-signed": SELF_SIGNED,
    "wrong-name": WRONG_NAME,
    "broken": BROKEN,
    "throttled": THROTTLED,
    "null-mx": NULL_MX,
    "cname-mx": CNAME_MX,
    "unreachable": UNREACHABLE,
    "unresolved": UNRESOLVED,
}


def report(*targets: Target) -> Report:
    """A report of these targets, or of all examples."""
    chosen = targets or tuple(ALL.values())
    return Report(
        started_at=SEEN_AT,
        targets=chosen,
        connections=sum(facts.connections for target in chosen for facts in target.endpoints),
        elapsed_seconds=12.5,
    )
