"""The whole probe against real servers: what it finds is what each of them is configured to do.

The expected suites are worked out from a server's configuration, by its own tools, without connecting to it.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes

import mxprobe
from mxprobe import EndpointFacts, Limits, ProbeSettings, Target
from mxprobe.facts import ProtocolFacts
from mxprobe.terms import PROTOCOLS, Protocol
from mxprobe.tls.suites import suite, suite_named
from servers.cases import CASES, UNFINISHED, Case, reachable
from servers.certificates import Issued, hashed_directory
from servers.delay_proxy import delay_proxy
from servers.node_server import ALL_SUITES, SSLV2_SUITES, SSLV3_SUITES, TLSV12_SUITES, node_server
from servers.nss_server import nss_server
from servers.openssl_server import EVERYTHING, authentication, openssl_server
from servers.postfix import postfix_server
from servers.running import RunningServer, certificate, counted
from servers.smtp_front import smtp_front

TLS_VERSIONS: tuple[Protocol, ...] = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """What a probe of a server found, and how many connections were counted on the way to it."""

    case: Case
    server: RunningServer
    target: Target
    counted: int

    @property
    def facts(self) -> EndpointFacts:
        (facts,) = self.target.endpoints
        return facts

    def verdict(self, id: str) -> str:
        (verdict,) = [verdict for verdict in self.target.verdicts if verdict.id == id]
        return verdict.state


def trusted_root() -> Issued:
    """The issuer of all certificates that the servers show unless they are given others."""
    return certificate("RSA").issuers[-1]


def probe(port: int, directory: Path, settings: ProbeSettings | None = None) -> Target:
    trusted = hashed_directory(directory, [trusted_root()])
    settings = settings or ProbeSettings(limits=Limits(per_address=8))
    settings = replace(settings, ca_path=str(trusted), connect={"mx.test": "127.0.0.1"})
    return asyncio.run(mxprobe.probe(f"[mx.test]:{port}", settings))


@pytest.fixture(scope="module", params=CASES, ids=[case.id for case in CASES])
def probed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Probed:
    case: Case = request.param
    with case.start() as server, reachable(case, server) as (port, count):
        target = probe(port, tmp_path_factory.mktemp("trusted"))
        return Probed(case=case, server=server, target=target, counted=counted(count, target.endpoints[0].connections))


def log_of_session(server: RunningServer) -> str:
    """What smtpd(8) logged of our session, as soon as it has: each command at its end, and how often it came."""
    deadline = time.monotonic() + 20
    while not (found := re.findall(r"smtpd\[\d+\]: (.*)", server.log_text())) or "ehlo=" not in found[-1]:
        assert time.monotonic() < deadline, server.log_text()
        time.sleep(0.01)
    return "\n".join(found)


def numbers(facts: ProtocolFacts) -> tuple[int, ...]:
    return tuple(int(seen.id, 16) for seen in facts.suites)


def sha256(issued: Issued) -> str:
    return issued.certificate.fingerprint(hashes.SHA256()).hex()


def test_the_suites_of_every_version_are_those_of_the_configuration(probed: Probed) -> None:
    found = {protocol: frozenset(numbers(facts)) for protocol, facts in probed.facts.protocols.items() if facts.suites}
    assert found == probed.server.expected


def test_every_version_was_asked_and_settled(probed: Probed) -> None:
    assert tuple(probed.facts.protocols) == PROTOCOLS
    for protocol, facts in probed.facts.protocols.items():
        assert facts.state == ("accepted" if protocol in probed.server.expected else "refused")
        assert facts.complete
        assert not facts.undecided
        assert bool(facts.reason) == (facts.state == "refused")


def test_an_accepted_suite_was_seen_to_its_whole_flight_where_that_is_in_plain_text(probed: Probed) -> None:
    for protocol, facts in probed.facts.protocols.items():
        for seen in facts.suites:
            natural = probed.facts.natural
            if protocol == "TLSv1.3":
                agreed = natural is not None and (protocol, seen.name) == (natural.protocol, natural.suite)
                assert seen.reached == ("handshake-complete" if agreed else "selected")
            else:
                assert seen.reached == "flight-complete"


def test_whose_order_it_is_is_told(probed: Probed) -> None:
    for protocol, facts in probed.facts.protocols.items():
        if protocol == "SSLv2":
            # The server lists, the client picks (SSLv2 draft §1.2.1).
            assert facts.order in ("client", "unknown")
        elif facts.state == "accepted":
            assert facts.order == probed.case.order


def test_the_connections_that_it_tells_of_are_those_that_were_made(probed: Probed) -> None:
    assert probed.counted == probed.facts.connections


def test_starttls_works_and_the_natural_handshake_is_the_best_there_is(probed: Probed) -> None:
    facts, natural = probed.facts, probed.facts.natural
    assert facts.starttls.state == "works"
    assert natural is not None
    assert natural.protocol == max(probed.server.expected, key=PROTOCOLS.index)
    picked = suite_named(natural.suite)
    assert picked is not None
    assert picked.number in probed.server.expected[natural.protocol]
    if probed.case.completes:
        assert natural.reached == "handshake-complete"
        assert facts.handshake_error is None
        closed = "the server closed the connection after our ClientHello"
        assert set(facts.endings) == ({closed} if probed.case.refuses_by == "close" else set())
    else:
        assert natural.reached == "flight-complete"
        assert facts.handshake_error
        assert natural.protocol in facts.starttls.reason


def test_every_certificate_that_a_suite_needs_was_seen_and_judged(probed: Probed) -> None:
    facts = probed.facts
    used = {suite(number).authentication for suites in probed.server.expected.values() for number in suites}
    needed = {sha256(issued) for issued in probed.server.certificates if authentication(issued) in used}
    assert {seen.sha256 for seen in facts.certificates} == needed

    assert facts.verification is not None
    assert (facts.verification.ok, facts.verification.code) == (True, 0)
    assert facts.name_match is not None
    assert facts.name_match.matches
    for id in ("starttls", "trusted", "name-matches", "not-expired"):
        assert probed.verdict(id) == "yes"


def test_sslv3_is_needed_where_no_tls_version_works(probed: Probed) -> None:
    only_sslv3 = "SSLv3" in probed.server.expected and not set(TLS_VERSIONS) & set(probed.server.expected)
    assert probed.verdict("needs-sslv3") == ("yes" if only_sslv3 else "no")


def test_a_server_with_an_order_of_its_own_is_shown_in_it(tmp_path: Path) -> None:
    with node_server() as server, smtp_front(server) as front:
        protocols = probe(front.port, tmp_path).endpoints[0].protocols
    in_tls12 = {**SSLV3_SUITES, **TLSV12_SUITES}
    assert numbers(protocols["SSLv3"]) == tuple(SSLV3_SUITES[name] for name in ALL_SUITES if name in SSLV3_SUITES)
    assert numbers(protocols["TLSv1.2"]) == tuple(in_tls12[name] for name in ALL_SUITES if name in in_tls12)


def test_openssls_own_order_is_that_of_openssl_ciphers(tmp_path: Path) -> None:
    with openssl_server(arguments=("-serverpref",)) as server, smtp_front(server) as front:
        protocols = probe(front.port, tmp_path).endpoints[0].protocols
        for protocol, option in (("TLSv1", "-tls1"), ("TLSv1.2", "-tls1_2")):
            command = ["openssl", "ciphers", "-V", "-s", option, EVERYTHING]
            listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            listed = [int(high + low, 16) for high, low in re.findall(r"0x(\w\w),0x(\w\w) - ", listing)]
            assert protocols[protocol].order == "server"
            assert numbers(protocols[protocol]) == tuple(n for n in listed if n in server.expected[protocol])


def test_the_sslv2_kinds_of_an_old_server_are_named_export_ones_included(tmp_path: Path) -> None:
    with node_server() as server, smtp_front(server) as front:
        sslv2 = probe(front.port, tmp_path).endpoints[0].protocols["SSLv2"]
    assert {seen.name for seen in sslv2.suites} == set(SSLV2_SUITES)
    assert {"EXP-RC4-MD5", "EXP-RC2-CBC-MD5"} < set(SSLV2_SUITES)


@pytest.mark.parametrize("case", UNFINISHED, ids=[case.id for case in UNFINISHED])
def test_suites_that_a_server_picks_but_cannot_finish_hide_none_of_the_others(case: Case, tmp_path: Path) -> None:
    with case.start() as server, reachable(case, server) as (port, _):
        facts = probe(port, tmp_path).endpoints[0]
    for protocol, expected in server.expected.items():
        assert frozenset(numbers(facts.protocols[protocol])) == expected
        assert facts.protocols[protocol].complete


def test_postfix_sees_a_guest_that_says_who_it_is_and_leaves_politely(tmp_path: Path) -> None:
    settings = ProbeSettings(ehlo="probe.example.test", contact="postmaster@example.test", depth="quick")
    with postfix_server() as server:
        (facts,) = probe(server.port, tmp_path, settings).endpoints
        log = log_of_session(server)
    assert facts.connections == 1
    assert facts.greeting is not None
    assert str(facts.greeting).startswith("220 mx.test ESMTP Postfix")
    assert "PIPELINING" in facts.capabilities
    assert "STARTTLS" in facts.capabilities
    assert "disconnect from unknown[127.0.0.1] ehlo=1 starttls=1 noop=1 quit=1 commands=4" in log
    assert "lost connection after STARTTLS" not in log


def test_the_limits_of_a_default_run_cost_no_suite_and_no_connection(tmp_path: Path) -> None:
    with postfix_server() as server, delay_proxy(server.port, ms=0) as proxy:
        (facts,) = probe(proxy.port, tmp_path, ProbeSettings()).endpoints
    found = {protocol: frozenset(numbers(seen)) for protocol, seen in facts.protocols.items() if seen.suites}
    assert found == server.expected
    assert facts.connections <= 1.10 * (sum(len(suites) for suites in found.values()) + len(PROTOCOLS))


def test_a_standard_probe_tells_the_versions_and_does_not_list_their_suites(tmp_path: Path) -> None:
    with nss_server(highest="TLSv1.2", suites=(0x2F, 0x05)) as server, smtp_front(server) as front:
        (facts,) = probe(front.port, tmp_path, ProbeSettings(depth="standard")).endpoints
        assert front.counted(facts.connections) == facts.connections
    accepted = {protocol for protocol, seen in facts.protocols.items() if seen.state == "accepted"}
    assert accepted == {"SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2"}
    # What was seen are the picks, so that the list is not known to be all.
    assert not any(seen.complete for seen in facts.protocols.values() if seen.state == "accepted")


def test_a_quick_probe_of_an_sslv3_only_server_finds_that_it_needs_sslv3(tmp_path: Path) -> None:
    with nss_server() as server, smtp_front(server) as front:
        target = probe(front.port, tmp_path, ProbeSettings(depth="quick"))
    states = {verdict.id: verdict.state for verdict in target.verdicts}
    assert states["needs-sslv3"] == "yes"
    assert states["trusted"] == "yes"
    assert target.endpoints[0].natural is not None
    assert target.endpoints[0].natural.protocol == "SSLv3"
