"""How senders are shown: their age in words, their versions as a range."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from mxprobe.mta.senders import sender
from mxprobe.report.senders import age, senders_in_detail, senders_table
from mxprobe.terms import Protocol

TODAY = date(2026, 11, 20)


@pytest.mark.parametrize(
    ("days", "words"),
    [(0, "0 days"), (1, "1 day"), (90, "90 days"), (91, "3 months"), (729, "24 months"), (730, "2 years")],
)
def test_an_age_is_in_the_unit_that_matters(days: int, words: str) -> None:
    assert age(TODAY - timedelta(days=days), TODAY) == words


def test_a_clock_that_is_behind_makes_no_negative_age() -> None:
    assert age(TODAY + timedelta(days=3), TODAY) == "0 days"


@pytest.mark.parametrize(
    ("protocols", "words"),
    [
        (("TLSv1.2",), "TLSv1.2"),
        (("TLSv1.2", "TLSv1.3"), "TLSv1.2 to TLSv1.3"),
        (("SSLv3", "TLSv1", "TLSv1.2"), "SSLv3, TLSv1, TLSv1.2"),
    ],
)
def test_versions_are_a_range_unless_one_is_missing(protocols: tuple[Protocol, ...], words: str) -> None:
    gmail = sender("gmail-2019")
    shown = replace(gmail, profile=replace(gmail.profile, protocols=protocols))
    assert f"  {words}  " in tuple(senders_table((shown,), TODAY))[1]
    assert any(line.endswith(f" {words}") for line in senders_in_detail((shown,), TODAY))


def test_an_empty_list_is_not_an_unknown_one() -> None:
    gmail = sender("gmail-2019")
    lines = tuple(senders_in_detail((replace(gmail, profile=replace(gmail.profile, groups=())),), TODAY))
    (groups,) = (line for line in lines if line.startswith("  groups"))
    (shares,) = (line for line in lines if line.startswith("  key shares"))
    assert groups.endswith(" none listed")
    assert shares.endswith(" not known")
