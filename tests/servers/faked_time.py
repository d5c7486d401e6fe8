"""Another time for a process: libfaketime (Debian package faketime) stands between it and the clocks of the machine."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path


def shifted(seconds: float, *, speed: int = 1) -> Mapping[str, str]:
    """The environment of a process whose clocks, all of them, are so far ahead when it begins, and run so fast."""
    return _environment() | {"FAKETIME": f"{seconds:+.3f} x{speed}"}


def settable(path: Path) -> Mapping[str, str]:
    """The environment of a process whose clock on the wall is set by `set_clock`; its others run on."""
    set_clock(path, 0)
    return _environment() | {
        "FAKETIME_TIMESTAMP_FILE": str(path),
        "FAKETIME_CACHE_DURATION": "1",  # seconds after which the file is read again
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


def set_clock(path: Path, seconds: float) -> None:
    """Set the clock of a `settable` process: so far from the time that it is."""
    new = path.with_suffix(".new")
    new.write_text(f"{seconds:+.3f}")
    new.replace(path)  # it never sees half of it


def clean_up_after(process_id: int) -> None:
    """Remove what the library shares between processes (shm_overview(7)), which one that was killed leaves behind."""
    for name in (f"faketime_shm_{process_id}", f"sem.faketime_sem_{process_id}"):
        (Path("/dev/shm") / name).unlink(missing_ok=True)


def _environment() -> dict[str, str]:
    return {"LD_PRELOAD": str(_library())}


@cache
def _library() -> Path:
    """The library for programs with threads."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not found:
        raise RuntimeError("libfaketime is not installed; tools/install-test-servers does that")
    return found[0]
