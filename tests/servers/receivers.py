"""Who is told: a mail server and a webhook on this machine that keep what they get, and a webhook that says when."""

from __future__ import annotations

import asyncio
import email
import email.policy
import hashlib
import hmac
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from aiosmtpd.smtp import SMTP


@dataclass
class MailReceiver:
    """A mail server; `refuse` is the reply to each message that is to be refused."""

    port: int = 0
    refuse: str = ""
    mails: list[EmailMessage] = field(default_factory=list)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 (aiosmtpd's name)
        if self.refuse:
            return self.refuse
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        self.mails.append(message)
        return "250 OK"


@asynccontextmanager
async def mail_receiver() -> AsyncIterator[MailReceiver]:
    """A mail server of aiosmtpd on a free port, in this event loop."""
    receiver = MailReceiver()
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(receiver, hostname="mail.example", enable_SMTPUTF8=True), "127.0.0.1", 0
    )
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        await server.wait_closed()


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """What came to a webhook."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class WebhookReceiver:
    """A webhook that answers as `status` says, by the number of posts so far; None is to hang up without an answer."""

    secret: bytes
    status: Callable[[int], int | None] = lambda number: 200
    posts: list[Post] = field(default_factory=list)
    port: int = 0

    def is_signed(self, post: Post) -> bool:
        """Whether the signature is right, as docs/alerts.md has it: HMAC-SHA256 over the time, a dot and the body."""
        signed = post.headers["mxprobe-timestamp"].encode() + b"." + post.body
        expected = "v1=" + hmac.new(self.secret, signed, hashlib.sha256).hexdigest()
        return hmac.compare_digest(expected, post.headers["mxprobe-signature"])


@contextmanager
def webhook_receiver(secret: bytes) -> Iterator[WebhookReceiver]:
    """A webhook by Python's own HTTP server on a free port, in threads of its own."""
    receiver = WebhookReceiver(secret)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.posts.append(Post(path=self.path, headers=headers, body=body))
            status = receiver.status(len(receiver.posts))
            if status is None:
                self.close_connection = True
                return
            self.send_response(HTTPStatus(status))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing on standard error."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver.port = server.server_address[1]
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()
