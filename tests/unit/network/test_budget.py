"""What may be spent: never more in any minute than is allowed, and all of that by those who can wait."""

from __future__ import annotations

from bisect import bisect_left

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxprobe.network.budget import WINDOW_SECONDS, Budget, TokenBucket

A_MOMENT = 1e-3
"""Less than any limit allows between two connections, more than arithmetic loses."""


@settings(deadline=None)
@given(
    per_minute=st.integers(1, 200),
    pauses=st.lists(st.floats(0, 90, allow_subnormal=False), max_size=40),
    greed=st.integers(1, 120),
)
def test_no_minute_has_more_than_its_limit(per_minute: int, pauses: list[float], greed: int) -> None:
    bucket = TokenBucket(per_minute)
    now, taken = 1000.0, []
    for pause in pauses:
        now += pause
        for _ in range(greed):
            if bucket.tokens(now) < 1:
                break
            bucket.take(now)
            taken.append(now)
    for number, begin in enumerate(taken):
        assert bisect_left(taken, begin + WINDOW_SECONDS - A_MOMENT) - number <= per_minute


@settings(deadline=None, max_examples=30)
@given(per_minute=st.integers(1, 600))
def test_whoever_waits_as_long_as_told_gets_a_token_and_half_a_minutes_worth_comes_every_minute(
    per_minute: int,
) -> None:
    budget, now, taken = Budget(None, per_minute), 0.0, 0
    while now <= 3 * WINDOW_SECONDS:
        if budget.free(now) > 0:
            budget.take(now)
            taken += 1
            continue
        wait = budget.seconds_until_free(now)
        assert wait is not None
        assert wait > 0
        now += wait
    assert taken >= 3 * per_minute // 2


@pytest.mark.parametrize(("per_minute", "burst"), [(1, 1), (2, 1), (10, 5), (300, 150)])
def test_half_of_a_minute_may_come_at_once(per_minute: int, burst: int) -> None:
    budget = Budget(None, per_minute)
    assert budget.free(0.0) == burst
    for _ in range(burst):
        budget.take(0.0)
    assert budget.free(0.0) == 0


def test_a_server_that_allows_one_connection_a_minute_gets_one() -> None:
    budget = Budget(None, 1)
    budget.take(5.0)
    assert budget.free(64.9) == 0
    assert budget.free(65.0) == 1


def test_what_was_refunded_may_be_spent_and_what_was_released_may_not() -> None:
    budget = Budget(5, 2)
    budget.take(0.0)
    budget.release()
    assert (budget.used, budget.free(0.0)) == (0, 0)
    budget = Budget(5, 2)
    budget.take(0.0)
    budget.refund(0.0)
    assert (budget.used, budget.free(0.0)) == (0, 1)


def test_places_alone_are_not_freed_by_time() -> None:
    budget = Budget(1)
    budget.take(0.0)
    assert budget.free(1e9) == 0
    assert budget.seconds_until_free(1e9) is None


def test_a_clock_that_stands_still_or_goes_back_makes_no_tokens() -> None:
    bucket = TokenBucket(60)
    for _ in range(30):
        bucket.take(100.0)
    assert bucket.tokens(100.0) == bucket.tokens(50.0) == 0
    assert bucket.tokens(100.0) == 0
