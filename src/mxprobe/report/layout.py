"""How lines of the terminal report are laid out: pieces that stay whole where they can, and a hanging indent.

Everything that the report prints passes `flow`, which escapes it. There are no boxes and no cursor movements,
so that a log file holds the same text as a terminal; rich adds colour where there is a terminal for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mxprobe.report.escape import printable

if TYPE_CHECKING:
    from rich.console import Console

MINIMUM_WIDTH = 40
"""Columns below which lines are no longer broken to fit: nothing readable would be left."""

DETAIL_HANG = 15
"""Where the words of an endpoint's detail lines begin: after two blanks and "certificate"."""

MAXIMUM_PIECE = 600
"""Characters of one piece, however long the peer's text: one statement, not a page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Some words of a line that belong together, and the rich style they get on a terminal. The text is raw."""

    text: str
    style: str = ""


def piece(text: str, style: str = "") -> Piece:
    """A piece, written shortly."""
    return Piece(text=text, style=style)


def flow(
    console: Console, pieces: Iterable[Piece | str], *, label: str = "", hang: int = 0, gap: int = 2, style: str = ""
) -> None:
    """Print pieces on as few lines as fit the console's width, `gap` blanks between two of them.

    `label` opens the first line (in `style`), padded to `hang` columns, where further lines begin. A piece that
    does not fit the rest of a line moves to the next one; only a piece longer than a whole line is broken, at blanks
    where it has some.
    """
    width = max(console.width, MINIMUM_WIDTH)
    label = _encodable(console, printable(label, MAXIMUM_PIECE))
    line = _Line(console, hang)
    line.add(label.ljust(hang), style)
    line.holds_a_piece = _cells(label) >= hang and bool(label.strip()) and not label.endswith(" ")
    for part in pieces:
        part = part if isinstance(part, Piece) else Piece(text=part)
        text = _encodable(console, printable(part.text, MAXIMUM_PIECE))
        if not text:
            continue
        blanks = gap if line.holds_a_piece else 0
        if line.holds_a_piece and line.length + blanks + _cells(text) > width and _cells(text) <= width - hang:
            line.flush()
            blanks = 0
        line.add(" " * blanks)
        for word in _words(text, width - hang):
            if line.holds_a_piece and line.length + _cells(word.rstrip()) > width:
                line.flush()
                word = word.lstrip()
            line.add(word, part.style)
            line.holds_a_piece = True
    line.flush()


def blank(console: Console) -> None:
    """Print an empty line."""
    console.print()


def bounded(items: tuple[str, ...], limit: int) -> tuple[str, ...]:
    """At most `limit` of the items, and how many were left out: a peer can send thousands of names."""
    return items if len(items) <= limit else (*items[:limit], f"and {len(items) - limit} more")


class _Line:
    """The line being filled: fragments with their styles, flushed with trailing blanks removed."""

    def __init__(self, console: Console, hang: int) -> None:
        self._console = console
        self._hang = hang
        self._fragments: list[tuple[str, str]] = []
        self.length = 0
        self.holds_a_piece = False

    def add(self, text: str, style: str = "") -> None:
        if text:
            self._fragments.append((text, style))
            self.length += _cells(text)

    def flush(self) -> None:
        from rich.text import Text

        line = Text.assemble(*self._fragments)
        line.rstrip()
        if line.plain:
            # soft_wrap: the line is broken here already; emoji codes and markup do not exist in a Text.
            self._console.print(line, soft_wrap=True, highlight=False)
        self._fragments = []
        self.length = 0
        self.holds_a_piece = False
        self.add(" " * self._hang)


def _words(text: str, room: int) -> Iterable[str]:
    """The words of a text, each but the first with the blanks before it; what is longer than `room` in slices."""
    for number, word in enumerate(text.split(" ")):
        word = f" {word}" if number else word
        while _cells(word) > room:
            yield word[: room // 2 if _cells(word) > len(word) else room]
            word = word[room // 2 if _cells(word) > len(word) else room :]
        yield word


def _cells(text: str) -> int:
    """Columns that a text takes: East Asian characters take two."""
    from rich.cells import cell_len

    return cell_len(text)


def _encodable(console: Console, text: str) -> str:
    """The text as far as the console's encoding can carry it: cron may run us with an ASCII or Latin-1 locale."""
    encoding = console.encoding
    return text.encode(encoding, "backslashreplace").decode(encoding)
