"""One visit end to end, with mail servers that the test plays: what is asked, what is noticed, and what is kept."""

from __future__ import annotations

import asyncio
import errno
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from examples.played_service import BLOCKED, FINE, MONDAY, PlayedClock, group
from examples.targets import REFUSED_VERSION, endpoint, mx, mx_host
from mxprobe.configuration.quiet_hours import DAY, HOUR, quiet_hours
from mxprobe.configuration.rhythm import Rhythm
from mxprobe.errors import StoreError
from mxprobe.facts import EndpointFacts, Starttls
from mxprobe.mta.profile import Profile
from mxprobe.routing.route import Route, RouteError
from mxprobe.schedule.clock import moment_of
from mxprobe.schedule.lookout import Lookout
from mxprobe.schedule.observing import Found, how_to_ask
from mxprobe.schedule.recheck import Recheck
from mxprobe.schedule.vantage import Vantage
from mxprobe.schedule.visit_run import Outcome, Visitor
from mxprobe.schedule.visits import Visit, visits
from mxprobe.store import NewDelivery, TargetResult
from mxprobe.terms import Endpoint, NextHop, parse_next_hop
from mxprobe.verdict.events import Event

ONE = "mx1.example.test[192.0.2.1]:25"


class Servers:
    """Mail servers and the DNS: what each address answers is `facts`, once or more; who was asked is `asked`."""

    def __init__(self, clock: PlayedClock) -> None:
        self.clock = clock
        self.routes: dict[str, Route] = {}
        self.facts: dict[str, list[EndpointFacts]] = {}
        self.asked: list[tuple[str, Recheck]] = []
        self.seconds = 1.0

    async def resolve(self, next_hop: NextHop, /) -> Route:
        return self.routes[next_hop.text]

    async def ask(self, endpoint: Endpoint, profiles: tuple[Profile, ...], how: Recheck, /) -> Found:
        self.asked.append((endpoint.address, how))
        at = moment_of(self.clock.now().wall)
        await self.clock.wait(asyncio.Event(), self.seconds)
        answers = self.facts[endpoint.address]
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        return replace(found, started_at=at), {"ab": b"der"}

    def counted(self) -> Counter[str]:
        return Counter(address for address, _ in self.asked)


class Remembered:
    """What the store has of targets and endpoints."""

    def __init__(self) -> None:
        self.results: list[TargetResult] = []
        self.memories: dict[str, Mapping[str, object]] = {}
        self.away: StoreError | None = None
        self.ours = True

    async def memory_of(self, next_hop: str) -> Mapping[str, Any] | None:
        if self.away is not None:
            raise self.away
        return self.memories.get(next_hop)

    async def last_known(self, endpoint: Endpoint, at_most: int) -> tuple[EndpointFacts, ...]:
        found = [
            each.facts
            for result in reversed(self.results)
            for each in result.endpoints
            if each.endpoint == endpoint and each.facts is not None
        ]
        return tuple(found[:at_most])

    async def keep(self, result: TargetResult) -> bool:
        if self.ours:
            self.results.append(result)
            if result.memory is not None:
                self.memories[result.next_hop] = result.memory
        return self.ours


class Lab:
    """A visitor, with everything around it."""

    def __init__(self) -> None:
        self.clock = PlayedClock()
        self.servers = Servers(self.clock)
        self.store = Remembered()
        self.place: Vantage = FINE
        self.looks = 0
        self.stopping = asyncio.Event()
        lookout = Lookout(self._look, list, self.clock)
        self.visitor = self._visitor(lookout)
        self._lookout = lookout
        self.servers.routes["example.test"] = mx(mx_host("mx1.example.test", "192.0.2.1"))
        self.servers.facts["192.0.2.1"] = [endpoint("mx1.example.test")]

    async def visit(self, text: str = "example.test", **more: Any) -> Outcome:
        return await self.passing(self.visitor.visit(visit(text, **more), self.store.keep, self.stopping))

    async def passing(self, work: Any) -> Any:
        task = asyncio.ensure_future(work)
        while not task.done():
            await self.clock.pass_time(1)
        return task.result()

    def restart(self) -> None:
        """Another process, with the same store."""
        self.visitor = self._visitor(self._lookout)

    def tell(self, told: Told) -> Told:
        """A service that tells somebody of what it notices."""
        self.visitor = self._visitor(self._lookout, told)
        return told

    def _visitor(self, lookout: Lookout, told: Told | None = None) -> Visitor:
        return Visitor(self.servers, self.store, lookout, self.clock, digest="digest", confirm_after=60, alerts=told)

    async def _look(self, _asked: tuple[NextHop, ...]) -> Vantage:
        self.looks += 1
        return self.place


