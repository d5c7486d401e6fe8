"""Postfix's cipher grades and exclusions, as the one string that it hands to OpenSSL (`tls_set_ciphers()`)."""

from __future__ import annotations

import re
from typing import Final

from mxprobe.errors import InvalidSetting
from mxprobe.mta.postfix.defaults import Daemon, Parameters

_SEPARATORS = re.compile(r"[, \t\r\n:]+")
_GRADES: Final = ("high", "medium", "low", "export", "null")
_TWO_GRADES_SINCE: Final = (3, 8, 0)
"""Since then ``low`` and ``export`` mean medium, and their parameters are not used."""


class UnusableCiphers(Exception):
    """A grade or exclusion with which no session starts; the text says why, as Postfix logs it. `excluding` is whether
    it is an exclusion."""

    def __init__(self, text: str, *, excluding: bool = False) -> None:
        self.excluding = excluding
        super().__init__(text)


def check_grades(parameters: Parameters, daemon: Daemon) -> None:
    """Whether the grades of a daemon are some, those included that its level does not use.

    Raises:
        InvalidSetting: one is none.
    """
    for name in (f"{daemon}_tls_ciphers", f"{daemon}_tls_mandatory_ciphers"):
        grade = parameters.text(name)
        if grade.lower() not in _GRADES:
            raise InvalidSetting(parameters.where(name), f'{name}: invalid cipher grade: "{grade}"', ", ".join(_GRADES))


def list_of_grade(parameters: Parameters, grade: str) -> str:
    """The parameter that the cipher list of a grade is in.

    Raises:
        UnusableCiphers: the grade does not exist.
    """
    grade = grade.lower()
    if grade not in _GRADES:
        raise UnusableCiphers(f'invalid cipher grade: "{grade}"')
    if grade in ("low", "export") and parameters.postfix >= _TWO_GRADES_SINCE:
        grade = "medium"
    return f"tls_{grade}_cipherlist"


def cipher_string(parameters: Parameters, grade: str, exclusions: str) -> str:
    """The cipher list of a grade without what is excluded; blanks, commas or colons are between `exclusions`.

    Raises:
        UnusableCiphers: the grade does not exist, or an exclusion begins with an operator.
        InvalidSetting: the list of the grade is empty or cannot be evaluated, at which Postfix stops.
    """
    words = [parameters.text(list_of_grade(parameters, grade))]
    for word in _SEPARATORS.split(exclusions):
        if word and word[0] in "!+-@":
            raise UnusableCiphers(f"invalid unary '!+-@' in cipher exclusion: {word}", excluding=True)
        if word:
            words.append(f"!{word}")
    return ":".join(words)
