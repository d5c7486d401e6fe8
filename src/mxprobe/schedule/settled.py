"""What a service goes by: its configuration, what that comes to, and its visits. It is read again when somebody asks
for it, and when a file of next-hops has changed; a mistake in it changes nothing."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping

from mxprobe.configuration.next_hop_files import NextHopFile, read_again
from mxprobe.configuration.probes_toml import Configuration, Group, InvalidConfiguration
from mxprobe.errors import MxprobeError
from mxprobe.schedule.clock import Clock
from mxprobe.schedule.telling import Teller, counted
from mxprobe.schedule.visit_run import World
from mxprobe.schedule.visits import Visit, visits

FILES_AGAIN = 30.0
"""Seconds after which files of next-hops are looked at again."""

MakeWorld = Callable[[Configuration, Callable[[], Mapping[str, Visit]]], World]
"""Makes what a configuration comes to; it is given what says which visits there are at that moment. It may raise an
`MxprobeError`."""


class Settled:
    """The configuration that counts now, as far as it concerns the groups of these `names` (none: all of them).

    `is_right` says whether it was without a mistake when it was read last.

    Raises:
        MxprobeError: a group is not there, or something in it cannot be used.
    """

    def __init__(
        self,
        configuration: Configuration,
        names: tuple[str, ...],
        *,
        make_world: MakeWorld,
        read: Callable[[], Configuration],
        clock: Clock,
        teller: Teller,
    ) -> None:
        self.configuration = configuration
        self.groups: list[Group] = list(configuration.select_groups(names))
        self.visits: Mapping[str, Visit] = visits(self.groups)
        self.is_right = True
        self._names = names
        self._make_world = make_world
        self._read = read
        self._clock = clock
        self._teller = teller
        self._files_at = clock.now().steady
        self.world = make_world(configuration, self._visits_now)

    def tell(self) -> None:
        """Tell what is wrong in files of next-hops, which holds up nobody else."""
        for told in self.configuration.told:
            self._teller.tell("warning", "next-hops", str(told))

    async def read_again(self) -> bool:
        """The configuration as it is now; False where a mistake in it changes nothing."""
        before = self.configuration
        try:
            configuration = await asyncio.to_thread(self._read)
            groups = list(configuration.select_groups(self._names))
            world = self._make_world(configuration, self._visits_now)
        except MxprobeError as error:
            self.is_right = False
            for mistake in error.mistakes if isinstance(error, InvalidConfiguration) else (error,):
                self._teller.tell("error", "configuration", str(mistake))
            self._teller.tell("error", "configuration", "not read again, the one of before is kept")
            return False
        self.configuration, self.groups, self.world = configuration, groups, world
        self.is_right = True
        self.tell()
        for key, is_same in (
            ("store.url", configuration.store_url == before.store_url),
            ("service.metrics", configuration.service.metrics == before.service.metrics),
        ):
            if not is_same:
                self._teller.tell("warning", "configuration", f"{key} is another one; that takes a restart")
        self._read_anew("configuration")
        return True

    async def read_files_again(self) -> bool:
        """The files of next-hops as they are now, if it is time to look at them; whether there are others now."""
        if self.until_files() > 0:
            return False
        self._files_at = self._clock.now().steady
        changed = False
        for number, file in self._files():
            known, news = await asyncio.to_thread(read_again, file, self._clock.now().wall)
            for told in news:
                self._teller.tell("warning", "next-hops", str(told))
            if known is not file:
                group = self.groups[number].with_file(known)
                changed = changed or group.next_hops != self.groups[number].next_hops
                self.groups[number] = group
        if changed:
            self._read_anew("next-hops")
        return changed

    def until_files(self) -> float:
        """The seconds until files of next-hops are to be looked at; infinite where there are none."""
        return self._files_at + FILES_AGAIN - self._clock.now().steady if self._files() else math.inf

    def _files(self) -> list[tuple[int, NextHopFile]]:
        """The files of groups that may be read again; standard input may not."""
        return [
            (number, group.file)
            for number, group in enumerate(self.groups)
            if group.file is not None and group.file.mark is not None
        ]

    def _read_anew(self, what: str) -> None:
        self.visits = visits(self.groups)
        words = f"read again: {counted(len(self.visits), 'next-hop')}"
        self._teller.tell("info", what, words, next_hops=len(self.visits))

    def _visits_now(self) -> Mapping[str, Visit]:
        return self.visits
