"""Whatever a peer writes, people get one line of plain text without marks, mentions or links."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxprobe.alerts.harmless import harmless

HOSTILE = st.text(st.characters(codec=None), max_size=400) | st.text("<>@`[](:/)\\\x1b\n\u202e{}|x", max_size=60)


@given(HOSTILE, st.integers(3, 400))
def test_nothing_in_it_is_invisible_a_mark_or_a_link(text: str, limit: int) -> None:
    found = harmless(text, limit)
    assert len(found) <= limit
    assert not any(unicodedata.category(each)[0] == "C" or each in "\n\r\u2028\u2029" for each in found)
    assert not set("<>`@") & set(found)
    assert "://" not in found
    assert "](" not in found


@given(st.text("abcXYZ0129 .,-_+=[]:", max_size=100))
def test_what_is_plain_stays_as_it_is(text: str) -> None:
    assert harmless(text, 200) == text


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("<!channel> <http://evil.example|click>", "‹!channel› ‹http:/ /evil.example|click›"),
        ("@everyone", "＠everyone"),
        ("[bank](https://evil.example)", "[bank] (https:/ /evil.example)"),
        ("a\r\nSubject: b", r"a\x0d\x0aSubject: b"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("b\udce9", r"b\xe9"),
    ],
)
def test_it_can_still_be_read(said: str, shown: str) -> None:
    assert harmless(said) == shown