def visit(text: str, **more: Any) -> Visit:
    (found,) = visits([group((parse_next_hop(text),), **more)]).values()
    return found


@pytest.fixture
def lab() -> Lab:
    return Lab()


def plain(address: str = "192.0.2.1") -> EndpointFacts:
    """An endpoint that no longer offers STARTTLS."""
    good = endpoint("mx1.example.test", address)
    return EndpointFacts(
        host=good.host,
        address=address,
        port=25,
        started_at=good.started_at,
        connections=1,
        greeting=good.greeting,
        capabilities=("PIPELINING",),
        starttls=Starttls(state="not-offered", stage="ehlo", reason="EHLO does not list STARTTLS"),
    )


def silent(address: str = "192.0.2.1") -> EndpointFacts:
    """An endpoint that does not answer a connection."""
    return EndpointFacts(
        host="mx1.example.test",
        address=address,
        port=25,
        started_at=moment_of(MONDAY),
        connections=1,
        starttls=Starttls(state="unknown", stage="connect", reason="silent for 15 s"),
    )


async def test_a_visit_keeps_route_facts_certificates_and_memory_in_one_piece(lab: Lab) -> None:
    outcome = await lab.visit()
    assert (outcome.state, outcome.endpoints, outcome.events) == ("kept", 1, ())
    (result,) = lab.store.results
    assert result.next_hop == "example.test"
    assert result.route == lab.servers.routes["example.test"]
    assert result.started_at == moment_of(MONDAY)
    assert result.finished_at > result.started_at
    (probed,) = result.endpoints
    assert (probed.endpoint.address, dict(probed.certificates)) == ("192.0.2.1", {"ab": b"der"})
    assert result.memory is not None
    assert result.memory["next_hop"] == "example.test"


async def test_what_would_alert_is_asked_again_and_kept_when_it_is_so(lab: Lab) -> None:
    await lab.visit()
    await lab.clock.pass_time(DAY)
    lab.servers.facts["192.0.2.1"] = [plain()]
    before = lab.clock.now().steady
    outcome = await lab.visit()
    assert [(each.kind, each.item, each.state) for each in outcome.events] == [
        ("starttls-vanished", "starttls", "confirmed")
    ]
    assert lab.store.results[-1].events == outcome.events
    assert [str(each) for each in outcome.struck] == [ONE], "which concerns others too"
    assert lab.servers.counted() == {"192.0.2.1": 3}
    assert lab.clock.now().steady - before >= 60


async def test_what_is_not_so_when_it_is_asked_again_is_no_event(lab: Lab) -> None:
    await lab.visit()
    await lab.clock.pass_time(DAY)
    lab.servers.facts["192.0.2.1"] = [plain(), endpoint("mx1.example.test")]
    assert (await lab.visit()).events == ()
    assert lab.store.results[-1].endpoints[0].facts is not None
    assert lab.store.results[-1].endpoints[0].facts.starttls.state == "not-offered"
    await lab.clock.pass_time(DAY)
    assert (await lab.visit()).events == ()


