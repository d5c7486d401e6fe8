"""The line to one endpoint: opens connections ahead of need, and drives sweeps over them.

A removal chain is serial: the next offer is known only when the answer to the last has come. But greeting,
EHLO and STARTTLS do not depend on the offer. So while one hello is out, the next connections are made ready, and a
chain costs one round trip a hello instead of five.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import TypeVar

from mxprobe.network.asking import ask_on
from mxprobe.network.gate import Gate
from mxprobe.network.session import Ended, Session, open_session
from mxprobe.network.settings import Manners
from mxprobe.network.transcript import Transcript
from mxprobe.terms import Endpoint, Protocol
from mxprobe.tls.endings import ending_text
from mxprobe.tls.offer import Answer, Chosen, Closed, Garbled, Offer, Refused, Throttled, Unasked
from mxprobe.tls.sweep import Sweep, Wanted

T = TypeVar("T")

MAX_AHEAD = 4
"""Connections ready ahead of need: a connection takes four round trips before its hello, and one after."""

ASKED_PER_AHEAD = 20
"""One more connection may be open ahead, on the mere chance, for this many hellos answered. Those left over when a
sweep ends were opened in vain; this keeps them below 5 % of all."""

IDLE_SECONDS = 2.0
"""How long connections stay ready beside a hello that is not answered. A server that serves one connection after the
other may be waiting for the hello of one that has none yet; from then on nothing is opened ahead."""

FUTILE_ENDINGS = 2
"""Endings in a row that tell nothing (silence, throttling, connections lost before the hello) after which the
endpoint is left alone, and what was not asked is unknown."""

HELLOS_WITHOUT_TLS = 13
"""Hellos answered by nothing that is TLS, from the first on, after which the endpoint is left alone: the natural one,
and each of the six versions twice."""

Watch = Callable[[Offer, Answer], None]
"""Told of every answer as it comes."""


class Line:
    """All connections of one probe to one endpoint. Used from one task; keeps to the gate."""

    def __init__(
        self, endpoint: Endpoint, manners: Manners, gate: Gate, *, trace: bool = False, watch: Watch | None = None
    ) -> None:
        self.endpoint = endpoint
        self.connections = 0
        self.endings: Counter[str] = Counter()
        self.early_bytes = b""
        self.transcripts: list[Transcript] = []
        self._manners = manners
        self._gate = gate
        self._trace = trace
        self._watch = watch
        self._width = gate.limits.per_address
        self._answered = 0
        self._picking: set[Protocol] = set()
        self._opens_ahead = True
        self._opening_seconds = 0.0
        self._asking_seconds = 0.0
        self._futile = 0
        self._without_tls: int | None = 0
        """How many hellos were answered by what is not TLS; None once one was answered by TLS."""
        self._given_up: Unasked | None = None
        self._deadline: float | None = None

    async def open(self) -> Session | Ended:
        """Open one connection, as soon as the gate has a place for it; closing the session gives it back."""
        address = self.endpoint.address
        await self._gate.acquire(address)
        if self._deadline is None:  # waiting for others is not this endpoint's time
            self._deadline = time.monotonic() + self._manners.deadline
        try:
            self.connections += 1
            transcript = None
            if self._trace:
                transcript = Transcript(self.connections, f"connection {self.connections} to {self.endpoint}")
                self.transcripts.append(transcript)
            started = time.monotonic()
            opened = await open_session(self.endpoint, self._manners, transcript)
            self._opening_seconds += time.monotonic() - started
        except BaseException:
            self._gate.release(address)
            raise
        if isinstance(opened, Ended):
            self._gate.release(address)
        else:
            opened.when_closed(lambda: self._gate.release(address))
        self.early_bytes = self.early_bytes or opened.dialogue.early_bytes
        return opened

    def note(self, answer: Answer) -> None:
        """Take an ending into account: an endpoint that tells nothing any more is left alone."""
        match answer:
            case Chosen() | Refused():
                self._futile = 0
                self._without_tls = None
            case Closed(stage="hello" | "handshake") | Garbled(stage="hello" | "handshake"):
                self._futile = 0
                self._without_tls = None if self._without_tls is None else self._without_tls + 1
            case _:
                self._futile += 1
        if not isinstance(answer, Chosen | Refused | Unasked):
            self.endings[ending_text(answer)] += 1
        if self._futile >= FUTILE_ENDINGS and self._given_up is None:
            self._given_up = Unasked(reason=f"left alone after {FUTILE_ENDINGS} times {ending_text(answer)}")
        if self._without_tls == HELLOS_WITHOUT_TLS and self._given_up is None:
            self._given_up = Unasked(
                reason=f"left alone after {HELLOS_WITHOUT_TLS} hellos, none answered by TLS: {ending_text(answer)}"
            )

    async def drive(self, sweep: Sweep[T]) -> T:
        """Ask what a sweep wants, as many at a time as the limits allow, and return what it found."""
        ready: deque[Session] = deque()
        opening: set[asyncio.Task[Session | Ended]] = set()
        # In the order in which they were opened: a server that serves one connection after the other would otherwise
        # wait for the hello of a connection that waits for the answer to another.
        opened_in_order: list[asyncio.Task[Session | Ended]] = []
        asking: dict[asyncio.Task[Answer], Offer] = {}
        try:
            wanted = next(sweep)
            while True:
                unasked = deque(offer for offer in wanted if offer not in asking.values())
                if self._given_up and unasked:
                    wanted = sweep.send((unasked[0], self._given_up))
                    continue
                while unasked and ready:
                    task = asyncio.create_task(self._ask(ready.popleft(), unasked[0]))
                    asking[task] = unasked.popleft()
                needed = len(unasked) + self._ahead(wanted)
                room = self._width - len(asking) - len(ready) - len(opening)
                for _ in range(min(room, needed - len(ready) - len(opening))):
                    task_of_opening = asyncio.create_task(self.open())
                    task_of_opening.add_done_callback(opened_in_order.append)
                    opening.add(task_of_opening)

                done = await self._wait(opening | asking.keys(), idle=bool(ready and asking))
                for opened in [task for task in opened_in_order if task in done]:
                    opened_in_order.remove(opened)
                    opening.discard(opened)
                    match opened.result():
                        case Session() as session:
                            ready.append(session)
                        case Ended(answer=answer):
                            if self._too_many_at_once(answer, others=len(asking) + len(ready) + len(opening)):
                                continue
                            self.note(answer)
                            if unasked and unasked[0] in wanted:
                                wanted = sweep.send((unasked.popleft(), answer))
                for asked in [task for task in asking if task in done]:
                    offer, answer = asking.pop(asked), asked.result()
                    self._answered += 1
                    (self._picking.add if isinstance(answer, Chosen) else self._picking.discard)(offer.protocol)
                    self.note(answer)
                    if self._watch:
                        self._watch(offer, answer)
                    if offer in wanted:
                        wanted = sweep.send((offer, answer))
                if not done and ready and not self._out_of_time:
                    self._opens_ahead = False
                    while ready:
                        ready.popleft().close()
                elif not done:  # the deadline
                    self._given_up = self._given_up or Unasked(
                        reason=f"the deadline of {self._manners.deadline:.0f} s was over"
                    )
                    await _cancel(opening | asking.keys())
                    opening, asking = set(), {}
        except StopIteration as stop:
            found: T = stop.value
            return found
        finally:
            await _cancel(opening | asking.keys())
            for session in ready:
                session.close()

    def _ahead(self, wanted: Wanted) -> int:
        """How many connections to make ready ahead of need.

        A version whose last answer was a pick has at least one hello to come after the one that is wanted now. Beyond
        that it is a chance, worth as many connections as can be opened in the time of one hello.
        """
        if self._given_up or not self._opens_ahead:
            return 0
        if not self._answered:
            return 0
        certain = len(self._picking.intersection(offer.protocol for offer in wanted))
        opening = self._opening_seconds / max(1, self.connections)
        asking = self._asking_seconds / self._answered
        chance = min(1 + self._answered // ASKED_PER_AHEAD, round(opening / max(asking, 1e-6)))
        return max(certain, min(MAX_AHEAD, certain + chance))

    async def _ask(self, session: Session, offer: Offer) -> Answer:
        if session.gone:  # it had waited too long for its hello: that says nothing, so a fresh one is asked
            session.close()
            opened = await self.open()
            if isinstance(opened, Ended):
                return opened.answer
            session = opened
        started = time.monotonic()
        answer = await ask_on(session, offer, self._manners.timeouts.hello)
        self._asking_seconds += time.monotonic() - started
        self.early_bytes = self.early_bytes or session.dialogue.early_bytes
        return answer

    @property
    def _out_of_time(self) -> bool:
        return self._deadline is not None and time.monotonic() >= self._deadline

    async def _wait(
        self, tasks: set[asyncio.Task[Session | Ended] | asyncio.Task[Answer]], *, idle: bool
    ) -> set[object]:
        """What is done first; nothing at the deadline, or when connections were idle for too long."""
        while True:
            # While the first connection waits at the gate there is no deadline yet; it will not be sooner than this.
            left = self._manners.deadline
            if self._deadline is not None:
                left = max(0.0, self._deadline - time.monotonic())
            if idle:
                left = min(left, IDLE_SECONDS)
            done, _ = await asyncio.wait(tasks, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if done or idle or self._out_of_time:
                return set(done)

    def _too_many_at_once(self, answer: Answer, others: int) -> bool:
        """Whether a connection was turned away beside others: then we go on with one at a time.

        Those that were begun before that was known say nothing more.
        """
        turned_away = isinstance(answer, Throttled) or (
            isinstance(answer, Closed) and answer.stage in ("connect", "greeting")
        )
        if turned_away and others:
            self._width = 1
            self.endings[ending_text(answer)] += 1
            return True
        return False


async def _cancel(tasks: set[asyncio.Task[Session | Ended] | asyncio.Task[Answer]]) -> None:
    """Cancel what nobody waits for any more, and see it end; a session opened meanwhile is closed."""
    for task in tasks:
        task.cancel()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(outcome, Session):
            outcome.close()
