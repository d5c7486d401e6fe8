"""Versions of Postfix are read and ordered."""

from __future__ import annotations

import pytest

from mxprobe.errors import InvalidSetting
from mxprobe.mta.postfix.version import LAST_PATCH, PostfixVersion, parse_version


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("3.7", PostfixVersion(3, 7, LAST_PATCH)),
        ("2.6.6", PostfixVersion(2, 6, 6)),
        ("mail_version = 3.7.11\n", PostfixVersion(3, 7, 11)),
        ("3.8-20220816", PostfixVersion(3, 8, 0)),
        ("3.9.1-RC2", PostfixVersion(3, 9, 1)),
    ],
)
def test_a_version_is_read(text: str, version: PostfixVersion) -> None:
    assert parse_version(text) == version


@pytest.mark.parametrize("text", ["", "3", "three", "3.x", "1.2.3.4", "v3.7", "3.7.11; rm", "99999.1"])
def test_what_is_no_version_is_an_error(text: str) -> None:
    with pytest.raises(InvalidSetting, match="is not a version of Postfix"):
        parse_version(text)


def test_a_version_from_before_security_levels_is_an_error() -> None:
    with pytest.raises(InvalidSetting, match="too old"):
        parse_version("2.2.9", "--postfix")


@pytest.mark.parametrize("text", ["3.13", "3.99", "4.0", "99.1.2"])
def test_a_version_that_is_not_out_is_an_error(text: str) -> None:
    with pytest.raises(InvalidSetting, match="is not known"):
        parse_version(text)


def test_a_branch_without_a_patch_level_is_its_last_release() -> None:
    assert parse_version("2.11.11") < parse_version("2.11") < parse_version("3.0.0")
    assert str(parse_version("2.11")) == "2.11"
    assert str(parse_version("2.11.0")) == "2.11.0"
