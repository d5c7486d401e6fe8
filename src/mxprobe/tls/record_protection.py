"""Record protection of TLS 1.3: sealing and opening records with the suite and a traffic secret (RFC 8446 §5.2)."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal

from mxprobe.tls.code_points import APPLICATION_DATA
from mxprobe.tls.key_schedule import HashName, expand_label
from mxprobe.tls.records import MAX_PLAINTEXT
from mxprobe.tls.wire import WireError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305

MAX_CIPHERTEXT: Final = MAX_PLAINTEXT + 256
"""The longest encrypted fragment, RFC 8446 §5.2."""

# The length of every suite's iv, RFC 8446 §5.3 and RFC 5116 §5.
_IV_LENGTH: Final = 12

_VERSION_AND_TYPE: Final = bytes((APPLICATION_DATA, 3, 3))


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """How a suite protects records: its AEAD, the lengths of key and tag in bytes, and the hash of its secrets."""

    aead: Literal["AES-GCM", "AES-CCM", "ChaCha20-Poly1305"]
    key_length: int
    hash_name: HashName
    tag_length: int = 16


PROTECTIONS: Final = MappingProxyType(
    {
        0x1301: Protection(aead="AES-GCM", key_length=16, hash_name="sha256"),
        0x1302: Protection(aead="AES-GCM", key_length=32, hash_name="sha384"),
        0x1303: Protection(aead="ChaCha20-Poly1305", key_length=32, hash_name="sha256"),
        0x1304: Protection(aead="AES-CCM", key_length=16, hash_name="sha256"),
        0x1305: Protection(aead="AES-CCM", key_length=16, hash_name="sha256", tag_length=8),
    }
)
"""The suites of RFC 8446 §B.4, by their code points."""


class RecordProtection:
    """The protection of one direction under one traffic secret; counts its records."""

    __slots__ = ("_aead", "_iv", "_sequence", "_tag_length")

    def __init__(self, protection: Protection, traffic_secret: bytes) -> None:
        key = expand_label(protection.hash_name, traffic_secret, b"key", b"", protection.key_length)
        self._aead = _cipher(protection, key)
        self._iv = int.from_bytes(expand_label(protection.hash_name, traffic_secret, b"iv", b"", _IV_LENGTH), "big")
        self._tag_length = protection.tag_length
        self._sequence = 0

    def seal(self, content_type: int, content: bytes) -> bytes:
        """The next record, whole, without padding."""
        inner = content + bytes((content_type,))
        header = _header(len(inner) + self._tag_length)
        return header + self._aead.encrypt(self._nonce(), inner, header)

    def open(self, fragment: bytes) -> tuple[int, bytes]:
        """The content type and content of the next record, whose fragment this is.

        Raises:
            WireError: it was not made with this secret as the next record, or breaks a limit.
        """
        from cryptography.exceptions import InvalidTag

        if not self._tag_length < len(fragment) <= MAX_CIPHERTEXT:
            raise WireError(f"an encrypted record of {len(fragment)} bytes")
        try:
            inner = self._aead.decrypt(self._nonce(), fragment, _header(len(fragment)))
        except (InvalidTag, ValueError) as error:
            raise WireError(f"an encrypted record of {len(fragment)} bytes that does not decrypt") from error
        stripped = inner.rstrip(b"\0")
        if not stripped:
            raise WireError("an encrypted record without a content type")
        if len(inner) > MAX_PLAINTEXT + 1:
            raise WireError(f"an encrypted record of {len(inner)} bytes inside, {MAX_PLAINTEXT + 1} are allowed")
        return stripped[-1], stripped[:-1]

    def _nonce(self) -> bytes:
        """The nonce of the next record, RFC 8446 §5.3."""
        nonce = (self._iv ^ self._sequence).to_bytes(_IV_LENGTH, "big")
        self._sequence += 1
        return nonce


def _header(length: int) -> bytes:
    """The header of an encrypted record, which is authenticated with it."""
    return _VERSION_AND_TYPE + length.to_bytes(2, "big")


def _cipher(protection: Protection, key: bytes) -> AESGCM | AESCCM | ChaCha20Poly1305:
    from cryptography.hazmat.primitives.ciphers import aead

    match protection.aead:
        case "AES-GCM":
            return aead.AESGCM(key)
        case "AES-CCM":
            return aead.AESCCM(key, tag_length=protection.tag_length)
        case "ChaCha20-Poly1305":
            return aead.ChaCha20Poly1305(key)
