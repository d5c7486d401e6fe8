"""One thing at a time that can be known of a target: its name, and what one observation says of it.

An *aspect* has one answer at a time, such as whether STARTTLS works at an endpoint. What was not asked has no `Seen` at
all, and stays as it is remembered; what was asked and not found out is a `Seen` without a value.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, get_args

from mxprobe.facts import EvidenceValue

AspectKind = Literal[
    "mail",
    "mx",
    "addresses",
    "starttls",
    "version",
    "suites",
    "shared-cipher",
    "needs-sslv3",
    "certificate",
    "certificate-kind",
    "expiry",
    "issuer",
    "name",
    "trusted",
]
"""What an aspect is about; `docs/events.md` lists the values of each."""

ASPECTS: tuple[AspectKind, ...] = get_args(AspectKind)

SETS: tuple[AspectKind, ...] = ("mx", "suites")
"""Aspects whose value is a list of words with blanks between."""

LONGEST_VALUE = 100
"""Characters of a value that is one text: it is remembered for every endpoint, and what is cut off is in the facts."""

_IN_EVIDENCE = 64
_LONGEST_IN_EVIDENCE = 300


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Aspect:
    """The name of one thing that can be known of a target.

    `endpoint` is as in verdicts, ``mx1.example.com[192.0.2.1]:25``, and empty for the target as a whole. `item` says
    which one of several: a version, a profile, an MX host, a kind of certificate.
    """

    kind: AspectKind
    endpoint: str = ""
    item: str = ""

    def __str__(self) -> str:
        """What it is called beside its endpoint: ``version TLSv1.2``; `aspect_named` reads it again."""
        return f"{self.kind} {self.item}" if self.item else self.kind


def aspect_named(text: str, endpoint: str = "") -> Aspect:
    """The aspect that ``str(aspect)`` has named.

    Raises:
        ValueError: there is no such kind.
    """
    name, _, item = text.partition(" ")
    for kind in ASPECTS:
        if kind == name:
            return Aspect(kind=kind, endpoint=endpoint, item=item)
    raise ValueError(f"no aspect is called {name!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one observation says of an aspect.

    `value` is None where it was asked for and not found out; `reason` says why, or what the value rests on. `complete`
    is false for a list that others may belong to as well, so that the absence of a word says nothing. What is
    `doubtful` is known when it was seen twice in a row. `at` is set where it was known at an earlier time than that of
    the observation (a sweep that was taken over).
    """

    aspect: Aspect
    value: str | None
    reason: str = ""
    evidence: dict[str, EvidenceValue] = field(default_factory=dict)
    complete: bool = True
    doubtful: bool = False
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeSettings:
    """When a difference is worth an event.

    What was not found out for `unknown_after` is told as such. A certificate is told to expire when so many of
    `expiry_days` are left. After `flapping_changes` changes of one aspect within `flapping_window`, it flaps, until it
    has not changed for `stable_after`. So many targets of one provider as `summary_targets` make a summary. An endpoint
    that is no longer in the DNS is forgotten after `forget_after`.
    """

    unknown_after: timedelta = timedelta(days=7)
    expiry_days: tuple[int, ...] = (21, 7, 1)
    flapping_changes: int = 4
    flapping_window: timedelta = timedelta(days=14)
    stable_after: timedelta = timedelta(days=7)
    summary_targets: int = 5
    forget_after: timedelta = timedelta(days=365)


DEFAULTS = NoticeSettings()


def as_value(text: str) -> str:
    """A peer's text as a value: nothing unprintable, and not longer than `LONGEST_VALUE`; a longer one keeps its
    beginning and ends with its digest, so that two of them are told apart."""
    shown = "".join(character if character.isprintable() else "\ufffd" for character in text[: LONGEST_VALUE + 1])
    if len(shown) <= LONGEST_VALUE:
        return shown
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]
    return f"{shown[: LONGEST_VALUE - 17]}…{digest}"


def as_word(text: str) -> str:
    """A peer's text as one word of a list: without blanks in it."""
    return "_".join(as_value(text).split()) or "_"


def as_line(text: str) -> str:
    """A text that may quote a peer at length, as short as an event has it."""
    return text if len(text) <= _LONGEST_IN_EVIDENCE else text[: _LONGEST_IN_EVIDENCE - 1] + "…"


def as_evidence(evidence: dict[str, EvidenceValue]) -> dict[str, EvidenceValue]:
    """Evidence without what is beyond measure: an event is kept and sent, the whole is in the facts."""
    return {key: _bounded(value) for key, value in evidence.items()}


def _bounded(value: EvidenceValue) -> EvidenceValue:
    if isinstance(value, str):
        return as_line(value)
    if isinstance(value, tuple):
        shown = tuple(as_line(each) for each in value[:_IN_EVIDENCE])
        more = len(value) - len(shown)
        return (*shown, f"and {more} more") if more else shown
    return value
