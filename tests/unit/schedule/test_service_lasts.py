"""A service that is left running: after many intervals it has no more in memory than after a few."""

from __future__ import annotations

import gc

from examples.played_service import MONDAY, PlayedClock, PlayedStore, configured, group, next_hops, running
from mxprobe.configuration.quiet_hours import DAY
from mxprobe.errors import StoreError
from mxprobe.schedule.clock import moment_of

HOPS = 40


async def test_it_has_no_more_in_memory_after_thousands_of_visits() -> None:
    clock, store = PlayedClock(), PlayedStore()
    made = 0
    async with running(clock, store, configured(group(next_hops(HOPS), every=3600))) as service:

        async def live(days: int) -> int:
            """The objects in memory after so many days, each with an hour in which the store is away."""
            nonlocal made
            for _ in range(days):
                await clock.pass_time(DAY - 3600)
                store.away = StoreError("the database is locked")
                await clock.pass_time(3600)
                store.away = None
            made += len(store.kept)
            newest = {result.next_hop: result for result in store.kept}
            store.kept[:] = newest.values()
            for grown in (store.pruned, service.visits.begun, service.lines, service.progress, service.looks):
                grown.clear()  # what the players have written down
            service.visits.steady.clear()
            gc.collect()
            return len(gc.get_objects())

        after_few = await live(1)
        after_many = await live(3)
    assert made >= 85 * HOPS
    # A visit that left a single object behind would have left thousands.
    assert after_many - after_few < 500


async def test_what_was_planned_for_groups_that_are_no_more_is_let_go_of_after_a_month() -> None:
    clock, store = PlayedClock(), PlayedStore()
    store.due["old.example", "renamed"] = (moment_of(MONDAY - 29.5 * DAY), None, None)
    store.due["away.example", "another service"] = (moment_of(MONDAY - 20 * DAY), None, None)
    async with running(clock, store, configured(group(next_hops(2)))):
        await clock.pass_time(60)
        assert ("old.example", "renamed") in store.due
        await clock.pass_time(DAY)
        assert {name for _, name in store.due} == {"all", "another service"}
