"""The end of the process."""

from __future__ import annotations

import subprocess
import sys

HANGS = """
import sys, threading, time
import mxprobe.cli

def run(arguments):
    threading.Thread(target=time.sleep, args=(600,)).start()
    print("all is kept")
    return 3

mxprobe.cli.run = run
mxprobe.cli.main([])
"""


def test_what_still_waits_for_somebody_does_not_hold_up_the_end() -> None:
    """As apprise does in a thread of its own, for a mail server that takes connections and says nothing."""
    done = subprocess.run([sys.executable, "-c", HANGS], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (3, "all is kept\n", "")
