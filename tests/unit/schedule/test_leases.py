"""Leases: a visit that a worker has taken is nobody else's, until it keeps silent for two minutes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxprobe.schedule.leases import LEASE, RENEW_AFTER, is_free, lease_until, renewal_due

moments = st.floats(0, 4e9)


@given(moments)
def test_a_lease_holds_until_its_end_and_no_longer(now: float) -> None:
    until = lease_until(now)
    assert not is_free(until, now)
    assert not is_free(until, now + LEASE - 1)
    assert is_free(until, now + LEASE)
    assert is_free(None, now)


@given(moments)
def test_a_worker_that_renews_in_time_never_loses_it(now: float) -> None:
    until = lease_until(now)
    assert not renewal_due(until, now + RENEW_AFTER - 1)
    assert renewal_due(until, now + RENEW_AFTER)
    for late in (1, 2, 3):
        assert not is_free(until, now + late * RENEW_AFTER)


@pytest.mark.parametrize("by", [3600.0, 86400.0, 31_536_000.0])
def test_a_clock_that_was_set_keeps_no_visit_for_ever_and_is_noticed_by_the_next_renewal(by: float) -> None:
    until = lease_until(1_780_272_000.0)
    assert is_free(until, 1_780_272_000.0 - by)
    assert renewal_due(until, 1_780_272_000.0 - by)
    assert renewal_due(until, 1_780_272_000.0 + by)
