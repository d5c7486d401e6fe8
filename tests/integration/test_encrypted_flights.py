"""TLS 1.3 flights of real servers, read to the Finished: certificate, scheme, and what they log when we leave."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache

import pytest

from mxprobe.tls.client_hello import encode_client_hello
from mxprobe.tls.code_points import TLS13_SCHEMES
from mxprobe.tls.key_shares import SHARED_GROUPS
from mxprobe.tls.offer import Chosen, Offer
from mxprobe.tls.server_flight import ServerFlight
from servers.certificates import Authority, Issued, KeyType
from servers.gnutls_server import gnutls_server
from servers.nss_server import nss_server
from servers.openssl_server import openssl_server
from servers.running import RunningServer
from servers.tlslite_server import tlslite_server

SCHEME: dict[KeyType, int] = {"RSA": 0x0804, "EC": 0x0403, "Ed25519": 0x0807}
"""rsa_pss_rsae_sha256, ecdsa_secp256r1_sha256, ed25519 (RFC 8446 §4.2.3)."""

RSA_PKCS1_SHA256 = 0x0401
"""What the issuer signed the certificates with; in TLS 1.3 it says nothing of the handshake."""


@cache
def issued(key_type: KeyType) -> Issued:
    return authority().leaf("mx.test", "127.0.0.1", cn=f"mx.test with {key_type}", key_type=key_type)


@cache
def authority() -> Authority:
    return Authority.root().intermediate()


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A server with a certificate of each of these keys."""

    id: str
    start: Callable[[tuple[Issued, ...]], AbstractContextManager[RunningServer]]
    keys: tuple[KeyType, ...]
    suites: tuple[int, ...]
    groups: tuple[int, ...] = SHARED_GROUPS


