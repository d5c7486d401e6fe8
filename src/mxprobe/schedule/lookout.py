"""Looking out: whether mail servers can be seen from here, asked when a service begins and when nobody is reached.

What visits come upon counts first: whoever reached somebody a moment ago need not ask. Only else a few next-hops that
have nothing to do with each other are asked, briefly, and one look is for all that wait for one.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from mxprobe.errors import ResolverError
from mxprobe.network.provider import provider_of
from mxprobe.probing.prober import Prober
from mxprobe.routing.route import endpoints_behind
from mxprobe.schedule.clock import Clock
from mxprobe.schedule.vantage import (
    PROVIDERS,
    Contact,
    Question,
    Vantage,
    contact_of,
    is_answer,
    question_of,
    vantage,
)
from mxprobe.terms import NextHop

FRESH = 60.0
"""Seconds for which it counts what was seen last: a port is not blocked and opened again by the minute."""

ASKED = 2 * PROVIDERS
"""Next-hops of a port that are asked: twice as many as have to fail alike, because some share a provider."""

PATIENCE = 90.0
"""Seconds that one look may take: longer than the patience for a connection and a greeting."""

AWAY = Vantage(state="no-dns", summary="there was no DNS here until a moment ago")

Look = Callable[[tuple[NextHop, ...]], Awaitable[Vantage]]
"""Asks these next-hops, and judges this place by how that went."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Came:
    """What one visit came upon: how its connections went, and its question to the DNS, if it had any."""

    contacts: tuple[Contact, ...] = ()
    question: Question | None = None

    @property
    def reached(self) -> bool:
        """Whether somebody was reached, or nobody needed to be: an answer of the DNS may be that there is nobody."""
        if self.contacts:
            return any(contact.how == "connected" for contact in self.contacts)
        return not self.lacks_names

    @property
    def lacks_names(self) -> bool:
        """Whether it came to nothing because the DNS gave no answer."""
        failed = self.question is not None and self.question.status in ("timeout", "servfail", "refused")
        return failed and not self.contacts


class Lookout:
    """What is known of this place. `last` is what the last look came to; None before the first."""

    def __init__(
        self,
        look: Look,
        candidates: Callable[[], Iterable[NextHop]],
        clock: Clock,
        *,
        ask_names: Look | None = None,
    ) -> None:
        """`candidates` gives next-hops that may be asked, in any order. `ask_names` does the part of `look` that needs
        only the DNS; by default all of it is done."""
        self._look = look
        self._ask_names = ask_names or look
        self._candidates = candidates
        self._clock = clock
        self._looking: asyncio.Task[Vantage] | None = None
        self._asking_names: asyncio.Task[Vantage] | None = None
        self._at: float | None = None
        self._without_names = -math.inf
        self._reached: dict[int, float] = {}
        self._good: dict[str, NextHop] = {}
        self.last: Vantage | None = None

    def note(self, next_hop: NextHop, came: Came) -> None:
        """Take notice of what a visit came upon."""
        now = self._clock.now().steady
        for contact in came.contacts:
            if contact.how == "connected":
                self._reached[contact.port] = now
                self._good.pop(next_hop.text, None)
                self._good[next_hop.text] = next_hop
        if len(self._good) > 4 * ASKED:
            del self._good[next(iter(self._good))]

    async def hinders(self, next_hop: NextHop, came: Came | None = None) -> Vantage | None:
        """The state of this place, if it is the reason why a next-hop cannot be seen; looks, where nothing tells.

        With what a visit `came` upon, only that is looked at which it lacked: that servers are reached by names which
        are remembered says nothing of the DNS.
        """
        if came is not None and came.lacks_names:
            return await self._hinders_names(next_hop)
        now = self._clock.now().steady
        if now - self._reached.get(next_hop.port, -FRESH) < FRESH:
            return None
        found = self.last if self.last is not None and self._at is not None and now - self._at < FRESH else None
        found = found or await self.look(next_hop)
        return found if hindrance(found, next_hop) else None

    async def _hinders_names(self, next_hop: NextHop) -> Vantage | None:
        found: Vantage | None = None
        if self._asking_names is not None and not self._asking_names.done():
            found = await asyncio.shield(self._asking_names)
        # Any answer to what was asked before this visit had none says nothing: the DNS may have gone away since.
        if found is None or found.state != "no-dns":
            if self._asking_names is None or self._asking_names.done():
                self._asking_names = asyncio.create_task(self._names(next_hop))
                self._asking_names.add_done_callback(_seen)
            found = await asyncio.shield(self._asking_names)
        if found.state == "no-dns":
            return found
        # This visit may have asked before it was over, or been told what is remembered from then.
        return AWAY if self._clock.now().steady - self._without_names < FRESH else None

    async def _names(self, first: NextHop) -> Vantage:
        found = await self._ask_names(_some((first,), self._good.values(), self._candidates()))
        if found.state == "no-dns":
            self._found(found)
        return found

    def _found(self, found: Vantage) -> None:
        self.last, self._at = found, self._clock.now().steady
        if found.state == "no-dns":
            self._without_names = self._at

    def overdue(self) -> bool:
        """Whether to look before anything is begun: nobody ever has, or it was bad and that was a while ago."""
        if self._at is None or self.last is None:
            return True
        return self.bad and self._clock.now().steady - self._at >= FRESH

    @property
    def bad(self) -> bool:
        """Whether the last look found that something cannot be seen from here."""
        return self.last is not None and self.last.state in ("blocked", "no-dns")

    async def look(self, first: NextHop | None = None) -> Vantage:
        """Look now; whoever comes while one looks waits for the same."""
        if self._looking is None:
            self._looking = asyncio.create_task(self._ask(first))
            self._looking.add_done_callback(self._looked)
        return await asyncio.shield(self._looking)

    async def close(self) -> None:
        """End a look that is under way."""
        looking = [task for task in (self._looking, self._asking_names) if task is not None]
        for task in looking:
            task.cancel()
        await asyncio.gather(*looking, return_exceptions=True)

    async def _ask(self, first: NextHop | None) -> Vantage:
        found = await self._look(_some(self._good.values(), () if first is None else (first,), self._candidates()))
        self._found(found)
        return found

    def _looked(self, task: asyncio.Task[Vantage]) -> None:
        self._looking = None
        _seen(task)


