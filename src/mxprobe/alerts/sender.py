"""Empties the outbox: each target has a task of its own, so that one that is dead holds up nobody."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import secrets
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Protocol

from mxprobe.alerts.by_webhook import NotDelivered, post
from mxprobe.alerts.retries import FORGET_AFTER, GIVE_UP_AFTER, is_over, pause_after
from mxprobe.alerts.targets import AlertTarget, Webhook
from mxprobe.alerts.templates import level_of, render
from mxprobe.errors import StoreError
from mxprobe.store import Delivery, Store

POLL_SECONDS = 5.0
"""How often the outbox is looked into for what another process has put there."""

LEASE = timedelta(minutes=5)
"""How long a message is held for an attempt: longer than any attempt takes."""

_LET_GO_EVERY = timedelta(hours=1)
_SEEMS_DEAD = 3
"""Messages that fail one after the other: one may be refused for what is in it, and is not to hold up the others."""

_DATABASE_PAUSE_SECONDS = 30.0
_log = logging.getLogger("mxprobe.alerts")

Level = Literal["info", "warning", "error"]
Tell = Callable[[Level, str, str], None]
"""Takes what is to be logged: how bad it is, which alert (empty: none of them), and a sentence without secrets."""


def log(level: Level, alert: str, text: str) -> None:
    """Tell it to Python's logging."""
    _log.log(getattr(logging, level.upper()), "%s", f"alert {alert}: {text}" if alert else text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Emptied:
    """What one pass over the outbox came to, in messages."""

    sent: int
    failed: int


class _Way(Protocol):
    async def __call__(self, document: dict[str, Any], key: str) -> None: ...


class Sender:
    """Sends what the outbox holds for some targets, as long as it runs.

    Each message at least once, always under the same key: a process that dies between sending and saying so leaves a
    message that is sent again. What cannot be sent is tried again after growing pauses, and given up in the end.
    """

    def __init__(
        self,
        store: Store,
        targets: Iterable[AlertTarget],
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        poll_seconds: float = POLL_SECONDS,
        tell: Tell = log,
    ) -> None:
        self._store = store
        self._targets = tuple(targets)
        self._now = now
        self._poll_seconds = poll_seconds
        self._tell = tell
        self._by = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._wakes = {target.name: asyncio.Event() for target in self._targets}
        self._ways = {target.name: way_to(target, now) for target in self._targets}

    def wake(self) -> None:
        """Say that there is something new in the outbox; without it, that is seen a little later."""
        for wake in self._wakes.values():
            wake.set()

    async def run(self) -> None:
        """Send until cancelled. Nothing ends it: neither a target nor the database."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._let_go())
            for target in self._targets:
                tasks.create_task(self._serve(target))

    async def once(self) -> Emptied:
        """Try all that is due, each target until it fails so often that it seems dead; for a program that ends
        afterwards.

        Raises:
            StoreError: the database fails.
        """
        async with asyncio.TaskGroup() as tasks:
            found = [tasks.create_task(self._until_failure(target)) for target in self._targets]
        results = [each.result() for each in found]
        return Emptied(sent=sum(sent for sent, _ in results), failed=sum(failed for _, failed in results))

    async def _until_failure(self, target: AlertTarget) -> tuple[int, int]:
        sent = failed = in_a_row = 0
        while in_a_row < _SEEMS_DEAD and (done := await self._next(target)) is not None:
            sent, failed = sent + done, failed + (not done)
            in_a_row = 0 if done else in_a_row + 1
        return sent, failed

    async def _serve(self, target: AlertTarget) -> None:
        failures = 0
        wake = self._wakes[target.name]
        while True:
            wake.clear()
            try:
                done = await self._next(target)
            except StoreError as error:
                self._tell("error", target.name, f"waits for the database: {error}")
                await asyncio.sleep(_DATABASE_PAUSE_SECONDS)
                continue
            if done is None:
                await _wait(wake, self._poll_seconds)
            elif done:
                failures = 0
            else:
                # Others that wait for this target would most likely fail too; each is tried in its turn all the same.
                failures += 1
                await asyncio.sleep(min(pause_after(failures).total_seconds(), self._poll_seconds * failures, 300.0))

    async def _next(self, target: AlertTarget) -> bool | None:
        """Try one message; whether it was sent, None where none is due."""
        now = self._now()
        delivery = await self._store.claim_delivery(target.name, now, now + LEASE, by=self._by)
        if delivery is None:
            return None
        try:
            await self._ways[target.name](dict(delivery.document), delivery.key)
        except NotDelivered as error:
            await self._failed(delivery, str(error))
            return False
        except asyncio.CancelledError:
            # Whether it got through nobody knows; it is due at once for whoever comes next.
            await self._store.postpone(delivery, self._now(), "the sender was stopped")
            raise
        except Exception as error:  # a message that cannot be told is not to hold up the others
            await self._failed(delivery, f"it cannot be told: {type(error).__name__}")
            return False
        if delivery.attempts:
            self._tell("info", target.name, f"a message was sent at attempt {delivery.attempts + 1}")
        await self._store.delivered(delivery, self._now())
        return True

    async def _failed(self, delivery: Delivery, problem: str) -> None:
        now = self._now()
        next_at = now + pause_after(delivery.attempts + 1, delivery.key)
        if is_over(delivery.created_at, next_at):
            self._tell("error", delivery.alert, f"given up after {delivery.attempts + 1} attempts: {problem}")
            await self._store.give_up(delivery, now, problem)
        else:
            self._tell("warning", delivery.alert, f"attempt {delivery.attempts + 1} failed: {problem}")
            await self._store.postpone(delivery, next_at, problem)

    async def _let_go(self) -> None:
        while True:
            now = self._now()
            try:
                given_up = await self._store.let_go(
                    now, waiting_since=now - GIVE_UP_AFTER - LEASE, done_before=now - FORGET_AFTER
                )
                if given_up:
                    self._tell("error", "", f"{given_up} messages were given up: no alert of this name was there")
            except StoreError as error:
                self._tell("error", "", f"the outbox waits for the database: {error}")
            await asyncio.sleep(_LET_GO_EVERY.total_seconds())


def way_to(target: AlertTarget, now: Callable[[], datetime]) -> _Way:
    """How a message gets to a target: called with the document and its key, raises `NotDelivered`."""
    where = target.where
    if isinstance(where, Webhook):

        async def to_webhook(document: dict[str, Any], key: str) -> None:
            from mxprobe import __version__

            body = json.dumps({"id": key, **document}, separators=(",", ":"), sort_keys=True).encode("ascii")
            await post(where, body, key=key, timestamp=int(now().timestamp()), version=__version__)

        return to_webhook
    from mxprobe.alerts.by_apprise import Sending

    sending = Sending(where)

    async def by_apprise(document: dict[str, Any], key: str) -> None:
        ends = level_of(document) == "recovered"
        await sending.send(render(target.template, document, key), "ok" if ends else str(document["severity"]))

    return by_apprise


async def _wait(wake: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await wake.wait()
    except TimeoutError:
        return
