"""How a service stands, by a store of either kind; `/metrics` over HTTP; the digest of a week, told once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families

from examples.stored import ENDPOINT, NOW, facts, route
from examples.told import target
from mxprobe.alerts.digests import enqueue_digests
from mxprobe.alerts.metrics_server import MAX_CONNECTIONS, metrics_server
from mxprobe.alerts.standing import Standing, stored_figures, stored_states
from mxprobe.alerts.weekly import parse_weekly
from mxprobe.errors import InvalidSetting, StoreError
from mxprobe.report.figures import LoopFigures
from mxprobe.store import KeptEvent, Probed, Store, TargetResult, open_store
from mxprobe.verdict.memory import Memory, Remembered
from mxprobe.verdict.memory_document import memory_document
from mxprobe.verdict.seen import Aspect

# 2026-03-01 is a Sunday.
DIGEST = target("weekly", digest=parse_weekly("mon 07:00"))
MONDAY = NOW.replace(hour=7, minute=0, second=0, microsecond=0) + timedelta(days=1)
EVENT = KeptEvent(next_hop="a.example", kind="name-lost", severity="warning", state="yes", at=NOW, summary="s")
OPEN = Memory(
    next_hop="a.example",
    at=NOW.replace(microsecond=0),
    known={
        Aspect(kind="starttls", endpoint="e"): Remembered(value="not-offered", open="starttls-vanished"),
        Aspect(kind="name", endpoint="e"): Remembered(value="no", open="name-lost"),
        Aspect(kind="trusted", endpoint="e"): Remembered(value="yes"),
    },
)


def result(next_hop: str) -> TargetResult:
    return TargetResult(
        next_hop=next_hop,
        started_at=NOW,
        finished_at=NOW + timedelta(seconds=5),
        settings_digest="d",
        route=route("192.0.2.1"),
        endpoints=(Probed(endpoint=ENDPOINT, facts=facts()),),
        memory=memory_document(replace(OPEN, next_hop=next_hop)),
        events=(replace(EVENT, next_hop=next_hop),),
    )


async def filled(store: Store) -> None:
    await store.plan("partners", {f"{name}.example": NOW for name in "abc"})
    for name in ("a.example", "b.example"):
        assert await store.save_target(result(name))
    (work,) = await store.claim(NOW, NOW + timedelta(hours=1), by="one", limit=1)
    assert work.next_hop == "a.example"


async def test_figures_are_what_the_store_has(store_url: str) -> None:
    async with open_store(store_url) as store:
        assert (await stored_figures(store, NOW)).last_result_at is None
        await filled(store)
    now = NOW + timedelta(minutes=30)
    async with open_store(store_url, read_only=True) as store:
        figures = await stored_figures(store, now)
        states = await stored_states(store, now)
    assert figures.last_result_at == NOW + timedelta(seconds=5)
    (group,) = figures.groups
    assert (group.name, group.next_hops, group.due, group.under_way, group.never) == ("partners", 3, 2, 1, 1)
    assert (group.due_since, group.last_result_at) == (NOW, NOW + timedelta(seconds=5))
    assert figures.open == {("starttls-vanished", "critical"): 2, ("name-lost", "warning"): 2}
    assert [(each.severity, each.next_hop, each.kind) for each in figures.wrong] == [
        ("critical", "a.example", "starttls-vanished"),
        ("critical", "b.example", "starttls-vanished"),
        ("warning", "a.example", "name-lost"),
        ("warning", "b.example", "name-lost"),
    ]
    assert states.verdicts["starttls", "yes"] == 2


async def test_a_memory_of_a_newer_version_is_counted_and_hides_nothing(store_url: str) -> None:
    async with open_store(store_url) as store:
        await filled(store)
        assert await store.save_target(replace(result("c.example"), memory={"version": 999}))
        figures = await stored_figures(store, NOW)
    assert figures.unreadable == 1
    assert figures.open["starttls-vanished", "critical"] == 2


async def asked(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    try:
        return await reader.read()
    finally:
        writer.close()


async def test_metrics_are_served_as_prometheus_reads_them(store_url: str, nothing_is_left_behind: None) -> None:
    async with open_store(store_url) as store:
        await filled(store)
        loop = LoopFigures(started_at=NOW, visits={"stored": 2})
        standing = Standing(store, lambda: loop, lambda: NOW)
        async with metrics_server("127.0.0.1", 0, standing.text) as port:
            head, _, body = (await asked(port, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert b"Content-Type: text/plain; version=0.0.4" in head
            names = {each.name for each in text_string_to_metric_families(body.decode())}
            assert {"mxprobe_targets", "mxprobe_queue", "mxprobe_visits", "mxprobe_open_events"} <= names
            assert (await asked(port, b"HEAD /metrics HTTP/1.0\r\n\r\n")).endswith(b"\r\n\r\n")
            assert b"200 OK" in await asked(port, b"GET /healthz HTTP/1.1\r\n\r\n")


async def given() -> bytes:
    return b"text\n"


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 404 "),
        (b"POST /metrics HTTP/1.1\r\n\r\n", b"HTTP/1.1 405 "),
        (b"\x16\x03\x01\x00\x00\r\n\r\n", b"HTTP/1.1 400 "),
        (b"\r\n\r\n", b"HTTP/1.1 400 "),
        (b"GET /metrics HTTP/1.1\r\n" + b"X: y\r\n" * 5000 + b"\r\n", b""),
    ],
)
async def test_who_asks_for_anything_else_harms_nobody(
    request_: bytes, answer: bytes, nothing_is_left_behind: None
) -> None:
    async with metrics_server("127.0.0.1", 0, given) as port:
        try:
            found = await asked(port, request_)
        except ConnectionError:
            found = b""
        assert found.startswith(answer)
        assert b"200 OK" in await asked(port, b"GET /metrics HTTP/1.1\r\n\r\n")


async def test_connections_that_say_nothing_are_bounded(
    monkeypatch: pytest.MonkeyPatch, nothing_is_left_behind: None
) -> None:
    monkeypatch.setattr("mxprobe.alerts.metrics_server.REQUEST_SECONDS", 0.3)
    async with metrics_server("127.0.0.1", 0, given) as port:
        mute = [await asyncio.open_connection("127.0.0.1", port) for _ in range(MAX_CONNECTIONS + 5)]
        async with asyncio.timeout(10):
            for reader, writer in mute:
                assert await reader.read() == b""
                writer.close()
            assert b"200 OK" in await asked(port, b"GET /metrics HTTP/1.1\r\n\r\n")


@pytest.mark.parametrize("raises", [StoreError("down")])
async def test_a_database_that_does_not_answer_is_said(raises: Exception, nothing_is_left_behind: None) -> None:
    async def fails() -> bytes:
        raise raises

    text: Callable[[], Awaitable[bytes]] = fails
    async with metrics_server("127.0.0.1", 0, text) as port:
        assert (await asked(port, b"GET /metrics HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 503 ")


async def test_where_nobody_can_listen_is_said() -> None:
    async with metrics_server("127.0.0.1", 0, given) as port:
        with pytest.raises(InvalidSetting, match=f"service.metrics: cannot listen on 127.0.0.1 port {port}"):
            async with metrics_server("127.0.0.1", port, given):
                pass


async def test_the_digest_of_a_week_is_enqueued_once(store_url: str) -> None:
    groups = {"a.example": ("partners",)}

    def groups_of(name: str) -> tuple[str, ...]:
        return groups.get(name, ("others",))

    mine = replace(DIGEST, name="partners", groups=("partners",))
    silent = target("silent")
    async with open_store(store_url) as store:
        assert await enqueue_digests(store, (DIGEST,), MONDAY, groups_of=groups_of) == (), "nothing was scanned"
        await filled(store)
        before = MONDAY - timedelta(minutes=1)
        assert await enqueue_digests(store, (DIGEST,), before, groups_of=groups_of) == (), "not yet"
        late = MONDAY + timedelta(days=3)
        assert await enqueue_digests(store, (DIGEST,), late, groups_of=groups_of) == (), "too late"
        told = await enqueue_digests(store, (DIGEST, mine, silent), MONDAY, groups_of=groups_of)
        assert [(row.alert, row.document["count"]) for row in told] == [("weekly", 2), ("partners", 1)]
        assert "1 target" in told[1].document["summary"]
        again = MONDAY + timedelta(hours=1)
        assert await enqueue_digests(store, (DIGEST, mine), again, groups_of=groups_of) == ()
        standing = {each.alert: each.waiting for each in await store.alert_standing(MONDAY)}
        assert standing == {"weekly": 1, "partners": 1}
