"""What is read from certificates, also from those that are no certificates."""

from __future__ import annotations

import hashlib
import warnings
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from mxprobe.trust.certificate import MAX_NAMES, MAX_TEXT, fingerprint, read_certificate
from servers.certificates import Authority, Issued, KeyType, make_leaf

NOT_BEFORE = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
NOT_AFTER = datetime(2036, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def root() -> Authority:
    return Authority.root("Example Root")


@pytest.fixture(scope="module")
def leaf(root: Authority) -> Issued:
    return root.leaf("mx.example.test", "*.example.net", "192.0.2.1", "2001:db8::1", not_before=NOT_BEFORE)


def test_what_a_certificate_says(root: Authority) -> None:
    leaf = root.leaf(
        "mx.example.test", "*.example.net", "192.0.2.1", "2001:db8::1", not_before=NOT_BEFORE, not_after=NOT_AFTER
    )

    read = read_certificate(leaf.der, leaf.chain)

    assert read.sha256 == hashlib.sha256(leaf.der).hexdigest()
    assert read.subject == "CN=mx.example.test"
    assert read.issuer == "CN=Example Root"
    assert read.common_name == "mx.example.test"
    assert read.names == ("mx.example.test", "*.example.net", "192.0.2.1", "2001:db8::1")
    assert (read.not_before, read.not_after) == (NOT_BEFORE, NOT_AFTER)
    assert int(read.serial, 16) == leaf.certificate.serial_number
    assert read.key == "RSA 2048"
    assert read.signature == "sha256WithRSAEncryption"
    assert read.error is None


def test_chain_is_the_fingerprint_of_everything_sent(root: Authority) -> None:
    leaf = root.intermediate().leaf("mx.example.test")

    assert read_certificate(leaf.der, leaf.chain).chain == tuple(map(fingerprint, leaf.chain))
    assert len(leaf.chain) == 2


@pytest.mark.parametrize(
    ("key_type", "key", "signature"),
    [
        ("RSA", "RSA 2048", "sha256WithRSAEncryption"),
        ("EC", "EC secp256r1", "ecdsa-with-SHA256"),
        ("Ed25519", "Ed25519", "Ed25519"),
        ("DSA", "DSA 2048", "dsa_with_SHA256"),
    ],
)
def test_kinds_of_key(key_type: KeyType, key: str, signature: str) -> None:
    read = read_certificate(make_leaf("mx.example.test", key_type=key_type).der)

    assert (read.key, read.signature, read.error) == (key, signature, None)


def test_an_unknown_kind_of_key_goes_by_its_oid(leaf: Issued) -> None:
    rsa_encryption = bytes.fromhex("06092a864886f70d010101")
    unknown = bytes.fromhex("06092a864886f70d01017f")  # 1.2.840.113549.1.1.127

    assert read_certificate(leaf.der.replace(rsa_encryption, unknown)).key == "1.2.840.113549.1.1.127"


def test_the_common_name_is_the_last_one() -> None:
    read = read_certificate(signed(subject=name("first.example.test", "last.example.test")))

    assert read.common_name == "last.example.test"
    assert read.subject == "CN=last.example.test,CN=first.example.test"  # RFC 4514 §2.1: the last one first


def test_without_names_there_are_none() -> None:
    read = read_certificate(signed(subject=name()))

    assert (read.subject, read.common_name, read.names, read.error) == ("", None, (), None)


def test_a_negative_serial_number_is_read_without_a_warning() -> None:
    der = signed(subject=name("mx.example.test"))
    version_and_serial = bytes.fromhex("a003020102020101")
    assert version_and_serial in der

    with warnings.catch_warnings(action="error"):
        read = read_certificate(der.replace(version_and_serial, bytes.fromhex("a0030201020201ff")))

    assert (read.serial, read.subject) == ("-01", "CN=mx.example.test")


def test_peer_text_stays_as_it_is_but_bounded() -> None:
    read = read_certificate(signed(subject=name("\x1b[31m" + "x" * 59), names=[f"{'x' * 5000}.example.test"]))

    assert read.common_name == "\x1b[31m" + "x" * 59
    assert read.names == ("x" * MAX_TEXT,)


def test_the_number_of_names_is_bounded() -> None:
    read = read_certificate(signed(subject=name("x"), names=[f"n{n}.example.test" for n in range(2 * MAX_NAMES)]))

    assert len(read.names) == MAX_NAMES
    assert read.names[0] == "n0.example.test"


@pytest.mark.parametrize("der", [b"", b"\x30", b"\x30\x80", b"not DER", bytes(1000)])
def test_what_is_no_certificate_still_has_its_fingerprint(der: bytes) -> None:
    read = read_certificate(der)

    assert read.sha256 == hashlib.sha256(der).hexdigest()
    assert read.error
    assert read.subject == read.key == ""


def test_one_unreadable_part_does_not_hide_the_rest(leaf: Issued) -> None:
    # An iPAddress entry of four bytes becomes one of three, and an empty dNSName follows to keep the lengths.
    address = bytes.fromhex("8704c0000201")
    assert address in leaf.der

    read = read_certificate(leaf.der.replace(address, bytes.fromhex("8702c0008200")))

    assert read.names == ()
    assert read.error is not None
    assert read.error.startswith("extensions: ")
    assert (read.subject, read.key) == ("CN=mx.example.test", "RSA 2048")


@settings(deadline=None)
@given(data=st.data())
def test_no_bytes_raise_anything(leaf: Issued, data: st.DataObject) -> None:
    der = bytearray(leaf.der)
    for _ in range(data.draw(st.integers(1, 8))):
        der[data.draw(st.integers(0, len(der) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(der[: data.draw(st.integers(0, len(der)))]) if data.draw(st.booleans()) else bytes(der)

    read = read_certificate(cut, (cut,))

    assert read.sha256 == hashlib.sha256(cut).hexdigest()
    assert read.error is None or len(read.error) <= MAX_TEXT


def name(*common_names: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each) for each in common_names])


def signed(*, subject: x509.Name, names: list[str] | None = None) -> bytes:
    """A self-signed certificate with any subject and dNSName entries."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOT_BEFORE)
        .not_valid_after(NOT_AFTER)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(map(x509.DNSName, names)), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)
