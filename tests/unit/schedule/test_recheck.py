"""What a scan asks of endpoints that it knows: now and then all of it, and otherwise whether it is unchanged."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mxprobe.facts import EndpointFacts, Starttls, SweepState
from mxprobe.probing.settings import Depth
from mxprobe.schedule.recheck import recheck


def facts(sweep: SweepState | None) -> EndpointFacts:
    return EndpointFacts(
        host="mx.example",
        address="192.0.2.1",
        port=25,
        started_at=datetime(2026, 3, 1, tzinfo=UTC),
        starttls=Starttls(state="works"),
        sweep=sweep,
    )


def scans(depth: Depth, count: int, full_every: int) -> list[str]:
    """What so many scans come to, one after the other, of a server that never changes."""
    known: list[EndpointFacts] = []
    came: list[str] = []
    for _ in range(count):
        asked = recheck(depth, tuple(known), full_every)
        swept: SweepState | None = "swept" if asked.depth in ("full", "everything") else None
        found = facts("confirmed" if asked.before else swept)
        known.insert(0, found)
        came.append(found.sweep or asked.depth)
    return came


def test_an_endpoint_is_swept_in_full_every_kth_time_and_confirmed_in_between() -> None:
    assert scans("full", 7, 3) == ["swept", "confirmed", "confirmed"] * 2 + ["swept"]


def test_at_standard_depth_the_kth_scan_is_the_first_full_sweep() -> None:
    assert scans("standard", 6, 3) == ["standard", "standard", "swept", "confirmed", "confirmed", "swept"]


@pytest.mark.parametrize("depth", ["standard", "full", "everything"])
def test_with_one_every_scan_sweeps_in_full(depth: Depth) -> None:
    assert scans(depth, 3, 1) == ["swept"] * 3


def test_a_quick_scan_never_sweeps() -> None:
    assert scans("quick", 9, 3) == ["quick"] * 9


def test_the_sweep_of_a_twin_counts_as_one() -> None:
    asked = recheck("standard", (facts("same-as"),), 7)
    assert asked.before is not None
