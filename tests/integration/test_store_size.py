"""What a scan of what has not changed costs in the database."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from examples import targets
from examples.stored import NOW, route
from mxprobe.store import Store, open_store
from mxprobe.terms import Endpoint

ENDPOINTS = 60
SCANS = 6


def measured(path: Path) -> dict[str, int]:
    """Bytes of what each table and index holds, without the free room of its pages."""
    with closing(sqlite3.connect(path)) as database:
        return dict(database.execute("SELECT name, sum(payload) FROM dbstat GROUP BY name").fetchall())


async def scan_all(store: Store, day: int) -> None:
    endpoints = [Endpoint(host="mx1.example.test", address=f"192.0.2.{number}", port=25) for number in range(ENDPOINTS)]
    scan = await store.start_scan(NOW + timedelta(days=day), tuple(f"{each.address}.test" for each in endpoints), "d")
    for name, endpoint in zip(scan.targets, endpoints, strict=True):
        seen = replace(
            targets.GOOD.endpoints[0],
            address=endpoint.address,
            started_at=NOW + timedelta(days=day, milliseconds=endpoint.port * 37),
            connections=5,
            elapsed_seconds=0.731,
            sweep="confirmed" if day else "swept",
        )
        await store.save_route(scan, name, route(endpoint.address), (endpoint,))
        await store.save_endpoint(scan, endpoint, seen, {})
    await store.finish_scan(scan, NOW + timedelta(days=day))


async def test_an_unchanged_endpoint_costs_a_row_of_a_few_bytes(tmp_path: Path) -> None:
    path = tmp_path / "mxprobe.db"
    async with open_store(f"sqlite:///{path}") as store:
        await scan_all(store, 0)
    before = measured(path)
    async with open_store(f"sqlite:///{path}") as store:
        for day in range(1, SCANS + 1):
            await scan_all(store, day)
    after = measured(path)

    grown = {name: (after[name] - before.get(name, 0)) / SCANS / ENDPOINTS for name in after}
    assert all(grown[name] == 0 for name in ("facts", "route", "endpoint", "route_endpoint", "certificate"))
    assert grown["probe"] < 60
    # With its indexes, and the row that says where its next-hop led, and theirs; the facts themselves have thousands.
    assert sum(grown.values()) < 160
    assert len(targets.GOOD.endpoints[0].protocols) > 5
    assert after["facts"] > 2000
