"""One connection on which the next bytes are TLS: who gets them, and how it is left."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from mxprobe.network.farewells import Farewells
from mxprobe.network.patience import Patience
from mxprobe.network.transcript import Transcript
from mxprobe.smtp.dialogue import EARLY_BYTES, Dialogue
from mxprobe.terms import Protocol as TlsVersion
from mxprobe.tls.offer import Answer

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


class Session(asyncio.Protocol):
    """A connection on which STARTTLS was accepted (or, for smtps, that was just made).

    Bytes that come before `begin` are early: they belong to no TLS record that we could have asked for.
    """

    __slots__ = (
        "_farewells",
        "_free",
        "_gone",
        "_heard_end",
        "_holds_place",
        "_leaving",
        "_left_at",
        "_lost",
        "_patience",
        "_receiver",
        "_transcript",
        "_transport",
        "_when_closed",
        "dialogue",
    )

    def __init__(
        self, transport: asyncio.Transport, dialogue: Dialogue, transcript: Transcript | None, patience: Patience
    ) -> None:
        self.dialogue = dialogue
        self._transport = transport
        self._transcript = transcript
        self._patience = patience
        self._receiver: Receiver | None = None
        self._gone: Literal["eof", "reset"] | None = None
        self._when_closed: Callable[[Session], None] | None = None
        self._free: Callable[[], None] | None = None
        self._farewells: Farewells | None = None
        self._left_at = 0.0
        self._holds_place = False
        self._heard_end = False
        self._leaving = False
        self._lost = False
        transport.set_protocol(self)

    @property
    def gone(self) -> Literal["eof", "reset"] | None:
        """Whether, and how, the peer left before anything was asked."""
        return self._gone

    def begin(self, receiver: Receiver, *, in_pieces: bool = True) -> None:
        """Hand all that comes from now on to a receiver; `in_pieces` if the server may send its flight so."""
        self._receiver = receiver
        if in_pieces:
            _acknowledge_at_once(self._transport)
        if self._gone:
            receiver.ended(self._gone)

    def send(self, data: bytes) -> None:
        """Write bytes of the TLS part; writing to a peer that has gone does nothing."""
        if self._transcript is not None:
            self._transcript.add(">", "tls", data)
        if not self._leaving and not self._transport.is_closing():
            self._transport.write(data)

    def when_closed(self, callback: Callable[[Session], None]) -> None:
        """Call back, once, when we have closed, and the peer too as far as we wait for it."""
        self._when_closed = callback

    def in_place(self, free: Callable[[], None], farewells: Farewells) -> None:
        """Call `free`, once, when the server counts this connection no more, as far as `farewells` tell."""
        self._free, self._farewells = free, farewells

    def close(self, farewell: bytes | None = None) -> None:
        """Say goodbye and close our side; the rest when the peer has closed its own, or after `LINGER_SECONDS`.

        Where no hello was sent there is no TLS to say goodbye to: an alert would be logged as an unexpected message.
        """
        if self._leaving:
            return
        going = self._gone is not None or self._lost or self._transport.is_closing()
        if not going and self._receiver is not None and farewell != b"":
            self.send(farewell or close_notify())
        self._leaving, self._receiver = True, None
        if self._lost:
            self._released()
        elif going:
            self._transport.close()
        else:
            hold = None if self._farewells is None else self._farewells.hold_seconds()
            self._holds_place = hold is not None
            self._left_at = self._patience.wait(self, LINGER_SECONDS if hold is None else hold)
            with suppress(OSError):  # the peer may have reset it meanwhile, which comes to us later
                self._transport.write_eof()

    def abort(self) -> None:
        """Wait for the peer no longer."""
        self.close(farewell=b"")
        self._transport.abort()

    # Of the wait for the peer to close its side

    def out_of_patience(self) -> None:
        """The peer will have closed, though we have not heard of it yet; or it does not close."""
        if self._holds_place:
            self._holds_place = False
            self._patience.wait(self, LINGER_SECONDS)
            self._free_place()
        else:
            self._transport.abort()

    # Of the transport

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        if self._leaving:
            return
        if self._transcript is not None:
            self._transcript.add("<", "tls", data)
        if self._receiver is not None:
            self._receiver.received(data)
        elif len(self.dialogue.early_bytes) < EARLY_BYTES:
            early = (self.dialogue.early_bytes + data)[:EARLY_BYTES]
            self.dialogue = replace(self.dialogue, early_bytes=early)

    def eof_received(self) -> bool:
        """The peer has closed its side; we close ours."""
        self._heard_end = True
        self._ended("eof")
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is left of the connection."""
        self._ended("reset" if isinstance(exc, ConnectionError) else "eof")
        self._lost = True
        self._patience.forget(self)
        if self._left_at and self._heard_end and self._farewells is not None:
            self._farewells.closed(time.monotonic() - self._left_at)
        if self._leaving:
            self._released()

    def _ended(self, how: Literal["eof", "reset"]) -> None:
        if self._gone is None:
            self._gone = how
            if self._transcript is not None:
                self._transcript.add("-", "note", b"closed by the peer" if how == "eof" else b"reset by the peer")
            if self._receiver is not None:
                self._receiver.ended(how)

    def _free_place(self) -> None:
        free, self._free = self._free, None
        if free is not None:
            free()

    def _released(self) -> None:
        self._free_place()
        callback, self._when_closed = self._when_closed, None
        if callback is not None:
            callback(self)


def _acknowledge_at_once(transport: asyncio.Transport) -> None:
    """Do not delay the ACK of what comes next: a server that writes its flight in pieces waits for it (RFC 896,
    RFC 1122 §4.2.3.2), which costs 40 ms a hello."""
    connection = transport.get_extra_info("socket")
    if connection is not None and hasattr(socket, "TCP_QUICKACK"):
        with suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
