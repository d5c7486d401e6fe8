"""`selfserv` of NSS, which still speaks SSLv3, alone or with TLS: RC4, DES, SEED, Camellia, NULL, static ECDH.

It talks no SMTP: put `smtp_front` before it. It listens on all interfaces, for as long as a test takes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import dsa, ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12
from cryptography.x509.oid import SignatureAlgorithmOID

from mxprobe.terms import PROTOCOLS, Protocol
from servers.certificates import Issued
from servers.running import RunningServer, Suites, certificate, free_port, output_of, program, server_directory, started

NSS_SUITES: dict[Protocol, dict[str, tuple[int, ...]]] = {
    "SSLv3": {
        "RSA": (0x01, 0x02, 0x04, 0x05, 0x09, 0x0A, 0x16, 0x15, 0x2F, 0x35, 0x33, 0x39, 0x41, 0x84, 0x45, 0x88, 0x96),
        "DSA": (0x12, 0x13, 0x32, 0x38, 0x44, 0x66, 0x87),
    },
    "TLSv1": {
        "EC": (0xC006, 0xC007, 0xC008, 0xC009, 0xC00A),
        "RSA": (0xC010, 0xC011, 0xC012, 0xC013, 0xC014),
        "ECDH-ECDSA": (0xC001, 0xC002, 0xC003, 0xC004, 0xC005),
        "ECDH-RSA": (0xC00B, 0xC00C, 0xC00D, 0xC00E, 0xC00F),
    },
    "TLSv1.2": {
        "RSA": (0x3B, 0x3C, 0x3D, 0x67, 0x6B, 0x9C, 0x9D, 0x9E, 0x9F, 0xC027, 0xC028, 0xC02F, 0xC030, 0xCCA8, 0xCCAA),
        "DSA": (0x40, 0x6A, 0xA2, 0xA3),
        "EC": (0xC023, 0xC024, 0xC02B, 0xC02C, 0xCCA9),
    },
    "TLSv1.3": {"": (0x1301, 0x1302, 0x1303)},
}
"""What NSS 3.87 implements (`SSL_ImplementedCiphers`), by the protocol that began it and the certificate it needs.

ECC suites work from TLS 1.0 on (RFC 4492), those with SHA-2 from TLS 1.2 on (RFC 5246), and the ones of TLS 1.3
there only. Static ECDH wants an EC certificate that RSA or ECDSA signed (RFC 4492 §2.1, §2.3).
"""

_VERSION: dict[Protocol, str] = {
    "SSLv3": "ssl3",
    "TLSv1": "tls1.0",
    "TLSv1.1": "tls1.1",
    "TLSv1.2": "tls1.2",
    "TLSv1.3": "tls1.3",
}


@contextmanager
def nss_server(
    *,
    lowest: Protocol = "SSLv3",
    highest: Protocol = "SSLv3",
    suites: Sequence[int] | None = None,
    certificates: Sequence[Issued] = (),
) -> Iterator[RunningServer]:
    """Run `selfserv` on a free port, without SMTP.

    It speaks `lowest` to `highest`: SSLv3 alone unless told; NSS refuses SSLv3 together with TLS 1.3. `suites` are
    the only ones enabled (all unless given). `certificates` have different key types and subjects (RSA, EC and DSA
    unless given).

    Raises:
        RuntimeError: it does not start.
    """
    shown = tuple(certificates) or (certificate("RSA"), certificate("EC"), certificate("DSA"))
    enabled = tuple(suites) if suites is not None else _all_suites()
    port = free_port()
    with server_directory("nss") as directory:
        database = _database(directory, shown)
        log = directory / "selfserv.log"
        command: list[str | Path] = [program("selfserv", "libnss3-tools"), "-d", database, "-p", str(port)]
        for number, issued in enumerate(shown):
            command += [{"RSA": "-n", "EC": "-e", "DSA": "-S"}[_key_type(issued)], f"certificate{number}"]
        command += ["-V", f"{_VERSION[lowest]}:{_VERSION[highest]}", "-H", "1"]
        command += ["-c", "".join(f":{suite:04x}" for suite in enabled)]
        with started("selfserv", command, log=log, ready=port) as process:
            yield RunningServer(
                name="NSS selfserv",
                port=port,
                expected=_expected(lowest, highest, frozenset(enabled), shown),
                certificates=shown,
                log=log,
                process_id=process.popen.pid,
            )


def _all_suites() -> tuple[int, ...]:
    return tuple(suite for kinds in NSS_SUITES.values() for suites in kinds.values() for suite in suites)


def _database(directory: Path, certificates: Sequence[Issued]) -> str:
    """Make a certificate database; the nicknames are certificate0, certificate1, ..."""
    database = f"sql:{directory}"
    output_of(program("certutil", "libnss3-tools"), "-N", "-d", database, "--empty-password")
    for number, issued in enumerate(certificates):
        bundle = directory / f"{number}.p12"
        bundle.write_bytes(
            pkcs12.serialize_key_and_certificates(
                f"certificate{number}".encode(),
                issued.key,
                issued.certificate,
                [issuer.certificate for issuer in issued.issuers],
                BestAvailableEncryption(b"x"),
            )
        )
        output_of(program("pk12util", "libnss3-tools"), "-i", bundle, "-d", database, "-W", "x", "-K", "")
    return database


def _expected(lowest: Protocol, highest: Protocol, enabled: frozenset[int], certificates: Sequence[Issued]) -> Suites:
    kinds = {""} | {_key_type(issued) for issued in certificates}
    for issued in certificates:
        if _key_type(issued) == "EC":
            by_rsa = issued.certificate.signature_algorithm_oid == SignatureAlgorithmOID.RSA_WITH_SHA256
            kinds.add("ECDH-RSA" if by_rsa else "ECDH-ECDSA")
    expected: dict[Protocol, frozenset[int]] = {}
    for protocol in PROTOCOLS[PROTOCOLS.index(lowest) : PROTOCOLS.index(highest) + 1]:
        begun = [protocol] if protocol == "TLSv1.3" else PROTOCOLS[: PROTOCOLS.index(protocol) + 1]
        expected[protocol] = enabled & {
            suite
            for began in begun
            for kind, suites in NSS_SUITES.get(began, {}).items()
            if kind in kinds
            for suite in suites
        }
    return {protocol: suites for protocol, suites in expected.items() if suites}


def _key_type(issued: Issued) -> str:
    match issued.key:
        case dsa.DSAPrivateKey():
            return "DSA"
        case ec.EllipticCurvePrivateKey():
            return "EC"
        case _:
            return "RSA"
