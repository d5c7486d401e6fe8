from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxprobe.mta.senders import senders
from mxprobe.tls.client_hello import ClientHello, decode_client_hello, encode_client_hello
from mxprobe.tls.code_points import KEY_SHARE, PADDING, SERVER_NAME, SESSION_TICKET
from mxprobe.tls.extensions import extension
from mxprobe.tls.key_shares import SHARED_GROUPS, public_share
from mxprobe.tls.offer import Offer
from mxprobe.tls.records import write_records
from mxprobe.tls.replay import COOKIE, EARLY_DATA, OF_ANOTHER_SESSION, PRE_SHARED_KEY, replay
from mxprobe.tls.wire import Reader, WireError, block, join_numbers

CAPTURED = Path(__file__).parents[2] / "data" / "hellos"
RANDOM = bytes(range(32))

HELLOS = {
    path.stem: bytes.fromhex("".join(line for line in path.read_text().splitlines() if not line.startswith("#")))
    for path in sorted(CAPTURED.glob("*client*.hex"))
} | {each.name: each.profile.hello for each in senders() if each.profile.hello is not None}
"""Recorded from real clients."""

REPLACED = (SERVER_NAME, KEY_SHARE, PADDING, SESSION_TICKET)


def comparable(hello: ClientHello) -> ClientHello:
    """What is to stay as it was."""
    kept = tuple(
        (number, b"" if number in REPLACED else body)
        for number, body in hello.extensions
        if number not in OF_ANOTHER_SESSION
    )
    return replace(hello, random=b"", session_id=bytes(len(hello.session_id)), server_name=None, extensions=kept)


def record_lengths(data: bytes) -> list[int]:
    reader, lengths = Reader(data), []
    while reader.left:
        reader.take(3)
        lengths.append(len(reader.block(2)))
    return lengths


def hello_with(*extensions: bytes, session_id: bytes = b"", longest: int = 2**14, tail: bytes = b"") -> bytes:
    """A ClientHello of TLS 1.2 with these extensions, in records."""
    body = (
        b"\3\3" + bytes(32) + block(1, session_id) + block(2, b"\x13\1\0\x2f") + b"\1\0" + block(2, *extensions) + tail
    )
    return write_records(22, 0x0301, b"\1" + block(3, body), longest)


@pytest.mark.parametrize("name", HELLOS)
def test_a_recorded_hello_is_the_same_but_for_what_must_differ(name: str) -> None:
    before = decode_client_hello(HELLOS[name])
    after = decode_client_hello(replay(HELLOS[name], random=RANDOM, server_name="mx.example.test"))
    assert comparable(after) == comparable(before)
    assert after.random == RANDOM[: len(before.random)]
    assert after.server_name == (None if before.server_name is None else "mx.example.test")
    assert after.session_id != before.session_id or not before.session_id


@pytest.mark.parametrize("name", HELLOS)
def test_it_is_what_an_offer_with_that_hello_sends(name: str) -> None:
    offer = Offer(protocol="TLSv1.2", suites=(0x2F,), hello=HELLOS[name], server_name="mx.example.test")
    assert encode_client_hello(offer, random=RANDOM) == replay(
        HELLOS[name], random=RANDOM, server_name="mx.example.test"
    )


def test_key_shares_of_ours_take_the_place_of_those_that_we_have_no_key_for() -> None:
    entries = [(0x0A0A, b"\0"), (29, bytes(32)), (4588, bytes(1216)), (23, b"\4" + bytes(64))]
    shares = block(2, *(join_numbers((group,), 2) + block(2, share) for group, share in entries))
    sent = decode_client_hello(replay(hello_with(extension(KEY_SHARE, shares)), random=RANDOM, server_name=None))
    found = []
    with Reader(dict(sent.extensions)[KEY_SHARE]) as reader, reader.sub(2) as inner:
        while inner.left:
            found.append((inner.number(2), inner.block(2)))
    assert found == [
        (group, public_share(group, RANDOM) if group in SHARED_GROUPS else share) for group, share in entries
    ]


def test_what_belongs_to_another_session_is_left_out() -> None:
    hello = hello_with(
        extension(SESSION_TICKET, b"a ticket"),
        extension(COOKIE, b"\0\1c"),
        extension(EARLY_DATA),
        extension(23),
        extension(PRE_SHARED_KEY, b"keys and binders"),
    )
    sent = decode_client_hello(replay(hello, random=RANDOM, server_name=None))
    assert sent.extensions == ((SESSION_TICKET, b""), (23, b""))


