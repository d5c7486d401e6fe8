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
from mxprobe.alerts.headlines import headline
from mxprobe.alerts.messages import event_document
from mxprobe.alerts.templates import DEFAULT, FIELDS, MAX_TEXT, MAX_TITLE, parse_template, render
from mxprobe.verdict.events import EVENTS

KEY = "0" * 64
HOSTILE = st.text(st.characters(codec=None), max_size=300) | st.text("{}<>@`[](:/)\n\r\x00x", max_size=80)


def test_our_text_says_what_happened_with_its_evidence() -> None:
    times = {"before_since": "2026-01-02T03:04:05+00:00", "before_until": "2026-02-28T11:59:30+00:00"}
    lost = replace(LOST, evidence={**LOST.evidence, **times, "reason": "STARTTLS is no longer offered"})
    text = render(DEFAULT, event_document(lost, ("partners",)), KEY)
    assert text.title == "[critical] a.example: STARTTLS is gone at mx1.a.example[192.0.2.1]:25"
    assert text.body.splitlines() == [
        "STARTTLS is no longer offered",
        "",
        "next-hop: a.example (partners)",
        "endpoint: mx1.a.example[192.0.2.1]:25",
        "since: between 2026-02-28 11:59:30 UTC and 2026-03-01 12:00:00 UTC",
        "was: works, since 2026-01-02 03:04:05 UTC",
        "now: not-offered",
        "event: starttls-vanished",
        "source: RFC 3207 §4",
        "",
        "reply: 250-SIZE 10240000",
        "capabilities: SIZE, 8BITMIME",
        "",
        f"mxprobe {KEY}",
    ]


def test_a_recovery_is_called_one() -> None:
    text = render(DEFAULT, event_document(BACK), KEY)
    assert text.title == "[recovered] a.example: STARTTLS works at mx1.a.example[192.0.2.1]:25"
    assert "ends: starttls-vanished" in text.body.splitlines()


def test_what_ends_one_thing_and_is_wrong_itself_is_as_bad_as_that() -> None:
    lost_in_the_dark = replace(LOST, evidence={"recovers": "unknown-for-long"})
    assert render(DEFAULT, event_document(lost_in_the_dark), KEY).title.startswith("[critical] ")


def test_what_is_new_and_worse_was_not_better_before() -> None:
    worse = replace(LOST, kind="weaker-endpoint")
    body = render(DEFAULT, event_document(worse), KEY).body
    assert "now: not-offered" in body
    assert "was: " not in body


@pytest.mark.parametrize("kind", EVENTS)
def test_each_kind_of_event_has_words_that_say_what_it_is(kind: str) -> None:
    said = headline({"type": "event", "kind": kind, "aspect": "version TLSv1.2", "recovers": "version-gone"})
    assert kind not in said
    assert "{" not in said


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"kind": "recovered", "recovers": "starttls-vanished"}, 'over: "STARTTLS is gone"'),
        ({"kind": "recovered", "recovers": "flapping", "aspect": "starttls"}, "stable: STARTTLS"),
        (
            {"kind": "version-gone", "aspect": "version {TLSv1.2}", "endpoint": "m[e]:25"},
            "{TLSv1.2} is gone at m[e]:25",
        ),
        ({"kind": "of {a} newer version"}, "of {a} newer version"),
        (
            {"type": "summary", "count": 6, "events": [{"kind": "starttls-vanished", "endpoint": "m[e]:25"}]},
            "STARTTLS is gone for 6 targets",
        ),
    ],
)
def test_a_headline_says_it_in_a_few_words(document: dict[str, object], said: str) -> None:
    assert headline(document) == said


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
