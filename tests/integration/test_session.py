"""Up to STARTTLS against servers whose every word is scripted: what is said, what is waited for, how it ends."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace
from typing import Literal

import pytest

from mxprobe.network.asking import Asking
from mxprobe.network.opening import Opening
from mxprobe.network.patience import Patience
from mxprobe.network.session import LINGER_SECONDS, Ended, Session, close_notify
from mxprobe.network.settings import Manners, Timeouts
from mxprobe.network.transcript import Transcript
from mxprobe.smtp.dialogue import EARLY_BYTES
from mxprobe.smtp.replies import Reply
from mxprobe.terms import Endpoint, Service
from mxprobe.terms import Protocol as TlsVersion
from mxprobe.tls.offer import Closed, Ending, Garbled, Offer, Silent, Stage, Throttled
from servers.scripted import Conversation, Script, scripted

PATIENT = Timeouts(quit=0.1)
MANNERS = Manners(ehlo="probe.example", timeouts=PATIENT)
OFFER = Offer(protocol="TLSv1.2", suites=(0x002F,))


def at(port: int, service: Service = "smtp") -> Endpoint:
    return Endpoint(host="mx.test", address="127.0.0.1", port=port, service=service)


async def open_session(endpoint: Endpoint, manners: Manners, transcript: Transcript | None = None) -> Session | Ended:
    """How one opening comes out."""
    found: asyncio.Future[Session | Ended] = asyncio.get_running_loop().create_future()

    def heard(told: Session | Ended) -> None:
        if not found.done():
            found.set_result(told)

    opening = Opening(endpoint, manners, transcript, Patience(), heard)
    try:
        await asyncio.create_task(opening.connect())
        return await found
    except asyncio.CancelledError:
        opening.abort()
        raise


async def asked(session: Session, offer: Offer, seconds: float) -> Ending:
    """The answer to one offer."""
    answer: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
    Asking(session, offer, seconds, Patience(), lambda _, ending: answer.set_result(ending))
    return await answer


async def opened(
    script: Script, manners: Manners = MANNERS, service: Service = "smtp"
) -> tuple[Session | Ended, bytes]:
    """How one connection to a scripted server ends, and what the server heard over it when it was closed."""
    all_heard = asyncio.Event()

    async def whole(server: Conversation) -> None:
        await script(server)
        await server.hear_the_rest()
        all_heard.set()

    async with scripted(whole) as server:
        found = await open_session(at(server.port, service), manners)
        if isinstance(found, Session):
            found.close(farewell=b"")
        async with asyncio.timeout(5):
            await all_heard.wait()
        return found, server.heard


def ended(found: Session | Ended) -> Ended:
    assert isinstance(found, Ended)
    return found


def begun(found: Session | Ended) -> Session:
    assert isinstance(found, Session)
    return found


def impatient(stage: str, seconds: float = 0.05) -> Manners:
    """Patient everywhere but at one stage."""
    return replace(MANNERS, timeouts=replace(PATIENT, **{stage: seconds}))


# What is said


async def test_a_session_is_greeting_ehlo_and_starttls_and_nothing_else() -> None:
    found, heard = await opened(Conversation.up_to_tls)
    session = begun(found)
    assert heard == b"EHLO probe.example\r\nSTARTTLS\r\n"
    assert session.dialogue.greeting == Reply(code=220, lines=("mx.test ESMTP",))
    assert session.dialogue.ehlo == Reply(code=250, lines=("mx.test", "STARTTLS"))
    assert session.dialogue.starttls == Reply(code=220, lines=("Ready to start TLS",))
    assert session.dialogue.capabilities == ("STARTTLS",)
    assert not session.dialogue.helo
    assert session.dialogue.early_bytes == b""


async def test_nothing_is_written_before_the_greeting_and_nothing_before_the_reply_to_it() -> None:
    async def server(client: Conversation) -> None:
        await client.hear_nothing()
        await client.send(b"220-mx.test\r\n")
        await client.hear_nothing()
        await client.say("220 mx.test ESMTP")
        assert await client.hear() == "EHLO probe.example"
        await client.hear_nothing()
        await client.say("250-mx.test", "250-PIPELINING", "250 STARTTLS")
        assert await client.hear() == "STARTTLS"
        await client.hear_nothing()
        await client.say("220 go on")
        await client.hear_nothing()

    async with scripted(server) as running:
        session = begun(await open_session(at(running.port), MANNERS))
        await running.finished()
        session.close()


async def test_replies_may_come_in_any_pieces_and_over_many_lines() -> None:
    async def server(client: Conversation) -> None:
        await client.spell(b"220-mx.test\r\n220-glad to see you\r\n220 ESMTP\r\n")
        await client.hear()
        await client.spell(b"250-mx.test\r\n250-size 10240000\r\n250-STARTTLS\r\n250 8BITMIME\r\n")
        await client.hear()
        await client.spell(b"220-go\r\n220 on\r\n")

    session = begun((await opened(server))[0])
    assert session.dialogue.greeting == Reply(code=220, lines=("mx.test", "glad to see you", "ESMTP"))
    assert session.dialogue.capabilities == ("SIZE 10240000", "STARTTLS", "8BITMIME")
    assert session.dialogue.starttls == Reply(code=220, lines=("go", "on"))
    assert session.dialogue.early_bytes == b""


async def test_bytes_that_are_not_utf_8_are_kept() -> None:
    async def server(client: Conversation) -> None:
        await client.send(b"421 \xe9\xff\r\n")

    found = ended((await opened(server))[0])
    assert found.dialogue.greeting is not None
    assert found.dialogue.greeting.lines[0].encode("utf-8", "surrogateescape") == b"\xe9\xff"


async def test_lmtp_says_lhlo() -> None:
    found, heard = await opened(Conversation.up_to_tls, service="lmtp")
    assert isinstance(found, Session)
    assert heard == b"LHLO probe.example\r\nSTARTTLS\r\n"


async def test_smtps_is_a_session_from_the_first_byte() -> None:
    async def server(client: Conversation) -> None:
        await client.hear_nothing()

    found, heard = await opened(server, service="smtps")
    assert begun(found).dialogue.greeting is None
    assert heard == b""


async def test_helo_follows_where_ehlo_is_not_known_and_announces_nothing() -> None:
    async def server(client: Conversation) -> None:
        await client.say("220 mx.test")
        assert await client.hear() == "EHLO probe.example"
        await client.say("502 5.5.2 command not recognized")
        assert await client.hear() == "HELO probe.example"
        await client.say("250-mx.test", "250 STARTTLS")
        assert await client.hear() == "QUIT"
        await client.say("221 bye")

    found = ended((await opened(server))[0])
    assert found.dialogue.helo
    assert found.dialogue.lacks_starttls
    assert found.dialogue.capabilities == ()


async def test_lmtp_has_no_helo_to_follow() -> None:
    async def server(client: Conversation) -> None:
        await client.say("220 mx.test")
        await client.hear()
        await client.say("500 what?")
        assert await client.hear() == "QUIT"
        await client.say("221 bye")

    found = ended((await opened(server, service="lmtp"))[0])
    assert found.answer == replace(found.answer, stage="ehlo", reply="500 what?")  # type: ignore[call-arg]
    assert not found.dialogue.helo


async def test_a_server_without_starttls_is_left_by_quit() -> None:
    async def server(client: Conversation) -> None:
        await client.say("220 mx.test")
        await client.hear()
        await client.say("250-STARTTLS is not here", "250-PIPELINING", "250 8BITMIME")
        assert await client.hear() == "QUIT"
        await client.say("221 bye")

    found, heard = await opened(server)
    assert ended(found).dialogue.lacks_starttls
    assert heard.endswith(b"QUIT\r\n")


# Replies that end it


@pytest.mark.parametrize(
    "reply", ["421 4.3.2 too many connections", "450 4.7.1 greylisted", "554 no SMTP service here"]
)
async def test_a_greeting_that_turns_us_away_is_kept_with_its_reply(reply: str) -> None:
    async def server(client: Conversation) -> None:
        await client.say(reply)

    found, heard = await opened(server)
    answer = ended(found).answer
    assert isinstance(answer, Throttled)
    assert (answer.stage, answer.reply) == ("greeting", reply)
    assert ended(found).dialogue.greeting == Reply(code=int(reply[:3]), lines=(reply[4:],))
    assert heard in (b"QUIT\r\n", b"")


async def test_a_421_to_ehlo_is_not_followed_by_helo() -> None:
    async def server(client: Conversation) -> None:
        await client.say("220 mx.test")
        await client.hear()
        await client.say("421 4.7.0 later")

    found, heard = await opened(server)
    answer = ended(found).answer
    assert isinstance(answer, Throttled)
    assert (answer.stage, answer.reply) == ("ehlo", "421 4.7.0 later")
    assert b"HELO" not in heard


@pytest.mark.parametrize("reply", ["454 4.7.0 TLS not available", "502 5.5.1 not implemented", "421 later"])
async def test_a_refusal_of_starttls_is_kept_with_its_reply(reply: str) -> None:
    async def server(client: Conversation) -> None:
        await client.say("220 mx.test")
        await client.hear()
        await client.say("250-mx.test", "250 STARTTLS")
        await client.hear()
        await client.say(reply)

    found, heard = await opened(server)
    answer = ended(found).answer
    assert isinstance(answer, Throttled)
    assert (answer.stage, answer.reply) == ("starttls", reply)
    assert ended(found).dialogue.starttls == Reply(code=int(reply[:3]), lines=(reply[4:],))
    assert heard.endswith(b"STARTTLS\r\nQUIT\r\n")


async def test_only_220_lets_tls_begin() -> None:
    async def server(client: Conversation) -> None:
        await client.say("220 mx.test")
        await client.hear()
        await client.say("250-mx.test", "250 STARTTLS")
        await client.hear()
        await client.say("250 ok")

    answer = ended((await opened(server))[0]).answer
    assert isinstance(answer, Garbled)
    assert answer.stage == "starttls"
    assert "250 ok" in answer.reason


async def test_what_is_not_smtp_is_garbled_and_gets_no_word_from_us() -> None:
    async def server(client: Conversation) -> None:
        await client.say("SSH-2.0-OpenSSH_9.2")

    found, heard = await opened(server)
    answer = ended(found).answer
    assert isinstance(answer, Garbled)
    assert answer.stage == "greeting"
    assert answer.data == b"SSH-2.0-OpenSSH_9.2\r\n"
    assert heard == b""


@pytest.mark.parametrize("line", [b"x" * 1000, b"220-glad to see you\r\n"])
async def test_a_reply_without_end_is_cut_off(line: bytes) -> None:
    async def server(client: Conversation) -> None:
        for _ in range(10_000):
            await client.send(line * 10)

    async with scripted(server) as running:
        found = ended(await open_session(at(running.port), MANNERS))
    assert isinstance(found.answer, Garbled)
    assert len(found.answer.reason) <= 200
    assert len(found.answer.data) <= 64


async def test_a_second_greeting_is_not_taken_for_the_reply_to_ehlo() -> None:
    async def server(client: Conversation) -> None:
        await client.say("220 mx.test ESMTP", "220 and once more")
        assert await client.hear() == "EHLO probe.example"
        await client.say("250-mx.test", "250 STARTTLS")
        assert await client.hear() == "STARTTLS"
        await client.say("220 go on")

    session = begun((await opened(server))[0])
    assert session.dialogue.ehlo == Reply(code=250, lines=("mx.test", "STARTTLS"))
    assert session.dialogue.starttls == Reply(code=220, lines=("go on",))
    # It came before STARTTLS was said, so it is no response injection.
    assert session.dialogue.early_bytes == b""


# Early bytes


async def starttls_then(client: Conversation, early: bytes) -> None:
    await client.say("220 mx.test")
    await client.hear()
    await client.say("250-mx.test", "250 STARTTLS")
    await client.hear()
    await client.send(b"220 go on\r\n" + early)


async def test_what_follows_the_220_in_clear_text_is_kept() -> None:
    session = begun((await opened(lambda client: starttls_then(client, b"250 injected\r\n")))[0])
    assert session.dialogue.early_bytes == b"250 injected\r\n"


async def test_what_follows_the_220_in_a_later_segment_is_kept_as_well() -> None:
    async def server(client: Conversation) -> None:
        await starttls_then(client, b"250 inj")
        await opened_session.wait()
        await client.send(b"ected\r\n")
        await client.hear_nothing()

    opened_session = asyncio.Event()
    async with scripted(server) as running:
        session = begun(await open_session(at(running.port), MANNERS))
        opened_session.set()
        await running.finished()
        assert session.dialogue.early_bytes == b"250 injected\r\n"
        session.close()


async def test_early_bytes_are_bounded() -> None:
    session = begun((await opened(lambda client: starttls_then(client, b"x" * 20_000)))[0])
    assert session.dialogue.early_bytes == b"x" * EARLY_BYTES


# Patience


async def hang_before(client: Conversation, stage: Stage) -> None:
    """A good server up to a stage, where it says nothing any more."""
    if stage == "greeting":
        return
    await client.say("220 mx.test")
    await client.hear()
    if stage == "ehlo":
        return
    await client.say("250-mx.test", "250 STARTTLS")
    await client.hear()


SAID: dict[Stage, bytes] = {
    "greeting": b"",
    "ehlo": b"EHLO probe.example\r\n",
    "starttls": b"EHLO probe.example\r\nSTARTTLS\r\n",
}
"""What we have said when we wait at a stage."""


@pytest.mark.parametrize("stage", SAID)
async def test_each_stage_has_its_own_patience(stage: Stage) -> None:
    found, heard = await opened(lambda client: hang_before(client, stage), impatient(stage))
    answer = ended(found).answer
    assert isinstance(answer, Silent)
    assert answer.stage == stage
    assert answer.seconds >= 0.05
    # A server that has not answered is not told anything more: it would be pipelined (RFC 2920 §3.1).
    assert heard == SAID[stage]


@pytest.mark.parametrize("stage", ["ehlo", "starttls", "connect"])
async def test_the_patience_of_another_stage_does_not_count_for_the_greeting(stage: str) -> None:
    async def server(client: Conversation) -> None:
        await client.hear_nothing(0.1)
        await client.up_to_tls()

    assert isinstance((await opened(server, impatient(stage, 0.09)))[0], Session)


async def test_a_reply_that_drips_is_silence_when_its_time_is_over() -> None:
    async def server(client: Conversation) -> None:
        while True:
            await client.spell(b"220-mx.test\r\n")
            await asyncio.sleep(0.01)

    async with scripted(server) as running:
        found = ended(await open_session(at(running.port), impatient("greeting", 0.1)))
    assert isinstance(found.answer, Silent)
    assert found.answer.stage == "greeting"


async def test_a_connection_that_is_not_made_is_silence_while_connecting() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        # Linux drops the SYN to a listener whose queue of one is full.
        waiting = [socket.socket() for _ in range(2)]
        for client in waiting:
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        found = ended(await open_session(at(listener.getsockname()[1]), impatient("connect")))
        for client in waiting:
            client.close()
    assert isinstance(found.answer, Silent)
    assert found.answer.stage == "connect"


# Servers that go away


@pytest.mark.parametrize("stage", SAID)
@pytest.mark.parametrize("how", ["eof", "reset"])
async def test_a_connection_that_the_server_ends_is_closed_at_its_stage(stage: Stage, how: str) -> None:
    async def server(client: Conversation) -> None:
        await hang_before(client, stage)
        if how == "reset":
            client.reset()

    async with scripted(server) as running:
        answer = ended(await open_session(at(running.port), MANNERS)).answer
    assert isinstance(answer, Closed)
    assert (answer.stage, answer.how) == (stage, how)


async def test_a_connection_that_is_refused_says_so_in_the_words_of_the_system() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        answer = ended(await open_session(at(unused.getsockname()[1]), MANNERS)).answer
    assert isinstance(answer, Throttled)
    assert (answer.stage, answer.reply) == ("connect", "Connection refused")


async def test_an_address_that_is_none_is_an_ending_in_words() -> None:
    answer = ended(await open_session(replace(at(25), address="fe80::1%no-such-zone"), MANNERS)).answer
    assert isinstance(answer, Throttled)
    assert answer.stage == "connect"
    assert "Unknown error" not in answer.reply


async def test_a_server_that_leaves_right_after_the_220_is_not_waited_for() -> None:
    async def server(client: Conversation) -> None:
        await client.up_to_tls()

    async with scripted(server) as running:
        for _ in range(20):
            session = begun(await open_session(at(running.port), MANNERS))
            async with asyncio.timeout(5):
                assert isinstance(await asked(session, OFFER, 60), Closed)


# Leaving


async def test_closing_says_close_notify_once_and_gives_the_place_back_after_that() -> None:
    heard: list[bytes] = []

    async def server(client: Conversation) -> None:
        await client.up_to_tls()
        heard.append(await client.hear_the_rest())

    async with scripted(server) as running:
        session = begun(await open_session(at(running.port), MANNERS))
        called: list[bool] = []
        closed = asyncio.Event()

        def when_closed(left: Session) -> None:
            called.append(left._transport.is_closing())
            closed.set()

        session.when_closed(when_closed)
        session.begin(Nobody())
        session.send(b"a hello")
        session.close()
        session.close()
        session.send(b"nothing is written after the end")
        assert called == []  # the server counts the connection until it has closed its side
        async with asyncio.timeout(2 * LINGER_SECONDS):
            await closed.wait()
        await running.finished()
    assert called == [True]
    assert heard == [b"a hello" + close_notify()]


async def test_a_session_without_a_hello_is_closed_without_an_alert() -> None:
    heard: list[bytes] = []

    async def server(client: Conversation) -> None:
        await client.up_to_tls()
        heard.append(await client.hear_the_rest())

    async with scripted(server) as running:
        begun(await open_session(at(running.port), MANNERS)).close()
        await running.finished()
    assert heard == [b""]


class Nobody:
    """Takes the bytes of the TLS part, and does nothing about them."""

    def received(self, data: bytes) -> None: ...

    def ended(self, how: Literal["eof", "reset"]) -> None: ...


async def test_a_server_that_does_not_close_is_not_waited_for() -> None:
    async def server(client: Conversation) -> None:
        await client.up_to_tls()
        await closed.wait()

    closed = asyncio.Event()
    async with scripted(server) as running:
        session = begun(await open_session(at(running.port), MANNERS))
        session.when_closed(lambda _: closed.set())
        session.close()
        async with asyncio.timeout(5 * LINGER_SECONDS):
            await closed.wait()


@pytest.mark.parametrize(
    ("protocol", "version"),
    [("SSLv3", b"\3\0"), ("TLSv1", b"\3\1"), ("TLSv1.1", b"\3\2"), ("TLSv1.2", b"\3\3"), ("TLSv1.3", b"\3\3")],
)
def test_close_notify_has_the_record_version_that_was_agreed(protocol: TlsVersion, version: bytes) -> None:
    # RFC 5246 §6.2.1, RFC 8446 §5.1: 0x0303 from TLS 1.2 on; an alert is two bytes, warning and close_notify.
    assert close_notify(protocol) == b"\x15" + version + b"\0\2" + b"\1\0"


@pytest.mark.parametrize("stage", SAID)
async def test_cancelling_closes_the_socket_without_another_word(stage: Stage) -> None:
    reached, closed = asyncio.Event(), asyncio.Event()

    async def server(client: Conversation) -> None:
        await hang_before(client, stage)
        reached.set()
        await client.hear_the_rest()
        closed.set()

    async with scripted(server) as running:
        opening = asyncio.create_task(open_session(at(running.port), MANNERS))
        async with asyncio.timeout(5):
            await reached.wait()
            opening.cancel()
            with pytest.raises(asyncio.CancelledError):
                await opening
            await closed.wait()
        assert running.heard == SAID[stage]


async def test_the_transcript_has_both_sides_in_order() -> None:
    transcript = Transcript(7, "connection 7")
    async with scripted(Conversation.up_to_tls) as running:
        session = begun(await open_session(at(running.port), MANNERS, transcript))
        session.close()
    said = [(entry.direction, entry.data) for entry in transcript.entries if entry.layer == "smtp"]
    assert said == [
        ("<", b"220 mx.test ESMTP\r\n"),
        (">", b"EHLO probe.example\r\n"),
        ("<", b"250-mx.test\r\n250 STARTTLS\r\n"),
        (">", b"STARTTLS\r\n"),
        ("<", b"220 Ready to start TLS\r\n"),
    ]
    assert {entry.connection for entry in transcript.entries} == {7}
