"""One removal chain: ask for all that is left, take out what was picked, and so on until that is refused.

A chain is serial where the server has an order of its own: each offer depends on the pick before. A server that goes
by our order is asked from several places of our list at a time: every offer holds all that is left, turned so that it
begins elsewhere, and each is answered by the first suite from there on that the server takes. Whatever is guessed, a
pick is accepted and only the refusal of all that is left ends the chain, so the set found is that of a serial chain.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from mxprobe.tls.hearing import Hearing, Outcome
from mxprobe.tls.offer import Answer, Chosen, Closed, Offer, Refused
from mxprobe.tls.sweep import Sweep, Wanted, ask

LOOKS_AHEAD = 16
"""How many suites that may be picked next a chain looks at."""

LIKELY_PER_GUESS = 3
"""So many likely suites for each guess: towards the end of a chain guesses are refused, in vain."""

SHOWS_BY = 12
"""Picks by which an order of the server's own has shown, out of offers that are turned round each time."""

EXPECTED_AFTER = 40
"""One more hello is expected for so many suites found, where nothing better is known."""


class Chain:
    """The chain over some suites of a version. `surely` asks again before a plain close counts."""

    def __init__(self, sweep: Hearing, suites: Iterable[int], *, surely: bool = True) -> None:
        self._sweep = sweep
        self._surely = surely
        self._protocol = sweep.offer.protocol
        self._course = sweep.without_known(suites)
        self._left = self._course
        self._place = {suite: place for place, suite in enumerate(self._course)}
        self._cursor = 0
        self._passed: set[int] = set()
        """Picked or passed over, by a server that seems to go by our order."""
        self._turned: dict[int, tuple[int, ...]] = {}
        """Offers that were guessed, by the suite that they begin with, until they are answered."""
        self._coming: list[int] = []
        """What the server should pick next."""
        self._foreseen_after = 0
        self._likely: list[int] = []
        self._likely_before = 0
        self._unplaced: list[int] = []
        """Accepted suites of which it is not known what comes after them."""
        self._asked_whose_order = False
        self._guessed: set[tuple[int, ...]] = set()
        """The offers after predicted picks of a server with its own order."""
        self._answers: dict[tuple[int, ...], Answer] = {}
        """Answers to guesses that were not needed yet."""
        self._offers: dict[tuple[int, ...], Offer] = {}
        self._unneeded: list[tuple[tuple[int, ...], Answer]] = []
        self._refused: list[frozenset[int]] = []

    def run(self) -> Sweep[Outcome]:
        """Remove and ask again until the server refuses what is left, or the answer is none."""
        sweep = self._sweep
        while self._left and not self._is_refused(self._left):
            suites = self._next(self._left)
            if suites in self._guessed:
                sweep.foresight.hit()
            answer = self._answers.pop(suites, None)
            if answer is None:
                answer = yield from self._ask(suites)
            if self._surely and isinstance(answer, Closed) and answer.stage == "hello":
                answer = yield from ask(replace(sweep.offer, suites=suites, attempt=2))
                sweep.answered()
            if self._take(suites, answer) == "cut":
                return "cut"
        return self._end()

    def _is_refused(self, left: tuple[int, ...]) -> bool:
        return any(refused.issuperset(left) for refused in self._refused)

    @property
    def _by_our_order(self) -> bool:
        """Whether the server goes by our order, as far as is known; or seems to, until the next hello proves it."""
        picks, foresight = self._sweep.picks, self._sweep.foresight
        if picks.deviates:
            return False
        if picks.order == "client" or foresight.own_order is False:
            return True
        seems = foresight.seems_ours and foresight.handshake and foresight.handshake.protocol == self._protocol
        shown = len(picks.accepted) >= SHOWS_BY and not foresight.likely(self._protocol).isdisjoint(self._left)
        return foresight.own_order is None and bool(seems or shown)

    def _next(self, left: tuple[int, ...]) -> tuple[int, ...]:
        """The offer that is needed next; all that is left, from the first place on that nothing is known of."""
        picks = self._sweep.picks
        if not self._by_our_order:
            if picks.order == "unknown" and not self._sweep.foresight.own_order:
                # Until it is known whose order counts, now this way, now that: so it shows soonest.
                return left[::-1] if len(picks.accepted) % 2 == 0 else left
            return (*self._unplaced, *left)
        start = next(self._unpassed(), None)
        if start in self._turned:
            self._sweep.foresight.hit()
            return self._turned.pop(start)
        suites, limit = self._from(start, left), self._sweep.limit
        if picks.order == "unknown" and not self._asked_whose_order:
            # Whatever comes first out of this should tell whose order it is; it makes no short offer a long one.
            more = suites + self._sweep.reverse()
            if len(more) <= limit or len(suites) > limit:
                self._asked_whose_order = True
                return more
        return suites

    def _unpassed(self) -> Iterator[int]:
        """The suites of our list that were neither picked nor passed over yet."""
        course, passed, accepted = self._course, self._passed, self._sweep.accepted
        while self._cursor < len(course) and (course[self._cursor] in passed or course[self._cursor] in accepted):
            self._cursor += 1
        for place in range(self._cursor, len(course)):
            suite = course[place]
            if suite not in passed and suite not in accepted:
                yield suite

    def _from(self, start: int | None, left: tuple[int, ...], but: Iterable[int] = ()) -> tuple[int, ...]:
        """What is left, turned to begin with a suite, without some."""
        for suite in but:
            left = _without(left, suite)
        if start is None:
            return left
        place = left.index(start)
        return left[place:] + left[:place]

    # Asking

    def _ask(self, suites: tuple[int, ...]) -> Sweep[Answer]:
        """Want one offer until its answer comes, and beside it what can be guessed."""
        sweep = self._sweep
        offer = self._offer(suites)
        wanted = self._wanted(offer, self._left)
        while True:
            asked, answer = yield wanted
            if asked is offer or asked == offer:
                sweep.answered()
                return answer
            if asked.protocol == offer.protocol and asked.attempt == 1:
                sweep.answered()
                self._heard(asked.suites, answer)
                wanted = self._wanted(offer, self._left)

    def _offer(self, suites: tuple[int, ...]) -> Offer:
        """The offer of these suites; what is guessed now is often needed next."""
        offer = self._offers.get(suites)
        if offer is None:
            offer = self._offers[suites] = replace(self._sweep.offer, suites=suites)
        return offer

    def _wanted(self, offer: Offer, left: tuple[int, ...]) -> Wanted:
        sweep = self._sweep
        if not sweep.accepted:
            return Wanted((offer,))
        if self._by_our_order:
            coming = self._likely_ahead()
            guessed = self._turned_offers(coming, left)
        else:
            coming = self._coming
            if sweep.picks.order == "server" and len(sweep.accepted) != self._foreseen_after:
                self._foreseen_after = len(sweep.accepted)
                coming = list(sweep.foresight.following(offer.protocol, tuple(sweep.accepted)))
            guessed = [
                self._from(None, left, coming[:count])
                for count in range(1, min(sweep.foresight.window, len(coming) // LIKELY_PER_GUESS) + 1)
            ]
            self._guessed.update(guessed)
        self._coming = coming
        # After the last pick comes a refusal, and before TLS 1.3 one that checks it.
        expected = len(coming) // 2 or len(sweep.accepted) // EXPECTED_AFTER
        expected += offer.protocol != "TLSv1.3"
        return Wanted(
            (offer,),
            tuple(self._offer(suites) for suites in guessed if suites and suites not in self._answers),
            expected,
        )

    def _likely_ahead(self) -> list[int]:
        """The suites that are likely to be picked by our order, as far as nothing is known of them."""
        likely = self._sweep.foresight.likely(self._protocol)
        if len(likely) != self._likely_before:
            self._likely_before = len(likely)
            self._likely = sorted(likely & self._place.keys(), key=self._place.__getitem__)
        passed, accepted = self._passed, self._sweep.accepted
        self._likely = [suite for suite in self._likely if suite not in passed and suite not in accepted]
        return self._likely[:LOOKS_AHEAD]

    def _turned_offers(self, coming: list[int], left: tuple[int, ...]) -> list[tuple[int, ...]]:
        """Offers that begin behind the suites that are likely to be picked next."""
        if self._sweep.picks.order != "unknown":
            for count, suite in enumerate(coming, 1):
                if len(self._turned) >= min(self._sweep.foresight.window, len(coming) // LIKELY_PER_GUESS):
                    break
                after = self._place[suite] + 1
                if after < len(self._course):
                    start = self._course[after]
                    if start not in self._turned and start not in self._passed and start not in self._sweep.accepted:
                        self._turned[start] = self._from(start, left, coming[:count])
        return list(self._turned.values())

    # Answers

    def _take(self, suites: tuple[int, ...], answer: Answer) -> Outcome:
        """Note the answer to an offer that was needed, or that counts as it came."""
        sweep = self._sweep
        known = len(sweep.accepted)
        outcome = sweep.take(suites, answer)
        if outcome == "refused":
            self._refused.append(frozenset(suites))
            self._passed.update(suites)
        if outcome == "chosen" and isinstance(answer, Chosen):
            if len(sweep.accepted) == known:
                if answer.suite not in self._unplaced:
                    sweep.foresight.miss()
            else:
                self._left = _without(self._left, answer.suite)
            if len(sweep.accepted) > known and self._coming[:1] == [answer.suite]:
                sweep.foresight.foretold()
            before = suites[: suites.index(answer.suite)]
            if sweep.picks.order == "client":
                sweep.foresight.passed_over(self._protocol, before)
            self._passed.update(before)
            self._place_in_order(answer.suite)
            for guessed in [each for each in self._answers if answer.suite in each]:
                self._in_vain(guessed, self._answers.pop(guessed))
        return outcome

    def _place_in_order(self, picked: int) -> None:
        """Offer the suite before this again if it could have come after it: it then is picked where it belongs."""
        picks = self._sweep.picks
        if picked in self._unplaced:
            self._unplaced.remove(picked)
            picks.move_to_end(picked)
        elif not self._by_our_order and self._surely is False:
            *_, before, _ = (0, 0, *picks.accepted)
            if before and picks.precedes(before, picked) is None:
                self._unplaced.append(before)

    def _heard(self, suites: tuple[int, ...], answer: Answer) -> None:
        """Note the answer to a guess."""
        sweep = self._sweep
        start = suites[0]
        if self._turned.get(start) == suites:
            del self._turned[start]
            if isinstance(answer, Refused) or (isinstance(answer, Chosen) and answer.suite in suites):
                known = len(sweep.accepted)
                if answer.kind == "refused" or answer.protocol == sweep.offer.protocol:
                    self._take(suites, answer)
                if len(sweep.accepted) > known:
                    sweep.foresight.hit()
        elif sweep.accepted.keys().isdisjoint(suites):
            self._answers[suites] = answer
        else:
            self._in_vain(suites, answer)

    def _in_vain(self, suites: tuple[int, ...], answer: Answer) -> None:
        self._sweep.foresight.miss()
        self._unneeded.append((suites, answer))

    def _end(self) -> Outcome:
        """The chain is refused; what guesses were answered besides may speak against it."""
        for suites, answer in (*self._unneeded, *self._answers.items()):
            if isinstance(answer, Chosen) and answer.suite in suites and answer.suite not in self._sweep.accepted:
                self._sweep.contradicted = True
        return "refused"


def _without(suites: tuple[int, ...], suite: int) -> tuple[int, ...]:
    if suite not in suites:
        return suites
    place = suites.index(suite)
    return suites[:place] + suites[place + 1 :]
