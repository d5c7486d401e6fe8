"""Facts beyond suites of real servers: what is found is what each of them is configured to do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

import mxprobe
from mxprobe import Limits, ProbeSettings
from mxprobe.network.driving import drive
from mxprobe.network.gate import Gate
from mxprobe.network.line import Line
from mxprobe.network.settings import Manners, Timeouts
from mxprobe.probing.endpoint import version_sweep
from mxprobe.terms import Endpoint, Protocol, State
from mxprobe.tls.client_hello import encode_client_hello
from mxprobe.tls.code_points import group_name, scheme_name
from mxprobe.tls.everything import Everything, everything
from mxprobe.tls.free_facts import FreeFacts, facts_free
from mxprobe.tls.groups import accepted_groups
from mxprobe.tls.offer import Answer, Chosen, Offer
from mxprobe.tls.server_flight import ServerFlight
from mxprobe.tls.sweep import SuitesFound
from servers.certificates import Authority
from servers.gnutls_server import gnutls_server
from servers.hello_filter import Dislike, How, hello_filter
from servers.memory_servers import openssl_flight, with_dh_parameters
from servers.memory_servers import openssl_server as memory_server
from servers.model import Asked
from servers.node_server import node_server
from servers.nss_server import nss_server
from servers.openssl_server import openssl_server
from servers.postfix import postfix_server
from servers.running import RunningServer, certificate
from servers.smtp_front import smtp_front
from servers.tlslite_server import tlslite_server

NAME = "mx.test"
MANNERS = Manners(ehlo="probe.example", timeouts=Timeouts(hello=5.0, quit=0.05, pause=0.02))

# A Diffie-Hellman prime of 1024 bits: the second Oakley group (RFC 2409 §6.2).
OAKLEY_2 = int(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD"
    "EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED"
    "EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE65381FFFFFFFFFFFFFFFF",
    16,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was found of one server, free and asked."""

    free: FreeFacts
    asked: Everything
    hellos: int

    def groups(self, protocol: Protocol) -> tuple[str, ...]:
        assert self.asked.groups[protocol].complete
        return tuple(map(group_name, self.asked.groups[protocol].accepted))

    def schemes(self, protocol: Protocol) -> set[str]:
        assert self.asked.schemes[protocol].complete
        return set(map(scheme_name, self.asked.schemes[protocol].accepted))

    def state(self, feature: str) -> State | None:
        """The state of a feature or quirk, by its name."""
        for where in (self.free, self.asked.asked, self.asked.coped):
            if hasattr(where, feature):
                found = getattr(where, feature)
                return None if found is None else found.state
        raise AssertionError(feature)


async def ask(port: int, manners: Manners = MANNERS) -> Found:
    """The suites of all versions, then everything else."""
    exchanges: list[tuple[Offer, Answer]] = []
    endpoint = Endpoint(host=NAME, address="127.0.0.1", port=port)
    gate = Gate(Limits(per_address=4))
    watched = Line(endpoint, manners, gate, watch=lambda offer, answer: exchanges.append((offer, answer)))
    async with watched as line:
        suites = await drive(line, version_sweep("full", NAME))
        before = len(exchanges)
        asked = await drive(line, everything(suites, NAME))
    return Found(free=facts_free(exchanges), asked=asked, hellos=len(exchanges) - before)


def found_of(starting: AbstractContextManager[RunningServer]) -> Found:
    with starting as server, smtp_front(server) as front:
        return asyncio.run(ask(front.port))


# OpenSSL, by its options.


def test_groups_of_openssl_are_those_of_its_option() -> None:
    options = ("-groups", "P-384:X25519:ffdhe3072")
    found = found_of(openssl_server(certificates=[certificate("RSA")], arguments=options))
    # In TLS 1.3 OpenSSL goes by its own order when it has to ask for a key share.
    assert found.groups("TLSv1.3") == ("secp384r1", "x25519", "ffdhe3072")
    assert found.asked.groups["TLSv1.3"].order == "server"
    for protocol in ("TLSv1.2", "TLSv1.1", "TLSv1"):
        # OpenSSL 3 uses named finite fields in TLS 1.3 alone (SSL_CTX_set1_groups(3)).
        assert set(found.groups(protocol)) == {"secp384r1", "x25519"}


