"""Events as tests of alerts tell them, and who is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from mxprobe.alerts.targets import AlertTarget, Webhook
from mxprobe.verdict.events import Event
from mxprobe.verdict.seen import Aspect

AT = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
SECRET = b"0123456789abcdef0123456789abcdef"
ENDPOINT = "mx1.a.example[192.0.2.1]:25"

LOST = Event(
    kind="starttls-vanished",
    severity="critical",
    next_hop="a.example",
    endpoint=ENDPOINT,
    aspect=Aspect(kind="starttls", endpoint=ENDPOINT),
    before="works",
    after="not-offered",
    at=AT,
    summary="STARTTLS is no longer offered",
    evidence={"reply": "250-SIZE 10240000", "capabilities": ("SIZE", "8BITMIME")},
    source="RFC 3207 §4",
)
BACK = replace(
    LOST,
    kind="starttls-appeared",
    severity="info",
    before="not-offered",
    after="works",
    summary="STARTTLS works again",
    evidence={"recovers": "starttls-vanished"},
)
NEW_MX = replace(LOST, kind="mx-added", severity="info", endpoint="", aspect=Aspect(kind="mx", item="mx2.a.example"))


def webhook_to(port: int, path: str = "/hook") -> Webhook:
    """A webhook on this machine, without TLS."""
    return Webhook(tls=False, host="127.0.0.1", port=port, authority=f"127.0.0.1:{port}", path=path, secret=SECRET)


def target(name: str = "ops", **changes: object) -> AlertTarget:
    """A target that is never sent to."""
    return replace(AlertTarget(name=name, where=webhook_to(9)), **changes)  # type: ignore[arg-type]
