"""Who holds a lease: a process, by a name from which others on the same machine can tell whether it has ended.

A lease is free after two minutes in any case. But a service that was killed is often started again at once, and need
not wait for itself.
"""

from __future__ import annotations

import os
import secrets
import socket
from pathlib import Path

_PROC = Path("/proc")


def owner() -> str:
    """A name for this process, which no other ever has."""
    pid = os.getpid()
    return "/".join((socket.gethostname(), _machine(), str(pid), _started(pid), secrets.token_hex(4)))


def has_ended(name: str) -> bool:
    """Whether the process of this name is known to have ended: only one of this machine, since it was started."""
    parts = name.split("/")
    if len(parts) != 5 or not parts[1] or parts[:2] != [socket.gethostname(), _machine()]:
        return False
    _, _, pid, started, _ = parts
    if not (pid.isascii() and pid.isdigit() and started):
        return False
    now = _started(int(pid))
    # Another process may have been given the same number since.
    return now != started if now else not _exists(int(pid))


def _machine() -> str:
    """This system since it was booted, and the processes that are seen here (a container has its own); empty where
    that cannot be told."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}.{os.stat(_PROC / 'self/ns/pid').st_ino}"
    except (OSError, ValueError):
        return ""


def _exists(pid: int) -> bool:
    """Whether there is a process of this number, also where /proc hides those of others (hidepid of proc_pid(5), which
    is ProtectProc of systemd)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _started(pid: int) -> str:
    """When a process was started, in ticks since boot (proc_pid_stat(5), field 22); empty where there is none."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()  # the name before it may hold blanks and parentheses
    return fields[19] if len(fields) > 19 else ""
