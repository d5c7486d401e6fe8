"""A quarter of a year of one domain: what is observed on each day, as data, and exactly the events that come of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from examples.targets import (
    AES128_TLS13,
    AES256_TLS13,
    ECDHE_AES128,
    ECDHE_AES256,
    GOOD_PROTOCOLS,
    REFUSED_VERSION,
    accepted,
    endpoint,
    mx,
    mx_host,
    unanswered,
    verified,
)
from mxprobe.facts import EndpointFacts, ProfileAnswer, ProtocolFacts, Suite, Target
from mxprobe.routing.route import Route, RouteError
from mxprobe.terms import Protocol
from mxprobe.trust.certificate import Certificate
from mxprobe.trust.names import NameMatch
from mxprobe.verdict.aspects import aspects
from mxprobe.verdict.memory import Memory, remember
from mxprobe.verdict.memory_document import memory_text, read_memory

FIRST_DAY = datetime(2026, 3, 2, 4, 0, 0, tzinfo=UTC)
CHACHA = Suite(id="0x00CCA8", name="ECDHE-RSA-CHACHA20-POLY1305", iana=None, reached="flight-complete")

# The servers, by what is written of them below
A1, A2, B, A9, C = (
    "mx1.example.test[192.0.2.1]:25",
    "mx1.example.test[192.0.2.2]:25",
    "mx2.example.test[192.0.2.3]:25",
    "mx1.example.test[192.0.2.9]:25",
    "mx3.example.test[192.0.2.7]:25",
)


def day(number: float) -> datetime:
    return FIRST_DAY + timedelta(days=number)


def shown(name: str, ends: int, *, issuer: str = "CN=R11,O=Let's Encrypt,C=US", key: str = "RSA 2048") -> Certificate:
    """A certificate of 90 days that ends on a day."""
    subject = f"CN={name}"
    return Certificate(
        sha256=hashlib.sha256(f"{name} {ends} {key}".encode()).hexdigest(),
        subject=subject,
        issuer=issuer,
        names=(name,),
        not_before=day(ends - 90),
        not_after=day(ends),
        key=key,
    )


OF_MX1 = shown("mx1.example.test", 50)
RENEWED = shown("mx1.example.test", 119, issuer="CN=R12,O=Let's Encrypt,C=US")
OF_MX2 = shown("mx2.example.test", 52)
SELF_SIGNED = shown("localhost", 3650, issuer="CN=localhost")
BOUGHT = shown("mx2.example.test", 400, issuer="CN=Example TLS CA,O=Example Trust,C=DE")
ECDSA = shown("mx2.example.test", 300, issuer="CN=Example TLS CA,O=Example Trust,C=DE", key="EC secp256r1")


def server(where: str, *certificates: Certificate, **changes: object) -> EndpointFacts:
    host, _, address = where.removesuffix("]:25").partition("[")
    return endpoint(host, address, certificates=certificates, **changes)


def misnamed(host: str) -> dict[str, object]:
    """That the certificate does not name the MX host."""
    reason = f"certificate names localhost, not {host}"
    return {
        "name_match": NameMatch(host=host, matches=False, postfix_matches=False, names=("localhost",), reason=reason)
    }


def no_tls(where: str, state: str, reason: str) -> EndpointFacts:
    host, _, address = where.removesuffix("]:25").partition("[")
    return replace(unanswered(state, reason), host=host, address=address)


def busy(where: str) -> EndpointFacts:
    return no_tls(where, "unknown", "throttled: 421 4.7.0 try again later")


def domain(*endpoints: EndpointFacts, preferences: tuple[int, ...] = (10, 20)) -> Target:
    """A domain whose MX hosts are those of the endpoints."""
    hosts: dict[str, tuple[str, ...]] = {}
    for facts in endpoints:
        hosts[facts.host] = (*hosts.get(facts.host, ()), facts.address)
    both = zip(hosts.items(), preferences, strict=True)
    found = [mx_host(name, *addresses, preference=each) for (name, addresses), each in both]
    return Target(next_hop="example.test", route=mx(*found), endpoints=endpoints)


def unrouted(status: str, *, temporary: bool) -> Target:
    error = RouteError(status=status, text=f"MX example.test: {status}", temporary=temporary)  # type: ignore[arg-type]
    return Target(next_hop="example.test", route=Route(kind="error", error=error))


OUTBOUND_CUT_OFF = (ProfileAnswer(profile="outbound", state="no", reason="alert 40 (handshake_failure)"),)
LESS: dict[Protocol, ProtocolFacts] = {**GOOD_PROTOCOLS, "TLSv1.2": accepted(ECDHE_AES256, CHACHA)}
MORE: dict[Protocol, ProtocolFacts] = {**GOOD_PROTOCOLS, "TLSv1.2": accepted(ECDHE_AES256, CHACHA, ECDHE_AES128)}
ONLY_TLS13: dict[Protocol, ProtocolFacts] = {
    **dict.fromkeys(GOOD_PROTOCOLS, REFUSED_VERSION),
    "TLSv1.3": accepted(AES256_TLS13, AES128_TLS13),
}
QUICK: dict[Protocol, ProtocolFacts] = {}

a1, a2, b = server(A1, OF_MX1), server(A2, OF_MX1), server(B, OF_MX2)
a1_less = server(A1, OF_MX1, protocols=LESS, sweep="swept", swept_at=day(21))
a2_less = server(A2, OF_MX1, protocols=LESS, sweep="same-as", same_as=A1, swept_at=day(21))
a1_now, a2_now = server(A1, RENEWED, protocols=LESS), server(A2, RENEWED, protocols=LESS)
a9_now = server(A9, RENEWED, protocols=LESS)
b_bought = server(B, BOUGHT)
c = server(C, shown("mx3.example.test", 500))
c_plain = no_tls(C, "not-offered", "STARTTLS is not among the capabilities")


@dataclass(frozen=True)
class Look:
    """What was seen on a day, and the events that it makes: kind, endpoint or item, and what it recovers."""

    on: float
    seen: Target
    events: tuple[tuple[str, str, str], ...] = ()


def event(kind: str, about: str, recovers: str = "") -> tuple[str, str, str]:
    return kind, about, recovers


WEEKS = (
    Look(0, domain(a1, a2, b)),
    Look(7, domain(a1, a2, b)),
    # A server that is busy has lost nothing.
    Look(8, domain(busy(A1), a2, b)),
    Look(9, domain(a1, a2, b)),
    # STARTTLS is taken away, the next look does not find out, and then it is back.
    Look(14, domain(a1, a2, no_tls(B, "not-offered", "STARTTLS is not among the capabilities")),
         (event("starttls-vanished", B),)),
    Look(15, domain(a1, a2, busy(B))),
    Look(16, domain(a1, a2, b), (event("starttls-appeared", B, "starttls-vanished"),)),
    # Another cipher list at both addresses of the first host; quick looks and confirmed sweeps say nothing more.
    Look(21, domain(a1_less, a2_less, b), (event("suite-gone", A1), event("suite-gone", A2))),
    Look(22, domain(replace(a1, protocols=QUICK), replace(a2, protocols=QUICK), replace(b, protocols=QUICK))),
    Look(23, domain(replace(a1_less, sweep="confirmed"), replace(a2_less, sweep="confirmed"), b)),
    # The certificates come near their end. That of the first host is renewed in time.
    Look(29.5, domain(a1_less, a2_less, b), (
        event("certificate-expiring", A1),
        event("certificate-expiring", A2),
    )),
    Look(32, domain(a1_less, a2_less, b), (event("certificate-expiring", B),)),
    Look(33, domain(a1_now, a2_now, b), (
        event("certificate-replaced", A1),
        event("recovered", A1, "certificate-expiring"),
        event("certificate-replaced", A2),
        event("recovered", A2, "certificate-expiring"),
    )),
    Look(46, domain(a1_now, a2_now, b), (event("certificate-expiring", B),)),
    Look(47, domain(a1_now, a2_now, b)),
    # That of the second has expired, and is replaced by what the package came with, and then by a bought one.
    Look(53, domain(a1_now, a2_now, server(B, OF_MX2, verification=verified(10, "certificate has expired"))),
         (event("certificate-expired", B),)),
    Look(54, domain(a1_now, a2_now, server(B, SELF_SIGNED, verification=verified(18, "self-signed certificate"),
                                           **misnamed("mx2.example.test"))), (
        event("certificate-replaced", B),
        event("recovered", B, "certificate-expired"),
        event("other-issuer", B),
        event("name-lost", B),
        event("no-longer-trusted", B),
    )),
    Look(55, domain(a1_now, a2_now, b_bought), (
        event("certificate-replaced", B),
        event("other-issuer", B),
        event("name-regained", B, "name-lost"),
        event("trusted-again", B, "no-longer-trusted"),
    )),
    # A second certificate beside it is no other certificate.
    Look(56, domain(a1_now, a2_now, server(B, BOUGHT, ECDSA))),
    # One address moves. A failing name server, and one NXDOMAIN, are nothing.
    Look(60, domain(a1_now, a9_now, b_bought), (event("address-changed", "mx1.example.test"),)),
    Look(61, unrouted("servfail", temporary=True)),
    Look(62, unrouted("nxdomain", temporary=False)),
    Look(63, domain(a1_now, a9_now, b_bought)),
    # Older versions are turned off, which cuts a profile off.
    Look(65, domain(a1_now, a9_now, replace(b_bought, protocols=ONLY_TLS13, profiles=OUTBOUND_CUT_OFF)), (
        event("version-gone", B),
        event("shared-cipher-lost", B),
    )),
    Look(66, domain(a1_now, a9_now, b_bought), (
        event("version-new", B, "version-gone"),
        event("shared-cipher-regained", B, "shared-cipher-lost"),
    )),
    # The suite that was missed at the first host is back; at its new address it was never seen.
    Look(67, domain(replace(a1_now, protocols=MORE), replace(a9_now, protocols=MORE), b_bought), (
        event("suite-new", A1, "suite-gone"),
        event("suite-new", A9),
    )),
    # The second MX host becomes another one, which has no STARTTLS, and then moves to the front.
    Look(70, domain(a1_now, a9_now, c_plain), (
        event("mx-removed", "mx2.example.test"),
        event("mx-added", "mx3.example.test"),
        event("suite-gone", A1),
        event("suite-gone", A9),
        event("weaker-endpoint", C),
    )),
    Look(71, domain(a1_now, a9_now, c_plain, preferences=(10, 5)), (event("mx-moved", "mx3.example.test"),)),
    Look(72, domain(a1_now, a9_now, c, preferences=(10, 5)), (event("starttls-appeared", C, "weaker-endpoint"),)),
    # No mail for a while.
    Look(77, Target(next_hop="example.test", route=Route(kind="null-mx")), (event("null-mx", ""),)),
    Look(78, domain(a1_now, a9_now, c, preferences=(10, 5)), (event("accepts-mail", "", "null-mx"),)),
    # One endpoint is down for ten days.
    *(Look(80 + number, domain(busy(A1), a9_now, c, preferences=(10, 5))) for number in range(7)),
    Look(87, domain(busy(A1), a9_now, c, preferences=(10, 5)), (event("unknown-for-long", A1),)),
    Look(89, domain(busy(A1), a9_now, c, preferences=(10, 5))),
    Look(90, domain(a1_now, a9_now, c, preferences=(10, 5)), (event("recovered", A1, "unknown-for-long"),)),
    # One that comes and goes flaps, until it has been stable for a week.
    Look(91, domain(a1_now, a9_now, c_plain, preferences=(10, 5)), (event("starttls-vanished", C),)),
    Look(92, domain(a1_now, a9_now, c, preferences=(10, 5)), (event("starttls-appeared", C, "starttls-vanished"),)),
    Look(93, domain(a1_now, a9_now, c_plain, preferences=(10, 5)), (event("starttls-vanished", C),)),
    Look(94, domain(a1_now, a9_now, c, preferences=(10, 5)), (event("flapping", C),)),
    Look(95, domain(a1_now, a9_now, c, preferences=(10, 5))),
    Look(96, domain(a1_now, a9_now, c_plain, preferences=(10, 5))),
    Look(97, domain(a1_now, a9_now, c, preferences=(10, 5))),
    Look(103, domain(a1_now, a9_now, c, preferences=(10, 5)), (
        event("certificate-expiring", A1),
        event("certificate-expiring", A9),
    )),
    Look(104, domain(a1_now, a9_now, c, preferences=(10, 5)),
         (event("starttls-appeared", C, "starttls-vanished"),)),
    # The domain is given up.
    Look(110, unrouted("nxdomain", temporary=False)),
    Look(111, unrouted("nxdomain", temporary=False), (event("domain-gone", ""),)),
    Look(112, unrouted("nxdomain", temporary=False)),
)  # fmt: skip


def test_the_weeks_make_exactly_these_events() -> None:
    memory = Memory(next_hop="example.test")
    for look in WEEKS:
        at = day(look.on)
        memory, events = remember(memory, aspects(look.seen, at), at)
        found = tuple((each.kind, each.endpoint or each.aspect.item, each.recovers) for each in events)
        assert sorted(found) == sorted(look.events), f"day {look.on}"
        assert all(each.at == at and each.next_hop == "example.test" and each.summary for each in events)
        memory = read_memory(memory_text(memory))


def test_whoever_begins_in_any_week_is_told_nothing_of_that_day() -> None:
    for look in WEEKS:
        at = day(look.on)
        assert remember(Memory(next_hop="example.test"), aspects(look.seen, at), at)[1] == ()


def test_the_same_day_observed_twice_makes_its_events_once() -> None:
    memory = Memory(next_hop="example.test")
    for look in WEEKS:
        memory, _ = remember(memory, aspects(look.seen, day(look.on)), day(look.on))
        again = day(look.on) + timedelta(hours=1)
        doubted = look.seen.route.error is not None and not look.seen.route.error.temporary
        if not doubted:  # the second NXDOMAIN is the one that counts
            assert remember(memory, aspects(look.seen, again), again)[1] == (), f"day {look.on}"


def test_nothing_is_told_of_a_domain_that_stays_as_it_is_for_a_year() -> None:
    memory = Memory(next_hop="example.test")
    for number in range(0, 365, 5):
        at = day(number)
        seen = domain(server(A1, replace(OF_MX1, not_after=day(900))), preferences=(10,))
        memory, events = remember(memory, aspects(seen, at), at)
        assert events == ()
    assert len(memory_text(memory)) < 2500
