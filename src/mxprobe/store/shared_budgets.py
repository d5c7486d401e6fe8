"""Budgets of addresses and providers that all processes on one PostgreSQL database share.

The count is kept in the database, by its clock, with the arithmetic of `mxprobe.network.budget` (the function
`mxprobe_spend`, see the migration 0004). Whoever wants to open a connection takes a unit of each budget there, in one
round trip; what several connections want, and give back, at the same moment goes together in one. Whoever is not let
through asks again after a short, random while, and of several processes that wait the one that has waited longest is
served first. A process that says nothing for 90 seconds has ended, and its places are free; one that is known to have
ended, such as the one of this machine that was killed a moment ago, is not waited for.

Nothing is ever opened on a guess: while the database does not answer, everybody waits.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from mxprobe.errors import StoreError
from mxprobe.network.budget import TokenBucket
from mxprobe.network.sharing import Share
from mxprobe.store.postgresql import Postgresql, error_words

BEAT = 15.0
"""Seconds after which a process says again which places it has; one that was silent for 90 has ended."""

SWEEP = 300.0
"""Seconds after which rows that say nothing any more are removed."""

ANSWER = 20.0
"""Seconds that the database may take for one answer, before the connection to it is taken for dead."""

AT_ONCE = 200
"""Wants in one statement at the most: some milliseconds, in which others wait for the same rows."""

_FIRST_WAIT = 0.03
_LONGEST_WAIT = 0.25
_FOR_TOKENS = 1.0
"""Seconds before it is asked again: for a place twice as long each time, for a token until there may be one. Shorter
than the time for which a turn is kept."""

_AGAIN = 5.0
"""Seconds at the most before a database that failed is tried again."""

_GATHERED = 0.02
"""Seconds for which places that are given back wait for a want, to go with it in one round trip."""

_PLACES_OF_THE_GONE = """
DELETE FROM budget_place WHERE (name, owner) IN (
    SELECT name, owner FROM budget_place WHERE abs(extract(epoch FROM clock_timestamp()) - seen) > 90
    FOR UPDATE SKIP LOCKED
)
"""

_OWNERS = "SELECT DISTINCT owner FROM budget_place"
_PLACES_OF = "DELETE FROM budget_place WHERE owner = ANY(%s)"

_UNTOUCHED = """
DELETE FROM budget WHERE name IN (
    SELECT name FROM budget AS b WHERE abs(extract(epoch FROM clock_timestamp()) - at) > 600
    AND NOT EXISTS (SELECT FROM budget_place AS p WHERE p.name = b.name)
    FOR UPDATE SKIP LOCKED
)
"""

Shares = tuple[Share, ...]


@dataclass(slots=True, kw_only=True)
class _Line:
    """Those who wait for the same shares; nobody asks for them before a time."""

    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)
    not_before: float = 0.0
    wait: float = _FIRST_WAIT


class PostgresqlBudgets:
    """The shared budgets (`mxprobe.network.sharing.SharedBudgets`) of one process, by the name of `owner`.

    `tell` is called with an error when the database fails, and with None when it works again. `has_ended` says of an
    owner whether its process is known to have ended.
    """

    def __init__(
        self,
        url: str,
        *,
        owner: str,
        tell: Callable[[StoreError | None], None] = lambda _: None,
        has_ended: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._kind = Postgresql(url, read_only=False)
        self._owner = owner
        self._tell = tell
        self._has_ended = has_ended
        self._lines: dict[Shares, _Line] = {}
        self._used: Counter[str] = Counter()
        self._changed: set[str] = set()
        self._back: dict[str, tuple[int, float]] = {}
        self._wake = asyncio.Event()
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._beat_at = 0.0
        self._failed = False
        self.round_trips = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep the count, for the time of the context; then all places are given back."""
        task = asyncio.create_task(self._run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            with suppress(psycopg.Error, OSError, TimeoutError):
                if self._connection is not None:
                    async with asyncio.timeout(1.0):
                        leave = "DELETE FROM budget_place WHERE owner = %s"
                        await self._connection.execute(leave, (self._owner,))
            await self._hang_up()

    async def enter(self, shares: Shares) -> None:
        """Wait until there is a unit of each share, and take it. Who is cancelled has taken nothing."""
        line = self._lines.setdefault(shares, _Line())
        let_in = asyncio.get_running_loop().create_future()
        line.waiting.append(let_in)
        self._wake.set()
        try:
            await let_in
        except asyncio.CancelledError:
            if let_in.done() and not let_in.cancelled():
                self.leave(shares, unused=True)  # it was let in, and has not heard of it
            else:
                with suppress(ValueError):
                    line.waiting.remove(let_in)
                if not line.waiting:
                    self._changed |= {share.name for share in shares}  # nobody need let it go first any more
                    self._wake.set()
            raise

    def leave(self, shares: Shares, *, unused: bool = False) -> None:
        """Give the places back; `unused`: no connection came of it, and the tokens come back too."""
        for share in shares:
            self._used[share.name] -= 1
            self._changed.add(share.name)
            if unused and share.per_minute is not None:
                burst = TokenBucket(share.per_minute).burst
                self._back[share.name] = self._back.get(share.name, (0, burst))[0] + 1, burst
        names = {share.name for share in shares}
        for waiting, line in self._lines.items():
            if any(share.name in names for share in waiting):
                line.not_before = 0.0
        self._wake.set()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        swept, pause = loop.time() - SWEEP, _FIRST_WAIT
        while True:
            await self._until_there_is_something()
            try:
                async with asyncio.timeout(ANSWER):
                    await self._send()
                    if loop.time() - swept >= SWEEP:
                        swept = loop.time()
                        await self._sweep()
            except (psycopg.Error, OSError, TimeoutError) as error:
                # Whatever it has done of that, all is said again.
                self._changed |= set(self._used) | {share.name for shares in self._lines for share in shares}
                if not self._failed:
                    self._failed = True
                    words = "it does not answer" if isinstance(error, TimeoutError) else error_words(error)
                    self._tell(StoreError(f"{self._kind.shown}: {words}"))
                await self._hang_up()
                await asyncio.sleep(random.uniform(pause / 2, pause))
                pause = min(2 * pause, _AGAIN)
            else:
                pause = _FIRST_WAIT
                if self._failed:
                    self._failed = False
                    self._tell(None)

    async def _until_there_is_something(self) -> None:
        """Wait for a want, for what is to be given back, or until it is time to say that this process is there."""
        loop = asyncio.get_running_loop()
        gathered = False
        while True:
            self._wake.clear()
            now = loop.time()
            if now - self._beat_at >= BEAT:
                self._beat_at = now
                self._changed |= {name for name, used in self._used.items() if used}
            asks = [line.not_before for line in self._lines.values() if line.waiting]
            if any(at <= now for at in asks) or (gathered and (self._changed or self._back)):
                return
            until = min([self._beat_at + BEAT, *asks])
            if self._changed or self._back:
                gathered, until = True, now + _GATHERED
            # Not wait_for: before Python 3.12 it may lose a cancellation (gh-86296).
            with suppress(TimeoutError):
                async with asyncio.timeout(max(until - now, 0.0)):
                    await self._wake.wait()

    async def _send(self) -> None:
        """One round trip: what this process has now, and what it wants."""
        now = asyncio.get_running_loop().time()
        self._lines = {shares: line for shares, line in self._lines.items() if line.waiting}
        wanted = [(shares, line) for shares, line in self._lines.items() if line.waiting and line.not_before <= now]
        wanted = wanted[:AT_ONCE]
        waits = {share.name for shares in self._lines for share in shares}
        used = [{"name": name, "used": self._used[name], "waits": name in waits} for name in sorted(self._changed)]
        back = [{"name": name, "tokens": tokens, "burst": burst} for name, (tokens, burst) in self._back.items()]
        wants = [{"n": len(line.waiting), "shares": [_as_json(share) for share in shares]} for shares, line in wanted]
        # Whatever comes of it: tokens that may have come back are not given back twice.
        self._changed.clear()
        self._back.clear()
        given = await self._spend(used, back, wants)
        for name in [name for name, places in self._used.items() if not places]:
            if name not in self._changed:
                del self._used[name]
        for (shares, line), answer in zip(wanted, given, strict=True):
            self._let_in(shares, line, answer["n"], answer["wait"])

    def _let_in(self, shares: Shares, line: _Line, units: int, wait: float) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(units):
            for share in shares:
                self._used[share.name] += 1
            while line.waiting and line.waiting[0].done():
                line.waiting.popleft()
            if line.waiting:
                line.waiting.popleft().set_result(None)
            else:
                self.leave(shares, unused=True)  # whoever wanted it has gone meanwhile
        if units:
            line.wait = _FIRST_WAIT
        if not line.waiting:
            self._lines.pop(shares, None)
            return
        longest = max(line.wait, min(wait, _FOR_TOKENS))
        line.not_before = loop.time() + random.uniform(longest / 2, longest)
        line.wait = min(2 * line.wait, _LONGEST_WAIT)
        # The others go first the next time, where there are more than fit into one statement.
        self._lines[shares] = self._lines.pop(shares)

    async def _spend(
        self, used: Iterable[Any], back: Iterable[Any], wants: Iterable[Any], *, at: float | None = None
    ) -> list[Any]:
        """Ask `mxprobe_spend`; `at` stands for the clock of the server."""
        connection = await self._connected()
        self.round_trips += 1
        values = self._owner, Jsonb(list(used)), Jsonb(list(back)), Jsonb(list(wants)), at
        answer = await connection.execute("SELECT mxprobe_spend(%s, %s, %s, %s, %s)", values)
        (given,) = await answer.fetchone() or ([],)
        return list(given)

    async def _sweep(self) -> None:
        """Remove places of processes that have ended, and budgets that nobody has touched and that are full again."""
        connection = await self._connected()
        owners = await (await connection.execute(_OWNERS)).fetchall()
        ended = [owner for (owner,) in owners if owner != self._owner and self._has_ended(owner)]
        if ended:
            await connection.execute(_PLACES_OF, (ended,))
        await connection.execute(_PLACES_OF_THE_GONE)
        await connection.execute(_UNTOUCHED)

    async def _connected(self) -> psycopg.AsyncConnection[Any]:
        if self._connection is None:
            self._connection = await psycopg.AsyncConnection.connect(**self._kind.arguments(), autocommit=True)
        return self._connection

    async def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error, OSError):
                await connection.close()


def _as_json(share: Share) -> dict[str, object]:
    bucket = None if share.per_minute is None else TokenBucket(share.per_minute)
    return {
        "name": share.name,
        "places": share.places,
        "burst": None if bucket is None else bucket.burst,
        "per_second": None if bucket is None else bucket.per_second,
    }
