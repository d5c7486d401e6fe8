"""Facts of a server that does not run: everything that judges what was probed judges them too."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from mxprobe.facts import Listing
from mxprobe.mta.profile import NoTls, ServerProfile
from mxprobe.terms import PROTOCOLS
from mxprobe.tls.suites import suite, suite_named
from mxprobe.trust.certificate import Certificate
from mxprobe.verdict.paper import facts_on_paper, target_on_paper
from mxprobe.verdict.requirements import parse_requirement, unmet

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def suites(text: str) -> tuple[int, ...]:
    found = [suite_named(name) for name in text.split()]
    return tuple(each.number for each in found if each is not None)


SERVER = ServerProfile(
    name="postfix",
    suites={
        "TLSv1.2": suites("ECDHE-RSA-AES256-GCM-SHA384 ECDHE-ECDSA-AES128-GCM-SHA256 DHE-RSA-AES128-SHA AES128-SHA"),
        "TLSv1.3": suites("TLS_AES_256_GCM_SHA384 TLS_AES_128_GCM_SHA256"),
    },
    order="server",
    certificate_kinds=("RSA",),
    groups=(29, 23, 256, 22),
    signature_schemes=(0x0403, 0x0804, 0x0401, 0x0201),
    dh_bits=2048,
    source="main.cf of Postfix 3.7 on OpenSSL 3.0",
)
NO_TLS = NoTls(name="postfix", reason="smtpd_tls_protocols has the unknown name TLSv1.4", where="main.cf:3")


def names(listing: Listing | None) -> tuple[str, ...]:
    assert listing is not None
    assert listing.complete
    return listing.names


def test_the_versions_are_those_of_the_profile_and_every_other_is_refused() -> None:
    facts = facts_on_paper(SERVER, host="mx.example.test", time=NOW)
    assert tuple(facts.protocols) == PROTOCOLS
    accepted = {protocol for protocol, seen in facts.protocols.items() if seen.state == "accepted"}
    assert accepted == {"TLSv1.2", "TLSv1.3"}
    assert all(seen.complete for seen in facts.protocols.values())
    assert facts.protocols["SSLv3"].reason == "main.cf of Postfix 3.7 on OpenSSL 3.0 does not allow it"
    assert facts.computed_from == "main.cf of Postfix 3.7 on OpenSSL 3.0"
    assert (facts.connections, facts.started_at) == (0, NOW)


def test_suites_without_a_key_for_them_are_not_there() -> None:
    seen = facts_on_paper(SERVER, host="mx.example.test", time=NOW).protocols["TLSv1.2"]
    found = [each.name for each in seen.suites]
    assert found == ["ECDHE-RSA-AES256-GCM-SHA384", "DHE-RSA-AES128-SHA", "AES128-SHA"]
    assert seen.order == "server"
    both = replace(SERVER, certificate_kinds=("RSA", "ECDSA"))
    assert len(facts_on_paper(both, host="mx.example.test", time=NOW).protocols["TLSv1.2"].suites) == 4


def test_a_version_without_a_suite_for_its_keys_is_refused() -> None:
    only_ecdsa = replace(SERVER, suites={"TLSv1.2": suites("ECDHE-ECDSA-AES128-GCM-SHA256")})
    facts = facts_on_paper(only_ecdsa, host="mx.example.test", time=NOW)
    assert facts.protocols["TLSv1.2"].reason == "no suite is left for its keys"
    assert facts.starttls.state == "offered-but-broken"


def test_groups_and_schemes_are_those_of_the_version() -> None:
    protocols = facts_on_paper(SERVER, host="mx.example.test", time=NOW).protocols
    # secp256k1 is none of TLS 1.3 (RFC 8446 §4.2.7); finite fields agree on no key of ECDHE.
    assert names(protocols["TLSv1.2"].groups) == ("x25519", "secp256r1", "secp256k1")
    assert names(protocols["TLSv1.3"].groups) == ("x25519", "secp256r1", "ffdhe2048")
    # An RSA key signs by RSA alone, and in TLS 1.3 neither by PKCS #1 nor by SHA-1 (RFC 8446 §4.2.3).
    assert names(protocols["TLSv1.2"].schemes) == ("rsa_pss_rsae_sha256", "rsa_pkcs1_sha256", "rsa_pkcs1_sha1")
    assert names(protocols["TLSv1.3"].schemes) == ("rsa_pss_rsae_sha256",)
    assert protocols["TLSv1.2"].dh[0].bits == 2048


def test_a_curve_signs_by_its_own_scheme_in_tls_1_3() -> None:
    server = replace(SERVER, certificate_kinds=("ECDSA",), signature_schemes=(0x0403, 0x0503))
    certificate = Certificate(sha256="00", key="EC secp384r1")
    facts = facts_on_paper(server, host="mx.example.test", time=NOW, certificates=(certificate,))
    assert names(facts.protocols["TLSv1.3"].schemes) == ("ecdsa_secp384r1_sha384",)
    assert names(facts.protocols["TLSv1.2"].schemes) == ("ecdsa_secp256r1_sha256", "ecdsa_secp384r1_sha384")


def test_what_the_profile_does_not_say_is_not_known() -> None:
    silent = replace(SERVER, groups=None, signature_schemes=None, certificate_kinds=())
    facts = facts_on_paper(silent, host="mx.example.test", time=NOW)
    assert facts.protocols["TLSv1.2"].groups is None
    assert facts.protocols["TLSv1.3"].schemes is None
    assert facts.certificate_kinds == {}
    assert (facts.features, facts.quirks) == (None, None)
    assert len(facts.protocols["TLSv1.2"].suites) == 4


def test_the_kinds_of_keys_are_told() -> None:
    kinds = facts_on_paper(SERVER, host="mx.example.test", time=NOW).certificate_kinds
    assert {kind: seen.state for kind, seen in kinds.items()} == {
        "RSA": "yes",
        "RSA-PSS": "no",
        "ECDSA": "no",
        "EdDSA": "no",
        "DSA": "no",
    }


def test_the_session_of_a_client_of_everything_is_the_best() -> None:
    natural = facts_on_paper(SERVER, host="mx.example.test", time=NOW).natural
    assert natural is not None
    assert (natural.protocol, natural.suite) == ("TLSv1.3", "TLS_AES_256_GCM_SHA384")


def test_without_tls_nothing_is_offered_and_everything_refused() -> None:
    facts = facts_on_paper(NO_TLS, host="mx.example.test", time=NOW)
    assert facts.starttls.state == "not-offered"
    assert facts.starttls.reason == NO_TLS.reason
    assert {seen.state for seen in facts.protocols.values()} == {"refused"}
    assert facts.computed_from == "main.cf:3"


@pytest.mark.parametrize(
    ("server", "requirement", "outcome"),
    [
        (SERVER, "starttls", None),
        (SERVER, "tls1.2", None),
        (SERVER, "tls1.3", None),
        (SERVER, "!sslv3", None),
        (SERVER, "!needs-sslv3", None),
        (SERVER, "tls1.0", "failed"),
        (SERVER, "trusted", "unknown"),
        (NO_TLS, "starttls", "failed"),
        (NO_TLS, "tls1.2", "failed"),
        (NO_TLS, "!sslv3", None),
    ],
)
def test_requirements_are_judged_as_of_a_probe(
    server: ServerProfile | NoTls, requirement: str, outcome: str | None
) -> None:
    target = target_on_paper(server, host="mx.example.test", time=NOW)
    found = unmet([parse_requirement(requirement)], target)
    assert [each.outcome for each in found] == ([outcome] if outcome else [])
    assert all(each.endpoint in ("", "mx.example.test:25") for each in found)


def test_a_small_field_is_judged_as_of_a_probe() -> None:
    target = target_on_paper(replace(SERVER, dh_bits=1024), host="mx.example.test", time=NOW)
    (weak,) = [verdict for verdict in target.verdicts if verdict.id == "weak-dh"]
    assert (weak.state, weak.severity) == ("yes", "warning")


def test_the_suites_are_named_as_in_a_probe() -> None:
    seen = facts_on_paper(SERVER, host="mx.example.test", time=NOW).protocols["TLSv1.2"].suites[0]
    known = suite(0xC030)
    assert (seen.id, seen.name, seen.iana, seen.standard) == (known.id, known.name, known.iana, True)
