"""What visits cost on PostgreSQL, by a service alone and by workers: ``python bench/workers.py [--next-hops 2000]``.

Fast fakes of mail servers and a name server run in another process (`tests/servers/many_partners.py`), PostgreSQL in
its own. Each row begins with an empty database, in which all is due at once, and ends when each next-hop has its
result. How many visits there are in a second is counted from the first half of them to nine tenths: before and after
that, a queue is waited for that is filled each minute.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from tools import MXPROBE

from servers.many_partners import Partners, many_partners
from servers.postgresql import Postgresql, postgresql

LOOKED_EVERY = 0.2
"""Seconds after which it is looked whether all is done."""

PATIENCE = 1800.0

PLANNED = "SELECT count(*) FROM due"
ALL_NOW = "UPDATE due SET due_at = clock_timestamp() WHERE lease_until IS NULL AND due_at > clock_timestamp()"
RESULTS = "SELECT count(DISTINCT next_hop), count(*) FROM target WHERE route_id IS NOT NULL"
TRANSACTIONS = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What it took until each next-hop had its result, of all processes of mxprobe together; the start of these is in
    `cpu_seconds`."""

    a_second: float
    cpu_seconds: float
    transactions: int
    connections: int


def cost_of(commands: list[list[str]], partners: Partners, server: Postgresql, database: str, next_hops: int) -> Cost:
    """Run these commands side by side until all is done, and end them.

    Raises:
        RuntimeError: they ended before that, or a next-hop has more than one result.
    """
    before, began = partners.counted(), time.monotonic()
    half: tuple[int, float] | None = None
    most: tuple[int, float] | None = None
    is_now = False
    running = [subprocess.Popen(command, stderr=subprocess.DEVNULL) for command in commands]
    try:
        while (found := _count(server, database, RESULTS, 2))[0] < next_hops:
            now = time.monotonic()
            if now - began > PATIENCE:
                raise RuntimeError(f"{found[0]} of {next_hops} next-hops have a result: {commands}")
            if half is None and found[0] >= next_hops / 2:
                half = found[0], now
            if most is None and found[0] >= next_hops * 0.9:
                most = found[0], now
            # New next-hops are spread over the time to come, which is not what is measured here.
            if not is_now and _count(server, database, PLANNED, 1)[0] == next_hops:
                is_now = True
                server.execute(ALL_NOW, database)
            time.sleep(LOOKED_EVERY)
        (done, since), (by_then, until) = half or (0, began), most or (next_hops, time.monotonic())
        a_second = (by_then - done) / max(until - since, LOOKED_EVERY)
        transactions = int(str(server.execute(TRANSACTIONS, database)[0][0]))
    finally:
        for process in running:
            process.send_signal(signal.SIGTERM)
        used = [os.wait4(process.pid, 0)[2] for process in running]
    if found != (next_hops, next_hops):
        raise RuntimeError(f"not each next-hop has one result: {found}")
    after = partners.counted()
    return Cost(
        a_second=a_second,
        cpu_seconds=sum(each.ru_utime + each.ru_stime for each in used),
        transactions=transactions,
        connections=sum(after.connections.values()) - sum(before.connections.values()),
    )


def _count(server: Postgresql, database: str, question: str, numbers: int) -> tuple[int, ...]:
    """The numbers that the database answers; noughts, where it has no tables yet."""
    if not server.execute("SELECT 1 FROM pg_tables WHERE tablename = 'delivery'", database):
        return (0,) * numbers
    return tuple(int(str(each)) for each in server.execute(question, database)[0])


def table(next_hops: int, endpoints: int, depth: str) -> Iterator[str]:
    """A row for each way to make the same visits."""
    yield "| processes | visits a second | CPU ms a visit | transactions a visit | connections |"
    yield "|---" * 5 + "|"
    ways = (("`run --once`", ["run --once"]), ("one `worker`", ["worker"]), ("two `worker`", ["worker", "worker"]))
    for name, commands in ways:
        print(name, file=sys.stderr)
        with (
            tempfile.TemporaryDirectory(prefix="mxprobe-bench-") as text,
            many_partners(next_hops, endpoints) as partners,
            postgresql() as server,
        ):
            database = server.new_database()
            path = Path(text) / "probes.toml"
            (Path(text) / "next-hops").write_text("".join(f"{partners.next_hop(each)}\n" for each in range(next_hops)))
            path.write_text(
                f"[probe]\nallow_private = true\nca_file = '{partners.trust}'\ndepth = '{depth}'\ntwins = false\n"
                f"resolver = '127.0.0.1:{partners.name_server}'\n[[group]]\nname = 'all'\nevery = '1d'\n"
                f"file = 'next-hops'\n[store]\nurl = '{server.url(database)}'\n"
            )
            words = [[str(MXPROBE), *each.split(), "--config", str(path)] for each in commands]
            cost = cost_of(words, partners, server, database, next_hops)
        yield (
            f"| {name} | {cost.a_second:.0f} "
            f"| {1000 * cost.cpu_seconds / next_hops:.2f} | {cost.transactions / next_hops:.1f} | {cost.connections} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--next-hops", type=int, default=2000)
    parser.add_argument("--endpoints", type=int, default=300)
    parser.add_argument("--depth", default="quick")
    given = parser.parse_args()
    for line in table(given.next_hops, given.endpoints, given.depth):
        print(line, flush=True)


if __name__ == "__main__":
    main()