CASES = (
    Case(
        id="openssl",
        start=lambda certificates: openssl_server(certificates=certificates),
        keys=("RSA", "EC", "Ed25519"),
        suites=(0x1301, 0x1302, 0x1303, 0x1304, 0x1305),
    ),
    Case(
        id="gnutls",
        start=lambda certificates: gnutls_server(
            priority="NORMAL:+AES-128-CCM-8:+GROUP-ALL", psk=False, certificates=certificates
        ),
        keys=("RSA", "EC", "Ed25519"),
        suites=(0x1301, 0x1302, 0x1303, 0x1304, 0x1305),
    ),
    Case(
        id="nss",
        start=lambda certificates: nss_server(lowest="TLSv1", highest="TLSv1.3", certificates=certificates),
        keys=("RSA", "EC"),
        suites=(0x1301, 0x1302, 0x1303),
        groups=(29, 23, 24, 25),
    ),
    Case(
        id="tlslite",
        start=lambda certificates: tlslite_server(certificates=certificates),
        keys=("RSA", "EC"),
        suites=(0x1301, 0x1302, 0x1303, 0x1304, 0x1305),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    case: Case
    server: RunningServer

    def asked(
        self, suite: int, group: int, schemes: tuple[int, ...], leave: Callable[[ServerFlight], bytes] | None = None
    ) -> Chosen:
        """The answer to an offer of one suite and one group, on a connection that is ended with what `leave` gives."""
        offer = Offer(
            protocol="TLSv1.3", suites=(suite,), groups=(group,), key_shares=(group,), signature_schemes=schemes
        )
        hello = encode_client_hello(offer, random=os.urandom(32))
        reader = ServerFlight(offer, sent=hello)
        with socket.create_connection((self.server.address, self.server.port), timeout=20) as connection:
            connection.sendall(hello)
            while (answer := reader.feed(received := connection.recv(65536))) is None and received:
                pass
            answer = answer or reader.end("eof")
            connection.sendall(leave(reader) if leave else reader.farewell or b"")
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass
        assert isinstance(answer, Chosen)
        return answer


@pytest.fixture(scope="module", params=CASES, ids=[case.id for case in CASES])
def served(request: pytest.FixtureRequest) -> Iterator[Served]:
    case: Case = request.param
    with case.start(tuple(issued(key) for key in case.keys)) as server:
        yield Served(case=case, server=server)


def test_certificate_and_scheme_are_the_configured_ones(served: Served) -> None:
    for key in served.case.keys:
        answer = served.asked(served.case.suites[0], 29, (SCHEME[key], RSA_PKCS1_SHA256))
        assert (answer.reached, answer.fault) == ("flight-complete", "")
        assert answer.scheme == SCHEME[key]
        # NSS sends the root too, which is in its database.
        root = () if served.case.id != "nss" else (authority().issuers[-1].der,)
        assert answer.certificates == issued(key).chain + root


def test_every_suite_and_group_of_the_server_is_read(served: Served) -> None:
    for suite in served.case.suites:
        answer = served.asked(suite, 23, TLS13_SCHEMES)
        assert (answer.suite, answer.reached, answer.fault) == (suite, "flight-complete", "")
    for group in served.case.groups:
        answer = served.asked(served.case.suites[0], group, TLS13_SCHEMES)
        assert (answer.group, answer.reached, answer.fault) == (group, "flight-complete", "")


def test_a_request_for_a_client_certificate_is_part_of_the_flight() -> None:
    with openssl_server(certificates=(issued("RSA"),), arguments=("-Verify", "1")) as server:
        answer = Served(case=CASES[0], server=server).asked(0x1301, 29, TLS13_SCHEMES)
    assert (answer.reached, answer.certificates) == ("flight-complete", issued("RSA").chain)


def test_a_server_that_cannot_go_on_says_so_in_the_flight_or_before(served: Served) -> None:
    # No server signs with this alone: rsa_pkcs1_sha256 is for certificates (RFC 8446 §4.2.3).
    offer = Offer(protocol="TLSv1.3", suites=served.case.suites, key_shares=(29,), signature_schemes=(0x0401,))
    hello = encode_client_hello(offer, random=os.urandom(32))
    reader = ServerFlight(offer, sent=hello)
    with socket.create_connection((served.server.address, served.server.port), timeout=20) as connection:
        connection.sendall(hello)
        while (answer := reader.feed(received := connection.recv(65536))) is None and received:
            pass
    answer = answer or reader.end("eof")
    assert answer.kind == "refused" or (isinstance(answer, Chosen) and answer.ended_by is not None)


@pytest.mark.parametrize(
    ("start", "logged", "never"),
    [
        (CASES[0].start, "CONNECTION FAILURE", "error:"),
        (CASES[1].start, "Error in handshake: Peer has terminated the connection", "Decryption has failed"),
        (CASES[2].start, "", "returned error"),
    ],
    ids=["openssl", "gnutls", "nss"],
)
def test_servers_take_our_farewell_for_the_end_and_no_broken_record(
    start: Callable[[tuple[Issued, ...]], AbstractContextManager[RunningServer]], logged: str, never: str
) -> None:
    with start((issued("RSA"),)) as server:
        before = _log_at_rest(server)
        answer = Served(case=CASES[0], server=server).asked(0x1301, 29, TLS13_SCHEMES)
        assert answer.reached == "flight-complete"
        deadline = time.monotonic() + 20
        while logged not in (log := server.log_text()[len(before) :]):
            assert time.monotonic() < deadline, log
            time.sleep(0.01)
    assert never not in log


def _log_at_rest(server: RunningServer) -> str:
    """The log once it tells of the connection that only tried whether the server is there; NSS does not."""
    last = {"openssl s_server": "unexpected eof", "gnutls-serv": "Error in handshake"}.get(server.name, "")
    deadline = time.monotonic() + 20
    while last and not (last in (log := server.log_text()) and log.endswith("\n")):
        assert time.monotonic() < deadline, log
        time.sleep(0.01)
    return server.log_text()
