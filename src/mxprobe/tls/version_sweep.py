"""The sweep of one version: which suites it is asked for, in what parts, and what its refusals are worth."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache

from mxprobe.terms import Protocol
from mxprobe.tls.chain import Chain
from mxprobe.tls.code_points import TLS12_GROUPS
from mxprobe.tls.foresight import Foresight
from mxprobe.tls.hearing import Hearing, Outcome
from mxprobe.tls.offer import Answer, Closed, Offer, Refused
from mxprobe.tls.picks import Order
from mxprobe.tls.suites import peculiar
from mxprobe.tls.suites import suite as registered
from mxprobe.tls.sweep import SuitesFound, Sweep

FIRST_SUITES = 60
"""Suites in the first offer of a version: some servers read no more than 64, with the signalling value."""


SMALL_SUITES = 16
"""Suites in a hello that is small in every respect, for servers that have refused all others."""

SMALL_GROUPS = (29, 23, 24)
SMALL_SCHEMES = (0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0203, 0x0201)
"""The groups and signature schemes in it: x25519, P-256 and P-384; ECDSA and RSA with SHA-2 and SHA-1."""


HANDSHAKE_FAILURE = 40
"""The alert of a server that shares no suite with us (RFC 5246 §7.2.2). Any other may be of one that broke off."""

MISSING_CREDENTIALS = frozenset({"SRP", "PSK", "anonymous"})
"""Families that a server may pick though it has not what it needs to finish them."""


FRUITLESS_ROUNDS = 2
"""How often in a row the rest is refused before the sweep of a pool is over. Each round but these finds a suite."""

FINITE_FIELDS_TOO: dict[Protocol, tuple[int, ...]] = dict.fromkeys(
    ("TLSv1", "TLSv1.1", "TLSv1.2"), (*TLS12_GROUPS, *range(256, 261))
)
"""The usual groups, and ffdhe2048 to ffdhe8192 (RFC 7919 §2) for servers that know finite fields by name only."""


class VersionSweep(Hearing):
    """One removal sweep under way."""

    def __init__(self, offer: Offer, foresight: Foresight) -> None:
        super().__init__(offer, foresight)
        self.first_offer = (_ordinary(offer.suites) or offer.suites)[: min(self.limit, FIRST_SUITES)]
        self.order: tuple[int, ...] | None = None
        """The accepted suites in the server's order, once that was settled."""
        self.settled = False

    # The course of a sweep

    def first_pass(self) -> Sweep[None]:
        """Settle the version, where nothing speaks against a plain removal."""
        # Most servers prefer what we put first. Out of the reverse, what they pick tells whose order counts.
        suites = self.without_known(self.first_offer[::-1])
        outcome = (yield from self.pick(suites)) if suites else "refused"
        if outcome == "refused" and self.agreed is not None:
            if (yield from self.pick((self.agreed,))) == "chosen":
                self.known.update(suites)
                if not self.version_refused:
                    yield from self.conclude()
                elif self.ending:
                    self.contradict(suites, self.ending)  # of a version that was refused by its number
                return
            # Complete handshakes come to this version, hellos for it alone do not.
            self.accepted.clear()
            self.known.clear()
        if outcome == "refused" and not self.version_refused:
            self.known.update(suites)
        if outcome != "chosen":
            self.settled = self.version_refused
            return
        if self.chosen_last:
            self.foresight.picked_first(self.offer.protocol, suites, self.chosen_last[2].suite)
        if self.foresight.max_suites:
            return
        outcome = yield from self.chain(self.rest, surely=False)
        if outcome == "refused" and (yield from self.check_last_refusal()):
            yield from self.conclude()
        elif not self.long_offer_answered and len(self.rest) > self.limit and not self.cut_elsewhere:
            yield from self.find_limit()

    def find_limit(self) -> Sweep[None]:
        """How long an offer may be, where a long one failed. The first one was not too long."""
        self.cut = False
        accepted = next(iter(self.accepted))
        outcome = yield from self.pick((accepted, *self.rest[: self.limit - 1]))
        fits = outcome == "chosen" or self.cut_elsewhere
        self.foresight.max_suites = self.limit if fits else len(self.first_offer)
        self.cut = self.cut and fits

    def second_pass(self, long_offers_work: bool) -> Sweep[None]:
        """Ask apart for what the first pass left open."""
        if self.contradictions:
            fruitless = 0
            while fruitless < FRUITLESS_ROUNDS:
                known = len(self.accepted)
                if (yield from self.chain(self.rest)) == "cut":
                    break
                fruitless = fruitless + 1 if len(self.accepted) == known else 0
            return
        if long_offers_work and not self.accepted and not self.contradicted:
            refusal = self.ending
            if not _shares_none(refusal):
                # It broke off over what it picked, such as a signature; what needs none may work.
                self.known.difference_update(
                    suite for suite in self.first_offer if registered(suite).key_exchange == "RSA"
                )
            outcome = yield from self.chain(self.rest, surely=not isinstance(refusal, Closed))
            alike = _shares_none(self.ending) or _same_refusal(refusal, self.ending)
            if outcome == "refused" and not self.accepted and alike:
                self.settled = True
                return
        yield from self.split()
        if self.accepted and (yield from self.refuses_length()):
            self.known = set(self.accepted)
            yield from self.split()
        yield from self.conclude()

    def refuses_length(self) -> Sweep[bool]:
        """Whether offers were refused for their length: a long one is refused that holds what was accepted out of
        shorter ones."""
        refused = max((offer.suites for offer, _ in self.refusals), key=len, default=())
        if self.cut or len(refused) <= self.longest_answered or self.foresight.max_suites:
            return False
        if (yield from self.pick((*self.accepted, *refused)[: len(refused)])) == "chosen":
            return False
        self.foresight.max_suites = max(SMALL_SUITES, self.longest_answered)
        return not self.cut

    def conclude(self) -> Sweep[None]:
        """Find the order, and whether all of it came from one server."""
        yield from self.whose_order()
        yield from self.merge()
        yield from self.ask_again()
        if self.picks.mixed and not self.cut:
            yield from self.ask_the_same()
        self.settled = not self.cut and not self.contradictions

    # Asking

    def chain(self, suites: Iterable[int], *, surely: bool = True) -> Sweep[Outcome]:
        """Remove and ask again until the server refuses what is left, or the answer is none."""
        return (yield from Chain(self, suites, surely=surely).run())

    # Checking

    def check_last_refusal(self) -> Sweep[bool]:
        """Whether the refusal of all that is left was one, by one or two more hellos.

        Offers what is left without the families that may have poisoned it. Where the order is not known yet, the
        accepted suites follow behind that, in reverse: a server that goes by our order then takes the last of
        them, which answers both questions at once.
        """
        holds = (
            not self.contradicted
            and not self.handshake_disagrees()
            and (yield from self.refuses_the_plain(self.ending))
            and self.doubted() is None
        )
        if not holds and not self.cut:
            self.contradicted = True
            yield from self.ask_again()
        return holds and not self.cut

    def refuses_the_plain(self, refusal: Answer | None) -> Sweep[bool]:
        """Whether what is left is refused as well without the families that may have poisoned it."""
        left, closed = self.rest, isinstance(refusal, Closed)
        plain = tuple(suite for suite in left if peculiar(suite) not in MISSING_CREDENTIALS)
        if len(plain) == len(left) and len(left) < self.limit:
            return not closed or (yield from self.pick(left, surely=False)) == "refused"
        known = len(self.accepted)
        if not any(registered(number).key_exchange == "DH" for number in self.accepted):
            # Some servers have finite fields only by name (RFC 7919). Where nothing else of that kind was taken,
            # naming them changes nothing for what was.
            self.offer = replace(self.offer, groups=self.offer.groups or FINITE_FIELDS_TOO.get(self.offer.protocol))
        unread = len(left) > self.limit and not self.foresight.long_offers_read
        if self.picks.order == "unknown" and (known > 1 or unread):
            if (yield from self.pick(plain + self.reverse())) != "chosen" or len(self.accepted) > known:
                return False
            self.ending = refusal
            order: Order = self.picks.order
            if order == "client":  # and it has passed over all that is left
                return _shares_none(refusal)
        # A second close is as good as a repeated one.
        if plain and (yield from self.pick(plain, surely=not closed)) != "refused":
            return False
        return _shares_none(refusal) and (not plain or _same_refusal(refusal, self.ending))

    def split(self) -> Sweep[None]:
        """Ask for what is left in parts that cannot spoil one another.

        Families that a server may not be able to finish are asked together as long as nothing contradicts a refusal,
        then each by itself. A part where the server broke off, while it said of others that it shares none of their
        suites, is halved until what it cannot finish is alone.
        """
        parts = deque(_parts(self.rest, self.limit, apart=self.contradicted))
        closes = isinstance(self.ending, Closed) and not self.accepted  # and did so twice
        refusal: Answer | None = None
        shares_none = False
        broken: deque[tuple[int, ...]] = deque()
        while parts and not self.version_refused:
            part, known = parts.popleft(), len(self.accepted)
            if (yield from self.chain(part, surely=not closes)) == "cut":
                return
            left = self.without_known(part)
            families = {peculiar(suite) for suite in left}
            if len(families) > 1:
                picked_before = len(self.accepted) > known and None not in families
                self.contradicted |= picked_before or not _same_refusal(refusal, self.ending)
                if self.contradicted:
                    parts.extendleft(reversed(_parts(left, self.limit, apart=True)))
                    continue
            refusal = refusal or self.ending
            if _shares_none(self.ending):
                shares_none = True
                self.known.update(left)
            else:
                broken.append(left)
        while broken and not self.version_refused:
            part = broken.popleft()
            if shares_none and self.accepted and len(part) > 1:
                for half in (part[: len(part) // 2], part[len(part) // 2 :]):
                    if (yield from self.chain(half, surely=not closes)) == "cut":
                        return
                    left = self.without_known(half)
                    if left and not _shares_none(self.ending):
                        broken.append(left)
                    else:
                        self.known.update(left)
            else:
                self.known.update(part)

    def whose_order(self) -> Sweep[None]:
        """Tell the server's order from ours by offering what it takes in reverse, and if need be as it was."""
        for suites in (self.reverse(), self.reverse()[::-1]):
            if self.cut or len(self.accepted) < 2 or self.picks.order != "unknown":
                return
            if (yield from self.pick(suites)) != "chosen":
                return

    def merge(self) -> Sweep[None]:
        """Bring the runs of a server with its own order into one, by binary insertion.

        A hello of two suites settles what no pick has settled before.
        """
        runs = sorted(self.picks.runs(), key=len, reverse=True)
        if len(runs) < 2 or self.picks.order != "server":
            return
        merged = list(runs[0])
        for run in runs[1:]:
            lowest = 0
            for suite in run:
                highest, middle = len(merged), lowest  # the next place is the likeliest
                while lowest < highest:
                    before = self.picks.precedes(suite, merged[middle])
                    if before is None:
                        if (yield from self.pick((merged[middle], suite))) != "chosen":
                            return
                        before = self.picks.precedes(suite, merged[middle])
                    lowest, highest = (lowest, middle) if before else (middle + 1, highest)
                    middle = (lowest + highest) // 2
                merged.insert(lowest, suite)
                lowest += 1
        self.order = tuple(merged)

    def found(self) -> SuitesFound:
        """What this sweep has found out so far."""
        in_order, order = tuple(self.accepted), self.picks.order
        if order == "client":
            in_order = tuple(sorted(in_order, key=self.offer.suites.index))
        elif order == "server" and self.order:
            in_order = self.order
        if (
            self.contradictions
            or (order == "server" and set(in_order) != self.accepted.keys())
            or (order == "server" and not self.order and sum(1 for _ in self.picks.runs()) > 1)
        ):
            in_order, order = tuple(self.accepted), "unknown"
        return SuitesFound(
            protocol=self.offer.protocol,
            state="accepted" if self.accepted else "refused" if self.settled else "unknown",
            accepted=tuple(self.accepted[suite] for suite in in_order),
            order=order,
            complete=self.settled,
            ending=self.ending,
            undecided=() if self.settled else self.rest,
            hellos=self.hellos,
            max_suites=self.foresight.max_suites,
            rests_on_close=self.rests_on_close,
            contradictions=tuple(self.contradictions),
        )


@lru_cache(maxsize=16)
def _ordinary(suites: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(suite for suite in suites if peculiar(suite) is None)


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


def _shares_none(refusal: Answer | None) -> bool:
    """Whether this is how a server says that it has none of the suites, and not that it broke off."""
    return not isinstance(refusal, Refused) or refusal.alert == HANDSHAKE_FAILURE


def _same_refusal(one: Answer | None, other: Answer | None) -> bool:
    if isinstance(one, Refused) and isinstance(other, Refused):
        return one.alert == other.alert
    return one is None or type(one) is type(other)
