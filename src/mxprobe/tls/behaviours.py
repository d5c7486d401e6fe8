"""What a server does about hellos out of the ordinary: features that have to be asked for, and what it stumbles over.

A "no" needs a control: the same hello without the peculiarity works. A server that falls silent is asked the control,
then the same again: silent twice while the control is answered means that it hangs on such hellos; anything less is
unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from mxprobe.terms import PROTOCOLS, Protocol
from mxprobe.tls.code_points import (
    FALLBACK_SCSV,
    SECP256R1,
    SUPPORTED_VERSIONS,
    TLS1_3,
    TLS12_GROUPS,
    TLS12_SCHEMES,
    TLS13_GROUPS,
    TLS13_SCHEMES,
    X25519,
)
from mxprobe.tls.endings import ending_text
from mxprobe.tls.free_facts import Feature
from mxprobe.tls.offer import Answer, Chosen, Closed, Garbled, Offer, Refused, Silent
from mxprobe.tls.sweep import CONTROL, SuitesFound, Sweep, ask, sure_answer
from mxprobe.tls.wire import numbers

LARGE_HELLO: Final = 1800
"""Bytes of a hello with a share of X25519MLKEM768 beside one of x25519, as browsers send it: more than one packet."""

FRAGMENT: Final = 64
"""Bytes of a record of a fragmented hello: the smallest that may be agreed on (RFC 8449 §4)."""

MAX_SUITES: Final = 32
"""Suites of a hello that is to be answered at any rate: some servers stop reading at more."""

# RFC 8701 §2: one of sixteen values each.
_GREASE: Final = 0x0A0A
_GREASE_GROUP: Final = 0x1A1A
_GREASE_SCHEME: Final = 0x2A2A
_GREASE_VERSION: Final = 0x3A3A
_GREASE_EXTENSIONS: Final = ((0x4A4A, b""), (0x5A5A, b"\0"))

_INAPPROPRIATE_FALLBACK: Final = 86
_DEFLATE_LZS_NULL: Final = (1, 64, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class NameEffect:
    """What the server name does (RFC 6066 §3): without it the *same* certificate, an *other* one, or a refusal."""

    effect: Literal["same", "other", "refused", "unknown"]
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Features that take a hello of their own."""

    compression: Feature
    ocsp_staple: Feature
    fallback_scsv: Feature
    server_name: NameEffect | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Coped:
    """What a server copes with: *yes* as with any hello, *no* with how it fails."""

    grease: Feature
    newer_version: Feature
    large_hello: Feature
    fragmented_hello: Feature


def features(found: Mapping[Protocol, SuitesFound], server_name: str | None) -> Sweep[Asked]:
    """Compression, OCSP staple, fallback SCSV and server name: up to six hellos.

    `found` are the suites of each version; None of the server name is None where none was sent.
    """
    compression = yield from _compression(found, server_name)
    staple = yield from _staple(found, server_name)
    fallback = yield from _fallback(found, server_name)
    effect = (yield from _without_name(found, server_name)) if server_name else None
    return Asked(compression=compression, ocsp_staple=staple, fallback_scsv=fallback, server_name=effect)


def stumbles(found: Mapping[Protocol, SuitesFound], server_name: str | None) -> Sweep[Coped]:
    """GREASE, newer versions, large and fragmented hellos: five hellos where nothing fails, two or three more for each
    that does. One after the other: two silences in a row would end the probe of the endpoint."""
    newest = _newest(found, PROTOCOLS[2:])
    if newest is None:
        unknown = Feature(state="unknown", reason="no version of TLS is known to be accepted")
        return Coped(grease=unknown, newer_version=unknown, large_hello=unknown, fragmented_hello=unknown)
    plain = _plain(newest, server_name)
    return Coped(
        large_hello=(yield from copes(replace(plain, least_length=LARGE_HELLO), plain)),
        fragmented_hello=(yield from copes(replace(plain, record_length=FRAGMENT), plain)),
        grease=(yield from copes(_greased(plain), plain)),
        newer_version=(yield from _newer_version(found, server_name)),
    )


