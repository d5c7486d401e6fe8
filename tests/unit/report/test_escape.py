"""Peer text is made visible and bounded before anybody sees it."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxprobe.report.escape import printable

# Whatever a terminal may act upon, or a reader may be deceived by (Unicode general categories).
UNSAFE_CATEGORIES = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}

any_text = st.text(st.characters(codec=None, categories=None))


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("mail ESMTP", "mail ESMTP"),
        ("grüße 郵便", "grüße 郵便"),
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("\x00\x07\r\n\t", "\\x00\\x07\\x0d\\x0a\\x09"),
        ("\x7f", "\\x7f"),
        ("\x9b31m", "\\x9b31m"),
        ("\u202etxt.exe", "\\u202etxt.exe"),
        ("\u2066\u2069\u200f", "\\u2066\\u2069\\u200f"),
        ("\u200b\ufeff\u00ad", "\\u200b\\ufeff\\xad"),
        ("\u2028\u2029\x85", "\\u2028\\u2029\\x85"),
        ("\ue000", "\\ue000"),
        ("\U000e0041", "\\U000e0041"),
        ("\ud800", "\\ud800"),
        (b"caf\xe9".decode("ascii", "surrogateescape"), "caf\\xe9"),
        ("[bold]not markup[/bold] :smile:", "[bold]not markup[/bold] :smile:"),
    ],
)
def test_what_is_not_plainly_visible_is_written_out(raw: str, shown: str) -> None:
    assert printable(raw) == shown


def test_long_text_ends_in_an_ellipsis_within_the_limit() -> None:
    assert printable("a" * 300) == "a" * 300
    assert printable("a" * 301) == "a" * 297 + "..."
    assert printable("abcdef", limit=5) == "ab..."


def test_an_escape_is_never_cut() -> None:
    assert printable("ab\x1bcdefgh", limit=8) == "ab..."
    assert printable("a\x1bcdefghi", limit=8) == "a\\x1b..."


@given(any_text)
def test_never_emits_an_unsafe_character(text: str) -> None:
    shown = printable(text)
    assert {unicodedata.category(character) for character in shown}.isdisjoint(UNSAFE_CATEGORIES)
    shown.encode("utf-8")


@given(any_text, st.integers(0, 40))
def test_never_exceeds_the_limit(text: str, limit: int) -> None:
    assert len(printable(text, limit)) <= limit


@given(any_text)
def test_escaping_twice_changes_nothing(text: str) -> None:
    assert printable(printable(text, 10_000), 10_000) == printable(text, 10_000)
