"""The server's end of TLS over memory: bytes of the peer in, bytes for the peer out, no socket."""

from __future__ import annotations

import contextlib
import errno
import ssl
import warnings
from collections.abc import Callable, Iterator
from typing import Any, Literal, Protocol

with warnings.catch_warnings():
    # Up to Python 3.11 tlslite imports asyncore, which warns of its end; nothing here uses it.
    warnings.filterwarnings("ignore", ".*asyncore", DeprecationWarning)
    from tlslite.api import HandshakeSettings, TLSConnection, X509CertChain, parsePEMKey

TlsState = Literal["handshake", "open", "closed"]

ProtocolNumber = tuple[int, int]
"""A protocol version as on the wire: (3, 0) is SSLv3, (3, 3) is TLS 1.2."""


class ServerTls(Protocol):
    """One TLS connection, seen from the server.

    Whatever the peer sends, nothing is raised: `state` becomes ``closed``, and `outgoing` holds the alert
    that is due, if any.
    """

    state: TlsState

    def feed(self, data: bytes) -> bytes:
        """Take bytes of the peer; give the application data in them."""

    def send(self, data: bytes) -> None:
        """Encrypt application data; `state` has to be ``open``."""

    def close(self) -> None:
        """End the connection with a close_notify where there is one to end."""

    def outgoing(self) -> bytes:
        """The bytes that the peer is to get, each time only what is new."""


def openssl_tls(context: ssl.SSLContext) -> Callable[[], ServerTls]:
    """TLS of Python's own OpenSSL, for all that it still speaks."""
    return lambda: _OpenSslTls(context)


def tlslite_tls(
    *,
    certificates_pem: str,
    key_pem: str,
    versions: tuple[ProtocolNumber, ProtocolNumber],
    ciphers: tuple[str, ...],
) -> Callable[[], ServerTls]:
    """TLS of tlslite-ng, which still speaks SSLv3 and RC4: oldest and newest version, ciphers by tlslite's names.

    Only static RSA is spoken: it is what such old servers are known for, and a hello costs no signature.
    """
    settings = HandshakeSettings()
    oldest, newest = settings.minVersion, settings.maxVersion = versions
    # Without this, what a client lists in supported_versions would win over the newest version allowed.
    settings.versions = [(3, minor) for minor in range(newest[1], oldest[1] - 1, -1)]
    settings.cipherNames = list(ciphers)
    settings.macNames = ["sha", "md5"]
    settings.keyExchangeNames = ["rsa"]
    # Younger than such servers, and over SSLv3 tlslite fails where both sides agree on it.
    settings.useExtendedMasterSecret = settings.useEncryptThenMAC = False
    chain = X509CertChain()
    chain.parsePemList(certificates_pem)
    key = parsePEMKey(key_pem, private=True)
    return lambda: _TlsliteTls(chain, key, settings.validate())


def clear_text_instead(answer: bytes) -> Callable[[], ServerTls]:
    """No TLS at all: the ClientHello gets `answer` in clear text, and the connection ends."""
    return lambda: _ClearText(answer)


class _OpenSslTls:
    def __init__(self, context: ssl.SSLContext) -> None:
        self.state: TlsState = "handshake"
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    def feed(self, data: bytes) -> bytes:
        self._incoming.write(data)
        received = b""
        try:
            if self.state == "handshake":
                self._tls.do_handshake()
                self.state = "open"
            while self.state == "open":
                piece = self._tls.read(16_384)
                if not piece:  # close_notify
                    self.state = "closed"
                received += piece
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            self.state = "closed"
        return received

    def send(self, data: bytes) -> None:
        self._tls.write(data)

    def close(self) -> None:
        if self.state == "open":
            # The alert is written; the error is that the peer's own has not come, and it is not waited for.
            with contextlib.suppress(ssl.SSLError):
                self._tls.unwrap()
        self.state = "closed"

    def outgoing(self) -> bytes:
        return self._outgoing.read()


class _TlsliteTls:
    def __init__(self, chain: Any, key: Any, settings: Any) -> None:
        self.state: TlsState = "handshake"
        self._socket = _MemorySocket()
        self._tls = TLSConnection(self._socket)
        self._handshake: Iterator[int] = self._tls.handshakeServerAsync(
            certChain=chain, privateKey=key, settings=settings
        )
        # A read that waits for the rest of a record: tlslite keeps what it already has only in this iterator.
        self._reading: Iterator[int | bytes] = iter(())

    def feed(self, data: bytes) -> bytes:
        self._socket.incoming += data
        received = b""
        try:
            if self.state == "handshake" and not _wants_bytes(self._handshake):
                self.state = "open"
            while self.state == "open":
                piece = next((item for item in self._reading if item != 1), None)
                if piece == 0:
                    break
                if isinstance(piece, bytes):
                    received += piece
                if self._tls.closed:
                    self.state = "closed"
                else:
                    self._reading = self._tls.readAsync()
        except Exception:  # tlslite raises more than its own errors on hostile bytes
            self.state = "closed"
        return received

    def send(self, data: bytes) -> None:
        self._tls.write(data)

    def close(self) -> None:
        if self.state == "open":
            self._tls.close()
        self.state = "closed"

    def outgoing(self) -> bytes:
        data = bytes(self._socket.outgoing)
        self._socket.outgoing.clear()
        return data


def _wants_bytes(steps: Iterator[int]) -> bool:
    """Go on until the steps end, or one of them (0) says that bytes of the peer are missing."""
    return any(step == 0 for step in steps)


class _MemorySocket:
    """As much of a non-blocking socket as tlslite uses. What it holds is bounded by the session's own reads."""

    def __init__(self) -> None:
        self.incoming = bytearray()
        self.outgoing = bytearray()

    def recv(self, size: int) -> bytes:
        if not self.incoming:
            raise BlockingIOError(errno.EWOULDBLOCK, "nothing has come yet")
        data = bytes(self.incoming[:size])
        del self.incoming[:size]
        return data

    def send(self, data: bytes) -> int:
        self.outgoing += data
        return len(data)

    def sendall(self, data: bytes) -> None:
        self.outgoing += data

    def shutdown(self, how: int) -> None:
        """The session closes the real socket."""

    def close(self) -> None:
        """The session closes the real socket."""


class _ClearText:
    def __init__(self, answer: bytes) -> None:
        self.state: TlsState = "handshake"
        self._answer = answer
        self._outgoing = b""

    def feed(self, data: bytes) -> bytes:
        if self.state == "handshake" and data:
            self._outgoing, self.state = self._answer, "closed"
        return b""

    def send(self, data: bytes) -> None:
        """There is nothing to encrypt with: the state is never ``open``."""

    def close(self) -> None:
        self.state = "closed"

    def outgoing(self) -> bytes:
        data, self._outgoing = self._outgoing, b""
        return data
