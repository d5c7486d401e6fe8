"""The command line as its users meet it: arguments in; exit code, standard output and standard error out."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mxprobe.cli import run

PATIENCE_SECONDS = 60
"""How long a command may take before the test gives up: generous, because the machine may be busy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def words(self) -> str:
        """Standard output with every run of blanks and newlines as one blank: where lines are broken is layout."""
        return " ".join(self.out.split())

    @property
    def document(self) -> Any:
        """Standard output as the one JSON document that it should be."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """Standard output as ndjson."""
        return [json.loads(line) for line in self.out.splitlines()]


def command(*arguments: str | Path) -> list[str]:
    """The command with these arguments, for those who start it themselves. Warnings are errors, but for that of imghdr,
    which apprise imports where Python still has it."""
    warnings = ("-W", "error", "-W", "ignore:'imghdr' is deprecated:DeprecationWarning")
    return [sys.executable, *warnings, "-m", "mxprobe", *(str(argument) for argument in arguments)]


def mxprobe(*arguments: str | Path) -> Done:
    """Run the command to its end in this process, which spares the half second that a new one takes to begin.

    An exception that would be a traceback fails the test.
    """
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        code = run([str(argument) for argument in arguments])
    return Done(code=code, out=out.getvalue(), err=err.getvalue())


def mxprobe_process(*arguments: str | Path, cwd: Path | None = None) -> Done:
    """Run the command to its end in a process of its own, with its output in pipes."""
    done = subprocess.run(
        command(*arguments),
        cwd=cwd,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    return Done(code=done.returncode, out=done.stdout, err=done.stderr)


def environment() -> dict[str, str]:
    """The environment of the tests, without what would change the width or the colours of the output."""
    return {name: value for name, value in os.environ.items() if name not in _OF_THE_TERMINAL}


def complaint(done: Done) -> str:
    """The one line of a command that was used wrongly: nothing else was said, and the exit code is 2."""
    (line,) = done.err.splitlines()
    assert line.startswith("mxprobe: "), done
    assert (done.code, done.out) == (2, ""), done
    return line


_OF_THE_TERMINAL = {"COLUMNS", "LINES", "FORCE_COLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE", "NO_COLOR", "TERM"}