def copes(peculiar: Offer, plain: Offer) -> Sweep[Feature]:
    """Whether a server answers a hello as it answers the same hello without the peculiarity."""
    answer = yield from sure_answer(peculiar)
    if isinstance(answer, Chosen):
        return _chosen_from(plain, answer)
    control = yield from ask(replace(plain, attempt=CONTROL))
    if not isinstance(control, Chosen):
        reason = f"{ending_text(answer)}; and without the peculiarity: {ending_text(control)}"
        return Feature(state="unknown", reason=reason)
    if isinstance(answer, Silent) and answer.stage == "hello":
        again = yield from ask(replace(peculiar, attempt=2))
        if isinstance(again, Silent) and again.stage == "hello":
            return Feature(state="no", reason=f"hangs: twice {ending_text(again)}, while an ordinary hello is answered")
        if isinstance(again, Chosen):
            return _chosen_from(plain, again)
        answer = again
    if isinstance(answer, Refused) or (isinstance(answer, Closed | Garbled) and answer.stage == "hello"):
        return Feature(state="no", reason=ending_text(answer))
    return Feature(state="unknown", reason=ending_text(answer))


def _chosen_from(plain: Offer, answer: Chosen) -> Feature:
    if answer.suite not in plain.suites:
        return Feature(state="no", reason=f"it chose suite 0x{answer.suite:04X}, which means nothing")
    return Feature(state="yes")


def _greased(plain: Offer) -> Offer:
    """The hello with a value out of RFC 8701 in each list, before all others."""
    modern = plain.protocol == "TLSv1.3"
    further: tuple[tuple[int, bytes], ...] = _GREASE_EXTENSIONS
    if modern:
        further = ((SUPPORTED_VERSIONS, numbers(1, 2, (_GREASE_VERSION, TLS1_3))), *further)
    return replace(
        plain,
        suites=(_GREASE, *plain.suites),
        groups=(_GREASE_GROUP, *(TLS13_GROUPS if modern else TLS12_GROUPS)),
        signature_schemes=(_GREASE_SCHEME, *(TLS13_SCHEMES if modern else TLS12_SCHEMES))
        if plain.protocol in ("TLSv1.2", "TLSv1.3")
        else None,
        extensions=further,
    )


def _newer_version(found: Mapping[Protocol, SuitesFound], server_name: str | None) -> Sweep[Feature]:
    """A hello whose version is 3.4, and one whose is 3.5, by itself: it is to be answered by the highest that the
    server knows (RFC 5246 appendix E.1), and by TLS 1.2 at most where it knows TLS 1.3 (RFC 8446 §4.2.1)."""
    newest = _newest(found, PROTOCOLS[2:5])
    if newest is None:
        return Feature(state="unknown", reason="no version before TLS 1.3 is known to be accepted")
    plain = _plain(newest, server_name)
    for version in (TLS1_3, TLS1_3 + 1):
        coped = yield from copes(replace(plain, legacy_version=version), plain)
        if coped.state != "yes":
            return replace(coped, reason=f"version 3.{version & 0xFF}: {coped.reason}")
    return coped


def _compression(found: Mapping[Protocol, SuitesFound], server_name: str | None) -> Sweep[Feature]:
    newest = _newest(found, PROTOCOLS[1:5])
    if newest is None:
        if any(found[protocol].accepted for protocol in found):
            return Feature(state="no", reason="no version that has compression is accepted")
        return Feature(state="unknown", reason="no version is known to be accepted")
    answer = yield from sure_answer(replace(_plain(newest, server_name), compression=_DEFLATE_LZS_NULL))
    if not isinstance(answer, Chosen):
        return Feature(state="unknown", reason=f"asked for compression: {ending_text(answer)}")
    return Feature(state="yes" if answer.compression else "no", reason=_COMPRESSIONS.get(answer.compression, ""))


_COMPRESSIONS: Final = {1: "DEFLATE (RFC 3749)", 64: "LZS (RFC 3943)"}


