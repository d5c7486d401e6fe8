"""One connection to a mail server, up to the point where the next bytes are TLS."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from aiosmtplib.errors import SMTPReadTimeoutError, SMTPResponseException, SMTPServerDisconnected
from aiosmtplib.protocol import SMTPProtocol
from aiosmtplib.response import SMTPResponse

from mxprobe.network.settings import Manners
from mxprobe.network.transcript import Transcript
from mxprobe.smtp.dialogue import EARLY_BYTES, Dialogue
from mxprobe.smtp.replies import (
    Meaning,
    Reply,
    ehlo_meaning,
    greeting_meaning,
    helo_may_work,
    starttls_meaning,
)
from mxprobe.terms import Endpoint
from mxprobe.terms import Protocol as TlsVersion
from mxprobe.tls.offer import Answer, Closed, Garbled, Silent, Stage, Throttled

LINGER_SECONDS = 1.0
"""How long we wait for the server to close its side after ours. Until then it counts the connection, some for half a
second after a handshake that was not finished, and so do we."""


def close_notify(protocol: TlsVersion = "TLSv1") -> bytes:
    """A plain-text warning alert close_notify: how we leave a handshake that was never to be finished.

    Servers take it for an ending of the connection, not for an error of theirs, if the record has the version that they
    agreed to (RFC 8446 §5.1, §6.1).
    """
    minor = {"SSLv3": 0, "TLSv1": 1, "TLSv1.1": 2, "TLSv1.2": 3, "TLSv1.3": 3}.get(protocol, 1)
    return bytes((21, 3, minor, 0, 2, 1, 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A connection that ended before TLS could begin: how, and what was said until then."""

    answer: Answer
    dialogue: Dialogue


class Receiver(Protocol):
    """Who takes the bytes of the TLS part."""

    def received(self, data: bytes) -> None:
        """Bytes came."""

    def ended(self, how: Literal["eof", "reset"]) -> None:
        """The peer has gone."""


class Session:
    """A connection on which STARTTLS was accepted (or, for smtps, that was just made).

    Bytes that come before `begin` are early: they belong to no TLS record that we could have asked for.
    """

    def __init__(self, transport: asyncio.Transport, dialogue: Dialogue, transcript: Transcript | None) -> None:
        self.dialogue = dialogue
        self._transport = transport
        self._transcript = transcript
        self._receiver: Receiver | None = None
        self._gone: Literal["eof", "reset"] | None = None
        self._when_closed: Callable[[], None] | None = None
        self._leaving = False
        self._lost = False
        self._linger: asyncio.TimerHandle | None = None
        transport.set_protocol(_TlsBytes(self))

    @property
    def gone(self) -> Literal["eof", "reset"] | None:
        """Whether, and how, the peer left before anything was asked."""
        return self._gone

    def begin(self, receiver: Receiver) -> None:
        """Hand all that comes from now on to a receiver."""
        self._receiver = receiver
        _acknowledge_at_once(self._transport)
        if self._gone:
            receiver.ended(self._gone)

    def send(self, data: bytes) -> None:
        """Write bytes of the TLS part; writing to a peer that has gone does nothing."""
        if self._transcript:
            self._transcript.add(">", "tls", data)
        if not self._leaving and not self._transport.is_closing():
            self._transport.write(data)

    def when_closed(self, callback: Callable[[], None]) -> None:
        """Call back, once, when we have closed, and the peer too as far as we wait for it."""
        self._when_closed = callback

    def close(self, farewell: bytes | None = None) -> None:
        """Say goodbye and close our side; the rest when the peer has closed its own, or after `LINGER_SECONDS`."""
        if self._leaving:
            return
        going = self._gone is not None or self._lost or self._transport.is_closing()
        if not going and farewell != b"":
            self.send(farewell or close_notify())
        self._leaving, self._receiver = True, None
        if self._lost:
            self._released()
        elif going:
            self._transport.close()
        else:
            self._linger = asyncio.get_running_loop().call_later(LINGER_SECONDS, self._transport.abort)
            with suppress(OSError):  # the peer may have reset it meanwhile, which comes to us later
                self._transport.write_eof()

    def abort(self) -> None:
        """Wait for the peer no longer."""
        self.close(farewell=b"")
        self._transport.abort()

    def lost(self) -> None:
        self._lost = True
        if self._linger:
            self._linger.cancel()
        if self._leaving:
            self._released()

    def _released(self) -> None:
        callback, self._when_closed = self._when_closed, None
        if callback:
            callback()

    def received(self, data: bytes) -> None:
        if self._leaving:
            return
        if self._transcript:
            self._transcript.add("<", "tls", data)
        if self._receiver:
            self._receiver.received(data)
        elif len(self.dialogue.early_bytes) < EARLY_BYTES:
            early = (self.dialogue.early_bytes + data)[:EARLY_BYTES]
            self.dialogue = replace(self.dialogue, early_bytes=early)

    def ended(self, how: Literal["eof", "reset"]) -> None:
        if self._gone is None:
            self._gone = how
            if self._transcript:
                self._transcript.add("-", "note", b"closed by the peer" if how == "eof" else b"reset by the peer")
            if self._receiver:
                self._receiver.ended(how)


