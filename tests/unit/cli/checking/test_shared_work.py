"""Work in two processes: it comes to the same as in one."""

from __future__ import annotations

import os
import signal

import pytest

from mxprobe.cli.checking import shared_work
from mxprobe.cli.checking.shared_work import ALL, Share, in_shares

NUMBERS = range(7)


def squares(share: Share) -> list[int]:
    first, step = share
    return [number**2 for number in NUMBERS[first::step]]


@pytest.mark.parametrize("processors", [1, 2])
def test_results_come_in_the_order_of_the_items(processors: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_work, "_processors", lambda: processors)
    assert in_shares(squares) == squares(ALL)


def test_two_processes_do_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_work, "_processors", lambda: 2)
    mine, theirs = in_shares(lambda share: [os.getpid()])
    assert mine == os.getpid() != theirs


@pytest.mark.parametrize("first", [0, 1])
def test_what_goes_wrong_in_either_is_raised(first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_work, "_processors", lambda: 2)

    def work(share: Share) -> list[int]:
        if share[0] == first:
            raise LookupError("row 3")
        return squares(share)

    with pytest.raises(LookupError, match="row 3"):
        in_shares(work)


def test_the_share_of_a_process_that_was_killed_is_done_by_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_work, "_processors", lambda: 2)
    ours = os.getpid()

    def work(share: Share) -> list[int]:
        if os.getpid() != ours:
            os.kill(os.getpid(), signal.SIGKILL)
        return squares(share)

    assert in_shares(work) == squares(ALL)
