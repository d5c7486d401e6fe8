"""What some MTA offers: the protocols and suites that a client hello of it holds."""

from __future__ import annotations

from dataclasses import dataclass

from mxprobe.terms import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What an MTA offers as a client: protocols, and suites (code points) in its order."""

    name: str
    protocols: tuple[Protocol, ...]
    suites: tuple[int, ...]
