"""Who asked to be left alone: never dialled by `mxprobe probe` or `mxprobe scan`, and never passed over in silence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from acceptance.command import complaint, mxprobe
from acceptance.world import address_of, configuration, name_server
from servers.smtp_front import Front


@pytest.fixture
def resolver() -> Iterator[str]:
    """one.test has the MX hosts mx.test and mx.left-alone.test, both at 127.0.0.1."""
    records = (
        "one.test. MX 10 mx.test.",
        "one.test. MX 20 mx.left-alone.test.",
        "mx.test. A 127.0.0.1",
        "mx.left-alone.test. A 127.0.0.1",
    )
    with name_server(*records) as names:
        yield address_of(names)


@pytest.mark.parametrize(
    ("next_hop", "ignore"),
    [
        ("one.test:PORT", ("test",)),
        ("one.test:PORT", ("one.test",)),
        ("one.test:PORT", ("mx.test,left-alone.test",)),
        ("one.test:PORT", ("127.0.0.0/8",)),
        ("[mx.test]:PORT", ("mx.test",)),
        ("[127.0.0.1]:PORT", ("127.0.0.1",)),
        ("[127.0.0.1]:PORT", ("::1", "127.0.0.0/24")),
    ],
)
def test_what_is_ignored_is_not_dialled_and_is_unknown(
    front: Front, resolver: str, next_hop: str, ignore: tuple[str, ...]
) -> None:
    hop = next_hop.replace("PORT", str(front.port))
    options = [part for entry in ignore for part in ("--ignore", entry)]
    command = ("probe", hop, "--resolver", resolver, "--allow-private", "--depth", "quick", *options)
    done = mxprobe(*command)
    assert done.code == 3
    assert "on the ignore list" in done.words
    assert "on the ignore list" in done.err
    assert mxprobe(*command, "--plan").words.startswith(f"{hop}: on the ignore list")
    (target,) = mxprobe(*command, "--format", "json").document["targets"]
    assert target["endpoints"] == []
    verdicts = [verdict for verdict in target["verdicts"] if verdict["id"] == "starttls"]
    assert verdicts
    for verdict in verdicts:
        assert (verdict["state"], verdict["severity"]) == ("unknown", "info")
        assert "on the ignore list" in verdict["summary"]
    assert front.connections == 0


def test_a_command_line_address_is_no_way_around_the_list(front: Front) -> None:
    done = mxprobe("probe", "--connect", f"127.0.0.1:{front.port}", "--as", "mx.test", "--ignore", "127.0.0.1")
    assert (done.code, front.connections) == (3, 0)
    done = mxprobe("probe", f"[mx.test]:{front.port}", "--connect", "mx.test=127.0.0.1", "--ignore", "mx.test")
    assert (done.code, front.connections) == (3, 0)
    done = mxprobe("probe", f"[127.0.0.1]:{front.port}", "--protocol", "TLSv1.2", "--ignore", "127.0.0.1")
    assert (done.code, front.connections) == (3, 0)
    assert "on the ignore list" in done.err


def test_the_other_hosts_are_probed_and_the_requirement_stays_unknown(
    front: Front, resolver: str, tmp_path: Path
) -> None:
    file = tmp_path / "leave-alone.txt"
    file.write_text("# asked on 2026-11-01\nleft-alone.test\n")
    command = ("probe", f"one.test:{front.port}", "--resolver", resolver, "--allow-private", "--depth", "quick")
    done = mxprobe(*command, "--ignore-file", file, "--format", "json")
    (target,) = done.document["targets"]
    assert [endpoint["host"] for endpoint in target["endpoints"]] == ["mx.test"]
    assert [host["error"] and host["error"]["status"] for host in target["route"]["hosts"]] == [None, "ignored"]
    assert done.code == 3
    assert front.connections == 1


def test_a_scan_leaves_alone_whom_the_configuration_names(front: Front, resolver: str, tmp_path: Path) -> None:
    (tmp_path / "leave-alone.txt").write_text("left-alone.test\n")
    groups = {"partners": {"next_hops": [f"one.test:{front.port}"], "require": ["starttls"]}}
    settings = {"depth": "quick", "ignore": ["mx.test"], "ignore_file": "leave-alone.txt"}
    path = configuration(tmp_path, groups, resolver=resolver, probe=settings)
    done = mxprobe("scan", "--config", path)
    assert (done.code, front.connections) == (3, 0)
    assert "on the ignore list: mx.test" in done.err
    assert "on the ignore list: left-alone.test" in done.err
    # The list is one of the settings: without it the scan is another one, and asks.
    path = configuration(tmp_path, groups, resolver=resolver, probe={"depth": "quick"})
    assert mxprobe("scan", "--config", path).code == 0
    assert front.connections == 2


def test_mistakes_in_the_list_are_named(tmp_path: Path) -> None:
    assert complaint(mxprobe("probe", "one.test", "--ignore", "192.0.2.1/24")).startswith(
        "mxprobe: --ignore: 192.0.2.1/24 has host bits set (allowed: a domain like example.com"
    )
    assert "--ignore" in complaint(mxprobe("probe", "one.test", "--ignore", ""))
    file = tmp_path / "leave-alone.txt"
    assert "cannot be read" in complaint(mxprobe("probe", "one.test", "--ignore-file", file))
    file.write_text("ok.test\nnot ok\n")
    assert f"{file}: line 2" in complaint(mxprobe("probe", "one.test", "--ignore-file", file))
    path = configuration(tmp_path, {"a": {"next_hops": ["one.test"]}}, probe={"ignore_file": "leave-alone.txt"})
    assert f"{file}: line 2" in complaint(mxprobe("scan", "--config", path))
    path = configuration(tmp_path, {"a": {"next_hops": ["one.test"]}}, probe={"ignore": ["ok.test", "1.2.3"]})
    assert "probe.ignore[1]" in complaint(mxprobe("scan", "--config", path))
