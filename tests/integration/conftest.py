"""What several modules of integration tests share."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator

import pytest

from servers.openssl_server import openssl_server
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
