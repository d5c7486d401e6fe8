"""The resolver against real name servers on loopback, good and bad."""

from __future__ import annotations

import asyncio
from pathlib import Path

import dns.name
import pytest

from mxprobe.demo.name_server import NameServer, name_server
from mxprobe.errors import InvalidSetting, ResolverError
from mxprobe.network.resolver import FAILURE_TTL, MAX_QUESTIONS, Resolver, parse_resolver
from mxprobe.routing.addresses import RoutingPolicy
from mxprobe.routing.answers import Question, RecordType
from mxprobe.routing.route import DnsStatus, Route
from mxprobe.terms import parse_next_hop
from servers.faulty_name_server import Fault, faulty_name_server

ALLOW_PRIVATE = RoutingPolicy(allow_private=True)

SHORT = 0.2
"""Seconds to wait for answers that never come."""


def resolver(*servers: NameServer, timeout: float = 5.0, attempts: int = 2) -> Resolver:
    return Resolver(nameservers=tuple(server.address for server in servers), timeout=timeout, attempts=attempts)


async def route(next_hop: str, server: NameServer, policy: RoutingPolicy = ALLOW_PRIVATE) -> Route:
    return await resolver(server).route(parse_next_hop(next_hop), policy)


def mx(name: str) -> Question:
    return Question(name=name, type="MX")


WORLD = """
example.test.        MX    20 backup.example.test.
example.test.        MX    10 mx.example.test.
mx.example.test.     A     192.0.2.1
mx.example.test.     A     192.0.2.2
mx.example.test.     AAAA  2001:db8::1
backup.example.test. A     192.0.2.3

null.test.           MX    0 .
implicit.test.       A     192.0.2.4
bare.test.           TXT   "no mail here"
private.test.        MX    10 localhost.private.test.
localhost.private.test. A  127.0.0.1
localhost.private.test. AAAA ::ffff:127.0.0.1

alias.test.          CNAME example.test.
mxalias.test.        MX    10 a.mxalias.test.
a.mxalias.test.      CNAME b.mxalias.test.
b.mxalias.test.      CNAME mx.example.test.
dangling.test.       MX    10 a.dangling.test.
a.dangling.test.     CNAME gone.test.
loop.test.           MX    10 a.loop.test.
loop.test.           MX    20 self.loop.test.
a.loop.test.         CNAME b.loop.test.
b.loop.test.         CNAME a.loop.test.
self.loop.test.      CNAME self.loop.test.
"""


