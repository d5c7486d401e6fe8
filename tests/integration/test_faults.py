"""The whole probe against servers that misbehave: what they do is told, and nothing is taken for a "no" that is none.

Here a fault is a `Script` of the SMTP front or a relay that fails; what is behind is a real OpenSSL. Where a stage
hangs its timeout is short, and all others are as patient as ever.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace

import pytest

import mxprobe
from mxprobe import EndpointFacts, Limits, ProbeSettings, Profile, Target, Timeouts
from mxprobe.facts import StarttlsState
from mxprobe.probing.prober import Prober
from mxprobe.terms import PROTOCOLS, State, parse_next_hop
from mxprobe.tls.offer import Stage
from servers.claims import assert_nothing_untrue
from servers.postfix import postfix_server
from servers.relay import Failure, relay
from servers.running import RunningServer, free_port
from servers.smtp_front import AfterStarttls, Script, smtp_front

pytestmark = pytest.mark.usefixtures("nothing_is_left_behind")

HELLOS_WITHOUT_TLS = 13
"""What a server may cost that answers nothing in TLS: the natural hello, and each version's twice."""


async def probed(port: int, settings: ProbeSettings | None = None) -> tuple[Target, EndpointFacts]:
    target = await mxprobe.probe(f"[127.0.0.1]:{port}", settings or ProbeSettings())
    (facts,) = target.endpoints
    return target, facts


def soon_out_of_time() -> ProbeSettings:
    return ProbeSettings(deadline=1.0, timeouts=Timeouts(pause=0.5))


def impatient_after_starttls(seconds: float = 0.3) -> ProbeSettings:
    return ProbeSettings(timeouts=Timeouts(hello=seconds, handshake=seconds))


def verdicts(target: Target) -> dict[str, State]:
    return {verdict.id: verdict.state for verdict in target.verdicts}


def assert_nothing_is_said_of_tls(facts: EndpointFacts) -> None:
    """No version is accepted or refused, no certificate seen."""
    assert {seen.state for seen in facts.protocols.values()} <= {"unknown"}
    assert not any(seen.complete or seen.suites for seen in facts.protocols.values())
    assert all(seen.reason for seen in facts.protocols.values())
    assert facts.natural is None
    assert facts.certificates == ()
    assert facts.verification is None
    assert facts.name_match is None


# --- before TLS -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "state", "stage", "code"),
    [
        pytest.param(Script(banner="421 4.3.2 Too busy"), "unknown", "greeting", 421, id="421-greeting"),
        pytest.param(Script(banner="450 4.7.1 Come back later"), "unknown", "greeting", 450, id="450-greeting"),
        pytest.param(Script(banner=("554-You are", "554 not welcome")), "refused", "greeting", 554, id="554-greeting"),
        pytest.param(Script(ehlo="421 4.3.2 Shutting down"), "unknown", "ehlo", 421, id="421-ehlo"),
        pytest.param(Script(ehlo="550 5.7.1 No", helo="550 5.7.1 No"), "refused", "ehlo", 550, id="550-ehlo"),
        pytest.param(Script(starttls="454 4.7.0 No key"), "unknown", "starttls", 454, id="454-starttls"),
        pytest.param(Script(starttls="421 4.7.0 Too many"), "unknown", "starttls", 421, id="421-starttls"),
        pytest.param(Script(starttls="501 5.5.4 No"), "refused", "starttls", 501, id="501-starttls"),
        pytest.param(Script(ehlo=("250-mx.test", "250 SIZE 1000")), "not-offered", "ehlo", 250, id="no-starttls"),
        # The first line greets, whatever it says (RFC 5321 §4.1.1.1).
        pytest.param(Script(ehlo=("250-STARTTLS", "250 SIZE 1")), "not-offered", "ehlo", 250, id="starttls-greets"),
        pytest.param(Script(ehlo="250 STARTTLS"), "not-offered", "ehlo", 250, id="starttls-greets-alone"),
        pytest.param(Script(ehlo="502 5.5.1 What?"), "not-offered", "ehlo", 250, id="ehlo-refused"),
    ],
)
async def test_a_reply_that_ends_it_before_tls_is_told_and_judged_by_its_code(
    script: Script, state: StarttlsState, stage: Stage, code: int
) -> None:
    with smtp_front(script=script) as front:
        target, facts = await probed(front.port)

    assert (facts.starttls.state, facts.starttls.stage) == (state, stage)
    assert facts.starttls.reply is not None
    assert facts.starttls.reply.code == code
    assert facts.connections == front.connections == 1
    assert_nothing_is_said_of_tls(facts)

    judged = verdicts(target)
    said_no = state == "not-offered" or (state, stage) == ("refused", "starttls")
    assert judged.pop("starttls") == ("no" if said_no else "unknown")
    assert judged.pop("needs-sslv3") == ("no" if state == "not-offered" else "unknown")
    assert set(judged.values()) == {"unknown"}


