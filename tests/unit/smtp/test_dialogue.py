"""The part of a session before TLS, as it was said."""

from __future__ import annotations

import pytest

from mxprobe.smtp.dialogue import Dialogue
from mxprobe.smtp.replies import Reply

GREETING = Reply(code=220, lines=("mx.example ESMTP",))
WITH_STARTTLS = Reply(code=250, lines=("mx.example", "PIPELINING", "starttls"))
WITHOUT_STARTTLS = Reply(code=250, lines=("mx.example", "PIPELINING"))


def test_what_was_not_reached_is_not_there() -> None:
    dialogue = Dialogue()
    assert (dialogue.greeting, dialogue.ehlo, dialogue.starttls) == (None, None, None)
    assert dialogue.capabilities == ()
    assert not dialogue.helo
    assert dialogue.early_bytes == b""


def test_capabilities_are_those_of_the_reply_to_ehlo() -> None:
    assert Dialogue(greeting=GREETING, ehlo=WITH_STARTTLS).capabilities == ("PIPELINING", "STARTTLS")


def test_helo_announces_nothing_whatever_its_reply_says() -> None:
    # RFC 5321 §4.1.1.1: only EHLO is answered by keywords.
    dialogue = Dialogue(greeting=GREETING, ehlo=WITH_STARTTLS, helo=True)
    assert dialogue.capabilities == ()
    assert dialogue.lacks_starttls


@pytest.mark.parametrize("code", [421, 450, 500, 502, 550, 554])
def test_a_refusal_announces_nothing_and_says_nothing_of_starttls(code: int) -> None:
    refused = Reply(code=code, lines=("mx.example", "STARTTLS"))
    dialogue = Dialogue(greeting=GREETING, ehlo=refused)
    assert dialogue.capabilities == ()
    assert not dialogue.lacks_starttls


def test_starttls_is_lacking_only_where_the_server_said_what_it_can() -> None:
    assert Dialogue(greeting=GREETING, ehlo=WITHOUT_STARTTLS).lacks_starttls
    assert not Dialogue(greeting=GREETING, ehlo=WITH_STARTTLS).lacks_starttls
    assert not Dialogue(greeting=GREETING).lacks_starttls
    assert not Dialogue().lacks_starttls
