"""How an endpoint receives us, and what follows: go on, one at a time, later, or not at all.

Decisions without a clock or a socket: time is an argument, in seconds of any steady clock.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Literal

from mxprobe.tls.endings import ending_text
from mxprobe.tls.offer import Answer, Chosen, Closed, Garbled, Refused, Throttled, Unasked

FUTILE_ENDINGS = 2
"""Endings in a row that tell nothing (silence, connections lost before the hello) after which the endpoint is left
alone, and what was not asked is unknown: a hang costs two timeouts, not one for each question."""

HELLOS_WITHOUT_TLS = 13
"""Hellos answered by nothing that is TLS, from the first on, after which the endpoint is left alone: the natural one,
and each of the six versions twice."""

LONGEST_PAUSE = 60.0
"""The longest wait in seconds after being turned away in mid-sweep: the minute in which mail servers count
(`postconf(5) anvil_rate_time_unit`)."""


class Reception:
    """What one endpoint has done with our connections so far. `endings` counts how they ended, other than by TLS."""

    def __init__(self, width: int, first_pause: float, jitter: Callable[[], float] = random.random) -> None:
        self.width = width
        """Connections at a time, one after the first was turned away."""
        self.resume_at = 0.0
        """Nothing is opened before this time."""
        self.given_up: Unasked | None = None
        self.endings: Counter[str] = Counter()
        self._first_pause = first_pause
        self._jitter = jitter
        self._pauses = 0
        self._served = False
        self._futile = 0
        self._without_tls: int | None = 0

    def served(self) -> None:
        """A hello was answered by TLS: from here on, being turned away is a limit that was met."""
        self._futile, self._without_tls = 0, None
        # The pause that worked was about right; the next one begins below it, and not from the start.
        if self.resume_at and self._pauses > 1:
            self._pauses -= 1
        self.resume_at = 0.0
        self._served = True

    def answered(self, answer: Answer) -> None:
        """Take the answer to a hello into account, or the ending of a handshake."""
        self._count(answer)
        match answer:
            case Chosen() | Refused():
                self.served()
            case Closed(stage="hello" | "handshake") | Garbled(stage="hello" | "handshake"):
                self._futile = 0
                if self._without_tls is not None:
                    self._without_tls += 1
                if self._without_tls == HELLOS_WITHOUT_TLS:
                    self._give_up(f"left alone after {HELLOS_WITHOUT_TLS} hellos, none answered by TLS", answer)
            case _:
                self._be_futile(answer)

    def ended(self, answer: Answer, *, others: int, now: float, deadline: float | None) -> Literal["again", "told"]:
        """Take a connection into account that ended before its hello, beside so many others.

        *again*: it says nothing of the question, which is asked once more, when it is time. *told*: this ending is the
        answer. One that was turned away beside others is not the last: we go on with one at a time. One that is turned
        away in mid-sweep has met a limit: we wait, longer each time, as long as the deadline allows.
        """
        self._count(answer)
        turned_away = isinstance(answer, Throttled) or (
            isinstance(answer, Closed) and answer.stage in ("connect", "greeting")
        )
        if turned_away and others:
            self.width = 1
            return "again"
        if turned_away and self._served:
            self.width = 1
            pause = min(LONGEST_PAUSE, self._first_pause * 2**self._pauses) * (0.75 + 0.5 * self._jitter())
            self._pauses += 1
            self.resume_at = now + pause
            if deadline is None or self.resume_at < deadline:
                return "again"
            self._give_up("turned away, and the deadline comes before the next try", answer)
            return "told"
        self._be_futile(answer)
        return "told"

    def out_of_time(self, seconds: float) -> None:
        """The deadline of the endpoint is over."""
        if self.given_up is None:
            self.given_up = Unasked(reason=f"the deadline of {seconds:.0f} s was over")

    def _be_futile(self, answer: Answer) -> None:
        self._futile += 1
        if self._futile >= FUTILE_ENDINGS:
            self._give_up(f"left alone after {FUTILE_ENDINGS} times", answer)

    def _give_up(self, why: str, answer: Answer) -> None:
        if self.given_up is None:
            after = None if isinstance(answer, Unasked) else answer
            self.given_up = Unasked(reason=f"{why}: {ending_text(answer)}", after=after)

    def _count(self, answer: Answer) -> None:
        if not isinstance(answer, Chosen | Refused | Unasked):
            self.endings[ending_text(answer)] += 1
