"""main.cf is read as Postfix reads it, and what it stops at is told with file and line."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxprobe.errors import InvalidSetting
from mxprobe.mta.postfix.configuration import Place, overrides, read_main_cf, read_postconf_n


def test_lines_are_continued_by_white_space_across_comments_and_blank_lines() -> None:
    read = read_main_cf("# first\na = b\n  # comment\n\n  c\n#d\n\te\nf=g\n")
    assert read.written("a") == "b  c\te"
    assert read.written("f") == "g"
    assert read.place("a") == Place(file="main.cf", line=2)
    assert read.place("f") == Place(file="main.cf", line=8)


def test_carriage_returns_are_white_space() -> None:
    assert read_main_cf("a = b\r\nc = d\r\n").written("a") == "b"


def test_the_later_of_two_settings_counts_and_postfix_warns() -> None:
    read = read_main_cf("a = b\na = c\nd = e\nd = e\n", "/etc/postfix/main.cf")
    assert read.written("a") == "c"
    (remark,) = read.remarks
    assert str(remark) == "/etc/postfix/main.cf: line 2: overriding earlier entry (line 1): a=b"


def test_a_first_line_with_white_space_is_left_out_and_postfix_warns() -> None:
    read = read_main_cf(" a = b\nc = d\n")
    assert (read.written("a"), read.written("c")) == (None, "d")
    assert "must not start with whitespace" in read.remarks[0].text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a = b\nsmtpd_tls_protocols\n", "main.cf: line 2: missing '=' after attribute name"),
        ("a b = c\n", "main.cf: line 1: missing '=' after attribute name"),
        ("\n\n= x\n", "main.cf: line 3: missing attribute name"),
        ("a = b\nc = \0\0\0", "main.cf: line 2: a NUL byte"),
        ("a = b\nsmtpd_tls_cert_file = ${config_dir", "main.cf: line 2: smtpd_tls_cert_file: '${config_dir' is never"),
        ("smtpd_tls_chain_fi", "main.cf: line 1: missing '='"),
    ],
)
def test_what_is_wrong_is_told_with_file_and_line(text: str, said: str) -> None:
    with pytest.raises(InvalidSetting) as caught:
        read_main_cf(text)
    assert str(caught.value).startswith(said)


def test_a_last_line_without_newline_is_read_and_remarked() -> None:
    read = read_main_cf("a = b\nc = d")
    assert read.written("c") == "d"
    assert str(read.remarks[0]).startswith("main.cf: line 2: the last line does not end with a newline")


def test_a_value_that_cannot_be_evaluated_is_told_where_it_is_set() -> None:
    read = read_main_cf("x = 1\na = $b\nb = $a\n")
    assert read.get("x") == "1"
    assert read.get("y") is None
    with pytest.raises(InvalidSetting, match=r"^main\.cf: line 2: a: unreasonable macro call nesting"):
        read.get("a")


def test_overrides_count_more_than_the_file() -> None:
    read = read_main_cf("a = b\n").overridden(overrides(["a=c", " d = $a "], "-o"))
    assert (read.get("a"), read.get("d")) == ("c", "c")
    assert str(read.place("d")) == "-o"
    with pytest.raises(InvalidSetting, match="missing '='"):
        overrides(["smtpd_tls_ciphers"])


def test_postconf_n_is_read_with_its_warnings() -> None:
    read = read_postconf_n("postconf: warning: /etc/postfix/main.cf: unused parameter: x=y\na = b\n")
    assert read.written("a") == "b"
    with pytest.raises(InvalidSetting, match="line 1: postconf: fatal"):
        read_postconf_n("postconf: fatal: open /etc/postfix/main.cf: No such file or directory\n")


def test_a_file_that_is_no_configuration_of_any_size_is_an_error() -> None:
    with pytest.raises(InvalidSetting, match="longer than"):
        read_main_cf("#" * 4_000_001)


@given(st.text(max_size=200))
def test_any_text_is_a_configuration_or_the_one_error(text: str) -> None:
    with suppress(InvalidSetting):
        assert all(setting.place.line >= 1 for setting in read_main_cf(text).settings.values())
