"""Key shares: those of our hellos agree with the cryptography of other stacks, and bad ones are refused."""

from __future__ import annotations

from contextlib import suppress

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, x448, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from mxprobe.tls.client_hello import decode_client_hello, encode_client_hello
from mxprobe.tls.key_shares import SHARED_GROUPS, public_share, shared_secret
from mxprobe.tls.offer import Offer
from mxprobe.tls.wire import WireError

CURVES = {23: ec.SECP256R1(), 24: ec.SECP384R1(), 25: ec.SECP521R1()}
randoms = st.binary(min_size=32, max_size=32)


def peer(group: int, share: bytes) -> tuple[bytes, bytes]:
    """What a server shows to this share, and the secret that it gets."""
    if group == 29:
        key = x25519.X25519PrivateKey.generate()
        return key.public_key().public_bytes_raw(), key.exchange(x25519.X25519PublicKey.from_public_bytes(share))
    if group == 30:
        key448 = x448.X448PrivateKey.generate()
        return key448.public_key().public_bytes_raw(), key448.exchange(x448.X448PublicKey.from_public_bytes(share))
    key_ec = ec.generate_private_key(CURVES[group])
    ours = key_ec.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return ours, key_ec.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(CURVES[group], share))


@pytest.mark.parametrize("group", SHARED_GROUPS)
@given(random=randoms)
def test_both_sides_get_the_same_secret(group: int, random: bytes) -> None:
    theirs, secret = peer(group, public_share(group, random))
    assert shared_secret(group, random, theirs) == secret


@pytest.mark.parametrize(("group", "length"), [(29, 32), (30, 56), (23, 65), (24, 97), (25, 133)])
def test_a_share_has_the_length_of_its_group(group: int, length: int) -> None:
    # RFC 8446 §4.2.8.2
    assert len(public_share(group, bytes(32))) == length
    assert public_share(group, bytes(32)) != public_share(group, bytes(31) + b"\1")


@pytest.mark.parametrize("group", SHARED_GROUPS)
@given(share=st.binary(max_size=140))
def test_any_share_of_a_server_makes_a_secret_or_a_wire_error(group: int, share: bytes) -> None:
    with suppress(WireError):
        assert any(shared_secret(group, bytes(32), share))


@pytest.mark.parametrize(
    ("group", "share"),
    [
        (29, bytes(32)),  # of low order: the secret would be zero, RFC 7748 §6.1
        (29, bytes(31)),
        (30, bytes(56)),
        (23, b""),
        (23, b"\4" + bytes(64)),  # no point of the curve
        (23, bytes.fromhex("036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296")),  # compressed
        (24, b"\4" + bytes(64)),
        (25, b"\0"),  # the point at infinity
        (256, bytes(256)),
        (0xEEEE, b""),
    ],
)
def test_a_bad_share_is_a_wire_error(group: int, share: bytes) -> None:
    with pytest.raises(WireError, match=f"group {group}"):
        shared_secret(group, bytes(32), share)


def test_a_hello_shows_the_shares_of_its_random_and_no_others_are_known() -> None:
    random = bytes(range(32))
    offer = Offer(protocol="TLSv1.3", suites=(0x1301,), key_shares=SHARED_GROUPS)
    hello = decode_client_hello(encode_client_hello(offer, random=random))
    shares = dict(hello.extensions)[51]
    for group in SHARED_GROUPS:
        share = public_share(group, random)
        assert group.to_bytes(2, "big") + len(share).to_bytes(2, "big") + share in shares
    with pytest.raises(WireError, match="no key share for group 256"):
        public_share(256, random)
