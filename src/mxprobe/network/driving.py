"""Driving a sweep over a line: as many questions at a time as the limits allow, connections ready ahead of need.

A removal chain is serial: the next offer is known only when the answer to the last has come. But greeting,
EHLO and STARTTLS do not depend on the offer. So while one hello is out, the next connections are made ready, as many
as the sweep expects to need, and a chain costs one round trip a hello instead of five. Offers that a sweep only
guesses are asked where a connection would otherwise wait.

Nothing waits here but `drive` itself: whatever comes over a connection is worked on there and then, up to the next
hello that follows from it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from itertools import cycle
from typing import Generic, Self, TypeVar

from mxprobe.network.asking import Asking
from mxprobe.network.line import Dialling, Line
from mxprobe.network.session import Ended, Session
from mxprobe.tls.offer import Closed, Ending, Offer
from mxprobe.tls.sweep import Exchange, Sweep, Wanted

T = TypeVar("T")

MAX_AHEAD = 8
"""Connections ready ahead of need, however many hellos a sweep expects."""

GUESSES_FROM = 3
"""Connections at a time from which on guesses are asked: with fewer, what is certainly needed takes them all."""

IDLE_SECONDS = 2.0
"""How long connections stay ready beside a hello that is not answered. A server that serves one connection after the
other may be waiting for the hello of one that has none yet; from then on nothing is opened ahead."""


class MadeReady:
    """Connections made ready for the first hellos of a sweep, while something else still goes on over the line."""

    def __init__(self, line: Line, number: int) -> None:
        self._line = line
        self.sessions: deque[Session] = deque()
        self.dialling = {line.dial(self._came) for _ in range(min(number, line.reception.width - 1))}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End what no sweep has taken over; the line closes what is open."""
        for dialling in self.dialling:
            dialling.abort()

    def _came(self, dialling: Dialling, found: Session | Ended) -> None:
        self.dialling.discard(dialling)
        if isinstance(found, Session):
            self.sessions.append(found)
        else:  # turned away beside others, which says nothing yet
            self._line.reception.ended(found.answer, others=1, now=time.monotonic(), deadline=self._line.deadline)


async def drive(line: Line, sweep: Sweep[T], made_ready: MadeReady | None = None) -> T:
    """Ask what a sweep wants, first over what was made ready, and return what it found.

    Never raises on what the peer does. What the endpoint would not answer any more comes back as `Unasked`.
    """
    work = _Work(line, sweep)
    if made_ready:
        work.take_over(made_ready)
    try:
        work.begin()
        found = await work.found
    except BaseException:
        await work.abort()
        raise
    await work.end()
    return found


