"""The key shares of our hellos, and the secret that a server's share makes with them (RFC 8446 §4.2.8, §7.4).

The private keys derive from the random of the hello, which everybody can read: so nothing has to be kept beside the
hello to read its answer, and the same hello can be written again. They protect nothing, and need not: what a server
sends under them it sends to everybody, and we say nothing under them but goodbye.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from mxprobe.tls.code_points import SECP256R1, SECP384R1, SECP521R1, X448, X25519
from mxprobe.tls.wire import WireError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec, x448, x25519

SHARED_GROUPS: Final = (X25519, SECP256R1, SECP384R1, SECP521R1, X448)
"""The groups that we have key shares of."""

_UNCOMPRESSED: Final = 4


def public_share(group: int, random: bytes) -> bytes:
    """The share to show for a group in the hello with this random.

    Costs some 0.03 ms of computing, 0.3 ms with P-384 and P-521: offer no share that is not asked for.

    Raises:
        WireError: we have none for this group.
    """
    if group == X25519:
        return _x25519(random).public_key().public_bytes_raw()
    if group == X448:
        return _x448(random).public_key().public_bytes_raw()
    if group in SHARED_GROUPS:
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        return _nist(group, random).public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    raise WireError(f"no key share for group {group}: x25519, x448, secp256r1, secp384r1 and secp521r1 are known")


def shared_secret(group: int, random: bytes, share: bytes) -> bytes:
    """What the hello with this random and a server that answers `share` have in common.

    Raises:
        WireError: the share is no public key of the group, or an unsafe one; or we have none for this group.
    """
    try:
        if group == X25519:
            from cryptography.hazmat.primitives.asymmetric import x25519

            return _x25519(random).exchange(x25519.X25519PublicKey.from_public_bytes(share))
        if group == X448:
            from cryptography.hazmat.primitives.asymmetric import x448

            return _x448(random).exchange(x448.X448PublicKey.from_public_bytes(share))
        if group in SHARED_GROUPS:
            from cryptography.hazmat.primitives.asymmetric import ec

            key = _nist(group, random)
            if share[:1] != bytes((_UNCOMPRESSED,)):
                raise WireError(f"a key share of group {group} that is not an uncompressed point")
            return key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(key.curve, share))
    except ValueError as error:
        if isinstance(error, WireError):
            raise
        raise WireError(f"a key share of {len(share)} bytes that is no public key of group {group}") from error
    raise WireError(f"a key share for group {group}, of which we have none")


def _x25519(random: bytes) -> x25519.X25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric import x25519

    return x25519.X25519PrivateKey.from_private_bytes(hashlib.sha256(b"x25519" + random).digest())


def _x448(random: bytes) -> x448.X448PrivateKey:
    from cryptography.hazmat.primitives.asymmetric import x448

    return x448.X448PrivateKey.from_private_bytes(hashlib.shake_256(b"x448" + random).digest(56))


def _nist(group: int, random: bytes) -> ec.EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives.asymmetric import ec

    curves: dict[int, ec.EllipticCurve] = {
        SECP256R1: ec.SECP256R1(),
        SECP384R1: ec.SECP384R1(),
        SECP521R1: ec.SECP521R1(),
    }
    curve = curves[group]
    # Shorter than the order of the curve, and not zero.
    scalar = hashlib.shake_256(curve.name.encode() + random).digest((curve.key_size - 1) // 8)
    return ec.derive_private_key(int.from_bytes(scalar, "big") | 1, curve)
