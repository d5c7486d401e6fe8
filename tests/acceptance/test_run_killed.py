"""A service that is killed again and again: no visit is missed or doubled, nor is an event, nor who is told of it."""

from __future__ import annotations

import json
import random
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from acceptance.mail_hosts import BROKEN, BUSY, PLAIN, MailHosts, configured, mail_hosts
from acceptance.service_process import one_pass, service
from servers.faked_time import shifted
from servers.postgresql import postgresql
from servers.receivers import Post, webhook_receiver

HOSTS = 20
DOMAINS = 200
DAY = 86400.0
SECRET = "0123456789abcdef0123456789abcdef"

Ask = Callable[[str], list[tuple[Any, ...]]]
"""Asks a database in SQL, past our own store."""

Noticed = tuple[str, str, str]
"""The next-hop, the endpoint and the kind of an event."""


def changes_of(day: int, world: MailHosts) -> set[Noticed]:
    """Change the world as on that day, and say what is to be noticed then, by docs/events.md."""
    expected: set[Noticed] = set()

    def notice(kind: str, host: int) -> None:
        expected.update((next_hop, world.endpoint(host), kind) for next_hop in world.behind(host))

    match day:
        case 1:
            for host in (0, 1):
                world.change(host, PLAIN)
                notice("starttls-vanished", host)
            world.change(2, certificate=1)
            notice("certificate-replaced", 2)
        case 2:
            world.change(0)
            notice("starttls-appeared", 0)
            world.change(3, BROKEN)
            notice("starttls-broken", 3)
            world.change(4, BUSY)  # that is no news
            world.change(1, BUSY)
            world.change_mx(5, "0 .")
            expected.add((world.next_hop(5), "", "null-mx"))
        case 3:
            world.change(3)
            notice("starttls-appeared", 3)
            world.change(4)
            world.change(1, PLAIN)  # as it was known last
            world.change_mx(5, "10 mx5.test.")
            expected.add((world.next_hop(5), "", "accepts-mail"))
    return expected


def lead_through_days(directory: Path, url: str, ask: Ask, kills: tuple[int, ...], seed: int) -> None:
    """One day after the other, on each of which the service is killed so many times, and makes a last pass."""
    chance = random.Random(seed)
    expected: set[Noticed] = set()
    (directory / "secret").write_text(SECRET)
    # Some of what it takes is never acknowledged.
    with webhook_receiver(SECRET.encode()) as receiver, mail_hosts(HOSTS, DOMAINS) as world:
        receiver.status = lambda number: None if number % 5 == 0 else 200
        path = configured(
            directory,
            world.next_hops,
            f'[store]\nurl = "{url}"\n[service]\nconfirm_after = 0.3\nat_once = 20\n[[alert]]\nname = "hook"',
            f'url = "webhook+http://127.0.0.1:{receiver.port}/"\nsecret_file = "secret"\nseverity = "info"',
            resolver=world.names.address,
        )
        for day, times in enumerate(kills):
            expected |= changes_of(day, world)
            for number in range(times):
                die(path, chance, number, day)
                if number % 3 == 0 and (directory / "mxprobe.db").exists():
                    assert_whole(directory / "mxprobe.db")
            last = one_pass(path, clock=shifted(day * DAY))
            assert last.popen.returncode == 0, last.log[-5:]
            assert Counter(ask(RESULTS)) == Counter({(name,): day + 1 for name in world.next_hops})
        # Somebody is told of each of them, so that each was asked again (docs/service.md).
        assert Counter(ask(EVENTS)) == Counter((*noticed, "confirmed") for noticed in expected)
        # What waited for others of its kind when somebody was killed, and what was not acknowledged, is told in time.
        receiver.status = lambda _number: 200
        assert one_pass(path, clock=shifted(day * DAY + 7200)).told("visited") == []
        assert ask("SELECT count(*) FROM delivery WHERE done_at IS NULL") == [(0,)]
        told = told_by(receiver.posts)
        assert {noticed: len(keys) for noticed, keys in told.items()} == dict.fromkeys(expected, 1)
        assert all(receiver.is_signed(post) for post in receiver.posts)


RESULTS = "SELECT next_hop FROM target WHERE route_id IS NOT NULL"
EVENTS = "SELECT next_hop, endpoint, kind, state FROM event"


def die(path: Path, chance: random.Random, number: int, day: int) -> None:
    """A service that is killed: some while they begin, some that catch up slowly, most amid their visits."""
    is_early, goes_on = number % 6 == 0, number % 6 == 1
    with service(path, *(() if goes_on else ("--once",)), clock=shifted(day * DAY)) as process:
        if is_early:
            process.dies(visits=0, seconds=chance.uniform(0.2, 1.5))
        elif goes_on:
            process.heard("started")
            process.dies(visits=0, seconds=chance.uniform(0, 1.5))
        else:
            process.dies(visits=chance.randint(1, 25), seconds=chance.uniform(0, 0.05))


def told_by(posts: list[Post]) -> dict[Noticed, set[str]]:
    """By which keys each event was told, alone or among others; a key always comes with the same words."""
    told: defaultdict[Noticed, set[str]] = defaultdict(set)
    words: dict[str, bytes] = {}
    for post in posts:
        key, document = post.headers["idempotency-key"], json.loads(post.body)
        assert words.setdefault(key, post.body) == post.body
        for event in document["events"] if document["type"] == "summary" else [document]:
            told[event["next_hop"], event["endpoint"], event["kind"]].add(key)
    return told


def assert_whole(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


def test_killed_at_fifty_moments_it_has_one_result_a_day_and_tells_of_each_event(tmp_path: Path) -> None:
    database = tmp_path / "mxprobe.db"

    def ask(question: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(database)) as connection:
            return connection.execute(question).fetchall()

    lead_through_days(tmp_path, f"sqlite:///{database}", ask, (13, 13, 12, 12), 2026)
    assert_whole(database)


def test_killed_on_postgresql_it_does_as_well(tmp_path: Path) -> None:
    with postgresql() as server:
        name = server.new_database()
        lead_through_days(tmp_path, server.url(name), lambda question: server.execute(question, name), (0, 2, 2, 1), 1)
