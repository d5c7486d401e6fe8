"""Many next-hops on few mail servers, as a service meets them: each server is asked once, and memory stays small."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path

from servers.many_partners import many_partners

NEXT_HOPS = 2000
"""`bench/service.py` has ten and fifty times as many; a pass over these takes some seconds."""

ENDPOINTS = 300
LOOKED_AT = 6
"""Endpoints at the most that are asked before the first visit, to see whether anybody can be seen from here: twice as
many as have to fail alike (`PROVIDERS` of `schedule/vantage.py`)."""

MOST_BYTES = 300e6


def test_one_pass_asks_each_endpoint_once_and_gives_each_next_hop_one_result_in_little_memory(tmp_path: Path) -> None:
    with many_partners(NEXT_HOPS, ENDPOINTS) as partners:
        names = [partners.next_hop(number) for number in range(NEXT_HOPS)]
        (tmp_path / "next-hops").write_text("\n".join(names))
        (tmp_path / "probes.toml").write_text(
            f"[probe]\nallow_private = true\nresolver = '127.0.0.1:{partners.name_server}'\ndepth = 'quick'\n"
            f"ca_file = '{partners.trust}'\n[[group]]\nname = 'all'\nfile = 'next-hops'\n"
            f"[store]\nurl = 'sqlite:///{tmp_path}/mxprobe.db'\n"
        )
        peak_bytes = run_once(tmp_path)
        counted = partners.counted()
    # At this depth a server that STARTTLS works with is connected to once (docs/depths.md).
    assert len(counted.connections) == ENDPOINTS
    assert Counter(counted.connections.values()).keys() <= {1, 2}
    assert sum(count - 1 for count in counted.connections.values()) <= LOOKED_AT
    with closing(sqlite3.connect(tmp_path / "mxprobe.db")) as database:
        results = dict(database.execute("SELECT next_hop, count(*) FROM target WHERE route_id > 0 GROUP BY next_hop"))
        assert results == dict.fromkeys(names, 1)
        assert database.execute("SELECT count(*) FROM due WHERE lease_until IS NOT NULL").fetchone() == (0,)
        # What one next-hop had an endpoint asked, is the result of all the others that lead there.
        asked = database.execute("SELECT DISTINCT endpoint_id, substr(changes, 2, 16) FROM probe").fetchall()
        assert len(asked) == ENDPOINTS
        works = "SELECT count(*) FROM facts WHERE json_extract(document, '$.starttls.state') = 'works'"
        assert database.execute(works).fetchone() == (ENDPOINTS,)
        assert database.execute("SELECT count(*) FROM event").fetchone() == (0,)
    assert peak_bytes < MOST_BYTES


def run_once(directory: Path) -> float:
    """`mxprobe run --once` as a process; the most memory that it had (getrusage(2) of its only parent)."""
    measuring = (
        "import os, resource, subprocess, sys\n"
        "done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
        "sys.exit(done.returncode)\n"
    )
    command = [str(Path(sys.executable).parent / "mxprobe"), "run", "--once", "-c", str(directory / "probes.toml")]
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", measuring, *command],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return int(done.stdout) * 1024.0
