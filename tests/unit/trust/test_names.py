"""RFC 9525 and Postfix's rule for the names in a certificate."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxprobe.trust.names import match_name, postfix_matches
from servers.certificates import Issued, make_leaf

HOST = "mx1.example.test"


def certificate(*names: str, cn: str = "unrelated.test") -> bytes:
    return make_leaf(*names, cn=cn, key_type="EC").der


@pytest.mark.parametrize(
    ("names", "host"),
    [
        (["mx1.example.test"], "mx1.example.test"),
        (["MX1.Example.TEST"], "mx1.example.test"),
        (["mx1.example.test"], "MX1.example.test."),
        (["other.test", "*.example.test"], "mx1.example.test"),
        (["xn--bcher-kva.example.test"], "bücher.example.test"),
        (["xn--bcher-kva.example.test"], "xn--bcher-kva.example.test"),
        (["192.0.2.1"], "192.0.2.1"),
        (["2001:db8::1"], "2001:db8:0:0:0:0:0:1"),
    ],
)
def test_names_that_match(names: list[str], host: str) -> None:
    match = match_name(certificate(*names), host)

    assert match.matches
    assert match.postfix_matches
    assert match.host == host


@pytest.mark.parametrize(
    ("names", "host"),
    [
        (["mail.example.test"], "mx1.example.test"),
        (["example.test"], "mx1.example.test"),
        (["*.example.test"], "example.test"),
        (["*.example.test"], "a.mx1.example.test"),
        (["mx*.example.test"], "mx1.example.test"),  # RFC 9525 §6.3: the wildcard is a whole label
        (["mx1.*.test"], "mx1.example.test"),
        (["*.test"], "example.test"),
        (["*"], "localhost"),
        (["192.0.2.2"], "192.0.2.1"),
        (["mx1.example.test"], "192.0.2.1"),
        (["192.0.2.1"], "mx1.example.test"),
    ],
)
def test_names_that_do_not_match(names: list[str], host: str) -> None:
    match = match_name(certificate(*names), host)

    assert not match.matches
    assert not match.postfix_matches


def test_an_unusable_entry_does_not_spoil_the_others() -> None:
    assert match_name(certificate("f*.*.test", "*.test", HOST), HOST).matches


def test_only_postfix_takes_the_common_name() -> None:
    match = match_name(certificate(cn=HOST), HOST)

    assert (match.matches, match.postfix_matches) == (False, True)
    assert match.reason == "certificate names mx1.example.test only in its common name, which RFC 9525 does not count"


def test_a_wildcard_in_the_common_name_counts_for_postfix() -> None:
    assert match_name(certificate(cn="*.example.test"), HOST).postfix_matches


def test_the_common_name_does_not_count_beside_a_dns_name() -> None:
    assert not match_name(certificate("other.test", cn=HOST), HOST).postfix_matches


def test_the_common_name_counts_for_postfix_beside_an_address() -> None:
    match = match_name(certificate("192.0.2.1", cn=HOST), HOST)

    assert (match.matches, match.postfix_matches) == (False, True)


def test_an_address_in_the_common_name_counts_for_nobody() -> None:
    match = match_name(certificate(cn="192.0.2.1"), "192.0.2.1")

    assert (match.matches, match.postfix_matches) == (False, False)


@pytest.mark.parametrize(
    ("names", "cn", "reason"),
    [
        (["mx1.example.test"], "", "certificate names mx1.example.test"),
        (["*.example.test"], "", "certificate names mx1.example.test by *.example.test"),
        (["mail.example.test"], "", "certificate names mail.example.test, not mx1.example.test"),
        (
            ["a.test", "b.test", "c.test", "d.test", "192.0.2.1"],
            "",
            "certificate names a.test, b.test, c.test and 2 more, not mx1.example.test",
        ),
        ([], "", "certificate names no host"),
        ([], "x.test", "certificate has no subjectAltName, and its common name is x.test, not mx1.example.test"),
    ],
)
def test_the_reason_is_a_sentence(names: list[str], cn: str, reason: str) -> None:
    match = match_name(certificate(*names, cn=cn), HOST)

    assert match.reason == reason
    assert match.names == tuple(names)


def test_the_reason_is_bounded() -> None:
    assert len(match_name(certificate("x" * 5000, "y" * 5000, "z" * 5000), HOST).reason) < 400


@pytest.mark.parametrize("host", ["", "not a host", "a" * 300, "192.0.2.300", "\x00", "*"])
def test_a_host_that_is_none_matches_nothing(host: str) -> None:
    match = match_name(certificate(HOST), host)

    assert not match.matches
    assert not match.postfix_matches
    assert match.reason


def test_what_is_no_certificate_names_nothing() -> None:
    match = match_name(b"not DER", HOST)

    assert (match.matches, match.postfix_matches, match.names) == (False, False, ())
    assert match.reason.startswith("names of the certificate cannot be read (")


@pytest.fixture(scope="module")
def leaf() -> Issued:
    return make_leaf(HOST, "*.example.net", "192.0.2.1", cn=HOST, key_type="EC")


@settings(deadline=None)
@given(position=st.integers(0, 10_000), value=st.integers(0, 255))
def test_no_bytes_raise_anything(leaf: Issued, position: int, value: int) -> None:
    der = bytearray(leaf.der)
    der[position % len(der)] = value

    assert match_name(bytes(der), HOST).reason


def test_postfix_wants_two_labels_after_the_star() -> None:
    assert postfix_matches("*.example.test", "mx1.example.test")
    assert not postfix_matches("*.test", "example.test")


def test_the_last_of_very_many_names_counts_like_the_first() -> None:
    names = [f"mx{number}.example.test" for number in range(1200)]
    assert match_name(certificate(*names, "last.example.test"), "last.example.test").matches


def test_names_that_cannot_be_read_are_said_to_be() -> None:
    assert match_name(b"no DER", "mx.example.test").error is not None
    assert match_name(certificate("mx.example.test"), "mx.example.test").error is None
