"""The loop of a service: a visit has one result an interval, whatever fails, whoever is killed, whatever clocks do."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from examples.played_service import (
    BLOCKED,
    FINE,
    MONDAY,
    Played,
    PlayedClock,
    PlayedStore,
    configured,
    group,
    next_hops,
    played,
    running,
    settled,
)
from mxprobe.configuration.next_hop_files import NextHopFile, mark_of
from mxprobe.configuration.probes_toml import Configuration, InvalidConfiguration
from mxprobe.configuration.quiet_hours import DAY, HOUR, WEEK, quiet_hours
from mxprobe.configuration.rhythm import Rhythm
from mxprobe.errors import InvalidSetting, ResolverError, StoreError
from mxprobe.schedule.owners import owner
from mxprobe.schedule.vantage import Vantage
from mxprobe.terms import Endpoint, parse_next_hop

MINUTE = 60.0
FULL_DISK = StoreError("sqlite:///mxprobe.db: database or disk is full")


@pytest.fixture
def clock() -> PlayedClock:
    return PlayedClock()


@pytest.fixture
def store() -> PlayedStore:
    return PlayedStore()


def apart(store: PlayedStore) -> list[float]:
    return [after - before for times in store.times().values() for before, after in pairwise(times)]


async def until(holds: Callable[[], bool]) -> None:
    """Wait for what a thread does."""
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.001)
    await settled()


async def test_each_next_hop_is_visited_once_an_interval_for_weeks(clock: PlayedClock, store: PlayedStore) -> None:
    async with running(clock, store, configured(group(next_hops(20)))) as service:
        await clock.pass_time(2 * WEEK)
    times = store.times()
    assert len(times) == 20
    assert all(len(each) in (14, 15) for each in times.values())
    assert min(apart(store)) >= DAY / 2
    assert max(apart(store)) <= 1.5 * DAY
    assert len(service.told("visited")) == len(store.kept)
    assert service.progress[-1].done == len(store.kept)


@pytest.mark.parametrize("by", [DAY, -DAY, 400 * DAY, -400 * DAY, 2 * HOUR, -2 * HOUR])
async def test_a_clock_that_is_set_neither_misses_nor_doubles_a_visit(
    clock: PlayedClock, store: PlayedStore, by: float
) -> None:
    async with running(clock, store, configured(group(next_hops(10)))) as service:
        await clock.pass_time(2.3 * DAY)
        clock.set_by(by)
        await clock.pass_time(3 * DAY)
    steady = service.visits.steady
    assert len(steady) == 10
    between = [after - before for times in steady.values() for before, after in pairwise(times)]
    assert min(between) >= DAY / 2
    assert max(between) <= 2 * DAY
    assert service.told("lost") == []


@pytest.mark.parametrize("by", [DAY, -DAY])
async def test_a_clock_that_is_set_in_the_middle_of_a_visit_loses_nothing_of_it(
    clock: PlayedClock, store: PlayedStore, by: float
) -> None:
    async with running(clock, store, configured(group(next_hops(1))), seconds=300) as service:
        await clock.pass_time(100)
        assert store.kept == []
        clock.set_by(by)
        await clock.pass_time(HOUR)
        assert len(store.kept) == 1
        assert service.told("lost") == []


@pytest.mark.parametrize("seed", range(10))
async def test_a_service_that_is_killed_again_and_again_has_one_result_an_interval(seed: int) -> None:
    chance = random.Random(seed)
    clock, store = PlayedClock(), PlayedStore()
    configuration = configured(group(next_hops(12), every=2 * HOUR))
    end = 24 * HOUR
    number = 0
    while clock.now().steady < end:
        service = played(clock, store, configuration, owner=f"owner {number}", seconds=40)
        number += 1
        await clock.pass_time(chance.uniform(10, 3 * HOUR))
        await service.die(store)
    times = store.times()
    assert len(times) == 12
    assert min(apart(store)) >= HOUR
    assert max(apart(store)) <= 4 * HOUR


async def test_two_services_on_one_store_share_the_work(clock: PlayedClock, store: PlayedStore) -> None:
    configuration = configured(group(next_hops(12)))
    async with (
        running(clock, store, configuration, owner="one", seconds=90) as one,
        running(clock, store, configuration, owner="two", seconds=90) as two,
    ):
        await clock.pass_time(5.5 * DAY)
    assert min(apart(store)) >= DAY / 2
    assert all(len(each) in (5, 6, 7) for each in store.times().values())
    assert len(store.kept) == len(one.told("visited")) + len(two.told("visited"))


async def test_services_of_other_groups_leave_each_other_alone(clock: PlayedClock, store: PlayedStore) -> None:
    hops = next_hops(6)
    async with (
        running(clock, store, configured(group(hops[:3], name="a")), owner="one") as one,
        running(clock, store, configured(group(hops[3:], name="b"), group(hops[5:], name="c")), owner="two") as two,
    ):
        await clock.pass_time(4.5 * DAY)
        assert set(await store.planned("a")) | set(await store.planned("b")) == {each.text for each in hops}
        assert await store.planned("c") == {}
    assert {text for text, _ in one.visits.begun} == {each.text for each in hops[:3]}
    assert {text for text, _ in two.visits.begun} == {each.text for each in hops[3:]}
    assert all(len(times) in (4, 5) for times in store.times().values())


async def test_what_a_process_had_that_has_ended_is_taken_up_at_once(clock: PlayedClock, store: PlayedStore) -> None:
    ended = owner().split("/")
    ended[2] = str(2**22 + 1)  # beyond the largest number of a process (proc_sys_kernel(5), pid_max)
    store.held_by("0.example", "/".join(ended), MONDAY + 100)
    async with running(clock, store, configured(group(next_hops(1)))) as service:
        await clock.pass_time(30)
        assert len(store.kept) == 1
        assert len(service.told("taken-up")) == 1


async def test_a_lease_of_a_process_of_which_nothing_is_known_is_waited_for(
    clock: PlayedClock, store: PlayedStore
) -> None:
    store.held_by("0.example", "elsewhere/1/2/3/4", MONDAY + 110)
    async with running(clock, store, configured(group(next_hops(1)))):
        await clock.pass_time(100)
        assert store.kept == []
        await clock.pass_time(5 * MINUTE)
        assert len(store.kept) == 1


async def test_a_visit_whose_lease_was_lost_is_broken_off(clock: PlayedClock, store: PlayedStore) -> None:
    async with running(clock, store, configured(group(next_hops(1))), seconds=200) as service:
        await clock.pass_time(20)
        assert service.visits.at_once == 1
        store.held_by("0.example", "another", MONDAY + 300)
        await clock.pass_time(40)
        assert service.visits.at_once == 0
        assert store.kept == []
        await clock.pass_time(HOUR)
        assert len(store.kept) == 1


async def test_what_is_under_way_ends_when_the_service_is_stopped(clock: PlayedClock, store: PlayedStore) -> None:
    service = played(clock, store, configured(group(next_hops(3)), stop_within=30), seconds=20)
    service.visits.slow["1.example"] = 1000
    await clock.pass_time(7)
    under_way = {text for text, _ in service.visits.begun}
    assert under_way == {"0.example", "1.example", "2.example"}
    service.service.stop()
    await clock.pass_time(29)
    assert not service.task.done()
    await clock.pass_time(2)
    await service.task
    assert {result.next_hop for result in store.kept} == {"0.example", "2.example"}
    assert await store.leased("all") == ()
    assert service.told("stopped") == ["2 visits made, 1 put off"]


async def test_who_is_told_to_stop_a_second_time_does_not_wait(clock: PlayedClock, store: PlayedStore) -> None:
    service = played(clock, store, configured(group(next_hops(3)), stop_within=3000), seconds=1000)
    await clock.pass_time(30)
    service.service.stop()
    await clock.pass_time(10)
    assert not service.task.done()
    service.service.stop()
    await clock.pass_time(1)
    await service.task
    assert (store.kept, await store.leased("all")) == ([], ())


async def test_while_the_store_is_away_it_is_told_once_and_nothing_is_lost(
    clock: PlayedClock, store: PlayedStore
) -> None:
    async with running(clock, store, configured(group(next_hops(20)))) as service:
        await clock.pass_time(DAY / 3)
        store.away = FULL_DISK
        await clock.pass_time(2 * DAY)
        kept = len(store.kept)
        store.away = None
        await clock.pass_time(2 * HOUR)
        assert len(store.kept) >= kept + 20
        await clock.pass_time(DAY)
    assert service.told("store") == [
        f"{FULL_DISK}; visits are put off until it works again",
        "the store works again",
    ]
    assert min(apart(store)) >= DAY / 2


async def test_a_store_that_fails_in_the_middle_of_a_visit_has_its_result_later(
    clock: PlayedClock, store: PlayedStore
) -> None:
    async with running(clock, store, configured(group(next_hops(1))), seconds=60) as service:
        await clock.pass_time(30)
        assert service.visits.at_once == 1
        store.away = FULL_DISK
        await clock.pass_time(60)
        store.away = None
        await clock.pass_time(5 * MINUTE)
        assert len(store.kept) == 1


async def test_a_store_that_is_away_at_the_start_is_an_error_at_once(clock: PlayedClock, store: PlayedStore) -> None:
    store.away = FULL_DISK
    service = played(clock, store, configured(group(next_hops(1))))
    with pytest.raises(StoreError, match="disk is full"):
        await service.task


async def test_where_a_port_is_blocked_nobody_gets_a_result_and_it_is_told_once(
    clock: PlayedClock, store: PlayedStore
) -> None:
    place: list[Vantage] = [BLOCKED]
    async with running(clock, store, configured(group(next_hops(20))), place=lambda: place[0]) as service:
        await clock.pass_time(2 * DAY)
        assert (store.kept, service.visits.begun) == ([], [])
        assert len(service.told("vantage")) == 1
        assert service.told("vantage")[0].startswith("port 25 is blocked here; until that is over")
        assert service.told("put-off") == []
        place[0] = FINE
        await clock.pass_time(2 * HOUR)
        assert len(store.times()) == 20
        assert service.told("vantage")[1:] == ["mail servers are reached from here"]


async def test_blocked_is_a_port_and_not_those_beside_it(clock: PlayedClock, store: PlayedStore) -> None:
    from mxprobe.terms import parse_next_hop

    hops = (parse_next_hop("a.example"), parse_next_hop("[b.example]:587"))
    async with running(clock, store, configured(group(hops)), place=lambda: BLOCKED):
        await clock.pass_time(DAY)
        assert set(store.times()) == {"[b.example]:587"}


async def test_without_a_name_server_that_is_told_and_it_goes_on_later(clock: PlayedClock, store: PlayedStore) -> None:
    def place() -> Vantage:
        raise ResolverError("no name server could be reached")

    async with running(clock, store, configured(group(next_hops(2))), place=place) as service:
        service.visits.failing = {
            f"{number}.example": ResolverError("no name server could be reached") for number in range(2)
        }
        await clock.pass_time(10 * MINUTE)
        assert store.kept == []
        assert "no name server could be reached" in service.told("vantage")
        service.visits.failing.clear()
        await clock.pass_time(10 * MINUTE)
        assert len(store.kept) == 2


async def test_an_error_of_the_program_stops_nobody_else(clock: PlayedClock, store: PlayedStore) -> None:
    async with running(clock, store, configured(group(next_hops(5)))) as service:
        service.visits.failing["3.example"] = ZeroDivisionError("division by zero")
        await clock.pass_time(DAY)
        assert set(store.times()) == {f"{number}.example" for number in (0, 1, 2, 4)}
        assert service.told("program-error")[0].startswith("error of the program: ZeroDivisionError: division by zero")
        tries = [at for text, at in service.visits.begun if text == "3.example"]
        assert min(after - before for before, after in pairwise(tries)) >= 15 * MINUTE


async def test_nothing_is_begun_in_quiet_hours(clock: PlayedClock, store: PlayedStore) -> None:
    quiet, mistakes = quiet_hours(("08:00-18:00",), "UTC", where="", where_timezone="")
    assert not mistakes
    rhythm = Rhythm(every=6 * HOUR, quiet=quiet)
    async with running(clock, store, configured(group(next_hops(20), rhythm=rhythm))) as service:
        await clock.pass_time(WEEK)
    hours = {(at - MONDAY) % DAY // HOUR for _, at in service.visits.begun}
    assert hours
    assert not hours & set(range(8, 18))


async def test_no_more_visits_are_made_at_once_than_is_settled(clock: PlayedClock, store: PlayedStore) -> None:
    async with running(clock, store, configured(group(next_hops(50)), at_once=4), seconds=30) as service:
        await clock.pass_time(2 * HOUR)
        assert service.visits.most_at_once == 4
        assert len(store.times()) == 50


async def test_old_results_are_let_go_of_once_a_day(clock: PlayedClock, store: PlayedStore) -> None:
    async with running(clock, store, configured(group(next_hops(1)))):
        await clock.pass_time(4.5 * DAY)
    assert len(store.pruned) == 5


async def test_a_configuration_is_read_again_and_a_mistake_keeps_the_old_one(
    clock: PlayedClock, store: PlayedStore
) -> None:
    def wrong() -> Configuration:
        raise InvalidConfiguration(
            (InvalidSetting("probes.toml: group[0].every", "'x' is no duration"), InvalidSetting("probes.toml", "b"))
        )

    readings: list[Callable[[], Configuration]] = [wrong, lambda: configured(group(next_hops(6)[3:]))]
    async with running(clock, store, configured(group(next_hops(4))), read=lambda: readings.pop(0)()) as service:
        await clock.pass_time(HOUR)
        service.service.reload()
        await until(lambda: len(service.told("configuration")) == 3)
        assert service.told("configuration") == [
            "probes.toml: group[0].every: 'x' is no duration",
            "probes.toml: b",
            "not read again, the one of before is kept",
        ]
        await clock.pass_time(DAY)
        assert set(store.times()) == {f"{number}.example" for number in range(4)}
        store.kept.clear()
        service.service.reload()
        await until(lambda: len(service.told("configuration")) == 4)
        await clock.pass_time(2 * DAY)
        assert set(store.times()) == {f"{number}.example" for number in range(3, 6)}
        assert set(await store.planned("all")) == set(store.times())


async def test_a_file_of_next_hops_is_read_again_when_it_changes(
    clock: PlayedClock, store: PlayedStore, tmp_path: Path
) -> None:
    path = tmp_path / "partners.txt"
    path.write_text("0.example\n")
    file = NextHopFile(path=path, next_hops=next_hops(1), mark=mark_of(path))
    async with running(clock, store, configured(group((), file=file).with_file(file))) as service:
        await until_it_passes(clock, lambda: len(store.kept) == 1)
        path.write_text("0.example\n1.example\nnot a next-hop!\n")
        os.utime(path, (MONDAY, MONDAY))
        await until_it_passes(clock, lambda: "1.example" in store.times())
    (mistake, read) = service.told("next-hops")
    assert mistake.startswith(f"{path}: line 3: not a next-hop")
    assert read == "read again: 2 next-hops"


async def until_it_passes(clock: PlayedClock, holds: Callable[[], bool]) -> None:
    """Let time pass in both worlds: files are read in threads."""
    async with asyncio.timeout(10):
        while not holds():
            await clock.pass_time(10)
            await asyncio.sleep(0.001)


async def a_pass(clock: PlayedClock, store: PlayedStore, service: Played) -> object:
    while not service.task.done():
        await clock.pass_time(1)
    return await service.task


PROVIDER = Endpoint(host="mx.provider.example", address="192.0.2.1", port=25)


def customers(service: Played, number: int) -> set[str]:
    """Next-hops that lead to the same endpoint."""
    names = {f"{each}.example" for each in range(number)}
    service.visits.behind.update(dict.fromkeys(names, PROVIDER))
    return names


async def test_what_befalls_an_endpoint_has_all_who_lead_there_visited_soon_and_once(
    clock: PlayedClock, store: PlayedStore
) -> None:
    async with running(clock, store, configured(group(next_hops(40)))) as service:
        concerned = customers(service, 25)
        await clock.pass_time(3 * DAY)
        before = {text: len(times) for text, times in store.times().items()}
        moment = clock.now().wall
        service.visits.struck[PROVIDER] = moment
        while not service.told("brought-forward"):
            await clock.pass_time(MINUTE)
        await clock.pass_time(2 * MINUTE)
        after = {text: len(times) for text, times in store.times().items()}
        assert {text for text, number in after.items() if number > before[text]} >= concerned
        assert all(after[text] == before[text] + 1 for text in concerned)
        await clock.pass_time(DAY / 4)
        assert len(service.told("brought-forward")) == 1, "whoever was visited since knows it"
        await clock.pass_time(3 * DAY)
    assert min(apart(store)) >= 0
    assert all(len(each) <= 8 for each in store.times().values())


async def test_nobody_is_brought_forward_into_quiet_hours(clock: PlayedClock, store: PlayedStore) -> None:
    nights, _ = quiet_hours(("18:00-06:00",), "UTC", where="quiet", where_timezone="timezone")
    quiet = group(tuple(parse_next_hop(f"{each}.example") for each in range(5)), rhythm=Rhythm(every=DAY, quiet=nights))
    others = group(tuple(parse_next_hop(f"{each}.example") for each in range(5, 10)), name="others")
    async with running(clock, store, configured(quiet, others)) as service:
        customers(service, 10)
        await clock.pass_time(3 * DAY + 18 * HOUR + MINUTE)
        service.visits.struck[PROVIDER] = clock.now().wall
        await clock.pass_time(12 * HOUR - 2 * MINUTE)
        assert service.told("brought-forward")
        night = {text for text, at in service.visits.begun if at >= service.visits.struck[PROVIDER]}
        assert night == {f"{each}.example" for each in range(5, 10)}
        await clock.pass_time(5 * MINUTE)
        assert {text for text, at in service.visits.begun if at >= service.visits.struck[PROVIDER]} == {
            f"{each}.example" for each in range(10)
        }


async def test_a_pass_visits_those_too_whom_it_concerns_what_it_came_upon(
    clock: PlayedClock, store: PlayedStore
) -> None:
    hourly = group(next_hops(12))
    for _ in range(24):
        service = played(clock, store, configured(hourly), once=True)
        customers(service, 12)
        await a_pass(clock, store, service)
        await clock.pass_time(HOUR)
    while True:
        service = played(clock, store, configured(hourly), once=True)
        customers(service, 12)
        service.visits.struck[PROVIDER] = clock.now().wall
        await a_pass(clock, store, service)
        if service.visits.begun:
            break
        await clock.pass_time(HOUR)
    assert sorted(text for text, _ in service.visits.begun) == sorted(f"{each}.example" for each in range(12))


async def test_a_pass_makes_each_visit_that_is_due_once_and_ends(clock: PlayedClock, store: PlayedStore) -> None:
    configuration = configured(group(next_hops(30)), at_once=7)
    first = played(clock, store, configuration, once=True)
    assert await a_pass(clock, store, first) == ()
    assert {text: len(times) for text, times in store.times().items()} == {f"{n}.example": 1 for n in range(30)}
    assert first.visits.most_at_once == 7
    second = played(clock, store, configuration, once=True)
    assert await a_pass(clock, store, second) == ()
    assert second.visits.begun == []


async def test_a_pass_that_was_killed_is_made_up_by_the_next(clock: PlayedClock, store: PlayedStore) -> None:
    configuration = configured(group(next_hops(30)), at_once=5)
    killed = played(clock, store, configuration, once=True)
    await clock.pass_time(13)
    await killed.die(store)
    assert 0 < len(store.kept) < 30
    await clock.pass_time(121)  # nothing is known of who held the others
    assert await a_pass(clock, store, played(clock, store, configuration, once=True, owner="two")) == ()
    assert {len(times) for times in store.times().values()} == {1}
    assert len(store.times()) == 30


async def test_two_passes_at_once_visit_nobody_twice(clock: PlayedClock, store: PlayedStore) -> None:
    configuration = configured(group(next_hops(30)), at_once=5)
    one = played(clock, store, configuration, once=True, owner="one")
    two = played(clock, store, configuration, once=True, owner="two")
    assert [await a_pass(clock, store, one), await a_pass(clock, store, two)] == [(), ()]
    assert {len(times) for times in store.times().values()} == {1}
    assert len(store.times()) == 30


async def test_a_pass_says_what_it_could_not_do(clock: PlayedClock, store: PlayedStore) -> None:
    service = played(clock, store, configured(group(next_hops(3))), once=True)
    service.visits.failing["1.example"] = ResolverError("no name server")
    assert await a_pass(clock, store, service) == ("1.example",)
    blocked = played(clock, PlayedStore(), configured(group(next_hops(3))), once=True, place=lambda: BLOCKED)
    assert await a_pass(clock, store, blocked) == ("0.example", "1.example", "2.example")
    assert blocked.visits.begun == []


async def test_a_pass_that_is_stopped_ends_what_it_has_begun(clock: PlayedClock, store: PlayedStore) -> None:
    service = played(clock, store, configured(group(next_hops(9)), at_once=3), once=True, seconds=20)
    await clock.pass_time(5)
    service.service.stop()
    left = await a_pass(clock, store, service)
    assert isinstance(left, tuple)
    assert len(left) == 6
    assert len(store.kept) == 3
    assert not set(left) & set(store.times())
