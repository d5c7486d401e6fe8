"""The line that Nagios reads, and when it is which word (Monitoring Plugins' guidelines)."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from examples.stored import NOW
from mxprobe.report.figures import MOST_LISTED, Figures, Wrong, worst_of
from mxprobe.report.status import status, unknown
from mxprobe.store import AlertStanding, GroupStanding

LATE = timedelta(hours=2)
GROUP = GroupStanding(
    name="g|1", next_hops=5, due=0, under_way=1, never=0, due_since=None, last_result_at=NOW - timedelta(minutes=3)
)
ALERT = AlertStanding(alert="ops", waiting=0, failing=0, given_up=0, oldest=None, sent_at=None)
FINE = Figures(at=NOW, last_result_at=NOW - timedelta(minutes=3), groups=(GROUP,), alerts=(ALERT,))


def due(hours: float) -> Figures:
    return replace(FINE, groups=(replace(GROUP, due=2, due_since=NOW - timedelta(hours=hours)),))


def told(**changes: object) -> Figures:
    return replace(FINE, alerts=(replace(ALERT, **changes),))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("figures", "code", "word", "said"),
    [
        (FINE, 0, "OK", "nothing is wrong; 5 planned next-hops; last result 3 min ago"),
        (due(1.9), 0, "OK", "nothing is wrong"),
        (due(2.1), 1, "WARNING", "2 due, for up to 2 h; does the service run?"),
        (due(8.1), 2, "CRITICAL", "2 due, for up to 8 h"),
        (replace(FINE, open={("name-lost", "warning"): 2}), 1, "WARNING", "open: 2 name-lost"),
        (replace(FINE, open={("mx-added", "info"): 2}), 0, "OK", "nothing is wrong"),
        (replace(FINE, open={("starttls-vanished", "critical"): 1}), 2, "CRITICAL", "open: 1 starttls-vanished"),
        (told(waiting=3, oldest=NOW - timedelta(minutes=59)), 0, "OK", "nothing is wrong"),
        (told(waiting=3, oldest=NOW - timedelta(minutes=61)), 1, "WARNING", "alert ops: 3 messages wait to be told"),
        (told(given_up=1), 2, "CRITICAL", "alert ops: 1 messages given up"),
        (replace(FINE, unreadable=1), 3, "UNKNOWN", "cannot be read"),
        (Figures(at=NOW), 3, "UNKNOWN", "nothing was scanned yet"),
    ],
)
def test_what_is_wrong_makes_the_word_and_the_exit_code(figures: Figures, code: int, word: str, said: str) -> None:
    found = status(figures, late=LATE)
    assert (found.exit_code, found.word) == (code, word)
    assert found.lines[0].startswith(f"mxprobe {word}: ")
    assert said in found.lines[0]


def test_the_worst_comes_first_and_hides_nothing() -> None:
    found = status(replace(due(3), open={("starttls-vanished", "critical"): 1}), late=LATE)
    assert found.word == "CRITICAL"
    assert "starttls-vanished" in found.lines[0]
    assert "WARNING: group g/1: 2 due" in "\n".join(found.lines[1:])


def test_what_is_open_is_named_for_people_the_worst_first_and_so_many_at_most() -> None:
    names = [
        Wrong(severity="warning", next_hop="a.example", kind="null-mx", since=NOW - timedelta(hours=3)),
        Wrong(severity="critical", next_hop="b.example", kind="starttls-vanished", endpoint="mx[192.0.2.1]:25"),
        Wrong(severity="info", next_hop="c.example", kind="mx-added"),
        *(Wrong(severity="warning", next_hop=f"{n:02}.example", kind="name-lost") for n in range(30)),
    ]
    wrong = worst_of(names)
    assert len(wrong) == MOST_LISTED
    counted = {("starttls-vanished", "critical"): 1, ("null-mx", "warning"): 1, ("name-lost", "warning"): 30}
    lines = status(replace(FINE, open=counted, wrong=wrong), late=LATE).lines
    start = lines.index("critical: b.example: starttls-vanished at mx[192.0.2.1]:25")
    assert lines[start + 1 : start + 3] == ("warning: a.example: null-mx, 3 h ago", "warning: 00.example: name-lost")
    assert lines[start + MOST_LISTED] == f"and {32 - MOST_LISTED} more"
    assert not any("mx-added" in line for line in lines)


def test_performance_data_is_as_nagios_has_it() -> None:
    found = status(due(1), late=LATE)
    text, _, performance = found.lines[0].partition(" | ")
    assert "|" not in text
    assert not any("|" in line for line in found.lines[1:])
    for each in performance.split(" "):
        assert re.fullmatch(r"[a-z_]+=-?[0-9.]+(s|%|B|c)?(;[0-9.:~@]*){0,4}", each), each
    assert "due=2;;;0" in performance
    assert "late=3600s;;;0" in performance
    assert "last_result=180s;;;0" in performance


def test_what_keeps_it_from_an_answer_is_one_line() -> None:
    found = unknown("sqlite:///x|y.db: no\nsuch file")
    assert found.exit_code == 3
    assert found.lines == (r"mxprobe UNKNOWN: sqlite:///x/y.db: no\x0asuch file",)
