"""From scan to scan: only what is known on both sides changes, and the last known state is what counts."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from examples.targets import GOOD, verdict
from mxprobe.facts import Target, Verdict
from mxprobe.routing.route import Route, RouteError
from mxprobe.terms import State
from mxprobe.verdict.history import History

SERVFAIL = Route(kind="error", error=RouteError(status="servfail", text="SERVFAIL", temporary=True))


def seen(state: State, **changes: object) -> Verdict:
    return replace(verdict("starttls", state, "ok", f"it is {state}"), **changes)  # type: ignore[arg-type]


def with_verdicts(*verdicts: Verdict) -> Target:
    return replace(GOOD, verdicts=verdicts)


def test_the_first_scan_tells_all_that_is_known_for_the_first_time() -> None:
    step = History().step(with_verdicts(seen("yes"), seen("unknown", id="trusted")))
    assert [(each.id, each.before, each.after) for each in step.changed] == [("starttls", None, "yes")]
    assert [each.id for each in step.unknown] == ["trusted"]


def test_unknown_changes_nothing_and_is_compared_with_nothing() -> None:
    history = History()
    changes = [
        [(each.before, each.after) for each in history.step(with_verdicts(seen(state))).changed]
        for state in ("yes", "unknown", "yes", "unknown", "no")
    ]
    assert changes == [[(None, "yes")], [], [], [], [("yes", "no")]]


def test_each_endpoint_and_each_profile_has_a_past_of_its_own() -> None:
    history = History()
    two = [seen("yes", evidence={"profile": name}) for name in ("ours", "theirs")]
    elsewhere = seen("no", endpoint="mx2.example.test[192.0.2.9]:25")
    assert len(history.step(with_verdicts(*two, elsewhere)).changed) == 3
    step = history.step(with_verdicts(two[0], seen("no", evidence={"profile": "theirs"}), elsewhere))
    assert [(each.profile, each.before, each.after) for each in step.changed] == [("theirs", "yes", "no")]


def test_a_dns_that_fails_does_not_hide_that_the_route_changed() -> None:
    history = History()
    history.step(GOOD)
    assert history.step(Target(next_hop=GOOD.next_hop, route=SERVFAIL)).route == (
        "not known whether the route is the same: SERVFAIL",
    )
    (first, *_) = history.step(Target(next_hop=GOOD.next_hop, route=Route(kind="null-mx"))).route
    assert first == "the route was MX records, and is now a null MX, so no mail"


@given(st.lists(st.sampled_from(["yes", "no", "unknown"]), max_size=12))
def test_changes_are_those_of_the_known_states_alone(states: list[State]) -> None:
    history = History()
    told = [each.after for state in states for each in history.step(with_verdicts(seen(state))).changed]
    known = [state for state in states if state != "unknown"]
    expected = [state for before, state in zip([None, *known], known, strict=False) if state != before]
    assert told == expected
