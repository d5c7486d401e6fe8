"""One pass over a configuration, with peers that the test plays: who is asked, how often, and what is kept."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mxprobe.configuration.probes_toml import Configuration, read_configuration
from mxprobe.errors import InvalidSetting, ResolverError
from mxprobe.facts import EndpointFacts, Starttls
from mxprobe.mta.profile import Profile
from mxprobe.routing.route import MxHost, Route
from mxprobe.schedule.scan import RESUME_WITHIN, Progress, ScanResult, endpoints_behind, scan
from mxprobe.schedule.visits import Wanted
from mxprobe.store import Store, open_store
from mxprobe.terms import Endpoint, NextHop, parse_next_hop

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

CONFIGURATION = """
[limits]
connections = 6
per_address = 2
[profiles.old]
protocols = ["TLSv1"]
suites = ["AES128-SHA"]
[profiles.new]
protocols = ["TLSv1.3"]
suites = ["TLS_AES_128_GCM_SHA256"]
[[group]]
name = "first"
next_hops = ["a.example", "b.example", "null.example"]
profile = "old"
[[group]]
name = "second"
next_hops = ["b.example", "c.example"]
profile = "new"
"""

ADDRESSES = {
    "a.example": {"mx1.example": ("192.0.2.1", "192.0.2.2")},
    "b.example": {"mx1.example": ("192.0.2.1",), "mx2.example": ("192.0.2.1",)},
    "c.example": {"mx2.example": ("192.0.2.1", "192.0.2.3")},
}


def configured(directory: Path, text: str = CONFIGURATION) -> Configuration:
    path = directory / "probes.toml"
    path.write_text(text)
    return read_configuration(path)


class Peers:
    """Mail servers and the DNS, played: they count who asks. Whoever is in `silent` never answers."""

    def __init__(self, addresses: Mapping[str, Mapping[str, tuple[str, ...]]] = ADDRESSES) -> None:
        self.addresses = addresses
        self.resolved: Counter[str] = Counter()
        self.asked: Counter[tuple[str, str]] = Counter()
        self.profiles: dict[tuple[str, str], set[str]] = {}
        self.silent: set[str] = set()
        self.failing: dict[str, Exception] = {}
        self.at_once = self.most_at_once = 0
        self.busy: set[str] = set()

    async def route(self, next_hop: NextHop) -> Route:
        self.resolved[next_hop.text] += 1
        if error := self.failing.get(next_hop.text):
            raise error
        hosts = self.addresses.get(next_hop.text)
        if hosts is None:
            return Route(kind="null-mx")
        return Route(
            kind="mx",
            hosts=tuple(
                MxHost(name=name, canonical_name=name, preference=10, addresses=addresses)
                for name, addresses in hosts.items()
            ),
        )

    async def endpoint(
        self, endpoint: Endpoint, profiles: tuple[Profile, ...]
    ) -> tuple[EndpointFacts, dict[str, bytes]]:
        key = (endpoint.host, endpoint.address)
        self.asked[key] += 1
        self.profiles[key] = {profile.name for profile in profiles}
        assert endpoint.address not in self.busy, "two endpoints at one address are asked at once"
        self.busy.add(endpoint.address)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if endpoint.address in self.silent:
                await asyncio.Event().wait()
            await asyncio.sleep(0)
            if error := self.failing.get(endpoint.address):
                raise error
        finally:
            self.at_once -= 1
            self.busy.discard(endpoint.address)
        return (
            EndpointFacts(
                host=endpoint.host,
                address=endpoint.address,
                port=endpoint.port,
                started_at=NOW,
                starttls=Starttls(state="works"),
                connections=1,
            ),
            {},
        )


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(f"sqlite:///{tmp_path}/mxprobe.db") as opened:
        yield opened


async def scanned(
    configuration: Configuration,
    store: Store,
    peers: Peers,
    *,
    at: datetime = NOW,
    groups: tuple[str, ...] = (),
) -> ScanResult:
    return await scan(
        configuration,
        store,
        probe_route=peers.route,
        probe_endpoint=peers.endpoint,
        clock=lambda: at,
        groups=groups,
    )


async def test_an_endpoint_is_asked_as_the_most_demanding_group_that_leads_to_it_wants(
    tmp_path: Path, store: Store
) -> None:
    text = CONFIGURATION.replace('profile = "old"', 'profile = "old"\ndepth = "full"').replace(
        'profile = "new"', 'profile = "new"\ndepth = "quick"\nfull_every = 2'
    )
    told: dict[Endpoint, Wanted] = {}
    peers = Peers()
    await scan(
        configured(tmp_path, text),
        store,
        probe_route=peers.route,
        probe_endpoint=peers.endpoint,
        clock=lambda: NOW,
        when_routed=told.update,
    )
    assert {(one.host, one.address): (how.depth, how.full_every) for one, how in told.items()} == {
        ("mx1.example", "192.0.2.1"): ("full", 2),  # of a.example and b.example
        ("mx1.example", "192.0.2.2"): ("full", 7),  # of a.example
        ("mx2.example", "192.0.2.1"): ("full", 2),  # of b.example and c.example
        ("mx2.example", "192.0.2.3"): ("quick", 2),  # of c.example
    }


def test_endpoints_are_every_address_of_every_host_once() -> None:
    hosts = tuple(
        MxHost(name=name, canonical_name=name, preference=10, addresses=addresses)
        for name, addresses in (("mx2.example", ("192.0.2.1", "2001:db8::1")), ("mx1.example", ("192.0.2.1",)))
    )
    behind = endpoints_behind(parse_next_hop("lmtp:[mx.example]:2424"), Route(kind="mx", hosts=(*hosts, hosts[0])))
    assert [(one.host, one.address, one.port, one.service) for one in behind] == [
        ("mx2.example", "192.0.2.1", 2424, "lmtp"),
        ("mx2.example", "2001:db8::1", 2424, "lmtp"),
        ("mx1.example", "192.0.2.1", 2424, "lmtp"),
    ]


async def test_each_endpoint_is_asked_once_with_the_profiles_of_all_that_lead_to_it(
    tmp_path: Path, store: Store
) -> None:
    peers = Peers()
    result = await scanned(configured(tmp_path), store, peers)
    assert set(peers.resolved.values()) == {1}
    assert peers.asked == {
        ("mx1.example", "192.0.2.1"): 1,
        ("mx1.example", "192.0.2.2"): 1,
        ("mx2.example", "192.0.2.1"): 1,
        ("mx2.example", "192.0.2.3"): 1,
    }
    assert peers.profiles == {
        ("mx1.example", "192.0.2.1"): {"old", "new"},
        ("mx1.example", "192.0.2.2"): {"old"},
        ("mx2.example", "192.0.2.1"): {"old", "new"},
        ("mx2.example", "192.0.2.3"): {"new"},
    }
    assert [target.next_hop for target in result.report.targets] == [
        "a.example",
        "b.example",
        "null.example",
        "c.example",
    ]
    assert [len(target.endpoints) for target in result.report.targets] == [2, 2, 0, 2]
    assert result.report.connections == 4
    assert (result.resumed, result.endpoints_asked, result.endpoints_kept) == (False, 4, 0)
    assert await store.latest() == result.report


async def test_only_the_groups_that_were_named_are_scanned(tmp_path: Path, store: Store) -> None:
    peers = Peers()
    result = await scanned(configured(tmp_path), store, peers, groups=("second",))
    assert peers.resolved.keys() == {"b.example", "c.example"}
    assert set().union(*peers.profiles.values()) == {"new"}
    assert len(result.report.targets) == 2
    with pytest.raises(InvalidSetting, match=r"there is no group 'third' \(allowed: first, second\)"):
        await scanned(configured(tmp_path), store, peers, groups=("third",))


async def test_a_finished_scan_is_not_resumed_but_repeated(tmp_path: Path, store: Store) -> None:
    peers = Peers()
    await scanned(configured(tmp_path), store, peers)
    result = await scanned(configured(tmp_path), store, peers)
    assert not result.resumed
    assert set(peers.asked.values()) == {2}


async def cancelled_after(known: int, configuration: Configuration, store: Store, peers: Peers) -> list[Progress]:
    """A scan that is cancelled once so many endpoints are known; all that it said until then."""
    seen: list[Progress] = []
    enough = asyncio.Event()

    def watch(progress: Progress) -> None:
        seen.append(progress)
        if progress.endpoints_known == known:
            enough.set()

    running = asyncio.ensure_future(
        scan(
            configuration,
            store,
            probe_route=peers.route,
            probe_endpoint=peers.endpoint,
            clock=lambda: NOW,
            on_progress=watch,
        )
    )
    await asyncio.wait_for(enough.wait(), 60)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    return seen


async def test_a_slow_endpoint_holds_up_nobody_else(tmp_path: Path, store: Store) -> None:
    peers = Peers()
    peers.silent = {"192.0.2.2"}
    seen = await cancelled_after(3, configured(tmp_path), store, peers)
    assert [progress.routes_known for progress in seen if progress.endpoints is None] == [0, 1, 2, 3, 4]
    assert [progress.endpoints_known for progress in seen if progress.endpoints is not None] == [0, 1, 2, 3]
    report = await store.latest()
    assert report is not None
    # a.example is not complete, and is shown with what there is.
    assert {target.next_hop: len(target.endpoints) for target in report.targets} == {
        "a.example": 1,
        "b.example": 2,
        "null.example": 0,
        "c.example": 2,
    }


async def test_a_cancelled_scan_is_resumed_and_asks_only_for_the_rest(tmp_path: Path, store: Store) -> None:
    peers = Peers()
    peers.silent = {"192.0.2.2"}
    await cancelled_after(3, configured(tmp_path), store, peers)
    peers.silent = set()
    result = await scanned(configured(tmp_path), store, peers, at=NOW + timedelta(hours=1))
    assert (result.resumed, result.endpoints_kept, result.endpoints_asked) == (True, 3, 1)
    assert (result.report.started_at, result.report.elapsed_seconds) == (NOW, 3600)
    assert set(peers.resolved.values()) == {1}
    assert {key for key, times in peers.asked.items() if times > 1} == {("mx1.example", "192.0.2.2")}
    assert [len(target.endpoints) for target in result.report.targets] == [2, 2, 0, 2]


@pytest.mark.parametrize(
    ("later", "change", "resumed"),
    [
        (RESUME_WITHIN, ("", ""), True),
        (RESUME_WITHIN + timedelta(seconds=1), ("", ""), False),
        (timedelta(0), ('profile = "new"', ""), False),  # other hellos
        (timedelta(0), ("AES128-SHA", "AES256-SHA"), False),  # other hellos under the same name
        (timedelta(0), ("[limits]", "[probe]\ndepth = 'full'\n[limits]"), False),  # other questions
        (timedelta(0), ('"c.example"', '"c.example", "d.example"'), False),  # other targets
        (timedelta(0), ("connections = 6", "connections = 7"), True),  # the same questions, at another pace
        (timedelta(0), ('profile = "old"', 'profile = "old"\nrequire = ["trusted"]'), True),  # another judgement
    ],
)
async def test_a_scan_is_resumed_under_the_same_settings_and_while_it_is_fresh(
    tmp_path: Path, store: Store, later: timedelta, change: tuple[str, str], resumed: bool
) -> None:
    peers = Peers()
    peers.failing = {"192.0.2.2": RuntimeError("stops the first scan from being finished")}
    with pytest.raises(ExceptionGroup):
        await scanned(configured(tmp_path), store, peers)
    peers.failing = {}
    result = await scanned(configured(tmp_path, CONFIGURATION.replace(*change)), store, peers, at=NOW + later)
    assert result.resumed is resumed


async def test_no_more_endpoints_at_once_than_the_limits_allow(tmp_path: Path, store: Store) -> None:
    peers = Peers({"a.example": {"mx.example": tuple(f"192.0.2.{number}" for number in range(50))}})
    await scanned(configured(tmp_path), store, peers, groups=("first",))
    assert len(peers.asked) == 50
    assert peers.most_at_once == 3  # 6 connections in all, of which an endpoint takes up to 2


async def test_an_error_of_the_program_at_one_target_leaves_the_others_their_results(
    tmp_path: Path, store: Store
) -> None:
    peers = Peers()
    peers.failing = {"192.0.2.2": ZeroDivisionError("a fault of ours"), "c.example": KeyError("another")}
    with pytest.raises(ExceptionGroup) as caught:
        await scanned(configured(tmp_path), store, peers)
    assert sorted(note for error in caught.value.exceptions for note in error.__notes__) == [
        "while asking c.example",
        "while asking mx1.example[192.0.2.2]:25",
    ]
    peers.failing = {}
    result = await scanned(configured(tmp_path), store, peers)
    assert (result.resumed, result.endpoints_kept, result.endpoints_asked) == (True, 2, 2)


async def test_what_the_user_has_to_mend_stops_the_scan_and_is_raised_as_it_is(tmp_path: Path, store: Store) -> None:
    peers = Peers()
    peers.silent = {"192.0.2.3"}
    peers.failing = {"192.0.2.2": ResolverError("there is no name server")}
    with pytest.raises(ResolverError, match="there is no name server"):
        await scanned(configured(tmp_path), store, peers)


async def test_a_scan_lets_go_of_what_the_store_need_not_keep(tmp_path: Path, store: Store) -> None:
    configuration = configured(tmp_path, CONFIGURATION + "[store]\nkeep_scans = 2\nkeep_days = 400\n")
    for day in range(4):
        await scanned(configuration, store, Peers(), at=NOW + timedelta(days=day))
    kept = [each.started_at async for each in store.past("a.example")]
    assert kept == [NOW + timedelta(days=2), NOW + timedelta(days=3)]
