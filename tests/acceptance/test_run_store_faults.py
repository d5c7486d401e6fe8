"""A service whose database fails beneath it: it says so, loses nothing, and carries on by itself."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from acceptance.command import complaint, mxprobe_process
from acceptance.mail_hosts import MailHosts, configured, mail_hosts
from acceptance.service_process import ServiceProcess, service
from servers.faked_time import shifted
from servers.postgresql import Postgresql, postgresql
from servers.small_disk import small_disk, unwritable

HOSTS = 60
FAST = shifted(0, speed=40)
"""The next-hops come one in two seconds at first, and what is put off is tried again after a minute."""


@pytest.fixture(scope="module")
def world() -> Iterator[MailHosts]:
    with mail_hosts(HOSTS, HOSTS) as world:
        yield world


def stored_in(url: str, directory: Path, world: MailHosts) -> Path:
    return configured(directory, world.addressed, "[store]", f'url = "{url}"')


def assert_each_has_one_result(database: Path, next_hops: tuple[str, ...]) -> None:
    """Each next-hop has one result, all of it: its scan has ended, and its endpoint has its facts."""
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        assert Counter(connection.execute(WHOLE).fetchall()) == Counter((name,) for name in next_hops)
        assert connection.execute("SELECT count(*) FROM scan").fetchone() == (len(next_hops),)


WHOLE = """
SELECT target.next_hop FROM target JOIN scan ON scan.id = target.scan_id JOIN probe ON probe.scan_id = scan.id
WHERE scan.finished_at IS NOT NULL AND target.route_id IS NOT NULL
"""


def goes_on_to_its_end(process: ServiceProcess) -> None:
    """It says once that the store works again, makes all visits, and ends when told."""
    process.heard("store", "the store works again")
    process.heard("visited", count=HOSTS)
    process.signal(signal.SIGTERM)
    assert process.ended() == 0
    assert process.noise == []
    assert process.told("program-error") == []


def test_when_the_disk_is_full_it_waits_until_there_is_room(tmp_path: Path, world: MailHosts) -> None:
    with small_disk(tmp_path / "disk") as disk:
        database = disk.directory / "mxprobe.db"
        path = stored_in(f"sqlite:///{database}", tmp_path, world)
        with service(path, clock=FAST) as process:
            process.heard("visited", count=5)
            disk.fill(process.popen.pid)
            assert "database or disk is full; visits are put off" in process.heard("store")["text"]
            before = len(process.told("visited"))
            process.heard("store")
            disk.empty(process.popen.pid)
            goes_on_to_its_end(process)
            assert before < HOSTS
            assert len(process.told("store")) <= 4, process.told("store")
        assert_each_has_one_result(database, world.addressed)


def test_a_disk_that_is_full_or_read_only_at_the_start_is_one_line(tmp_path: Path, world: MailHosts) -> None:
    with small_disk(tmp_path / "disk") as disk:
        database = disk.directory / "mxprobe.db"
        path = stored_in(f"sqlite:///{database}", tmp_path, world)
        with disk.read_only():
            assert "cannot be" in complaint(mxprobe_process("run", "-c", path))
        if disk.mounted:
            disk.fill(0)
            assert "full" in complaint(mxprobe_process("run", "-c", path))
            disk.empty(0)
        assert mxprobe_process("run", "--once", "-c", path).code == 0
        with disk.read_only():
            assert "cannot be" in complaint(mxprobe_process("run", "-c", path))
        assert_each_has_one_result(database, world.addressed)


def test_when_the_file_cannot_be_written_it_waits_until_it_can(tmp_path: Path, world: MailHosts) -> None:
    database = tmp_path / "mxprobe.db"
    with service(stored_in(f"sqlite:///{database}", tmp_path, world), clock=FAST) as process:
        process.heard("visited", count=5)
        with unwritable(process.popen.pid):
            process.heard("store", "visits are put off")
        goes_on_to_its_end(process)
    assert_each_has_one_result(database, world.addressed)


def test_a_file_that_is_moved_away_is_noticed_and_missed_until_it_is_back(tmp_path: Path, world: MailHosts) -> None:
    database = tmp_path / "mxprobe.db"
    with service(stored_in(f"sqlite:///{database}", tmp_path, world), clock=FAST) as process:
        process.heard("visited", count=5)
        database.rename(tmp_path / "elsewhere.db")
        assert f"{database} is gone" in process.heard("store")["text"]
        assert not database.exists()
        (tmp_path / "elsewhere.db").rename(database)
        goes_on_to_its_end(process)
        assert len(process.told("store")) == 2
    assert_each_has_one_result(database, world.addressed)


def test_a_file_that_another_one_takes_the_place_of_is_let_go_of(tmp_path: Path, world: MailHosts) -> None:
    database, copy = tmp_path / "mxprobe.db", tmp_path / "copy.db"
    with service(stored_in(f"sqlite:///{database}", tmp_path, world), clock=FAST) as process:
        process.heard("visited", count=5)
        with closing(sqlite3.connect(database)) as there, closing(sqlite3.connect(copy)) as kept:
            there.backup(kept)
        process.heard("visited", count=15)
        os.link(database, tmp_path / "before.db")
        copy.rename(database)
        assert "another file has taken the place of" in process.heard("store")["text"]
        goes_on_to_its_end(process)
    with closing(sqlite3.connect(database)) as there, closing(sqlite3.connect(tmp_path / "before.db")) as before:
        for connection in (there, before):
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        kept_there = Counter(there.execute(WHOLE).fetchall())
        kept_before = Counter(before.execute(WHOLE).fetchall())
    assert set(kept_there.values()) == {1}
    assert kept_there.keys() | kept_before.keys() == {(name,) for name in world.addressed}
    assert len(kept_before) >= 15


@pytest.fixture(scope="module")
def server() -> Iterator[Postgresql]:
    with postgresql() as server:
        yield server


@pytest.mark.parametrize("immediately", [False, True])
def test_when_postgresql_is_started_anew_it_waits_until_it_is_there(
    tmp_path: Path, world: MailHosts, server: Postgresql, immediately: bool
) -> None:
    name = server.new_database()
    with service(stored_in(f"{server.url(name)}&connect_timeout=3600", tmp_path, world), clock=FAST) as process:
        process.heard("visited", count=5)
        server.stop(immediately=immediately)
        process.heard("store", "visits are put off")
        server.start()
        goes_on_to_its_end(process)
        # A server that goes and comes says something else each time, but nothing twice.
        assert len(process.told("store")) == len(set(process.told("store")))
    assert Counter(server.execute(WHOLE, name)) == Counter((name,) for name in world.addressed)


def test_when_postgresql_takes_no_writes_it_waits_until_it_does(
    tmp_path: Path, world: MailHosts, server: Postgresql
) -> None:
    name = server.new_database()
    with service(stored_in(f"{server.url(name)}&connect_timeout=3600", tmp_path, world), clock=FAST) as process:
        process.heard("visited", count=5)
        # As a server that has become a standby: what is there can be read.
        server.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        server.execute("SELECT pg_reload_conf()")
        assert "the server takes no writes now" in process.heard("store")["text"]
        server.execute("ALTER SYSTEM RESET default_transaction_read_only")
        server.execute("SELECT pg_reload_conf()")
        goes_on_to_its_end(process)
    assert Counter(server.execute(WHOLE, name)) == Counter((name,) for name in world.addressed)
