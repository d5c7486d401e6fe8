"""Progress is for a person at a terminal: on standard error alone, and nothing at all elsewhere."""

import io
import os
import pty
import subprocess
import sys

import pytest

from mxprobe.report.progress import Progress, progress

SCRIPT = """
from mxprobe.report.progress import progress
with progress() as shown:
    shown.expect(2)
    shown.say("mx1.example.test: \\x1b[2JTLSv1.2")
    with shown.paused():
        print("result 1")
    shown.finish("a.example.test")
    print("result 2")
"""


class NoTerminal(io.StringIO):
    def isatty(self) -> bool:
        return False


def on_a_terminal(term: str) -> tuple[str, str]:
    """Standard output (a pipe) and standard error (a terminal) of a script that shows progress."""
    ours, theirs = pty.openpty()
    try:
        environment = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "FORCE_COLOR")}
        environment |= {"TERM": term, "COLUMNS": "80"}
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, stderr=theirs, text=True, env=environment
        )
        os.close(theirs)
        out, _ = process.communicate(timeout=30)
        assert process.returncode == 0
        seen = b""
        while True:
            try:
                read = os.read(ours, 65536)
            except OSError:  # EIO: the other side of the terminal is closed
                break
            if not read:
                break
            seen += read
    finally:
        os.close(ours)
    return out, seen.decode()


def test_a_terminal_shows_what_is_done_and_results_stay_on_standard_output() -> None:
    out, err = on_a_terminal("xterm")
    assert out == "result 1\nresult 2\n"
    assert "0 of 2 targets  mx1.example.test: \\x1b[2JTLSv1.2" in err
    assert "1 of 2 targets  a.example.test" in err
    assert "result" not in err
    assert "\x1b[2J" not in err


def test_a_terminal_that_cannot_move_its_cursor_is_left_alone() -> None:
    assert on_a_terminal("dumb") == ("result 1\nresult 2\n", "")


def test_silent_where_there_is_no_terminal() -> None:
    stream = NoTerminal()
    with progress(stream) as shown:
        shown.expect(1)
        shown.say("working")
        with shown.paused():
            pass
        shown.finish("example.test")
    assert stream.getvalue() == ""


def test_counts_targets_only_when_there_are_several() -> None:
    shown = Progress()
    shown.expect(1)
    shown.say("TLSv1.2")
    assert shown.line() == "TLSv1.2"
    shown.expect(2)
    shown.finish("example.test")
    assert shown.line() == "1 of 3 targets  example.test"


def test_an_error_within_ends_the_display_and_passes_on() -> None:
    with pytest.raises(KeyError), progress(NoTerminal()):
        raise KeyError
