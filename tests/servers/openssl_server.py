"""`openssl s_server`: every suite of the system's OpenSSL 3, with exact control, and what a cipher string gives there.

It serves one connection after the other, and talks no SMTP: put `smtp_front` before it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519

from mxprobe.terms import Protocol
from servers.certificates import Issued
from servers.running import RunningServer, Suites, certificate, free_port, output_of, program, server_directory, started

EVERYTHING = "ALL:COMPLEMENTOFALL:@SECLEVEL=0"
"""Every suite that was compiled in, also those without encryption (`openssl-ciphers(1)`)."""

EVERY_TLS13_SUITE = (
    "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256:"
    "TLS_AES_128_CCM_SHA256:TLS_AES_128_CCM_8_SHA256"
)
DEFAULT_TLS13_SUITES = "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256"
"""What OpenSSL offers unless told (`SSL_CTX_set_ciphersuites(3)`)."""

OPENSSL_PROTOCOLS: tuple[Protocol, ...] = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
"""What Debian's OpenSSL 3 can do; it is built without SSLv3."""

PSK = "1a2b3c4d"

_OPTION: dict[Protocol, str] = {"TLSv1": "-tls1", "TLSv1.1": "-tls1_1", "TLSv1.2": "-tls1_2", "TLSv1.3": "-tls1_3"}
_CIPHER_LINE = re.compile(r"\s*0x(\w\w),0x(\w\w) - \S+\s+\S+\s+Kx=(\S+)\s+Au=(\S+)")


def openssl_suites(
    cipher: str,
    *,
    protocols: Sequence[Protocol] = OPENSSL_PROTOCOLS,
    ciphersuites: str = DEFAULT_TLS13_SUITES,
    authentications: frozenset[str] = frozenset({"RSA", "ECDSA", "None"}),
    psk: bool = False,
) -> Suites:
    """What a server of the system's OpenSSL accepts with this configuration, by `openssl ciphers -V -s`.

    `authentications` are the words of its certificates as `authentication` gives them, and None for anonymous
    suites. SRP suites are left out: they need a user file. Below TLS 1.2 OpenSSL 3 serves nothing unless the
    security level is 0 (CHANGES of 3.0: no SHA-1 signatures at level 1), although the suites stay in the list.
    """
    accepted: dict[Protocol, frozenset[int]] = {}
    for protocol in protocols:
        if protocol in ("TLSv1", "TLSv1.1") and "@SECLEVEL=0" not in cipher:
            continue
        options = [_OPTION[protocol], *(["-psk"] if psk else []), "-ciphersuites", ciphersuites]
        listing = output_of(program("openssl", "openssl"), "ciphers", "-V", "-s", *options, cipher)
        served = authentications | ({"PSK"} if psk else set())
        if "EdDSA" in served and protocol == "TLSv1.2":
            served |= {"ECDSA"}
        if served & _TLS13_AUTHENTICATIONS:
            served |= {"any"}
        found = frozenset(
            int(high + low, 16)
            for high, low, exchange, authentication in _CIPHER_LINE.findall(listing)
            if authentication in served and exchange != "SRP"
        )
        if found:
            accepted[protocol] = found
    return accepted


@contextmanager
def openssl_server(
    *,
    cipher: str = EVERYTHING,
    ciphersuites: str = EVERY_TLS13_SUITE,
    protocols: Sequence[Protocol] = OPENSSL_PROTOCOLS,
    certificates: Sequence[Issued] = (),
    psk: bool = False,
    arguments: Sequence[str] = (),
) -> Iterator[RunningServer]:
    """Run `openssl s_server` on a free port of 127.0.0.1, without SMTP.

    `certificates` are of different key types (RSA and EC unless given). `protocols` are those
    allowed. `psk` also serves the PSK suites, to everybody who knows `PSK`. `arguments` are added as they are, and
    `expected` knows nothing of them.

    Raises:
        RuntimeError: it does not start.
    """
    shown = tuple(certificates) or (certificate("RSA"), certificate("EC"))
    port = free_port()
    with server_directory("openssl") as directory:
        command = [str(program("openssl", "openssl")), "s_server", "-accept", f"127.0.0.1:{port}"]
        # Its own options take two certificates at most, and -xcert replaces those; a configuration takes any number.
        command += ["-nocert", "-ssl_config", "mxprobe"]
        configuration = directory / "openssl.cnf"
        configuration.write_text(_configuration(shown, directory))
        command += ["-cipher", cipher, "-ciphersuites", ciphersuites]
        command += [f"-no_{_OPTION[protocol][1:]}" for protocol in OPENSSL_PROTOCOLS if protocol not in protocols]
        command += ["-psk", PSK, "-psk_identity", "mxprobe"] if psk else []
        # -rev answers every line, and keeps s_server from reading commands on its standard input.
        command += ["-rev", *arguments]
        log = directory / "s_server.log"
        environment = {**os.environ, "OPENSSL_CONF": str(configuration)}
        with started("openssl s_server", command, log=log, environment=environment, ready=port) as process:
            yield RunningServer(
                name="openssl s_server",
                port=port,
                expected=openssl_suites(
                    cipher,
                    protocols=protocols,
                    ciphersuites=ciphersuites,
                    authentications=frozenset({"None"} | {authentication(issued) for issued in shown}),
                    psk=psk,
                ),
                certificates=shown,
                log=log,
                process_id=process.popen.pid,
            )


def authentication(issued: Issued) -> str:
    """The Au= word of the suites that a certificate serves; EdDSA serves the ECDSA ones of TLS 1.2 (RFC 8422 §5.2)."""
    match issued.key:
        case dsa.DSAPrivateKey():
            return "DSS"
        case ec.EllipticCurvePrivateKey():
            return "ECDSA"
        case ed25519.Ed25519PrivateKey():
            return "EdDSA"
        case _:
            return "RSA"


# TLS 1.3 has no DSA (RFC 8446 §4.2.3), and its suites name no authentication.
_TLS13_AUTHENTICATIONS = frozenset({"RSA", "ECDSA", "EdDSA", "PSK"})


def _configuration(certificates: Sequence[Issued], directory: Path) -> str:
    """An `openssl.cnf` whose section mxprobe has the certificates (`SSL_CONF_cmd(3)`: what is before a dot is ours)."""
    lines = ["openssl_conf = start", "[start]", "ssl_conf = sections", "[sections]", "mxprobe = server", "[server]"]
    for number, issued in enumerate(certificates):
        certificate_file, key_file = issued.write(directory, f"certificate{number}")
        lines += [f"{number}.Certificate = {certificate_file}", f"{number}.PrivateKey = {key_file}"]
    return "\n".join(lines) + "\n"
