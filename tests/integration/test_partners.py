"""The stream of partners out of a store: the same facts as the store itself gives, as far as they decide about TLS."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mxprobe.errors import NewerDatabase, StoreError
from mxprobe.facts import (
    EndpointFacts,
    Features,
    Listing,
    Natural,
    ProfileAnswer,
    ProtocolFacts,
    Quirks,
    Starttls,
    Suite,
)
from mxprobe.mta.senders import senders
from mxprobe.routing.route import MxHost, Route, RouteError
from mxprobe.smtp.replies import Reply
from mxprobe.store import open_store
from mxprobe.store.partners import listed, partners
from mxprobe.store.tables import JsonOf
from mxprobe.terms import PROTOCOLS, Endpoint
from mxprobe.tls.free_facts import Feature, FiniteField
from mxprobe.trust.certificate import Certificate
from mxprobe.trust.names import NameMatch
from mxprobe.trust.verification import Verification, VerifyStep
from mxprobe.verdict.outbound import Partner, PartnerServer
from mxprobe.verdict.simulation import simulate
from servers.postgresql import Postgresql

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ENDPOINT = Endpoint(host="mx.example", address="192.0.2.1", port=25)
OTHER = replace(ENDPOINT, address="192.0.2.2")

# What a peer may have made us write: quotation marks, names of fields, and bytes that no charset explains (PEP 383).
WORDS = st.one_of(
    st.sampled_from(['","protocols":{"', '"},"natural":null', "features", '\\",\\"suites\\":[', "},{", "\udcff", "é"]),
    st.text(alphabet='",:{}[]\\ ab\udc80', max_size=20),
)
STATES = st.sampled_from(["yes", "no", "unknown"])
SUITES = st.lists(
    st.sampled_from(
        [
            Suite(id="0x00C02F", name="ECDHE-RSA-AES128-GCM-SHA256", iana="TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
            Suite(id="0x00002F", name="AES128-SHA", iana="TLS_RSA_WITH_AES_128_CBC_SHA", reached="handshake-complete"),
            Suite(id="0x00FEFE", name="0x00FEFE", iana=None, standard=False),
        ]
    ),
    max_size=3,
)
LISTINGS = st.builds(
    Listing,
    state=st.sampled_from(["accepted", "refused"]),
    names=st.lists(WORDS, max_size=2).map(tuple),
    order=st.sampled_from(["server", "client", "unknown"]),
    complete=st.booleans(),
    reason=WORDS,
)
VERSIONS = st.builds(
    ProtocolFacts,
    state=st.sampled_from(["accepted", "refused", "unknown"]),
    reason=WORDS,
    complete=st.booleans(),
    suites=SUITES.map(tuple),
    order=st.sampled_from(["server", "client", "unknown"]),
    hellos=st.integers(0, 99),
    undecided=st.lists(WORDS, max_size=2).map(tuple),
    groups=st.none() | LISTINGS,
    schemes=st.none() | LISTINGS,
    dh=st.lists(st.builds(FiniteField, bits=st.integers(512, 8192), prime=st.just("00")), max_size=2).map(tuple),
    families=st.dictionaries(st.sampled_from(["NULL", "RC4", "anonymous"]), STATES),
)
CERTIFICATES = st.builds(
    Certificate,
    sha256=st.just("ab" * 32),
    subject=WORDS,
    names=st.lists(WORDS, max_size=3).map(tuple),
    key=st.sampled_from(["RSA 2048", "EC secp256r1", ""]),
    not_after=st.none() | st.just(NOW),
)
FACTS = st.builds(
    EndpointFacts,
    host=st.just(ENDPOINT.host),
    address=st.just(ENDPOINT.address),
    port=st.just(25),
    started_at=st.just(NOW),
    greeting=st.none() | st.builds(Reply, code=st.just(220), lines=st.lists(WORDS, max_size=2).map(tuple)),
    capabilities=st.lists(WORDS, max_size=2).map(tuple),
    starttls=st.builds(
        Starttls,
        state=st.sampled_from(["works", "refused", "unknown"]),
        reason=WORDS,
        stage=st.none() | st.just("starttls"),
        reply=st.none() | st.builds(Reply, code=st.just(220), lines=st.lists(WORDS, max_size=2).map(tuple)),
    ),
    server_name=st.none() | WORDS,
    protocols=st.dictionaries(st.sampled_from(PROTOCOLS), VERSIONS),
    natural=st.none() | st.builds(Natural, protocol=st.just("TLSv1.2"), suite=WORDS, group=st.none() | WORDS),
    handshake_error=st.none() | WORDS,
    certificates=st.lists(CERTIFICATES, max_size=2).map(tuple),
    verification=st.none()
    | st.builds(
        Verification,
        ok=st.booleans(),
        code=st.just(0),
        text=WORDS,
        depth=st.just(0),
        ca_path=st.none() | WORDS,
        ca_file=st.none(),
        depth_limit=st.just(9),
        steps=st.lists(st.builds(VerifyStep, depth=st.just(0), code=st.just(0), text=WORDS, subject=WORDS)).map(tuple),
    ),
    name_match=st.none()
    | st.builds(
        NameMatch,
        host=WORDS,
        matches=st.booleans(),
        postfix_matches=st.booleans(),
        names=st.lists(WORDS, max_size=2).map(tuple),
        reason=WORDS,
    ),
    profiles=st.lists(st.builds(ProfileAnswer, profile=WORDS, state=STATES, reason=WORDS), max_size=2).map(tuple),
    endings=st.dictionaries(WORDS, st.integers(0, 9), max_size=3),
    features=st.none() | st.builds(Features, heartbeat=st.none() | st.builds(Feature, state=STATES, reason=WORDS)),
    quirks=st.none() | st.builds(Quirks, max_suites=st.none() | st.just(127)),
    certificate_kinds=st.dictionaries(st.sampled_from(["RSA", "ECDSA"]), st.builds(Feature, state=STATES)),
    sweep_reason=WORDS,
)


def route(*addresses: str) -> Route:
    host = MxHost(name="mx.example", canonical_name="mx.example", preference=10, addresses=addresses)
    return Route(kind="mx", hosts=(host,))


def facts(connections: int = 1, **changes: object) -> EndpointFacts:
    made = EndpointFacts(
        host="mx.example", address="192.0.2.1", port=25, started_at=NOW, starttls=Starttls(state="works")
    )
    return replace(made, connections=connections, **changes)  # type: ignore[arg-type]


def url_of(path: Path) -> str:
    return f"sqlite:///{path}"


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one partner and one endpoint."""
    path = tmp_path_factory.mktemp("store") / "mxprobe.db"
    asyncio.run(_filled(path))
    return path


