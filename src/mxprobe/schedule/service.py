"""The loop of a service: visits are begun when they are due, kept as they end, and nothing that fails stops the others.

Whatever it knows of time, of mail servers and of the store comes in from outside.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from mxprobe.configuration.probes_toml import Configuration
from mxprobe.errors import MxprobeError, StoreError
from mxprobe.schedule.claims import Claims, Held, Ledger
from mxprobe.schedule.clock import Clock, moment_of
from mxprobe.schedule.concerned import ASKED_EVERY, Concerned
from mxprobe.schedule.handed import Handed
from mxprobe.schedule.lookout import hindrance
from mxprobe.schedule.one_pass import OnePass
from mxprobe.schedule.own_lack import lack_of
from mxprobe.schedule.pruning import Pruning
from mxprobe.schedule.settled import MakeWorld, Settled
from mxprobe.schedule.telling import Line, Progress, Standing, Teller, counted, in_one_line
from mxprobe.schedule.timetable import PUT_OFF, Reading, Timetable
from mxprobe.schedule.visit_run import Outcome, World
from mxprobe.schedule.visits import Visit
from mxprobe.store import TargetResult
from mxprobe.terms import NextHop

PUT_OFF_ERROR = 900.0
"""Seconds before a visit is tried again that met an error of the program: it will hardly be another in a minute."""

SHOWN_AGAIN = 1.0
"""Seconds after which it is counted again, for a display, how many visits are overdue."""

LastingBook = Timetable | Handed
Book = LastingBook | OnePass


class Service:
    """One process that makes the visits of a configuration. Use it once, by `run` or by `once`.

    `make_world` makes what a configuration comes to, now and after it was read again by `read`, which may raise an
    `MxprobeError` too. `tell` takes what is to be logged, `show` how far it is. `make_book` makes what `run` goes by,
    if that is not its own timetable.
    """

    def __init__(
        self,
        configuration: Configuration,
        store: Ledger,
        *,
        make_world: MakeWorld,
        read: Callable[[], Configuration],
        clock: Clock,
        owner: str,
        groups: tuple[str, ...] = (),
        make_book: Callable[[Iterable[Visit], Mapping[str, float], Reading], LastingBook] = Timetable,
        tell: Callable[[Line], None] = lambda _line: None,
        show: Callable[[Progress], None] = lambda _progress: None,
    ) -> None:
        self._store = store
        self._make_book = make_book
        self._clock = clock
        self._teller = Teller(tell)
        self._settled = Settled(
            configuration, groups, make_world=make_world, read=read, clock=clock, teller=self._teller
        )
        self._pruning = Pruning(store, self._settled, clock, self._teller)
        self._show = show
        self._concerned = Concerned(store, clock)
        self._claims = Claims(store, clock, self._teller, owner=owner)
        self._is_planned = False
        self._begun = asyncio.Event()
        self._stopping = asyncio.Event()
        self._at_once = asyncio.Event()
        self._wake = asyncio.Event()
        self._reload = False
        self._ended_as: Counter[str] = Counter()
        self._last_visit_seconds: float | None = None
        self._overdue = (-SHOWN_AGAIN, 0)

    def stop(self) -> None:
        """Begin nothing more and end what is under way; asked a second time, do not wait for it."""
        if self._stopping.is_set():
            self._at_once.set()
        self._stopping.set()
        self._wake.set()

    def reload(self) -> None:
        """Read the configuration again, soon."""
        self._reload = True
        self._wake.set()

    def standing(self) -> Standing:
        """How the service stands at this moment."""
        return Standing(
            ended=dict(self._ended_as),
            under_way=len(self._claims.held),
            last_visit_seconds=self._last_visit_seconds,
            can_see=not self._settled.world.lookout.bad,
            is_configured=self._settled.is_right,
        )

    async def run(self) -> None:
        """Make visits until `stop`.

        Raises:
            StoreError: the store could not be used at the start. Later that is told, and it is tried again.
        """
        last = await self._start()
        now = self._clock.now()
        book = self._make_book(self._settled.visits.values(), last, now)
        await self._claims.plan(self._settled.visits, self._due(book))
        self._is_planned = True
        self._begun.set()
        words = f"{counted(len(self._settled.visits), 'next-hop')}, {counted(book.overdue(now), 'visit')} overdue"
        self._teller.tell("info", "started", words, next_hops=len(self._settled.visits))
        async with self._claims.renewing():
            while not self._stopping.is_set():
                self._wake.clear()
                await self._look_after(book)
                await self._hasten(book)
                await self._begin(book)
                await self._clock.wait(self._wake, self._nap(book))
            await self._finish()

    # What a worker needs, to whom visits are handed over

    @property
    def visits(self) -> Mapping[str, Visit]:
        """The visits that there are, by next-hop."""
        return self._settled.visits

    @property
    def begun(self) -> asyncio.Event:
        """Set once the store knows all visits for the first time."""
        return self._begun

    @property
    def stopping(self) -> asyncio.Event:
        """Set once the service is told to stop."""
        return self._stopping

    @property
    def is_planned(self) -> bool:
        """Whether the store knows all visits."""
        return self._is_planned

    @property
    def world(self) -> World:
        """What the configuration comes to."""
        return self._settled.world

    def handed(self, next_hop: str, due_at: datetime) -> None:
        """A visit was handed over to the book, which is due then by the store."""
        self._claims.expect(next_hop, due_at)
        self._wake.set()

    async def look_again(self) -> None:
        """Look whether anybody can be seen from here again, where it was otherwise a while ago."""
        if self._settled.world.lookout.bad and self._settled.world.lookout.overdue() and self._settled.visits:
            await self._look_out(next(iter(self._settled.visits.values())).next_hop)

    async def once(self) -> tuple[str, ...]:
        """Make the visits that are due now, each once; the next-hops of those that could not be made.

        Raises:
            StoreError: the store could not be used at the start.
        """
        last = await self._start()
        now = self._clock.now()
        book = OnePass(self._settled.visits.values(), last, now)
        await self._claims.plan(self._settled.visits, dict.fromkeys(self._settled.visits, moment_of(now.wall)))
        async with self._claims.renewing():
            while not self._stopping.is_set():
                self._wake.clear()
                await self._hasten(book, at_once=not book.under_way())
                if book.over:
                    break
                await self._begin(book)
                if not book.over:
                    await self._clock.wait(self._wake, self._nap(book))
            left_over = book.take(self._clock.now(), len(self._settled.visits))
            await self._finish()
        if not self._stopping.is_set():
            await self._pruning.prune()
        return (*book.put_off_for_good, *(visit.next_hop.text for visit in left_over))

    async def _start(self) -> dict[str, float]:
        """When each next-hop was visited last."""
        self._settled.tell()
        await self._claims.start(self._settled.visits)
        return {
            text: at.timestamp() for text, at in (await self._store.visited()).items() if text in self._settled.visits
        }

    async def _finish(self) -> None:
        """Wait for what is under way, no longer than is settled; what is not done by then is given back."""
        seconds = self._settled.configuration.service.stop_within
        if under_way := self._claims.held:
            words = f"{counted(len(under_way), 'visit')} under way, with at most {seconds:g} s to end"
            self._teller.tell("info", "stopping", words, under_way=len(under_way))
        until = self._clock.now().steady + seconds
        while self._claims.held and not self._at_once.is_set():
            self._wake.clear()
            if (left := until - self._clock.now().steady) <= 0:
                break
            await self._clock.wait(self._wake, left)
        tasks = [held.task for held in self._claims.held if held.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._pruning.end()
        await self._settled.world.lookout.close()
        await self._settled.world.visitor.close()
        self._teller.stopped(self._ended_as["kept"], self._ended_as["put-off"])

    # Visits

    async def _begin(self, book: Book) -> None:
        """Claim what is due, as far as there is room, and begin it."""
        room = self._settled.configuration.service.at_once - len(self._claims.held)
        taken = book.take(self._clock.now(), room) if room > 0 else ()
        if taken and self._settled.world.lookout.overdue():
            await self._look_out(taken[0].next_hop)
        found = self._settled.world.lookout.last
        due: dict[str, Visit] = {}
        for visit in taken:
            if self._stopping.is_set() or (found is not None and hindrance(found, visit.next_hop)):
                book.put_off(visit.next_hop.text, self._clock.now())
            else:
                due[visit.next_hop.text] = visit
        if due:
            await self._claim(book, due)
        self._show_progress(book)

    async def _hasten(self, book: Book, *, at_once: bool = False) -> None:
        """Have those visited soon whom it concerns what others came upon."""
        try:
            found = await self._concerned.next_hops(at_once=at_once)
            if not found:
                return
            now, held = self._clock.now(), {held.visit.next_hop.text for held in self._claims.held}
            moved = await self._claims.hasten(text for text in found if text not in held)
        except StoreError as error:
            self._teller.store_failed(error)
            return
        book.hasten(moved, now)
        if moved:
            words = f"{counted(len(moved), 'next-hop')} with the same servers {'is' if len(moved) == 1 else 'are'} next"
            self._teller.tell("info", "brought-forward", words, next_hops=len(moved))

    async def _claim(self, book: Book, due: dict[str, Visit]) -> None:
        try:
            claimed = await self._claims.take(due)
        except StoreError as error:
            self._teller.store_failed(error)
            for text in due:
                book.put_off(text, self._clock.now())
            return
        self._teller.store_works()
        for held in claimed.ours:
            held.task = asyncio.create_task(self._make(book, held))
        now = self._clock.now()
        for text in claimed.elsewhere:
            book.done(text, now, now)
            self._teller.tell("info", "elsewhere", "another process has made this visit", about=text)
        for text in claimed.taken:
            if isinstance(book, OnePass):
                book.done(text, now, now)
                self._teller.tell("info", "elsewhere", "another process is making this visit", about=text)
            else:
                book.put_off(text, now)
        for text in claimed.unplanned:
            self._is_planned = False
            book.put_off(text, now)

    async def _make(self, book: Book, held: Held) -> None:
        """Make one visit, whatever comes of it."""
        text = held.visit.next_hop.text

        async def keep(result: TargetResult) -> bool:
            kept = await self._claims.keep(held, result)
            self._teller.store_works(kept=True)
            return kept

        seconds = PUT_OFF
        outcome = Outcome(state="put-off")
        try:
            outcome = await self._settled.world.visitor.visit(held.visit, keep, self._stopping)
        except asyncio.CancelledError:
            reason = "it was given back" if self._stopping.is_set() else "another process has it"
            outcome = Outcome(state="put-off", reason=reason)
        except StoreError as error:
            self._teller.store_failed(error, keeping=True)
        except MxprobeError as error:
            outcome = Outcome(state="put-off", reason=str(error))
        except Exception as error:
            if lack := lack_of(error):
                outcome = Outcome(state="put-off", lack=lack)
            else:
                seconds = PUT_OFF_ERROR
                self._teller.tell("error", "program-error", in_one_line(error), about=text)
        try:
            await self._claims.end(held)
        except StoreError as error:
            self._teller.store_failed(error)
        self._ended(book, held, outcome, seconds)
        self._show_progress(book)
        self._wake.set()

    def _ended(self, book: Book, held: Held, outcome: Outcome, seconds: float) -> None:
        text, now = held.visit.next_hop.text, self._clock.now()
        self._teller.place(self._settled.world.lookout.last)
        self._ended_as["kept" if held.kept else outcome.state] += 1
        if outcome.state == "put-off" and not held.kept:
            self._teller.put_off(text, outcome.reason)
            self._teller.lacks(outcome.lack)
            book.put_off(text, now, seconds)
            return
        book.done(text, held.begun, now)
        if outcome.state == "lost":
            self._teller.tell("warning", "lost", outcome.reason, about=text)
            return
        self._concerned.note(text, outcome.struck)
        self._last_visit_seconds = now.steady - held.begun.steady
        self._teller.visited(text, outcome, self._last_visit_seconds)

    async def _look_out(self, first: NextHop) -> None:
        """Whether anybody can be seen from here; who is told to stop does not wait for it."""
        looking = asyncio.ensure_future(self._settled.world.lookout.look(first))
        stopped = asyncio.ensure_future(self._stopping.wait())
        await asyncio.wait({looking, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if looking.done() and (error := looking.exception()) is not None:
            if lack := lack_of(error):
                self._teller.lacks(lack)
            else:
                words = str(error) if isinstance(error, MxprobeError) else in_one_line(error)
                self._teller.tell("error", "vantage", words)
        looking.cancel()
        self._teller.place(self._settled.world.lookout.last)

    def _nap(self, book: Book) -> float:
        now = self._clock.now()
        left = self._settled.until_files()
        if self._concerned.waiting:
            left = min(left, ASKED_EVERY)
        if len(self._claims.held) >= self._settled.configuration.service.at_once:
            return max(left, 0.0)  # whatever ends wakes us
        return max(book.nap(now) if isinstance(book, OnePass) else min(book.nap(now), left), 0.0)

    # What is done beside visits

    async def _look_after(self, book: LastingBook) -> None:
        known = self._settled.visits
        if self._reload:
            self._reload = False
            if await self._settled.read_again():
                await self._change(book, known)
        elif await self._settled.read_files_again():
            await self._change(book, known)
        if not self._is_planned:
            await self._plan(book)
        self._pruning.begin_if_due()

    async def _change(self, book: LastingBook, known: Mapping[str, Visit]) -> None:
        """Other visits from now on than those that were known, or the same at other times."""
        new = [text for text in self._settled.visits if text not in known]
        last: dict[str, datetime] = {}
        try:
            last = await self._store.visited(new) if new else {}
        except StoreError as error:
            self._teller.store_failed(error)  # then they are visited soon
        times = {text: at.timestamp() for text, at in last.items()}
        book.change(self._settled.visits.values(), times, self._clock.now())
        await self._plan(book)

    async def _plan(self, book: LastingBook) -> None:
        """Tell the store whose visits there are; in the next round again, where it is away."""
        self._is_planned = False
        try:
            await self._claims.plan(self._settled.visits, self._due(book))
        except StoreError as error:
            self._teller.store_failed(error)
            return
        self._teller.store_works()
        self._is_planned = True

    def _due(self, book: LastingBook) -> dict[str, datetime]:
        now = self._clock.now().wall
        return {text: moment_of(now if (due := book.due_at(text)) is None else due) for text in self._settled.visits}

    def _show_progress(self, book: Book) -> None:
        now = self._clock.now()
        if now.steady - self._overdue[0] >= SHOWN_AGAIN:
            self._overdue = (now.steady, book.overdue(now))
        self._show(Progress(under_way=len(self._claims.held), overdue=self._overdue[1], done=self._ended_as["kept"]))
