"""The log of a service: a line of text for people, an object of JSON for programs, and nothing of a peer in between."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from mxprobe.cli.service_log import LONGEST, line_of
from mxprobe.schedule.telling import Line

AT = datetime(2026, 3, 1, 2, 3, 4, 567890, tzinfo=UTC)
LINE = Line(
    level="warning",
    what="event",
    text="starttls-vanished: said \x1b[31mcaf\udce9\n",
    about="example.com",
    details={"kind": "starttls-vanished", "seconds": 1.5},
)


def test_text_has_time_level_what_and_whom_it_is_about_and_is_one_line() -> None:
    found = line_of(LINE, AT, "text")
    assert found.startswith("2026-03-01T02:03:04Z warning event example.com: starttls-vanished: said ")
    assert found.isprintable()
    assert len(line_of(Line(level="info", what="x", text="a" * 10_000), AT, "text")) <= LONGEST


def test_json_has_the_details_and_is_one_line_of_ascii() -> None:
    found = line_of(LINE, AT, "json")
    assert found.isascii()
    assert "\n" not in found
    assert json.loads(found) == {
        "at": "2026-03-01T02:03:04.567Z",
        "level": "warning",
        "what": "event",
        "next_hop": "example.com",
        "text": LINE.text,
        "kind": "starttls-vanished",
        "seconds": 1.5,
    }
    assert "next_hop" not in json.loads(line_of(Line(level="info", what="x", text="y"), AT, "json"))
