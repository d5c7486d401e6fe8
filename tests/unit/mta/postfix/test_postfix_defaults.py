"""Defaults are those of `mail_params.h` in each release of Postfix."""

from __future__ import annotations

import pytest

from mxprobe.errors import InvalidSetting
from mxprobe.mta.postfix.configuration import read_main_cf
from mxprobe.mta.postfix.defaults import Daemon, Parameters, default, remarks_on
from mxprobe.mta.postfix.version import parse_version
from mxprobe.tls.openssl_catalogue import Generation


@pytest.mark.parametrize(
    ("name", "values"),
    [
        (
            "smtpd_tls_protocols",
            {"2.6.0": "", "2.9.13": "", "2.9.14": "!SSLv2, !SSLv3", "2.10.0": "", "2.11.5": "", "3.0.1": ""},
        ),
        ("smtpd_tls_protocols", {"3.0.2": "!SSLv2, !SSLv3", "3.5": "!SSLv2, !SSLv3", "3.6.0": ">=TLSv1"}),
        ("smtp_tls_protocols", {"2.6.6": "!SSLv2", "2.11.6": "!SSLv2, !SSLv3", "3.11": ">=TLSv1"}),
        (
            "smtpd_tls_mandatory_protocols",
            {"2.3.0": "SSLv3, TLSv1", "2.6.15": "!SSLv2", "2.7.0": "SSLv3, TLSv1", "2.9.2": "!SSLv2", "3.9": ">=TLSv1"},
        ),
        ("smtpd_tls_ciphers", {"2.6.6": "export", "2.9.14": "medium", "2.11.0": "export", "3.0.2": "medium"}),
        ("smtp_tls_mandatory_ciphers", {"2.3.0": "medium", "3.11": "medium"}),
        ("smtpd_tls_eecdh_grade", {"2.6.6": "none", "2.8.0": "strong", "3.1": "strong", "3.2.0": "auto"}),
        (
            "tls_high_cipherlist",
            {
                "2.3.3": "!EXPORT:!LOW:!MEDIUM:ALL:+RC4:@STRENGTH",
                "2.6.6": "ALL:!EXPORT:!LOW:!MEDIUM:+RC4:@STRENGTH",
                "2.6.7": "aNULL:-aNULL:ALL:!EXPORT:!LOW:!MEDIUM:+RC4:@STRENGTH",
                "2.7.0": "ALL:!EXPORT:!LOW:!MEDIUM:+RC4:@STRENGTH",
                "3.1.0": "aNULL:-aNULL:HIGH:@STRENGTH",
                "3.8.0": "aNULL:-aNULL:HIGH:!SEED:!IDEA:!3DES:!RC2:!RC4:!RC5:!kDH:!kECDH:!aDSS:!MD5:@STRENGTH",
            },
        ),
        ("tls_export_cipherlist", {"2.6.6": "ALL:+RC4:@STRENGTH", "3.8.0": ""}),
        ("tls_null_cipherlist", {"2.3.0": "!aNULL:eNULL+kRSA", "3.7": "eNULL:!aNULL"}),
        ("tls_eecdh_auto_curves", {"3.2.0": "X25519 X448 prime256v1 secp521r1 secp384r1"}),
        ("tls_eecdh_auto_curves", {"3.10.0": "X25519 X448 prime256v1 secp384r1 secp521r1"}),
        ("tls_ffdhe_auto_groups", {"3.8.0": "ffdhe2048 ffdhe3072"}),
        ("smtpd_tls_security_level", {"2.3.0": "", "3.11": ""}),
        ("myorigin", {"3.7": None}),
    ],
)
def test_a_default_is_that_of_the_release(name: str, values: dict[str, str | None]) -> None:
    assert {version: default(name, parse_version(version), "3.0") for version in values} == values


def test_openssl_1_0_2_has_no_names_for_two_curves() -> None:
    assert default("tls_eecdh_auto_curves", parse_version("3.4"), "1.0.2") == "prime256v1 secp521r1 secp384r1"


def parameters(text: str, version: str, daemon: Daemon | None = None, openssl: Generation = "3.0") -> Parameters:
    return Parameters(configuration=read_main_cf(text), postfix=parse_version(version), openssl=openssl, daemon=daemon)


def test_a_parameter_that_a_version_does_not_read_is_not_there() -> None:
    old = parameters("smtp_tls_ciphers = high\nsmtp_tls_protocols = TLSv1\n", "2.5")
    assert (old.text("smtp_tls_ciphers"), old.text("smtp_tls_protocols")) == ("export", "")


def test_the_client_uses_tls_by_default_from_compatibility_level_3_11() -> None:
    assert parameters("", "3.11").text("smtp_tls_security_level") == ""
    assert parameters("compatibility_level = 3.11\n", "3.11").text("smtp_tls_security_level") == "may"
    assert parameters("compatibility_level = 3.11\n", "3.10").text("smtp_tls_security_level") == ""


def test_a_flag_is_yes_or_no() -> None:
    assert parameters("smtpd_use_tls = YES\n", "3.7").flag("smtpd_use_tls")
    assert not parameters("", "3.7").flag("smtpd_use_tls")
    for text in ("smtpd_use_tls = true\n", "smtpd_use_tls =\n"):
        with pytest.raises(InvalidSetting, match=r"^main\.cf: line 1: bad boolean configuration"):
            parameters(text, "3.7").flag("smtpd_use_tls")


def test_a_reference_to_what_is_not_set_is_empty_for_a_daemon_that_reads_it_later_or_never() -> None:
    text = "smtp_tls_mandatory_protocols = $smtp_tls_protocols\nsmtp_tls_protocols = $smtpd_tls_protocols\n"
    assert parameters(text, "3.7").text("smtp_tls_mandatory_protocols") == ">=TLSv1"
    client = parameters(text, "3.7", "smtp")
    assert client.text("smtp_tls_mandatory_protocols") == ""
    assert [str(remark) for remark in client.remarks()] == [
        "main.cf: line 2: smtp_tls_protocols: $smtpd_tls_protocols is empty for smtp(8), because it is not set, "
        "and not read before"
    ]
    server = parameters("smtpd_tls_mandatory_protocols = $smtpd_tls_protocols\n", "3.7", "smtpd")
    assert server.text("smtpd_tls_mandatory_protocols") == ">=TLSv1"
    assert server.remarks() == ()


def test_all_that_is_odd_is_told_together() -> None:
    text = "smtp_tls_servername = a\nsmtp_tls_servername = b\nsmtp_tls_protocols = $smtpd_tls_protocols"
    told = [str(remark) for remark in remarks_on(read_main_cf(text), parse_version("3.3"), "1.1.1", "smtp")]
    assert [line.split(": ")[1] for line in told] == ["line 3", "line 2", "line 2", "line 3"]


@pytest.mark.parametrize(
    ("line", "version", "stops"),
    [
        ("tls_medium_cipherlist =", "3.7", True),
        ("tls_low_cipherlist =", "3.7", True),
        ("tls_low_cipherlist =", "3.8", False),
        ("smtp_tls_ciphers =", "3.7", True),
        ("smtp_tls_protocols =", "3.7", False),
        ("tls_eecdh_auto_curves =", "3.7", True),
        ("tls_eecdh_auto_curves =", "3.8", False),
    ],
)
def test_an_empty_value_stops_a_daemon_where_postfix_wants_one(line: str, version: str, stops: bool) -> None:
    read = parameters(f"{line}\n", version, "smtp")
    if not stops:
        read.check()
        return
    with pytest.raises(InvalidSetting, match=r"^main\.cf: line 1: bad string length 0 < 1"):
        read.check()
