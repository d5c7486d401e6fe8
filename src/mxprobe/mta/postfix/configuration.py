"""main.cf: its syntax (postconf(5), "main.cf file format"), its lines, and what its names stand for.

Also what `postconf -n` prints, which has the same syntax. Reading is pure: text in, and where it is from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from mxprobe.errors import InvalidSetting
from mxprobe.mta.postfix.expansion import ExpansionError, expand, unclosed

MAX_TEXT: Final = 4_000_000
"""Characters of a file that are read: the longest main.cf has a few ten thousand."""

_SPACE: Final = " \t\n\v\f\r"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A line of a file, the first of a logical line; lines count from 1. What an option or key said has its name as
    `file`, and no line: 0."""

    file: str
    line: int = 1

    def __str__(self) -> str:
        return f"{self.file}: line {self.line}" if self.line else self.file


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One ``name = value``, as written."""

    name: str
    value: str
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """What is odd but does not stop Postfix, and at most makes it warn."""

    text: str
    place: Place

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What a main.cf sets, with what overrides it. Of a name that is set twice the later value counts.

    `referred` are values elsewhere that may refer to names in it, such as those of other services in master.cf.
    """

    settings: Mapping[str, Setting]
    remarks: tuple[Remark, ...] = ()
    source: str = "main.cf"
    referred: tuple[str, ...] = ()

    def written(self, name: str) -> str | None:
        """The value of a name as it is written; None where it is not set."""
        setting = self.settings.get(name)
        return None if setting is None else setting.value

    def place(self, name: str) -> Place | None:
        """Where a name is set; None where it is not."""
        setting = self.settings.get(name)
        return None if setting is None else setting.place

    def where(self, name: str) -> str:
        """Where a name is set, for people: its file and line, or the file alone."""
        return str(self.place(name) or self.source)

    def get(self, name: str, default: Callable[[str], str | None] | None = None) -> str | None:
        """The value of a name with its `$name` expressions evaluated; None where it is neither set nor has a default.

        `default` gives the values, as written, of names that are not set.

        Raises:
            InvalidSetting: the value cannot be evaluated.
        """

        def lookup(name: str) -> str | None:
            written = self.written(name)
            return default(name) if written is None and default is not None else written

        written = lookup(name)
        if written is None:
            return None
        try:
            return expand(written, lookup)
        except ExpansionError as error:
            raise InvalidSetting(self.where(name), f"{name}: {error}") from error

    def overridden(self, settings: Iterable[Setting]) -> Configuration:
        """With these settings in the place of its own, as by `-o` in master.cf (master(5))."""
        return replace(
            self, settings=MappingProxyType({**self.settings, **{setting.name: setting for setting in settings}})
        )


def read_main_cf(text: str, where: str = "main.cf") -> Configuration:
    """Read a main.cf; `where` names it in messages.

    Raises:
        InvalidSetting: a line at which Postfix stops, or a file that was not written to its end: it has bytes that are
            no text, or ends within an expression.
    """
    remarks: list[Remark] = []
    settings: dict[str, Setting] = {}
    for place, line in logical_lines(text, where, remarks):
        name, value = name_and_value(line, place)
        problem = unclosed(value)
        if problem:
            raise InvalidSetting(str(place), f"{name}: {problem}")
        earlier = settings.get(name)
        if earlier is not None and earlier.value != value:
            remarks.append(
                Remark(
                    text=f"overriding earlier entry (line {earlier.place.line}): {name}={earlier.value}", place=place
                )
            )
        settings[name] = Setting(name=name, value=value, place=place)
    return Configuration(settings=MappingProxyType(settings), remarks=tuple(remarks), source=where)


def read_postconf_n(text: str, where: str = "postconf -n") -> Configuration:
    """Read what `postconf -n` printed, its warnings too where they were caught with it.

    Raises:
        InvalidSetting: it is something else.
    """
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if line.startswith(("postconf: warning: ", "/usr/sbin/postconf: warning: ")):
            lines[number] = ""
        elif line.startswith(("postconf: fatal: ", "/usr/sbin/postconf: fatal: ")):
            raise InvalidSetting(str(Place(file=where, line=number + 1)), line.strip())
    return read_main_cf("\n".join(lines), where)


def overrides(texts: Iterable[str], where: str = "-o") -> tuple[Setting, ...]:
    """Read ``NAME=VALUE`` of `-o` options (postconf(1), master(5)).

    Raises:
        InvalidSetting: a text is not that.
    """
    texts = tuple(texts)
    if any(character in text for text in texts for character in "\0\n"):
        raise InvalidSetting(where, "a line break or NUL byte in it", "name=value")
    return tuple(
        Setting(name=name, value=value, place=Place(file=where, line=0))
        for name, value in (name_and_value(text, Place(file=where, line=0)) for text in texts)
    )


def logical_lines(text: str, where: str, remarks: list[Remark]) -> Iterator[tuple[Place, str]]:
    """The logical lines of main.cf or master.cf: comments and blank lines left out, continuation lines joined.

    A line that starts with white space continues the one before it, also across comments and blank lines.

    Raises:
        InvalidSetting: bytes that are no text.
    """
    if len(text) > MAX_TEXT:
        raise InvalidSetting(where, f"it is longer than {MAX_TEXT} characters")
    if "\0" in text:
        broken = text.count("\n", 0, text.index("\0")) + 1
        raise InvalidSetting(str(Place(file=where, line=broken)), "a NUL byte: the file was not written to its end")
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    elif lines[-1].strip(_SPACE):
        remarks.append(
            Remark(
                text="the last line does not end with a newline: was the file written to its end?",
                place=Place(file=where, line=len(lines)),
            )
        )
    parts: list[str] = []
    first = 0
    for number, line in enumerate(lines, 1):
        bare = line.lstrip(_SPACE)
        if not bare or bare[0] == "#":
            continue
        if parts and line[0] not in _SPACE:
            yield from _whole(parts, Place(file=where, line=first), remarks)
            parts = []
        if not parts:
            first = number
        parts.append(line)
    if parts:
        yield from _whole(parts, Place(file=where, line=first), remarks)


def _whole(parts: list[str], place: Place, remarks: list[Remark]) -> Iterator[tuple[Place, str]]:
    line = "".join(parts)
    if line[0] in _SPACE:
        remarks.append(Remark(text=f"logical line must not start with whitespace: {line[:30]!r}", place=place))
    else:
        yield place, line


def name_and_value(line: str, place: Place) -> tuple[str, str]:
    """Split ``name = value`` (`split_nameval(3)` of Postfix).

    Raises:
        InvalidSetting: it is not that.
    """
    rest = line.lstrip(_SPACE)
    end = 0
    while end < len(rest) and rest[end] not in _SPACE and rest[end] != "=":
        end += 1
    name, rest = rest[:end], rest[end:].lstrip(_SPACE)
    shown = repr(line if len(line) <= 80 else line[:80] + "...")
    if not name:
        raise InvalidSetting(str(place), f"missing attribute name: {shown}", "name = value")
    if not rest.startswith("="):
        raise InvalidSetting(str(place), f"missing '=' after attribute name: {shown}", "name = value")
    return name, rest[1:].strip(_SPACE)
