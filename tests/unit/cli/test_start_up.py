"""What a command imports before it has anything to do: who asks for help or mistypes does not wait for libraries."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = (
    "OpenSSL",
    "alembic",
    "asyncio",
    "cryptography",
    "dns",
    "idna",
    "mxprobe.demo",
    "mxprobe.facts",
    "mxprobe.network",
    "mxprobe.probing",
    "mxprobe.report.terminal",
    "mxprobe.schedule",
    "mxprobe.configuration",
    "mxprobe.store",
    "mxprobe.tls.suites",
    "service_identity",
    "sqlalchemy",
    "ssl",
    "tlslite",
    "uvloop",
)

_RUN = """
import sys
from mxprobe.cli import run
code = run(sys.argv[2:])
heavy = sorted(set(sys.argv[1].split(",")) & sys.modules.keys())
print("|", code, *heavy)
"""


def imported(*arguments: str) -> tuple[int, set[str]]:
    """The exit code, and those of `HEAVY` that a command has imported when it ends."""
    program = [sys.executable, "-W", "error", "-c", _RUN, ",".join(HEAVY), *arguments]
    done = subprocess.run(program, capture_output=True, text=True, check=True, timeout=60)
    code, *modules = done.stdout.rpartition("|")[2].split()
    return int(code), set(modules)


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], ["probe", "--help"], ["scan", "--help"], ["show", "--help"], ["demo", "--help"]],
)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    assert imported(*arguments) == (0, set())


def test_a_mistyped_command_imports_nothing_heavy() -> None:
    assert imported("prob") == (2, set())
    assert imported("probe", "--nonsense") == (2, set())


def test_a_probe_imports_neither_the_store_nor_the_demo() -> None:
    code, modules = imported("probe", "[224.0.0.1]:25")
    assert code == 3
    assert "cryptography" in modules
    assert not modules & {
        "sqlalchemy",
        "alembic",
        "tlslite",
        "mxprobe.demo",
        "mxprobe.schedule",
        "mxprobe.configuration",
    }


def test_without_names_to_resolve_the_dns_library_is_not_needed() -> None:
    assert "dns" not in imported("probe", "[224.0.0.1]:25")[1]
