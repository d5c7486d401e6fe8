"""`mxprobe history`, `diff`, `show --at` and `export`: what the store knows of the past, on both kinds of database."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from acceptance import json_schema
from acceptance.command import complaint, mxprobe
from acceptance.world import configuration
from examples import targets
from mxprobe.facts import EndpointFacts, ProtocolFacts, Starttls
from mxprobe.routing.route import MxHost, Route, RouteError
from mxprobe.store import open_store
from mxprobe.terms import Endpoint
from servers.postgresql import postgresql

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
HOST = "mx1.example.test"
GOOD = targets.endpoint(HOST, profiles=())
SILENT = targets.unanswered("unknown", "connect: no answer within 30 s")
REFUSED = targets.REFUSED_VERSION
OLDER = replace(GOOD, protocols={**GOOD.protocols, "TLSv1.3": REFUSED})
NO_STARTTLS = targets.unanswered("not-offered", "EHLO does not announce it")
SERVFAIL = Route(kind="error", error=RouteError(status="servfail", text="MX: SERVFAIL", temporary=True))


def led(*addresses: str, host: str = HOST) -> Route:
    return Route(
        kind="mx", hosts=(MxHost(name=host, canonical_name=host, preference=10, addresses=addresses or ("192.0.2.1",)),)
    )


async def keep(url: str, *states: tuple[Route, tuple[EndpointFacts, ...]], next_hop: str = "a.example") -> None:
    """A scan a day, from NOON on."""
    async with open_store(url) as store:
        for day, (route, seen) in enumerate(states):
            at = NOON + day * DAY
            scan = await store.start_scan(at, (next_hop,), "digest")
            endpoints = [Endpoint(host=each.host, address=each.address, port=each.port) for each in seen]
            await store.save_route(scan, next_hop, route, endpoints)
            for endpoint, facts in zip(endpoints, seen, strict=True):
                await store.save_endpoint(scan, endpoint, replace(facts, started_at=at), {})
            await store.finish_scan(scan, at + timedelta(minutes=1))


STATES = (
    (led(), (GOOD,)),
    (led(), (SILENT,)),
    (led(), (GOOD,)),
    (led(), (NO_STARTTLS,)),
    (SERVFAIL, ()),
    (led("192.0.2.1", "192.0.2.2"), (GOOD, replace(OLDER, address="192.0.2.2"))),
)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A store of six scans of a.example, and of three of b.example."""
    others = ((led(), (GOOD,)), (led(), (OLDER,)), (led(), (OLDER,)))

    def filled(at: str) -> str:
        asyncio.run(keep(at, *STATES))
        asyncio.run(keep(at, *others, next_hop="b.example"))
        return at

    if request.param == "sqlite":
        yield filled(f"sqlite:///{tmp_path_factory.mktemp('store')}/mxprobe.db")
    else:
        with postgresql() as server:
            yield filled(server.url(server.new_database()))


def test_history_has_a_line_for_each_scan_and_says_what_changed(url: str) -> None:
    done = mxprobe("history", "a.example", "--store", url)
    assert (done.code, done.err) == (0, "")
    head, *lines = done.out.splitlines()
    assert head == "a.example"
    when, words = zip(*(line.split("  ", 1) for line in lines), strict=True)
    assert when == tuple(f"2026-03-0{day}T12:00:00Z" for day in range(1, 7))
    assert words[0].startswith("first scan; null-mx no; starttls yes; needs-sslv3 no;")
    assert words[1].startswith("unknown: starttls, ")
    assert words[2] == "no change"
    assert words[3].startswith("starttls no (was yes); unknown: ")
    assert words[4] == "not known whether the route is the same: MX: SERVFAIL; unknown: null-mx, starttls"
    assert words[5].startswith(
        "MX host mx1.example.test has the address 192.0.2.2, too; "
        "starttls yes (was no) at mx1.example.test[192.0.2.1]:25; starttls yes at mx1.example.test[192.0.2.2]:25; "
    )


def test_history_as_json_has_the_same(url: str) -> None:
    lines = mxprobe("history", "a.example", "--store", url, "--format", "ndjson").lines
    assert lines == mxprobe("history", "a.example", "--store", url, "--format", "json").document
    assert [line["started_at"] for line in lines] == [f"2026-03-0{day}T12:00:00Z" for day in range(1, 7)]
    assert [each["id"] for each in lines[1]["unknown"]][:1] == ["starttls"]
    assert lines[2]["changed"] == lines[2]["unknown"] == lines[2]["route"] == []
    (change,) = lines[3]["changed"]
    assert (change["id"], change["before"], change["after"]) == ("starttls", "yes", "no")
    assert lines[4]["complete"] is True


