"""Against a baseline: the loss of what is known on both sides fails, the unknown is unknown, what is new is noted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.targets import (
    ECDHE_AES128,
    ECDHE_AES256,
    GOOD_PROTOCOLS,
    RC4_SHA,
    REFUSED_VERSION,
    SEEN_AT,
    TRIPLE_DES,
    accepted,
    certificate,
    endpoint,
    mx,
    mx_host,
    unanswered,
    verified,
)
from mxprobe.facts import EndpointFacts, Listing, ProfileAnswer, ProtocolFacts, Suite, Target
from mxprobe.mta.profile import Profile
from mxprobe.routing.route import Route
from mxprobe.terms import Protocol, State
from mxprobe.tls.free_facts import Feature, FiniteField
from mxprobe.tls.suites import suite
from mxprobe.verdict.baseline import Baseline, baseline_checks
from mxprobe.verdict.checks import Check, Outcome, outcome_of

MX = "mx1.example.test"
AES256_SHA = Suite(id="0x000035", name="AES256-SHA", iana="TLS_RSA_WITH_AES_256_CBC_SHA", reached="flight-complete")
STATIC = Profile(name="static", protocols=("TLSv1.2",), suites=(0x0035,))
MODERN = Profile(name="modern", protocols=("TLSv1.2",), suites=(0xC030, 0xC02F), groups=(0x001D,))


def server(**versions: ProtocolFacts) -> EndpointFacts:
    """A server with these versions, by names without dots, and otherwise a good one."""
    names: dict[str, Protocol] = {name.replace(".", "").lower(): name for name in GOOD_PROTOCOLS}
    return endpoint(MX, protocols={**GOOD_PROTOCOLS, **{names[name]: facts for name, facts in versions.items()}})


def target(*endpoints: EndpointFacts, next_hop: str = "example.test") -> Target:
    return Target(
        next_hop=next_hop, route=mx(*(mx_host(facts.host, facts.address) for facts in endpoints)), endpoints=endpoints
    )


def compared(before: EndpointFacts | Target, after: EndpointFacts | Target, *senders: Profile) -> tuple[Check, ...]:
    old, new = (each if isinstance(each, Target) else target(each) for each in (before, after))
    return baseline_checks(new, Baseline(name="before.json", targets=(old,)), senders)


def found(checks: Iterable[Check], *outcomes: Outcome) -> list[tuple[str, str, Outcome]]:
    """All checks of these outcomes, but the passed ones unless they are asked for."""
    wanted = outcomes or ("failed", "unknown", "noted")
    return [(check.id, check.name, check.outcome) for check in checks if check.outcome in wanted]


def test_of_the_same_server_nothing_is_lost_or_gained() -> None:
    checks = compared(server(), server(), MODERN)
    assert found(checks) == []
    assert {check.id for check in checks} == {"keeps"}


# STARTTLS and versions


@pytest.mark.parametrize("state", ["not-offered", "refused", "offered-but-broken"])
def test_starttls_that_no_longer_works_is_the_one_loss_that_is_told(state: str) -> None:
    lost = unanswered(state, "454 TLS not available")
    lost = replace(lost, starttls=replace(lost.starttls, stage="starttls"))
    checks = compared(server(), lost, MODERN)
    assert found(checks, "failed") == [("keeps", "starttls", "failed")]
    assert [check.severity for check in checks if check.name == "starttls"] == ["critical"]


def test_a_server_that_was_not_reached_has_not_lost_anything_for_certain() -> None:
    checks = compared(server(), unanswered("unknown", "no answer in 30 s", capabilities=()))
    assert found(checks) == [("keeps", "starttls", "unknown")]


def test_a_baseline_that_was_not_reached_tells_nothing() -> None:
    checks = compared(unanswered("unknown", "no answer in 30 s", capabilities=()), server())
    assert outcome_of(checks) == "unknown"


def test_starttls_that_works_now_is_gained() -> None:
    checks = compared(unanswered("not-offered", ""), server())
    assert ("gained", "starttls", "noted") in found(checks)
    assert outcome_of(checks) == "passed"


def test_a_version_that_is_refused_now_is_lost() -> None:
    checks = compared(server(), server(tlsv13=REFUSED_VERSION))
    assert found(checks) == [("keeps", "TLSv1.3", "failed")]


def test_a_version_that_is_unknown_now_is_unknown() -> None:
    unknown = ProtocolFacts(state="unknown", reason="421 too many connections")
    assert found(compared(server(), server(tlsv13=unknown))) == [("keeps", "TLSv1.3", "unknown")]


def test_a_version_of_which_the_baseline_knows_nothing_is_not_compared() -> None:
    unknown = ProtocolFacts(state="unknown", reason="421 too many connections")
    assert found(compared(server(tlsv13=unknown), server())) == []


@pytest.mark.parametrize("version", ["sslv2", "sslv3"])
def test_the_loss_of_an_obsolete_version_is_only_noted(version: str) -> None:
    checks = compared(server(**{version: accepted(RC4_SHA)}), server())
    assert [outcome for _, _, outcome in found(checks)] == ["noted"]


def test_a_version_that_is_new_is_gained() -> None:
    checks = compared(server(tlsv13=REFUSED_VERSION), server())
    assert found(checks) == [("gained", "TLSv1.3", "noted")]


# Suites


def test_suites_that_are_no_longer_taken_are_lost_and_named() -> None:
    checks = compared(server(tlsv12=accepted(ECDHE_AES256, AES256_SHA)), server(tlsv12=accepted(ECDHE_AES256)))
    assert found(checks) == [("keeps", "TLSv1.2 suites", "failed")]
    (lost,) = (check for check in checks if check.outcome == "failed")
    assert lost.evidence == {"lost": ("AES256-SHA",)}


def test_the_loss_of_weak_suites_is_only_noted() -> None:
    checks = compared(server(tlsv12=accepted(ECDHE_AES256, RC4_SHA, TRIPLE_DES)), server(tlsv12=accepted(ECDHE_AES256)))
    assert found(checks) == [("keeps", "TLSv1.2 weak suites", "noted")]


def test_a_sender_that_needs_what_is_weak_is_lost_all_the_same() -> None:
    old = Profile(name="old", protocols=("TLSv1.2",), suites=(0x0005,))
    checks = compared(server(tlsv12=accepted(ECDHE_AES256, RC4_SHA)), server(tlsv12=accepted(ECDHE_AES256)), old)
    assert found(checks, "failed") == [("keeps", "sender old", "failed")]


def test_a_suite_that_a_sweep_cut_short_did_not_come_to_is_unknown() -> None:
    short = replace(accepted(ECDHE_AES256), complete=False, reason="421 too many connections")
    checks = compared(server(tlsv12=accepted(ECDHE_AES256, AES256_SHA)), server(tlsv12=short))
    assert found(checks) == [("keeps", "TLSv1.2 suites", "unknown")]


def test_suites_are_gained_only_over_a_whole_list() -> None:
    more, less = accepted(ECDHE_AES256, ECDHE_AES128), accepted(ECDHE_AES256)
    assert found(compared(server(tlsv12=less), server(tlsv12=more))) == [("gained", "TLSv1.2 suites", "noted")]
    assert found(compared(server(tlsv12=replace(less, complete=False)), server(tlsv12=more))) == []


def test_another_order_is_noted() -> None:
    before, after = accepted(ECDHE_AES256, ECDHE_AES128), accepted(ECDHE_AES128, ECDHE_AES256)
    assert found(compared(server(tlsv12=before), server(tlsv12=after))) == [("changed", "TLSv1.2 order", "noted")]
    clients = replace(after, order="client")
    assert found(compared(server(tlsv12=before), server(tlsv12=clients))) == [("changed", "TLSv1.2 order", "noted")]
    assert found(compared(server(tlsv12=replace(before, order="client")), server(tlsv12=clients))) == []


@pytest.mark.parametrize(("complete", "expected"), [(True, [("keeps", "TLSv1.3 groups", "failed")]), (False, [])])
def test_groups_are_lost_only_where_all_of_now_are_known(complete: bool, expected: list[object]) -> None:
    def with_groups(*names: str, complete: bool = True) -> ProtocolFacts:
        listing = Listing(state="accepted", names=names, order="server", complete=complete)
        return replace(GOOD_PROTOCOLS["TLSv1.3"], groups=listing)

    before, after = with_groups("x25519", "secp521r1"), with_groups("x25519", complete=complete)
    assert found(compared(server(tlsv13=before), server(tlsv13=after))) == expected


# Certificates

KINDS = {"RSA": Feature(state="yes"), "ECDSA": Feature(state="no")}


def test_a_kind_of_certificate_that_is_gone_is_lost() -> None:
    ecdsa = replace(certificate(MX), sha256="ee" * 32, key="EC secp256r1")
    before = endpoint(MX, certificates=(certificate(MX), ecdsa))
    assert ("keeps", "ECDSA certificate", "failed") in found(compared(before, endpoint(MX, certificate_kinds=KINDS)))
    open_question = {"ECDSA": Feature(state="unknown", reason="TLSv1.2 is unknown")}
    unknown = {**GOOD_PROTOCOLS, "TLSv1.2": replace(GOOD_PROTOCOLS["TLSv1.2"], complete=False)}
    after = endpoint(MX, certificate_kinds=open_question, protocols=unknown)
    assert ("keeps", "ECDSA certificate", "unknown") in found(compared(before, after))


def test_a_name_that_no_certificate_has_any_more_is_lost() -> None:
    before = endpoint(MX, certificates=(replace(certificate(MX), names=(MX, "mail.example.test")),))
    renewed = replace(certificate(MX), sha256="ee" * 32)
    lost = compared(before, endpoint(MX, certificates=(renewed,)))
    assert found(lost) == [("keeps", "names", "failed")]
    wildcard = replace(renewed, names=("*.example.test",))
    assert found(compared(before, endpoint(MX, certificates=(wildcard,)))) == []


def test_trust_that_is_gone_is_lost() -> None:
    untrusted = verified(20, "unable to get local issuer certificate")
    checks = compared(endpoint(MX), endpoint(MX, verification=untrusted))
    assert found(checks) == [("keeps", "trust", "failed")]
    assert found(compared(endpoint(MX, verification=untrusted), endpoint(MX))) == [("gained", "trust", "noted")]


def test_another_issuer_and_an_earlier_end_are_noted() -> None:
    renewed = replace(certificate(MX, days_left=30, issuer="CN = Other CA"), sha256="ee" * 32)
    assert found(compared(endpoint(MX), endpoint(MX, certificates=(renewed,)))) == [
        ("changed", "RSA certificate issuer", "noted"),
        ("changed", "RSA certificate validity", "noted"),
    ]


def test_a_renewed_certificate_is_no_loss() -> None:
    renewed = replace(certificate(MX, days_left=180), sha256="ee" * 32, not_before=SEEN_AT - timedelta(days=1))
    assert found(compared(endpoint(MX), endpoint(MX, certificates=(renewed,)))) == []


# Senders


def agreeing(*suites: Suite) -> ProtocolFacts:
    """A version that was seen to agree on x25519."""
    return replace(accepted(*suites), groups=Listing(state="accepted", names=("x25519",)))


def test_a_sender_that_gets_tls_no_longer_is_lost_with_its_obstacle() -> None:
    before = server(tlsv12=agreeing(ECDHE_AES256, AES256_SHA))
    checks = compared(before, server(tlsv12=agreeing(ECDHE_AES256)), STATIC, MODERN)
    (lost,) = (check for check in checks if check.name == "sender static")
    assert (lost.id, lost.outcome, lost.severity) == ("keeps", "failed", "critical")
    assert lost.evidence["obstacle"] == "suite"
    assert ("keeps", "sender modern", "passed") in found(checks, "passed")


def test_what_a_baseline_that_was_less_deep_did_not_see_is_not_new() -> None:
    """A scan at depth standard sees one certificate and some of the finite fields."""
    fields = tuple(FiniteField(bits=bits, prime=str(bits)) for bits in (1024, 2048, 3072))
    deep = server(tlsv12=replace(accepted(ECDHE_AES256, ECDHE_AES128), dh=fields))
    deep = replace(
        deep, certificates=(*deep.certificates, replace(deep.certificates[0], sha256="ef", key="EC secp256r1"))
    )
    shallow = server(tlsv12=replace(accepted(ECDHE_AES256), dh=fields[2:], complete=False))
    assert found(compared(shallow, deep)) == []
    whole = server(tlsv12=replace(accepted(ECDHE_AES256, ECDHE_AES128), dh=fields[2:]))
    assert ("gained", "ECDSA certificate", "noted") in found(compared(whole, deep))
    assert ("changed", "TLSv1.2 DHE", "noted") in found(compared(whole, deep))


def answered(facts: EndpointFacts, sender: Profile, state: State, suite: str | None = None) -> EndpointFacts:
    """The same with what the hello of this sender was answered."""
    answer = ProfileAnswer(
        profile=sender.name,
        state=state,
        protocol="TLSv1.2" if suite else None,
        suite=suite,
        reason="" if suite else "alert 40 (handshake_failure)",
    )
    return replace(facts, profiles=(answer,))


def test_what_a_sender_was_answered_counts_more_than_what_is_computed() -> None:
    some = server(tlsv12=accepted(ECDHE_AES256))
    short = replace(some, protocols={**some.protocols, "TLSv1.2": replace(accepted(RC4_SHA), complete=False)})
    got = answered(short, STATIC, "yes", "AES256-SHA")
    refused = answered(short, STATIC, "no")
    assert ("keeps", "sender static", "passed") in found(compared(got, got, STATIC), "passed")
    (lost,) = (check for check in compared(got, refused, STATIC) if check.name == "sender static")
    assert (lost.outcome, lost.severity) == ("failed", "critical")
    assert "alert 40" in lost.summary
    assert ("gained", "sender static", "noted") in found(compared(refused, got, STATIC))


def test_a_refusal_against_what_is_computed_for_then_and_now_is_unknown() -> None:
    """What is wrong for now may have been wrong for then."""
    good = server(tlsv12=agreeing(ECDHE_AES256))
    refused = answered(good, MODERN, "no")
    (check,) = (each for each in compared(good, refused, MODERN) if each.name == "sender modern")
    assert (check.outcome, "computed" in check.summary) == ("unknown", True)
    before = answered(good, MODERN, "yes", "ECDHE-RSA-AES256-GCM-SHA384")
    assert ("keeps", "sender modern", "failed") in found(compared(before, refused, MODERN))


def test_a_hello_that_was_not_answered_is_not_taken_to_get_what_is_computed() -> None:
    good = server(tlsv12=agreeing(ECDHE_AES256))
    checks = compared(good, answered(good, MODERN, "unknown"), MODERN)
    assert ("keeps", "sender modern", "unknown") in found(checks)


def test_a_sender_that_gets_something_else_is_noted() -> None:
    before, after = server(tlsv12=agreeing(ECDHE_AES256)), server(tlsv12=agreeing(ECDHE_AES128))
    assert ("changed", "sender modern", "noted") in found(compared(before, after, MODERN))


def test_a_sender_that_gets_tls_now_is_gained() -> None:
    before, after = server(tlsv12=accepted(ECDHE_AES256)), server(tlsv12=accepted(ECDHE_AES256, AES256_SHA))
    assert ("gained", "sender static", "noted") in found(compared(before, after, STATIC))


def test_a_sender_that_may_have_got_tls_before_and_gets_none_now_is_unknown() -> None:
    short = replace(accepted(ECDHE_AES256), complete=False)
    checks = compared(server(tlsv12=short), server(tlsv12=accepted(ECDHE_AES256)), STATIC)
    assert found(checks) == [("keeps", "sender static", "unknown")]


def test_a_sender_of_which_it_is_not_known_any_more_is_unknown() -> None:
    before = server(tlsv12=accepted(ECDHE_AES256, AES256_SHA))
    short = replace(accepted(ECDHE_AES256), complete=False)
    assert ("keeps", "sender static", "unknown") in found(compared(before, server(tlsv12=short), STATIC))


# Capabilities


def test_what_ehlo_announces_no_longer_is_lost() -> None:
    after = endpoint(MX, capabilities=("SIZE 20480000", "STARTTLS", "8BITMIME"))
    assert found(compared(endpoint(MX), after)) == [
        ("keeps", "capabilities", "failed"),
        ("gained", "capabilities", "noted"),
        ("changed", "capabilities", "noted"),
    ]


def test_paper_announces_nothing_and_loses_nothing_by_it() -> None:
    assert found(compared(endpoint(MX), endpoint(MX, capabilities=(), computed_from="main.cf"))) == []


# Who is compared with whom


def test_an_endpoint_takes_the_place_of_all_that_its_host_had() -> None:
    """What any address of it took was taken: mail comes to each of them."""
    old = Target(
        next_hop="example.test",
        route=mx(mx_host(MX, "192.0.2.1", "192.0.2.2")),
        endpoints=(
            server(tlsv12=accepted(ECDHE_AES256)),
            replace(server(tlsv12=accepted(ECDHE_AES256, AES256_SHA)), address="192.0.2.2"),
        ),
    )
    new = target(replace(server(tlsv12=accepted(ECDHE_AES256)), address="198.51.100.1"), next_hop=f"[{MX}]:25")
    assert found(compared(old, new), "failed") == [("keeps", "TLSv1.2 suites", "failed")]
    same_address = target(server(tlsv12=accepted(ECDHE_AES256)))
    assert found(compared(old, same_address), "failed") == []


def test_the_one_next_hop_of_a_baseline_stands_for_a_server_of_another_name() -> None:
    new = target(replace(server(tlsv13=REFUSED_VERSION), host="new.example.test"), next_hop="[new.example.test]")
    assert found(compared(server(), new), "failed") == [("keeps", "TLSv1.3", "failed")]


def test_where_a_baseline_knows_only_others_nothing_is_told() -> None:
    others = tuple(target(replace(server(), host=f"mx.{name}"), next_hop=name) for name in ("a.test", "b.test"))
    checks = baseline_checks(target(server()), Baseline(name="before.json", targets=others), ())
    assert found(checks) == [("baseline", "before.json", "unknown")]


def test_a_null_mx_was_nothing_to_compare_with() -> None:
    empty = Target(next_hop="example.test", route=Route(kind="null-mx"))
    assert outcome_of(compared(empty, server())) == "unknown"


def test_an_mx_host_that_is_no_more_is_noted() -> None:
    second = replace(server(), host="mx2.example.test", address="192.0.2.2")
    assert found(compared(target(server(), second), server())) == [("changed", "mx2.example.test", "noted")]


# In general

NUMBERS = (0xC030, 0xC02F, 0x009D, 0x0035, 0x002F, 0x0005, 0x000A)
LISTS = st.lists(st.sampled_from(NUMBERS), unique=True, min_size=1)


def swept(numbers: list[int], *, complete: bool = True) -> ProtocolFacts:
    suites = (
        Suite(id=suite(number).id, name=suite(number).name, iana=suite(number).iana, reached="flight-complete")
        for number in numbers
    )
    return replace(accepted(*suites), complete=complete)


@given(before=LISTS, after=LISTS)
def test_two_whole_sweeps_leave_nothing_open_and_only_a_superset_passes(before: list[int], after: list[int]) -> None:
    checks = compared(server(tlsv12=swept(before)), server(tlsv12=swept(after)))
    missed = set(before) - set(after) - {0x0005, 0x000A}  # RC4 and 3DES are nothing to keep
    assert outcome_of(checks) == ("failed" if missed else "passed")


@given(before=LISTS, after=LISTS)
def test_nothing_is_lost_for_certain_in_a_sweep_that_was_cut_short(before: list[int], after: list[int]) -> None:
    checks = compared(server(tlsv12=swept(before)), server(tlsv12=swept(after, complete=False)), STATIC, MODERN)
    assert found(checks, "failed") == []
