"""Profiles of Postfix over its versions and OpenSSL's, with the cases that administrators met."""

from __future__ import annotations

import pytest

from mxprobe.errors import InvalidSetting
from mxprobe.mta.postfix.client import client_level, client_profile
from mxprobe.mta.postfix.configuration import Place, read_main_cf
from mxprobe.mta.postfix.server import certificate_files, dh_parameter_file, server_profile
from mxprobe.mta.postfix.version import parse_version
from mxprobe.mta.profile import NoTls, Profile, ServerProfile, Tls
from mxprobe.terms import CertificateKind
from mxprobe.tls.openssl_catalogue import Generation, catalogue

SERVER = "smtpd_tls_security_level = may\nsmtpd_tls_cert_file = /etc/ssl/mx.pem\n"
EXCLUDED = "smtpd_tls_exclude_ciphers = aNULL, DES, 3DES, MD5, DES+MD5, RC4, RSA+AES, eNULL\n"


def server(
    text: str,
    version: str,
    openssl: Generation = "1.0.2",
    kinds: tuple[CertificateKind, ...] = ("RSA",),
    mandatory: bool | None = None,
) -> ServerProfile | NoTls:
    return server_profile(
        read_main_cf(text),
        postfix=parse_version(version),
        openssl=openssl,
        certificate_kinds=kinds,
        mandatory=mandatory,
    )


def client(text: str, version: str, openssl: Generation = "3.0", level: Tls | None = None) -> Profile | NoTls:
    return client_profile(read_main_cf(text), postfix=parse_version(version), openssl=openssl, level=level)


def exchanges(suites: tuple[int, ...], openssl: Generation) -> set[str]:
    return {catalogue(openssl)[number].key_exchange for number in suites}


def test_postfix_2_6_6_does_no_tls_with_names_that_it_does_not_know() -> None:
    profile = server(f"{SERVER}smtpd_tls_protocols = TLSv1.2, TLSv1.1, !TLSv1, !SSLv2, !SSLv3\n", "2.6.6")
    assert profile == NoTls(
        name="postfix",
        reason='smtpd_tls_protocols: Postfix 2.6.6 does not know "TLSv1.2", so the whole list is invalid',
        starttls="refused",
        where="main.cf: line 3",
        warnings=('Invalid TLS protocol list "TLSv1.2, TLSv1.1, !TLSv1, !SSLv2, !SSLv3": disabling TLS support',),
    )
    assert isinstance(server(f"{SERVER}smtpd_tls_protocols = TLSv1.2, TLSv1.1, !TLSv1\n", "2.6.15"), ServerProfile)


def test_postfix_2_6_6_without_tls_1_0_is_left_with_names_that_it_cannot_say() -> None:
    profile = server(f"{SERVER}smtpd_tls_protocols = !TLSv1, !SSLv2, !SSLv3\n", "2.6.6")
    assert isinstance(profile, ServerProfile)
    assert tuple(profile.suites) == ("TLSv1.1", "TLSv1.2")


def test_postfix_2_6_6_with_sslv3_but_no_tls_1_0_has_both_ends() -> None:
    profile = server(f"{SERVER}smtpd_tls_protocols = !TLSv1, !SSLv2\n", "2.6.6")
    assert isinstance(profile, ServerProfile)
    assert tuple(profile.suites) == ("SSLv3", "TLSv1.1", "TLSv1.2")


def test_postfix_2_6_6_has_no_ecdhe_and_without_rsa_aes_only_dhe_of_1024_bits() -> None:
    profile = server(f"{SERVER}{EXCLUDED}", "2.6.6")
    assert isinstance(profile, ServerProfile)
    static_rsa = {number for number, suite in catalogue("1.0.2").items() if suite.name == "AES128-GCM-SHA256"}
    assert not static_rsa & set(profile.suites["TLSv1.2"])
    assert not {kx for kx in exchanges(profile.suites["TLSv1.2"], "1.0.2") if kx.startswith("ECDH")}
    assert "DH" in exchanges(profile.suites["TLSv1.2"], "1.0.2")
    assert profile.groups == ()
    assert profile.dh_bits == 1024


def test_postfix_2_8_has_ecdhe_on_one_curve() -> None:
    profile = server(SERVER, "2.8.0")
    assert isinstance(profile, ServerProfile)
    assert "ECDH" in exchanges(profile.suites["TLSv1.2"], "1.0.2")
    assert profile.groups == (23,)


def test_a_grade_of_none_leaves_no_ecdhe_only_where_openssl_had_to_be_told() -> None:
    text = f"{SERVER}smtpd_tls_eecdh_grade = none\n"
    for version, openssl, there in (("3.1", "1.0.2", False), ("3.3", "1.1.1", True), ("3.4", "1.0.2", True)):
        profile = server(text, version, openssl)
        assert isinstance(profile, ServerProfile)
        assert ("ECDH" in exchanges(profile.suites["TLSv1.2"], openssl)) is there, version


