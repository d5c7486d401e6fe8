"""master.cf gives services, and the parameters that each overrides (master(5))."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxprobe.errors import InvalidSetting
from mxprobe.mta.postfix.services import client_service, read_master_cf, server_service

MASTER_CF = """\
# service type  private unpriv  chroot  wakeup  maxproc command + args
smtp      inet  n       -       y       -       -       smtpd
#smtp      inet  n       -       y       -       1       postscreen
submission inet n       -       y       -       -       /usr/lib/postfix/sbin/smtpd -v
  -o syslog_name=postfix/submission
#  comment
  -o { smtpd_tls_security_level = encrypt }
  -osmtpd_tls_mandatory_protocols=>=TLSv1.2
  -vo smtpd_tls_wrappermode=no
192.0.2.1:2525 inet n   -       n       -       -       smtpd
pickup    unix  n       -       y       60      1       pickup
smtp      unix  -       -       y       -       -       smtp
relay     unix  -       -       y       -       -       smtp
        -o smtp_tls_security_level=may -o smtp_tls_security_level=none
"""


def test_a_service_has_its_overrides_and_its_place() -> None:
    service = server_service(read_master_cf(MASTER_CF), "submission")
    assert [(setting.name, setting.value) for setting in service.overrides] == [
        ("syslog_name", "postfix/submission"),
        ("smtpd_tls_security_level", "encrypt"),
        ("smtpd_tls_mandatory_protocols", ">=TLSv1.2"),
        ("smtpd_tls_wrappermode", "no"),
    ]
    assert str(service.place) == "master.cf: line 4"


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("smtpd", "smtp/inet"),
        ("smtp", "smtp/inet"),
        ("smtp/inet", "smtp/inet"),
        ("25", "smtp/inet"),
        ("25/inet", "smtp/inet"),
        ("587/inet", "submission/inet"),
        ("2525", "192.0.2.1:2525/inet"),
        ("192.0.2.1:2525", "192.0.2.1:2525/inet"),
    ],
)
def test_a_server_is_found_by_name_type_and_port(wanted: str, found: str) -> None:
    assert str(server_service(read_master_cf(MASTER_CF), wanted)) == found


def test_the_server_behind_postscreen_is_that_of_the_program() -> None:
    behind = "smtp inet n - n - 1 postscreen\nsmtpd pass - - n - - smtpd -o x=y\nsubmission inet n - n - - smtpd\n"
    assert str(server_service(read_master_cf(behind), "smtpd")) == "smtpd/pass"


def test_a_client_is_no_server() -> None:
    services = read_master_cf(MASTER_CF)
    assert str(client_service(services, "smtp")) == "smtp/unix"
    assert [setting.value for setting in client_service(services, "relay").overrides] == ["may", "none"]
    with pytest.raises(InvalidSetting) as caught:
        client_service(services, "submission", "service")
    assert str(caught.value) == (
        "service: no smtp(8) or lmtp(8) service 'submission' in master.cf (allowed: smtp/unix, relay/unix)"
    )
    with pytest.raises(InvalidSetting, match="in an empty master"):
        server_service((), "smtpd")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("smtp inet n - y - -", 'missing "command" field'),
        ("smtp inet n - y - - smtpd -o", "nothing follows -o"),
        ("smtp tcp n - y - - smtpd", "bad transport type: tcp"),
        ("smtp inet n - y - - smtpd -o smtpd_tls_ciphers", "missing '=' after attribute name"),
        ("smtp inet n - y - - smtpd -o { a = b", "missing '}'"),
        ("smtp inet n - y - - smtpd -o { a = b }c", "syntax error after '}'"),
    ],
)
def test_what_is_wrong_is_told_with_file_and_line(line: str, said: str) -> None:
    with pytest.raises(InvalidSetting) as caught:
        read_master_cf(f"# head\n{line}\n", "/etc/postfix/master.cf")
    assert str(caught.value).startswith(f"/etc/postfix/master.cf: line 2: {said}")


@given(st.lists(st.sampled_from(["smtp", "inet", "-", "n", "smtpd", "-o", "a=b", "{", "}", "-v", "\n", "\n ", "-o{"])))
def test_any_lines_are_services_or_the_one_error(words: list[str]) -> None:
    with suppress(InvalidSetting):
        assert all(service.command for service in read_master_cf(" ".join(words)))
