"""What comes free with the answers of a sweep, and above all what they do not say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mxprobe.terms import Protocol
from mxprobe.tls.free_facts import MAX_SEEN, Feature, FiniteField, facts_free, is_cbc
from mxprobe.tls.offer import Answer, Chosen, Offer, Refused, Silent

AES_GCM, AES_CBC, RC4, TLS13 = 0xC02F, 0xC013, 0x0005, 0x1301
ALL_EXTENSIONS = (0xFF01, 11, 35, 22, 23, 15, 18)
MODP_14 = "d66436f79bbd6b2e38c0ffbd079be904d2641415e2e67140e09448be9a60890e"


def pick(protocol: Protocol, suite: int = AES_CBC, **more: Any) -> tuple[Offer, Answer]:
    return Offer(protocol=protocol, suites=(suite,)), Chosen(protocol=protocol, suite=suite, **more)


def test_nothing_is_known_of_what_no_answer_can_tell() -> None:
    nothing = facts_free([])
    assert (nothing.extended_master_secret, nothing.secure_renegotiation, nothing.downgrade_sentinel) == (None,) * 3
    asked: list[Answer] = [Refused(alert=70), Silent(stage="hello")]
    assert facts_free((Offer(protocol="TLSv1.2", suites=(1,)), answer) for answer in asked) == nothing


def test_sslv3_and_tls13_say_nothing_about_extensions_of_the_versions_between() -> None:
    free = facts_free([pick("SSLv3"), pick("TLSv1.3", TLS13, extensions=(43, 51))])
    assert free.extended_master_secret is free.secure_renegotiation is free.heartbeat is None


def test_a_hello_that_lists_its_versions_offers_less_and_proves_no_no() -> None:
    offer, answer = pick("TLSv1.2")
    mixed = replace(offer, protocol="TLSv1.3", versions=("TLSv1.3", "TLSv1.2"))
    assert facts_free([(mixed, answer)]).heartbeat is None


def test_features_are_what_the_extensions_say() -> None:
    free = facts_free([pick("TLSv1.2", extensions=ALL_EXTENSIONS, heartbeat=1)])
    found = (
        *(free.extended_master_secret, free.encrypt_then_mac, free.secure_renegotiation),
        *(free.session_tickets, free.heartbeat, free.certificate_timestamps),
    )
    assert found == (Feature(state="yes"),) * 6
    bare = facts_free([pick("TLSv1.2")])
    assert bare.secure_renegotiation == bare.encrypt_then_mac == bare.heartbeat == Feature(state="no")


def test_a_feature_of_some_versions_is_told_apart() -> None:
    free = facts_free([pick("TLSv1"), pick("TLSv1.2", extensions=(23,))])
    assert free.extended_master_secret == Feature(state="yes", reason="not in TLSv1")
    free = facts_free([pick("TLSv1", extensions=(23,)), pick("TLSv1.2")])
    assert free.extended_master_secret == Feature(state="no", reason="not in TLSv1.2")


def test_encrypt_then_mac_takes_a_cbc_suite() -> None:
    found = facts_free([pick("TLSv1.2", AES_GCM), pick("TLSv1.2", RC4)]).encrypt_then_mac
    assert found == Feature(state="unknown", reason="no CBC suite was picked")
    with_gcm = facts_free([pick("TLSv1.2", AES_GCM), pick("TLSv1.2", AES_CBC, extensions=(22,))])
    assert with_gcm.encrypt_then_mac == Feature(state="yes")


@pytest.mark.parametrize(
    ("number", "cbc"),
    # By IANA's names: AES_128_CBC_SHA, 3DES_EDE_CBC_SHA, CAMELLIA_256_CBC, ARIA_128_CBC, SEED_CBC, IDEA_CBC; and
    # AES_128_GCM, AES_128_CCM, CHACHA20_POLY1305, RC4_128, NULL, ARIA_128_GCM, and a number that nobody registered.
    [(0x002F, True), (0x000A, True), (0x0084, True), (0xC03C, True), (0x0096, True), (0x0007, True)]
    + [(number, False) for number in (0x009C, 0xC09C, 0xCCA8, 0x0005, 0x0002, 0xC050, 0x7777)],
)
def test_which_suites_are_cbc(number: int, cbc: bool) -> None:
    assert is_cbc(number) == cbc


def test_a_heartbeat_that_may_not_be_sent_says_so() -> None:
    free = facts_free([pick("TLSv1.2", extensions=(15,), heartbeat=2)])
    assert free.heartbeat is not None
    assert free.heartbeat.state == "yes"
    assert "takes none" in free.heartbeat.reason


def test_the_sentinel_is_a_must_with_tls13_alone() -> None:
    marked = pick("TLSv1.2", downgrade="to TLSv1.2")
    newest = pick("TLSv1.3", TLS13)
    assert facts_free([newest, marked]).downgrade_sentinel == Feature(state="yes")
    assert facts_free([newest, pick("TLSv1.2")]).downgrade_sentinel == Feature(state="no")
    without = facts_free([pick("TLSv1.2"), pick("TLSv1.1")]).downgrade_sentinel
    assert without is not None
    assert without.state == "unknown"
    # the highest version is no downgrade, and has no mark
    older = pick("TLSv1.1", downgrade="to TLSv1.1 or older")
    assert facts_free([pick("TLSv1.2"), older]).downgrade_sentinel == Feature(state="yes")
    assert facts_free([pick("TLSv1.2")]).downgrade_sentinel is None


def test_finite_fields_groups_and_schemes_are_kept_once_by_version() -> None:
    free = facts_free(
        [
            pick("TLSv1.2", dh_bits=2048, dh_prime=MODP_14, scheme=0x0804),
            pick("TLSv1.2", dh_bits=2048, dh_prime=MODP_14, scheme=0x0804),
            pick("TLSv1.2", dh_bits=1024, dh_prime="ab" * 32),
            pick("TLSv1", group=23),
        ]
    )
    assert free.finite_fields == {
        "TLSv1.2": (
            FiniteField(bits=2048, prime=MODP_14, name="MODP group 14"),
            FiniteField(bits=1024, prime="ab" * 32),
        )
    }
    assert (free.groups, free.schemes) == ({"TLSv1": (23,)}, {"TLSv1.2": (0x0804,)})


def test_a_server_with_a_new_prime_for_each_hello_fills_nothing_up() -> None:
    free = facts_free(pick("TLSv1.2", dh_bits=1024, dh_prime=f"{number:064x}") for number in range(100))
    assert len(free.finite_fields["TLSv1.2"]) == MAX_SEEN
