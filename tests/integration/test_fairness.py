"""Many targets at once: limits that they share, and one that hangs or is out of connections holds up no other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest

import mxprobe
from mxprobe import Limits, ProbeSettings
from mxprobe.demo.name_server import name_server
from mxprobe.probing.prober import Prober, TargetProbe
from mxprobe.terms import parse_next_hop
from servers.openssl_server import openssl_server
from servers.running import RunningServer
from servers.smtp_front import Script, smtp_front

ADDRESSES = tuple(f"127.0.0.{number}" for number in range(2, 8))


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with openssl_server(cipher="ECDHE+AES128:AES256-SHA:@SECLEVEL=0", protocols=("TLSv1.2", "TLSv1.3")) as running:
        yield running


async def test_a_provider_that_hangs_holds_up_no_other(server: RunningServer) -> None:
    """Six addresses of it and one of another, with connections for two endpoints: only one of them may hang."""
    records = [f"slow{number}.hanging.test. A {address}" for number, address in enumerate(ADDRESSES)]
    async with name_server("\n".join([*records, "mx.fine.test. A 127.0.1.1\n"])) as dns:
        with (
            smtp_front(script=Script(after_starttls="hang"), addresses=ADDRESSES) as hanging,
            smtp_front(server, addresses=("127.0.1.1",)) as fine,
        ):
            limits = Limits(connections=4, per_address=2, per_provider=2)
            settings = ProbeSettings(resolver=dns.address, allow_private=True, depth="full", limits=limits)
            prober = Prober(settings)
            stuck = [
                asyncio.create_task(prober.target(parse_next_hop(f"[slow{number}.hanging.test]:{hanging.port}")))
                for number in range(len(ADDRESSES))
            ]
            try:
                await until(lambda: hanging.connections > 0)
                async with asyncio.timeout(30):
                    found = await prober.target(parse_next_hop(f"[mx.fine.test]:{fine.port}"))
                assert not any(task.done() for task in stuck)
            finally:
                for task in stuck:
                    task.cancel()
                await asyncio.gather(*stuck, return_exceptions=True)
                await prober.close()
            assert complete(found)
            assert hanging.most_at_once <= 2


async def test_a_provider_whose_minute_is_used_up_holds_up_no_other_and_loses_no_time(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mxprobe.network.budget.WINDOW_SECONDS", 3.0)  # a short minute
    records = "one.busy.test. A 127.0.0.2\ntwo.busy.test. A 127.0.0.3\nmx.fine.test. A 127.0.1.1\n"
    async with name_server(records) as dns:
        with smtp_front(server, addresses=("127.0.0.2", "127.0.0.3", "127.0.1.1")) as front:
            limits = Limits(per_address=2, per_provider_per_minute=16)
            settings = ProbeSettings(
                resolver=dns.address, allow_private=True, depth="standard", limits=limits, deadline=1
            )
            prober = Prober(settings)
            busy = [
                asyncio.create_task(prober.target(parse_next_hop(f"[{name}.busy.test]:{front.port}")))
                for name in ("one", "two")
            ]
            try:
                await until(lambda: front.connections == 8)
                fine = await prober.target(parse_next_hop(f"[mx.fine.test]:{front.port}"))
                assert not all(task.done() for task in busy)
                targets = await asyncio.gather(*busy)
            finally:
                for task in busy:
                    task.cancel()
                await asyncio.gather(*busy, return_exceptions=True)
                await prober.close()
    assert complete(fine)
    # Each took longer than its deadline, which stood still while there was no connection to be had.
    assert all(map(complete, targets))
    assert all(target.target.endpoints[0].elapsed_seconds > 1 for target in targets)


async def test_all_addresses_of_a_provider_share_its_places(server: RunningServer) -> None:
    hosts = "".join(f"mx.test. A {address}\n" for address in ADDRESSES)
    async with name_server(f"pool.test. MX 10 mx.test.\n{hosts}") as dns:
        with smtp_front(server, addresses=ADDRESSES) as front:
            settings = ProbeSettings(
                resolver=dns.address, allow_private=True, depth="standard", limits=Limits(per_provider=3)
            )
            target = await mxprobe.probe(f"pool.test:{front.port}", settings)
    assert len(target.endpoints) == len(ADDRESSES)
    assert all(endpoint.starttls.state == "works" for endpoint in target.endpoints)
    # The server may not have seen yet that one address was left for the next.
    assert front.most_at_once <= 2 * 3


async def test_hosts_of_different_providers_in_one_network_share_its_places(server: RunningServer) -> None:
    async with name_server("".join(f"mx.p{n}.test. A {a}\n" for n, a in enumerate(ADDRESSES))) as dns:
        with smtp_front(server, addresses=ADDRESSES) as front:
            next_hops = [f"[mx.p{number}.test]:{front.port}" for number in range(len(ADDRESSES))]
            limits = Limits(per_provider=2)
            settings = ProbeSettings(resolver=dns.address, allow_private=True, depth="standard", limits=limits)
            found = [facts async for facts in mxprobe.probe_endpoints(next_hops, settings)]
    assert [facts.starttls.state for facts in found] == ["works"] * len(ADDRESSES)
    assert front.most_at_once <= 2 * 2


def complete(found: TargetProbe) -> bool:
    """Whether every version was asked, and is as the server has it."""
    (endpoint,) = found.target.endpoints
    accepted = [name for name, seen in endpoint.protocols.items() if seen.state == "accepted"]
    refused = [name for name, seen in endpoint.protocols.items() if seen.state == "refused"]
    return (accepted, refused) == (["TLSv1.2", "TLSv1.3"], ["SSLv2", "SSLv3", "TLSv1", "TLSv1.1"])


async def until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not happened():
            await asyncio.sleep(0.01)
