"""Which words of a Postfix configuration take suites away: it is computed again without each of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from mxprobe.errors import InvalidSetting
from mxprobe.mta.postfix.configuration import Configuration, Place, Setting
from mxprobe.mta.postfix.defaults import Parameters
from mxprobe.mta.profile import NoTls, Profile, ServerProfile

MAX_WORDS: Final = 60
"""Words that are left out in turn: the longest lists that were seen have some twenty, and each takes a millisecond."""

_WORDS = re.compile(r"[,:; \t\r\n]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exclusion:
    """A word without which there would be more suites: these. `parameter` is where it stands, `place` None where that
    is a default. `operator` is what Postfix or OpenSSL is told to do by it; empty where the word is a whole value."""

    word: str
    parameter: str
    suites: frozenset[int]
    operator: str = "!"
    place: Place | None = None

    def __str__(self) -> str:
        """As in a sentence: ``!RSA+AES in smtp_tls_exclude_ciphers``, ``smtpd_tls_eecdh_grade = none``."""
        if not self.operator:
            return f"{self.parameter} = {self.word}"
        return f"{self.operator}{self.word} in {self.parameter}"


def exclusions_of(
    parameters: Parameters,
    side: Literal["smtp", "smtpd"],
    profile_of: Callable[[Configuration], Profile | ServerProfile | NoTls],
    *,
    mandatory: bool,
) -> tuple[Exclusion, ...]:
    """The words that take suites away, in the order of the parameters; `profile_of` computes a configuration."""
    present = _suites(profile_of(parameters.configuration))
    found = []
    for exclusion, changed in _without_each(parameters, side, mandatory=mandatory):
        setting = Setting(name=exclusion.parameter, value=changed, place=exclusion.place or Place(file="default"))
        try:
            more = _suites(profile_of(parameters.configuration.overridden((setting,)))) - present
        except InvalidSetting:
            continue
        if more:
            found.append(
                Exclusion(
                    word=exclusion.word,
                    parameter=exclusion.parameter,
                    suites=more,
                    operator=exclusion.operator,
                    place=exclusion.place,
                )
            )
    return tuple(found)


def _without_each(
    parameters: Parameters, side: Literal["smtp", "smtpd"], *, mandatory: bool
) -> Iterator[tuple[Exclusion, str]]:
    """Every word, and the value of its parameter without it."""

    def exclusion(name: str, word: str, operator: str) -> Exclusion:
        return Exclusion(word=word, parameter=name, suites=frozenset(), operator=operator, place=parameters.place(name))

    lists = [f"{side}_tls_exclude_ciphers"] + ([f"{side}_tls_mandatory_exclude_ciphers"] if mandatory else [])
    for name in lists:
        words = [word for word in _WORDS.split(parameters.text(name)) if word]
        for index, word in enumerate(words[:MAX_WORDS]):
            yield exclusion(name, word, "!"), " ".join(words[:index] + words[index + 1 :])
    grade_name = f"{side}_tls_{'mandatory_' if mandatory else ''}ciphers"
    grade = parameters.text(grade_name).lower()
    if grade in ("high", "medium", "low", "export"):
        name = f"tls_{grade}_cipherlist"
        elements = [word for word in _WORDS.split(parameters.text(name)) if word]
        for index, word in enumerate(elements[:MAX_WORDS]):
            if word[0] in "!-":
                yield exclusion(name, word[1:], word[0]), ":".join(elements[:index] + elements[index + 1 :])
    if grade == "high":
        yield exclusion(grade_name, grade, ""), "medium"
    curves = "smtpd_tls_eecdh_grade"
    if side == "smtpd" and parameters.text(curves).lower() == "none":
        yield exclusion(curves, "none", ""), "strong"


def _suites(profile: Profile | ServerProfile | NoTls) -> frozenset[int]:
    match profile:
        case Profile():
            return frozenset(profile.suites)
        case ServerProfile():
            return frozenset(number for suites in profile.suites.values() for number in suites)
    return frozenset()
