"""`gnutls-serv`: the suites that OpenSSL never had, such as Camellia-GCM, every PSK kind and RC4 with ECDHE-PSK.

It talks no SMTP: put `smtp_front` before it. It listens on all interfaces, for as long as a test takes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from mxprobe.terms import PROTOCOLS, Protocol
from servers.certificates import Issued
from servers.openssl_server import authentication
from servers.running import RunningServer, Suites, certificate, free_port, output_of, program, server_directory, started

EVERYTHING = (
    "NONE:+VERS-TLS1.0:+VERS-TLS1.1:+VERS-TLS1.2:+CIPHER-ALL:+ARCFOUR-128:+3DES-CBC:+CAMELLIA-128-GCM"
    ":+CAMELLIA-256-GCM:+CAMELLIA-128-CBC:+CAMELLIA-256-CBC:+AES-128-CCM-8:+AES-256-CCM-8:+NULL:+AEAD:+SHA1:+SHA256"
    ":+SHA384:+MD5:+ECDHE-ECDSA:+ECDHE-RSA:+RSA:+DHE-RSA:+DHE-DSS:+PSK:+RSA-PSK:+DHE-PSK:+ECDHE-PSK:+ANON-DH"
    ":+ANON-ECDH:+GROUP-ALL:+SIGN-ALL:+SIGN-RSA-SHA1:+SIGN-DSA-SHA1:+SIGN-DSA-SHA256:+COMP-NULL"
)
"""All that GnuTLS 3.7 can do but SRP, up to TLS 1.2: it gives TLS 1.3 up where RSA-PSK or anonymous suites are on."""

_CIPHER_LINE = re.compile(r"TLS_(\w+)\s+0x(\w\w), 0x(\w\w)\s+(TLS1\.\d)")
_PROTOCOL: dict[str, Protocol] = {
    "VERS-TLS1.0": "TLSv1",
    "VERS-TLS1.1": "TLSv1.1",
    "VERS-TLS1.2": "TLSv1.2",
    "VERS-TLS1.3": "TLSv1.3",
}


@contextmanager
def gnutls_server(
    *, priority: str = EVERYTHING, psk: bool = True, certificates: Sequence[Issued] = ()
) -> Iterator[RunningServer]:
    """Run `gnutls-serv` on a free port with a priority string (GnuTLS manual §6.10), without SMTP.

    `certificates` are RSA, EC and DSA unless given; TLS 1.2 clients get DHE-DSS only if they offer DSA with SHA-1.
    With `psk` it has a key to serve the PSK suites with. It never has an SRP password file, so a priority string
    with SRP makes a server that picks suites it cannot finish.

    Raises:
        RuntimeError: it does not start, or the priority string is wrong.
    """
    shown = tuple(certificates) or (certificate("RSA"), certificate("EC"), certificate("DSA"))
    port = free_port()
    with server_directory("gnutls") as directory:
        command: list[str] = [str(program("gnutls-serv", "gnutls-bin")), "--priority", priority, "--port", str(port)]
        # In --echo mode it answers every line; -a asks for no client certificate.
        command += ["--echo", "-a"]
        for number, issued in enumerate(shown):
            certificate_file, key_file = issued.write(directory, f"certificate{number}")
            command += ["--x509certfile", str(certificate_file), "--x509keyfile", str(key_file)]
        if psk:
            passwords = directory / "psk"
            passwords.write_text("mxprobe:1a2b3c4d\n")
            command += ["--pskpasswd", str(passwords)]
        log = directory / "gnutls-serv.log"
        with started("gnutls-serv", command, log=log, ready=port) as process:
            yield RunningServer(
                name="gnutls-serv",
                port=port,
                expected=gnutls_suites(priority, certificates=shown, psk=psk, anonymous=True),
                certificates=shown,
                log=log,
                process_id=process.popen.pid,
            )


def gnutls_suites(
    priority: str, *, certificates: Sequence[Issued], psk: bool = False, anonymous: bool = False
) -> Suites:
    """What `gnutls-cli --list` expands a priority string to, without the suites that credentials are missing for."""
    listing = output_of(program("gnutls-cli", "gnutls-bin"), "--list", "--priority", priority)
    match = re.search(r"^Protocols: (.*)$", listing, re.MULTILINE)
    spoken = [_PROTOCOL[word] for word in (match[1].split(", ") if match else []) if word in _PROTOCOL]
    kinds = {authentication(issued) for issued in certificates}
    expected: dict[Protocol, frozenset[int]] = {}
    for protocol in spoken:
        found = frozenset(
            int(high + low, 16)
            for name, high, low, since in _CIPHER_LINE.findall(listing)
            if (since == "TLS1.3") == (protocol == "TLSv1.3")
            and PROTOCOLS.index(_PROTOCOL[f"VERS-{since}"]) <= PROTOCOLS.index(protocol)
            and (since == "TLS1.3" or _served(name, kinds, psk, anonymous))
        )
        if found:
            expected[protocol] = found
    return expected


def _served(name: str, kinds: set[str], psk: bool, anonymous: bool) -> bool:
    """Whether there are credentials for a suite of TLS 1.2 or before, under GnuTLS's name without TLS_."""
    if name.startswith("SRP"):
        return False
    if name.startswith(("DH_ANON", "ECDH_ANON")):
        return anonymous
    if "PSK" in name:
        return psk and ("RSA" in kinds or not name.startswith("RSA_PSK"))
    if name.startswith("DHE_DSS"):
        return "DSS" in kinds
    if name.startswith("ECDHE_ECDSA"):
        return bool(kinds & {"ECDSA", "EdDSA"})
    return "RSA" in kinds
