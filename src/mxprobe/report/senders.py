"""How senders are shown: a line each with their age, one in detail, and as JSON.

The texts of a profile file are plainly visible ones (`mxprobe.mta.profile_file` sees to that), so nothing is escaped.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import date
from textwrap import wrap
from typing import Final

from mxprobe.mta.profile import Profile
from mxprobe.mta.profile_file import Sender, profile_document
from mxprobe.terms import PROTOCOLS

SCHEMA: Final = "mxprobe-senders/1"

_WIDTH = 110  # columns of the detailed form
_HANG = 21


def senders_table(senders: Sequence[Sender], today: date) -> Iterator[str]:
    """A heading and a line for each sender: name, kind, age, versions, number of suites and of groups."""
    rows = [("sender", "kind", "age", "versions", "suites", "groups")]
    for each in senders:
        profile = each.profile
        rows.append(
            (
                each.name,
                each.kind,
                age(each.date, today),
                _versions(profile),
                f"{len(profile.suites)}{'+' if each.incomplete else ''}",
                "?" if profile.groups is None else str(len(profile.groups)),
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip()
    if any(each.incomplete for each in senders):
        yield "+: more than these, and not known"


def senders_in_detail(senders: Sequence[Sender], today: date) -> Iterator[str]:
    """All that is known of each sender, but the bytes of its hello."""
    for number, each in enumerate(senders):
        if number:
            yield ""
        yield each.name
        document = profile_document(each)
        yield from _entry("software", each.software)
        yield from _entry(each.kind, f"{each.date.isoformat()}, {age(each.date, today)} ago")
        for key in ("command", "source", "incomplete", "peer", "ehlo"):
            yield from _entry(key, str(document.get(key, "")))
        known = f" ({each.protocols_from})" if each.protocols_from else ""
        yield from _entry("protocols", _versions(each.profile) + known)
        for key in ("suites", "groups", "signature_schemes", "key_shares"):
            words = document.get(key)
            label = key.replace("_", " ")
            if isinstance(words, list):
                yield from _entry(label, ", ".join(map(str, words)) or "none listed")
            else:
                yield from _entry(label, "not known")
        if each.profile.hello is not None:
            yield from _entry("hello", f"{len(each.profile.hello)} bytes; --format json has them")


def senders_json(senders: Sequence[Sender], today: date) -> str:
    """One document: every profile as in its file, with its age in days."""
    document = {"schema": SCHEMA, "senders": [_with_age(each, today) for each in senders]}
    return json.dumps(document, indent=2) + "\n"


def sender_json_line(sender: Sender, today: date) -> str:
    """One line of ndjson: a profile as in its file, with its age in days."""
    return json.dumps(_with_age(sender, today)) + "\n"


def age(day: date, today: date) -> str:
    """How long ago a day was: in days up to three months, then in months, from two years on in years."""
    days = max(0, (today - day).days)
    if days <= 90:
        return f"{days} {'day' if days == 1 else 'days'}"
    return f"{days // 30} months" if days < 730 else f"{days // 365} years"


def _versions(profile: Profile) -> str:
    """The versions as a range, or one by one where one between is missing."""
    first, last = (PROTOCOLS.index(profile.protocols[end]) for end in (0, -1))
    if last - first + 1 != len(profile.protocols) or first == last:
        return ", ".join(profile.protocols)
    return f"{profile.protocols[0]} to {profile.protocols[-1]}"


def _with_age(sender: Sender, today: date) -> dict[str, object]:
    return {**profile_document(sender), "age_days": max(0, (today - sender.date).days)}


def _entry(label: str, text: str) -> Iterator[str]:
    if not text:
        return
    lines = wrap(text, _WIDTH - _HANG, break_long_words=False, break_on_hyphens=False) or [""]
    yield f"  {label.ljust(_HANG - 2)}{lines[0]}"
    for line in lines[1:]:
        yield " " * _HANG + line
