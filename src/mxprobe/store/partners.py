"""All partners that the store knows, one after the other, as far as what decides about TLS with them is concerned.

A gate that runs before each reload reads ten thousand of them: it does not wait for the libraries behind the store,
and what servers have in common is decoded once. What a field means is said in `mxprobe.facts`, and nowhere else: what
is left out here has its default.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, fields, is_dataclass
from datetime import UTC, datetime
from functools import cache, lru_cache
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, cast, get_args, get_origin, get_type_hints
from typing import Protocol as Interface
from urllib.parse import quote

from mxprobe.errors import EmptyDatabase, NewerDatabase, StoreError
from mxprobe.facts import EndpointFacts, ProtocolFacts, Suite
from mxprobe.routing.route import Route
from mxprobe.store.location import is_postgresql, sqlite_path, without_password
from mxprobe.terms import PROTOCOLS, Endpoint, Protocol
from mxprobe.trust.certificate import Certificate
from mxprobe.verdict.outbound import Partner, PartnerServer

MAX_ALIKE = 1024
"""Decoded pieces kept of each kind: partners have some dozens of different servers, and no number of them may fill the
memory."""

_BUSY_SECONDS = 30.0

SERVER_SECONDS = 10
"""How long a PostgreSQL server may take to answer."""

_MIGRATIONS = Path(__file__).with_name("migrations") / "versions"

# As `results.Store.latest` has it: of each next-hop the complete before the incomplete, then the newest scan. Facts are
# not among it, so that nothing large is sorted.
_TABLES = {
    True: "SELECT name FROM sqlite_master WHERE type = 'table'",
    False: "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()",
}
"""The names of all tables, in SQLite and on a server."""
_PARTNERS = """
    WITH ranked AS (
        SELECT scan_id, position, next_hop, route_id, row_number() OVER (PARTITION BY next_hop ORDER BY EXISTS (
            SELECT 1 FROM route_endpoint WHERE route_endpoint.route_id = target.route_id AND NOT EXISTS (
                SELECT 1 FROM probe
                WHERE probe.scan_id = target.scan_id AND probe.endpoint_id = route_endpoint.endpoint_id
            )
        ), scan.started_at DESC, scan_id DESC) AS place
        FROM target JOIN scan ON scan.id = target.scan_id WHERE route_id IS NOT NULL
    )
    SELECT ranked.route_id, ranked.next_hop, ranked.scan_id, route_endpoint.endpoint_id
    FROM ranked LEFT JOIN route_endpoint ON route_endpoint.route_id = ranked.route_id
    WHERE ranked.place = 1
    ORDER BY ranked.scan_id DESC, ranked.position, route_endpoint.position
"""
_ROUTE = "SELECT document FROM route WHERE id = ?"
_ENDPOINT = """
    SELECT host, address, port, service, facts.document FROM endpoint
    LEFT JOIN probe ON probe.endpoint_id = endpoint.id AND probe.scan_id = ?
    LEFT JOIN facts ON facts.id = probe.facts_id WHERE endpoint.id = ?
"""
"""What of the facts passes, and is kept elsewhere, is nothing that decides about TLS."""


Listed = tuple[tuple[int, str, int, tuple[int, ...]], ...]
"""What the store has of its newest: the row of a route, its next-hop, the scan, and the rows of its endpoints."""


def listed(url: str) -> Listed:
    """The newest rows of every next-hop that ever was scanned; who reads them in shares divides up one list of them.

    Raises:
        NewerDatabase: a newer mxprobe wrote it.
        StoreError: it cannot be opened or read, or is no database of mxprobe.
    """
    with _open(url) as connection:
        each = groupby(connection.execute(_PARTNERS), key=itemgetter(0, 1, 2))
        return tuple(
            (route_id, next_hop, scan_id, tuple(row[3] for row in behind if row[3] is not None))
            for (route_id, next_hop, scan_id), behind in each
        )


def partners(
    url: str, *, trust: bool = False, share: tuple[int, int] = (0, 1), among: Listed | None = None
) -> Iterator[Partner]:
    """The newest that is known of every next-hop that ever was scanned, or `among` those listed, in a stream.

    Nothing is written. `trust` brings what verification found, too. A `share` like (1, 3) is every third partner, from
    the second one on.

    Raises:
        NewerDatabase: a newer mxprobe wrote it.
        StoreError: it cannot be opened or read, or is no database of mxprobe.
    """
    first, step = share
    rows = listed(url) if among is None else among
    shown = without_password(url)
    with _open(url) as connection, _readable(shown):
        yield from _Reading(connection, shown, trust=trust).partners(islice(rows, first, None, step))


@contextmanager
def _open(url: str) -> Iterator[_Connection]:
    connected = _on_server if is_postgresql(url) else _in_file
    shown = without_password(url)
    try:
        with connected(url) as connection:
            _check_schema(connection, shown)
            yield connection
    except sqlite3.Error as error:
        raise StoreError(f"{shown}: {_one_line(error)}") from error


@contextmanager
def _readable(shown: str) -> Iterator[None]:
    """Nobody but mxprobe writes facts, but a database may be damaged. It is called as it may be shown."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StoreError(f"{shown}: what it holds cannot be read ({type(error).__name__}: {error})") from error