class TestRoutes:
    async def test_mx_hosts_with_all_their_addresses(self) -> None:
        async with name_server(WORLD) as server:
            found = await route("example.test", server)
        assert found.kind == "mx"
        assert [(host.preference, host.name, host.addresses) for host in found.hosts] == [
            (10, "mx.example.test", ("192.0.2.1", "192.0.2.2", "2001:db8::1")),
            (20, "backup.example.test", ("192.0.2.3",)),
        ]
        assert all(host.error is None for host in found.hosts)

    async def test_null_mx(self) -> None:
        async with name_server(WORLD) as server:
            assert (await route("null.test", server)).kind == "null-mx"
            assert server.questions == [("null.test", "MX", "udp")]

    async def test_implicit_mx_only_where_there_are_no_mx_records(self) -> None:
        async with name_server(WORLD) as server:
            implicit = await route("implicit.test", server)
            missing = await route("missing.test", server)
            bare = await route("bare.test", server)
        assert (implicit.kind, implicit.hosts[0].addresses) == ("implicit-mx", ("192.0.2.4",))
        assert missing.kind == "error"
        assert missing.error is not None
        assert missing.error.status == "nxdomain"
        assert bare.kind == "implicit-mx"
        assert bare.hosts[0].error is not None
        assert bare.hosts[0].error.status == "no-address"

    @pytest.mark.parametrize("chase", [True, False], ids=["resolver-like", "asks-on"])
    async def test_aliases_are_followed_in_answers_and_by_asking_on(self, chase: bool) -> None:
        async with name_server(WORLD, chase=chase) as server:
            domain = await route("alias.test", server)
            host = (await route("mxalias.test", server)).hosts[0]
            dangling = (await route("dangling.test", server)).hosts[0]
        assert domain.canonical_name == "example.test"
        assert [host.name for host in domain.hosts] == ["mx.example.test", "backup.example.test"]
        assert host.name == "a.mxalias.test"
        assert host.aliases == ("a.mxalias.test", "b.mxalias.test")
        assert host.canonical_name == "mx.example.test"
        assert host.addresses == ("192.0.2.1", "192.0.2.2", "2001:db8::1")
        assert dangling.canonical_name == "gone.test"
        assert dangling.error is not None
        assert dangling.error.status == "nxdomain"

    @pytest.mark.parametrize("chase", [True, False], ids=["resolver-like", "asks-on"])
    async def test_loops_end(self, chase: bool) -> None:
        async with name_server(WORLD, chase=chase) as server:
            found = await route("loop.test", server)
        assert [(host.name, host.canonical_name) for host in found.hosts] == [
            ("a.loop.test", "a.loop.test"),
            ("self.loop.test", "self.loop.test"),
        ]
        assert [host.error.status for host in found.hosts if host.error] == ["loop", "loop"]

    @pytest.mark.parametrize("chase", [True, False], ids=["resolver-like", "asks-on"])
    @pytest.mark.parametrize(("links", "status"), [(16, "ok"), (17, "loop"), (60, "loop")])
    async def test_chains_are_followed_for_sixteen_links(self, chase: bool, links: int, status: str) -> None:
        chain = "\n".join(f"{number}.test. CNAME {number + 1}.test." for number in range(links))
        async with name_server(f"{chain}\n{links}.test. A 192.0.2.1", chase=chase) as server:
            answer = await resolver(server).ask(Question(name="0.test", type="A"))
            assert len(server.questions) <= 17
        assert answer.status == status

    async def test_private_addresses_of_the_dns_are_refused(self) -> None:
        async with name_server(WORLD) as server:
            (host,) = (await route("private.test", server, RoutingPolicy())).hosts
        assert host.addresses == ()
        assert host.refused_addresses == ("127.0.0.1", "::ffff:7f00:1")
        assert host.error is not None
        assert host.error.status == "forbidden-address"

    async def test_addresses_that_need_no_dns_ask_nothing(self) -> None:
        policy = RoutingPolicy(connect={"mx.example.test": "127.0.0.1"})
        async with name_server(WORLD) as server:
            assert (await route("[::1]:25", server)).hosts[0].addresses == ("::1",)
            assert (await route("[mx.example.test]", server, policy)).hosts[0].addresses == ("127.0.0.1",)
            assert server.questions == []

    async def test_search_domains_are_not_applied(self, tmp_path: Path) -> None:
        async with name_server("mx.example.test. A 192.0.2.1") as server:
            conf = tmp_path / "resolv.conf"
            conf.write_text("search example.test\nnameserver 127.0.0.1\n")
            configured = Resolver(resolv_conf=str(conf))
            assert configured.nameservers == (("127.0.0.1", 53),)
            configured.nameservers = (server.address,)
            assert (await configured.ask(Question(name="mx", type="A"))).status == "nxdomain"
            assert server.questions == [("mx", "A", "udp")]


class TestMalformedMxNames:
    async def test_each_is_an_error_of_its_own_and_the_good_host_stays(self) -> None:
        label_of_bytes = b"\x00\x0a\x05a\xff\x00. \x04test\x00"
        address = b"\x00\x14" + b"".join(bytes([len(part)]) + part for part in (b"192", b"0", b"2", b"1")) + b"\x00"
        good = b"\x00\x1e" + dns.name.from_text("mx.example.test.").to_wire()
        assert isinstance(good, bytes)
        raw = {"raw.test": (label_of_bytes, address, good)}
        async with faulty_name_server(WORLD, raw_mx=raw) as server:
            found = await route("raw.test", server)
        assert [(host.preference, host.name) for host in found.hosts] == [
            (10, r"a\255\000\.\032.test"),
            (20, "192.0.2.1"),
            (30, "mx.example.test"),
        ]
        assert [host.error.status if host.error else None for host in found.hosts] == ["malformed", "malformed", None]

    @pytest.mark.parametrize("rdata", [b"", b"\x00", b"\x00\x0a", b"\x00\x0a\x40abc", b"\x00\x0a\x04test\x00junk"])
    async def test_a_record_that_is_none_makes_a_malformed_answer(self, rdata: bytes) -> None:
        async with faulty_name_server(raw_mx={"raw.test": (rdata,)}) as server:
            answer = await resolver(server, timeout=SHORT, attempts=1).ask(mx("raw.test"))
        assert answer.status == "malformed"


