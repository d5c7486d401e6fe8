"""Who else is concerned by what befell an endpoint: those whose last look led there, and who do not know it yet."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from examples.stored import ENDPOINT, NOW, OTHER, facts, route
from mxprobe.store import KeptEvent, Probed, Store, TargetResult, open_store
from mxprobe.terms import Endpoint

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
ELSEWHERE = replace(ENDPOINT, host="mx.elsewhere.example")


def looked(
    next_hop: str, *endpoints: Endpoint, ago: timedelta = HOUR, state: str = "before", noticed: str = ""
) -> TargetResult:
    events = tuple(
        KeptEvent(next_hop=next_hop, kind=noticed, endpoint=str(each), severity="critical", state="confirmed", at=NOW)
        for each in endpoints
    )
    return TargetResult(
        next_hop=next_hop,
        started_at=NOW - ago,
        finished_at=NOW - ago + MINUTE,
        settings_digest="digest",
        route=route(*(each.address for each in endpoints)),
        events=events if noticed else (),
        endpoints=tuple(Probed(endpoint=each, facts=facts(each, reason=state, connections=4)) for each in endpoints),
    )


async def planned(store: Store, **due: timedelta) -> None:
    await store.plan("all", {f"{name}.example": NOW + after for name, after in due.items()})


async def test_neighbours_led_there_when_they_were_looked_at_last_and_found_something_else(store_url: str) -> None:
    async with open_store(store_url) as store:
        await planned(store, a=HOUR, b=HOUR, c=HOUR, d=HOUR, e=-MINUTE, f=HOUR, h=HOUR, first=HOUR)
        await store.save_target(looked("a.example", ENDPOINT))
        await store.save_target(looked("b.example", OTHER, ENDPOINT))
        await store.save_target(looked("c.example", ENDPOINT, ago=2 * HOUR))
        await store.save_target(looked("c.example", OTHER))  # it has moved
        await store.save_target(looked("d.example", ENDPOINT, ago=2 * HOUR))
        await store.save_target(looked("d.example", ENDPOINT, state="after"))  # it knows
        await store.save_target(looked("e.example", ENDPOINT))  # it is due anyway
        await store.save_target(looked("f.example", ELSEWHERE))
        await store.save_target(looked("g.example", ENDPOINT))  # nobody plans it any more
        await store.save_target(looked("h.example", ENDPOINT, state="broken off", noticed="gone"))  # it knows too
        await store.save_target(looked("a.example", ENDPOINT, noticed="other"))
        await store.save_target(looked("first.example", ENDPOINT, ELSEWHERE, ago=2 * HOUR))
        await store.save_target(looked("first.example", ENDPOINT, ELSEWHERE, state="after", noticed="gone"))
        here = {ENDPOINT: "first.example"}
        assert await store.neighbours(here, NOW, 10) == ("a.example", "b.example")
        assert await store.neighbours(here, NOW, 1) == ("a.example",)
        assert await store.neighbours(here | {ELSEWHERE: "first.example"}, NOW, 10) == (
            "a.example",
            "b.example",
            "f.example",
        )
        assert await store.neighbours({OTHER: "first.example"}, NOW, 10) == (), "it does not lead there itself"
        assert await store.neighbours({}, NOW, 10) == ()


async def test_who_is_due_later_and_whom_nobody_has_is_due_at_once(store_url: str) -> None:
    async with open_store(store_url) as store:
        await planned(store, a=HOUR, b=HOUR, c=-MINUTE)
        due = await store.planned("all")
        (work,) = await store.take("all", {"b.example": due["b.example"]}, NOW, NOW + MINUTE, by="somebody")
        names = ("a.example", "b.example", "c.example", "d.example")
        assert await store.hasten("others", names, NOW) == ()
        assert await store.hasten("all", names, NOW) == ("a.example",)
        assert await store.planned("all") == due | {"a.example": NOW}
        assert await store.release(work)
        assert await store.hasten("all", names, NOW) == ("b.example",)
