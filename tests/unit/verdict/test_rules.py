"""Each verdict's yes, no and unknown, from facts made by hand; above all: unknown is never "no"."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.targets import (
    ECDHE_AES256,
    GOOD_PROTOCOLS,
    NULL_MX,
    RC4_SHA,
    REFUSED_SUITES,
    REFUSED_VERSION,
    SEEN_AT,
    SSLV3_ONLY,
    THROTTLED,
    UNKNOWN_SUITE,
    accepted,
    certificate,
    endpoint,
    mx,
    mx_host,
    unanswered,
    verified,
)
from mxprobe.facts import (
    EndpointFacts,
    Features,
    Natural,
    ProfileAnswer,
    ProtocolFacts,
    Starttls,
    Suite,
    Target,
    Verdict,
)
from mxprobe.routing.route import MxHost, Route, RouteError
from mxprobe.smtp.replies import Reply
from mxprobe.terms import PROTOCOLS, Protocol, State
from mxprobe.tls.free_facts import Feature, FiniteField
from mxprobe.tls.offer import Stage
from mxprobe.trust.names import NameMatch
from mxprobe.verdict.rules import VERDICTS, judge, judge_endpoint, needs_sslv3, not_expired, starttls, trusted

HOST = "mx1.example.test"
NAME = f"{HOST}[192.0.2.1]:25"
GOOD = endpoint(HOST)
BUSY = Reply(code=421, lines=("4.7.0 too many connections",))
UNKNOWN = ProtocolFacts(state="unknown", reason="silent after our ClientHello for 15 s")


def of(facts: EndpointFacts, verdict_id: str) -> Verdict:
    (verdict,) = (verdict for verdict in judge_endpoint(facts, SEEN_AT) if verdict.id == verdict_id)
    return verdict


def brief(verdict: Verdict) -> tuple[str, str]:
    return verdict.state, verdict.severity


# A good server, and all of them


def test_a_good_server_has_nothing_to_care_about() -> None:
    verdicts = judge_endpoint(GOOD, SEEN_AT)
    assert {verdict.id: verdict.state for verdict in verdicts} == {
        "starttls": "yes",
        "needs-sslv3": "no",
        "shared-cipher": "yes",
        "weak-dh": "no",
        "trusted": "yes",
        "name-matches": "yes",
        "not-expired": "yes",
    }
    assert {verdict.severity for verdict in verdicts} == {"ok"}
    not_asked = ("secure-renegotiation", "compression", "null-mx")
    assert [verdict.id for verdict in verdicts] == [name for name in VERDICTS if name not in not_asked]


@pytest.mark.parametrize("facts", [GOOD, SSLV3_ONLY.endpoints[0], THROTTLED.endpoints[0], unanswered("unknown", "x")])
def test_every_verdict_names_its_endpoint_and_its_source(facts: EndpointFacts) -> None:
    for verdict in judge_endpoint(facts, SEEN_AT):
        assert verdict.id in VERDICTS
        assert verdict.endpoint == NAME
        assert verdict.summary
        assert "RFC" in verdict.source


def test_the_same_facts_give_the_same_verdicts_again() -> None:
    assert judge_endpoint(GOOD, SEEN_AT) == judge_endpoint(GOOD, SEEN_AT)


@pytest.mark.parametrize("stage", ["connect", "greeting", "ehlo", "starttls"])
def test_an_endpoint_that_throttled_every_connection_is_unknown_in_everything(stage: Stage) -> None:
    facts = unanswered(
        "unknown",
        f"throttled: {BUSY}",
        starttls=Starttls(state="unknown", stage=stage, reason=f"throttled: {BUSY}", reply=BUSY),
        profiles=(ProfileAnswer(profile="outbound", state="unknown", reason=str(BUSY)),),
        protocols=dict.fromkeys(PROTOCOLS, ProtocolFacts(state="unknown", reason=str(BUSY))),
    )
    verdicts = judge_endpoint(facts, SEEN_AT)
    assert {verdict.state for verdict in verdicts} == {"unknown"}
    assert "critical" not in {verdict.severity for verdict in verdicts}
    assert of(facts, "starttls").evidence["reply"] == "421 4.7.0 too many connections"


def test_an_endpoint_that_was_never_reached_is_unknown_in_everything() -> None:
    verdicts = judge_endpoint(unanswered("unknown", "silent while connecting for 15 s"), SEEN_AT)
    assert {verdict.state for verdict in verdicts} == {"unknown"}


# starttls


@pytest.mark.parametrize(
    ("seen", "state", "severity"),
    [
        (Starttls(state="works", stage="handshake"), "yes", "ok"),
        (Starttls(state="offered-but-broken", stage="hello", reason="plain text"), "no", "critical"),
        (Starttls(state="refused", stage="starttls", reason="502 no"), "no", "warning"),
        (Starttls(state="not-offered", stage="ehlo"), "no", "warning"),
        # A server that would not talk to us has not said anything of STARTTLS.
        (Starttls(state="refused", stage="greeting", reason="554 no"), "unknown", "warning"),
        (Starttls(state="refused", stage="ehlo", reason="550 no"), "unknown", "warning"),
        (Starttls(state="refused", reason="554 no"), "unknown", "warning"),
        (Starttls(state="unknown", stage="starttls", reason="throttled: 454 later"), "unknown", "warning"),
        (Starttls(state="unknown", stage="greeting", reason="silent"), "unknown", "warning"),
    ],
)
def test_starttls(seen: Starttls, state: str, severity: str) -> None:
    verdict = starttls(replace(GOOD, starttls=seen))
    assert brief(verdict) == (state, severity)
    assert seen.reason in verdict.summary
    assert verdict.evidence == {"state": seen.state, "reason": seen.reason}


def test_starttls_quotes_the_reply() -> None:
    seen = Starttls(state="unknown", stage="greeting", reason="throttled", reply=BUSY)
    assert starttls(replace(GOOD, starttls=seen)).evidence["reply"] == "421 4.7.0 too many connections"


def test_clear_text_after_the_220_is_critical_even_where_tls_works() -> None:
    verdict = starttls(replace(GOOD, early_bytes=b"250 injected\r\n".hex()))
    assert brief(verdict) == ("yes", "critical")
    assert verdict.evidence["early_bytes"] == b"250 injected\r\n".hex()
    assert "response injection" in verdict.summary


# needs-sslv3


def protocols(**states: ProtocolFacts) -> EndpointFacts:
    """An endpoint without a natural handshake that refused every version but those named (TLSv1_2 for TLSv1.2)."""
    seen: dict[Protocol, ProtocolFacts] = dict.fromkeys(PROTOCOLS, REFUSED_SUITES)
    changed = {protocol: states.get(protocol.replace(".", "_"), seen[protocol]) for protocol in PROTOCOLS}
    return replace(GOOD, protocols=changed, natural=None)


def test_a_server_that_takes_sslv3_and_refuses_every_tls_version_needs_it() -> None:
    verdict = needs_sslv3(protocols(SSLv3=accepted(RC4_SHA)))
    assert brief(verdict) == ("yes", "critical")
    assert verdict.source == "RFC 7568 §3"
    assert verdict.evidence["TLSv1.2"] == "refused: alert 40 (handshake_failure)"
    assert verdict.evidence["SSLv3"] == "accepted"


def test_the_handshake_that_sslv3_got_is_no_tls() -> None:
    assert needs_sslv3(SSLV3_ONLY.endpoints[0]).state == "yes"


@pytest.mark.parametrize("version", ["TLSv1", "TLSv1_1", "TLSv1_2", "TLSv1_3"])
def test_one_unknown_tls_version_leaves_it_unknown(version: str) -> None:
    verdict = needs_sslv3(protocols(SSLv3=accepted(RC4_SHA), **{version: UNKNOWN}))
    assert brief(verdict) == ("unknown", "info")
    assert version.replace("_", ".") in verdict.summary


@pytest.mark.parametrize("missing", PROTOCOLS[1:])
def test_one_version_that_was_not_asked_leaves_it_unknown(missing: Protocol) -> None:
    facts = protocols(SSLv3=accepted(RC4_SHA))
    asked = {protocol: seen for protocol, seen in facts.protocols.items() if protocol != missing}
    assert needs_sslv3(replace(facts, protocols=asked)).state == "unknown"


@pytest.mark.parametrize("version", ["TLSv1", "TLSv1_1", "TLSv1_2"])
def test_one_tls_version_that_works_is_enough_for_no(version: str) -> None:
    suite = replace(ECDHE_AES256, reached="flight-complete")
    verdict = needs_sslv3(protocols(SSLv3=accepted(RC4_SHA), **{"TLSv1_1": UNKNOWN, version: accepted(suite)}))
    assert brief(verdict) == ("no", "ok")


def test_a_server_hello_of_tls_13_works_beside_a_complete_handshake_only() -> None:
    suite = replace(ECDHE_AES256, reached="selected")
    facts = protocols(SSLv3=accepted(RC4_SHA), TLSv1_3=accepted(suite))
    assert needs_sslv3(replace(facts, natural=None)).state == "unknown"
    complete = Natural(protocol="TLSv1.3", suite="TLS_AES_128_GCM_SHA256")
    assert needs_sslv3(replace(facts, natural=complete)).state == "no"


@pytest.mark.parametrize("version", ["TLSv1", "TLSv1_1", "TLSv1_2"])
def test_a_tls_version_that_is_picked_and_never_gets_further_does_not_work(version: str) -> None:
    stuck = accepted(replace(ECDHE_AES256, reached="selected"))
    assert needs_sslv3(protocols(SSLv3=accepted(RC4_SHA), **{version: stuck})).state == "unknown"


def test_sslv3_that_is_picked_and_never_gets_further_is_not_known_to_work() -> None:
    assert needs_sslv3(protocols(SSLv3=accepted(replace(RC4_SHA, reached="selected")))).state == "unknown"


def test_a_complete_handshake_in_tls_is_enough_for_no() -> None:
    quick = replace(GOOD, protocols={})
    assert brief(needs_sslv3(quick)) == ("no", "ok")


def test_who_refuses_sslv3_does_not_need_it() -> None:
    assert needs_sslv3(protocols()).state == "no"
    assert needs_sslv3(protocols(TLSv1_2=UNKNOWN)).state == "no"


def test_sslv2_alone_is_not_a_need_of_sslv3() -> None:
    assert needs_sslv3(protocols(SSLv2=accepted(RC4_SHA))).state == "no"


def test_without_an_offer_of_starttls_there_is_no_need_of_anything() -> None:
    assert brief(of(unanswered("not-offered", "STARTTLS is not among the capabilities"), "needs-sslv3")) == ("no", "ok")


seen_states = st.sampled_from(
    [UNKNOWN, REFUSED_SUITES, REFUSED_VERSION, accepted(RC4_SHA), accepted(UNKNOWN_SUITE), None]
)


@given(st.fixed_dictionaries(dict.fromkeys(PROTOCOLS, seen_states)))
def test_needs_sslv3_says_yes_only_where_all_of_tls_is_refused(states: dict[Protocol, ProtocolFacts | None]) -> None:
    seen = {protocol: facts for protocol, facts in states.items() if facts is not None}
    verdict = needs_sslv3(replace(GOOD, protocols=seen, natural=None))
    sslv3, tls = states["SSLv3"], [states[protocol] for protocol in PROTOCOLS[2:]]
    refused = [facts is not None and facts.state == "refused" for facts in tls]
    assert (verdict.state == "yes") == (sslv3 is not None and sslv3.state == "accepted" and all(refused))
    if verdict.state == "no":
        settled = sslv3 is not None and sslv3.state == "refused"
        assert settled or any(facts is not None and facts.state == "accepted" for facts in tls)


# weak-dh, secure-renegotiation, compression

DHE = Suite(id="0x00009E", name="DHE-RSA-AES128-GCM-SHA256", iana="TLS_DHE_RSA_WITH_AES_128_GCM_SHA256")


def with_dh(*bits: int, complete: bool = True) -> EndpointFacts:
    fields = tuple(FiniteField(bits=size, prime=f"{size:064x}") for size in bits)
    tls12 = ProtocolFacts(state="accepted", suites=(DHE,), complete=complete, dh=fields)
    return replace(GOOD, protocols={"TLSv1.2": tls12})


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (with_dh(1024, 2048), ("yes", "warning")),
        (with_dh(1024, complete=False), ("yes", "warning")),
        (with_dh(2048, 4096), ("no", "ok")),
        (with_dh(2048, complete=False), ("unknown", "info")),
        (GOOD, ("no", "ok")),
    ],
)
def test_weak_dh(facts: EndpointFacts, expected: tuple[str, str]) -> None:
    assert brief(of(facts, "weak-dh")) == expected


@pytest.mark.parametrize("facts", [with_dh(), with_dh(complete=False), replace(GOOD, protocols={})])
def test_of_dh_keys_that_were_not_seen_nothing_is_said(facts: EndpointFacts) -> None:
    assert "weak-dh" not in {verdict.id for verdict in judge_endpoint(facts, SEEN_AT)}


@pytest.mark.parametrize("state", ["yes", "no", "unknown"])
def test_features_that_are_judged(state: State) -> None:
    feature = Feature(state=state, reason="because")
    facts = replace(GOOD, features=Features(secure_renegotiation=feature, compression=feature))
    renegotiation, compression = of(facts, "secure-renegotiation"), of(facts, "compression")
    assert renegotiation.state == compression.state == state
    assert (renegotiation.severity, compression.severity) == {
        "yes": ("ok", "warning"),
        "no": ("warning", "ok"),
        "unknown": ("info", "info"),
    }[state]
    assert "because" in renegotiation.summary


# shared-cipher


@pytest.mark.parametrize(
    ("answer", "state", "severity"),
    [
        (ProfileAnswer(profile="p", state="yes", protocol="TLSv1.2", suite="AES128-SHA"), "yes", "ok"),
        (ProfileAnswer(profile="p", state="no", reason="alert 40 (handshake_failure)"), "no", "critical"),
        (ProfileAnswer(profile="p", state="unknown", reason="421 later"), "unknown", "warning"),
    ],
)
def test_shared_cipher_is_what_the_profiles_hello_was_answered(
    answer: ProfileAnswer, state: str, severity: str
) -> None:
    verdict = of(replace(GOOD, profiles=(answer,)), "shared-cipher")
    assert brief(verdict) == (state, severity)
    assert verdict.evidence == {
        "profile": "p",
        "protocol": answer.protocol,
        "suite": answer.suite,
        "reason": answer.reason,
    }
    assert answer.reason in verdict.summary


def test_every_profile_has_its_own_answer_and_none_has_none() -> None:
    answers = (ProfileAnswer(profile="a", state="no", reason="x"), ProfileAnswer(profile="b", state="unknown"))
    verdicts = [v for v in judge_endpoint(replace(GOOD, profiles=answers), SEEN_AT) if v.id == "shared-cipher"]
    assert [(v.evidence["profile"], v.state) for v in verdicts] == [("a", "no"), ("b", "unknown")]
    assert not [v for v in judge_endpoint(replace(GOOD, profiles=()), SEEN_AT) if v.id == "shared-cipher"]


# trusted


def test_a_chain_that_does_not_verify_is_not_trusted_and_openssl_says_why() -> None:
    failed = verified(20, "unable to get local issuer certificate", depth=1)
    verdict = trusted(replace(GOOD, verification=failed))
    assert brief(verdict) == ("no", "warning")
    assert verdict.summary == "certificate not trusted: 20 (unable to get local issuer certificate) at depth 1"
    assert verdict.evidence["code"] == 20
    assert verdict.evidence["ca_path"] == "/etc/ssl/certs"


@pytest.mark.parametrize(("chain_depth", "state"), [(0, "yes"), (2, "yes"), (3, "no"), (4, "no")])
def test_a_trusted_chain_can_be_longer_than_the_limit(chain_depth: int, state: str) -> None:
    # postconf(5) smtp_tls_scert_verifydepth, as Postfix enforces and logs it.
    verdict = trusted(replace(GOOD, verification=replace(verified(), chain_depth=chain_depth, depth_limit=2)))
    assert verdict.state == state
    if state == "no":
        assert verdict.summary == "certificate not trusted: chain longer than limit(2)"
        assert (verdict.evidence["chain_depth"], verdict.evidence["depth_limit"]) == (chain_depth, 2)


# name-matches


def test_a_name_that_may_be_among_those_that_could_not_be_read_is_unknown() -> None:
    assert GOOD.name_match is not None
    unread = replace(GOOD.name_match, matches=False, error="extensions: a dNSName that is not ASCII")
    verdict = of(replace(GOOD, name_match=unread), "name-matches")
    assert verdict.state == "unknown"
    assert "not ASCII" in verdict.summary
    read = replace(unread, matches=True)
    assert of(replace(GOOD, name_match=read), "name-matches").state == "yes"


def test_a_certificate_for_another_name_does_not_match() -> None:
    seen = NameMatch(
        host=HOST, matches=False, postfix_matches=True, names=("mail.example",), reason="it names mail.example"
    )
    verdict = of(replace(GOOD, name_match=seen), "name-matches")
    assert brief(verdict) == ("no", "warning")
    assert verdict.summary == "it names mail.example"
    assert verdict.evidence == {"host": HOST, "names": ("mail.example",), "postfix_matches": True}


# not-expired


@pytest.mark.parametrize(
    ("left", "state", "severity"),
    [
        (timedelta(days=90), "yes", "ok"),
        (timedelta(days=14), "yes", "ok"),
        (timedelta(days=14) - timedelta(seconds=1), "yes", "warning"),
        # RFC 5280 §4.1.2.5: valid "from notBefore through notAfter, inclusive".
        (timedelta(0), "yes", "warning"),
        (-timedelta(seconds=1), "no", "warning"),
        (-timedelta(days=400), "no", "warning"),
    ],
)
def test_a_certificate_expires_to_the_second(left: timedelta, state: str, severity: str) -> None:
    leaf = replace(certificate(HOST), not_after=SEEN_AT + left)
    verdict = not_expired(replace(GOOD, certificates=(leaf,)), SEEN_AT)
    assert brief(verdict) == (state, severity)
    assert verdict.evidence["at"] == SEEN_AT.isoformat()


def test_the_same_facts_expire_as_time_goes_by() -> None:
    facts = replace(GOOD, certificates=(certificate(HOST, days_left=3),))
    assert not_expired(facts, SEEN_AT).state == "yes"
    assert not_expired(facts, SEEN_AT + timedelta(days=4)).state == "no"


@pytest.mark.parametrize(
    ("until", "state"), [(timedelta(0), "yes"), (timedelta(seconds=1), "no"), (timedelta(1), "no")]
)
def test_a_certificate_is_valid_from_its_first_second(until: timedelta, state: str) -> None:
    leaf = replace(certificate(HOST), not_before=SEEN_AT + until)
    assert not_expired(replace(GOOD, certificates=(leaf,)), SEEN_AT).state == state


@pytest.mark.parametrize(
    ("left", "summary"),
    [
        (timedelta(days=2, hours=5), "certificate valid for 2 days"),
        (timedelta(days=1, hours=5), "certificate valid for 1 day"),
        (timedelta(hours=5, minutes=59), "certificate valid for 5 h"),
        (-timedelta(hours=3), "certificate expired 3 h ago"),
        (-timedelta(days=3, hours=1), "certificate expired 3 days ago"),
    ],
)
def test_expiry_is_told_in_days_and_on_the_last_day_in_hours(left: timedelta, summary: str) -> None:
    leaf = replace(certificate(HOST), not_after=SEEN_AT + left)
    assert not_expired(replace(GOOD, certificates=(leaf,)), SEEN_AT).summary == summary


def test_only_the_servers_own_certificate_counts() -> None:
    another = replace(certificate(HOST, days_left=-100), sha256="ee" * 32)
    assert not_expired(replace(GOOD, certificates=(certificate(HOST), another)), SEEN_AT).state == "yes"


def test_dates_that_cannot_be_read_are_unknown() -> None:
    leaf = replace(certificate(HOST), not_after=None, error="year is out of range")
    verdict = not_expired(replace(GOOD, certificates=(leaf,)), SEEN_AT)
    assert brief(verdict) == ("unknown", "warning")
    assert "year is out of range" in verdict.summary


@pytest.mark.parametrize("verdict_id", ["trusted", "name-matches", "not-expired"])
def test_without_a_certificate_nothing_is_known_of_it(verdict_id: str) -> None:
    verdict = of(unanswered("unknown", "throttled: 421 later"), verdict_id)
    assert brief(verdict) == ("unknown", "info")
    assert verdict.summary == "no certificate was seen: throttled: 421 later"


# Routes


def judged(route: Route, *endpoints: EndpointFacts) -> Target:
    return judge("example.test", route, endpoints, SEEN_AT)


def error(status: str, *, temporary: bool) -> RouteError:
    return RouteError(status=status, text=f"example.test MX: {status}", temporary=temporary)  # type: ignore[arg-type]


def test_a_target_keeps_what_was_asked_and_seen_and_judges_every_endpoint() -> None:
    other = endpoint("mx2.example.test", "192.0.2.2")
    target = judged(mx(mx_host(HOST), mx_host("mx2.example.test", "192.0.2.2")), GOOD, other)
    assert target.next_hop == "example.test"
    assert target.endpoints == (GOOD, other)
    named = [verdict.endpoint for verdict in target.verdicts if verdict.id == "trusted"]
    assert named == [NAME, "mx2.example.test[192.0.2.2]:25"]


@pytest.mark.parametrize("kind", ["mx", "implicit-mx"])
def test_a_domain_with_a_mail_host_has_no_null_mx(kind: str) -> None:
    target = judged(Route(kind=kind, hosts=(mx_host(HOST),)), GOOD)  # type: ignore[arg-type]
    (verdict,) = (verdict for verdict in target.verdicts if verdict.id == "null-mx")
    assert (verdict.state, verdict.severity, verdict.endpoint) == ("no", "ok", "")


def test_a_null_mx_is_an_answer_and_the_only_verdict() -> None:
    (verdict,) = judged(NULL_MX.route).verdicts
    assert (verdict.id, verdict.state, verdict.severity, verdict.endpoint) == ("null-mx", "yes", "info", "")
    assert verdict.source == "RFC 7505 §3"


def test_a_literal_has_no_mx_and_no_verdict_on_it() -> None:
    target = judged(Route(kind="literal", hosts=(mx_host("192.0.2.1"),)), GOOD)
    assert "null-mx" not in {verdict.id for verdict in target.verdicts}


def test_a_domain_that_does_not_exist_is_no_answer_about_starttls() -> None:
    target = judged(Route(kind="error", error=error("nxdomain", temporary=False)))
    (verdict,) = target.verdicts
    assert (verdict.id, verdict.state, verdict.severity, verdict.endpoint) == ("starttls", "unknown", "critical", "")
    assert verdict.evidence["status"] == "nxdomain"
    assert "nxdomain" in verdict.summary


@pytest.mark.parametrize("status", ["servfail", "timeout", "refused", "truncated"])
def test_a_dns_that_fails_for_now_leaves_everything_unknown(status: str) -> None:
    target = judged(Route(kind="error", error=error(status, temporary=True)))
    assert {(v.id, v.state) for v in target.verdicts} == {("null-mx", "unknown"), ("starttls", "unknown")}
    assert "critical" not in {verdict.severity for verdict in target.verdicts}
    assert all(verdict.evidence["temporary"] is True for verdict in target.verdicts)


def test_an_mx_host_without_an_address_is_unknown_beside_one_that_was_probed() -> None:
    lost = MxHost(
        name="mx2.example.test",
        canonical_name="mx2.example.test",
        preference=20,
        addresses=(),
        error=error("no-address", temporary=False),
    )
    found = [verdict for verdict in judged(mx(mx_host(HOST), lost), GOOD).verdicts if verdict.id == "starttls"]
    assert [(v.endpoint, v.state, v.severity) for v in found] == [
        ("mx2.example.test", "unknown", "warning"),
        (NAME, "yes", "ok"),
    ]
    assert "not dialled" in found[0].summary


def test_addresses_that_are_not_public_are_named_in_the_evidence() -> None:
    private = MxHost(
        name=HOST,
        canonical_name=HOST,
        preference=10,
        addresses=(),
        refused_addresses=("10.0.0.1",),
        error=error("forbidden-address", temporary=False),
    )
    (verdict,) = (verdict for verdict in judged(mx(private)).verdicts if verdict.id == "starttls")
    assert verdict.state == "unknown"
    assert verdict.evidence["refused_addresses"] == ("10.0.0.1",)


def test_an_error_beside_addresses_says_that_they_may_not_be_all() -> None:
    half = replace(mx_host(HOST), error=error("timeout", temporary=True))
    found = [verdict for verdict in judged(mx(half), GOOD).verdicts if verdict.endpoint == HOST]
    assert [(v.id, v.state) for v in found] == [("starttls", "unknown")]
    assert "not every address was found" in found[0].summary


def test_a_sweep_that_was_cut_short_changes_no_verdict() -> None:
    cut = {
        **GOOD_PROTOCOLS,
        "TLSv1.2": ProtocolFacts(state="accepted", suites=(ECDHE_AES256,), reason=str(BUSY)),
        "SSLv3": UNKNOWN,
    }
    # Of DHE, which may be among the suites that are not known now, nothing is said any more.
    before = [verdict for verdict in judge_endpoint(GOOD, SEEN_AT) if verdict.id != "weak-dh"]
    after = judge_endpoint(replace(GOOD, protocols=cut), SEEN_AT)
    assert [(verdict.id, *brief(verdict)) for verdict in before] == [(verdict.id, *brief(verdict)) for verdict in after]


def test_sslv3_as_the_natural_handshake_is_not_a_tls_version() -> None:
    natural = Natural(protocol="SSLv3", suite="RC4-SHA", reached="flight-complete")
    assert needs_sslv3(replace(GOOD, protocols={"SSLv3": accepted(RC4_SHA)}, natural=natural)).state == "unknown"


def test_tls_from_the_first_byte_is_not_called_starttls() -> None:
    works = of(replace(GOOD, service="smtps"), "starttls")
    assert works.summary == "TLS works"
    broken = replace(GOOD, service="smtps", starttls=Starttls(state="offered-but-broken", reason="alert 80"))
    assert "STARTTLS" not in of(broken, "starttls").summary


def test_what_comes_after_a_handshake_is_a_warning() -> None:
    reason = "after the handshake: 421 4.7.1 No client certificate presented"
    seen = of(replace(GOOD, starttls=Starttls(state="works", stage="handshake", reason=reason)), "starttls")
    assert (seen.state, seen.severity) == ("yes", "warning")
    assert "No client certificate presented" in seen.summary
