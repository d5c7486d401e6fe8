"""One connection up to the 220 that lets TLS begin: connecting, greeting, EHLO, STARTTLS (RFC 5321, RFC 3207).

It is a state machine that the event loop feeds: each reply says what is said next. Nothing waits in between, so that a
connection costs little more than its system calls.
"""

from __future__ import annotations

import asyncio
import errno
import os
import time
from collections.abc import Callable
from typing import Literal, cast

from mxprobe.network.patience import Patience
from mxprobe.network.session import Ended, Session
from mxprobe.network.settings import Manners
from mxprobe.network.transcript import Transcript
from mxprobe.smtp.dialogue import EARLY_BYTES, Dialogue
from mxprobe.smtp.replies import (
    Meaning,
    Reply,
    announces_starttls,
    ehlo_meaning,
    greeting_meaning,
    helo_may_work,
    starttls_meaning,
)
from mxprobe.smtp.reply_reader import NotAReply, ReplyReader
from mxprobe.terms import Endpoint
from mxprobe.tls.offer import Answer, Closed, Garbled, Silent, Stage, Throttled, Unasked

Heard = Callable[[Session | Ended], None]
"""Who is told, once, how an opening came out."""

_Step = Literal["connect", "greeting", "ehlo", "helo", "starttls", "quit", "over"]
"""What is waited for."""

_STAGES: dict[_Step, Stage] = {
    "connect": "connect",
    "greeting": "greeting",
    "ehlo": "ehlo",
    "helo": "ehlo",
    "starttls": "starttls",
}

_UNNEEDED = Unasked(reason="the connection was not needed any more")


