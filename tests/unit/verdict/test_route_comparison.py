"""Two routes of a next-hop: what came, went and moved, and what cannot be told."""

from __future__ import annotations

import pytest

from examples.targets import GOOD, NULL_MX, UNREACHABLE, UNRESOLVED, mx, mx_host
from mxprobe.facts import Target
from mxprobe.routing.route import Route, RouteError
from mxprobe.verdict.route_comparison import is_known, route_checks


def target(route: Route) -> Target:
    return Target(next_hop="a.example", route=route)


def error(*, temporary: bool) -> Route:
    return Route(kind="error", error=RouteError(status="nxdomain", text="no such domain", temporary=temporary))


ONE = mx(mx_host("mx1.test", "192.0.2.1"))


def words(before: Route, after: Route) -> list[tuple[str, str, str]]:
    return [(check.id, check.outcome, check.summary) for check in route_checks(target(before), target(after))]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (ONE, ONE, []),
        (
            ONE,
            mx(mx_host("mx1.test", "192.0.2.2")),
            ["no longer has the address 192.0.2.1", "has the address 192.0.2.2, too"],
        ),
        (mx(mx_host("mx1.test", "192.0.2.1", "192.0.2.2")), mx(mx_host("mx1.test", "192.0.2.2", "192.0.2.1")), []),
        (
            ONE,
            mx(mx_host("mx1.test", "192.0.2.1"), mx_host("mx2.test", "192.0.2.2")),
            ["MX host mx2.test is new (192.0.2.2)"],
        ),
        (mx(mx_host("mx1.test"), mx_host("mx2.test")), mx(mx_host("mx2.test")), ["MX host mx1.test is no more"]),
        (ONE, mx(mx_host("mx1.test", "192.0.2.1", preference=20)), ["had the preference 10, now 20"]),
        (ONE, mx(mx_host("mx1.test", "192.0.2.1", canonical_name="b.test")), ["was mx1.test, and is now b.test"]),
        (ONE, Route(kind="null-mx"), ["was MX records, and is now a null MX, so no mail", "mx1.test is no more"]),
        (ONE, error(temporary=False), ["is now an error (no such domain)", "mx1.test is no more"]),
        (ONE, error(temporary=True), ["not known whether the route is the same: no such domain"]),
        (error(temporary=True), ONE, ["not known whether the route is the same: no such domain"]),
    ],
)
def test_what_is_different_is_told(before: Route, after: Route, expected: list[str]) -> None:
    found = words(before, after)
    assert len(found) == len(expected)
    for (_, _, summary), part in zip(found, expected, strict=True):
        assert part in summary


def test_what_is_not_known_is_no_difference() -> None:
    assert [(id, outcome) for id, outcome, _ in words(ONE, error(temporary=True))] == [("changed", "unknown")]
    assert {(id, outcome) for id, outcome, _ in words(Route(kind="null-mx"), ONE)} == {
        ("changed", "noted"),
        ("gained", "noted"),
    }


def test_a_target_is_known_by_its_route_and_the_state_of_an_endpoint() -> None:
    assert is_known(GOOD)
    assert is_known(NULL_MX)
    assert is_known(target(error(temporary=False)))
    assert not is_known(UNRESOLVED)
    assert not is_known(UNREACHABLE)
