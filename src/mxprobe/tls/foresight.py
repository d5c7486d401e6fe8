"""What a server will probably choose next: from what it chose before, in this version and in the others.

A guess decides which offers are asked side by side, and never what is found: a wrong one costs a connection.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

from mxprobe.terms import Protocol
from mxprobe.tls.suites import allowed, candidates, openssl_order
from mxprobe.tls.suites import suite as registered

LARGEST_WINDOW = 4
"""Guesses in flight at a time in one version: that many chains keep eight connections busy on any path."""

WASTE = 0.045
"""The part of all hellos that may be in vain, guesses that miss and checks of refusals together: a little less than the
twentieth that a whole probe may waste."""

IN_VAIN = 2
"""Connections that may have been made ready and are not needed in the end."""

SURELY = 0.75
"""How much of what is likely to be accepted surely will be."""

Half = tuple[str, str]
"""One half of a suite: key exchange and authentication, or cipher and MAC."""

PROVEN_BY = 2
"""Picks in a row that an order must have foretold before it is relied on."""


@dataclass(frozen=True, slots=True)
class HandshakePick:
    """What a complete handshake offered, and what was agreed: suites in the order of its ClientHello."""

    protocol: Protocol
    offered: tuple[int, ...]
    picked: int


class Foresight:
    """What the sweeps of one endpoint's versions have learnt from one another.

    `own_order` says whether the server has an order of its own, once some version has shown that; `seems_ours` whether
    it seems to go by our order in the version of the complete handshake.
    `long_offers_read` is true once it has answered an offer longer than `hearing.MAX_SUITES`; `max_suites` is
    what an offer may hold where such offers failed.
    """

    def __init__(self, handshake: HandshakePick | None = None) -> None:
        self.handshake = handshake
        self.own_order: bool | None = None
        self.seems_ours = False
        self.long_offers_read = False
        self.max_suites: int | None = None
        self.hits = 0
        self.misses = 0
        self._hellos = 0
        self._window = 1.0
        self._exchanges: set[Half] = set()
        self._ciphers: set[Half] = set()
        self._orders: dict[Protocol, list[int]] = {}
        self._likely: dict[Protocol, set[int]] = {}
        self._unlikely: set[int] = set()
        self._foretold: dict[tuple[Protocol, Protocol | None], tuple[tuple[int, ...], int]] = {}

    @property
    def window(self) -> int:
        """How many guesses may be in flight now: more after each that held, fewer after each that did not."""
        checks = sum(protocol != "TLSv1.3" for protocol in self._orders)
        to_come = sum(max(0, len(self.likely(protocol)) - len(found)) for protocol, found in self._orders.items())
        # The rest is for connections that turn out not to be needed.
        may_miss = WASTE * (self._hellos + SURELY * to_come) - checks - self.misses - IN_VAIN
        return max(0, min(int(self._window), int(may_miss + 1)))

    def asked(self) -> None:
        """A hello was answered."""
        self._hellos += 1

    def hit(self) -> None:
        """A guess held."""
        self.hits += 1
        self._window = min(LARGEST_WINDOW, self._window + 0.5)

    def miss(self) -> None:
        """A guess was in vain."""
        self.misses += 1
        self._window /= 2

    def foretold(self) -> None:
        """What was not guessed aloud would have held."""
        self._window = max(self._window, min(1.0, self._window + 0.25))

    def accepted(self, protocol: Protocol, suite: int) -> None:
        """A suite is accepted in a version, as the next one that we hear of."""
        self._orders.setdefault(protocol, []).append(suite)
        exchange, cipher = _halves(suite)
        if exchange not in self._exchanges:
            self._exchanges.add(exchange)
            self._extend(exchange, 0)
        if cipher not in self._ciphers:
            self._ciphers.add(cipher)
            self._extend(cipher, 1)

    def _extend(self, half: Half, which: int) -> None:
        """Add what is likely now that a half is known to be taken."""
        others = self._exchanges if which else self._ciphers
        for protocol, likely in self._likely.items():
            for number, halves in _by_half(protocol).get((which, half), ()):
                if halves[1 - which] in others and number not in self._unlikely:
                    likely.add(number)

    def passed_over(self, protocol: Protocol, suites: Iterable[int]) -> None:
        """A server that goes by our order has passed these over; what it lacks in one version it lacks in others."""
        wrong = self.likely(protocol).intersection(suites)
        if wrong:
            self._unlikely |= wrong
            for likely in self._likely.values():
                likely -= wrong

    def picked_first(self, protocol: Protocol, suites: tuple[int, ...], picked: int) -> None:
        """Compare the first pick of a version with that of the complete handshake, which offered in another order."""
        seen = self.handshake
        if seen is None or not seen.protocol == protocol == "TLSv1.3":  # before, groups and schemes have a say too
            return
        common = [suite for suite in suites if suite in seen.offered]
        if seen.picked in common and picked in common:
            self.seems_ours = picked != seen.picked
        else:  # without what the handshake agreed on, the next of its own order, or of ours
            self.seems_ours = len(common) > 1 and suites.index(picked) <= suites.index(common[0])

    def likely(self, protocol: Protocol) -> set[int]:
        """What the server probably takes: both halves of each suite, key exchange and cipher, were seen in others.

        What servers accept is mostly a product of the two, within the bounds of the standards.
        """
        found = self._likely.get(protocol)
        if found is None:
            found = self._likely[protocol] = set()
            for cipher in self._ciphers:
                self._extend(cipher, 1)
        return found

    def following(self, protocol: Protocol, picked: Sequence[int]) -> tuple[int, ...]:
        """What a server with its own order will pick after these: by an order that has foretold its latest picks.

        That is the order of another version, or that of OpenSSL. Empty where neither has.
        """
        orders: dict[Protocol | None, Sequence[int]] = {
            other: order for other, order in self._orders.items() if other != protocol
        }
        found: tuple[int, ...] = ()
        for other, order in (orders | {None: openssl_order()}).items():
            coming, streak = self._foretold.get((protocol, other), ((), 0))
            streak = streak + 1 if coming[:1] == tuple(picked[-1:]) else 0
            coming = self._after(picked, order)
            self._foretold[protocol, other] = coming, streak
            if streak >= PROVEN_BY and not found:
                found = coming
        return found

    def _after(self, picked: Sequence[int], order: Sequence[int]) -> tuple[int, ...]:
        """What comes in an order after the last pick, as far as it is known what the server takes of it.

        Halves of suites that it did not pick though they came before are known not to be taken.
        """
        if picked[-1] not in order:
            return ()
        here, known = order.index(picked[-1]), frozenset(picked)
        passed = [_halves(suite) for suite in order[:here] if suite not in known]
        ciphers = {cipher for exchange, cipher in passed if exchange in self._exchanges}
        exchanges = {exchange for exchange, cipher in passed if cipher in self._ciphers}
        coming = []
        for suite in order[here + 1 :]:
            exchange, cipher = _halves(suite)
            if suite in known or exchange in exchanges - self._exchanges or cipher in ciphers - self._ciphers:
                continue
            if exchange not in self._exchanges or cipher not in self._ciphers:
                break
            coming.append(suite)
        return tuple(coming)


@cache
def _by_half(protocol: Protocol) -> dict[tuple[int, Half], list[tuple[int, tuple[Half, Half]]]]:
    """The candidates that a standard allows in a version, by each of their halves: exchange (0) and cipher (1)."""
    found: dict[tuple[int, Half], list[tuple[int, tuple[Half, Half]]]] = {}
    for number in candidates(protocol):
        if allowed(number, protocol):
            halves = _halves(number)
            for which, half in enumerate(halves):
                found.setdefault((which, half), []).append((number, halves))
    return found


@lru_cache(maxsize=1024)
def _halves(suite: int) -> tuple[Half, Half]:
    """The key exchange with its authentication, and the cipher with its MAC."""
    known = registered(suite)
    return (known.key_exchange, known.authentication), (known.encryption, known.mac)
