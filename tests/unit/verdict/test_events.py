"""Events: each is documented; asked again, they hold or not; those of one aspect are damped, many together are one."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from examples.observations import DAY, E1, E2, MX, START, STARTTLS, SUITES, one, run, values
from mxprobe.verdict.events import EVENTS, Event, confirmed, corroborated, host_of
from mxprobe.verdict.flapping import damped
from mxprobe.verdict.memory import Memory, remember
from mxprobe.verdict.seen import Aspect, NoticeSettings, Seen
from mxprobe.verdict.summaries import summaries, told_alone

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "events.md"
AT_E2 = replace(STARTTLS, endpoint=E2)


def event(aspect: Aspect = STARTTLS, *found: str | None) -> Event:
    """The last event of these values, by default that STARTTLS has vanished."""
    return run(values(aspect, *(found or ("works", "none"))))[1][-1]


def test_every_kind_of_event_has_its_row_in_the_documentation() -> None:
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (?:critical|warning|info)", DOCUMENT.read_text(encoding="utf-8"), re.M)
    assert sorted(rows) == sorted(EVENTS)


# Asked again


@pytest.mark.parametrize(
    ("again", "state"),
    [
        (one(STARTTLS, "none"), "yes"),
        (one(STARTTLS, "works"), "no"),
        (one(STARTTLS, "broken"), "unknown"),
        (one(STARTTLS, None), "unknown"),
        ((), "unknown"),
        (one(AT_E2, "none"), "yes"),  # another address of the same MX host
        (one(AT_E2, "works"), "unknown"),
        ((*one(STARTTLS, "works"), *one(AT_E2, "none")), "no"),
        (one(replace(STARTTLS, endpoint="mx2.example.test[192.0.2.2]:25"), "none"), "unknown"),
    ],
)
def test_an_event_holds_where_a_second_observation_has_the_same(again: tuple[Seen, ...], state: str) -> None:
    assert confirmed(event(), again) == state


@pytest.mark.parametrize(
    ("again", "complete", "state"),
    [
        ("C030 CCA8", True, "yes"),
        ("C030 CCA8 1301", True, "yes"),
        ("C02F C030 CCA8", True, "no"),
        ("C02F", False, "no"),
        ("C030", True, "no"),
        ("CCA8", False, "unknown"),
        ("C030", False, "unknown"),
    ],
)
def test_a_list_holds_where_nothing_that_is_gone_is_there_and_all_that_is_new_is(
    again: str, complete: bool, state: str
) -> None:
    changed = event(SUITES, "C02F C030", "C030 CCA8")
    assert confirmed(changed, one(SUITES, again, complete=complete)) == state


def test_a_sweep_of_before_the_event_does_not_speak_against_it() -> None:
    gone = event(SUITES, "C02F C030", "C030")
    assert confirmed(gone, one(SUITES, "C02F C030", at=START)) == "unknown"
    assert confirmed(gone, one(SUITES, "C02F C030", at=START + 2 * DAY)) == "no"
    assert confirmed(gone, one(SUITES, "C030", at=START)) == "yes", "the same sweep, and the same fingerprint since"


def test_an_mx_host_is_looked_up_in_the_list_of_all() -> None:
    removed = event(MX, "10:a.test 20:b.test", "10:a.test")
    assert removed.aspect == Aspect(kind="mx", item="b.test")
    assert confirmed(removed, one(MX, "10:a.test")) == "yes"
    assert confirmed(removed, one(MX, "10:a.test 20:b.test")) == "no"
    assert confirmed(removed, one(MX, "10:a.test", complete=False)) == "unknown"


def test_an_expiry_holds_for_the_certificate_whatever_threshold_has_come_since() -> None:
    expiry = Aspect(kind="expiry", endpoint=E1, item="RSA")
    soon = event(expiry, "aa valid", "aa 21")
    assert [confirmed(soon, one(expiry, value)) for value in ("aa 21", "aa 7", "bb valid")] == ["yes", "yes", "no"]


def test_what_is_unknown_for_long_holds_as_long_as_it_is_unknown() -> None:
    silent = event(STARTTLS, "works", *[None] * 9)
    assert silent.kind == "unknown-for-long"
    assert [confirmed(silent, seen) for seen in (one(STARTTLS, None), (), one(STARTTLS, "none"))] == [
        "yes",
        "yes",
        "no",
    ]
    known = event(STARTTLS, "works", *[None] * 9, "works")
    assert [confirmed(known, seen) for seen in (one(STARTTLS, "works"), one(STARTTLS, None))] == ["yes", "unknown"]


def test_flapping_rests_on_many_changes_and_needs_no_other() -> None:
    flapping = event(STARTTLS, "works", "none", "works", "none", "works")
    assert flapping.kind == "flapping"
    assert confirmed(flapping, ()) == "yes"


def test_what_was_not_borne_out_is_remembered_as_unknown_and_makes_no_event() -> None:
    memory, _ = run([(*one(STARTTLS, "works"), *one(AT_E2, "works"), *one(SUITES, "C030"))])
    seen = (*one(STARTTLS, "none", reason="no STARTTLS"), *one(AT_E2, "none"), *one(SUITES, "C030"))
    again = (*one(STARTTLS, "works"), *one(AT_E2, "none"))
    _, events = remember(memory, seen, START + DAY)
    sure = corroborated(seen, again, events)
    assert [each.value for each in sure] == [None, "none", "C030"]
    assert "no STARTTLS" in sure[0].reason
    later, events = remember(memory, sure, START + DAY)
    assert [event.aspect for event in events] == [AT_E2]
    assert later.known[STARTTLS].value == "works"


def test_with_nothing_in_doubt_an_observation_stays_as_it_is() -> None:
    seen = (*one(MX, "10:a.test"), *one(STARTTLS, "none"))
    memory, _ = run([(*one(MX, "10:b.test"), *one(STARTTLS, "works"))])
    _, events = remember(memory, seen, START + DAY)
    assert len(events) == 3
    assert corroborated(seen, seen, events) == seen
    assert [each.value for each in corroborated(seen, (), events)] == [None, None]


@pytest.mark.parametrize(
    ("aspect", "host"),
    [
        (STARTTLS, "mx1.example.test"),
        (Aspect(kind="starttls", endpoint="mx1.example.test[2001:db8::1]:25"), "mx1.example.test"),
        (Aspect(kind="starttls", endpoint="[2001:db8::1]:25"), "2001:db8::1"),
        (Aspect(kind="starttls", endpoint="192.0.2.1:25"), "192.0.2.1"),
        (Aspect(kind="addresses", item="mx1.example.test"), "mx1.example.test"),
        (Aspect(kind="mail"), ""),
    ],
)
def test_the_host_of_an_aspect(aspect: Aspect, host: str) -> None:
    assert host_of(aspect) == host


# Damped by what was told before


def changes(*days: int, kind: str = "starttls-vanished") -> list[Event]:
    return [replace(event(), kind=kind, at=START + day * DAY) for day in days]


def test_the_event_that_would_be_one_change_too_many_is_damped() -> None:
    (fourth,) = changes(9)
    assert damped(fourth, changes(1, 2, 3))
    assert not damped(fourth, changes(2, 3))
    assert not damped(fourth, changes(-60, -59, -58)), "long ago"
    other = [replace(each, aspect=AT_E2) for each in changes(1, 2, 3)]
    assert not damped(fourth, other)


def test_while_an_aspect_flaps_its_events_are_damped_until_it_has_been_stable() -> None:
    past = [*changes(1, 2, 3), *changes(4, kind="flapping")]
    assert damped(changes(6)[0], past)
    assert damped(changes(6, kind="flapping")[0], past)
    assert not damped(changes(11)[0], past), "told when it is over"
    ended = replace(changes(11, kind="recovered")[0], evidence={"recovers": "flapping"})
    assert not damped(ended, past)
    assert not damped(changes(12)[0], [*past, ended])


def test_a_memory_and_the_events_that_it_made_damp_alike() -> None:
    found = ["works", "none"] * 6 + ["works"] * 9 + ["none", "works"] * 4 + ["works"] * 9
    _, events = run(values(STARTTLS, *found))
    assert len(events) > 8
    assert not [each for number, each in enumerate(events) if damped(each, events[:number])]


# Together


def vanished(next_hop: str, host: str = "mx1.provider.test", **more: object) -> Event:
    aspect = replace(STARTTLS, endpoint=f"{host}[192.0.2.1]:25")
    return replace(event(), next_hop=next_hop, aspect=aspect, endpoint=aspect.endpoint, **more)  # type: ignore[arg-type]


def domain(host: str) -> str | None:
    return ".".join(host.split(".")[-2:]) if not host[-1].isdigit() else None


def test_what_happens_to_many_targets_of_a_provider_together_is_one_summary() -> None:
    many = [vanished(f"customer{number}.test", f"mx{number % 2}.provider.test") for number in range(5)]
    alone = [vanished("other.test", "mx.elsewhere.test"), replace(many[0], kind="version-gone", severity="warning")]
    found = summaries([*many, *alone], domain)
    assert [(each.kind, each.provider, each.severity, len(each.events)) for each in found] == [
        ("starttls-vanished", "provider.test", "critical", 5)
    ]
    assert found[0].next_hops == tuple(f"customer{number}.test" for number in range(5))
    assert found[0].summary.startswith("starttls-vanished for 5 targets of provider.test at 2 endpoints: customer0")
    assert told_alone([*many, *alone], found) == tuple(alone)


def test_a_target_counts_once_however_many_endpoints_it_has() -> None:
    four = [vanished("customer.test", f"mx{number}.provider.test") for number in range(9)]
    assert summaries(four, domain) == ()


def test_how_many_make_a_summary_is_a_setting() -> None:
    two = [vanished("a.test", at=START), vanished("b.test", at=START + timedelta(hours=1))]
    (found,) = summaries(two, domain, NoticeSettings(summary_targets=2))
    assert (found.since, found.until) == (START, START + timedelta(hours=1))


def test_what_no_provider_stands_for_is_told_alone() -> None:
    null = replace(event(Aspect(kind="mail"), "yes", "null-mx"), next_hop="a.test")
    by_address = [vanished(f"{number}.test", "192.0.2.1") for number in range(9)]
    events = [*by_address, *(replace(null, next_hop=f"{number}.test") for number in range(9))]
    assert summaries(events, domain) == ()
    assert told_alone(events, ()) == tuple(events)


def test_an_event_is_short_whatever_the_peer_said() -> None:
    memory = Memory(next_hop="example.test")
    memory, _ = remember(memory, one(STARTTLS, "works"), START)
    long = one(STARTTLS, "none", reason="x" * 50_000, evidence={"lines": ("y" * 5000,) * 5000, "z": "z" * 50_000})
    _, (told,) = remember(memory, long, START + DAY)
    assert len(told.summary) <= 300
    assert sum(len(str(value)) for value in told.evidence.values()) < 25_000
