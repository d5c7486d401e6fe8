"""How a service stands, by what the store has: gathered for metrics and status."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from mxprobe.alerts.enqueueing import WORST
from mxprobe.errors import InvalidMemory
from mxprobe.report.figures import Figures, LoopFigures, States, Wrong, worst_of
from mxprobe.report.metrics import check_installed, exposition
from mxprobe.store import Store
from mxprobe.verdict.memory import Memory
from mxprobe.verdict.memory_document import read_memory
from mxprobe.verdict.rules import judge

GIVEN_UP_WITHIN = timedelta(days=7)
STATES_EVERY = timedelta(minutes=5)
"""How old the states of targets may be, to find which all that is known is judged."""

_AT_ONCE = 100


async def stored_figures(store: Store, now: datetime) -> Figures:
    """What the store says of a service, without the states of its targets."""
    found: Counter[tuple[str, str]] = Counter()
    wrong: tuple[Wrong, ...] = ()
    unreadable, last = 0, ""
    while some := await store.memories(after=last):
        for _, document in some:
            try:
                memory = read_memory(document)
            except InvalidMemory:
                unreadable += 1
                continue
            named = tuple(_wrong(memory))
            if named:
                found.update((each.kind, each.severity) for each in named)
                wrong = worst_of((*wrong, *named))
        last = some[-1][0]
    return Figures(
        at=now,
        last_result_at=await store.last_result_at(),
        groups=await store.group_standing(now),
        alerts=await store.alert_standing(now - GIVEN_UP_WITHIN),
        open=dict(found),
        wrong=wrong,
        unreadable=unreadable,
    )


def _wrong(memory: Memory) -> Iterator[Wrong]:
    for aspect, remembered in memory.known.items():
        if kind := remembered.open:
            yield Wrong(
                severity=WORST.get(kind, "info"),
                next_hop=memory.next_hop,
                kind=kind,
                endpoint=aspect.endpoint,
                since=remembered.since,
            )


async def stored_states(store: Store, now: datetime) -> States:
    """The states of all targets, judged as of now, some at a time."""
    states = States()
    names = await store.next_hops()
    for start in range(0, len(names), _AT_ONCE):
        report = await store.latest(names[start : start + _AT_ONCE])
        targets = report.targets if report else ()
        judged = [
            replace(each, verdicts=judge(each.next_hop, each.route, each.endpoints, now).verdicts) for each in targets
        ]
        states = states.with_targets(judged, now)
    return states


class Standing:
    """The figures of a running service as metrics; the states of its targets are judged again now and then only.

    Raises:
        InvalidSetting: prometheus-client is not installed.
    """

    def __init__(self, store: Store, loop: Callable[[], LoopFigures | None], now: Callable[[], datetime]) -> None:
        check_installed()
        self._store = store
        self._loop = loop
        self._now = now
        self._states = States()
        self._states_at: datetime | None = None

    async def text(self) -> bytes:
        """All figures in Prometheus' text format.

        Raises:
            StoreError: the database fails.
        """
        now = self._now()
        if self._states_at is None or abs(now - self._states_at) >= STATES_EVERY:
            self._states = await stored_states(self._store, now)
            self._states_at = now
        figures = await stored_figures(self._store, now)
        return exposition(replace(figures, states=self._states, loop=self._loop()))
