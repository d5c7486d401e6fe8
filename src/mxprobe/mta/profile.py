"""What some MTA offers: the protocols and suites that a client hello of it holds."""

from __future__ import annotations

from dataclasses import dataclass

from mxprobe.errors import InvalidSetting
from mxprobe.terms import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What an MTA offers as a client: protocols, and suites (code points) in its order.

    Raises:
        InvalidSetting: it offers nothing at all.
    """

    name: str
    protocols: tuple[Protocol, ...]
    suites: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.protocols or not self.suites:
            raise InvalidSetting(f"profile {self.name}", "it offers nothing", "one protocol and one suite, or more")
