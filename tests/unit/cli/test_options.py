"""From the text of options to settings. What is said of mistakes is in tests/acceptance/test_bad_input.py."""

from __future__ import annotations

import pytest

from mxprobe.cli import options
from mxprobe.errors import InvalidSetting
from mxprobe.network.settings import Timeouts
from mxprobe.terms import PROTOCOLS, parse_next_hop
from mxprobe.verdict.requirements import Requirement


@pytest.mark.parametrize(
    ("text", "protocol"),
    [(name, name) for name in PROTOCOLS]
    + [("TLSv1.0", "TLSv1"), ("tlsv1.3", "TLSv1.3"), ("SSLV2", "SSLv2"), ("tlsv1", "TLSv1")],
)
def test_protocols_go_by_the_names_of_openssl_in_any_case(text: str, protocol: str) -> None:
    assert options.protocol(text) == protocol


@pytest.mark.parametrize("text", ["TLS1.2", "1.2", "TLSv1.4", "SSLv1", "TLS", ""])
def test_other_protocols_are_not_guessed(text: str) -> None:
    with pytest.raises(InvalidSetting):
        options.protocol(text)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        # The IANA registry "TLS Cipher Suites", and the names of `openssl ciphers -V`.
        ("ECDHE-RSA-AES128-GCM-SHA256", 0xC02F),
        ("ecdhe-rsa-aes128-gcm-sha256", 0xC02F),
        ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", 0xC02F),
        ("0xC02F", 0xC02F),
        ("0xC0,0x2F", 0xC02F),
        ("RC4-MD5", 0x0004),
        ("EXP-RC4-MD5", 0x0003),
        ("TLS_AES_128_GCM_SHA256", 0x1301),
        ("0x7FFF", 0x7FFF),
        # draft-hickman-netscape-ssl-00
        ("SSL_CK_RC4_128_WITH_MD5", 0x010080),
        ("0x010080", 0x010080),
    ],
)
def test_suites_go_by_openssl_name_iana_name_or_number(text: str, number: int) -> None:
    assert options.suite_number(text) == number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        # ssl2.h: names that SSLv3 has too mean another number here.
        ("RC4-MD5", 0x010080),
        ("EXP-RC4-MD5", 0x020080),
        ("rc2-cbc-md5", 0x030080),
        ("EXP-RC2-CBC-MD5", 0x040080),
        ("IDEA-CBC-MD5", 0x050080),
        ("DES-CBC-MD5", 0x060040),
        ("DES-CBC3-MD5", 0x0700C0),
        ("SSL_CK_DES_192_EDE3_CBC_WITH_MD5", 0x0700C0),
        ("0x0700C0", 0x0700C0),
    ],
)
def test_in_sslv2_the_names_are_those_of_its_own_suites(text: str, number: int) -> None:
    assert options.suite_number(text, protocols=("SSLv2",)) == number
    assert options.profile(f"SSLv2:{text}", None).suites == (number,)


@pytest.mark.parametrize(
    ("text", "protocols"),
    [
        ("AES128-SHA", ("SSLv2",)),
        ("0x0004", ("SSLv2",)),
        ("SSL_CK_RC4_128_WITH_MD5", ("SSLv3",)),
        ("0x010080", ("SSLv2", "SSLv3")),
        ("DES-CBC3-MD5", ("TLSv1.2",)),
    ],
)
def test_a_suite_of_sslv2_fits_no_other_hello_and_no_other_suite_fits_that_of_sslv2(
    text: str, protocols: tuple[options.Protocol, ...]
) -> None:
    with pytest.raises(InvalidSetting) as wrong:
        options.suite_number(text, protocols=protocols)
    assert text in str(wrong.value)
    assert "SSLv2" in str(wrong.value)


def test_a_profile_on_the_command_line_keeps_the_order_of_its_suites() -> None:
    profile = options.profile("TLSv1.2,TLSv1.3:AES128-SHA:TLS_AES_128_GCM_SHA256:0xC02F", None)
    assert profile.protocols == ("TLSv1.2", "TLSv1.3")
    assert profile.suites == (0x002F, 0x1301, 0xC02F)


def test_each_stage_may_be_given_its_patience() -> None:
    assert options.timeouts([]) == Timeouts()
    assert options.timeouts(["greeting=120", "quit=0.5", "greeting=60"]) == Timeouts(greeting=60.0, quit=0.5)


def test_without_requirements_starttls_has_to_work_and_every_profile_to_get_a_session() -> None:
    assert options.requirements([], profiles=False) == (Requirement(name="starttls"),)
    assert options.requirements([], profiles=True) == (Requirement(name="starttls"), Requirement(name="shared-cipher"))


def test_requirements_come_one_an_option_or_several_with_commas() -> None:
    expected = (Requirement(name="trusted"), Requirement(name="tls1.2"), Requirement(name="sslv3", answer="no"))
    assert options.requirements(["trusted", "tls1.2,!sslv3"], profiles=False) == expected


@pytest.mark.parametrize(
    ("hops", "connect", "known_as", "expected"),
    [
        # next-hops, --connect, --as; host, port and whether the MX is looked up, and what is dialled for hosts
        (["a.test"], [], None, ("a.test", 25, True, {})),
        (["a.test"], ["mx.test=192.0.2.1"], None, ("a.test", 25, True, {"mx.test": "192.0.2.1"})),
        (["a.test"], ["192.0.2.1"], None, ("a.test", 25, False, {"a.test": "192.0.2.1"})),
        (["a.test:26"], ["192.0.2.1"], None, ("a.test", 26, False, {"a.test": "192.0.2.1"})),
        (["a.test:26"], ["192.0.2.1:2525"], None, ("a.test", 2525, False, {"a.test": "192.0.2.1"})),
        (["a.test"], ["192.0.2.1"], "MX.test", ("mx.test", 25, False, {"mx.test": "192.0.2.1"})),
        (["a.test"], ["[2001:db8::1]:26"], "mx.test", ("mx.test", 26, False, {"mx.test": "2001:db8::1"})),
        (["a.test"], ["2001:db8::1"], None, ("a.test", 25, False, {"a.test": "2001:db8::1"})),
        ([], ["192.0.2.1:2525"], "mx.test", ("mx.test", 2525, False, {"mx.test": "192.0.2.1"})),
        ([], ["192.0.2.1"], None, ("192.0.2.1", 25, False, {})),
    ],
)
def test_connect_dials_an_address_for_one_host_or_in_place_of_all(
    hops: list[str], connect: list[str], known_as: str | None, expected: tuple[str, int, bool, dict[str, str]]
) -> None:
    (hop,), mapped = options.destinations(hops, connect, known_as)
    assert (hop.host, hop.port, hop.mx_lookup, dict(mapped)) == expected
    assert hop.text == (hops[0] if hops else f"[{expected[0]}]:{expected[1]}")


def test_without_connect_the_next_hops_are_as_they_were_written() -> None:
    texts = ["a.test", "[b.test]:26", "lmtp:[192.0.2.1]"]
    assert options.destinations(texts, [], None) == (tuple(parse_next_hop(text) for text in texts), {})


@pytest.mark.parametrize("text", ["probe.test", "PROBE.test.", "[192.0.2.1]", "[IPv6:2001:db8::1]"])
def test_we_may_be_called_by_name_or_address_literal(text: str) -> None:
    """RFC 5321 §4.1.3."""
    assert options.ehlo_name(text) in (text, "probe.test")
