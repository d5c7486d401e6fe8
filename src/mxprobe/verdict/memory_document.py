"""A memory as JSON: compact, the same for the same memory, and refused as a whole where it is not understood."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from mxprobe.errors import InvalidMemory
from mxprobe.verdict.memory import Memory, Remembered
from mxprobe.verdict.seen import Aspect, aspect_named

VERSION = 1
"""The version of the form. A memory of a newer one is refused: what it means by its keys is not known here."""

LONG_VALUE = 24
"""Characters of a value from which on it is written once, in `lists`: the endpoints of a target have much in common."""

_KEYS = {"version", "next_hop", "at", "lists", "known", "gone"}
_RARE = ("complete", "doubtful", "unknown_since", "unknown_told", "open", "good", "changes", "flaps", "told")
_USUAL = {name: getattr(Remembered(), name) for name in _RARE}
_LAST_SECOND = 253402300799


def memory_document(memory: Memory) -> dict[str, Any]:
    """The memory as an object of JSON.

    By endpoint, kind and item a list of the value, since when, known when (left out where that was the last
    observation), and what is only now and then the case, by its name. Times are seconds since 1970; a number in the
    place of a value is that of an entry of `lists`.
    """
    lists: dict[str, int] = {}
    known: dict[str, dict[str, dict[str, list[Any]]]] = {}
    for aspect in sorted(memory.known):
        entry = _entry(memory.known[aspect], memory.at, lists)
        known.setdefault(aspect.endpoint, {}).setdefault(aspect.kind, {})[aspect.item] = entry
    return {
        "version": VERSION,
        "next_hop": memory.next_hop,
        "at": _seconds(memory.at),
        "lists": list(lists),
        "known": known,
        "gone": {subject: _seconds(memory.gone[subject]) for subject in sorted(memory.gone)},
    }


def memory_text(memory: Memory) -> str:
    """The memory as one line of JSON, in ASCII."""
    return json.dumps(memory_document(memory), separators=(",", ":"))


def read_memory(document: Mapping[str, Any] | str) -> Memory:
    """The memory that `memory_document` or `memory_text` has written.

    Raises:
        InvalidMemory: it is of a newer version, or it is not such a document.
    """
    name = "?"
    try:
        found = _object(json.loads(document) if isinstance(document, str) else document)
        name = _text(found.get("next_hop"))
        version = found.get("version")
        if not isinstance(version, int) or isinstance(version, bool) or version < 1:
            raise InvalidMemory(name, "it has no version")
        if version > VERSION:
            known = f"this mxprobe knows up to {VERSION}; use a newer mxprobe"
            raise InvalidMemory(name, f"it is of version {version}, {known}")
        _only(found, _KEYS, "")
        return _read(found)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise InvalidMemory(name, str(error) or type(error).__name__) from error


def _entry(remembered: Remembered, at: datetime | None, lists: dict[str, int]) -> list[Any]:
    entry: list[Any] = [_short(remembered.value, lists), _seconds(remembered.since)]
    rare = {
        name: _plain(value, lists) for name, usual in _USUAL.items() if (value := getattr(remembered, name)) != usual
    }
    if remembered.known_at != at or rare:
        entry.append(_seconds(remembered.known_at))
    if rare:
        entry.append(rare)
    return entry


def _short(value: str | None, lists: dict[str, int]) -> str | int | None:
    if value is None or len(value) < LONG_VALUE:
        return value
    return lists.setdefault(value, len(lists))


def _plain(value: Any, lists: dict[str, int]) -> Any:
    if isinstance(value, datetime):
        return _seconds(value)
    if isinstance(value, tuple):
        return [_seconds(each) for each in value]
    return _short(value, lists) if isinstance(value, str) else value


def _seconds(at: datetime | None) -> int | None:
    return None if at is None else int(at.timestamp())


def _read(document: Mapping[str, Any]) -> Memory:
    at = _time(document["at"])
    lists = document["lists"]
    _expect(isinstance(lists, list) and all(isinstance(each, str) for each in lists), "`lists` is no list of texts")
    known: dict[Aspect, Remembered] = {}
    for endpoint, kinds in _object(document["known"]).items():
        for kind, items in _object(kinds).items():
            named = aspect_named(kind, endpoint)
            _expect(named.kind == kind, f"an aspect {kind!r} is not known")
            for item, entry in _object(items).items():
                known[replace(named, item=item)] = _remembered(entry, at, lists)
    gone = {subject: _given_time(since) for subject, since in _object(document["gone"]).items()}
    return Memory(next_hop=_text(document["next_hop"]), at=at, known=known, gone=gone)


def _remembered(entry: Any, at: datetime | None, lists: list[str]) -> Remembered:
    _expect(isinstance(entry, list) and 2 <= len(entry) <= 4, "an entry has not two to four parts")
    rare = _object(entry[3]) if len(entry) == 4 else {}
    _only(rare, set(_RARE), " of an entry")

    def text(value: Any) -> str | None:
        if not _is_number(value):
            return None if value is None else _text(value)
        _expect(0 <= value < len(lists), f"there is no list {value}")
        return str(lists[value])

    def yes(name: str, otherwise: bool) -> bool:
        value = rare.get(name, otherwise)
        _expect(isinstance(value, bool), f"`{name}` is neither true nor false")
        return bool(value)

    changes = rare.get("changes", [])
    _expect(isinstance(changes, list), "`changes` is no list")
    return Remembered(
        value=text(entry[0]),
        since=_time(entry[1]),
        known_at=_time(entry[2]) if len(entry) > 2 else at,
        complete=yes("complete", True),
        doubtful=text(rare.get("doubtful")),
        unknown_since=_time(rare.get("unknown_since")),
        unknown_told=yes("unknown_told", False),
        open=text(rare.get("open")) or "",
        good=text(rare.get("good")),
        changes=tuple(_given_time(each) for each in changes),
        flaps=yes("flaps", False),
        told=text(rare.get("told")),
    )


def _expect(holds: bool, problem: str) -> None:
    if not holds:
        raise ValueError(problem)


def _only(document: Mapping[str, Any], keys: set[str], where: str) -> None:
    unknown = sorted(set(document) - keys)
    _expect(not unknown, f"a key {unknown[0]!r}{where} is not known" if unknown else "")


def _object(value: Any) -> Mapping[str, Any]:
    _expect(isinstance(value, Mapping), f"{str(value)[:40]!r} is no object")
    found: Mapping[str, Any] = value
    return found


def _text(value: Any) -> str:
    _expect(isinstance(value, str), f"{str(value)[:40]!r} is no text")
    return str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _time(value: Any) -> datetime | None:
    return None if value is None else _given_time(value)


def _given_time(value: Any) -> datetime:
    _expect(_is_number(value) and 0 <= value <= _LAST_SECOND, f"{str(value)[:40]!r} is no time")
    return datetime.fromtimestamp(value, UTC)
