"""What a DNS message says, from bytes: any bytes at all."""

from __future__ import annotations

import dns.flags
import dns.message
import dns.name
import dns.rrset
import pytest
from dns.message import Message
from dns.rdatatype import RdataType
from hypothesis import given
from hypothesis import strategies as st

from mxprobe.network.dns_exchange import NoAnswerError, ServerReply, TruncatedError, read_answer, read_message
from mxprobe.routing.answers import MxRecord

QUERY = dns.message.make_query("example.test.", "MX", id=4711, use_edns=0)
NAME = dns.name.from_text("example.test.")


def answering(*answer: str, authority: tuple[str, ...] = (), rcode: str = "NOERROR", query: Message = QUERY) -> Message:
    """An answer with these records, written as in a master file."""
    message = dns.message.make_response(query)
    message.set_rcode(dns.rcode.from_text(rcode))
    for section, lines in ((message.answer, answer), (message.authority, authority)):
        for line in lines:
            owner, ttl, rdtype, rdata = line.split(maxsplit=3)
            section.append(dns.rrset.from_text(owner, int(ttl), "IN", rdtype, rdata))
    return message


def read(message: Message) -> ServerReply:
    return read_answer(read_message(QUERY, message.to_wire()), NAME, RdataType.MX)


def test_records_of_the_name_asked_and_their_shortest_ttl() -> None:
    reply = read(
        answering(
            "example.test. 600 MX 20 b.test.",
            "EXAMPLE.test. 60 MX 10 A.test.",
            "other.test. 5 MX 1 forged.test.",
            "example.test. 5 A 192.0.2.1",
        )
    )
    assert reply.status == "ok"
    assert reply.records == (MxRecord(preference=20, exchange="b.test"), MxRecord(preference=10, exchange="a.test"))
    assert reply.ttl == 60


def test_cnames_are_followed_within_a_message_in_any_order() -> None:
    reply = read(
        answering(
            "real.test. 300 MX 10 mx.test.", "middle.test. 30 CNAME real.test.", "example.test. 300 CNAME middle.test."
        )
    )
    assert reply.status == "ok"
    assert reply.aliases == ("example.test", "middle.test")
    assert reply.canonical_name == "real.test"
    assert reply.ttl == 30


def test_a_message_that_ends_in_a_cname_is_not_complete() -> None:
    reply = read(answering("example.test. 300 CNAME real.test."))
    assert (reply.status, reply.complete, reply.canonical_name) == ("no-data", False, "real.test")


def test_a_cname_to_a_name_without_such_records_is_complete_if_the_message_says_so() -> None:
    soa = "test. 300 SOA ns.test. root.test. 1 1 1 1 60"
    reply = read(answering("example.test. 300 CNAME real.test.", authority=(soa,)))
    assert (reply.status, reply.complete, reply.ttl) == ("no-data", True, 60)


def test_the_code_of_a_chain_is_that_of_its_last_name() -> None:
    # RFC 6604 §3
    reply = read(answering("example.test. 300 CNAME gone.test.", rcode="NXDOMAIN"))
    assert (reply.status, reply.canonical_name) == ("nxdomain", "gone.test")


def test_a_denial_is_kept_as_long_as_its_soa_says_and_without_one_not_at_all() -> None:
    # RFC 2308 §5
    soa = "test. 900 SOA ns.test. root.test. 1 1 1 1 120"
    assert read(answering(authority=(soa,), rcode="NXDOMAIN")).ttl == 120
    assert read(answering(rcode="NXDOMAIN")).ttl == 0


def test_a_closed_chain_and_one_without_end_are_loops() -> None:
    assert read(answering("example.test. 9 CNAME a.test.", "a.test. 9 CNAME example.test.")).status == "loop"
    chain = [f"{number or 'example'}.test. 9 CNAME {number + 1}.test." for number in range(40)]
    assert read(answering(*chain)).status == "loop"


def test_a_referral_says_nothing_about_the_name() -> None:
    reply = read(answering(authority=("test. 300 NS ns.test.",)))
    assert reply.status == "refused"
    assert "referral" in reply.text


def test_odd_bytes_in_a_name_are_escaped() -> None:
    reply = read(answering(r"example.test. 300 MX 10 a\.b\000\255\032.test."))
    assert reply.records == (MxRecord(preference=10, exchange=r"a\.b\000\255\032.test"),)


def test_answers_to_other_questions_are_told_apart() -> None:
    for query, said in (
        (dns.message.make_query("example.test.", "MX", id=1), "another id"),
        (dns.message.make_query("other.test.", "MX", id=4711), "another question"),
        (dns.message.make_query("example.test.", "A", id=4711), "another question"),
    ):
        with pytest.raises(NoAnswerError, match=said):
            read_message(QUERY, answering(query=query).to_wire())


def test_the_query_itself_is_no_answer() -> None:
    with pytest.raises(NoAnswerError):
        read_message(QUERY, QUERY.to_wire())


def test_a_truncated_message_is_known_as_such_even_when_cut_within_a_record() -> None:
    message = answering("example.test. 300 MX 10 mx.test.")
    message.flags |= dns.flags.TC
    with pytest.raises(TruncatedError):
        read_message(QUERY, message.to_wire()[:-15])


VALID = answering(
    "example.test. 300 CNAME real.test.",
    "real.test. 300 MX 10 mx.test.",
    authority=("test. 300 SOA ns.test. root.test. 1 1 1 1 60", "test. 300 NS ns.test."),
).to_wire()


@given(st.binary(max_size=600))
def test_any_bytes_are_an_answer_or_none(data: bytes) -> None:
    _reads_or_refuses(data)
    _reads_or_refuses(VALID[:2] + data)
    _reads_or_refuses(VALID[:12] + data)


@given(st.lists(st.tuples(st.integers(2, len(VALID) - 1), st.integers(0, 255)), max_size=6), st.integers(0, len(VALID)))
def test_any_damage_to_an_answer_is_survived(damage: list[tuple[int, int]], cut: int) -> None:
    wire = bytearray(VALID)
    for position, byte in damage:
        wire[position] = byte
    _reads_or_refuses(bytes(wire))
    _reads_or_refuses(bytes(wire[:cut]))


def _reads_or_refuses(wire: bytes) -> None:
    try:
        message = read_message(QUERY, wire)
    except (NoAnswerError, TruncatedError):
        return
    read_answer(message, NAME, RdataType.MX)