def hindrance(found: Vantage, next_hop: NextHop) -> bool:
    """Whether a state of this place is why a next-hop cannot be seen. Blocked is a port, and not those beside it."""
    if found.state == "no-dns":
        return next_hop.address is None
    return found.state == "blocked" and next_hop.port in found.ports


async def look_around(
    prober: Prober, next_hops: tuple[NextHop, ...], patience: float = PATIENCE, *, names_only: bool = False
) -> Vantage:
    """Ask the first endpoint of each of these next-hops, at the least depth, until each port was reached, and the DNS
    has answered if anybody needs it; with `names_only`, only the DNS is asked. No name is remembered from before."""
    asking = prober.afresh(forget_names=True)
    contacts: list[Contact] = []
    questions: list[Question] = []

    async def one(next_hop: NextHop) -> None:
        route = await asking.resolve(next_hop)
        if question := question_of(next_hop, route):
            questions.append(question)
        for endpoint in () if names_only else endpoints_behind(next_hop, route)[:1]:
            found = await asking.endpoint(endpoint, (), depth="quick")
            if contact := contact_of(found.facts, provider_of(endpoint)):
                contacts.append(contact)

    def is_open() -> bool:
        reached = {contact.port for contact in contacts if contact.how == "connected"}
        return bool(ports - reached) or (named and not any(is_answer(question) for question in questions))

    waiting = {asyncio.create_task(one(next_hop)) for next_hop in next_hops}
    ports = set() if names_only else {next_hop.port for next_hop in next_hops}
    named = any(next_hop.address is None for next_hop in next_hops)
    try:
        async with asyncio.timeout(patience):
            while waiting and is_open():
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                errors = [error for task in done if (error := task.exception()) is not None]
                if errors:
                    raise errors[0]
    except TimeoutError:
        pass  # what has come by now has to do
    except ResolverError as error:
        return Vantage(state="no-dns", summary=f"there is no DNS here: {error}")
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await asking.close()
    return vantage(contacts, questions)


def _seen(task: asyncio.Task[Vantage]) -> None:
    """An error of a look is not lost: whoever waits has it."""
    if not task.cancelled():
        task.exception()


def _some(*sources: Iterable[NextHop]) -> tuple[NextHop, ...]:
    """Next-hops to ask, of each port at most `ASKED`, each of another domain."""
    found: dict[tuple[int, str], NextHop] = {}
    of_port: dict[int, int] = {}
    for source in sources:
        for next_hop in source:
            key = next_hop.port, ".".join(next_hop.host.rstrip(".").split(".")[-2:])
            if next_hop.address is not None:
                key = next_hop.port, next_hop.host
            if key not in found and of_port.get(next_hop.port, 0) < ASKED:
                of_port[next_hop.port] = of_port.get(next_hop.port, 0) + 1
                found[key] = next_hop
    return tuple(found.values())
