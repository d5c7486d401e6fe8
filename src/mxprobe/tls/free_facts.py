"""What the answers of a suite sweep say beyond suites: features, finite fields, groups and schemes that were seen.

None of it costs a hello of its own. For extensions only hellos for a single version count, which offer all of them.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from mxprobe.terms import PROTOCOLS, Protocol, State
from mxprobe.tls.code_points import (
    ENCRYPT_THEN_MAC,
    EXTENDED_MASTER_SECRET,
    HEARTBEAT,
    RENEGOTIATION_INFO,
    SESSION_TICKET,
    SIGNED_CERTIFICATE_TIMESTAMP,
)
from mxprobe.tls.offer import Answer, Chosen, Offer
from mxprobe.tls.primes import prime_name
from mxprobe.tls.suites import suite

K = TypeVar("K", bound=Hashable)

MAX_SEEN = 16
"""Groups, schemes and finite fields kept of one version: an honest server hardly has more, a hostile one has a new
prime for each hello."""

_EXTENDED: tuple[Protocol, ...] = ("TLSv1", "TLSv1.1", "TLSv1.2")
"""The versions in whose ServerHello extensions say what a server can do: TLS 1.3 has put them elsewhere, SSLv3 has
none."""


_BLOCK_CIPHERS = frozenset({"AES", "Camellia", "ARIA", "SEED", "IDEA", "3DES", "DES", "RC2"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """Whether a server does something. `unknown` has its reason; `yes` and `no` have one where there is more to say."""

    state: State
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FiniteField:
    """The parameters of a DHE key: the size of the prime, its SHA-256 in hexadecimal, and what it is known as."""

    bits: int
    prime: str
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FreeFeatures:
    """What a server does, as far as its answers tell. A feature is None where no answer could tell of it.

    `downgrade_sentinel` is whether a version that is not the highest was answered with the mark of RFC 8446 §4.1.3.
    """

    extended_master_secret: Feature | None = None
    encrypt_then_mac: Feature | None = None
    secure_renegotiation: Feature | None = None
    session_tickets: Feature | None = None
    heartbeat: Feature | None = None
    certificate_timestamps: Feature | None = None
    downgrade_sentinel: Feature | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FreeFacts(FreeFeatures):
    """What was seen; tuples are in the order in which things came."""

    finite_fields: dict[Protocol, tuple[FiniteField, ...]] = field(default_factory=dict)
    groups: dict[Protocol, tuple[int, ...]] = field(default_factory=dict)
    schemes: dict[Protocol, tuple[int, ...]] = field(default_factory=dict)


def facts_free(exchanges: Iterable[tuple[Offer, Answer]]) -> FreeFacts:
    """Gather what comes free with these answers, whatever was asked for: works at every depth."""
    picks = [
        (offer, answer) for offer, answer in exchanges if isinstance(answer, Chosen) and answer.protocol != "SSLv2"
    ]
    chosen = [answer for _, answer in picks]
    extended = [
        answer
        for offer, answer in picks
        if not offer.versions and offer.protocol in _EXTENDED and answer.protocol in _EXTENDED
    ]
    return FreeFacts(
        extended_master_secret=_answered(extended, EXTENDED_MASTER_SECRET),
        encrypt_then_mac=_encrypt_then_mac(extended),
        secure_renegotiation=_answered(extended, RENEGOTIATION_INFO),
        session_tickets=_answered(extended, SESSION_TICKET),
        heartbeat=_heartbeat(extended),
        certificate_timestamps=_answered(extended, SIGNED_CERTIFICATE_TIMESTAMP),
        downgrade_sentinel=_sentinel(chosen),
        finite_fields=_by_protocol(
            (answer.protocol, FiniteField(bits=bits, prime=prime, name=prime_name(prime)))
            for answer in chosen
            if (bits := answer.dh_bits) is not None and (prime := answer.dh_prime) is not None
        ),
        groups=_by_protocol((answer.protocol, answer.group) for answer in chosen if answer.group is not None),
        schemes=_by_protocol((answer.protocol, answer.scheme) for answer in chosen if answer.scheme is not None),
    )


def _by_protocol(seen: Iterable[tuple[Protocol, K]]) -> dict[Protocol, tuple[K, ...]]:
    found: dict[Protocol, dict[K, None]] = {}
    for protocol, what in seen:
        kept = found.setdefault(protocol, {})
        if len(kept) < MAX_SEEN:
            kept[what] = None
    return {protocol: tuple(found[protocol]) for protocol in PROTOCOLS if protocol in found}


def _answered(answers: Iterable[Chosen], extension: int) -> Feature | None:
    """Whether an extension, which each of the hellos offered, is answered; some servers do so in one version alone."""
    by_protocol: dict[Protocol, set[bool]] = {}
    for answer in answers:
        by_protocol.setdefault(answer.protocol, set()).add(extension in answer.extensions)
    if not by_protocol:
        return None
    states = {state for found in by_protocol.values() for state in found}
    if len(states) == 1:
        return Feature(state="yes" if states.pop() else "no")
    newest = max(by_protocol, key=PROTOCOLS.index)
    without = [protocol for protocol in PROTOCOLS if by_protocol.get(protocol) == {False}]
    sometimes = [protocol for protocol in PROTOCOLS if len(by_protocol.get(protocol, ())) > 1]
    reason = "; ".join(
        f"{words} {', '.join(protocols)}"
        for words, protocols in (("not in", without), ("not with every suite in", sometimes))
        if protocols
    )
    return Feature(state="yes" if True in by_protocol[newest] else "no", reason=reason)


def _encrypt_then_mac(answers: Iterable[Chosen]) -> Feature | None:
    """By the picks of CBC suites: with others there is no MAC to put after the encryption (RFC 7366 §2)."""
    answers = tuple(answers)
    found = _answered((answer for answer in answers if is_cbc(answer.suite)), ENCRYPT_THEN_MAC)
    if found is None and answers:
        return Feature(state="unknown", reason="no CBC suite was picked")
    return found


def _heartbeat(answers: Iterable[Chosen]) -> Feature | None:
    answers = tuple(answers)
    found = _answered(answers, HEARTBEAT)
    if found is not None and any(answer.heartbeat == 2 for answer in answers):
        return Feature(state=found.state, reason="it sends heartbeats, and takes none (peer_not_allowed_to_send)")
    return found


def _sentinel(answers: Iterable[Chosen]) -> Feature | None:
    """Whether the highest version is told to those who are brought to agree on less; only for TLS 1.3 it is a must."""
    answers = tuple(answers)
    newest = max((answer.protocol for answer in answers), key=PROTOCOLS.index, default=None)
    older = [answer for answer in answers if answer.protocol in _EXTENDED and answer.protocol != newest]
    if not older:
        return None
    marked = sum(answer.downgrade is not None for answer in older)
    if marked:
        return Feature(state="yes", reason="" if marked == len(older) else "not in every answer")
    if newest == "TLSv1.3":
        return Feature(state="no")
    return Feature(state="unknown", reason="none was seen, but without TLS 1.3 none has to be sent")


def is_cbc(number: int) -> bool:
    """Whether a suite encrypts with a block cipher in CBC mode."""
    known = suite(number)
    return known.mac != "AEAD" and known.encryption.partition("(")[0] in _BLOCK_CIPHERS
