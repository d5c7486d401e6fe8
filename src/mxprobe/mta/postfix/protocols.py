"""Postfix's lists of protocols: what each version reads, and what of an OpenSSL a list leaves.

From `tls_protocol_mask()` and, since 3.6, `tls_proto_mask_lims()` of `tls_misc.c`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from mxprobe.mta.postfix.version import PostfixVersion
from mxprobe.terms import PROTOCOLS, Protocol
from mxprobe.tls.code_points import PROTOCOL_OF, VERSIONS

_SEPARATORS = re.compile(r"[, \t\r\n:]+")
_HEXADECIMAL = re.compile(r"\s*\+?(?:0[xX])?([0-9a-fA-F]{0,8})\Z")
_BOUNDS_SINCE: Final = (3, 6, 0)
_TLS13_SINCE: Final = (3, 0, 0)
_TLS11_SINCE: Final = ((2, 6, 15), (2, 7, 0), (2, 7, 9), (2, 8, 0), (2, 8, 10), (2, 9, 0), (2, 9, 2))
"""By turns since when TLSv1.1 and TLSv1.2 are names, and the first release of the next branch, where they are not."""

_MOST: Final = 0x7FFFFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolList:
    """What a list leaves out; `floor` and `ceiling` are version numbers, 0 for none."""

    excluded: frozenset[Protocol]
    floor: int = 0
    ceiling: int = 0

    def allows(self, protocol: Protocol) -> bool:
        """Whether the list leaves a protocol."""
        number = VERSIONS[protocol]
        if protocol in self.excluded or (protocol == "SSLv2" and self.floor):
            return False
        return (not self.floor or number >= self.floor) and (not self.ceiling or number <= self.ceiling)


class UnknownProtocol(Exception):
    """A word of a list that this version does not know: `word`. The whole list is invalid then."""

    def __init__(self, word: str) -> None:
        self.word = word
        super().__init__(word)


def known_protocols(postfix: PostfixVersion) -> tuple[Protocol, ...]:
    """The names that a version knows. What it has no name for, no list can exclude."""
    if postfix >= _TLS13_SINCE:
        return PROTOCOLS
    passed = sum(since <= postfix for since in _TLS11_SINCE)
    return PROTOCOLS[:-1] if passed % 2 else PROTOCOLS[:3]


def read_protocol_list(text: str, postfix: PostfixVersion) -> ProtocolList:
    """Read a list such as ``!SSLv2, !SSLv3``, ``TLSv1.2``, or ``>=TLSv1.2``. Names have no case.

    Where any protocol is included by name, all others that the version knows are excluded.

    Raises:
        UnknownProtocol: a word of it is not known to this version.
    """
    known = {name.lower(): name for name in known_protocols(postfix)}
    excluded: set[Protocol] = set()
    included: set[Protocol] = set()
    floor = ceiling = 0
    for word in _SEPARATORS.split(text):
        if not word:
            continue
        if postfix >= _BOUNDS_SINCE and word.startswith(">="):
            floor = _bound(word)
        elif postfix >= _BOUNDS_SINCE and word.startswith("<="):
            ceiling = _bound(word)
        else:
            name = known.get(word.removeprefix("!").lower())
            if name is None:
                raise UnknownProtocol(word)
            (excluded if word[0] == "!" else included).add(name)
    if included:
        excluded |= set(known.values()) - included
    return ProtocolList(excluded=frozenset(excluded), floor=_usable(floor), ceiling=_usable(ceiling))


def _bound(word: str) -> int:
    """The version number of ``>=TLSv1.2``, ``>=0303`` or ``<=None``."""
    text = word[2:]
    if text.lower() == "none":
        return 0
    for protocol, number in VERSIONS.items():
        if text.lower() == protocol.lower() and protocol != "SSLv2":
            return number
    digits = _HEXADECIMAL.match(text)
    if not digits or int(digits[1] or "0", 16) > _MOST:
        raise UnknownProtocol(word)
    return int(digits[1] or "0", 16)


def _usable(number: int) -> int:
    """OpenSSL refuses bounds that are no TLS version (`SSL_CTX_set_min_proto_version(3)`), and Postfix goes on."""
    return number if number in PROTOCOL_OF and number != VERSIONS["SSLv2"] else 0