async def open_session(endpoint: Endpoint, manners: Manners, transcript: Transcript | None) -> Session | Ended:
    """Connect, wait for the greeting, say EHLO, and ask for STARTTLS, each with its own patience.

    Never raises on what the peer or the network does; an `Ended` says at which stage it was over and why. On smtps
    the session begins with the connection.
    """
    loop = asyncio.get_running_loop()
    protocol = _TappedProtocol(transcript)
    started = time.monotonic()
    try:
        async with asyncio.timeout(manners.timeouts.connect):
            transport, _ = await loop.create_connection(lambda: protocol, endpoint.address, endpoint.port)
    except TimeoutError:
        return Ended(answer=Silent(stage="connect", seconds=time.monotonic() - started), dialogue=Dialogue())
    except OSError as error:
        return Ended(answer=_not_connected(error, time.monotonic() - started), dialogue=Dialogue())
    if endpoint.service == "smtps":
        return Session(transport, Dialogue(), transcript)
    dialogue = _Dialogue(endpoint, manners, protocol)
    try:
        ending = await dialogue.until_starttls()
        if ending is None:
            return Session(transport, dialogue.facts, transcript)
        # QUIT is said where it is our turn: not before a greeting, and not behind a command that has no reply yet.
        if dialogue.facts.greeting and not isinstance(ending, Silent) and not transport.is_closing():
            await _quit(protocol, manners.timeouts.quit)
    finally:
        if transport.get_protocol() is protocol:  # no session has taken it over
            transport.close()
    return Ended(answer=ending, dialogue=dialogue.facts)


class _TappedProtocol(SMTPProtocol):
    """aiosmtplib's reply parser with a tap: we keep what the plain class drops."""

    def __init__(self, transcript: Transcript | None) -> None:
        super().__init__()
        self._transcript = transcript
        self.unasked = bytearray()
        self.latest = b""

    def data_received(self, data: bytes) -> None:
        if self._transcript:
            self._transcript.add("<", "smtp", data)
        self.latest = data[:64]
        if self._response_waiter is None or not self._response_pending or self._response_waiter.done():
            if len(self.unasked) < EARLY_BYTES:
                self.unasked += data[:EARLY_BYTES]
            return
        super().data_received(data)

    def write(self, data: bytes) -> None:
        if self._transcript:
            self._transcript.add(">", "smtp", data)
        # What came before a command is no reply to it; the plain class would take it for one.
        self._buffer.clear()
        self.unasked.clear()
        super().write(data)

    async def say(self, *command: bytes, patience: float) -> SMTPResponse:
        """Send a command, or nothing before the greeting, and wait so many seconds for the reply.

        One timer is cheaper than the cancel scopes of asyncio, and there are four a connection.

        Raises:
            SMTPReadTimeoutError: the patience was over.
            SMTPServerDisconnected, SMTPResponseException: what the plain class raises.
        """
        timer = self._loop.call_later(patience, self._out_of_patience)
        try:
            return await (self.execute_command(*command) if command else self.read_response())
        finally:
            timer.cancel()

    def _out_of_patience(self) -> None:
        if self._response_waiter and not self._response_waiter.done():
            self._set_response_exception(self._response_waiter, SMTPReadTimeoutError("no reply"))

    def early_bytes(self) -> bytes:
        """What came after the last reply that was read."""
        return bytes(self._buffer[:EARLY_BYTES] + self.unasked)[:EARLY_BYTES]


