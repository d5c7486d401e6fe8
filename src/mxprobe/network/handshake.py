"""Complete handshakes by OpenSSL over memory BIOs: the bytes are moved here, the cryptography is its own."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from OpenSSL import SSL, crypto

from mxprobe.network.session import Session
from mxprobe.network.settings import Manners
from mxprobe.terms import PROTOCOLS, Protocol
from mxprobe.tls.client_hello import decode_client_hello
from mxprobe.tls.offer import Answer, Closed, Garbled, Refused, Silent

MAX_HANDSHAKE_BYTES = 512 * 1024
"""What a handshake may take: the longest sane chain many times over, and an end to endless records."""

EVERYTHING = "ALL:!aNULL:!IDEA:@SECLEVEL=0"
"""What OpenSSL offers in the natural handshake: all that comes with a certificate, however weak. But not IDEA, which
servers of OpenSSL 1.0.1 pick in TLS 1.2, where no standard has it and newer clients then break off."""

_VERSIONS: dict[Protocol, int] = {
    "TLSv1": SSL.TLS1_VERSION,
    "TLSv1.1": SSL.TLS1_1_VERSION,
    "TLSv1.2": SSL.TLS1_2_VERSION,
    "TLSv1.3": SSL.TLS1_3_VERSION,
}

_LEGACY_SERVER_CONNECT = 0x4
"""SSL_OP_LEGACY_SERVER_CONNECT: servers without RFC 5746 are to be described, not refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handshake:
    """A handshake that was completed: what was agreed, and the chain as sent (DER, leaf first).

    `offered` are the suites of our ClientHello, in its order.
    `afterwards` is what went wrong behind it: a 4xx or 5xx reply to our QUIT, or, if `rejected`, an alert. In TLS 1.3 a
    server that wants a client certificate says so only then.
    """

    protocol: Protocol
    suite: str
    group: str | None
    chain: tuple[bytes, ...]
    seconds: float
    offered: tuple[int, ...] = ()
    afterwards: str | None = None
    rejected: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A handshake that was not completed: how it ended, and OpenSSL's words for it."""

    answer: Answer
    text: str


def can_complete(protocol: Protocol, suite: str | None = None) -> bool:
    """Whether this OpenSSL still speaks the version (SSLv2 and SSLv3 it does not), and the suite, by its own name."""
    if protocol not in _VERSIONS:
        return False
    try:
        _context(protocol, suite)
    except ValueError:
        return False
    return True


async def complete_handshake(
    session: Session,
    manners: Manners,
    *,
    server_name: str | None,
    protocol: Protocol | None = None,
    suite: str | None = None,
) -> Handshake | Failed:
    """Shake hands on an open session, then leave by QUIT inside TLS and close_notify.

    Offers everything that OpenSSL can, or one protocol, or one suite (OpenSSL name) of it. Certificates are not judged
    here. Never raises on what the peer does.

    Raises:
        ValueError: OpenSSL does not know the suite, or no longer speaks the protocol.
    """
    connection = SSL.Connection(_context(protocol, suite), None)
    connection.set_connect_state()
    if server_name:
        connection.set_tlsext_host_name(server_name.encode("idna" if not server_name.isascii() else "ascii"))
    pump = _Pump(session, connection)
    started = time.monotonic()
    if session.gone:
        session.close()
        return Failed(answer=Closed(stage="starttls", how=session.gone), text="closed after the reply to STARTTLS")
    session.begin(pump)
    try:
        async with asyncio.timeout(manners.timeouts.handshake):
            failed = await pump.shake_hands()
    except TimeoutError:
        seconds = time.monotonic() - started
        failed = Failed(answer=Silent(stage=pump.stage, seconds=seconds), text="timed out in the handshake")
    except BaseException:
        session.close()
        raise
    if failed:
        session.close(farewell=b"")
        return failed
    done = Handshake(
        protocol=_protocol(connection.get_protocol_version_name()),
        suite=connection.get_cipher_name() or "",
        group=connection.get_group_name(),
        chain=_chain(connection),
        seconds=time.monotonic() - started,
        offered=decode_client_hello(pump.hello).suites,
    )
    await pump.leave(manners.contact, manners.timeouts.quit)
    return replace(done, afterwards=pump.afterwards, rejected=pump.rejected)


