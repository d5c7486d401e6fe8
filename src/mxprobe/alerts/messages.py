"""What is told, as a document of JSON: an event, a summary of many, a test. It has all that a text is made of."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from mxprobe.report.escape import visible
from mxprobe.verdict.events import Event
from mxprobe.verdict.summaries import Summary

SCHEMA = "mxprobe-alert/1"

MAX_LISTED = 100
"""Events and next-hops that a summary or digest lists; `count` has the number of all."""


_SURROGATE = re.compile("[\ud800-\udfff]")


def event_key(event: Event) -> str:
    """SHA-256 in hex of what makes an event this one: the same for the same event, whoever noticed it."""
    aspect = event.aspect
    named = (event.next_hop, event.kind, event.endpoint, aspect.kind, aspect.endpoint, aspect.item)
    return digest_of("event", *named, event.before, event.after, moment(event.at))


def summary_key(summary: Summary) -> str:
    """The same for a summary: that of all its events."""
    return digest_of("summary", summary.kind, summary.provider, *sorted(event_key(event) for event in summary.events))


def delivery_key(alert: str, key: str) -> str:
    """The idempotency key of a message for one target."""
    return digest_of("delivery", alert, key)


def event_document(event: Event, groups: Iterable[str] = ()) -> dict[str, Any]:
    """An event as a message; `groups` are those of its next-hop."""
    return blank_document(
        type="event",
        **_event(event),
        groups=list(groups),
        next_hops=[event.next_hop],
        count=1,
    )


def summary_document(summary: Summary, groups: Iterable[str] = ()) -> dict[str, Any]:
    """A summary as a message, with the first of its events."""
    recovers = {event.recovers for event in summary.events}
    return blank_document(
        type="summary",
        kind=summary.kind,
        severity=summary.severity,
        recovers=recovers.pop() if len(recovers) == 1 else "",
        provider=summary.provider,
        at=moment(summary.until),
        summary=summary.summary,
        groups=list(groups),
        next_hops=list(summary.next_hops[:MAX_LISTED]),
        count=len(summary.next_hops),
        events=[_plain(_event(event)) for event in summary.events[:MAX_LISTED]],
    )


def trial_document(alert: str, at: datetime) -> dict[str, Any]:
    """A message by which a target is tried."""
    said = f"This is a test of the alert {alert!r} of mxprobe. Nothing has happened."
    return blank_document(type="test", kind="test", severity="info", at=moment(at), summary=said)


def digest_of(*parts: str | None) -> str:
    """SHA-256 in hex of some texts, of which None is not the empty one."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def moment(at: datetime) -> str:
    """A time as in all documents: ISO 8601 in UTC, to the microsecond where there are some."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _event(event: Event) -> dict[str, Any]:
    return {
        "kind": event.kind,
        "severity": event.severity,
        "recovers": event.recovers,
        "next_hop": event.next_hop,
        "endpoint": event.endpoint,
        "aspect": str(event.aspect),
        "before": event.before,
        "after": event.after,
        "at": moment(event.at),
        "summary": event.summary,
        "evidence": dict(event.evidence),
        "source": event.source,
    }


def blank_document(**parts: Any) -> dict[str, Any]:
    """A message with every field of the contract; those that are not given are empty."""
    empty: dict[str, Any] = {
        "schema": SCHEMA,
        "type": "",
        "kind": "",
        "severity": "info",
        "recovers": "",
        "next_hop": "",
        "endpoint": "",
        "aspect": "",
        "provider": "",
        "groups": [],
        "next_hops": [],
        "count": 0,
        "before": None,
        "after": None,
        "at": "",
        "summary": "",
        "evidence": {},
        "source": "",
        "events": [],
    }
    found: dict[str, Any] = _plain({**empty, **parts})
    return found


def _plain(value: Any) -> Any:
    r"""A value for JSON that every reader takes: bytes that no charset explains (PEP 383) are written out as ``\x80``,
    lone surrogates as ``\ud800``."""
    if isinstance(value, str):
        return _SURROGATE.sub(lambda found: visible(found.group()), value)
    if isinstance(value, Mapping):
        return {_plain(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value
