"""The hello that stands for a profile: what it offers is what the profile says, and no more."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mxprobe.errors import InvalidSetting
from mxprobe.mta.offering import profile_offer, what_is_sent
from mxprobe.mta.profile import Profile
from mxprobe.mta.senders import senders
from mxprobe.terms import Protocol
from mxprobe.tls.client_hello import decode_client_hello, encode_client_hello

RECORDED = {each.name: each.profile for each in senders() if each.profile.hello is not None}
NAME = "mx.example.test"
RANDOM = bytes(range(32))


def profile(*protocols: Protocol, **lists: tuple[int, ...]) -> Profile:
    return Profile(name="ours", protocols=protocols, suites=(0x1301, 0xC030, 0x010080), **lists)  # type: ignore[arg-type]


def test_its_lists_are_those_of_the_profile() -> None:
    ours = profile("TLSv1.2", "TLSv1.3", groups=(24, 25), signature_schemes=(0x0804,), key_shares=(25,))
    hello = decode_client_hello(encode_client_hello(profile_offer(ours, NAME), random=RANDOM))
    assert hello.suites == (0x1301, 0xC030, 0x00FF)
    assert hello.versions == (0x0304, 0x0303)
    assert (hello.groups, hello.signature_schemes, hello.key_shares) == ((24, 25), (0x0804,), (25,))
    assert hello.server_name == NAME


@pytest.mark.parametrize("protocols", [("TLSv1.2",), ("TLSv1.2", "TLSv1.3"), ("TLSv1.3",), ("TLSv1",), ("SSLv3",)])
def test_what_the_profile_does_not_say_is_that_of_our_own_hellos(protocols: tuple[Protocol, ...]) -> None:
    """And what is said to be sent is sent, so that a computed answer is about that very hello."""
    ours = profile(*protocols)
    sent = what_is_sent(ours)
    hello = decode_client_hello(encode_client_hello(profile_offer(ours, NAME), random=RANDOM))
    assert (hello.groups or (), hello.signature_schemes or ()) == (sent.groups, sent.signature_schemes)
    assert (hello.key_shares or ()) == sent.key_shares
    assert sent.named == (hello.server_name is not None)
    assert sent.lists_versions == (hello.versions is not None)


def test_key_shares_are_in_the_order_of_the_groups() -> None:
    """RFC 8446 §4.2.8; tlslite-ng refuses a hello in which they are not."""
    assert what_is_sent(profile("TLSv1.3", groups=(24, 23, 29))).key_shares == (23, 29)


@pytest.mark.parametrize(("groups", "shares"), [((30, 24), (30,)), ((256,), ()), ((4588, 24), (24,)), ((), ())])
def test_without_a_usual_group_the_first_that_we_have_a_key_for_is_shared(
    groups: tuple[int, ...], shares: tuple[int, ...]
) -> None:
    assert what_is_sent(profile("TLSv1.3", groups=groups)).key_shares == shares


def test_kinds_of_sslv2_are_in_a_hello_of_its_own_alone() -> None:
    assert what_is_sent(profile("SSLv2")).suites == (0x010080,)
    assert what_is_sent(profile("SSLv2", "TLSv1")).suites == (0x1301, 0xC030)


@pytest.mark.parametrize("name", RECORDED)
def test_of_a_recorded_hello_the_offer_says_what_it_has(name: str) -> None:
    """So that its answer is read: an encrypted flight by the key shares, and a suite by what was offered."""
    recorded = RECORDED[name]
    assert recorded.hello is not None
    said = decode_client_hello(recorded.hello)
    offer = profile_offer(recorded, NAME)
    assert (offer.suites, offer.hello) == (said.suites, recorded.hello)
    assert (offer.groups, offer.key_shares) == (said.groups or (), said.key_shares or ())
    assert offer.server_name == (NAME if said.server_name is not None else None)
    hello = decode_client_hello(encode_client_hello(offer, random=RANDOM))
    assert (hello.suites, hello.groups, hello.key_shares) == (said.suites, said.groups, said.key_shares)


def test_a_hello_of_two_records_is_told_from_one_of_one() -> None:
    recorded = next(iter(RECORDED.values()))
    assert recorded.hello is not None
    sent = what_is_sent(recorded)
    assert (sent.records, sent.length) == (1, len(recorded.hello) - 5)
    body = recorded.hello[5:]
    halves = [body[:100], body[100:]]
    cut = b"".join(recorded.hello[:3] + len(half).to_bytes(2, "big") + half for half in halves)
    assert (what_is_sent(replace(recorded, hello=cut)).records, sent.length) == (2, len(body))


def test_a_recording_that_cannot_be_read_is_the_users_to_mend() -> None:
    with pytest.raises(InvalidSetting, match="profile ours: its hello cannot be read"):
        profile_offer(replace(profile("TLSv1.2"), hello=b"\x16\3\1"), NAME)