def test_finite_fields_are_built_in_read_from_a_file_or_chosen_by_openssl() -> None:
    sizes = {("2.11", "1.0.2"): 1024, ("3.1", "1.0.2"): 2048, ("3.6", "3.0"): 2048, ("3.7", "3.0"): None}
    for (version, openssl), bits in sizes.items():
        profile = server(SERVER, version, openssl)
        assert isinstance(profile, ServerProfile)
        assert profile.dh_bits == bits
    read = read_main_cf(f"{SERVER}smtpd_tls_dh1024_param_file = ${{config_directory}}/dh.pem\n")
    assert dh_parameter_file(read, parse_version("3.7")) == (
        "smtpd_tls_dh1024_param_file",
        "/etc/postfix/dh.pem",
        Place(file="main.cf", line=3),
    )
    assert dh_parameter_file(read_main_cf("smtpd_tls_dh1024_param_file = auto\n"), parse_version("3.7")) is None


def test_certificates_are_in_the_files_of_these_parameters() -> None:
    read = read_main_cf(
        "smtpd_tls_cert_file = none\nsmtpd_tls_eccert_file = /ec.pem\nsmtpd_tls_dcert_file = /dsa.pem\n"
    )
    found = certificate_files(read, parse_version("3.7"))
    assert [(name, path) for name, path, _ in found] == [
        ("smtpd_tls_eccert_file", "/ec.pem"),
        ("smtpd_tls_dcert_file", "/dsa.pem"),
    ]
    chains = read_main_cf("smtpd_tls_cert_file = /rsa.pem\nsmtpd_tls_chain_files = /a.pem,\n  /b.pem\n")
    assert [path for _, path, _ in certificate_files(chains, parse_version("3.7"))] == ["/a.pem", "/b.pem"]
    # Postfix 3.3 does not read smtpd_tls_chain_files.
    assert [path for _, path, _ in certificate_files(chains, parse_version("3.3"))] == ["/rsa.pem"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "smtpd_tls_security_level is empty, so STARTTLS is not offered"),
        ("smtpd_tls_security_level = none\nsmtpd_tls_cert_file = /x\n", "smtpd_tls_security_level = none"),
        ("smtpd_tls_security_level = may\n", "no server certificate: none is set"),
        (
            "smtpd_tls_security_level = may\nsmtpd_tls_cert_file = none\nsmtpd_tls_ask_ccert = yes\n",
            "no server certificate: client certificates are asked for, which takes a certificate of its own",
        ),
        (f"{SERVER}smtpd_tls_ciphers = strong\n", 'invalid cipher grade: "strong"'),
        (f"{SERVER}smtpd_tls_exclude_ciphers = !aNULL\n", "invalid unary '!+-@' in cipher exclusion: !aNULL"),
    ],
)
def test_a_server_without_tls_says_why(text: str, reason: str) -> None:
    profile = server(text, "3.7", "3.0")
    assert isinstance(profile, NoTls)
    assert profile.reason == reason


def test_a_cipher_list_that_openssl_refuses_is_told_with_its_line() -> None:
    profile = server(f"{SERVER}smtpd_tls_ciphers = high\ntls_high_cipherlist = NOSUCHWORD\n", "3.7", "3.0")
    assert isinstance(profile, NoTls)
    assert "NOSUCHWORD" in profile.reason


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("smtpd_tls_security_level = mai", "main.cf: line 1: smtpd_tls_security_level: Postfix 3.7 has no TLS level"),
        ("smtpd_tls_security_level = dane", 'main.cf: line 1: Invalid TLS level "dane"'),
        ("smtpd_tls_securty_level = may", "main.cf: line 1: Postfix has no TLS parameter smtpd_tls_securty_level"),
        ("smtpd_tls_wrappermode = on", "main.cf: line 1: bad boolean configuration: smtpd_tls_wrappermode = on"),
    ],
)
def test_what_stops_the_server_is_an_error_with_its_line(line: str, said: str) -> None:
    with pytest.raises(InvalidSetting) as caught:
        server(f"{line}\n", "3.7", "3.0")
    assert str(caught.value).startswith(said)


def test_a_certificate_without_the_kind_of_its_key_is_an_error() -> None:
    with pytest.raises(
        InvalidSetting, match=r"^main\.cf: line 2: smtpd_tls_cert_file: the kind of the key in /etc/ssl"
    ):
        server(SERVER, "3.7", "3.0", ())


def test_wrapper_mode_is_mandatory_tls() -> None:
    text = "smtpd_tls_wrappermode = yes\nsmtpd_tls_chain_files = /x\nsmtpd_tls_mandatory_protocols = TLSv1.3\n"
    profile = server(text, "3.7", "3.0")
    assert isinstance(profile, ServerProfile)
    assert tuple(profile.suites) == ("TLSv1.3",)


