"""The `$name` expressions of Postfix's configuration files, as `mac_expand(3)` of Postfix evaluates them.

``$name``, ``${name}``, ``$(name)``, ``${name?text}``, ``${name:text}``, ``${name?{text}:{text}}`` and the relational
``${{text} == {text} ? {text} : {text}}``, nested (postconf(5), introduction). A name that is not defined is empty.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

MAX_NESTING: Final = 100
"""Calls within calls: the bound of `mac_expand(3)`, which is how Postfix notices a loop."""

MAX_CALLS: Final = 20_000
"""Expressions that one value may come to. Postfix has no such bound, and hangs on thirty doublings; no real
configuration has a thousand."""

MAX_LENGTH: Final = 1_000_000
"""Characters that one value may come to, for the same reason."""

_BLANKS: Final = " \t\r\n"
_OPERATORS: Final = "<>!=?+-*/~&|%"
_COMPARISONS: Final = ("==", "!=", "<", "<=", ">=", ">")
_NAME = re.compile(r"[A-Za-z0-9_]*")
_SUFFIX = re.compile(r"[A-Za-z0-9]*")
_LEVEL = re.compile(r"(\d{1,9})(?:\.(\d{1,4}))?(?:\.(\d{1,4}))?\Z")
_CLOSING: Final = {"{": "}", "(": ")"}


class ExpansionError(Exception):
    """A value at which every Postfix daemon that needs it would stop; the text says why."""


Lookup = Callable[[str], str | None]
"""The value of a name as it is written, not expanded; None if there is none."""


def expand(text: str, lookup: Lookup) -> str:
    """The value that `text` comes to.

    Raises:
        ExpansionError: it has a syntax error that it takes an evaluation to meet, or it refers to itself.
    """
    expansion = _Expansion(lookup)
    expansion.text(text, 0)
    return "".join(expansion.result)


def unclosed(text: str) -> str | None:
    """What is wrong with a value that ends within an expression, as one half-written does; None if nothing is."""
    at = 0
    while 0 <= (at := text.find("$", at)) < len(text):
        follows = text[at + 1 : at + 2]
        if follows == "$":
            at += 2
        elif follows in _CLOSING and follows:
            end = _closed_at(text, at + 1)
            if end is None:
                return f"{_shown(text[at:])} is never closed"
            at = end
        else:
            at += 1
    return None


def _closed_at(text: str, opening: int) -> int | None:
    """The place after the bracket that closes the one at `opening`, counting brackets of its kind alone."""
    bracket, level = text[opening], 0
    for at in range(opening, len(text)):
        if text[at] == bracket:
            level += 1
        elif text[at] == _CLOSING[bracket]:
            level -= 1
            if level == 0:
                return at + 1
    return None


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:60] + "...")


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _BLANKS:
        at += 1
    return at


class _Expansion:
    """One evaluation: what it has come to, and what it may still cost."""

    def __init__(self, lookup: Lookup) -> None:
        self.result: list[str] = []
        self._lookup = lookup
        self._calls = 0
        self._length = 0

    def text(self, value: str, nesting: int) -> None:
        """Literal text with expressions in it (`mac_parse(3)`)."""
        at, literal = 0, ""
        while at < len(value):
            dollar = value.find("$", at)
            if dollar < 0:
                literal += value[at:]
                break
            literal += value[at:dollar]
            if value[dollar + 1 : dollar + 2] == "$":
                literal, at = literal + "$", dollar + 2
                continue
            self._literal(literal)
            literal = ""
            follows = value[dollar + 1 : dollar + 2]
            if follows and follows in _CLOSING:
                end = _closed_at(value, dollar + 1)
                if end is None:
                    raise ExpansionError(f"truncated macro reference: {_shown(value)}")
                inner = value[dollar + 2 : end - 1]
            else:
                found = _NAME.match(value, dollar + 1)
                inner = found[0] if found else ""
                end = dollar + 1 + len(inner)
            if not inner:
                raise ExpansionError(f"empty macro name: {_shown(value)}")
            self._expression(inner, nesting)
            at = end
        self._literal(literal)

    def _literal(self, text: str) -> None:
        self._length += len(text)
        if self._length > MAX_LENGTH:
            raise ExpansionError(f"it comes to more than {MAX_LENGTH} characters")
        if text:
            self.result.append(text)

    def _expression(self, text: str, nesting: int) -> None:
        if nesting > MAX_NESTING:
            raise ExpansionError(f"unreasonable macro call nesting: {_shown(text)}")
        self._calls += 1
        if self._calls > MAX_CALLS:
            raise ExpansionError(f"it takes more than {MAX_CALLS} expressions")

        start = _skip(text, 0)
        if text[start : start + 1] == "{":
            holds, at = self._relation(text, start, nesting)
            found: str | None = "true" if holds else ""
            operator = text[at : at + 1]
            if operator and operator not in "?:":
                raise ExpansionError(f'"?" or ":" expected at {_shown(text[at:])}')
            at += 1
        else:
            name, operator, at = self._name(text, start)
            found = self._lookup(name)
        if not operator:
            if found:
                self.text(found, nesting + 1)
            return

        if operator == "?":
            chosen, at = self._operand(text, at)
            if found:
                self.text(chosen, nesting + 1)
            if at >= len(text):
                return
            if text[at] != ":":
                raise ExpansionError(f'":" expected at {_shown(text[at:])}')
            at += 1
        chosen, at = self._operand(text, at)
        if not found:
            self.text(chosen, nesting + 1)
        if at < len(text):
            raise ExpansionError(f"unexpected input at {_shown(text[at:])}")

    @staticmethod
    def _name(text: str, start: int) -> tuple[str, str, int]:
        """The name, the operator after it (empty if there is none), and where its operand begins."""
        at = start
        while True:
            after = _skip(text, at)
            if after == len(text):
                return text[start:at], "", after
            if text[after] in "?:":
                return text[start:at], text[after], after + 1
            if not (text[at].isascii() and (text[at].isalnum() or text[at] == "_")):
                raise ExpansionError(f"attribute name syntax error at {_shown(text[at:])}")
            at += 1

    @staticmethod
    def _operand(text: str, at: int) -> tuple[str, int]:
        """A result: in braces, or all the rest; and where it ends."""
        opening = _skip(text, at)
        return _braced(text, opening) if text[opening : opening + 1] == "{" else (text[at:], len(text))

    def _relation(self, text: str, at: int, nesting: int) -> tuple[bool, int]:
        """Whether ``{left} OPERATOR {right}`` holds, and where it ends."""
        left, at = _braced(text, at)
        end = at
        while end < len(text) and text[end] in _OPERATORS:
            end += 1
        operator = text[at:end]
        if operator not in _COMPARISONS:
            raise ExpansionError(f"{' or '.join(_COMPARISONS)} expected at {_shown(text[at:])}")
        found = _SUFFIX.match(text, end)
        suffix = found[0] if found else ""
        if suffix not in ("", "level"):
            raise ExpansionError(f"bad operator suffix at {_shown(text[end:])}")
        opening = _skip(text, end + len(suffix))
        if text[opening : opening + 1] != "{":
            raise ExpansionError(f'"{{expression}}" expected at {_shown(text[opening:])}')
        right, at = _braced(text, opening)
        return _compared(self._value(left, nesting), operator, suffix, self._value(right, nesting)), at

    def _value(self, text: str, nesting: int) -> str:
        """What an operand comes to, within the same budget."""
        outer, self.result = self.result, []
        self.text(text, nesting + 1)
        inner, self.result = self.result, outer
        return "".join(inner)


def _braced(text: str, at: int) -> tuple[str, int]:
    """What is between the braces that open at `at`, and the first place after them that is not blank."""
    end = _closed_at(text, at)
    if end is None:
        raise ExpansionError(f"unbalanced {{}} in attribute expression: {_shown(text[at:])}")
    return text[at + 1 : end - 1], _skip(text, end)


def _compared(left: str, operator: str, suffix: str, right: str) -> bool:
    if suffix:
        one, other = _compatibility_level(left), _compatibility_level(right)
        order = (one > other) - (one < other)
    elif _digits(left) and _digits(right):
        order = (int(left) > int(right)) - (int(left) < int(right))
    else:
        a, b = left.encode(errors="surrogateescape"), right.encode(errors="surrogateescape")
        order = (a > b) - (a < b)
    return {
        "==": order == 0,
        "!=": order != 0,
        "<": order < 0,
        "<=": order <= 0,
        ">=": order >= 0,
        ">": order > 0,
    }[operator]


def _digits(text: str) -> bool:
    if not (text.isascii() and text.isdigit()):
        return False
    if len(text) > 18:
        raise ExpansionError(f"bad conversion: {_shown(text)}")
    return True


def _compatibility_level(text: str) -> tuple[int, int, int]:
    """A level such as ``3.6`` (postconf(5) compatibility_level), which compares number by number."""
    found = _LEVEL.match(text)
    if not found:
        raise ExpansionError(f"malformed compatibility level syntax: {_shown(text)}")
    major, minor, patch = (int(number or 0) for number in found.groups())
    return major, minor, patch
