"""From answers to facts beyond suites: kinds of certificates, lists with names, and what stays unknown."""

from __future__ import annotations

from mxprobe.facts import ProtocolFacts, ProtocolState, Quirks
from mxprobe.probing.beyond_suites import (
    certificate_kinds,
    chains_of,
    features_of,
    quirks_of,
    with_groups_and_schemes,
)
from mxprobe.terms import CertificateKind, Protocol, State
from mxprobe.tls.behaviours import Asked, Coped
from mxprobe.tls.everything import Everything
from mxprobe.tls.free_facts import Feature, FreeFacts
from mxprobe.tls.offer import Chosen, Offer, Refused, Silent
from mxprobe.tls.preferences import Listed
from mxprobe.tls.sweep import SuitesFound
from mxprobe.trust.certificate import Certificate

ECDHE_RSA, ECDHE_ECDSA, DHE_DSS = 0xC02F, 0xC02B, 0x00A2
YES = Feature(state="yes")
NEVER = Feature(state="no")


def suites(protocol: Protocol, *numbers: int, complete: bool = True) -> SuitesFound:
    accepted = tuple(Chosen(protocol=protocol, suite=number) for number in numbers)
    state: ProtocolState = "accepted" if accepted else "refused" if complete else "unknown"
    return SuitesFound(protocol=protocol, state=state, accepted=accepted, complete=complete, hellos=1)


