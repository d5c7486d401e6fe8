"""The text of a message: a template of the user, or ours, filled with what was seen, made harmless."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from string import Formatter
from typing import Any

from mxprobe.alerts.harmless import harmless
from mxprobe.alerts.headlines import headline

FIELDS = (
    *("level", "severity", "kind", "type", "subject", "next_hop", "next_hops", "groups", "provider", "endpoint"),
    *(
        "headline",
        "aspect",
        "before",
        "after",
        "at",
        "summary",
        "details",
        "evidence",
        "events",
        "source",
        "count",
        "id",
    ),
)
"""What may stand in braces in a template; `docs/alerts.md` says what each is."""

MAX_TITLE = 200
MAX_TEXT = 8000
"""Characters. Mail takes more, but chats refuse longer messages, or cut them anywhere."""

MAX_TEMPLATE = 64 * 1024
_MAX_LINES = 64
_IN_LINE = 300
_ELSEWHERE = ("recovers", "before_since", "before_until")
_BLANK_LINES = re.compile(r"\n{3,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A title and a body, each in pieces: a text, and the name of the field behind it (None: there is none)."""

    title: tuple[tuple[str, str | None], ...]
    body: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A message as people read it: one line, and the rest."""

    title: str
    body: str


def parse_template(text: str) -> Template:
    """The template that a text is: its first line is the title, what follows the body. ``{name}`` is a field, ``{{`` a
    brace.

    Raises:
        ValueError: a field that is not one of `FIELDS`, or a brace without its other; the message has the line.
    """
    if len(text) > MAX_TEMPLATE:
        raise ValueError(f"longer than {MAX_TEMPLATE} characters")
    lines = text.lstrip("\ufeff").splitlines()
    if not lines or not lines[0].strip():
        raise ValueError("line 1: no title")
    for number, line in enumerate(lines, 1):
        try:
            _pieces(line)
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
    return Template(title=_pieces(lines[0].strip()), body=_pieces("\n".join(lines[1:]).strip()))


def render(template: Template, document: Mapping[str, Any], key: str) -> Text:
    """The text of a message. What is filled in is never read as a template again, and has no line that is not ours."""
    values = _values(document, key)
    title = harmless(_filled(template.title, values), MAX_TITLE)
    body = _BLANK_LINES.sub("\n\n", _filled(template.body, values)).strip()
    if len(body) > MAX_TEXT:
        body = f"{body[: MAX_TEXT - 40].rpartition(chr(10))[0]}\n... (cut short)"
    return Text(title=title, body=body)


def _pieces(text: str) -> tuple[tuple[str, str | None], ...]:
    found = []
    for literal, field, specification, conversion in Formatter().parse(text):
        if field is not None:
            if specification or conversion:
                raise ValueError(f"{{{field}}} takes no format")
            if field not in FIELDS:
                raise ValueError(f"there is no field {{{harmless(field, 60)}}} (allowed: {', '.join(FIELDS)})")
        found.append((literal, field))
    return tuple(found)


def _filled(pieces: tuple[tuple[str, str | None], ...], values: Mapping[str, str]) -> str:
    return "".join(literal + (values[field] if field is not None else "") for literal, field in pieces)


def _values(document: Mapping[str, Any], key: str) -> dict[str, str]:
    def line(name: str) -> str:
        return harmless(str(document.get(name) or ""), _IN_LINE)

    def listed(name: str) -> str:
        return harmless(", ".join(str(each) for each in document.get(name) or ()), _IN_LINE)

    next_hop, endpoint = line("next_hop"), line("endpoint")
    evidence = document.get("evidence") or {}
    values = {name: line(name) for name in ("severity", "kind", "type", "provider", "aspect", "at", "source", "count")}
    values |= {
        "level": level_of(document),
        "headline": harmless(headline(document), MAX_TITLE),
        "subject": next_hop or values["provider"] or "mxprobe",
        "next_hop": next_hop,
        "next_hops": listed("next_hops"),
        "groups": listed("groups"),
        "endpoint": endpoint,
        "at": _moment(document.get("at")),
        "before": _state(document.get("before")),
        "after": _state(document.get("after")),
        "summary": harmless(str(document.get("summary") or ""), 1000),
        "evidence": "\n".join(_evidence(evidence, str(document.get("summary") or ""))),
        "events": "\n".join(_events(document)),
        "id": harmless(key, 64),
    }
    details = {
        "next-hop": f"{next_hop} ({values['groups']})" if next_hop and values["groups"] else next_hop,
        "endpoint": endpoint,
        "provider": values["provider"],
        "groups": "" if next_hop else values["groups"],
        "since": values["at"],
        "was": "",
        "now": "",
        "ends": harmless(str(document.get("recovers") or ""), 100),
        "event": values["kind"],
        "source": values["source"],
    }
    if values["type"] == "summary":
        known = [_moment((each.get("evidence") or {}).get("before_until")) for each in document.get("events") or ()]
        details["since"] = _between(min(filter(None, known), default=""), values["at"])
    if values["type"] == "digest":
        details = {"until": values["at"]}
    if values["type"] == "event":
        details |= _change(document, evidence)
    return {**values, "details": "\n".join(f"{name}: {value}" for name, value in details.items() if value)}


def level_of(document: Mapping[str, Any]) -> str:
    """How bad it is in a word. What ends one thing may be another that is wrong, and is as bad as that."""
    if document.get("type") in ("digest", "test"):
        return str(document["type"])
    severity = harmless(str(document.get("severity") or ""), 40)
    return "recovered" if document.get("recovers") and severity in ("info", "ok") else severity


def _change(document: Mapping[str, Any], evidence: Mapping[str, Any]) -> dict[str, str]:
    """What it was and since when, and what it has come to; nothing of what stands in the evidence as names, or in the
    summary as a date."""
    found: dict[str, str] = {}
    if until := _moment(evidence.get("before_until")):
        found["since"] = _between(until, _moment(document.get("at")))
    before, after = document.get("before"), document.get("after")
    kind = str(document.get("aspect") or "").partition(" ")[0]
    if kind in ("suites", "expiry") or (before is None and after is None):
        return found
    nothing = "not there" if kind == "mx" else "not known"
    known_since = _moment(evidence.get("before_since"))
    if document.get("kind") == "weaker-endpoint":
        return {**found, "now": _state(after)}
    found["was"] = (nothing if before is None else _state(before)) + (f", since {known_since}" if known_since else "")
    found["now"] = nothing if after is None else _state(after)
    return found


def _between(until: str, seen: str) -> str:
    return f"between {until} and {seen}" if until else seen


def _moment(value: Any) -> str:
    """A time of a document for people, to the second: ``2026-03-01 12:00:00 UTC``."""
    try:
        return f"{datetime.fromisoformat(str(value)).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    except ValueError:
        return ""


def _state(value: Any) -> str:
    return "not known" if value is None else harmless(str(value), _IN_LINE)


def _evidence(evidence: Mapping[str, Any], summary: str) -> list[str]:
    """The evidence but for what the text has elsewhere."""
    lines = [
        f"{harmless(str(name), 60)}: {harmless(_in_words(value), _IN_LINE)}"
        for name, value in evidence.items()
        if name not in _ELSEWHERE and not (name == "reason" and str(value) in summary)
    ]
    more = len(lines) - _MAX_LINES
    return [*lines[:_MAX_LINES], f"and {more} more"] if more > 0 else lines


def _in_words(value: object) -> str:
    """A value of the evidence in words."""
    if isinstance(value, (tuple, list)):
        return ", ".join(str(each) for each in value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)


def _events(document: Mapping[str, Any]) -> list[str]:
    events = document.get("events") or ()
    lines = [
        " ".join(
            part
            for part in (
                f"[{level_of(each)}]",
                harmless(str(each.get("next_hop", "")), 255) + ":",
                harmless(str(each.get("kind", "")), 64),
                harmless(str(each.get("endpoint") or ""), 300),
                "-",
                harmless(str(each.get("summary", "")), _IN_LINE),
            )
            if part
        )
        for each in events[:_MAX_LINES]
    ]
    more = len(events) - _MAX_LINES
    return [*lines, f"and {more} more"] if more > 0 else lines


DEFAULT = parse_template(
    """[{level}] {subject}: {headline}
{summary}

{details}

{evidence}

{events}

mxprobe {id}"""
)
"""The text where an alert has no template of its own."""
