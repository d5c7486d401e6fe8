"""Listings of `gnutls-cli`, and what follows from them for a hello and for a server."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxprobe.errors import InvalidSetting
from mxprobe.mta.gnutls import Listing, client_profile, read_listing, server_profile
from mxprobe.mta.profile import NoTls, ServerProfile
from mxprobe.terms import CertificateKind

# As gnutls-cli 3.7.9 prints it, fewer suites.
LISTING = """\
Cipher suites for NORMAL:+PSK
TLS_AES_256_GCM_SHA384                            	0x13, 0x02	TLS1.3
TLS_ECDHE_ECDSA_AES_256_GCM_SHA384                	0xc0, 0x2c	TLS1.2
TLS_ECDHE_RSA_AES_128_CBC_SHA1                    	0xc0, 0x13	TLS1.0
TLS_RSA_AES_128_GCM_SHA256                        	0x00, 0x9c	TLS1.2
TLS_DHE_RSA_AES_128_CBC_SHA1                      	0x00, 0x33	TLS1.0
TLS_ECDH_ANON_AES_128_CBC_SHA1                    	0xc0, 0x18	TLS1.0
TLS_PSK_AES_128_CBC_SHA1                          	0x00, 0x8c	TLS1.0

Protocols: VERS-TLS1.3, VERS-TLS1.2, VERS-TLS1.0, VERS-DTLS1.2
Ciphers: AES-256-GCM, AES-128-CBC
MACs: SHA1, AEAD
Key Exchange Algorithms: ECDHE-ECDSA, ECDHE-RSA, RSA, DHE-RSA, ANON-ECDH, PSK
Groups: GROUP-FFDHE2048, GROUP-SECP256R1, GROUP-SECP384R1, GROUP-X25519
PK-signatures: SIGN-RSA-SHA256, SIGN-ECDSA-SHA256, SIGN-ECDSA-SECP256R1-SHA256, SIGN-RSA-RAW, SIGN-RSA-PSS-RSAE-SHA256
"""


def listing(text: str = LISTING, priority: str = "NORMAL:+PSK") -> Listing:
    return read_listing(text, priority)


def test_a_listing_is_read_in_its_order_and_versions_oldest_first() -> None:
    found = listing()
    assert [suite.number for suite in found.suites] == [0x1302, 0xC02C, 0xC013, 0x009C, 0x0033, 0xC018, 0x008C]
    assert found.protocols == ("TLSv1", "TLSv1.2", "TLSv1.3")
    assert found.groups == (256, 23, 24, 29)
    assert found.signature_schemes == (0x0401, 0x0403, 0x0804)


def test_a_client_offers_what_it_has_credentials_for() -> None:
    profile = client_profile(listing(), name="it")
    assert profile.suites == (0x1302, 0xC02C, 0xC013, 0x009C, 0x0033)
    assert client_profile(listing(), name="it", anonymous=True).suites[-1] == 0xC018


def test_curves_stand_before_finite_fields_and_two_kinds_of_keys_are_shared() -> None:
    profile = client_profile(listing(), name="it")
    assert profile.groups == (23, 24, 29, 256)
    assert profile.key_shares == (23, 29)


def test_no_extensions_leave_every_list_empty() -> None:
    profile = client_profile(listing(LISTING.replace("VERS-TLS1.3, ", ""), "NORMAL:%NO_EXTENSIONS"), name="it")
    assert (profile.groups, profile.signature_schemes, profile.key_shares) == ((), (), ())


@pytest.mark.parametrize("name", ["GROUP-X25519", "SIGN-RSA-SHA256"])
def test_a_list_with_a_name_that_is_not_known_is_not_known(name: str) -> None:
    found = listing(LISTING.replace(name, f"{name[:6]}TOMORROW"))
    assert (found.groups is None) == name.startswith("GROUP")
    assert (found.signature_schemes is None) == name.startswith("SIGN")
    assert client_profile(found, name="it").groups == found.groups or found.groups is not None


@pytest.mark.parametrize(
    ("kinds", "tls12", "tls13"),
    [
        (("RSA", "ECDSA"), (0xC02C, 0xC013, 0x009C, 0x0033), (0x1302,)),
        (("RSA",), (0xC013, 0x009C, 0x0033), (0x1302,)),
        (("ECDSA",), (0xC02C,), (0x1302,)),
        # The string has no scheme for it: neither version can be signed.
        (("EdDSA", "RSA"), (0xC013, 0x009C, 0x0033), (0x1302,)),
        (("DSA", "RSA-PSS", "ECDSA"), (0xC02C,), (0x1302,)),
    ],
)
def test_the_certificates_decide_what_a_server_accepts(
    kinds: tuple[CertificateKind, ...], tls12: tuple[int, ...], tls13: tuple[int, ...]
) -> None:
    profile = server_profile(listing(), certificate_kinds=kinds, name="it")
    assert isinstance(profile, ServerProfile)
    assert (profile.suites["TLSv1.2"], profile.suites["TLSv1.3"]) == (tls12, tls13)


def test_suites_of_aead_are_not_accepted_before_tls12() -> None:
    profile = server_profile(listing(), certificate_kinds=("RSA",), name="it")
    assert isinstance(profile, ServerProfile)
    assert profile.suites["TLSv1"] == (0xC013, 0x0033)


def test_whose_order_decides_is_said_by_the_string() -> None:
    for priority, order in (("NORMAL", "client"), ("NORMAL:%SERVER_PRECEDENCE", "server")):
        profile = server_profile(listing(priority=priority), certificate_kinds=("RSA",), name="it")
        assert isinstance(profile, ServerProfile)
        assert profile.order == order


def test_without_a_certificate_that_fits_there_is_no_tls() -> None:
    profile = server_profile(listing(), certificate_kinds=("DSA",), name="it")
    assert isinstance(profile, NoTls)
    assert "certificates of DSA" in profile.reason


def test_a_client_with_nothing_to_offer_is_a_mistake() -> None:
    shared = tuple(suite for suite in listing().suites if "PSK" in suite.name)
    with pytest.raises(InvalidSetting, match="it offers nothing"):
        client_profile(replace(listing(), suites=shared), name="it")


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        ("Syntax error at: +FOO\nCipher suites for NORMAL:+FOO\n", "Syntax error at: +FOO"),
        ("Error in priorities: No or insufficient priorities were set.\n", "Error in priorities: No or insuff"),
        ("", "gnutls-cli lists no Protocols"),
        ("Protocols: VERS-TLS1.2\nGroups: none\n", "gnutls-cli lists no PK-signatures"),
    ],
)
def test_a_string_that_gnutls_refuses_is_told_in_its_own_words(printed: str, said: str) -> None:
    with pytest.raises(InvalidSetting) as raised:
        read_listing(printed, "NORMAL:+FOO", "here")
    assert str(raised.value).startswith(f"here: the priority string 'NORMAL:+FOO' cannot be resolved: {said}")


@given(st.text(max_size=300))
def test_whatever_was_printed_is_read_or_refused_in_one_line(text: str) -> None:
    said = ""
    try:
        client_profile(read_listing(text, "NORMAL"), name="it")
    except InvalidSetting as error:
        said = str(error)
    assert len(said.splitlines()) <= 1
