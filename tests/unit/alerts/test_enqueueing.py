"""Who is told what, under which key."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from examples.told import AT, BACK, ENDPOINT, LOST, NEW_MX, target
from mxprobe.alerts.enqueueing import SEVERITIES, WORST, enqueue, keys_of
from mxprobe.verdict.events import EVENTS, Event
from mxprobe.verdict.summaries import summaries

GROUPS = {"a.example": ("partners", "all"), "b.example": ("others", "all")}


def groups_of(next_hop: str) -> tuple[str, ...]:
    return GROUPS.get(next_hop, ("all",))


def rows(events: tuple[Event, ...], *targets: object, together: tuple[object, ...] = ()) -> list[tuple[str, str]]:
    found = enqueue(events, together, targets, groups_of=groups_of, now=AT)  # type: ignore[arg-type]
    return [(row.alert, row.document["kind"]) for row in found]


def test_a_target_is_told_from_its_severity_on() -> None:
    assert rows((LOST, NEW_MX), target()) == [("ops", "starttls-vanished")]
    assert rows((LOST, NEW_MX), target(severity="info")) == [("ops", "starttls-vanished"), ("ops", "mx-added")]


def test_the_end_of_something_is_told_to_those_who_were_told_of_it() -> None:
    assert rows((BACK,), target(severity="critical")) == [("ops", "starttls-appeared")]
    began_as_warning = replace(BACK, evidence={"recovers": "name-lost"})
    assert rows((began_as_warning,), target(severity="critical")) == []


def test_a_target_with_groups_is_told_of_these_alone() -> None:
    other = replace(LOST, next_hop="b.example")
    (row,) = enqueue((LOST, other), (), (target(groups=("partners",)),), groups_of=groups_of, now=AT)
    assert row.document["next_hop"] == "a.example"
    assert row.document["groups"] == ["partners"]


def test_the_key_is_the_same_for_the_same_event_and_target_and_for_nothing_else() -> None:
    one, two = target("one"), target("two")
    first = enqueue((LOST,), (), (one, two), groups_of=groups_of, now=AT)
    again = enqueue((replace(LOST, summary="in other words"),), (), (one,), groups_of=groups_of, now=AT + timedelta(1))
    assert first[0].key == again[0].key != first[1].key
    later = replace(LOST, at=AT + timedelta(seconds=1))
    assert enqueue((later,), (), (one,), groups_of=groups_of, now=AT)[0].key != first[0].key
    assert keys_of((LOST,), (one, two)) == tuple(row.key for row in first)


def many(count: int) -> tuple[Event, ...]:
    return tuple(replace(LOST, next_hop=f"d{number}.example") for number in range(count))


def test_many_together_are_told_once() -> None:
    events = many(6)
    together = summaries(events, lambda host: "a.example")
    (row,) = enqueue((*events, NEW_MX), together, (target(),), groups_of=groups_of, now=AT)
    assert (row.document["type"], row.document["provider"], row.document["count"]) == ("summary", "a.example", 6)
    assert [each["next_hop"] for each in row.document["events"]] == [event.next_hop for event in events]


def test_of_a_summary_a_target_is_told_what_is_of_its_groups() -> None:
    events = (LOST, replace(LOST, next_hop="b.example"), *many(4))
    together = summaries(events, lambda host: "a.example")
    partners, everybody = target("partners", groups=("partners",)), target("all", groups=("all",))
    told = enqueue(events, together, (partners, everybody), groups_of=groups_of, now=AT)
    assert [(row.alert, row.document["type"], row.document["count"]) for row in told] == [
        ("partners", "event", 1),
        ("all", "summary", 6),
    ]
    assert "b.example" not in str(told[0].document)


def test_a_message_can_be_held_back_for_a_summary() -> None:
    (row,) = enqueue((LOST,), (), (target(),), groups_of=groups_of, now=AT, hold=timedelta(minutes=2))
    assert (row.created_at, row.next_at) == (AT, AT + timedelta(minutes=2))


def test_how_severe_a_kind_can_be_is_what_the_documentation_says() -> None:
    text = (Path(__file__).parents[3] / "docs/events.md").read_text(encoding="utf-8")
    for kind in EVENTS:
        found = re.search(rf"^\| `{kind}` \| ([^|]*) \|", text, re.MULTILINE)
        assert found is not None, kind
        words = [word for word in reversed(SEVERITIES) if word in found.group(1)]
        if kind not in ("recovered",):
            assert WORST.get(kind, "info") == words[0], kind


def test_a_name_of_an_endpoint_is_in_the_message() -> None:
    (row,) = enqueue((LOST,), (), (target(),), groups_of=groups_of, now=AT)
    assert row.document["endpoint"] == ENDPOINT
