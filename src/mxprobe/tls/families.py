"""Which weak families of suites a server takes in the versions that it speaks: not each suite of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache

from mxprobe.terms import Protocol, State
from mxprobe.tls.offer import Answer, Chosen, Closed, Offer, Refused
from mxprobe.tls.suites import FAMILIES, candidates, peculiar, suite
from mxprobe.tls.sweep import SuitesFound, Sweep, ask_surely, still_takes, together
from mxprobe.tls.version_sweep import FINITE_FIELDS_TOO, MISSING_CREDENTIALS
from mxprobe.tls.weak_suites import WEAKNESSES, Weakness, weaknesses

APART = tuple(sorted(MISSING_CREDENTIALS, key=FAMILIES.index))
"""Asked one after the other, and after all others: a server may pick of these what it cannot finish, and so refuse
an offer of suites that it takes."""


def weak_families(offers: Iterable[Offer], found: Mapping[Protocol, SuitesFound]) -> Sweep[dict[Protocol, SuitesFound]]:
    """Find the weak families of each version that is accepted, and give what was found so far with them.

    All weak suites are offered; what is picked shows its families, whose suites are then left out unless they show
    another one. At the refusal of what is left no other family is taken. That is a hello for each family at most,
    mostly fewer since a suite like EXP-ADH-RC4-MD5 is of several, and up to four refusals.
    """
    offers = tuple(offers)
    accepted = {protocol: result for protocol, result in found.items() if result.accepted}
    asked = yield from together(
        {offer.protocol: _families(offer, accepted[offer.protocol]) for offer in offers if offer.protocol in accepted}
    )
    results = {**found, **{protocol: each.result for protocol, each in asked.items()}}
    closed = {p: replace(each.result, rests_on_close=each.rests_on_close) for p, each in asked.items()}
    if not (yield from still_takes(offers, closed)):
        results |= {protocol: _doubted(each) for protocol, each in asked.items() if each.rests_on_close}
    return results


def families_of(protocol: Protocol, suites: Iterable[int], *, complete: bool) -> dict[Weakness, State]:
    """The weak families among the accepted suites of a version; *no* only for a complete list."""
    seen = {weakness for number in suites for weakness in weaknesses_of(number)}
    return {family: "yes" if family in seen else "no" if complete else "unknown" for family in families_in(protocol)}


@cache
def families_in(protocol: Protocol) -> tuple[Weakness, ...]:
    """The weak families of which a version has suites."""
    known = {weakness for number in candidates(protocol) for weakness in weaknesses_of(number)}
    return tuple(weakness for weakness in WEAKNESSES if weakness in known)


@cache
def weaknesses_of(number: int) -> tuple[Weakness, ...]:
    """What is weak about a suite, by its names."""
    known = suite(number)
    return weaknesses(known.openssl, known.iana, *known.aliases)


@dataclass
class _Families:
    """The families of one version under way."""

    result: SuitesFound
    shown: set[Weakness] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)
    rests_on_close: bool = False

    def offered(self, family: str | None, protocol: Protocol) -> tuple[int, ...]:
        """The suites that would show a family which is not shown yet, those that would show most first."""
        telling = [
            number
            for number in candidates(protocol)
            if number not in self.refused
            and (peculiar(number) == family or (family is None and peculiar(number) not in APART))
            and not self.shown.issuperset(weaknesses_of(number))
        ]
        # Ordinary suites first: what is peculiar may not be picked for reasons of its own.
        return tuple(sorted(telling, key=lambda number: (peculiar(number) is not None, -len(self._new(number)))))

    def _new(self, number: int) -> set[Weakness]:
        return set(weaknesses_of(number)) - self.shown

    def take(self, offer: Offer, answer: Answer) -> bool:
        """Note an answer; whether it says anything of the offer."""
        match answer:
            case Chosen() if answer.protocol == offer.protocol and answer.suite in offer.suites:
                self.shown.update(weaknesses_of(answer.suite))
                self.result = replace(self.result, accepted=(*self.result.accepted, answer), order="unknown")
                return True
            case Refused() | Closed(stage="hello"):
                self.rests_on_close |= isinstance(answer, Closed)
                self.refused.update(offer.suites)
                return True
            case _:
                return False

    def states(self, protocol: Protocol) -> dict[Weakness, State]:
        """What is known of each family: *no* where all of its suites were refused."""
        left = {w for number in candidates(protocol) if number not in self.refused for w in weaknesses_of(number)}
        return {
            family: "yes" if family in self.shown else "unknown" if family in left else "no"
            for family in families_in(protocol)
        }


def _families(offer: Offer, found: SuitesFound) -> Sweep[_Families]:
    protocol = offer.protocol
    if found.complete:
        listed = families_of(protocol, found.suites, complete=True)
        return _Families(replace(found, families=listed))
    under_way = _Families(found, shown={w for number in found.suites for w in weaknesses_of(number)})
    # Named finite fields, for servers that have DHE suites by these only.
    offer = replace(offer, groups=offer.groups or FINITE_FIELDS_TOO.get(protocol))
    told = True
    for family in (None, *APART):
        while told and (suites := under_way.offered(family, protocol)):
            asked = replace(offer, suites=suites)
            answer, hellos = yield from ask_surely(asked)
            under_way.result = replace(under_way.result, hellos=under_way.result.hellos + hellos)
            told = under_way.take(asked, answer)
    under_way.result = replace(under_way.result, families=under_way.states(protocol))
    return under_way


def _doubted(under_way: _Families) -> SuitesFound:
    result = under_way.result
    return replace(result, families={f: "unknown" if state == "no" else state for f, state in result.families.items()})