class TestFaults:
    async def ask(self, fault: Fault, records: str = WORLD) -> tuple[DnsStatus, str]:
        timeout = SHORT if fault in ("silent", "garbage", "wrong-id", "other-question") else 5.0
        async with faulty_name_server(records, faults={"example.test": fault}) as server:
            answer = await resolver(server, timeout=timeout, attempts=1).ask(mx("example.test"))
        return answer.status, answer.text

    @pytest.mark.parametrize(
        ("fault", "status", "said"),
        [
            ("servfail", "servfail", "127.0.0.1:"),
            ("refused", "refused", "127.0.0.1:"),
            ("silent", "timeout", "127.0.0.1:"),
            ("garbage", "malformed", "not a DNS message"),
            ("wrong-id", "malformed", "another id"),
            ("other-question", "malformed", "another question"),
            ("notimp", "malformed", "NOTIMP"),
            ("referral", "refused", "referral"),
            ("truncated-tcp-closes", "truncated", "closed"),
            ("truncated-twice", "truncated", "truncated there too"),
            ("truncated-tcp-servfail", "servfail", "127.0.0.1:"),
            ("truncated", "ok", ""),
            ("formerr-to-edns", "ok", ""),
            ("strays-then-answer", "ok", ""),
        ],
    )
    async def test_each_fault_is_told_apart(self, fault: Fault, status: DnsStatus, said: str) -> None:
        found, text = await self.ask(fault)
        assert found == status
        assert said in text

    async def test_an_answer_too_large_for_udp_comes_over_tcp_whole(self) -> None:
        hosts = [f"mx{number}.with-a-long-name-{number}.example.test" for number in range(60)]
        records = "\n".join(f"example.test. MX {number} {host}." for number, host in enumerate(hosts))
        async with name_server(records) as server:
            found = await route("example.test", server)
            assert server.questions[:2] == [("example.test", "MX", "udp"), ("example.test", "MX", "tcp")]
        assert [host.name for host in found.hosts] == hosts

    async def test_one_family_without_answer_leaves_the_addresses_of_the_other(self) -> None:
        async with faulty_name_server(WORLD, faults={"AAAA mx.example.test": "servfail"}) as server:
            host = (await route("example.test", server)).hosts[0]
        assert host.addresses == ("192.0.2.1", "192.0.2.2")
        assert host.error is not None
        assert (host.error.status, host.error.temporary) == ("servfail", True)
        assert host.error.text.startswith("AAAA of mx.example.test")

    async def test_a_silent_server_is_asked_again_and_one_that_failed_is_not(self) -> None:
        faults: dict[str, Fault] = {"silent.test": "silent", "broken.test": "servfail"}
        async with faulty_name_server(faults=faults) as server:
            asking = resolver(server, timeout=SHORT, attempts=3)
            await asyncio.gather(asking.ask(mx("silent.test")), asking.ask(mx("broken.test")))
            names = [name for name, _, _ in server.questions]
        assert (names.count("silent.test"), names.count("broken.test")) == (3, 1)

    @pytest.mark.parametrize("fault", ["servfail", "refused", "silent", "garbage", "truncated-tcp-closes"])
    async def test_the_next_name_server_is_asked_where_the_first_fails(self, fault: Fault) -> None:
        async with faulty_name_server(WORLD, faults={"example.test": fault}) as bad, name_server(WORLD) as good:
            answer = await resolver(bad, good, timeout=SHORT if fault in ("silent", "garbage") else 5.0).ask(
                mx("example.test")
            )
        assert answer.status == "ok"

    async def test_of_several_failures_the_most_telling_is_kept(self) -> None:
        async with (
            faulty_name_server(faults={"example.test": "silent"}) as silent,
            faulty_name_server(faults={"example.test": "servfail"}) as broken,
        ):
            answer = await resolver(silent, broken, timeout=SHORT, attempts=1).ask(mx("example.test"))
        assert answer.status == "servfail"

    async def test_a_name_that_the_dns_cannot_hold_is_malformed(self) -> None:
        async with name_server(WORLD) as server:
            for name in ("a..b", "x" * 64 + ".test", ".".join(["x" * 60] * 5)):
                assert (await resolver(server).ask(mx(name))).status == "malformed"
            assert server.questions == []


