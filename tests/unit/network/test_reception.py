"""How an endpoint receives us, and what follows: without a socket, with the time as an argument."""

from __future__ import annotations

import pytest

from mxprobe.network.reception import FUTILE_ENDINGS, HELLOS_WITHOUT_TLS, LONGEST_PAUSE, Reception
from mxprobe.tls.offer import Answer, Chosen, Closed, Garbled, Refused, Silent, Throttled

TURNED_AWAY = Throttled(stage="greeting", reply="421 4.7.0 too many connections")
TLS = Chosen(protocol="TLSv1.2", suite=0xC02F)


def received(*answers: Answer) -> Reception:
    reception = Reception(8, 2.0, jitter=lambda: 0.5)
    for answer in answers:
        reception.answered(answer)
    return reception


def pause_after(reception: Reception, now: float = 100.0) -> float:
    assert reception.ended(TURNED_AWAY, others=0, now=now, deadline=1e9) == "again"
    return reception.resume_at - now


def test_turned_away_in_mid_sweep_is_a_limit_and_each_pause_is_longer() -> None:
    reception = received(TLS)
    pauses = [pause_after(reception) for _ in range(8)]
    assert pauses == [2, 4, 8, 16, 32, 60, 60, 60]
    assert max(pauses) == LONGEST_PAUSE
    assert reception.given_up is None
    assert reception.width == 1


def test_the_next_pause_begins_below_the_one_that_worked() -> None:
    reception = received(TLS)
    assert [pause_after(reception) for _ in range(4)] == [2, 4, 8, 16]
    reception.answered(TLS)
    assert reception.resume_at == 0
    assert pause_after(reception) == 16


def test_pauses_are_jittered_by_a_quarter_each_way() -> None:
    for jitter, pause in ((0.0, 1.5), (1.0, 2.5)):
        reception = Reception(2, 2.0, jitter=lambda jitter=jitter: jitter)  # type: ignore[misc]
        reception.served()
        assert pause_after(reception) == pytest.approx(pause)


def test_no_pause_goes_beyond_the_deadline() -> None:
    reception = received(TLS)
    assert reception.ended(TURNED_AWAY, others=0, now=100, deadline=101) == "told"
    assert reception.given_up is not None
    assert "421 4.7.0" in reception.given_up.reason


def test_turned_away_before_anything_was_served_is_an_ending_and_two_are_enough() -> None:
    reception = received()
    for _ in range(FUTILE_ENDINGS):
        assert reception.given_up is None
        assert reception.ended(TURNED_AWAY, others=0, now=0, deadline=1e9) == "told"
    assert reception.given_up is not None


def test_turned_away_beside_others_means_one_at_a_time() -> None:
    reception = received(TLS)
    assert reception.ended(TURNED_AWAY, others=3, now=0, deadline=1e9) == "again"
    assert (reception.width, reception.resume_at, reception.given_up) == (1, 0, None)


@pytest.mark.parametrize("ending", [Silent(stage="connect"), Silent(stage="starttls"), Closed(stage="ehlo", how="eof")])
def test_silence_costs_two_timeouts_and_no_pause(ending: Answer) -> None:
    reception = received(TLS)
    assert reception.ended(ending, others=0, now=0, deadline=1e9) == "told"
    assert reception.ended(ending, others=0, now=0, deadline=1e9) == "told"
    assert reception.given_up is not None


def test_an_answer_between_silences_starts_the_count_anew() -> None:
    reception = received(Silent(stage="hello"), Refused(alert=40), Silent(stage="hello"))
    assert reception.given_up is None


def test_hellos_that_are_never_answered_by_tls_come_to_an_end() -> None:
    garbled = Garbled(stage="hello", reason="plain text")
    assert received(*[garbled] * (HELLOS_WITHOUT_TLS - 1)).given_up is None
    assert received(*[garbled] * HELLOS_WITHOUT_TLS).given_up is not None
    assert received(Refused(alert=70), *[garbled] * 50).given_up is None


def test_endings_are_counted_by_their_words() -> None:
    reception = received(TLS, Refused(alert=40), Silent(stage="hello", seconds=15), Silent(stage="hello", seconds=15))
    assert reception.endings == {"silent after our ClientHello for 15 s": 2}
