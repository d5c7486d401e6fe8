"""`mxprobe demo`: a small world of mail servers on loopback, and a scan of it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from mxprobe.cli.outcome import NOTHING_TO_REPORT
from mxprobe.cli.printing import print_report
from mxprobe.cli.running import run_async
from mxprobe.cli.scan import judged, scan_configuration, unmet_requirements
from mxprobe.configuration.probes_toml import read_configuration
from mxprobe.errors import InvalidSetting
from mxprobe.report.progress import progress
from mxprobe.store import sqlite_url

_LIBRARIES = ("tlslite", "sqlalchemy", "alembic")


def demo(database: Path | None, *, serve: bool, verbose: bool) -> int:
    """Run the command: the exit code is 0, whatever is wrong in that world."""
    if missing := [name for name in _LIBRARIES if find_spec(name) is None]:
        raise InvalidSetting("demo", f"it needs more: pip install 'mxprobe[demo]' (missing: {', '.join(missing)})")
    if database is not None and database.exists():
        raise InvalidSetting("--database", f"{database} exists", "a new file")
    if database is not None and not database.parent.is_dir():
        raise InvalidSetting("--database", f"{database.parent} is not a directory", "a new file")
    with TemporaryDirectory(prefix="mxprobe-demo-") as directory:
        run_async(_demo(Path(directory), database, serve=serve, verbose=verbose))
    return NOTHING_TO_REPORT


async def _demo(directory: Path, database: Path | None, *, serve: bool, verbose: bool) -> None:
    from mxprobe.demo.world import demo_configuration, demo_world

    async with demo_world() as world:
        path = directory / "probes.toml"
        url = sqlite_url((database or directory / "demo.db").absolute())
        path.write_text(demo_configuration(world, url, depth="full"))
        host, port = world.resolver
        print(f"{len(world.domains)} domains of a small world on loopback, name server {host}:{port}\n")
        configuration = read_configuration(path)
        with progress() as display:
            found = await scan_configuration(configuration, (), display)
        report = judged(found.report, datetime.now(UTC))
        print_report(report, "text", verbose=verbose)
        print_report(report, "text", verbose=verbose, summary=True)
        missed = unmet_requirements(configuration, (), report)
        failed = len({next_hop for next_hop, obstacle in missed if obstacle.outcome == "failed"})
        unknown = len({next_hop for next_hop, obstacle in missed if obstacle.outcome == "unknown"})
        print(f"\nof {len(world.domains)} domains, {failed} break a requirement, at {unknown} something is unknown")
        if database:
            print(f"kept in {database}: mxprobe show --store {sqlite_url(database)}")
        if serve:
            print(f"serving until Ctrl-C: mxprobe probe --resolver {host}:{port} --allow-private {world.next_hops[0]}")
            await asyncio.Event().wait()
