"""A store of many partners, made of what a full probe of a real Postfix found, varied: for `bench/check.py`."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from mxprobe.cli.running import run_async
from mxprobe.facts import EndpointFacts
from mxprobe.probing.prober import probe
from mxprobe.probing.settings import Depth, ProbeSettings
from mxprobe.store import open_store, sqlite_url
from mxprobe.store.tables import JsonOf
from servers.postfix import postfix_server

VERSIONS = ("SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")


def real_facts(depth: Depth) -> str:
    """The JSON of a probe of a Postfix that is opened up to all that its OpenSSL can do: 126 suites."""
    with postfix_server(opened_up=True) as server:
        settings = ProbeSettings(depth=depth, connect={"mx.example.org": "127.0.0.1"})
        target = asyncio.run(probe(f"[mx.example.org]:{server.port}", settings))
    (facts,) = target.endpoints
    text = JsonOf(EndpointFacts).process_bind_param(facts, None)  # type: ignore[arg-type]
    assert text is not None
    return text


def make_store(path: Path, facts: str, *, partners: int, kinds: int) -> None:
    """A database of one scan with so many partners, among which there are so many kinds of server."""

    async def empty() -> None:
        async with open_store(sqlite_url(path)):
            pass

    run_async(empty())
    originals = [json.dumps(each, separators=(",", ":")) for each in _varied(json.loads(facts), kinds)]
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO scan VALUES (1, '2026-11-01 00:00:00', '2026-11-01 01:00:00', 'x')")
        for number in range(partners):
            domain, host = f"partner{number}.example", f"mx.partner{number}.example"
            address = f"192.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
            names = {"name": host, "canonical_name": host, "preference": 10, "addresses": [address]}
            route = {"kind": "mx", "hosts": [{**names, "aliases": [], "refused_addresses": [], "error": None}]}
            route |= {"canonical_name": None, "error": None}
            seen = originals[number % kinds].replace("mx.example.org", host).replace("127.0.0.1", address)
            seen = seen.replace('"sha256":"', f'"sha256":"{number:08x}')
            connection.execute("INSERT INTO route VALUES (?, ?, 1, ?)", (number, f"{number:064x}", json.dumps(route)))
            connection.execute("INSERT INTO target VALUES (1, ?, ?, ?)", (number, domain, number))
            connection.execute("INSERT INTO endpoint VALUES (?, ?, ?, 25, 'smtp')", (number, host, address))
            connection.execute("INSERT INTO route_endpoint VALUES (?, ?, 0)", (number, number))
            connection.execute("INSERT INTO facts VALUES (?, ?, 1, ?)", (number, f"{number:064x}", seen))
            connection.execute("INSERT INTO probe VALUES (1, ?, ?, 0, '[0,1,1.0]')", (number, number))
        connection.commit()


def _varied(original: dict[str, Any], kinds: int) -> Iterator[dict[str, Any]]:
    """Servers that differ in their versions, suites, groups and schemes, as if each had a configuration of its own."""
    for kind in range(kinds):
        document = json.loads(json.dumps(original))
        for place, version in enumerate(VERSIONS):
            seen = document["protocols"][version]
            if kind >> place & 1 and version != "TLSv1.2":
                seen.update(state="refused", reason="alert 70 (protocol_version)", suites=[], order="unknown")
            elif seen["suites"]:
                turn = (kind >> 4) % len(seen["suites"])
                seen["suites"] = (seen["suites"][turn:] + seen["suites"][:turn])[: 1 + kind % len(seen["suites"])]
                seen["hellos"] = len(seen["suites"]) + 1
                for place_of_list, listing in enumerate((seen["groups"], seen["schemes"])):
                    _vary(listing, kind >> place_of_list)
                seen["dh"] = [{**field, "prime": f"{kind:064x}"} for field in seen["dh"]]
        yield document


def _vary(listing: dict[str, Any] | None, kind: int) -> None:
    """The same names from another one on, and not all of them."""
    if listing and listing["names"]:
        names = listing["names"]
        turn = kind % len(names)
        listing["names"] = (names[turn:] + names[:turn])[: 1 + kind // len(names) % len(names)]
