"""Driving a sweep over a line: as many questions at a time as the limits allow, connections ready ahead of need.

A removal chain is serial: the next offer is known only when the answer to the last has come. But greeting,
EHLO and STARTTLS do not depend on the offer. So while one hello is out, the next connections are made ready, and a
chain costs one round trip a hello instead of five.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TypeVar

from mxprobe.network.line import Line
from mxprobe.network.session import Ended, Session
from mxprobe.terms import Protocol
from mxprobe.tls.offer import Answer, Chosen, Offer
from mxprobe.tls.sweep import Exchange, Sweep, Wanted

T = TypeVar("T")

MAX_AHEAD = 4
"""Connections ready ahead of need: a connection takes four round trips before its hello, and one after."""

ASKED_PER_AHEAD = 20
"""One more connection may be open ahead, on the mere chance, for this many hellos answered. Those left over when a
sweep ends were opened in vain; this keeps them below 5 % of all."""

IDLE_SECONDS = 2.0
"""How long connections stay ready beside a hello that is not answered. A server that serves one connection after the
other may be waiting for the hello of one that has none yet; from then on nothing is opened ahead."""


async def drive(line: Line, sweep: Sweep[T]) -> T:
    """Ask what a sweep wants, and return what it found.

    Never raises on what the peer does. What the endpoint would not answer any more comes back as `Unasked`.
    """
    work = _Work(line)
    try:
        wanted = next(sweep)
        while True:
            given_up = line.reception.given_up
            left = work.unasked(wanted) if given_up else ()
            if given_up and left:
                wanted = sweep.send((left[0], given_up))
                continue
            work.begin(wanted)
            for offer, answer in await work.news():
                if offer in wanted:
                    wanted = sweep.send((offer, answer))
    except StopIteration as stop:
        found: T = stop.value
        return found
    finally:
        await work.end()


class _Work:
    """What is under way on a line: connections being opened, those that are ready, and hellos that are out."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._ready: deque[Session] = deque()
        self._opening: set[asyncio.Task[Session | Ended]] = set()
        # In the order in which they were opened: a server that serves one connection after the other would otherwise
        # wait for the hello of a connection that waits for the answer to another.
        self._opened: deque[asyncio.Task[Session | Ended]] = deque()
        self._asking: dict[asyncio.Task[Answer], Offer] = {}
        self._waiting: deque[Offer] = deque()
        self._picking: set[Protocol] = set()
        self._opens_ahead = True

    def unasked(self, wanted: Wanted) -> Wanted:
        """The offers that are wanted and not out yet."""
        out = self._asking.values()
        return tuple(offer for offer in wanted if offer not in out)

    def begin(self, wanted: Wanted) -> None:
        """Send the most wanted offers on what is ready, and open as many connections as the next ones will take."""
        self._waiting = deque(self.unasked(wanted))
        while self._waiting and self._ready:
            task = asyncio.create_task(self._line.ask(self._ready.popleft(), self._waiting[0]))
            self._asking[task] = self._waiting.popleft()
        if time.monotonic() < self._line.reception.resume_at:
            return
        under_way = len(self._ready) + len(self._opening)
        room = self._line.reception.width - len(self._asking) - under_way
        for _ in range(min(room, len(self._waiting) + self._ahead(wanted) - under_way)):
            task_of_opening = asyncio.create_task(self._line.open())
            task_of_opening.add_done_callback(self._opened.append)
            self._opening.add(task_of_opening)

    async def news(self) -> list[Exchange]:
        """Wait until something comes of what was begun, and give the answers in it."""
        idle = bool(self._ready and self._asking)
        done = await self._wait(idle)
        exchanges: list[Exchange] = []
        while self._opened:
            task = self._opened.popleft()
            self._opening.discard(task)
            self._took(task.result(), exchanges)
        for asked in [task for task in self._asking if task in done]:
            offer, answer = self._asking.pop(asked), asked.result()
            (self._picking.add if isinstance(answer, Chosen) else self._picking.discard)(offer.protocol)
            self._line.reception.answered(answer)
            exchanges.append((offer, answer))
        if not done and not exchanges:
            if self._line.seconds_left == 0:
                self._line.reception.out_of_time(self._line.manners.deadline)
                await self._cancel()
            elif idle:
                self._opens_ahead = False
                self._close_ready()
        return exchanges

    async def end(self) -> None:
        """End what nobody waits for any more."""
        await self._cancel()
        self._close_ready()

    def _took(self, opened: Session | Ended, exchanges: list[Exchange]) -> None:
        """Keep a session for an offer; let an ending answer the most wanted one, if it is to be believed."""
        if isinstance(opened, Session):
            self._ready.append(opened)
            return
        others = len(self._asking) + len(self._ready) + len(self._opening)
        heard = self._line.reception.ended(
            opened.answer, others=others, now=time.monotonic(), deadline=self._line.deadline
        )
        if heard == "told" and self._waiting:
            exchanges.append((self._waiting.popleft(), opened.answer))

    def _ahead(self, wanted: Wanted) -> int:
        """How many connections to make ready ahead of need.

        A version whose last answer was a pick has at least one hello to come after the one that is wanted now. Beyond
        that it is a chance, worth as many connections as can be opened in the time of one hello.
        """
        if self._line.reception.given_up or not self._opens_ahead or not self._line.answered:
            return 0
        certain = len(self._picking.intersection(offer.protocol for offer in wanted))
        opening = self._line.opening_seconds / max(1, self._line.connections)
        asking = self._line.asking_seconds / self._line.answered
        chance = min(1 + self._line.answered // ASKED_PER_AHEAD, round(opening / max(asking, 1e-6)))
        return max(certain, min(MAX_AHEAD, certain + chance))

    async def _wait(self, idle: bool) -> set[object]:
        """What is done first; nothing at the deadline, when it is time to go on, or when connections were idle."""
        left = min(self._line.seconds_left, IDLE_SECONDS) if idle else self._line.seconds_left
        pause = self._line.reception.resume_at - time.monotonic()
        if pause > 0:
            left = min(left, pause)
        tasks = self._opening | self._asking.keys()
        if not tasks:
            await asyncio.sleep(left)
            return set()
        done, _ = await asyncio.wait(tasks, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        return set(done)

    def _close_ready(self) -> None:
        while self._ready:
            self._ready.popleft().close()

    async def _cancel(self) -> None:
        tasks = [*self._opening, *self._asking]
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Session):
                outcome.close()
        self._opening.clear()
        self._opened.clear()
        self._asking.clear()
