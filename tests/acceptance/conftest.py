"""The servers of the acceptance tests: one TLS server, trusted by one CA path, behind a front that counts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from servers.certificates import Authority, hashed_directory
from servers.openssl_server import openssl_server
from servers.running import RunningServer
from servers.smtp_front import Front, smtp_front


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority.root("acceptance root")


@pytest.fixture(scope="session")
def ca_path(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hashed directory with the root of `authority`."""
    return hashed_directory(tmp_path_factory.mktemp("trust"), [authority])


@pytest.fixture(scope="session")
def tls_server(authority: Authority) -> Iterator[RunningServer]:
    """TLS 1.2 with three suites and 1.3 with two, and a certificate for mx.test and 127.0.0.1; no SMTP."""
    with openssl_server(
        cipher="ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256:AES128-SHA:@SECLEVEL=0",
        ciphersuites="TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256",
        protocols=("TLSv1.2", "TLSv1.3"),
        certificates=[authority.leaf("mx.test", "127.0.0.1")],
    ) as server:
        yield server


@pytest.fixture
def front(tls_server: RunningServer) -> Iterator[Front]:
    """`tls_server` behind SMTP, and what was seen of us there in this test."""
    with smtp_front(tls_server) as front:
        yield front


@pytest.fixture
def next_hop(front: Front) -> str:
    """The next-hop of `front`, by its address."""
    return f"[127.0.0.1]:{front.port}"
