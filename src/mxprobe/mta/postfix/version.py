"""Versions of Postfix: their order, and how they are written (`postconf mail_version`)."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from mxprobe.errors import InvalidSetting

LAST_PATCH: Final = 999
"""The patch level of a version that was given without one: that branch as it was maintained last."""

_VERSION = re.compile(r"(\d{1,3})\.(\d{1,3})(?:\.(\d{1,3}))?(?:-[A-Za-z0-9.-]{1,40})?\Z", re.ASCII)


class PostfixVersion(NamedTuple):
    """A version of Postfix; versions compare as they came out within a branch, and branch by branch."""

    major: int
    minor: int
    patch: int = LAST_PATCH

    def __str__(self) -> str:
        """As Postfix writes it, without a patch level where none was given."""
        shown = self if self.patch != LAST_PATCH else self[:2]
        return ".".join(str(number) for number in shown)


OLDEST: Final = PostfixVersion(2, 3, 0)
"""The first version with security levels and cipher grades; configurations before it mean other things."""

NEWEST: Final = PostfixVersion(3, 12)
"""The newest branch whose parameters and defaults are known here."""


def parse_version(text: str, where: str = "--postfix") -> PostfixVersion:
    """Read ``3.7``, ``2.6.6``, ``3.8-20220816`` or the ``mail_version = 3.7.11`` of `postconf mail_version`.

    Without a patch level the branch is meant as it was maintained last: defaults changed within branches in 2015.
    A snapshot has the patch level 0.

    Raises:
        InvalidSetting: it is no version, older than 2.3, or newer than what is known; `where` says where it was given.
    """
    written = text.rpartition("=")[2].strip()
    found = _VERSION.match(written)
    if not found:
        raise InvalidSetting(where, f"{text.strip()!r} is not a version of Postfix", "such as 3.7, or 2.6.6")
    major, minor, patch = found.groups()
    last = 0 if re.search(r"-\d{8}", written) and patch is None else LAST_PATCH
    version = PostfixVersion(int(major), int(minor), last if patch is None else int(patch))
    if version > NEWEST:
        raise InvalidSetting(
            where,
            f"Postfix {version} is not known: its defaults may be others",
            f"2.3 to {NEWEST}, the nearest will do",
        )
    if version < OLDEST:
        raise InvalidSetting(where, f"Postfix {version} is too old: its TLS settings mean other things", "2.3 or newer")
    return version
