"""Sweeps: which offers settle a question, as pure generators that never see a socket.

A sweep yields *all the offers whose answers it wants now*, the most wanted first, and is sent one
`(offer, answer)` at a time, in whatever order answers come. A driver may so keep several offers in flight;
a serial sweep simply wants one at a time. Beside those that it is sure to need it may name offers that it will need
if what it foresees holds: a driver with connections to spare may ask them too. An answer to an offer that was wanted
once is always sent; a sweep that has no use for it any more ignores it.
"""

from __future__ import annotations

from collections.abc import Generator, Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeVar

from mxprobe.terms import PROTOCOLS, Protocol, State
from mxprobe.tls.offer import Answer, Chosen, Closed, Offer, Refused
from mxprobe.tls.weak_suites import Weakness

T = TypeVar("T")
U = TypeVar("U")
V = TypeVar("V")
K = TypeVar("K", bound=Hashable)

MAX_SSLV2_KINDS = 64
"""Kinds kept of an SSLv2 server's list: several times what was ever defined; it may list what was not offered."""

CONTROL = 3
"""The attempt of a control hello; 1 and 2 are a question and its repetition."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Offers whose answers a sweep wants now, the most wanted first: those that it is `sure` to need, and `guessed`
    ones, of which some may turn out to have been asked in vain. `expected` is how many more hellos it expects to need
    after the sure ones: so many connections may be made ready without much risk."""

    sure: tuple[Offer, ...]
    guessed: tuple[Offer, ...] = ()
    expected: int = 0


Exchange = tuple[Offer, Answer]
Sweep = Generator[Wanted, Exchange, T]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contradiction:
    """Two answers that no one server gives: to an offer of these suites, and to that or one just like it."""

    protocol: Protocol
    suites: tuple[int, ...]
    answers: tuple[Answer, Answer]


@dataclass(frozen=True, slots=True, kw_only=True)
class SuitesFound:
    """What a sweep of one protocol found. `accepted` is in the server's order when `order` is not unknown.

    `state` is *accepted* as soon as one suite was; *refused* only where the server said so. `complete` is
    false when `undecided` holds suites of which we do not know. `ending` is the answer behind a refusal or
    behind the cut; `hellos` the number of ClientHellos answered. `max_suites` is set when longer offers failed.
    `rests_on_close` is true where a plain close was taken for a refusal. With `contradictions` nothing is complete.
    `small_hellos` is true where none but hellos of less than 256 bytes were answered.
    """

    protocol: Protocol
    state: Literal["accepted", "refused", "unknown"]
    accepted: tuple[Chosen, ...] = ()
    order: Literal["server", "client", "unknown"] = "unknown"
    complete: bool
    ending: Answer | None = None
    undecided: tuple[int, ...] = ()
    hellos: int
    max_suites: int | None = None
    rests_on_close: bool = False
    contradictions: tuple[Contradiction, ...] = ()
    small_hellos: bool = False
    families: Mapping[Weakness, State] = field(default_factory=dict)
    """The weak families that were asked for; empty where all suites were."""

    @property
    def suites(self) -> tuple[int, ...]:
        """The accepted suite numbers."""
        return tuple(chosen.suite for chosen in self.accepted)


def ask(offer: Offer, expected: int = 0) -> Sweep[Answer]:
    """Want one offer until its answer comes; so many more hellos are `expected` to follow."""
    wanted = Wanted((offer,), expected=expected)
    while True:
        asked, answer = yield wanted
        if asked == offer:
            return answer


def ask_surely(offer: Offer) -> Sweep[tuple[Answer, int]]:
    """Want one offer; where the server closes without a word, ask once more before that counts.

    Returns the answer and the number of hellos that it took.
    """
    answer = yield from ask(offer)
    if isinstance(answer, Closed) and answer.stage == "hello":
        return (yield from ask(replace(offer, attempt=2))), 2
    return answer, 1


def sure_answer(offer: Offer) -> Sweep[Answer]:
    """The answer to one offer, a plain close only when it comes twice."""
    answer, _ = yield from ask_surely(offer)
    return answer


