"""What several modules of integration tests share."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from servers.openssl_server import openssl_server
from servers.postgresql import Postgresql, postgresql
from servers.running import RunningServer


@pytest.fixture
async def nothing_is_left_behind() -> AsyncIterator[None]:
    """No task goes on after a test; pytest takes a socket that was not closed for a failure."""
    yield
    assert asyncio.all_tasks() == {asyncio.current_task()}
    gc.collect()


@pytest.fixture(scope="session")
def server() -> Iterator[RunningServer]:
    """A TLS server with few suites."""
    with openssl_server(cipher="ECDHE+AES128:AES256-SHA:ADH-AES128-SHA:@SECLEVEL=0") as running:
        yield running


@pytest.fixture(scope="session")
def server_with_many_suites() -> Iterator[RunningServer]:
    """A TLS server with every suite of the system's OpenSSL."""
    with openssl_server() as running:
        yield running


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[Postgresql]:
    """A PostgreSQL server, on which a test makes databases of its own."""
    with postgresql() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database for one test: what a store promises holds for both kinds."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/mxprobe.db"
    server: Postgresql = request.getfixturevalue("postgresql_server")
    return server.url(server.new_database())
