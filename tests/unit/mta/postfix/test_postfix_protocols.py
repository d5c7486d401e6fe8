"""Lists of protocols mean what each version of Postfix reads in them (postconf(5) smtpd_tls_protocols)."""

from __future__ import annotations

import pytest

from mxprobe.mta.postfix.protocols import UnknownProtocol, known_protocols, read_protocol_list
from mxprobe.mta.postfix.version import parse_version
from mxprobe.terms import PROTOCOLS


def left(text: str, version: str) -> tuple[str, ...]:
    listed = read_protocol_list(text, parse_version(version))
    return tuple(protocol for protocol in PROTOCOLS if listed.allows(protocol))


@pytest.mark.parametrize(
    ("version", "newest"),
    [
        ("2.3.0", "TLSv1"),
        ("2.6.14", "TLSv1"),
        ("2.6.15", "TLSv1.2"),
        ("2.7.0", "TLSv1"),
        ("2.7.9", "TLSv1.2"),
        ("2.8.9", "TLSv1"),
        ("2.8.10", "TLSv1.2"),
        ("2.9.1", "TLSv1"),
        ("2.9.2", "TLSv1.2"),
        ("2.11.11", "TLSv1.2"),
        ("3.0.0", "TLSv1.3"),
        ("3.7", "TLSv1.3"),
    ],
)
def test_the_names_that_a_version_knows(version: str, newest: str) -> None:
    assert known_protocols(parse_version(version))[-1] == newest


@pytest.mark.parametrize(
    ("text", "version", "protocols"),
    [
        ("", "3.7", PROTOCOLS),
        ("!SSLv2, !SSLv3", "3.5", PROTOCOLS[2:]),
        ("!sslv2:!sslv3 !tlsV1", "3.5", PROTOCOLS[3:]),
        ("TLSv1.2", "3.5", ("TLSv1.2",)),
        ("TLSv1.2, TLSv1.3, !TLSv1.3", "3.5", ("TLSv1.2",)),
        (">=TLSv1.2", "3.6", ("TLSv1.2", "TLSv1.3")),
        (">=TLSv1, <=TLSv1.2", "3.7", ("TLSv1", "TLSv1.1", "TLSv1.2")),
        (">=0303", "3.7", ("TLSv1.2", "TLSv1.3")),
        (">=0x0303 !TLSv1.3", "3.7", ("TLSv1.2",)),
        ("<=none", "3.7", PROTOCOLS),
        (">=0", "3.7", PROTOCOLS),
        (">=0305", "3.7", PROTOCOLS),
    ],
)
def test_what_a_list_leaves(text: str, version: str, protocols: tuple[str, ...]) -> None:
    assert left(text, version) == protocols


def test_what_a_version_has_no_name_for_it_cannot_exclude() -> None:
    assert left("TLSv1", "2.6.6") == ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
    assert left("TLSv1.2", "2.11") == ("TLSv1.2", "TLSv1.3")


@pytest.mark.parametrize(
    ("text", "version", "word"),
    [
        ("TLSv1.2, TLSv1.1, !TLSv1", "2.6.6", "TLSv1.2"),
        ("!TLSv1.3", "2.11", "!TLSv1.3"),
        (">=TLSv1.2", "3.5", ">=TLSv1.2"),
        ("!SSLv2 TLSv1.4", "3.7", "TLSv1.4"),
        (">=SSLv2", "3.7", ">=SSLv2"),
        (">=TLSv1.4", "3.7", ">=TLSv1.4"),
        ("!", "3.7", "!"),
        ("!>=TLSv1", "3.7", "!>=TLSv1"),
        (">=123456789", "3.7", ">=123456789"),
    ],
)
def test_a_word_that_is_not_known_makes_the_whole_list_invalid(text: str, version: str, word: str) -> None:
    with pytest.raises(UnknownProtocol) as caught:
        read_protocol_list(text, parse_version(version))
    assert caught.value.word == word
