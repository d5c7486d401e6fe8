"""What answers say of an endpoint: STARTTLS, versions, the best handshake, chains, profiles. No connection is made."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mxprobe.facts import Natural
from mxprobe.mta.profile import Profile
from mxprobe.probing.reading import (
    Attempt,
    Swept,
    best_of,
    chains_of,
    distinct_chains,
    profile_answer,
    protocol_facts,
    starttls_ended,
    starttls_tried,
    suite_facts,
)
from mxprobe.smtp.dialogue import Dialogue
from mxprobe.smtp.replies import Reply
from mxprobe.terms import PROTOCOLS, Protocol
from mxprobe.tls.offer import Answer, Chosen, Closed, Garbled, Offer, Reached, Refused, Silent, Throttled, Unasked
from mxprobe.tls.sweep import SuitesFound

GREETING = Reply(code=220, lines=("mx.example ESMTP",))
EHLO = Reply(code=250, lines=("mx.example", "STARTTLS"))
GO_ON = Reply(code=220, lines=("2.0.0 Ready to start TLS",))
BEFORE_TLS = Dialogue(greeting=GREETING, ehlo=EHLO, starttls=GO_ON)

DONE = Attempt(done=True)
ALERT = Attempt(done=False, answer=Refused(alert=40), text="ssl/tls alert handshake failure")
CLEAR_TEXT = Attempt(
    done=False, answer=Garbled(stage="handshake", reason="wrong version number"), text="wrong version number"
)
TIMED_OUT = Attempt(done=False, answer=Silent(stage="hello", seconds=30), text="timed out in the handshake")

CLOSED = Closed(stage="hello", how="eof")
SILENT = Silent(stage="hello", seconds=15)
BUSY = Throttled(stage="greeting", reply="421 4.7.0 too many connections")

# Numbers and names of IANA and OpenSSL.
AES128_SHA, ECDHE_GCM, RC4_SHA, AES256_13, NOBODYS = 0x002F, 0xC02F, 0x0005, 0x1302, 0xFD01


def chose(
    protocol: Protocol,
    suite: int,
    reached: Reached = "flight-complete",
    chain: tuple[bytes, ...] = (),
    group: int | None = None,
    ended_by: int | None = None,
) -> Chosen:
    return Chosen(protocol=protocol, suite=suite, reached=reached, certificates=chain, group=group, ended_by=ended_by)


def took(*chosen: Chosen) -> SuitesFound:
    return SuitesFound(
        protocol=chosen[0].protocol,
        state="accepted",
        accepted=chosen,
        order="server",
        complete=True,
        ending=Refused(alert=40),
        hellos=len(chosen) + 1,
    )


def turned_down(protocol: Protocol, ending: Answer, hellos: int = 1) -> SuitesFound:
    return SuitesFound(protocol=protocol, state="refused", complete=True, ending=ending, hellos=hellos)


def unknown(protocol: Protocol, ending: Answer, undecided: tuple[int, ...] = (AES128_SHA,)) -> SuitesFound:
    return SuitesFound(protocol=protocol, state="unknown", complete=False, ending=ending, undecided=undecided, hellos=1)


def swept(*found: SuitesFound) -> Swept:
    return {each.protocol: each for each in found}


def closed_to_everything() -> Swept:
    return swept(*(turned_down(protocol, CLOSED, hellos=2) for protocol in PROTOCOLS))


# STARTTLS, where TLS was never reached


@pytest.mark.parametrize("code", [500, 501, 502, 530, 554])
def test_starttls_that_got_5xx_is_refused(code: int) -> None:
    reply = Reply(code=code, lines=("no",))
    found = starttls_ended(
        Throttled(stage="starttls", reply=str(reply)), Dialogue(greeting=GREETING, ehlo=EHLO, starttls=reply)
    )
    assert (found.state, found.stage, found.reason, found.reply) == ("refused", "starttls", f"{code} no", reply)


@pytest.mark.parametrize("code", [421, 451, 454])
def test_starttls_that_got_4xx_is_unknown_because_it_was_throttled(code: int) -> None:
    reply = Reply(code=code, lines=("later",))
    found = starttls_ended(
        Throttled(stage="starttls", reply=str(reply)), Dialogue(greeting=GREETING, ehlo=EHLO, starttls=reply)
    )
    assert (found.state, found.stage, found.reason) == ("unknown", "starttls", f"throttled: {code} later")


def test_starttls_that_got_a_reply_of_no_meaning_is_unknown_and_not_called_throttled() -> None:
    reply = Reply(code=250, lines=("ok",))
    found = starttls_ended(
        Garbled(stage="starttls", reason="not a reply to this: 250 ok"),
        Dialogue(greeting=GREETING, ehlo=EHLO, starttls=reply),
    )
    assert (found.state, found.stage, found.reply) == ("unknown", "starttls", reply)
    assert found.reason == "not understood after STARTTLS: not a reply to this: 250 ok"


def test_not_offered_is_what_the_reply_to_ehlo_says() -> None:
    ehlo = Reply(code=250, lines=("mx.example", "PIPELINING"))
    found = starttls_ended(
        Throttled(stage="ehlo", reply="STARTTLS is not offered"), Dialogue(greeting=GREETING, ehlo=ehlo)
    )
    assert (found.state, found.stage, found.reply) == ("not-offered", "ehlo", ehlo)


def test_a_server_with_helo_only_does_not_offer_starttls() -> None:
    helo = Reply(code=250, lines=("mx.example",))
    found = starttls_ended(
        Throttled(stage="ehlo", reply="STARTTLS is not offered"), Dialogue(greeting=GREETING, ehlo=helo, helo=True)
    )
    assert found.state == "not-offered"


@pytest.mark.parametrize(
    ("dialogue", "stage"),
    [
        (Dialogue(greeting=Reply(code=554, lines=("no SMTP service here",))), "greeting"),
        (Dialogue(greeting=GREETING, ehlo=Reply(code=550, lines=("no SMTP service here",))), "ehlo"),
    ],
)
def test_a_server_that_does_not_serve_us_refuses_at_its_stage(dialogue: Dialogue, stage: str) -> None:
    reply = dialogue.ehlo or dialogue.greeting
    found = starttls_ended(Throttled(stage=stage, reply=str(reply)), dialogue)  # type: ignore[arg-type]
    assert (found.state, found.stage, found.reply) == ("refused", stage, reply)
    assert found.reason == str(reply)


@pytest.mark.parametrize(
    ("answer", "dialogue", "reason"),
    [
        (BUSY, Dialogue(greeting=Reply(code=421, lines=("4.7.0 too many connections",))), f"throttled: {BUSY.reply}"),
        (Throttled(stage="connect", reply="Connection refused"), Dialogue(), "cannot connect: Connection refused"),
        (Silent(stage="connect", seconds=15), Dialogue(), "silent while connecting for 15 s"),
        (
            Closed(stage="greeting", how="eof"),
            Dialogue(),
            "the server closed the connection before the greeting",
        ),
        # The 500 was to EHLO, and the connection was lost after HELO.
        (
            Closed(stage="ehlo", how="reset"),
            Dialogue(greeting=GREETING, ehlo=Reply(code=500, lines=("what?",)), helo=True),
            "the server reset the connection after EHLO",
        ),
        (
            Silent(stage="starttls", seconds=30),
            Dialogue(greeting=GREETING, ehlo=EHLO),
            "silent after STARTTLS for 30 s",
        ),
        (
            Garbled(stage="greeting", reason="Malformed SMTP response line: SSH-2.0"),
            Dialogue(),
            "not understood before the greeting: Malformed SMTP response line: SSH-2.0",
        ),
    ],
)
def test_all_other_endings_leave_starttls_unknown(answer: Answer, dialogue: Dialogue, reason: str) -> None:
    found = starttls_ended(answer, dialogue)
    assert (found.state, found.reason) == ("unknown", reason)
    assert found.stage == answer.stage  # type: ignore[union-attr]


# STARTTLS, after the 220


def test_a_complete_handshake_is_starttls_that_works() -> None:
    found = starttls_tried(DONE, {}, (), BEFORE_TLS)
    assert (found.state, found.reply) == ("works", GO_ON)


def test_what_openssl_cannot_complete_works_where_a_version_by_itself_is_answered() -> None:
    found = starttls_tried(ALERT, swept(took(chose("SSLv3", RC4_SHA))), (chose("SSLv3", RC4_SHA),), BEFORE_TLS)
    assert found.state == "works"
    assert "SSLv3" in found.reason
    assert "ssl/tls alert handshake failure" in found.reason


@pytest.mark.parametrize(
    "attempt", [ALERT, CLEAR_TEXT, Attempt(done=False, answer=CLOSED, text="closed by the server")]
)
def test_starttls_is_broken_where_the_server_answered_everything_and_nothing_well(attempt: Attempt) -> None:
    nothing = swept(*(turned_down(protocol, Refused(alert=40)) for protocol in PROTOCOLS))
    found = starttls_tried(attempt, nothing, (Refused(alert=40),) * 6, BEFORE_TLS)
    assert found.state == "offered-but-broken"
    assert found.reason


def test_what_was_heard_instead_of_tls_is_the_reason() -> None:
    heard = Garbled(stage="hello", reason="plain SMTP text where TLS was expected: '500 5.5.2 what?'")
    found = starttls_tried(CLEAR_TEXT, {}, (heard,), BEFORE_TLS)
    assert found.state == "offered-but-broken"
    assert "500 5.5.2 what?" in found.reason


@pytest.mark.parametrize("late", [SILENT, BUSY])
def test_nothing_is_called_broken_beside_silence_or_throttling(late: Answer) -> None:
    found = starttls_tried(ALERT, {}, (Refused(alert=40), late, Refused(alert=40)), BEFORE_TLS)
    assert found.state == "unknown"
    assert found.reason.startswith("alert 40 (handshake_failure); then ")
    assert starttls_tried(TIMED_OUT, {}, (Refused(alert=40),), BEFORE_TLS).state == "unknown"


@pytest.mark.parametrize(
    "late",
    [BUSY, Silent(stage="greeting"), Closed(stage="greeting", how="reset"), Unasked(reason="the deadline was over")],
)
@pytest.mark.parametrize("first", [ALERT, Attempt(done=False, answer=CLOSED, text="reset by the server")])
def test_one_lost_handshake_before_the_server_had_enough_of_us_is_not_broken_tls(first: Attempt, late: Answer) -> None:
    cut_short = swept(*(unknown(protocol, late) for protocol in PROTOCOLS))
    assert starttls_tried(first, cut_short, (), BEFORE_TLS).state == "unknown"


def test_of_tls_13_the_server_hello_alone_shows_no_session() -> None:
    only_hello = swept(took(chose("TLSv1.3", 0x1301, reached="selected")))
    assert starttls_tried(ALERT, only_hello, (), BEFORE_TLS).state == "unknown"
    profile = Profile(name="ours", protocols=("TLSv1.3",), suites=(0x1301,))
    offer, answer = Offer(protocol="TLSv1.3", suites=(0x1301,)), chose("TLSv1.3", 0x1301, reached="selected")
    assert profile_answer(profile, offer, answer).state == "yes"
    assert profile_answer(profile, offer, answer, tls13_completes=False).state == "unknown"


@pytest.mark.parametrize("code", [0, 199, 600, 999])
def test_a_reply_outside_the_codes_of_smtp_is_no_refusal(code: int) -> None:
    dialogue = replace(BEFORE_TLS, starttls=Reply(code=code, lines=("x",)))
    ended = Garbled(stage="starttls", reason="not a reply")
    assert starttls_ended(ended, dialogue).state == "unknown"


def test_a_suite_that_is_picked_and_never_gets_further_is_no_tls() -> None:
    # OpenSMTPD with an unreadable key, Mbed TLS in SSLv3.
    stuck = swept(took(chose("TLSv1.2", ECDHE_GCM, "selected", ended_by=80)))
    assert starttls_tried(ALERT, stuck, (), BEFORE_TLS).state == "offered-but-broken"
    assert best_of(stuck) is None


# Versions


def test_versions_are_told_oldest_first_and_only_those_that_were_asked() -> None:
    found = protocol_facts(swept(took(chose("TLSv1.3", AES256_13)), turned_down("SSLv3", Refused(alert=70))), DONE)
    assert list(found) == ["SSLv3", "TLSv1.3"]


def test_an_accepted_version_has_its_suites_in_order_and_needs_no_reason() -> None:
    found = protocol_facts(swept(took(chose("TLSv1.2", ECDHE_GCM), chose("TLSv1.2", AES128_SHA))), DONE)["TLSv1.2"]
    assert (found.state, found.complete, found.order, found.hellos, found.reason) == ("accepted", True, "server", 3, "")
    assert [suite.name for suite in found.suites] == ["ECDHE-RSA-AES128-GCM-SHA256", "AES128-SHA"]


def test_a_version_that_was_cut_short_keeps_what_it_has_and_says_what_is_open_and_why() -> None:
    cut = SuitesFound(
        protocol="TLSv1.2",
        state="accepted",
        accepted=(chose("TLSv1.2", ECDHE_GCM),),
        complete=False,
        ending=SILENT,
        undecided=(AES128_SHA, NOBODYS),
        hellos=2,
    )
    found = protocol_facts(swept(cut), DONE)["TLSv1.2"]
    assert (found.state, found.complete) == ("accepted", False)
    assert found.reason == "silent after our ClientHello for 15 s"
    assert found.undecided == ("AES128-SHA", "0x00FD01")


def test_a_server_that_reads_no_long_offers_is_said_to() -> None:
    short = SuitesFound(
        protocol="TLSv1.2",
        state="accepted",
        accepted=(chose("TLSv1.2", ECDHE_GCM),),
        complete=True,
        hellos=9,
        max_suites=128,
    )
    found = protocol_facts(swept(short), DONE)["TLSv1.2"]
    assert found.complete
    assert found.reason == "offers of more than 128 suites failed"


def test_an_alert_refuses_a_version_also_where_nothing_works() -> None:
    found = protocol_facts(swept(turned_down("TLSv1", Refused(alert=70))), ALERT)["TLSv1"]
    assert (found.state, found.complete, found.reason) == ("refused", True, "alert 70 (protocol_version)")


@pytest.mark.parametrize("ending", [SILENT, BUSY, Unasked(reason="left alone"), Garbled(stage="hello", reason="text")])
def test_an_unknown_version_stays_unknown_whatever_else_works(ending: Answer) -> None:
    found = protocol_facts(swept(unknown("SSLv3", ending), took(chose("TLSv1.2", ECDHE_GCM))), DONE)["SSLv3"]
    assert (found.state, found.complete, found.suites) == ("unknown", False, ())
    assert found.reason
    # All of it is unknown: it is counted, not listed.
    assert found.undecided == ()


def test_suites_have_the_names_of_iana_and_openssl_and_unknown_ones_their_number() -> None:
    known = suite_facts(chose("TLSv1.2", ECDHE_GCM))
    assert (known.id, known.name, known.iana, known.standard) == (
        "0x00C02F",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        True,
    )
    odd = suite_facts(chose("TLSv1.2", NOBODYS, "selected"))
    assert (odd.id, odd.name, odd.iana, odd.standard, odd.reached) == ("0x00FD01", "0x00FD01", None, False, "selected")
    # RFC 5246 §1.2 and RFC 5289 §3: GCM suites are of TLS 1.2 and later.
    assert not suite_facts(chose("TLSv1", ECDHE_GCM)).standard


GOT_GCM = Attempt(done=True, natural=Natural(protocol="TLSv1.2", suite="ECDHE-RSA-AES128-GCM-SHA256", group="x25519"))


def test_a_complete_handshake_is_worth_more_than_a_sweep_that_was_refused() -> None:
    found = protocol_facts(swept(turned_down("TLSv1.2", Refused(alert=40))), GOT_GCM)["TLSv1.2"]
    assert (found.state, found.complete, found.order) == ("accepted", False, "unknown")
    assert [(suite.name, suite.reached) for suite in found.suites] == [
        ("ECDHE-RSA-AES128-GCM-SHA256", "handshake-complete")
    ]
    assert "alert 40 (handshake_failure)" in found.reason
    assert "a complete handshake got ECDHE-RSA-AES128-GCM-SHA256" in found.reason


def test_a_complete_handshake_in_what_a_sweep_found_changes_nothing() -> None:
    sweep = swept(took(chose("TLSv1.2", ECDHE_GCM), chose("TLSv1.2", AES128_SHA)))
    assert protocol_facts(sweep, GOT_GCM) == protocol_facts(sweep, DONE)


def test_a_complete_handshake_adds_what_a_sweep_that_was_cut_short_did_not_get_to() -> None:
    cut = unknown("TLSv1.2", SILENT, undecided=(AES128_SHA, ECDHE_GCM))
    found = protocol_facts(swept(cut), GOT_GCM)["TLSv1.2"]
    assert (found.state, found.complete) == ("accepted", False)
    assert found.undecided == ("AES128-SHA",)


def test_a_complete_handshake_adds_no_version_that_was_not_swept() -> None:
    assert list(protocol_facts(swept(turned_down("SSLv3", Refused(alert=70))), GOT_GCM)) == ["SSLv3"]


# The best that was seen


def test_the_best_is_the_newest_version_and_in_it_the_servers_first_choice() -> None:
    everything = swept(
        took(chose("SSLv3", RC4_SHA)), took(chose("TLSv1", AES128_SHA, group=None), chose("TLSv1", RC4_SHA))
    )
    assert best_of(everything) == Natural(protocol="TLSv1", suite="AES128-SHA", group=None, reached="flight-complete")


def test_the_best_has_the_group_by_name() -> None:
    best = best_of(swept(took(chose("TLSv1.2", ECDHE_GCM, group=29))))
    assert best is not None
    assert best.group is not None
    assert best.group.lower() == "x25519"


def test_the_best_is_one_that_does_not_stop_at_the_server_hello() -> None:
    stuck = took(chose("TLSv1.2", ECDHE_GCM, "selected"), chose("TLSv1.2", AES128_SHA))
    best = best_of(swept(stuck))
    assert best is not None
    assert best.suite == "AES128-SHA"


def test_in_tls_1_3_a_server_hello_is_all_that_can_be_seen() -> None:
    best = best_of(swept(took(chose("TLSv1.3", AES256_13, "selected"))))
    assert best is not None
    assert best.protocol == "TLSv1.3"


def test_nothing_seen_has_no_best() -> None:
    assert best_of({}) is None
    assert best_of(swept(turned_down("TLSv1.2", Refused(alert=40)))) is None


# Chains


def test_chains_are_the_certificate_messages_newest_protocol_first() -> None:
    everything = swept(
        took(chose("SSLv3", RC4_SHA, chain=(b"old", b"ca"))),
        took(chose("TLSv1.2", ECDHE_GCM, chain=(b"new", b"ca")), chose("TLSv1.2", AES128_SHA)),
        turned_down("TLSv1", Refused(alert=70)),
    )
    assert chains_of(everything) == ((b"new", b"ca"), (b"old", b"ca"))


def test_there_is_one_chain_for_each_leaf_the_first_that_was_seen() -> None:
    chains = ((b"rsa", b"ca"), (b"ecdsa", b"ca"), (b"rsa",), (), (b"ecdsa", b"other"))
    assert distinct_chains(chains) == ((b"rsa", b"ca"), (b"ecdsa", b"ca"))
    assert distinct_chains(()) == ()


# Profiles

PROFILE = Profile(name="outbound", protocols=("TLSv1.2", "TLSv1.3"), suites=(AES256_13, ECDHE_GCM))
HELLO = Offer(protocol="TLSv1.3", versions=PROFILE.protocols, suites=PROFILE.suites)


@pytest.mark.parametrize(
    ("answer", "protocol", "suite"),
    [
        (chose("TLSv1.3", AES256_13, "selected"), "TLSv1.3", "TLS_AES_256_GCM_SHA384"),
        (chose("TLSv1.2", ECDHE_GCM), "TLSv1.2", "ECDHE-RSA-AES128-GCM-SHA256"),
    ],
)
def test_a_profile_that_got_a_session_knows_which(answer: Chosen, protocol: str, suite: str) -> None:
    found = profile_answer(PROFILE, HELLO, answer)
    assert (found.profile, found.state, found.protocol, found.suite, found.reason) == (
        "outbound",
        "yes",
        protocol,
        suite,
        "",
    )


def test_a_profile_that_got_a_session_knows_its_group_and_the_kind_of_key() -> None:
    signed = replace(chose("TLSv1.2", ECDHE_GCM, group=29), scheme=0x0804)
    found = profile_answer(PROFILE, HELLO, signed)
    assert (found.group, found.certificate_kind) == ("x25519", "RSA")
    # A flight that was cut shows neither for sure.
    cut = profile_answer(PROFILE, HELLO, replace(signed, reached="selected", ended_by=80))
    assert (cut.state, cut.group, cut.certificate_kind) == ("no", None, None)


def test_in_sslv2_the_client_picks_out_of_the_servers_list() -> None:
    profile = Profile(name="old", protocols=("SSLv2",), suites=(0x0700C0, 0x010080))
    offer = Offer(protocol="SSLv2", suites=profile.suites)
    listed = Chosen(protocol="SSLv2", suite=0x010080, suites=(0x010080, 0x0700C0), reached="flight-complete")
    assert profile_answer(profile, offer, listed).suite == "DES-CBC3-MD5"
    others = replace(listed, suite=0x060040, suites=(0x060040,))
    assert profile_answer(profile, offer, others).state == "no"


def test_a_close_refuses_a_profile_where_closes_were_found_to_be_refusals() -> None:
    assert profile_answer(PROFILE, HELLO, CLOSED, refuses_by_close=True).state == "no"
    assert profile_answer(PROFILE, HELLO, SILENT, refuses_by_close=True).state == "unknown"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Refused(alert=40), "alert 40 (handshake_failure)"),
        (Refused(alert=70), "alert 70 (protocol_version)"),
        # An MTA would abort each of these (RFC 8446 §4.1.3, RFC 5246 §7.4.1.3).
        (chose("SSLv3", RC4_SHA), "answered with SSLv3, which the profile does not have"),
        (chose("TLSv1.2", AES128_SHA), "picked AES128-SHA, which was not offered"),
        (
            chose("TLSv1.2", ECDHE_GCM, "selected", ended_by=80),
            "picked a suite in TLSv1.2, then sent alert 80 (internal_error)",
        ),
    ],
)
def test_a_profile_that_was_refused_shares_nothing(answer: Answer, reason: str) -> None:
    found = profile_answer(PROFILE, HELLO, answer)
    assert (found.state, found.reason) == ("no", reason)


@pytest.mark.parametrize(
    "answer",
    [
        SILENT,
        BUSY,
        CLOSED,
        Garbled(stage="hello", reason="plain text"),
        Unasked(reason="left alone"),
        # Cut after the ServerHello: nothing speaks against it, and it is not seen to work.
        chose("TLSv1.2", ECDHE_GCM, "selected"),
    ],
)
def test_all_else_that_a_profile_gets_is_unknown(answer: Answer) -> None:
    found = profile_answer(PROFILE, HELLO, answer)
    assert found.state == "unknown"
    assert found.reason


def test_a_complete_list_tells_of_every_weak_family() -> None:
    families = protocol_facts(swept(took(chose("TLSv1", RC4_SHA), chose("TLSv1", AES128_SHA))), DONE)["TLSv1"].families
    assert {family for family, state in families.items() if state == "yes"} == {"RC4"}
    assert set(families.values()) == {"yes", "no"}


def test_a_list_that_was_cut_short_rules_no_weak_family_out() -> None:
    cut = replace(took(chose("TLSv1", RC4_SHA)), complete=False, ending=SILENT, undecided=(AES128_SHA,))
    families = protocol_facts(swept(cut), DONE)["TLSv1"].families
    assert families["RC4"] == "yes"
    assert "no" not in families.values()


def test_what_was_asked_of_families_stands_beside_a_list_of_picks() -> None:
    asked = replace(took(chose("TLSv1", AES128_SHA)), complete=False, families={"RC4": "no", "NULL": "unknown"})
    assert protocol_facts(swept(asked), DONE)["TLSv1"].families == {"RC4": "no", "NULL": "unknown"}


def test_a_refused_version_has_no_families() -> None:
    assert protocol_facts(swept(turned_down("TLSv1", Refused(alert=70))), DONE)["TLSv1"].families == {}
