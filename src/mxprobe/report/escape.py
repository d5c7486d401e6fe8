"""How a peer's text is made safe to show: on a terminal, in a log file, in a message to the partner.

A peer writes its own greeting, host names and certificate. Left alone, such text can move the cursor, change the
window title (ECMA-48), reverse the reading direction (Unicode UAX #9) or fill the screen.
"""

from __future__ import annotations

ELLIPSIS = "..."
"""Ends what was cut short; ASCII, because a log file may be read in any encoding."""


def printable(text: str, limit: int = 300) -> str:
    r"""The text with every character that is not plainly visible written out, at most `limit` characters long.

    Written out as ``\x1b``, ``\u202e`` or ``\U000e0001``: control characters (C0, DEL, C1), format characters such as
    bidi overrides, line and paragraph separators, private-use and unassigned code points, surrogates, and spaces
    other than the ASCII one. A byte that `surrogateescape` (PEP 383) carried in comes out as that byte: ``\x80``.
    A backslash stays one backslash, so the result is for reading; JSON carries the exact text.

    An escape is never cut in the middle. Longer text ends in `ELLIPSIS`, which the limit includes.
    """
    pieces: list[str] = []
    length = 0
    fits = 0  # how many pieces leave room for the ellipsis
    for character in text:
        piece = character if character.isprintable() else visible(character)
        length += len(piece)
        if length > limit:
            return "".join(pieces[:fits]) + ELLIPSIS[: max(limit, 0)]
        pieces.append(piece)
        if length <= limit - len(ELLIPSIS):
            fits = len(pieces)
    return "".join(pieces)


def visible(character: str) -> str:
    """The escape for one character, as Python and most programmers write it."""
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        code -= 0xDC00
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