def test_diff_tells_two_states_apart(url: str) -> None:
    done = mxprobe("diff", "b.example", "--store", url, "--from", "2026-03-01T13:00")
    assert (done.code, done.err) == (1, "")
    head, *lines = done.out.splitlines()
    assert head == "b.example  1 difference between 2026-03-01T12:00:00Z and 2026-03-03T12:00:00Z"
    (line,) = lines
    assert line == (
        "lost      TLSv1.3 is lost: it was accepted, and is refused (alert 70 (protocol_version))  "
        "at mx1.example.test[192.0.2.1]:25"
    )


def test_diff_without_times_takes_the_last_two_known_states(url: str) -> None:
    done = mxprobe("diff", "b.example", "--store", url)
    assert (done.code, done.out) == (
        0,
        "b.example  no difference between 2026-03-02T12:00:00Z and 2026-03-03T12:00:00Z\n",
    )
    # What was silent, and what the DNS did not answer, is passed over.
    document = mxprobe("diff", "a.example", "--store", url, "--to", "2026-03-03T12:00Z", "--format", "json").document
    assert (document["from"], document["to"]) == ("2026-03-01T12:00:00Z", "2026-03-03T12:00:00Z")
    assert document["differences"] == []
    document = mxprobe("diff", "a.example", "--store", url, "--to", "2026-03-05T23:59Z", "--format", "json").document
    assert (document["from"], document["to"]) == ("2026-03-03T12:00:00Z", "2026-03-04T12:00:00Z")
    first = document["differences"][0]
    assert (first["kind"], first["name"], first["severity"]) == ("lost", "starttls", "critical")
    (line,) = mxprobe("diff", "a.example", "--store", url, "--format", "ndjson").lines
    assert {"gained"} == {each["kind"] for each in line["differences"] if each["name"] in ("starttls", HOST)}


def test_show_at_a_time_shows_what_was_known_then(url: str) -> None:
    states = {}
    for time in ("2026-03-01T12:00:00Z", "2026-03-04 18:00", "2026-03-04T13:00:00+02:00", "20260307"):
        document = mxprobe("show", "a.example", "--store", url, "--at", time, "--format", "json").document
        assert json_schema.violations(document) == []
        states[time] = [each["starttls"]["state"] for each in document["targets"][0]["endpoints"]]
    assert list(states.values()) == [["works"], ["not-offered"], ["works"], ["works", "works"]]
    # Judged as of then: the certificate of the example ends on 2026-05-29.
    later = mxprobe("show", "b.example", "--store", url, "--at", "2026-06-01", "--format", "json").document
    assert [each["state"] for each in later["targets"][0]["verdicts"] if each["id"] == "not-expired"] == ["no"]


def test_export_writes_every_target_of_every_scan(url: str) -> None:
    done = mxprobe("export", "--store", url)
    lines = done.lines
    assert (done.code, done.err, len(lines)) == (0, "", 9)
    assert {line["schema"] for line in lines} == {"mxprobe-export/1"}
    assert [line["target"]["next_hop"] for line in lines] == ["a.example"] * 6 + ["b.example"] * 3
    assert lines[0]["started_at"] == "2026-03-01T12:00:00Z"
    assert lines[0]["finished_at"] == "2026-03-01T12:01:00Z"
    assert lines[4]["target"]["endpoints"] == []
    (verdict,) = (each for each in lines[0]["target"]["verdicts"] if each["id"] == "starttls")
    assert verdict | {"evidence": {}} == {
        "id": "starttls",
        "state": "yes",
        "severity": "ok",
        "endpoint": "mx1.example.test[192.0.2.1]:25",
        "summary": "STARTTLS works",
        "evidence": {},
        "source": "RFC 3207 §4",
    }
    document = mxprobe("export", "--store", url, "--format", "json").document
    assert document == {"schema": "mxprobe-export/1", "targets": lines}
    since = mxprobe("export", "--store", url, "--since", "2026-03-03").lines
    assert [line["started_at"] for line in since] == [
        *(f"2026-03-0{day}T12:00:00Z" for day in range(3, 7)),
        "2026-03-03T12:00:00Z",
    ]
    assert mxprobe("export", "--store", url, "--since", "2030-01-01", "--format", "json").document["targets"] == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("history", "nobody.example"), "never scanned: nobody.example"),
        (("diff", "nobody.example"), "never scanned: nobody.example"),
        (("diff", "a.example", "--to", "2026-02-01"), "nothing is known of a.example by 2026-02-01T00:00:00Z"),
        (("diff", "a.example", "--to", "2026-03-02"), "before the scan of 2026-03-01T12:00:00Z"),
        (("diff", "a.example", "--from", "2026-02-01"), "nothing is known of a.example by 2026-02-01T00:00:00Z"),
        (("diff", "a.example", "--from", "2026-03-05", "--to", "2026-03-04"), "--from: 2026-03-05 is later than"),
        (("show", "a.example", "--at", "2026-02-28"), "never scanned by 2026-02-28: a.example"),
        (("show", "--at", "2026-02-28"), "nothing was scanned by 2026-02-28"),
    ],
)
def test_what_is_not_known_is_said_in_one_line(url: str, arguments: tuple[str, ...], said: str) -> None:
    assert said in complaint(mxprobe(*arguments, "--store", url))