class _TlsBytes(asyncio.Protocol):
    def __init__(self, session: Session) -> None:
        self._session = session

    def data_received(self, data: bytes) -> None:
        self._session.received(data)

    def eof_received(self) -> bool:
        self._session.ended("eof")
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._session.ended("reset" if isinstance(exc, ConnectionError) else "eof")
        self._session.lost()


class _Dialogue:
    """The SMTP conversation of one connection, noting each reply as it comes."""

    def __init__(self, endpoint: Endpoint, manners: Manners, protocol: _TappedProtocol) -> None:
        self.facts = Dialogue()
        self._greet = b"LHLO" if endpoint.service == "lmtp" else b"EHLO"
        self._name = manners.ehlo.encode("ascii", "replace")
        self._timeouts = manners.timeouts
        self._protocol = protocol

    async def until_starttls(self) -> Answer | None:
        """None when STARTTLS was accepted, else how it ended."""
        said = await self._reply("greeting", self._timeouts.greeting)
        if not isinstance(said, Reply):
            return said
        self.facts = replace(self.facts, greeting=said)
        if ending := self._ending("greeting", said, greeting_meaning(said)):
            return ending

        said = await self._reply("ehlo", self._timeouts.ehlo, self._greet, self._name)
        if isinstance(said, Reply) and helo_may_work(said) and self._greet == b"EHLO":
            self.facts = replace(self.facts, ehlo=said, helo=True)
            said = await self._reply("ehlo", self._timeouts.ehlo, b"HELO", self._name)
        if not isinstance(said, Reply):
            return said
        self.facts = replace(self.facts, ehlo=said)
        if ending := self._ending("ehlo", said, ehlo_meaning(said)):
            return ending
        if self.facts.lacks_starttls:
            return Throttled(stage="ehlo", reply="STARTTLS is not offered")

        said = await self._reply("starttls", self._timeouts.starttls, b"STARTTLS")
        if not isinstance(said, Reply):
            return said
        self.facts = replace(self.facts, starttls=said, early_bytes=self._protocol.early_bytes())
        return self._ending("starttls", said, starttls_meaning(said))

    async def _reply(self, stage: Stage, timeout: float, *command: bytes) -> Reply | Answer:
        started = time.monotonic()
        try:
            response = await self._protocol.say(*command, patience=timeout)
        except SMTPReadTimeoutError:
            return Silent(stage=stage, seconds=time.monotonic() - started)
        except (SMTPServerDisconnected, ConnectionError) as error:
            # aiosmtplib's error is a ConnectionError by itself, for either ending.
            cause = error.__cause__ if isinstance(error, SMTPServerDisconnected) else error
            reset = isinstance(cause, ConnectionError)
            return Closed(stage=stage, how="reset" if reset else "eof", seconds=time.monotonic() - started)
        except SMTPResponseException as error:
            seconds = time.monotonic() - started
            return Garbled(stage=stage, reason=error.message[:200], data=self._protocol.latest, seconds=seconds)
        return Reply(code=response.code, lines=tuple(response.message.split("\n")))

    @staticmethod
    def _ending(stage: Stage, reply: Reply, meaning: Meaning) -> Answer | None:
        match meaning:
            case "ok":
                return None
            case "garbled":
                return Garbled(stage=stage, reason=f"not a reply to this: {reply}"[:200])
            case _:
                return Throttled(stage=stage, reply=str(reply))


def _acknowledge_at_once(transport: asyncio.Transport) -> None:
    """Do not delay the ACK of what comes next: a server that writes its flight in pieces waits for it (RFC 896,
    RFC 1122 §4.2.3.2), which costs 40 ms a hello."""
    connection = transport.get_extra_info("socket")
    if connection is not None and hasattr(socket, "TCP_QUICKACK"):
        with suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


async def _quit(protocol: _TappedProtocol, timeout: float) -> None:
    """Leave politely (RFC 5321 §4.1.1.10); whatever comes back changes nothing."""
    try:
        await protocol.say(b"QUIT", patience=timeout)
    except (SMTPReadTimeoutError, SMTPServerDisconnected, SMTPResponseException, ConnectionError):
        return


def _not_connected(error: OSError, seconds: float) -> Answer:
    if error.errno == errno.ETIMEDOUT:
        return Silent(stage="connect", seconds=seconds)
    if error.errno == errno.ECONNRESET:
        return Closed(stage="connect", how="reset", seconds=seconds)
    # What getaddrinfo() says has negative numbers and its own words.
    reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)
    return Throttled(stage="connect", reply=reason, seconds=seconds)
