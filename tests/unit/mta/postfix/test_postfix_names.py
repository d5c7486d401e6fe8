"""Names that look like TLS parameters and are none are told; others are the administrator's own."""

from __future__ import annotations

import pytest

from mxprobe.errors import InvalidSetting
from mxprobe.mta.postfix.configuration import overrides, read_main_cf
from mxprobe.mta.postfix.names import check_names, tls_parameters
from mxprobe.mta.postfix.version import parse_version

POSTFIX = parse_version("3.7")


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("smtpd_tls_protocol", "smtpd_tls_protocols"),
        ("smtp_tls_securitylevel", "smtp_tls_security_level"),
        ("smtpd_tsl_security_level", "smtpd_tls_security_level"),
        ("smtpd_ssl_cert_file", "smtpd_tls_cert_file"),
        ("tls_meduim_cipherlist", "tls_medium_cipherlist"),
        ("lmtp_tls_cipher", "lmtp_tls_ciphers"),
    ],
)
def test_a_name_that_is_none_is_an_error_that_names_what_is_near(name: str, near: str) -> None:
    with pytest.raises(InvalidSetting) as caught:
        check_names(read_main_cf(f"myhostname = mx.test\n{name} = x\n"), POSTFIX)
    assert str(caught.value).startswith(f"main.cf: line 2: Postfix has no TLS parameter {name}")
    assert near in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "virtual_alias_mapz = x\n",
        "tls_dir = /etc/tls\nsmtpd_tls_cert_file = ${tls_dir}/cert.pem\n",
        "smtpd_tls_own = a\nx = $(smtpd_tls_own)\n",
        "mua_client_restrictions = permit\n",
        "dovecot_tls = x\n",
        "smtpd_sasl_security_options = noanonymous\n",
    ],
)
def test_macros_and_what_does_not_concern_tls_are_let_be(text: str) -> None:
    assert check_names(read_main_cf(text), POSTFIX) == ()


def test_a_macro_that_only_a_service_uses_is_let_be() -> None:
    read = read_main_cf("smtpd_tls_submission = encrypt\n")
    assert check_names(read.overridden(overrides(["smtpd_tls_security_level=$smtpd_tls_submission"])), POSTFIX) == ()


def test_a_parameter_of_another_version_is_remarked() -> None:
    (remark,) = check_names(read_main_cf("x = y\ntls_ffdhe_auto_groups = ffdhe2048\n"), POSTFIX)
    assert str(remark) == "main.cf: line 2: tls_ffdhe_auto_groups is not read by Postfix 3.7: it is known since 3.8.0"


def test_old_parameters_are_known() -> None:
    assert {"smtp_use_tls", "smtpd_enforce_tls", "smtpd_tls_dh512_param_file", "smtp_tls_per_site"} <= set(
        tls_parameters()
    )
