"""What *standard* says of real servers: the versions and weak families of their configuration, in few connections."""

from __future__ import annotations

import asyncio

import pytest

import mxprobe
from mxprobe import EndpointFacts, Limits, ProbeSettings
from mxprobe.terms import PROTOCOLS
from mxprobe.tls.suites import suite
from mxprobe.tls.weak_suites import weaknesses
from servers.cases import CASES, Case, reachable

ASKED = (
    "postfix-opened-up",
    "postfix-own-order",
    "openssl-with-psk",
    "openssl-default-level",
    "nss-sslv3-only",
    "nss-sslv3-to-tls1.2",
    "tlslite-sslv3-to-tls1.3",
    "openssl-1.0.1",
    "gnutls",
)

MOST_CONNECTIONS = 40


def standard(port: int) -> EndpointFacts:
    settings = ProbeSettings(depth="standard", limits=Limits(per_address=4), connect={"mx.test": "127.0.0.1"})
    (facts,) = asyncio.run(mxprobe.probe(f"[mx.test]:{port}", settings)).endpoints
    return facts


@pytest.mark.parametrize("case", [case for case in CASES if case.id in ASKED], ids=lambda case: case.id)
def test_versions_and_weak_families_are_those_of_the_configuration(case: Case) -> None:
    with case.start() as server, reachable(case, server) as (port, _):
        facts = standard(port)
    assert tuple(facts.protocols) == PROTOCOLS
    assert facts.connections <= MOST_CONNECTIONS
    assert facts.sweep is None
    for protocol, seen in facts.protocols.items():
        expected = server.expected.get(protocol, frozenset())
        assert seen.state == ("accepted" if expected else "refused")
        weak = {weakness for number in expected for weakness in weaknesses(suite(number).openssl, suite(number).iana)}
        assert {family for family, state in seen.families.items() if state == "yes"} == weak
        assert {family for family, state in seen.families.items() if state == "no"} == set(seen.families) - weak
        assert bool(seen.families) == bool(expected)
        assert {int(shown.id, 16) for shown in seen.suites} <= expected