def together(sweeps: Mapping[K, Sweep[T]]) -> Sweep[dict[K, T]]:
    """Run sweeps side by side; an offer that several want is asked once."""
    wanted: dict[K, Wanted] = {}
    found: dict[K, T] = {}
    wanted_by: dict[Offer, dict[K, None]] = {}

    def advance(key: K, exchange: Exchange | None) -> None:
        try:
            wants = wanted[key] = next(sweeps[key]) if exchange is None else sweeps[key].send(exchange)
        except StopIteration as stop:
            wanted.pop(key, None)
            found[key] = stop.value
            return
        for offer in (*wants.sure, *wants.guessed):
            wanted_by.setdefault(offer, {})[key] = None

    for key in sweeps:
        advance(key, None)
    while wanted:
        sure = dict.fromkeys(offer for wants in wanted.values() for offer in wants.sure)
        guessed = dict.fromkeys(offer for wants in wanted.values() for offer in wants.guessed if offer not in sure)
        expected = sum(wants.expected for wants in wanted.values())
        exchange = yield Wanted(tuple(sure), tuple(guessed), expected)
        for key in wanted_by.pop(exchange[0], {}):
            if key in wanted:
                advance(key, exchange)
    return {key: found[key] for key in sweeps}


def both(one: Sweep[T], other: Sweep[U]) -> Sweep[tuple[T, U]]:
    """Run two sweeps of different kinds side by side."""
    first: list[T] = []
    second: list[U] = []

    def keep(sweep: Sweep[V], results: list[V]) -> Sweep[None]:
        results.append((yield from sweep))

    yield from together({"one": keep(one, first), "other": keep(other, second)})
    return first[0], second[0]


def sslv2_kinds(offer: Offer) -> Sweep[SuitesFound]:
    """Which SSLv2 cipher kinds a server has: it lists them all in one answer, and the client picks."""
    answer, hellos = yield from ask_surely(offer)
    match answer:
        case Chosen(protocol="SSLv2"):
            listed = tuple(dict.fromkeys(answer.suites))[:MAX_SSLV2_KINDS]
            kinds = tuple(replace(answer, suite=kind, suites=()) for kind in listed)
            return SuitesFound(
                protocol="SSLv2", state="accepted", accepted=kinds, order="client", complete=True, hellos=hellos
            )
        case Chosen() | Refused() | Closed(stage="hello"):
            return SuitesFound(
                protocol="SSLv2",
                state="refused",
                complete=True,
                ending=answer,
                hellos=hellos,
                rests_on_close=isinstance(answer, Closed),
            )
        case _:
            return SuitesFound(
                protocol="SSLv2",
                state="unknown",
                complete=False,
                ending=answer,
                undecided=offer.suites,
                hellos=hellos,
            )


def still_takes(offers: Iterable[Offer], found: Mapping[Protocol, SuitesFound]) -> Sweep[bool]:
    """Whether the server takes what it took before, asked where any result rests on plain closes.

    A close is how some servers refuse, and how others break: only a control hello tells them apart. Where nothing was
    accepted there is nothing to ask, and no close is believed.
    """
    if not any(result.rests_on_close for result in found.values()):
        return True
    by_protocol = {offer.protocol: offer for offer in offers}
    newest_first = (found[protocol] for protocol in reversed(PROTOCOLS) if protocol in found)
    taken = next((result for result in newest_first if result.accepted), None)
    if taken is None:
        return False
    offer = replace(by_protocol[taken.protocol], suites=taken.suites[:1], attempt=CONTROL)
    answer = yield from ask(offer)
    return isinstance(answer, Chosen) and answer.protocol == offer.protocol


def doubted(offers: Iterable[Offer], found: Mapping[Protocol, SuitesFound]) -> dict[Protocol, SuitesFound]:
    """The results without what rests on a close: unknown where it was a refusal, incomplete where it ended a list."""
    by_protocol = {offer.protocol: offer for offer in offers}
    return {
        protocol: _doubted(result, by_protocol[protocol]) if result.rests_on_close else result
        for protocol, result in found.items()
    }


def _doubted(result: SuitesFound, offer: Offer) -> SuitesFound:
    undecided = tuple(suite for suite in offer.suites if suite not in result.suites)
    state: Literal["accepted", "unknown"] = "accepted" if result.accepted else "unknown"
    return replace(result, state=state, complete=False, undecided=undecided)
