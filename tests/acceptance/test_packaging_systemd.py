"""The units of systemd: it takes them, finds little that they could do, and mxprobe gets by with what they leave it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from acceptance.command import mxprobe
from mxprobe.configuration.probes_toml import read_configuration
from servers import syscall_filter
from servers.running import output_of, program
from servers.syscall_filter import settings_of

ROOT = Path(__file__).parents[2]
UNITS = ROOT / "packaging/systemd"
SERVICES = sorted(UNITS.glob("*.service"))
INSTALLED = "/opt/mxprobe/bin/mxprobe"

EXPOSURE = 15
"""Of 100, by `systemd-analyze security`: below 2.0 is "OK", which is the best for what dials out."""


def part_that_confines(unit: Path) -> str:
    """From the account to the limits, which is the same in all of them."""
    found = re.search(r"^# An account that .*?(?=\n\n\[|\Z)", unit.read_text(), re.MULTILINE | re.DOTALL)
    assert found
    return found[0].strip()


def test_systemd_takes_them(tmp_path: Path) -> None:
    for unit in UNITS.iterdir():
        text = unit.read_text().replace(INSTALLED, str(Path(sys.executable).parent / "mxprobe"))
        (tmp_path / unit.name).write_text(text)
    (tmp_path / "mxprobe.service.d").mkdir()
    (tmp_path / "mxprobe.service.d/secrets.conf").write_bytes((UNITS / "secrets.conf").read_bytes())
    units = [tmp_path / name for name in ("mxprobe.service", "mxprobe-worker@1.service", "mxprobe-once.timer")]
    done = subprocess.run(
        [program("systemd-analyze", "systemd"), "verify", "--man=no", *units],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_there_is_little_that_they_could_do(unit: Path) -> None:
    analyze = program("systemd-analyze", "systemd")
    output_of(analyze, "security", "--no-pager", "--offline=true", f"--threshold={EXPOSURE}", unit)


def test_all_of_them_are_confined_alike() -> None:
    assert len(SERVICES) == 3
    assert len({part_that_confines(unit) for unit in SERVICES}) == 1


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_each_starts_a_command_of_mxprobe_with_options_that_it_has(unit: Path) -> None:
    (started,) = settings_of(unit.read_text())["ExecStart"]
    path, command, *options = started.split()
    assert path == INSTALLED
    told = mxprobe(command, "--help")
    assert told.code == 0, told
    assert all(option in told.out for option in options if option.startswith("--"))


def test_what_is_under_way_may_end_before_it_is_killed() -> None:
    configuration = read_configuration(UNITS / "probes.toml")
    for unit in SERVICES:
        (patience,) = settings_of(unit.read_text())["TimeoutStopSec"]
        assert int(patience.removesuffix("s")) > configuration.service.stop_within


def test_the_database_is_where_they_may_write() -> None:
    (state,) = settings_of((UNITS / "mxprobe.service").read_text())["StateDirectory"]
    assert read_configuration(UNITS / "probes.toml").store_url.startswith(f"sqlite:////var/lib/{state}/")


def test_the_secrets_are_found_by_the_names_that_systemd_gives_them() -> None:
    # systemd.exec(5): LoadCredential=ID:PATH is $CREDENTIALS_DIRECTORY/ID in the unit.
    names = [value.partition(":")[0] for value in settings_of((UNITS / "secrets.conf").read_text())["LoadCredential"]]
    text = (UNITS / "probes.toml").read_text()
    assert re.findall(r'password_file = "\$CREDENTIALS_DIRECTORY/(.*?)"', text) == names


def test_a_scan_gets_by_with_the_system_calls_that_are_left_to_it(tmp_path: Path, next_hop: str, ca_path: Path) -> None:
    (tmp_path / "probes.toml").write_text(
        f"[probe]\nca_path = '{ca_path}'\n[[group]]\nname = 'one'\nnext_hops = ['{next_hop}']\nrequire = ['trusted']\n"
    )
    confined = [sys.executable, syscall_filter.__file__, UNITS / "mxprobe.service", sys.executable, "-W", "error"]
    arguments = ["-m", "mxprobe", "run", "--once", "--log-format", "json", "--config", tmp_path / "probes.toml"]
    done = subprocess.run([*confined, *arguments], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["endpoints"] for line in lines if line["what"] == "visited"] == [1]
    assert not [line for line in lines if line["level"] == "error"]
    shown = mxprobe("show", next_hop, "--config", tmp_path / "probes.toml", "--format", "json")
    verdicts = {verdict["id"]: verdict["state"] for verdict in shown.document["targets"][0]["verdicts"]}
    assert (verdicts["starttls"], verdicts["trusted"]) == ("yes", "yes")


def test_the_filter_of_these_tests_is_one(tmp_path: Path) -> None:
    code = "import mmap, os, socket\n"
    code += "for tried in (lambda: mmap.mmap(-1, 1, prot=7), lambda: os.chroot('/'), lambda: socket.socket(17)):\n"
    code += "    try:\n        tried()\n    except PermissionError:\n        print('refused')\n"
    unit = UNITS / "mxprobe.service"
    said = output_of(sys.executable, syscall_filter.__file__, unit, sys.executable, "-c", code)
    assert said.split() == ["refused"] * 3
