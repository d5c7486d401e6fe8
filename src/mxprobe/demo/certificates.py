"""The certificates of the demo's servers: one CA, one intermediate, and a leaf for each thing that can be wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a server is given: its certificate and those it sends along, leaf first, and its key; all in PEM."""

    chain_pem: str
    key_pem: str


class CertificateAuthority:
    """A root and an intermediate CA made for one run, valid around `now`; leaves hang off the intermediate.

    Keys are EC P-256, which are made in no time. Servers that only speak static RSA share one RSA key.
    """

    def __init__(self, now: datetime | None = None) -> None:
        self._now = now or datetime.now(UTC)
        self._rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._root_key = ec.generate_private_key(ec.SECP256R1())
        self._intermediate_key = ec.generate_private_key(ec.SECP256R1())
        root_name, intermediate_name = _name("mxprobe demo root CA"), _name("mxprobe demo intermediate CA")
        self._root = self._sign(
            subject=root_name, key=self._root_key, issuer=root_name, issuer_key=self._root_key, path_length=1
        )
        self._intermediate = self._sign(
            subject=intermediate_name,
            key=self._intermediate_key,
            issuer=root_name,
            issuer_key=self._root_key,
            path_length=0,
        )

    @property
    def root_pem(self) -> str:
        """The root certificate: what a CA file holds to trust this world."""
        return _pem(self._root)

    def server(
        self, name: str, *, rsa_key: bool = False, expired: bool = False, leaf_only: bool = False
    ) -> Credentials:
        """A server certificate for `name`, sent with the intermediate's unless `leaf_only`."""
        key = self._rsa_key if rsa_key else ec.generate_private_key(ec.SECP256R1())
        leaf = self._sign(
            subject=_name(name),
            key=key,
            issuer=self._intermediate.subject,
            issuer_key=self._intermediate_key,
            dns_names=(name,),
            # Issued for a year and not renewed last month.
            age=timedelta(days=395) if expired else timedelta(days=1),
        )
        return _credentials([leaf] if leaf_only else [leaf, self._intermediate], key)

    def self_signed(self, name: str) -> Credentials:
        """A server certificate for `name` that only vouches for itself."""
        key = ec.generate_private_key(ec.SECP256R1())
        return _credentials(
            [self._sign(subject=_name(name), key=key, issuer=_name(name), issuer_key=key, dns_names=(name,))], key
        )

    def _sign(
        self,
        *,
        subject: x509.Name,
        key: Key,
        issuer: x509.Name,
        issuer_key: ec.EllipticCurvePrivateKey,
        path_length: int | None = None,
        dns_names: Sequence[str] = (),
        age: timedelta = timedelta(days=1),
    ) -> x509.Certificate:
        """Sign a CA certificate where there is a `path_length`, a server's where there are `dns_names`."""
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now - age)
            .not_valid_after(self._now - age + timedelta(days=365))
            .add_extension(x509.BasicConstraints(ca=path_length is not None, path_length=path_length), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        )
        if path_length is not None:
            builder = builder.add_extension(_CA_USAGE, critical=True)
        if dns_names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([x509.DNSName(name) for name in dns_names]), critical=False
            ).add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        return builder.sign(issuer_key, SHA256())


_CA_USAGE = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _credentials(chain: Sequence[x509.Certificate], key: Key) -> Credentials:
    return Credentials(
        chain_pem="".join(map(_pem, chain)),
        # The form that both OpenSSL and tlslite-ng read.
        key_pem=key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode("ascii"),
    )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode("ascii")
