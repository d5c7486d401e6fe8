"""What alert numbers are called: TLS alerts (IANA "TLS Alerts"), and the errors of SSLv2.

Names are those of the registry; OpenSSL prints the same words with spaces. Numbers that nobody
registered are alerts all the same, and are named by their number.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

CLOSE_NOTIFY: Final = 0
USER_CANCELED: Final = 90

WARNING: Final = 1
FATAL: Final = 2

ALERTS: Final = MappingProxyType(
    {
        0: "close_notify",
        10: "unexpected_message",
        20: "bad_record_mac",
        21: "decryption_failed",
        22: "record_overflow",
        30: "decompression_failure",
        40: "handshake_failure",
        41: "no_certificate",
        42: "bad_certificate",
        43: "unsupported_certificate",
        44: "certificate_revoked",
        45: "certificate_expired",
        46: "certificate_unknown",
        47: "illegal_parameter",
        48: "unknown_ca",
        49: "access_denied",
        50: "decode_error",
        51: "decrypt_error",
        52: "too_many_cids_requested",
        60: "export_restriction",
        70: "protocol_version",
        71: "insufficient_security",
        80: "internal_error",
        86: "inappropriate_fallback",
        90: "user_canceled",
        100: "no_renegotiation",
        109: "missing_extension",
        110: "unsupported_extension",
        111: "certificate_unobtainable",
        112: "unrecognized_name",
        113: "bad_certificate_status_response",
        114: "bad_certificate_hash_value",
        115: "unknown_psk_identity",
        116: "certificate_required",
        117: "general_error",
        120: "no_application_protocol",
        121: "ech_required",
    }
)
"""Registered TLS alerts. 21, 41 and 60 are reserved today: SSLv3 and TLS 1.0 stacks still send them."""

EMPTY_CIPHER_LIST: Final = 0
"""Not an SSLv2 error code: our number for a SERVER-HELLO without any cipher kind, which refuses as well."""

SSLV2_ERRORS: Final = MappingProxyType(
    {
        EMPTY_CIPHER_LIST: "empty cipher list",
        1: "NO-CIPHER-ERROR",
        2: "NO-CERTIFICATE-ERROR",
        4: "BAD-CERTIFICATE-ERROR",
        6: "UNSUPPORTED-CERTIFICATE-TYPE-ERROR",
    }
)
"""Error codes of SSLv2 ("The SSL Protocol", draft-hickman-netscape-ssl-00, appendix C)."""


def alert_name(number: int) -> str:
    """What a TLS alert is called, such as ``handshake_failure``; ``alert 123`` if it is not registered."""
    return ALERTS.get(number) or f"alert {number}"


def sslv2_error_name(number: int) -> str:
    """What an SSLv2 error is called, such as ``NO-CIPHER-ERROR``; ``SSLv2 error 9`` if it is unknown."""
    return SSLV2_ERRORS.get(number) or f"SSLv2 error {number}"
