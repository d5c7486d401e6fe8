"""Driving a sweep over a line: as many questions at a time as the limits allow, connections ready ahead of need.

A removal chain is serial: the next offer is known only when the answer to the last has come. But greeting,
EHLO and STARTTLS do not depend on the offer. So while one hello is out, the next connections are made ready, as many
as the sweep expects to need, and a chain costs one round trip a hello instead of five. Offers that a sweep only
guesses are asked where a connection would otherwise wait.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TypeVar

from mxprobe.network.line import Line
from mxprobe.network.session import Ended, Session
from mxprobe.tls.offer import Answer, Offer
from mxprobe.tls.sweep import Exchange, Sweep, Wanted

T = TypeVar("T")

MAX_AHEAD = 8
"""Connections ready ahead of need, however many hellos a sweep expects."""

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
            left = work.unasked(wanted.sure) if given_up else ()
            if given_up and left:
                wanted = sweep.send((left[0], given_up))
                continue
            work.begin(wanted)
            for exchange in await work.news():
                wanted = sweep.send(exchange)
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
        self._opens_ahead = True

    def unasked(self, offers: tuple[Offer, ...]) -> tuple[Offer, ...]:
        """Those of the offers that are not out yet."""
        out = self._asking.values()
        return tuple(offer for offer in offers if offer not in out)

    def begin(self, wanted: Wanted) -> None:
        """Send the most wanted offers on what is ready, and open as many connections as the next ones will take."""
        self._waiting = deque(self.unasked(wanted.sure))
        # One connection at a time is what this server wants: none of them for what may be in vain.
        guessed = deque(self.unasked(wanted.guessed) if self._line.reception.width > 1 else ())
        while self._ready and (offers := self._waiting or guessed):
            offer = offers.popleft()
            self._asking[asyncio.create_task(self._line.ask(self._ready.popleft(), offer))] = offer
        if time.monotonic() < self._line.reception.resume_at:
            return
        under_way = len(self._ready) + len(self._opening)
        room = self._line.reception.width - len(self._asking) - under_way
        needed = len(self._waiting)
        if self._opens_ahead and self._line.answered and not self._line.reception.given_up:
            needed += min(MAX_AHEAD, max(len(guessed), wanted.expected))
        for _ in range(min(room, needed - under_way)):
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
