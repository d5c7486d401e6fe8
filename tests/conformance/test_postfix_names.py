"""The Postfix name rule, next to what Postfix's own `posttls-finger` says at the level verify."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

from mxprobe.trust.names import match_name
from servers.certificates import Issued, make_leaf

HOST = "mx1.example.test"


@pytest.mark.parametrize(
    ("names", "cn", "host"),
    [
        ([HOST], "", HOST),
        ([HOST.upper()], "", HOST),
        (["mail.example.test", HOST], "", HOST),
        (["mail.example.test"], HOST, HOST),
        (["*.example.test"], "", HOST),
        (["*.test"], "", HOST),
        (["*.test"], "", "example.test"),
        (["m*.example.test"], "", HOST),
        (["*.example.test"], "", "a.mx1.example.test"),
        (["*.example.test"], "", "example.test"),
        (["*.example.test"], "", "xn--bcher-kva.example.test"),
        ([], HOST, HOST),
        ([], "*.example.test", HOST),
        ([], "*.test", "example.test"),
        (["127.0.0.1"], HOST, HOST),
        (["127.0.0.1"], HOST, "127.0.0.1"),
        (["127.0.0.2"], "127.0.0.1", "127.0.0.1"),
        ([], "127.0.0.1", "127.0.0.1"),
        ([HOST], "127.0.0.1", "127.0.0.1"),
    ],
)
def test_a_name_matches_for_us_where_it_does_for_postfix(
    names: Sequence[str], cn: str, host: str, tmp_path: Path
) -> None:
    certificate = make_leaf(*names, cn=cn, key_type="EC")

    assert match_name(certificate.der, host).postfix_matches is postfix_verifies(certificate, host, tmp_path)


def test_any_of_several_common_names_counts(tmp_path: Path) -> None:
    certificate = make_leaf(cn=["a.test", HOST, "b.test"], key_type="EC")

    assert postfix_verifies(certificate, HOST, tmp_path)
    assert match_name(certificate.der, HOST).postfix_matches


def postfix_verifies(certificate: Issued, host: str, directory: Path) -> bool:
    chain, key = certificate.write(directory, "server")
    with smtp_server(chain, key) as port:
        command = ["posttls-finger", "-c", "-l", "verify", "-F", str(chain), "-P", "", f"[127.0.0.1]:{port}", host]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
    said = ran.stdout + ran.stderr
    found = re.search(r"(\w+) TLS connection established", said)
    assert found, said
    return found[1] == "Verified"


@contextmanager
def smtp_server(chain: Path, key: Path) -> Iterator[int]:
    """One SMTP session with STARTTLS; yields the port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)

    def serve(listening: socket.socket) -> None:
        # The client hangs up when it has seen what it wanted.
        with contextlib.suppress(OSError):
            plain, _ = listening.accept()
            with plain:
                plain.settimeout(60)
                plain.sendall(b"220 mx.example.test ESMTP\r\n")
                plain.recv(1000)
                plain.sendall(b"250-mx.example.test\r\n250 STARTTLS\r\n")
                plain.recv(1000)
                plain.sendall(b"220 Go ahead\r\n")
                with context.wrap_socket(plain, server_side=True) as encrypted:
                    while encrypted.recv(1000):
                        encrypted.sendall(b"250 mx.example.test\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(60)
        server = Thread(target=serve, args=(listening,))
        server.start()
        try:
            yield listening.getsockname()[1]
        finally:
            server.join()
