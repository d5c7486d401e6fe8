"""The past of a next-hop, a line a scan, and the differences between two states of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from mxprobe.facts import Target
from mxprobe.report.escape import printable
from mxprobe.report.json_text import safe_json
from mxprobe.verdict.checks import Check
from mxprobe.verdict.comparison import listed
from mxprobe.verdict.history import Changed, Step

LINE = 2000
"""Characters of a line at most: a target has up to 100 endpoints, and their verdicts may all change at once."""

SCHEMA = "mxprobe-history/1"


def history_line(at: datetime, target: Target, step: Step, *, first: bool, complete: bool) -> str:
    """One scan as a person reads it: when, what changed, and what could not be told."""
    endpoints = len(target.endpoints)
    words = [*step.route, *_changes(step.changed, endpoints)]
    if unknown := _unknown(step, endpoints):
        words.append(f"unknown: {unknown}")
    if not complete:
        words.append("not all endpoints were asked")
    if first:
        words.insert(0, "first scan")
    return printable(f"{moment(at)}  {'; '.join(words) or 'no change'}", LINE)


def history_entry(
    started_at: datetime, finished_at: datetime | None, target: Target, step: Step, *, complete: bool
) -> str:
    """The same as one line of JSON."""
    entry: dict[str, Any] = {
        "schema": SCHEMA,
        "next_hop": target.next_hop,
        "started_at": moment(started_at),
        "finished_at": moment(finished_at) if finished_at else None,
        "complete": complete,
        "changed": [asdict(each) for each in step.changed],
        "route": list(step.route),
        "unknown": [
            {"id": each.id, "endpoint": each.endpoint, "summary": each.summary, "profile": _profile(each.evidence)}
            for each in step.unknown
        ],
    }
    return safe_json(entry)


def differences(checks: Iterable[Check]) -> tuple[tuple[str, Check], ...]:
    """What is different, each with a word for how: lost, gained, changed; or unknown. What is the same is left out."""
    found: dict[tuple[str, str, str], tuple[str, Check]] = {}
    for check in checks:
        if check.outcome == "passed":
            continue
        word = "unknown" if check.outcome == "unknown" else _WORDS.get(check.id, check.id)
        found.setdefault((word, check.endpoint, check.summary), (word, check))
    return tuple(sorted(found.values(), key=lambda pair: _ORDER.get(pair[0], 3)))


def difference_lines(next_hop: str, before: datetime, after: datetime, found: Sequence[tuple[str, Check]]) -> list[str]:
    """Two states of a next-hop, for a person."""
    count = sum(word != "unknown" for word, _ in found)
    answer = f"{count} difference{'' if count == 1 else 's'}" if count else "no difference"
    lines = [f"{next_hop}  {answer} between {moment(before)} and {moment(after)}"]
    for word, check in found:
        where = f"  at {check.endpoint}" if check.endpoint else ""
        lines.append(f"{word:<9} {check.summary}{where}")
    return [printable(line, LINE) for line in lines]


def difference_document(
    next_hop: str, before: datetime, after: datetime, found: Sequence[tuple[str, Check]], *, indent: int | None
) -> str:
    """The same as JSON."""
    document = {
        "schema": "mxprobe-diff/1",
        "next_hop": next_hop,
        "from": moment(before),
        "to": moment(after),
        "differences": [
            {
                "kind": word,
                "name": check.name,
                "endpoint": check.endpoint,
                "severity": check.severity,
                "summary": check.summary,
                "evidence": check.evidence,
                "source": check.source,
            }
            for word, check in found
        ],
    }
    return safe_json(document, indent)


def moment(at: datetime) -> str:
    """A time as options take it, in UTC."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


_WORDS = {"keeps": "lost", "gained": "gained", "changed": "changed"}
_ORDER = {"lost": 0, "changed": 1, "gained": 2, "unknown": 4}


def _changes(changed: Iterable[Changed], endpoints: int) -> Iterator[str]:
    alike: dict[str, list[str]] = {}
    for each in changed:
        name = f"{each.id} with {each.profile}" if each.profile else each.id
        words = f"{name} {each.after}" + (f" (was {each.before})" if each.before else "")
        alike.setdefault(words, []).append(each.endpoint)
    for words, where in alike.items():
        yield words + _at(where, endpoints)


def _unknown(step: Step, endpoints: int) -> str:
    alike: dict[str, list[str]] = {}
    for verdict in step.unknown:
        profile = _profile(verdict.evidence)
        alike.setdefault(f"{verdict.id} with {profile}" if profile else verdict.id, []).append(verdict.endpoint)
    return ", ".join(name + _at(where, endpoints) for name, where in alike.items())


def _at(where: list[str], endpoints: int) -> str:
    """Which endpoints, unless it is all of them, or the next-hop as a whole."""
    named = [each for each in where if each]
    return "" if not named or len(named) >= endpoints else f" at {listed(named)}"


def _profile(evidence: dict[str, Any]) -> str:
    return str(evidence.get("profile", ""))
