"""The route of a next-hop, from scripted answers: RFC 5321 §5.1, RFC 7505, RFC 2181 §10.3."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxprobe.routing.addresses import PUBLIC_ADDRESSES, RoutingPolicy
from mxprobe.routing.answers import DnsAnswer, MxRecord, Question, Record
from mxprobe.routing.resolution import MAX_ADDRESSES, MAX_MX_HOSTS, resolve_route
from mxprobe.routing.route import DnsStatus, Route
from mxprobe.terms import parse_next_hop

Script = Mapping[str, DnsAnswer]
"""Answers by "TYPE name". Any other name has no such records."""


def answer(*records: str | tuple[int, str], via: tuple[str, ...] = (), status: DnsStatus = "ok") -> DnsAnswer:
    """An answer with addresses or MX records; `via` is the chain of aliases and, last, the canonical name."""
    read: tuple[Record, ...] = tuple(
        ipaddress.ip_address(record) if isinstance(record, str) else MxRecord(preference=record[0], exchange=record[1])
        for record in records
    )
    canonical = via[-1] if via else "unaliased.test"
    return DnsAnswer(status=status, canonical_name=canonical, records=read, aliases=via[:-1])


def failed(status: DnsStatus, text: str = "") -> DnsAnswer:
    return DnsAnswer(status=status, canonical_name="", text=text)


def resolve(
    next_hop: str, script: Script, *, policy: RoutingPolicy = PUBLIC_ADDRESSES
) -> tuple[Route, list[tuple[str, ...]]]:
    """The route, and the rounds of questions that it took."""
    rounds = []
    resolution = resolve_route(parse_next_hop(next_hop), policy)
    try:
        questions = next(resolution)
        while True:
            rounds.append(tuple(str(question) for question in questions))
            questions = resolution.send(tuple(_scripted(script, question) for question in questions))
    except StopIteration as end:
        return end.value, rounds


def _scripted(script: Script, question: Question) -> DnsAnswer:
    return script.get(f"{question.type} {question.name}", failed("no-data"))


ONE_MX = {"MX example.test": answer((10, "mx.example.test"))}


class TestNextHops:
    def test_an_address_is_taken_as_it_is_even_a_private_one(self) -> None:
        route, rounds = resolve("[127.0.0.1]:2525", {})
        assert rounds == []
        assert route.kind == "literal"
        (host,) = route.hosts
        assert (host.name, host.addresses, host.preference, host.error) == ("127.0.0.1", ("127.0.0.1",), None, None)

    def test_an_ipv6_address_is_a_literal(self) -> None:
        route, _ = resolve("[IPv6:2001:db8::1]", {})
        assert route.kind == "literal"
        assert route.hosts[0].addresses == ("2001:db8::1",)

    def test_a_bracketed_name_has_no_mx_lookup(self) -> None:
        route, rounds = resolve("[mx.example.test]:26", {"A mx.example.test": answer("9.9.9.9")})
        assert rounds == [("A of mx.example.test", "AAAA of mx.example.test")]
        assert route.kind == "literal"
        assert route.hosts[0].addresses == ("9.9.9.9",)
        assert route.hosts[0].preference is None

    def test_a_bracketed_name_that_resolves_to_a_private_address_did_not_name_it(self) -> None:
        route, _ = resolve("[mx.example.test]", {"A mx.example.test": answer("127.0.0.1")})
        assert route.hosts[0].addresses == ()
        assert route.hosts[0].refused_addresses == ("127.0.0.1",)
        assert route.hosts[0].error is not None
        assert route.hosts[0].error.status == "forbidden-address"

    def test_all_addresses_of_all_mx_hosts_are_asked_in_one_round(self) -> None:
        script = {"MX example.test": answer((20, "b.example.test"), (10, "a.example.test"))}
        _, rounds = resolve("example.test", script)
        assert rounds == [
            ("MX of example.test",),
            ("A of a.example.test", "AAAA of a.example.test", "A of b.example.test", "AAAA of b.example.test"),
        ]


class TestMxRecords:
    def test_hosts_come_by_preference_then_by_name(self) -> None:
        mx = answer((20, "c.test"), (10, "z.test"), (10, "a.test"), (0, "m.test"))
        route, _ = resolve("example.test", {"MX example.test": mx})
        assert route.kind == "mx"
        assert [(host.preference, host.name) for host in route.hosts] == [
            (0, "m.test"),
            (10, "a.test"),
            (10, "z.test"),
            (20, "c.test"),
        ]

    def test_a_host_named_twice_keeps_its_lowest_preference(self) -> None:
        mx = answer((30, "a.test"), (20, "b.test"), (10, "a.test"))
        route, _ = resolve("example.test", {"MX example.test": mx})
        assert [(host.preference, host.name) for host in route.hosts] == [(10, "a.test"), (20, "b.test")]

    def test_every_a_and_aaaa_address_is_kept_a_first_each_once(self) -> None:
        script = {
            **ONE_MX,
            "A mx.example.test": answer("9.9.9.9", "8.8.8.8", "9.9.9.9"),
            "AAAA mx.example.test": answer("2620:fe::fe", "2620:fe::9"),
        }
        route, _ = resolve("example.test", script)
        assert route.hosts[0].addresses == ("9.9.9.9", "8.8.8.8", "2620:fe::fe", "2620:fe::9")
        assert route.hosts[0].error is None

    def test_a_domain_that_is_an_alias(self) -> None:
        mx = answer((10, "mx.real.test"), via=("example.test", "real.test"))
        route, _ = resolve("example.test", {"MX example.test": mx})
        assert route.canonical_name == "real.test"

    def test_a_domain_that_is_no_alias_has_no_canonical_name(self) -> None:
        assert resolve("example.test", ONE_MX)[0].canonical_name is None

    def test_only_the_first_hundred_hosts_are_looked_at_and_the_route_says_so(self) -> None:
        mx = answer(*((number, f"mx{number}.test") for number in range(MAX_MX_HOSTS + 50)))
        route, _ = resolve("example.test", {"MX example.test": mx})
        assert route.kind == "mx"
        assert [host.preference for host in route.hosts] == list(range(MAX_MX_HOSTS))
        assert route.error is not None
        assert "150 MX hosts" in route.error.text


class TestNullMx:
    @pytest.mark.parametrize("preference", [0, 10])
    def test_a_null_mx_is_an_answer_and_nothing_more_is_asked(self, preference: int) -> None:
        route, rounds = resolve("example.test", {"MX example.test": answer((preference, "."))})
        assert route == Route(kind="null-mx")
        assert len(rounds) == 1

    def test_a_null_mx_beside_others_is_an_error_and_the_others_stay(self) -> None:
        script = {"MX example.test": answer((0, "."), (10, "mx.example.test")), "A mx.example.test": answer("9.9.9.9")}
        route, _ = resolve("example.test", script)
        assert route.kind == "mx"
        null, other = route.hosts
        assert null.error is not None
        assert (null.error.status, null.error.temporary) == ("null-mx-mixed", False)
        assert other.addresses == ("9.9.9.9",)


class TestImplicitMx:
    def test_a_domain_without_mx_records_is_its_own_mx_host(self) -> None:
        route, _ = resolve("example.test", {"A example.test": answer("9.9.9.9")})
        assert route.kind == "implicit-mx"
        (host,) = route.hosts
        assert (host.name, host.preference, host.addresses) == ("example.test", 0, ("9.9.9.9",))

    def test_a_domain_with_neither_mx_nor_address(self) -> None:
        route, _ = resolve("example.test", {})
        assert route.kind == "implicit-mx"
        assert route.hosts[0].error is not None
        assert route.hosts[0].error.status == "no-address"

    @pytest.mark.parametrize(
        ("status", "temporary"),
        [
            ("nxdomain", False),
            ("servfail", True),
            ("refused", True),
            ("timeout", True),
            ("truncated", True),
            ("malformed", True),
            ("loop", False),
        ],
    )
    def test_anything_but_no_records_is_an_error_and_no_implicit_mx(self, status: DnsStatus, temporary: bool) -> None:
        script = {"MX example.test": failed(status, "192.0.2.53:53"), "A example.test": answer("9.9.9.9")}
        route, rounds = resolve("example.test", script)
        assert route.kind == "error"
        assert route.hosts == ()
        assert len(rounds) == 1
        assert route.error is not None
        assert (route.error.status, route.error.temporary) == (status, temporary)
        assert route.error.text.startswith("MX of example.test: ")
        assert "192.0.2.53:53" in route.error.text

    def test_mx_hosts_without_address_do_not_make_the_domain_an_mx_host(self) -> None:
        route, _ = resolve("example.test", {**ONE_MX, "A example.test": answer("9.9.9.9")})
        assert route.kind == "mx"
        assert [host.name for host in route.hosts] == ["mx.example.test"]


class TestMxHostNames:
    def test_an_mx_host_that_is_an_alias_keeps_both_names(self) -> None:
        via = ("mx.example.test", "alias.test", "real.test")
        route, _ = resolve("example.test", {**ONE_MX, "A mx.example.test": answer("9.9.9.9", via=via)})
        (host,) = route.hosts
        assert host.name == "mx.example.test"
        assert host.canonical_name == "real.test"
        assert host.aliases == ("mx.example.test", "alias.test")
        assert host.addresses == ("9.9.9.9",)
        assert host.error is None

    def test_the_canonical_name_is_known_from_either_question(self) -> None:
        via = ("mx.example.test", "real.test")
        script = {
            **ONE_MX,
            "A mx.example.test": failed("timeout"),
            "AAAA mx.example.test": answer("2620:fe::9", via=via),
        }
        route, _ = resolve("example.test", script)
        assert route.hosts[0].canonical_name == "real.test"

    @pytest.mark.parametrize(
        "exchange",
        [
            "192.0.2.25",
            "2001:db8::25",
            "mx..example.test",
            "two\\032words.test",
            "\\255\\000.test",
            "a\\.b.test",
            "-mx.test",
            "mx-.test",
            "x" * 64 + ".test",
            ".".join(["x" * 60] * 5),
            "mx.exämple.test",
            "mx.123",
            "",
        ],
    )
    def test_a_malformed_name_is_a_hard_error_of_that_host_alone(self, exchange: str) -> None:
        script = {"MX example.test": answer((10, exchange), (20, "mx.example.test")), **GOOD_ADDRESS}
        route, rounds = resolve("example.test", script)
        malformed, good = route.hosts
        assert malformed.name == exchange
        assert malformed.error is not None
        assert (malformed.error.status, malformed.error.temporary) == ("malformed", False)
        assert malformed.addresses == ()
        assert good.addresses == ("9.9.9.9",)
        assert rounds[1] == ("A of mx.example.test", "AAAA of mx.example.test")

    @given(st.lists(st.tuples(st.integers(0, 65535), st.text(max_size=300)), max_size=8))
    def test_no_name_crashes(self, records: list[tuple[int, str]]) -> None:
        route, _ = resolve("example.test", {"MX example.test": answer(*records)})
        assert {host.name for host in route.hosts} == {name for _, name in records} or route.kind in (
            "null-mx",
            "implicit-mx",
        )
        assert all(host.error is not None for host in route.hosts)


GOOD_ADDRESS = {"A mx.example.test": answer("9.9.9.9")}


class TestHostErrors:
    def error_of(self, ipv4: DnsAnswer, ipv6: DnsAnswer) -> tuple[tuple[str, ...], str | None, bool | None]:
        script = {**ONE_MX, "A mx.example.test": ipv4, "AAAA mx.example.test": ipv6}
        route, _ = resolve("example.test", script)
        assert route.kind == "mx"
        (host,) = route.hosts
        if host.error is None:
            return host.addresses, None, None
        return host.addresses, host.error.status, host.error.temporary

    def test_no_address(self) -> None:
        assert self.error_of(failed("no-data"), failed("no-data")) == ((), "no-address", False)

    def test_nxdomain(self) -> None:
        assert self.error_of(failed("nxdomain"), failed("nxdomain")) == ((), "nxdomain", False)

    def test_nxdomain_to_aaaa_alone_is_a_broken_name_server_and_not_a_missing_name(self) -> None:
        # RFC 4074 §4.2
        assert self.error_of(answer("9.9.9.9"), failed("nxdomain")) == (("9.9.9.9",), None, None)
        assert self.error_of(failed("no-data"), failed("nxdomain")) == ((), "no-address", False)

    @pytest.mark.parametrize("status", ["servfail", "refused", "timeout", "truncated", "malformed"])
    def test_without_an_answer_we_do_not_know(self, status: DnsStatus) -> None:
        assert self.error_of(failed(status), failed("no-data")) == ((), status, True)
        assert self.error_of(failed("nxdomain"), failed(status)) == ((), status, True)

    def test_addresses_beside_a_question_without_answer_are_kept_with_the_error(self) -> None:
        assert self.error_of(answer("9.9.9.9"), failed("servfail")) == (("9.9.9.9",), "servfail", True)

    def test_a_loop_is_permanent(self) -> None:
        assert self.error_of(failed("loop"), failed("loop")) == ((), "loop", False)

    def test_hosts_fail_each_for_itself(self) -> None:
        script = {
            "MX example.test": answer((10, "gone.test"), (20, "slow.test"), (30, "mx.example.test")),
            "A gone.test": failed("nxdomain"),
            "AAAA gone.test": failed("nxdomain"),
            "A slow.test": failed("timeout"),
            "AAAA slow.test": failed("timeout"),
            **GOOD_ADDRESS,
        }
        route, _ = resolve("example.test", script)
        assert [host.error.status if host.error else None for host in route.hosts] == ["nxdomain", "timeout", None]

    def test_more_addresses_than_anybody_needs_are_cut_and_the_host_says_so(self) -> None:
        many = tuple(f"9.9.{number // 250}.{number % 250}" for number in range(MAX_ADDRESSES + 100))
        route, _ = resolve("example.test", {**ONE_MX, "A mx.example.test": answer(*many)})
        assert route.hosts[0].addresses == many[:MAX_ADDRESSES]
        assert route.hosts[0].error is not None
        assert "164 addresses" in route.hosts[0].error.text


MIXED: Script = {
    **ONE_MX,
    "A mx.example.test": answer("10.0.0.1", "9.9.9.9"),
    "AAAA mx.example.test": answer("::1", "::ffff:192.168.0.1"),
}


class TestAddressesThatAreNotDialled:
    def test_private_addresses_are_set_apart(self) -> None:
        route, _ = resolve("example.test", MIXED)
        (host,) = route.hosts
        assert host.addresses == ("9.9.9.9",)
        assert host.refused_addresses == ("10.0.0.1", "::1", "::ffff:c0a8:1")
        assert host.error is None

    def test_a_host_with_none_but_private_addresses_is_an_error(self) -> None:
        route, _ = resolve("example.test", {**ONE_MX, "A mx.example.test": answer("127.0.0.1")})
        (host,) = route.hosts
        assert host.error is not None
        assert (host.error.status, host.error.temporary) == ("forbidden-address", False)
        assert "127.0.0.1" in host.error.text

    def test_the_user_may_allow_them(self) -> None:
        route, _ = resolve("example.test", MIXED, policy=RoutingPolicy(allow_private=True))
        assert route.hosts[0].addresses == ("10.0.0.1", "9.9.9.9", "::1", "::ffff:c0a8:1")
        assert route.hosts[0].refused_addresses == ()


class TestConnect:
    def test_the_dns_is_not_asked_for_a_host_whose_address_the_user_gave(self) -> None:
        policy = RoutingPolicy(connect={"MX.example.test": "127.0.0.1"})
        route, rounds = resolve("example.test", {**ONE_MX, **GOOD_ADDRESS}, policy=policy)
        assert rounds == [("MX of example.test",)]
        (host,) = route.hosts
        assert (host.name, host.addresses, host.error) == ("mx.example.test", ("127.0.0.1",), None)

    def test_a_bracketed_name_with_a_given_address_needs_no_dns_at_all(self) -> None:
        policy = RoutingPolicy(connect={"mx.example.test": "192.168.0.9"})
        route, rounds = resolve("[mx.example.test]:26", {}, policy=policy)
        assert rounds == []
        assert route.kind == "literal"
        assert route.hosts[0].addresses == ("192.168.0.9",)

    def test_other_hosts_are_asked_for_as_ever(self) -> None:
        script = {"MX example.test": answer((5, "near.test"), (10, "mx.example.test")), **GOOD_ADDRESS}
        route, _ = resolve("example.test", script, policy=RoutingPolicy(connect={"near.test": "10.0.0.1"}))
        assert [host.addresses for host in route.hosts] == [("10.0.0.1",), ("9.9.9.9",)]
