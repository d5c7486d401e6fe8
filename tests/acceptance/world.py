"""What surrounds the servers in acceptance tests: a name server, a server that answers only later, configurations."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from mxprobe.demo.name_server import NameServer
from servers.running import loop_in_thread


@contextmanager
def name_server(*records: str) -> Iterator[NameServer]:
    """Serve master-file records with full names in a thread, on loopback."""
    with loop_in_thread("name server") as loop:
        server = NameServer("".join(f"{record}\n" for record in records))
        serving = server.serving()
        asyncio.run_coroutine_threadsafe(serving.__aenter__(), loop).result(10)
        try:
            yield server
        finally:
            asyncio.run_coroutine_threadsafe(serving.__aexit__(None, None, None), loop).result(10)


def address_of(server: NameServer) -> str:
    """ADDR:PORT, as `--resolver` takes it."""
    return "{}:{}".format(*server.address)


@dataclass(slots=True, kw_only=True)
class LateServer:
    """A server that takes connections and says nothing, until it is `released`."""

    port: int = 0
    connections: int = 0
    released: bool = False
    waiting: list[asyncio.StreamWriter] = field(default_factory=list)


@contextmanager
def late_server(port_behind: int) -> Iterator[LateServer]:
    """Run a late server, which hands the connections made after its release to a port of 127.0.0.1."""
    late = LateServer()

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        late.connections += 1
        if not late.released:
            late.waiting.append(writer)
            return
        with suppress(OSError):
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port_behind)
            await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))

    async def close(server: asyncio.Server) -> None:
        server.close()
        for writer in late.waiting:
            writer.close()

    with loop_in_thread("late server") as loop:
        start = asyncio.start_server(accepted, "127.0.0.1", 0)
        server = asyncio.run_coroutine_threadsafe(start, loop).result(10)
        late.port = server.sockets[0].getsockname()[1]
        try:
            yield late
        finally:
            asyncio.run_coroutine_threadsafe(close(server), loop).result(10)


def configuration(
    directory: Path,
    groups: Mapping[str, Mapping[str, object]],
    *,
    resolver: str | None = None,
    probe: Mapping[str, object] | None = None,
    profiles: Mapping[str, Mapping[str, object]] | None = None,
) -> Path:
    """Write a `probes.toml` with these groups; what is in `probe` and `profiles` goes into their tables."""
    general = {"allow_private": True, **({"resolver": resolver} if resolver else {}), **(probe or {})}
    tables = [("[probe]", general), *((f"[profiles.{name}]", profile) for name, profile in (profiles or {}).items())]
    tables += [("[[group]]", {"name": name, **group}) for name, group in groups.items()]
    path = directory / "probes.toml"
    path.write_text("\n".join(line for header, table in tables for line in (header, *_keys(table), "")))
    return path


def _keys(table: Mapping[str, object]) -> list[str]:
    # JSON's texts, numbers, booleans and arrays of them are TOML too.
    return [f"{key} = {json.dumps(value)}" for key, value in table.items()]


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    with suppress(OSError):
        writer.close()
