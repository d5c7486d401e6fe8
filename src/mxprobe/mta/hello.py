"""Profiles from hellos: what a recorded ClientHello says of the software that sent it, and what it cannot say.

A hello of TLS 1.3 lists every version that its sender would speak. An older one names the newest alone: how far down
the sender would go is not on the wire, and is told beside the hello or assumed (`versions_of_hello`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from mxprobe.errors import InvalidSetting
from mxprobe.mta.profile import Profile
from mxprobe.terms import PROTOCOLS, Protocol
from mxprobe.tls.client_hello import ClientHello, decode_client_hello
from mxprobe.tls.code_points import PROTOCOL_OF, SSL2, SSL3, TLS1_2
from mxprobe.tls.suites import SIGNALLING
from mxprobe.tls.wire import WireError

MAX_HELLO: Final = 65_536
"""Bytes of a hello, record headers included, that are taken: one of OpenSSL with every suite has 600, with hybrid key
shares 2,000; the length of a record of TLS goes to 16,384 and a longer hello is an attack on our memory."""


def profile_of_hello(
    name: str, hello: bytes, source: str = "", *, protocols: tuple[Protocol, ...] | None = None
) -> Profile:
    """What the sender of this ClientHello (records included) offers.

    Lists are in the order of the hello, each value once. GREASE (RFC 8701) and suites that only signal stay in `hello`
    and out of the lists, for nobody can pick them. `protocols` are the versions that the sender speaks, where that is
    known from elsewhere; they must not contradict the hello.

    Raises:
        InvalidSetting: it is no ClientHello, offers nothing that we know, or contradicts `protocols`.
    """
    where = f"profile {name}"
    if len(hello) > MAX_HELLO:
        raise InvalidSetting(where, f"its hello has {len(hello)} bytes", f"{MAX_HELLO}")
    try:
        decoded = decode_client_hello(hello)
    except WireError as error:
        raise InvalidSetting(where, f"its hello cannot be read: {error}") from error
    versions = versions_of_hello(decoded)
    if not versions:
        raise InvalidSetting(where, "its hello offers no version that is known", ", ".join(PROTOCOLS))
    if protocols is not None:
        if problem := contradiction(decoded, protocols):
            raise InvalidSetting(where, problem)
        versions = protocols
    return Profile(
        name=name,
        protocols=versions,
        suites=_once(number for number in decoded.suites if number not in SIGNALLING),
        groups=_once(decoded.groups or ()),
        signature_schemes=_once(decoded.signature_schemes or ()),
        key_shares=_once(decoded.key_shares or ()),
        hello=hello,
        source=source,
    )


def versions_of_hello(hello: ClientHello) -> tuple[Protocol, ...]:
    """The versions that a hello offers, oldest first; empty if none is known.

    With supported_versions (RFC 8446 §4.2.1) it is those. Without, the hello names its newest version, and the
    rest is assumed: from TLS 1.0 on; from SSLv3 on in a hello of SSLv2 form, which only a client makes that cares for
    servers of that age (RFC 5246 appendix E.2), and SSLv2 where that hello lists its cipher kinds.
    """
    if hello.versions is not None:
        offered = {PROTOCOL_OF.get(number) for number in hello.versions}
        return tuple(protocol for protocol in PROTOCOLS if protocol in offered)
    newest = _newest(hello)
    if newest is None:
        return ()
    if newest in ("SSLv2", "SSLv3") and hello.record_version != SSL2:
        return (newest,)
    oldest: Protocol = "TLSv1"
    if hello.record_version == SSL2:
        oldest = "SSLv2" if any(number > 0xFFFF for number in hello.suites) else "SSLv3"
    return PROTOCOLS[PROTOCOLS.index(oldest) : PROTOCOLS.index(newest) + 1]


def contradiction(hello: ClientHello, protocols: tuple[Protocol, ...]) -> str:
    """Why the sender of this hello cannot be one that speaks these versions; empty if it can.

    What is on the wire decides: all of supported_versions, or the newest version. SSLv2 needs a hello of its form.
    """
    on_the_wire = versions_of_hello(hello)
    if hello.versions is not None:
        if set(protocols) != set(on_the_wire):
            return f"its hello offers {', '.join(on_the_wire) or 'no known version'}, not {', '.join(protocols)}"
        return ""
    newest = _newest(hello)
    if newest is None or max(map(PROTOCOLS.index, protocols), default=-1) != PROTOCOLS.index(newest):
        return f"the newest version of its hello is {newest or 'unknown'}, not that of {', '.join(protocols)}"
    if "SSLv2" in protocols and "SSLv2" not in on_the_wire:
        return "its hello is not one of SSLv2, and could not be answered in it"
    return ""


def is_grease(number: int) -> bool:
    """Whether a number of 16 bits is one of those that stand for nothing (RFC 8701 §2): 0x0A0A, 0x1A1A, ... 0xFAFA."""
    return number & 0x0F0F == 0x0A0A and number >> 8 == number & 0xFF


def _newest(hello: ClientHello) -> Protocol | None:
    """The version in the old field. Newer than TLS 1.2 it counts as TLS 1.2 (RFC 8446 §4.2.1)."""
    if hello.legacy_version < SSL3:
        return "SSLv2" if hello.record_version == SSL2 and hello.legacy_version == SSL2 else None
    return PROTOCOL_OF[min(hello.legacy_version, TLS1_2)]


def _once(numbers: Iterable[int]) -> tuple[int, ...]:
    return tuple(number for number in dict.fromkeys(numbers) if not is_grease(number))
