"""What a service tells of itself: lines for a log, and how far it is for a person who watches."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from mxprobe.errors import StoreError
from mxprobe.schedule.vantage import Vantage
from mxprobe.schedule.visit_run import Outcome

Level = Literal["info", "warning", "error"]

LACK_OVER = 200
"""Visits that are made in a row after something was lacking here, until that is over, and told if it comes again."""

MOST_TROUBLES = 10
"""Kinds of trouble with the store that are told before it works again; the words of a server may differ each time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One thing that happened: `what` in a word, `text` in a sentence, `about` which next-hop if about one."""

    level: Level
    what: str
    text: str
    about: str = ""
    details: Mapping[str, str | int | float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a service is: visits under way, due and not begun, ended with a result since it was started."""

    under_way: int
    overdue: int
    done: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a service stands: its visits since it was started by how they `ended` (*kept*, *lost*, *put-off*), how long
    the last with a result took; whether mail servers can be seen from here, and whether the configuration was right
    when it was read last."""

    ended: Mapping[str, int]
    under_way: int
    last_visit_seconds: float | None
    can_see: bool
    is_configured: bool


class Teller:
    """Tells what happens, and trouble that lasts once: that the store is away, that nothing can be seen from here."""

    def __init__(self, tell: Callable[[Line], None]) -> None:
        self._tell = tell
        self._troubles: set[str] = set()
        self._nothing_kept = False
        self._hindrance = ""
        self._without_lack = LACK_OVER
        self._events = 0

    def tell(self, level: Level, what: str, text: str, *, about: str = "", **details: str | int | float) -> None:
        """One line."""
        self._tell(Line(level=level, what=what, text=text, about=about, details=details))

    def store_failed(self, error: StoreError, *, keeping: bool = False) -> None:
        """Once for each kind of trouble until it is over, however many visits it meets; `keeping` a result, or what
        else a visit could not do without."""
        self._nothing_kept = self._nothing_kept or keeping
        if str(error) not in self._troubles and len(self._troubles) < MOST_TROUBLES:
            self._troubles.add(str(error))
            self.tell("error", "store", f"{error}; visits are put off until it works again")

    def store_works(self, *, kept: bool = False) -> None:
        """The store has done what it was asked. Where results could not be kept, that says nothing before one is
        `kept`: on a full disk there may be room to claim visits, again and again."""
        if self._troubles and (kept or not self._nothing_kept):
            self._troubles.clear()
            self._nothing_kept = False
            self.tell("info", "store", "the store works again")

    def place(self, found: Vantage | None) -> None:
        """What the last look from here came to."""
        if found is None:
            return
        summary = found.summary if found.state in ("blocked", "no-dns") else ""
        if summary and not self._hindrance:
            words = f"{summary}; until that is over, no next-hop that it concerns gets a result"
            self.tell("error", "vantage", words, state=found.state, evidence="; ".join(found.evidence))
        elif not summary and self._hindrance:
            self.tell("info", "vantage", found.summary, state=found.state)
        self._hindrance = summary

    def put_off(self, next_hop: str, reason: str) -> None:
        """A visit was put off; not said of each where it is this place, which is said once."""
        if reason and reason != self._hindrance:
            self.tell("warning", "put-off", reason, about=next_hop)

    def lacks(self, what: str) -> None:
        """A visit could not be made for something that this machine lacks: said once, and again when it was over."""
        if what and self._without_lack >= LACK_OVER:
            self.tell("error", "lack", f"{what}; visits are put off until there is room again")
        if what:
            self._without_lack = 0

    def visited(self, next_hop: str, outcome: Outcome, seconds: float) -> None:
        """A visit has a result."""
        self._without_lack += 1
        for told in outcome.told:
            self.tell("error", "memory", told, about=next_hop)
        for event in outcome.events:
            self.tell(
                "warning" if event.severity in ("warning", "critical") else "info",
                "event",
                f"{event.kind}{f' at {event.endpoint}' if event.endpoint else ''}: {event.summary}",
                about=next_hop,
                kind=event.kind,
                endpoint=event.endpoint,
                severity=event.severity,
                state=event.state,
            )
        endpoints, events = outcome.endpoints, len(outcome.events)
        self._events += events
        words = f"{counted(endpoints, 'endpoint')}, {counted(events, 'event')}, {seconds:.1f} s"
        self.tell(
            "info", "visited", words, about=next_hop, endpoints=endpoints, events=events, seconds=round(seconds, 3)
        )

    def stopped(self, visits: int, put_off: int) -> None:
        """The end, with all that was done; what was put off more than once counts as often."""
        words = f"{counted(visits, 'visit')} made"
        words += f", {counted(self._events, 'event')}" if self._events else ""
        words += f", {put_off} put off" if put_off else ""
        self.tell("info", "stopped", words, visits=visits, events=self._events, put_off=put_off)


def counted(number: int, what: str) -> str:
    """So many of something, in words."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def in_one_line(error: BaseException) -> str:
    """An error of the program, with its place."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    return " ".join(f"error of the program: {type(error).__name__}: {error}{where}".split())[:1000]
