"""Names of processes: one's own has not ended, one that is gone has, and of others nothing is known."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mxprobe.schedule import owners
from mxprobe.schedule.owners import has_ended, owner


def test_a_process_that_runs_has_not_ended_and_no_two_names_are_alike() -> None:
    assert not has_ended(owner())
    assert owner() != owner()


def test_a_process_that_is_gone_has_ended() -> None:
    code = "from mxprobe.schedule.owners import owner; print(owner())"
    name = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert has_ended(name)


def test_a_number_that_another_process_was_given_since_is_another_process() -> None:
    parts = owner().split("/")
    parts[3] = str(int(parts[3]) - 1)
    assert has_ended("/".join(parts))


def test_of_processes_elsewhere_nothing_is_known() -> None:
    parts = owner().split("/")
    for changed in (["another-host", *parts[1:]], [parts[0], "another-boot", *parts[2:]], [parts[0], "", *parts[2:]]):
        assert not has_ended("/".join(changed))
    for odd in ("", "worker 1", "////", "/".join([*parts[:2], "no number", *parts[3:]]), "/".join(parts[:4])):
        assert not has_ended(odd)


def test_a_process_that_is_hidden_from_us_is_not_said_to_have_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # proc(5), hidepid, which is systemd's ProtectProc=invisible: of others' processes /proc has nothing.
    name = owner()
    hidden = tmp_path / "proc"
    (hidden / "sys/kernel/random").mkdir(parents=True)
    (hidden / "self/ns").mkdir(parents=True)
    boot_id = "sys/kernel/random/boot_id"
    (hidden / boot_id).write_bytes((Path("/proc") / boot_id).read_bytes())
    (hidden / "self/ns/pid").symlink_to("/proc/self/ns/pid")
    monkeypatch.setattr(owners, "_PROC", hidden)
    assert not has_ended(name)