class _Connection(Interface):
    """What both kinds of database have in common here. A parameter is a question mark."""

    def execute(self, statement: str, parameters: tuple[object, ...] = ..., /) -> Any: ...


@contextmanager
def _in_file(url: str) -> Iterator[_Connection]:
    path = sqlite_path(url)
    if path.is_dir():
        raise StoreError(f"{url}: {path} is a directory")
    if not path.exists():
        raise EmptyDatabase(f"{url}: there is no such database; mxprobe scan makes it")
    with closing(_connected(path)) as connection:
        yield connection


@contextmanager
def _on_server(url: str) -> Iterator[_Connection]:
    try:
        import psycopg
    except ImportError as error:
        raise StoreError(f"PostgreSQL needs its driver: pip install 'mxprobe[postgresql]' ({error})") from error

    class Server:
        def execute(self, statement: str, parameters: tuple[object, ...] = ()) -> Any:
            return connection.execute(statement.replace("?", "%s").encode(), parameters)

    try:
        with psycopg.connect(url, connect_timeout=SERVER_SECONDS) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            yield Server()
    except psycopg.Error as error:
        from mxprobe.store.postgresql import error_words

        raise StoreError(f"{without_password(url)}: {error_words(error)}") from error


def _connected(path: Path) -> sqlite3.Connection:
    # See `opening._location`: with a connection that cannot write, files would be left behind beside a WAL database.
    writable = os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
    uri = f"file:{quote(str(path))}?mode={'rw' if writable else 'ro'}"
    connection = sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS, isolation_level=None)
    connection.execute("PRAGMA query_only=ON")
    return connection


def _check_schema(connection: _Connection, url: str) -> None:
    names = {name for (name,) in connection.execute(_TABLES[isinstance(connection, sqlite3.Connection)])}
    if "alembic_version" not in names:
        if names:
            raise StoreError(f"{url}: this is a database, but not one of mxprobe")
        raise EmptyDatabase(f"{url}: the database is empty; mxprobe scan fills it")
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    known, newest = _revisions()
    if row is None or row[0] not in known:
        raise NewerDatabase(url, str(row[0] if row else None), newest)
    if row[0] != newest:
        raise StoreError(f"{url}: the database has the older schema {row[0]}; mxprobe scan brings it up to date")


def _revisions() -> tuple[frozenset[str], str]:
    """All schemas that this version knows, and the newest, without the library that makes them."""
    after: dict[str, str] = {}
    for file in _MIGRATIONS.glob("*.py"):
        text = file.read_text(encoding="utf-8")
        named = dict(re.findall(r'^(revision|down_revision)\b.*?=\s*"([^"]+)"', text, re.M))
        if "revision" in named:
            after[named["revision"]] = named.get("down_revision", "")
    (newest,) = after.keys() - set(after.values())
    return frozenset(after), newest


def _one_line(error: sqlite3.Error) -> str:
    match said := str(error).splitlines()[0] if str(error) else type(error).__name__:
        case "file is not a database":
            return "the file is not a database"
        case "database is locked":
            return f"another process has kept the database locked for {_BUSY_SECONDS:.0f} seconds"
        case "unable to open database file":
            return "the database cannot be opened: no permission for it or its directory"
    return said


# The fields from which a partner is judged, in the order in which they are written, and the one behind each.
_TLS = ("natural", "profiles", "features", "quirks", "certificate_kinds")
_TRUST = ("certificates", "verification", "name_match")
_BEFORE = {
    "starttls": "early_bytes",
    "server_name": "protocols",
    "protocols": "natural",
    "natural": "handshake_error",
    "certificates": "verification",
    "verification": "name_match",
    "name_match": "profiles",
    "profiles": "endings",
}
_BEHIND = {"features": "quirks", "quirks": "certificate_kinds", "certificate_kinds": "sweep"}
_LARGE = ("groups", "schemes", "dh", "families")
_LONG_AGO = datetime.fromtimestamp(0, UTC)
_KEY = re.compile(r'"key":"([^"\\]*)"')


