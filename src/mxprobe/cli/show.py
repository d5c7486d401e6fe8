"""`mxprobe show`: what the store knows, in the formats of a probe."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from mxprobe.cli.outcome import NOTHING_TO_REPORT
from mxprobe.cli.printing import output_format, print_report
from mxprobe.cli.running import run_async
from mxprobe.cli.scan import judged
from mxprobe.errors import StoreError
from mxprobe.facts import Report
from mxprobe.store import open_store


def show(next_hops: tuple[str, ...], path: Path, url: str | None, output: str, *, verbose: bool) -> int:
    """Run the command. Next-hops are named as they were scanned; one that never was is an error."""
    form = output_format(output)
    if url is None:
        from mxprobe.schedule.configuration import read_configuration

        url = read_configuration(path).store_url
    report = run_async(_latest(url, next_hops))
    known = {target.next_hop for target in report.targets} if report else set()
    if missing := [text for text in next_hops if text not in known]:
        raise StoreError(f"{url}: never scanned: {', '.join(missing)}")
    if report is None:
        raise StoreError(f"{url}: nothing was scanned yet; run: mxprobe scan")
    print_report(judged(report, datetime.now(UTC)), form, verbose=verbose, summary=not next_hops and not verbose)
    return NOTHING_TO_REPORT


async def _latest(url: str, next_hops: tuple[str, ...]) -> Report | None:
    async with open_store(url, read_only=True) as store:
        return await store.latest(next_hops or None)
