"""What a full sweep costs every real server of the tests, in connections counted on the wire.

The bound: a removal chain asks once for each suite and once more to hear that this was all, and a version that is not
spoken is asked for once. Everything else (the natural handshake, whose order it is, what is asked twice to be sure,
connections made ready in vain) has to fit into a twentieth of that, and two.
"""

from __future__ import annotations

import asyncio

import pytest

import mxprobe
from mxprobe import Limits, ProbeSettings
from mxprobe.terms import PROTOCOLS
from servers.cases import CASES, Case, reachable
from servers.running import Suites, counted

ASKED_TWICE = {"sendmail-default": 1, "openssl-default-level": 1}
"""OpenSSL 3 at its default level refuses SSLv3, TLS 1.0 and TLS 1.1 by alerts that do not name the version. So each is
asked a second time, for all that the first hello left out, which together is one more than these few suites allow."""


def bound(expected: Suites) -> int:
    """By the server's configuration: n + 1 for a version with n suites, one for a version that it does not speak."""
    return sum(len(expected.get(protocol, ())) + 1 for protocol in PROTOCOLS)


def test_the_bound_of_an_opened_up_postfix_is_132() -> None:
    suites = {"TLSv1": 23, "TLSv1.1": 23, "TLSv1.2": 77, "TLSv1.3": 3}
    assert bound({protocol: frozenset(range(suites.get(protocol, 0))) for protocol in PROTOCOLS}) == 132


@pytest.mark.parametrize("per_address", [2, 8])
@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_a_full_sweep_costs_hardly_more_connections_than_it_must(case: Case, per_address: int) -> None:
    settings = ProbeSettings(depth="full", limits=Limits(per_address=per_address))
    with case.start() as server, reachable(case, server) as (port, connections):
        (facts,) = asyncio.run(mxprobe.probe(f"[127.0.0.1]:{port}", settings)).endpoints
        made = counted(connections, facts.connections)
    for protocol in PROTOCOLS:
        found = frozenset(int(suite.id, 16) for suite in facts.protocols[protocol].suites)
        assert (facts.protocols[protocol].complete, found) == (True, server.expected.get(protocol, frozenset()))
    assert made <= 1.05 * bound(server.expected) + 2 + ASKED_TWICE.get(case.id, 0)
