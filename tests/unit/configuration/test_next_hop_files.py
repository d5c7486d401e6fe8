"""Files of next-hops, which a service reads again when they change."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxprobe.configuration.next_hop_files import MAX_TOLD, NextHopFile, next_hops_in, read_again, read_text, taken_over
from mxprobe.errors import InvalidSetting

LATER = 4e9
"""Long after any file of these tests was written."""


def texts(file: NextHopFile) -> list[str]:
    return [next_hop.text for next_hop in file.next_hops]


def said(news: tuple[InvalidSetting, ...]) -> list[str]:
    return [str(each) for each in news]


def test_a_line_is_a_next_hop_or_a_comment() -> None:
    found, wrong = next_hops_in("# ours\n a.example \r\n\n[b.example]:25 # b\na.example\nsmtps:c.example\n", "x")
    assert [next_hop.text for next_hop in found] == ["a.example", "[b.example]:25", "smtps:c.example"]
    assert wrong == ()


def test_a_line_that_is_none_is_told_once_with_its_number_and_the_others_go_on() -> None:
    known, news = taken_over(NextHopFile(path=Path("f.txt")), "a.example\nno such\nb.example\n[::1\n")
    assert texts(known) == ["a.example", "b.example"]
    assert [line.split(": not a next-hop: ")[0] for line in said(news)] == ["f.txt: line 2", "f.txt: line 4"]
    # The same lines elsewhere are no news; a new one is.
    known, news = taken_over(known, "\n\nno such\nc.example\n[::1\nnor this")
    assert texts(known) == ["c.example"]
    assert [line.split(": not a next-hop: ")[0] for line in said(news)] == ["f.txt: line 6"]
    # What was mended and is wrong again is told again.
    known, news = taken_over(known, "c.example")
    assert news == ()
    known, news = taken_over(known, "no such")
    assert len(news) == 1


def test_a_line_that_is_not_utf8_holds_up_none_of_the_others(tmp_path: Path) -> None:
    path = tmp_path / "f.txt"
    path.write_bytes(b"a.example # caf\xe9\ncaf\xe9.example\nb.example\n")
    known, news = read_again(NextHopFile(path=path), LATER)
    assert texts(known) == ["a.example", "b.example"]
    assert said(news) == [f"{path}: line 2: this is not UTF-8"]


def test_the_wrong_file_does_not_fill_the_log() -> None:
    known, news = taken_over(NextHopFile(path=Path("f.txt")), "\n".join(f"no such {n}" for n in range(5000)))
    assert len(news) == MAX_TOLD + 1
    assert str(news[-1]) == f"f.txt: {5000 - MAX_TOLD} more lines are no next-hops"
    assert taken_over(known, "\n".join(f"no such {n}" for n in range(5000)))[1] == ()


@given(st.lists(st.text(), max_size=20))
def test_any_text_is_next_hops_and_lines_that_are_none(lines: list[str]) -> None:
    text = "\n".join(lines)
    found, wrong = next_hops_in(text, "f")
    assert len(found) + len(wrong) <= text.count("\n") + 1
    assert all("\n" not in str(mistake) for _, mistake in wrong)


def test_a_file_is_read_again_when_it_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "f.txt"
    path.write_text("a.example\n")
    first, _ = read_again(NextHopFile(path=path), LATER)
    assert texts(first) == ["a.example"]
    assert read_again(first, LATER)[0] is first
    path.write_text("a.example\nb.example\n")
    second, _ = read_again(first, LATER)
    assert texts(second) == ["a.example", "b.example"]
    other = tmp_path / "new.txt"
    other.write_text("c.example\nd.example\n")
    other.replace(path)
    assert texts(read_again(second, LATER)[0]) == ["c.example", "d.example"]


def test_a_file_that_is_being_written_is_left_alone_for_a_moment(tmp_path: Path) -> None:
    path = tmp_path / "f.txt"
    path.write_text("a.example\nb.example\n")
    known, _ = read_again(NextHopFile(path=path), LATER)
    path.write_text("a.exam")
    os.utime(path, (1000.0, 1000.0))
    assert read_again(known, 1001.0)[0] is known
    assert texts(read_again(known, 1002.5)[0]) == ["a.exam"]
    # Written by a clock that was ahead.
    assert texts(read_again(known, 10.0)[0]) == ["a.exam"]


def test_a_file_that_cannot_be_read_leaves_all_as_it_was_and_is_told_once(tmp_path: Path) -> None:
    path = tmp_path / "f.txt"
    path.write_text("a.example\n")
    known, _ = read_again(NextHopFile(path=path), LATER)
    path.unlink()
    lost, news = read_again(known, LATER)
    assert said(news) == [f"{path}: cannot be read: No such file or directory"]
    assert texts(lost) == ["a.example"]
    assert read_again(lost, LATER)[1] == ()
    path.write_bytes("a.example\nb.example\n".encode("utf-16"))
    lost, news = read_again(lost, LATER)
    assert said(news) == [f"{path}: line 1: this is not UTF-8, but UTF-16 or no text at all"]
    assert texts(lost) == ["a.example"]
    path.write_text("b.example\n")
    found, news = read_again(lost, LATER)
    assert (texts(found), news, found.unreadable) == (["b.example"], (), "")


def test_a_file_that_comes_back_as_it_was_is_read(tmp_path: Path) -> None:
    path = tmp_path / "f.txt"
    path.write_text("a.example\n")
    known, _ = read_again(NextHopFile(path=path), LATER)
    path.rename(tmp_path / "away")
    lost, _ = read_again(known, LATER)
    (tmp_path / "away").rename(path)
    found, news = read_again(lost, LATER)
    assert (texts(found), news, found.unreadable) == (["a.example"], (), "")


def test_a_pipe_is_not_read_again(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    known = NextHopFile(path=path)
    assert read_again(known, LATER) == (known, ())


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match=r": cannot be read: Is a directory\Z"):
        read_text(tmp_path)
