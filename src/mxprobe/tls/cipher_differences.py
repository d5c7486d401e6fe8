"""What one list of suites has and another lacks, and which of those in both stand elsewhere."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A suite of both lists that comes earlier or later: its ranks among the suites in both, from 1."""

    number: int
    first: int
    second: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Differences:
    """How two lists differ.

    Attributes:
        only_first: Suites that the second lacks, in the order of the first.
        only_second: Suites that the first lacks, in the order of the second.
        moved: As few suites as account for the other order of those in both; none when they are in the same order.
    """

    only_first: tuple[int, ...]
    only_second: tuple[int, ...]
    moved: tuple[Moved, ...]

    def __bool__(self) -> bool:
        return bool(self.only_first or self.only_second or self.moved)


def differences(first: tuple[int, ...], second: tuple[int, ...]) -> Differences:
    """Compare two lists by code point, so that suites which two OpenSSLs name differently are the same."""
    known = frozenset(first)
    rank = {number: place for place, number in enumerate(number for number in second if number in known)}
    common = [number for number in first if number in rank]
    staying = _longest_rising([rank[number] for number in common])
    return Differences(
        only_first=tuple(number for number in first if number not in rank),
        only_second=tuple(number for number in second if number not in rank),
        moved=tuple(
            Moved(number=number, first=place + 1, second=rank[number] + 1)
            for place, number in enumerate(common)
            if place not in staying
        ),
    )


def _longest_rising(ranks: list[int]) -> frozenset[int]:
    """The places of a longest rising subsequence: what keeps its order, so that all else moved."""
    ends: list[int] = []  # the smallest last rank of a subsequence of each length, and its place
    places: list[int] = []
    before: list[int | None] = []
    for place, rank in enumerate(ranks):
        length = bisect_left(ends, rank)
        before.append(places[length - 1] if length else None)
        ends[length : length + 1] = [rank]
        places[length : length + 1] = [place]
    kept: set[int] = set()
    at = places[-1] if places else None
    while at is not None:
        kept.add(at)
        at = before[at]
    return frozenset(kept)
