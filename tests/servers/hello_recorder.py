"""An SMTP server that keeps the ClientHello of whoever starts TLS with it, by the name the client gave in EHLO."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from mxprobe.tls.client_hello import ClientHello, decode_client_hello
from mxprobe.tls.wire import Truncated, WireError

_SECONDS = 30.0


@dataclass(slots=True, kw_only=True)
class HelloRecorder:
    """The hellos that came, the first of each name; and the names of who went on without TLS, or sent no hello."""

    port: int
    hellos: dict[str, ClientHello] = field(default_factory=dict)
    plain: set[str] = field(default_factory=set)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def wait_for(self, names: set[str]) -> None:
        """Return as soon as each of these names has started TLS, or has said what it says without.

        Raises:
            TimeoutError: one has done neither in time.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: names <= self.hellos.keys() | self.plain, _SECONDS):
                raise TimeoutError(f"no hello of {sorted(names - self.hellos.keys() - self.plain)}")

    def record(self, name: str, hello: ClientHello | None) -> None:
        """Keep what a client did."""
        with self._changed:
            if hello is None:
                self.plain.add(name)
            else:
                self.hellos.setdefault(name, hello)
            self._changed.notify_all()


@contextmanager
def hello_recorder() -> Iterator[HelloRecorder]:
    """Run one on a free port of 127.0.0.1. It takes no mail: after EHLO there is STARTTLS, or 450."""

    class Session(socketserver.StreamRequestHandler):
        timeout = _SECONDS

        def handle(self) -> None:
            name = ""
            self.wfile.write(b"220 mx.test ESMTP\r\n")
            while line := self.rfile.readline(1024):
                command, _, argument = line.decode("ascii", "replace").strip().partition(" ")
                match command.upper():
                    case "EHLO" | "LHLO":
                        name = argument
                        self.wfile.write(b"250-mx.test\r\n250 STARTTLS\r\n")
                    case "STARTTLS":
                        self.wfile.write(b"220 2.0.0 Ready to start TLS\r\n")
                        recorder.record(name, self._hello())
                        return
                    case "QUIT":
                        self.wfile.write(b"221 2.0.0 Bye\r\n")
                        return
                    case _:
                        recorder.record(name, None)
                        self.wfile.write(b"450 4.7.0 No mail here\r\n")

        def _hello(self) -> ClientHello | None:
            data = b""
            while chunk := self.connection.recv(16384):
                data += chunk
                try:
                    return decode_client_hello(data)
                except Truncated:
                    continue
                except WireError:
                    return None  # an alert: it had nothing to offer
            return None

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True
        request_queue_size = 64

    with Server(("127.0.0.1", 0), Session) as server:
        recorder = HelloRecorder(port=server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="hello recorder", daemon=True)
        thread.start()
        try:
            yield recorder
        finally:
            server.shutdown()
            thread.join()
