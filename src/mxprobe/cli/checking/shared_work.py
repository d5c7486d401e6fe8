"""Work that is shared with a second process, so that the second processor helps with it."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import chain, zip_longest
from multiprocessing import get_all_start_methods, get_context
from multiprocessing.connection import Connection
from typing import Any, TypeVar

Share = tuple[int, int]
"""Which of so many shares: of three, the second one is (1, 3), and has the items number 1, 4, 7 and so on."""

ALL: Share = (0, 1)

_Result = TypeVar("_Result")
_NOTHING: Any = object()


def in_shares(work: Callable[[Share], Sequence[_Result]]) -> list[_Result]:
    """The results of all items in their order, where `work` gives those of one share; what it raises is raised.

    Where there is one processor, or where processes cannot be forked, it is all done here. Nothing else may run in
    this process: a fork has none of its threads.
    """
    if "fork" not in get_all_start_methods() or _processors() < 2:
        return list(work(ALL))
    context = get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    collecting = gc.isenabled()
    gc.disable()  # to look through what both share would copy it
    other = context.Process(target=_send, args=(work, (1, 2), sender), daemon=True)
    other.start()
    sender.close()
    try:
        mine = work((0, 2))
        try:
            theirs = receiver.recv()
        except EOFError:  # it failed, or was killed, such as for want of memory
            theirs = work((1, 2))
    finally:
        if collecting:
            gc.enable()
        receiver.close()
        other.kill()
        other.join()
    pairs = chain.from_iterable(zip_longest(mine, theirs, fillvalue=_NOTHING))
    return [each for each in pairs if each is not _NOTHING]


def _send(work: Callable[[Share], Sequence[_Result]], share: Share, sender: Connection) -> None:
    # What goes wrong here goes wrong there too, and is told there; Ctrl-C is sent to both.
    with suppress(Exception, KeyboardInterrupt):
        sender.send(work(share))


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
