"""SSLv2 hellos and replies; OpenSSL 1.0.1g and tlslite-ng are the other side."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxprobe.tls.client_hello import decode_client_hello, encode_client_hello
from mxprobe.tls.offer import Answer, Chosen, Closed, Garbled, Offer, Refused, Silent
from mxprobe.tls.server_flight import ServerFlight
from mxprobe.tls.wire import Truncated, WireError
from servers.memory_servers import TlsliteParser, tlslite_messages

RANDOM = bytes(range(32))
CAPTURED = Path(__file__).parents[2] / "data" / "hellos"

# The cipher kinds of draft-hickman-netscape-ssl-00, appendix C, and RC4-64 of SSLeay.
KINDS = (0x010080, 0x020080, 0x030080, 0x040080, 0x050080, 0x060040, 0x0700C0, 0x080080)
OFFER = Offer(protocol="SSLv2", suites=KINDS)

suites24 = st.lists(st.integers(0, 0xFFFFFF), min_size=1, max_size=40).map(tuple)


def captured(name: str) -> bytes:
    lines = (CAPTURED / name).read_text().splitlines()
    return bytes.fromhex("".join(line for line in lines if not line.startswith("#")))


def reply(data: bytes, offer: Offer = OFFER) -> Answer | None:
    return ServerFlight(offer).feed(data)


def server_hello(suites: tuple[int, ...], certificate: bytes = b"DER") -> bytes:
    """A SERVER-HELLO by tlslite-ng, without record header."""
    message = tlslite_messages.ServerHello2()
    message.create(0, 1, (0, 2), bytearray(certificate), list(suites), bytearray(16))
    return bytes(message.write())


def record(message: bytes, padding: int | None = None) -> bytes:
    """A record with a header of two bytes, or of three and so much padding."""
    if padding is None:
        return (0x8000 | len(message)).to_bytes(2, "big") + message
    return (len(message) + padding).to_bytes(2, "big") + bytes((padding,)) + message + bytes(padding)


@given(suites24, st.binary(min_size=32, max_size=32))
def test_an_offer_comes_back(suites: tuple[int, ...], random: bytes) -> None:
    hello = decode_client_hello(encode_client_hello(Offer(protocol="SSLv2", suites=suites), random=random))
    assert (hello.record_version, hello.legacy_version) == (0x0002, 0x0002)
    assert hello.suites == suites
    assert hello.random == random[:16]
    assert (hello.session_id, hello.extensions, hello.server_name) == (b"", (), None)


@given(suites24)
def test_tlslite_reads_our_hello(suites: tuple[int, ...]) -> None:
    hello = encode_client_hello(Offer(protocol="SSLv2", suites=suites, server_name="mx.example.test"), random=RANDOM)
    header = tlslite_messages.RecordHeader2().parse(TlsliteParser(bytearray(hello[:2])))
    assert header.length == len(hello) - 2
    theirs = tlslite_messages.ClientHello(ssl2=True).parse(TlsliteParser(bytearray(hello[3:])))
    assert theirs.client_version == (0, 2)
    assert tuple(theirs.cipher_suites) == suites
    # tlslite-ng fills the challenge up to 32 bytes from the left.
    assert bytes(theirs.random)[-16:] == RANDOM[:16]


def test_the_hello_of_openssl_is_read() -> None:
    hello = decode_client_hello(captured("openssl-1.0.1g-client-ssl2.hex"))
    # ALL:COMPLEMENTOFALL of OpenSSL 1.0.1 by `openssl ciphers -ssl2 -V`: DES-CBC3-MD5, IDEA-CBC-MD5, RC2-CBC-MD5,
    # RC4-MD5, DES-CBC-MD5, EXP-RC2-CBC-MD5, EXP-RC4-MD5.
    assert hello.suites == (0x0700C0, 0x050080, 0x030080, 0x010080, 0x060040, 0x040080, 0x020080)
    assert (hello.legacy_version, len(hello.random)) == (0x0002, 16)


def test_a_later_protocol_in_the_old_form_keeps_its_version() -> None:
    # RFC 5246 appendix E.2: version 3.1, TLS suites with a zero byte before them.
    message = bytes.fromhex("01" + "0301" + "0006" + "0000" + "0010" + "00002f" + "010080" + "ab" * 16)
    hello = decode_client_hello(record(message))
    assert (hello.record_version, hello.legacy_version, hello.suites) == (0x0002, 0x0301, (0x2F, 0x010080))


def test_the_reply_of_openssl_is_the_list_of_its_ciphers_and_its_certificate() -> None:
    # It was configured with all its ciphers, and asked for every kind; it never had RC4-64 (08 00 80).
    pem = (CAPTURED / "openssl-1.0.1g-server-ssl2.pem").read_text()
    assert reply(captured("openssl-1.0.1g-server-ssl2.hex")) == Chosen(
        protocol="SSLv2",
        suite=0x010080,
        suites=KINDS[:-1],
        certificates=(ssl.PEM_cert_to_DER_cert(pem),),
        reached="flight-complete",
    )


@pytest.mark.parametrize("padding", [None, 0, 1, 7, 255])
def test_any_record_header_and_padding_will_do(padding: int | None) -> None:
    answer = reply(record(server_hello(KINDS[:2]), padding))
    assert answer == Chosen(
        protocol="SSLv2", suite=KINDS[0], suites=KINDS[:2], certificates=(b"DER",), reached="flight-complete"
    )


def test_a_server_hello_may_span_records() -> None:
    message = server_hello(KINDS, bytes(700))
    whole = reply(record(message))
    assert isinstance(whole, Chosen)
    assert reply(record(message[:5]) + record(message[5:300], 3) + record(message[300:])) == whole


def test_a_list_without_ciphers_refuses() -> None:
    assert reply(record(server_hello(()))) == Refused(sslv2_error=0)


def test_an_error_refuses_with_its_code() -> None:
    assert reply(bytes.fromhex("8003000001")) == Refused(sslv2_error=1)  # NO-CIPHER-ERROR
    assert reply(record(bytes.fromhex("000004"), 5)) == Refused(sslv2_error=4)


def test_an_sslv2_error_also_refuses_a_later_hello() -> None:
    assert reply(bytes.fromhex("8003000001"), Offer(protocol="SSLv3", suites=(4,))) == Refused(sslv2_error=1)


def test_a_tls_alert_refuses() -> None:
    assert reply(bytes.fromhex("15030100020228")) == Refused(alert=40)


def test_text_is_garbled() -> None:
    answer = reply(b"500 5.5.2 Error: bad syntax\r\n")
    assert isinstance(answer, Garbled)
    assert answer.reason == "plain SMTP text where TLS was expected: '500 5.5.2 Error: bad syntax'"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (record(server_hello(KINDS)[:-1] + b"xx"), "1 bytes left over"),
        (record(b"\x04\x00\x01\x03\x01" + bytes(6)), "with version 0x0301"),
        (record(b"\x04\x00\x01\x00\x02\x00\x00\x00\x02\x00\x00\x00\x00"), "3-byte numbers is 2 bytes long"),
        (record(b"\x00\x00\x01\x02"), "SSLv2 ERROR of 4 bytes"),
        (b"\x00\x03\x04\x00\x00\x00", "record of 3 bytes with 4 bytes of padding"),
        (record(b"\x04") + record(b"") * 65, "more than 64 SSLv2 records"),
        (b"\x80\x03\x02\x00\x00", "not a TLS record"),
    ],
)
def test_a_malformed_reply_is_garbled(data: bytes, reason: str) -> None:
    answer = reply(data)
    assert isinstance(answer, Garbled)
    assert reason in answer.reason
    assert data.startswith(answer.data)


def test_endings_without_a_whole_reply() -> None:
    start = record(server_hello(KINDS))[:20]
    for how in ("eof", "reset"):
        flight = ServerFlight(OFFER)
        assert flight.end(how) == Closed(stage="hello", how=how)
        flight = ServerFlight(OFFER)
        assert flight.feed(start) is None
        assert flight.end(how) == Garbled(stage="hello", reason="truncated in an SSLv2 message", data=start)
    flight = ServerFlight(OFFER)
    assert flight.feed(start) is None
    assert flight.timeout() == Silent(stage="hello")


@given(st.binary(max_size=40).map(lambda data: record(b"\x04" + data)) | st.binary(), st.data())
def test_pieces_do_not_change_the_answer_and_nothing_raises(data: bytes, draw: st.DataObject) -> None:
    whole, pieces = ServerFlight(OFFER), ServerFlight(OFFER)
    whole.feed(data)
    while data:
        size = draw.draw(st.integers(1, len(data)))
        pieces.feed(data[:size])
        data = data[size:]
    assert pieces.end("eof") == whole.end("eof")


def test_a_beginning_of_a_hello_is_truncated() -> None:
    hello = encode_client_hello(OFFER, random=RANDOM)
    for length in range(len(hello)):
        with pytest.raises(Truncated):
            decode_client_hello(hello[:length])


@given(st.binary(max_size=60).map(lambda data: record(b"\x01" + data)) | st.binary().map(lambda data: b"\x80" + data))
def test_any_bytes_raise_nothing_but_wire_error(data: bytes) -> None:
    try:
        decode_client_hello(data)
    except WireError:
        return


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(WireError, match="does not fit in 3 bytes"):
        encode_client_hello(Offer(protocol="SSLv2", suites=(0x1000000,)), random=RANDOM)
    with pytest.raises(WireError, match="do not fit in an SSLv2 record"):
        encode_client_hello(Offer(protocol="SSLv2", suites=tuple(range(11000))), random=RANDOM)
