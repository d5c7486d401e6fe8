"""What a ClientHello says of its sender, and what it leaves open."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxprobe.errors import InvalidSetting
from mxprobe.mta.hello import MAX_HELLO, is_grease, profile_of_hello
from mxprobe.terms import PROTOCOLS, Protocol
from mxprobe.tls.client_hello import encode_client_hello
from mxprobe.tls.offer import Offer
from mxprobe.tls.wire import block, numbers
from servers.rfc8448 import SIMPLE_1_RTT

RANDOM = bytes(range(32))
CAPTURED = Path(__file__).parents[2] / "data" / "hellos"


def captured(name: str) -> bytes:
    lines = (CAPTURED / name).read_text().splitlines()
    return bytes.fromhex("".join(line for line in lines if not line.startswith("#")))


def written(
    *, legacy_version: int = 0x0303, suites: tuple[int, ...] = (0xC02F,), extensions: tuple[tuple[int, bytes], ...] = ()
) -> bytes:
    """A hello of these values in one record (RFC 8446 §4.1.2)."""
    body = legacy_version.to_bytes(2, "big") + RANDOM + block(1) + numbers(2, 2, suites) + b"\1\0"
    if extensions:
        body += block(2, *(number.to_bytes(2, "big") + block(2, data) for number, data in extensions))
    message = b"\1" + block(3, body)
    return b"\x16\3\1" + block(2, message)


def sslv2_form(version: int, *suites: int) -> bytes:
    """A hello of SSLv2 form for this version (RFC 5246 appendix E.2)."""
    kinds = b"".join(number.to_bytes(3, "big") for number in suites)
    message = b"\1" + version.to_bytes(2, "big") + len(kinds).to_bytes(2, "big") + b"\0\0\0\x10" + kinds + bytes(16)
    return (0x8000 | len(message)).to_bytes(2, "big") + message


def versions(hello: bytes) -> tuple[Protocol, ...]:
    return profile_of_hello("test", hello).protocols


def test_a_published_hello_of_tls_1_3_is_read_as_its_trace_says() -> None:
    """RFC 8448 §3: three suites, nine groups with the FFDHE ones, 15 signature schemes, a share of x25519."""
    profile = profile_of_hello("nss", SIMPLE_1_RTT["ClientHello record"], "RFC 8448")
    assert profile.protocols == ("TLSv1.3",)
    assert profile.suites == (0x1301, 0x1303, 0x1302)
    assert profile.groups == (29, 23, 24, 25, 256, 257, 258, 259, 260)
    assert profile.signature_schemes is not None
    assert profile.signature_schemes[:4] == (0x0403, 0x0503, 0x0603, 0x0203)
    assert profile.key_shares == (29,)
    assert profile.hello == SIMPLE_1_RTT["ClientHello record"]
    assert profile.source == "RFC 8448"


def test_supported_versions_says_all() -> None:
    """RFC 8446 §4.2.1: the old field then says nothing."""
    offered = b"\4\3\4\3\3"
    assert versions(written(legacy_version=0x0301, extensions=((43, offered),))) == ("TLSv1.2", "TLSv1.3")


def test_versions_nobody_knows_are_left_out() -> None:
    offered = b"\6\x0a\x0a\x7f\x1c\3\4"  # GREASE, draft 28, TLS 1.3
    assert versions(written(extensions=((43, offered),))) == ("TLSv1.3",)


def test_a_hello_of_unknown_versions_alone_is_no_profile() -> None:
    with pytest.raises(InvalidSetting, match="no version that is known"):
        versions(written(extensions=((43, b"\2\x7f\x1c"),)))


@pytest.mark.parametrize(
    ("legacy_version", "expected"),
    [
        (0x0300, ("SSLv3",)),
        (0x0301, ("TLSv1",)),
        (0x0302, ("TLSv1", "TLSv1.1")),
        (0x0303, ("TLSv1", "TLSv1.1", "TLSv1.2")),
        # RFC 8446 §4.2.1: without supported_versions a server negotiates TLS 1.2 at most.
        (0x0304, ("TLSv1", "TLSv1.1", "TLSv1.2")),
        (0x0A0A, ("TLSv1", "TLSv1.1", "TLSv1.2")),
    ],
)
def test_an_older_hello_names_the_newest_version_and_tls_1_0_is_assumed_below(
    legacy_version: int, expected: tuple[Protocol, ...]
) -> None:
    assert versions(written(legacy_version=legacy_version)) == expected


def test_a_hello_of_sslv2_alone_is_sslv2() -> None:
    profile = profile_of_hello("old", captured("openssl-1.0.1g-client-ssl2.hex"))
    assert profile.protocols == ("SSLv2",)
    # The kinds are in the bytes, in this order.
    assert profile.suites == (0x0700C0, 0x050080, 0x030080, 0x010080, 0x060040, 0x040080, 0x020080)
    assert profile.groups == ()


@pytest.mark.parametrize(
    ("suites", "expected"),
    [
        ((0x000004, 0x010080), ("SSLv2", "SSLv3", "TLSv1")),
        ((0x000004, 0x00000A), ("SSLv3", "TLSv1")),
    ],
)
def test_a_hello_of_sslv2_form_goes_down_to_sslv3_and_with_its_kinds_to_sslv2(
    suites: tuple[int, ...], expected: tuple[Protocol, ...]
) -> None:
    profile = profile_of_hello("old", sslv2_form(0x0301, *suites))
    assert profile.protocols == expected
    assert profile.suites == suites


@pytest.mark.parametrize("number", [0x0A0A, 0x1A1A, 0x2A2A, 0xDADA, 0xFAFA])
def test_grease_is_known(number: int) -> None:
    assert is_grease(number)


@pytest.mark.parametrize("number", [0x0A1A, 0x0A0B, 0x1301, 0x00FF, 0x0A0A0A])
def test_what_is_not_grease_is_not(number: int) -> None:
    assert not is_grease(number)


def test_grease_and_signals_stay_in_the_hello_and_out_of_the_lists() -> None:
    hello = written(
        suites=(0x2A2A, 0xC02F, 0x00FF, 0x5600, 0xC02F),
        extensions=((10, numbers(2, 2, (0x3A3A, 29))), (13, numbers(2, 2, (0x4A4A, 0x0403)))),
    )
    profile = profile_of_hello("chrome", hello)
    assert profile.suites == (0xC02F,)
    assert profile.groups == (29,)
    assert profile.signature_schemes == (0x0403,)
    assert profile.hello == hello


def test_what_has_no_extension_is_empty_and_not_unknown() -> None:
    profile = profile_of_hello("old", written())
    assert (profile.groups, profile.signature_schemes, profile.key_shares) == ((), (), ())


def test_versions_known_from_elsewhere_win_over_the_assumed_ones() -> None:
    told: tuple[Protocol, ...] = ("SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2")
    assert profile_of_hello("postfix", written(), protocols=told).protocols == told
    assert profile_of_hello("strict", written(), protocols=("TLSv1.2",)).protocols == ("TLSv1.2",)


@pytest.mark.parametrize(
    ("hello", "told"),
    [
        (written(), ("TLSv1", "TLSv1.1")),
        (written(legacy_version=0x0301), ("TLSv1.2",)),
        (written(), ("SSLv2", "TLSv1.2")),
        (written(extensions=((43, b"\4\3\4\3\3"),)), ("TLSv1.1", "TLSv1.2", "TLSv1.3")),
        (written(extensions=((43, b"\4\3\4\3\3"),)), ("TLSv1.3",)),
    ],
)
def test_versions_that_the_hello_contradicts_are_refused(hello: bytes, told: tuple[Protocol, ...]) -> None:
    with pytest.raises(InvalidSetting, match="its hello"):
        profile_of_hello("test", hello, protocols=told)


@pytest.mark.parametrize(
    "hello",
    [b"", b"\x16\3\1\0\0", b"EHLO mx.test\r\n", written()[:-1], written() + b"x", written(suites=(0x00FF,))],
    ids=["empty", "no message", "clear text", "cut short", "bytes behind it", "no suites"],
)
def test_what_is_no_hello_or_offers_nothing_is_said_in_one_line(hello: bytes) -> None:
    with pytest.raises(InvalidSetting) as found:
        profile_of_hello("test", hello)
    assert "\n" not in str(found.value)
    assert "profile test" in str(found.value)


def test_a_hello_beyond_the_bound_is_refused() -> None:
    with pytest.raises(InvalidSetting, match="bytes"):
        profile_of_hello("test", bytes(MAX_HELLO + 1))


@given(
    st.binary(max_size=300) | st.binary(max_size=200).map(lambda data: b"\x16\3\1" + block(2, b"\1" + block(3, data)))
)
def test_any_bytes_give_a_profile_or_one_line(hello: bytes) -> None:
    said = ""
    try:
        assert set(versions(hello)) <= set(PROTOCOLS)
    except InvalidSetting as error:
        said = str(error)
    assert "\n" not in said


@given(
    st.sampled_from(("TLSv1", "TLSv1.1", "TLSv1.2")),
    st.lists(st.sampled_from((0xC02F, 0xC030, 0x009C, 0x002F, 0x1234)), min_size=1, unique=True).map(tuple),
    st.lists(st.integers(1, 0x0A00), min_size=1, unique=True).map(tuple),
)
def test_what_was_offered_is_what_is_read(protocol: Protocol, suites: tuple[int, ...], groups: tuple[int, ...]) -> None:
    hello = encode_client_hello(Offer(protocol=protocol, suites=suites, groups=groups), random=RANDOM)
    profile = profile_of_hello("test", hello)
    assert (profile.protocols[-1], profile.suites, profile.groups) == (protocol, suites, groups)
