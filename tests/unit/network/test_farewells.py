"""How long a place is held after our end of a connection."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxprobe.network.farewells import KNOWN_FROM, MARGIN_SECONDS, Farewells


def seen(round_trip: float, *took: float) -> Farewells:
    farewells = Farewells()
    farewells.answered(round_trip)
    for seconds in took:
        farewells.closed(round_trip + seconds)
    return farewells


def test_the_end_of_the_server_is_waited_for_until_it_is_known_how_long_that_takes() -> None:
    assert Farewells().hold_seconds() is None
    assert seen(0.04, *[0.0] * (KNOWN_FROM - 1)).hold_seconds() is None
    assert seen(0.04, *[0.0] * KNOWN_FROM).hold_seconds() == pytest.approx(MARGIN_SECONDS)


def test_a_server_that_takes_its_time_is_given_it() -> None:
    """As an Exim, which sleeps for half a second after a handshake that was not finished."""
    assert seen(0.04, 0.0, 0.5, 0.0, 0.0, 0.0).hold_seconds() == pytest.approx(0.5 + MARGIN_SECONDS)


def test_without_a_way_worth_the_name_the_news_is_waited_for() -> None:
    assert seen(0.002, *[0.0] * 8).hold_seconds() is None


@given(
    round_trip=st.floats(0.01, 2),
    slower=st.lists(st.floats(0, 1), max_size=20),
    took=st.lists(st.floats(0, 1), min_size=KNOWN_FROM, max_size=30),
)
def test_a_place_is_held_until_the_server_has_closed_if_it_is_no_slower_than_lately(
    round_trip: float, slower: list[float], took: list[float]
) -> None:
    farewells = seen(round_trip, *took)
    for seconds in slower:
        farewells.answered(round_trip + seconds)
    held = farewells.hold_seconds()
    assert held is not None
    # It has closed when our end has come to it and so much time has passed; a new connection takes as long to come.
    assert held >= max(took[-8:])