async def test_what_is_only_news_is_not_asked_again(lab: Lab) -> None:
    old = endpoint("mx1.example.test")
    lab.servers.facts["192.0.2.1"] = [replace(old, protocols={**old.protocols, "TLSv1.2": REFUSED_VERSION})]
    await lab.visit()
    await lab.clock.pass_time(DAY)
    lab.servers.facts["192.0.2.1"] = [old]
    outcome = await lab.visit()
    assert {(each.kind, each.severity, each.state) for each in outcome.events} == {("version-new", "info", "seen")}
    assert lab.servers.counted() == {"192.0.2.1": 2}


class Told:
    """Who is told of every event, by a message that is called as its kind."""

    def __init__(self) -> None:
        self.known: list[str] = []

    def wants(self, _event: Event) -> bool:
        return True

    def deliveries(self, events: Iterable[Event]) -> tuple[NewDelivery, ...]:
        return tuple(
            NewDelivery(key=each.kind, alert="ops", document={}, created_at=each.at, next_at=each.at) for each in events
        )

    def kept(self, events: Iterable[Event]) -> None:
        self.known += [each.kind for each in events]


async def test_who_is_told_of_an_event_is_kept_with_it_and_it_was_asked_again(lab: Lab) -> None:
    told = lab.tell(Told())
    lab.servers.facts["192.0.2.1"] = [plain()]
    await lab.visit()
    await lab.clock.pass_time(DAY)
    lab.servers.facts["192.0.2.1"] = [endpoint("mx1.example.test")]
    outcome = await lab.visit()
    assert [(each.kind, each.severity, each.state) for each in outcome.events] == [
        ("starttls-appeared", "info", "confirmed")
    ]
    assert [each.key for each in lab.store.results[-1].deliveries] == ["starttls-appeared"]
    assert told.known == ["starttls-appeared"]
    assert lab.servers.counted() == {"192.0.2.1": 3}


async def test_nobody_is_told_of_what_was_not_kept(lab: Lab) -> None:
    told = lab.tell(Told())
    await lab.visit()
    await lab.clock.pass_time(DAY)
    lab.servers.facts["192.0.2.1"] = [plain()]
    lab.store.ours = False
    assert (await lab.visit()).state == "lost"
    assert told.known == []


async def test_a_service_that_stops_leaves_an_event_to_the_next_visit(lab: Lab) -> None:
    await lab.visit()
    await lab.clock.pass_time(DAY)
    lab.servers.facts["192.0.2.1"] = [plain()]
    lab.stopping.set()
    assert (await lab.visit()).events == ()
    assert len(lab.store.results) == 2
    lab.stopping.clear()
    await lab.clock.pass_time(DAY)
    assert [each.kind for each in (await lab.visit()).events] == ["starttls-vanished"]


async def test_unknown_is_no_event_and_changes_nothing_that_is_remembered(lab: Lab) -> None:
    await lab.visit()
    await lab.clock.pass_time(DAY)
    lab.servers.facts["192.0.2.1"] = [silent()]
    assert (await lab.visit()).events == ()
    await lab.clock.pass_time(DAY)
    lab.servers.facts["192.0.2.1"] = [endpoint("mx1.example.test")]
    assert (await lab.visit()).events == ()


async def test_one_that_does_not_answer_has_a_result_if_others_do(lab: Lab) -> None:
    lab.servers.facts["192.0.2.1"] = [silent()]
    assert (await lab.visit()).state == "kept"
    assert lab.looks == 1


async def test_nobody_is_looked_for_while_somebody_was_reached_a_moment_ago(lab: Lab) -> None:
    lab.servers.routes["other.test"] = mx(mx_host("mx2.other.test", "198.51.100.1"))
    lab.servers.facts["198.51.100.1"] = [endpoint("mx2.other.test", "198.51.100.1")]
    lab.servers.facts["192.0.2.1"] = [silent()]
    await lab.visit("other.test")
    assert (await lab.visit()).state == "kept"
    assert lab.looks == 0


