"""The line to one endpoint: opens its connections, within the limits, and knows how they were received."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Self

from mxprobe.network.asking import ask_on
from mxprobe.network.gate import Gate
from mxprobe.network.reception import Reception
from mxprobe.network.session import Ended, Session, open_session
from mxprobe.network.settings import Manners
from mxprobe.network.transcript import Transcript
from mxprobe.terms import Endpoint
from mxprobe.tls.offer import Answer, Chosen, Offer

MAX_CHAINS = 16
"""Chains kept of one endpoint: one for each kind of key, with and without SNI, many times over. A hostile server has
a fresh one for each hello."""

Watch = Callable[[Offer, Answer], None]
"""Told of every answer as it comes."""


class Line:
    """All connections of one probe to one endpoint. Keeps to the gate.

    `opening_seconds` and `asking_seconds` are what connections and hellos have taken so far, summed up.
    """

    def __init__(
        self, endpoint: Endpoint, manners: Manners, gate: Gate, *, trace: bool = False, watch: Watch | None = None
    ) -> None:
        self.endpoint = endpoint
        self.manners = manners
        self.reception = Reception(gate.limits.per_address, manners.timeouts.pause)
        self.connections = 0
        self.answered = 0
        self.opening_seconds = 0.0
        self.asking_seconds = 0.0
        self.early_bytes = b""
        self.transcripts: list[Transcript] = []
        self.deadline: float | None = None
        """When the time of this endpoint is over; it begins with the first connection, not with waiting for it."""
        self._open: set[Session] = set()
        self._chains: dict[tuple[bytes, ...], tuple[bytes, ...]] = {}
        self._gate = gate
        self._trace = trace
        self._watch = watch

    async def open(self) -> Session | Ended:
        """Open one connection, as soon as the gate has a place for it; closing the session gives it back."""
        address = self.endpoint.address
        await self._gate.acquire(address)
        started = time.monotonic()
        if self.deadline is None:
            self.deadline = started + self.manners.deadline
        try:
            self.connections += 1
            transcript = None
            if self._trace:
                transcript = Transcript(self.connections, f"connection {self.connections} to {self.endpoint}")
                self.transcripts.append(transcript)
            opened = await open_session(self.endpoint, self.manners.within(self.seconds_left), transcript)
            self.opening_seconds += time.monotonic() - started
        except BaseException:
            self._gate.release(address)
            raise
        if isinstance(opened, Ended):
            self._gate.release(address)
        else:
            self._open.add(opened)
            opened.when_closed(partial(self._closed, opened))
        self.early_bytes = self.early_bytes or opened.dialogue.early_bytes
        return opened

    async def ask(self, session: Session, offer: Offer) -> Answer:
        """Ask an offer on a session, or on a fresh one where the server has closed this while it waited."""
        if session.gone:
            session.close()
            opened = await self.open()
            if isinstance(opened, Ended):
                return opened.answer
            session = opened
        started = time.monotonic()
        answer = await ask_on(session, offer, min(self.manners.timeouts.hello, max(0.1, self.seconds_left)))
        self.asking_seconds += time.monotonic() - started
        if isinstance(answer, Chosen) and answer.certificates:
            answer = self._with_known_chain(answer)
        self.early_bytes = self.early_bytes or session.dialogue.early_bytes
        self.answered += 1
        if self._watch:
            self._watch(offer, answer)
        return answer

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        # Nothing more is asked: wait for the peer no longer.
        for session in tuple(self._open):
            session.abort()
        await asyncio.sleep(0)

    def _closed(self, session: Session) -> None:
        self._open.discard(session)
        self._gate.release(self.endpoint.address)

    def _with_known_chain(self, answer: Chosen) -> Chosen:
        """The answer with its chain kept once, however often it was sent, and not at all beyond `MAX_CHAINS`."""
        if answer.certificates in self._chains or len(self._chains) < MAX_CHAINS:
            return replace(answer, certificates=self._chains.setdefault(answer.certificates, answer.certificates))
        return replace(answer, certificates=())

    @property
    def seconds_left(self) -> float:
        """Seconds until the deadline, all of them while nothing was opened yet; 0 when it is over."""
        if self.deadline is None:
            return self.manners.deadline
        return max(0.0, self.deadline - time.monotonic())
