"""What a certificate says, read from its DER form without trust."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A server's certificate. `chain` is the SHA-256 of every certificate sent, this one first.

    `names` are the dNSName and iPAddress entries of subjectAltName, `common_name` the last CN of the subject.
    `key` is like ``RSA 2048``, ``EC secp256r1`` or ``Ed25519``. `error` says what could not be parsed; the fingerprint is there in any case.
    """

    sha256: str
    subject: str = ""
    issuer: str = ""
    common_name: str | None = None
    names: tuple[str, ...] = ()
    serial: str = ""
    not_before: datetime | None = None
    not_after: datetime | None = None
    key: str = ""
    signature: str = ""
    chain: tuple[str, ...] = ()
    error: str | None = None
