"""What a plan says a probe will take, beside what it then takes: right within a tenth, at every depth."""

from __future__ import annotations

import asyncio

import pytest

from mxprobe.facts import EndpointFacts
from mxprobe.network.settings import Limits
from mxprobe.probing.plan import cost
from mxprobe.probing.prober import Prober
from mxprobe.probing.settings import Depth, ProbeSettings
from mxprobe.terms import Endpoint
from servers.cases import CASES, Case, reachable

PLANNED = ("postfix-opened-up", "postfix-default", "nss-tls1.0-to-tls1.3", "openssl-default-level", "gnutls-normal")

cases = pytest.mark.parametrize("case", [case for case in CASES if case.id in PLANNED], ids=lambda case: case.id)


def probe(port: int, depth: Depth, before: EndpointFacts | None = None) -> EndpointFacts:
    async def run() -> EndpointFacts:
        prober = Prober(ProbeSettings(depth=depth, limits=Limits(per_address=4)))
        try:
            endpoint = Endpoint(host="mx.test", address="127.0.0.1", port=port)
            return (await prober.endpoint(endpoint, before=before)).facts
        finally:
            await prober.close()

    return asyncio.run(run())


@cases
def test_a_plan_of_what_is_known_is_right_within_a_tenth(case: Case) -> None:
    with case.start() as server, reachable(case, server) as (port, _):
        depths: tuple[Depth, ...] = ("quick", "standard", "full", "everything")
        for depth in depths:
            first = probe(port, depth)
            planned = cost(depth, 0, known=first)
            again = probe(port, depth)
            assert abs(planned.expected - again.connections) <= 0.1 * again.connections, depth
            assert planned.at_least <= again.connections <= planned.at_most
        confirmed = probe(port, "everything", before=again)
        planned = cost("everything", 0, before=again)
        assert confirmed.sweep == "confirmed"
        assert abs(planned.expected - confirmed.connections) <= 0.1 * confirmed.connections


def test_a_plan_of_a_postfix_of_debian_12_is_right_within_a_tenth_without_having_seen_it() -> None:
    (case,) = [case for case in CASES if case.id == "postfix-default"]
    with case.start() as server, reachable(case, server) as (port, _):
        depths: tuple[Depth, ...] = ("quick", "standard", "full", "everything")
        for depth in depths:
            found = probe(port, depth)
            assert abs(cost(depth, 0).expected - found.connections) <= 0.1 * found.connections, depth