async def test_where_the_port_is_blocked_there_is_no_result(lab: Lab) -> None:
    lab.servers.facts["192.0.2.1"] = [silent()]
    lab.place = BLOCKED
    outcome = await lab.visit()
    assert (outcome.state, outcome.reason) == ("put-off", "port 25 is blocked here")
    assert lab.store.results == []


async def test_what_came_of_asking_while_the_port_was_blocked_is_not_taken_for_the_server_later(lab: Lab) -> None:
    lab.servers.facts["192.0.2.1"] = [silent(), endpoint("mx1.example.test")]
    lab.place = BLOCKED
    assert (await lab.visit()).state == "put-off"
    lab.place = FINE
    await lab.clock.pass_time(120)
    assert (await lab.visit()).state == "kept"
    (result,) = lab.store.results
    assert [each.facts.starttls.state for each in result.endpoints if each.facts] == ["works"]


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS])
async def test_what_this_machine_lacks_is_no_result_of_a_server(lab: Lab, number: int) -> None:
    lacking = Starttls(state="unknown", reason=f"cannot connect: {os.strerror(number)}", stage="connect")
    lab.servers.facts["192.0.2.1"] = [replace(silent(), starttls=lacking), endpoint("mx1.example.test")]
    outcome = await lab.visit()
    assert (outcome.state, bool(outcome.lack)) == ("put-off", True)
    assert lab.store.results == []
    assert (await lab.visit()).state == "kept"


async def test_without_dns_there_is_no_result(lab: Lab) -> None:
    error = RouteError(status="timeout", text="no name server answered", temporary=True)
    lab.servers.routes["example.test"] = Route(kind="error", error=error)
    lab.place = Vantage(state="no-dns", summary="there is no DNS here")
    assert (await lab.visit()).state == "put-off"
    assert lab.store.results == []
    lab.place = FINE
    await lab.clock.pass_time(HOUR)
    assert (await lab.visit()).state == "kept"


async def test_a_domain_that_does_not_exist_has_a_result_without_looking_around(lab: Lab) -> None:
    error = RouteError(status="nxdomain", text="no such domain", temporary=False)
    lab.servers.routes["example.test"] = Route(kind="error", error=error)
    assert (await lab.visit()).state == "kept"
    assert lab.looks == 0


async def test_what_somebody_else_has_made_meanwhile_is_lost(lab: Lab) -> None:
    lab.store.ours = False
    assert (await lab.visit()).state == "lost"


async def test_quiet_hours_that_have_begun_put_a_visit_off(lab: Lab) -> None:
    quiet, _ = quiet_hours(("00:00-08:00",), "UTC", where="", where_timezone="")
    outcome = await lab.visit(rhythm=Rhythm(every=DAY, quiet=quiet))
    assert (outcome.state, outcome.reason) == ("put-off", "quiet hours have begun")
    assert lab.servers.asked == []


async def test_a_store_that_fails_is_told_and_nothing_is_kept(lab: Lab) -> None:
    lab.store.away = StoreError("gone")
    with pytest.raises(StoreError, match="gone"):
        await lab.visit()
    assert lab.store.results == []


async def test_a_memory_of_a_newer_version_is_left_alone_and_the_facts_are_kept(lab: Lab) -> None:
    newer = {"version": 99, "next_hop": "example.test"}
    lab.store.memories["example.test"] = newer
    outcome = await lab.visit()
    assert outcome.state == "kept"
    assert "it is of version 99" in outcome.told[0]
    assert lab.store.memories["example.test"] == newer
    assert len(lab.store.results) == 1


# Endpoints that several next-hops lead to


def lead_to_one(lab: Lab, *names: str) -> None:
    for name in names:
        lab.servers.routes[name] = mx(mx_host("mx1.example.test", "192.0.2.1"))


