"""The recorder of mxprobe in a thread, for clients that block: it keeps the first hello that comes."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Queue

from mxprobe.network.recording import Recorded, RecordingSettings, record


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorder:
    """A recorder that listens on `port` of 127.0.0.1; `noted` has its lines so far."""

    port: int
    noted: list[str]
    future: Future[Recorded | None]

    def ended(self) -> Recorded | None:
        """The hello, as soon as it came; None if those who came sent none.

        Raises:
            RuntimeError: nobody came.
        """
        found = self.future.result()
        if found is None and not self.noted:
            raise RuntimeError("nobody came")
        return found

    def recorded(self) -> Recorded:
        """The hello, as soon as it came.

        Raises:
            RuntimeError: none came.
        """
        found = self.ended()
        if found is None:
            raise RuntimeError("no hello came: " + "; ".join(self.noted))
        return found


@contextmanager
def recorder(*, timeout_seconds: float = 60.0, connections: int = 100) -> Iterator[Recorder]:
    """Listen on a free port of 127.0.0.1 until a hello has come, as many have come without one, or the time is over."""
    settings = RecordingSettings(timeout_seconds=timeout_seconds, connections=connections)
    noted: list[str] = []
    ports: Queue[int] = Queue()
    with ThreadPoolExecutor(1, "recorder") as pool:
        future = pool.submit(_record, settings, ports, noted)
        yield Recorder(port=ports.get(timeout=10), noted=noted, future=future)


def _record(settings: RecordingSettings, ports: Queue[int], noted: list[str]) -> Recorded | None:
    found = asyncio.run(record(settings, listening=lambda _, port: ports.put(port), noted=noted.append))
    with warnings.catch_warnings():
        # Who came in the moment it ended has a connection of which nobody knows, and waits for an answer.
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    return found
