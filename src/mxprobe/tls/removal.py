"""The suites that a server takes in one version, in its order, by removing what it chose and asking again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Literal

from mxprobe.tls.offer import Answer, Chosen, Closed, Garbled, Offer, Refused, Silent
from mxprobe.tls.suites import peculiar
from mxprobe.tls.sweep import SuitesFound, Sweep, ask_surely

MAX_SUITES = 128
"""Suites in an offer to a server that has not yet shown that it reads longer ones: wolfSSL refuses
more than 150, others stop at 128."""

PROTOCOL_VERSION = 70
"""The alert that refuses a version rather than an offer (RFC 8446 §6.2)."""

MISSING_CREDENTIALS = frozenset({"SRP", "PSK", "anonymous"})
"""Families that a server may pick though it has not what it needs to finish them."""

Outcome = Literal["chosen", "refused", "cut"]


def version_accepted(offer: Offer) -> Sweep[SuitesFound]:
    """Whether a server speaks a version, by one short hello of ordinary suites; claims no more than that."""
    removal = _Removal(offer)
    yield from removal.pick(removal.first_offer)
    return removal.found(settled=removal.version_refused)


def accepted_suites(offer: Offer) -> Sweep[SuitesFound]:
    """Find the suites of `offer` that a server takes in one version, in its order, by removal.

    Asks for all, takes out what was chosen, asks again: n + 1 hellos for n suites, and one more that tells
    whose order it is and that the last refusal was one. What makes that truthful:

    - A server may *pick* a suite that it then cannot finish and so refuse the whole offer (OpenSSL with SRP
      but no user, GnuTLS with anonymous suites but no credentials). The last refusal is therefore checked
      by an offer without such families, and split into families when anything contradicts it.
    - The first offer is short and ordinary. Longer ones follow once a suite was chosen; where they fail and
      short ones do not, the sweep goes on in chunks of `MAX_SUITES`.
    - A plain close is asked again, and is a refusal only when it comes twice.
    """
    removal = _Removal(offer)
    outcome = yield from removal.pick(removal.first_offer)
    if outcome == "cut" or removal.version_refused:
        return removal.found(settled=outcome != "cut")
    if outcome == "refused":
        removal.refused.update(removal.first_offer)
    else:
        removal.runs.append([])  # what is chosen out of longer offers may come before the first
        outcome = yield from removal.chain(removal.rest)
        if outcome == "refused" and (yield from removal.check_last_refusal()):
            yield from removal.merge()
            return removal.found(settled=True)
        if removal.cut and not removal.fails_long_offers:
            return removal.found(settled=False)
        if not removal.long_offer_answered and len(removal.rest) > MAX_SUITES:
            removal.max_suites, removal.cut = MAX_SUITES, False
    yield from removal.split()
    settled = not removal.cut
    yield from removal.whose_order()
    yield from removal.merge()
    return removal.found(settled=settled)


class _Removal:
    """One removal sweep under way: what was accepted and refused, and what spoke against it."""

    def __init__(self, offer: Offer) -> None:
        self.offer = offer
        self.first_offer = tuple(suite for suite in offer.suites if peculiar(suite) is None)[:MAX_SUITES]
        if not self.first_offer:
            self.first_offer = offer.suites[:MAX_SUITES]
        self.accepted: dict[int, Chosen] = {}
        self.refused: set[int] = set()
        self.picks: list[tuple[tuple[int, ...], int]] = []
        self.runs: list[list[int]] = [[]]
        """Suites in the order in which they were chosen, apart for offers that could not be one."""
        self.client_order = False
        self.server_order = False
        self.version_refused = False
        self.contradicted = False
        self.cut = False
        self.long_offer_answered = False
        self.max_suites: int | None = None
        self.hellos = 0
        self.ending: Answer | None = None

    @property
    def rest(self) -> tuple[int, ...]:
        """The suites of which we do not know yet, in our order."""
        return self.without_known(self.offer.suites)

    @property
    def fails_long_offers(self) -> bool:
        """Whether the first long offer got no answer at all, where a short one did."""
        return (
            len(self.accepted) == 1
            and len(self.rest) > MAX_SUITES
            and isinstance(self.ending, Silent | Garbled | Closed)
            and self.ending.stage == "hello"
        )

    def without_known(self, suites: Iterable[int]) -> tuple[int, ...]:
        return tuple(suite for suite in suites if suite not in self.accepted and suite not in self.refused)

    def pick(self, suites: tuple[int, ...]) -> Sweep[Outcome]:
        """Ask for one more suite out of these, and note what came."""
        answer, hellos = yield from ask_surely(replace(self.offer, suites=suites))
        self.hellos += hellos
        match answer:
            case Chosen() if answer.protocol != self.offer.protocol:
                self.ending = answer
                if not self.accepted:
                    self.version_refused = True
                    return "refused"
                self.cut = True  # it spoke this version a moment ago: not one server, or not a sane one
                return "cut"
            case Chosen() if answer.suite in suites:
                self.picks.append((suites, answer.suite))
                self.long_offer_answered |= len(suites) > MAX_SUITES
                if answer.suite not in self.accepted:
                    self.accepted[answer.suite] = answer
                    self.runs[-1].append(answer.suite)
                return "chosen"
            case Chosen():
                self.ending = Garbled(stage="hello", reason=f"it picked 0x{answer.suite:06X}, which was not offered")
                self.cut = True
                return "cut"
            case Refused() | Closed(stage="hello"):
                self.ending = self.ending if self.version_refused else answer
                if isinstance(answer, Refused) and answer.alert == PROTOCOL_VERSION and not self.accepted:
                    self.version_refused = True
                return "refused"
            case _:
                self.ending = answer
                self.cut = True
                return "cut"

    def chain(self, suites: tuple[int, ...]) -> Sweep[Outcome]:
        """Remove and ask again until the server refuses what is left, or the answer is none."""
        while left := self.without_known(suites):
            outcome = yield from self.pick(left)
            if outcome != "chosen":
                return outcome
        return "refused"

    def check_last_refusal(self) -> Sweep[bool]:
        """Whether the refusal of all that is left was one, and whose order it is, by one or two more hellos.

        Offers what is left without the families that may have poisoned it, and behind that the accepted
        suites in reverse: a server that follows our order takes the last of them, one with its own the first.
        """
        refusal, left = self.ending, self.rest
        plain = tuple(suite for suite in left if peculiar(suite) not in MISSING_CREDENTIALS)
        order = () if self._deviated() else tuple(reversed(self.accepted))
        if len(plain) == len(left) and len(left) + 1 <= MAX_SUITES:
            plain = ()
        if len(order) == 1 and not plain:
            order = ()
        if not plain and not order:
            return True
        known, first, last = len(self.accepted), next(iter(self.accepted)), next(reversed(self.accepted))
        outcome = yield from self.pick(plain + order)
        if outcome == "cut":
            return False
        if outcome == "refused":
            # Refusing what it took before is a contradiction; refusing the rest again is an answer.
            sound = not order and _same_refusal(refusal, self.ending)
            self.contradicted = not sound
            return sound
        picked = self.picks[-1][1]
        if len(self.accepted) > known:
            self.contradicted = True
            return False
        self.client_order = len(order) > 1 and picked == last
        self.server_order = len(order) > 1 and picked == first
        if self.client_order or len(order) == 1 or not plain:
            self.ending = refusal
            return True
        outcome = yield from self.pick(plain)
        self.contradicted = outcome != "refused"
        return outcome == "refused"

    def split(self) -> Sweep[None]:
        """Ask for what is left in parts that cannot spoil one another."""
        rest = self.rest
        ordinary = [suite for suite in rest if peculiar(suite) is None]
        parts = [ordinary[start : start + MAX_SUITES] for start in range(0, len(ordinary), MAX_SUITES)]
        odd = [suite for suite in rest if peculiar(suite) not in MISSING_CREDENTIALS | {None}]
        if parts and len(parts[-1]) + len(odd) <= MAX_SUITES and not self.contradicted:
            parts[-1] += odd
        else:
            parts.append(odd)
        families = [[suite for suite in rest if peculiar(suite) == family] for family in sorted(MISSING_CREDENTIALS)]
        parts += families if self.contradicted else [[suite for family in families for suite in family][:MAX_SUITES]]
        refusal: Answer | None = None
        while parts and not self.version_refused:
            part = tuple(parts.pop(0))
            if not part:
                continue
            self.runs.append([])
            outcome = yield from self.chain(part)
            if outcome == "cut":
                return
            left = self.without_known(part)
            if self.runs[-1] and len({peculiar(suite) for suite in left}) > 1:
                self.contradicted = True
            suspicious = self.contradicted or not _same_refusal(refusal, self.ending)
            families = [[suite for suite in left if peculiar(suite) == family] for family in _families(left)]
            if left and suspicious and len(families) > 1:
                parts = families + parts
                continue
            refusal = refusal or self.ending
            self.refused.update(left)

    def whose_order(self) -> Sweep[None]:
        """Tell the server's order from ours by offering what it takes in reverse."""
        if self.cut or len(self.accepted) < 2 or self.client_order or self.server_order or self._deviated():
            return
        suites = tuple(reversed(sorted(self.accepted, key=self.offer.suites.index)))[:MAX_SUITES]
        if (yield from self.pick(suites)) == "chosen":
            picked = self.picks[-1][1]
            self.client_order = picked == suites[0]
            self.server_order = not self.client_order

    def merge(self) -> Sweep[None]:
        """Bring the runs of a server with its own order into one, by binary insertion.

        A hello of two suites settles what no pick has settled before.
        """
        runs = sorted((run for run in self.runs if run), key=len, reverse=True)
        if self.client_order or len(runs) < 2 or not (self.server_order or self._deviated()):
            return
        merged = list(runs[0])
        for run in runs[1:]:
            lowest = 0
            for suite in run:
                highest = len(merged)
                while lowest < highest:
                    middle = (lowest + highest) // 2
                    before = self._precedes(suite, merged[middle])
                    if before is None:
                        if (yield from self.pick((merged[middle], suite))) != "chosen":
                            return
                        before = self.picks[-1][1] == suite
                    lowest, highest = (lowest, middle) if before else (middle + 1, highest)
                merged.insert(lowest, suite)
                lowest += 1
        self.runs = [merged]

    def found(self, *, settled: bool) -> SuitesFound:
        """What this sweep has found out so far."""
        undecided = () if settled else self.rest
        in_order = [suite for run in self.runs for suite in run]
        one_run = sum(1 for run in self.runs if run) == 1
        order: Literal["server", "client", "unknown"] = "unknown"
        if self.client_order:
            order = "client"
            in_order.sort(key=self.offer.suites.index)
        elif one_run and (self.server_order or self._deviated()):
            order = "server"
        return SuitesFound(
            protocol=self.offer.protocol,
            state="accepted" if self.accepted else "refused" if settled else "unknown",
            accepted=tuple(self.accepted[suite] for suite in in_order),
            order=order,
            complete=settled,
            ending=self.ending,
            undecided=undecided,
            hellos=self.hellos,
            max_suites=self.max_suites,
        )

    def _precedes(self, suite: int, other: int) -> bool | None:
        """Whether a pick has shown that the server prefers one accepted suite to another."""
        for suites, picked in self.picks:
            if picked == suite and other in suites:
                return True
            if picked == other and suite in suites:
                return False
        return None

    def _deviated(self) -> bool:
        """Whether a pick passed over a suite that we had put before it and that the server takes."""
        return any(suite in self.accepted for suites, picked in self.picks for suite in suites[: suites.index(picked)])


def _families(suites: tuple[int, ...]) -> list[str | None]:
    return list(dict.fromkeys(peculiar(suite) for suite in suites))


def _same_refusal(one: Answer | None, other: Answer | None) -> bool:
    if isinstance(one, Refused) and isinstance(other, Refused):
        return one.alert == other.alert
    return one is None or type(one) is type(other)
