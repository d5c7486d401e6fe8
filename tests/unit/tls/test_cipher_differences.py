"""What one list of suites has and another lacks, and the fewest moves between their orders."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxprobe.tls.cipher_differences import Moved, differences

LISTS = st.lists(st.integers(0, 12), unique=True).map(tuple)


@pytest.mark.parametrize(
    ("first", "second", "only_first", "only_second", "moved"),
    [
        ((1, 2, 3), (1, 2, 3), (), (), ()),
        ((1, 2, 3), (2, 4), (1, 3), (4,), ()),
        ((1, 2, 3, 4), (2, 3, 4, 1), (), (), (Moved(number=1, first=1, second=4),)),
        ((1, 9, 2), (2, 8, 1), (9,), (8,), (Moved(number=1, first=1, second=2),)),
        ((), (1,), (), (1,), ()),
    ],
)
def test_additions_losses_and_moves(
    first: tuple[int, ...],
    second: tuple[int, ...],
    only_first: tuple[int, ...],
    only_second: tuple[int, ...],
    moved: tuple[Moved, ...],
) -> None:
    found = differences(first, second)
    assert (found.only_first, found.only_second) == (only_first, only_second)
    assert len(found.moved) == len(moved)
    assert bool(found) is (first != second)


@given(LISTS, LISTS)
def test_what_did_not_move_is_in_the_same_order(first: tuple[int, ...], second: tuple[int, ...]) -> None:
    found = differences(first, second)
    moved = {each.number for each in found.moved}
    assert [n for n in first if n in second and n not in moved] == [n for n in second if n in first and n not in moved]
    assert set(first) - set(found.only_first) == set(second) - set(found.only_second)
    common = [n for n in second if n in first]
    assert all(common[each.second - 1] == each.number for each in found.moved)
    assert bool(found) is (first != second)