@pytest.mark.parametrize(
    ("script", "timeouts", "stage", "reason"),
    [
        pytest.param(
            Script(banner_drip=True), Timeouts(greeting=0.3, quit=0.1), "greeting", "silent", id="banner-drip"
        ),
        pytest.param(
            Script(banner_drip=True, drip_seconds=0),
            Timeouts(greeting=0.3, quit=0.1),
            "greeting",
            "",
            id="endless-banner",
        ),
        pytest.param(
            Script(banner_delay_seconds=60), Timeouts(greeting=0.3, quit=0.1), "greeting", "silent", id="no-banner"
        ),
        pytest.param(Script(ehlo_endless=True), Timeouts(), "ehlo", "not understood", id="endless-ehlo"),
        pytest.param(Script(banner="SSH-2.0-OpenSSH_9.2"), Timeouts(quit=0.1), "greeting", "not understood", id="ssh"),
        pytest.param(Script(ehlo="what?"), Timeouts(quit=0.1), "ehlo", "not understood", id="no-reply-code"),
    ],
)
async def test_a_server_that_does_not_get_as_far_as_starttls_is_unknown(
    script: Script, timeouts: Timeouts, stage: Stage, reason: str
) -> None:
    with smtp_front(script=script) as front:
        target, facts = await probed(front.port, ProbeSettings(timeouts=timeouts))

    assert (facts.starttls.state, facts.starttls.stage) == ("unknown", stage)
    assert reason in facts.starttls.reason
    assert facts.connections == 1
    assert sum(facts.endings.values()) == 1
    assert_nothing_is_said_of_tls(facts)
    assert set(verdicts(target).values()) == {"unknown"}


async def test_a_connection_that_is_reset_at_once_is_unknown() -> None:
    with smtp_front(script=Script(reset_at_accept=True)) as front:
        target, facts = await probed(front.port)
    # Whether connect(2) had returned by then is chance.
    assert (facts.starttls.state, facts.starttls.stage in ("connect", "greeting")) == ("unknown", True)
    assert "reset" in facts.starttls.reason
    assert facts.connections == 1
    assert_nothing_is_said_of_tls(facts)
    assert set(verdicts(target).values()) == {"unknown"}


async def test_a_refused_connection_is_no_server_without_starttls() -> None:
    target, facts = await probed(free_port())
    assert (facts.starttls.state, facts.starttls.stage) == ("unknown", "connect")
    assert "Connection refused" in facts.starttls.reason
    assert facts.greeting is None
    assert set(verdicts(target).values()) == {"unknown"}


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(Script(banner_delay_seconds=0.5), id="slow"),
        pytest.param(Script(banner=("220-mx.test", "220-is glad", "220 to see you")), id="multi-line"),
        pytest.param(Script(ehlo=("250-mx.test", "250-SIZE 1000", "250 starttls")), id="lower-case-starttls"),
        pytest.param(Script(ehlo=("250-mx.test", "250 STARTTLS ")), id="starttls-with-a-blank"),
    ],
)
async def test_an_unusual_dialogue_that_is_within_the_standard_works(server: RunningServer, script: Script) -> None:
    with smtp_front(server, script) as front:
        _, facts = await probed(front.port, ProbeSettings(depth="quick"))
    assert facts.starttls.state == "works"
    assert facts.greeting is not None
    assert len(facts.greeting.lines) == (1 if isinstance(script.banner, str) else len(script.banner))
    assert "STARTTLS" in [line.strip() for line in facts.capabilities]


