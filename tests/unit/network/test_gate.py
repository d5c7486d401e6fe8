"""The gate on a clock of its own: limits of an address, a provider and in all, and who waits for whom."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

import pytest

from mxprobe.network.gate import Gate, Visit
from mxprobe.network.settings import PER_MINUTE, PER_PROVIDER, Limits
from mxprobe.network.turns import Turns
from mxprobe.terms import Endpoint


@dataclass(slots=True)
class Alarm:
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


@dataclass(slots=True)
class HandClock:
    """A clock that goes on when it is told to, with timers that go off then."""

    now: float = 0.0
    timers: list[tuple[float, int, Alarm, Callable[[], object]]] = field(default_factory=list)
    numbers: count[int] = field(default_factory=count)

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], object], /) -> Alarm:
        alarm = Alarm()
        heapq.heappush(self.timers, (when, next(self.numbers), alarm, callback))
        return alarm

    async def wait(self, seconds: float) -> None:
        await others()
        end = self.now + seconds
        while self.timers and self.timers[0][0] <= end:
            when, _, alarm, callback = heapq.heappop(self.timers)
            self.now = max(self.now, when)
            if not alarm.cancelled:
                callback()
                await others()
        self.now = end
        await others()


async def others() -> None:
    """Let all other tasks go as far as they can."""
    for _ in range(10):
        await asyncio.sleep(0)


def at(address: str, host: str = "mx.partner.test") -> Endpoint:
    return Endpoint(host=host, address=address, port=25)


def waiting(*visits: Visit) -> list[asyncio.Task[None]]:
    return [asyncio.create_task(visit.enter()) for visit in visits]


def done(tasks: list[asyncio.Task[None]]) -> int:
    return sum(task.done() for task in tasks)


async def cancelled(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        (at("192.0.2.1"), at("198.51.100.1"), True),  # one domain
        (at("192.0.2.1"), at("192.0.2.200", "mx.other.test"), True),  # one /24
        (at("2001:db8:1:1::1"), at("2001:db8:1:2::1", "mx.other.test"), True),  # one /48
        (at("192.0.2.1", "192.0.2.1"), at("192.0.2.2", "192.0.2.2"), True),
        (at("192.0.2.1"), at("198.51.100.1", "mx.other.test"), False),
        (at("192.0.2.1", "192.0.2.1"), at("198.51.100.1", "198.51.100.1"), False),
        (at("192.0.2.1", "mx.partner.co.uk"), at("198.51.100.1", "mx.other.co.uk"), False),
    ],
)
async def test_a_provider_is_a_registered_domain_or_a_network(one: Endpoint, other: Endpoint, shared: bool) -> None:
    gate = Gate(Limits(per_provider=1), HandClock())
    await gate.visit(one).enter()
    assert gate.free(other) == (0 if shared else 1)


async def test_connections_of_a_provider_in_a_minute_are_counted_over_all_its_addresses() -> None:
    clock = HandClock()
    gate = Gate(Limits(per_address=100, per_provider=100, per_provider_per_minute=60), clock)
    tasks = waiting(*(gate.visit(at(f"192.0.2.{number}")) for number in range(100)))
    await others()
    assert done(tasks) == 30
    await clock.wait(59.9)
    assert 59 <= done(tasks) <= 60
    await clock.wait(90)
    assert done(tasks) == 100
    assert gate.opened == 100


async def test_a_waiter_that_is_cancelled_spends_nothing_and_keeps_nothing() -> None:
    clock = HandClock()
    gate = Gate(Limits(per_address=100, per_address_per_minute=2), clock)
    await gate.visit(at("192.0.2.1")).enter()
    tasks = waiting(*(gate.visit(at("192.0.2.1")) for _ in range(5)))
    await others()
    await cancelled(tasks)
    assert gate.opened == 1
    await clock.wait(30.1)
    assert gate.free(at("192.0.2.1")) == 1


async def test_who_is_let_through_and_cancelled_at_the_same_moment_spends_nothing() -> None:
    clock = HandClock()
    gate = Gate(Limits(per_address=1, per_provider_per_minute=1), clock)
    (task,) = waiting(first := gate.visit(at("192.0.2.1")))
    await others()
    (late,) = waiting(gate.visit(at("192.0.2.1")))
    await others()
    first.leave()
    clock.now += 60
    gate.door._settle()
    late.cancel()
    await asyncio.gather(task, late, return_exceptions=True)
    assert late.cancelled()
    assert (gate.opened, gate.free(at("192.0.2.1"))) == (1, 1)


async def test_a_provider_that_hangs_leaves_room_for_all_others() -> None:
    gate = Gate(Limits(connections=10, per_address=2, per_provider=4), HandClock())
    stuck = waiting(*(gate.visit(at(f"192.0.2.{number}")) for number in range(50)))
    await others()
    assert done(stuck) == 4
    for number in range(6):
        assert gate.free(at(f"198.51.{number}.1", f"mx.other{number}.test")) > 0
        await gate.visit(at(f"198.51.{number}.1", f"mx.other{number}.test")).enter()
    assert gate.free(at("203.0.113.1", "mx.last.test")) == 0
    await cancelled(stuck)


async def test_time_in_which_the_gate_let_none_through_is_told() -> None:
    clock = HandClock()
    gate = Gate(Limits(per_address=1, per_provider_per_minute=2), clock)
    visit, other = gate.visit(at("192.0.2.1")), gate.visit(at("192.0.2.2"))
    await visit.enter()
    (task,) = waiting(visit)
    await clock.wait(10)
    assert visit.held_up_seconds == 0  # its own connection is what it waits for
    visit.leave()
    await clock.wait(20.1)
    assert task.done()
    assert visit.held_up_seconds == pytest.approx(20, abs=0.1)
    await clock.wait(100)
    assert visit.held_up_seconds == pytest.approx(20, abs=0.1)
    await other.enter()
    assert other.held_up_seconds == 0


async def test_loopback_is_nobodys_provider_unless_a_limit_is_set() -> None:
    ours, theirs = at("127.0.0.2"), at("192.0.2.2")
    by_default = Gate(Limits(connections=1000, per_address=900), HandClock())
    assert by_default.free(ours) == 900
    assert by_default.free(theirs) == PER_MINUTE // 2
    by_default = Gate(Limits(per_address=PER_PROVIDER + 1), HandClock())
    assert by_default.free(theirs) == PER_PROVIDER + 1
    limits = Limits(per_address=50, per_provider=3)
    assert [Gate(limits, HandClock()).free(endpoint) for endpoint in (ours, theirs)] == [3, 3]
    limits = Limits(per_address=50, per_provider_per_minute=10, per_address_per_minute=8)
    assert [Gate(limits, HandClock()).free(endpoint) for endpoint in (ours, theirs)] == [4, 4]


async def test_a_full_probe_of_one_server_is_not_slowed_down_by_default() -> None:
    gate = Gate(Limits(per_address=8), HandClock())
    visit = gate.visit(at("192.0.2.1"))
    for _ in range(140):
        (task,) = waiting(visit)
        await others()
        assert task.done()
        visit.leave()


async def test_all_together_keep_to_what_is_allowed_in_a_minute() -> None:
    clock = HandClock()
    gate = Gate(Limits(connections_per_minute=20), clock)
    tasks = waiting(*(gate.visit(at(f"127.0.0.{number}")) for number in range(30)))
    await clock.wait(59)
    assert 19 <= done(tasks) <= 20
    await clock.wait(120)
    assert done(tasks) == 30


# Turns


async def begun(turns: Turns, endpoints: list[Endpoint]) -> list[Endpoint]:
    """Which of these endpoints are under way when none of them ends."""
    under_way: list[Endpoint] = []

    async def probe(endpoint: Endpoint) -> None:
        async with turns.turn(endpoint):
            under_way.append(endpoint)
            await asyncio.Event().wait()

    tasks = [asyncio.create_task(probe(endpoint)) for endpoint in endpoints]
    await others()
    await cancelled(tasks)
    return under_way


async def test_endpoints_on_one_address_take_turns() -> None:
    turns = Turns(Limits())
    endpoints = [at("127.0.0.1", f"mx{number}.partner.test") for number in range(3)]
    assert await begun(turns, endpoints) == endpoints[:1]
    assert await begun(turns, endpoints) == endpoints[:1]  # all turns were given back


async def test_one_slow_provider_does_not_fill_all_the_places() -> None:
    turns = Turns(Limits(connections=20, per_address=2, per_provider=4))
    slow = [at(f"192.0.2.{number}") for number in range(100)]
    fine = [at(f"198.51.{number}.1", f"mx.other{number}.test") for number in range(20)]
    assert await begun(turns, slow + fine) == slow[:2] + fine[:8]


async def test_no_more_endpoints_are_under_way_than_have_connections() -> None:
    endpoints = [at(f"127.0.0.{number}") for number in range(100)]
    assert len(await begun(Turns(Limits(connections=20, per_address=2)), endpoints)) == 10
    assert len(await begun(Turns(Limits(connections=1, per_address=2)), endpoints)) == 1
