"""A template is filled once: what a peer says is never read as one, and no line of the text is begun by it."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.told import BACK, LOST
from mxprobe.alerts.messages import event_document
from mxprobe.alerts.templates import DEFAULT, FIELDS, MAX_TEXT, MAX_TITLE, parse_template, render

KEY = "0" * 64
HOSTILE = st.text(st.characters(codec=None), max_size=300) | st.text("{}<>@`[](:/)\n\r\x00x", max_size=80)


def test_our_text_says_what_happened_with_its_evidence() -> None:
    text = render(DEFAULT, event_document(LOST, ("partners",)), KEY)
    assert text.title == "[critical] a.example: starttls-vanished"
    assert text.body.splitlines() == [
        "STARTTLS is no longer offered",
        "",
        "next-hop: a.example",
        "endpoint: mx1.a.example[192.0.2.1]:25",
        "groups: partners",
        "changed: from works to not-offered",
        "at: 2026-03-01T12:00:00Z",
        "source: RFC 3207 §4",
        "",
        "reply: 250-SIZE 10240000",
        "capabilities: SIZE, 8BITMIME",
        "",
        f"mxprobe {KEY}",
    ]


def test_a_recovery_is_called_one() -> None:
    text = render(DEFAULT, event_document(BACK), KEY)
    assert text.title == "[recovered] a.example: starttls-appeared"
    assert "ends: starttls-vanished" in text.body.splitlines()


@given(HOSTILE, HOSTILE, st.dictionaries(HOSTILE, HOSTILE | st.none() | st.booleans() | st.integers(), max_size=5))
def test_whatever_a_peer_says_the_text_has_no_line_but_ours(said: str, value: str, evidence: dict[str, object]) -> None:
    event = replace(LOST, summary=said, before=value, after=None, endpoint=said, evidence=evidence)  # type: ignore[arg-type]
    text = render(DEFAULT, event_document(event, (said,)), KEY)
    assert len(text.title) <= MAX_TITLE
    assert len(text.body) <= MAX_TEXT
    assert "\n" not in text.title
    assert not any(unicodedata.category(each)[0] == "C" for each in text.title + text.body.replace("\n", ""))
    assert not set("<>`@") & set(text.title + text.body)
    filled = len([each for each in text.body.splitlines() if each])
    assert filled <= 1 + 8 + len(evidence) + 1


@given(HOSTILE)
def test_a_field_in_what_a_peer_says_is_text(said: str) -> None:
    template = parse_template("{kind}\n{summary}|{after}")
    text = render(template, event_document(replace(LOST, summary="{id}{0}{x.y}" + said, after="{id}")), KEY)
    assert text.body.startswith("{id}{0}{x.y}")
    assert text.body.endswith("|{id}")
    assert KEY not in text.body


@given(st.text(max_size=300))
def test_any_text_is_a_template_or_refused_with_its_line(text: str) -> None:
    problem = ""
    try:
        render(parse_template(text), event_document(LOST), KEY)
    except ValueError as error:
        problem = str(error)
    assert re.match(r"line \d+: |$", problem)


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_can_be_used_and_is_documented(field: str) -> None:
    render(parse_template(f"t {{{field}}}\n{{{field}}}"), event_document(LOST), KEY)
    assert f"\n| `{field}` |" in (Path(__file__).parents[3] / "docs/alerts.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{title}\n", "line 1: there is no field {title}"),
        ("ok\n\n{summary.__class__}", "line 3: there is no field {summary.__class__}"),
        ("ok\n{summary!r}", "line 2: {summary} takes no format"),
        ("ok\n{summary:>10000000}", "line 2: {summary} takes no format"),
        ("ok\n{", "line 2: "),
        ("ok\n}", "line 2: "),
        ("ok\n{}", "line 2: there is no field {}"),
        ("", "line 1: no title"),
    ],
)
def test_a_mistake_in_a_template_is_told_with_its_line(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=re.escape(problem)):
        parse_template(text)