def test_schemes_of_openssl_are_those_of_its_option() -> None:
    options = ("-sigalgs", "RSA-PSS+SHA384:RSA+SHA512")
    found = found_of(openssl_server(certificates=[certificate("RSA")], arguments=options))
    assert found.schemes("TLSv1.2") == {"rsa_pss_rsae_sha384", "rsa_pkcs1_sha512"}
    # PKCS #1 signs no handshake of TLS 1.3 (RFC 8446 §4.2.3).
    assert found.schemes("TLSv1.3") == {"rsa_pss_rsae_sha384"}


def test_a_server_with_an_ecdsa_certificate_alone_hides_no_group() -> None:
    options = ("-groups", "X25519:P-256:P-521")
    found = found_of(openssl_server(certificates=[certificate("EC")], arguments=options, protocols=("TLSv1.2",)))
    groups = found.asked.groups["TLSv1.2"]
    assert set(map(group_name, groups.accepted)) == {"x25519", "secp256r1", "secp521r1"}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), {"encrypt_then_mac": "yes", "session_tickets": "yes"}),
        (("-no_etm",), {"encrypt_then_mac": "no", "session_tickets": "yes"}),
        (("-no_ticket",), {"encrypt_then_mac": "yes", "session_tickets": "no"}),
    ],
)
def test_features_of_openssl_are_those_of_its_options(options: tuple[str, ...], expected: dict[str, State]) -> None:
    found = found_of(openssl_server(arguments=options, protocols=("TLSv1.2", "TLSv1.3")))
    always: dict[str, State] = {
        # What OpenSSL 3 does unless it is told otherwise (SSL_CTX_set_options(3)); it has no heartbeat any more.
        "extended_master_secret": "yes",
        "secure_renegotiation": "yes",
        "downgrade_sentinel": "yes",
        "fallback_scsv": "yes",
        "compression": "no",
        "heartbeat": "no",
        "ocsp_staple": "no",
        # And it copes with whatever a client may send.
        "grease": "yes",
        "newer_version": "yes",
        "large_hello": "yes",
        "fragmented_hello": "yes",
    }
    assert {name: found.state(name) for name in always | expected} == always | expected


def test_the_finite_field_is_that_of_the_configuration(tmp_path: Path) -> None:
    parameters = tmp_path / "dh.pem"
    with_dh_parameters(memory_server(), parameters, OAKLEY_2)
    found = found_of(openssl_server(arguments=("-dhparam", str(parameters)), protocols=("TLSv1.2",)))
    assert [(each.bits, each.name) for each in found.free.finite_fields["TLSv1.2"]] == [(1024, "Oakley group 2")]
    # It does not go by the named ones of RFC 7919 that were offered.
    assert not {name for name in found.groups("TLSv1.2") if name.startswith("ffdhe")}


@pytest.mark.parametrize("protocols", [("TLSv1.2",), ("TLSv1.3",)])
def test_a_staple_is_seen_in_the_clear_and_encrypted(tmp_path: Path, protocols: tuple[Protocol, ...]) -> None:
    response = tmp_path / "response.der"
    try_later = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER)
    response.write_bytes(try_later.public_bytes(Encoding.DER))
    found = found_of(openssl_server(arguments=("-status_file", str(response)), protocols=protocols))
    assert found.state("ocsp_staple") == "yes"


def test_another_certificate_comes_for_the_server_name() -> None:
    """GnuTLS takes the certificate that has the name, and the first one where none is asked for."""
    root = Authority.root()
    shown = [root.leaf("other.test"), root.leaf(NAME)]
    effect = found_of(gnutls_server(priority="NORMAL", psk=False, certificates=shown)).asked.asked.server_name
    assert effect is not None
    assert effect.effect == "other"


# Other servers.


