"""A small certificate authority: leaves and chains, good and bad in one chosen way, for servers and for files."""

from __future__ import annotations

import ipaddress
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Literal, TypedDict, Unpack

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

KeyType = Literal["RSA", "EC", "Ed25519", "DSA"]
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | dsa.DSAPrivateKey

SERVER_AUTH = ExtendedKeyUsageOID.SERVER_AUTH
CLIENT_AUTH = ExtendedKeyUsageOID.CLIENT_AUTH
DAY = timedelta(days=1)


class Options(TypedDict, total=False):
    """What every certificate can have; without it, it is valid from yesterday for thirty days, and RSA 2048."""

    not_before: datetime | None
    not_after: datetime | None
    key_type: KeyType
    """EC keys are on P-256."""
    bits: int
    """The size of an RSA or DSA key."""
    eku: Sequence[ObjectIdentifier]
    """What extendedKeyUsage allows; empty leaves the extension out."""
    ca: bool | None
    """basicConstraints; None leaves the extension out."""
    path_length: int | None
    """Of basicConstraints, where `ca` is true."""
    bad_signature: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A certificate with its key. `chain` is what a server sends: itself, then its issuers without the root."""

    certificate: x509.Certificate
    key: PrivateKey
    issuers: tuple[Authority, ...] = ()

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The key as PKCS#8 without a passphrase."""
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    @property
    def chain(self) -> tuple[bytes, ...]:
        """DER: the certificate, then its intermediate issuers; a self-signed issuer is left out."""
        return (self.der, *(issuer.der for issuer in self.issuers if issuer.issuers))

    @property
    def chain_pem(self) -> bytes:
        """`chain` as one PEM file, as servers read it."""
        return self.pem + b"".join(issuer.pem for issuer in self.issuers if issuer.issuers)

    def write(self, directory: Path, name: str) -> tuple[Path, Path]:
        """Write `NAME.pem` (the chain) and `NAME.key`; returns both paths."""
        certificate, key = directory / f"{name}.pem", directory / f"{name}.key"
        certificate.write_bytes(self.chain_pem)
        key.write_bytes(self.key_pem)
        key.chmod(0o600)
        return certificate, key


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority(Issued):
    """A certificate that issues others. `Authority.root()` makes one to trust."""

    @classmethod
    def root(cls, name: str = "mxprobe test root", **options: Unpack[Options]) -> Authority:
        """A self-signed CA certificate."""
        options.setdefault("ca", True)
        made = _make(issuer=None, cn=name, **options)
        return cls(certificate=made.certificate, key=made.key)

    def intermediate(self, name: str = "mxprobe test intermediate", **options: Unpack[Options]) -> Authority:
        """An issuer below this one; with `ca=False`, one that was never allowed to issue."""
        options.setdefault("ca", True)
        made = _make(issuer=self, cn=name, **options)
        return Authority(certificate=made.certificate, key=made.key, issuers=made.issuers)

    def leaf(self, *names: str, cn: str | Sequence[str] | None = None, **options: Unpack[Options]) -> Issued:
        """`make_leaf` with this issuer."""
        return make_leaf(*names, issuer=self, cn=cn, **options)


def make_leaf(
    *names: str, issuer: Authority | None = None, cn: str | Sequence[str] | None = None, **options: Unpack[Options]
) -> Issued:
    """Make a server's certificate (serverAuth); without `issuer` it signs itself.

    `names` become dNSName or iPAddress entries (none: no subjectAltName). `cn` is by default the first name; it may
    be several, or empty for none.
    """
    if cn is None:
        cn = names[0] if names else ""
    options.setdefault("ca", False)
    options.setdefault("eku", (SERVER_AUTH,))
    return _make(*names, issuer=issuer, cn=cn, **options)


def hashed_directory(path: Path, certificates: Iterable[Issued | bytes]) -> Path:
    """Fill `path` (made where missing) with trusted certificates (PEM), and hash it as ``openssl rehash`` does."""
    path.mkdir(parents=True, exist_ok=True)
    for number, certificate in enumerate(certificates):
        pem = certificate if isinstance(certificate, bytes) else certificate.pem
        (path / f"ca{number}.pem").write_bytes(pem)
    subprocess.run(["openssl", "rehash", path], check=True, capture_output=True)
    return path


def _make(
    *names: str,
    issuer: Authority | None,
    cn: str | Sequence[str],
    ca: bool | None = None,
    not_before: datetime | None = None,
    not_after: datetime | None = None,
    key_type: KeyType = "RSA",
    bits: int = 2048,
    eku: Sequence[ObjectIdentifier] = (),
    path_length: int | None = None,
    bad_signature: bool = False,
) -> Issued:
    now = datetime.now(UTC).replace(microsecond=0)
    key = _new_key(key_type, bits)
    common_names = [cn] if isinstance(cn, str) else cn
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each) for each in common_names if each])
    signing_key = issuer.key if issuer else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before or now - DAY)
        .not_valid_after(not_after or now + 30 * DAY)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key()),
            critical=False,
        )
    )
    if ca is not None:
        length = path_length if ca else None
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=length), critical=True)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([_general_name(n) for n in names]), critical=False)
    if eku:
        builder = builder.add_extension(x509.ExtendedKeyUsage(eku), critical=False)
    algorithm = None if isinstance(signing_key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    certificate = builder.sign(signing_key, algorithm)
    if bad_signature:
        der = bytearray(certificate.public_bytes(serialization.Encoding.DER))
        # The last byte belongs to the signature in every algorithm made here.
        der[-1] ^= 1
        certificate = x509.load_der_x509_certificate(bytes(der))
    return Issued(certificate=certificate, key=key, issuers=(issuer, *issuer.issuers) if issuer else ())


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


@cache
def _dsa_parameters(bits: int) -> dsa.DSAParameters:
    # The parameters take seconds to make, and may be shared.
    return dsa.generate_parameters(key_size=bits)


def _new_key(key_type: KeyType, bits: int) -> PrivateKey:
    match key_type:
        case "RSA":
            return rsa.generate_private_key(public_exponent=65537, key_size=bits)
        case "EC":
            return ec.generate_private_key(ec.SECP256R1())
        case "Ed25519":
            return ed25519.Ed25519PrivateKey.generate()
        case "DSA":
            return _dsa_parameters(bits).generate_private_key()
