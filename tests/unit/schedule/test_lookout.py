"""When one looks whether anybody can be seen from here, who is asked, and what is made of it."""

from __future__ import annotations

import asyncio

import pytest

from examples.played_service import BLOCKED, FINE, PlayedClock
from mxprobe.network.provider import Provider
from mxprobe.schedule.lookout import ASKED, AWAY, FRESH, Came, Lookout, hindrance
from mxprobe.schedule.vantage import Contact, How, Question, Vantage
from mxprobe.terms import NextHop, parse_next_hop

HERE = parse_next_hop("example.test")
LITERAL = parse_next_hop("[192.0.2.1]")
SUBMISSION = parse_next_hop("[mx.example.test]:587")


class Place:
    """A place from where one looks."""

    def __init__(self, *candidates: str) -> None:
        self.clock = PlayedClock()
        self.found: Vantage | Exception = FINE
        self.asked: list[tuple[str, ...]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.lookout = Lookout(self.look, lambda: [parse_next_hop(text) for text in candidates], self.clock)

    async def look(self, next_hops: tuple[NextHop, ...]) -> Vantage:
        self.asked.append(tuple(each.text for each in next_hops))
        await self.gate.wait()
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


def came(how: How, port: int = 25) -> Came:
    provider = Provider(domain="example.test", network="192.0.2.0/24")
    return Came(contacts=(Contact(address="192.0.2.1", port=port, provider=provider, how=how),))


async def test_whoever_reached_somebody_a_moment_ago_need_not_look() -> None:
    place = Place()
    place.lookout.note(HERE, came("connected"))
    assert await place.lookout.hinders(HERE) is None
    assert place.asked == []
    await place.clock.pass_time(FRESH)
    assert await place.lookout.hinders(HERE) is None
    assert len(place.asked) == 1


async def test_that_another_port_is_reached_says_nothing() -> None:
    place = Place()
    place.found = BLOCKED
    place.lookout.note(SUBMISSION, came("connected", 587))
    assert await place.lookout.hinders(SUBMISSION) is None
    assert await place.lookout.hinders(HERE) == BLOCKED


async def test_one_look_is_for_all_who_wait_for_one_and_counts_for_a_minute() -> None:
    place = Place()
    place.found = BLOCKED
    place.gate.clear()
    waiting = [asyncio.create_task(place.lookout.hinders(HERE)) for _ in range(5)]
    await asyncio.sleep(0)
    place.gate.set()
    assert await asyncio.gather(*waiting) == [BLOCKED] * 5
    assert await place.lookout.hinders(HERE) == BLOCKED
    assert len(place.asked) == 1
    assert not place.lookout.overdue()
    await place.clock.pass_time(FRESH)
    assert place.lookout.overdue()


async def test_one_looks_before_anything_is_begun_and_not_again_while_all_is_well() -> None:
    place = Place()
    assert place.lookout.overdue()
    await place.lookout.look()
    await place.clock.pass_time(10 * FRESH)
    assert not place.lookout.overdue()


async def test_a_look_that_fails_is_told_to_whoever_wants_to_know_and_leaves_nothing() -> None:
    place = Place()
    place.found = RuntimeError("broken")
    with pytest.raises(RuntimeError, match="broken"):
        await place.lookout.hinders(HERE)
    assert place.lookout.last is None
    assert place.lookout.overdue()


async def test_few_are_asked_of_each_port_and_each_of_another_domain() -> None:
    many = [f"mx{number}.one.test" for number in range(50)] + [f"d{number}.test" for number in range(50)]
    place = Place(*many, "[192.0.2.1]:587", "[192.0.2.2]:587")
    await place.lookout.look()
    (asked,) = place.asked
    assert len([text for text in asked if not text.endswith(":587")]) == ASKED
    assert len([text for text in asked if text.endswith("one.test")]) == 1
    assert asked[-2:] == ("[192.0.2.1]:587", "[192.0.2.2]:587")


async def test_those_who_were_reached_before_are_asked_first() -> None:
    place = Place(*(f"d{number}.test" for number in range(50)))
    place.lookout.note(parse_next_hop("d49.test"), came("connected"))
    await place.clock.pass_time(FRESH)
    await place.lookout.hinders(parse_next_hop("d48.test"))
    assert place.asked[0][:2] == ("d49.test", "d48.test")


NO_DNS = Vantage(state="no-dns", summary="there is no DNS here")
UNANSWERED = Came(question=Question(name="example.test", status="servfail"))


async def test_that_servers_were_reached_a_moment_ago_says_nothing_of_the_dns() -> None:
    place = Place()
    place.lookout.note(HERE, came("connected"))
    place.found = NO_DNS
    assert await place.lookout.hinders(HERE, UNANSWERED) == NO_DNS
    assert place.lookout.bad


async def test_each_without_an_answer_has_the_dns_asked_after_that() -> None:
    place = Place()
    place.gate.clear()
    early = asyncio.create_task(place.lookout.hinders(HERE, UNANSWERED))
    await asyncio.sleep(0)
    late = [asyncio.create_task(place.lookout.hinders(HERE, UNANSWERED)) for _ in range(5)]
    await asyncio.sleep(0)
    place.gate.set()
    assert await early is None
    place.found = NO_DNS  # it goes away while those wait who came later
    assert await asyncio.gather(*late) == [NO_DNS] * 5
    assert len(place.asked) == 2


async def test_who_had_no_answer_when_the_dns_was_away_waits_a_minute_after_it_is_back() -> None:
    place = Place()
    place.found = NO_DNS
    assert await place.lookout.hinders(HERE, UNANSWERED) == NO_DNS
    place.found = FINE
    await place.lookout.look()
    assert await place.lookout.hinders(HERE, UNANSWERED) == AWAY
    assert await place.lookout.hinders(HERE, came("silent")) is None
    await place.clock.pass_time(FRESH)
    assert await place.lookout.hinders(HERE, UNANSWERED) is None


def test_blocked_hinders_its_port_and_no_dns_who_needs_it() -> None:
    no_dns = Vantage(state="no-dns", summary="there is no DNS here")
    assert [hindrance(BLOCKED, each) for each in (HERE, LITERAL, SUBMISSION)] == [True, True, False]
    assert [hindrance(no_dns, each) for each in (HERE, LITERAL, SUBMISSION)] == [True, False, True]
    assert not hindrance(FINE, HERE)
    assert not hindrance(Vantage(state="cannot-tell", summary="too few"), HERE)


@pytest.mark.parametrize(
    ("visit", "reached"),
    [
        (came("connected"), True),
        (came("silent"), False),
        (came("refused"), False),
        (Came(question=Question(name="example.test", status="nxdomain")), True),
        (Came(question=Question(name="example.test", status="timeout")), False),
        (Came(question=Question(name="example.test", status="servfail")), False),
        (Came(), True),
    ],
)
def test_nobody_is_reached_where_all_fail_that_were_to_answer(visit: Came, reached: bool) -> None:
    assert visit.reached == reached