def test_gnutls_by_its_priority_string() -> None:
    """GnuTLS manual §6.10: groups and signatures by name, %NO_ETM, %NO_SESSION_HASH (extended master secret)."""
    priority = (
        "NORMAL:-GROUP-ALL:+GROUP-SECP384R1:+GROUP-X25519:+GROUP-FFDHE3072"
        ":-SIGN-ALL:+SIGN-RSA-PSS-RSAE-SHA384:+SIGN-RSA-SHA256:%NO_ETM:%NO_SESSION_HASH:%SERVER_PRECEDENCE"
    )
    found = found_of(gnutls_server(priority=priority, psk=False, certificates=[certificate("RSA")]))
    for protocol in ("TLSv1.2", "TLSv1.3"):
        assert set(found.groups(protocol)) == {"secp384r1", "x25519", "ffdhe3072"}
    assert found.schemes("TLSv1.2") == {"rsa_pss_rsae_sha384", "rsa_pkcs1_sha256"}
    assert found.schemes("TLSv1.3") == {"rsa_pss_rsae_sha384"}
    assert (found.state("encrypt_then_mac"), found.state("extended_master_secret")) == ("no", "no")
    # It goes by the named finite fields that are listed (RFC 7919), so its DHE is in the one that it has.
    assert {each.name for each in found.free.finite_fields["TLSv1.2"]} == {"ffdhe3072"}


def test_nss_has_the_groups_of_its_default() -> None:
    """selfserv(1) without -I: NSS enables x25519, the NIST curves and the finite fields of RFC 7919."""
    found = found_of(nss_server(lowest="TLSv1.2", highest="TLSv1.3"))
    curves = {"x25519", "secp256r1", "secp384r1", "secp521r1"}
    fields = {"ffdhe2048", "ffdhe3072", "ffdhe4096", "ffdhe6144", "ffdhe8192"}
    assert set(found.groups("TLSv1.3")) == set(found.groups("TLSv1.2")) == curves | fields
    # NSS has never implemented RFC 7366, and selfserv resumes by tickets only with -u.
    assert (found.state("encrypt_then_mac"), found.state("session_tickets")) == ("no", "no")


def test_tlslite_takes_heartbeats() -> None:
    """HandshakeSettings.use_heartbeat_extension is true unless told otherwise."""
    found = found_of(tlslite_server(lowest="TLSv1.2"))
    assert found.state("heartbeat") == "yes"
    # It refuses a hello of TLS 1.3 that lists groups it holds to be wrong there, and is asked in parts or as a whole.
    assert {"x25519", "secp256r1", "ffdhe2048"} <= set(found.groups("TLSv1.3"))


def test_openssl_1_0_1_is_of_2014() -> None:
    """1.0.1g: no extended master secret (1.1.0), no encrypt-then-MAC (1.1.0), no fallback SCSV (1.0.1j); by CHANGES."""
    found = found_of(node_server())
    for feature in ("extended_master_secret", "encrypt_then_mac", "fallback_scsv"):
        assert found.state(feature) == "no"
    assert (found.state("secure_renegotiation"), found.state("session_tickets")) == ("yes", "yes")
    assert found.asked.groups["TLSv1.2"].reason == "no suite with an ephemeral key is accepted"
    for quirk in ("grease", "newer_version", "large_hello", "fragmented_hello"):
        assert found.state(quirk) == "yes"


def test_openssl_4_takes_the_hybrid_of_ml_kem() -> None:
    """OpenSSL 3.5 and later have X25519MLKEM768 first by default (SSL_CTX_set1_groups(3))."""
    context = memory_server(certificate("RSA"), oldest="TLSv1.3")

    def answer(offer: Offer) -> Answer:
        reader = ServerFlight(offer)
        return reader.feed(openssl_flight(context, encode_client_hello(offer, random=bytes(32)))) or reader.end("eof")

    picked = Chosen(protocol="TLSv1.3", suite=0x1301, hello_retry=True)
    suites = SuitesFound(protocol="TLSv1.3", state="accepted", accepted=(picked,), complete=True, hellos=2)
    groups = Asked(answer).run(accepted_groups(suites, None))
    assert group_name(groups.accepted[0]) == "X25519MLKEM768"
    assert {"x25519", "secp256r1", "secp384r1"} <= set(map(group_name, groups.accepted))


# Fronts that stumble.


