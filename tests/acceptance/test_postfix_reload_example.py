"""The reload script of examples/: Postfix gets a new main.cf only if the check passes, and the old one stays otherwise.

Postfix, postconf and openssl are stand-ins that write down how they were called, and so is mxprobe where what counts is
what the script makes of its exit code.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from servers.certificates import Authority

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "examples" / "postfix-reload"

OLD = "smtpd_tls_security_level = may\n"
NEW = "smtpd_tls_security_level = may\nsmtpd_tls_mandatory_protocols = >=TLSv1.2\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A directory with a main.cf, a new one beside it, and the commands of a mail server."""

    directory: Path
    calls: Path

    @property
    def new(self) -> Path:
        return self.directory / "new main.cf"

    @property
    def main_cf(self) -> Path:
        return self.directory / "etc" / "main.cf"

    def command(self, name: str, script: str) -> None:
        """Install a stand-in, which writes down its arguments and then does as the script says."""
        path = self.directory / "bin" / name
        path.write_text(f"#!/bin/sh\necho {name} \"$@\" >> '{self.calls}'\n{script}\n")
        path.chmod(0o755)

    def reload(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the script for the new file."""
        return subprocess.run(
            [str(SCRIPT), *(arguments or (str(self.new),))],
            env={"PATH": f"{self.directory / 'bin'}:/usr/bin:/bin", "LC_ALL": "C"},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def called(self) -> list[str]:
        """The commands that had an effect or judged, in order."""
        lines = self.calls.read_text().splitlines() if self.calls.exists() else []
        return [line for line in lines if line.startswith(("mxprobe", "postfix "))]

    def files(self) -> set[str]:
        return {path.name for path in self.main_cf.parent.iterdir()}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(directory=tmp_path, calls=tmp_path / "calls")
    for name in ("bin", "etc"):
        (tmp_path / name).mkdir()
    made.main_cf.write_text(OLD)
    made.main_cf.chmod(0o640)
    made.new.write_text(NEW)
    made.command(
        "postconf",
        f"""case "$*" in
        '-h config_directory') echo '{made.main_cf.parent}' ;;
        '-h mail_version') echo 3.7.11 ;;
        *) exit 1 ;;
        esac""",
    )
    made.command("openssl", "echo 'OpenSSL 3.0.17 1 Jul 2025 (Library: OpenSSL 3.0.17 1 Jul 2025)'")
    made.command("postfix", "exit 0")
    made.command("mxprobe", "exit 0")
    return made


def test_a_file_that_passes_is_installed_and_postfix_reloaded(machine: Machine) -> None:
    done = machine.reload(str(machine.new), "--sender", "recorded", "--require", "tls1.2")
    assert done.returncode == 0, done
    assert machine.called() == [
        f"mxprobe check --main-cf {machine.new} --postfix 3.7.11 --openssl 3.0.17 --sender recorded --require tls1.2",
        "postfix check",
        "postfix reload",
    ]
    assert machine.main_cf.read_text() == NEW
    assert machine.main_cf.stat().st_mode & 0o777 == 0o640
    assert machine.main_cf.with_name("main.cf.before").read_text() == OLD
    assert machine.files() == {"main.cf", "main.cf.before"}


@pytest.mark.parametrize(
    ("code", "exit_code", "why"),
    [
        (1, 1, "the check of {new} failed"),
        (3, 3, "the check of {new} could not tell"),
        (2, 2, "the check of {new} could not be run (exit code 2)"),
        (137, 2, "the check of {new} could not be run (exit code 137)"),
    ],
)
def test_otherwise_the_old_file_stays_and_it_says_why(machine: Machine, code: int, exit_code: int, why: str) -> None:
    machine.command("mxprobe", f"echo 'what the check says'; exit {code}")
    done = machine.reload()
    assert done.returncode == exit_code
    assert done.stderr.startswith(f"postfix-reload: not reloaded: {why.format(new=machine.new)}")
    assert done.stderr.endswith(f"{machine.main_cf} is as it was\n")
    assert done.stdout == "what the check says\n"
    assert not any(line.startswith("postfix ") for line in machine.called())
    assert machine.main_cf.read_text() == OLD
    assert machine.files() == {"main.cf"}


def test_without_mxprobe_nothing_is_reloaded(machine: Machine) -> None:
    (machine.directory / "bin" / "mxprobe").unlink()
    assert machine.reload().returncode == 2
    assert machine.called() == []
    assert machine.main_cf.read_text() == OLD


@pytest.mark.parametrize(
    ("protocols", "exit_code", "installed"), [(">=TLSv1.2", 0, True), ("TLSv1", 1, False), (">=TLSv9", 1, False)]
)
def test_the_real_check_is_given_what_it_needs(
    machine: Machine, authority: Authority, protocols: str, exit_code: int, installed: bool
) -> None:
    machine.command("mxprobe", f'exec {sys.executable} -m mxprobe "$@"')
    machine.new.write_text(f"smtpd_tls_security_level = may\nsmtpd_tls_protocols = {protocols}\n")
    certificate = machine.directory / "fullchain.pem"
    certificate.write_bytes(authority.leaf("mx.example.org").chain_pem)
    done = machine.reload(str(machine.new), "--cert", str(certificate), "--sender", "recorded", "--require", "tls1.2")
    assert done.returncode == exit_code, done
    assert ("postfix reload" in machine.called()) == installed
    assert (machine.main_cf.read_text() == machine.new.read_text()) == installed
    assert done.stdout.startswith("PASSED" if installed else "FAILED")


@pytest.mark.parametrize("refused", ["check", "reload"])
def test_a_file_that_postfix_refuses_is_taken_back(machine: Machine, refused: str) -> None:
    machine.command("postfix", f'[ "$1" != {refused} ]')
    done = machine.reload()
    assert done.returncode == 1
    assert f"Postfix does not take {machine.new}" in done.stderr
    assert machine.main_cf.read_text() == OLD
    assert machine.files() == {"main.cf"}


def test_a_file_that_changes_while_it_is_checked_is_not_installed(machine: Machine) -> None:
    machine.command("mxprobe", f"echo 'smtpd_tls_security_level = none' >> '{machine.new}'")
    done = machine.reload()
    assert done.returncode == 3
    assert "was changed while it was checked" in done.stderr
    assert machine.main_cf.read_text() == OLD


def test_where_there_is_no_postfix_it_says_so(machine: Machine) -> None:
    machine.command("postconf", "exit 1")
    done = machine.reload()
    assert done.returncode == 2
    assert "postconf does not say where main.cf is" in done.stderr
    assert machine.called() == []


@pytest.mark.parametrize("arguments", [("/nonexistent/main.cf",), ("--require", "tls1.2"), ("",)])
def test_without_a_file_it_tells_how_it_is_used(machine: Machine, arguments: tuple[str, ...]) -> None:
    done = machine.reload(*arguments)
    assert done.returncode == 2
    assert "usage: postfix-reload MAIN_CF" in done.stderr
    assert machine.called() == []


@pytest.mark.parametrize("shell", ["dash", "bash --posix"])
def test_any_posix_shell_takes_it(shell: str) -> None:
    words = shell.split()
    assert shutil.which(words[0])
    subprocess.run([*words, "-n", SCRIPT], check=True)
    assert SCRIPT.read_text().startswith("#!/bin/sh\n")
    assert os.access(SCRIPT, os.X_OK)
