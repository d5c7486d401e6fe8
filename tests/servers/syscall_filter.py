"""Runs a program under the seccomp filter that systemd makes of a unit (systemd.exec(5)): SystemCallFilter,
SystemCallErrorNumber=EPERM, MemoryDenyWriteExecute and RestrictAddressFamilies.

systemd itself is not run: a test has no system of its own. What the sets like @system-service hold is asked of
`systemd-analyze syscall-filter`; libseccomp, of which apt and systemd make use, makes the filter. As a program:

    python syscall_filter.py UNIT PROGRAM [ARGUMENT]...
"""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import sys
from pathlib import Path

_ALLOW = 0x7FFF0000
_EPERM = 0x00050001
_EQUAL, _MASKED_EQUAL = 4, 7
_WRITE, _EXEC, _SHM_EXEC = 2, 4, 0o100000


class _Comparison(ctypes.Structure):
    """``struct scmp_arg_cmp`` of seccomp_rule_add(3)."""

    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("datum_a", ctypes.c_uint64),
        ("datum_b", ctypes.c_uint64),
    )


_WITHOUT_WRITE_AND_EXECUTE = {
    # protection is the third argument of these, and no mapping may have, or get, both rights.
    "mmap": [(2, _MASKED_EQUAL, _WRITE | _EXEC, allowed) for allowed in (0, _WRITE, _EXEC)],
    "mmap2": [(2, _MASKED_EQUAL, _WRITE | _EXEC, allowed) for allowed in (0, _WRITE, _EXEC)],
    "mprotect": [(2, _MASKED_EQUAL, _EXEC, 0)],
    "pkey_mprotect": [(2, _MASKED_EQUAL, _EXEC, 0)],
    "shmat": [(2, _MASKED_EQUAL, _SHM_EXEC, 0)],
}


def settings_of(unit: str) -> dict[str, list[str]]:
    """The settings of a unit, each with its values in their order; a name may stand there more than once."""
    found: dict[str, list[str]] = {}
    for line in unit.splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith(("#", ";")):
            found.setdefault(name.strip(), []).append(value.strip())
    return found


def allowed_calls(settings: dict[str, list[str]]) -> set[str]:
    """The system calls that the unit's SystemCallFilter lets pass."""
    allowed: set[str] = set()
    for value in settings["SystemCallFilter"]:
        names = set().union(*(_set(word) for word in value.removeprefix("~").split()))
        allowed = allowed - names if value.startswith("~") else allowed | names
    return allowed


def _set(name: str) -> set[str]:
    if not name.startswith("@"):
        return {name}
    listed = subprocess.run(
        ["systemd-analyze", "syscall-filter", "--no-pager", name], capture_output=True, text=True, check=True
    ).stdout
    words = [line.strip() for line in listed.splitlines()[1:] if line.strip() and "#" not in line]
    return set().union(*(_set(word) for word in words))


def confine(settings: dict[str, list[str]]) -> None:
    """Put this process, and all that it starts, under the filter of the unit."""
    library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(_EPERM)))
    rules: dict[str, list[tuple[int, int, int, int]]] = {name: [] for name in allowed_calls(settings)}
    if settings.get("MemoryDenyWriteExecute") == ["yes"]:
        rules |= _WITHOUT_WRITE_AND_EXECUTE
    families = " ".join(settings["RestrictAddressFamilies"]).split()
    rules["socket"] = [(0, _EQUAL, int(getattr(socket, family)), 0) for family in families]
    for name, comparisons in rules.items():
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number < 0:
            continue  # not one of this kind of machine
        for arguments in [(_Comparison * 1)(comparison) for comparison in comparisons] or [None]:
            count = 0 if arguments is None else 1
            failed = library.seccomp_rule_add_array(context, ctypes.c_uint32(_ALLOW), number, count, arguments)
            if failed:
                raise OSError(-failed, f"no rule for {name}")
    failed = library.seccomp_load(context)
    if failed:
        raise OSError(-failed, "the kernel takes no filter")


if __name__ == "__main__":
    confine(settings_of(Path(sys.argv[1]).read_text()))
    os.execvp(sys.argv[2], sys.argv[2:])
