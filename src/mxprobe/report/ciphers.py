"""Cipher lists as ``openssl ciphers -v`` prints them, as JSON, and what differs between two."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mxprobe.errors import InvalidCipherString
from mxprobe.report.escape import printable
from mxprobe.tls.cipher_differences import Differences
from mxprobe.tls.openssl_catalogue import CatalogueSuite, Generation, catalogue


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated:
    """A cipher list and what it came to.

    Attributes:
        string: The list as it was given.
        openssl: Whose list it is.
        suites: Code points in order, those of TLS 1.3 first as OpenSSL puts them; None where OpenSSL refuses the list.
        security_level: What ``@SECLEVEL`` in it sets.
        unknown: Words that OpenSSL passes over.
        refusal: Why it is refused.
    """

    string: str
    openssl: Generation
    suites: tuple[int, ...] | None
    security_level: int | None = None
    unknown: tuple[str, ...] = ()
    refusal: InvalidCipherString | None = None

    def names(self) -> list[str] | None:
        """OpenSSL's names of the suites, in order."""
        return None if self.suites is None else [each.name for each in _described(self.suites, self.openssl)]


def suite_lines(numbers: Iterable[int], openssl: Generation) -> Iterable[str]:
    """A line for each suite, in the columns of that OpenSSL's own ``openssl ciphers -v``."""
    return (_line(each, openssl) for each in _described(numbers, openssl))


def difference_lines(first: Evaluated, second: Evaluated, found: Differences) -> Iterable[str]:
    """What the first list has (``-``), what the second has (``+``), what stands elsewhere (``~``), as in a diff."""
    yield f"--- OpenSSL {first.openssl}: {printable(first.string, _SHOWN)}"
    yield f"+++ OpenSSL {second.openssl}: {printable(second.string, _SHOWN)}"
    if not found:
        count = len(first.suites or ())
        yield f"the same {count} suite{'' if count == 1 else 's'} in the same order"
    yield from (f"- {line}" for line in suite_lines(found.only_first, first.openssl))
    yield from (f"+ {line}" for line in suite_lines(found.only_second, second.openssl))
    names = catalogue(second.openssl)
    yield from (f"~ {names[each.number].name:30} place {each.first} -> {each.second}" for each in found.moved)


def string_document(each: Evaluated) -> dict[str, Any]:
    """A list as ndjson has it: the string and OpenSSL's names."""
    return {"string": each.string, "ciphers": each.names()}


def full_document(each: Evaluated) -> dict[str, Any]:
    """A list as JSON has it: also which OpenSSL, what it sets, and every suite in its parts."""
    return {
        **string_document(each),
        "openssl": each.openssl,
        "security_level": each.security_level,
        "unknown": list(each.unknown),
        "suites": [_parts(known) for known in _described(each.suites or (), each.openssl)],
        "refusal": None if each.refusal is None else each.refusal.reason,
    }


def difference_document(first: Evaluated, second: Evaluated, found: Differences) -> dict[str, Any]:
    """What differs, as JSON."""
    names = catalogue(second.openssl)
    return {
        "first": {"string": first.string, "openssl": first.openssl, "ciphers": first.names()},
        "second": {"string": second.string, "openssl": second.openssl, "ciphers": second.names()},
        "only_first": [each.name for each in _described(found.only_first, first.openssl)],
        "only_second": [each.name for each in _described(found.only_second, second.openssl)],
        "moved": [
            {"name": names[each.number].name, "first": each.first, "second": each.second} for each in found.moved
        ],
    }


def json_text(document: Any, *, indent: int | None = None) -> str:
    """JSON in ASCII, so that bytes which were no UTF-8 survive (as ``\\udc80``) whatever the locale."""
    return json.dumps(document, indent=indent)


def _described(numbers: Iterable[int], openssl: Generation) -> list[CatalogueSuite]:
    known = catalogue(openssl)
    return [known[number] for number in numbers]


def _line(known: CatalogueSuite, openssl: Generation) -> str:
    name, version, exchange, authentication, encryption = _COLUMNS[openssl]
    return (
        f"{known.name:{name}} {known.protocol:{version}} Kx={known.key_exchange:{exchange}} "
        f"Au={known.authentication:{authentication}} Enc={known.encryption:{encryption}} Mac={known.mac:4}"
        + (" export" if known.export else "")
    )


def _parts(known: CatalogueSuite) -> dict[str, Any]:
    return {
        "number": f"0x{known.number:04X}",
        "name": known.name,
        "protocol": known.protocol,
        "key_exchange": known.key_exchange,
        "authentication": known.authentication,
        "encryption": known.encryption,
        "mac": known.mac,
        "bits": known.bits,
        "export": known.export,
    }


_COLUMNS: dict[Generation, tuple[int, int, int, int, int]] = {
    "1.0.2": (23, 0, 8, 4, 9),
    "1.1.1": (23, 0, 8, 4, 9),
    "3.0": (30, 7, 8, 5, 22),
}
"""The widths in `SSL_CIPHER_description`: name, version, key exchange, authentication, encryption."""

_SHOWN = 400
"""Characters of a list in the head of a comparison."""
