"""`mxprobe run`: the service as a process, with real mail servers, a real store, real signals, and kill -9."""

from __future__ import annotations

import json
import random
import resource
import signal
import socket
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from acceptance.command import command, complaint, environment, mxprobe, mxprobe_process
from acceptance.world import address_of, configuration, name_server
from servers.smtp_front import Front

DOMAINS = 150
HOSTS = 8
"""Domains whose mail goes to so few hosts: an endpoint is asked for the first of them only."""

PATIENCE = 60.0


@pytest.fixture
def probes(tmp_path: Path, front: Front) -> Iterator[Path]:
    """A configuration of many domains, one of which takes no mail, and one that is not in the DNS."""
    records = [f"d{number}.test. MX 10 mx{number % HOSTS}.test." for number in range(DOMAINS)]
    records += [f"mx{number}.test. A 127.0.0.1" for number in range(HOSTS)]
    with name_server(*records, "null.test. MX 0 .") as names:
        yield configure(tmp_path, front, address_of(names))


def configure(directory: Path, front: Front, resolver: str, **group: object) -> Path:
    hops = [f"{each}.test:{front.port}" for each in (*(f"d{number}" for number in range(DOMAINS)), "null", "nowhere")]
    groups = {"all": {"next_hops": hops, **group}}
    return configuration(directory, groups, resolver=resolver, probe={"depth": "quick"})


