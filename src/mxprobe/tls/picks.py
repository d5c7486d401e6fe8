"""What a server picked out of which offers, and what that says of its order: evidence, whatever order it came in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from mxprobe.tls.offer import Chosen

Order = Literal["server", "client", "unknown"]


class Picks:
    """The picks of one version. `accepted` are the suites that were picked, in the order in which we heard of them."""

    def __init__(self) -> None:
        self.accepted: dict[int, Chosen] = {}
        self._offered: dict[int, list[tuple[int, ...]]] = {}
        self._passed_over: set[int] = set()
        self._follows_ours = False
        self.deviates = False
        """Whether the server has passed over in our order what it takes."""

    def add(self, suites: tuple[int, ...], answer: Chosen) -> bool:
        """Note that one of these suites was picked; whether it is news that this suite is accepted.

        A server that passes over a suite which it takes has an order of its own; one that picks now this, now
        that of the same two follows ours.
        """
        picked, accepted = answer.suite, self.accepted
        before = suites[: suites.index(picked)]
        if not accepted.keys().isdisjoint(suites):  # hardly ever: a chain takes out what was accepted
            self.deviates |= not accepted.keys().isdisjoint(before)
            for other in accepted.keys() & suites:
                self._follows_ours |= other != picked and any(picked in each for each in self._offered[other])
        self.deviates |= picked in self._passed_over
        self._passed_over.update(before)
        self._offered.setdefault(picked, []).append(suites)
        if picked in accepted:
            return False
        accepted[picked] = answer
        return True

    def move_to_end(self, suite: int) -> None:
        """Note that a suite has its place behind all others that are known."""
        self.accepted[suite] = self.accepted.pop(suite)

    @property
    def order(self) -> Order:
        """Whose order it is, as far as the picks tell; unknown also where they contradict each other."""
        if self.deviates == self._follows_ours:
            return "unknown"
        return "server" if self.deviates else "client"

    @property
    def mixed(self) -> bool:
        """Whether the picks fit neither an order of the server's own nor ours."""
        return self.deviates and self._follows_ours

    def precedes(self, suite: int, other: int) -> bool | None:
        """Whether a pick has shown that the server prefers one accepted suite to another."""
        if any(other in offered for offered in self._offered.get(suite, ())):
            return True
        if any(suite in offered for offered in self._offered.get(other, ())):
            return False
        return None

    def runs(self) -> Iterator[tuple[int, ...]]:
        """The accepted suites as heard of, cut wherever no pick shows that one comes before the next."""
        run: list[int] = []
        for suite in self.accepted:
            if run and not self.precedes(run[-1], suite):
                yield tuple(run)
                run = []
            run.append(suite)
        if run:
            yield tuple(run)
