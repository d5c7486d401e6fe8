"""What SMTP replies mean to a probe: RFC 5321 §4.2 and §4.3.2 for the codes, RFC 3207 §4 for those of STARTTLS."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxprobe.smtp.replies import (
    Meaning,
    Reply,
    capabilities,
    ehlo_meaning,
    greeting_meaning,
    helo_may_work,
    offers_starttls,
    starttls_meaning,
)


def reply(code: int, *lines: str) -> Reply:
    return Reply(code=code, lines=lines)


@pytest.mark.parametrize(
    ("code", "meaning"),
    [
        (220, "ok"),
        (421, "throttled"),  # §3.8: closing for now
        (450, "throttled"),  # greylisting and postscreen
        (454, "throttled"),
        (521, "refused"),  # RFC 7504: does not accept mail
        (554, "refused"),  # §3.1: no SMTP service here
        (500, "refused"),
        # Positive codes that no greeting has, and what is no code at all.
        (250, "garbled"),
        (354, "garbled"),
        (221, "garbled"),
        (200, "garbled"),
        (0, "garbled"),
        (-42, "garbled"),
        (600, "garbled"),
        (999, "garbled"),
    ],
)
def test_a_greeting(code: int, meaning: Meaning) -> None:
    assert greeting_meaning(reply(code, "mx.example")) == meaning


@pytest.mark.parametrize(
    ("code", "meaning"),
    [
        (250, "ok"),
        (421, "throttled"),
        (450, "throttled"),
        (500, "refused"),
        (501, "refused"),
        (502, "refused"),
        (504, "refused"),
        (550, "refused"),
        (554, "refused"),
        (220, "garbled"),
        (334, "garbled"),
    ],
)
def test_the_reply_to_ehlo(code: int, meaning: Meaning) -> None:
    assert ehlo_meaning(reply(code, "mx.example")) == meaning


@pytest.mark.parametrize(
    ("code", "meaning"),
    [
        (220, "ok"),  # Ready to start TLS
        (454, "throttled"),  # TLS not available due to temporary reason
        (421, "throttled"),
        (501, "refused"),  # Syntax error (no parameters allowed)
        (500, "refused"),
        (502, "refused"),
        (503, "refused"),
        (530, "refused"),
        (554, "refused"),
        # Only 220 lets TLS begin.
        (250, "garbled"),
        (334, "garbled"),
    ],
)
def test_the_reply_to_starttls(code: int, meaning: Meaning) -> None:
    assert starttls_meaning(reply(code, "go on")) == meaning


@given(st.integers(400, 499))
def test_no_temporary_code_is_ever_a_refusal(code: int) -> None:
    assert {meaning(reply(code)) for meaning in (greeting_meaning, ehlo_meaning, starttls_meaning)} == {"throttled"}


@pytest.mark.parametrize("code", [500, 501, 502, 504, 550, 554])
def test_helo_is_tried_where_ehlo_is_not_acceptable(code: int) -> None:
    # RFC 5321 §4.1.4: 500, 501, 502, 550; §4.3.2: 504; RFC 1869 §4.3: 554.
    assert helo_may_work(reply(code))


@pytest.mark.parametrize("code", [220, 250, 421, 450, 451, 454, 503, 521, 530, 999])
def test_helo_is_not_tried_after_any_other_reply(code: int) -> None:
    assert not helo_may_work(reply(code))


def test_capabilities_are_the_lines_after_the_greeting() -> None:
    announced = capabilities(reply(250, "mx.example greets you", "PIPELINING", "SIZE 10240000", "STARTTLS"))
    assert announced == ("PIPELINING", "SIZE 10240000", "STARTTLS")


def test_keywords_are_read_in_any_case_and_arguments_left_as_they_are() -> None:
    # RFC 5321 §2.4: keywords are not case sensitive.
    announced = capabilities(reply(250, "mx.example", "starttls", "Auth Plain LOGIN", "x-Odd  Value"))
    assert announced == ("STARTTLS", "AUTH Plain LOGIN", "X-ODD  Value")


@pytest.mark.parametrize("place", [1, 2, 3])
def test_the_order_of_capabilities_does_not_matter(place: int) -> None:
    lines = ["mx.example", "PIPELINING", "8BITMIME"]
    lines.insert(place, "StartTLS")
    assert offers_starttls(capabilities(reply(250, *lines)))


def test_starttls_in_the_first_line_is_no_offer() -> None:
    # The first line is the server's name and greeting, whatever it says (§4.1.1.1).
    assert capabilities(reply(250, "STARTTLS")) == ()
    assert not offers_starttls(capabilities(reply(250, "STARTTLS", "PIPELINING")))


@pytest.mark.parametrize("line", ["XSTARTTLS", "STARTTLSX", "X STARTTLS", "AUTH STARTTLS", "STARTTLS=1"])
def test_a_line_with_starttls_somewhere_is_no_offer(line: str) -> None:
    assert not offers_starttls(capabilities(reply(250, "mx.example", line)))


@pytest.mark.parametrize("line", ["STARTTLS", "STARTTLS ", " STARTTLS", "starttls\t", "STARTTLS REQUIRED"])
def test_sloppy_lines_still_offer_starttls(line: str) -> None:
    assert offers_starttls(capabilities(reply(250, "mx.example", line)))


def test_empty_lines_announce_nothing() -> None:
    assert capabilities(reply(250, "mx.example", "", "  ", "HELP")) == ("HELP",)
    assert capabilities(reply(250)) == ()


@given(st.lists(st.text(max_size=20), max_size=10))
def test_no_line_of_a_peer_raises(lines: list[str]) -> None:
    announced = capabilities(reply(250, *lines))
    assert len(announced) <= max(0, len(lines) - 1)
    assert isinstance(offers_starttls(announced), bool)


def test_a_reply_reads_as_one_line() -> None:
    assert str(reply(421, "4.7.0 too many connections")) == "421 4.7.0 too many connections"
    assert str(reply(554, "5.7.1 no", "see https://example.com")) == "554 5.7.1 no / see https://example.com"
    assert str(reply(220, "")) == "220"
