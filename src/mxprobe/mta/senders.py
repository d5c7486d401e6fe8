"""Senders: what the sending mail software of the world offers, recorded from the real thing or known from a document.

Each is a profile file in `profiles/senders/`, under its name. `docs/senders.md` says how they were made.
"""

from __future__ import annotations

import os
from functools import cache

from mxprobe.errors import InvalidSetting
from mxprobe.mta.profile_file import Sender as Sender
from mxprobe.mta.profile_file import read_sender

_DIRECTORY = os.path.join(os.path.dirname(os.path.dirname(__file__)), "profiles", "senders")
_ENDING = ".json"


def senders() -> tuple[Sender, ...]:
    """All of them, by name."""
    return tuple(_sender(name) for name in sender_names())


@cache
def sender_names() -> tuple[str, ...]:
    """The names of all, in order: numbers in them count as numbers, so that 3.9 comes before 3.11."""
    files = (name for name in os.listdir(_DIRECTORY) if name.endswith(_ENDING))
    return tuple(sorted((name.removesuffix(_ENDING) for name in files), key=_by_numbers))


def sender(name: str, where: str = "--sender") -> Sender:
    """The sender of a name; case does not matter.

    Raises:
        InvalidSetting: there is none; it names what is near.
    """
    known = {each.lower(): each for each in sender_names()}
    found = known.get(name.strip().lower())
    if found is None:
        from difflib import get_close_matches  # takes long to load, for a mistake alone

        near = get_close_matches(name.strip().lower()[:80], known, n=5, cutoff=0.4)
        allowed = ", ".join([known[each] for each in near] or sender_names())
        raise InvalidSetting(where, f"no sender is called {name[:80]!r}; see mxprobe senders", allowed)
    return _sender(found)


@cache
def _sender(name: str) -> Sender:
    path = os.path.join(_DIRECTORY, name + _ENDING)
    with open(path, encoding="utf-8") as file:
        found = read_sender(file.read(), path)
    if found.name != name:
        raise InvalidSetting(f"{path}: name", f"{found.name!r} is not that of the file")
    return found


def _by_numbers(name: str) -> tuple[tuple[int, str], ...]:
    parts = name.replace("-", ".").split(".")
    return tuple((int(part), "") if part.isdigit() else (1_000_000, part) for part in parts)
