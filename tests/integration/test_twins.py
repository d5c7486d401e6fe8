"""Endpoints that are one server, or the same server as before: a fingerprint in the place of a sweep."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from mxprobe.facts import EndpointFacts
from mxprobe.network.settings import Limits
from mxprobe.probing.prober import Prober
from mxprobe.probing.settings import Depth, ProbeSettings
from mxprobe.terms import PROTOCOLS, Endpoint
from servers.cases import CASES, Case, reachable
from servers.openssl_server import openssl_server
from servers.running import RunningServer, Suites
from servers.smtp_front import Script, smtp_front

ADDRESSES = ("127.0.0.1", "127.0.0.2", "127.0.0.3")
SETTINGS = ProbeSettings(limits=Limits(per_address=4))

ONE_OF_EACH = ("postfix-opened-up", "postfix-own-order", "nss-sslv3-to-tls1.2", "openssl-1.0.1", "gnutls-normal")


def at(address: str, port: int, host: str = "mx.test") -> Endpoint:
    return Endpoint(host=host, address=address, port=port)


def probe(
    *endpoints: Endpoint,
    settings: ProbeSettings = SETTINGS,
    depth: Depth | None = None,
    before: EndpointFacts | None = None,
    in_turn: bool = False,
) -> list[EndpointFacts]:
    async def run() -> list[EndpointFacts]:
        prober = Prober(settings)
        work = [prober.endpoint(endpoint, depth=depth, before=before) for endpoint in endpoints]
        try:
            if in_turn:
                return [(await each).facts for each in work]
            return [found.facts for found in await asyncio.gather(*work)]
        finally:
            await prober.close()

    return asyncio.run(run())


def suites(facts: EndpointFacts) -> Suites:
    return {
        protocol: frozenset(int(suite.id, 16) for suite in seen.suites)
        for protocol, seen in facts.protocols.items()
        if seen.suites
    }


def test_the_addresses_of_one_mx_host_are_swept_once() -> None:
    with openssl_server() as server, smtp_front(server, addresses=ADDRESSES) as front:
        first, *others = probe(*(at(address, front.port) for address in ADDRESSES))
        connections = first.connections + sum(facts.connections for facts in others)
        assert front.counted(connections) == connections
    assert (first.sweep, first.same_as, first.swept_at) == ("swept", None, first.started_at)
    for facts in others:
        assert facts.sweep == "same-as"
        assert facts.same_as == str(at(ADDRESSES[0], front.port))
        assert facts.swept_at == first.started_at
        assert suites(facts) == server.expected
        # Its own are the conversation, the handshake, the certificate, and the connections that these took.
        assert facts.natural == first.natural
        assert facts.verification is not None
        assert facts.capabilities
        assert facts.connections <= 14


def test_twins_are_swept_each_where_that_is_wanted() -> None:
    with openssl_server(cipher="ECDHE+AESGCM") as server, smtp_front(server, addresses=ADDRESSES[:2]) as front:
        found = probe(*(at(address, front.port) for address in ADDRESSES[:2]), settings=replace(SETTINGS, twins=False))
    assert [facts.sweep for facts in found] == ["swept", "swept"]
    assert [facts.same_as for facts in found] == [None, None]


def test_a_server_that_shows_the_same_certificate_under_another_name_is_a_twin_once_the_first_is_swept() -> None:
    with openssl_server() as server, smtp_front(server) as front, smtp_front(server) as other:
        first, second = probe(at("127.0.0.1", front.port), at("127.0.0.1", other.port, "mail.test"), in_turn=True)
    assert (first.sweep, second.sweep) == ("swept", "same-as")
    assert second.same_as == str(at("127.0.0.1", front.port))


def test_a_server_that_differs_in_one_suite_is_swept_itself_and_the_difference_is_told() -> None:
    fewer, more = "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384", "AES128-SHA256"
    with (
        openssl_server(cipher=fewer) as server,
        openssl_server(cipher=f"{fewer}:{more}") as changed,
        smtp_front(server) as front,
        smtp_front(changed) as other,
    ):
        first, second = probe(at("127.0.0.1", front.port), at("127.0.0.1", other.port, "mail.test"), in_turn=True)
    assert (first.sweep, second.sweep, second.same_as) == ("swept", "swept", None)
    assert suites(second) == changed.expected
    assert f"TLSv1.2: it takes {more}" in second.sweep_reason


def test_a_hostile_host_delays_no_other() -> None:
    script = Script(banner_drip=True)
    with (
        smtp_front(None, script, addresses=ADDRESSES[:1]) as slow,
        openssl_server(cipher="ECDHE+AESGCM") as server,
        smtp_front(server, addresses=ADDRESSES[1:2]) as front,
    ):

        async def run() -> EndpointFacts:
            prober = Prober(SETTINGS)
            hostile = asyncio.create_task(prober.endpoint(at(ADDRESSES[0], slow.port, "slow.test")))
            found = await prober.endpoint(at(ADDRESSES[1], front.port))
            assert not hostile.done()
            hostile.cancel()
            await prober.close()
            return found.facts

        facts = asyncio.run(run())
    assert facts.sweep == "swept"


def test_servers_that_refuse_starttls_share_nothing() -> None:
    with smtp_front(None, Script(starttls="454 4.7.0 TLS not available"), addresses=ADDRESSES) as front:
        found = probe(*(at(address, front.port) for address in ADDRESSES))
    assert {facts.starttls.state for facts in found} == {"unknown"}
    assert [facts.same_as for facts in found] == [None] * 3


@pytest.mark.parametrize("case", [case for case in CASES if case.id in ONE_OF_EACH], ids=lambda case: case.id)
def test_a_server_that_has_not_changed_is_confirmed_by_about_ten_hellos(case: Case) -> None:
    with case.start() as server, reachable(case, server) as (port, _):
        (full,) = probe(at("127.0.0.1", port))
        (again,) = probe(at("127.0.0.1", port), depth="standard", before=full)
    assert (again.sweep, again.sweep_reason, again.swept_at) == ("confirmed", "", full.started_at)
    assert suites(again) == server.expected
    refused = len(PROTOCOLS) - len(server.expected)
    # A server that refuses by closing is asked twice, and once more at the end.
    twice = sum(seen.state == "refused" for seen in again.protocols.values()) + 5 if case.refuses_by == "close" else 0
    assert again.connections <= 13 + twice
    assert refused == sum(seen.state == "refused" for seen in again.protocols.values())


def changed_since(facts: EndpointFacts, server: RunningServer) -> EndpointFacts:
    with smtp_front(server) as front:
        (again,) = probe(at("127.0.0.1", front.port), depth="standard", before=facts)
    return again


def test_a_server_that_has_changed_is_swept_in_full_at_standard_depth() -> None:
    with openssl_server(cipher="ECDHE+AESGCM") as server, smtp_front(server) as front:
        (full,) = probe(at("127.0.0.1", front.port))
    with openssl_server(cipher="ECDHE+AESGCM:AES128-SHA") as server:
        again = changed_since(full, server)
        assert again.sweep == "swept"
        assert again.swept_at == again.started_at
        assert suites(again) == server.expected
        assert "it takes AES128-SHA" in again.sweep_reason


def test_what_was_never_swept_in_full_confirms_nothing() -> None:
    with openssl_server(cipher="ECDHE+AESGCM") as server:
        with smtp_front(server) as front:
            (standard,) = probe(at("127.0.0.1", front.port), depth="standard")
        again = changed_since(standard, server)
    assert (standard.sweep, again.sweep) == (None, None)
    assert not again.protocols["TLSv1.2"].complete
