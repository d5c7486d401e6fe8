"""The gate: each condition is passed, failed, or could not be told, and what could not be told never passes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from examples.targets import (
    AES128_TLS13,
    ECDHE_AES128,
    ECDHE_AES256,
    GOOD_PROTOCOLS,
    REFUSED_VERSION,
    SEEN_AT,
    accepted,
    endpoint,
)
from mxprobe.facts import EndpointFacts, Listing, ProfileAnswer, ProtocolFacts, Starttls, Target
from mxprobe.mta.profile import Profile
from mxprobe.routing.route import MxHost, Route, RouteError
from mxprobe.terms import Protocol
from mxprobe.tls.free_facts import Feature
from mxprobe.trust.certificate import fingerprint, read_certificate
from mxprobe.verdict.checks import Check, Outcome, outcome_of
from mxprobe.verdict.gate import Conditions, gate_checks
from mxprobe.verdict.requirements import parse_requirement
from mxprobe.verdict.rules import judge
from servers.certificates import Authority, Issued, make_leaf

MX = "mx1.example.test"
MODERN = Profile(name="modern", protocols=("TLSv1.2", "TLSv1.3"), suites=(0x1302, 0x1301, 0xC030, 0xC02F))
STATIC = Profile(name="static", protocols=("TLSv1.2",), suites=(0x009D, 0x009C))


def target(*endpoints: EndpointFacts, route: Route | None = None) -> Target:
    """All endpoints behind one next-hop, judged."""
    hosts: dict[str, tuple[str, ...]] = {}
    for facts in endpoints:
        hosts[facts.host] = (*hosts.get(facts.host, ()), facts.address)
    route = route or Route(
        kind="mx",
        hosts=tuple(
            MxHost(name=host, canonical_name=host, preference=10, addresses=addresses)
            for host, addresses in hosts.items()
        ),
    )
    return judge("example.test", route, endpoints, SEEN_AT)


def judged(of: Target, conditions: Conditions, *shown: Issued) -> tuple[Check, ...]:
    """The checks, where these certificates were served."""
    ders = [each for issued in shown for each in issued.chain]
    certificates = {fingerprint(der): der for der in ders}
    return gate_checks(of, conditions, SEEN_AT, certificates)


def outcomes(checks: Iterable[Check], id: str) -> list[tuple[str, Outcome]]:
    return [(check.name, check.outcome) for check in checks if check.id == id]


def showing(*issued: Issued, **changes: object) -> EndpointFacts:
    """An endpoint that serves these certificates, the first of them in a complete handshake."""
    return endpoint(MX, certificates=tuple(read_certificate(each.chain[0], each.chain) for each in issued), **changes)


def unreachable(host: str = MX, address: str = "192.0.2.9") -> EndpointFacts:
    return EndpointFacts(
        host=host,
        address=address,
        port=25,
        started_at=SEEN_AT,
        starttls=Starttls(state="unknown", stage="connect", reason="no answer in 30 s"),
    )


# What is required


def test_by_default_starttls_has_to_work_and_the_certificate_must_not_have_expired() -> None:
    checks = gate_checks(target(endpoint(MX)), Conditions(), SEEN_AT)
    assert outcomes(checks, "require") == [("starttls", "passed"), ("not-expired", "passed")]
    assert outcomes(checks, "route") == [("route", "passed")]
    assert outcome_of(checks) == "passed"


def test_every_requirement_is_judged_at_every_endpoint() -> None:
    old = endpoint(MX, "192.0.2.2", protocols={**GOOD_PROTOCOLS, "TLSv1.3": REFUSED_VERSION})
    conditions = Conditions(requirements=(parse_requirement("tls1.3"),), same_everywhere=False)
    checks = gate_checks(target(endpoint(MX), old), conditions, SEEN_AT)
    by_endpoint = {check.endpoint: check.outcome for check in checks if check.id == "require"}
    assert by_endpoint == {f"{MX}[192.0.2.1]:25": "passed", f"{MX}[192.0.2.2]:25": "failed"}


def test_an_address_that_does_not_answer_passes_nothing() -> None:
    conditions = Conditions(senders=(MODERN,), covers=(MX,), days=1)
    checks = gate_checks(target(unreachable()), conditions, SEEN_AT)
    assert {check.outcome for check in checks if check.id != "route"} == {"unknown"}
    assert outcome_of(checks) == "unknown"


def test_what_is_behind_the_route_and_was_not_looked_at_is_unknown() -> None:
    late = RouteError(status="timeout", text="mx2.example.test: no answer", temporary=True)
    route = Route(
        kind="mx",
        hosts=(
            MxHost(name=MX, canonical_name=MX, preference=10, addresses=("192.0.2.1",)),
            MxHost(name="mx2.example.test", canonical_name="mx2.example.test", preference=20, addresses=(), error=late),
        ),
    )
    checks = gate_checks(target(endpoint(MX), route=route), Conditions(), SEEN_AT)
    (seen,) = (check for check in checks if check.id == "route")
    assert (seen.outcome, outcome_of(checks)) == ("unknown", "unknown")
    assert "mx2.example.test: no answer" in seen.summary


def test_a_domain_that_is_left_alone_is_unknown() -> None:
    error = RouteError(status="ignored", text="example.test is on the ignore list", temporary=False)
    checks = gate_checks(target(route=Route(kind="error", error=error)), Conditions(), SEEN_AT)
    assert outcome_of(checks) == "unknown"


@pytest.mark.parametrize(
    ("required", "outcome"), [("starttls", "unknown"), ("null-mx", "passed"), ("!null-mx", "failed")]
)
def test_a_null_mx_passes_only_where_it_is_what_was_wanted(required: str, outcome: Outcome) -> None:
    conditions = Conditions(requirements=(parse_requirement(required),), covers=(MX,))
    assert outcome_of(gate_checks(target(route=Route(kind="null-mx")), conditions, SEEN_AT)) == outcome


# Senders


def answered(profile: Profile, **changes: object) -> EndpointFacts:
    answer = ProfileAnswer(profile=profile.name, state="yes", protocol="TLSv1.3", suite="TLS_AES_256_GCM_SHA384")
    return endpoint(MX, profiles=(replace(answer, **changes),))  # type: ignore[arg-type]


def test_a_sender_that_got_a_session_passes_with_what_it_got() -> None:
    checks = gate_checks(target(answered(MODERN)), Conditions(senders=(MODERN,)), SEEN_AT)
    (sender,) = (check for check in checks if check.id == "sender")
    assert sender.outcome == "passed"
    assert sender.summary.startswith("modern gets TLSv1.3 TLS_AES_256_GCM_SHA384")
    assert sender.evidence["suite"] == "TLS_AES_256_GCM_SHA384"


def test_a_sender_that_was_refused_fails_with_the_first_obstacle() -> None:
    seen = answered(STATIC, state="no", protocol=None, suite=None, reason="alert 40 (handshake_failure)")
    checks = gate_checks(target(seen), Conditions(senders=(STATIC,)), SEEN_AT)
    (sender,) = (check for check in checks if check.id == "sender")
    assert (sender.outcome, sender.severity) == ("failed", "critical")
    assert sender.evidence["obstacle"] == "suite"
    assert "no common suite" in sender.summary
    assert "alert 40" in sender.summary
    assert outcomes(checks, "simulation") == []


def test_the_refusal_of_what_is_known_of_a_sender_that_may_offer_more_is_unknown() -> None:
    documented = replace(STATIC, complete=False)
    seen = answered(documented, state="no", protocol=None, suite=None, reason="alert 40 (handshake_failure)")
    checks = gate_checks(target(seen), Conditions(senders=(documented,)), SEEN_AT)
    assert outcomes(checks, "sender") == [("static", "unknown")]
    seen = answered(documented, protocol="TLSv1.2", suite="AES256-GCM-SHA384")
    checks = gate_checks(target(seen), Conditions(senders=(documented,)), SEEN_AT)
    assert outcomes(checks, "sender") == [("static", "passed")]


def test_a_refusal_that_one_open_question_explains_names_its_obstacle() -> None:
    """The groups were not asked for; no suite but those of ECDHE is in common."""
    asked = Profile(name="asked", protocols=("TLSv1.2",), suites=(0xC030,), groups=(0x0017,))
    refused = ProfileAnswer(profile="asked", state="no", reason="alert 40 (handshake_failure)")
    found = judged(target(endpoint(MX, profiles=(refused,))), Conditions(senders=(asked,)))
    (check,) = (each for each in found if each.id == "sender")
    assert (check.outcome, check.evidence["obstacle"]) == ("failed", "group")
    assert "no common group" in check.summary


def test_a_hello_retry_request_is_no_session_where_no_scheme_is_in_common() -> None:
    """NSS looks for a signature scheme when it has the key share that it asked for."""
    asked = Profile(
        name="asked", protocols=("TLSv1.3",), suites=(0x1302,), groups=(0x001D,), signature_schemes=(0x0403,)
    )
    retry = ProfileAnswer(
        profile="asked", state="yes", protocol="TLSv1.3", suite="TLS_AES_256_GCM_SHA384", group="x25519"
    )
    schemes = Listing(state="accepted", names=("rsa_pss_rsae_sha256",), complete=True)
    groups = Listing(state="accepted", names=("x25519",), complete=True)
    tls13 = replace(GOOD_PROTOCOLS["TLSv1.3"], schemes=schemes, groups=groups)
    facts = endpoint(MX, protocols={**GOOD_PROTOCOLS, "TLSv1.3": tls13}, profiles=(retry,))
    found = [
        each for each in judged(target(facts), Conditions(senders=(asked,))) if each.id in ("sender", "simulation")
    ]
    assert [(each.id, each.outcome) for each in found] == [("sender", "failed")]


def test_what_was_observed_counts_and_a_difference_is_a_finding_about_us() -> None:
    seen = answered(STATIC, state="yes", protocol="TLSv1.2", suite="AES256-GCM-SHA384")
    checks = gate_checks(target(seen), Conditions(senders=(STATIC,)), SEEN_AT)
    assert outcomes(checks, "sender") == [("static", "passed")]
    assert outcomes(checks, "simulation") == [("static", "noted")]
    assert outcome_of(checks) == "passed"


def test_a_sender_whose_answer_is_unknown_does_not_pass_by_what_was_computed() -> None:
    seen = answered(MODERN, state="unknown", protocol=None, suite=None, reason="421 too many connections")
    checks = gate_checks(target(seen), Conditions(senders=(MODERN,)), SEEN_AT)
    assert outcomes(checks, "sender") == [("modern", "unknown")]
    assert outcomes(checks, "simulation") == []


def test_a_sender_whose_hello_was_not_sent_to_a_server_that_runs_does_not_pass() -> None:
    checks = gate_checks(target(endpoint(MX)), Conditions(senders=(MODERN,)), SEEN_AT)
    assert outcomes(checks, "sender") == [("modern", "unknown")]


def test_on_paper_what_was_computed_counts() -> None:
    paper = endpoint(MX, computed_from="main.cf")
    checks = gate_checks(target(paper), Conditions(senders=(MODERN, STATIC)), SEEN_AT)
    assert outcomes(checks, "sender") == [("modern", "passed"), ("static", "failed")]


def test_nobody_gets_tls_where_there_is_no_starttls() -> None:
    plain = endpoint(MX, starttls=Starttls(state="not-offered"), protocols={}, natural=None, certificates=())
    checks = gate_checks(target(plain), Conditions(senders=(MODERN,)), SEEN_AT)
    assert outcomes(checks, "sender") == [("modern", "failed")]


# Names


def test_each_certificate_has_to_name_each_host() -> None:
    rsa, ec = make_leaf(MX, "mail.example.test"), make_leaf(MX, key_type="EC")
    checks = judged(target(showing(rsa, ec)), Conditions(covers=(MX, "mail.example.test")), rsa, ec)
    assert outcomes(checks, "covers") == [
        (MX, "passed"),
        (MX, "passed"),
        ("mail.example.test", "passed"),
        ("mail.example.test", "failed"),
    ]


@pytest.mark.parametrize(
    ("issued", "outcome"),
    [
        (make_leaf("*.example.test", key_type="EC"), "passed"),
        # Only Postfix counts the common name, and only where there is no alternative name.
        (make_leaf(cn=MX, key_type="EC"), "failed"),
        (make_leaf("example.test", cn=MX, key_type="EC"), "failed"),
        # A wildcard stands for one label (RFC 9525 §6.3).
        (make_leaf("*.test", key_type="EC"), "failed"),
    ],
)
def test_a_name_is_covered_by_both_rules_or_not_at_all(issued: Issued, outcome: Outcome) -> None:
    checks = judged(target(showing(issued)), Conditions(covers=(MX,)), issued)
    assert outcomes(checks, "covers") == [(MX, outcome)]


def test_a_certificate_of_which_only_the_kind_is_known_is_not_taken_to_cover_anything() -> None:
    rsa = make_leaf(MX, not_before=SEEN_AT - timedelta(days=1), not_after=SEEN_AT + timedelta(days=30))
    facts = showing(rsa, certificate_kinds={"RSA": Feature(state="yes"), "ECDSA": Feature(state="yes")})
    checks = judged(target(facts), Conditions(covers=(MX,), days=1), rsa)
    assert outcomes(checks, "covers") == [(MX, "passed"), (MX, "unknown")]
    assert outcomes(checks, "lasts") == [("1 day", "passed"), ("1 day", "unknown")]


# Time


@pytest.mark.parametrize(
    ("days_left", "outcome"), [(14, "passed"), (15, "passed"), (13, "failed"), (0, "failed"), (-1, "failed")]
)
def test_a_certificate_has_to_last_for_as_many_days_as_told(days_left: int, outcome: Outcome) -> None:
    end = SEEN_AT + timedelta(days=days_left, seconds=1)
    issued = make_leaf(MX, key_type="EC", not_before=SEEN_AT - timedelta(days=30), not_after=end)
    checks = judged(target(showing(issued)), Conditions(days=14), issued)
    assert outcomes(checks, "lasts") == [("14 days", outcome)]


def test_a_certificate_that_is_not_valid_yet_does_not_last() -> None:
    start = SEEN_AT + timedelta(days=1)
    issued = make_leaf(MX, key_type="EC", not_before=start, not_after=start + timedelta(days=90))
    assert outcomes(judged(target(showing(issued)), Conditions(days=1), issued), "lasts") == [("1 day", "failed")]


def test_an_issuer_that_ends_too_soon_is_noted() -> None:
    """Servers send expired cross-signed issuers for years, and nobody is the worse for it."""
    start, soon, late = SEEN_AT - timedelta(days=30), SEEN_AT + timedelta(days=3), SEEN_AT + timedelta(days=90)
    issuer = Authority.root().intermediate(not_before=start, not_after=soon, key_type="EC")
    issued = make_leaf(MX, issuer=issuer, key_type="EC", not_before=start, not_after=late)
    checks = judged(target(showing(issued)), Conditions(days=14), issued)
    assert outcomes(checks, "lasts") == [("14 days", "passed"), ("14 days, of the chain", "noted")]


# Every address


def same(*endpoints: EndpointFacts) -> dict[str, Outcome]:
    return dict(outcomes(gate_checks(target(*endpoints), Conditions(), SEEN_AT), "same-everywhere"))


def second(**changes: object) -> EndpointFacts:
    return endpoint(MX, "192.0.2.2", **changes)


def test_one_address_is_not_compared_unless_told() -> None:
    assert same(endpoint(MX)) == {}
    checks = gate_checks(target(endpoint(MX)), Conditions(same_everywhere=True), SEEN_AT)
    assert outcomes(checks, "same-everywhere") == [("addresses", "passed")]


def test_what_is_the_same_everywhere_passes() -> None:
    assert set(same(endpoint(MX), second()).values()) == {"passed"}


@pytest.mark.parametrize(
    ("changes", "aspect"),
    [
        ({"protocols": {**GOOD_PROTOCOLS, "TLSv1.3": REFUSED_VERSION}}, "versions"),
        ({"protocols": {**GOOD_PROTOCOLS, "TLSv1.2": accepted(ECDHE_AES256)}}, "suites"),
        ({"protocols": {**GOOD_PROTOCOLS, "TLSv1.2": accepted(ECDHE_AES128, ECDHE_AES256)}}, "suites"),
        ({"capabilities": ("PIPELINING", "STARTTLS")}, "capabilities"),
        ({"starttls": Starttls(state="not-offered")}, "starttls"),
    ],
)
def test_what_differs_fails_and_nothing_else_does(changes: dict[str, object], aspect: str) -> None:
    failed = {name for name, outcome in same(endpoint(MX), second(**changes)).items() if outcome == "failed"}
    assert failed == {aspect}


def test_versions_that_differ_in_the_same_way_are_told_once() -> None:
    other = second(protocols={**GOOD_PROTOCOLS, "TLSv1": accepted(ECDHE_AES128), "TLSv1.1": accepted(ECDHE_AES128)})
    checks = judged(target(endpoint(MX), other), Conditions())
    (check,) = (each for each in checks if (each.id, each.name) == ("same-everywhere", "versions"))
    here, there = f"{MX}[192.0.2.1]:25", f"{other.host}[{other.address}]:25"
    assert check.summary == f"versions differ by address: TLSv1, TLSv1.1: accepted at {there} and not at {here}"


def test_an_order_that_is_the_clients_is_none_to_compare() -> None:
    protocols: list[dict[Protocol, ProtocolFacts]] = [
        {**GOOD_PROTOCOLS, "TLSv1.2": replace(accepted(*suites), order="client")}
        for suites in ((ECDHE_AES128, ECDHE_AES256), (ECDHE_AES256, ECDHE_AES128))
    ]
    found = same(endpoint(MX, protocols=protocols[0]), second(protocols=protocols[1]))
    assert found["suites"] == "passed"


def test_what_is_not_known_of_one_address_is_not_taken_to_be_the_same() -> None:
    found = same(endpoint(MX), unreachable())
    assert set(found.values()) == {"unknown"}


def test_a_sweep_that_was_cut_short_leaves_it_open() -> None:
    short = replace(accepted(ECDHE_AES256), complete=False, reason="421")
    found = same(endpoint(MX), second(protocols={**GOOD_PROTOCOLS, "TLSv1.2": short}))
    assert (found["versions"], found["suites"]) == ("passed", "unknown")


def test_a_suite_that_a_whole_sweep_did_not_find_differs_even_where_the_other_was_cut_short() -> None:
    short = replace(accepted(AES128_TLS13, ECDHE_AES256), complete=False)
    found = same(endpoint(MX), second(protocols={**GOOD_PROTOCOLS, "TLSv1.3": short}))
    assert found["suites"] == "failed"


def test_mx_hosts_may_have_certificates_of_their_own() -> None:
    issued, other = make_leaf(MX, key_type="EC"), make_leaf("mx2.example.test", key_type="EC")
    first = showing(issued)
    shown = (read_certificate(other.chain[0], other.chain),)
    assert same(first, second(certificates=shown))["certificates"] == "failed"
    assert same(first, endpoint("mx2.example.test", "192.0.2.2", certificates=shown))["certificates"] == "passed"


# In general

STATES = st.sampled_from(["accepted", "refused", "unknown"])


@given(state=STATES, complete=st.booleans(), other=STATES)
def test_no_gate_passes_where_an_endpoint_could_not_be_told(state: str, complete: bool, other: str) -> None:
    versions = dict(GOOD_PROTOCOLS)
    versions["TLSv1.2"] = replace(versions["TLSv1.2"], state=state, complete=complete)  # type: ignore[arg-type]
    versions["TLSv1.3"] = replace(versions["TLSv1.3"], state=other)  # type: ignore[arg-type]
    conditions = Conditions(requirements=tuple(map(parse_requirement, ("tls1.2", "tls1.3"))))
    outcome = outcome_of(gate_checks(target(endpoint(MX, protocols=versions)), conditions, SEEN_AT))
    states = {state, other}
    assert outcome == ("failed" if "refused" in states else "unknown" if "unknown" in states else "passed")


def test_the_certificate_is_read_from_what_was_served() -> None:
    issued = make_leaf(MX, key_type="EC")
    der = issued.certificate.public_bytes(Encoding.DER)
    assert fingerprint(der) == read_certificate(der).sha256
    assert outcomes(gate_checks(target(showing(issued)), Conditions(covers=(MX,)), SEEN_AT), "covers") == [
        (MX, "unknown")
    ]