class Opening(asyncio.Protocol):
    """The SMTP conversation of one connection, each stage with its own patience.

    Never raises on what the peer or the network does; an `Ended` says at which stage it was over and why. On smtps the
    session begins with the connection.

    Raises:
        ValueError: our name holds a control character, by which it could say more than EHLO.
    """

    __slots__ = (
        "_connecting",
        "_early",
        "_ehlo",
        "_ending",
        "_endpoint",
        "_greeting",
        "_heard",
        "_helo",
        "_manners",
        "_needed",
        "_patience",
        "_reader",
        "_since",
        "_starttls",
        "_step",
        "_transcript",
        "_transport",
    )

    def __init__(
        self,
        endpoint: Endpoint,
        manners: Manners,
        transcript: Transcript | None,
        patience: Patience,
        heard: Heard,
    ) -> None:
        if not manners.ehlo.isprintable():
            raise ValueError(f"this cannot be said in EHLO: {manners.ehlo!r}")
        self._endpoint = endpoint
        self._manners = manners
        self._transcript = transcript
        self._patience = patience
        self._heard = heard
        self._transport: asyncio.Transport | None = None
        self._connecting: asyncio.Task[object] | None = None
        self._reader = ReplyReader()
        self._step: _Step = "connect"
        self._since = 0.0
        self._needed = True
        self._ending: Answer = _UNNEEDED
        self._early = b""
        self._greeting: Reply | None = None
        self._ehlo: Reply | None = None
        self._helo = False
        self._starttls: Reply | None = None

    async def connect(self) -> None:
        """Make the connection; from there on it goes by itself. To be awaited by a task that does nothing else."""
        loop = asyncio.get_running_loop()
        self._connecting = asyncio.current_task()
        self._expect("connect", self._manners.timeouts.connect)
        try:
            await loop.create_connection(lambda: self, self._endpoint.address, self._endpoint.port)
        except asyncio.CancelledError:
            if self._connecting is None:  # we were out of patience, and have told so
                return
            self._step = "over"
            self._patience.forget(self)
            raise
        except OSError as error:
            if self._step == "connect":
                self._finish(_not_connected(error, time.monotonic() - self._since))
        finally:
            self._connecting = None

    @property
    def talks(self) -> bool:
        """Whether it is in the conversation."""
        return self._step not in ("connect", "over")

    def leave(self) -> None:
        """Nobody needs this connection any more: end it at the next reply, by QUIT where that can be said."""
        self._needed = False

    def abort(self) -> None:
        """End it without another word."""
        if self._step != "over":
            self._finish(_UNNEEDED)

    # Of the patience

    def out_of_patience(self) -> None:
        """The next reply, or the connection, did not come."""
        if self._step == "quit":
            self._finish(self._ending)
            return
        connecting, self._connecting = self._connecting, None
        self._finish(Silent(stage=_STAGES[self._step], seconds=time.monotonic() - self._since))
        if connecting is not None:
            connecting.cancel()

    # Of the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the greeting."""
        self._transport = made = cast(asyncio.Transport, transport)  # that of uvloop is no subclass
        if self._step == "over":
            made.abort()
        elif self._endpoint.service == "smtps":
            self._patience.forget(self)
            self._become_session(b"")
        else:
            self._expect("greeting", self._manners.timeouts.greeting)

    def data_received(self, data: bytes) -> None:
        """Read a reply, and say what is next."""
        if self._transcript is not None:
            self._transcript.add("<", "smtp", data)
        step = self._step
        if step == "over":
            return
        try:
            found = self._reader.feed(data)
        except NotAReply as error:
            if step == "quit":
                self._finish(self._ending)
            else:
                seconds = time.monotonic() - self._since
                self._end(Garbled(stage=_STAGES[step], reason=str(error)[:200], data=data[:64], seconds=seconds))
            return
        if found is None:
            return
        reply, behind = found
        if step == "greeting":
            self._greeted(reply)
        elif step == "starttls":
            self._starttls_answered(reply, behind)
        elif step == "quit":
            self._finish(self._ending)
        else:
            self._ehlo_answered(reply)

    def eof_received(self) -> bool:
        """The peer has closed its side."""
        self._gone("eof")
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is left of the connection."""
        self._gone("reset" if isinstance(exc, ConnectionError) else "eof")

    # Replies

    def _greeted(self, reply: Reply) -> None:
        self._greeting = reply
        if not self._needed:
            self._end(_UNNEEDED)
        elif (meaning := greeting_meaning(reply)) != "ok":
            self._end(_ending("greeting", reply, meaning))
        else:
            greet = b"LHLO " if self._endpoint.service == "lmtp" else b"EHLO "
            self._say("ehlo", self._manners.timeouts.ehlo, greet + self._name)

    def _ehlo_answered(self, reply: Reply) -> None:
        self._ehlo = reply
        if not self._needed:
            self._end(_UNNEEDED)
        elif self._step == "ehlo" and self._endpoint.service != "lmtp" and helo_may_work(reply):
            self._helo = True
            self._say("helo", self._manners.timeouts.ehlo, b"HELO " + self._name)
        elif (meaning := ehlo_meaning(reply)) != "ok":
            self._end(_ending("ehlo", reply, meaning))
        elif self._helo or not announces_starttls(reply):
            self._end(Throttled(stage="ehlo", reply="STARTTLS is not offered"))
        else:
            self._say("starttls", self._manners.timeouts.starttls, b"STARTTLS")

    def _starttls_answered(self, reply: Reply, behind: bytes) -> None:
        self._starttls = reply
        if (meaning := starttls_meaning(reply)) != "ok":
            self._end(_ending("starttls", reply, meaning), early=behind[:EARLY_BYTES])
        else:
            self._patience.forget(self)
            self._become_session(behind[:EARLY_BYTES])

    # Steps

    @property
    def _name(self) -> bytes:
        return self._manners.ehlo.encode("ascii", "replace")

    def _expect(self, step: _Step, seconds: float) -> None:
        self._step = step
        self._since = self._patience.wait(self, seconds)

    def _say(self, step: _Step, seconds: float, command: bytes) -> None:
        assert self._transport is not None
        line = command + b"\r\n"
        if self._transcript is not None:
            self._transcript.add(">", "smtp", line)
        self._step = step
        self._since = self._patience.wait(self, seconds)
        self._transport.write(line)

    def _become_session(self, early: bytes) -> None:
        assert self._transport is not None
        self._step = "over"
        self._heard(Session(self._transport, self._dialogue(early), self._transcript, self._patience))

    def _end(self, ending: Answer, early: bytes = b"") -> None:
        """Leave politely where it is our turn (RFC 5321 §4.1.1.10): not before a greeting. What comes back changes
        nothing."""
        assert self._transport is not None
        self._early, self._ending = early, ending
        if self._greeting is None or self._transport.is_closing():
            self._finish(ending)
        else:
            self._reader = ReplyReader()
            self._say("quit", self._manners.timeouts.quit, b"QUIT")

    def _gone(self, how: Literal["eof", "reset"]) -> None:
        if self._step == "quit":
            self._finish(self._ending)
        elif self._step != "over":
            self._finish(Closed(stage=_STAGES[self._step], how=how, seconds=time.monotonic() - self._since))

    def _finish(self, answer: Answer) -> None:
        self._step = "over"
        self._patience.forget(self)
        if self._transport is not None:
            self._transport.close()
        self._heard(Ended(answer=answer, dialogue=self._dialogue(self._early)))

    def _dialogue(self, early: bytes) -> Dialogue:
        return Dialogue(
            greeting=self._greeting, ehlo=self._ehlo, helo=self._helo, starttls=self._starttls, early_bytes=early
        )


def _ending(stage: Stage, reply: Reply, meaning: Meaning) -> Answer:
    if meaning == "garbled":
        return Garbled(stage=stage, reason=f"not a reply to this: {reply}"[:200])
    return Throttled(stage=stage, reply=str(reply))


def _not_connected(error: OSError, seconds: float) -> Answer:
    if error.errno == errno.ETIMEDOUT:
        return Silent(stage="connect", seconds=seconds)
    if error.errno == errno.ECONNRESET:
        return Closed(stage="connect", how="reset", seconds=seconds)
    # What getaddrinfo() says has negative numbers and its own words.
    reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)
    return Throttled(stage="connect", reply=reason, seconds=seconds)
