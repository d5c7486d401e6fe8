"""What a certificate says, read from its DER form without trust."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from cryptography import x509

MAX_NAMES = 1000
"""How many subjectAltName entries are kept. The largest hosting certificates have some hundreds; a Certificate message
may hold 16 MB of them (RFC 5246 §7.4.2)."""

MAX_TEXT = 1000
"""How many characters are kept of each name, subject, issuer, serial number and error."""

_SIGNATURES = {
    "1.2.840.113549.1.1.2": "md2WithRSAEncryption",
    "1.2.840.113549.1.1.4": "md5WithRSAEncryption",
    "1.2.840.113549.1.1.5": "sha1WithRSAEncryption",
    "1.2.840.113549.1.1.10": "rsassaPss",
    "1.2.840.113549.1.1.11": "sha256WithRSAEncryption",
    "1.2.840.113549.1.1.12": "sha384WithRSAEncryption",
    "1.2.840.113549.1.1.13": "sha512WithRSAEncryption",
    "1.2.840.113549.1.1.14": "sha224WithRSAEncryption",
    "1.2.840.10040.4.3": "dsaWithSHA1",
    "2.16.840.1.101.3.4.3.1": "dsa_with_SHA224",
    "2.16.840.1.101.3.4.3.2": "dsa_with_SHA256",
    "1.2.840.10045.4.1": "ecdsa-with-SHA1",
    "1.2.840.10045.4.3.1": "ecdsa-with-SHA224",
    "1.2.840.10045.4.3.2": "ecdsa-with-SHA256",
    "1.2.840.10045.4.3.3": "ecdsa-with-SHA384",
    "1.2.840.10045.4.3.4": "ecdsa-with-SHA512",
}

# A key that may make no other signatures, RFC 4055 §1.2.
_RSASSA_PSS = "1.2.840.113549.1.1.10"

# Kinds of key that need no size, and also signature algorithms (RFC 8410 §3, RFC 9881 §2).
_KEYS = {
    "1.3.101.112": "Ed25519",
    "1.3.101.113": "Ed448",
    "2.16.840.1.101.3.4.3.17": "ML-DSA-44",
    "2.16.840.1.101.3.4.3.18": "ML-DSA-65",
    "2.16.840.1.101.3.4.3.19": "ML-DSA-87",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A server's certificate. `chain` is the SHA-256 of every certificate sent, this one first.

    `names` are the dNSName and iPAddress entries of subjectAltName, `common_name` the last CN of the subject.
    `subject` and `issuer` are RFC 4514 strings. `serial` and `signature` are as `openssl x509` prints them: hex digits,
    and OpenSSL's name of the algorithm, or its OID where it has no name here.
    `key` is like ``RSA 2048``, ``RSA-PSS 2048``, ``EC secp256r1`` or ``Ed25519``, or the OID of an unknown kind.
    `error` says what could not be parsed; the fingerprint is there in any case.

    The texts are the peer's own, control characters included: whoever shows them escapes them. At most `MAX_NAMES`
    names and `MAX_TEXT` characters of each text are kept.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectNames:
    """The names that a certificate goes by, by kind: all of them, as a match may be the last."""

    dns: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    common_names: tuple[str, ...] = ()
    error: str | None = None


def fingerprint(der: bytes) -> str:
    """The SHA-256 of a certificate, 64 lower-case hex digits."""
    return hashlib.sha256(der).hexdigest()


@lru_cache(maxsize=256)
def read_certificate(der: bytes, chain: tuple[bytes, ...] = ()) -> Certificate:
    """Read what a certificate says. Never raises: what cannot be parsed is left empty, and `error` says so.

    `chain` is all that the server sent (DER), this certificate first; empty where only this one is known. The
    addresses of one MX mostly show one certificate, which is read once.
    """
    prints = tuple(fingerprint(each) for each in chain)
    reading = _Reading()
    found = reading.of("certificate", lambda: _load(der), None)
    if found is None:
        return Certificate(sha256=fingerprint(der), chain=prints, error=reading.error)
    names = _subject_names(found, reading)
    return Certificate(
        sha256=fingerprint(der),
        subject=reading.of("subject", lambda: _text(found.subject.rfc4514_string()), ""),
        issuer=reading.of("issuer", lambda: _text(found.issuer.rfc4514_string()), ""),
        common_name=names.common_names[-1] if names.common_names else None,
        names=(names.dns + names.addresses)[:MAX_NAMES],
        serial=reading.of("serial number", lambda: _serial(found.serial_number), ""),
        not_before=reading.of("notBefore", lambda: found.not_valid_before_utc, None),
        not_after=reading.of("notAfter", lambda: found.not_valid_after_utc, None),
        key=reading.of("key", lambda: _key(found), ""),
        signature=reading.of("signature algorithm", lambda: _signature(found), ""),
        chain=prints,
        error=reading.error,
    )


def subject_names(der: bytes) -> SubjectNames:
    """Read only the names of a certificate, dNSName and iPAddress told apart. Never raises."""
    reading = _Reading()
    found = reading.of("certificate", lambda: _load(der), None)
    return SubjectNames(error=reading.error) if found is None else _subject_names(found, reading)


_T = TypeVar("_T")


class _Reading:
    """Reads field after field and collects what could not be read.

    cryptography parses lazily, so each field can fail on its own, with ValueError, InvalidVersion, DuplicateExtension,
    UnsupportedAlgorithm and more: on a peer's bytes all of them mean the same. Its deprecation warnings are about
    certificates that we must read anyway (negative serial numbers, NULL parameters left out).
    """

    def __init__(self) -> None:
        self._problems: list[str] = []

    def of(self, what: str, read: Callable[[], _T], otherwise: _T) -> _T:
        try:
            with warnings.catch_warnings(action="ignore"):
                return read()
        except Exception as problem:
            self._problems.append(f"{what}: {_text(str(problem)) or type(problem).__name__}")
            return otherwise

    @property
    def error(self) -> str | None:
        return _text("; ".join(self._problems)) or None


def _load(der: bytes) -> x509.Certificate:
    from cryptography import x509

    return x509.load_der_x509_certificate(der)


def _text(text: str) -> str:
    return text[:MAX_TEXT]


def _subject_names(certificate: x509.Certificate, reading: _Reading) -> SubjectNames:
    from cryptography.x509 import DNSName, ExtensionNotFound, IPAddress, SubjectAlternativeName
    from cryptography.x509.oid import NameOID

    def alternative_names() -> tuple[tuple[str, ...], tuple[str, ...]]:
        try:
            names = certificate.extensions.get_extension_for_class(SubjectAlternativeName).value
        except ExtensionNotFound:
            return (), ()
        return (
            tuple(_text(name) for name in names.get_values_for_type(DNSName)),
            tuple(str(address) for address in names.get_values_for_type(IPAddress)),
        )

    def common_names() -> tuple[str, ...]:
        found = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[-MAX_NAMES:]
        # A BIT STRING is not a name.
        return tuple(_text(each.value) for each in found if isinstance(each.value, str))

    nothing: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    dns, addresses = reading.of("extensions", alternative_names, nothing)
    return SubjectNames(
        dns=dns,
        addresses=addresses,
        common_names=reading.of("common name", common_names, ()),
        error=reading.error,
    )


def _serial(number: int) -> str:
    digits = f"{abs(number):X}"
    return _text(("-" if number < 0 else "") + digits.zfill(len(digits) + len(digits) % 2))


def _key(certificate: x509.Certificate) -> str:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa

    oid = certificate.public_key_algorithm_oid.dotted_string
    if oid in _KEYS:
        return _KEYS[oid]
    try:
        key = certificate.public_key()
    except UnsupportedAlgorithm:
        return oid
    match key:
        case rsa.RSAPublicKey():
            return f"{'RSA-PSS' if oid == _RSASSA_PSS else 'RSA'} {key.key_size}"
        case ec.EllipticCurvePublicKey():
            return f"EC {key.curve.name}"
        case dsa.DSAPublicKey():
            return f"DSA {key.key_size}"
        case _:
            return oid


def _signature(certificate: x509.Certificate) -> str:
    oid = certificate.signature_algorithm_oid.dotted_string
    return _SIGNATURES.get(oid) or _KEYS.get(oid) or oid