@asynccontextmanager
async def filtered(dislike: Dislike, how: How) -> AsyncIterator[int]:
    """OpenSSL behind a filter and SMTP; the port."""
    with openssl_server(protocols=("TLSv1.2", "TLSv1.3"), cipher="AES128-SHA:ECDHE+AESGCM") as server:
        async with hello_filter(server.port, dislike, how) as between:
            with smtp_front(between.port) as front:
                yield front.port


@pytest.mark.parametrize("how", ["alert", "close", "reset", "hang"])
@pytest.mark.parametrize(
    ("quirk", "dislike"),
    [
        ("large_hello", lambda hello: len(hello.data) > 1460),
        ("fragmented_hello", lambda hello: hello.records > 1),
        ("grease", lambda hello: any(suite & 0x0F0F == 0x0A0A for suite in hello.said.suites)),
        ("newer_version", lambda hello: hello.said.legacy_version > 0x0303),
    ],
)
async def test_a_front_that_stumbles_is_found_out(quirk: str, dislike: Dislike, how: How) -> None:
    manners = Manners(ehlo="probe.example", timeouts=Timeouts(hello=0.5, quit=0.05, pause=0.02))
    async with filtered(dislike, how) as port:
        found = await ask(port, manners)
    quirks = ("large_hello", "fragmented_hello", "grease", "newer_version")
    assert {name: found.state(name) for name in quirks} == {name: "no" if name == quirk else "yes" for name in quirks}
    reason = getattr(found.asked.coped, quirk).reason
    assert ("hangs" in reason) == (how == "hang")


async def test_a_front_that_wants_a_server_name() -> None:
    async with filtered(lambda hello: hello.said.server_name is None, "alert") as port:
        found = await ask(port)
    assert found.asked.asked.server_name is not None
    assert found.asked.asked.server_name.effect == "refused"


# The whole probe.


@contextmanager
def probed(starting: AbstractContextManager[RunningServer], *, smtp: bool = False) -> Iterator[mxprobe.EndpointFacts]:
    settings = ProbeSettings(depth="everything", connect={NAME: "127.0.0.1"}, limits=Limits(per_address=8))
    with starting as server:
        if smtp:
            target = asyncio.run(mxprobe.probe(f"[{NAME}]:{server.port}", settings))
        else:
            with smtp_front(server) as front:
                target = asyncio.run(mxprobe.probe(f"[{NAME}]:{front.port}", settings))
    (facts,) = target.endpoints
    yield facts


@pytest.mark.parametrize(
    ("keys", "kinds"),
    [
        (("RSA",), {"RSA"}),
        (("RSA", "EC"), {"RSA", "ECDSA"}),
        (("EC",), {"ECDSA"}),
        (("RSA", "Ed25519"), {"RSA", "EdDSA"}),
        (("RSA", "DSA"), {"RSA", "DSA"}),
    ],
)
def test_the_kinds_of_certificates_are_those_of_the_server(keys: tuple[str, ...], kinds: set[str]) -> None:
    root = Authority.root()
    shown = [root.leaf(NAME, key_type=key) for key in keys]  # type: ignore[arg-type]
    with probed(openssl_server(certificates=shown)) as facts:
        assert {kind for kind, found in facts.certificate_kinds.items() if found.state == "yes"} == kinds
        assert {found.state for found in facts.certificate_kinds.values()} <= {"yes", "no"}


def test_everything_of_a_postfix() -> None:
    with probed(postfix_server(opened_up=True), smtp=True) as facts:
        # postconf(5): tls_eecdh_auto_curves
        groups = facts.protocols["TLSv1.3"].groups
        assert groups is not None
        assert groups.complete
        assert set(groups.names) == {"x25519", "x448", "secp256r1", "secp521r1", "secp384r1"}
        assert facts.features is not None
        assert facts.features.compression is not None
        # postconf(5): tls_ssl_options; OpenSSL has no compression unless asked for, and Postfix turns it off itself.
        assert facts.features.compression.state == "no"
        assert facts.features.secure_renegotiation is not None
        assert facts.features.secure_renegotiation.state == "yes"
        assert facts.quirks is not None
        assert facts.quirks.max_suites is None
