"""What the commands that read the store have in common: which store, which time, and who was never scanned."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from mxprobe.errors import InvalidSetting, StoreError
from mxprobe.store.location import without_password

ALLOWED_TIME = "ISO 8601, like 2026-03-01, 2026-03-01T14:30 or 2026-03-01T14:30:00+01:00; without a zone it is UTC"


def store_url(path: Path, url: str | None) -> str:
    """The store that was named, else that of the configuration."""
    if url is not None:
        return url
    from mxprobe.configuration.probes_toml import read_configuration

    # What stands in files of next-hops holds up a service as little.
    return read_configuration(path, pass_over=True).store_url


def moment(text: str, option: str) -> datetime:
    """A time in ISO 8601, in UTC where it has no zone.

    Raises:
        InvalidSetting: it is none.
    """
    try:
        found = datetime.fromisoformat(text.strip())
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        shown = text if len(text) <= 80 else f"{text[:77]}..."
        raise InvalidSetting(option, f"{shown!r} is not a time", ALLOWED_TIME) from error


def never_scanned(url: str, next_hops: Iterable[str], by: str = "") -> StoreError:
    """The error for next-hops of which a store knows nothing, by some time."""
    when = f" by {by}" if by else ""
    return StoreError(f"{without_password(url)}: never scanned{when}: {', '.join(next_hops)}")
