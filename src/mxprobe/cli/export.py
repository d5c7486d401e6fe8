"""`mxprobe export`: all that the store holds as JSON, for other programs; written as it is read."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path

from mxprobe.cli.outcome import NOTHING_TO_REPORT
from mxprobe.cli.running import run_async
from mxprobe.cli.stored import moment, store_url
from mxprobe.errors import InvalidSetting
from mxprobe.report.export_document import HEAD, TAIL, ExportedTarget, export_line
from mxprobe.store import open_store
from mxprobe.verdict.rules import judge

EXPORT_FORMATS = ("ndjson", "json")


def export(path: Path, url: str | None, output: str, since: str | None) -> int:
    """Run the command."""
    if output not in EXPORT_FORMATS:
        raise InvalidSetting("--format", f"{output!r} is not a format", ", ".join(EXPORT_FORMATS))
    start = None if since is None else moment(since, "--since")
    run_async(_export(store_url(path, url), start, document=output == "json"))
    return NOTHING_TO_REPORT


async def _export(url: str, since: datetime | None, *, document: bool) -> None:
    async with open_store(url, read_only=True) as store:
        if document:
            sys.stdout.write(HEAD)
        first = True
        async for past in store.everything(since=since):
            known = past.target
            exported = ExportedTarget(
                started_at=past.started_at,
                finished_at=past.finished_at,
                complete=past.complete,
                target=judge(known.next_hop, known.route, known.endpoints, past.started_at),
            )
            if document and not first:
                sys.stdout.write(",\n")
            sys.stdout.write(export_line(exported) + ("" if document else "\n"))
            first = False
        if document:
            sys.stdout.write(TAIL)
