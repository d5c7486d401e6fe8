"""`mxprobe run` and `mxprobe worker`: the service, with the real prober, store, clocks and signals."""

from __future__ import annotations

import asyncio
import hashlib
import json
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import get_args

from mxprobe.alerts.listener import ALLOWED_LISTENER, parse_listener
from mxprobe.alerts.metrics_server import metrics_server
from mxprobe.alerts.standing import Standing
from mxprobe.cli.many_machines import Book, require_queue, shared_budgets, work
from mxprobe.cli.outcome import COULD_NOT_TELL, NOTHING_TO_REPORT
from mxprobe.cli.running import run_async
from mxprobe.cli.scan import next_hops_from_standard_input, settings_of
from mxprobe.cli.service_log import LogFormat, line_of
from mxprobe.configuration.probes_toml import Configuration, read_configuration
from mxprobe.errors import InvalidSetting
from mxprobe.mta.profile import Profile
from mxprobe.network.sharing import SharedBudgets
from mxprobe.probing.prober import Connections, Prober
from mxprobe.report.figures import LoopFigures
from mxprobe.report.progress import Progress as Display
from mxprobe.report.progress import progress
from mxprobe.routing.route import Route
from mxprobe.schedule.alerting import Alerting
from mxprobe.schedule.clock import Clock, SystemClock
from mxprobe.schedule.lookout import Lookout, look_around
from mxprobe.schedule.observing import Found
from mxprobe.schedule.owners import owner
from mxprobe.schedule.recheck import Recheck
from mxprobe.schedule.service import Service
from mxprobe.schedule.telling import Line, Progress, counted
from mxprobe.schedule.timetable import Timetable
from mxprobe.schedule.visit_run import Visitor, World
from mxprobe.schedule.visits import Visit
from mxprobe.store import Store, open_store
from mxprobe.terms import Endpoint, NextHop

NO_METRICS = "off"
"""In the place of an address: none are served, whatever the configuration says."""

TWINS_FOR = 3600.0
"""Seconds for which the sweep of an endpoint is a model for its twins: those of one pass are asked within it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the command was told."""

    configuration: Path
    groups: tuple[str, ...] = ()
    once: bool = False
    log_format: str = "text"
    quiet: bool = False
    worker: bool = False
    at_once: int | None = None
    metrics: str | None = None


def serve(request: Request) -> int:
    """Run the command, until it is told to stop, or with `once` until all is done that is due."""
    formats: tuple[LogFormat, ...] = get_args(LogFormat)
    form = next((each for each in formats if each == request.log_format), None)
    if form is None:
        raise InvalidSetting("--log-format", f"{request.log_format!r} is not a format", ", ".join(formats))
    read = partial(
        _read,
        request,
        cache(next_hops_from_standard_input),  # it is there once, however often the rest is read again
    )
    configuration = read()
    configuration.select_groups(request.groups)
    configuration.alert_targets()  # a mistake is found before a database is made
    if request.worker:
        require_queue(configuration.store_url)
    with progress() as display:
        return run_async(_serve(configuration, read, request, form, display))


def _read(request: Request, standard_input: Callable[[], str]) -> Configuration:
    """The configuration, with what the command was told otherwise."""
    configuration = read_configuration(
        request.configuration, standard_input=standard_input, pass_over=True, asks=True, tells=True
    )
    service = configuration.service
    if request.at_once is not None:
        service = replace(service, at_once=request.at_once)
    if request.metrics is not None:
        service = replace(service, metrics=_listener(request.metrics))
    return replace(configuration, service=service)


def _listener(text: str) -> str | None:
    """Where metrics are served, as an option says it."""
    if text == NO_METRICS:
        return None
    try:
        parse_listener(text)
    except ValueError as error:
        raise InvalidSetting("--metrics", str(error), f"{ALLOWED_LISTENER}, or {NO_METRICS}") from error
    return text


async def _serve(
    configuration: Configuration,
    read: Callable[[], Configuration],
    request: Request,
    form: LogFormat,
    display: Display,
) -> int:
    clock = SystemClock()
    tell = partial(_write, form=form, display=display, quiet=request.quiet)
    url, name, book = configuration.store_url, owner(), Book()
    async with open_store(url) as store, shared_budgets(url, name, tell) as budgets:
        alerting = Alerting(store, clock, tell, hold=not request.once)
        worlds = Worlds(store, clock, alerting, budgets)
        service = Service(
            configuration,
            store,
            make_world=worlds.make,
            read=read,
            clock=clock,
            owner=name,
            groups=request.groups,
            make_book=book.make if request.worker else Timetable,
            tell=tell,
            show=partial(_show, display=display),
        )
        with _signals(service):
            if not request.once:
                async with _metrics(configuration.service.metrics, store, service, worlds, tell), alerting.running():
                    if request.worker:
                        at_once = configuration.service.at_once
                        await work(service, book, store, url, request.groups, at_once, tell)
                    else:
                        await service.run()
                return NOTHING_TO_REPORT
            left = await service.once()
            await alerting.flush()
    if left:
        named = ", ".join(left[:10]) + (f" and {len(left) - 10} more" if len(left) > 10 else "")
        words = f"{counted(len(left), 'visit')} could not be made: {named}"
        tell(Line(level="warning", what="left", text=words))
    return COULD_NOT_TELL if left else NOTHING_TO_REPORT


