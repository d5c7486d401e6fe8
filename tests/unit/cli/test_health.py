"""`mxprobe health`: what of an answer means alive, and how soon it gives up."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import pytest

from mxprobe.cli import health as command
from mxprobe.cli.health import health
from mxprobe.errors import InvalidSetting


@contextmanager
def answering(*parts: bytes, hold: bool = False, address: str = "127.0.0.1") -> Iterator[int]:
    """Whoever connects is answered so, after his request; with `hold` the connection stays open. The port."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as server:
        kept = []

        def serve() -> None:
            connection, _ = server.accept()
            kept.append(connection)
            request = connection.recv(4096)
            assert request.startswith(b"GET /healthz HTTP/1.1\r\nHost: ")
            for part in parts:
                connection.sendall(part)
            if not hold:
                connection.close()

        thread = Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            thread.join()
            for connection in kept:
                connection.close()


def test_a_service_that_says_200_is_alive(capsys: pytest.CaptureFixture[str]) -> None:
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n", hold=True) as port:
        assert health(f"127.0.0.1:{port}") == 0
    assert capsys.readouterr().out == "ok\n"


def test_an_answer_may_come_in_parts() -> None:
    with answering(b"HTTP/1", b".1 200", b"\r\n\r\n") as port:
        assert health(f"127.0.0.1:{port}") == 0


def test_a_service_that_listens_everywhere_is_asked_on_loopback() -> None:
    with answering(b"HTTP/1.1 200 OK\r\n\r\n", address="0.0.0.0") as port:
        assert health(f"0.0.0.0:{port}") == 0


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", "HTTP status 503"),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "HTTP status 404"),
        (b"SSH-2.0-x\r\n", "what it answered is not HTTP"),
        (b"HTTP/1.1 200", "what it answered is not HTTP"),
        (b"x" * 100_000, "what it answered is not HTTP"),
        (b"", "it closed the connection without an answer"),
    ],
)
def test_any_other_answer_is_not_alive(answer: bytes, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with answering(answer) as port:
        assert health(f"127.0.0.1:{port}") == 1
    assert capsys.readouterr().out == f"127.0.0.1:{port}: {words}\n"


def test_one_that_is_stuck_is_not_alive(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(command, "PATIENCE_SECONDS", 0.05)
    with answering(b"HTTP/1.1 ", hold=True) as port:
        assert health(f"127.0.0.1:{port}") == 1
    assert "timed out" in capsys.readouterr().out


def test_where_nobody_listens_nobody_is_alive(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert health(f"127.0.0.1:{port}") == 1
    assert capsys.readouterr().out == f"127.0.0.1:{port}: Connection refused\n"


def test_what_is_no_address_is_the_users_mistake() -> None:
    with pytest.raises(InvalidSetting, match=r"^WHERE: 'localhost:80' has no IP address \(allowed: "):
        health("localhost:80")
