"""One timer for many waits: each is told when its own time is over, and never before."""

from __future__ import annotations

import asyncio
import time

from mxprobe.network.patience import Patience

TICK = 0.002
"""Seconds: event loops round their timers to a millisecond, and may so be that much early."""


class Waiter:
    """Notes when it was told."""

    def __init__(self, name: str, told: list[str], patience: Patience) -> None:
        self.name = name
        self.told = told
        self.patience = patience
        self.began = time.monotonic()
        self.waited: float | None = None
        self.over = asyncio.Event()
        self.next_wait: float | None = None

    def out_of_patience(self) -> None:
        self.told.append(self.name)
        self.waited = time.monotonic() - self.began
        if self.next_wait is not None:
            self.patience.wait(self, self.next_wait)
            self.next_wait = None
        else:
            self.over.set()


async def over(*waiters: Waiter) -> None:
    async with asyncio.timeout(5):
        for waiter in waiters:
            await waiter.over.wait()


async def test_each_is_told_when_its_time_is_over_and_not_before() -> None:
    patience, told = Patience(), list[str]()
    seconds = {"third": 0.06, "first": 0.02, "second": 0.04}
    waiters = {name: Waiter(name, told, patience) for name in seconds}
    for name, waiter in waiters.items():
        patience.wait(waiter, seconds[name])
    await over(*waiters.values())
    assert told == ["first", "second", "third"]
    assert all((waiter.waited or 0) >= seconds[name] - TICK for name, waiter in waiters.items())


async def test_a_new_wait_takes_the_place_of_the_old_be_it_longer_or_shorter() -> None:
    patience, told = Patience(), list[str]()
    longer, shorter = Waiter("longer", told, patience), Waiter("shorter", told, patience)
    patience.wait(longer, 0.01)
    patience.wait(longer, 0.05)
    patience.wait(shorter, 60)
    patience.wait(shorter, 0.02)
    await over(longer, shorter)
    assert told == ["shorter", "longer"]
    assert (longer.waited or 0) >= 0.05 - TICK


async def test_who_is_forgotten_is_not_told() -> None:
    patience, told = Patience(), list[str]()
    one, other = Waiter("one", told, patience), Waiter("other", told, patience)
    patience.wait(one, 0.01)
    patience.wait(other, 0.02)
    patience.forget(one)
    patience.forget(one)
    await over(other)
    assert told == ["other"]


async def test_who_was_told_may_wait_again() -> None:
    patience, told = Patience(), list[str]()
    waiter = Waiter("again", told, patience)
    waiter.next_wait = 0.01
    patience.wait(waiter, 0.01)
    await over(waiter)
    assert told == ["again", "again"]


async def test_closed_it_tells_nobody() -> None:
    patience, told = Patience(), list[str]()
    one = Waiter("one", told, patience)
    patience.wait(one, 0.01)
    patience.close()
    after = Waiter("after", told, Patience())
    after.patience.wait(after, 0.03)
    await over(after)
    assert told == ["after"]
