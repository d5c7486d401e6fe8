"""The line to one endpoint: how many connections it makes, and what it makes of those that fail."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from OpenSSL import SSL

from mxprobe.network.driving import drive
from mxprobe.network.gate import Gate
from mxprobe.network.line import Line
from mxprobe.network.reception import FUTILE_ENDINGS
from mxprobe.network.session import LINGER_SECONDS, Ended
from mxprobe.network.settings import Limits, Manners, Timeouts
from mxprobe.terms import Endpoint, Protocol
from mxprobe.tls.client_hello import decode_client_hello
from mxprobe.tls.offer import Answer, Offer, Throttled, Unasked
from mxprobe.tls.removal import accepted_suites
from mxprobe.tls.suites import candidates, suite_named
from mxprobe.tls.sweep import SuitesFound, Sweep, Wanted, ask, together
from servers.certificates import Authority
from servers.memory_servers import openssl_flight, openssl_server
from servers.scripted import Conversation, Scripted, scripted

MANNERS = Manners(ehlo="probe.example", timeouts=Timeouts(quit=0.05, pause=0.02))
VERSIONS: tuple[Protocol, ...] = ("TLSv1.3", "TLSv1.2", "TLSv1.1", "TLSv1")

TLS12_SUITES = (
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "AES256-GCM-SHA384",
    "AES128-GCM-SHA256",
    "AES256-SHA256",
    "AES128-SHA256",
)
"""What the server takes in TLS 1.2; in TLS 1.3 it takes the three suites that OpenSSL has by default."""

TLS13_SUITES = ("TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256")


@pytest.fixture(scope="module")
def tls() -> SSL.Context:
    """A server by OpenSSL that takes exactly these suites."""
    leaf = Authority.root().leaf("mx.test")
    return openssl_server(leaf, oldest="TLSv1.2", ciphers=":".join(TLS12_SUITES))


@pytest.fixture(autouse=True)
async def _nothing_is_left() -> AsyncIterator[None]:
    """No task of ours may outlive what it was for."""
    yield
    ours = [task for task in asyncio.all_tasks() if "/mxprobe/network/" in inspect.getfile(task.get_coro().cr_code)]  # type: ignore[union-attr]
    assert ours == []


def at(port: int, address: str = "127.0.0.1") -> Endpoint:
    return Endpoint(host="mx.test", address=address, port=port)


def line_to(server: Scripted, gate: Gate, manners: Manners = MANNERS, address: str = "127.0.0.1") -> Line:
    return Line(at(server.port, address), manners, gate)


def offer(suite: str = "AES128-SHA256", protocol: Protocol = "TLSv1.2") -> Offer:
    known = suite_named(suite)
    assert known is not None
    return Offer(protocol=protocol, suites=(known.number,))


def every_suite() -> Sweep[dict[Protocol, SuitesFound]]:
    return accepted_suites(Offer(protocol=version, suites=candidates(version)) for version in VERSIONS)


def is_everything(found: dict[Protocol, SuitesFound]) -> bool:
    """Whether a sweep has found what the server takes, and knows that it is all."""
    expected = {"TLSv1.2": set(TLS12_SUITES), "TLSv1.3": set(TLS13_SUITES), "TLSv1": set(), "TLSv1.1": set()}
    numbers = {version: {suite_named(name).number for name in names} for version, names in expected.items()}  # type: ignore[union-attr]
    return all(each.complete for each in found.values()) and numbers == {
        version: set(each.suites) for version, each in found.items()
    }


async def answer_hello(client: Conversation, tls: SSL.Context) -> bool:
    """Answer one hello as OpenSSL does; false where the client left without any."""
    hello = await client.hear_bytes()
    if len(hello) <= 7:  # an alert by which it leaves
        return False
    decode_client_hello(hello)
    await client.send(openssl_flight(tls, hello))
    await client.hear_the_rest()
    return True


async def all_places_are_free(gate: Gate, count: int, address: str = "127.0.0.1") -> None:
    """Wait until the gate would let that many connections through: a place is held until the server has closed too."""
    async with asyncio.timeout(2 * LINGER_SECONDS):
        while gate.free(at(25, address)) < count:
            await asyncio.sleep(0.01)
    assert gate.free(at(25, address)) == count


# Limits


@pytest.mark.parametrize("per_address", [1, 2, 3, 8])
async def test_a_sweep_keeps_to_the_connections_that_an_address_is_allowed(tls: SSL.Context, per_address: int) -> None:
    async def server(client: Conversation) -> None:
        await client.up_to_tls()
        await answer_hello(client, tls)

    gate = Gate(Limits(per_address=per_address))
    async with scripted(server) as running:
        found = await drive(line_to(running, gate), every_suite())
    assert is_everything(found)
    assert running.most_at_once <= per_address
    # What is allowed is used: four versions are asked side by side.
    assert running.most_at_once >= min(per_address, 4)
    await all_places_are_free(gate, per_address)


async def test_two_lines_to_one_address_share_its_limit(tls: SSL.Context) -> None:
    async def server(client: Conversation) -> None:
        await client.up_to_tls()
        await answer_hello(client, tls)

    gate = Gate(Limits(per_address=2))
    async with scripted(server) as running:
        lines = [line_to(running, gate) for _ in range(3)]
        found = await asyncio.gather(*(drive(line, every_suite()) for line in lines))
        assert running.connections == sum(line.connections for line in lines) == gate.opened
    assert all(map(is_everything, found))
    assert running.most_at_once == 2


async def test_all_lines_together_keep_to_the_total(tls: SSL.Context) -> None:
    servers: list[Scripted] = []
    at_once: list[int] = []

    async def server(client: Conversation) -> None:
        at_once.append(sum(each.open_now for each in servers))
        await client.up_to_tls()
        await answer_hello(client, tls)

    gate = Gate(Limits(connections=3, per_address=2))
    async with scripted(server) as one, scripted(server, "127.0.0.2") as two, scripted(server, "127.0.0.3") as three:
        servers += [one, two, three]
        found = await asyncio.gather(
            drive(line_to(one, gate), every_suite()),
            drive(line_to(two, gate, address="127.0.0.2"), every_suite()),
            drive(line_to(three, gate, address="127.0.0.3"), every_suite()),
        )
    assert all(map(is_everything, found))
    assert max(at_once) == 3


async def test_waiting_for_ones_turn_is_not_the_endpoints_own_time(tls: SSL.Context) -> None:
    async def server(client: Conversation) -> None:
        if client.number == 1:
            await asyncio.sleep(0.3)
        await client.up_to_tls()
        await answer_hello(client, tls)

    gate = Gate(Limits(per_address=1))
    async with scripted(server) as running:
        slow, hasty = line_to(running, gate), line_to(running, gate, replace(MANNERS, deadline=0.1))
        answers = await asyncio.gather(drive(slow, ask(offer())), drive(hasty, ask(offer())))
    assert [answer.kind for answer in answers] == ["chosen", "chosen"]


# Connections ahead of need


@pytest.mark.parametrize("per_address", [1, 2, 4, 8])
async def test_connections_opened_in_vain_stay_below_a_twentieth_of_the_hellos_and_one(
    tls: SSL.Context, per_address: int
) -> None:
    hellos: list[int] = []

    async def server(client: Conversation) -> None:
        await asyncio.sleep(0.002)  # opening takes longer than asking, so that it pays to open ahead
        await client.up_to_tls()
        if await answer_hello(client, tls):
            hellos.append(client.number)

    async with scripted(server) as running:
        line = line_to(running, Gate(Limits(per_address=per_address)))
        assert is_everything(await drive(line, every_suite()))
        await running.finished()
    assert line.connections == running.connections
    assert len(hellos) >= len(TLS12_SUITES) + len(TLS13_SUITES) + 4
    assert running.connections - len(hellos) <= 1 + len(hellos) / 20


async def test_a_serial_sweep_has_its_next_connection_ready(tls: SSL.Context) -> None:
    waiting_while_asked: list[bool] = []
    ready = asyncio.Event()

    async def server(client: Conversation) -> None:
        await client.up_to_tls()
        if client.number > 2:
            ready.set()
        hello = await client.hear_bytes()
        if client.number == 2:
            # The answer waits for the next connection, which must come without it.
            async with asyncio.timeout(5):
                await ready.wait()
            waiting_while_asked.append(True)
        await client.send(openssl_flight(tls, hello) if len(hello) > 7 else b"")
        await client.hear_the_rest()

    async with scripted(server) as running:
        line = line_to(running, Gate(Limits(per_address=2)))
        found = await drive(line, accepted_suites([Offer(protocol="TLSv1.2", suites=candidates("TLSv1.2"))]))
    assert found["TLSv1.2"].complete
    assert waiting_while_asked == [True]


async def test_an_idle_connection_that_the_server_closed_is_replaced_and_changes_nothing(tls: SSL.Context) -> None:
    closed = asyncio.Event()

    async def server(client: Conversation) -> None:
        await client.up_to_tls()
        if client.number == 3:
            return  # it has waited long enough
        hello = await client.hear_bytes()
        if client.number == 2:
            async with asyncio.timeout(5):
                await closed.wait()
        await client.send(openssl_flight(tls, hello) if len(hello) > 7 else b"")
        await client.hear_the_rest()

    async def impatient(client: Conversation) -> None:
        try:
            await server(client)
        finally:
            if client.number == 3:
                client.writer.close()
                await client.writer.wait_closed()
                closed.set()

    seen: list[Answer] = []
    sweep = accepted_suites([Offer(protocol="TLSv1.2", suites=candidates("TLSv1.2"))])
    async with scripted(impatient) as running:
        gate = Gate(Limits(per_address=2))
        line = Line(at(running.port), MANNERS, gate, watch=lambda _, answer: seen.append(answer))
        found = (await drive(line, sweep))["TLSv1.2"]
    numbers = [suite_named(name).number for name in TLS12_SUITES]  # type: ignore[union-attr]
    assert set(found.suites) == set(numbers)
    assert found.complete
    assert {answer.kind for answer in seen} == {"chosen", "refused"}
    assert line.reception.endings == {}
    await all_places_are_free(gate, 2)


async def test_a_connection_that_nobody_needs_any_more_is_left_by_quit_at_the_next_reply(tls: SSL.Context) -> None:
    heard: list[str] = []
    answered = asyncio.Event()
    connected = asyncio.Event()

    async def server(client: Conversation) -> None:
        if client.number < 3:
            await client.up_to_tls()
            if client.number == 2:
                async with asyncio.timeout(5):
                    await connected.wait()
            await answer_hello(client, tls)
            return
        connected.set()
        await answered.wait()
        await client.say("220 mx.test")
        heard.append(await client.hear())
        await client.say("221 bye")
        heard.append(await client.hear())

    async with scripted(server) as running:
        gate = Gate(Limits(per_address=2))
        async with line_to(running, gate, replace(MANNERS, timeouts=Timeouts(quit=5))) as line:
            await drive(line, ask(offer()))
            await drive(line, ask(offer("AES256-SHA256"), expected=1))
            answered.set()
        await running.finished()
    assert running.connections == 3
    assert heard == ["QUIT", ""]
    await all_places_are_free(gate, 2)


async def test_a_connection_that_is_not_made_yet_is_not_made_any_more(tls: SSL.Context) -> None:
    async def server(client: Conversation) -> None:
        await client.up_to_tls()
        await answer_hello(client, tls)

    gate = Gate(Limits(per_address=2, connections=1))  # room at the address, none in all
    async with scripted(server) as running, line_to(running, gate) as line:
        await drive(line, ask(offer()))
        await drive(line, ask(offer("AES256-SHA256"), expected=1))
    assert running.connections == line.connections == 2
    await all_places_are_free(gate, 1)


# Being turned away


@pytest.mark.parametrize("per_address", [2, 3, 8])
@pytest.mark.parametrize("reply", ["421 4.7.0 too many connections", "554 5.7.1 only one at a time", ""])
async def test_who_is_turned_away_beside_others_goes_on_with_one_at_a_time(
    tls: SSL.Context, per_address: int, reply: str
) -> None:
    served = 0
    turned_away: list[int] = []

    async def server(client: Conversation) -> None:
        nonlocal served
        if served:
            turned_away.append(client.number)
            await client.say(*([reply] if reply else []))
            return
        served += 1
        try:
            await client.up_to_tls()
            await answer_hello(client, tls)
        finally:
            served -= 1

    gate = Gate(Limits(per_address=per_address))
    async with scripted(server) as running:
        line = line_to(running, gate)
        found = await drive(line, every_suite())
    assert is_everything(found)
    # Only those that were on their way when the first was turned away.
    assert 1 <= len(turned_away) < per_address
    assert sum(line.reception.endings.values()) == len(turned_away)
    await all_places_are_free(gate, per_address)


# Giving up


def all_unknown(found: dict[Protocol, SuitesFound]) -> bool:
    return all(each.state == "unknown" and not each.complete for each in found.values())


async def test_two_futile_endings_in_a_row_are_enough(tls: SSL.Context) -> None:
    async def server(client: Conversation) -> None:
        await client.say("421 4.7.0 try again later")

    async with scripted(server) as running:
        line = line_to(running, Gate(Limits(per_address=1)))
        found = await drive(line, every_suite())
        assert running.connections == FUTILE_ENDINGS
        # And nothing more is asked afterwards.
        answer = await drive(line, ask(offer()))
        assert running.connections == FUTILE_ENDINGS
    assert all_unknown(found)
    assert isinstance(answer, Unasked)
    assert "421 4.7.0 try again later" in answer.reason
    assert line.reception.endings == {"not served before the greeting: 421 4.7.0 try again later": FUTILE_ENDINGS}


async def test_silence_is_futile_too(tls: SSL.Context) -> None:
    async def server(client: Conversation) -> None:
        await client.up_to_tls()
        await client.hear_the_rest()

    manners = replace(MANNERS, timeouts=replace(MANNERS.timeouts, hello=0.05))
    async with scripted(server) as running:
        line = line_to(running, Gate(Limits(per_address=1)), manners)
        found = await drive(line, every_suite())
    assert running.connections <= FUTILE_ENDINGS + 1
    assert all_unknown(found)
    assert {each.ending.kind for each in found.values() if each.ending} == {"silent", "unasked"}


async def test_a_server_that_turns_us_away_in_mid_sweep_is_asked_again_later(tls: SSL.Context) -> None:
    async def server(client: Conversation) -> None:
        if client.number % 2:
            await client.say("450 4.7.1 greylisted")
            return
        await client.up_to_tls()
        await answer_hello(client, tls)

    offers = [offer(name) for name in TLS12_SUITES]
    async with scripted(server) as running:
        line = line_to(running, Gate(Limits(per_address=1)))
        answers = [await drive(line, ask(each)) for each in offers]
    # Before anything was answered it is an ending like another; from then on it is a limit that was met.
    assert [answer.kind for answer in answers] == ["throttled"] + ["chosen"] * (len(offers) - 1)
    assert line.reception.endings == {"not served before the greeting: 450 4.7.1 greylisted": len(offers) - 1}


async def test_a_server_that_turns_us_away_for_good_is_left_alone_at_the_deadline(tls: SSL.Context) -> None:
    async def server(client: Conversation) -> None:
        if client.number > 3:
            await client.say("421 4.7.0 too many connections")
            return
        await client.up_to_tls()
        await answer_hello(client, tls)

    manners = replace(MANNERS, deadline=0.5, timeouts=replace(MANNERS.timeouts, pause=0.1))
    async with scripted(server) as running:
        line = line_to(running, Gate(Limits(per_address=1)), manners)
        found = await drive(line, every_suite())
        # Pauses double: 0.1, 0.2, and the next would be over after the deadline.
        assert 4 <= running.connections <= 3 + 5
    assert not any(result.complete for result in found.values())
    assert {result.state for result in found.values()} <= {"accepted", "unknown"}


async def test_nothing_more_is_opened_once_it_has_given_up(tls: SSL.Context) -> None:
    asked = asyncio.Event()

    async def server(client: Conversation) -> None:
        if client.number == 1:
            await client.up_to_tls()
            await client.hear_bytes()
            asked.set()
            await client.hear_the_rest()  # no answer
            return
        await asked.wait()
        await client.say("220 mx.test")
        await client.hear()

    manners = replace(MANNERS, timeouts=replace(MANNERS.timeouts, hello=0.3))
    async with scripted(server) as running:
        gate = Gate(Limits(per_address=3))
        line = line_to(running, gate, manners)
        found = await drive(line, every_suite())
        assert running.connections == 1 + FUTILE_ENDINGS
    assert all_unknown(found)
    await all_places_are_free(gate, 3)


async def test_an_endpoint_that_cannot_be_reached_is_left_alone(tls: SSL.Context) -> None:
    async with scripted(Conversation.up_to_tls) as gone:
        pass
    line = line_to(gone, Gate(Limits(per_address=1)))
    opened = await line.open()
    assert isinstance(opened, Ended)
    assert isinstance(opened.answer, Throttled)
    line.reception.answered(opened.answer)
    found = await drive(line, every_suite())
    assert line.connections == FUTILE_ENDINGS
    assert all_unknown(found)


# Deadline and cancelling


@pytest.mark.parametrize("stage", ["greeting", "hello"])
async def test_the_deadline_ends_what_is_under_way_and_the_rest_is_not_asked(tls: SSL.Context, stage: str) -> None:
    async def server(client: Conversation) -> None:
        if stage == "hello":
            await client.up_to_tls()
        await client.hear_the_rest()

    async with scripted(server) as running:
        gate = Gate(Limits(per_address=3))
        line = line_to(running, gate, replace(MANNERS, deadline=0.2))
        found = await drive(line, every_suite())
        # Every connection is closed: the scripts hear the end.
        await running.finished()
    assert all_unknown(found)
    for each in found.values():
        assert isinstance(each.ending, Unasked)
        assert "deadline" in each.ending.reason
    await all_places_are_free(gate, 3)


@pytest.mark.parametrize("stage", ["greeting", "hello"])
async def test_cancelling_closes_every_connection_and_gives_the_places_back(tls: SSL.Context, stage: str) -> None:
    reached = asyncio.Event()

    async def server(client: Conversation) -> None:
        if stage == "hello":
            await client.up_to_tls()
            await client.hear_bytes()
        reached.set()
        await client.hear_the_rest()

    async with scripted(server) as running:
        gate = Gate(Limits(per_address=3))
        driving = asyncio.create_task(drive(line_to(running, gate), every_suite()))
        async with asyncio.timeout(5):
            await reached.wait()
        driving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await driving
        await running.finished()
    await all_places_are_free(gate, 3)


async def test_an_error_of_our_own_is_not_swallowed(tls: SSL.Context) -> None:
    def wrong() -> Sweep[None]:
        yield Wanted((offer(),))
        raise ValueError("a mistake in a sweep")

    async with scripted(Conversation.up_to_tls) as running:
        gate = Gate(Limits(per_address=2))
        with pytest.raises(ValueError, match="a mistake in a sweep"):
            await drive(line_to(running, gate), wrong())
        await running.finished()
    await all_places_are_free(gate, 2)


# What is told


async def test_every_answer_is_told_once_as_it_comes(tls: SSL.Context) -> None:
    async def server(client: Conversation) -> None:
        await client.up_to_tls()
        await answer_hello(client, tls)

    told: list[Offer] = []
    offers = [offer(name) for name in (*TLS12_SUITES, "RC4-SHA")]
    async with scripted(server) as running:
        line = Line(at(running.port), MANNERS, Gate(Limits()), watch=lambda asked, _: told.append(asked))
        answers = await drive(line, together({each: ask(each) for each in [*offers, offers[0]]}))
    assert [answers[each].kind for each in offers] == ["chosen"] * len(TLS12_SUITES) + ["refused"]
    assert sorted(told, key=offers.index) == offers


async def test_what_followed_the_220_in_clear_text_is_kept_from_whichever_connection_had_it(tls: SSL.Context) -> None:
    async def server(client: Conversation) -> None:
        await client.up_to_tls()
        if client.number == 3:
            await client.send(b"250 injected\r\n")
        await answer_hello(client, tls)

    async with scripted(server) as running:
        line = line_to(running, Gate(Limits(per_address=1)))
        await drive(line, every_suite())
    assert line.early_bytes == b"250 injected\r\n"


async def test_transcripts_are_kept_where_they_are_wanted(tls: SSL.Context) -> None:
    async def server(client: Conversation) -> None:
        await client.up_to_tls()
        await answer_hello(client, tls)

    async with scripted(server) as running:
        line = Line(at(running.port), MANNERS, Gate(Limits(per_address=1)), trace=True)
        await drive(line, ask(offer()))
        untraced = line_to(running, Gate(Limits()))
        await drive(untraced, ask(offer()))
    assert len(line.transcripts) == line.connections
    layers = {entry.layer for entry in line.transcripts[0].entries}
    assert layers == {"note", "smtp", "tls"}
    assert untraced.transcripts == []
