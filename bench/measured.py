"""Runs one command and says what it cost: ``python -I -S bench/measured.py OUTPUT_FILE COMMAND...`` prints JSON.

A process of its own, and a small one: the peak memory of a child (`getrusage(2)` ru_maxrss) is never less than what its
parent had when it forked.
"""

import json
import os
import resource
import sys
import time


def main(output: str, command: list[str]) -> None:
    with open(output, "wb") as file:
        started = time.monotonic()
        child = os.posix_spawnp(
            command[0],
            command,
            os.environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, file.fileno(), 1), (os.POSIX_SPAWN_DUP2, file.fileno(), 2)],
        )
        _, status = os.waitpid(child, 0)
        seconds = time.monotonic() - started
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cost = {
        "status": os.waitstatus_to_exitcode(status),
        "seconds": seconds,
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "peak_bytes": used.ru_maxrss * 1024,
    }
    print(json.dumps(cost))


main(sys.argv[1], sys.argv[2:])
