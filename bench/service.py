"""What a pass of the service costs, and how that grows: ``python bench/service.py [--next-hops 1000 10000 100000]``.

Runs `mxprobe run --once` as a process with a SQLite database against a fake name server and fast fakes of mail servers
in another process (`tests/servers/many_partners.py`): many next-hops on few endpoints, then the same once more a day
later, with nothing changed. Then what one endpoint costs at each depth, where each next-hop has one of its own.
"""

from __future__ import annotations

import argparse
import os
import platform
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from tools import MXPROBE, measured

from mxprobe.configuration.next_hop_files import NextHopFile, read_again
from servers.delay_proxy import delay_proxy
from servers.many_partners import Partners, many_partners

MOST_BYTES = 300e6
LOOKOUT = 6
"""Endpoints at the most that the service asks beside its visits, to see whether anybody can be seen from here."""

ROUND_TRIP_MS = 40
FEW = 12
"""Endpoints with which round trips are measured, and without any what a pass costs before the first."""

EACH = 300
"""Next-hops with an endpoint each, for what one endpoint costs."""

TABLES = ("scan", "target", "route", "route_endpoint", "endpoint", "probe", "facts", "memory", "event", "due")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """What one pass cost, what the servers counted meanwhile, and what the database holds after it."""

    seconds: float
    cpu_seconds: float
    peak_bytes: float
    connections: int
    told: int
    """Connections by what is kept of each endpoint."""
    received: int
    sent: int
    questions: int
    database: int
    rows: dict[str, int]
    asked: int
    elapsed: float
    """Seconds that an endpoint took, on average."""

    @property
    def all_rows(self) -> int:
        """Of all tables."""
        return sum(self.rows.values())


def run_pass(directory: Path, partners: Partners) -> Pass:
    """Run the command once over all that is due.

    Raises:
        RuntimeError: it did not make all visits.
    """
    before, began = partners.counted(), time.time_ns() // 1000
    output = directory / "output"
    cost = measured([MXPROBE, "run", "--once", "--config", str(directory / "probes.toml")], output)
    after = partners.counted()
    if cost["status"] != 0:
        raise RuntimeError(f"exit code {cost['status']}:\n{output.read_text(errors='replace')[-3000:]}")
    with closing(sqlite3.connect(directory / "mxprobe.db")) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        rows = {name: database.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in TABLES}
        pages = (
            database.execute("PRAGMA page_count").fetchone()[0]
            - database.execute("PRAGMA freelist_count").fetchone()[0]
        )
        size = pages * database.execute("PRAGMA page_size").fetchone()[0]
        asked, told, elapsed = database.execute(
            "SELECT count(*), sum(json_extract(changes, '$[1]')), avg(json_extract(changes, '$[2]')) FROM"
            " (SELECT DISTINCT endpoint_id, changes FROM probe WHERE CAST(substr(changes, 2, 16) AS INTEGER) >= ?)",
            (began,),
        ).fetchone()
    return Pass(
        seconds=cost["seconds"],
        cpu_seconds=cost["cpu_seconds"],
        peak_bytes=cost["peak_bytes"],
        connections=sum(after.connections.values()) - sum(before.connections.values()),
        told=told or 0,
        received=after.received - before.received,
        sent=after.sent - before.sent,
        questions=after.questions - before.questions,
        database=size,
        rows=rows,
        asked=asked,
        elapsed=elapsed or 0.0,
    )


def write_configuration(
    directory: Path, partners: Partners, next_hops: int, *, depth: str, full_every: int = 7, own: bool = False
) -> None:
    """A `probes.toml` with a file of next-hops; with `own`, each is a mail server, named by its address."""
    names = (partners.endpoint(number) if own else partners.next_hop(number) for number in range(next_hops))
    (directory / "next-hops").write_text("".join(f"{name}\n" for name in names))
    (directory / "probes.toml").write_text(
        f"[probe]\nallow_private = true\nca_file = '{partners.trust}'\nresolver = '127.0.0.1:{partners.name_server}'\n"
        f"depth = '{depth}'\nfull_every = {full_every}\ntwins = false\n[[group]]\nname = 'all'\nevery = '1d'\n"
        f"file = 'next-hops'\n[store]\nurl = 'sqlite:///{directory}/mxprobe.db'\n"
    )


def a_day_later(directory: Path) -> None:
    """Move all that was kept a day back, so that the same is due again."""
    with closing(sqlite3.connect(directory / "mxprobe.db")) as database:
        for table, columns in (("scan", ("started_at", "finished_at")), ("due", ("due_at",))):
            for column in columns:
                moved = f"strftime('%Y-%m-%d %H:%M:%f', {column}, '-1 day') || '000'"
                database.execute(f"UPDATE {table} SET {column} = {moved}")
        moved = "'[' || (CAST(substr(changes, 2, 16) AS INTEGER) - 86400000000) || substr(changes, 18)"
        database.execute(f"UPDATE probe SET changes = {moved}")
        database.commit()


