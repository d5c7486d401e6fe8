"""Servers that lack what every other has: nothing is computed that is not observed, whatever the depth leaves open."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

import mxprobe
from examples.client_profiles import clients, random_clients
from mxprobe import EndpointFacts, Limits, ProbeSettings
from mxprobe.mta.senders import senders
from mxprobe.probing.settings import Depth
from mxprobe.verdict.sender_checks import differs, far_enough, sender_checks
from mxprobe.verdict.simulation import simulate
from servers.cases import Case, reachable
from servers.certificates import make_leaf
from servers.exim import exim_server
from servers.gnutls_server import gnutls_server
from servers.nss_server import nss_server
from servers.openssl_server import openssl_server
from servers.postfix import postfix_server
from servers.running import certificate

NAME = "mx.test"

EVERY_CLIENT = (*clients(), *random_clients(7, 20))

OLD = "DEFAULT:@SECLEVEL=0"

ODD = (
    # TLS 1.3 has no such group: whoever offers TLS 1.3 is refused, though TLS 1.2 by itself works.
    Case(
        id="brainpool-alone",
        start=lambda: openssl_server(cipher=OLD, arguments=("-groups", "brainpoolP256r1")),
        order="client",
        completes=False,
    ),
    # We have no key share for it, so that its signature schemes cannot be asked for.
    Case(
        id="finite-fields-alone",
        start=lambda: openssl_server(cipher=OLD, arguments=("-groups", "ffdhe2048:ffdhe4096")),
        order="client",
    ),
    Case(id="x448-alone", start=lambda: openssl_server(cipher=OLD, arguments=("-groups", "X448")), order="client"),
    Case(
        id="sha1-alone",
        start=lambda: openssl_server(
            cipher=OLD,
            certificates=[certificate("RSA")],
            protocols=("TLSv1", "TLSv1.2"),
            arguments=("-sigalgs", "RSA+SHA1"),
        ),
        order="client",
    ),
    Case(
        id="sha512-alone",
        start=lambda: openssl_server(
            cipher=OLD, certificates=[certificate("RSA")], arguments=("-sigalgs", "RSA+SHA512:RSA-PSS+SHA512")
        ),
        order="client",
    ),
    Case(
        id="ed25519-alone",
        start=lambda: openssl_server(cipher=OLD, certificates=[make_leaf(NAME, key_type="Ed25519")]),
        order="client",
    ),
    Case(
        id="dsa-alone",
        start=lambda: openssl_server(cipher="ALL:@SECLEVEL=0", certificates=[certificate("DSA")]),
        order="client",
        completes=False,
    ),
    Case(
        id="a-hole",
        start=lambda: openssl_server(cipher=OLD, protocols=("TLSv1", "TLSv1.3")),
        order="client",
    ),
    Case(
        id="aes256-alone",
        start=lambda: openssl_server(
            cipher="AES256-SHA:@SECLEVEL=0", ciphersuites="", certificates=[certificate("RSA")]
        ),
        order="client",
    ),
    # RFC 8446 §9.1 has it sign by RSA-PSS with SHA-256, and it does not.
    Case(id="secure256", start=lambda: exim_server(priority="SECURE256"), order="client", speaks_smtp=True),
    # It refuses DHE to a client that lists finite fields, though it has one of its own.
    Case(
        id="p521-alone",
        start=lambda: exim_server(priority="NORMAL:-GROUP-ALL:+GROUP-SECP521R1"),
        order="client",
        speaks_smtp=True,
    ),
    Case(
        id="tls1.1-alone",
        start=lambda: gnutls_server(priority="NORMAL:-VERS-ALL:+VERS-TLS1.1"),
        order="client",
    ),
    # It asks for a key share before it looks for a signature scheme.
    Case(
        id="ecdsa-alone",
        start=lambda: nss_server(lowest="TLSv1.2", highest="TLSv1.3", certificates=[certificate("EC")]),
        order="server",
    ),
    Case(
        id="no-curves",
        start=lambda: postfix_server(
            main_cf={"smtpd_tls_exclude_ciphers": "kECDHE, kRSA", "smtpd_tls_protocols": "<=TLSv1.2"}
        ),
        order="client",
        speaks_smtp=True,
    ),
    Case(
        id="no-certificate",
        start=lambda: postfix_server(main_cf={"smtpd_tls_chain_files": "", "smtpd_tls_cert_file": "none"}),
        order="client",
        speaks_smtp=True,
        completes=False,
    ),
)


@pytest.fixture(scope="module", params=ODD, ids=[case.id for case in ODD])
def probed(request: pytest.FixtureRequest) -> dict[Depth, EndpointFacts]:
    """One server at every depth, all of it without the hellos of clients, but for the answers that these got."""
    case: Case = request.param
    with case.start() as server, reachable(case, server) as (port, _):
        answers = _facts(port, "quick", clients_too=True).profiles
        depths: tuple[Depth, ...] = ("standard", "full", "everything")
        return {depth: replace(_facts(port, depth), profiles=answers) for depth in depths}


def _facts(port: int, depth: Depth, *, clients_too: bool = False) -> EndpointFacts:
    settings = ProbeSettings(
        depth=depth,
        limits=Limits(per_address=8),
        connect={NAME: "127.0.0.1"},
        profiles=EVERY_CLIENT if clients_too else (),
    )
    (facts,) = asyncio.run(mxprobe.probe(f"[{NAME}]:{port}", settings)).endpoints
    return facts


def test_what_is_computed_is_what_is_observed(probed: dict[Depth, EndpointFacts]) -> None:
    wrong = []
    for depth, facts in probed.items():
        answers = {answer.profile: answer for answer in facts.profiles}
        for asked in EVERY_CLIENT:
            computed = simulate(asked, facts)
            observed = far_enough(computed, answers[asked.name])
            if observed is not None and (difference := differs(computed, observed)):
                wrong.append((depth, asked.name, difference))
    assert wrong == []


def test_a_sender_that_is_refused_is_told_by_what(probed: dict[Depth, EndpointFacts]) -> None:
    """With everything asked for, the obstacle is known wherever it is not that TLS fails altogether."""
    facts = probed["everything"]
    checks = list(sender_checks("mx.test", facts, [sender.profile for sender in senders()]))
    assert [check.summary for check in checks if check.id == "simulation"] == []
    refused = {check.name: check.evidence.get("obstacle") for check in checks if check.outcome == "failed"}
    # It refuses TLS 1.3 for its groups, which no alert tells.
    nameless = facts.handshake_error is not None and facts.protocols["TLSv1.3"].reason.startswith("alert 40")
    assert nameless or None not in refused.values()
