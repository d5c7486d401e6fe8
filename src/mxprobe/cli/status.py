"""`mxprobe status`: how the service stands, from the store alone, for humans and Nagios."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mxprobe.alerts.standing import stored_figures, stored_states
from mxprobe.cli.running import run_async
from mxprobe.cli.stored import store_url
from mxprobe.errors import MxprobeError
from mxprobe.report.figures import Figures
from mxprobe.report.status import status as judged
from mxprobe.report.status import unknown
from mxprobe.store import open_store


def status(path: Path, url: str | None, late: float) -> int:
    """Run the command. What keeps it from an answer is UNKNOWN, on standard output too: that is what Nagios reads."""
    try:
        figures = run_async(_figures(store_url(path, url), datetime.now(UTC)))
        found = judged(figures, late=timedelta(hours=late))
    except (MxprobeError, OSError) as error:
        found = unknown(" ".join(str(error).split()))
    print("\n".join(found.lines))
    return found.exit_code


async def _figures(url: str, now: datetime) -> Figures:
    async with open_store(url, read_only=True) as store:
        return replace(await stored_figures(store, now), states=await stored_states(store, now))
