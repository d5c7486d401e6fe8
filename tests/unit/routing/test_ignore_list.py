"""Who is left alone: by name, by address, by network, whatever leads there, and the route says so."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxprobe.errors import InvalidSetting
from mxprobe.routing.addresses import RoutingPolicy
from mxprobe.routing.answers import DnsAnswer, MxRecord, Question, Record
from mxprobe.routing.ignore_list import NOBODY, entries_of_file, parse_ignore_list
from mxprobe.routing.resolution import resolve_route
from mxprobe.routing.route import MxHost, Route, endpoints_behind
from mxprobe.terms import parse_next_hop

LIST = parse_ignore_list(("partner.example", "MÜLLER.example", "192.0.2.0/24", "9.9.9.9", "2001:db8::/32"))


@pytest.mark.parametrize(
    ("name", "entry"),
    [
        ("partner.example", "partner.example"),
        ("mx1.mail.partner.example", "partner.example"),
        ("xn--mller-kva.example", "xn--mller-kva.example"),
        ("mx.xn--mller-kva.example", "xn--mller-kva.example"),
        ("notpartner.example", None),
        ("example", None),
        ("partner.example.other.test", None),
    ],
)
def test_a_domain_stands_for_all_names_below_it(name: str, entry: str | None) -> None:
    assert LIST.entry_for_name(name) == entry


@pytest.mark.parametrize(
    ("address", "entry"),
    [
        ("192.0.2.0", "192.0.2.0/24"),
        ("192.0.2.255", "192.0.2.0/24"),
        ("192.0.3.0", None),
        ("9.9.9.9", "9.9.9.9"),
        ("9.9.9.10", None),
        ("2001:db8::1", "2001:db8::/32"),
        ("2001:db9::1", None),
        ("::ffff:192.0.2.1", "192.0.2.0/24"),
        ("64:ff9b::909:909", "9.9.9.9"),  # NAT64, RFC 6052
        ("2002:c000:207::1", "192.0.2.0/24"),  # 6to4 of 192.0.2.7
    ],
)
def test_an_address_is_ignored_in_any_of_its_forms(address: str, entry: str | None) -> None:
    assert LIST.entry_for_address(ipaddress.ip_address(address)) == entry


@given(st.ip_addresses())
def test_nobody_is_ignored_by_default(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    assert NOBODY.entry_for_address(address) is None
    assert NOBODY.entry_for_name("mx.partner.example") is None


@pytest.mark.parametrize("entry", ["", "a b.example", "192.0.2.1/24", "192.0.2.0/33", "1.2.3", "2001:db8::g", "*.test"])
def test_what_can_be_no_entry_is_named(entry: str) -> None:
    with pytest.raises(InvalidSetting, match=r"^probes\.toml: probe\.ignore"):
        parse_ignore_list((entry,), "probes.toml: probe.ignore[0]")


def test_a_file_has_one_entry_a_line_and_comments() -> None:
    text = "# asked on 2026-11-01\n\npartner.example  # by mail\n 192.0.2.0/24\r\n"
    assert list(entries_of_file(text)) == [(3, "partner.example"), (4, "192.0.2.0/24")]


# Routes


def addresses(*texts: str, via: tuple[str, ...] = ()) -> DnsAnswer:
    read: tuple[Record, ...] = tuple(ipaddress.ip_address(text) for text in texts)
    canonical = via[-1] if via else "unaliased.test"
    return DnsAnswer(status="ok", canonical_name=canonical, records=read, aliases=via[:-1])


def mx(*names: str) -> DnsAnswer:
    records = tuple(MxRecord(preference=10, exchange=name) for name in names)
    return DnsAnswer(status="ok", canonical_name="one.test", records=records)


def routed(
    next_hop: str, script: Mapping[str, DnsAnswer], *ignore: str, connect: Mapping[str, str] | None = None
) -> tuple[Route, list[str]]:
    """The route under an ignore list, and all questions that were asked."""
    policy = RoutingPolicy(allow_private=True, connect=connect or {}, ignore=parse_ignore_list(ignore))
    resolution = resolve_route(parse_next_hop(next_hop), policy)
    asked: list[str] = []

    def answered(question: Question) -> DnsAnswer:
        asked.append(str(question))
        nothing = DnsAnswer(status="no-data", canonical_name=question.name)
        return script.get(f"{question.type} {question.name}", nothing)

    try:
        questions = next(resolution)
        while True:
            questions = resolution.send(tuple(answered(question) for question in questions))
    except StopIteration as end:
        return end.value, asked


def ignored_host(route: Route) -> MxHost:
    (host,) = route.hosts
    assert host.error is not None
    assert (host.error.status, host.error.temporary) == ("ignored", False)
    assert host.error.text.startswith("on the ignore list: ")
    assert endpoints_behind(parse_next_hop("one.test"), route) == ()
    return host


def test_an_ignored_next_hop_is_not_even_looked_up() -> None:
    route, asked = routed("mail.one.test", {"MX mail.one.test": mx("mx.test")}, "one.test")
    assert asked == []
    assert route.kind == "error"
    assert route.error is not None
    assert (route.error.status, route.error.text) == ("ignored", "on the ignore list: one.test")


def test_an_ignored_mx_host_is_shown_and_its_addresses_are_not_looked_up() -> None:
    route, asked = routed("one.test", {"MX one.test": mx("mx.left-alone.test")}, "left-alone.test")
    assert asked == ["MX of one.test"]
    assert ignored_host(route).name == "mx.left-alone.test"


def test_an_mx_host_whose_aliases_lead_to_an_ignored_name_is_ignored() -> None:
    script = {
        "MX one.test": mx("mx.test"),
        "A mx.test": addresses("9.9.9.9", via=("mx.test", "pool.left-alone.test")),
    }
    route, _ = routed("one.test", script, "left-alone.test")
    assert ignored_host(route).refused_addresses == ("9.9.9.9",)


def test_a_bracketed_name_and_an_address_are_ignored_though_the_user_named_them() -> None:
    route, asked = routed("[mx.left-alone.test]", {}, "left-alone.test")
    assert asked == []
    ignored_host(route)
    route, _ = routed("[192.0.2.7]:2525", {}, "192.0.2.0/24")
    assert ignored_host(route).refused_addresses == ("192.0.2.7",)


def test_an_address_that_was_given_for_a_host_is_ignored() -> None:
    route, _ = routed("[mx.test]", {}, "192.0.2.7", connect={"mx.test": "192.0.2.7"})
    assert ignored_host(route).refused_addresses == ("192.0.2.7",)
    route, _ = routed("[mx.left-alone.test]", {}, "left-alone.test", connect={"mx.left-alone.test": "127.0.0.1"})
    ignored_host(route)


def test_the_other_addresses_of_a_host_are_dialled_and_the_error_tells_of_the_rest() -> None:
    script = {"MX one.test": mx("mx.test"), "A mx.test": addresses("9.9.9.9", "192.0.2.7")}
    route, _ = routed("one.test", script, "192.0.2.0/24")
    (host,) = route.hosts
    assert (host.addresses, host.refused_addresses) == (("9.9.9.9",), ("192.0.2.7",))
    assert host.error is not None
    assert host.error.status == "ignored"
    assert "192.0.2.7" in host.error.text


def test_a_failing_dns_and_an_ignored_address_are_both_told() -> None:
    script = {
        "MX one.test": mx("mx.test"),
        "A mx.test": addresses("192.0.2.7"),
        "AAAA mx.test": DnsAnswer(status="timeout", canonical_name=""),
    }
    route, _ = routed("one.test", script, "192.0.2.0/24")
    (host,) = route.hosts
    assert host.error is not None
    assert (host.error.status, host.error.temporary) == ("timeout", True)
    assert "on the ignore list: 192.0.2.0/24 (192.0.2.7)" in host.error.text
