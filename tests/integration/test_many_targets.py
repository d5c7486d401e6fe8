"""Hostile hosts among many: the others are finished while these are still waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from mxprobe.facts import EndpointFacts
from mxprobe.network.settings import Limits
from mxprobe.probing.prober import Prober
from mxprobe.probing.settings import ProbeSettings
from mxprobe.terms import Endpoint
from servers.openssl_server import openssl_server
from servers.running import RunningServer
from servers.smtp_front import Front, Script, smtp_front

HEALTHY = tuple(f"127.0.1.{number}" for number in range(1, 13))

SLOW = (Script(banner_drip=True, drip_seconds=1.0), Script(after_starttls="drip", drip_seconds=1.0))
"""A byte a second, in the banner and in a TLS record: both wait for more than a test takes."""

ENDLESS = (Script(after_starttls="hello-requests"), Script(after_starttls="huge-message"), Script(ehlo_endless=True))
"""Records, or a reply, without an end, as fast as they are taken."""


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with openssl_server(cipher="ECDHE+AES128:AES256-SHA:@SECLEVEL=0", protocols=("TLSv1.2", "TLSv1.3")) as running:
        yield running


@pytest.mark.parametrize("connections", [200, 6], ids=["room-for-all", "places-for-three"])
async def test_hosts_that_send_a_byte_a_second_hold_up_no_other(server: RunningServer, connections: int) -> None:
    """With places for three endpoints the two hostile ones, which come first, leave one to all the others."""
    hostile, fine, still_waited_for = await healthy_among(SLOW, server, connections)
    assert still_waited_for == {endpoint.address for endpoint in hostile}
    assert all(complete(facts, server) for facts in fine)


async def test_hosts_that_send_records_without_an_end_hold_up_no_other(server: RunningServer) -> None:
    hostile, fine, still_waited_for = await healthy_among(ENDLESS + SLOW, server, 200)
    slow = {endpoint.address for endpoint in hostile[len(ENDLESS) :]}
    assert still_waited_for >= slow
    assert all(complete(facts, server) for facts in fine)


async def healthy_among(
    scripts: tuple[Script, ...], server: RunningServer, connections: int
) -> tuple[list[Endpoint], list[EndpointFacts], set[str]]:
    """Probe healthy addresses and hostile ones, which are first, in one run.

    Returns the hostile endpoints, the facts of all the others once they are there, and at which addresses a probe was
    still under way then.
    """
    with ExitStack() as fronts:
        hostile: list[Endpoint] = []
        doors: list[Front] = []
        for number, script in enumerate(scripts, start=1):
            address = f"127.0.2.{number}"
            doors.append(fronts.enter_context(smtp_front(None, script, addresses=(address,))))
            hostile.append(Endpoint(host=address, address=address, port=doors[-1].port))
        front = fronts.enter_context(smtp_front(server, addresses=HEALTHY))
        fine = [Endpoint(host=address, address=address, port=front.port) for address in HEALTHY]
        # Longer than any test takes.
        settings = ProbeSettings(limits=Limits(connections=connections, per_address=2), twins=False, deadline=600)
        prober = Prober(settings)
        tasks = {each: asyncio.create_task(prober.endpoint(each)) for each in (*hostile, *fine)}
        try:
            async with asyncio.timeout(120):
                found = await asyncio.gather(*(tasks[each] for each in fine))
            assert all(door.connections for door in doors)
            return hostile, [each.facts for each in found], {e.address for e in hostile if not tasks[e].done()}
        finally:
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)
            await prober.close()


def complete(facts: EndpointFacts, server: RunningServer) -> bool:
    """Whether every suite was found, of every version."""
    found = {
        protocol: frozenset(int(suite.id, 16) for suite in seen.suites)
        for protocol, seen in facts.protocols.items()
        if seen.suites
    }
    return found == server.expected and all(seen.complete for seen in facts.protocols.values())
