"""What two sides of a handshake have or lack in common, in words: families of suites, and what took them away."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mxprobe.mta.postfix.exclusions import Exclusion
from mxprobe.terms import PROTOCOLS, Protocol
from mxprobe.tls.suites import CipherSuite, suite
from mxprobe.verdict.checks import Place

MAX_FAMILIES = 4
"""Families named in one sentence; a server that has more of them in its way has all of them in its way."""

MAX_SUITES = 4
"""Suites named as examples of a family."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """An overlap that is not there because of one word; `suites` are those that both sides would have without it."""

    exclusion: Exclusion
    suites: tuple[int, ...]


def families(numbers: Iterable[int]) -> str:
    """Suites by how keys are agreed on and what encrypts: ``static-RSA AES, ECDHE-RSA AES``."""
    named = tuple(dict.fromkeys(_family(suite(number)) for number in numbers))
    return ", ".join(named[:MAX_FAMILIES]) + (f" and {len(named) - MAX_FAMILIES} more" if named[MAX_FAMILIES:] else "")


def missing_overlaps(exclusions: Iterable[Exclusion], offered: Iterable[int]) -> tuple[Missing, ...]:
    """Which words take away something that the other side offers: words that do nothing else first, then the one that
    takes most."""
    offered = tuple(offered)
    found = [
        Missing(exclusion=exclusion, suites=shared)
        for exclusion in exclusions
        if (shared := tuple(number for number in offered if number in exclusion.suites))
    ]
    return tuple(sorted(found, key=lambda each: (not each.exclusion.operator, -len(each.suites))))


def missing_words(missing: Missing) -> str:
    """The overlap, with examples: ``static-RSA AES (AES128-GCM-SHA256, ...)``."""
    names = [suite(number).name for number in missing.suites]
    shown = ", ".join(names[:MAX_SUITES]) + (", ..." if names[MAX_SUITES:] else "")
    return f"{families(missing.suites)} ({shown})"


def place_of(exclusion: Exclusion) -> Place | None:
    """Where the word stands; None where it is a default, or was said in no file."""
    place = exclusion.place
    return None if place is None or place.file.startswith("-") else Place(file=place.file, line=place.line)


def hole(protocols: Iterable[Protocol]) -> tuple[tuple[Protocol, ...], tuple[Protocol, ...]] | None:
    """Versions that are missing between others, with the older ones that are there; None where there is no such hole.

    TLS before 1.3 names only the newest version in a hello: who has versions on both sides of a hole, and one in it, is
    answered with an older one than both could do (RFC 5246 appendix E.1).
    """
    there = [PROTOCOLS.index(protocol) for protocol in protocols if protocol != "SSLv2"]
    if not there:
        return None
    absent = [place for place in range(min(there), max(there)) if place not in there]
    if not absent:
        return None
    older = tuple(PROTOCOLS[place] for place in sorted(there) if place < max(absent))
    return tuple(PROTOCOLS[place] for place in absent), older


_KEYS = {
    ("RSA", "RSA"): "static-RSA",
    ("ECDH", "None"): "anonymous ECDH",
    ("DH", "None"): "anonymous DH",
    ("any", "any"): "TLS 1.3",
}


def _family(known: CipherSuite) -> str:
    keys = _KEYS.get((known.key_exchange, known.authentication))
    if keys is None and known.key_exchange in ("ECDH", "DH"):
        keys = f"{known.key_exchange}E-{known.authentication}"
    cipher = known.encryption.partition("(")[0].partition("/")[0]
    for mode in ("GCM", "CCM8", "CCM"):
        cipher = cipher.removesuffix(mode)
    return f"{keys or known.key_exchange} {'NULL' if cipher == 'None' else cipher}"
