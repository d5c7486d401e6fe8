"""The visits of a service: each is begun when it is due, and ends, and is due again, whatever the clock does."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxprobe.configuration.probes_toml import Group
from mxprobe.configuration.quiet_hours import DAY, HOUR, quiet_hours
from mxprobe.configuration.rhythm import Rhythm
from mxprobe.schedule.timetable import LONGEST_NAP, Reading, Timetable, jump
from mxprobe.schedule.visits import Visit, visits
from mxprobe.terms import parse_next_hop

NOW = 1_780_272_000.0
"""2026-06-01, a Monday, 00:00 in UTC."""

MINUTE = 60.0


def some(count: int, rhythm: Rhythm | None = None) -> list[Visit]:
    next_hops = tuple(parse_next_hop(f"{number}.example") for number in range(count))
    return list(visits([Group(name="a", next_hops=next_hops, rhythm=rhythm or Rhythm(every=DAY))]).values())


class World:
    """Two clocks, a timetable, and visits that take a minute each; `begun` has what the steady clock showed."""

    def __init__(self, wanted: list[Visit], last: dict[str, float] | None = None) -> None:
        self.now = Reading(wall=NOW, steady=0.0)
        self.timetable = Timetable(wanted, last or {}, self.now)
        self.begun: dict[str, list[float]] = defaultdict(list)
        self.walls: list[float] = []

    def pass_time(self, seconds: float, *, step: float = LONGEST_NAP) -> None:
        end = self.now.steady + seconds
        while self.now.steady < end:
            self.tick(min(step, max(self.timetable.nap(self.now), 1.0), end - self.now.steady))

    def tick(self, seconds: float) -> None:
        self.now = Reading(wall=self.now.wall + seconds, steady=self.now.steady + seconds)
        for visit in self.timetable.take(self.now, 1000):
            self.begun[visit.next_hop.text].append(self.now.steady)
            self.walls.append(self.now.wall)
            self.timetable.done(visit.next_hop.text, self.now, self.now)

    def set_clock(self, by: float) -> None:
        self.now = replace(self.now, wall=self.now.wall + by)

    def apart(self) -> list[float]:
        return [after - before for moments in self.begun.values() for before, after in pairwise(moments)]


def test_new_next_hops_are_visited_soon_and_then_once_an_interval() -> None:
    world = World(some(40))
    world.pass_time(3 * MINUTE)
    assert all(len(world.begun[f"{number}.example"]) == 1 for number in range(40))
    world.pass_time(10 * DAY)
    assert all(len(moments) in (10, 11) for moments in world.begun.values())
    assert min(world.apart()) >= DAY / 2


def test_after_a_restart_what_was_visited_waits_for_its_time() -> None:
    last = {f"{number}.example": NOW - HOUR for number in range(20)}
    world = World(some(40), last)
    world.pass_time(HOUR)
    assert len(world.begun) == 20
    assert not world.begun.keys() & last.keys()


@pytest.mark.parametrize("by", [DAY, -DAY, 365 * DAY, -365 * DAY, 3600, -3600])
def test_a_clock_that_is_set_changes_nothing_of_how_often_a_next_hop_is_visited(by: float) -> None:
    world = World(some(40))
    world.pass_time(3 * DAY + 5 * HOUR)
    world.set_clock(by)
    world.pass_time(4 * DAY)
    assert min(world.apart()) >= DAY / 2
    assert max(world.apart()) <= 2 * DAY
    assert all(len(moments) in (6, 7, 8) for moments in world.begun.values())


def test_a_clock_that_is_set_back_and_forth_makes_nothing_due_a_thousand_times() -> None:
    world = World(some(20))
    for by in (DAY, -DAY, 3 * DAY, -400 * DAY, 397 * DAY) * 4:
        world.set_clock(by)
        world.pass_time(6 * HOUR)
    assert min(world.apart()) >= DAY / 2
    assert all(2 <= len(moments) <= 11 for moments in world.begun.values())


def test_what_a_restart_finds_in_the_far_future_is_visited_once_and_then_as_ever() -> None:
    world = World(some(20), {f"{number}.example": NOW + 365 * DAY for number in range(20)})
    world.pass_time(4 * DAY)
    assert all(len(moments) in (4, 5) for moments in world.begun.values())


def test_nothing_is_begun_in_quiet_hours_and_what_they_overtook_is_not_begun_at_once() -> None:
    nights, _ = quiet_hours(("22:00-06:00",), "UTC", where="", where_timezone="")
    world = World(some(500, Rhythm(every=DAY, quiet=nights)))
    world.pass_time(3 * DAY)
    assert all(6 <= wall % DAY / HOUR < 22 for wall in world.walls)
    assert all(len(moments) in (3, 4) for moments in world.begun.values())
    # Nobody was there to begin what was due at 21:30: a take in the night finds it.
    late = World(some(500, Rhythm(every=DAY, quiet=nights)))
    late.tick(21.5 * HOUR)
    late.tick(2.5 * HOUR)
    begun = len(late.begun)
    late.tick(6 * HOUR + 1)
    assert len(late.begun) - begun < 50
    late.pass_time(HOUR)
    assert len(late.begun) == 500


def test_what_is_under_way_is_not_taken_again_and_is_due_again_when_it_has_ended() -> None:
    now = Reading(wall=NOW, steady=0.0)
    timetable = Timetable(some(1), {}, now)
    later = Reading(wall=NOW + HOUR, steady=HOUR)
    (visit,) = timetable.take(later, 10)
    name = visit.next_hop.text
    assert timetable.take(later, 10) == ()
    assert (timetable.under_way(), timetable.due_at(name), timetable.nap(later)) == ({name}, None, LONGEST_NAP)
    # It took half an hour, in which the clock was set; it was begun half an hour ago all the same.
    end = Reading(wall=NOW + HOUR - DAY, steady=1.5 * HOUR)
    timetable.done(name, later, end)
    due = timetable.due_at(name)
    assert due is not None
    assert end.wall - HOUR / 2 + DAY / 2 <= due <= end.wall + 1.5 * DAY
    assert timetable.under_way() == frozenset()


def test_no_more_is_taken_than_there_is_room_for_and_the_longest_due_come_first() -> None:
    now = Reading(wall=NOW, steady=0.0)
    timetable = Timetable(some(50), {}, now)
    expected = sorted((timetable.due_at(f"{number}.example"), f"{number}.example") for number in range(50))
    later = Reading(wall=NOW + HOUR, steady=HOUR)
    taken = [visit.next_hop.text for _ in range(10) for visit in timetable.take(later, 7)]
    assert taken == [name for _, name in expected]


def test_a_visit_that_came_to_nothing_is_tried_again_after_a_pause() -> None:
    now = Reading(wall=NOW, steady=0.0)
    timetable = Timetable(some(1), {}, now)
    later = Reading(wall=NOW + HOUR, steady=HOUR)
    (visit,) = timetable.take(later, 1)
    timetable.put_off(visit.next_hop.text, later, 300.0)
    assert timetable.due_at(visit.next_hop.text) == later.wall + 300
    assert timetable.take(Reading(wall=later.wall + 299, steady=HOUR + 299), 1) == ()
    assert timetable.take(Reading(wall=later.wall + 300, steady=HOUR + 300), 1) == (visit,)


def test_next_hops_come_and_go_and_change_their_interval() -> None:
    world = World(some(10))
    world.pass_time(DAY)
    kept, gone = some(10)[:8], {"8.example", "9.example"}
    counts = {name: len(world.begun[name]) for name in gone}
    world.timetable.change([*kept, *some(12)[10:]], {}, world.now)
    world.pass_time(10 * MINUTE)
    assert {"10.example", "11.example"} <= world.begun.keys()
    world.pass_time(2 * DAY)
    assert {name: len(world.begun[name]) for name in gone} == counts
    before = {name: len(moments) for name, moments in world.begun.items()}
    world.timetable.change(some(8, Rhythm(every=HOUR)), {}, world.now)
    world.pass_time(DAY)
    assert all(23 <= len(world.begun[f"{n}.example"]) - before[f"{n}.example"] <= 25 for n in range(8))


def test_what_is_due_stays_due_when_the_configuration_is_read_again_and_again() -> None:
    now = Reading(wall=NOW, steady=0.0)
    timetable = Timetable(some(500), {}, now)
    for minute in range(1, 20):
        now = Reading(wall=NOW + minute * MINUTE, steady=minute * MINUTE)
        overdue = timetable.overdue(now)
        timetable.change(some(500), {}, now)
        assert timetable.overdue(now) >= overdue
    assert timetable.overdue(now) == 500


def test_a_visit_under_way_of_a_next_hop_that_is_no_more_ends_without_a_trace() -> None:
    now = Reading(wall=NOW, steady=0.0)
    timetable = Timetable(some(1), {}, now)
    now = Reading(wall=NOW + HOUR, steady=HOUR)
    (visit,) = timetable.take(now, 1)
    timetable.change([], {}, now)
    timetable.done(visit.next_hop.text, now, now)
    timetable.put_off(visit.next_hop.text, now)
    assert timetable.due_at(visit.next_hop.text) is None
    assert timetable.nap(now) == LONGEST_NAP


def test_small_corrections_of_the_clock_are_not_a_clock_that_was_set() -> None:
    before = Reading(wall=NOW, steady=5.0)
    assert jump(before, Reading(wall=NOW + 110, steady=65.0)) == 0
    assert jump(before, Reading(wall=NOW + 60 + 3600, steady=65.0)) == 3600
    assert jump(before, Reading(wall=NOW + 60 - DAY, steady=65.0)) == -DAY


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32))
def test_whatever_happens_all_are_visited_at_last_and_none_too_often(seed: int) -> None:
    chance = random.Random(seed)
    world = World(some(15, Rhythm(every=6.0 * HOUR, jitter=HOUR)))
    for _ in range(40):
        match chance.randrange(5):
            case 0:
                world.set_clock(chance.choice((-1, 1)) * 10 ** chance.uniform(0, 8))
            case 1:
                world.timetable.change(some(15, Rhythm(every=6.0 * HOUR, jitter=HOUR)), {}, world.now)
            case 2:
                world.tick(chance.uniform(0, 10 * HOUR))  # the machine was busy
            case _:
                world.pass_time(chance.uniform(0, 6 * HOUR))
    world.pass_time(10 * HOUR)
    assert len(world.begun) == 15
    # A correction too small to be seen as one is the only slack.
    assert min(world.apart(), default=DAY) >= 3 * HOUR - 40 * MINUTE
    for moments in world.begun.values():
        assert world.now.steady - moments[-1] <= 12 * HOUR
