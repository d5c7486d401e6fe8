"""What is in the outbox reaches its targets: mail and signed JSON, at least once, whoever dies and whatever is dead."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from examples.stored import NOW, route
from examples.told import AT, BACK, LOST, SECRET, target, webhook_to
from mxprobe.alerts.by_apprise import Sending
from mxprobe.alerts.by_webhook import NotDelivered
from mxprobe.alerts.enqueueing import enqueue
from mxprobe.alerts.gathering import EARLY, HOLD, Gathering
from mxprobe.alerts.retries import GIVE_UP_AFTER
from mxprobe.alerts.sender import LEASE, Emptied, Sender
from mxprobe.alerts.targets import AlertTarget, Service
from mxprobe.alerts.templates import Text
from mxprobe.alerts.urls import service
from mxprobe.errors import StoreError
from mxprobe.store import KeptEvent, NewDelivery, Store, TargetResult, open_store
from servers.receivers import WebhookReceiver, mail_receiver, webhook_receiver

TESTS = Path(__file__).parents[1]
RESULT = TargetResult(
    next_hop="a.example",
    started_at=NOW,
    finished_at=NOW,
    settings_digest="digest",
    route=route(),
    events=(KeptEvent(next_hop="a.example", kind=LOST.kind, severity="critical", state="yes", at=AT),),
)


class Clock:
    """A time that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with webhook_receiver(SECRET) as running:
        yield running


def rows(*targets: AlertTarget, now: datetime, count: int = 1) -> tuple[NewDelivery, ...]:
    events = [replace(LOST, next_hop=f"d{number}.example") for number in range(count)]
    return enqueue(events, (), targets, groups_of=lambda name: (), now=now)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


async def test_a_webhook_gets_what_is_signed_with_its_key(
    store_url: str, receiver: WebhookReceiver, clock: Clock
) -> None:
    hook = target(where=webhook_to(receiver.port, "/a/b?c=d"))
    (row,) = enqueue((LOST,), (), (hook,), groups_of=lambda name: ("partners",), now=clock())
    async with open_store(store_url) as store:
        assert await store.save_target(replace(RESULT, deliveries=(row,)))
        assert await Sender(store, (hook,), now=clock).once() == Emptied(sent=1, failed=0)
        assert await Sender(store, (hook,), now=clock).once() == Emptied(sent=0, failed=0)
    (post,) = receiver.posts
    assert receiver.is_signed(post)
    assert not WebhookReceiver(b"x" * 32).is_signed(post)
    assert post.path == "/a/b?c=d"
    assert post.headers["mxprobe-timestamp"] == str(int(clock().timestamp()))
    assert post.headers["content-type"] == "application/json"
    document = json.loads(post.body)
    assert document["id"] == post.headers["idempotency-key"] == row.key
    assert (document["schema"], document["type"], document["kind"]) == ("mxprobe-alert/1", "event", "starttls-vanished")
    assert document["evidence"] == {"reply": "250-SIZE 10240000", "capabilities": ["SIZE", "8BITMIME"]}
    assert document["groups"] == ["partners"]


async def test_mail_says_what_happened_and_what_a_peer_said_makes_no_header(store_url: str, clock: Clock) -> None:
    said = "gone\r\nBcc: all@evil.example\r\n\r\n<script>"
    hostile = replace(LOST, summary=said, endpoint="mx\n\udce9[192.0.2.1]:25")
    async with mail_receiver() as receiver, open_store(store_url) as store:
        where = service(f"mailto://127.0.0.1:{receiver.port}?from=mxprobe@a.example&to=ops@b.example")
        mail = target(where=where)
        sender = Sender(store, (mail,), now=clock)
        await store.enqueue(enqueue((hostile, BACK), (), (mail,), groups_of=lambda name: (), now=clock()))
        assert await sender.once() == Emptied(sent=2, failed=0)
    told = {str(mail["Subject"]): mail for mail in receiver.mails}
    assert set(told) == {
        r"[critical] a.example: STARTTLS is gone at mx\x0a\xe9[192.0.2.1]:25",
        "[recovered] a.example: STARTTLS works at mx1.a.example[192.0.2.1]:25",
    }
    lost = next(mail for subject, mail in told.items() if subject.startswith("[critical]"))
    assert lost["Bcc"] is None
    assert "ops@b.example" in str(lost["To"])
    body = lost.get_body(("plain", "html"))
    assert body is not None
    text = body.get_content()
    assert r"gone\x0d\x0aBcc: all＠evil.example" in text
    assert "<script>" not in text
    assert "capabilities: SIZE, 8BITMIME" in text


