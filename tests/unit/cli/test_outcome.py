"""The exit code of every command follows from the requirements that were not met."""

from __future__ import annotations

import pytest

from mxprobe.cli.outcome import exit_code, explain
from mxprobe.verdict.requirements import Requirement, Unmet

FAILED = Unmet(requirement=Requirement(name="trusted"), endpoint="mx.test[192.0.2.1]:25", outcome="failed", reason="no")
UNKNOWN = Unmet(requirement=Requirement(name="sslv3", answer="no"), endpoint="", outcome="unknown", reason="421 later")


@pytest.mark.parametrize(
    ("found", "code"),
    [([], 0), ([FAILED], 1), ([UNKNOWN], 3), ([UNKNOWN, FAILED], 1), ([FAILED, UNKNOWN, UNKNOWN], 1)],
)
def test_a_finding_wins_over_what_could_not_be_told(found: list[Unmet], code: int) -> None:
    assert exit_code(found) == code


def test_each_is_explained_on_standard_error_in_one_line_of_safe_text(capsys: pytest.CaptureFixture[str]) -> None:
    hostile = Unmet(requirement=Requirement(name="starttls"), endpoint="", outcome="failed", reason="554 \x1b[2J\nno")
    explain([("a.test", FAILED), ("b.test", UNKNOWN), ("c.test", hostile)])
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "mxprobe: a.test: trusted not met at mx.test[192.0.2.1]:25: no",
        "mxprobe: b.test: !sslv3 could not be told: 421 later",
        r"mxprobe: c.test: starttls not met: 554 \x1b[2J\x0ano",
    ]