def _staple(found: Mapping[Protocol, SuitesFound], server_name: str | None) -> Sweep[Feature]:
    """Where no older version is accepted, that of TLS 1.3 is looked for, in the encrypted part of its flight."""
    newest = _newest(found, PROTOCOLS[2:5]) or _newest(found, PROTOCOLS[5:])
    if newest is None:
        return Feature(state="unknown", reason="no version of TLS is known to be accepted")
    answer = yield from sure_answer(
        replace(_plain(newest, server_name), status_request=True, key_shares=_shares(newest))
    )
    if not isinstance(answer, Chosen):
        return Feature(state="unknown", reason=f"asked for an OCSP response: {ending_text(answer)}")
    if not answer.staple and (answer.reached == "selected" or not answer.certificates):
        return Feature(state="unknown", reason=f"no certificate was seen: {ending_text(answer)}")
    return Feature(state="yes" if answer.staple else "no")


def _fallback(found: Mapping[Protocol, SuitesFound], server_name: str | None) -> Sweep[Feature]:
    """A hello one version below the highest that says so (RFC 7507 §3): a server that knows better refuses it."""
    accepted = [protocol for protocol in PROTOCOLS[1:] if protocol in found and found[protocol].accepted]
    if len(accepted) < 2:
        return Feature(state="unknown", reason="there are no two versions between which to fall back")
    lower = _plain(found[accepted[-2]], server_name)
    answer = yield from sure_answer(replace(lower, suites=(*lower.suites, FALLBACK_SCSV)))
    if isinstance(answer, Refused) and answer.alert == _INAPPROPRIATE_FALLBACK:
        return Feature(state="yes")
    if isinstance(answer, Chosen):
        return Feature(state="no")
    return Feature(state="unknown", reason=f"asked for {lower.protocol} as a fallback: {ending_text(answer)}")


def _without_name(found: Mapping[Protocol, SuitesFound], server_name: str) -> Sweep[NameEffect]:
    """The same hello with the name and without; with it, the sweep of the suites has mostly seen the certificate."""
    newest = _newest(found, PROTOCOLS[2:5]) or _newest(found, PROTOCOLS[5:])
    if newest is None:
        return NameEffect(effect="unknown", reason="no version of TLS is known to be accepted")
    known = next((pick for pick in newest.accepted if pick.certificates), newest.accepted[0])
    named = replace(_plain(newest, server_name), suites=(known.suite,), key_shares=_shares(newest))
    before: Answer = known
    if not known.certificates:
        before = yield from sure_answer(named)
    after = yield from sure_answer(replace(named, server_name=None))
    if isinstance(before, Chosen) and isinstance(after, Chosen) and before.certificates and after.certificates:
        return NameEffect(effect="same" if before.certificates[0] == after.certificates[0] else "other")
    if isinstance(before, Chosen) and (isinstance(after, Refused) or _closed(after)):
        return NameEffect(effect="refused", reason=ending_text(after))
    return NameEffect(effect="unknown", reason=f"without the name: {ending_text(after)}")


def _closed(answer: Answer) -> bool:
    return isinstance(answer, Closed) and answer.stage == "hello"


def _newest(found: Mapping[Protocol, SuitesFound], protocols: tuple[Protocol, ...]) -> SuitesFound | None:
    """What was found of the newest of these versions that is accepted."""
    return next((found[each] for each in reversed(protocols) if each in found and found[each].accepted), None)


def _plain(suites: SuitesFound, server_name: str | None) -> Offer:
    """A hello that the server has shown to take."""
    name = None if suites.protocol == "SSLv3" else server_name
    # A server of TLS 1.3 that did not ask for a key share had one, and may not ask.
    shares = () if suites.accepted[0].hello_retry else _shares(suites)
    return Offer(protocol=suites.protocol, suites=suites.suites[:MAX_SUITES], server_name=name, key_shares=shares)


def _shares(suites: SuitesFound) -> tuple[int, ...]:
    """Key shares for a hello of TLS 1.3 that is to show the certificate: x25519 and secp256r1."""
    return (X25519, SECP256R1) if suites.protocol == "TLSv1.3" else ()
