"""The Python API, end to end: `probe` judges one next-hop, `probe_endpoints` gives facts as they come."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import dns.resolver
import pytest
from OpenSSL import SSL

import mxprobe
from mxprobe.demo.world import DEMO_PROFILE_PROTOCOLS, DEMO_PROFILE_SUITES, DemoWorld, demo_world
from mxprobe.errors import InvalidNextHop, InvalidSetting, ResolverError, TrustStoreError
from mxprobe.facts import EndpointFacts, Target
from mxprobe.tls.suites import suite_named
from servers.certificates import Authority
from servers.memory_servers import openssl_flight, openssl_server
from servers.scripted import Conversation, Script, Scripted, scripted

PROFILE = mxprobe.Profile(
    name="ours",
    protocols=DEMO_PROFILE_PROTOCOLS,
    suites=tuple(suite_named(name).number for name in DEMO_PROFILE_SUITES),  # type: ignore[union-attr]
)

TIMEOUTS = mxprobe.Timeouts(quit=0.1)


@pytest.fixture(scope="module")
def tls() -> SSL.Context:
    return openssl_server(Authority.root().leaf("mx.test"))


@pytest.fixture
def ca_file(tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    path.write_bytes(Authority.root().pem)
    return str(path)


def settings_for(world: DemoWorld) -> mxprobe.ProbeSettings:
    """The settings of the demo: its name server, its CA, its profile; nobody there has to be spared."""
    return mxprobe.ProbeSettings(
        ehlo="probe.example",
        resolver=world.resolver,
        ca_file=str(world.ca_file),
        allow_private=True,
        depth="standard",
        profiles=(PROFILE,),
        limits=mxprobe.Limits(per_address=8),
        timeouts=TIMEOUTS,
        deadline=4,  # limited.example would have us wait for ever
    )


def alone(ca_file: str, **changes: object) -> mxprobe.ProbeSettings:
    """The settings for servers without a world around them."""
    return mxprobe.ProbeSettings(
        ehlo="probe.example",
        ca_file=ca_file,
        depth="quick",
        timeouts=TIMEOUTS,
        **changes,  # type: ignore[arg-type]
    )


def server_by(tls: SSL.Context) -> Script:
    """A script that answers one hello a connection as OpenSSL does."""

    async def server(client: Conversation) -> None:
        await client.up_to_tls()
        hello = await client.hear_bytes()
        if len(hello) > 7:
            await client.send(openssl_flight(tls, hello))
            await client.hear_the_rest()

    return server


def at(server: Scripted, address: str = "127.0.0.1") -> str:
    return f"[{address}]:{server.port}"


async def all_facts(found: AsyncIterator[EndpointFacts]) -> list[EndpointFacts]:
    return [facts async for facts in found]


# probe


def states(target: Target, verdict_id: str) -> set[str]:
    return {verdict.state for verdict in target.verdicts if verdict.id == verdict_id}


FOUND = {
    "good.example": {
        "starttls": "yes",
        "trusted": "yes",
        "name-matches": "yes",
        "not-expired": "yes",
        "shared-cipher": "yes",
        "needs-sslv3": "no",
        "null-mx": "no",
    },
    # RFC 9525 knows no CNAME: the name in the MX record counts.
    "cname.example": {"starttls": "yes", "trusted": "yes", "name-matches": "no"},
    "ssl3-only.example": {"starttls": "yes", "needs-sslv3": "yes", "shared-cipher": "no"},
    "no-shared-cipher.example": {"starttls": "yes", "needs-sslv3": "no", "shared-cipher": "no", "trusted": "yes"},
    "expired.example": {"starttls": "yes", "trusted": "no", "not-expired": "no", "name-matches": "yes"},
    "self-signed.example": {"trusted": "no", "not-expired": "yes"},
    "wrong-name.example": {"trusted": "yes", "name-matches": "no"},
    "incomplete-chain.example": {"trusted": "no", "name-matches": "yes"},
    "broken-tls.example": {"starttls": "no", "shared-cipher": "unknown", "needs-sslv3": "unknown"},
    "refused-tls.example": {"starttls": "unknown", "needs-sslv3": "unknown", "trusted": "unknown"},
    "no-starttls.example": {"starttls": "no", "trusted": "unknown"},
    "slow.example": {"starttls": "yes", "trusted": "yes"},
    "customer-one.example": {"starttls": "yes", "trusted": "yes", "name-matches": "yes"},
    "customer-two.example": {"starttls": "yes", "trusted": "yes", "name-matches": "yes"},
    "null-mx.example": {"null-mx": "yes"},
    "no-such-domain.example": {"starttls": "unknown"},
}
"""What is to be found in the world, by how its servers are set up; 454 and 421 are never a "no"."""


async def test_every_server_of_the_world_is_judged_for_what_it_is() -> None:
    async with demo_world() as world:
        targets = await asyncio.gather(*(mxprobe.probe(hop, settings_for(world)) for hop in world.next_hops))
    found = {target.next_hop.partition(":")[0]: target for target in targets}
    assert found.keys() == {*FOUND, "limited.example"}
    seen = {
        domain: {verdict_id: "/".join(states(found[domain], verdict_id)) for verdict_id in expected}
        for domain, expected in FOUND.items()
    }
    assert seen == FOUND
    # What a server that throttles did not tell is unknown, whichever of its few answers came first.
    limited = found["limited.example"]
    assert states(limited, "starttls") == states(limited, "trusted") == {"yes"}
    assert states(limited, "shared-cipher") <= {"yes", "unknown"}
    assert "unknown" in {each.state for each in limited.endpoints[0].protocols.values()}
    assert "refused" not in {each.state for each in limited.endpoints[0].protocols.values()}


async def test_what_is_not_dialled_has_a_route_and_no_endpoints() -> None:
    async with demo_world() as world:
        nobody = await mxprobe.probe("null-mx.example", settings_for(world))
        nowhere = await mxprobe.probe("no-such-domain.example", settings_for(world))
    assert (nobody.route.kind, nobody.endpoints) == ("null-mx", ())
    assert (nowhere.route.kind, nowhere.endpoints) == ("error", ())
    assert nowhere.route.error is not None
    assert nowhere.route.error.status == "nxdomain"


async def test_private_addresses_from_the_dns_are_not_dialled_unless_allowed() -> None:
    async with demo_world() as world:
        settings = mxprobe.ProbeSettings(resolver=world.resolver, ca_file=str(world.ca_file))
        target = await mxprobe.probe(world.next_hops[0], settings)
    assert target.endpoints == ()
    assert all(ipaddress.ip_address(a).is_loopback for host in target.route.hosts for a in host.refused_addresses)
    assert states(target, "starttls") == {"unknown"}


async def test_a_quick_probe_costs_one_connection_and_one_a_profile() -> None:
    async with demo_world() as world:
        (hop,) = (hop for hop in world.next_hops if hop.startswith("good."))
        settings = settings_for(world)
        quick = mxprobe.ProbeSettings(
            resolver=settings.resolver,
            ca_file=settings.ca_file,
            allow_private=True,
            depth="quick",
            profiles=(PROFILE,),
            limits=mxprobe.Limits(per_address=1),
            timeouts=TIMEOUTS,
        )
        (facts,) = (await mxprobe.probe(hop, quick)).endpoints
    assert facts.connections == 2
    assert facts.protocols == {}
    assert facts.natural is not None
    assert facts.natural.protocol == "TLSv1.3"
    assert facts.profiles[0].state == "yes"


async def test_an_address_can_be_given_for_a_name(tls: SSL.Context, ca_file: str) -> None:
    async with scripted(server_by(tls)) as server:
        settings = alone(ca_file, connect={"mail.example": "127.0.0.1"})
        target = await mxprobe.probe(f"[mail.example]:{server.port}", settings)
    (facts,) = target.endpoints
    assert (facts.host, facts.address, facts.port) == ("mail.example", "127.0.0.1", server.port)


async def test_an_address_needs_no_name_server(tls: SSL.Context, ca_file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_resolver(*_: object, **__: object) -> None:
        raise dns.resolver.NoResolverConfiguration("no nameservers")

    monkeypatch.setattr(dns.resolver, "Resolver", no_resolver)
    async with scripted(server_by(tls)) as server:
        (facts,) = (await mxprobe.probe(at(server), alone(ca_file))).endpoints
        assert server.connections == facts.connections
        with pytest.raises(ResolverError):
            await mxprobe.probe("example.com", alone(ca_file))


async def test_cancelling_a_probe_closes_its_connections(ca_file: str) -> None:
    reached = asyncio.Event()

    async def server(client: Conversation) -> None:
        reached.set()
        await client.hear_the_rest()

    async with scripted(server) as running:
        probing = asyncio.create_task(mxprobe.probe(at(running), alone(ca_file)))
        async with asyncio.timeout(5):
            await reached.wait()
        probing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await probing
        await running.finished()
        assert running.heard == b""


# probe_endpoints


async def test_each_endpoint_comes_once_whichever_next_hops_lead_to_it() -> None:
    async with demo_world() as world:
        hops = [hop for hop in world.next_hops if hop.startswith("customer-")]
        assert len(hops) == 2
        found = await all_facts(mxprobe.probe_endpoints([*hops, *hops], settings_for(world)))
    assert [facts.host for facts in found] == ["mx.shared.example"]


async def test_the_same_address_under_two_names_is_two_endpoints(tls: SSL.Context, ca_file: str) -> None:
    # The name is told to the server (SNI), and matched against its certificate.
    async with scripted(server_by(tls)) as server:
        settings = alone(ca_file, connect={"one.example": "127.0.0.1", "two.example": "127.0.0.1"})
        hops = [f"[one.example]:{server.port}", f"[two.example]:{server.port}"]
        found = await all_facts(mxprobe.probe_endpoints(hops, settings))
        assert server.most_at_once <= settings.limits.per_address
    assert sorted(facts.host for facts in found) == ["one.example", "two.example"]


async def test_facts_come_as_soon_as_they_are_known(tls: SSL.Context, ca_file: str) -> None:
    first_is_told = asyncio.Event()

    async def waits(client: Conversation) -> None:
        await first_is_told.wait()
        await client.say("421 later")

    async def turns_away(client: Conversation) -> None:
        await client.say("421 later")

    async with scripted(waits, "127.0.0.2") as slow, scripted(turns_away) as quick, asyncio.timeout(10):
        order = []
        async for facts in mxprobe.probe_endpoints([at(slow, "127.0.0.2"), at(quick)], alone(ca_file)):
            order.append(facts.port)
            first_is_told.set()
    assert order == [quick.port, slow.port]


async def test_nothing_to_probe_gives_nothing(ca_file: str) -> None:
    assert await all_facts(mxprobe.probe_endpoints([], alone(ca_file))) == []


async def test_what_has_no_endpoint_gives_nothing() -> None:
    async with demo_world() as world:
        hops = ["null-mx.example", "no-such-domain.example"]
        assert await all_facts(mxprobe.probe_endpoints(hops, settings_for(world))) == []


async def test_leaving_the_loop_ends_what_is_under_way(ca_file: str) -> None:
    async def silent(client: Conversation) -> None:
        await client.hear_the_rest()

    async def turns_away(client: Conversation) -> None:
        await client.say("421 later")

    async with scripted(silent, "127.0.0.2") as slow, scripted(turns_away) as quick:
        async with aclosing(mxprobe.probe_endpoints([at(slow, "127.0.0.2"), at(quick)], alone(ca_file))) as found:  # type: ignore[type-var]
            async for facts in found:
                assert facts.port == quick.port
                break
        await slow.finished()


# Errors: before anything is dialled, one of ours, with one line


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"next_hop": "[mx.example"}, InvalidNextHop),
        ({"ca_file": "/nonexistent/ca.pem"}, TrustStoreError),
        ({"ca_path": "/nonexistent"}, TrustStoreError),
        ({"connect": {"mx.example": "not an address"}}, InvalidSetting),
    ],
)
async def test_mistakes_are_found_before_anything_is_dialled(
    ca_file: str, wrong: dict[str, object], error: type[mxprobe.MxprobeError]
) -> None:
    async def never(client: Conversation) -> None:
        raise AssertionError("it was dialled")

    hop = str(wrong.pop("next_hop", "[127.0.0.1]:9"))
    async with scripted(never) as server:
        settings = alone(**{"ca_file": ca_file, **wrong})  # type: ignore[arg-type]
        with pytest.raises(error) as raised:
            await all_facts(mxprobe.probe_endpoints([at(server), hop], settings))
        assert issubclass(error, mxprobe.MxprobeError)
        assert len(str(raised.value).splitlines()) == 1
        with pytest.raises(error):
            await mxprobe.probe(hop if error is InvalidNextHop else at(server), settings)
        assert server.connections == 0


async def test_a_name_server_that_is_not_there_is_an_error_of_ours_from_both(ca_file: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unused:
        unused.bind(("127.0.0.1", 0))
        nobody = unused.getsockname()
    settings = alone(ca_file, resolver=nobody)
    with pytest.raises(ResolverError):
        await mxprobe.probe("mail.example", settings)
    with pytest.raises(ResolverError):
        await all_facts(mxprobe.probe_endpoints(["mail.example", "mail.test"], settings))


def test_every_public_name_is_there_and_no_other() -> None:
    for name in mxprobe.__all__:
        assert getattr(mxprobe, name).__name__ == name
    with pytest.raises(AttributeError, match="has no attribute 'scan'"):
        mxprobe.scan  # type: ignore[attr-defined]  # noqa: B018
