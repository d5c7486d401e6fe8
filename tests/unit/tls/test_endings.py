"""How an ending reads to a mail administrator."""

from __future__ import annotations

import typing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxprobe.tls.endings import ending_text
from mxprobe.tls.offer import Answer, Chosen, Closed, Garbled, Refused, Silent, Stage, Throttled, Unasked

STAGES: tuple[Stage, ...] = typing.get_args(Stage)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (Chosen(protocol="TLSv1.2", suite=0x2F), "answered with TLSv1.2"),
        (
            Chosen(protocol="TLSv1.2", suite=0x2F, ended_by=80),
            "picked a suite in TLSv1.2, then sent alert 80 (internal_error)",
        ),
        (
            Chosen(protocol="SSLv3", suite=5, ended_by=0),
            "picked a suite in SSLv3, then sent alert 0 (close_notify)",
        ),
        # Names of the IANA registry "TLS Alerts".
        (Refused(alert=40), "alert 40 (handshake_failure)"),
        (Refused(alert=70), "alert 70 (protocol_version)"),
        (Refused(alert=0), "alert 0 (close_notify)"),
        (Refused(alert=200), "alert 200 (unregistered)"),
        # Errors of draft-hickman-netscape-ssl-00, appendix C.
        (Refused(sslv2_error=0), "an empty SSLv2 cipher list"),
        (Refused(sslv2_error=1), "SSLv2 error 1 (NO-CIPHER-ERROR)"),
        (Refused(sslv2_error=9), "SSLv2 error 9"),
        (Refused(), "refused without a reason"),
        (Closed(stage="greeting", how="eof"), "the server closed the connection before the greeting"),
        (Closed(stage="hello", how="reset"), "the server reset the connection after our ClientHello"),
        (Closed(stage="connect", how="reset"), "the server reset the connection while connecting"),
        (Silent(stage="greeting", seconds=30.04), "silent before the greeting for 30 s"),
        (Silent(stage="connect", seconds=15), "silent while connecting for 15 s"),
        (
            Garbled(stage="starttls", reason="not a reply to this: 250 ok"),
            "not understood after STARTTLS: not a reply to this: 250 ok",
        ),
        (Throttled(stage="greeting", reply="421 4.7.0 later"), "not served before the greeting: 421 4.7.0 later"),
        (Throttled(stage="connect", reply="Connection refused"), "not served while connecting: Connection refused"),
        (Unasked(reason="the deadline of 600 s was over"), "not asked: the deadline of 600 s was over"),
    ],
)
def test_every_ending_says_what_happened(answer: Answer, text: str) -> None:
    assert ending_text(answer) == text


def test_every_stage_reads_differently() -> None:
    texts = {ending_text(Closed(stage=stage, how="eof")) for stage in STAGES}
    assert len(texts) == len(STAGES)


codes = st.integers(-1, 1 << 16)
texts = st.text(st.characters(codec="ascii", min_codepoint=0x20, max_codepoint=0x7E), max_size=30)
answers: st.SearchStrategy[Answer] = st.one_of(
    st.builds(Chosen, protocol=st.sampled_from(["SSLv2", "TLSv1.3"]), suite=codes, ended_by=st.none() | codes),
    st.builds(Refused, alert=st.none() | codes, sslv2_error=st.none() | codes),
    st.builds(Closed, stage=st.sampled_from(STAGES), how=st.sampled_from(["eof", "reset"])),
    st.builds(Silent, stage=st.sampled_from(STAGES), seconds=st.floats(0, 1e4)),
    st.builds(Garbled, stage=st.sampled_from(STAGES), reason=texts, data=st.binary(max_size=64)),
    st.builds(Throttled, stage=st.sampled_from(STAGES), reply=texts),
    st.builds(Unasked, reason=texts),
)


@given(answers)
def test_nothing_but_the_words_of_the_peer_can_bring_control_characters(answer: Answer) -> None:
    text = ending_text(answer)
    assert text.isprintable()
    assert text.isascii()


def test_the_words_of_the_peer_are_kept_as_they_are_for_the_report_to_escape() -> None:
    hostile = "421 \x1b[2J\udcff"
    assert ending_text(Throttled(stage="greeting", reply=hostile)).endswith(hostile)
    assert ending_text(Garbled(stage="greeting", reason=hostile)).endswith(hostile)
