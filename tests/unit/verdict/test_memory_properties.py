"""Whatever is observed: unknown changes nothing, a stored memory goes on, no aspect is told twice at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from examples.observations import (
    DAY,
    E1,
    E2,
    MAIL,
    START,
    STARTTLS,
    Observation,
    addresses,
    at,
    one,
    run,
    values,
)
from mxprobe.verdict.events import Event
from mxprobe.verdict.memory import Memory, remember
from mxprobe.verdict.memory_document import memory_text, read_memory
from mxprobe.verdict.seen import Aspect, AspectKind, NoticeSettings, Seen

NEVER_DAMPED = NoticeSettings(flapping_changes=1000)

_words = st.sets(st.sampled_from(["C02F", "C030", "0005", "1301", "000A"]), min_size=1).map(sorted).map(" ".join)
_hosts = st.sets(st.sampled_from(["10:b.test", "20:c.test", "20:d.test"])).map(
    lambda words: " ".join(sorted({"10:mx1.example.test", *words}))
)


@st.composite
def one_seen(draw: st.DrawFn) -> Seen:
    where = draw(st.sampled_from([E1, E2]))
    kind = draw(st.sampled_from(["starttls", "starttls", "suites", "mx", "mail", "expiry", "version", "trusted"]))
    simple = {
        "starttls": ["works", "none", "broken"],
        "mail": ["yes", "no-domain"],
        "version": ["accepted", "refused"],
        "trusted": ["yes", "no"],
        "expiry": ["aa valid", "aa 21", "aa expired", "bb valid", "bb 7"],
    }
    values = _words if kind == "suites" else _hosts if kind == "mx" else st.sampled_from(simple[kind])
    value = draw(st.none() | values)
    complete = kind not in ("suites", "mx") or draw(st.booleans())
    item = "TLSv1.2" if kind in ("suites", "version") else "RSA" if kind == "expiry" else ""
    aspect = Aspect(kind=kind, endpoint="" if kind in ("mx", "mail") else where, item=item)  # type: ignore[arg-type]
    return Seen(aspect=aspect, value=value, complete=complete, doubtful=value == "no-domain")


@st.composite
def one_look(draw: st.DrawFn) -> Observation:
    """What the DNS says of one MX host and its two addresses, and how STARTTLS fares at those that it names."""
    if draw(st.booleans()) and draw(st.booleans()):
        return one(MAIL, draw(st.sampled_from([None, "null-mx"])))
    named = draw(st.lists(st.sampled_from(["192.0.2.1", "192.0.2.2"]), unique=True, min_size=1).map(sorted))
    states = st.sampled_from(["works", "works", "none", None])
    return (
        *one(MAIL, "yes"),
        *addresses(*named),
        *(seen for address in named for seen in at(f"mx1.example.test[{address}]:25", draw(states))),
    )


_observations = st.lists(st.lists(one_seen(), max_size=5, unique_by=lambda seen: seen.aspect).map(tuple), max_size=30)
_settings = st.builds(
    NoticeSettings,
    unknown_after=st.sampled_from([DAY, 7 * DAY]),
    flapping_changes=st.integers(2, 6),
    flapping_window=st.sampled_from([3 * DAY, 14 * DAY]),
    stable_after=st.sampled_from([DAY, 5 * DAY]),
)


def essence(events: Sequence[Event]) -> list[tuple[Any, ...]]:
    """What an event says of values; that something was unknown for long, and is known again, is left out."""
    return [
        (event.kind, event.severity, event.aspect, event.before, event.after, event.at)
        for event in events
        if event.kind != "unknown-for-long" and not (event.kind == "recovered" and event.recovers == "unknown-for-long")
    ]


@given(_observations, _settings)
def test_the_events_are_those_of_the_observations_without_the_unknown_ones(
    observations: list[Observation], settings: NoticeSettings
) -> None:
    known = [tuple(each for each in seen if each.value is not None) for seen in observations]
    assert essence(run(observations, settings)[1]) == essence(run(known, settings)[1])


@given(_observations, _settings)
def test_from_the_stored_memory_it_goes_on_as_if_it_had_not_been_stored(
    observations: list[Observation], settings: NoticeSettings
) -> None:
    memory, events = run(observations, settings, step=timedelta(hours=7, microseconds=1234))
    stored = Memory(next_hop="example.test")
    again: list[Event] = []
    for number, seen in enumerate(observations):
        stored, new = remember(stored, seen, START + number * timedelta(hours=7, microseconds=1234), settings)
        stored = read_memory(memory_text(stored))
        again += new
    assert again == events
    assert stored == memory


@given(_observations, _settings)
def test_no_aspect_has_two_events_of_one_observation(observations: list[Observation], settings: NoticeSettings) -> None:
    events = run(observations, settings)[1]
    assert not [many for many in Counter((event.aspect, event.at) for event in events).items() if many[1] > 1]


@given(st.lists(one_look(), max_size=20), _settings)
def test_nor_where_endpoints_come_and_go(observations: list[Observation], settings: NoticeSettings) -> None:
    memory, events = run(observations, settings)
    assert not [many for many in Counter((event.aspect, event.at) for event in events).items() if many[1] > 1]
    assert read_memory(memory_text(memory)) == memory
    named = {aspect.endpoint for aspect in memory.known if aspect.endpoint}
    assert set(memory.gone) <= named | {"mx1.example.test"}


@given(_observations)
def test_the_events_of_an_aspect_are_a_chain_without_a_gap(observations: list[Observation]) -> None:
    events = run(observations, NEVER_DAMPED)[1]
    for aspect in (STARTTLS, Aspect(kind="starttls", endpoint=E2), Aspect(kind="trusted", endpoint=E1)):
        chain = [each for each in essence(events) if each[2] == aspect and each[0] != "recovered"]
        for earlier, later in pairwise(chain):
            assert earlier[4] == later[3]
            assert later[3] != later[4]


@given(st.sampled_from(["starttls", "trusted", "version"]), st.lists(st.integers(0, 4), min_size=3, max_size=3))
def test_a_return_to_the_value_of_before_is_exactly_one_recovery(kind: AspectKind, unknown: list[int]) -> None:
    good, bad = {"starttls": ("works", "none"), "trusted": ("yes", "no"), "version": ("accepted", "refused")}[kind]
    aspect = Aspect(kind=kind, endpoint=E1, item="TLSv1.2" if kind == "version" else "")
    before, between, after = ([None] * number for number in unknown)
    _, events = run(values(aspect, good, *before, bad, *between, good, *after, good))
    assert [event.recovers for event in events if event.recovers] == [events[0].kind]
    assert len(events) == 2


@given(_observations, _settings)
def test_what_is_remembered_of_changes_does_not_grow(observations: list[Observation], settings: NoticeSettings) -> None:
    memory, _ = run(observations * 3, settings, step=timedelta(hours=1))
    assert all(len(each.changes) <= settings.flapping_changes for each in memory.known.values())
