"""The line to one endpoint: opens its connections, within the limits, and knows how they were received."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from mxprobe.network.asking import Asking
from mxprobe.network.farewells import Farewells
from mxprobe.network.gate import Gate
from mxprobe.network.opening import Opening
from mxprobe.network.patience import Patience
from mxprobe.network.reception import Reception
from mxprobe.network.session import Ended, Session
from mxprobe.network.settings import Manners
from mxprobe.network.transcript import Transcript
from mxprobe.terms import Endpoint
from mxprobe.tls.offer import Answer, Chosen, Ending, Offer, Refused

MAX_CHAINS = 16
"""Chains kept of one endpoint: one for each kind of key, with and without SNI, many times over. A hostile server has
a fresh one for each hello."""

Came = Callable[["Dialling", Session | Ended], None]
"""Told what came of a connection that was dialled."""

Watch = Callable[[Offer, Answer], None]
"""Told of every answer as it comes."""


class Line:
    """All connections of one probe to one endpoint. Keeps to the gate."""

    def __init__(
        self, endpoint: Endpoint, manners: Manners, gate: Gate, *, trace: bool = False, watch: Watch | None = None
    ) -> None:
        self.endpoint = endpoint
        self.manners = manners
        self.reception = Reception(gate.limits.per_address, manners.timeouts.pause)
        self.patience = Patience()
        self.connections = 0
        self.answered = 0
        self.early_bytes = b""
        self.transcripts: list[Transcript] = []
        self._in_pieces: bool | None = None
        """Whether the server has ever sent an answer in pieces; None before the first. Where it has not, there is no
        ACK to hurry, which is a packet a hello."""
        self._time_is_over: float | None = None
        stages = manners.timeouts
        self._longest_stage = max(stages.connect, stages.greeting, stages.ehlo, stages.starttls, stages.handshake)
        self._open: set[Session] = set()
        self._leaving: set[Dialling] = set()
        self._all_left = asyncio.Event()
        self._chains: dict[tuple[bytes, ...], tuple[bytes, ...]] = {}
        self._farewells = Farewells()
        self._visit = gate.visit(endpoint)
        self._trace = trace
        self._watch = watch

    async def open(self) -> Session | Ended:
        """Open one connection, as soon as the gate has a place for it; closing the session gives it back."""
        heard: asyncio.Future[Session | Ended] = asyncio.get_running_loop().create_future()

        def came(_: Dialling, found: Session | Ended) -> None:
            if not heard.done():
                heard.set_result(found)

        dialling = self.dial(came)
        try:
            await dialling.connected
            return await heard
        except asyncio.CancelledError:
            dialling.abort()
            raise

    def dial(self, came: Came) -> Dialling:
        """The same without waiting: `came` is told what came of it."""
        return Dialling(self, came)

    def ask(self, session: Session, offer: Offer, answered: Callable[[Asking, Ending], None]) -> Asking:
        """Ask an offer on a session; `answered` is told what came of it."""
        seconds = self.manners.timeouts.hello
        if self._time_is_short(seconds):
            seconds = min(seconds, max(0.1, self.seconds_left))
        return Asking(session, offer, seconds, self.patience, answered, in_pieces=self._in_pieces is not False)

    def note(self, asked: Asking, answer: Ending) -> None:
        """Keep what an answer says of the endpoint, and tell of it."""
        if isinstance(answer, Chosen) and answer.certificates:
            # As in `Asking`, replace() would take longer; nobody else has seen this answer yet.
            object.__setattr__(answer, "certificates", self._known_chain(answer.certificates))
        self.early_bytes = self.early_bytes or asked.session.dialogue.early_bytes
        self.answered += 1
        if isinstance(answer, Chosen | Refused):
            self._farewells.answered(answer.seconds)
        if asked.pieces:
            self._in_pieces = bool(self._in_pieces) or asked.pieces > 1
        if self._watch is not None:
            self._watch(asked.offer, answer)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Nothing more is asked: connections that are left politely have a moment for that, the others have had theirs.
        if self._leaving and kind is None:
            self._all_left.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(self.manners.timeouts.quit):
                    await self._all_left.wait()
        await asyncio.sleep(0)  # farewells that were only just said go out
        for dialling in tuple(self._leaving):
            dialling.abort()
        for session in tuple(self._open):
            session.abort()
        await asyncio.sleep(0)
        self.patience.close()

    def _begun(self) -> tuple[Manners, Transcript | None]:
        """Of a connection that the gate has let through: how patient to be with it, and where its transcript goes."""
        if self._time_is_over is None:
            self._time_is_over = time.monotonic() + self.manners.deadline
        self.connections += 1
        transcript = None
        if self._trace:
            transcript = Transcript(self.connections, f"connection {self.connections} to {self.endpoint}")
            self.transcripts.append(transcript)
        if self._time_is_short(self._longest_stage):
            return self.manners.within(self.seconds_left), transcript
        return self.manners, transcript

    def _opened(self, found: Session | Ended) -> None:
        self.early_bytes = self.early_bytes or found.dialogue.early_bytes
        if isinstance(found, Ended):
            self._visit.leave()
        else:
            self._open.add(found)
            found.when_closed(self._open.discard)
            found.in_place(self._visit.leave, self._farewells)

    def _left(self, dialling: Dialling) -> None:
        self._leaving.discard(dialling)
        if not self._leaving:
            self._all_left.set()

    def _known_chain(self, chain: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """A chain kept once, however often it was sent, and not at all beyond `MAX_CHAINS`."""
        if chain in self._chains or len(self._chains) < MAX_CHAINS:
            return self._chains.setdefault(chain, chain)
        return ()

    def _time_is_short(self, seconds: float) -> bool:
        """Whether so many seconds may be more than are left: quick to tell, since being held up only adds to them."""
        return self._time_is_over is None or self._time_is_over - time.monotonic() < seconds

    @property
    def deadline(self) -> float | None:
        """When the time of this endpoint is over. It begins with the first connection, and stands still while the gate
        lets none through; None before that."""
        return None if self._time_is_over is None else self._time_is_over + self._visit.held_up_seconds

    @property
    def seconds_left(self) -> float:
        """Seconds until the deadline, all of them while nothing was opened yet; 0 when it is over."""
        deadline = self.deadline
        return self.manners.deadline if deadline is None else max(0.0, deadline - time.monotonic())


class Dialling:
    """One connection of a line on its way: at the gate, being made, or in the conversation before TLS."""

    __slots__ = ("_line", "_opening", "_told", "_told_to", "_unneeded", "connected")

    def __init__(self, line: Line, came: Came) -> None:
        self._line = line
        self._told_to = came
        self._opening: Opening | None = None
        self._unneeded = False
        self._told = False
        self.connected = asyncio.get_running_loop().create_task(self._connect())
        """Done when there is a connection, or none can be made. Raises only what is wrong on our side."""

    def tell(self, came: Came) -> None:
        """Tell somebody else what comes of it."""
        self._told_to = came

    def leave(self) -> None:
        """Nobody needs it any more: not to be made, or to be left at the next reply, politely."""
        if self._opening is None or not self._opening.talks:
            self.abort()
        elif not self._told:
            self._unneeded = True
            self._line._leaving.add(self)
            self._opening.leave()

    def abort(self) -> None:
        """End it without another word."""
        if not self.connected.done():
            self.connected.cancel()
        elif self._opening is not None:
            self._opening.abort()

    async def _connect(self) -> None:
        line = self._line
        await line._visit.enter()
        try:
            manners, transcript = line._begun()
            self._opening = Opening(line.endpoint, manners, transcript, line.patience, self._came)
            await self._opening.connect()
        except BaseException:
            if not self._told:
                line._visit.leave()
            raise

    def _came(self, found: Session | Ended) -> None:
        self._told = True
        self._line._opened(found)
        if self._unneeded:
            self._line._left(self)
            if isinstance(found, Session):
                found.close()
        self._told_to(self, found)