class _Reading:
    """Decodes rows, and remembers what it has decoded."""

    def __init__(self, connection: _Connection, shown: str, *, trust: bool) -> None:
        self._connection = connection
        self._shown = shown
        self._trust = trust
        self._kinds: dict[tuple[object, ...], tuple[int, EndpointFacts]] = {}
        self._decoded: dict[str, ProtocolFacts] = {}
        self._suites: dict[str, Suite] = {}
        self._parts: dict[tuple[str, str], Any] = {}
        self._numbers = 0

    def partners(self, rows: Iterable[tuple[int, str, int, tuple[int, ...]]]) -> Iterator[Partner]:
        """The partners of these rows."""
        for route_id, next_hop, scan_id, endpoints in rows:
            (route,) = self._connection.execute(_ROUTE, (route_id,)).fetchone()
            servers = tuple(self._server(scan_id, endpoint_id) for endpoint_id in endpoints)
            yield Partner(next_hop=next_hop, route=decoder(Route)(json.loads(route)), servers=servers)

    def _server(self, scan_id: int, endpoint_id: int) -> PartnerServer:
        host, address, port, service, text = self._connection.execute(_ENDPOINT, (scan_id, endpoint_id)).fetchone()
        endpoint = Endpoint(host=host, address=address, port=port, service=service)
        if text is None:
            return PartnerServer(endpoint=endpoint)
        pieces = _pieces(text)
        kind, facts = self._kind(pieces)
        if not self._trust:
            return PartnerServer(endpoint=endpoint, kind=kind, facts=facts)
        return PartnerServer(
            endpoint=endpoint,
            kind=kind,
            facts=facts,
            **{name: _decoder_of(EndpointFacts, name)(json.loads(pieces[name])) for name in _TRUST},
        )

    def _kind(self, pieces: Mapping[str, str]) -> tuple[int, EndpointFacts]:
        """The facts of a server like this one. Of its certificates they say no more than what keys they have, and
        nothing of how many hellos it took, and in which words STARTTLS was granted."""
        keys = tuple(_KEY.findall(pieces["certificates"]))
        named = pieces["server_name"] != "null"
        starttls = pieces["starttls"].partition(',"reply":')[0].removesuffix("}") + "}"
        versions = _versions(pieces["protocols"])
        known = named, starttls, keys, *versions.items(), *[pieces[name] for name in _TLS]
        found = self._kinds.get(known)
        if found is None:
            facts = EndpointFacts(
                host="",
                address="",
                port=0,
                server_name="" if named else None,
                started_at=_LONG_AGO,
                starttls=self._part(EndpointFacts, "starttls", starttls),
                # Of a server that takes a new version, older ones are hardly ever looked at.
                protocols=cast(dict[Protocol, ProtocolFacts], _Versions(versions, self._version)),
                certificates=_certificates(keys),
                **{name: self._part(EndpointFacts, name, pieces[name]) for name in _TLS},
            )
            found = self._number(), facts
            _keep(self._kinds, known, found)
        return found

    def _number(self) -> int:
        self._numbers += 1
        return self._numbers

    def _part(self, kind: Any, name: str, text: str) -> Any:
        known = name, text
        if known not in self._parts:
            _keep(self._parts, known, _decoder_of(kind, name)(json.loads(text)))
        return self._parts[known]

    def _version(self, text: str) -> ProtocolFacts:
        found = self._decoded.get(text)
        if found is None:
            with _readable(self._shown):
                found = self._version_of_parts(text)
            _keep(self._decoded, text, found)
        return found

    def _version_of_parts(self, text: str) -> ProtocolFacts:
        """One version, put together of parts that others have too. One that is written in another way is by itself."""
        start, begin, rest = text.partition(',"suites":[')
        suites, end, rest = rest.partition('],"order":')
        places = [rest.find(f',"{name}":') for name in ("undecided", *_LARGE)]
        if not (begin and end) or -1 in places or sorted(places) != places:
            return cast(ProtocolFacts, decoder(ProtocolFacts)(json.loads(text)))
        parts = zip(_LARGE, places[1:], [*places[2:], len(rest) - 1], strict=True)
        return ProtocolFacts(
            **self._small(start, rest[: places[1]]),
            suites=tuple([self._suites.get(each) or self._suite(each) for each in suites.split("},{") if each]),
            **{name: self._part(ProtocolFacts, name, rest[at + len(name) + 4 : to]) for name, at, to in parts},
        )

    def _small(self, start: str, order: str) -> dict[str, Any]:
        """What is said of a version beside its lists."""
        known = start, order
        if known not in self._parts:
            small = json.loads(f'{start},"order":{order}}}')
            _keep(self._parts, known, small | {"undecided": tuple(small["undecided"])})
        found: dict[str, Any] = self._parts[known]
        return found

    def _suite(self, text: str) -> Suite:
        """A suite, of which our own names and numbers are all that there is."""
        found: Suite = decoder(Suite)(json.loads("{" + text.removeprefix("{").removesuffix("}") + "}"))
        _keep(self._suites, text, found)
        return found


