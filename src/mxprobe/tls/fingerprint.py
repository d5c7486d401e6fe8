"""Whether a server is configured like one that was swept: about ten hellos in the place of a hundred.

A hello tells the suite that a server picks, and that it takes none of those which it would have picked before. From
the results of a complete sweep follow therefore a few offers that tell configurations apart, each with the answer that
the same configuration gives. An added suite and a version that is spoken or not are seen always; that a suite is
missing is seen where it is one of those that are picked, so these are chosen to differ in all that a cipher string can
name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from mxprobe.terms import PROTOCOLS, Protocol
from mxprobe.tls.endings import ending_text
from mxprobe.tls.hearing import MAX_SSLV3_SUITES, MAX_SUITES
from mxprobe.tls.offer import Answer, Chosen, Closed, Offer, Refused
from mxprobe.tls.suites import candidates, peculiar, suite
from mxprobe.tls.sweep import CONTROL, Sweep, Wanted
from mxprobe.tls.version_sweep import FINITE_FIELDS_TOO, MISSING_CREDENTIALS

USUAL_HELLOS = 12
"""Hellos up to which picks are added; what is needed to see additions and versions is asked in any case."""

MOST_PICKS = 4
"""Picks that one version is asked for: further ones tell less than those of other versions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What a complete sweep found of one version: its suites in the server's order, none where it is refused.

    For SSLv2, whose server lists its kinds, the order means nothing.
    """

    suites: tuple[int, ...] = ()
    order: Literal["server", "client", "unknown"] = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """An offer, and what the same configuration answers to it: it picks `pick`, or lists `listed` (SSLv2), or refuses.
    The offer may hold suites that are `not_taken`.

    `apart` are offers that are asked where this one is refused, though it holds the pick: a server may pick of some
    families what it cannot finish.
    """

    offer: Offer
    pick: int | None = None
    listed: frozenset[int] = frozenset()
    not_taken: frozenset[int] = frozenset()
    apart: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """How a server compares with a configuration: *same*, *different*, or *unknown* where it did not tell.

    `evidence` says in words what differs, or why it is not known. `picks` are the answers with a suite.
    """

    state: Literal["same", "different", "unknown"]
    evidence: str = ""
    picks: tuple[Chosen, ...] = ()
    hellos: int = 0


def fingerprint(swept: Mapping[Protocol, Swept], server_name: str | None = None) -> tuple[Expected, ...]:
    """The offers that tell the configuration of a complete sweep from others; nothing where it accepts no version.

    Per accepted version: whatever is not accepted, families that may spoil an offer apart, and picks out of what is.
    A server that goes by our order answers both questions in one hello: what it does not take stands before what it
    is to pick. Per refused version: its ordinary suites.
    """
    accepted = {protocol: swept[protocol] for protocol in PROTOCOLS if protocol in swept and swept[protocol].suites}
    if not accepted:
        return ()
    expected: list[Expected] = []
    least = {protocol: _least(protocol, known) for protocol, known in accepted.items()}
    picks = _picks(accepted, least, USUAL_HELLOS - (len(swept) - len(accepted)))
    for protocol, known in swept.items():
        name = server_name if protocol not in ("SSLv2", "SSLv3") else None
        if protocol == "SSLv2":
            offer = Offer(protocol=protocol, suites=candidates(protocol))
            expected.append(Expected(offer=offer, listed=frozenset(known.suites)))
        elif known.suites:
            expected += _accepted(Offer(protocol=protocol, suites=(), server_name=name), known, picks[protocol])
        else:
            ordinary = tuple(number for number in candidates(protocol) if peculiar(number) is None)
            limit = MAX_SSLV3_SUITES if protocol == "SSLv3" else MAX_SUITES
            expected.append(Expected(offer=Offer(protocol=protocol, suites=ordinary[:limit], server_name=name)))
    return tuple(expected)


def compared(expected: Iterable[Expected]) -> Sweep[Compared]:
    """Ask the offers of a fingerprint, and stop at the first answer that differs or tells nothing.

    A plain close is asked again; twice, it is a refusal where one is expected and where the server still picks what
    it picked before.
    """
    left = {each.offer: each for each in expected}
    picks: list[Chosen] = []
    control: Expected | None = None
    rests_on_close = False
    hellos = 0
    while left:
        asked, answer = yield Wanted(tuple(left))
        if asked not in left:
            continue
        hellos += 1
        want = left.pop(asked)
        if isinstance(answer, Closed) and answer.stage == "hello" and asked.attempt == 1:
            left[replace(asked, attempt=2)] = want
            continue
        if isinstance(answer, Chosen):
            picks.append(answer)
        got = _got(asked, answer)
        if got is None:
            reason = f"{asked.protocol}: {ending_text(answer)}"
            return Compared(state="unknown", evidence=reason, picks=tuple(picks), hellos=hellos)
        rests_on_close |= isinstance(answer, Closed)
        if got == _meant(want):
            if want.pick is not None:
                control = want
        elif got == frozenset() and want.apart:
            for part in want.apart:
                left[replace(want.offer, suites=part)] = Expected(offer=replace(want.offer, suites=part))
            rest = tuple(n for n in want.offer.suites if not any(n in part for part in want.apart))
            left[replace(want.offer, suites=rest)] = Expected(offer=replace(want.offer, suites=rest), pick=want.pick)
        else:
            evidence = f"{asked.protocol}: {_words(want, got)}"
            return Compared(state="different", evidence=evidence, picks=tuple(picks), hellos=hellos)
        if not left and rests_on_close and asked.attempt != CONTROL:
            if control is None:
                return Compared(state="unknown", evidence="it only ever closed", picks=tuple(picks), hellos=hellos)
            left[replace(control.offer, attempt=CONTROL)] = control
    return Compared(state="same", picks=tuple(picks), hellos=hellos)


def _accepted(offer: Offer, known: Swept, picks: tuple[int, ...]) -> Iterable[Expected]:
    """The offers of one accepted version.

    The families that may spoil an offer stand before a pick: where it is made, they spoil nothing. A server that goes
    by our order makes another behind all that it does not take. One that has its own would make it also where it takes
    more, but likes that less: to see this, what it does not take is offered alone.
    """
    others = tuple(number for number in candidates(offer.protocol) if number not in known.suites)
    ordinary = tuple(number for number in others if peculiar(number) not in MISSING_CREDENTIALS)
    families: dict[str, list[int]] = {}
    for number in others:
        if (family := peculiar(number)) in MISSING_CREDENTIALS:
            families.setdefault(family or "", []).append(number)
    apart = tuple(tuple(family) for family in families.values())
    spoiling = tuple(number for family in apart for number in family)
    by_name = replace(offer, groups=FINITE_FIELDS_TOO.get(offer.protocol)) if _no_dhe(known.suites) else offer
    if known.order != "client" and others:
        yield Expected(offer=replace(by_name, suites=others))
    for number, pick in enumerate(picks):
        suites = _picked_first(known, pick)
        if number == 0 and spoiling:
            parts = apart if known.order == "client" or not ordinary else (ordinary, *apart)
            yield Expected(
                offer=replace(by_name, suites=spoiling + suites), pick=pick, apart=parts, not_taken=frozenset(spoiling)
            )
        elif number == 1 and ordinary and known.order == "client":
            yield Expected(offer=replace(by_name, suites=ordinary + suites), pick=pick, not_taken=frozenset(ordinary))
        else:
            yield Expected(offer=replace(offer, suites=suites), pick=pick)


def _picked_first(known: Swept, pick: int) -> tuple[int, ...]:
    """As many of the accepted suites as can be offered beside the pick, in the order that tells most."""
    if known.order == "client":
        return pick, *(other for other in known.suites if other != pick)
    if known.order == "server":
        # Against the server's order, so that one that has come to follow ours is seen.
        return known.suites[known.suites.index(pick) :][::-1]
    return (pick,)


def _least(protocol: Protocol, known: Swept) -> tuple[int, int]:
    """How many hellos a version is asked in any case, and how many of them have a pick."""
    if protocol == "SSLv2":
        return 1, 0
    if known.order == "client":
        # Two picks out of the same suites: a server that has come to prefer its own order cannot make both.
        return 2, 2
    return (2, 1) if len(known.suites) < len(candidates(protocol)) else (1, 1)


def _picks(
    accepted: Mapping[Protocol, Swept], least: Mapping[Protocol, tuple[int, int]], hellos: int
) -> dict[Protocol, tuple[int, ...]]:
    """Which suites each version is to pick: between them they have every property that the accepted suites have.

    Cipher strings name properties, and a suite that is gone is mostly gone with all that share one of them.
    """
    picks: dict[Protocol, list[int]] = {protocol: [] for protocol in accepted}
    room = {protocol: picked for protocol, (_, picked) in least.items()}
    spare = hellos - sum(asked for asked, _ in least.values())
    seen: dict[tuple[str, str], int] = {}

    def add(protocol: Protocol) -> None:
        known = accepted[protocol]
        # The last in a server's own order stands alone in what it could be picked from, which shows no order.
        eligible = known.suites[:-1] if known.order == "server" else known.suites
        left = [number for number in eligible if number not in picks[protocol]]
        if not left:
            return
        best = min(reversed(left), key=lambda number: -sum(0.25 ** seen.get(each, 0) for each in _properties(number)))
        picks[protocol].append(best)
        for each in _properties(best):
            seen[each] = seen.get(each, 0) + 1

    most_suites_first = sorted(accepted, key=lambda protocol: -len(accepted[protocol].suites))
    for protocol in most_suites_first:
        for _ in range(room[protocol]):
            add(protocol)
    for _ in range(max(0, spare)):
        open_ones = [
            protocol
            for protocol in most_suites_first
            if protocol != "SSLv2" and len(picks[protocol]) < min(MOST_PICKS, len(accepted[protocol].suites))
        ]
        if open_ones:
            add(max(open_ones, key=lambda protocol: len(accepted[protocol].suites) / len(picks[protocol])))
    return {protocol: tuple(found) for protocol, found in picks.items()}


def _properties(number: int) -> tuple[tuple[str, str], ...]:
    """What a cipher string can name of a suite: key exchange, authentication, encryption and MAC."""
    known = suite(number)
    cipher = known.encryption.partition("(")[0]
    return (
        ("key exchange", known.key_exchange),
        ("authentication", known.authentication),
        ("cipher", cipher),
        ("encryption", known.encryption),
        ("MAC", known.mac),
    )


def _no_dhe(suites: tuple[int, ...]) -> bool:
    return not any(suite(number).key_exchange == "DH" for number in suites)


def _meant(want: Expected) -> frozenset[int]:
    return want.listed if want.pick is None else frozenset({want.pick})


def _got(asked: Offer, answer: Answer) -> frozenset[int] | None:
    """The suites of an answer, none where it is a refusal; None where it says nothing of the offer."""
    match answer:
        case Chosen() if answer.protocol != asked.protocol:
            return frozenset()
        case Chosen(protocol="SSLv2"):
            return frozenset(answer.suites)
        case Chosen():
            return frozenset({answer.suite})
        case Refused() | Closed(stage="hello"):
            return frozenset()
        case _:
            return None


def _words(want: Expected, got: frozenset[int]) -> str:
    meant = _meant(want)
    if want.offer.protocol == "SSLv2":
        return f"it lists {_names(got)}, not {_names(meant)}"
    if not meant or got & want.not_taken:
        return f"it takes {_names(got)}"
    return f"out of {len(want.offer.suites)} it picks {_names(got)}, not {_names(meant)}"


def _names(numbers: frozenset[int]) -> str:
    return ", ".join(sorted(suite(number).name for number in numbers)) or "none"