async def test_who_refuses_is_asked_again_later_with_the_same_key(
    store_url: str, receiver: WebhookReceiver, clock: Clock
) -> None:
    answers: list[int | None] = [500, None, 302, 404, 204]
    receiver.status = lambda number: answers[number - 1]
    hook = target(where=webhook_to(receiver.port))
    async with open_store(store_url) as store:
        await store.enqueue(rows(hook, now=clock()))
        sender = Sender(store, (hook,), now=clock)
        waits = []
        for _ in answers[:-1]:
            assert await sender.once() == Emptied(sent=0, failed=1)
            assert await sender.once() == Emptied(sent=0, failed=0), "it is not due yet"
            before = clock.now
            while await store.claim_delivery("ops", clock(), clock(), by="nobody") is None:
                clock.now += timedelta(seconds=1)
            waits.append(clock.now - before)
        assert await sender.once() == Emptied(sent=1, failed=0)
        (standing,) = await store.alert_standing(clock() - timedelta(days=1))
        assert (standing.waiting, standing.failing, standing.given_up) == (0, 0, 0)
    assert waits == sorted(waits)
    assert waits[-1] >= 4 * waits[0]
    assert len({post.headers["idempotency-key"] for post in receiver.posts}) == 1
    assert len({post.body for post in receiver.posts}) == 1
    assert all(receiver.is_signed(post) for post in receiver.posts)


async def test_what_waited_for_a_dead_target_is_told_in_its_order(
    store_url: str, receiver: WebhookReceiver, clock: Clock
) -> None:
    receiver.status = lambda number: 503 if number == 1 else 200
    hook = target(where=webhook_to(receiver.port))
    async with open_store(store_url) as store:
        for event, failed in ((LOST, 1), (BACK, 0)):
            await store.enqueue(enqueue((event,), (), (hook,), groups_of=lambda name: (), now=clock()))
            if failed:
                assert await Sender(store, (hook,), now=clock).once() == Emptied(sent=0, failed=1)
        clock.now += timedelta(minutes=1)
        assert await Sender(store, (hook,), now=clock).once() == Emptied(sent=2, failed=0)
    assert [json.loads(post.body)["kind"] for post in receiver.posts] == [LOST.kind, LOST.kind, BACK.kind]


async def test_a_message_that_is_refused_again_and_again_does_not_hold_up_the_others(
    store_url: str, receiver: WebhookReceiver, clock: Clock
) -> None:
    receiver.status = lambda number: 400 if b"d0.example" in receiver.posts[number - 1].body else 200
    hook = target(where=webhook_to(receiver.port))
    async with open_store(store_url) as store:
        await store.enqueue(rows(hook, now=clock(), count=4))
        assert await Sender(store, (hook,), now=clock).once() == Emptied(sent=3, failed=1)


async def test_a_target_that_takes_nothing_is_left_alone_soon(
    store_url: str, receiver: WebhookReceiver, clock: Clock
) -> None:
    receiver.status = lambda number: 503
    hook = target(where=webhook_to(receiver.port))
    async with open_store(store_url) as store:
        await store.enqueue(rows(hook, now=clock(), count=20))
        assert (await Sender(store, (hook,), now=clock).once()).sent == 0
    assert len(receiver.posts) == 3


async def test_a_dead_target_holds_up_nobody_and_is_given_up_in_the_end(
    store_url: str, receiver: WebhookReceiver, clock: Clock
) -> None:
    dead, mute, alive = (
        target("dead", where=webhook_to(1)),
        target("mail", where=service("mailto://127.0.0.1:1?from=a@a.example&to=b@b.example")),
        target("alive", where=webhook_to(receiver.port)),
    )
    async with open_store(store_url) as store:
        await store.enqueue(rows(dead, mute, alive, now=clock(), count=20))
        running = asyncio.create_task(Sender(store, (dead, mute, alive), now=clock, poll_seconds=0.01).run())
        await until(lambda: len(receiver.posts) == 20)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        standing = {each.alert: each for each in await store.alert_standing(clock() - timedelta(days=1))}
        assert standing["dead"].waiting == standing["mail"].waiting == 20
        assert standing["dead"].failing > 0
        clock.now += GIVE_UP_AFTER
        sender = Sender(store, (dead,), now=clock)
        for _ in range(20):
            await sender.once()
        standing = {each.alert: each for each in await store.alert_standing(clock() - timedelta(days=1))}
        assert (standing["dead"].waiting, standing["dead"].given_up) == (0, 20)


