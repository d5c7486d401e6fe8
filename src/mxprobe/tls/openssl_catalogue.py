"""Which cipher suites an OpenSSL has, in its own order and words, for the three generations that mail servers run."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Literal, get_args

from mxprobe.errors import InvalidSetting

Generation = Literal["1.0.2", "1.1.1", "3.0"]
"""An OpenSSL, as far as its cipher lists go. Patch letters and numbers change nothing that a list selects."""

GENERATIONS: tuple[Generation, ...] = get_args(Generation)
"""Oldest first."""

SuiteVersion = Literal["SSLv2", "SSLv3", "TLSv1", "TLSv1.2", "TLSv1.3"]
"""The oldest version in which an OpenSSL takes a suite, as ``openssl ciphers -v`` prints it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueSuite:
    """A suite as one OpenSSL describes it (`SSL_CIPHER_description`).

    Attributes:
        number: The code point; SSLv2 kinds have 24 bits.
        name: OpenSSL's name, the only one that its cipher lists know.
        protocol: The oldest version in which this OpenSSL takes the suite. It takes it in all later ones up to
            TLS 1.2, but for SSLv2 and TLS 1.3, whose suites are theirs alone.
        key_exchange: As printed after ``Kx=``; ``any`` in TLS 1.3.
        authentication: As printed after ``Au=``.
        encryption: As printed after ``Enc=``, with the bits of the key.
        mac: As printed after ``Mac=``.
        bits: The bits of secret key that count (`SSL_CIPHER_get_bits`), by which ``@STRENGTH`` sorts: 112 for 3DES.
        export: Whether it is one of the export suites of OpenSSL 1.0.2.
        classes: So `s3_lib.c` calls it: ``HIGH``, ``MEDIUM``, ``LOW``, ``EXP40``, ``NONE``, ``FIPS``, ``NOT_DEFAULT``.
    """

    number: int
    name: str
    protocol: SuiteVersion
    key_exchange: str
    authentication: str
    encryption: str
    mac: str
    bits: int
    export: bool
    classes: frozenset[str]


def generation(text: str, where: str = "--openssl") -> Generation:
    """The generation that an OpenSSL version belongs to: ``1.0.2k`` is 1.0.2, ``3.0.7`` is 3.0.

    Raises:
        InvalidSetting: no OpenSSL of which there is a catalogue.
    """
    known = _VERSION.match(text.strip())
    if known is None:
        raise InvalidSetting(
            where, f"no OpenSSL that is known: {text!r}", f"{', '.join(GENERATIONS)}, with or without a patch level"
        )
    return next(each for each in GENERATIONS if each in known.groups())


@cache
def catalogue(openssl: Generation) -> Mapping[int, CatalogueSuite]:
    """The suites of an OpenSSL by number, in the order of ``ALL:COMPLEMENTOFALL``: TLS 1.3, ciphers, NULL ciphers.

    TLS 1.3 suites that it takes only when `Ciphersuites` names them follow its default ones.
    """
    path = os.path.join(os.path.dirname(__file__), "openssl", f"{openssl}.tsv")
    with open(path, encoding="utf-8") as file:
        lines = file.read().splitlines()[2:]
    suites: dict[int, CatalogueSuite] = {}
    for line in lines:
        number, name, protocol, exchange, authentication, encryption, mac, bits, classes, extra = line.split("\t")
        suites[int(number, 16)] = CatalogueSuite(
            number=int(number, 16),
            name=name,
            protocol=_VERSIONS[protocol],
            key_exchange=exchange,
            authentication=authentication,
            encryption=encryption,
            mac=mac,
            bits=int(bits),
            export=extra == "export",
            classes=frozenset(classes.split()),
        )
    return MappingProxyType(suites)


_VERSION = re.compile(r"(?:(1\.0\.2|1\.1\.1)[a-z]{0,2}|(3\.0)(?:\.\d{1,3})?)(?:-[\w.-]{1,32})?\Z", re.ASCII)
"""With the patch level and the build's suffix that ``openssl version`` prints: 1.0.2k-fips, 3.0.7, 3.0.0-beta1."""
_VERSIONS: dict[str, SuiteVersion] = {version: version for version in get_args(SuiteVersion)}