async def test_helo_is_tried_where_ehlo_is_refused_and_announces_nothing() -> None:
    with smtp_front(script=Script(ehlo="502 5.5.1 What?")) as front:
        _, facts = await probed(front.port, ProbeSettings(ehlo="probe.example.test"))
    assert facts.helo
    assert facts.capabilities == ()
    assert front.dialogues == [[b"EHLO probe.example.test", b"HELO probe.example.test", b"QUIT"]]


# --- after the 220 --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", ["close", "reset", "garbage"])
async def test_a_220_that_no_tls_follows_is_broken_and_no_version_is_refused(after: AfterStarttls) -> None:
    with smtp_front(script=Script(after_starttls=after)) as front:
        target, facts = await probed(front.port)
    assert facts.starttls.state == "offered-but-broken"
    assert facts.starttls.reply is not None
    assert facts.starttls.reply.code == 220
    assert_nothing_is_said_of_tls(facts)
    # A connection that is gone before its hello is made once more.
    assert facts.connections <= 2 * HELLOS_WITHOUT_TLS + Limits().per_address
    judged = verdicts(target)
    assert judged.pop("starttls") == "no"
    assert set(judged.values()) == {"unknown"}


@pytest.mark.parametrize("after", ["hang", "drip"])
async def test_silence_after_the_220_is_unknown_and_costs_few_timeouts(after: AfterStarttls) -> None:
    with smtp_front(script=Script(after_starttls=after)) as front:
        target, facts = await probed(front.port, impatient_after_starttls())
    assert facts.starttls.state == "unknown"
    assert "silent" in facts.starttls.reason
    assert_nothing_is_said_of_tls(facts)
    assert facts.connections <= 2 + Limits().per_address
    assert set(verdicts(target).values()) == {"unknown"}


@pytest.mark.parametrize("after", ["hello-requests", "warning-alerts", "huge-message"])
async def test_endless_records_end_soon_and_are_no_refusal(after: AfterStarttls) -> None:
    with smtp_front(script=Script(after_starttls=after)) as front:
        target, facts = await probed(front.port)
    assert facts.starttls.state == "offered-but-broken"
    assert "not understood" in facts.starttls.reason
    assert_nothing_is_said_of_tls(facts)
    assert facts.connections <= HELLOS_WITHOUT_TLS + Limits().per_address
    judged = verdicts(target)
    assert judged.pop("starttls") == "no"
    assert set(judged.values()) == {"unknown"}


@pytest.mark.parametrize(
    ("then", "state", "connections"),
    [
        ("hang", "unknown", 2 + Limits().per_address),
        ("close", "offered-but-broken", HELLOS_WITHOUT_TLS + Limits().per_address),
        ("reset", "offered-but-broken", HELLOS_WITHOUT_TLS + Limits().per_address),
        ("garbage", "offered-but-broken", HELLOS_WITHOUT_TLS + Limits().per_address),
    ],
)
async def test_what_happens_after_every_hello_is_no_answer_to_any(
    then: Failure, state: StarttlsState, connections: int
) -> None:
    async with relay(then=then) as behind:
        with smtp_front(behind.port) as front:
            target, facts = await probed(front.port, impatient_after_starttls(0.3 if then == "hang" else 15))
    assert facts.starttls.state == state
    assert_nothing_is_said_of_tls(facts)
    assert facts.connections <= connections
    assert verdicts(target)["needs-sslv3"] == "unknown"