class Clock:
    """A clock that stands until it is told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class TestMemory:
    async def test_a_record_is_asked_again_when_its_ttl_is_over(self) -> None:
        clock = Clock()
        async with name_server("example.test. 60 MX 10 mx.example.test.") as server:
            asking = Resolver(nameservers=(server.address,), clock=clock)
            first = await asking.ask(mx("example.test"))
            clock.now = 59.9
            assert await asking.ask(mx("example.test")) == first
            assert len(server.questions) == 1
            clock.now = 60.0
            assert await asking.ask(mx("example.test")) == first
            assert len(server.questions) == 2

    @pytest.mark.parametrize("status", ["nxdomain", "servfail"])
    async def test_denials_and_failures_are_remembered_for_a_while(self, status: DnsStatus) -> None:
        clock = Clock()
        faults: dict[str, Fault] = {"example.test": "servfail"} if status == "servfail" else {}
        ttl = FAILURE_TTL if status == "servfail" else 300
        async with faulty_name_server(faults=faults) as server:
            asking = Resolver(nameservers=(server.address,), clock=clock)
            for now, questions in ((0, 1), (ttl - 1, 1), (ttl, 2)):
                clock.now = now
                assert (await asking.ask(mx("example.test"))).status == status
                assert len(server.questions) == questions

    async def test_a_ttl_of_zero_is_not_remembered(self) -> None:
        async with name_server("example.test. 0 MX 10 mx.example.test.") as server:
            asking = resolver(server)
            await asking.ask(mx("example.test"))
            await asking.ask(mx("example.test"))
            assert len(server.questions) == 2

    async def test_a_question_asked_twice_at_once_is_asked_once(self) -> None:
        async with name_server("example.test. 0 MX 10 mx.example.test.") as server:
            asking = resolver(server)
            first, *others = await asyncio.gather(*(asking.ask(mx("example.test")) for _ in range(50)))
            assert len(server.questions) == 1
        assert all(other == first for other in others)

    async def test_hosts_behind_several_aliases_are_asked_once(self) -> None:
        records = "\n".join(
            f"d{number}.test. MX 10 mx{number}.test.\nmx{number}.test. CNAME shared.test." for number in range(5)
        )
        async with name_server(f"{records}\nshared.test. A 192.0.2.1", chase=False) as server:
            asking = resolver(server)
            hops = [parse_next_hop(f"d{number}.test") for number in range(5)]
            routes = await asyncio.gather(*(asking.route(hop, ALLOW_PRIVATE) for hop in hops))
            assert sorted(question for question in server.questions if question[0] == "shared.test") == [
                ("shared.test", "A", "udp"),
                ("shared.test", "AAAA", "udp"),
            ]
        assert {found.hosts[0].addresses for found in routes} == {("192.0.2.1",)}

    async def test_a_cancelled_asker_does_not_take_the_answer_from_others(self) -> None:
        async with name_server(WORLD) as server:
            asking = resolver(server)
            impatient = asyncio.create_task(asking.ask(mx("example.test")))
            patient = asyncio.create_task(asking.ask(mx("example.test")))
            await asyncio.sleep(0)  # both have asked
            impatient.cancel()
            assert (await patient).status == "ok"
            assert len(server.questions) == 1

    async def test_types_are_different_questions(self) -> None:
        types: tuple[RecordType, ...] = ("A", "AAAA", "MX", "CNAME")
        async with name_server(WORLD) as server:
            asking = resolver(server)
            answers = [await asking.ask(Question(name="a.mxalias.test", type=rdtype)) for rdtype in types]
        assert [answer.status for answer in answers] == ["ok", "ok", "no-data", "ok"]
        assert answers[3].records == ("b.mxalias.test",)


class TestNameServers:
    @pytest.mark.parametrize(
        ("text", "address"),
        [
            ("127.0.0.1", ("127.0.0.1", 53)),
            ("127.0.0.1:5353", ("127.0.0.1", 5353)),
            ("[::1]:5353", ("::1", 5353)),
            ("[::1]", ("::1", 53)),
            ("::1", ("::1", 53)),
            (" 192.0.2.53 ", ("192.0.2.53", 53)),
        ],
    )
    def test_addresses_of_name_servers(self, text: str, address: tuple[str, int]) -> None:
        assert parse_resolver(text) == address

    @pytest.mark.parametrize(
        "text",
        [
            "",
            ":",
            ":53",
            "ns.example.test",
            "ns.example.test:53",
            "127.0.0.1:",
            "127.0.0.1:0",
            "127.0.0.1:65536",
            "127.0.0.1:domain",
            "127.0.0.1:٥٣",
            "[::1",
            "[::1]x",
            "[::1]:",
            "[ns]:53",
            "300.1.1.1",
            "1.2.3",
        ],
    )
    def test_nonsense_is_an_invalid_setting(self, text: str) -> None:
        with pytest.raises(InvalidSetting, match="--resolver: not a name server"):
            parse_resolver(text)

    async def test_nobody_listening_is_our_error_in_one_line(self) -> None:
        async with name_server("") as server:
            pass
        with pytest.raises(ResolverError) as caught:
            await resolver(server).route(parse_next_hop("example.test"))
        assert str(caught.value) == (
            f"no name server can be reached: 127.0.0.1:{server.address[1]}: Connection refused"
        )

    async def test_a_name_server_that_goes_away_during_a_run_does_not_end_the_run(self) -> None:
        async with name_server(WORLD) as server:
            asking = resolver(server)
            assert (await asking.ask(mx("example.test"))).status == "ok"
        found = await asking.route(parse_next_hop("null.test"))
        assert found.kind == "error"
        assert found.error is not None
        assert (found.error.status, found.error.temporary) == ("timeout", True)
        assert "Connection refused" in found.error.text

    async def test_a_dead_name_server_before_a_good_one_costs_nothing_but_time(self) -> None:
        async with name_server("") as dead:
            pass
        async with name_server(WORLD) as good:
            assert (await resolver(dead, good).ask(mx("example.test"))).status == "ok"

    @pytest.mark.parametrize("content", [None, "", "search example.test\n", "nameserver not-an-address\n"])
    def test_a_system_without_name_servers_is_our_error(self, content: str | None, tmp_path: Path) -> None:
        conf = tmp_path / "resolv.conf"
        if content is not None:
            conf.write_text(content)
        with pytest.raises(ResolverError, match=r"resolv\.conf"):
            Resolver(resolv_conf=str(conf))

    def test_no_name_server_given_is_our_error(self) -> None:
        with pytest.raises(ResolverError):
            Resolver(nameservers=())

    def test_no_more_than_three_are_used(self, tmp_path: Path) -> None:
        conf = tmp_path / "resolv.conf"
        conf.write_text("".join(f"nameserver 192.0.2.{number}\n" for number in range(1, 6)))
        assert Resolver(resolv_conf=str(conf)).nameservers == (("192.0.2.1", 53), ("192.0.2.2", 53), ("192.0.2.3", 53))


class TestManyHosts:
    HOSTS = "\n".join(
        f"example.test. MX {number} mx{number}.test.\nmx{number}.test. A 192.0.2.1" for number in range(90)
    )

    async def test_all_are_asked_for(self) -> None:
        async with name_server(self.HOSTS) as server:
            found = await route("example.test", server)
            assert len(server.questions) == 2 + 2 * 90  # MX over UDP and TCP, then A and AAAA
        assert [host.addresses for host in found.hosts] == [("192.0.2.1",)] * 90

    async def test_a_bounded_number_of_questions_is_on_its_way_at_a_time(self) -> None:
        faults: dict[str, Fault] = {f"mx{number}.test": "silent" for number in range(90)}
        async with faulty_name_server(self.HOSTS, faults=faults) as server:
            routing = asyncio.create_task(route("example.test", server))
            async with asyncio.timeout(10):
                while len(server.questions) < 2 + MAX_QUESTIONS:
                    await asyncio.sleep(0)
            for _ in range(100):  # what else were sent would arrive now
                await asyncio.sleep(0)
            assert len(server.questions) == 2 + MAX_QUESTIONS
            routing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await routing