def results(path: Path) -> Counter[str]:
    """How many results each next-hop has, as SQLite itself counts them."""
    with closing(sqlite3.connect(path.parent / "mxprobe.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
        return Counter(name for (name,) in database.execute("SELECT next_hop FROM target WHERE route_id IS NOT NULL"))


@contextmanager
def service(path: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """The command as a process; whatever the test does, it is over afterwards."""
    process = subprocess.Popen(
        command("run", "-c", path, *options),
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def heard(process: subprocess.Popen[str], what: str) -> str:
    """The next line of the log of this kind."""
    assert process.stderr is not None
    for line in process.stderr:
        if f" {what}" in line:
            return line
    raise AssertionError(f"the service ended without {what!r}")


def test_a_pass_visits_all_that_is_due_and_the_next_has_nothing_to_do(probes: Path, front: Front) -> None:
    first = mxprobe_process("run", "--once", "-c", probes)
    assert (first.code, first.out) == (0, "")
    assert first.err.count(" info visited ") == DOMAINS + 2
    assert set(results(probes).values()) == {1}
    assert len(results(probes)) == DOMAINS + 2
    before = front.connections
    again = mxprobe_process("run", "--once", "-c", probes, "--log-format", "json")
    assert again.code == 0
    assert [json.loads(line)["what"] for line in again.err.splitlines()] == ["stopped"]
    assert front.connections == before
    shown = mxprobe("show", f"d0.test:{front.port}", f"d{HOSTS}.test:{front.port}", "-c", probes, "-f", "json")
    assert [target["endpoints"][0]["starttls"]["state"] for target in shown.document["targets"]] == ["works", "works"]


def test_an_endpoint_is_asked_once_for_all_domains_that_lead_to_it(probes: Path, front: Front) -> None:
    mxprobe_process("run", "--once", "-c", probes)
    with closing(sqlite3.connect(probes.parent / "mxprobe.db")) as database:
        changes = [json.loads(text) for (text,) in database.execute("SELECT changes FROM probe")]
    assert len(changes) == DOMAINS
    assert len({json.dumps(each, sort_keys=True) for each in changes}) <= HOSTS


@pytest.mark.parametrize("seed", range(3))
def test_killed_again_and_again_a_pass_leaves_one_result_of_each_next_hop(probes: Path, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(5):
        with service(probes, "--once") as process:
            for _ in range(chance.randint(1, 7)):
                heard(process, "info visited")
            process.kill()
            process.wait(PATIENCE)
    done = mxprobe_process("run", "--once", "-c", probes)
    assert done.code == 0, done.err
    assert set(results(probes).values()) == {1}
    assert len(results(probes)) == DOMAINS + 2


def test_two_passes_side_by_side_share_the_work(probes: Path) -> None:
    mxprobe_process("run", "--once", "-c", one_group_of(probes, "null.test"))
    with service(probes, "--once") as one, service(probes, "--once") as two:
        logs = [process.communicate(timeout=PATIENCE)[1] for process in (one, two)]
        assert (one.returncode, two.returncode) == (0, 0), logs
    assert set(results(probes).values()) == {1}
    assert sum(log.count(" info visited ") for log in logs) == DOMAINS + 2


def test_on_a_full_disk_it_says_so_once_and_the_next_pass_makes_the_rest(probes: Path) -> None:
    mxprobe_process("run", "--once", "-c", one_group_of(probes, "null.test"))
    full = subprocess.run(
        command("run", "--once", "-c", probes),
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
        # No file of this process grows beyond so many bytes (setrlimit(2)): SQLite's log takes a few results.
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY)),
    )
    assert full.returncode == 3, full.stderr
    troubles = [line for line in full.stderr.splitlines() if " error store: " in line]
    assert 1 <= len(troubles) <= 3, troubles
    assert all("visits are put off until it works again" in line for line in troubles)
    assert "Traceback" not in full.stderr
    assert len(results(probes)) < DOMAINS + 3
    done = mxprobe_process("run", "--once", "-c", probes)
    assert done.code == 0, done.err
    assert len(results(probes)) == DOMAINS + 3
    assert set(results(probes).values()) == {1}


def test_next_hops_may_come_from_standard_input(probes: Path, front: Front) -> None:
    path = one_group_of(probes, "null.test")
    path.write_text(path.read_text().replace("next_hops = ", 'file = "-"\nnext_hops = '))
    done = subprocess.run(
        command("run", "--once", "-c", path),
        env=environment(),
        input=f"d1.test:{front.port}\n",
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    assert results(path) == Counter({"null.test": 1, f"d1.test:{front.port}": 1})


def one_group_of(probes: Path, *next_hops: str) -> Path:
    """A configuration beside, with the same name server and store, of a group of these next-hops only."""
    lines = [
        f"next_hops = {json.dumps(next_hops)}" if line.startswith("next_hops") else line
        for line in probes.read_text().splitlines()
    ]
    path = probes.with_name("few.toml")
    path.write_text("\n".join(lines).replace('name = "all"', 'name = "few"'))
    return path


def test_sigterm_ends_the_service_and_sighup_has_it_read_its_configuration(probes: Path, front: Front) -> None:
    with service(probes) as process:
        assert f"{DOMAINS + 2} next-hops" in heard(process, "info started")
        heard(process, "info visited")
        good = probes.read_text()
        probes.write_text(good.replace('"depth": "quick"', "").replace("[[group]]", '[[group]]\nevery = "soon"'))
        process.send_signal(signal.SIGHUP)
        assert "group[0].every" in heard(process, "error configuration")
        assert "the one of before is kept" in heard(process, "error configuration")
        probes.write_text(good.replace('"nowhere.test', '"other.test'))
        process.send_signal(signal.SIGHUP)
        assert f"read again: {DOMAINS + 2} next-hops" in heard(process, "info configuration")
        process.send_signal(signal.SIGTERM)
        heard(process, "info stopped")
        assert process.wait(PATIENCE) == 0
    assert set(results(probes).values()) == {1}


def test_without_dns_it_says_so_and_no_next_hop_gets_a_result(tmp_path: Path, front: Front) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    path = configuration(
        tmp_path,
        {
            "all": {
                "next_hops": [f"a.one.example:{front.port}", f"two.example:{front.port}", f"three.test:{front.port}"]
            }
        },
        resolver=f"127.0.0.1:{port}",
    )
    done = mxprobe_process("run", "--once", "-c", path)
    assert done.code == 3
    assert "error vantage: there is no DNS here" in done.err
    assert "warning left: 3 visits could not be made" in done.err
    assert results(path) == Counter()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--log-format", "xml"), "--log-format: 'xml' is not a format"),
        (("--group", "al"), "there is no group 'al'; did you mean 'all'?"),
    ],
)
def test_what_is_wrong_on_the_command_line_is_one_line(probes: Path, arguments: tuple[str, ...], said: str) -> None:
    assert said in complaint(mxprobe("run", "-c", probes, *arguments))


@pytest.mark.parametrize("line", ["at_once = 0", "stop_within = -1", "confirm_after = 4000", 'at_once = "many"'])
def test_what_is_wrong_in_its_section_is_found_at_the_start(probes: Path, line: str) -> None:
    probes.write_text(f"{probes.read_text()}\n[service]\n{line}\n")
    assert f"service.{line.split()[0]}: found" in complaint(mxprobe("run", "-c", probes))


def test_a_store_that_cannot_be_opened_is_one_line(probes: Path) -> None:
    probes.write_text(f'{probes.read_text()}\n[store]\nurl = "sqlite:///nowhere/at/all.db"\n')
    assert "does not exist" in complaint(mxprobe("run", "--once", "-c", probes))


def test_a_line_of_a_file_that_is_no_next_hop_holds_up_none_of_the_others(probes: Path, front: Front) -> None:
    (probes.parent / "more.txt").write_text(f"d0.test:{front.port}\nnot a next-hop\n")
    text = probes.read_text().replace("next_hops = ", 'file = "more.txt"\nx_next_hops = ')
    probes.write_text("\n".join(line for line in text.splitlines() if not line.startswith("x_next_hops")))
    done = mxprobe_process("run", "--once", "-c", probes)
    assert done.code == 0
    assert "warning next-hops" in done.err
    assert "line 2" in done.err
    assert results(probes) == Counter({f"d0.test:{front.port}": 1})
