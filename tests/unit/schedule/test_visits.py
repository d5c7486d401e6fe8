"""What is done for a next-hop that stands in several groups."""

from __future__ import annotations

from dataclasses import replace

from mxprobe.configuration.probes_toml import Group
from mxprobe.configuration.quiet_hours import QuietHours, quiet_hours
from mxprobe.configuration.rhythm import Rhythm
from mxprobe.mta.profile import Profile
from mxprobe.schedule.visits import Wanted, deepest, visits, wanted
from mxprobe.terms import parse_next_hop

BOTH, ONLY_A, ONLY_B = (parse_next_hop(text) for text in ("both.example", "a.example", "b.example"))
PROFILE = Profile(name="ours", protocols=("TLSv1.2",), suites=(0xC02F,))


def quiet(*spans: str) -> QuietHours:
    return quiet_hours(spans, "UTC", where="", where_timezone="")[0]


NIGHTS, DAYS, NOON = quiet("22:00-06:00"), quiet("06:00-22:00"), quiet("12:00-13:00")

A = Group(
    name="a",
    next_hops=(BOTH, ONLY_A),
    profile=PROFILE,
    rhythm=Rhythm(every=604800.0, jitter=3600.0, quiet=NIGHTS),
    depth="full",
    full_every=7,
)
B = Group(
    name="b",
    next_hops=(ONLY_B, BOTH),
    profile=PROFILE,
    rhythm=Rhythm(every=3600.0, jitter=60.0, quiet=NOON),
    depth="quick",
    full_every=3,
)


def test_the_shortest_interval_the_greatest_depth_and_the_quiet_hours_of_all_count() -> None:
    for groups in ((A, B), (B, A)):
        found = visits(groups)
        assert set(found) == {"both.example", "a.example", "b.example"}
        both = found["both.example"]
        assert (both.rhythm.every, both.rhythm.jitter, both.depth, both.full_every) == (3600, 60, "full", 3)
        assert both.groups == groups
        assert both.profiles == (PROFILE,)
        noon_and_midnight = 1_780_272_000.0 + 12.5 * 3600, 1_780_272_000.0
        assert all(both.rhythm.quiet.at(moment) for moment in noon_and_midnight)
        assert (found["a.example"].rhythm, found["a.example"].depth) == (A.rhythm, "full")
        assert (found["b.example"].rhythm, found["b.example"].depth) == (B.rhythm, "quick")


def test_where_all_quiet_hours_leave_no_time_those_of_the_shortest_interval_count() -> None:
    both = visits((A, replace(B, rhythm=replace(B.rhythm, quiet=DAYS))))["both.example"]
    assert both.rhythm.quiet == DAYS


def test_an_endpoint_is_asked_as_the_most_demanding_next_hop_that_leads_to_it_wants() -> None:
    found = visits((A, B))
    assert wanted((found["b.example"], found["a.example"])) == Wanted(depth="full", full_every=3)
    assert wanted((found["b.example"],)) == Wanted(depth="quick", full_every=3)


def test_the_greatest_depth_asks_most() -> None:
    assert deepest(("quick", "everything", "standard")) == "everything"
    assert deepest(("quick",)) == "quick"
