"""Files that a user names: read with a bound on their size, and on the time that a pipe may keep us waiting."""

from __future__ import annotations

import errno
import os
import select
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

PATIENCE_SECONDS: Final = 10.0
"""How long nothing may come from what is no plain file: ``<(ssh mx postconf -n)`` takes a second or two."""

_CHUNK: Final = 1 << 20
_CREDENTIALS: Final = "CREDENTIALS_DIRECTORY"


def beside(directory: Path, name: str) -> Path:
    """The path that a configuration names: relative to its directory, with the home directory for ``~``."""
    try:
        return directory / Path(name).expanduser()
    except RuntimeError:  # nobody is called so: then it is the name of a file, which hardly is there
        return directory / name


def secret_path(name: str, directory: Path, environment: Mapping[str, str] = os.environ) -> Path:
    """Where the file of a secret is: relative to `directory`, or to where systemd puts the credentials of a unit
    (``$CREDENTIALS_DIRECTORY/NAME``, systemd.exec(5), LoadCredential), which is another place for each unit.

    Raises:
        ValueError: there are no credentials here.
    """
    within = name.removeprefix(f"${_CREDENTIALS}/")
    if within == name:
        return beside(directory, name)
    if not environment.get(_CREDENTIALS):
        raise ValueError(f"the environment has no {_CREDENTIALS}, which systemd gives to units")
    return Path(environment[_CREDENTIALS]) / within


def read_at_most(path: str | Path, limit: int) -> bytes:
    """The bytes of a file, one more than `limit` where it has more; of a pipe, all until its writers have closed it.

    Raises:
        OSError: it cannot be read, nobody writes to it, or nothing came for `PATIENCE_SECONDS`.
        ValueError: a path with a NUL in it.
    """
    # Without O_NONBLOCK the open of a pipe waits for a writer, who may never come.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb", buffering=0) as file:
        kind = os.fstat(file.fileno()).st_mode
        if stat.S_ISDIR(kind):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        found = bytearray()
        while len(found) <= limit:
            part = file.read(min(_CHUNK, limit + 1 - len(found)))
            if part is None:  # somebody has it open for writing, and has not written yet
                if not select.select([file], [], [], PATIENCE_SECONDS)[0]:
                    late = f"nothing came from it for {PATIENCE_SECONDS:.0f} seconds"
                    raise TimeoutError(errno.ETIMEDOUT, late, str(path))
                continue
            if not part:
                break
            found += part
    if stat.S_ISFIFO(kind) and not found:
        raise BrokenPipeError(errno.EPIPE, "a pipe, and nobody writes to it", str(path))
    return bytes(found)
