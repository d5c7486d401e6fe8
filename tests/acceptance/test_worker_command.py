"""`mxprobe worker`: several processes on one PostgreSQL, some of which are killed, for real mail servers."""

from __future__ import annotations

import asyncio
import random
import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from acceptance.command import command, complaint, environment, mxprobe, mxprobe_process
from acceptance.mail_hosts import PLAIN, MailHosts, configured, mail_hosts
from acceptance.service_process import ServiceProcess
from acceptance.world import address_of, configuration, name_server
from mxprobe.store import open_store
from servers.faked_time import shifted
from servers.postgresql import Postgresql, postgresql
from servers.running import RunningServer
from servers.smtp_front import Script, smtp_front

HOSTS = 20
DOMAINS = 200
DAY = 86400.0


@pytest.fixture(scope="module")
def server() -> Iterator[Postgresql]:
    with postgresql() as running:
        yield running


@pytest.fixture
def database(server: Postgresql) -> str:
    return server.new_database()


@pytest.fixture(scope="module")
def world() -> Iterator[MailHosts]:
    with mail_hosts(HOSTS, DOMAINS) as found:
        yield found


@contextmanager
def process(path: Path, *words: str, clock: Mapping[str, str] | None = None) -> Iterator[ServiceProcess]:
    """A worker, or what else `words` say, that is over afterwards."""
    popen = subprocess.Popen(
        command(*(words or ("worker",)), "-c", path, "--log-format", "json"),
        env={**environment(), **(clock or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    found = ServiceProcess(popen)
    try:
        yield found
    finally:
        found.kill()
        assert popen.stderr is not None
        popen.stderr.close()
    assert found.noise == []


def configure(directory: Path, world: MailHosts, url: str, *more: str, at_once: int = 20) -> Path:
    service = f"[service]\nconfirm_after = 0.1\nstop_within = 20\nat_once = {at_once}"
    return configured(
        directory, world.next_hops, f'[store]\nurl = "{url}"', service, *more, resolver=world.names.address
    )


def plan(url: str, next_hops: tuple[str, ...]) -> None:
    """Say that all are due now, where a service would spread them over an hour."""

    async def work() -> None:
        async with open_store(url) as store:
            await store.plan("all", dict.fromkeys(next_hops, datetime.now(UTC)))

    asyncio.run(work())


def results(server: Postgresql, database: str) -> Counter[str]:
    """How many results each next-hop has."""
    rows = server.execute("SELECT next_hop FROM target WHERE route_id IS NOT NULL", database)
    return Counter(str(name) for (name,) in rows)


def until(condition: Callable[[], bool], patience: float = 150.0) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "it is not so yet"
        time.sleep(0.1)


def wait_for_results(server: Postgresql, database: str, number: int) -> None:
    until(lambda: results(server, database).total() >= number)


def stop(*processes: ServiceProcess) -> None:
    for each in processes:
        each.signal(signal.SIGTERM)
    assert [each.ended() for each in processes] == [0] * len(processes)


def times_asked(server: Postgresql, database: str) -> list[Any]:
    """How often each endpoint was asked: whoever takes facts over has them with the same moment."""
    return server.execute("SELECT endpoint_id, count(DISTINCT changes) FROM probe GROUP BY endpoint_id", database)


def test_two_workers_make_each_visit_once_and_ask_each_endpoint_once(
    tmp_path: Path, world: MailHosts, server: Postgresql, database: str
) -> None:
    url = server.url(database)
    path = configure(tmp_path, world, url)
    plan(url, world.next_hops)
    with process(path) as one, process(path) as two:
        wait_for_results(server, database, DOMAINS)
        stop(one, two)
    assert results(server, database) == Counter(world.next_hops)
    assert len(one.told("visited")) + len(two.told("visited")) == DOMAINS
    assert one.told("visited")
    assert two.told("visited")
    assert {asked for _, asked in times_asked(server, database)} == {1}
    assert len(times_asked(server, database)) == HOSTS
    # Nothing is left of the jobs, nor of who made them.
    assert server.execute("SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'mxprobe.visit'", database) == [
        (0,)
    ]
    assert server.execute("SELECT count(*) FROM procrastinate_workers", database) == [(0,)]
    assert server.execute("SELECT count(*) FROM budget_place", database) == [(0,)]


def test_with_one_that_is_killed_again_and_again_nothing_is_missed_or_doubled(
    tmp_path: Path, world: MailHosts, server: Postgresql, database: str
) -> None:
    url, chance = server.url(database), random.Random(5)
    path = configure(tmp_path, world, url)
    for day in range(2):
        clock = shifted(day * DAY)
        plan(url, world.next_hops)
        server.execute("UPDATE due SET due_at = now(), lease_until = NULL, leased_by = NULL", database)
        with process(path, clock=clock) as lasting:
            for _ in range(3):
                with process(path, clock=clock) as killed:
                    killed.dies(visits=chance.randint(1, 25), seconds=chance.uniform(0, 0.05))
            wait_for_results(server, database, (day + 1) * DOMAINS)
            stop(lasting)
        assert results(server, database) == Counter(dict.fromkeys(world.next_hops, day + 1))
        world.change(day, PLAIN)
    world.change(0)
    world.change(1)
    events = server.execute("SELECT next_hop, kind, state FROM event", database)
    assert Counter(events) == Counter((name, "starttls-vanished", "confirmed") for name in world.behind(0))


def test_when_postgresql_is_restarted_they_say_so_and_go_on(
    tmp_path: Path, world: MailHosts, server: Postgresql, database: str
) -> None:
    url = server.url(database)
    path = configure(tmp_path, world, url, at_once=4)
    plan(url, world.next_hops)
    with process(path) as one, process(path) as two:
        wait_for_results(server, database, 20)
        server.restart()
        wait_for_results(server, database, DOMAINS)
        stop(one, two)
        troubles = [line for each in (one, two) for line in each.log if line["level"] == "error"]
    assert results(server, database) == Counter(world.next_hops)
    assert {line["what"] for line in troubles} <= {"store", "budgets"}


def test_with_a_run_beside_them_no_provider_has_more_connections_than_it_may(
    tmp_path: Path, server: Postgresql, database: str, tls_server: RunningServer
) -> None:
    # Of 41 tokens a minute 20 may be taken at once, and 22 flow in: in 20 seconds less than 8.
    script = Script(greeted_per_window=28, window_seconds=20.0, banner_delay_seconds=0.3)
    hosts = 28
    records = [f"d{number}.test. MX 10 mx.d{number}.test." for number in range(hosts)]
    records += [f"mx.d{number}.test. A 127.0.0.{number % 3 + 1}" for number in range(hosts)]
    with (
        smtp_front(tls_server, script, addresses=("127.0.0.1", "127.0.0.2", "127.0.0.3")) as front,
        name_server(*records) as names,
    ):
        next_hops = tuple(f"d{number}.test:{front.port}" for number in range(hosts))
        path = configured(
            tmp_path,
            next_hops,
            f'[store]\nurl = "{server.url(database)}"',
            "[limits]\nper_address = 3\nper_provider = 4\nper_provider_per_minute = 41",
            resolver=address_of(names),
        )
        plan(server.url(database), next_hops)
        with process(path) as one, process(path) as two, process(path, "run") as three:
            wait_for_results(server, database, hosts)
            stop(one, two, three)
            made = [len(each.told("visited")) for each in (one, two, three)]
    assert results(server, database) == Counter(next_hops)
    assert sum(made) == hosts
    assert front.most_at_once <= 4
    assert front.throttled == 0
    assert front.connections >= hosts


def test_a_worker_that_sees_nobody_leaves_the_visits_to_others(
    tmp_path: Path, world: MailHosts, server: Postgresql, database: str
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = f"127.0.0.1:{closed.getsockname()[1]}"
    url = server.url(database)
    path = configure(tmp_path, world, url)
    blind = path.with_name("blind.toml")
    blind.write_text(path.read_text().replace(world.names.address, nobody))
    plan(url, world.next_hops)
    with process(blind) as one:
        one.heard("vantage", "there is no DNS here")
        with process(path) as two:
            wait_for_results(server, database, DOMAINS)
            stop(one, two)
        assert one.told("visited") == []
    assert results(server, database) == Counter(world.next_hops)


def test_sigterm_ends_what_is_under_way_and_leaves_the_rest_to_others(
    tmp_path: Path, server: Postgresql, database: str, tls_server: RunningServer
) -> None:
    hosts = 12
    addresses = tuple(f"127.0.2.{number + 1}" for number in range(hosts))
    with smtp_front(tls_server, Script(banner_delay_seconds=1.0), addresses=addresses) as front:
        next_hops = tuple(f"[{address}]:{front.port}" for address in addresses)
        path = configured(tmp_path, next_hops, f'[store]\nurl = "{server.url(database)}"', "[service]\nat_once = 4")
        plan(server.url(database), next_hops)
        with process(path) as one:
            one.heard("visited")
            stop(one)
            first = len(one.told("visited"))
        assert 0 < first < hosts
        assert results(server, database).total() == first
        states = server.execute("SELECT DISTINCT status FROM procrastinate_jobs", database)
        assert states == [("todo",)]
        assert server.execute("SELECT count(*) FROM due WHERE leased_by IS NOT NULL", database) == [(0,)]
        with process(path) as two:
            wait_for_results(server, database, hosts)
            stop(two)
    assert results(server, database) == Counter(next_hops)


def test_two_that_start_at_once_make_the_queue_together(tmp_path: Path, server: Postgresql, database: str) -> None:
    path = configuration(tmp_path, {"all": {"next_hops": ["[127.0.0.1]:1"]}})
    path.write_text(f'{path.read_text()}[store]\nurl = "{server.url(database)}"\n')
    with ExitStack() as stack:
        found = [stack.enter_context(process(path, "worker", "all", "--at-once", "1")) for _ in range(2)]
        for each in found:
            each.heard("started", "1 next-hop")
        stop(*found)
    # What belongs to workers is no reason to take the database for one of another program.
    server.execute("DROP TABLE alembic_version", database)
    for (name,) in server.execute(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename NOT LIKE 'procrastinate%'", database
    ):
        server.execute(f"DROP TABLE {name} CASCADE", database)
    server.execute("DROP FUNCTION mxprobe_spend", database)
    plan(server.url(database), ("d.example",))


def test_a_queue_of_another_procrastinate_is_refused(tmp_path: Path, server: Postgresql, database: str) -> None:
    path = configuration(tmp_path, {"all": {"next_hops": ["[127.0.0.1]:1"]}})
    path.write_text(f'{path.read_text()}[store]\nurl = "{server.url(database)}"\n')
    server.execute("CREATE TABLE procrastinate_jobs (id bigint)", database)
    refused = complaint(mxprobe_process("worker", "-c", path))
    assert "the tables procrastinate_* in it are of another version of procrastinate" in refused


def test_workers_need_postgresql_and_say_so(tmp_path: Path) -> None:
    path = configuration(tmp_path, {"all": {"next_hops": ["mx.example"]}})
    assert "store.url: workers share no sqlite:///" in complaint(mxprobe("worker", "-c", path))
    assert not (tmp_path / "mxprobe.db").exists()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    path.write_text(f'{path.read_text()}[store]\nurl = "postgresql://user:secret@127.0.0.1:{port}/mxprobe"\n')
    away = complaint(mxprobe("worker", "-c", path))
    assert "postgresql://user:***@127.0.0.1" in away
    assert "secret" not in away


def test_without_procrastinate_it_names_the_extra(tmp_path: Path, server: Postgresql, database: str) -> None:
    path = configuration(tmp_path, {"all": {"next_hops": ["mx.example"]}})
    path.write_text(f'{path.read_text()}[store]\nurl = "{server.url(database)}"\n')
    (tmp_path / "procrastinate.py").write_text("raise ImportError('none here')")
    done = subprocess.run(
        command("worker", "-c", path),
        env={**environment(), "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert "pip install 'mxprobe[worker]'" in done.stderr
    assert "Traceback" not in done.stderr
