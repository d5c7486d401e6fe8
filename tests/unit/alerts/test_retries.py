"""Pauses grow to an hour, and end when mail would be given up too."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from examples.told import AT
from mxprobe.alerts.retries import FIRST_PAUSE, GIVE_UP_AFTER, LONGEST_PAUSE, is_over, pause_after


@given(st.integers(-5, 10**6), st.text("0123456789abcdef", min_size=64, max_size=64))
def test_a_pause_is_within_its_bounds_and_no_shorter_than_the_one_before(attempts: int, key: str) -> None:
    pause = pause_after(attempts, key)
    assert FIRST_PAUSE * 3 / 4 <= pause <= LONGEST_PAUSE
    assert pause <= pause_after(attempts + 1, key)


def test_a_message_is_tried_for_days_and_not_for_ever() -> None:
    now, attempts = AT, 0
    while not is_over(AT, now):
        attempts += 1
        now += pause_after(attempts)
    assert now - AT > GIVE_UP_AFTER - LONGEST_PAUSE
    assert 100 < attempts < 200
    assert not is_over(AT, AT + timedelta(days=4))
