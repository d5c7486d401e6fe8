"""What one version of a server has answered so far: picks and refusals, and whether one server can have given them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import filterfalse
from typing import Literal

from mxprobe.tls.foresight import Foresight
from mxprobe.tls.offer import Answer, Chosen, Closed, Garbled, Offer, Refused, Silent
from mxprobe.tls.picks import Picks
from mxprobe.tls.suites import suite as registered
from mxprobe.tls.sweep import CONTROL, Contradiction, Sweep, ask, ask_surely

MAX_SUITES = 127
"""Suites in an offer to a server that has not yet shown that it reads longer ones: wolfSSL refuses
more than 150, others stop at 128, with the signalling value."""

MAX_SSLV3_SUITES = 105
"""The same in SSLv3, which has no extensions to pad with: longer hellos would be of the 256 to 511 bytes on
which some load balancers hang (RFC 7685 §1)."""

PROTOCOL_VERSION = 70
"""The alert that refuses a version rather than an offer (RFC 8446 §6.2)."""

REPETITIONS = 2
"""How often a refusal that an acceptance contradicts is asked again: of a pool behind one address, two of them taking
turns, one of two repetitions comes to the other."""

Outcome = Literal["chosen", "refused", "cut"]
"""What an answer comes to: a suite was picked, none is taken, or the sweep of this version cannot go on."""


class Hearing:
    """The answers of one version. `foresight` is what it shares with the others."""

    def __init__(self, offer: Offer, foresight: Foresight) -> None:
        self.offer = offer
        self.foresight = foresight
        self.picks = Picks()
        self.accepted = self.picks.accepted
        self.known: set[int] = set()
        """The suites that were accepted or refused."""
        self.agreed = self._agreed()
        self.version_refused = False
        self.contradicted = False
        self.contradictions: list[Contradiction] = []
        self.cut = False
        self.rests_on_close = False
        self.long_offer_answered = False
        self.longest_answered = 0
        self.hellos = 0
        self.ending: Answer | None = None
        self.refusals: list[tuple[Offer, Refused]] = []
        """Offers that were refused and not asked again."""
        self.chosen_last: tuple[Offer, tuple[int, ...], Chosen] | None = None
        """The shape and the suites of the last offer out of which one was picked."""

    @property
    def limit(self) -> int:
        """How many suites an offer may hold as long as longer ones were not seen to be read."""
        most = MAX_SSLV3_SUITES if self.offer.protocol == "SSLv3" else MAX_SUITES
        return min(self.foresight.max_suites or most, most)

    @property
    def rest(self) -> tuple[int, ...]:
        """The suites of which we do not know yet, in our order."""
        return self.without_known(self.offer.suites)

    def without_known(self, suites: Iterable[int]) -> tuple[int, ...]:
        """Those of the suites of which we do not know yet, in the order given."""
        return tuple(filterfalse(self.known.__contains__, suites))

    @property
    def cut_elsewhere(self) -> bool:
        """Whether what cut the sweep short says nothing of the length of an offer."""
        return self.cut and not (isinstance(self.ending, Silent | Garbled) and self.ending.stage == "hello")

    def reverse(self) -> tuple[int, ...]:
        """The accepted suites, the first that was picked last: who picks it again has an order of his own."""
        return tuple(reversed(self.accepted))[: self.limit]

    # Asking

    def pick(self, suites: tuple[int, ...], *, surely: bool = True) -> Sweep[Outcome]:
        """Ask for one more suite out of these, and note what came; a plain close is asked again if `surely`."""
        offer = replace(self.offer, suites=suites)
        if surely:
            answer, hellos = yield from ask_surely(offer)
        else:
            answer, hellos = (yield from ask(offer)), 1
        self.answered(hellos)
        return self.take(suites, answer)

    def answered(self, hellos: int = 1) -> None:
        """So many hellos of this sweep were answered."""
        self.hellos += hellos
        self.foresight.asked()

    def take(self, suites: tuple[int, ...], answer: Answer) -> Outcome:
        """Note the answer to one offer."""
        match answer:
            case Chosen() if answer.protocol != self.offer.protocol:
                self.ending = answer
                if not self.chosen_last:
                    self.version_refused = True
                    return "refused"
                return self.contradict(suites, answer)
            case Chosen() if answer.suite in suites:
                self.chosen_last = self.offer, suites, answer
                self.longest_answered = max(self.longest_answered, len(suites))
                if len(suites) > self.limit:
                    self.long_offer_answered = self.foresight.long_offers_read = True
                if self.picks.add(suites, answer):
                    self.known.add(answer.suite)
                    self.foresight.accepted(self.offer.protocol, answer.suite)
                if self.picks.order != "unknown":
                    self.foresight.own_order = self.picks.order == "server"
                return "chosen"
            case Chosen():
                self.ending = Garbled(stage="hello", reason=f"it picked 0x{answer.suite:06X}, which was not offered")
                self.cut = True
                return "cut"
            case Refused(alert=alert) if alert == PROTOCOL_VERSION and self.chosen_last:
                self.ending = answer
                return self.contradict(suites, answer)
            case Refused() | Closed(stage="hello"):
                self.rests_on_close |= isinstance(answer, Closed)
                self.ending = self.ending if self.version_refused else answer
                if isinstance(answer, Refused):
                    self.version_refused |= answer.alert == PROTOCOL_VERSION
                    if self.chosen_last and self.accepted.keys() >= set(suites):
                        return self.contradict(suites, answer)
                    self.refusals.append((replace(self.offer, suites=suites), answer))
                return "refused"
            case _:
                self.ending = answer
                self.cut = True
                return "cut"

    # Doubting

    def doubted(self) -> tuple[Offer, Refused] | None:
        """A refusal that an acceptance contradicts, if neither length nor finite fields not named explain it."""
        for offer, refusal in reversed(self.refusals):
            # All of them at once are one more than was ever answered: the first of them was picked alone.
            read = len(offer.suites) <= max(self.limit, self.longest_answered + 1)
            for suite in self.accepted.keys() & offer.suites if read else ():
                if offer.groups == self.offer.groups or registered(suite).key_exchange != "DH":
                    return offer, refusal
        return None

    def contradict(self, suites: tuple[int, ...], answer: Answer) -> Outcome:
        """It spoke this version a moment ago: not one server, or not a sane one."""
        earlier = next((self.accepted[suite] for suite in suites if suite in self.accepted), None)
        answers = (earlier or next(reversed(self.accepted.values())), answer)
        self.contradictions.append(Contradiction(protocol=self.offer.protocol, suites=suites, answers=answers))
        self.cut = True
        return "cut"

    def handshake_disagrees(self) -> bool:
        """Whether a complete handshake agreed on what is refused here."""
        seen = self.foresight.handshake
        return (
            seen is not None
            and seen.protocol == self.offer.protocol
            and seen.picked in self.offer.suites
            and seen.picked not in self.accepted
        )

    def ask_again(self) -> Sweep[None]:
        """Ask a refusal again that an acceptance contradicts, and that too: one server answers the same every time,
        also where it refuses what it cannot finish."""
        doubted = self.doubted()
        if doubted is None and self.handshake_disagrees() and self.refusals:
            doubted = self.refusals[-1]
        if doubted is None or self.cut:
            return
        self.refusals.clear()
        asked: list[tuple[Offer, Answer]] = [doubted]
        if self.chosen_last:
            shape, suites, chosen = self.chosen_last
            asked.append((replace(shape, suites=suites), chosen))
        for repetition in range(1, REPETITIONS + 1):
            for offer, before in asked[::-1] if repetition % 2 == 0 else tuple(asked):  # never in step with a pool
                answer = yield from ask(replace(offer, attempt=CONTROL + repetition))
                self.answered()
                if isinstance(answer, Chosen | Refused) and _differ(before, answer):
                    if isinstance(answer, Chosen) and answer.suite in offer.suites:
                        self.take(offer.suites, answer)
                    self.contradictions.append(
                        Contradiction(protocol=offer.protocol, suites=offer.suites, answers=(before, answer))
                    )
                    return

    def ask_the_same(self) -> Sweep[None]:
        """Ask one thing several times: picks without any order may be those of several servers."""
        if self.chosen_last is None:
            return
        shape, suites, before = self.chosen_last
        offer = replace(shape, suites=suites)
        for repetition in range(1, REPETITIONS + 2):
            answer = yield from ask(replace(offer, attempt=CONTROL + REPETITIONS + repetition))
            self.answered()
            if isinstance(answer, Chosen | Refused) and _differ(before, answer):
                self.contradictions.append(
                    Contradiction(protocol=offer.protocol, suites=offer.suites, answers=(before, answer))
                )
                return

    def _agreed(self) -> int | None:
        """The suite of a complete handshake in this version: asking for it would tell nothing new.

        Only of TLS 1.3, where neither groups nor certificates have a say in the choice of suites.
        """
        seen = self.foresight.handshake
        if (
            seen is None
            or not seen.protocol == self.offer.protocol == "TLSv1.3"
            or seen.picked not in self.offer.suites
        ):
            return None
        chosen = Chosen(protocol=seen.protocol, suite=seen.picked, reached="handshake-complete")
        self.picks.add(tuple(suite for suite in seen.offered if suite in self.offer.suites), chosen)
        self.known.add(seen.picked)
        self.foresight.accepted(self.offer.protocol, seen.picked)
        return seen.picked


def _differ(one: Answer, other: Answer) -> bool:
    if isinstance(one, Chosen) and isinstance(other, Chosen):
        return (one.protocol, one.suite) != (other.protocol, other.suite)
    return type(one) is not type(other)
