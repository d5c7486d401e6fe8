"""Figures as Prometheus reads them.

Labels have bounded sets of values: groups and alerts of the configuration, verdicts, states and kinds of events of
mxprobe; never a next-hop, a host or an address.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mxprobe.errors import InvalidSetting
from mxprobe.report.escape import printable
from mxprobe.report.figures import EXPIRY_DAYS, Figures, LoopFigures

if TYPE_CHECKING:
    from prometheus_client.core import Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

MAX_LABELS = 200
"""Groups, and alerts, that have series of their own; a configuration with more has the first by name."""

_SEVERITIES = ("info", "warning", "critical")


def check_installed() -> None:
    """Say at start what would be missed later.

    Raises:
        InvalidSetting: prometheus-client is not installed.
    """
    try:
        import prometheus_client  # noqa: F401
    except ImportError as error:
        raise InvalidSetting("service.metrics", f"this needs pip install 'mxprobe[metrics]' ({error})") from error


def exposition(figures: Figures) -> bytes:
    """The figures in Prometheus' text format 0.0.4."""
    from prometheus_client import CollectorRegistry, generate_latest

    class Collected:
        def collect(self) -> Iterable[Metric]:
            yield from _metrics(figures)

        def describe(self) -> Iterable[Metric]:
            return ()

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Collected())
    return generate_latest(registry)


def _metrics(figures: Figures) -> Iterator[Metric]:
    from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily

    def gauge(name: str, what: str, labels: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> Metric:
        family = GaugeMetricFamily(f"mxprobe_{name}", what, labels=labels)
        for *values, number in rows:
            if number is not None:
                family.add_metric([printable(str(value), 100) for value in values], number)
        return family

    groups = sorted(figures.groups, key=lambda each: each.name)[:MAX_LABELS]
    alerts = sorted(figures.alerts, key=lambda each: each.alert)[:MAX_LABELS]
    seconds = _Since(figures.at)
    yield gauge(
        "last_result_timestamp_seconds", "When the last result was stored.", (), [(_unix(figures.last_result_at),)]
    )
    yield gauge(
        "group_last_result_timestamp_seconds",
        "When the last result of a group was stored.",
        ("group",),
        [(each.name, _unix(each.last_result_at)) for each in groups],
    )
    rows = [(each.name, word, getattr(each, word)) for each in groups for word in ("due", "under_way", "never")]
    yield gauge("next_hops", "Next-hops of a group.", ("group",), [(each.name, each.next_hops) for each in groups])
    yield gauge("queue", "Next-hops that are due, under way, or were never looked at.", ("group", "state"), rows)
    yield gauge(
        "queue_late_seconds",
        "How long the next-hop that is due for the longest has been due.",
        ("group",),
        [(each.name, seconds.since(each.due_since)) for each in groups],
    )
    yield gauge(
        "targets",
        "Next-hops by the state of each verdict, by the worst of their endpoints.",
        ("verdict", "state"),
        [(*key, number) for key, number in sorted(figures.states.verdicts.items())],
    )
    yield gauge(
        "open_events",
        "What was told and is not over.",
        ("kind", "severity"),
        [(*key, number) for key, number in sorted(figures.open.items())],
    )
    expiry = HistogramMetricFamily("mxprobe_certificate_days_left", "Days that certificates of endpoints still last.")
    buckets = [(str(float(limit)), float(figures.states.expiry.get(limit, 0))) for limit in EXPIRY_DAYS]
    expiry.add_metric([], [*buckets, ("+Inf", float(figures.states.certificates))], figures.states.days_total)
    yield expiry
    yield gauge(
        "certificate_soonest_days_left",
        "Days that the certificate which ends first still lasts.",
        (),
        [(figures.states.soonest_days,)],
    )
    yield gauge(
        "outbox",
        "Messages for a target of alerts.",
        ("alert", "state"),
        [(each.alert, word, getattr(each, word)) for each in alerts for word in ("waiting", "failing", "given_up")],
    )
    yield gauge(
        "outbox_oldest_seconds",
        "How long the message that waits for the longest has waited.",
        ("alert",),
        [(each.alert, seconds.since(each.oldest)) for each in alerts],
    )
    yield gauge(
        "alert_last_sent_timestamp_seconds",
        "When a target of alerts was told something last.",
        ("alert",),
        [(each.alert, _unix(each.sent_at)) for each in alerts],
    )
    if figures.loop is not None:
        yield from _of_loop(figures.loop)


def _of_loop(loop: LoopFigures) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    visits = CounterMetricFamily("mxprobe_visits", "Visits of next-hops by how they ended.", labels=("outcome",))
    for outcome, number in sorted(loop.visits.items())[:MAX_LABELS]:
        visits.add_metric([outcome], number)
    yield visits
    numbers: tuple[tuple[str, str, float | None], ...] = (
        ("started_timestamp_seconds", "When the service was started.", loop.started_at.timestamp()),
        ("visits_under_way", "Next-hops that are being looked at.", loop.under_way),
        ("last_visit_seconds", "How long the last visit took.", loop.last_visit_seconds),
        ("connections", "Connections that are open.", loop.in_use),
        ("connections_limit", "Connections that may be open (limits.connections).", loop.limit),
        ("connections_waiting", "Connections that wait for a limit.", loop.waiting),
        ("vantage_up", "Whether port 25 and the DNS can be used from here.", int(loop.vantage)),
        ("configuration_up", "Whether the configuration was right when it was read last.", int(loop.configuration)),
    )
    for name, what, found in numbers:
        if found is not None:
            yield GaugeMetricFamily(f"mxprobe_{name}", what, value=found)


class _Since:
    def __init__(self, at: datetime) -> None:
        self._at = at

    def since(self, moment: datetime | None) -> float | None:
        """Seconds from a moment on; no less than none, whatever became of the clock."""
        return None if moment is None else max((self._at - moment).total_seconds(), 0.0)


def _unix(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()
