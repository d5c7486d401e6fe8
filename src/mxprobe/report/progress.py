"""Progress on standard error while a probe or scan runs: for a person who waits, never for a log file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from mxprobe.report.escape import printable

if TYPE_CHECKING:
    from rich.live import Live


class Progress:
    """What is being done, and how many of the expected targets are done. Without a display it only counts."""

    def __init__(self, display: Live | None = None) -> None:
        self._display = display
        self._now = ""
        self.expected = 0
        self.done = 0

    def expect(self, targets: int) -> None:
        """Add targets to those that are expected."""
        self.expected += targets
        self._show()

    def say(self, text: str) -> None:
        """Show what is being done; peer text is escaped."""
        self._now = text
        self._show()

    def finish(self, target: str) -> None:
        """Count one target as done."""
        self.done += 1
        self.say(target)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Take the display off the screen while results are printed to the same terminal."""
        if self._display is None:
            yield
            return
        self._display.stop()
        try:
            yield
        finally:
            self._display.start(refresh=True)

    def line(self) -> str:
        """The line that is shown."""
        counted = f"{self.done} of {self.expected} targets  " if self.expected > 1 else ""
        return counted + printable(self._now, 120)

    def _show(self) -> None:
        if self._display is not None:
            from rich.spinner import Spinner
            from rich.text import Text

            self._display.update(Spinner("line", Text(self.line(), overflow="ellipsis", no_wrap=True)))


@contextmanager
def progress(stream: TextIO | None = None) -> Iterator[Progress]:
    """Progress for the time of the context, on `stream` (default: standard error) if that is a terminal.

    Elsewhere, and on terminals that cannot move the cursor (``TERM=dumb``), nothing is written.
    """
    stream = sys.stderr if stream is None else stream
    if not stream.isatty():
        yield Progress()
        return
    from rich.console import Console
    from rich.live import Live

    console = Console(file=stream)
    if not console.is_terminal or console.is_dumb_terminal:
        yield Progress()
        return
    # Standard output stays as it is: rich would send it to this console, and a piped JSON document with it.
    display = Live(console=console, transient=True, refresh_per_second=8, redirect_stdout=False, redirect_stderr=False)
    with display:
        yield Progress(display)
