"""A disk that is soon full, and files that cannot be written any more, beneath a process that goes on."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SIZE = 16_000_000


class SmallDisk:
    """A directory with little room. `mounted` where it is a file system of its own, which only root can have made:
    else it is full for one process, none of whose files may grow (setrlimit(2), RLIMIT_FSIZE)."""

    def __init__(self, directory: Path, *, mounted: bool) -> None:
        self.directory = directory
        self.mounted = mounted
        self._filler = directory / "filler"

    def fill(self, process_id: int) -> None:
        """Leave no room."""
        if not self.mounted:
            _may_write(process_id, 0)
            return
        with self._filler.open("ab", buffering=0) as filler:
            for size in (65536, 4096):
                try:
                    while filler.write(bytes(size)) == size:
                        pass
                except OSError:  # no room for so much
                    continue

    def empty(self, process_id: int) -> None:
        """Make room again."""
        if self.mounted:
            self._filler.unlink()
        else:
            _may_write(process_id, resource.RLIM_INFINITY)

    @contextmanager
    def read_only(self) -> Iterator[None]:
        """While nobody has it open for writing: nobody can write."""
        if self.mounted:
            _run("mount", "-o", "remount,ro", str(self.directory))
        else:
            self.directory.chmod(0o555)
        try:
            yield
        finally:
            if self.mounted:
                _run("mount", "-o", "remount,rw", str(self.directory))
            else:
                self.directory.chmod(0o755)


@contextmanager
def small_disk(directory: Path) -> Iterator[SmallDisk]:
    """A directory with room for `SIZE` bytes, at this path."""
    directory.mkdir()
    options = ("-t", "tmpfs", "-o", f"size={SIZE},mode=755", "tmpfs")
    mounted = os.geteuid() == 0 and not subprocess.run(["mount", *options, directory], capture_output=True).returncode
    try:
        yield SmallDisk(directory, mounted=mounted)
    finally:
        if mounted:
            _run("umount", str(directory))


@contextmanager
def unwritable(process_id: int) -> Iterator[None]:
    """Each write of a process to any file fails, as on a disk that has gone bad."""
    _may_write(process_id, 0)
    try:
        yield
    finally:
        _may_write(process_id, resource.RLIM_INFINITY)


def _may_write(process_id: int, size: int) -> None:
    """Let no file of a process grow beyond this size, nor be written there."""
    resource.prlimit(process_id, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def _run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)
