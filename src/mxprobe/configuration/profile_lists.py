"""Profiles that are written down as lists: versions, suites, groups and signature schemes, by the names users know."""

from __future__ import annotations

import re

from mxprobe.errors import InvalidSetting
from mxprobe.mta.profile import Profile
from mxprobe.terms import Protocol
from mxprobe.tls.code_points import GROUPS, SCHEMES
from mxprobe.tls.suites import fits_hello_of, suite_named


def explicit_profile(
    name: str,
    protocols: tuple[Protocol, ...],
    suites: tuple[str, ...],
    *,
    groups: tuple[str, ...] | None = None,
    signature_schemes: tuple[str, ...] | None = None,
    where: str,
) -> tuple[Profile | None, tuple[InvalidSetting, ...]]:
    """The profile of these lists, or all that is wrong with them; `where` with ``.suites[0]`` and so on is the place.

    Suites have OpenSSL or IANA names, or numbers; groups and signature schemes IANA names or numbers like ``0x001D``.
    """
    mistakes: list[InvalidSetting] = []

    def wrong(key: str, problem: str, allowed: str | None = None) -> None:
        mistakes.append(InvalidSetting(f"{where}.{key}", problem, allowed))

    numbers: dict[int, str] = {}
    for index, text in enumerate(suites):
        suite = suite_named(text, protocols)
        if suite is None:
            wrong(
                f"suites[{index}]",
                f"{_brief(text)} is not a cipher suite that mxprobe knows",
                "OpenSSL names like ECDHE-RSA-AES128-GCM-SHA256, IANA names like TLS_AES_128_GCM_SHA256",
            )
        elif not fits_hello_of(suite.number, protocols):
            problem = f"{text!r} is not of {', '.join(protocols)}"
            wrong(f"suites[{index}]", problem, "in SSLv2 its own kinds, elsewhere all others")
        elif suite.number in numbers:
            wrong(f"suites[{index}]", f"{text!r} is there already, as {numbers[suite.number]!r}")
        else:
            numbers[suite.number] = text
    for index, protocol in enumerate(protocols):
        if protocol in protocols[:index]:
            wrong(f"protocols[{index}]", f"{protocol!r} is there already")
    lists: dict[str, tuple[int, ...] | None] = {}
    for key, words, names, example in (
        ("groups", groups, GROUPS, "x25519, secp256r1, ffdhe2048"),
        ("signature_schemes", signature_schemes, SCHEMES, "rsa_pss_rsae_sha256, ecdsa_secp256r1_sha256"),
    ):
        lists[key] = None
        if words is not None:
            known = {called.lower(): number for number, called in names.items()}
            found: dict[int, str] = {}
            for index, text in enumerate(words):
                point = known.get(text.lower(), _number(text))
                if point is None:
                    allowed = f"IANA names like {example}, numbers like 0x001D"
                    wrong(f"{key}[{index}]", f"{_brief(text)} is not known", allowed)
                elif point in found:
                    wrong(f"{key}[{index}]", f"{text!r} is there already, as {found[point]!r}")
                else:
                    found[point] = text
            lists[key] = tuple(found)
    if mistakes or not numbers:
        return None, tuple(mistakes)
    profile = Profile(
        name=name,
        protocols=protocols,
        suites=tuple(numbers),
        groups=lists["groups"],
        signature_schemes=lists["signature_schemes"],
    )
    return profile, ()


_NUMBER = re.compile(r"0x[0-9a-fA-F]{1,4}\Z")


def _number(text: str) -> int | None:
    return int(text, 16) if _NUMBER.match(text) else None


def _brief(value: str) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
