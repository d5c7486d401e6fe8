"""Priority strings beside GnuTLS itself: the hello of `gnutls-cli`, and what a swept `gnutls-serv` accepts."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

import mxprobe
from mxprobe import Limits, ProbeSettings
from mxprobe.configuration.this_machine import gnutls_listing
from mxprobe.mta.gnutls import client_profile, server_profile
from mxprobe.mta.hello import profile_of_hello
from mxprobe.mta.profile import ServerProfile
from mxprobe.terms import CertificateKind
from servers.gnutls_server import EVERYTHING, gnutls_server
from servers.recorder import recorder
from servers.running import certificate
from servers.sending import command_sends
from servers.smtp_front import smtp_front

CLIENTS = (
    "NORMAL",
    "PFS",
    "SECURE128",
    "SECURE192",
    "SECURE256",
    "SUITEB128",
    "SUITEB192",
    "LEGACY",
    "PERFORMANCE",
    "NORMAL:-VERS-TLS1.3",
    "NORMAL:-VERS-ALL:+VERS-TLS1.3",
    "PFS:-VERS-TLS1.2:-VERS-TLS1.3:+CAMELLIA-256-GCM",
    "NORMAL:-VERS-TLS1.2:-VERS-TLS1.0",
    "NORMAL:-VERS-ALL:+VERS-TLS1.1:+VERS-TLS1.0",
    "NORMAL:-KX-ALL:+RSA",
    "NORMAL:-VERS-TLS1.3:-KX-ALL:+RSA",
    "NORMAL:-VERS-TLS1.3:-KX-ALL:+DHE-RSA",
    "NORMAL:-VERS-TLS1.3:-KX-ALL:+ECDHE-ECDSA",
    "NORMAL:-GROUP-ALL:+GROUP-FFDHE2048:+GROUP-X448:+GROUP-SECP256R1:+GROUP-X25519",
    "NORMAL:-GROUP-ALL:+GROUP-FFDHE3072",
    "NORMAL:-VERS-TLS1.3:-GROUP-ALL",
    "NORMAL:-SIGN-ALL:+SIGN-RSA-SHA256:+SIGN-ECDSA-SHA1:+SIGN-RSA-SHA1",
    "NORMAL:-SIGN-ALL",
    "NORMAL:%NO_EXTENSIONS",
    "NORMAL:%COMPAT:%FALLBACK_SCSV",
    "NORMAL:%SERVER_PRECEDENCE:%DISABLE_SAFE_RENEGOTIATION",
    "NORMAL:+ARCFOUR-128:+3DES-CBC:+DHE-DSS:+SIGN-DSA-SHA256:+MD5",
    "NORMAL:+DHE-DSS:+SIGN-DSA-SHA1:+SIGN-DSA-SHA384:+SIGN-RSA-SHA224:+SIGN-ECDSA-SHA224:+SIGN-RSA-MD5",
    "NORMAL:+GOST",
    "NORMAL:+SRP",
    "NORMAL:+NULL",
    "LEGACY:+ANON-ECDH:+ANON-DH",
    "NONE:+VERS-TLS-ALL:+AES-128-CBC:+ECDHE-RSA:+SHA1:+SIGN-ALL:+GROUP-SECP256R1:+COMP-NULL",
    "NONE:+VERS-TLS1.2:+CHACHA20-POLY1305:+AES-128-GCM:+AEAD:+DHE-RSA:+RSA:+SIGN-RSA-SHA512:+GROUP-ALL:+COMP-NULL",
)


@pytest.mark.parametrize("priority", CLIENTS)
def test_the_hello_of_gnutls_cli_is_that_of_the_profile(priority: str) -> None:
    listing, _ = gnutls_listing(priority)
    computed = client_profile(listing, name="it", anonymous=True)
    with recorder() as there:
        command_sends(
            *("gnutls-cli", "--starttls-proto=smtp", "--insecure", f"--port={there.port}"),
            *(f"--priority={priority}", "127.0.0.1"),
        )
        hello = there.recorded().hello
    # A hello without supported_versions does not tell how far down its sender goes: that is the library's word alone.
    stated = None if "TLSv1.3" in computed.protocols else computed.protocols
    sent = replace(profile_of_hello("it", hello, protocols=stated), hello=None)
    assert sent == computed


SERVERS: tuple[tuple[str, tuple[CertificateKind, ...]], ...] = (
    ("NORMAL", ("RSA", "ECDSA")),
    ("NORMAL", ("RSA",)),
    ("NORMAL", ("ECDSA",)),
    (EVERYTHING, ("RSA", "ECDSA", "DSA")),
    ("NORMAL:+DHE-DSS:+3DES-CBC:-VERS-TLS1.3:+SIGN-DSA-SHA1", ("DSA", "RSA")),
    ("SECURE192:%SERVER_PRECEDENCE", ("RSA", "ECDSA")),
    ("NORMAL:-SIGN-ALL:+SIGN-RSA-SHA256", ("RSA", "ECDSA")),
    ("NORMAL:-GROUP-ALL:+GROUP-FFDHE2048", ("RSA", "ECDSA")),
    ("NORMAL:+ANON-ECDH:+ANON-DH:-VERS-TLS1.0", ("RSA",)),
    ("NORMAL:+PSK:+ECDHE-PSK:-VERS-TLS1.1", ("ECDSA",)),
)
CERTIFICATES = {"RSA": certificate("RSA"), "ECDSA": certificate("EC"), "DSA": certificate("DSA")}


@pytest.mark.parametrize(("priority", "kinds"), SERVERS, ids=[f"{p[:50]}-{'+'.join(kinds)}" for p, kinds in SERVERS])
def test_a_swept_gnutls_serv_accepts_what_the_profile_says(priority: str, kinds: tuple[CertificateKind, ...]) -> None:
    listing, _ = gnutls_listing(priority)
    computed = server_profile(listing, certificate_kinds=kinds, name="it", anonymous=True)
    assert isinstance(computed, ServerProfile)
    shown = [CERTIFICATES[kind] for kind in kinds]
    with gnutls_server(priority=priority, psk=False, certificates=shown) as server, smtp_front(server) as front:
        settings = ProbeSettings(limits=Limits(per_address=8))
        (facts,) = asyncio.run(mxprobe.probe(f"127.0.0.1:{front.port}", settings)).endpoints
    swept = {
        protocol: frozenset(int(suite.id, 16) for suite in found.suites)
        for protocol, found in facts.protocols.items()
        if found.suites
    }
    assert swept == {protocol: frozenset(suites) for protocol, suites in computed.suites.items()}
    orders = {found.order for protocol, found in facts.protocols.items() if len(found.suites) > 1}
    assert orders == {computed.order}
