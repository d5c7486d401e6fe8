"""A service around which everything else fails: the DNS, the clock, descriptors, and whoever sends it signals."""

from __future__ import annotations

import resource
import signal
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

import pytest

from acceptance.mail_hosts import PLAIN, MailHosts, configured, mail_hosts
from acceptance.service_process import ServiceProcess, one_pass, service
from servers.faked_time import set_clock, settable, shifted
from servers.smtp_front import Script

HOSTS = 30
DAY = 86400.0

FAST = shifted(0, speed=30)
"""The next-hops come one in two seconds at first, and what is put off is tried again after a minute."""


@pytest.fixture
def world() -> Iterator[MailHosts]:
    with mail_hosts(HOSTS, HOSTS) as world:
        yield world


def stored(directory: Path) -> Counter[str]:
    """The results of each next-hop; all of them know where it leads, and the state of its server."""
    with closing(sqlite3.connect(directory / "mxprobe.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("SELECT count(*) FROM route WHERE NOT known").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM facts WHERE NOT known").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM event").fetchone() == (0,)
        return Counter(name for (name,) in connection.execute("SELECT next_hop FROM target"))


def ends(process: ServiceProcess) -> None:
    """It ends when told, and has met nothing that it did not know."""
    process.signal(signal.SIGTERM)
    assert process.ended() == 0
    assert process.noise == []
    assert process.told("program-error") == []


Dead = Literal["gone", "silent", "servfail", "refused"]


@pytest.mark.parametrize("how", ["gone", "silent", "servfail", "refused"])
def test_while_the_dns_is_dead_no_next_hop_gets_a_result(tmp_path: Path, world: MailHosts, how: Dead) -> None:
    path = configured(tmp_path, world.next_hops, resolver=world.names.address)
    with service(path, clock=FAST) as process:
        process.heard("visited", count=5)
        if how == "gone":
            world.names.stop()
        else:
            world.names.fail(how, *world.all_names)
        assert "there is no DNS here" in process.heard("vantage")["text"]
        if how == "gone":
            world.names.start()
        else:
            world.names.faults.clear()
        process.heard("vantage", "mail servers are reached from here")
        process.heard("visited", count=HOSTS)
        assert len(process.told("vantage")) == 2
        ends(process)
    assert stored(tmp_path) == Counter(world.next_hops)


def test_where_the_dns_answers_for_some_names_only_those_have_what_is_known_and_none_an_event(
    tmp_path: Path, world: MailHosts
) -> None:
    path = configured(tmp_path, world.next_hops, resolver=world.names.address)
    assert one_pass(path).popen.returncode == 0
    some, others = world.next_hops[:5], world.next_hops[5:]
    world.names.fail("servfail", *(next_hop.partition(":")[0] for next_hop in others))
    second = one_pass(path, clock=shifted(DAY))
    assert second.told("vantage") == []
    world.names.faults.clear()
    assert one_pass(path, clock=shifted(2 * DAY)).popen.returncode == 0
    with closing(sqlite3.connect(tmp_path / "mxprobe.db")) as connection:
        known = "SELECT next_hop FROM target JOIN route ON route.id = route_id WHERE known"
        results = Counter(name for (name,) in connection.execute(known))
        assert connection.execute("SELECT count(*) FROM event").fetchone() == (0,)
    assert results == Counter({**dict.fromkeys(some, 3), **dict.fromkeys(others, 2)})


def test_when_the_clock_is_set_nothing_is_missed_or_doubled(tmp_path: Path, world: MailHosts) -> None:
    # So few are visited within half a minute, and none again before half of the interval is over.
    next_hops = world.addressed[:8]
    path = configured(tmp_path, next_hops, every="2m")
    clock = tmp_path / "clock"
    with service(path, clock=settable(clock)) as process:
        today = datetime.fromisoformat(process.heard("visited")["at"])
        for days in (1, -1):
            set_clock(clock, days * DAY)
            process.heard("visited", at=f"{today + timedelta(days=days):%Y-%m-%d}")
        process.heard("visited", count=len(next_hops))
        ends(process)
    assert stored(tmp_path) == Counter(next_hops)
    with closing(sqlite3.connect(tmp_path / "mxprobe.db")) as connection:
        assert connection.execute("SELECT count(*) FROM due WHERE lease_until IS NOT NULL").fetchone() == (0,)


def test_days_are_counted_by_the_clock_on_the_wall(tmp_path: Path, world: MailHosts) -> None:
    # The certificates of these hosts last for thirty days.
    path = configured(tmp_path, world.addressed[:1], "[service]\nconfirm_after = 0")
    for days in (0, 25, 31):
        assert one_pass(path, clock=shifted(days * DAY)).popen.returncode == 0
    with closing(sqlite3.connect(tmp_path / "mxprobe.db")) as connection:
        kinds = [kind for (kind,) in connection.execute("SELECT kind FROM event ORDER BY id")]
    assert kinds == ["certificate-expiring", "certificate-expired"]


def test_with_too_few_descriptors_it_says_so_once_and_nothing_of_servers(tmp_path: Path, world: MailHosts) -> None:
    path = configured(tmp_path, world.addressed)
    few = (20, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    with service(path, "--once", prepare=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, few)) as process:
        assert process.ended() == 3
    assert process.noise == []
    (told,) = process.told("lack")
    assert "ulimit -n" in told
    assert process.told("program-error") == []
    assert one_pass(path).popen.returncode == 0
    assert stored(tmp_path) == Counter(world.addressed)


def test_a_storm_of_sighup_harms_no_visit(tmp_path: Path, world: MailHosts) -> None:
    path = configured(tmp_path, world.next_hops, resolver=world.names.address)
    good = path.read_text()
    bad = good.replace('"jitter"', '"jittter"').replace("jitter =", "jittter =")
    with service(path, clock=FAST) as process:
        process.heard("started")
        for number in range(30):
            path.write_text((good, bad)[number % 2])
            process.signal(signal.SIGHUP)
            process.heard("visited", count=number // 2 + 1)
        path.write_text(good)
        process.signal(signal.SIGHUP)
        process.heard("visited", count=HOSTS)
        ends(process)
    assert stored(tmp_path) == Counter(world.next_hops)


HELD: dict[str, Script] = {
    "greeting": Script(banner_delay_seconds=3600),
    "starttls": Script(after_starttls="hang"),
    "confirming": PLAIN,
}
"""At which a visit stays for ever: before the server says anything, in the handshake, and where it is asked again."""


@pytest.mark.parametrize("phase", ["dns", *HELD])
def test_sigterm_in_any_phase_of_a_visit_leaves_that_to_the_next_pass(
    tmp_path: Path, world: MailHosts, phase: str
) -> None:
    path = configured(
        tmp_path,
        world.next_hops[:3],
        "[service]\nstop_within = 0.2\nconfirm_after = 3600",
        resolver=world.names.address,
    )
    days = [0.0]
    if phase == "confirming":
        assert one_pass(path).popen.returncode == 0
        days.append(1.0)
    before = world.front.connections
    if phase == "dns":
        world.names.fail("silent", "d0.test")
    else:
        world.change(0, HELD[phase])
    with service(path, "--once", clock=shifted(days[-1] * DAY)) as process:
        process.heard("visited", count=2)
        if phase != "dns":
            world.front.counted(before + 3)
        process.signal(signal.SIGTERM)
        assert process.ended() == (0 if phase == "confirming" else 3)
        assert process.noise == []
        ended = len(process.told("visited"))
    # What had only to be asked again is kept without; nothing was begun that is half kept.
    assert ended == (3 if phase == "confirming" else 2)
    world.names.faults.clear()
    world.change(0)
    last = one_pass(path, clock=shifted(days[-1] * DAY))
    assert last.popen.returncode == 0
    with closing(sqlite3.connect(tmp_path / "mxprobe.db")) as connection:
        results = Counter(connection.execute("SELECT next_hop FROM target WHERE route_id IS NOT NULL").fetchall())
        assert connection.execute("SELECT count(*) FROM scan WHERE finished_at IS NULL").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM event").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM due WHERE lease_until IS NOT NULL").fetchone() == (0,)
    assert results == Counter({(next_hop,): len(days) for next_hop in world.next_hops[:3]})