def test_either_set_of_parameters_can_be_asked_for() -> None:
    text = f"{SERVER}smtpd_tls_mandatory_protocols = TLSv1.3\nsmtpd_tls_protocols = TLSv1.2\n"
    for mandatory, protocol in ((None, "TLSv1.2"), (False, "TLSv1.2"), (True, "TLSv1.3")):
        profile = server(text, "3.7", "3.0", mandatory=mandatory)
        assert isinstance(profile, ServerProfile)
        assert tuple(profile.suites) == (protocol,)


@pytest.mark.parametrize(
    ("text", "version", "level"),
    [
        ("", "3.7", "none"),
        ("smtp_use_tls = yes\n", "3.7", "may"),
        ("smtp_enforce_tls = yes\n", "3.7", "verify"),
        ("smtp_enforce_tls = yes\nsmtp_tls_enforce_peername = no\n", "2.6.6", "encrypt"),
        ("smtp_tls_security_level = DANE\nsmtp_use_tls = no\n", "3.7", "dane"),
        ("compatibility_level = 3.11\n", "3.11", "may"),
    ],
)
def test_the_level_of_the_client(text: str, version: str, level: Tls) -> None:
    assert client_level(read_main_cf(text), parse_version(version)) == level


@pytest.mark.parametrize(("level", "version"), [("dane", "2.10"), ("fingerprint", "2.4"), ("halfdane", "3.7")])
def test_a_level_that_a_version_does_not_know_stops_its_client(level: str, version: str) -> None:
    with pytest.raises(InvalidSetting, match=f'has no TLS level "{level}"'):
        client_level(read_main_cf(f"smtp_tls_security_level = {level}\n"), parse_version(version))


def test_a_client_whose_list_is_invalid_starts_no_tls() -> None:
    profile = client("smtp_tls_security_level = encrypt\nsmtp_tls_mandatory_protocols = >=TLSv1.2\n", "3.5", "1.1.1")
    assert isinstance(profile, NoTls)
    assert profile.where == "main.cf: line 2"
    assert profile.warnings == ('Invalid TLS protocol list ">=TLSv1.2": aborting TLS session',)


def test_authenticated_levels_leave_anonymous_suites_out_and_encrypt_only_those_without_encryption() -> None:
    for level, anonymous in (("may", True), ("encrypt", True), ("fingerprint", False), ("dane", False)):
        profile = client("", "3.7", level=level)
        assert isinstance(profile, Profile)
        found = any(catalogue("3.0")[number].authentication == "None" for number in profile.suites)
        assert found is anonymous, level


def test_dane_offers_no_sslv2_and_from_3_6_no_sslv3() -> None:
    expected = {("secure", "3.1"): "SSLv2", ("dane-only", "3.1"): "SSLv3", ("dane", "3.6"): "TLSv1"}
    for (level, version), oldest in expected.items():
        profile = client("smtp_tls_mandatory_protocols =\n", version, "1.0.2", level)
        assert isinstance(profile, Profile)
        assert profile.protocols[0] == oldest


def test_the_groups_of_the_client_follow_postfix_from_3_2() -> None:
    groups = {
        ("3.1", "1.1.1"): (29, 23, 30, 25, 24),
        ("3.2", "1.0.2"): (23, 25, 24),
        ("3.4", "1.1.1"): (29, 30, 23, 25, 24),
        ("3.9", "1.1.1"): (29, 30, 23, 25, 24),
        ("3.9", "3.0"): (29, 30, 23, 25, 24, 256, 257),
        ("3.10", "3.0"): (29, 30, 23, 24, 25, 256, 257),
    }
    for (version, openssl), expected in groups.items():
        profile = client("", version, openssl, "may")
        assert isinstance(profile, Profile)
        assert profile.groups == expected, version


def test_empty_lists_of_groups_mean_postfixs_own_or_openssls_by_version() -> None:
    text = "tls_eecdh_auto_curves =\ntls_ffdhe_auto_groups =\n"
    own, openssls = (29, 30, 23, 25, 24, 256, 257), (29, 23, 30, 25, 24, 256, 257, 258, 259, 260)
    for version, expected in (("3.8.7", own), ("3.8.8", openssls), ("3.9.1", own), ("3.9.2", openssls)):
        profile = client(text, version, "3.0", "may")
        assert isinstance(profile, Profile)
        assert profile.groups == expected, version


def test_low_and_export_mean_medium_from_3_8() -> None:
    def suites(grade: str, version: str) -> tuple[int, ...]:
        profile = client(f"smtp_tls_ciphers = {grade}\n", version, "1.0.2", "may")
        assert isinstance(profile, Profile)
        return profile.suites

    assert suites("export", "3.8") == suites("medium", "3.8")
    assert suites("export", "3.7") != suites("medium", "3.7")


def test_the_source_says_what_it_was_computed_from() -> None:
    profile = client("", "2.11", "1.0.2", "may")
    assert isinstance(profile, Profile)
    assert profile.source == "smtp client at level may: main.cf of Postfix 2.11 on OpenSSL 1.0.2"
