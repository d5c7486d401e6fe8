"""Exim's `openssl_options`: the switches of OpenSSL that an administrator may turn (Exim specification §14.23)."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType
from typing import Final

from mxprobe.errors import InvalidSetting
from mxprobe.terms import Protocol
from mxprobe.tls.openssl_catalogue import Generation

_SWITCHED_OFF: Final[MappingProxyType[str, Protocol]] = MappingProxyType(
    {
        "no_sslv2": "SSLv2",
        "no_sslv3": "SSLv3",
        "no_tlsv1": "TLSv1",
        "no_tlsv1_1": "TLSv1.1",
        "no_tlsv1_2": "TLSv1.2",
        "no_tlsv1_3": "TLSv1.3",
    }
)
_SINCE_111: Final = frozenset(
    {
        "allow_no_dhe_kex",
        "enable_middlebox_compat",
        "no_anti_replay",
        "no_encrypt_then_mac",
        "no_renegotiation",
        "no_tlsv1_3",
        "prioritize_chacha",
    }
)
OPTIONS: Final = frozenset(
    {
        "all",
        "allow_unsafe_legacy_renegotiation",
        "cipher_server_preference",
        "cryptopro_tlsext_bug",
        "dont_insert_empty_fragments",
        "ephemeral_rsa",
        "legacy_server_connect",
        "microsoft_big_sslv3_buffer",
        "microsoft_sess_id_bug",
        "msie_sslv2_rsa_padding",
        "netscape_challenge_bug",
        "netscape_reuse_cipher_change_bug",
        "no_compression",
        "no_session_resumption_on_renegotiation",
        "no_ticket",
        "safari_ecdhe_ecdsa_bug",
        "single_dh_use",
        "single_ecdh_use",
        "ssleay_080_client_dh_bug",
        "sslref2_reuse_cert_type_bug",
        "tls_block_padding_bug",
        "tls_d5_bug",
        "tls_rollback_bug",
        "tlsext_padding",
        *_SWITCHED_OFF,
        *_SINCE_111,
    }
)
"""The names that Exim has for them (`exim_openssl_options` of tls-openssl.c); OpenSSL 1.0.2 lacks some."""

DEFAULTS: Final = ("no_sslv2", "no_sslv3", "single_dh_use", "no_ticket", "no_renegotiation")
"""What is on before the option is read: it adds and takes away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpensslOptions:
    """What follows of `openssl_options` for a handshake: the versions that are off, and whose order decides."""

    off: frozenset[Protocol]
    server_preference: bool


def read_openssl_options(text: str, openssl: Generation, where: str) -> OpensslOptions:
    """The switches after ``+name -name`` was read from left to right. Case matters to recent Exims alone, and not here.

    Raises:
        InvalidSetting: a word that this Exim refuses, which then does not start.
    """
    known = frozenset(name for name in OPTIONS if openssl != "1.0.2" or name not in _SINCE_111)
    on = set(DEFAULTS)
    for word in text.split():
        sign, name = word[0], word[1:].lower()
        if sign not in "+-":
            problem = f"openssl_options parse error: {word[:60]!r} has no + or - before it"
            raise InvalidSetting(where, problem, "+name to switch on, -name to switch off")
        if name not in known:
            since = "; OpenSSL 1.0.2 does not have it" if name in OPTIONS else ""
            near = "".join(f"; did you mean {close!r}?" for close in get_close_matches(name, known, n=1) if not since)
            problem = f"openssl_options parse error: {word[:60]!r} is not known to Exim{since}{near}"
            raise InvalidSetting(where, problem, ", ".join(sorted(known)))
        if sign == "+":
            on.add(name)
        else:
            on.discard(name)
    return OpensslOptions(
        off=frozenset(protocol for name, protocol in _SWITCHED_OFF.items() if name in on),
        server_preference="cipher_server_preference" in on,
    )
