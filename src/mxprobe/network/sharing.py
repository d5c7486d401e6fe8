"""Budgets that several processes share: what a connection takes of each, and who keeps count of them.

The gate of a process knows its own connections only. Where other processes ask the same servers, somebody outside
keeps count for all; `mxprobe.store.shared_budgets` does so in a database.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One unit of a budget, by the name that it has in every process: a place, and a token of those in a minute. None
    is no limit."""

    name: str
    places: int | None
    per_minute: int | None


class SharedBudgets(Protocol):
    """Who keeps count for all processes. Limits are those of `mxprobe.network.budget`."""

    async def enter(self, shares: tuple[Share, ...], /) -> None:
        """Wait until there is a unit of each, and take it. Who is cancelled has taken nothing."""
        ...

    def leave(self, shares: tuple[Share, ...], /, *, unused: bool = False) -> None:
        """Give the places back; `unused`: no connection came of it, and the tokens come back too."""
        ...


def address_share(address: str, places: int, per_minute: int | None) -> Share:
    """What a connection takes of its address."""
    return Share(name=f"address {address}", places=places, per_minute=per_minute)


def provider_share(name: str, places: int | None, per_minute: int | None) -> Share:
    """What a connection takes of its provider, a domain or a network."""
    return Share(name=f"provider {name}", places=places, per_minute=per_minute)
