"""What an observation says, aspect by aspect: what was not asked is not there, what was not found out has no value."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from examples.targets import (
    ECDHE_AES256,
    GOOD,
    NULL_MX,
    SEEN_AT,
    SSLV3_ONLY,
    THROTTLED,
    UNREACHABLE,
    UNRESOLVED,
    certificate,
    endpoint,
    mx,
    mx_host,
    unanswered,
    verified,
)
from mxprobe.facts import EndpointFacts, Natural, ProtocolFacts, Target
from mxprobe.routing.route import MxHost, Route, RouteError
from mxprobe.tls.offer import Stage
from mxprobe.verdict.aspects import aspects
from mxprobe.verdict.aspects_of_certificates import issued_by
from mxprobe.verdict.seen import LONGEST_VALUE, Aspect, AspectKind, NoticeSettings, Seen, as_value, aspect_named

MX1 = "mx1.example.test"
HERE = f"{MX1}[192.0.2.1]:25"


def target(*endpoints: EndpointFacts, route: Route | None = None) -> Target:
    hosts = (mx_host(facts.host, facts.address) for facts in endpoints)
    return Target(next_hop="example.test", route=route or mx(*hosts), endpoints=endpoints)


def seen(said: Target, at: datetime = SEEN_AT) -> dict[Aspect, Seen]:
    found = aspects(said, at)
    assert len({each.aspect for each in found}) == len(found), "each aspect once"
    return {each.aspect: each for each in found}


def values(said: Target, kind: AspectKind, at: datetime = SEEN_AT) -> dict[str, str | None]:
    """The values of one kind by item."""
    return {aspect.item: each.value for aspect, each in seen(said, at).items() if aspect.kind == kind}


def test_a_good_server_is_known_in_every_respect() -> None:
    found = seen(GOOD)
    assert {aspect.kind for aspect in found} == set(AspectKind.__args__)  # type: ignore[attr-defined]
    assert all(each.value is not None for each in found.values())


@pytest.mark.parametrize("text", ["starttls", "version TLSv1.2", "shared-cipher my own postfix", "mx"])
def test_the_name_of_an_aspect_is_read_again(text: str) -> None:
    assert str(aspect_named(text, HERE)) == text


def test_a_name_of_no_aspect_is_refused() -> None:
    with pytest.raises(ValueError, match="ciphers"):
        aspect_named("ciphers TLSv1.2")


# STARTTLS


@pytest.mark.parametrize(
    ("state", "stage", "value"),
    [
        ("works", "handshake", "works"),
        ("offered-but-broken", "hello", "broken"),
        ("not-offered", "ehlo", "none"),
        ("refused", "starttls", "none"),
        ("refused", "greeting", None),  # the server does not serve us: RFC 5321 §3.1, a 554 greeting
        ("unknown", "connect", None),
    ],
)
def test_starttls_works_is_broken_or_is_not_there(state: str, stage: Stage, value: str | None) -> None:
    facts = unanswered(state, "why")
    facts = replace(facts, starttls=replace(facts.starttls, stage=stage))
    assert values(target(facts), "starttls") == {"": value}


@pytest.mark.parametrize("state", ["offered-but-broken", "not-offered", "unknown"])
def test_of_the_tls_behind_it_nothing_is_said_where_starttls_does_not_work(state: str) -> None:
    facts = replace(endpoint(MX1), starttls=unanswered(state, "why").starttls)
    assert [aspect.kind for aspect in seen(target(facts)) if aspect.endpoint] == ["starttls"]


def test_what_was_computed_of_a_configuration_was_not_seen() -> None:
    assert not [aspect for aspect in seen(target(endpoint(MX1, computed_from="main.cf"))) if aspect.endpoint]


# Versions and suites


def test_a_version_that_was_not_told_has_no_value_and_one_that_was_not_asked_is_not_there() -> None:
    assert values(THROTTLED, "version") == {"SSLv3": None, "TLSv1.2": "accepted"}


def test_a_quick_probe_knows_the_version_of_its_handshake_and_that_it_takes_this_suite() -> None:
    said = target(endpoint(MX1, protocols={}))
    assert values(said, "version") == {"TLSv1.3": "accepted"}
    suites = seen(said)[Aspect(kind="suites", endpoint=HERE, item="TLSv1.3")]
    assert (suites.value, suites.complete) == ("1302", False)
    assert values(said, "needs-sslv3") == {"": "no"}


def test_the_suites_of_a_version_are_a_list_that_is_complete_where_the_facts_are() -> None:
    part = ProtocolFacts(state="accepted", suites=(ECDHE_AES256,), complete=False)
    found = seen(target(endpoint(MX1, protocols={**endpoint(MX1).protocols, "TLSv1.2": part})))
    assert found[Aspect(kind="suites", endpoint=HERE, item="TLSv1.2")].value == "C030"
    assert not found[Aspect(kind="suites", endpoint=HERE, item="TLSv1.2")].complete
    assert found[Aspect(kind="suites", endpoint=HERE, item="TLSv1.3")].value == "1301 1302"
    assert found[Aspect(kind="suites", endpoint=HERE, item="TLSv1.3")].complete


def test_a_suite_of_the_handshake_that_no_sweep_found_belongs_to_a_list_that_is_not_all() -> None:
    natural = Natural(protocol="TLSv1.2", suite="AES256-SHA")
    found = seen(target(endpoint(MX1, natural=natural)))[Aspect(kind="suites", endpoint=HERE, item="TLSv1.2")]
    assert (found.value, found.complete) == ("0035 C02F C030", False)


@pytest.mark.parametrize("sweep", ["same-as", "confirmed"])
def test_the_suites_of_a_sweep_that_was_taken_over_are_known_as_of_that_sweep(sweep: str) -> None:
    swept_at = SEEN_AT - timedelta(days=5)
    found = seen(target(endpoint(MX1, sweep=sweep, swept_at=swept_at)))
    assert found[Aspect(kind="suites", endpoint=HERE, item="TLSv1.2")].at == swept_at
    assert found[Aspect(kind="version", endpoint=HERE, item="TLSv1.2")].at is None, "a fingerprint asks each version"


def test_who_needs_sslv3_and_which_profile_is_cut_off() -> None:
    assert values(SSLV3_ONLY, "needs-sslv3") == {"": "yes"}
    assert values(SSLV3_ONLY, "shared-cipher") == {"outbound": "no"}
    assert values(THROTTLED, "shared-cipher") == {"outbound": None}


# Certificates


def ecdsa(host: str) -> object:
    return replace(certificate(host), sha256="ec" * 32, key="EC secp256r1", names=("other.example.test",))


def test_each_kind_of_key_has_a_certificate_and_the_first_is_what_an_ordinary_client_is_shown() -> None:
    said = target(endpoint(MX1, certificates=(ecdsa(MX1), certificate(MX1))))
    assert values(said, "certificate") == {"ECDSA": "ec" * 32, "RSA": "ab" * 32}
    assert values(said, "certificate-kind") == {"": "ECDSA"}
    assert values(said, "name") == {"": "yes", "RSA": "yes"}, "of the first by its verdict"
    other = target(endpoint(MX1, certificates=(certificate(MX1), ecdsa(MX1))))
    assert values(other, "name") == {"": "yes", "ECDSA": "no"}


@pytest.mark.parametrize(
    ("days_left", "stage"),
    [(22, "valid"), (21, "valid"), (20, "21"), (7, "21"), (6, "7"), (1, "7"), (0, "1"), (-1, "expired")],
)
def test_a_certificate_has_come_to_a_threshold_when_no_more_is_left(days_left: int, stage: str) -> None:
    # `days_left` days and twelve hours
    said = target(endpoint(MX1, certificates=(certificate(MX1, days_left=days_left),)))
    assert values(said, "expiry") == {"RSA": f"abababababababab {stage}"}


@pytest.mark.parametrize(("life", "left", "stage"), [(6, 5, "valid"), (6, 0, "1"), (1, 0, "valid"), (47, 20, "valid")])
def test_a_short_life_is_not_measured_by_long_thresholds(life: int, left: int, stage: str) -> None:
    ends = SEEN_AT + timedelta(days=left, hours=12)
    short = replace(certificate(MX1), not_after=ends, not_before=ends - timedelta(days=life))
    assert values(target(endpoint(MX1, certificates=(short,))), "expiry") == {"RSA": f"abababababababab {stage}"}


def test_the_thresholds_are_those_of_the_settings() -> None:
    said = target(endpoint(MX1, certificates=(certificate(MX1, days_left=25),)))
    found = aspects(said, SEEN_AT, NoticeSettings(expiry_days=(3, 28)))
    assert [each.value for each in found if each.aspect.kind == "expiry"] == ["abababababababab 28"]


def test_dates_that_cannot_be_read_are_unknown() -> None:
    unread = replace(certificate(MX1), not_after=None, error="notAfter: bad")
    assert values(target(endpoint(MX1, certificates=(unread,))), "expiry") == {"RSA": None}


@pytest.mark.parametrize(
    ("issuer", "name"),
    [
        ("CN=R11,O=Let's Encrypt,C=US", "Let's Encrypt"),  # RFC 4514 §3, as cryptography writes it
        ("CN=E6,O=Let's Encrypt,C=US", "Let's Encrypt"),
        (r"CN=CA,O=Example\, Inc.,C=DE", r"Example\, Inc."),
        ("CN=Example CA", "CN=Example CA"),
        ("CN=a+O=b,C=c", "b"),
        ("CN=x\\,O=evil", "CN=x\\,O=evil"),
    ],
)
def test_who_issued_it_is_the_organisation_as_intermediates_change_at_every_renewal(issuer: str, name: str) -> None:
    assert issued_by(replace(certificate(MX1), issuer=issuer)) == name


def test_nobody_issued_a_certificate_that_is_self_signed() -> None:
    shown = certificate(MX1, issuer=f"CN = {MX1}")
    assert issued_by(shown) == "self-signed"


def test_whether_a_chain_is_trusted_is_not_asked_of_a_certificate_that_has_expired() -> None:
    expired = endpoint(MX1, verification=verified(10, "certificate has expired"))
    assert values(target(expired), "trusted") == {}
    above = endpoint(MX1, verification=verified(10, "certificate has expired", depth=1))
    assert values(target(above), "trusted") == {"": "no"}
    assert values(target(endpoint(MX1)), "trusted") == {"": "yes"}


# The route


def error(status: str, *, temporary: bool = False) -> RouteError:
    return RouteError(status=status, text="why", temporary=temporary)  # type: ignore[arg-type]


def test_a_null_mx_is_known_and_a_failing_name_server_is_not() -> None:
    assert [(each.aspect.kind, each.value) for each in seen(NULL_MX).values()] == [("mail", "null-mx")]
    assert [(each.aspect.kind, each.value) for each in seen(UNRESOLVED).values()] == [("mail", None)]


def test_a_domain_that_does_not_exist_is_doubted_until_it_is_seen_again() -> None:
    found = seen(target(route=Route(kind="error", error=error("nxdomain"))))
    assert [(each.value, each.doubtful) for each in found.values()] == [("no-domain", True)]


@pytest.mark.parametrize("status", ["no-address", "nxdomain"])
def test_a_domain_with_neither_an_mx_nor_an_address_takes_no_mail_and_is_its_own_mx_host_no_more(status: str) -> None:
    bare = MxHost(name="a.test", canonical_name="a.test", preference=0, addresses=(), error=error(status))
    found = seen(target(route=Route(kind="implicit-mx", hosts=(bare,))))
    assert [(each.aspect.kind, each.value, each.doubtful) for each in found.values()] == [("mail", "no-domain", True)]


def test_a_domain_without_an_mx_whose_addresses_are_not_known_is_not_told_to_take_no_mail() -> None:
    silent = error("servfail", temporary=True)
    host = MxHost(name="a.test", canonical_name="a.test", preference=0, addresses=(), error=silent)
    found = seen(target(route=Route(kind="implicit-mx", hosts=(host,))))
    assert {aspect.kind: each.value for aspect, each in found.items()} == {
        "mail": None,
        "mx": "0:a.test",
        "addresses": None,
    }


def test_who_is_on_the_ignore_list_was_not_asked() -> None:
    assert seen(target(route=Route(kind="error", error=error("ignored")))) == {}
    ignored = MxHost(name=MX1, canonical_name=MX1, preference=10, addresses=(), error=error("ignored"))
    assert values(target(route=mx(ignored)), "addresses") == {}


def test_mx_hosts_are_a_list_with_their_preferences_complete_unless_there_are_too_many() -> None:
    route = mx(mx_host("b.test", preference=20), mx_host("a.test", preference=5))
    found = seen(target(route=route))[Aspect(kind="mx")]
    assert (found.value, found.complete) == ("20:b.test 5:a.test", True)
    assert not seen(target(route=replace(route, error=error("malformed"))))[Aspect(kind="mx")].complete


def test_addresses_of_a_host_are_known_whether_or_not_they_are_dialled() -> None:
    private = replace(mx_host(MX1, "192.0.2.9", "192.0.2.1"), refused_addresses=("10.0.0.1",))
    assert values(target(route=mx(private)), "addresses") == {MX1: "10.0.0.1 192.0.2.1 192.0.2.9"}
    half = replace(private, error=error("servfail", temporary=True))
    assert values(target(route=mx(half)), "addresses") == {MX1: None}, "one of A and AAAA had no answer"
    none = replace(private, addresses=(), refused_addresses=(), error=error("no-address"))
    found = seen(target(route=mx(none)))[Aspect(kind="addresses", item=MX1)]
    assert (found.value, found.doubtful) == ("none", True)


def test_many_addresses_are_a_digest_that_does_not_depend_on_their_order() -> None:
    many = tuple(f"192.0.2.{number}" for number in range(1, 65))
    value = values(target(route=mx(mx_host(MX1, *many))), "addresses")[MX1]
    assert value == values(target(route=mx(mx_host(MX1, *many[::-1]))), "addresses")[MX1]
    assert value is not None
    assert value.startswith("64 addresses ")
    assert len(value) <= LONGEST_VALUE


def test_an_address_that_the_user_named_has_no_mx_and_no_addresses() -> None:
    host = MxHost(name="192.0.2.1", canonical_name="192.0.2.1", preference=None, addresses=("192.0.2.1",))
    said = target(endpoint("192.0.2.1", "192.0.2.1"), route=Route(kind="literal", hosts=(host,)))
    assert {aspect.endpoint for aspect in seen(said)} == {"192.0.2.1:25"}


def test_a_host_that_does_not_answer_is_unknown_and_one_that_was_not_dialled_is_not_there() -> None:
    found = seen(UNREACHABLE)
    assert [(aspect.endpoint, each.value) for aspect, each in found.items() if aspect.kind == "starttls"] == [
        (HERE, None)
    ]


# The peer is hostile


@pytest.mark.parametrize("text", ["x" * 5000, "\0\x1b[31m", "\ud800" * 300, "é" * LONGEST_VALUE])
def test_a_text_of_a_peer_is_short_and_printable(text: str) -> None:
    value = as_value(text)
    assert len(value) <= LONGEST_VALUE
    assert value.isprintable()


def test_long_texts_that_differ_at_the_end_are_told_apart() -> None:
    assert as_value("x" * 5000 + "a") != as_value("x" * 5000 + "b")
