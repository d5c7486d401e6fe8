"""A mail server as a pure function of the offer: what a sweep should find of it is known beforehand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from mxprobe.terms import Protocol
from mxprobe.tls.offer import Answer, Chosen, Offer, Refused
from mxprobe.tls.sweep import Sweep

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class ModelServer:
    """Takes `suites[version]`, in that order or in the client's.

    `poison` are suites that it picks like others and then cannot finish, so that it refuses the whole offer. Offers
    of more than `longest` suites are answered by `too_long`. `refusal` is how it says no.
    """

    suites: dict[Protocol, tuple[int, ...]]
    prefers_own_order: bool = True
    poison: frozenset[int] = frozenset()
    poison_answer: Answer = field(default_factory=lambda: Refused(alert=115))
    longest: int = 1000
    too_long: Answer = field(default_factory=lambda: Refused(alert=50))
    refusal: Answer = field(default_factory=lambda: Refused(alert=40))
    version_refusal: Answer = field(default_factory=lambda: Refused(alert=70))

    def answer(self, offer: Offer) -> Answer:
        """What this server says to one hello."""
        if offer.protocol not in self.suites:
            return self.version_refusal
        if len(offer.suites) > self.longest:
            return self.too_long
        own = self.suites[offer.protocol]
        common = (
            [s for s in own if s in offer.suites] if self.prefers_own_order else [s for s in offer.suites if s in own]
        )
        if not common:
            return self.refusal
        if common[0] in self.poison:
            return self.poison_answer
        return Chosen(protocol=offer.protocol, suite=common[0], reached="flight-complete")


@dataclass
class Asked:
    """Runs a sweep against a function, and keeps what was asked."""

    answer: Callable[[Offer], Answer]
    offers: list[Offer] = field(default_factory=list)
    in_vain: int = 0
    """Offers that were out when the sweep had ended."""

    def run_ahead(self, sweep: Sweep[T], width: int, choose: Callable[[int], int] = lambda _: 0) -> T:
        """Up to `width` offers at a time, guessed ones too; `choose` says which of so many is answered next."""
        out: list[Offer] = []
        try:
            wanted = next(sweep)
            while True:
                for offer in (*wanted.sure, *wanted.guessed):
                    if offer not in out and len(out) < width:
                        out.append(offer)
                        self.offers.append(offer)
                answered = out.pop(choose(len(out)))
                wanted = sweep.send((answered, self.answer(answered)))
        except StopIteration as stop:
            self.in_vain = len(out)
            found: T = stop.value
            return found

    def run(self, sweep: Sweep[T]) -> T:
        """One offer at a time, the most wanted first."""
        try:
            wanted = next(sweep)
            while True:
                assert wanted.sure, "a sweep that is sure of nothing would wait for ever"
                self.offers.append(wanted.sure[0])
                wanted = sweep.send((wanted.sure[0], self.answer(wanted.sure[0])))
        except StopIteration as stop:
            found: T = stop.value
            return found