def growth(next_hops: list[int], endpoints: int, depth: str) -> Iterator[str]:
    """The table of passes over ever more next-hops with the same endpoints, and of the next day's.

    Raises:
        RuntimeError: an endpoint was asked more than once, or a next-hop has not one result of each pass.
    """
    yield (
        "| next-hops | wall s | CPU s | CPU ms each | of those beyond the row above | peak MB | connections "
        "| questions to the DNS | database, bytes each | next day: wall s | CPU s | CPU ms each | peak MB "
        "| more bytes each |"
    )
    yield "|---" * 14 + "|"
    last: tuple[int, Pass] | None = None
    for count in next_hops:
        print(f"{count} next-hops", file=sys.stderr)
        with (
            tempfile.TemporaryDirectory(prefix="mxprobe-bench-") as text,
            many_partners(count, endpoints) as partners,
        ):
            directory = Path(text)
            write_configuration(directory, partners, count, depth=depth)
            first = run_pass(directory, partners)
            a_day_later(directory)
            then = run_pass(directory, partners)
        if (first.asked, first.rows["target"], then.rows["target"]) != (endpoints, count, 2 * count):
            raise RuntimeError(
                f"not each endpoint was asked once, or not each next-hop has its results: {first}, {then}"
            )
        if first.connections > first.told + LOOKOUT:
            raise RuntimeError(f"more connections than one probe of each endpoint takes: {first}")
        beyond = ""
        if last is not None:
            beyond = f"{1000 * (first.cpu_seconds - last[1].cpu_seconds) / (count - last[0]):.2f}"
        last = count, first
        yield (
            f"| {count} | {first.seconds:.1f} | {first.cpu_seconds:.1f} | {1000 * first.cpu_seconds / count:.2f} "
            f"| {beyond} | {first.peak_bytes / 1e6:.0f} | {first.connections} | {first.questions} "
            f"| {first.database / count:.0f} "
            f"| {then.seconds:.1f} | {then.cpu_seconds:.1f} | {1000 * then.cpu_seconds / count:.2f} "
            f"| {then.peak_bytes / 1e6:.0f} | {(then.database - first.database) / count:.0f} |"
        )
        met = first.peak_bytes < MOST_BYTES and then.peak_bytes < MOST_BYTES
        print(f"{count}: under {MOST_BYTES / 1e6:.0f} MB: {met}; rows {first.rows}, {then.rows}", file=sys.stderr)


def one_endpoint() -> Iterator[str]:
    """The table of what an endpoint with its next-hop costs, at each depth, beyond what a pass over a few costs."""
    yield (
        f"| depth | connections | bytes received | bytes sent | CPU ms | seconds at {ROUND_TRIP_MS} ms "
        "| round trips | bytes of database | rows |"
    )
    yield "|---" * 9 + "|"
    plans = (("quick", 1, 1), ("standard", 100, 1), ("full", 1, 1), ("full", 100, 2))
    for depth, full_every, passes in plans:
        name = depth if passes == 1 else "full, unchanged since the last"
        print(name, file=sys.stderr)
        many = _passes(passes, EACH, depth, full_every)
        few = _passes(passes, FEW, depth, full_every)
        far = _passes(passes, FEW, depth, full_every, far=True)
        more = EACH - FEW
        trips = (far[-1].elapsed - few[-1].elapsed) / (ROUND_TRIP_MS / 1000)
        bytes_more = _more(many, "database") - _more(few, "database")
        rows = _more(many, "all_rows") - _more(few, "all_rows")
        yield (
            f"| {name} | {(many[-1].connections - few[-1].connections) / more:.1f} "
            f"| {(many[-1].sent - few[-1].sent) / more:.0f} | {(many[-1].received - few[-1].received) / more:.0f} "
            f"| {1000 * (many[-1].cpu_seconds - few[-1].cpu_seconds) / more:.1f} | {far[-1].elapsed:.2f} | {trips:.0f} "
            f"| {bytes_more / more:.0f} | {rows / more:.1f} |"
        )


def _more(passes: list[Pass], what: str) -> int:
    """How much more of this there is after the last pass than before it."""
    before: int = getattr(passes[-2], what) if len(passes) > 1 else 0
    after: int = getattr(passes[-1], what)
    return after - before


def _passes(number: int, count: int, depth: str, full_every: int, *, far: bool = False) -> list[Pass]:
    """So many passes, a day after each other, over so many next-hops with an endpoint each."""
    with (
        tempfile.TemporaryDirectory(prefix="mxprobe-bench-") as text,
        many_partners(count, count) as partners,
        ExitStack() as proxies,
    ):
        if far:
            proxy = proxies.enter_context(delay_proxy(partners.port, ms=ROUND_TRIP_MS / 2, address="0.0.0.0"))
            partners = replace(partners, port=proxy.port)
        directory = Path(text)
        write_configuration(directory, partners, count, depth=depth, full_every=full_every, own=True)
        found = [run_pass(directory, partners)]
        while len(found) < number:
            a_day_later(directory)
            found.append(run_pass(directory, partners))
        return found


def next_hop_file(lines: int) -> Iterator[str]:
    """What a file of so many next-hops costs, when it is read and while it stays as it is."""
    with tempfile.TemporaryDirectory(prefix="mxprobe-bench-") as text:
        path = Path(text) / "next-hops"
        path.write_text("".join(f"domain{number}.example\n" for number in range(lines)))
        began = time.process_time()
        known, _ = read_again(NextHopFile(path=path), time.time() + 60)
        read = time.process_time() - began
        began = time.process_time()
        for _ in range(1000):
            read_again(known, time.time() + 60)
        looked = time.process_time() - began
    yield (
        f"A file of {len(known.next_hops)} next-hops is read in {read:.2f} s of CPU; "
        f"to see that it has not changed takes {1000 * looked:.0f} µs."
    )


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure passes of the service.")
    parser.add_argument("--next-hops", type=int, nargs="*", default=[1000, 10000, 100000])
    parser.add_argument("--endpoints", type=int, default=300)
    parser.add_argument("--depth", default="standard")
    parser.add_argument("--without-depths", action="store_true", help="not what one endpoint costs at each depth")
    options = parser.parse_args()
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    print(f"{datetime.now(UTC):%Y-%m-%d}, {machine}, load {os.getloadavg()[0]:.1f} at the start.\n")
    parts = [growth(options.next_hops, options.endpoints, options.depth), next_hop_file(100_000)]
    if not options.without_depths:
        parts.insert(0, one_endpoint())
    for part in parts:
        for line in part:
            print(line, flush=True)
        print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
