"""A transcript of one connection: who sent which bytes when, bounded, for ``--trace``."""

from __future__ import annotations

import time
from typing import Literal

from mxprobe.facts import TranscriptEntry

MAX_ENTRIES = 500
MAX_BYTES_PER_ENTRY = 16384
"""Bounds, because the peer decides how much it sends: what is over is counted, not kept."""


class Transcript:
    """Collects what passes over one connection."""

    def __init__(self, connection: int, title: str) -> None:
        self._connection = connection
        self._started = time.monotonic()
        self._entries: list[TranscriptEntry] = []
        self.add("-", "note", title.encode())

    def add(self, direction: Literal[">", "<", "-"], layer: Literal["smtp", "tls", "note"], data: bytes) -> None:
        """Note bytes sent (`>`), received (`<`), or an event of our own (`-`)."""
        if len(self._entries) > MAX_ENTRIES:
            return
        if len(self._entries) == MAX_ENTRIES:
            direction, layer, data = "-", "note", b"the transcript is cut here: the peer sent too much"
        seconds = time.monotonic() - self._started
        self._entries.append(
            TranscriptEntry(
                seconds=seconds,
                direction=direction,
                layer=layer,
                data=bytes(data[:MAX_BYTES_PER_ENTRY]),
                connection=self._connection,
            )
        )

    @property
    def entries(self) -> tuple[TranscriptEntry, ...]:
        """What was collected so far, in order."""
        return tuple(self._entries)
