"""tlslite-ng in a thread: a TLS server in pure Python that speaks SSLv3 to TLS 1.3, anonymous and NULL suites too.

It talks no SMTP: put `smtp_front` before it.
"""

from __future__ import annotations

import socket
import socketserver
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from mxprobe.terms import PROTOCOLS, Protocol
from servers.certificates import Issued
from servers.openssl_server import authentication
from servers.running import RunningServer, Suites, certificate

with warnings.catch_warnings():
    # It also offers an adapter to asyncore, whose import Python 3.11 complains of.
    warnings.simplefilter("ignore", DeprecationWarning)
    from tlslite.api import HandshakeSettings, TLSConnection, X509CertChain, parsePEMKey
    from tlslite.constants import CipherSuite
    from tlslite.errors import TLSError
    from tlslite.handshakesettings import ALL_CIPHER_NAMES, ALL_MAC_NAMES, Keypair, VirtualHost

STANDARD_CIPHERS = tuple(name for name in ALL_CIPHER_NAMES if name != "chacha20-poly1305_draft00")
"""All but those under the numbers of a draft, which no registry has."""

_VERSION: dict[Protocol, tuple[int, int]] = {
    "SSLv3": (3, 0),
    "TLSv1": (3, 1),
    "TLSv1.1": (3, 2),
    "TLSv1.2": (3, 3),
    "TLSv1.3": (3, 4),
}


@contextmanager
def tlslite_server(
    *,
    lowest: Protocol = "SSLv3",
    highest: Protocol = "TLSv1.3",
    ciphers: Sequence[str] = STANDARD_CIPHERS,
    anonymous: bool = False,
    certificates: Sequence[Issued] = (),
) -> Iterator[RunningServer]:
    """Serve TLS on a free port of 127.0.0.1, without SMTP, a thread a connection.

    It speaks `lowest` to `highest` with the `ciphers` of tlslite's names (`HandshakeSettings.cipherNames`).
    `anonymous` serves the anonymous suites instead of the others, as tlslite does. `certificates` are RSA and EC
    unless given.
    """
    shown = tuple(certificates) or (certificate("RSA"), certificate("EC"))
    pairs = [_pair(issued) for issued in shown]
    settings = _settings(lowest, highest, ciphers, pairs[1:])

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            connection = TLSConnection(self.request)
            with suppress(TLSError, OSError):
                if anonymous:
                    connection.handshakeServer(anon=True, settings=settings)
                else:
                    connection.handshakeServer(certChain=pairs[0][0], privateKey=pairs[0][1], settings=settings)
                while connection.read(min=1, max=4096):
                    pass
                connection.close()

    with _Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, name="tlslite")
        thread.start()
        try:
            yield RunningServer(
                name="tlslite-ng",
                port=server.server_address[1],
                expected=_expected(settings, lowest, highest, anonymous, shown),
                certificates=shown,
            )
        finally:
            server.shutdown()
            thread.join()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 200

    def __init__(self, address: tuple[str, int], handler: type[socketserver.BaseRequestHandler]) -> None:
        super().__init__(address, handler)
        self.open: set[socket.socket] = set()

    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        assert isinstance(request, socket.socket)
        self.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        assert isinstance(request, socket.socket)
        self.open.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        for request in tuple(self.open):
            with suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)
        super().server_close()


def _pair(issued: Issued) -> tuple[X509CertChain, object]:
    chain = X509CertChain()
    chain.parsePemList(issued.chain_pem.decode())
    return chain, parsePEMKey(issued.key_pem.decode(), private=True)


def _settings(
    lowest: Protocol, highest: Protocol, ciphers: Sequence[str], others: Sequence[tuple[X509CertChain, object]]
) -> HandshakeSettings:
    settings = HandshakeSettings()
    oldest, newest = settings.minVersion, settings.maxVersion = _VERSION[lowest], _VERSION[highest]
    # Without this, what a client lists in supported_versions would win over the newest version allowed.
    settings.versions = [(3, minor) for minor in range(newest[1], oldest[1] - 1, -1)]
    settings.cipherNames, settings.macNames = list(ciphers), list(ALL_MAC_NAMES)
    settings.virtual_hosts = []
    for chain, key in others:
        host = VirtualHost()
        host.keys = [Keypair(key, chain.x509List)]
        settings.virtual_hosts.append(host)
    return settings


def _expected(
    settings: HandshakeSettings, lowest: Protocol, highest: Protocol, anonymous: bool, certificates: Sequence[Issued]
) -> Suites:
    """tlslite's own tables, narrowed to the key types (`TLSConnection._serverGetClientHello` adds these up)."""
    if anonymous:
        tables = [CipherSuite.getAnonSuites, CipherSuite.getEcdhAnonSuites]
    else:
        tables = [CipherSuite.getTLS13Suites]
        for issued in certificates:
            match authentication(issued):
                case "RSA":
                    tables += [CipherSuite.getEcdheCertSuites, CipherSuite.getDheCertSuites, CipherSuite.getCertSuites]
                case "DSS":
                    tables.append(CipherSuite.getDheDsaSuites)
                case _:
                    tables.append(CipherSuite.getEcdsaSuites)
    expected: dict[Protocol, frozenset[int]] = {}
    for protocol in PROTOCOLS[PROTOCOLS.index(lowest) : PROTOCOLS.index(highest) + 1]:
        version = _VERSION[protocol]
        named = {suite for table in tables for suite in table(settings, version)}
        found = frozenset(CipherSuite.filterForVersion(named, version, version))
        if found:
            expected[protocol] = found
    return expected