async def test_clear_text_after_the_220_is_kept_and_critical(server: RunningServer) -> None:
    with smtp_front(server, Script(injected=b"250 injected\r\n")) as front:
        target, facts = await probed(front.port, ProbeSettings(depth="quick"))
    assert facts.starttls.state == "works"
    assert facts.early_bytes == b"250 injected\r\n".hex()
    (starttls,) = [verdict for verdict in target.verdicts if verdict.id == "starttls"]
    assert (starttls.state, starttls.severity) == ("yes", "critical")


async def test_a_server_that_sends_byte_for_byte_is_read_like_any_other(server: RunningServer) -> None:
    with smtp_front(server, Script(fragmented=True)) as front:
        _, facts = await probed(front.port)
    assert facts.starttls.state == "works"
    assert_nothing_untrue(facts, server.expected)
    assert all(seen.complete for seen in facts.protocols.values())


async def test_a_server_that_serves_one_connection_after_the_other_is_not_kept_waiting(
    server_with_many_suites: RunningServer,
) -> None:
    # s_server reads no hello before that of the connection that it took first, so each must have one soon.
    for _ in range(3):
        with smtp_front(server_with_many_suites) as front:
            _, facts = await probed(front.port, ProbeSettings(limits=Limits(per_address=8)))
        assert facts.endings == {}
        assert all(seen.complete for seen in facts.protocols.values())


# --- in mid-sweep ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("greeted", [1, 2, 7, 40, 100])
async def test_a_421_in_mid_sweep_leaves_the_rest_undecided(
    server_with_many_suites: RunningServer, greeted: int
) -> None:
    with smtp_front(server_with_many_suites, Script(greeted_connections=greeted)) as front:
        target, facts = await probed(front.port, soon_out_of_time())
    assert_nothing_untrue(facts, server_with_many_suites.expected)
    assert not all(seen.complete for seen in facts.protocols.values())
    assert any("421" in seen.reason for seen in facts.protocols.values())
    assert any("421" in ending for ending in facts.endings)
    # The pauses of 0.5, 1, ... seconds end at the deadline.
    assert front.counted(facts.connections) == facts.connections <= greeted + 3 + 2 * Limits().per_address
    assert verdicts(target)["starttls"] == "yes"
    assert verdicts(target)["needs-sslv3"] == "no"


@pytest.mark.parametrize("relayed", [1, 2, 7, 40])
@pytest.mark.parametrize("then", ["hang", "garbage", "close", "reset"])
async def test_a_server_that_breaks_in_mid_sweep_has_refused_nothing(
    server_with_many_suites: RunningServer, then: Failure, relayed: int
) -> None:
    async with relay(server_with_many_suites.port, relayed=relayed, then=then) as behind:
        with smtp_front(behind.port) as front:
            target, facts = await probed(front.port, impatient_after_starttls(1.0))
    assert_nothing_untrue(facts, server_with_many_suites.expected)
    assert not all(seen.complete for seen in facts.protocols.values())
    # A close may be a refusal: it is asked again, and in parts, before a control hello tells.
    repeated = 6 * len(PROTOCOLS) if then in ("close", "reset") else 0
    assert facts.connections <= relayed + len(PROTOCOLS) + repeated + 2 * Limits().per_address
    assert verdicts(target)["starttls"] == "yes"


@pytest.mark.parametrize(
    ("limit", "reply"),
    [("smtpd_client_connection_rate_limit", "421 4.7.0"), ("smtpd_client_new_tls_session_rate_limit", "454 4.7.0")],
)
async def test_the_rate_limits_of_postfix_leave_the_rest_undecided(limit: str, reply: str) -> None:
    with postfix_server(main_cf={limit: "20", "smtpd_client_event_limit_exceptions": ""}) as running:
        target, facts = await probed(running.port, soon_out_of_time())
        expected = running.expected
    assert facts.starttls.state == "works"
    assert_nothing_untrue(facts, expected)
    assert any(reply in ending for ending in facts.endings)
    assert facts.connections <= 20 + 2 + 3 * Limits().per_address
    assert verdicts(target)["needs-sslv3"] == "no"


