"""The key exchange groups that a server takes in one version, in its order.

In TLS 1.3 a hello without a key share is answered by a HelloRetryRequest that names the group (RFC 8446 §4.1.4), so
groups of which we could not make a key, the hybrids with ML-KEM among them, need only be listed. Before that the
ServerKeyExchange names it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mxprobe.tls.code_points import TLS12_GROUPS, TLS13_GROUPS
from mxprobe.tls.offer import Chosen, Offer
from mxprobe.tls.preferences import Listed, Preferences, joined
from mxprobe.tls.primes import ffdhe_group
from mxprobe.tls.suites import suite
from mxprobe.tls.sweep import SuitesFound, Sweep

HYBRIDS: Final = (4588, 4587, 4589, 25497)
"""X25519MLKEM768, SecP256r1MLKEM768, SecP384r1MLKEM1024, and X25519Kyber768Draft00, which came before them."""

OTHER_TLS13_GROUPS: Final = (31, 32, 33, 512, 513, 514, 41, 4590, *range(34, 41))
"""Brainpool curves (RFC 8734), ML-KEM alone, SM2 (RFC 8998) and GOST (RFC 9367)."""

FFDHE: Final = (256, 257, 258, 259, 260)
"""The named finite fields of RFC 7919."""

CERTIFICATE_CURVES: Final = (23, 24, 25)
"""The curves that ECDSA certificates are on: before TLS 1.3 a client that does not list that of the certificate
cannot be served with it (RFC 8422 §5.1)."""


def accepted_groups(suites: SuitesFound, server_name: str | None) -> Sweep[Listed]:
    """The groups of the version in which these suites were found.

    n + 1 hellos for n groups, one more where whose order it is has to be asked; up to TLS 1.2 the same for curves and
    for named finite fields, each with the suites that use them. A server that uses a finite field of its own choice
    whatever we list has no named ones.
    """
    if suites.protocol == "TLSv1.3":
        return (yield from _in_tls13(suites, server_name))
    lists: list[Listed] = []
    if ecdhe := suites_with(suites, "ECDH"):
        lists.append((yield from _curves(suites, ecdhe, server_name)))
    if dhe := suites_with(suites, "DH"):
        lists.append((yield from _finite_fields(suites, dhe, server_name)))
    if lists:
        return joined(lists)
    return Listed(
        state="refused" if suites.complete else "unknown",
        complete=suites.complete,
        reason="no suite with an ephemeral key is accepted" if suites.complete else "",
        hellos=0,
    )


def suites_with(suites: SuitesFound, key_exchange: str, authentication: str | None = None) -> tuple[int, ...]:
    """The accepted suites of a key exchange (and authentication), in OpenSSL's words."""
    return tuple(
        number
        for number in suites.suites
        if suite(number).key_exchange == key_exchange and authentication in (None, suite(number).authentication)
    )


def _in_tls13(suites: SuitesFound, server_name: str | None) -> Sweep[Listed]:
    def offer_of(groups: tuple[int, ...]) -> Offer:
        return Offer(protocol="TLSv1.3", suites=suites.suites, server_name=server_name, groups=groups)

    candidates = (*HYBRIDS, *TLS13_GROUPS, *OTHER_TLS13_GROUPS)
    preferences = Preferences(candidates, offer_of, _group)
    return (yield from preferences.find(TLS13_GROUPS, HYBRIDS, OTHER_TLS13_GROUPS))


def _curves(suites: SuitesFound, ecdhe: Sequence[int], server_name: str | None) -> Sweep[Listed]:
    # Where a suite does without an ECDSA certificate, the curve of none decides.
    others = tuple(number for number in ecdhe if suite(number).authentication != "ECDSA")

    def offer_of(groups: tuple[int, ...]) -> Offer:
        offered = others or tuple(ecdhe)
        return Offer(protocol=suites.protocol, suites=offered, server_name=server_name, groups=groups)

    first = tuple(number for number in TLS12_GROUPS if number not in CERTIFICATE_CURVES)
    preferences = Preferences(TLS12_GROUPS if others else first + CERTIFICATE_CURVES, offer_of, _group)
    if others:
        return (yield from preferences.find())
    yield from preferences.chain(preferences.candidates)
    order = yield from preferences.whose_order()
    anchors = tuple(number for number in reversed(preferences.accepted) if number in CERTIFICATE_CURVES)
    if anchors and not preferences.cut:
        # What was refused may have been that the curve of the certificate was not listed any more.
        yield from preferences.chain(preferences.candidates, always=anchors)
        ours = isinstance(preferences.ending, Chosen) and order == "client"
        preferences.cut = not ours and any(number not in preferences.accepted for number in preferences.candidates)
        if preferences.cut:
            preferences.reason = "the server goes first to the curve of its ECDSA certificate, which has to be listed"
    return preferences.found(order)


def _finite_fields(suites: SuitesFound, dhe: Sequence[int], server_name: str | None) -> Sweep[Listed]:
    def offer_of(groups: tuple[int, ...]) -> Offer:
        return Offer(protocol=suites.protocol, suites=tuple(dhe), server_name=server_name, groups=groups)

    return (yield from Preferences(FFDHE, offer_of, _finite_field).find())


def _group(chosen: Chosen) -> int | None:
    return chosen.group


def _finite_field(chosen: Chosen) -> int | None:
    """The named field of an answer; 0, which names none, for a field of the server's own choice."""
    return None if chosen.dh_prime is None else ffdhe_group(chosen.dh_prime) or 0
