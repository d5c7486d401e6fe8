"""Asking one offer on an open session: our hello goes out, the server's flight is read."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Literal

from mxprobe.network.patience import Patience
from mxprobe.network.session import Session, close_notify
from mxprobe.tls.client_hello import encode_client_hello
from mxprobe.tls.offer import Chosen, Ending, Offer
from mxprobe.tls.server_flight import ServerFlight


class Asking:
    """One hello that is out. The session is left as soon as the answer is known, or after `seconds`."""

    __slots__ = ("_answered", "_flight", "_patience", "_started", "offer", "pieces", "session")

    def __init__(
        self,
        session: Session,
        offer: Offer,
        seconds: float,
        patience: Patience,
        answered: Callable[[Asking, Ending], None],
        *,
        in_pieces: bool = True,
    ) -> None:
        self.session = session
        self.offer = offer
        self.pieces = 0
        """In how many pieces the flight has come so far."""
        self._patience = patience
        self._answered = answered
        hello = encode_client_hello(offer, random=os.urandom(32))
        self._flight = ServerFlight(offer, sent=hello)
        self._started = patience.wait(self, seconds)
        session.begin(self, in_pieces=in_pieces)
        session.send(hello)

    def abort(self) -> None:
        """Nobody waits for the answer any more."""
        self._patience.forget(self)
        self.session.close()

    def received(self, data: bytes) -> None:
        """Read what came of the flight."""
        self.pieces += 1
        answer = self._flight.feed(data)
        if answer is not None:
            self._settle(answer)

    def ended(self, how: Literal["eof", "reset"]) -> None:
        """The server has gone."""
        self._settle(self._flight.end(how))

    def out_of_patience(self) -> None:
        """The flight has not come to its end."""
        self._settle(self._flight.timeout())

    def _settle(self, answer: Ending) -> None:
        self._patience.forget(self)
        plain = close_notify(answer.protocol) if isinstance(answer, Chosen) else None
        self.session.close(self._flight.farewell or plain)
        # The answer is ours alone until it is told; replace() would copy its fields by their names, which takes longer
        # than reading most of a flight.
        object.__setattr__(answer, "seconds", time.monotonic() - self._started)
        self._answered(self, answer)
