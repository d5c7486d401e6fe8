"""The sweep of one version: which suites it is asked for, in what parts, and what its refusals are worth."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from itertools import filterfalse

from mxprobe.terms import Protocol
from mxprobe.tls.chain import Chain, Outcome
from mxprobe.tls.code_points import TLS12_GROUPS
from mxprobe.tls.foresight import Foresight
from mxprobe.tls.offer import Answer, Chosen, Closed, Garbled, Offer, Refused, Silent
from mxprobe.tls.picks import Order, Picks
from mxprobe.tls.suites import peculiar
from mxprobe.tls.suites import suite as registered
from mxprobe.tls.sweep import CONTROL, Contradiction, SuitesFound, Sweep, ask, ask_surely

FIRST_SUITES = 60
"""Suites in the first offer of a version: some servers read no more than 64, with the signalling value."""

MAX_SUITES = 127
"""Suites in an offer to a server that has not yet shown that it reads longer ones: wolfSSL refuses
more than 150, others stop at 128, with the signalling value."""

MAX_SSLV3_SUITES = 105
"""The same in SSLv3, which has no extensions to pad with: longer hellos would be of the 256 to 511 bytes on
which some load balancers hang (RFC 7685 §1)."""

SMALL_SUITES = 16
"""Suites in a hello that is small in every respect, for servers that have refused all others."""

SMALL_GROUPS = (29, 23, 24)
SMALL_SCHEMES = (0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0203, 0x0201)
"""The groups and signature schemes in it: x25519, P-256 and P-384; ECDSA and RSA with SHA-2 and SHA-1."""

PROTOCOL_VERSION = 70
"""The alert that refuses a version rather than an offer (RFC 8446 §6.2)."""

HANDSHAKE_FAILURE = 40
"""The alert of a server that shares no suite with us (RFC 5246 §7.2.2). Any other may be of one that broke off."""

MISSING_CREDENTIALS = frozenset({"SRP", "PSK", "anonymous"})
"""Families that a server may pick though it has not what it needs to finish them."""

REPETITIONS = 2
"""How often a refusal that an acceptance contradicts is asked again: of a pool behind one address, two of them taking
turns, one of two repetitions comes to the other."""

FRUITLESS_ROUNDS = 2
"""How often in a row the rest is refused before the sweep of a pool is over. Each round but these finds a suite."""

FINITE_FIELDS_TOO: dict[Protocol, tuple[int, ...]] = dict.fromkeys(
    ("TLSv1", "TLSv1.1", "TLSv1.2"), (*TLS12_GROUPS, *range(256, 261))
)
"""The usual groups, and ffdhe2048 to ffdhe8192 (RFC 7919 §2) for servers that know finite fields by name only."""


class VersionSweep:
    """One removal sweep under way: what was accepted and refused, and what spoke against it."""

    def __init__(self, offer: Offer, foresight: Foresight) -> None:
        self.offer = offer
        self.foresight = foresight
        self.first_offer = (_ordinary(offer.suites) or offer.suites)[: min(self.limit, FIRST_SUITES)]
        self.picks = Picks()
        self.accepted = self.picks.accepted
        self.known: set[int] = set()
        """The suites that were accepted or refused."""
        self.agreed = self._agreed()
        self.order: tuple[int, ...] | None = None
        """The accepted suites in the server's order, once that was settled."""
        self.version_refused = False
        self.contradicted = False
        self.contradictions: list[Contradiction] = []
        self.cut = False
        self.settled = False
        self.rests_on_close = False
        self.long_offer_answered = False
        self.longest_answered = 0
        self.hellos = 0
        self.ending: Answer | None = None
        self.refusals: list[tuple[Offer, Refused]] = []
        """Offers that were refused and not asked again."""
        self.chosen_last: tuple[Offer, Chosen] | None = None

    @property
    def limit(self) -> int:
        """How many suites an offer may hold as long as longer ones were not seen to be read."""
        most = MAX_SSLV3_SUITES if self.offer.protocol == "SSLv3" else MAX_SUITES
        return min(self.foresight.max_suites or most, most)

    # The course of a sweep

    def first_pass(self) -> Sweep[None]:
        """Settle the version, where nothing speaks against a plain removal."""
        # Most servers prefer what we put first. Out of the reverse, what they pick tells whose order counts.
        suites = self.without_known(self.first_offer[::-1])
        outcome = (yield from self.pick(suites)) if suites else "refused"
        if outcome == "refused" and self.agreed is not None:
            if (yield from self.pick((self.agreed,))) == "chosen":
                self.known.update(suites)
                yield from self.conclude()
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
            self.foresight.picked_first(self.offer.protocol, suites, self.chosen_last[1].suite)
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

    @property
    def rest(self) -> tuple[int, ...]:
        """The suites of which we do not know yet, in our order."""
        return self.without_known(self.offer.suites)

    @property
    def cut_elsewhere(self) -> bool:
        """Whether what cut the sweep short says nothing of the length of an offer."""
        return self.cut and not (isinstance(self.ending, Silent | Garbled) and self.ending.stage == "hello")

    def without_known(self, suites: Iterable[int]) -> tuple[int, ...]:
        """Those of the suites of which we do not know yet, in the order given."""
        return tuple(filterfalse(self.known.__contains__, suites))

    # Asking

    def chain(self, suites: Iterable[int], *, surely: bool = True) -> Sweep[Outcome]:
        """Remove and ask again until the server refuses what is left, or the answer is none."""
        return (yield from Chain(self, suites, surely=surely).run())

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
                self.chosen_last = replace(self.offer, suites=suites), answer
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

    def doubted(self) -> tuple[Offer, Refused] | None:
        """A refusal that an acceptance contradicts, if neither length nor finite fields not named explain it."""
        for offer, refusal in reversed(self.refusals):
            read = len(offer.suites) <= max(self.limit, self.longest_answered)
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
        return _same_refusal(refusal, self.ending) if plain else _shares_none(refusal)

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
            asked.append(self.chosen_last)
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
        offer, before = self.chosen_last
        for repetition in range(1, REPETITIONS + 2):
            answer = yield from ask(replace(offer, attempt=CONTROL + REPETITIONS + repetition))
            self.answered()
            if isinstance(answer, Chosen | Refused) and _differ(before, answer):
                self.contradictions.append(
                    Contradiction(protocol=offer.protocol, suites=offer.suites, answers=(before, answer))
                )
                return

    def split(self) -> Sweep[None]:
        """Ask for what is left in parts that cannot spoil one another.

        Families that a server may not be able to finish are asked together as long as nothing contradicts a refusal,
        then each by itself.
        """
        parts = deque(_parts(self.rest, self.limit, apart=self.contradicted))
        closes = isinstance(self.ending, Closed) and not self.accepted  # and did so twice
        refusal: Answer | None = None
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
            self.known.update(left)

    def reverse(self) -> tuple[int, ...]:
        """The accepted suites, the first that was picked last: who picks it again has an order of his own."""
        return tuple(reversed(self.accepted))[: self.limit]

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


def _differ(one: Answer, other: Answer) -> bool:
    if isinstance(one, Chosen) and isinstance(other, Chosen):
        return (one.protocol, one.suite) != (other.protocol, other.suite)
    return type(one) is not type(other)


def _shares_none(refusal: Answer | None) -> bool:
    """Whether this is how a server says that it has none of the suites, and not that it broke off."""
    return not isinstance(refusal, Refused) or refusal.alert == HANDSHAKE_FAILURE


def _same_refusal(one: Answer | None, other: Answer | None) -> bool:
    if isinstance(one, Refused) and isinstance(other, Refused):
        return one.alert == other.alert
    return one is None or type(one) is type(other)
