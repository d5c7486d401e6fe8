"""Exim on OpenSSL: the options that decide about TLS, as Exim reads them, on both sides."""

from __future__ import annotations

import pytest

from mxprobe.errors import InvalidSetting
from mxprobe.mta.exim.client import openssl_client_profile, openssl_strings_profile, priority_of
from mxprobe.mta.exim.configuration import Configuration, read_exim
from mxprobe.mta.exim.lines import Library
from mxprobe.mta.exim.openssl_options import read_openssl_options
from mxprobe.mta.exim.server import openssl_server_profile, server_priority_of
from mxprobe.mta.profile import NoTls, Profile, ServerProfile
from mxprobe.tls.openssl_catalogue import Generation

SMTP = "begin transports\nremote:\n  driver = smtp\n"


def read(text: str, library: Library = "openssl") -> Configuration:
    return read_exim(text, "exim.conf", lambda _: None, library=library)


def client(text: str, openssl: Generation = "3.0") -> Profile:
    profile = openssl_client_profile(read(text), openssl=openssl, name="it")
    assert isinstance(profile, Profile)
    return profile


def server(text: str, openssl: Generation = "3.0") -> ServerProfile:
    profile = openssl_server_profile(read(text), openssl=openssl, certificate_kinds=("RSA", "ECDSA"), name="it")
    assert isinstance(profile, ServerProfile)
    return profile


# Exim specification §14.23: the default is +no_sslv2 +no_sslv3 +single_dh_use +no_ticket +no_renegotiation.
@pytest.mark.parametrize(
    ("text", "openssl", "off"),
    [
        ("", "3.0", {"SSLv2", "SSLv3"}),
        ("+no_tlsv1  +no_tlsv1_1", "1.1.1", {"SSLv2", "SSLv3", "TLSv1", "TLSv1.1"}),
        ("-no_sslv3", "1.0.2", {"SSLv2"}),
        ("+all -no_sslv2 -no_sslv3", "1.0.2", set()),
        ("+no_tlsv1_3 -no_tlsv1_3", "3.0", {"SSLv2", "SSLv3"}),
    ],
)
def test_openssl_options_add_to_what_is_on_and_take_away(text: str, openssl: Generation, off: set[str]) -> None:
    assert read_openssl_options(text, openssl, "x").off == off


@pytest.mark.parametrize(
    ("text", "openssl", "said"),
    [
        ("no_tlsv1", "3.0", "x: openssl_options parse error: 'no_tlsv1' has no + or - before it"),
        (
            "+no_tls1",
            "3.0",
            "x: openssl_options parse error: '+no_tls1' is not known to Exim; did you mean 'no_tlsv1'?",
        ),
        ("+ no_tlsv1", "3.0", "x: openssl_options parse error: '+' is not known to Exim"),
        (
            "+no_tlsv1_3",
            "1.0.2",
            "x: openssl_options parse error: '+no_tlsv1_3' is not known to Exim; OpenSSL 1.0.2 does",
        ),
    ],
)
def test_an_option_that_exim_does_not_know_is_refused(text: str, openssl: Generation, said: str) -> None:
    with pytest.raises(InvalidSetting) as raised:
        read_openssl_options(text, openssl, "x")
    assert str(raised.value).startswith(said)


def test_a_client_offers_the_cipher_list_of_its_transport_and_all_of_tls13() -> None:
    profile = client(
        "tls_require_ciphers = LOW\n" + SMTP + "  tls_require_ciphers = ECDHE_RSA_AES128_GCM_SHA256:AES256-SHA"
    )
    assert profile.protocols == ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
    assert profile.suites == (0x1302, 0x1303, 0x1301, 0xC02F, 0x0035)


def test_openssl_options_are_main_options_and_hold_for_clients_too() -> None:
    profile = client("openssl_options = +no_tlsv1_3\n" + SMTP + "  tls_require_ciphers = AES128-SHA@SECLEVEL=0")
    assert profile.protocols == ("TLSv1", "TLSv1.1", "TLSv1.2")
    assert profile.suites == (0x002F,)


def test_without_a_list_it_is_that_of_openssl() -> None:
    assert client(SMTP).suites == client(SMTP + "  tls_require_ciphers = DEFAULT").suites
    assert len(client(SMTP, "1.0.2").suites) > 50


def test_options_that_leave_no_version_leave_no_tls() -> None:
    off = "+no_tlsv1 +no_tlsv1_1 +no_tlsv1_2 +no_tlsv1_3"
    profile = openssl_strings_profile("HIGH", off, openssl="3.0", name="it")
    assert isinstance(profile, NoTls)
    assert profile.where == "openssl_options"


