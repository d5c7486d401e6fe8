"""Two more hellos, so that a server that speaks only TLS 1.3 shows each of its certificates.

Before TLS 1.3 the suites of a sweep bring the certificates of every kind of key. In TLS 1.3 suites say nothing of keys
(RFC 8446 §4.2.3), and a client that takes all signature schemes is shown one certificate.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final

from mxprobe.facts import Target
from mxprobe.mta.profile import Profile
from mxprobe.probing.prober import TargetProbe
from mxprobe.verdict.rules import judge

_CERTIFICATES_MAY_BE_SIGNED_BY: Final = (0x0401, 0x0501, 0x0601)
"""PKCS #1 v1.5, by which most certificates of either kind are signed, and no handshake of TLS 1.3."""

ONE_KIND: Final = tuple(
    Profile(
        name=f"certificate: {kind}",
        protocols=("TLSv1.3",),
        suites=(0x1302, 0x1303, 0x1301),
        signature_schemes=(*schemes, *_CERTIFICATES_MAY_BE_SIGNED_BY),
    )
    for kind, schemes in (("RSA", (0x0804, 0x0805, 0x0806)), ("ECDSA", (0x0403, 0x0503, 0x0603)))
)
"""Clients that take only one kind of key."""


def without_them(probed: TargetProbe, time: datetime) -> Target:
    """The target with the certificates that came, and without the answers that brought them: nobody sends these."""
    own = {profile.name for profile in ONE_KIND}
    endpoints = tuple(
        replace(facts, profiles=tuple(answer for answer in facts.profiles if answer.profile not in own))
        for facts in probed.target.endpoints
    )
    return judge(probed.target.next_hop, probed.target.route, endpoints, time)