async def _filled(path: Path) -> None:
    async with open_store(url_of(path)) as store:
        scan = await store.start_scan(NOW, ("a.example",), "digest")
        await store.save_route(scan, "a.example", route("192.0.2.1"), (ENDPOINT,))
        await store.save_endpoint(scan, ENDPOINT, facts(), {})


def written(path: Path, text: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE facts SET document = ?", (text,))


def only(path: Path) -> PartnerServer:
    (found,) = partners(url_of(path), trust=True)
    (server,) = found.servers
    return server


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(known=FACTS)
def test_whatever_was_stored_is_read_as_it_was_meant(known: EndpointFacts, database: Path) -> None:
    text = JsonOf(EndpointFacts).process_bind_param(known, None)  # type: ignore[arg-type]
    assert text is not None
    written(database, text)

    found = only(database)

    assert found.endpoint == ENDPOINT
    assert found.facts is not None
    assert found.facts.starttls == replace(known.starttls, reply=None)
    assert found.facts.protocols == {name: replace(seen, hellos=0) for name, seen in known.protocols.items()}
    assert [each.key for each in found.facts.certificates] == [each.key for each in known.certificates]
    assert (found.facts.server_name is None) == (known.server_name is None)
    for name in ("natural", "profiles", "features", "quirks", "certificate_kinds"):
        assert getattr(found.facts, name) == getattr(known, name)
    assert (found.certificates, found.verification, found.name_match) == (
        known.certificates,
        known.verification,
        known.name_match,
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(known=FACTS)
def test_clients_get_of_it_what_they_get_of_the_facts_themselves(known: EndpointFacts, database: Path) -> None:
    text = JsonOf(EndpointFacts).process_bind_param(known, None)  # type: ignore[arg-type]
    assert text is not None
    written(database, text)

    found = only(database).facts

    assert found is not None
    for sender in senders():
        assert simulate(sender.profile, found) == simulate(sender.profile, known)


def test_shares_of_one_list_are_all_partners_once_whatever_is_scanned_meanwhile(tmp_path: Path) -> None:
    names = ("a.example", "b.example", "c.example")
    url = url_of(tmp_path / "mxprobe.db")

    async def scanned(*next_hops: str) -> None:
        async with open_store(url) as store:
            scan = await store.start_scan(NOW, next_hops, "digest")
            for next_hop in next_hops:
                await store.save_route(scan, next_hop, route("192.0.2.1"), (ENDPOINT,))
            await store.save_endpoint(scan, ENDPOINT, facts(), {})

    asyncio.run(scanned(*names))
    rows = listed(url)
    first = [found.next_hop for found in partners(url, share=(0, 2), among=rows)]
    asyncio.run(scanned("z.example", *reversed(names)))
    second = [found.next_hop for found in partners(url, share=(1, 2), among=rows)]
    assert sorted(first + second) == sorted(names)


def test_a_version_that_cannot_be_read_is_told_when_it_is_looked_at(database: Path) -> None:
    known = facts(protocols={"TLSv1.2": ProtocolFacts(state="accepted", complete=True, order="server")})
    text = JsonOf(EndpointFacts).process_bind_param(known, None)  # type: ignore[arg-type]
    assert text is not None
    written(database, text.replace('"complete":true', '"complete":tru'))

    found = only(database).facts

    assert found is not None
    with pytest.raises(StoreError, match="cannot be read"):
        found.protocols["TLSv1.2"]


def test_facts_in_another_order_and_of_an_older_version_are_read_too(database: Path) -> None:
    known = facts(protocols={"TLSv1.2": ProtocolFacts(state="accepted", complete=True, order="server")})
    text = JsonOf(EndpointFacts).process_bind_param(known, None)  # type: ignore[arg-type]
    assert text is not None
    document = json.loads(text)
    del document["quirks"], document["protocols"]["TLSv1.2"]["families"], document["sweep"]
    written(database, json.dumps(dict(sorted(document.items(), reverse=True)), indent=1))

    found = only(database).facts

    assert found is not None
    assert (found.starttls, found.protocols, found.quirks) == (known.starttls, known.protocols, None)


def test_a_text_that_is_no_facts_is_told_in_one_line(database: Path) -> None:
    for text in ("", "[]", "{}", '{"protocols": 3}', "\0"):
        written(database, text)
        with pytest.raises(StoreError, match="cannot be read"):
            only(database)


async def test_the_newest_scan_in_which_all_is_known_counts_as_in_the_store_itself(tmp_path: Path) -> None:
    path = tmp_path / "mxprobe.db"
    cut = Route(kind="error", error=RouteError(status="timeout", text="no answer", temporary=True))
    async with open_store(url_of(path)) as store:
        for day, known in enumerate((("a.example", "b.example"), ("a.example",), ("c.example", "a.example"))):
            scan = await store.start_scan(NOW + timedelta(days=day), known, "digest")
            for name in known:
                found = cut if name == "c.example" else route("192.0.2.1", "192.0.2.2")
                await store.save_route(scan, name, found, () if name == "c.example" else (OTHER, ENDPOINT))
            await store.save_endpoint(scan, ENDPOINT, facts(connections=day), {})
            if day < 2:
                await store.save_endpoint(scan, OTHER, facts(address="192.0.2.2", connections=day), {})
        latest = await store.latest()
    assert latest is not None

    found = list(partners(url_of(path)))

    assert [partner.next_hop for partner in found] == [target.next_hop for target in latest.targets]
    assert [partner.route for partner in found] == [target.route for target in latest.targets]
    assert [[server.endpoint.address for server in partner.servers] for partner in found] == [
        [seen.address for seen in target.endpoints] for target in latest.targets
    ]


async def test_an_endpoint_without_facts_is_there_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "mxprobe.db"
    async with open_store(url_of(path)) as store:
        scan = await store.start_scan(NOW, ("a.example",), "digest")
        await store.save_route(scan, "a.example", route("192.0.2.1"), (ENDPOINT,))
    (found,) = partners(url_of(path))
    assert found == Partner(next_hop="a.example", route=route("192.0.2.1"), servers=(PartnerServer(endpoint=ENDPOINT),))


async def test_servers_with_the_same_tls_are_one_kind_whatever_else_they_say(tmp_path: Path) -> None:
    path = tmp_path / "mxprobe.db"
    async with open_store(url_of(path)) as store:
        scan = await store.start_scan(NOW, ("a.example",), "digest")
        endpoints = tuple(replace(ENDPOINT, address=f"192.0.2.{number}") for number in range(3))
        await store.save_route(scan, "a.example", route(*(each.address for each in endpoints)), endpoints)
        version = ProtocolFacts(state="accepted", complete=True, order="server")
        for number, endpoint in enumerate(endpoints):
            reply = Reply(code=220, lines=(f"go ahead {number}",))
            seen = facts(
                address=endpoint.address,
                connections=number,
                starttls=Starttls(state="works", reply=reply),
                protocols={"TLSv1.2": replace(version, hellos=number, complete=number < 2)},
                certificates=(Certificate(sha256=f"{number:064x}", key="RSA 2048"),),
            )
            await store.save_endpoint(scan, endpoint, seen, {})
    (found,) = partners(url_of(path))
    first, second, third = found.servers
    assert first.facts is second.facts
    assert first.kind == second.kind != third.kind


# What cannot be read


async def test_what_is_no_store_is_told_in_one_line(tmp_path: Path) -> None:
    text, other, newer = tmp_path / "text", tmp_path / "other.db", tmp_path / "newer.db"
    text.write_text("no database at all, but long enough to look like one" * 40)
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE t (x)")
    await _filled(newer)
    with closing(sqlite3.connect(newer)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    for path, problem in (
        (tmp_path / "absent.db", "there is no such database"),
        (tmp_path, "is a directory"),
        (text, "the file is not a database"),
        (other, "not one of mxprobe"),
    ):
        with pytest.raises(StoreError, match=problem):
            list(partners(url_of(path)))
    with pytest.raises(NewerDatabase, match="9999"):
        list(partners(url_of(newer)))
    with pytest.raises(StoreError, match="not a database"):
        list(partners("mysql://x"))


async def test_nothing_is_written_and_nothing_left_behind(tmp_path: Path) -> None:
    path = tmp_path / "mxprobe.db"
    await _filled(path)
    before = path.read_bytes()
    list(partners(url_of(path)))
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["mxprobe.db"]


# On a server


async def test_partners_on_a_server_are_read_as_those_in_a_file(tmp_path: Path, postgresql_server: Postgresql) -> None:
    urls = (url_of(tmp_path / "mxprobe.db"), postgresql_server.url(postgresql_server.new_database()))
    known = facts(
        protocols={"TLSv1.2": ProtocolFacts(state="accepted", complete=True)},
        certificates=(Certificate(sha256="ab" * 32, key="RSA 2048"),),
    )
    for url in urls:
        async with open_store(url) as store:
            scan = await store.start_scan(NOW, ("a.example", "b.example", "c.example"), "digest")
            for name in ("a.example", "b.example"):
                await store.save_route(scan, name, route("192.0.2.1", "192.0.2.2"), (OTHER, ENDPOINT))
            await store.save_endpoint(scan, ENDPOINT, known, {})
    in_file, on_server = (list(partners(url, trust=True)) for url in urls)
    assert on_server == in_file
    assert [partner.next_hop for partner in on_server] == ["a.example", "b.example"]
    for url in urls:
        shares = [[each.next_hop for each in partners(url, share=(first, 2))] for first in (0, 1)]
        assert shares == [["a.example"], ["b.example"]]


def test_a_server_that_cannot_be_read_is_told_in_one_line(postgresql_server: Postgresql) -> None:
    name = postgresql_server.new_database()
    for url, problem in (
        (postgresql_server.url(name), "the database is empty"),
        (postgresql_server.url("nothing"), 'database "nothing" does not exist'),
        (postgresql_server.tcp_url(name, "owner", "s3cret"), "password authentication failed"),
        ("postgresql://", "not a database"),
    ):
        with pytest.raises(StoreError, match=problem) as caught:
            list(partners(url))
        assert "s3cret" not in str(caught.value)