@pytest.mark.parametrize(
    "time", ["yesterday", "", "2026-02-30", "2026-03-01T25:00", "0001-01-01T00:00+14:00", "9" * 99]
)
@pytest.mark.parametrize(
    ("command", "option"),
    [
        (("show",), "--at"),
        (("diff", "a.example"), "--from"),
        (("diff", "a.example"), "--to"),
        (("export",), "--since"),
    ],
)
def test_what_is_no_time_is_said_with_what_is_allowed(command: tuple[str, ...], option: str, time: str) -> None:
    said = complaint(mxprobe(*command, option, time, "--store", "sqlite:///none.db"))
    assert said.startswith(f"mxprobe: {option}: ")
    assert "is not a time (allowed: ISO 8601, like 2026-03-01" in said


@pytest.mark.parametrize("command", [("history", "a.example"), ("diff", "a.example"), ("export",)])
def test_a_store_that_is_not_there_is_said(command: tuple[str, ...], tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/none.db"
    assert "there is no such database; mxprobe scan makes it" in complaint(mxprobe(*command, "--store", url))
    assert "is not a format" in complaint(mxprobe(*command, "--store", url, "--format", "xml"))


def test_words_of_a_peer_do_no_harm_in_a_history(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/mxprobe.db"
    words = "\x1b[2J\udcff 454\nnot now"
    hostile = replace(GOOD, starttls=Starttls(state="unknown", reason=words), protocols={})
    odd = replace(GOOD, protocols={**GOOD.protocols, "TLSv1.3": ProtocolFacts(state="refused", reason=words)})
    asyncio.run(keep(url, (led(), (GOOD,)), (led(), (hostile,)), (led(), (odd,))))
    for command in (("history", "a.example"), ("diff", "a.example"), ("export",)):
        out = mxprobe(*command, "--store", url).out
        assert out.isascii()
        assert "\x1b" not in out
    assert len(mxprobe("history", "a.example", "--store", url).out.splitlines()) == 4


def test_a_scan_into_a_server_is_shown_and_checked_from_there(tmp_path: Path, next_hop: str) -> None:
    path = configuration(tmp_path, {"ours": {"next_hops": [next_hop]}}, probe={"depth": "quick"})
    with postgresql() as server:
        name = server.new_database()
        server.execute("CREATE ROLE scanner LOGIN PASSWORD 's3cret'")
        server.execute("GRANT ALL ON SCHEMA public TO scanner", name)
        url = server.tcp_url(name, "scanner", "s3cret")
        path.write_text(path.read_text() + f'[store]\nurl = "{url}"\nkeep_scans = 1\n')
        assert mxprobe("scan", "--config", path, "--plan").code == 0
        for _ in range(2):
            scanned = mxprobe("scan", "--config", path, "--format", "json")
            assert (scanned.code, scanned.err) == (0, "")
        (target,) = mxprobe("show", "--config", path, "--format", "json").document["targets"]
        assert target["endpoints"] == scanned.document["targets"][0]["endpoints"]
        assert len(mxprobe("export", "--config", path).lines) == 1

        (tmp_path / "main.cf").write_text("smtp_tls_security_level = may\n")
        done = mxprobe(
            "check",
            "--outbound",
            "--main-cf",
            tmp_path / "main.cf",
            "--postfix",
            "3.7",
            "--openssl",
            "3.0",
            "--store",
            url,
        )
        assert done.code == 0, done
        assert "s3cret" not in done.out + done.err
    said = complaint(mxprobe("show", "--config", path))
    assert "Connection refused" in said
    assert "s3cret" not in said


def test_a_store_url_that_is_none_is_a_mistake_and_its_password_is_not_shown(tmp_path: Path) -> None:
    path = configuration(tmp_path, {"ours": {"next_hops": ["a.example"]}})
    path.write_text(path.read_text() + '[store]\nurl = "postgresql://me:s3cret@host/"\nkeep_days = 0\n')
    done = mxprobe("scan", "--config", path)
    assert done.code == 2
    assert "store.keep_days: found 0 (allowed: a whole number from 1 to 36500)" in done.err
    path.write_text(path.read_text().replace("keep_days = 0\n", ""))
    said = complaint(mxprobe("scan", "--config", path))
    assert "store.url: found 'postgresql://me:***@host/' (allowed: sqlite:///FILE" in said
