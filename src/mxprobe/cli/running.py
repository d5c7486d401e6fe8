"""Running a coroutine for a command: on uvloop where that is installed."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine
from typing import TypeVar

T = TypeVar("T")

GARBAGE_THRESHOLD = 10_000
"""New objects before Python looks for cycles among them: a megabyte or two, where its own 700 are some kilobytes."""


def run_async(work: Coroutine[None, None, T]) -> T:
    """Run to the end; Ctrl-C cancels, and what was opened is closed."""
    # What the imports made stays, and a probe leaves next to no cycles; to look for them often takes much of its time.
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(work)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
