"""Asking the endpoints of a service's visits: each once in an interval, however many next-hops lead there.

What another visit has asked, or asks at this moment, is taken over if it is good for this one too; so is what the store
has of before a restart, or from another process.
"""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol as Interface

from mxprobe.facts import EndpointFacts
from mxprobe.mta.profile import Profile
from mxprobe.probing.settings import DEPTHS, Depth
from mxprobe.routing.route import Route
from mxprobe.schedule.clock import Clock
from mxprobe.schedule.due import place, stands
from mxprobe.schedule.recheck import Recheck
from mxprobe.schedule.visits import Visit
from mxprobe.terms import Endpoint, NextHop

REMEMBERED = 1000
"""Endpoints whose last answers are kept in memory, some 20 kB each; of others the store is asked."""

LOOKED_BACK = 20
"""Results of an endpoint that are looked through for its last sweep."""

Found = tuple[EndpointFacts, Mapping[str, bytes]]
"""The facts of an endpoint, and certificates (DER) by their SHA-256."""


class Prober(Interface):
    """Who asks: a prober, as far as visits need one."""

    async def resolve(self, next_hop: NextHop, /) -> Route:
        """Where a next-hop leads. A failing DNS is a route in error, not an exception."""
        ...

    async def ask(self, endpoint: Endpoint, profiles: tuple[Profile, ...], how: Recheck, /) -> Found:
        """Ask an endpoint, now."""
        ...


class Known(Interface):
    """What the store says of endpoints."""

    async def last_known(self, endpoint: Endpoint, at_most: int) -> tuple[EndpointFacts, ...]:
        """What was found at an endpoint, newest first, back to the first that says anything of a sweep."""
        ...


@dataclass(slots=True, kw_only=True)
class _Asked:
    """A question that was put to an endpoint: when by both clocks, how deeply, with whose hellos."""

    task: asyncio.Task[Found]
    wall: float
    steady: float
    depth: Depth
    profiles: tuple[Profile, ...]

    def covers(self, visit: Visit) -> bool:
        """Whether its answer says all that a visit is to find out."""
        deep = DEPTHS.index(self.depth) >= DEPTHS.index(visit.depth)
        return deep and set(visit.profiles) <= set(self.profiles)


class Endpoints:
    """The endpoints of all visits."""

    def __init__(self, prober: Prober, known: Known, clock: Clock) -> None:
        self._prober = prober
        self._known = known
        self._clock = clock
        self._asked: OrderedDict[Endpoint, _Asked] = OrderedDict()

    async def facts(self, endpoint: Endpoint, visit: Visit, *, since: float | None = None) -> Found:
        """What is known of an endpoint, asked now unless it stands.

        With `since`, a moment of the steady clock, only what was asked then or later counts: for asking twice.
        """
        asked = self._asked.get(endpoint)
        if asked is not None and self._still_good(asked, visit, since):
            return await self._of(asked)
        now = self._clock.now()
        before = await self._known.last_known(endpoint, 1 if visit.depth == "quick" else LOOKED_BACK)
        if since is None and before and _stands_in_store(before[0], visit, now.wall):
            return before[0], {}  # the store has its certificates
        if since is not None and asked is not None and asked.task.done() and not _failed(asked.task):
            before = (asked.task.result()[0], *before)  # not in the store yet
        again = self._asked.get(endpoint)
        if again is not None and again is not asked and self._still_good(again, visit, since):
            return await self._of(again)  # by somebody who was faster
        how = how_to_ask(endpoint, visit, before, now.wall, again=since is not None)
        task = asyncio.ensure_future(self._prober.ask(endpoint, visit.profiles, how))
        task.add_done_callback(_failed)  # an error is seen, also where all who waited for it are gone
        asked = _Asked(task=task, wall=now.wall, steady=now.steady, depth=visit.depth, profiles=visit.profiles)
        self._asked[endpoint] = asked
        self._asked.move_to_end(endpoint)
        while len(self._asked) > REMEMBERED and next(iter(self._asked.values())).task.done():
            self._asked.popitem(last=False)
        return await self._of(asked)

    def forget(self, endpoints: Iterable[Endpoint]) -> None:
        """Ask these anew: that nobody was reached there was not for them, but for this place."""
        for endpoint in endpoints:
            if (asked := self._asked.get(endpoint)) is not None and asked.task.done():
                del self._asked[endpoint]

    async def close(self) -> None:
        """End what is still under way."""
        tasks = [asked.task for asked in self._asked.values() if not asked.task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _of(self, asked: _Asked) -> Found:
        # Others may wait for the same answer when this visit is cancelled.
        return await asyncio.shield(asked.task)

    def _still_good(self, asked: _Asked, visit: Visit, since: float | None) -> bool:
        if _failed(asked.task) or not asked.covers(visit):
            return False
        if since is not None:
            return asked.steady >= since
        now = self._clock.now()
        ago = now.steady - asked.steady
        # When it was asked by today's clock, whatever that was set to since.
        return not asked.task.done() or stands(now.wall - ago, visit.rhythm.every, now.wall)


def how_to_ask(
    endpoint: Endpoint, visit: Visit, known: tuple[EndpointFacts, ...], now: float, *, again: bool = False
) -> Recheck:
    """What to ask an endpoint at `now`, where `known`, newest first, was found there before.

    One visit of `full_every` sweeps it in full; *quick* never does. That goes by time and not by the number of results:
    several next-hops lead to an endpoint, and each of them has its facts. Where there was no sweep yet, each endpoint
    has its turn in another interval. Asked `again`, it is not swept anew.
    """
    depth = visit.depth
    if depth == "quick":
        return Recheck(depth=depth)
    every = visit.rhythm.every
    swept = next((facts for facts in known if facts.sweep is not None), None)
    if swept is not None and again:
        return Recheck(depth=depth, before=swept)
    if swept is not None and swept.swept_at is not None:
        due = now - swept.swept_at.timestamp() >= (visit.full_every - 0.5) * every
    elif again or swept is not None:
        due = False
    else:
        turn = int(place(str(endpoint)) * visit.full_every)
        due = math.floor(now / every) % visit.full_every == turn
    if due:
        return Recheck(depth="full" if depth == "standard" else depth)
    return Recheck(depth=depth, before=swept)


def _failed(task: asyncio.Task[Found]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)


def _stands_in_store(facts: EndpointFacts, visit: Visit, now: float) -> bool:
    """Whether what the store has is recent and deep enough; what it does not show is not known to have been asked."""
    if not stands(facts.started_at.timestamp(), visit.rhythm.every, now):
        return False
    if facts.starttls.state != "works":
        return facts.connections > 0
    if not {profile.name for profile in visit.profiles} <= {answer.profile for answer in facts.profiles}:
        return False
    found: Depth = "quick"
    if facts.protocols:
        found = "standard"
    if facts.sweep is not None:
        found = "full" if facts.quirks is None else "everything"
    return DEPTHS.index(found) >= DEPTHS.index(visit.depth)
