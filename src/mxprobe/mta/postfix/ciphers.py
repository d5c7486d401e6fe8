"""Postfix's cipher grades and exclusions, as the one string that it hands to OpenSSL (`tls_set_ciphers()`)."""

from __future__ import annotations

import re
from typing import Final

from mxprobe.mta.postfix.defaults import Parameters

_SEPARATORS = re.compile(r"[, \t\r\n:]+")
_GRADES: Final = ("high", "medium", "low", "export", "null")
_TWO_GRADES_SINCE: Final = (3, 8, 0)
"""Since then ``low`` and ``export`` mean medium, and their parameters are not used."""


class UnusableCiphers(Exception):
    """A grade or exclusion with which no session starts; the text says why, as Postfix logs it."""


def cipher_string(parameters: Parameters, grade: str, exclusions: str) -> str:
    """The cipher list of a grade without what is excluded; blanks, commas or colons are between `exclusions`.

    Raises:
        UnusableCiphers: the grade does not exist, or an exclusion begins with an operator.
        InvalidSetting: the list of the grade is empty or cannot be evaluated, at which Postfix stops.
    """
    grade = grade.lower()
    if grade not in _GRADES:
        raise UnusableCiphers(f'invalid cipher grade: "{grade}"')
    if grade in ("low", "export") and parameters.postfix >= _TWO_GRADES_SINCE:
        grade = "medium"
    words = [parameters.text(f"tls_{grade}_cipherlist")]
    for word in _SEPARATORS.split(exclusions):
        if word and word[0] in "!+-@":
            raise UnusableCiphers(f"invalid unary '!+-@' in cipher exclusion: {word}")
        if word:
            words.append(f"!{word}")
    return ":".join(words)
