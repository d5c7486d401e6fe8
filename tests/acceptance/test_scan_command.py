"""`mxprobe scan` and `mxprobe show`: one pass over probes.toml into the store, and what the store then says."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from acceptance import json_schema
from acceptance.command import Done, command, complaint, environment, mxprobe
from acceptance.world import address_of, configuration, late_server, name_server
from mxprobe.mta.senders import senders
from servers.running import RunningServer
from servers.smtp_front import Front, Script, smtp_front


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """Domains one.test and two.test with one MX host in common, null.test, and a server that always answers 421."""

    directory: Path
    front: Front
    limited: Front
    resolver: str

    @property
    def one(self) -> str:
        return f"one.test:{self.front.port}"

    @property
    def two(self) -> str:
        return f"two.test:{self.front.port}"

    @property
    def throttled(self) -> str:
        return f"limited.test:{self.limited.port}"

    def configure(self, groups: dict[str, dict[str, object]], **probe: object) -> Path:
        settings = {"depth": "quick", **probe}
        return configuration(self.directory, groups, resolver=self.resolver, probe=settings, profiles=PROFILES)


PROFILES = {
    "ours": {"protocols": ["TLSv1.2", "TLSv1.3"], "suites": ["TLS_AES_128_GCM_SHA256", "AES128-SHA"]},
    "theirs": {"protocols": ["TLSv1.2"], "suites": ["RC4-SHA"]},
}


@pytest.fixture
def lab(tmp_path: Path, front: Front) -> Iterator[Lab]:
    records = (
        "one.test. MX 10 mx.test.",
        "two.test. MX 20 mx.test.",
        "limited.test. MX 10 limited-mx.test.",
        "null.test. MX 0 .",
        "mx.test. A 127.0.0.1",
        "limited-mx.test. A 127.0.0.1",
    )
    script = Script(banner="421 4.7.0 limited-mx.test Error: too many connections")
    with smtp_front(script=script) as limited, name_server(*records) as names:
        yield Lab(directory=tmp_path, front=front, limited=limited, resolver=address_of(names))


def test_profiles_of_every_kind_are_asked_with_and_kept(lab: Lab) -> None:
    (lab.directory / "main.cf").write_text("smtp_tls_security_level = may\nsmtp_tls_protocols = <=TLSv1.1\n")
    (lab.directory / "exim.conf").write_text(
        "begin transports\nremote:\n  driver = smtp\n  tls_require_ciphers = kRSA\n"
    )
    kinds: dict[str, dict[str, object]] = {
        "postfix": {"postfix": "main.cf", "postfix_version": "3.7", "openssl": "3.0"},
        "exim": {"exim": "exim.conf", "openssl": "1.1.1"},
        "strings": {"tls_require_ciphers": "kRSA", "openssl_options": "+no_tlsv1", "openssl": "1.0.2"},
        "gnutls": {"gnutls": "NORMAL:-VERS-TLS1.3"},
        "sender": {"sender": senders()[0].name},
    }
    groups = {name: {"next_hops": [lab.one], "profile": name} for name in kinds}
    settings = {"resolver": lab.resolver, "probe": {"depth": "quick"}, "profiles": kinds}
    path = configuration(lab.directory, groups, **settings)  # type: ignore[arg-type]
    scanned = mxprobe("scan", "--config", path, "--format", "json")
    assert not scanned.err, scanned.err
    (target,) = scanned.document["targets"]
    asked = {answer["profile"]: answer["suite"] for answer in target["endpoints"][0]["profiles"]}
    assert asked.pop("sender") is not None
    assert asked == {
        "postfix": None,
        "exim": "TLS_AES_256_GCM_SHA384",
        "strings": "AES128-SHA",
        "gnutls": "ECDHE-RSA-AES256-GCM-SHA384",
    }
    again = mxprobe("scan", "--config", path, "--format", "json")
    assert {answer["suite"] for answer in again.document["targets"][0]["endpoints"][0]["profiles"]} >= {"AES128-SHA"}


def test_a_scan_keeps_what_it_found_and_show_says_the_same(lab: Lab, ca_path: Path) -> None:
    groups = {"partners": {"next_hops": [lab.one, lab.two, "null.test"], "profile": "ours"}}
    path = lab.configure(groups, depth="full", ca_path=str(ca_path))
    scanned = mxprobe("scan", "--config", path, "--format", "json")
    assert (scanned.code, scanned.err) == (0, "")
    assert json_schema.violations(scanned.document) == []
    assert (lab.directory / "mxprobe.db").exists()
    before = lab.front.connections

    shown = mxprobe("show", "--config", path, "--format", "json")
    assert shown.code == 0
    assert json_schema.violations(shown.document) == []
    assert by_next_hop(shown.document) == by_next_hop(scanned.document)
    assert shown.document["connections"] == scanned.document["connections"] == before

    url = f"sqlite:///{lab.directory}/mxprobe.db"
    lines = mxprobe("show", "--store", url, "--format", "ndjson").lines
    assert [json_schema.violations(line, json_schema.LINE) for line in lines] == [[], [], []]
    endpoints = {line["next_hop"]: line["endpoint"] for line in lines}
    (endpoint,) = by_next_hop(shown.document)[lab.one]["endpoints"]
    assert endpoints == {lab.one: endpoint, lab.two: endpoint, "null.test": None}

    text = mxprobe("show", lab.one, "--store", url)
    assert text.code == 0
    assert text.out.startswith(f"{lab.one}  ok")
    for protocol, facts in endpoint["protocols"].items():
        assert f" {protocol} {facts['state']} " in text.words
        assert all(suite["name"] in text.words for suite in facts["suites"])
    assert "profile ours: yes" in text.words
    assert "verify 0 (ok)" in text.words
    assert lab.front.connections == before


def by_next_hop(document: Any) -> dict[str, Any]:
    """The targets; of verdicts without the evidence, which counts the days from now."""
    return {
        target["next_hop"]: {**target, "verdicts": [{**each, "evidence": None} for each in target["verdicts"]]}
        for target in document["targets"]
    }


def test_without_a_next_hop_text_is_one_line_a_target_and_how_many_there_are(lab: Lab) -> None:
    path = lab.configure({"all": {"next_hops": [lab.one, "null.test", "missing.test"]}})
    scanned = mxprobe("scan", "--config", path)
    shown = mxprobe("show", "--config", path)
    for done in (scanned, shown):
        assert done.code == 0
        lines = [line for line in done.out.splitlines() if re.match(r"(critical|warning|info|ok) ", line)]
        assert len(lines) == 3
        assert all(any(name in line for line in lines) for name in (lab.one, "null.test", "missing.test"))
        assert "3 targets:" in done.words
    assert lab.front.connections == 1


def test_domains_that_share_an_endpoint_have_it_connected_to_once(lab: Lab) -> None:
    groups: dict[str, dict[str, object]] = {
        "first": {"next_hops": [lab.one, lab.two], "profile": "ours"},
        "second": {"next_hops": [lab.two], "profile": "theirs"},
    }
    document = mxprobe("scan", "--config", lab.configure(groups, depth="standard"), "--format", "json").document
    one, two = (by_next_hop(document)[next_hop]["endpoints"] for next_hop in (lab.one, lab.two))
    assert one == two
    assert document["connections"] == one[0]["connections"] == lab.front.connections
    # Asked once, with the hellos of both groups.
    assert {answer["profile"]: answer["state"] for answer in one[0]["profiles"]} == {"ours": "yes", "theirs": "no"}


@pytest.mark.parametrize(
    ("groups", "code"),
    [
        (["fine"], 0),
        (["broken"], 1),
        (["limited"], 3),
        (["fine", "limited"], 3),
        (["broken", "limited"], 1),
        ([], 1),
        (["null"], 0),
    ],
)
def test_the_exit_code_is_that_of_what_the_groups_require(groups: list[str], code: int, lab: Lab) -> None:
    path = lab.configure(
        {
            "fine": {"next_hops": [lab.one], "require": ["starttls", "shared-cipher"], "profile": "ours"},
            "broken": {"next_hops": [lab.two], "require": ["starttls", "shared-cipher"], "profile": "theirs"},
            "limited": {"next_hops": [lab.throttled], "require": ["starttls"]},
            "null": {"next_hops": ["null.test"], "require": ["starttls", "trusted"]},
        }
    )
    done = mxprobe("scan", "--config", path, *(word for name in groups for word in ("--group", name)))
    assert done.code == code
    said = {line.split(": ")[1]: line for line in done.err.splitlines()}
    if "broken" in groups or not groups:
        assert "shared-cipher not met" in said[lab.two]
    if "limited" in groups or not groups:
        assert "starttls could not be told" in said[lab.throttled]
    assert lab.one not in said


def test_only_the_groups_that_were_named_are_asked_and_shown(lab: Lab) -> None:
    groups: dict[str, dict[str, object]] = {
        "first": {"next_hops": [lab.one]},
        "second": {"next_hops": [lab.throttled, "null.test"]},
    }
    path = lab.configure(groups)
    document = mxprobe("scan", "--config", path, "--group", "second", "--format", "json").document
    assert set(by_next_hop(document)) == {lab.throttled, "null.test"}
    assert lab.front.connections == 0
    assert set(by_next_hop(mxprobe("show", "--config", path, "--format", "json").document)) == set(
        by_next_hop(document)
    )


def test_a_next_hop_that_was_never_scanned_is_an_error_line(lab: Lab) -> None:
    path = lab.configure({"all": {"next_hops": [lab.one]}})
    mxprobe("scan", "--config", path)
    line = complaint(mxprobe("show", lab.one, "elsewhere.test", "one.test", "--config", path))
    assert "never scanned: elsewhere.test, one.test" in line


def test_show_makes_no_database(lab: Lab) -> None:
    path = lab.configure({"all": {"next_hops": [lab.one]}})
    assert "no such database" in complaint(mxprobe("show", "--config", path))
    assert [file.name for file in lab.directory.iterdir()] == ["probes.toml"]


def test_a_scan_again_asks_again_and_show_has_the_latest(lab: Lab) -> None:
    path = lab.configure({"all": {"next_hops": [lab.one]}})
    first = mxprobe("scan", "--config", path, "--format", "json").document
    second = mxprobe("scan", "--config", path, "--format", "json").document
    assert lab.front.connections == 2
    shown = by_next_hop(mxprobe("show", "--config", path, "--format", "json").document)
    assert shown == by_next_hop(second)
    began = [found[lab.one]["endpoints"][0]["started_at"] for found in (by_next_hop(first), shown)]
    assert began == sorted(set(began))


def test_verdicts_are_judged_anew_when_they_are_shown(lab: Lab) -> None:
    """A certificate that was valid at the scan may not be any more: facts stay, verdicts are of now."""
    path = lab.configure({"all": {"next_hops": [lab.one]}})
    mxprobe("scan", "--config", path)
    document = mxprobe("show", "--config", path, "--format", "json").document
    (endpoint,) = document["targets"][0]["endpoints"]
    assert "verdicts" not in endpoint
    ids = {verdict["id"] for verdict in document["targets"][0]["verdicts"]}
    assert ids >= {"starttls", "trusted", "name-matches", "not-expired"}


# Killed in mid-scan


def test_results_are_kept_as_they_come_and_a_killed_scan_goes_on_where_it_was(
    tls_server: RunningServer, tmp_path: Path
) -> None:
    with several_fronts(tls_server, 4) as fronts, late_server(fronts[0].port) as late:
        quick = [f"[127.0.0.{number}]:{front.port}" for number, front in enumerate(fronts, start=1) if number > 1]
        slow = f"[127.0.0.1]:{late.port}"
        path = configuration(
            tmp_path, {"all": {"next_hops": [slow, *quick], "require": ["tls1.3"]}}, probe={"depth": "standard"}
        )

        with subprocess.Popen(
            command("scan", "--config", path),
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as first:
            # Three are known and committed, while the fourth is still being waited for.
            kept = wait_for_endpoints(path, 3, first)
            assert late.connections == 1
            first.send_signal(signal.SIGKILL)
        assert first.returncode == -signal.SIGKILL
        assert set(kept) == set(quick)
        asked = [front.connections for front in fronts]
        assert asked[0] == 0

        late.released = True
        second = mxprobe("scan", "--config", path, "--format", "json")
        assert (second.code, second.err) == (0, "")
        assert [front.connections for front in fronts[1:]] == asked[1:]
        assert fronts[0].connections > 0

        complete = by_next_hop(second.document)
        assert set(complete) == {slow, *quick}
        for next_hop, endpoints in kept.items():
            assert complete[next_hop]["endpoints"] == endpoints
        (finished,) = complete[slow]["endpoints"]
        assert finished["starttls"]["state"] == "works"
        assert set(finished["protocols"]) == {"SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"}
        assert by_next_hop(mxprobe("show", "--config", path, "--format", "json").document) == complete

        # That scan is finished: the next one is a new one.
        assert mxprobe("scan", "--config", path).code == 0
        assert all(front.connections > before for front, before in zip(fronts[1:], asked[1:], strict=True))


def test_after_control_c_too_a_scan_goes_on_where_it_was(tls_server: RunningServer, tmp_path: Path) -> None:
    with several_fronts(tls_server, 2) as fronts, late_server(fronts[0].port) as late:
        hops = [f"[127.0.0.1]:{late.port}", f"[127.0.0.2]:{fronts[1].port}"]
        path = configuration(tmp_path, {"all": {"next_hops": hops}}, probe={"depth": "quick"})
        with subprocess.Popen(
            command("scan", "--config", path),
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as first:
            wait_for_endpoints(path, 1, first)
            first.send_signal(signal.SIGINT)
            assert first.communicate(timeout=60) == (b"", b"")
        assert first.returncode == 128 + signal.SIGINT
        late.released = True
        assert mxprobe("scan", "--config", path).code == 0
        assert [front.connections for front in fronts] == [1, 1]


@contextmanager
def several_fronts(server: RunningServer, count: int) -> Iterator[list[Front]]:
    """The server behind several fronts, the first at 127.0.0.1, the next at 127.0.0.2: one address is asked in turn."""
    if count == 0:
        yield []
        return
    with several_fronts(server, count - 1) as others, smtp_front(server, addresses=(f"127.0.0.{count}",)) as front:
        yield [*others, front]


def wait_for_endpoints(path: Path, count: int, running: subprocess.Popen[bytes]) -> dict[str, Any]:
    """Wait until `show` has this many endpoints while the scan still runs; gives them by next-hop."""
    deadline = time.monotonic() + 60
    while True:
        assert running.poll() is None, "the scan has ended"
        assert time.monotonic() < deadline
        done = shown_so_far(path)
        if done is not None:
            endpoints = {target["next_hop"]: target["endpoints"] for target in done["targets"] if target["endpoints"]}
            if len(endpoints) == count:
                return endpoints


def shown_so_far(path: Path) -> Any:
    done: Done = mxprobe("show", "--config", path, "--format", "json")
    if done.code == 0:
        return json.loads(done.out)
    # Nothing is there yet, or it is only being made.
    complaint(done)
    return None


def test_a_second_scan_confirms_what_has_not_changed(lab: Lab, ca_path: Path) -> None:
    path = lab.configure({"partners": {"next_hops": [lab.one]}}, depth="full", ca_path=str(ca_path))

    def scanned() -> dict[str, Any]:
        document = mxprobe("scan", "--config", path, "--format", "json").document
        assert json_schema.violations(document) == []
        (endpoint,) = by_next_hop(document)[lab.one]["endpoints"]
        found: dict[str, Any] = endpoint
        return found

    first, second = scanned(), scanned()
    assert (first["sweep"], second["sweep"]) == ("swept", "confirmed")
    assert second["swept_at"] == first["swept_at"] == first["started_at"]
    assert second["connections"] < first["connections"]
    for protocol, facts in first["protocols"].items():
        assert second["protocols"][protocol]["suites"] == facts["suites"]
    text = mxprobe("show", lab.one, "--config", path).words
    assert "confirmed: not asked again, the fingerprint is that of the sweep of" in text


def test_a_plan_of_a_scan_rests_on_what_the_store_knows_and_dials_nothing(lab: Lab) -> None:
    path = lab.configure({"partners": {"next_hops": [lab.one, lab.two]}}, depth="full")

    def planned() -> str:
        before = lab.front.connections
        done = mxprobe("scan", "--config", path, "--plan")
        assert (done.code, done.err) == (0, "")
        assert lab.front.connections == before
        return done.words

    assert "if like a Postfix of Debian 12" in planned()
    assert not (lab.directory / "mxprobe.db").exists()
    mxprobe("scan", "--config", path)
    words = planned()
    assert "if unchanged since" in words
    expected = re.search(r"connections at depth full: (\d+) ", words)
    assert expected
    confirmed = mxprobe("scan", "--config", path, "--format", "json").document
    assert abs(int(expected[1]) - confirmed["connections"]) <= 0.1 * confirmed["connections"]