def swept(*found: SuitesFound) -> dict[Protocol, SuitesFound]:
    """All versions: those that are not named are refused."""
    protocols: tuple[Protocol, ...] = ("SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
    return {protocol: suites(protocol) for protocol in protocols} | {each.protocol: each for each in found}


def listed(*accepted: int, complete: bool = True) -> Listed:
    return Listed(state="accepted", accepted=accepted, order="server", complete=complete, hellos=len(accepted) + 1)


def asked(schemes: dict[Protocol, Listed] | None = None, groups: dict[Protocol, Listed] | None = None) -> Everything:
    return Everything(
        groups=groups or {},
        schemes=schemes or {},
        asked=Asked(compression=NEVER, ocsp_staple=YES, fallback_scsv=YES, server_name=None),
        coped=Coped(grease=YES, newer_version=YES, large_hello=NEVER, fragmented_hello=YES),
    )


def with_key(key: str) -> Certificate:
    return Certificate(sha256="00" * 32, chain=(), key=key)


def states(kinds: dict[CertificateKind, Feature]) -> dict[str, State]:
    return {kind: found.state for kind, found in kinds.items()}


def test_a_kind_that_was_seen_is_there() -> None:
    for key, kind in (
        ("RSA 2048", "RSA"),
        ("RSA-PSS 2048", "RSA-PSS"),
        ("EC secp256r1", "ECDSA"),
        ("Ed25519", "EdDSA"),
        ("Ed448", "EdDSA"),
        ("DSA 1024", "DSA"),
    ):
        assert states(certificate_kinds(swept(), None, [with_key(key)]))[kind] == "yes"


def test_without_any_answer_nothing_is_said() -> None:
    assert certificate_kinds({}, None, []) == {}
    assert certificate_kinds(swept(), None, []) == {}


def test_suites_rule_kinds_out_where_all_are_known() -> None:
    found = states(certificate_kinds(swept(suites("TLSv1.2", ECDHE_RSA)), None, [with_key("RSA 2048")]))
    # An RSA-PSS key serves the same suites as an RSA key: its schemes alone would tell.
    assert found == {"RSA": "yes", "RSA-PSS": "unknown", "ECDSA": "no", "EdDSA": "no", "DSA": "no"}


def test_an_incomplete_list_rules_nothing_out() -> None:
    cut = suites("TLSv1.2", ECDHE_RSA, complete=False)
    found = certificate_kinds(swept(cut), None, [with_key("RSA 2048")])
    assert states(found)["ECDSA"] == states(found)["DSA"] == "unknown"
    assert found["ECDSA"].reason == "the suites of TLSv1.2 are not all known"


def test_a_version_that_was_not_asked_rules_nothing_out() -> None:
    found = certificate_kinds({"TLSv1.2": suites("TLSv1.2", ECDHE_RSA)}, None, [])
    assert "TLSv1.3 was not asked" in found["ECDSA"].reason


def test_in_tls13_schemes_alone_tell() -> None:
    both = swept(suites("TLSv1.2", ECDHE_RSA), suites("TLSv1.3", 0x1301))
    before = states(certificate_kinds(both, None, [with_key("RSA 2048")]))
    assert before == {"RSA": "yes", "RSA-PSS": "unknown", "ECDSA": "unknown", "EdDSA": "unknown", "DSA": "no"}
    schemes: dict[Protocol, Listed] = {"TLSv1.2": listed(0x0804, 0x0401), "TLSv1.3": listed(0x0804, 0x0807)}
    after = states(certificate_kinds(both, asked(schemes), [with_key("RSA 2048")]))
    assert after == {"RSA": "yes", "RSA-PSS": "no", "ECDSA": "no", "EdDSA": "yes", "DSA": "no"}
    schemes["TLSv1.3"] = listed(0x0804, complete=False)
    assert states(certificate_kinds(both, asked(schemes), []))["ECDSA"] == "unknown"


def test_groups_that_were_only_seen_are_no_complete_list() -> None:
    facts = {"TLSv1.2": ProtocolFacts(state="accepted"), "TLSv1": ProtocolFacts(state="refused")}
    free = FreeFacts(groups={"TLSv1.2": (29, 0xEEEE)})
    found = with_groups_and_schemes(facts, free, None)  # type: ignore[arg-type]
    groups = found["TLSv1.2"].groups
    assert groups is not None
    assert (groups.names, groups.complete, groups.hellos) == (("x25519", "0xEEEE"), False, 0)
    assert found["TLSv1.2"].schemes is found["TLSv1"].groups is None


def test_a_list_that_was_asked_is_told_as_it_was_found() -> None:
    facts: dict[Protocol, ProtocolFacts] = {"TLSv1.2": ProtocolFacts(state="accepted")}
    found = with_groups_and_schemes(facts, FreeFacts(), asked(groups={"TLSv1.2": listed(23, 29)}))["TLSv1.2"].groups
    assert found is not None
    assert (found.names, found.order, found.complete, found.hellos) == (("secp256r1", "x25519"), "server", True, 3)


def test_what_was_chosen_elsewhere_contradicts_a_list_without_it() -> None:
    facts: dict[Protocol, ProtocolFacts] = {"TLSv1.2": ProtocolFacts(state="accepted")}
    refused = Listed(state="refused", complete=True, ending=Refused(alert=40), hellos=1)
    free = FreeFacts(groups={"TLSv1.2": (29,)})
    found = with_groups_and_schemes(facts, free, asked(groups={"TLSv1.2": refused}))["TLSv1.2"].groups
    assert found is not None
    assert (found.state, found.names, found.complete) == ("accepted", ("x25519",), False)


def test_a_list_that_was_cut_says_why() -> None:
    facts: dict[Protocol, ProtocolFacts] = {"TLSv1.2": ProtocolFacts(state="accepted")}
    ending = Silent(stage="hello", seconds=15)
    cut = Listed(state="unknown", complete=False, undecided=(29,), ending=ending, hellos=1)
    found = with_groups_and_schemes(facts, FreeFacts(), asked(groups={"TLSv1.2": cut}))["TLSv1.2"].groups
    assert found is not None
    assert (found.state, found.undecided) == ("unknown", ("x25519",))
    assert found.reason == "silent after our ClientHello for 15 s"


def test_features_and_quirks_are_absent_where_nothing_was_asked() -> None:
    assert features_of(FreeFacts(), None) is None
    assert quirks_of(swept(), None) is None
    limited = SuitesFound(protocol="TLSv1", state="accepted", complete=False, hellos=1, max_suites=128)
    assert quirks_of({"TLSv1": limited}, None) == Quirks(max_suites=128)
    quirks = quirks_of({"TLSv1": limited}, asked())
    assert quirks is not None
    assert (quirks.max_suites, quirks.large_hello, quirks.grease) == (128, NEVER, YES)
    features = features_of(FreeFacts(heartbeat=YES), asked())
    assert features is not None
    assert (features.heartbeat, features.compression, features.extended_master_secret) == (YES, NEVER, None)


def test_a_certificate_for_another_name_is_none_of_the_endpoints() -> None:
    offer = Offer(protocol="TLSv1.2", suites=(ECDHE_RSA,), server_name="mx.test")
    ours = Chosen(protocol="TLSv1.2", suite=ECDHE_RSA, certificates=(b"ours",))
    other = Chosen(protocol="TLSv1.2", suite=ECDHE_RSA, certificates=(b"other",))
    unnamed = Offer(protocol="TLSv1.2", suites=(ECDHE_RSA,))
    assert chains_of([(offer, ours), (unnamed, other), (offer, Refused(alert=40))], "mx.test") == ((b"ours",),)
