"""`mxprobe ciphers`: what a cipher list means to an OpenSSL, and how it differs from another."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mxprobe.errors import InvalidCipherString, InvalidSetting
from mxprobe.report.ciphers import (
    Evaluated,
    difference_document,
    difference_lines,
    full_document,
    json_text,
    string_document,
    suite_lines,
)
from mxprobe.report.escape import printable
from mxprobe.tls.cipher_differences import differences
from mxprobe.tls.cipher_keywords import words
from mxprobe.tls.cipher_strings import LONGEST, cipher_list, ciphersuites, default_ciphersuites
from mxprobe.tls.openssl_catalogue import GENERATIONS, Generation, generation
from mxprobe.tls.security_level import at_level

if TYPE_CHECKING:
    from mxprobe.cli.options import Format  # the formats of every command, in a module that imports half of the package

LONGEST_LINE = 4 * LONGEST
"""Bytes of a line of standard input: the longest list in the widest UTF-8."""

WARNINGS = 20
"""Unknown words of a list that are warned of one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the command line asks for; `string` ``-`` is standard input, one list a line."""

    string: str
    openssl: str = "3.0"
    ciphersuites: str | None = None
    diff: str | None = None
    diff_openssl: str | None = None
    output: str = "text"


def run(request: Request) -> None:
    """Print what the lists come to.

    Raises:
        InvalidSetting: options that do not go together, or a line of standard input beyond all measure.
        InvalidCipherString: a list is refused, unless it is one of many or asked for as ndjson.
    """
    output = _format(request.output)
    openssl = generation(request.openssl)
    comparing = "--diff" if request.diff is not None else "--diff-openssl" if request.diff_openssl is not None else None
    if request.diff is not None and request.diff_openssl is not None:
        raise InvalidSetting("--diff-openssl", "cannot be together with --diff")
    if request.string == "-" and comparing:
        raise InvalidSetting(comparing, "compares one list, not those of standard input")
    first = _evaluations(request, openssl)
    if request.string == "-":
        _print_many(first, output)
    elif comparing:
        other = openssl if request.diff_openssl is None else generation(request.diff_openssl, comparing)
        string = request.string if request.diff is None else request.diff
        _print_differences(_taken(next(first)), _taken(_evaluated(string, other, request.ciphersuites)), output)
    elif output == "ndjson":
        _print_many(first, output)
    elif output == "json":
        print(json_text(full_document(_taken(next(first))), indent=2))
    else:
        _print_one(_taken(next(first)))


def _format(text: str) -> Format:
    """The value of ``--format``."""
    match text:
        case "text" | "json" | "ndjson":
            return text
    raise InvalidSetting("--format", f"{text!r} is not a format", "text, json, ndjson")


def _evaluations(request: Request, openssl: Generation) -> Iterator[Evaluated]:
    """The one list, or those of standard input as they are read."""
    for string in _lines() if request.string == "-" else (request.string,):
        yield _evaluated(string, openssl, request.ciphersuites)


def _evaluated(string: str, openssl: Generation, tls13: str | None) -> Evaluated:
    before = default_ciphersuites(openssl) if tls13 is None else ciphersuites(tls13, openssl)
    try:
        found = cipher_list(string, openssl)
    except InvalidCipherString as error:
        return Evaluated(string=string, openssl=openssl, suites=None, refusal=error)
    return Evaluated(
        string=string,
        openssl=openssl,
        suites=(*before, *found.suites),
        security_level=found.security_level,
        unknown=found.unknown,
    )


def _taken(each: Evaluated) -> Evaluated:
    if each.refusal is not None:
        raise each.refusal
    return each


def _print_many(each: Iterator[Evaluated], output: Format) -> None:
    """Print lists one after the other; a refused one is data."""
    if output == "json":
        print(json_text([full_document(found) for found in each], indent=2))
        return
    for found in each:
        if output == "ndjson":
            print(json_text(string_document(found)), flush=True)  # somebody may be waiting for the answer to a line
            continue
        print(f"# {printable(found.string, 1000)}")
        if found.refusal is None:
            _print_one(found)
        else:
            print(f"# refused: {printable(found.refusal.reason, 1000)}")


def _print_one(found: Evaluated) -> None:
    """Print the suites, and on standard error what an administrator should know of the list."""
    for line in suite_lines(found.suites or (), found.openssl):
        print(line)
    for word in found.unknown[:WARNINGS]:
        known = [each for each in GENERATIONS if word in words(each)]
        where = f"; OpenSSL {' and '.join(known)} {'know' if len(known) > 1 else 'knows'} it" if known else ""
        _warn(f"{printable(repr(word), 100)} is no word of OpenSSL {found.openssl}, which passes over it{where}")
    if len(found.unknown) > WARNINGS:
        _warn(f"and {len(found.unknown) - WARNINGS} more unknown words")
    if found.suites and found.security_level is not None:
        forbidden = len(found.suites) - len(at_level(found.suites, found.security_level, found.openssl))
        if forbidden:
            _warn(f"{forbidden} of these are never used at security level {found.security_level}")


def _print_differences(first: Evaluated, second: Evaluated, output: Format) -> None:
    found = differences(first.suites or (), second.suites or ())
    if output == "text":
        for line in difference_lines(first, second, found):
            print(line)
    else:
        print(json_text(difference_document(first, second, found), indent=2 if output == "json" else None))


def _warn(text: str) -> None:
    print(f"mxprobe: {text}", file=sys.stderr)


def _lines() -> Iterator[str]:
    """The lines of standard input, without what ends them; bytes that are no UTF-8 are carried along (PEP 383).

    Raises:
        InvalidSetting: a line that would fill the memory, or no standard input at all.
    """
    if sys.stdin is None:
        raise InvalidSetting("standard input", "is closed")
    number = 0
    while line := sys.stdin.buffer.readline(LONGEST_LINE + 2):
        number += 1
        text = line.removesuffix(b"\n").removesuffix(b"\r")
        if len(text) > LONGEST_LINE:
            raise InvalidSetting(f"standard input, line {number}", f"longer than {LONGEST_LINE} bytes")
        yield text.decode("utf-8", "surrogateescape")