def test_a_list_that_openssl_refuses_is_told_with_its_line() -> None:
    with pytest.raises(InvalidSetting, match=r"exim.conf: line 4: tls_require_ciphers: OpenSSL 3.0 refuses .*'NOPE'"):
        client(SMTP + "  tls_require_ciphers = NOPE")


def test_a_server_takes_the_order_of_clients_unless_told_and_has_2048_bits_of_its_own() -> None:
    profile = server("tls_certificate = /a\ntls_require_ciphers = DHE+AES:@SECLEVEL=0")
    assert profile.order == "client"
    assert profile.dh_bits == 2048
    assert tuple(profile.suites) == ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
    assert server("openssl_options = +cipher_server_preference").order == "server"


@pytest.mark.parametrize(
    "text",
    [
        "tls_dhparam = none",
        "tls_dhparam = ike16",  # 4096 bits, more than the default of tls_dh_max_bits
        "tls_dhparam = ffdhe3072\ntls_dh_max_bits = 3000",
        "tls_dhparam = ike1\ntls_require_ciphers = DEFAULT@SECLEVEL=1",  # 768 bits
    ],
)
def test_without_parameters_that_openssl_takes_there_is_no_dhe(text: str) -> None:
    profile = server(text)
    assert 0xC02F in profile.suites["TLSv1.2"]
    assert 0x009E not in profile.suites["TLSv1.2"]
    assert profile.dh_bits is None


def test_parameters_of_a_file_serve_and_their_bits_are_not_known() -> None:
    profile = server("tls_dhparam = /etc/dh.pem")
    assert 0x009E in profile.suites["TLSv1.2"]
    assert profile.dh_bits is None


@pytest.mark.parametrize(
    ("text", "groups"),
    [
        ("", (29, 23, 30, 25, 24, 256, 257, 258, 259, 260)),
        ("tls_eccurve = auto : prime256v1", (29, 23, 30, 25, 24, 256, 257, 258, 259, 260)),
        ("tls_eccurve = prime256v1 : X25519 : P-384", (23, 29, 24)),
    ],
)
def test_the_groups_of_a_server_are_those_of_tls_eccurve(text: str, groups: tuple[int, ...]) -> None:
    assert server(text).groups == groups


@pytest.mark.parametrize(
    ("text", "said", "starttls"),
    [
        ("tls_dhparam = ike99", "there is no standard DH prime 'ike99'", "refused"),
        ("tls_eccurve = P256", "OpenSSL 3.0 has no curve 'P256'", "refused"),
        ("tls_advertise_hosts =", "STARTTLS is not offered", "not-offered"),
        (
            "tls_require_ciphers = aECDSA\nopenssl_options = +no_tlsv1_3",
            "no suite for certificates of RSA",
            "offered-but-broken",
        ),
    ],
)
def test_where_exim_can_start_no_tls_the_reason_is_told_with_its_line(text: str, said: str, starttls: str) -> None:
    profile = openssl_server_profile(read(text), openssl="3.0", certificate_kinds=("RSA",), name="it")
    assert isinstance(profile, NoTls)
    assert said in profile.reason
    assert profile.starttls == starttls
    assert profile.where == "exim.conf: line 1"


def test_an_exim_without_a_certificate_makes_one_with_rsa() -> None:
    profile = openssl_server_profile(read(""), openssl="3.0", certificate_kinds=(), name="it")
    assert isinstance(profile, ServerProfile)
    assert profile.certificate_kinds == ("RSA",)
    with pytest.raises(InvalidSetting, match=r"exim.conf: line 1: tls_certificate names files whose kind of key"):
        openssl_server_profile(read("tls_certificate = /a"), openssl="3.0", certificate_kinds=(), name="it")


def test_with_gnutls_the_option_is_a_priority_string_and_its_default_is_normal() -> None:
    configuration = read("tls_require_ciphers = PFS\n" + SMTP, "gnutls")
    assert server_priority_of(configuration) == ("PFS", "exim.conf: line 1")
    assert priority_of(configuration) == ("NORMAL", "exim.conf: line 3, transport remote")
    told = read(SMTP + "  tls_require_ciphers = SECURE128:\\$", "gnutls")
    assert priority_of(told) == ("SECURE128:$", "exim.conf: line 4")


def test_openssl_options_stop_an_exim_with_gnutls() -> None:
    with pytest.raises(
        InvalidSetting, match=r"exim.conf: line 1: openssl_options is set, and an Exim with GnuTLS does not"
    ):
        priority_of(read("openssl_options = +all\n" + SMTP, "gnutls"))