@asynccontextmanager
async def _metrics(
    listener: str | None, store: Store, service: Service, worlds: Worlds, tell: Callable[[Line], None]
) -> AsyncIterator[None]:
    """Serve metrics for the time of the context, if that is wanted."""
    if listener is None:
        yield
        return
    started_at = datetime.now(UTC)

    def loop() -> LoopFigures:
        standing, connections = service.standing(), worlds.connections
        return LoopFigures(
            started_at=started_at,
            visits=standing.ended,
            under_way=standing.under_way,
            last_visit_seconds=standing.last_visit_seconds,
            in_use=connections.in_use,
            limit=connections.limit,
            waiting=connections.waiting,
            vantage=standing.can_see,
            configuration=standing.is_configured,
        )

    figures = Standing(store, loop, lambda: datetime.now(UTC))
    host, port = parse_listener(listener)
    async with metrics_server(host, port, figures.text) as found:
        shown = f"[{host}]" if ":" in host else host
        tell(Line(level="info", what="metrics", text=f"http://{shown}:{found}/metrics"))
        yield


class Worlds:
    """Makes what a configuration comes to; of one that is read again, what is the same goes on as it stands."""

    def __init__(self, store: Store, clock: Clock, alerting: Alerting, budgets: SharedBudgets | None = None) -> None:
        self._budgets = budgets
        self._store = store
        self._clock = clock
        self._alerting = alerting
        self._prober: Prober | None = None
        self._asks: tuple[object, ...] = ()
        self._world: World | None = None

    @property
    def connections(self) -> Connections:
        """The connections of all that was made."""
        assert self._prober is not None, "a world was made"
        return self._prober.connections_now

    def make(self, configuration: Configuration, visits: Callable[[], Mapping[str, Visit]]) -> World:
        """A prober, who makes visits with it, and who looks out; and those who are told are settled.

        Raises:
            MxprobeError: something in the configuration cannot be used; all is as it was.
        """
        targets = configuration.alert_targets()
        # What of a configuration decides how endpoints are asked, and what is noticed.
        asks = configuration.probe, configuration.limits, configuration.service.confirm_after, configuration.notice
        if self._world is None or asks != self._asks:
            self._world, self._asks = self._new(configuration, visits), asks
        self._alerting.settle(targets, partial(_groups_of, visits), configuration.notice)
        return self._world

    def _new(self, configuration: Configuration, visits: Callable[[], Mapping[str, Visit]]) -> World:
        prober = Prober(settings_of(configuration), None, limits_of=self._prober, budgets=self._budgets)
        self._prober = prober
        lookout = Lookout(
            partial(look_around, prober),
            lambda: [visit.next_hop for visit in visits().values()],
            self._clock,
            ask_names=partial(look_around, prober, names_only=True),
        )
        asked = json.dumps(asdict(configuration.probe), sort_keys=True)
        visitor = Visitor(
            _Asking(prober, self._clock),
            self._store,
            lookout,
            self._clock,
            digest=hashlib.sha256(asked.encode()).hexdigest()[:16],  # it is in each row of a scan
            confirm_after=configuration.service.confirm_after,
            notice=configuration.notice,
            alerts=self._alerting,
        )
        return World(visitor=visitor, lookout=lookout, resolve=prober.resolve)


def _groups_of(visits: Callable[[], Mapping[str, Visit]], next_hop: str) -> tuple[str, ...]:
    visit = visits().get(next_hop)
    return () if visit is None else tuple(group.name for group in visit.groups)


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


def _write(line: Line, *, form: LogFormat, display: Display, quiet: bool = False) -> None:
    """A line of the log, on standard error; one that nobody can take is no reason to stop. When `quiet`, what is as it
    should be is left out."""
    if quiet and line.level == "info":
        return
    with display.paused(), suppress(OSError, ValueError):
        if sys.stderr is not None:
            print(line_of(line, datetime.now(UTC), form), file=sys.stderr, flush=True)


def _show(now: Progress, *, display: Display) -> None:
    display.say(f"{counted(now.under_way, 'visit')} under way, {now.overdue} overdue, {now.done} made")
