"""Lines are broken between pieces, indented, escaped, and free of anything but text."""

import io

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from mxprobe.report.layout import flow, piece


def printed(*pieces: str, width: int = 40, encoding: str = "utf-8", terminal: bool = False, **layout: object) -> str:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, newline="")
    console = Console(file=stream, width=width, force_terminal=terminal, color_system="standard" if terminal else None)
    flow(console, [piece(text, "red") for text in pieces], **layout)  # type: ignore[arg-type]
    stream.flush()
    return raw.getvalue().decode(encoding)


def test_pieces_stay_whole_where_a_line_can_hold_them() -> None:
    assert printed("a" * 20, "b b b b b b b b b b", "c", label="label", hang=8) == (
        f"label   {'a' * 20}\n        b b b b b b b b b b  c\n"
    )


def test_a_piece_longer_than_a_line_is_broken_at_blanks() -> None:
    assert printed("word " * 10 + "end", hang=4) == f"    {' '.join(['word'] * 7)}\n    word word word end\n"


def test_a_word_longer_than_a_line_is_broken_anywhere() -> None:
    assert printed("x" * 50, hang=4) == f"    {'x' * 36}\n    {'x' * 14}\n"


def test_wide_characters_count_twice() -> None:
    assert printed("郵" * 30, width=40) == f"{'郵' * 20}\n{'郵' * 10}\n"


def test_neither_markup_nor_emoji_codes_nor_escapes_are_obeyed() -> None:
    assert printed("[bold]a[/bold] :smile: \x1b[31m\u202e") == "[bold]a[/bold] :smile: \\x1b[31m\\u202e\n"


def test_the_label_is_escaped_too() -> None:
    assert printed("a", label="\x1b]0;t\x07", hang=4) == "\\x1b]0;t\\x07  a\n"


def test_what_the_encoding_cannot_carry_is_written_out() -> None:
    assert printed("grüße 郵便", encoding="latin-1") == "grüße \\u90f5\\u4fbf\n"


def test_colours_only_on_a_terminal() -> None:
    assert printed("a") == "a\n"
    assert printed("a", terminal=True) == "\x1b[31ma\x1b[0m\n"


@given(st.lists(st.text(st.characters(codec=None, categories=None), max_size=200), max_size=10), st.integers(0, 20))
def test_no_peer_text_breaks_out_of_its_lines(texts: list[str], hang: int) -> None:
    lines = printed(*texts, hang=hang).removesuffix("\n").split("\n")
    assert all(character.isprintable() for line in lines for character in line)
    assert all(line.startswith(" " * hang) for line in lines if line)
