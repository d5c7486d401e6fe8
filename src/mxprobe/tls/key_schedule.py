"""The key schedule of TLS 1.3, up to the keys of the handshake: HKDF with labels over a transcript (RFC 8446 §7.1)."""

from __future__ import annotations

import hashlib
import hmac
from functools import lru_cache
from typing import Final, Literal

from mxprobe.tls.wire import block

HashName = Literal["sha256", "sha384"]

HASH_LENGTH: Final[dict[HashName, int]] = {"sha256": 32, "sha384": 48}
"""Bytes of a hash, and so of every secret made with it."""


def expand_label(hash_name: HashName, secret: bytes, label: bytes, context: bytes, length: int) -> bytes:
    """HKDF-Expand-Label: `length` bytes from a secret, bound to a label and a context (RFC 8446 §7.1)."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

    algorithm = hashes.SHA256() if hash_name == "sha256" else hashes.SHA384()
    info = length.to_bytes(2, "big") + block(1, b"tls13 ", label) + block(1, context)
    return HKDFExpand(algorithm=algorithm, length=length, info=info).derive(secret)


def derive_secret(hash_name: HashName, secret: bytes, label: bytes, transcript_hash: bytes) -> bytes:
    """Derive-Secret: the secret that `label` names, for the messages that `transcript_hash` is of (RFC 8446 §7.1)."""
    return expand_label(hash_name, secret, label, transcript_hash, HASH_LENGTH[hash_name])


@lru_cache(maxsize=len(HASH_LENGTH))
def early_secret(hash_name: HashName) -> bytes:
    """The Early Secret of a handshake without a pre-shared key; always the same."""
    zeros = bytes(HASH_LENGTH[hash_name])
    return _extract(hash_name, zeros, zeros)


def handshake_secret(hash_name: HashName, shared_secret: bytes) -> bytes:
    """The Handshake Secret that both sides get from their key exchange."""
    return _extract(hash_name, _derived_salt(hash_name), shared_secret)


def finished_verify_data(hash_name: HashName, traffic_secret: bytes, transcript_hash: bytes) -> bytes:
    """What the Finished of the side with this traffic secret has to hold (RFC 8446 §4.4.4)."""
    key = expand_label(hash_name, traffic_secret, b"finished", b"", HASH_LENGTH[hash_name])
    return hmac.digest(key, transcript_hash, hash_name)


@lru_cache(maxsize=len(HASH_LENGTH))
def _derived_salt(hash_name: HashName) -> bytes:
    return derive_secret(hash_name, early_secret(hash_name), b"derived", hashlib.new(hash_name).digest())


def _extract(hash_name: HashName, salt: bytes, secret: bytes) -> bytes:
    """HKDF-Extract, which is HMAC with the salt as its key (RFC 5869 §2.2)."""
    return hmac.digest(salt, secret, hash_name)
