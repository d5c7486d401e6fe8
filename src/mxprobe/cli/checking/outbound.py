"""`mxprobe check --outbound`: to which partners of the store would mail still go by TLS with this configuration?"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mxprobe.cli.checking.outbound_demands import Demands
from mxprobe.cli.checking.postfix_files import postfix_on_paper
from mxprobe.cli.checking.postfix_paper import remarks
from mxprobe.cli.checking.shared_work import ALL, Share, in_shares
from mxprobe.errors import InvalidSetting, StoreError
from mxprobe.store.location import is_postgresql, sqlite_path, without_password
from mxprobe.store.partners import listed, partners
from mxprobe.verdict.checks import Check, CheckReport
from mxprobe.verdict.outbound import Delivery, Partner, Simulations, delivery, present
from mxprobe.verdict.outbound_checks import partner_check, summary_check

if TYPE_CHECKING:
    from mxprobe.cli.checking.request import Request

CLEAR_TEXT_WAITS_SINCE = (3, 0, 0)
"""Since when mail has to be in the queue for `minimal_backoff_time` before a failed handshake leads to clear text
(HISTORY 20140218)."""

_LARGE = 10_000_000

_Judge = Callable[[Partner], Delivery]


def check_outbound(request: Request) -> CheckReport:
    """Judge every partner that the store knows, or those that are named, by the client that a main.cf makes.

    Raises:
        InvalidSetting: a file or an option cannot be used.
        StoreError: the store cannot be read, or knows none of the partners that are named.
    """
    started_at, started = datetime.now(UTC), time.monotonic()
    paper = postfix_on_paper(request, client=True)
    demands = Demands(paper)
    judge, trust = _judge(demands), demands.need_trust
    baseline: _Judge = present
    compared = request.baseline_main_cf is not None
    if compared:
        today = Demands(postfix_on_paper(request, client=True, main_cf=request.baseline_main_cf))
        baseline, trust = _judge(today), trust or today.need_trust
    url = _store(request)
    checks: list[Check] = []
    outcomes: Counter[str] = Counter()
    sessions: Counter[tuple[str | None, str | None]] = Counter()

    among = listed(url)

    def judged(share: Share) -> list[tuple[str, Delivery, Delivery]]:
        wanted = _wanted(partners(url, trust=trust, share=share, among=among), request.next_hops, url)
        return [(partner.next_hop, judge(partner), baseline(partner)) for partner in wanted]

    for next_hop, found, before in judged(ALL) if request.next_hops or not _is_large(url) else in_shares(judged):
        outcomes[found.outcome] += 1
        if found.outcome == "tls":
            sessions[found.protocol, found.suite] += 1
        checks.append(partner_check(next_hop, found, before, compared=compared))
    if not checks:
        raise StoreError(f"{without_password(url)}: nothing was scanned yet; run: mxprobe scan")
    subject = f"{paper}, {without_password(url)}"
    first = [summary_check(subject, outcomes, sessions), *demands.hole(subject)]
    first += demands.notes(subject)
    first += remarks(paper, subject)
    return CheckReport(
        started_at=started_at,
        subject=subject,
        kind="outbound",
        checks=(*first, *checks),
        elapsed_seconds=round(time.monotonic() - started, 3),
    )


def _judge(demands: Demands) -> _Judge:
    simulations = Simulations()
    waits = demands.paper.postfix >= CLEAR_TEXT_WAITS_SINCE

    def judge(partner: Partner) -> Delivery:
        return delivery(partner, demands.of(partner.next_hop), simulations, clear_text_waits=waits)

    return judge


def _wanted(found: Iterator[Partner], next_hops: tuple[str, ...], url: str) -> Iterator[Partner]:
    """All partners, or those that are named as they were scanned; one that never was is an error."""
    if not next_hops:
        yield from found
        return
    missing = dict.fromkeys(next_hops)
    for partner in found:
        if partner.next_hop in next_hops:
            missing.pop(partner.next_hop, None)
            yield partner
    if missing:
        raise StoreError(f"{without_password(url)}: never scanned: {', '.join(missing)}")


def _is_large(url: str) -> bool:
    """Whether it takes longer to read than to start a second process. A server is not asked how much it has."""
    if is_postgresql(url):
        return False
    try:
        return sqlite_path(url).stat().st_size > _LARGE
    except OSError:  # which is told when it is opened
        return False


def _store(request: Request) -> str:
    if request.store is not None:
        return request.store
    from mxprobe.configuration.probes_toml import read_configuration

    path = request.configuration or Path("probes.toml")
    if request.configuration is None and not path.exists():
        raise InvalidSetting("--store", "it is missing, and so is probes.toml", "sqlite:///FILE, or -c probes.toml")
    return read_configuration(path, pass_over=True).store_url
