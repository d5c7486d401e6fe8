"""Everything else that can be told: mail and chats, by apprise. Its calls block, so each has a thread of its own."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from contextvars import ContextVar, Token
from functools import cache
from typing import Any
from urllib.parse import unquote

import apprise

from mxprobe.alerts.by_webhook import NotDelivered
from mxprobe.alerts.harmless import harmless
from mxprobe.alerts.targets import Service
from mxprobe.alerts.templates import Text

TIMEOUT_SECONDS = 120.0
"""For a message: a mail server with postscreen before it takes some of it, and apprise tries some services twice."""

_KINDS = {
    "critical": apprise.NotifyType.FAILURE,
    "warning": apprise.NotifyType.WARNING,
    "info": apprise.NotifyType.INFO,
    "ok": apprise.NotifyType.SUCCESS,
}
_logger = logging.getLogger("apprise")


@cache
def schemes() -> frozenset[str]:
    """The schemes of the URLs that this apprise knows."""
    found: set[str] = set()
    for each in apprise.Apprise().details()["schemas"]:
        for name in ("protocols", "secure_protocols"):
            found.update(str(scheme).lower() for scheme in each.get(name) or ())
    return frozenset(found)


def problem_with(url: str) -> str | None:
    """What keeps apprise from making something of a URL, without its secrets; None where nothing does."""
    with _Heard() as heard:
        if apprise.Apprise.instantiate(url, suppress_exceptions=True) is not None:
            return None
    return without_secrets(heard.said[0], url) if heard.said else "it is not as apprise has it"


class Sending:
    """Sends to one service, one message at a time."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._thread: threading.Thread | None = None

    @property
    def is_idle(self) -> bool:
        """Whether no attempt is under way, also none that nobody waits for any more."""
        return self._thread is None or not self._thread.is_alive()

    async def send(self, text: Text, severity: str) -> None:
        """Send a message.

        Raises:
            NotDelivered: apprise says so, it took too long, or the attempt before has still not come to its end.
        """
        if not self.is_idle:
            raise NotDelivered("the attempt before has not ended yet")
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[str | None] = loop.create_future()

        def tell(problem: str | None) -> None:
            if not ended.done():
                ended.set_result(problem)

        def work() -> None:
            problem = self._notify(text, severity)
            try:
                loop.call_soon_threadsafe(tell, problem)
            except RuntimeError:
                return  # the program has ended meanwhile, and nobody waits for the answer

        # A daemon: a service that hangs does not keep the program from its end.
        self._thread = threading.Thread(target=work, name="mxprobe-alert", daemon=True)
        self._thread.start()
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                problem = await ended
        except TimeoutError as error:
            raise NotDelivered(f"no end of it within {TIMEOUT_SECONDS:.0f} seconds") from error
        if problem is not None:
            raise NotDelivered(problem)

    def _notify(self, text: Text, severity: str) -> str | None:
        """What went wrong; None where nothing did."""
        with _Heard() as heard:
            try:
                asset = apprise.AppriseAsset(app_id="mxprobe", app_desc="mxprobe", async_mode=False)
                told = apprise.Apprise(asset=asset)
                if told.add(self._service.url) and told.notify(
                    title=text.title,
                    body=text.body,
                    notify_type=_KINDS.get(severity, apprise.NotifyType.FAILURE),
                    body_format=apprise.NotifyFormat.TEXT,
                    interpret_escapes=False,
                ):
                    return None
            except Exception as error:  # a plugin of apprise may raise anything, and no other target is to suffer
                return f"apprise failed: {type(error).__name__}"
        return without_secrets(" ".join(heard.said[-2:]) or "apprise could not deliver it", self._service.url)


def without_secrets(said: str, url: str) -> str:
    """What apprise said, on one line, without the pieces of the URL, of which any may be a password or token."""
    scheme, _, rest = url.partition("://")
    pieces = {unquote(piece) for piece in re.split(r"[/:@?&=,+]", rest)} | set(re.split(r"[/:@?&=,+]", rest)) | {url}
    for piece in sorted(pieces, key=len, reverse=True):
        if len(piece) >= 4 and piece != scheme:
            said = said.replace(piece, "***")
    return harmless(" ".join(said.split()), 300)


class _Heard(logging.Handler):
    """Takes what apprise logs for this attempt as the reason of a failure; it goes nowhere else, as it may quote URLs.

    By the context, which is one of its own in each of our threads: since 2.0 apprise sends in a further thread, and
    takes the context with it.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []
        self._token: Token[_Heard | None] | None = None

    def emit(self, record: logging.LogRecord) -> None:
        if _hears.get() is self and len(self.said) < 100:
            self.said.append(record.getMessage()[:1000])

    def __enter__(self) -> _Heard:
        self._token = _hears.set(self)
        _logger.addHandler(self)
        return self

    def __exit__(self, *_: Any) -> None:
        _logger.removeHandler(self)
        if self._token is not None:
            _hears.reset(self._token)


_hears: ContextVar[_Heard | None] = ContextVar("mxprobe_hears_apprise", default=None)


# What they log quotes URLs, and so passwords and tokens.
for _quotes in ("apprise", "urllib3", "requests"):
    logging.getLogger(_quotes).propagate = False
    logging.getLogger(_quotes).addHandler(logging.NullHandler())