class _Work(Generic[T]):
    """What is under way on a line: connections being opened, those that are ready, and hellos that are out."""

    def __init__(self, line: Line, sweep: Sweep[T]) -> None:
        self.found: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        """What the sweep found; or what is wrong on our side."""
        self._line = line
        self._sweep = sweep
        self._wanted = Wanted(())
        self._news: deque[Exchange] = deque()
        self._ready: deque[Session] = deque()
        self._dialling: set[Dialling] = set()
        self._ending: list[asyncio.Task[None]] = []
        self._asking: dict[Offer, Asking] = {}
        self._waiting: deque[Offer] = deque()
        self._found_gone: set[Offer] = set()
        """Offers whose connection the server had closed while it waited; each gets another, once."""
        self._opens_ahead = True
        self._stepping = False
        self._latest_news = 0.0

    def begin(self) -> None:
        """Begin what the sweep wants first."""
        try:
            self._wanted = next(self._sweep)
        except StopIteration as stop:
            self.found.set_result(stop.value)
        self._go_on()
        self._look_again(time.monotonic())

    def take_over(self, made_ready: MadeReady) -> None:
        """Use what was made ready, and what still becomes it."""
        self._ready, made_ready.sessions = made_ready.sessions, deque()
        self._dialling, made_ready.dialling = made_ready.dialling, set()
        for dialling in self._dialling:
            dialling.tell(self._came)
            dialling.connected.add_done_callback(self._connected)

    async def end(self) -> None:
        """Leave what nobody needs any more."""
        self._leave()
        await self.abort()

    async def abort(self) -> None:
        """End it all, without another word where there is no TLS yet."""
        self._drop_all()
        self._line.patience.forget(self)
        await asyncio.gather(*self._ending, return_exceptions=True)

    # What comes

    def out_of_patience(self) -> None:
        """Look whether the deadline is over, connections wait in vain, or it is time to open some again."""
        try:
            now = time.monotonic()
            if self._line.seconds_left == 0:
                self._line.reception.out_of_time(self._line.manners.deadline)
                self._drop_all()
            elif self._ready and self._asking and now >= self._latest_news + IDLE_SECONDS:
                self._opens_ahead = False
                self._close_ready()
            self._go_on()
            self._look_again(now)
        except Exception as error:
            self._fail(error)

    def _look_again(self, now: float) -> None:
        """Be told when there may be something to do though nothing comes. What comes in time sets no timer for that."""
        seconds = min(self._line.seconds_left, IDLE_SECONDS)
        if self._ready and self._asking:
            seconds = min(seconds, self._latest_news + IDLE_SECONDS - now)
        if now < (resume_at := self._line.reception.resume_at):
            seconds = min(seconds, resume_at - now)
        self._line.patience.wait(self, seconds)

    def _came(self, dialling: Dialling, found: Session | Ended) -> None:
        """Keep a session for an offer; let an ending answer the most wanted one, if it is to be believed."""
        if dialling not in self._dialling:
            return
        self._dialling.discard(dialling)
        self._latest_news = time.monotonic()
        try:
            if isinstance(found, Session):
                self._ready.append(found)
                if not self._waiting and not self._wanted.guessed:
                    return
            else:
                others = len(self._asking) + len(self._ready) + len(self._dialling)
                heard = self._line.reception.ended(
                    found.answer, others=others, now=time.monotonic(), deadline=self._line.deadline
                )
                if heard == "told" and self._waiting:
                    self._news.append((self._waiting.popleft(), found.answer))
                self._look_again(time.monotonic())
            self._go_on()
        except Exception as error:
            self._fail(error)

    def _answered(self, asked: Asking, answer: Ending) -> None:
        if self._asking.get(asked.offer) is not asked:
            return
        del self._asking[asked.offer]
        self._latest_news = time.monotonic()
        try:
            self._line.note(asked, answer)
            self._line.reception.answered(answer)
            self._news.append((asked.offer, answer))
            self._go_on()
        except Exception as error:
            self._fail(error)

    def _connected(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        if not self.found.done():
            self.found.set_exception(error)

    # What follows

    def _go_on(self) -> None:
        """Tell the sweep the news, and begin what it wants then."""
        if self._stepping or self.found.done():
            return
        self._stepping = True
        try:
            while True:
                while self._news:
                    self._wanted = self._sweep.send(self._news.popleft())
                given_up = self._line.reception.given_up
                left = self._unasked(self._wanted.sure)
                if given_up is not None:
                    self._leave()
                    if left:
                        self._news.append((left[0], given_up))
                        continue
                self._begin(left)
                if not self._news:
                    break
        except StopIteration as stop:
            self.found.set_result(stop.value)
        finally:
            self._stepping = False

    def _unasked(self, offers: tuple[Offer, ...]) -> deque[Offer]:
        """Those of the offers that are not out yet."""
        asking = self._asking
        return deque([offer for offer in offers if offer not in asking] if asking else offers)

    def _begin(self, sure: deque[Offer]) -> None:
        """Send the most wanted offers on what is ready, and open as many connections as the next ones will take."""
        reception = self._line.reception
        self._waiting = sure
        guessed: deque[Offer] = deque()
        if reception.width >= GUESSES_FROM and self._wanted.guessed:
            guessed = self._unasked(self._wanted.guessed)
        # What the longest chain guesses comes before what short ones need: it is what the whole sweep waits for.
        for offers in cycle((sure, guessed)):
            if not self._ready or not (sure or guessed):
                break
            if offers:
                self._ask(self._ready.popleft(), offers)
        if reception.resume_at and time.monotonic() < reception.resume_at:
            return
        under_way = len(self._ready) + len(self._dialling)
        room = reception.width - len(self._asking) - under_way
        needed = len(sure)
        if self._opens_ahead and self._line.answered and not reception.given_up:
            needed += min(MAX_AHEAD, max(len(guessed), self._wanted.expected))
        for _ in range(min(room, needed - under_way)):
            dialling = self._line.dial(self._came)
            dialling.connected.add_done_callback(self._connected)
            self._dialling.add(dialling)

    def _ask(self, session: Session, offers: deque[Offer]) -> None:
        """Ask the first of the offers, or leave it there where the server has closed the connection while it waited."""
        offer = offers[0]
        if session.gone is None:
            self._asking[offers.popleft()] = self._line.ask(session, offer, self._answered)
            return
        session.close()
        if offer in self._found_gone:
            answer = Closed(stage="starttls", how=session.gone)
            self._line.reception.answered(answer)
            self._news.append((offers.popleft(), answer))
        self._found_gone.add(offer)

    # What ends

    def _leave(self) -> None:
        """Leave connections that have no hello yet: where we are in the conversation, at the next reply."""
        unneeded, self._dialling = self._dialling, set()
        for dialling in unneeded:
            dialling.leave()
        self._ending += [dialling.connected for dialling in unneeded]
        self._close_ready()

    def _drop_all(self) -> None:
        """End all that is under way."""
        dropped, self._dialling = self._dialling, set()
        for dialling in dropped:
            dialling.abort()
        self._ending += [dialling.connected for dialling in dropped]
        for asking in self._asking.values():
            asking.abort()
        self._asking.clear()
        self._close_ready()

    def _close_ready(self) -> None:
        while self._ready:
            self._ready.popleft().close()
