"""The suites that a server takes, version by version, by removing what it chose and asking again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from mxprobe.terms import Protocol
from mxprobe.tls.foresight import Foresight, HandshakePick
from mxprobe.tls.hearing import PROTOCOL_VERSION
from mxprobe.tls.offer import Chosen, Closed, Offer, Refused
from mxprobe.tls.suites import allowed
from mxprobe.tls.sweep import (
    CONTROL,
    Contradiction,
    SuitesFound,
    Sweep,
    ask,
    doubted,
    sslv2_kinds,
    still_takes,
    together,
)
from mxprobe.tls.version_sweep import SMALL_GROUPS, SMALL_SCHEMES, SMALL_SUITES, VersionSweep

ALIKE: tuple[Protocol, ...] = ("TLSv1", "TLSv1.1", "TLSv1.2")
"""Versions in which a server takes the same suites, of those that all of them have."""


def accepted_versions(offers: Iterable[Offer]) -> Sweep[dict[Protocol, SuitesFound]]:
    """Which versions a server speaks, by one short hello of ordinary suites for each; claims no more than that.

    Only where those are refused, and not the version itself, the others are asked too.
    """
    offers = tuple(offers)
    found = yield from together({offer.protocol: _version_accepted(offer) for offer in offers})
    return found if (yield from still_takes(offers, found)) else doubted(offers, found)


def accepted_suites(
    offers: Iterable[Offer], handshake: HandshakePick | None = None
) -> Sweep[dict[Protocol, SuitesFound]]:
    """Find the suites that a server takes, in its order, for each of the versions offered, side by side.

    Asks for all, takes out what was chosen, asks again: n + 1 hellos for n suites, and one more that tells that the
    last refusal was one. `handshake` is what a complete handshake agreed on: a hint at whose order it is. Where the
    next picks can be guessed, their offers are wanted too, before they are certain. What makes the result true:

    - A server may *pick* a suite that it then cannot finish and so refuse the whole offer (OpenSSL with SRP
      but no user, GnuTLS with anonymous suites but no credentials). The last refusal is therefore checked
      by an offer without such families, and split into families when anything contradicts it.
    - The first offer is short and ordinary. Longer ones follow once a suite was chosen; where they fail and
      short ones do not, the sweep goes on in chunks of `hearing.MAX_SUITES`. A version that refuses the
      short offer gets all the rest in one more, once another version has shown that long offers are read here.
    - A plain close is asked again, and is a refusal only when it comes twice, and when the server then still takes
      what it took before.
    - Where a server refuses what it then accepts, its refusal is asked again. If it was not a suite that it cannot
      finish, several servers answer at this address, or one that is not sure: that is said, and nothing is complete.
    """
    # First the version that was agreed on: with that handshake its first pick tells whose order counts.
    offers = sorted(offers, key=lambda offer: handshake is None or offer.protocol != handshake.protocol)
    foresight = Foresight(handshake)
    removals: dict[Protocol, VersionSweep] = {}
    for offer in offers:
        if offer.protocol != "SSLv2":
            removals[offer.protocol] = VersionSweep(offer, foresight)
    found = yield from together({offer.protocol: _first(offer, removals.get(offer.protocol)) for offer in offers})
    alive = yield from still_takes(offers, found)
    left = {
        protocol: _second(removal, foresight.long_offers_read)
        for protocol, removal in removals.items()
        if not removal.settled and not removal.cut and (alive or not found[protocol].rests_on_close)
    }
    found |= yield from together(left)
    if alive and any(found[protocol].rests_on_close for protocol in left):
        alive = yield from still_takes(offers, found)
    found = found if alive else doubted(offers, found)
    found |= yield from _compared(offers, found)
    if foresight.max_suites or not any(result.accepted for result in found.values() if result.protocol != "TLSv1.3"):
        # A server that fails hellos of the usual size, which that of TLS 1.3 is below, may be asked with small ones.
        small = yield from together({o.protocol: _small(o) for o in offers if _may_be_small(o, found)})
        found |= {protocol: result for protocol, result in small.items() if result.accepted}
    return found


def _compared(offers: Iterable[Offer], found: Mapping[Protocol, SuitesFound]) -> Sweep[dict[Protocol, SuitesFound]]:
    """Ask a version again for what it lacks and another version takes: there one server hardly makes a difference, and
    what it takes now was refused a moment ago."""
    by_protocol = {offer.protocol: offer for offer in offers}
    compared = [found[protocol] for protocol in ALIKE if protocol in found and found[protocol].accepted]
    differing: dict[Protocol, SuitesFound] = {}
    for result in compared:
        elsewhere = dict.fromkeys(suite for other in compared for suite in other.suites)
        own = frozenset(result.suites)
        lacking = tuple(
            suite for suite in elsewhere if suite not in own and all(allowed(suite, protocol) for protocol in ALIKE)
        )
        if lacking and result.complete:
            offer = replace(by_protocol[result.protocol], suites=lacking, attempt=CONTROL)
            answer = yield from ask(offer)
            if isinstance(answer, Chosen) and answer.suite in lacking and answer.protocol == result.protocol:
                refusal = result.ending or answer
                contradiction = Contradiction(protocol=offer.protocol, suites=lacking, answers=(refusal, answer))
                differing[result.protocol] = replace(
                    result,
                    accepted=(*result.accepted, answer),
                    order="unknown",
                    complete=False,
                    undecided=tuple(
                        suite
                        for suite in by_protocol[result.protocol].suites
                        if suite not in own and suite != answer.suite
                    ),
                    hellos=result.hellos + 1,
                    contradictions=(*result.contradictions, contradiction),
                )
    return differing


def _may_be_small(offer: Offer, found: Mapping[Protocol, SuitesFound]) -> bool:
    """Whether a version was refused in a way that the size of the hello may explain: not by its number."""
    result = found[offer.protocol]
    by_its_number = isinstance(result.ending, Refused) and result.ending.alert == PROTOCOL_VERSION
    refused = not result.accepted and isinstance(result.ending, Refused | Closed)
    return offer.protocol not in ("SSLv2", "SSLv3") and refused and not by_its_number


def _small(offer: Offer) -> Sweep[SuitesFound]:
    """The sweep of a version by hellos that are small in every respect; an empty one if that changes nothing."""
    foresight = Foresight()
    foresight.max_suites = SMALL_SUITES
    sweep = VersionSweep(replace(offer, groups=SMALL_GROUPS, signature_schemes=SMALL_SCHEMES), foresight)
    yield from sweep.first_pass()
    if sweep.accepted:
        yield from sweep.second_pass(long_offers_work=False)
    return replace(sweep.found(), small_hellos=bool(sweep.accepted))


def _version_accepted(offer: Offer) -> Sweep[SuitesFound]:
    if offer.protocol == "SSLv2":
        return (yield from sslv2_kinds(offer))
    removal = VersionSweep(offer, Foresight())
    outcome = yield from removal.pick(removal.first_offer)
    if outcome == "refused" and not removal.version_refused:
        removal.known.update(removal.first_offer)
        yield from removal.split()
    removal.settled = not removal.accepted and not removal.cut
    return removal.found()


def _first(offer: Offer, removal: VersionSweep | None) -> Sweep[SuitesFound]:
    if removal is None:
        return (yield from sslv2_kinds(offer))
    yield from removal.first_pass()
    return removal.found()


def _second(removal: VersionSweep, long_offers_work: bool) -> Sweep[SuitesFound]:
    yield from removal.second_pass(long_offers_work)
    return removal.found()
