"""JSON as text that can be shown on a terminal as it is, whatever a peer sent."""

from __future__ import annotations

import json
import re

from mxprobe.report.escape import visible


def safe_json(value: object, indent: int | None = None) -> str:
    """A value of plain types as JSON: ASCII without control characters but, with an `indent`, newline.

    A lone surrogate is not a character, and strict readers refuse the whole document for one (RFC 7493 §2.1). Its
    escape is therefore part of the text: ``\\x80`` for the byte 80 that was not UTF-8.
    """
    separators = (",", ":") if indent is None else None
    text = json.dumps(value, ensure_ascii=False, indent=indent, separators=separators)
    return _UNSAFE.sub(_escape, text)


_UNSAFE = re.compile("[^\n\x20-\x7e]")
"""In a JSON text: whatever is not plain ASCII. json.dumps has escaped C0 within strings already."""


def _escape(found: re.Match[str]) -> str:
    character = found[0]
    code = ord(character)
    if 0xD800 <= code <= 0xDFFF:
        return "\\" + visible(character)
    if code > 0xFFFF:
        code -= 0x10000
        return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
    return f"\\u{code:04x}"