class _Versions(Mapping[Protocol, ProtocolFacts]):
    """The versions of one server, each decoded when it is looked at."""

    def __init__(self, texts: Mapping[Protocol, str], decode: Callable[[str], ProtocolFacts]) -> None:
        self._texts = texts
        self._decode = decode

    def __getitem__(self, protocol: Protocol) -> ProtocolFacts:
        return self._decode(self._texts[protocol])

    def __iter__(self) -> Iterator[Protocol]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)

    def get(self, protocol: Protocol, default: Any = None) -> Any:
        """As of any mapping, but quick."""
        text = self._texts.get(protocol)
        return default if text is None else self._decode(text)


def _versions(text: str) -> dict[Protocol, str]:
    """The JSON of each version. How many hellos it took says nothing of the server, and is left out."""
    places, behind = [], 0
    for name in PROTOCOLS:  # which is how they are written, mostly
        place = text.find(f'"{name}":{{"state":', behind)
        if place < 0:
            place = text.find(f'"{name}":{{"state":', 0, behind)
        if place >= 0:
            places.append((place, name))
            behind = max(behind, place)
    places.sort()
    ends = [place - 1 for place, _ in places[1:]] + [len(text) - 1]
    found: dict[Protocol, str] = {}
    for (place, name), end in zip(places, ends, strict=False):
        start = place + len(name) + 3
        hellos = text.find(',"hellos":', start, end)
        after = text.find(",", hellos + 1, end)
        found[name] = text[start:hellos] + text[after:end] if 0 <= hellos < after else text[start:end]
    return found


@lru_cache(maxsize=MAX_ALIKE)
def _certificates(keys: tuple[str, ...]) -> tuple[Certificate, ...]:
    return tuple(Certificate(sha256="", key=key) for key in keys)


def _keep(kept: dict[Any, Any], key: Any, value: Any) -> None:
    if len(kept) >= MAX_ALIKE:
        kept.clear()
    kept[key] = value


@cache
def _decoder_of(kind: Any, name: str) -> Callable[[Any], Any]:
    return decoder(get_type_hints(kind)[name])


def _pieces(text: str) -> Mapping[str, str]:
    """The JSON of each field that counts, cut out of the whole: only some of it is decoded, and that once.

    What is between two quotation marks has none itself, so that a name with what stands around it is that field. Some
    fields have names of a peer's making within: what comes before these is sought from the front, the rest from behind.
    """
    return _cut(text) or _cut(_in_order(text)) or {}


def _cut(text: str) -> Mapping[str, str] | None:
    found: dict[str, str] = {}
    position = 0
    for name, following in _BEFORE.items():
        position = text.find(f',"{name}":', position)
        end = text.find(f',"{following}":', position)
        if position < 0 or end < 0:
            return None
        found[name] = text[position + len(name) + 4 : end]
        position = end
    end = len(text)
    for name, following in reversed(_BEHIND.items()):
        end = text.rfind(f',"{following}":', position, end)
        start = text.rfind(f',"{name}":', position, end)
        if start < 0 or end < 0:
            return None
        found[name] = text[start + len(name) + 4 : end]
    return found


def _in_order(text: str) -> str:
    """The same facts as they are written today: older ones lack fields, or have them in another order."""
    document = json.loads(text)
    if not isinstance(document, dict):
        raise TypeError("facts that are no object")
    return json.dumps(asdict(decoder(EndpointFacts)(document)), separators=(",", ":"), default=datetime.isoformat)


@cache
def decoder(kind: Any) -> Callable[[Any], Any]:
    """What makes a value of this type of what `json` gives, for the types that facts are made of.

    Fields that are not there have their defaults. Nothing is checked: the store holds what `mxprobe.facts` wrote.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if is_dataclass(kind) and isinstance(kind, type):
        hints = get_type_hints(kind)
        of_fields = {field.name: decoder(hints[field.name]) for field in fields(kind)}
        changing = tuple((name, way) for name, way in of_fields.items() if way is not _as_it_is)

        def instance(value: dict[str, Any]) -> Any:
            for name, way in changing:
                if name in value:
                    value[name] = way(value[name])
            return kind(**value)

        return instance
    if origin is tuple:
        item = decoder(arguments[0])
        return tuple if item is _as_it_is else lambda value: tuple(map(item, value))
    if origin is dict:
        item = decoder(arguments[1])
        return _as_it_is if item is _as_it_is else lambda value: {key: item(each) for key, each in value.items()}
    if origin in (Union, UnionType):
        inner = [each for each in arguments if each is not NoneType and get_origin(each) is not Literal]
        if not inner:
            return _as_it_is
        some = decoder(inner[0])
        if some is _as_it_is:
            return some
        return lambda value: None if value is None else some(value)
    if kind is datetime:
        return datetime.fromisoformat
    return _as_it_is


def _as_it_is(value: Any) -> Any:
    return value
