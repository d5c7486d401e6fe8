"""How long a target that could not be reached is left alone, and when a message is given up. No clock is read here."""

from __future__ import annotations

from datetime import datetime, timedelta

FIRST_PAUSE = timedelta(seconds=15)
LONGEST_PAUSE = timedelta(hours=1)

GIVE_UP_AFTER = timedelta(days=5)
"""As long as mail is tried (RFC 5321 §4.5.4.1): a weekend without the target loses nothing."""

FORGET_AFTER = timedelta(days=60)
"""How long the outbox knows what was sent, so that nothing is told twice."""


def pause_after(attempts: int, key: str = "") -> timedelta:
    """The pause after so many failures in a row, doubled each time.

    It is shorter by up to a quarter, by the key, so that what failed together does not come again together.
    """
    doubled: timedelta = FIRST_PAUSE * (1 << min(max(attempts, 1) - 1, 16))
    less = int(key[:4] or "0", 16) / 0xFFFF / 4
    return min(doubled, LONGEST_PAUSE) * (1 - less)


def is_over(created_at: datetime, next_at: datetime) -> bool:
    """Whether a message is not tried again at `next_at`."""
    return next_at - created_at > GIVE_UP_AFTER