async def test_a_postfix_that_limits_its_rate_is_swept_in_full_at_that_rate() -> None:
    limits = {
        "smtpd_client_connection_rate_limit": "50",
        "smtpd_client_event_limit_exceptions": "",
        "anvil_rate_time_unit": "2s",
    }
    with postfix_server(main_cf=limits) as running:
        _, facts = await probed(running.port, ProbeSettings(timeouts=Timeouts(pause=0.5)))
        expected = running.expected
    assert any("421 4.7.0" in ending for ending in facts.endings)
    for protocol, seen in facts.protocols.items():
        assert seen.complete
        assert {int(suite.id, 16) for suite in seen.suites} == expected.get(protocol, frozenset())


async def test_a_profile_that_could_not_be_tried_shares_a_cipher_or_not_is_unknown(server: RunningServer) -> None:
    profile = Profile(name="outbound", protocols=("TLSv1.2",), suites=(0xC02F,))
    shared: list[State] = []
    for greeted in (None, 1):
        with smtp_front(server, Script(greeted_connections=greeted)) as front:
            target, _ = await probed(front.port, replace(soon_out_of_time(), depth="quick", profiles=(profile,)))
        shared.append(verdicts(target)["shared-cipher"])
    assert shared == ["yes", "unknown"]


async def test_the_deadline_ends_a_sweep_and_leaves_the_rest_undecided(server_with_many_suites: RunningServer) -> None:
    async with relay(server_with_many_suites.port, relayed=10, then="hang") as behind:
        with smtp_front(behind.port) as front:
            _, facts = await probed(front.port, ProbeSettings(deadline=1.0))
    assert facts.starttls.state == "works"
    assert_nothing_untrue(facts, server_with_many_suites.expected)
    assert any("deadline" in seen.reason for seen in facts.protocols.values())


# --- beside others --------------------------------------------------------------------------------------------------


async def test_a_server_that_hangs_holds_up_no_result_of_others(server: RunningServer) -> None:
    # On addresses of their own: those who share one wait for each other.
    with smtp_front(server, addresses=("127.0.0.2",)) as good, smtp_front(script=Script(banner_drip=True)) as bad:
        next_hops = [f"[127.0.0.1]:{bad.port}", f"[127.0.0.2]:{good.port}"]
        endpoints = mxprobe.probe_endpoints(next_hops, ProbeSettings(depth="quick"))
        first = await anext(endpoints)
        # The other would take its 30 seconds of patience.
        await endpoints.aclose()
    assert (first.address, first.starttls.state) == ("127.0.0.2", "works")


async def test_a_probe_that_is_cancelled_leaves_at_once() -> None:
    async with relay(then="hang") as behind:
        with smtp_front(behind.port) as front:
            work = asyncio.create_task(mxprobe.probe(f"[127.0.0.1]:{front.port}"))
            async with asyncio.timeout(20):
                while not behind.connections:
                    await asyncio.sleep(0.01)
                work.cancel()
                with suppress(asyncio.CancelledError):
                    await work
                while front.open_connections:
                    await asyncio.sleep(0.01)
    assert work.cancelled()


async def test_transcripts_of_endless_servers_are_bounded() -> None:
    settings = ProbeSettings(trace=True)
    for script in (Script(ehlo_endless=True), Script(after_starttls="hello-requests")):
        with smtp_front(script=script) as front:
            prober = Prober(settings)
            try:
                found = await prober.target(parse_next_hop(f"[127.0.0.1]:{front.port}"))
            finally:
                await prober.close()
        assert sum(len(entry.data) for entry in found.transcript) < 16 * 1024 * 1024
