"""What a service tells: trouble that lasts is said once, and so is its end."""

from __future__ import annotations

from mxprobe.errors import StoreError
from mxprobe.schedule.telling import LACK_OVER, Line, Teller
from mxprobe.schedule.visit_run import Outcome

FULL = StoreError("database or disk is full")
LOCKED = StoreError("the database is locked")
AGAIN = "the store works again"


def store_lines(lines: list[Line]) -> list[str]:
    return [line.text.partition(";")[0] for line in lines if line.what == "store"]


def test_trouble_with_the_store_is_told_once_and_so_is_its_end() -> None:
    lines: list[Line] = []
    teller = Teller(lines.append)
    teller.store_works()
    for _ in range(3):
        teller.store_failed(LOCKED)
    teller.store_works()
    teller.store_works()
    assert store_lines(lines) == [str(LOCKED), AGAIN]


def test_where_results_cannot_be_kept_it_is_not_over_before_one_is() -> None:
    lines: list[Line] = []
    teller = Teller(lines.append)
    for _ in range(3):
        teller.store_failed(FULL, keeping=True)
        teller.store_works()  # to claim a visit takes less room than its result
    teller.store_works(kept=True)
    assert store_lines(lines) == [str(FULL), AGAIN]


def test_two_kinds_of_trouble_in_turn_are_told_once_each() -> None:
    lines: list[Line] = []
    teller = Teller(lines.append)
    for _ in range(3):
        teller.store_failed(LOCKED)
        teller.store_failed(FULL, keeping=True)
    teller.store_works(kept=True)
    teller.store_failed(LOCKED)
    assert store_lines(lines) == [str(LOCKED), str(FULL), AGAIN, str(LOCKED)]


def test_what_this_machine_lacks_is_told_once_until_it_is_over() -> None:
    lines: list[Line] = []
    teller = Teller(lines.append)
    for _ in range(3):
        teller.lacks("no descriptors")
        teller.visited("example.test", Outcome(state="kept"), 1.0)
    teller.lacks("")
    assert [line.what for line in lines].count("lack") == 1
    for _ in range(LACK_OVER):
        teller.visited("example.test", Outcome(state="kept"), 1.0)
    teller.lacks("no descriptors")
    assert [line.what for line in lines].count("lack") == 2
