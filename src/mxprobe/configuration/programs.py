"""Files of MTAs, and what the programs of this machine say: read with a bound on size and time, and no shell."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Final

from mxprobe.configuration.files import read_at_most
from mxprobe.errors import InvalidSetting

MAX_FILE: Final = 4_000_000
"""Bytes of a configuration file of an MTA: real ones have 100,000 at most. A device or a log would be endless."""

MAX_OUTPUT: Final = 1_000_000
"""Bytes that a program may print: `postconf -n` and `gnutls-cli --list` print 20,000."""

TIMEOUT: Final = 20.0
"""Seconds that a program may take: each takes a tenth, and a machine may be busy."""

_SYSTEM_DIRECTORIES = "/usr/sbin:/usr/local/sbin:/sbin:/usr/bin:/usr/local/bin:/bin"


def read_text(path: Path, where: str | None = None) -> str:
    """The text of a file that somebody wrote for an MTA: UTF-8, or bytes that each stand for themselves.

    Raises:
        InvalidSetting: it cannot be read, or is no such file; `where` is what names it, by default its path.
    """
    subject = "" if where is None else f"{path} "
    where = str(path) if where is None else where
    try:
        data = read_at_most(path, MAX_FILE)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise InvalidSetting(where, f"{subject}cannot be read: {reason or error}") from error
    if len(data) > MAX_FILE:
        raise InvalidSetting(where, f"{subject}is longer than {MAX_FILE} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def included_text(name: str) -> str | None:
    """The text of a file that a configuration includes; None if there is none.

    Raises:
        InvalidSetting: it may be there, and cannot be read.
    """
    try:
        os.stat(name)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise InvalidSetting(name, f"cannot be read: {reason or error}") from error
    return read_text(Path(name))


def program(*names: str) -> str | None:
    """Where the first of these programs is that is installed, also in the directories for administrators."""
    for name in names:
        found = shutil.which(name) or shutil.which(name, path=_SYSTEM_DIRECTORIES)
        if found is not None:
            return found
    return None


def output_of(command: tuple[str, ...], where: str) -> tuple[int, str, str]:
    """How a program ended, what it printed, and what it said on standard error.

    Raises:
        InvalidSetting: it cannot be started, or takes or prints more than any such program does.
    """
    shown = f"`{' '.join(command)[:100]}`"
    with tempfile.TemporaryFile() as said:
        try:
            process = subprocess.Popen(  # noqa: S603 - a list of words, the first the path of a program
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=said,
                env={**os.environ, "LC_ALL": "C"},
            )
        except (OSError, ValueError) as error:
            raise InvalidSetting(where, f"{shown} cannot be started: {error}") from error
        with process:
            timer = threading.Timer(TIMEOUT, process.kill)
            timer.start()
            try:
                assert process.stdout is not None, "a pipe was asked for"
                printed = process.stdout.read(MAX_OUTPUT + 1)
                if len(printed) > MAX_OUTPUT:
                    process.kill()
                    raise InvalidSetting(where, f"{shown} printed more than {MAX_OUTPUT} bytes")
                status = process.wait()
                late = not timer.is_alive()
            finally:
                timer.cancel()
        if late and status < 0:
            raise InvalidSetting(where, f"{shown} did not end within {TIMEOUT:.0f} seconds")
        said.seek(0)
        return status, printed.decode(errors="replace"), said.read(MAX_OUTPUT).decode(errors="replace")


def last_line(text: str) -> str:
    """What a program said last, on one line of bounded length."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:200] if lines else "it said nothing"
