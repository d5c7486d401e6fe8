"""The primitives of the TLS presentation language (RFC 8446 §3)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxprobe.tls.wire import Reader, Truncated, WireError, block, join_numbers, numbers, split_numbers


def test_numbers_are_big_endian() -> None:
    # RFC 8446 §3.3: uint16 for 0x0102 is the bytes 01 02.
    assert Reader(b"\x01\x02").number(2) == 0x0102
    assert join_numbers((0x0102, 3), 2) == b"\x01\x02\x00\x03"
    assert join_numbers((0x0700C0,), 3) == b"\x07\x00\xc0"


def test_a_vector_has_its_length_in_bytes_before_it() -> None:
    # RFC 8446 §3.4: the length counts bytes, not elements.
    assert numbers(2, 2, (0x1301, 0x1302)) == b"\x00\x04\x13\x01\x13\x02"
    assert Reader(b"\x00\x04\x13\x01\x13\x02").numbers(2, 2) == (0x1301, 0x1302)


@given(st.integers(1, 4).flatmap(lambda size: st.tuples(st.just(size), st.lists(st.integers(0, 256**size - 1)))))
def test_numbers_come_back(case: tuple[int, list[int]]) -> None:
    size, values = case
    assert split_numbers(join_numbers(values, size), size) == tuple(values)


@given(st.lists(st.binary(max_size=300)))
def test_blocks_come_back(blocks: list[bytes]) -> None:
    with Reader(block(3, *(block(2, one) for one in blocks))) as reader, reader.sub(3) as inner:
        assert [inner.block(2) for _ in blocks] == blocks


def test_a_block_with_leftovers_is_refused() -> None:
    with pytest.raises(WireError, match="1 bytes left over"), Reader(b"\x02ab") as reader, reader.sub(1) as inner:
        inner.take(1)


def test_an_error_inside_a_block_is_not_hidden_by_its_leftovers() -> None:
    with pytest.raises(KeyError), Reader(b"abc"):
        raise KeyError


def test_a_field_beyond_the_end_is_truncated() -> None:
    with pytest.raises(Truncated, match="5 bytes expected, 2 left"):
        Reader(b"\x05ab").block(1)
    with pytest.raises(Truncated):
        Reader(b"\x00").number(2)


def test_a_list_is_a_whole_number_of_elements() -> None:
    with pytest.raises(WireError, match="2-byte numbers is 3 bytes long"):
        Reader(b"\x00\x03abc").numbers(2, 2)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(WireError, match="does not fit in 2 bytes"):
        join_numbers((0x10000,), 2)
    with pytest.raises(WireError, match="does not fit in 3 bytes"):
        join_numbers((-1,), 3)
    with pytest.raises(WireError, match="256 bytes do not fit"):
        block(1, bytes(256))