async def test_a_service_that_hangs_is_not_asked_twice_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mxprobe.alerts.by_apprise.TIMEOUT_SECONDS", 0.2)
    connections = 0
    over = asyncio.Event()

    async def says_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await over.wait()
        writer.close()

    server = await asyncio.start_server(says_nothing, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    where = service(f"mailto://127.0.0.1:{port}?from=a@a.example&to=b@b.example")
    assert isinstance(where, Service)
    sending = Sending(where)
    text = Text(title="t", body="b")
    with pytest.raises(NotDelivered, match="no end of it within"):
        await sending.send(text, "warning")
    with pytest.raises(NotDelivered, match="the attempt before has not ended yet"):
        await sending.send(text, "warning")
    assert connections == 1
    over.set()
    await until(lambda: sending.is_idle)
    server.close()
    await server.wait_closed()


async def test_what_no_target_asks_for_any_more_is_given_up_and_forgotten(store_url: str, clock: Clock) -> None:
    async with open_store(store_url) as store:
        await store.enqueue(rows(target("gone"), now=clock(), count=3))
        now = clock() + timedelta(days=6)
        assert await store.let_go(now, waiting_since=now - timedelta(days=5), done_before=now - timedelta(days=60)) == 3
        (standing,) = await store.alert_standing(now - timedelta(days=1))
        assert (standing.waiting, standing.given_up) == (0, 3)
        now += timedelta(days=61)
        await store.let_go(now, waiting_since=now, done_before=now - timedelta(days=60))
        assert await store.alert_standing(now) == ()


async def test_the_same_event_is_kept_and_told_once(store_url: str, receiver: WebhookReceiver, clock: Clock) -> None:
    hook = target(where=webhook_to(receiver.port))
    async with open_store(store_url) as store:
        for _ in range(3):
            await store.add_events(RESULT.events, deliveries=rows(hook, now=clock()))
        assert await Sender(store, (hook,), now=clock).once() == Emptied(sent=1, failed=0)
        await store.enqueue(rows(hook, now=clock()))
        assert await Sender(store, (hook,), now=clock).once() == Emptied(sent=0, failed=0)


async def test_what_is_not_kept_is_not_told(store_url: str, clock: Clock) -> None:
    async with open_store(store_url) as store:
        await store.plan("g", {"a.example": clock()})
        (work,) = await store.claim(clock(), clock() + LEASE, by="one", limit=1)
        await store.release(work)
        assert not await store.save_target(replace(RESULT, deliveries=rows(target(), now=clock())), work=work)
        assert await store.alert_standing(clock()) == ()


def gathering(store: Store, *targets: AlertTarget, now: Clock) -> Gathering:
    return Gathering(
        store,
        targets,
        groups_of=lambda name: ("odd" if int(name[1]) % 2 else "even",),
        provider_of=lambda host: "a.example",
        now=now,
    )


HELD = [replace(LOST, next_hop=f"d{number}.example") for number in range(6)]


async def test_a_summary_takes_the_place_of_what_is_held_back_for_it(
    store_url: str, receiver: WebhookReceiver, clock: Clock
) -> None:
    hook, odd = (
        target(where=webhook_to(receiver.port)),
        target("odd", where=webhook_to(receiver.port), groups=("odd",)),
    )
    async with open_store(store_url) as store:
        gathered = gathering(store, hook, odd, now=clock)
        sender = Sender(store, (hook, odd), now=clock)
        for event in HELD:
            await store.enqueue(gathered.deliveries((event,)))
            gathered.kept((event,))
            clock.now += timedelta(seconds=1)
        assert await gathered.summarise() == 0, "others may come"
        assert await sender.once() == Emptied(sent=0, failed=0)
        clock.now += HOLD - EARLY
        assert await gathered.summarise() == 2
        clock.now += EARLY
        assert await sender.once() == Emptied(sent=2, failed=0)
        clock.now += HOLD
        assert await gathered.summarise() == 0
        assert await sender.once() == Emptied(sent=0, failed=0)
    counts = {json.loads(post.body)["count"] for post in receiver.posts}
    assert {json.loads(post.body)["type"] for post in receiver.posts} == {"summary"}
    assert counts == {6, 3}


async def test_what_waited_for_others_in_vain_or_died_with_its_process_is_told_alone(
    store_url: str, receiver: WebhookReceiver, clock: Clock
) -> None:
    hook = target(where=webhook_to(receiver.port))
    async with open_store(store_url) as store:
        dies = gathering(store, hook, now=clock)
        await store.enqueue(row for event in HELD for row in dies.deliveries((event,)))
        clock.now += HOLD
        assert await Sender(store, (hook,), now=clock).once() == Emptied(sent=6, failed=0)
        few = gathering(store, hook, now=clock)
        later = [replace(event, at=event.at + HOLD) for event in HELD[:4]]
        await store.enqueue(few.deliveries(later))
        few.kept(later)
        clock.now += HOLD
        assert await few.summarise() == 0, "too few for a summary"
        assert await Sender(store, (hook,), now=clock).once() == Emptied(sent=4, failed=0)


async def test_a_summary_that_comes_too_late_tells_nothing_twice(
    store_url: str, receiver: WebhookReceiver, clock: Clock
) -> None:
    hook = target(where=webhook_to(receiver.port))
    async with open_store(store_url) as store:
        late = gathering(store, hook, now=clock)
        await store.enqueue(late.deliveries(HELD))
        late.kept(HELD)
        clock.now += HOLD
        claimed = await store.claim_delivery("ops", clock(), clock() + LEASE, by="one")
        assert claimed is not None
        assert await late.summarise() == 0
        assert await store.delivered(claimed, clock())
        assert await Sender(store, (hook,), now=clock).once() == Emptied(sent=5, failed=0)


async def test_two_senders_share_the_work(store_url: str, receiver: WebhookReceiver, clock: Clock) -> None:
    hook = target(where=webhook_to(receiver.port))
    async with open_store(store_url) as one, open_store(store_url) as two:
        await one.enqueue(rows(hook, now=clock(), count=30))
        found = await asyncio.gather(*(Sender(each, (hook,), now=clock).once() for each in (one, two)))
    assert sum(each.sent for each in found) == 30
    assert len({post.headers["idempotency-key"] for post in receiver.posts}) == len(receiver.posts) == 30


SENDS = """
import asyncio, sys
from examples.told import target, webhook_to
from mxprobe.alerts.sender import Sender
from mxprobe.store import open_store

async def main(url, port):
    async with open_store(url) as store:
        await Sender(store, (target(where=webhook_to(port)),), poll_seconds=0.01).run()

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


@pytest.mark.parametrize("dies_at", [1, 4, 9])
async def test_a_sender_that_is_killed_in_the_middle_loses_nothing(
    store_url: str, receiver: WebhookReceiver, clock: Clock, dies_at: int
) -> None:
    killed: list[int] = []
    count = 10

    def status(number: int) -> int | None:
        if number == dies_at:
            process.send_signal(signal.SIGKILL)
            process.wait()
            killed.append(number)
        return 200

    receiver.status = status
    hook = target(where=webhook_to(receiver.port))
    async with open_store(store_url) as store:
        kept = rows(hook, now=clock(), count=count)
        await store.enqueue(kept)
        process = subprocess.Popen(
            [sys.executable, "-c", SENDS, store_url, str(receiver.port)], env={"PYTHONPATH": str(TESTS)}
        )
        await until(lambda: bool(killed))
        sender = Sender(store, (hook,), now=clock)
        await sender.once()
        clock.now += LEASE + timedelta(seconds=5)
        await sender.once()
    keys = [post.headers["idempotency-key"] for post in receiver.posts]
    assert set(keys) == {row.key for row in kept}, "nothing is lost"
    assert len(keys) == count + 1, "what was under way is told again, and nothing else"
    assert keys.count(keys[dies_at - 1]) == 2, "under the same key"


async def test_a_sender_that_is_stopped_leaves_nothing_held(
    store_url: str, receiver: WebhookReceiver, clock: Clock
) -> None:
    entered, go_on = asyncio.Event(), asyncio.Event()

    async def slowly(document: dict[str, object], key: str) -> None:
        entered.set()
        await go_on.wait()

    hook = target(where=webhook_to(receiver.port))
    async with open_store(store_url) as store:
        await store.enqueue(rows(hook, now=clock()))
        sender = Sender(store, (hook,), now=clock)
        sender._ways["ops"] = slowly
        running = asyncio.create_task(sender.run())
        await entered.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert await Sender(store, (hook,), now=clock).once() == Emptied(sent=1, failed=0)


async def test_a_message_that_cannot_be_read_does_not_stop_the_others(
    store_url: str, receiver: WebhookReceiver, clock: Clock
) -> None:
    mail = target(where=service("json://127.0.0.1:1"))
    hook = target("hook", where=webhook_to(receiver.port))
    odd = NewDelivery(key="0" * 64, alert="ops", document={}, created_at=clock(), next_at=clock())
    async with open_store(store_url) as store:
        await store.enqueue((odd, *rows(hook, now=clock())))
        assert await Sender(store, (mail, hook), now=clock).once() == Emptied(sent=1, failed=1)


async def test_a_database_that_fails_is_waited_for(
    store_url: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mxprobe.alerts.sender._DATABASE_PAUSE_SECONDS", 0.0)
    asked = 0

    async def fails(self: Store, *_: object, **__: object) -> None:
        nonlocal asked
        asked += 1
        raise StoreError("no")

    async with open_store(store_url) as store:
        monkeypatch.setattr(Store, "claim_delivery", fails)
        running = asyncio.create_task(Sender(store, (target(),), now=clock).run())
        await until(lambda: asked > 3)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
