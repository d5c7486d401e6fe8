"""Sweeps as generators: what they want at a time, in what order they take answers, and what they ignore."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxprobe.tls.offer import Answer, Chosen, Closed, Garbled, Offer, Refused, Silent, Throttled, Unasked
from mxprobe.tls.sweep import (
    MAX_SSLV2_KINDS,
    SuitesFound,
    Sweep,
    T,
    Wanted,
    ask,
    ask_surely,
    both,
    sslv2_kinds,
    together,
)
from servers.model import Asked

ONE = Offer(protocol="TLSv1.2", suites=(0x002F,))
OTHER = Offer(protocol="TLSv1", suites=(0x000A,))
THIRD = Offer(protocol="SSLv3", suites=(0x0005,))

YES = Chosen(protocol="TLSv1.2", suite=0x002F)
NO = Refused(alert=40)
CLOSED = Closed(stage="hello", how="eof")

# The cipher kinds of draft-hickman-netscape-ssl-00, appendix C.
RC4, RC2_EXPORT, TRIPLE_DES = 0x010080, 0x040080, 0x0700C0
SSLV2 = Offer(protocol="SSLv2", suites=(RC4, RC2_EXPORT, TRIPLE_DES))

NOT_FOUND_OUT: tuple[Answer, ...] = (
    Silent(stage="hello"),
    Garbled(stage="hello", reason="plain text"),
    Throttled(stage="greeting", reply="421 later"),
    Closed(stage="greeting", how="eof"),
    Closed(stage="starttls", how="reset"),
    Unasked(reason="left alone"),
)


def finish(sweep: Sweep[T], offer: Offer, answer: Answer) -> T:
    """Send the answer that is to be the last one."""
    with pytest.raises(StopIteration) as stop:
        sweep.send((offer, answer))
    found: T = stop.value.value
    return found


def test_ask_wants_its_offer_until_the_answer_comes() -> None:
    sweep = ask(ONE)
    assert next(sweep) == Wanted((ONE,))
    assert sweep.send((OTHER, YES)) == Wanted((ONE,))
    assert finish(sweep, ONE, NO) == NO


def test_ask_surely_takes_any_answer_at_once_but_a_plain_close() -> None:
    for answer in (YES, NO, *NOT_FOUND_OUT):
        sweep = ask_surely(ONE)
        assert next(sweep) == Wanted((ONE,))
        assert finish(sweep, ONE, answer) == (answer, 1)


@pytest.mark.parametrize("second", [YES, NO, CLOSED, Silent(stage="hello")])
def test_ask_surely_asks_again_after_a_plain_close_and_the_second_answer_counts(second: Answer) -> None:
    sweep = ask_surely(ONE)
    next(sweep)
    again = replace(ONE, attempt=2)
    assert sweep.send((ONE, CLOSED)) == Wanted((again,))
    # The first offer's late answer is not that of the second.
    assert sweep.send((ONE, YES)) == Wanted((again,))
    assert finish(sweep, again, second) == (second, 2)


def test_together_wants_what_all_want_the_first_first() -> None:
    sweep = together({"a": ask(ONE), "b": ask(OTHER), "c": ask(THIRD)})
    assert next(sweep) == Wanted((ONE, OTHER, THIRD))
    assert sweep.send((OTHER, NO)) == Wanted((ONE, THIRD))
    assert sweep.send((ONE, YES)) == Wanted((THIRD,))
    assert finish(sweep, THIRD, CLOSED) == {"a": YES, "b": NO, "c": CLOSED}


def test_an_offer_that_two_want_is_asked_once() -> None:
    asked = Asked(lambda offer: YES if offer == ONE else NO)
    found = asked.run(together({"a": ask(ONE), "b": ask(OTHER), "c": ask(ONE)}))
    assert found == {"a": YES, "b": NO, "c": YES}
    assert asked.offers == [ONE, OTHER]


def test_an_answer_that_nobody_wants_changes_nothing() -> None:
    sweep = together({"a": ask(ONE), "b": ask(OTHER)})
    next(sweep)
    assert sweep.send((THIRD, YES)) == Wanted((ONE, OTHER))
    assert sweep.send((ONE, YES)) == Wanted((OTHER,))
    assert sweep.send((ONE, NO)) == Wanted((OTHER,))
    assert finish(sweep, OTHER, NO) == {"a": YES, "b": NO}


def test_no_sweep_at_all_is_found_at_once() -> None:
    assert Asked(lambda offer: NO).run(together({})) == {}


def answered_at_once() -> Sweep[str]:
    return "nothing to ask"
    yield


def test_a_sweep_that_asks_nothing_does_not_hold_up_the_others() -> None:
    assert Asked(lambda offer: YES).run(together({"a": answered_at_once()})) == {"a": "nothing to ask"}
    assert Asked(lambda offer: YES).run(both(answered_at_once(), ask(ONE))) == ("nothing to ask", YES)


def test_both_keeps_each_result_in_its_place_whichever_is_done_first() -> None:
    for order in ([ONE, OTHER], [OTHER, ONE]):
        sweep = both(ask_surely(ONE), ask(OTHER))
        assert next(sweep) == Wanted((ONE, OTHER))
        answers = {ONE: YES, OTHER: NO}
        sweep.send((order[0], answers[order[0]]))
        assert finish(sweep, order[1], answers[order[1]]) == ((YES, 1), NO)


def chain(length: int, suite: int) -> Sweep[tuple[int, ...]]:
    """A serial sweep of so many offers, each of which depends on the answer before."""
    picked = [suite]
    for _ in range(length):
        answer = yield from ask(Offer(protocol="TLSv1.2", suites=tuple(picked)))
        assert isinstance(answer, Chosen)
        picked.append(answer.suite)
    return tuple(picked)


@given(
    lengths=st.lists(st.integers(0, 6), min_size=1, max_size=5),
    starts=st.lists(st.integers(0, 2), min_size=5, max_size=5),
    data=st.data(),
)
def test_the_order_of_answers_does_not_change_what_is_found(
    lengths: list[int], starts: list[int], data: st.DataObject
) -> None:
    def answer(offer: Offer) -> Answer:
        return Chosen(protocol="TLSv1.2", suite=sum(offer.suites) + 7)

    def chains() -> dict[int, Sweep[tuple[int, ...]]]:
        return {key: chain(length, starts[key]) for key, length in enumerate(lengths)}

    serial = {key: Asked(answer).run(sweep) for key, sweep in chains().items()}
    sweep = together(chains())
    asked: list[Offer] = []
    try:
        wanted: Wanted = next(sweep)
        while True:
            assert len(set(wanted.sure)) == len(wanted.sure)
            offer = data.draw(st.sampled_from(wanted.sure))
            asked.append(offer)
            wanted = sweep.send((offer, answer(offer)))
    except StopIteration as stop:
        found = stop.value
    assert found == serial
    assert len(asked) <= sum(lengths)


def sslv2(*answers: Answer) -> SuitesFound:
    """What is found of an SSLv2 server that answers so, the last answer for ever."""
    left = list(answers)
    return Asked(lambda offer: left.pop(0) if len(left) > 1 else left[0]).run(sslv2_kinds(SSLV2))


def test_an_sslv2_server_lists_its_kinds_and_the_client_picks() -> None:
    found = sslv2(Chosen(protocol="SSLv2", suite=RC4, suites=(RC4, TRIPLE_DES, RC4), certificates=(b"DER",)))
    assert (found.state, found.complete, found.order, found.hellos) == ("accepted", True, "client", 1)
    assert found.suites == (RC4, TRIPLE_DES)
    assert all(chosen.protocol == "SSLv2" and chosen.certificates == (b"DER",) for chosen in found.accepted)
    assert found.undecided == ()


def test_a_kind_that_was_not_offered_is_kept_as_a_number() -> None:
    # The list is the server's whole list, whatever the client sent.
    assert sslv2(Chosen(protocol="SSLv2", suite=0xFF0810, suites=(0xFF0810,))).suites == (0xFF0810,)


@pytest.mark.parametrize(
    "answer",
    [
        Refused(sslv2_error=0),  # a SERVER-HELLO without any kind
        Refused(sslv2_error=1),  # NO-CIPHER-ERROR
        Refused(alert=70),  # a server of TLS alone, which knows an SSLv2 hello when it sees one
        Chosen(protocol="SSLv3", suite=0x0005),  # which takes it for the hello of something newer
    ],
)
def test_an_sslv2_server_without_kinds_an_error_and_an_alert_all_refuse_and_are_told_apart(answer: Answer) -> None:
    found = sslv2(answer)
    assert (found.state, found.complete, found.hellos) == ("refused", True, 1)
    assert found.accepted == ()
    assert found.ending == answer


def test_a_close_refuses_sslv2_only_when_it_comes_twice() -> None:
    found = sslv2(CLOSED)
    assert (found.state, found.complete, found.ending, found.hellos) == ("refused", True, CLOSED, 2)
    found = sslv2(CLOSED, Chosen(protocol="SSLv2", suite=RC4, suites=(RC4,)))
    assert (found.state, found.suites, found.hellos) == ("accepted", (RC4,), 2)


@pytest.mark.parametrize("answer", NOT_FOUND_OUT)
def test_whatever_else_happens_leaves_sslv2_unknown(answer: Answer) -> None:
    found = sslv2(answer)
    assert (found.state, found.complete, found.ending) == ("unknown", False, answer)
    assert found.undecided == SSLV2.suites
    # And so does all of it after a first close.
    assert sslv2(CLOSED, answer).state == "unknown"


def test_an_sslv2_server_that_lists_what_nobody_defined_is_heard_to_a_bound() -> None:
    many = tuple(range(0x010000, 0x010000 + 20_000))
    sweep = sslv2_kinds(Offer(protocol="SSLv2", suites=many[:2]))
    (offer,) = next(sweep).sure
    with pytest.raises(StopIteration) as stop:
        sweep.send((offer, Chosen(protocol="SSLv2", suite=many[0], suites=many)))
    assert len(stop.value.value.accepted) == MAX_SSLV2_KINDS
