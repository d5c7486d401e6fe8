"""Figures as Prometheus' own parser reads them; no series names a next-hop, a host or an address."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from examples import targets
from examples.stored import NOW
from mxprobe.report.figures import EXPIRY_DAYS, Figures, LoopFigures, States
from mxprobe.report.metrics import MAX_LABELS, exposition
from mxprobe.store import AlertStanding, GroupStanding
from mxprobe.verdict.rules import judge

GROUP = GroupStanding(
    name="partners",
    next_hops=5,
    due=2,
    under_way=1,
    never=1,
    due_since=NOW - timedelta(hours=3),
    last_result_at=NOW - timedelta(minutes=1),
)
ALERT = AlertStanding(
    alert="ops", waiting=3, failing=1, given_up=2, oldest=NOW - timedelta(minutes=2), sent_at=NOW - timedelta(hours=1)
)
JUDGED = replace(
    targets.GOOD,
    verdicts=judge(targets.GOOD.next_hop, targets.GOOD.route, targets.GOOD.endpoints, NOW).verdicts,
)
FIGURES = Figures(
    at=NOW,
    last_result_at=NOW - timedelta(minutes=1),
    groups=(GROUP,),
    alerts=(ALERT,),
    open={("starttls-vanished", "critical"): 1, ("name-lost", "warning"): 4},
    states=States().with_targets((JUDGED, JUDGED), NOW),
    loop=LoopFigures(
        started_at=NOW, visits={"stored": 7, "failed": 1}, under_way=2, last_visit_seconds=1.5, in_use=3, limit=200
    ),
)


def samples(figures: Figures) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(exposition(figures).decode())
    return {
        (each.name, tuple(sorted(each.labels.items()))): each.value for family in families for each in family.samples
    }


def test_prometheus_reads_what_the_figures_say() -> None:
    found = samples(FIGURES)
    group, alert = ("group", "partners"), ("alert", "ops")
    for name, labels, value in (
        ("mxprobe_last_result_timestamp_seconds", (), NOW.timestamp() - 60),
        ("mxprobe_group_last_result_timestamp_seconds", (group,), NOW.timestamp() - 60),
        ("mxprobe_next_hops", (group,), 5),
        ("mxprobe_queue", (group, ("state", "due")), 2),
        ("mxprobe_queue", (group, ("state", "never")), 1),
        ("mxprobe_queue_late_seconds", (group,), 10800),
        ("mxprobe_targets", (("state", "yes"), ("verdict", "starttls")), 2),
        ("mxprobe_open_events", (("kind", "name-lost"), ("severity", "warning")), 4),
        ("mxprobe_outbox", (alert, ("state", "failing")), 1),
        ("mxprobe_outbox_oldest_seconds", (alert,), 120),
        ("mxprobe_alert_last_sent_timestamp_seconds", (alert,), NOW.timestamp() - 3600),
        ("mxprobe_visits_total", (("outcome", "stored"),), 7),
        ("mxprobe_last_visit_seconds", (), 1.5),
        ("mxprobe_connections_limit", (), 200),
        ("mxprobe_vantage_up", (), 1),
    ):
        assert found[name, labels] == value, name


def test_days_left_are_a_histogram() -> None:
    (facts,) = {each.certificates[0].not_after for each in targets.GOOD.endpoints if each.certificates}
    assert facts is not None
    at = facts - timedelta(days=10)
    found = samples(replace(FIGURES, states=States().with_targets((JUDGED,), at)))
    shown = sum(bool(each.certificates) for each in targets.GOOD.endpoints)
    name = "mxprobe_certificate_days_left"
    by_limit = {limit: found[f"{name}_bucket", (("le", str(float(limit))),)] for limit in EXPIRY_DAYS}
    assert by_limit == {limit: shown if limit >= 10 else 0 for limit in EXPIRY_DAYS}
    assert found[f"{name}_count", ()] == found[f"{name}_bucket", (("le", "+Inf"),)] == shown
    assert found["mxprobe_certificate_soonest_days_left", ()] == 10


def test_what_is_not_known_has_no_series() -> None:
    found = {name for name, _ in samples(Figures(at=NOW))}
    assert found == {f"mxprobe_certificate_days_left_{part}" for part in ("bucket", "count", "sum")}


def test_no_series_names_a_target_and_their_number_is_bounded() -> None:
    many = replace(
        FIGURES,
        groups=tuple(replace(GROUP, name=f"g{number}\n\x1b") for number in range(MAX_LABELS * 3)),
        alerts=tuple(replace(ALERT, alert=f'a"{number}') for number in range(MAX_LABELS * 3)),
    )
    text = exposition(many).decode()
    assert targets.GOOD.next_hop not in text
    assert all(each.host not in text and each.address not in text for each in targets.GOOD.endpoints)
    assert "\x1b" not in text
    assert len(samples(many)) < MAX_LABELS * 12


def test_every_metric_is_documented_and_no_other() -> None:
    said = (Path(__file__).parents[3] / "docs/alerts.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"`(mxprobe_[a-z_]+)`", said))
    found = {re.sub(r"_(bucket|count|sum)$", "", name) for name, _ in samples(FIGURES)}
    assert {name for name in found if not name.endswith("_created")} == documented