@pytest.mark.parametrize("name", [None, "192.0.2.1"])
def test_a_name_goes_where_there_is_none_to_send(name: str | None) -> None:
    recorded = extension(SERVER_NAME, block(2, b"\0", block(2, b"mx.elsewhere.test")))
    assert decode_client_hello(replay(hello_with(recorded), random=RANDOM, server_name=name)).extensions == ()


def test_a_hello_without_a_name_gets_none() -> None:
    sent = decode_client_hello(replay(hello_with(extension(23)), random=RANDOM, server_name="mx.example.test"))
    assert sent.server_name is None


@pytest.mark.parametrize("name", ["a.test", "a-longer-name-than-was-recorded.example.test"])
def test_padding_makes_it_as_long_as_it_was(name: str) -> None:
    """RFC 7685: it is there so that a hello is not 256 to 511 bytes long."""
    recorded = extension(SERVER_NAME, block(2, b"\0", block(2, b"mx.elsewhere.test")))
    hello = hello_with(recorded, extension(PADDING, bytes(200)))
    assert len(replay(hello, random=RANDOM, server_name=name)) == len(hello)


def test_records_are_cut_where_they_were() -> None:
    hello = hello_with(extension(23), extension(99, bytes(100)), longest=40)
    assert record_lengths(replay(hello, random=RANDOM, server_name=None)) == record_lengths(hello)


def test_a_session_id_keeps_its_length() -> None:
    sent = decode_client_hello(replay(hello_with(session_id=b"s" * 17), random=RANDOM, server_name=None))
    assert len(sent.session_id) == 17
    assert sent.session_id != b"s" * 17


@pytest.mark.parametrize(
    "hello",
    [
        b"",
        b"\x16",
        b"\x80",
        b"\x80\x03\x04\0\2",
        b"\x15\3\1\0\2\2\x28",
        hello_with(session_id=bytes(33)),
        hello_with(b"\0"),
        hello_with(tail=b"\0"),
        hello_with(extension(KEY_SHARE, b"\0\3\0\x1d\0")),
        hello_with()[:-1],
        hello_with() + b"\x16",
    ],
)
def test_what_is_no_hello_is_our_own_error(hello: bytes) -> None:
    with pytest.raises(WireError):
        replay(hello, random=RANDOM, server_name="mx.example.test")


@given(name=st.sampled_from(sorted(HELLOS)), data=st.data())
def test_damaged_recordings_raise_nothing_else(name: str, data: st.DataObject) -> None:
    hello = bytearray(HELLOS[name])
    for _ in range(data.draw(st.integers(1, 4))):
        hello[data.draw(st.integers(0, len(hello) - 1))] = data.draw(st.integers(0, 255))
    del hello[data.draw(st.integers(1, len(hello))) :]
    try:
        sent = replay(bytes(hello), random=RANDOM, server_name="mx.example.test")
        before = decode_client_hello(bytes(hello))
    except WireError:
        return
    # A name that was broken is a good one now.
    assert comparable(decode_client_hello(sent)) == comparable(before)


@given(st.binary(max_size=400))
def test_any_bytes_are_a_hello_or_our_own_error(data: bytes) -> None:
    for start in (b"", b"\x16\3\1", b"\x80\x2e\1"):
        try:
            replay(start + data, random=RANDOM, server_name=None)
        except WireError:
            continue


@given(
    extensions=st.lists(st.tuples(st.integers(100, 0xFF00), st.binary(max_size=40)), max_size=6),
    session_id=st.binary(max_size=32),
    longest=st.integers(1, 300),
    server_name=st.sampled_from([None, "mx.example.test"]),
)
def test_every_extension_that_is_not_ours_stays_as_it_is(
    extensions: list[tuple[int, bytes]], session_id: bytes, longest: int, server_name: str | None
) -> None:
    hello = hello_with(*(extension(*each) for each in extensions), session_id=session_id, longest=longest)
    sent = replay(hello, random=RANDOM, server_name=server_name)
    assert comparable(decode_client_hello(sent)) == comparable(decode_client_hello(hello))
    assert record_lengths(sent) == record_lengths(hello)
