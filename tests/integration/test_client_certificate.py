"""Servers that want a certificate of ours: the handshake completes, and only then do they turn us away."""

from __future__ import annotations

import mxprobe
from mxprobe.facts import EndpointFacts
from mxprobe.probing.settings import ProbeSettings
from servers.openssl_server import openssl_server
from servers.postfix import postfix_server
from servers.smtp_front import smtp_front


async def quickly(port: int) -> tuple[EndpointFacts, mxprobe.Verdict]:
    target = await mxprobe.probe(f"[127.0.0.1]:{port}", ProbeSettings(depth="quick"))
    return target.endpoints[0], target.verdicts[0]


async def test_a_postfix_that_requires_one_says_so_behind_the_handshake() -> None:
    # postconf(5) smtpd_tls_req_ccert
    with postfix_server(main_cf={"smtpd_tls_req_ccert": "yes", "smtpd_tls_security_level": "encrypt"}) as running:
        facts, starttls = await quickly(running.port)
    assert facts.starttls.state == "works"
    assert "No client certificate presented" in facts.starttls.reason
    assert (starttls.state, starttls.severity) == ("yes", "warning")


async def test_a_tls_13_server_that_requires_one_rejects_us_after_our_finished() -> None:
    # s_server -Verify: RFC 8446 §4.4.2.4, alert certificate_required (116)
    wants_one = ("-Verify", "1", "-verify_return_error")
    with openssl_server(protocols=("TLSv1.3",), arguments=wants_one) as backend, smtp_front(backend) as front:
        facts, starttls = await quickly(front.port)
    assert facts.starttls.state != "works"
    assert "certificate" in (facts.handshake_error or "")
    assert starttls.state != "yes"
