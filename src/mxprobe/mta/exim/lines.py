"""The lines of an Exim configuration: what is left after comments, continuations, macros, conditions and includes.

Read as `get_config_line()` and `macros_expand()` of Exim's readconf.c do; Exim specification §6.3 to §6.8.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from mxprobe.errors import InvalidSetting

Library = Literal["openssl", "gnutls"]
"""The TLS library that an Exim is built with."""

Read = Callable[[str], str | None]
"""Gives the text of an included file, None if there is none; raises InvalidSetting where it cannot be read."""

SPACE: Final = " \t\n\v\f\r"
"""What C takes for white space; of Unicode, Exim knows nothing."""

MAX_LINES: Final = 100_000
"""Physical lines of a configuration with all that it includes: real ones have 2,000. A file that includes itself ends
here too."""

MAX_LINE: Final = 100_000
"""Characters of one logical line, macros replaced: macros that hold macros double it at each step."""

MAX_MACROS: Final = 1_000
"""Macros of a configuration: every line is searched for each."""

MAX_INCLUDED: Final = 100
"""Files that are open inside each other: a file that includes itself would open without end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A logical line, its place, and the condition in doubt that it stands under."""

    text: str
    where: str
    doubt: str


class Reader:
    """Turns files into logical lines, as `get_config_line()` does."""

    def __init__(self, where: str, read: Read, library: Library) -> None:
        self._where = where
        self._read = read
        self._library = library
        self._macros: dict[str, _Macro] = {}
        self._conditions: list[_Condition] = []
        self._number = 0

    def lines(self, text: str) -> Iterator[Line]:
        files = [_File(where=self._where, lines=iter(text.split("\n")))]
        logical, began, doubt = "", "", ""
        while files:
            here = files[-1]
            physical = next(here.lines, None)
            if physical is None:
                files.pop()
                continue
            here.number += 1
            self._number += 1
            where = f"{here.where}: line {here.number}"
            if self._number > MAX_LINES:
                raise InvalidSetting(where, f"with all it includes, it has more than {MAX_LINES} lines")
            if "\0" in physical:
                raise InvalidSetting(where, "there is a NUL byte, which no configuration file holds")
            physical = physical.lstrip(SPACE)
            line, found, doubtful = self._replaced(physical, where, first=not logical)
            if line.startswith("#"):
                continue
            if match := _CONDITION.match(line):
                # With anything but a blank behind it, Exim passes over the line.
                if match[2] is None:
                    continue
                self._condition(match[1], physical[match.end() :], where, found=found, doubt=doubtful)
                continue
            if not all(condition.counts for condition in self._conditions):
                continue
            if match := _INCLUDE.match(line.rstrip(SPACE)):
                if len(files) >= MAX_INCLUDED:
                    raise InvalidSetting(where, f"more than {MAX_INCLUDED} files include one another")
                included = self._included(match[2].strip(SPACE), here.where, where, optional=bool(match[1]))
                if included is not None:
                    files.append(included)
                continue
            began = began or where
            doubt = doubt or doubtful or next((each.doubt for each in self._conditions if each.doubt), "")
            logical = (logical + line).rstrip(SPACE)
            if len(logical) > MAX_LINE:
                raise InvalidSetting(where, f"the line is longer than {MAX_LINE} characters")
            if logical.endswith("\\"):
                logical = logical[:-1]
                # A continued line that is still empty begins again.
                began = began if logical else ""
                continue
            if logical:
                yield Line(text=logical, where=began, doubt=doubt)
            logical, began, doubt = "", "", ""
        if self._conditions:
            raise InvalidSetting(self._conditions[-1].where, "this condition is never closed", ".endif")
        if logical:
            yield Line(text=logical, where=began, doubt=doubt)

    def defines(self, line: Line, *, anything: bool) -> bool:
        """Whether a line is ``NAME = value``, or ``NAME == value`` for a macro that is there already, and keep it.

        With `anything`, whatever begins with a capital letter has to be one, as among main options.
        """
        if not "A" <= line.text[0] <= "Z":
            return False
        match = _MACRO.match(line.text)
        if match is None and not anything:
            return False
        if match is None:
            raise InvalidSetting(line.where, f"malformed macro definition {line.text[:60]!r}", "NAME = value")
        name, again = match[1], bool(match[2])
        earlier = self._macros.get(name)
        if earlier is not None and not again and not (line.doubt or earlier.doubt):
            raise InvalidSetting(line.where, f"macro {name!r} is already defined", "== to define it again")
        if earlier is None:
            if again:
                raise InvalidSetting(line.where, f"macro {name!r} is not defined, so it cannot be defined again")
            for known in self._macros:
                if known in name:
                    problem = f"{name!r} cannot be a macro: it holds the name of the macro {known!r} before it"
                    raise InvalidSetting(line.where, problem)
            if len(self._macros) >= MAX_MACROS:
                raise InvalidSetting(line.where, f"there are more than {MAX_MACROS} macros")
        doubt = line.doubt or ("" if again or earlier is None else earlier.doubt)
        self._macros[name] = _Macro(value=line.text[match.end() :], doubt=doubt)
        return True

    def _replaced(self, line: str, where: str, *, first: bool) -> tuple[str, bool, str]:
        """A physical line with macros replaced, whether any was, and what makes that doubtful."""
        kept = 0
        if first and (match := _MACRO.match(line)):
            kept = match.end(1)
        head, rest = line[:kept], line[kept:]
        found, doubt = False, ""
        for name, macro in self._macros.items():
            if times := rest.count(name):
                if len(rest) + times * len(macro.value) > MAX_LINE:
                    raise InvalidSetting(where, f"with its macros, the line is longer than {MAX_LINE} characters")
                # What replaces a macro is not searched for the same macro.
                rest = rest.replace(name, macro.value)
                found, doubt = True, doubt or macro.doubt
        return (head + rest).lstrip(SPACE) if found else line, found, doubt

    def _condition(self, word: str, rest: str, where: str, *, found: bool, doubt: str) -> None:
        if word in ("ifdef", "ifndef"):
            if len(self._conditions) >= _CONDITIONS_DEEP:
                raise InvalidSetting(where, f".{word} is nested too deeply", f"{_CONDITIONS_DEEP} levels")
            self._conditions.append(_Condition(where=where, counts=False, done=False))
        elif not self._conditions:
            raise InvalidSetting(where, f".{word} without .ifdef or .ifndef before it")
        if word == "endif":
            self._conditions.pop()
            return
        current = self._conditions[-1]
        if current.done:
            current.counts = False
            return
        if word == "else":
            # After a condition in doubt the rest is in doubt too: the doubt stays.
            current.counts, current.done = True, True
            return
        known = self._built_in(rest)
        if doubt:
            truth: bool | None = None
        elif found or known:
            truth = True
        else:
            truth = False if known is False else None
        if truth is not None and word in ("ifndef", "elifndef"):
            truth = not truth
        if truth is None:
            current.counts = True
            current.doubt = current.doubt or doubt or rest.strip(SPACE)[:60]
        else:
            current.counts = truth
            current.done = truth

    def _built_in(self, rest: str) -> bool | None:
        """Whether a text names something that this Exim was built with; None if that cannot be told.

        Exim defines macros for what is in it (specification §6.6). Those about its TLS library are known here.
        """
        names = _BUILT_IN.findall(rest)
        doubtful = False
        for name in names:
            if name in ("_HAVE_TLS", f"_HAVE_{self._library.upper()}"):
                return True
            if name in ("_HAVE_OPENSSL", "_HAVE_GNUTLS"):
                continue
            option = re.match(r"_OPT_MAIN_(TLS_\w+|OPENSSL_OPTIONS|GNUTLS_\w+)\Z", name)
            if option and option[1].lower() in _IN_ALL_SINCE_480:
                return True
            doubtful = True
        return None if doubtful else False

    def _included(self, name: str, parent: str, where: str, *, optional: bool) -> _File | None:
        if len(name) >= 2 and name[0] == name[-1] == '"':
            name = name[1:-1]
        if not name.startswith("/"):
            if optional:
                raise InvalidSetting(where, f".include_if_exists names the relative path {name!r}", "an absolute path")
            name = posixpath.join(posixpath.dirname(parent), name)
        try:
            text = self._read(name)
        except InvalidSetting as error:
            raise InvalidSetting(where, f"it includes {name}: {error.problem}", error.allowed) from error
        if text is None:
            if optional:
                return None
            raise InvalidSetting(where, f"it includes {name}, which is not there")
        return _File(where=name, lines=iter(text.split("\n")))


@dataclass(slots=True, kw_only=True)
class _File:
    """A file that is being read."""

    where: str
    lines: Iterator[str]
    number: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Macro:
    value: str
    doubt: str


@dataclass(slots=True, kw_only=True)
class _Condition:
    """One `.ifdef` ... `.endif`: whether its lines count now, whether some branch did, and what is in doubt."""

    where: str
    counts: bool
    done: bool
    doubt: str = ""


_MACRO = re.compile(r"([A-Z][A-Za-z0-9_]*)\s*=(=?)\s*", re.ASCII)
_BUILT_IN = re.compile(r"_[A-Z][A-Z0-9_]*")
# The blank may be a "t", which readconf.c has for a tab.
_CONDITION = re.compile(r"\.(ifdef|ifndef|elifdef|elifndef|else|endif)((?=[ t])|\Z)?")
_INCLUDE = re.compile(r"\.include(_if_exists)?\s+(.*)\Z", re.DOTALL | re.ASCII)
_CONDITIONS_DEEP = 10  # CSTATE_STACK_SIZE of readconf.c

# Main options that every Exim with TLS has had for long: the built-in macros about them are there.
_IN_ALL_SINCE_480 = frozenset(
    {
        "tls_advertise_hosts",
        "tls_certificate",
        "tls_crl",
        "tls_dh_max_bits",
        "tls_dhparam",
        "tls_on_connect_ports",
        "tls_privatekey",
        "tls_remember_esmtp",
        "tls_require_ciphers",
        "tls_try_verify_hosts",
        "tls_verify_certificates",
        "tls_verify_hosts",
        "openssl_options",
    }
)