async def test_an_endpoint_is_asked_once_in_an_interval(lab: Lab) -> None:
    lead_to_one(lab, "a.test", "b.test")
    for name in ("a.test", "b.test", "example.test"):
        await lab.visit(name)
        await lab.clock.pass_time(HOUR)
    assert lab.servers.counted() == {"192.0.2.1": 1}
    assert [len(result.endpoints) for result in lab.store.results] == [1, 1, 1]
    await lab.clock.pass_time(DAY)
    await lab.visit("b.test")
    assert lab.servers.counted() == {"192.0.2.1": 2}


async def test_those_who_come_at_once_wait_for_the_same_answer(lab: Lab) -> None:
    lead_to_one(lab, "a.test", "b.test")
    lab.servers.seconds = 30
    visiting = (
        lab.visitor.visit(visit(name), lab.store.keep, lab.stopping) for name in ("a.test", "b.test", "example.test")
    )
    outcomes = await lab.passing(asyncio.gather(*visiting))
    assert [each.state for each in outcomes] == ["kept"] * 3
    assert lab.servers.counted() == {"192.0.2.1": 1}


async def test_after_a_restart_what_the_store_has_stands(lab: Lab) -> None:
    lead_to_one(lab, "a.test")
    await lab.visit(depth="quick")
    lab.restart()
    await lab.visit("a.test", depth="quick")
    assert lab.servers.counted() == {"192.0.2.1": 1}


async def test_what_was_asked_less_deeply_or_without_a_profile_is_asked_again(lab: Lab) -> None:
    lead_to_one(lab, "a.test", "b.test")
    profile = Profile(name="ours", protocols=("TLSv1.2",), suites=(0xC02F,))
    full = endpoint("mx1.example.test")
    lab.servers.facts["192.0.2.1"] = [replace(full, protocols={}), full]
    await lab.visit(depth="quick")
    await lab.visit("a.test", depth="standard")
    await lab.visit("b.test", depth="quick", profile=profile)
    assert lab.servers.counted() == {"192.0.2.1": 3}


async def test_an_event_at_an_endpoint_of_many_is_asked_again_for_all_of_them_together(lab: Lab) -> None:
    names = ("a.test", "b.test", "c.test")
    lead_to_one(lab, *names)
    for name in names:
        await lab.visit(name)
    await lab.clock.pass_time(DAY)
    lab.servers.facts["192.0.2.1"] = [plain()]
    visiting = (lab.visitor.visit(visit(name), lab.store.keep, lab.stopping) for name in names)
    outcomes = await lab.passing(asyncio.gather(*visiting))
    assert [[each.kind for each in outcome.events] for outcome in outcomes] == [["starttls-vanished"]] * 3
    assert lab.servers.counted() == {"192.0.2.1": 3}


def test_of_some_visits_one_sweeps_in_full_by_time() -> None:
    where = Endpoint(host="mx1.example.test", address="192.0.2.1", port=25)
    wanted = replace(visit("example.test"), full_every=4)
    swept = replace(endpoint("mx1.example.test"), sweep="swept", swept_at=moment_of(MONDAY))
    for day in range(1, 8):
        # However many results there are of the same day.
        known = (replace(swept, sweep="confirmed"),) * 5
        how = how_to_ask(where, wanted, known, MONDAY + day * DAY)
        assert how == (Recheck(depth="standard", before=known[0]) if day < 4 else Recheck(depth="full"))


def test_where_nothing_was_swept_yet_each_endpoint_has_its_turn() -> None:
    wanted = replace(visit("example.test"), full_every=7)
    turns = []
    for number in range(200):
        where = Endpoint(host="mx1.example.test", address=f"192.0.2.{number}", port=25)
        full = [day for day in range(7) if how_to_ask(where, wanted, (), MONDAY + day * DAY).depth == "full"]
        assert len(full) == 1
        turns += full
    assert set(turns) == set(range(7))


def test_quick_is_never_more_than_that() -> None:
    where = Endpoint(host="mx1.example.test", address="192.0.2.1", port=25)
    wanted = replace(visit("example.test"), full_every=1, depth="quick")
    assert how_to_ask(where, wanted, (), MONDAY) == Recheck(depth="quick")
