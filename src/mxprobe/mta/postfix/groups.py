"""The key exchange groups that Postfix configures: none before 2.6, one curve, a list, and since 3.8 finite fields too.

From `tls_dh.c`: `tls_set_eecdh_curve()` up to 3.5, `tls_auto_eecdh_curves()` from 3.2, `tls_auto_groups()` from 3.8.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mxprobe.mta.openssl import group_named
from mxprobe.mta.postfix.defaults import Parameters, default
from mxprobe.tls.openssl_catalogue import Generation

_LISTS_SINCE: Final = (3, 2, 0)
_GRADES_ARE_LISTS_SINCE: Final = (3, 4, 0)
_NO_GRADES_SINCE: Final = (3, 6, 0)
_FIELDS_SINCE: Final = (3, 8, 0)
_REPEATED_SINCE: Final = (3, 10, 0)
"""Since when a group may be listed twice, and colons may be between groups."""
_MAY_BE_EMPTY_SINCE: Final = ((3, 8, 8), (3, 9, 0), (3, 9, 2))
"""By turns since when two empty lists mean OpenSSL's own groups, and when Postfix's own again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """The groups that are set, None for OpenSSL's own; `ecdhe` is false where that leaves a server without ECDHE."""

    groups: tuple[int, ...] | None
    ecdhe: bool = True


def client_groups(parameters: Parameters) -> Groups:
    """What the client sets: OpenSSL's own groups before 3.2.

    Raises:
        InvalidSetting: a list is empty where Postfix stops at that.
    """
    if parameters.postfix < _LISTS_SINCE:
        return Groups(groups=None)
    return _lists(parameters)


def server_groups(parameters: Parameters) -> Groups:
    """What the server sets, by `smtpd_tls_eecdh_grade` up to 3.5.

    Raises:
        InvalidSetting: a list is empty where Postfix stops at that.
    """
    postfix = parameters.postfix
    if postfix >= _NO_GRADES_SINCE:
        return _lists(parameters)
    grade = parameters.text("smtpd_tls_eecdh_grade").lower()
    if postfix >= _LISTS_SINCE and (grade == "auto" or (grade == "none" and postfix >= _GRADES_ARE_LISTS_SINCE)):
        return _lists(parameters)
    if grade not in ("strong", "ultra"):
        return _unset(parameters.openssl)
    curve = parameters.text(f"tls_eecdh_{grade}_curve")
    if postfix >= _GRADES_ARE_LISTS_SINCE:
        return _usable(curve, parameters.openssl) or _unset(parameters.openssl)
    # One curve by its short name (OBJ_sn2nid), as an EC key, which X25519 is not.
    group = None if "-" in curve else group_named(curve, parameters.openssl)
    if group is None or group >= 29:
        return _unset(parameters.openssl)
    return Groups(groups=(group,))


def _unset(openssl: Generation) -> Groups:
    """No curve set: OpenSSL 1.0.2 has no ECDHE then, its successors choose one of their own groups."""
    return Groups(groups=None, ecdhe=openssl != "1.0.2")


def _lists(parameters: Parameters) -> Groups:
    postfix, openssl = parameters.postfix, parameters.openssl
    curves = parameters.text("tls_eecdh_auto_curves")
    if postfix < _FIELDS_SINCE:
        return _usable(curves, openssl) or _unset(openssl)
    fields = parameters.text("tls_ffdhe_auto_groups") if openssl == "3.0" else ""
    if not curves and not fields and sum(since <= postfix for since in _MAY_BE_EMPTY_SINCE) % 2:
        return _unset(openssl)
    if postfix >= _REPEATED_SINCE:
        curves, fields = " ".join(dict.fromkeys(f"{curves} {fields}".replace(":", " ").replace(",", " ").split())), ""
    own_fields = (default("tls_ffdhe_auto_groups", postfix, openssl) or "") if openssl == "3.0" else ""
    own = f"{default('tls_eecdh_auto_curves', postfix, openssl)} {own_fields}"
    return _usable(f"{curves} {fields}", openssl) or _usable(own, openssl) or _unset(openssl)


def _usable(text: str, openssl: Generation) -> Groups | None:
    """The groups of a list that this OpenSSL has; None where it has none of them."""
    found = [group_named(word, openssl) for word in text.replace(",", " ").split()]
    groups = tuple(group for group in found if group is not None)
    if not groups:
        return None
    # OpenSSL refuses a list with a group in it twice, and Postfix goes on without.
    return Groups(groups=groups) if len(set(groups)) == len(groups) else _unset(openssl)
