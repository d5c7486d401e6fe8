"""The suites that a server takes in one version, in its order, by removing what it chose and asking again."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from typing import Literal

from mxprobe.terms import Protocol
from mxprobe.tls.code_points import TLS12_GROUPS
from mxprobe.tls.offer import Answer, Chosen, Closed, Garbled, Offer, Refused, Silent
from mxprobe.tls.suites import peculiar
from mxprobe.tls.suites import suite as registered
from mxprobe.tls.sweep import SuitesFound, Sweep, ask, ask_surely, doubted, sslv2_kinds, still_takes, together

MAX_SUITES = 128
"""Suites in an offer to a server that has not yet shown that it reads longer ones: wolfSSL refuses
more than 150, others stop at 128."""

MAX_SSLV3_SUITES = 106
"""The same in SSLv3, which has no extensions to pad with: longer hellos would be of the 256 to 511 bytes on
which some load balancers hang (RFC 7685 §1)."""

PROTOCOL_VERSION = 70
"""The alert that refuses a version rather than an offer (RFC 8446 §6.2)."""

MISSING_CREDENTIALS = frozenset({"SRP", "PSK", "anonymous"})
"""Families that a server may pick though it has not what it needs to finish them."""

FINITE_FIELDS_TOO: dict[Protocol, tuple[int, ...]] = dict.fromkeys(
    ("TLSv1", "TLSv1.1", "TLSv1.2"), (*TLS12_GROUPS, *range(256, 261))
)
"""The usual groups, and ffdhe2048 to ffdhe8192 (RFC 7919 §2) for servers that know finite fields by name only."""

Outcome = Literal["chosen", "refused", "cut"]
Order = Literal["server", "client", "unknown"]


def accepted_versions(offers: Iterable[Offer]) -> Sweep[dict[Protocol, SuitesFound]]:
    """Which versions a server speaks, by one short hello of ordinary suites for each; claims no more than that.

    Only where those are refused, and not the version itself, the others are asked too.
    """
    offers = tuple(offers)
    found = yield from together({offer.protocol: _version_accepted(offer) for offer in offers})
    return found if (yield from still_takes(offers, found)) else doubted(offers, found)


def accepted_suites(offers: Iterable[Offer]) -> Sweep[dict[Protocol, SuitesFound]]:
    """Find the suites that a server takes, in its order, for each of the versions offered, side by side.

    Asks for all, takes out what was chosen, asks again: n + 1 hellos for n suites, and one more that tells
    whose order it is and that the last refusal was one. What makes that truthful:

    - A server may *pick* a suite that it then cannot finish and so refuse the whole offer (OpenSSL with SRP
      but no user, GnuTLS with anonymous suites but no credentials). The last refusal is therefore checked
      by an offer without such families, and split into families when anything contradicts it.
    - The first offer is short and ordinary. Longer ones follow once a suite was chosen; where they fail and
      short ones do not, the sweep goes on in chunks of `MAX_SUITES`. A version that refuses the short offer
      gets all the rest in one more, once another version has shown that long offers are read here.
    - A plain close is asked again, and is a refusal only when it comes twice, and when the server then still takes
      what it took before.
    """
    offers = tuple(offers)
    removals: dict[Protocol, _Removal] = {}
    for offer in offers:
        if offer.protocol != "SSLv2":
            removals[offer.protocol] = _Removal(offer)
    found = yield from together({offer.protocol: _first(offer, removals.get(offer.protocol)) for offer in offers})
    long_offers_work = any(removal.long_offer_answered for removal in removals.values())
    alive = yield from still_takes(offers, found)
    left = {
        protocol: _second(removal, long_offers_work)
        for protocol, removal in removals.items()
        if not removal.settled and not removal.cut and (alive or not found[protocol].rests_on_close)
    }
    found |= yield from together(left)
    if alive and any(found[protocol].rests_on_close for protocol in left):
        alive = yield from still_takes(offers, found)
    return found if alive else doubted(offers, found)


def _version_accepted(offer: Offer) -> Sweep[SuitesFound]:
    if offer.protocol == "SSLv2":
        return (yield from sslv2_kinds(offer))
    removal = _Removal(offer)
    outcome = yield from removal.pick(removal.first_offer)
    if outcome == "refused" and not removal.version_refused:
        removal.refused.update(removal.first_offer)
        yield from removal.split()
    removal.settled = not removal.accepted and not removal.cut
    return removal.found()


def _first(offer: Offer, removal: _Removal | None) -> Sweep[SuitesFound]:
    if removal is None:
        return (yield from sslv2_kinds(offer))
    yield from removal.first_pass()
    return removal.found()


def _second(removal: _Removal, long_offers_work: bool) -> Sweep[SuitesFound]:
    yield from removal.second_pass(long_offers_work)
    return removal.found()


class _Removal:
    """One removal sweep under way: what was accepted and refused, and what spoke against it."""

    def __init__(self, offer: Offer) -> None:
        self.offer = offer
        self.limit = MAX_SSLV3_SUITES if offer.protocol == "SSLv3" else MAX_SUITES
        self.first_offer = tuple(suite for suite in offer.suites if peculiar(suite) is None)[: self.limit]
        if not self.first_offer:
            self.first_offer = offer.suites[: self.limit]
        self.accepted: dict[int, Chosen] = {}
        self.refused: set[int] = set()
        self.picks: list[tuple[tuple[int, ...], int]] = []
        self.runs: list[list[int]] = [[]]
        """Suites in the order in which they were chosen, apart for offers that could not be one."""
        self.passed_over: set[int] = set()
        self.follows_ours = False
        self.deviates = False
        self.version_refused = False
        self.contradicted = False
        self.cut = False
        self.settled = False
        self.rests_on_close = False
        self.long_offer_answered = False
        self.max_suites: int | None = None
        self.hellos = 0
        self.ending: Answer | None = None

    def first_pass(self) -> Sweep[None]:
        """Settle the version, where nothing speaks against a plain removal."""
        outcome = yield from self.pick(self.first_offer)
        if outcome == "refused" and not self.version_refused:
            self.refused.update(self.first_offer)
        if outcome != "chosen":
            self.settled = self.version_refused
            return
        self.runs.append([])  # what is chosen out of longer offers may come before the first
        outcome = yield from self.chain(self.rest, surely=False)
        if outcome == "refused" and (yield from self.check_last_refusal()):
            yield from self.whose_order()
            yield from self.merge()
            self.settled = True
        elif not self.long_offer_answered and len(self.rest) > self.limit and not self.cut_elsewhere:
            self.max_suites, self.cut = self.limit, False

    def second_pass(self, long_offers_work: bool) -> Sweep[None]:
        """Ask apart for what the first pass left open."""
        if long_offers_work and not self.accepted and not self.contradicted:
            refusal = self.ending
            outcome = yield from self.chain(self.rest, surely=not isinstance(refusal, Closed))
            if outcome == "refused" and not self.accepted and _same_refusal(refusal, self.ending):
                self.settled = True
                return
        yield from self.split()
        self.settled = not self.cut
        yield from self.whose_order()
        yield from self.merge()

    @property
    def rest(self) -> tuple[int, ...]:
        """The suites of which we do not know yet, in our order."""
        return self.without_known(self.offer.suites)

    @property
    def cut_elsewhere(self) -> bool:
        """Whether what cut the sweep short says nothing of the length of an offer."""
        return self.cut and not (isinstance(self.ending, Silent | Garbled) and self.ending.stage == "hello")

    def without_known(self, suites: Iterable[int]) -> tuple[int, ...]:
        return tuple(suite for suite in suites if suite not in self.accepted and suite not in self.refused)

    def pick(self, suites: tuple[int, ...], *, surely: bool = True) -> Sweep[Outcome]:
        """Ask for one more suite out of these, and note what came; a plain close is asked again if `surely`."""
        offer = replace(self.offer, suites=suites)
        if surely:
            answer, hellos = yield from ask_surely(offer)
        else:
            answer, hellos = (yield from ask(offer, 1 + len(self.picks) // 20 if self.picks else 0)), 1
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
                self.chosen(suites, answer)
                return "chosen"
            case Chosen():
                self.ending = Garbled(stage="hello", reason=f"it picked 0x{answer.suite:06X}, which was not offered")
                self.cut = True
                return "cut"
            case Refused() | Closed(stage="hello"):
                self.rests_on_close |= isinstance(answer, Closed)
                self.ending = self.ending if self.version_refused else answer
                if isinstance(answer, Refused) and answer.alert == PROTOCOL_VERSION and not self.accepted:
                    self.version_refused = True
                return "refused"
            case _:
                self.ending = answer
                self.cut = True
                return "cut"

    def chosen(self, suites: tuple[int, ...], answer: Chosen) -> None:
        """Note a pick: the suite, and what it says of the order.

        A server that passes over a suite which it takes has an order of its own; one that picks now this, now
        that of the same two follows ours.
        """
        picked = answer.suite
        passed_over = suites[: suites.index(picked)]
        if picked in self.accepted:
            self.deviates |= any(suite in self.accepted for suite in passed_over)
            self.follows_ours |= any(
                other != picked and other in suites and picked in offered for offered, other in self.picks
            )
        else:
            self.deviates |= picked in self.passed_over or any(suite in self.accepted for suite in passed_over)
            self.accepted[picked] = answer
            self.runs[-1].append(picked)
        self.passed_over.update(passed_over)
        self.picks.append((suites, picked))
        self.long_offer_answered |= len(suites) > self.limit

    @property
    def order(self) -> Order:
        """Whose order it is, as far as the picks tell; unknown also where they contradict each other."""
        if self.deviates == self.follows_ours:
            return "unknown"
        return "server" if self.deviates else "client"

    def chain(self, suites: tuple[int, ...], *, surely: bool = True) -> Sweep[Outcome]:
        """Remove and ask again until the server refuses what is left, or the answer is none."""
        left = list(self.without_known(suites))
        while left:
            outcome = yield from self.pick(tuple(left), surely=surely)
            if outcome != "chosen":
                return outcome
            left.remove(self.picks[-1][1])
        return "refused"

    def check_last_refusal(self) -> Sweep[bool]:
        """Whether the refusal of all that is left was one, by one or two more hellos.

        Offers what is left without the families that may have poisoned it. Where the order is not known yet, the
        accepted suites follow behind that, in reverse: a server that goes by our order then takes the last of
        them, which answers both questions at once.
        """
        refusal, left = self.ending, self.rest
        plain = tuple(suite for suite in left if peculiar(suite) not in MISSING_CREDENTIALS)
        if len(plain) == len(left) and len(left) < self.limit:
            return not isinstance(refusal, Closed) or (yield from self.pick(left)) == "refused"
        known = len(self.accepted)
        if not any(registered(number).key_exchange == "DH" for number in self.accepted):
            # Some servers have finite fields only by name (RFC 7919). Where nothing else of that kind was taken,
            # naming them changes nothing for what was.
            self.offer = replace(self.offer, groups=self.offer.groups or FINITE_FIELDS_TOO.get(self.offer.protocol))
        if self.order == "unknown":
            if (yield from self.pick(plain + self.reverse())) != "chosen" or len(self.accepted) > known:
                self.contradicted = not self.cut
                return False
            self.ending = refusal
        if self.order == "client" or not plain:
            return True
        if (yield from self.pick(plain)) == "refused":
            return _same_refusal(refusal, self.ending)
        self.contradicted = not self.cut
        return False

    def split(self) -> Sweep[None]:
        """Ask for what is left in parts that cannot spoil one another.

        Families that a server may not be able to finish are asked together as long as nothing contradicts a refusal,
        then each by itself.
        """
        parts = deque(_parts(self.rest, self.limit, apart=self.contradicted))
        closes = isinstance(self.ending, Closed) and not self.accepted  # and did so twice
        refusal: Answer | None = None
        while parts and not self.version_refused:
            part = parts.popleft()
            self.runs.append([])
            if (yield from self.chain(part, surely=not closes)) == "cut":
                return
            left = self.without_known(part)
            families = {peculiar(suite) for suite in left}
            if len(families) > 1:
                picked_before = bool(self.runs[-1]) and None not in families
                self.contradicted |= picked_before or not _same_refusal(refusal, self.ending)
                if self.contradicted:
                    parts.extendleft(reversed(_parts(left, self.limit, apart=True)))
                    continue
            refusal = refusal or self.ending
            self.refused.update(left)

    def reverse(self) -> tuple[int, ...]:
        """The accepted suites against our order."""
        return tuple(sorted(self.accepted, key=self.offer.suites.index, reverse=True))[: self.limit]

    def whose_order(self) -> Sweep[None]:
        """Tell the server's order from ours by offering what it takes in reverse, and if need be as it was."""
        for suites in (self.reverse(), self.reverse()[::-1]):
            if self.cut or len(self.accepted) < 2 or self.order != "unknown":
                return
            if (yield from self.pick(suites)) != "chosen":
                return

    def merge(self) -> Sweep[None]:
        """Bring the runs of a server with its own order into one, by binary insertion.

        A hello of two suites settles what no pick has settled before.
        """
        runs = sorted((run for run in self.runs if run), key=len, reverse=True)
        if len(runs) < 2 or self.order != "server":
            return
        merged = list(runs[0])
        for run in runs[1:]:
            lowest = 0
            for suite in run:
                highest, middle = len(merged), lowest  # the next place is the likeliest
                while lowest < highest:
                    before = self._precedes(suite, merged[middle])
                    if before is None:
                        if (yield from self.pick((merged[middle], suite))) != "chosen":
                            return
                        before = self.picks[-1][1] == suite
                    lowest, highest = (lowest, middle) if before else (middle + 1, highest)
                    middle = (lowest + highest) // 2
                merged.insert(lowest, suite)
                lowest += 1
        self.runs = [merged]

    def found(self) -> SuitesFound:
        """What this sweep has found out so far."""
        in_order = [suite for run in self.runs for suite in run]
        order = self.order
        if order == "client":
            in_order.sort(key=self.offer.suites.index)
        elif sum(1 for run in self.runs if run) > 1:
            order = "unknown"
        return SuitesFound(
            protocol=self.offer.protocol,
            state="accepted" if self.accepted else "refused" if self.settled else "unknown",
            accepted=tuple(self.accepted[suite] for suite in in_order),
            order=order,
            complete=self.settled,
            ending=self.ending,
            undecided=() if self.settled else self.rest,
            hellos=self.hellos,
            max_suites=self.max_suites,
            rests_on_close=self.rests_on_close,
        )

    def _precedes(self, suite: int, other: int) -> bool | None:
        """Whether a pick has shown that the server prefers one accepted suite to another."""
        for suites, picked in self.picks:
            if picked == suite and other in suites:
                return True
            if picked == other and suite in suites:
                return False
        return None


def _parts(suites: tuple[int, ...], limit: int, *, apart: bool) -> list[tuple[int, ...]]:
    """Chunks of at most `limit`: ordinary suites, then peculiar ones, every family by itself if `apart`."""
    groups: dict[str | bool | None, list[int]] = {}
    for suite in suites:
        family = peculiar(suite)
        groups.setdefault(family if apart else family in MISSING_CREDENTIALS, []).append(suite)
    return [
        tuple(group[start : start + limit])
        for group in sorted(groups.values(), key=lambda group: peculiar(group[0]) is not None)
        for start in range(0, len(group), limit)
    ]


def _same_refusal(one: Answer | None, other: Answer | None) -> bool:
    if isinstance(one, Refused) and isinstance(other, Refused):
        return one.alert == other.alert
    return one is None or type(one) is type(other)
