"""Asking one offer on an open session: our hello goes out, the server's flight is read."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import replace
from typing import Literal

from mxprobe.network.session import Session, close_notify
from mxprobe.tls.client_hello import encode_client_hello
from mxprobe.tls.offer import Chosen, Closed, Ending, Offer
from mxprobe.tls.server_flight import ServerFlight


async def ask_on(session: Session, offer: Offer, seconds: float) -> Ending:
    """Send the hello of an offer, read the answer within `seconds`, and leave."""
    if session.gone:
        session.close()
        return Closed(stage="starttls", how=session.gone)
    flight = _Flight(offer)
    started = time.monotonic()
    session.begin(flight)
    session.send(encode_client_hello(offer, random=os.urandom(32)))
    timer = asyncio.get_running_loop().call_later(seconds, flight.timed_out)
    try:
        answer = await flight.answer
        session.close(close_notify(answer.protocol) if isinstance(answer, Chosen) else None)
    finally:
        timer.cancel()
        session.close()
    return replace(answer, seconds=time.monotonic() - started)


class _Flight:
    def __init__(self, offer: Offer) -> None:
        self.reader = ServerFlight(offer)
        self.answer: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()

    def received(self, data: bytes) -> None:
        self._settle(self.reader.feed(data))

    def ended(self, how: Literal["eof", "reset"]) -> None:
        if not self.answer.done():
            self._settle(self.reader.end(how))

    def timed_out(self) -> None:
        self._settle(self.reader.timeout())

    def _settle(self, answer: Ending | None) -> None:
        if answer is not None and not self.answer.done():
            self.answer.set_result(answer)
