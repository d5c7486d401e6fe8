"""Which cipher suites are weak, judged by their names: the one place that says so.

RFC 9325 §4.1 (NULL, export, RC4, below 112 bits), RFC 8429 and NIST SP 800-131A (3DES), RFC 6151 (MD5). Authentication
is optional in opportunistic mail encryption, so an anonymous suite is marked because it rules a certificate out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal, get_args

Weakness = Literal["NULL", "anonymous", "export", "RC4", "DES", "3DES", "MD5"]
WEAKNESSES: tuple[Weakness, ...] = get_args(Weakness)

_WORD = re.compile(r"[^A-Za-z0-9]+")
_TRIPLE_DES = frozenset({"3DES", "CBC3", "EDE3"})
_MARKS: tuple[tuple[Weakness, re.Pattern[str]], ...] = (
    ("NULL", re.compile(r"E?NULL\Z", re.IGNORECASE)),
    ("anonymous", re.compile(r"(ADH|AECDH|ANON)\Z", re.IGNORECASE)),
    ("export", re.compile(r"EXP(ORT)?[0-9]*\Z")),
    ("RC4", re.compile(r"RC4\Z")),
    ("MD5", re.compile(r"MD5\Z")),
)
_INTEGRITY_ONLY = re.compile(r"TLS_(SHA256_SHA256|SHA384_SHA384)\Z")  # RFC 9150: no encryption at all


def weaknesses(*names: str | None) -> tuple[Weakness, ...]:
    """What is weak about the suite that goes by these names (OpenSSL's, IANA's, SSLv2's); empty when nothing is.

    Any of the names suffices; a suite known only by its number is not judged.
    """
    return tuple(dict.fromkeys(weakness for name in names if name for weakness in _of_name(name)))


def _of_name(name: str) -> Iterable[Weakness]:
    words = frozenset(_WORD.split(name))
    if _INTEGRITY_ONLY.match(name):
        yield "NULL"
    for weakness, pattern in _MARKS:
        if any(pattern.match(word) for word in words):
            yield weakness
    if words & _TRIPLE_DES:
        yield "3DES"
    elif any(re.match(r"DES[0-9]*\Z", word) for word in words):
        yield "DES"
