"""The messages that the documentation shows are those of the event that they are about, word for word."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from examples.told import target
from mxprobe.alerts.enqueueing import enqueue
from mxprobe.alerts.messages import delivery_key, event_document, event_key, summary_document
from mxprobe.alerts.templates import DEFAULT, render
from mxprobe.verdict.events import Event
from mxprobe.verdict.seen import Aspect
from mxprobe.verdict.summaries import summaries

ROOT = Path(__file__).resolve().parents[3]
ALERTS = (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
ENDPOINT = "mx1.example.com[192.0.2.1]:25"
EVENT = Event(
    kind="starttls-vanished",
    severity="critical",
    next_hop="example.com",
    endpoint=ENDPOINT,
    aspect=Aspect(kind="starttls", endpoint=ENDPOINT),
    before="works",
    after="none",
    at=datetime(2026, 3, 5, 2, 3, 4, tzinfo=UTC),
    summary="STARTTLS is gone (it worked): STARTTLS is not offered: mail goes in clear text",
    evidence={
        "state": "not-offered",
        "reply": "250 mx1.example.com / SIZE 10240000 / 8BITMIME",
        "before_since": "2025-11-20T02:03:01+00:00",
        "before_until": "2026-03-04T02:03:02+00:00",
    },
    source="RFC 3207 §4",
)
KEY = delivery_key("postmaster", event_key(EVENT))


def test_the_mail_is_what_is_sent_of_this_event() -> None:
    text = render(DEFAULT, event_document(EVENT, ("partners",)), KEY)
    assert f"```\nSubject: {text.title}\n\n{text.body}\n```" in ALERTS


def test_the_readme_shows_the_beginning_of_it() -> None:
    text = render(DEFAULT, event_document(EVENT, ("partners",)), KEY)
    beginning = "\n".join(text.body.splitlines()[:6])
    assert f"```\nSubject: {text.title}\n\n{beginning}\n```" in README


def test_the_body_of_a_webhook_is_what_is_sent_of_this_event() -> None:
    (shown,) = re.findall(r"^```json\n(.*?)^```$", ALERTS, re.MULTILINE | re.DOTALL)
    (row,) = enqueue((EVENT,), (), (target("postmaster"),), groups_of=lambda _name: ("partners",), now=EVENT.at)
    assert json.loads(shown) == {"id": row.key, **row.document}


def test_a_summary_says_who_what_where_and_since_when_in_its_first_lines() -> None:
    events = [replace(EVENT, next_hop=f"customer{number}.example") for number in range(6)]
    (summary,) = summaries(events, lambda _host: "example.com")
    text = render(DEFAULT, summary_document(summary, ("partners",)), KEY)
    assert text.title == "[critical] example.com: STARTTLS is gone for 6 targets"
    assert text.body.splitlines()[2:6] == [
        "provider: example.com",
        "groups: partners",
        "since: between 2026-03-04 02:03:02 UTC and 2026-03-05 02:03:04 UTC",
        "event: starttls-vanished",
    ]
