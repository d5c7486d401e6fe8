"""Who has taken a visit, and for how long: a worker that dies gives it back by saying nothing.

A visit has no bound that could be told beforehand, because it may wait for others at the limits of a provider. So a
lease is short and renewed, rather than as long as a visit may take.
"""

from __future__ import annotations

LEASE = 120.0
"""Seconds for which a visit is taken: how long it is lost, at the most, when a worker is killed."""

RENEW_AFTER = 30.0
"""Seconds after which a worker renews a lease: three renewals may fail before it runs out."""


def lease_until(now: float) -> float:
    """The end of a lease that is taken or renewed at `now`."""
    return now + LEASE


def renewal_due(until: float, now: float) -> bool:
    """Whether a lease that ends at `until` is to be renewed; also where the clock was set, in either direction."""
    return not LEASE - RENEW_AFTER < until - now <= LEASE


def is_free(until: float | None, now: float) -> bool:
    """Whether somebody else may take the visit: there is no lease, it ran out, or it ends later than any could.

    The last is a lease from before the clock was set back, by somebody who has not renewed it since. Whoever lost a
    lease in this way may still be at it; the store takes only the result of whoever holds it.
    """
    return until is None or until <= now or until > now + 2 * LEASE
