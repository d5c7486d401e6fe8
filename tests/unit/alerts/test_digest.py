"""The week in one message, composed of what is stored."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from examples.told import AT
from mxprobe.alerts.digest import digest_document, digest_key
from mxprobe.alerts.templates import DEFAULT, render
from mxprobe.facts import Severity, Target, Verdict
from mxprobe.routing.route import Route
from mxprobe.store import KeptEvent

WEEK = timedelta(days=7)
EVENT = KeptEvent(
    next_hop="a.example", kind="name-lost", severity="warning", state="yes", at=AT - timedelta(days=1), summary="s"
)


def judged(next_hop: str, *severities: Severity) -> Target:
    verdicts = tuple(
        Verdict(id="starttls", state="yes", severity=each, endpoint="", summary="", evidence={}, source="")
        for each in severities
    )
    return Target(next_hop=next_hop, route=Route(kind="mx"), verdicts=verdicts)


def test_it_counts_the_events_of_the_week_and_how_targets_stand() -> None:
    events = (
        EVENT,
        replace(EVENT, next_hop="b.example"),
        replace(EVENT, kind="starttls-vanished", severity="critical"),
        replace(EVENT, at=AT),
        replace(EVENT, at=AT - WEEK - timedelta(seconds=1)),
    )
    targets = (judged("a.example", "ok", "critical"), judged("b.example", "warning"), judged("c.example"))
    found = digest_document(events, targets, since=AT - WEEK, until=AT)
    assert found["summary"] == "3 events at 2 targets in 7 days; of 3 targets 1 critical, 1 with a warning"
    assert found["evidence"] == {
        "events: name-lost": 2,
        "events: starttls-vanished": 1,
        "targets: critical": 1,
        "targets: warning": 1,
        "targets: ok": 1,
    }
    assert [each["kind"] for each in found["events"]] == ["starttls-vanished", "name-lost", "name-lost"]
    assert (found["count"], found["severity"]) == (3, "critical")
    text = render(DEFAULT, found, digest_key(AT))
    assert (
        text.title
        == "[digest] mxprobe: the week: 3 events at 2 targets in 7 days; of 3 targets 1 critical, 1 with a warning"
    )
    assert "[warning] b.example: name-lost - s" in text.body.splitlines()


def test_a_quiet_week_is_told_as_one() -> None:
    found = digest_document((), (), since=AT - WEEK, until=AT)
    assert (found["severity"], found["count"], found["events"]) == ("info", 0, [])
    assert found["summary"] == "0 events at 0 targets in 7 days; of 0 targets 0 critical, 0 with a warning"


def test_it_is_bounded_however_much_happened() -> None:
    events = [replace(EVENT, next_hop=f"d{number}.example") for number in range(5000)]
    found = digest_document(events, (), since=AT - WEEK, until=AT)
    assert (found["count"], len(found["events"]), len(found["next_hops"])) == (5000, 100, 100)


def test_each_week_has_a_key_of_its_own() -> None:
    assert digest_key(AT) == digest_key(AT) != digest_key(AT + WEEK)
