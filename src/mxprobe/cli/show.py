"""`mxprobe show`: what the store knows, or knew at a time, in the formats of a probe."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from mxprobe.cli.outcome import NOTHING_TO_REPORT
from mxprobe.cli.printing import output_format, print_report
from mxprobe.cli.running import run_async
from mxprobe.cli.scan import judged
from mxprobe.cli.stored import moment, never_scanned, store_url
from mxprobe.errors import StoreError
from mxprobe.facts import Report
from mxprobe.store import open_store
from mxprobe.store.location import without_password


def show(
    next_hops: tuple[str, ...], path: Path, url: str | None, output: str, *, verbose: bool, at: str | None = None
) -> int:
    """Run the command. Next-hops are named as they were scanned; one that never was is an error."""
    form = output_format(output)
    time = None if at is None else moment(at, "--at")
    url = store_url(path, url)
    report = run_async(_latest(url, next_hops, time))
    known = {target.next_hop for target in report.targets} if report else set()
    if missing := [text for text in next_hops if text not in known]:
        raise never_scanned(url, missing, at or "")
    if report is None:
        said = "nothing was scanned yet; run: mxprobe scan" if at is None else f"nothing was scanned by {at}"
        raise StoreError(f"{without_password(url)}: {said}")
    print_report(
        judged(report, time or datetime.now(UTC)), form, verbose=verbose, summary=not next_hops and not verbose
    )
    return NOTHING_TO_REPORT


async def _latest(url: str, next_hops: tuple[str, ...], at: datetime | None) -> Report | None:
    async with open_store(url, read_only=True) as store:
        return await store.latest(next_hops or None, at=at)