class _Pump:
    """Moves bytes between a session and the BIOs of a connection."""

    def __init__(self, session: Session, connection: SSL.Connection) -> None:
        self._session = session
        self._connection = connection
        self._news = asyncio.Event()
        self._ended: Literal["eof", "reset"] | None = None
        self._taken = 0
        self._first = b""
        self.hello = b""
        self.afterwards: str | None = None
        self.rejected = False

    @property
    def stage(self) -> Literal["hello", "handshake"]:
        return "handshake" if self._taken else "hello"

    def received(self, data: bytes) -> None:
        if not self._first:
            self._first = data[:64]
        self._taken += len(data)
        if self._taken <= MAX_HANDSHAKE_BYTES:
            self._connection.bio_write(data)
        self._news.set()

    def ended(self, how: Literal["eof", "reset"]) -> None:
        self._ended = how
        self._news.set()

    async def shake_hands(self) -> Failed | None:
        while True:
            try:
                self._connection.do_handshake()
                self._flush()
                return None
            except SSL.WantReadError:
                self._flush()
            except SSL.Error as error:
                self._flush()
                return self._failed(error)
            if self._ended:
                return Failed(
                    answer=Closed(stage=self.stage, how=self._ended),
                    text="closed by the server" if self._ended == "eof" else "reset by the server",
                )
            if self._taken > MAX_HANDSHAKE_BYTES:
                reason = f"more than {MAX_HANDSHAKE_BYTES} bytes and no end"
                return Failed(answer=Garbled(stage="handshake", reason=reason, data=self._first), text=reason)
            await self._news.wait()
            self._news.clear()

    async def leave(self, contact: str | None, timeout: float) -> None:
        """Say who we are where that was asked for, QUIT, and close_notify (RFC 5321 §4.1.1.10, RFC 8446 §6.1).

        One command at a time, each with its reply: NOOP and QUIT may only end a group (RFC 2920 §3.1).
        """
        try:
            async with asyncio.timeout(timeout):
                if contact:
                    await self._command(b"NOOP mxprobe, contact " + contact.encode("ascii", "replace"))
                await self._command(b"QUIT")
            self._connection.shutdown()
            self._flush()
        except (SSL.ZeroReturnError, SSL.SysCallError, TimeoutError):
            pass  # we were leaving in any case
        except SSL.Error as error:
            self.afterwards, self.rejected = _openssl_text(error), True
        finally:
            self._session.close(farewell=b"")

    async def _command(self, line: bytes) -> None:
        self._connection.send(line + b"\r\n")
        self._flush()
        while not self._ended and self._taken <= MAX_HANDSHAKE_BYTES:
            try:
                reply = self._connection.recv(4096)
                if reply[:1] in (b"4", b"5"):
                    self.afterwards = reply[:200].decode("utf-8", "surrogateescape").strip()
                return
            except SSL.WantReadError:
                self._flush()
                await self._news.wait()
                self._news.clear()

    def _flush(self) -> None:
        while True:
            try:
                data = self._connection.bio_read(65536)
                self.hello = self.hello or data
                self._session.send(data)
            except SSL.WantReadError:
                return

    def _failed(self, error: SSL.Error) -> Failed:
        text = _openssl_text(error)
        # A record of one fatal alert; a warning (RFC 5246 §7.2.2) is not what ended it.
        start = self._first[:7]
        if len(start) == 7 and start[:2] == b"\x15\x03" and start[3:6] == b"\0\2\2":
            return Failed(answer=Refused(alert=self._first[6]), text=text)
        return Failed(answer=Garbled(stage="handshake", reason=text, data=self._first), text=text)


@lru_cache(maxsize=32)
def _context(protocol: Protocol | None, suite: str | None) -> SSL.Context:
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_options(_LEGACY_SERVER_CONNECT)
    context.set_verify(SSL.VERIFY_NONE)
    if protocol is not None and protocol not in _VERSIONS:
        raise ValueError(f"OpenSSL no longer speaks {protocol}")
    context.set_min_proto_version(_VERSIONS[protocol] if protocol else SSL.TLS1_VERSION)
    context.set_max_proto_version(_VERSIONS[protocol] if protocol else 0)
    try:
        if suite and protocol == "TLSv1.3":
            context.set_cipher_list(f"{EVERYTHING}".encode())
            context.set_tls13_ciphersuites(suite.encode())
        else:
            context.set_cipher_list(f"{suite}:@SECLEVEL=0".encode() if suite else EVERYTHING.encode())
    except SSL.Error as error:
        raise ValueError(f"OpenSSL does not know the suite {suite}") from error
    return context


def _chain(connection: SSL.Connection) -> tuple[bytes, ...]:
    chain = connection.get_peer_cert_chain() or []
    return tuple(crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate) for certificate in chain)


def _protocol(name: str) -> Protocol:
    for protocol in PROTOCOLS:
        if protocol == name:
            return protocol
    raise AssertionError(f"OpenSSL agreed on {name}, which we did not offer")


def _openssl_text(error: SSL.Error) -> str:
    reasons = [entry[2] for entry in error.args[0] if len(entry) > 2] if error.args and error.args[0] else []
    return "; ".join(reasons) or type(error).__name__
