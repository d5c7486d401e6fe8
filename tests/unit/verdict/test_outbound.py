"""What becomes of a partner's mail, by how Postfix delivers (smtp_connect.c, smtp_proto.c, TLS_README)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from mxprobe.facts import EndpointFacts, ProtocolFacts, Starttls
from mxprobe.mta.postfix.configuration import Place as PostfixPlace
from mxprobe.mta.postfix.exclusions import Exclusion
from mxprobe.mta.profile import NoTls, Profile, ServerProfile, Tls
from mxprobe.routing.route import MxHost, Route, RouteError
from mxprobe.terms import Endpoint, Protocol, State
from mxprobe.tls.suites import suite_named
from mxprobe.trust.certificate import Certificate
from mxprobe.trust.verification import Verification
from mxprobe.verdict.checks import Place
from mxprobe.verdict.outbound import (
    Delivery,
    Demand,
    NoDemand,
    Outcome,
    Partner,
    PartnerServer,
    Simulations,
    delivery,
    present,
)
from mxprobe.verdict.outbound_checks import hole_checks, partner_check, summary_check
from mxprobe.verdict.overlap import families, hole, missing_overlaps
from mxprobe.verdict.paper import facts_on_paper

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def numbers(text: str) -> tuple[int, ...]:
    found = [suite_named(name) for name in text.split()]
    assert all(found)
    return tuple(each.number for each in found if each is not None)


ECDHE = numbers("ECDHE-RSA-AES128-GCM-SHA256")
STATIC_RSA = numbers("AES128-GCM-SHA256 AES256-GCM-SHA384")


def server(suites: tuple[int, ...] = ECDHE, *protocols: Protocol) -> EndpointFacts:
    profile = ServerProfile(
        name="server",
        suites=dict.fromkeys(protocols or ("TLSv1.2",), suites),
        order="server",
        certificate_kinds=("RSA",),
        groups=(29, 23),
        signature_schemes=(0x0804, 0x0401),
    )
    return facts_on_paper(profile, host="mx.example.com", time=NOW)


WORKS = server()
OTHER_SUITES = server(STATIC_RSA)
NO_STARTTLS = replace(WORKS, starttls=Starttls(state="not-offered", stage="ehlo"))
REFUSES = replace(WORKS, starttls=Starttls(state="refused", stage="starttls"))
BROKEN = replace(WORKS, starttls=Starttls(state="offered-but-broken", stage="hello"))
SILENT = replace(WORKS, starttls=Starttls(state="unknown", stage="hello"))
DOWN = replace(WORKS, starttls=Starttls(state="unknown", stage="connect"))

OFFER = Profile(name="ours", protocols=("TLSv1.2",), suites=ECDHE, groups=(29, 23), signature_schemes=(0x0804, 0x0401))


def demand(level: Tls = "may", **changes: Any) -> Demand:
    made = Demand(number=0, level=level, offer=None if level == "none" else OFFER)
    return replace(made, **changes)


def partner(*tiers: EndpointFacts | list[EndpointFacts | None] | None, **changes: Any) -> Partner:
    """A partner with these servers, each less preferred than the one before it; those in a list are equal."""
    hosts, servers = [], []
    for preference, tier in enumerate(tiers):
        for facts in tier if isinstance(tier, list) else [tier]:
            number = len(hosts)
            name, address = f"mx{number}.example.com", f"192.0.2.{number}"
            hosts.append(MxHost(name=name, canonical_name=name, preference=preference, addresses=(address,)))
            servers.append(PartnerServer(endpoint=Endpoint(host=name, address=address, port=25), facts=facts))
    route = Route(kind="mx", hosts=tuple(hosts))
    return replace(Partner(next_hop="example.com", route=route, servers=tuple(servers)), **changes)


def judged(of: Partner, by: Demand | NoDemand, *, clear_text_waits: bool = True) -> Delivery:
    return delivery(of, lambda _host: by, Simulations(), clear_text_waits=clear_text_waits)


# One server


@pytest.mark.parametrize(
    ("facts", "at_may", "at_encrypt"),
    [
        (WORKS, "tls", "tls"),
        (OTHER_SUITES, "clear", "deferred"),
        (NO_STARTTLS, "clear", "deferred"),
        (REFUSES, "clear", "deferred"),
        (BROKEN, "clear", "deferred"),
        (SILENT, "unknown", "unknown"),
        (DOWN, "unknown", "unknown"),
        (None, "unknown", "unknown"),
    ],
)
def test_without_tls_mail_goes_in_clear_text_at_may_and_waits_above(
    facts: EndpointFacts | None, at_may: Outcome, at_encrypt: Outcome
) -> None:
    assert judged(partner(facts), demand("may")).outcome == at_may
    assert judged(partner(facts), demand("encrypt")).outcome == at_encrypt


def test_tls_is_kept_with_a_protocol_and_a_suite() -> None:
    found = judged(partner(WORKS), demand())
    assert (found.protocol, found.suite) == ("TLSv1.2", "ECDHE-RSA-AES128-GCM-SHA256")


def test_at_level_none_all_mail_goes_in_clear_text() -> None:
    assert judged(partner(WORKS), demand("none")).outcome == "clear"


@pytest.mark.parametrize(("level", "outcome"), [("may", "clear"), ("encrypt", "deferred")])
def test_a_client_whose_tls_is_off_says_why(level: Tls, outcome: Outcome) -> None:
    off = NoTls(name="ours", reason='Invalid TLS protocol list "TLSv1.2"', where="main.cf: line 3")
    found = judged(partner(WORKS), demand(level, offer=off))
    assert (found.outcome, 'Invalid TLS protocol list "TLSv1.2"' in found.reason) == (outcome, True)


def test_a_domain_without_mail_is_no_loss() -> None:
    assert judged(partner(route=Route(kind="null-mx")), demand("encrypt")).outcome == "no mail"


def test_a_domain_that_could_not_be_resolved_for_now_is_unknown() -> None:
    error = RouteError(status="timeout", text="MX of example.com: no answer", temporary=True)
    found = judged(partner(route=Route(kind="error", error=error)), demand())
    assert (found.outcome, "no answer" in found.reason) == ("unknown", True)


@pytest.mark.parametrize("outcome", ["unknown", "deferred"])
def test_a_policy_that_cannot_be_read_or_used_decides_before_any_server(outcome: Any) -> None:
    place = Place(file="tls_policy", line=7)
    found = judged(partner(WORKS), NoDemand(outcome=outcome, reason="its policy is invalid", place=place))
    assert (found.outcome, found.reason, found.place) == (outcome, "its policy is invalid", place)


# Several servers


@pytest.mark.parametrize(
    ("of", "outcome", "note"),
    [
        (partner(WORKS, NO_STARTTLS), "tls", "1 of 2 servers: it offers no STARTTLS"),
        (partner(NO_STARTTLS, WORKS), "clear", "1 of 2 servers: TLSv1.2 ECDHE-RSA-AES128-GCM-SHA256"),
        (partner([NO_STARTTLS, WORKS]), "tls", "1 of 2 servers: it offers no STARTTLS"),
        (partner(BROKEN, WORKS), "tls", "1 of 2 servers: it offers STARTTLS, but TLS fails"),
        (partner(DOWN, WORKS), "tls", "1 of 2 servers: whether its STARTTLS works is not known"),
        (partner(SILENT, WORKS), "unknown", "1 of 2 servers: TLSv1.2 ECDHE-RSA-AES128-GCM-SHA256"),
        (partner(WORKS, SILENT), "tls", "1 of 2 servers: whether its STARTTLS works is not known"),
        (partner(WORKS, WORKS), "tls", ""),
        (partner(BROKEN, BROKEN), "clear", ""),
    ],
)
def test_at_may_servers_are_tried_in_their_order(of: Partner, outcome: Outcome, note: str) -> None:
    found = judged(of, demand("may"))
    assert (found.outcome, found.note) == (outcome, note)


def test_before_3_0_a_failed_handshake_leads_to_clear_text_at_once() -> None:
    assert judged(partner(BROKEN, WORKS), demand("may"), clear_text_waits=False).outcome == "clear"
    assert judged(partner(BROKEN, WORKS), demand("may"), clear_text_waits=True).outcome == "tls"


@pytest.mark.parametrize(
    ("of", "outcome"),
    [
        (partner(NO_STARTTLS, WORKS), "tls"),
        (partner(BROKEN, WORKS), "tls"),
        (partner(SILENT, WORKS), "tls"),
        (partner(NO_STARTTLS, SILENT), "unknown"),
        (partner(NO_STARTTLS, BROKEN), "deferred"),
        (partner(DOWN, BROKEN), "deferred"),
        (partner(DOWN, DOWN), "unknown"),
    ],
)
def test_above_may_the_first_server_with_tls_has_the_mail(of: Partner, outcome: Outcome) -> None:
    assert judged(of, demand("encrypt")).outcome == outcome


def test_an_address_that_was_not_probed_is_unknown() -> None:
    host = MxHost(name="mx9.example.com", canonical_name="mx9.example.com", preference=0, addresses=("192.0.2.9",))
    of = replace(partner(WORKS), route=Route(kind="mx", hosts=(host,)))
    assert judged(of, demand("may")).note == "1 of 2 servers: mx9.example.com was not probed"


# Why not


def test_the_missing_suites_are_named_with_the_word_that_took_them() -> None:
    word = Exclusion(
        word="RSA+AES",
        parameter="smtp_tls_exclude_ciphers",
        suites=frozenset(STATIC_RSA),
        place=PostfixPlace(file="main.cf", line=4),
    )
    found = judged(partner(OTHER_SUITES), demand(exclusions=lambda: (word,)))
    assert found.reason == (
        "no common suite, needs static-RSA AES, which !RSA+AES in smtp_tls_exclude_ciphers takes away"
    )
    assert found.place == Place(file="main.cf", line=4)


def test_a_missing_version_is_blamed_on_the_list_of_protocols() -> None:
    place = Place(file="main.cf", line=2)
    found = judged(partner(server(ECDHE, "TLSv1")), demand(places={"version": place}))
    assert (found.reason, found.place) == ("no common version, it takes TLSv1", place)


# Above encrypt: certificates

LEAF = Certificate(sha256="ab" * 32, names=("mx0.example.com", "192.0.2.1"), key="RSA 2048")


def verification(ok: bool) -> Verification:
    code, text = (0, "ok") if ok else (10, "certificate has expired")
    return Verification(ok=ok, code=code, text=text, depth=0, ca_path="/ca", ca_file=None, depth_limit=9)


def certified(leaf: Certificate = LEAF, ok: bool = True) -> Partner:
    of = partner(WORKS)
    shown = replace(of.servers[0], certificates=(leaf,), verification=verification(ok))
    return replace(of, servers=(shown,))


@pytest.mark.parametrize(
    ("of", "level", "match", "outcome"),
    [
        (certified(), "verify", ("hostname",), "tls"),
        (certified(ok=False), "verify", ("hostname",), "deferred"),
        (certified(), "secure", ("nexthop", "dot-nexthop"), "tls"),
        (certified(), "secure", ("nexthop",), "deferred"),
        (certified(replace(LEAF, names=("example.com",))), "secure", ("nexthop",), "tls"),
        (certified(replace(LEAF, names=("*.example.com",))), "verify", ("hostname",), "tls"),
        (certified(replace(LEAF, names=(), common_name="mx0.example.com")), "verify", ("hostname",), "tls"),
        (certified(), "secure", (".example.com",), "tls"),
        (certified(), "secure", ("mx0.example.com",), "tls"),
        (certified(), "fingerprint", ("AB:" * 31 + "AB",), "tls"),
        (certified(), "fingerprint", ("00" * 32,), "unknown"),
        (certified(), "dane", (), "tls"),
        (certified(), "dane-only", (), "unknown"),
        (partner(WORKS), "verify", ("hostname",), "unknown"),
    ],
)
def test_a_certificate_has_to_be_what_the_level_demands(
    of: Partner, level: Tls, match: tuple[str, ...], outcome: Outcome
) -> None:
    assert judged(of, demand(level, match=match, sha256=True)).outcome == outcome


@pytest.mark.parametrize(("trusts", "outcome"), [("no", "deferred"), ("unknown", "unknown"), ("yes", "tls")])
def test_who_trusts_no_ca_verifies_nobody(trusts: State, outcome: Outcome) -> None:
    assert judged(certified(), demand("verify", match=("hostname",), trusts=trusts)).outcome == outcome


def test_without_starttls_dane_is_clear_text() -> None:
    assert judged(partner(NO_STARTTLS), demand("dane")).outcome == "clear"


# Kinds of server


def test_servers_of_one_kind_are_simulated_once() -> None:
    simulations = Simulations()
    alike = partner(WORKS)
    alike = replace(alike, servers=(replace(alike.servers[0], kind=7),))
    for _ in range(100):
        delivery(alike, lambda _host: demand(), simulations, clear_text_waits=True)
    assert simulations.computed == 1


# Checks

TLS = Delivery(outcome="tls", level="may", protocol="TLSv1.2", suite="X")
CLEAR = Delivery(outcome="clear", level="may", reason="why")
DEFERRED = Delivery(outcome="deferred", level="encrypt", reason="why")
UNKNOWN = Delivery(outcome="unknown", reason="why")


@pytest.mark.parametrize(
    ("after", "before", "outcome", "severity"),
    [
        (TLS, TLS, "passed", "ok"),
        (TLS, CLEAR, "passed", "ok"),
        (CLEAR, TLS, "failed", "warning"),
        (CLEAR, CLEAR, "passed", "info"),
        (CLEAR, DEFERRED, "noted", "info"),
        (CLEAR, UNKNOWN, "unknown", "warning"),
        (DEFERRED, TLS, "failed", "critical"),
        (DEFERRED, CLEAR, "failed", "critical"),
        (DEFERRED, DEFERRED, "noted", "warning"),
        (UNKNOWN, TLS, "unknown", "warning"),
        (Delivery(outcome="no mail"), UNKNOWN, "noted", "info"),
    ],
)
def test_a_loss_fails_and_that_mail_waits_is_worse(
    after: Delivery, before: Delivery, outcome: str, severity: str
) -> None:
    check = partner_check("example.com", after, before, compared=True)
    assert (check.outcome, check.severity, check.subject) == (outcome, severity, "example.com")
    assert check.evidence["delivery"] == after.outcome


def test_the_summary_counts_partners_and_sessions() -> None:
    check = summary_check("main.cf", {"tls": 3, "clear": 1}, {("TLSv1.2", "A"): 2, ("TLSv1.3", "B"): 1})
    assert check.summary == "4 partners: 3 keep TLS, 1 get clear text (TLSv1.2 A: 2; TLSv1.3 B: 1)"
    assert check.outcome == "noted"


@pytest.mark.parametrize(
    ("facts", "outcome"),
    [(WORKS, "tls"), (NO_STARTTLS, "clear"), (BROKEN, "clear"), (SILENT, "unknown"), (None, "unknown")],
)
def test_today_whoever_has_a_working_starttls_gets_tls(facts: EndpointFacts | None, outcome: Outcome) -> None:
    assert present(partner(facts)).outcome == outcome


# Words


def test_families_of_suites_have_names_that_administrators_use() -> None:
    words = families(numbers("AES128-SHA AES256-GCM-SHA384 ECDHE-ECDSA-AES128-SHA ADH-AES128-SHA RC4-SHA"))
    assert words == "static-RSA AES, ECDHE-ECDSA AES, anonymous DH AES, static-RSA RC4"


def test_words_come_before_whole_values_and_then_those_that_take_most() -> None:
    def taken(word: str, operator: str, *names: str) -> Exclusion:
        return Exclusion(word=word, parameter="p", suites=frozenset(numbers(" ".join(names))), operator=operator)

    none = taken("none", "", "ECDHE-RSA-AES128-SHA", "AES128-SHA", "AES256-SHA")
    one, two = taken("3DES", "!", "DES-CBC3-SHA"), taken("RSA+AES", "!", "AES128-SHA", "AES256-SHA")
    offered = numbers("ECDHE-RSA-AES128-SHA AES128-SHA AES256-SHA DES-CBC3-SHA")
    assert [each.exclusion.word for each in missing_overlaps((none, one, two), offered)] == ["RSA+AES", "3DES", "none"]


@pytest.mark.parametrize(
    ("protocols", "found"),
    [
        (("SSLv3", "TLSv1.1", "TLSv1.2"), (("TLSv1",), ("SSLv3",))),
        (("SSLv3", "TLSv1.2"), (("TLSv1", "TLSv1.1"), ("SSLv3",))),
        (("TLSv1.2", "TLSv1.3"), None),
        (("SSLv2", "TLSv1.2"), None),
        ((), None),
    ],
)
def test_a_hole_is_between_versions(protocols: Any, found: Any) -> None:
    assert hole(protocols) == found


def test_a_hole_in_what_we_offer_is_noted_with_what_openssl_makes_of_it() -> None:
    allowed: tuple[Protocol, ...] = ("SSLv3", "TLSv1.1", "TLSv1.2")
    (newest,) = hole_checks("main.cf", allowed, replace(OFFER, protocols=("TLSv1.1", "TLSv1.2")), None)
    (oldest,) = hole_checks("main.cf", allowed, replace(OFFER, protocols=("SSLv3",)), None)
    assert newest.summary.startswith("TLSv1 is left out between SSLv3 and TLSv1.1: servers whose newest version it is")
    assert oldest.summary == (
        "TLSv1 is left out between SSLv3 and TLSv1.1: OpenSSL offers nothing newer than SSLv3 then"
    )
    assert not list(hole_checks("main.cf", ("TLSv1.2", "TLSv1.3"), OFFER, None))


def test_only_what_was_accepted_counts_as_taken() -> None:
    facts = replace(WORKS, protocols=WORKS.protocols | {"TLSv1.1": ProtocolFacts(state="unknown")})
    found = judged(partner(facts), demand(offer=replace(OFFER, protocols=("TLSv1",))))
    assert found.reason == "no common version, it takes TLSv1.2"
