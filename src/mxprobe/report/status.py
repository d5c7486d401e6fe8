"""Figures for a human who asks how things are, and for Nagios, which asks all the time.

The first line and the exit code are those of the Monitoring Plugins' guidelines: OK 0, WARNING 1, CRITICAL 2,
UNKNOWN 3, and performance data behind a ``|``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from mxprobe.report.escape import printable
from mxprobe.report.figures import Figures

Word = Literal["OK", "WARNING", "CRITICAL", "UNKNOWN"]

EXIT_CODES: dict[Word, int] = {"OK": 0, "WARNING": 1, "CRITICAL": 2, "UNKNOWN": 3}

UNTOLD_AFTER = timedelta(hours=1)
"""A message that waits for longer than this, after failures, is a problem of its own."""

CRITICAL_AFTER = 4
"""Times the lateness that is a warning."""

_WORST: tuple[Word, ...] = ("CRITICAL", "WARNING", "UNKNOWN", "OK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What the figures come to: a word, and lines of which the first says it all."""

    word: Word
    lines: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """That of a monitoring plugin."""
        return EXIT_CODES[self.word]


def status(figures: Figures, *, late: timedelta) -> Status:
    """How the service stands. What is due for longer than `late` is a warning, for four times as long critical."""
    problems = tuple(_problems(figures, late))
    word: Word = min((found for found, _ in problems), key=_WORST.index, default=_WORST[-1])
    next_hops = sum(group.next_hops for group in figures.groups)
    last = figures.last_result_at
    facts = [f"{next_hops} planned next-hops", f"last result {_ago(last, figures.at)}" if last else "no result yet"]
    said = [text for _, text in sorted(problems, key=lambda problem: _WORST.index(problem[0]))]
    first = _line(f"mxprobe {word}: {'; '.join((said or ['nothing is wrong'])[:3] + facts)}")
    lines = [f"{first} | {' '.join(_performance(figures))}"]
    lines += [_line(f"{found}: {text}") for found, text in problems]
    for wrong in figures.wrong:
        where = f" at {wrong.endpoint}" if wrong.endpoint else ""
        since = f", {_ago(wrong.since, figures.at)}" if wrong.since else ""
        lines.append(_line(f"{wrong.severity}: {wrong.next_hop}: {wrong.kind}{where}{since}"))
    told = sum(number for (_, severity), number in figures.open.items() if severity in ("warning", "critical"))
    if figures.wrong and told > len(figures.wrong):
        lines.append(f"and {told - len(figures.wrong)} more")
    for group in figures.groups:
        seen = f"last result {_ago(group.last_result_at, figures.at)}" if group.last_result_at else "no result yet"
        counts = f"{group.next_hops} next-hops, {group.due} due, {group.under_way} under way, {group.never} never seen"
        lines.append(_line(f"{_group(group.name)}: {counts}, {seen}"))
    for alert in figures.alerts:
        sent = f"last told {_ago(alert.sent_at, figures.at)}" if alert.sent_at else "nothing told yet"
        lines.append(_line(f"alert {alert.alert}: {sent}, {alert.waiting} waiting, {alert.given_up} given up"))
    return Status(word=word, lines=tuple(lines))


def unknown(problem: str) -> Status:
    """Nothing could be found out."""
    return Status(word="UNKNOWN", lines=(_line(f"mxprobe UNKNOWN: {problem}"),))


def _problems(figures: Figures, late: timedelta) -> Iterator[tuple[Word, str]]:
    if figures.last_result_at is None:
        yield "UNKNOWN", "nothing was scanned yet"
    for severity, word in (("critical", "CRITICAL"), ("warning", "WARNING")):
        kinds = {kind: number for (kind, found), number in figures.open.items() if found == severity}
        if kinds:
            listed = ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items()))
            yield ("CRITICAL" if word == "CRITICAL" else "WARNING"), f"open: {listed}"
    if figures.unreadable:
        yield "UNKNOWN", f"the memory of {figures.unreadable} next-hops cannot be read"
    for group in figures.groups:
        if group.due_since is not None and (behind := figures.at - group.due_since) > late:
            text = f"{_group(group.name)}: {group.due} due, for up to {_long(behind)}; does the service run?"
            yield ("CRITICAL" if behind > late * CRITICAL_AFTER else "WARNING"), text
    for alert in figures.alerts:
        if alert.given_up:
            yield "CRITICAL", f"alert {alert.alert}: {alert.given_up} messages given up in 7 days, nobody was told"
        if alert.waiting and alert.oldest is not None and figures.at - alert.oldest > UNTOLD_AFTER:
            waits = _long(figures.at - alert.oldest)
            yield "WARNING", f"alert {alert.alert}: {alert.waiting} messages wait to be told, for up to {waits}"


def _performance(figures: Figures) -> Iterator[str]:
    def total(severity: str) -> int:
        return sum(number for (_, found), number in figures.open.items() if found == severity)

    yield f"open_critical={total('critical')};;0;0"
    yield f"open_warning={total('warning')};0;;0"
    yield f"next_hops={sum(group.next_hops for group in figures.groups)};;;0"
    yield f"due={sum(group.due for group in figures.groups)};;;0"
    since = [group.due_since for group in figures.groups if group.due_since]
    yield f"late={_seconds(figures.at, min(since)) if since else 0}s;;;0"
    if figures.last_result_at is not None:
        yield f"last_result={_seconds(figures.at, figures.last_result_at)}s;;;0"
    yield f"untold={sum(alert.waiting for alert in figures.alerts)};;;0"
    if figures.states.soonest_days is not None:
        yield f"certificate_days={figures.states.soonest_days:.1f}"


def _group(name: str) -> str:
    """What a plan is called: a service of all groups plans them as one, without a name."""
    return f"group {name}" if name else "all groups"


def _line(text: str) -> str:
    """A line for people, without the sign that begins performance data."""
    return printable(text.replace("|", "/"), 1000)


def _seconds(now: datetime, moment: datetime) -> int:
    return max(int((now - moment).total_seconds()), 0)


def _ago(moment: datetime, now: datetime) -> str:
    return f"{_long(now - moment)} ago" if moment <= now else "in the future: the clock was set back"


def _long(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
