"""`mxprobe run`: the service, with the real prober, store, clocks and signals."""

from __future__ import annotations

import asyncio
import hashlib
import json
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import get_args

from mxprobe.cli.outcome import COULD_NOT_TELL, NOTHING_TO_REPORT
from mxprobe.cli.running import run_async
from mxprobe.cli.scan import next_hops_from_standard_input, settings_of
from mxprobe.cli.service_log import LogFormat, line_of
from mxprobe.errors import InvalidSetting
from mxprobe.mta.profile import Profile
from mxprobe.probing.prober import Prober
from mxprobe.report.progress import Progress as Display
from mxprobe.report.progress import progress
from mxprobe.routing.route import Route
from mxprobe.schedule.clock import Clock, SystemClock
from mxprobe.schedule.configuration import Configuration, read_configuration
from mxprobe.schedule.lookout import Lookout, look_around
from mxprobe.schedule.observing import Found
from mxprobe.schedule.owners import owner
from mxprobe.schedule.recheck import Recheck
from mxprobe.schedule.service import Service
from mxprobe.schedule.telling import Line, Progress, counted
from mxprobe.schedule.visit_run import Visitor, World
from mxprobe.store import Store, open_store
from mxprobe.terms import Endpoint, NextHop

TWINS_FOR = 3600.0
"""Seconds for which the sweep of an endpoint is a model for its twins: those of one pass are asked within it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the command was told."""

    configuration: Path
    groups: tuple[str, ...] = ()
    once: bool = False
    log_format: str = "text"


def serve(request: Request) -> int:
    """Run the command, until it is told to stop, or with `once` until all is done that is due."""
    formats: tuple[LogFormat, ...] = get_args(LogFormat)
    form = next((each for each in formats if each == request.log_format), None)
    if form is None:
        raise InvalidSetting("--log-format", f"{request.log_format!r} is not a format", ", ".join(formats))
    read = partial(
        read_configuration,
        request.configuration,
        standard_input=cache(next_hops_from_standard_input),  # it is there once, however often the rest is read again
        pass_over=True,
    )
    configuration = read()
    configuration.select_groups(request.groups)
    with progress() as display:
        return run_async(_serve(configuration, read, request, form, display))


async def _serve(
    configuration: Configuration,
    read: Callable[[], Configuration],
    request: Request,
    form: LogFormat,
    display: Display,
) -> int:
    clock = SystemClock()
    async with open_store(configuration.store_url) as store:
        service = Service(
            configuration,
            store,
            make_world=Worlds(store, clock).make,
            read=read,
            clock=clock,
            owner=owner(),
            groups=request.groups,
            tell=partial(_write, form=form, display=display),
            show=partial(_show, display=display),
        )
        with _signals(service):
            if not request.once:
                await service.run()
                return NOTHING_TO_REPORT
            left = await service.once()
    if left:
        named = ", ".join(left[:10]) + (f" and {len(left) - 10} more" if len(left) > 10 else "")
        words = f"{counted(len(left), 'visit')} could not be made: {named}"
        _write(Line(level="warning", what="left", text=words), form=form, display=display)
    return COULD_NOT_TELL if left else NOTHING_TO_REPORT


class Worlds:
    """Makes what a configuration comes to; of one that is read again, limits that are the same go on as they stand."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._prober: Prober | None = None

    def make(self, configuration: Configuration, next_hops: Callable[[], Iterable[NextHop]]) -> World:
        """A prober, who makes visits with it, and who looks out."""
        prober = Prober(settings_of(configuration), None, limits_of=self._prober)
        self._prober = prober
        lookout = Lookout(partial(look_around, prober), next_hops, self._clock)
        asked = json.dumps(asdict(configuration.probe), sort_keys=True)
        visitor = Visitor(
            _Asking(prober, self._clock),
            self._store,
            lookout,
            self._clock,
            digest=hashlib.sha256(asked.encode()).hexdigest(),
            confirm_after=configuration.service.confirm_after,
        )
        return World(visitor=visitor, lookout=lookout)


class _Asking:
    """Asks with the prober. Who waits for whose sweep is forgotten from time to time: a model of last week is none."""

    def __init__(self, prober: Prober, clock: Clock) -> None:
        self._prober = prober
        self._clock = clock
        self._run = prober
        self._since = clock.now().steady

    async def resolve(self, next_hop: NextHop, /) -> Route:
        return await self._prober.resolve(next_hop)

    async def ask(self, endpoint: Endpoint, profiles: tuple[Profile, ...], how: Recheck, /) -> Found:
        now = self._clock.now().steady
        if now - self._since >= TWINS_FOR:
            self._run, self._since = self._prober.afresh(), now
        found = await self._run.once_more(endpoint, profiles, depth=how.depth, before=how.before)
        return found.facts, found.certificates


@contextmanager
def _signals(service: Service) -> Iterator[None]:
    """SIGTERM and Ctrl-C stop the service, SIGHUP has it read its configuration again."""
    loop = asyncio.get_running_loop()
    wanted = {signal.SIGTERM: service.stop, signal.SIGINT: service.stop, signal.SIGHUP: service.reload}
    for number, told in wanted.items():
        loop.add_signal_handler(number, told)
    try:
        yield
    finally:
        for number in wanted:
            loop.remove_signal_handler(number)


def _write(line: Line, *, form: LogFormat, display: Display) -> None:
    """A line of the log, on standard error; one that nobody can take is no reason to stop."""
    with display.paused(), suppress(OSError, ValueError):
        if sys.stderr is not None:
            print(line_of(line, datetime.now(UTC), form), file=sys.stderr, flush=True)


def _show(now: Progress, *, display: Display) -> None:
    display.say(f"{counted(now.under_way, 'visit')} under way, {now.overdue} overdue, {now.done} made")
