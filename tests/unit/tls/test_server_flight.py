"""Server flights: of OpenSSL and tlslite-ng as they were configured, and every way in which a flight can fail."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxprobe.tls.client_hello import encode_client_hello
from mxprobe.tls.offer import Answer, Chosen, Closed, Garbled, Offer, Refused, Silent
from mxprobe.tls.primes import prime_name
from mxprobe.tls.server_flight import ServerFlight
from mxprobe.tls.server_messages import ServerKey, read_server_key
from servers.certificates import Authority, Issued, make_leaf
from servers.memory_servers import (
    openssl_flight,
    openssl_server,
    tlslite_extensions,
    tlslite_flight,
    tlslite_messages,
    with_dh_parameters,
)

RANDOM = bytes(range(32))
OFFER = Offer(protocol="TLSv1.2", suites=(0xC02F, 0x002F))

# The second Oakley group, 1024 bits (RFC 2409 §6.2).
OAKLEY_2 = int(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD"
    "EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED"
    "EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE65381FFFFFFFFFFFFFFFF",
    16,
)


@cache
def rsa() -> Issued:
    return Authority.root().intermediate().leaf("mx.example.test")


@cache
def ecdsa() -> Issued:
    return make_leaf("mx.example.test", key_type="EC")


def answer_to(offer: Offer, flight: bytes) -> Answer:
    reader = ServerFlight(offer)
    return reader.feed(flight) or reader.end("eof")


def the_pick_of(answer: Answer) -> Answer:
    """An answer without what its extensions and signature say."""
    return (
        replace(answer, extensions=(), scheme=None, downgrade=None, heartbeat=None)
        if isinstance(answer, Chosen)
        else answer
    )


def ask_openssl(context: Any, protocol: Any, *suites: int, **options: Any) -> Answer:
    offer = Offer(protocol=protocol, suites=suites, **options)
    return answer_to(offer, openssl_flight(context, encode_client_hello(offer, random=RANDOM)))


def ask_tlslite(issued: Issued | None, protocol: Any, *suites: int, **options: Any) -> Answer:
    offer = Offer(protocol=protocol, suites=suites)
    return answer_to(offer, tlslite_flight(issued, encode_client_hello(offer, random=RANDOM), **options))


# Pieces of flights, the messages by tlslite-ng.


def record(content_type: int, *payloads: bytes, version: int = 0x0303) -> bytes:
    payload = b"".join(payloads)
    return bytes((content_type,)) + version.to_bytes(2, "big") + len(payload).to_bytes(2, "big") + payload


def message(kind: int, body: bytes = b"") -> bytes:
    return bytes((kind,)) + len(body).to_bytes(3, "big") + body


def server_hello(
    suite: int = 0xC02F, version: tuple[int, int] = (3, 3), random: bytes = RANDOM, extensions: Any = None
) -> bytes:
    hello = tlslite_messages.ServerHello()
    hello.create(version, bytearray(random), bytearray(), suite, extensions=extensions)
    return bytes(hello.write())


def alert(number: int, level: int = 2) -> bytes:
    return record(21, bytes((level, number)))


CERTIFICATE = message(11, bytes.fromhex("000009" + "000001aa" + "000002bbbb"))
DONE = message(14)
HELLO = record(22, server_hello())
FLIGHT = record(22, server_hello(), CERTIFICATE, DONE)


# Servers that answer as they were configured.


@pytest.mark.parametrize(
    ("protocol", "cipher", "suite", "issued", "group"),
    [
        # Numbers from IANA's registry. OpenSSL 3.0 and later choose x25519 (29) first.
        ("TLSv1.2", "ECDHE-RSA-AES128-GCM-SHA256", 0xC02F, rsa, 29),
        ("TLSv1.2", "ECDHE-ECDSA-CHACHA20-POLY1305", 0xCCA9, ecdsa, 29),
        ("TLSv1.2", "AES256-GCM-SHA384", 0x009D, rsa, None),
        ("TLSv1.1", "ECDHE-RSA-AES256-SHA", 0xC014, rsa, 29),
        ("TLSv1", "ECDHE-ECDSA-AES128-SHA", 0xC009, ecdsa, 29),
        ("TLSv1", "AES128-SHA", 0x002F, rsa, None),
        ("TLSv1", "CAMELLIA256-SHA", 0x0084, rsa, None),
        ("TLSv1.2", "NULL-SHA256", 0x003B, rsa, None),
    ],
)
def test_openssl_chooses_what_it_is_configured_for(
    protocol: Any, cipher: str, suite: int, issued: Any, group: int | None
) -> None:
    context = openssl_server(issued(), oldest=protocol, newest=protocol, ciphers=cipher)
    answer = ask_openssl(context, protocol, 0x0005, suite, 0xC010)
    assert the_pick_of(answer) == Chosen(
        protocol=protocol,
        suite=suite,
        reached="flight-complete",
        certificates=issued().chain,
        group=group,
    )


def test_anonymous_suites_have_no_certificate() -> None:
    context = openssl_server(ciphers="AECDH-AES128-SHA")
    answer = ask_openssl(context, "TLSv1", 0xC018)
    assert the_pick_of(answer) == Chosen(protocol="TLSv1", suite=0xC018, reached="flight-complete", group=29)


def test_the_whole_chain_is_kept_leaf_first() -> None:
    answer = ask_tlslite(rsa(), "TLSv1.2", 0x002F)
    assert isinstance(answer, Chosen)
    assert answer.certificates == rsa().chain
    assert len(answer.certificates) == 2


@pytest.mark.parametrize("group", [23, 24, 25, 29, 30])
def test_the_group_is_the_one_that_was_left_to_choose(group: int) -> None:
    context = openssl_server(rsa(), newest="TLSv1.2")
    answer = ask_openssl(context, "TLSv1.2", 0xC02F, groups=(group,))
    assert isinstance(answer, Chosen)
    assert answer.group == group


def test_the_size_of_a_finite_field_is_that_of_the_configured_prime(tmp_path: Path) -> None:
    context = with_dh_parameters(openssl_server(rsa()), tmp_path / "dh.pem", OAKLEY_2)
    for protocol, suite in (("TLSv1", 0x0033), ("TLSv1.2", 0x009E), ("TLSv1.2", 0x0034)):
        answer = ask_openssl(context, protocol, suite)
        assert isinstance(answer, Chosen)
        assert (answer.suite, answer.dh_bits, answer.group) == (suite, 1024, None)
        assert prime_name(answer.dh_prime or "") == "Oakley group 2"
        assert answer.reached == "flight-complete"


def test_a_certificate_request_is_part_of_the_flight() -> None:
    answer = ask_tlslite(rsa(), "TLSv1.2", 0xC02F, reqCert=True)
    assert isinstance(answer, Chosen)
    assert answer.reached == "flight-complete"


def test_an_sslv3_server_answers_with_sslv3() -> None:
    for protocol, newest in (("SSLv3", (3, 0)), ("TLSv1.2", (3, 0)), ("SSLv3", (3, 3))):
        answer = ask_tlslite(rsa(), protocol, 0x0035, maxVersion=newest)
        expected = Chosen(protocol="SSLv3", suite=0x0035, reached="flight-complete", certificates=rsa().chain)
        assert the_pick_of(answer) == expected


def hello_retry(group: int) -> bytes:
    """A HelloRetryRequest for TLS_AES_128_GCM_SHA256 and a group, put together by RFC 8446 §4.1.4."""
    extensions = b"\x00\x2b\x00\x02\x03\x04" + b"\x00\x33\x00\x02" + group.to_bytes(2, "big")
    random = bytes.fromhex("CF21AD74E59A6111BE1D8C021E65B891C2A211167ABB8C5E079E09E2C8A8339C")
    body = b"\x03\x03" + random + b"\x00" + b"\x13\x01" + b"\x00" + len(extensions).to_bytes(2, "big") + extensions
    return record(22, message(2, body))


def test_a_retry_may_only_ask_for_a_group_that_was_offered_and_has_no_share() -> None:
    offer = Offer(protocol="TLSv1.3", suites=(0x1301,), groups=(29, 23), key_shares=(29,))
    assert answer_to(offer, hello_retry(23)).kind == "chosen"
    for group in (29, 24, 0xEEEE):
        assert answer_to(offer, hello_retry(group)).kind == "garbled"


@pytest.mark.parametrize("suite", [0x1301, 0x1302, 0x1303])
def test_without_key_shares_a_tls13_server_tells_suite_and_group(suite: int) -> None:
    context = openssl_server(rsa())
    for groups, group in ((None, 29), ((24,), 24), ((30, 25), None)):
        answer = ask_openssl(context, "TLSv1.3", suite, groups=groups)
        assert isinstance(answer, Chosen)
        assert (answer.protocol, answer.suite, answer.hello_retry) == ("TLSv1.3", suite, True)
        assert answer.reached == "selected"
        assert answer.group == group or (group is None and answer.group in (groups or ()))


def test_tlslite_takes_a_hello_without_key_shares_too() -> None:
    answer = ask_tlslite(rsa(), "TLSv1.3", 0x1301)
    assert isinstance(answer, Chosen)
    assert (answer.protocol, answer.suite, answer.hello_retry) == ("TLSv1.3", 0x1301, True)


@pytest.mark.parametrize("share", [29, 23, 24])
def test_with_a_key_share_a_tls13_server_goes_on(share: int) -> None:
    offer = {"groups": (share,), "key_shares": (share,)}
    answer = ask_openssl(openssl_server(rsa()), "TLSv1.3", 0x1301, **offer)
    assert the_pick_of(answer) == Chosen(protocol="TLSv1.3", suite=0x1301, group=share)


def test_a_hello_of_all_versions_gets_the_highest_of_the_server() -> None:
    versions = ("TLSv1.3", "TLSv1.2", "TLSv1.1", "TLSv1")
    for newest in versions:
        answer = ask_openssl(
            openssl_server(rsa(), newest=newest), "TLSv1.3", 0x1301, 0xC013, versions=versions, key_shares=(29,)
        )
        assert isinstance(answer, Chosen)
        assert answer.protocol == newest
        assert answer.suite == (0x1301 if newest == "TLSv1.3" else 0xC013)


def test_a_server_without_a_common_suite_or_version_refuses_by_alert() -> None:
    # RFC 5246 §7.2.2: handshake_failure 40, protocol_version 70.
    assert ask_openssl(openssl_server(rsa(), ciphers="AES128-SHA"), "TLSv1.2", 0x0035) == Refused(alert=40)
    assert ask_openssl(openssl_server(rsa(), oldest="TLSv1.2"), "TLSv1.1", 0x002F) == Refused(alert=70)
    assert ask_tlslite(rsa(), "SSLv3", 0x0035, minVersion=(3, 1)) == Refused(alert=70)


# Alerts.


@pytest.mark.parametrize("number", [40, 47, 50, 70, 71, 80, 86, 115, 200])
def test_a_fatal_alert_refuses(number: int) -> None:
    assert answer_to(OFFER, alert(number)) == Refused(alert=number)


def test_a_warning_is_not_the_answer() -> None:
    # unrecognized_name, RFC 6066 §3
    answer = answer_to(OFFER, alert(112, level=1) + FLIGHT)
    assert isinstance(answer, Chosen)
    assert answer.reached == "flight-complete"


def test_a_warning_before_the_end_is_why() -> None:
    flight = ServerFlight(OFFER)
    assert flight.feed(alert(112, level=1)) is None
    assert flight.end("eof") == Refused(alert=112)


def test_close_notify_in_the_place_of_a_server_hello_refuses() -> None:
    assert answer_to(OFFER, alert(0, level=1)) == Refused(alert=0)


def test_alerts_may_share_a_record_or_be_split() -> None:
    assert answer_to(OFFER, record(21, bytes((1, 112, 2, 40)))) == Refused(alert=40)
    assert answer_to(OFFER, record(21, b"\x02") + record(21, b"\x28")) == Refused(alert=40)


# After the ServerHello the server has chosen, whatever follows.


@pytest.mark.parametrize(
    "rest",
    [
        b"",
        b"garbage beyond a record header",
        b"\x16\x03",
        record(20, b"\1"),
        record(23, b"data"),
        record(22, message(2)),
        record(22, message(11, b"\xff\xff\xff")),
        record(22, CERTIFICATE)[:-1],
        record(22, message(14, b"x")),
        record(21, b"\x07\x28"),
        b"\x16\x03\x03\xff\xff",
    ],
)
def test_a_flight_that_is_cut_was_chosen_all_the_same(rest: bytes) -> None:
    assert answer_to(OFFER, HELLO + rest) == Chosen(protocol="TLSv1.2", suite=0xC02F, reached="selected")


def test_an_alert_that_cuts_a_flight_is_told() -> None:
    answer = answer_to(OFFER, HELLO + record(22, CERTIFICATE) + alert(80))
    assert answer == Chosen(
        protocol="TLSv1.2",
        suite=0xC02F,
        reached="selected",
        certificates=(b"\xaa", b"\xbb\xbb"),
        ended_by=80,
    )


def test_silence_after_the_server_hello() -> None:
    flight = ServerFlight(OFFER)
    assert flight.feed(HELLO) is None
    assert flight.timeout() == Chosen(protocol="TLSv1.2", suite=0xC02F, reached="selected")


def test_messages_out_of_order_end_the_flight() -> None:
    twice = answer_to(OFFER, HELLO + record(22, CERTIFICATE, CERTIFICATE, DONE))
    assert isinstance(twice, Chosen)
    assert twice.reached == "selected"


def test_certificate_status_and_hello_requests_do_not_disturb() -> None:
    status = message(22, bytes.fromhex("01000003aabbcc"))
    answer = answer_to(OFFER, record(22, message(0), server_hello(), CERTIFICATE, status, message(0), DONE))
    assert isinstance(answer, Chosen)
    assert answer.reached == "flight-complete"


def test_a_suite_that_was_not_offered_is_chosen_all_the_same() -> None:
    answer = answer_to(OFFER, record(22, server_hello(suite=0xFEFF), DONE))
    assert isinstance(answer, Chosen)
    assert answer.suite == 0xFEFF


# Endings before it.


@pytest.mark.parametrize("how", ["eof", "reset"])
def test_an_end_without_a_word(how: Literal["eof", "reset"]) -> None:
    assert ServerFlight(OFFER).end(how) == Closed(stage="hello", how=how)


@pytest.mark.parametrize(
    ("data", "where"),
    [
        (HELLO[:3], "a record"),
        (HELLO[:-1], "a record"),
        (record(22, server_hello()[:20]), "a handshake message"),
        (record(21, b"\x02"), "an alert"),
    ],
)
def test_an_end_in_the_middle_is_garbled(data: bytes, where: str) -> None:
    flight = ServerFlight(OFFER)
    assert flight.feed(data) is None
    assert flight.end("eof") == Garbled(stage="hello", reason=f"truncated in {where}", data=data[:64])


@pytest.mark.parametrize("data", [b"", HELLO[:3], HELLO[:-1], alert(112, level=1)])
def test_silence_is_silence_even_in_the_middle(data: bytes) -> None:
    flight = ServerFlight(OFFER)
    assert flight.feed(data) is None
    assert flight.timeout() == Silent(stage="hello")


def test_the_answer_stays_whatever_follows() -> None:
    flight = ServerFlight(OFFER)
    assert flight.feed(alert(40) + FLIGHT) == Refused(alert=40)
    assert flight.feed(FLIGHT) == flight.end("reset") == flight.timeout() == Refused(alert=40)


# What is not TLS.


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"500 5.5.2 Bad syntax\r\n", "plain SMTP text where TLS was expected: '500 5.5.2 Bad syntax'"),
        (b"454-4.7.0 first\r\n454 4.7.0 second\r\n", "plain SMTP text where TLS was expected: '454-4.7.0 first'"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP or HTML where TLS was expected: 'HTTP/1.1 400 Bad Request'"),
        (b"<html><body>\n", "HTTP or HTML where TLS was expected: '<html><body>'"),
        (b"Hello \x1b[31m\xff\n", "plain text where TLS was expected: 'Hello \\x1b[31m\\xff'"),
    ],
)
def test_text_is_recognised(data: bytes, reason: str) -> None:
    line = data[: data.index(b"\n") + 1]
    assert answer_to(OFFER, data) == Garbled(stage="hello", reason=reason, data=line)


def test_text_without_a_line_end_is_told_by_the_end_or_the_timeout() -> None:
    for data in (b"421", b"421 Too many"):
        for ending in ("end", "timeout"):
            flight = ServerFlight(OFFER)
            assert flight.feed(data) is None
            answer = flight.end("eof") if ending == "end" else flight.timeout()
            assert answer == Garbled(
                stage="hello", reason=f"plain SMTP text where TLS was expected: {data.decode()!r}", data=data
            )


def test_a_long_line_is_cut() -> None:
    answer = answer_to(OFFER, b"220 " + b"x" * 5000)
    assert isinstance(answer, Garbled)
    assert answer.data == b"220 " + b"x" * 60


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x00\x01\x02\x03\x04\x05", "not a TLS record: it starts with 0001020304"),
        (b"\x16\x04\x00\x00\x05hello", "not a TLS record: it starts with 1604000005"),
        (b"\x16\x03\x01\x48\x01", "a TLS record of 18433 bytes, 18432 are allowed"),
        (record(23, b"data"), "a record of type 23"),
        (record(22, message(11)), "handshake message 11 in the place of a ServerHello"),
        (record(22, message(2, bytes(20))), "malformed ServerHello: 32 bytes expected, 18 left"),
        (record(22, server_hello(version=(3, 4))), "malformed ServerHello: protocol version 0x0304"),
        (record(22, server_hello(version=(2, 0))), "malformed ServerHello: protocol version 0x0200"),
        (record(22, b"\x02\x04\x00\x01"), "a handshake message of 262145 bytes, 262144 are allowed"),
        (record(21, b"\x03\x28"), "an alert 40 of level 3"),
        (alert(112, level=1) * 17, "more than 16 warning alerts"),
        (record(22, message(0)) * 17, "more than 16 HelloRequests"),
        (record(22) * 33, "more than 32 empty TLS records"),
    ],
)
def test_what_is_not_the_protocol_is_garbled(data: bytes, reason: str) -> None:
    answer = answer_to(OFFER, data)
    assert isinstance(answer, Garbled)
    assert answer.stage == "hello"
    assert reason in answer.reason
    assert len(answer.data) <= 64
    assert data.startswith(answer.data)


def test_a_version_that_nobody_named_is_garbled() -> None:
    # A draft of TLS 1.3, as servers spoke it in 2018: 0x7f1c in supported_versions.
    draft = tlslite_extensions.SrvSupportedVersionsExtension().create((0x7F, 0x1C))
    answer = answer_to(OFFER, record(22, server_hello(extensions=[draft])))
    assert isinstance(answer, Garbled)
    assert answer.reason == "malformed ServerHello: protocol version 0x7f1c"


@pytest.mark.parametrize("version", [0x0300, 0x0301, 0x0302, 0x0303, 0x0304])
def test_any_record_version_will_do(version: int) -> None:
    answer = answer_to(OFFER, record(22, server_hello(), CERTIFICATE, DONE, version=version))
    assert isinstance(answer, Chosen)
    assert answer.protocol == "TLSv1.2"


def test_a_chain_is_bounded() -> None:
    def flight(count: int) -> bytes:
        entries = b"\0\0\1x" * count
        return record(22, server_hello(), message(11, len(entries).to_bytes(3, "big") + entries), DONE)

    kept, cut = answer_to(OFFER, flight(64)), answer_to(OFFER, flight(65))
    assert isinstance(kept, Chosen)
    assert isinstance(cut, Chosen)
    assert (len(kept.certificates), kept.reached) == (64, "flight-complete")
    assert (len(cut.certificates), cut.reached) == (0, "selected")


def test_a_flight_is_bounded() -> None:
    # Two messages of the longest kind, in the longest records that may be.
    body = bytes(2**18)
    stream = server_hello() + message(23, body) + message(11, body)
    flight, fed = ServerFlight(OFFER), 0
    for at in range(0, len(stream), 2**14):
        fed += 1
        if flight.feed(record(22, stream[at : at + 2**14])) is not None:
            break
    assert flight.end("eof") == Chosen(protocol="TLSv1.2", suite=0xC02F, reached="selected")
    assert fed == 32  # 512 KiB


# The structure of ServerKeyExchange, from the RFCs.


def block(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


def prime(number: int) -> str:
    """How a prime is known."""
    return sha256(number.to_bytes(number.bit_length() // 8, "big")).hexdigest()


POINT = b"\x41\x04" + bytes(64)
SIGNATURE = block(b"s" * 256)
FIELD = block(OAKLEY_2.to_bytes(128, "big")) + block(b"\x02") + block(b"\x7f" * 128)


@pytest.mark.parametrize(
    ("body", "key"),
    [
        # RFC 8422 §5.4, with the signature of TLS 1.2, of TLS 1.0, and anonymous
        (b"\x03\x00\x17" + POINT + b"\x04\x01" + SIGNATURE, ServerKey(group=23, scheme=0x0401)),
        (b"\x03\x00\x17" + POINT + SIGNATURE, ServerKey(group=23)),
        (b"\x03\x00\x17" + POINT, ServerKey(group=23)),
        (b"\x03\x1a\x1a" + POINT, ServerKey(group=0x1A1A)),
        # RFC 5489 §2: a PSK hint before it
        (block(b"") + b"\x03\x00\x17" + POINT, ServerKey(group=23)),
        (block(b"hint") + b"\x03\x00\x17" + POINT, ServerKey(group=23)),
        # RFC 5246 §7.4.3, and RFC 4279 §3 with a hint
        (FIELD + b"\x04\x01" + SIGNATURE, ServerKey(dh_bits=1024, dh_prime=prime(OAKLEY_2), scheme=0x0401)),
        (FIELD + SIGNATURE, ServerKey(dh_bits=1024, dh_prime=prime(OAKLEY_2))),
        (FIELD, ServerKey(dh_bits=1024, dh_prime=prime(OAKLEY_2))),
        (block(b"") + FIELD, ServerKey(dh_bits=1024, dh_prime=prime(OAKLEY_2))),
        (block(b"hint") + FIELD, ServerKey(dh_bits=1024, dh_prime=prime(OAKLEY_2))),
        # leading zeros do not make it another prime
        (block(b"\0" + OAKLEY_2.to_bytes(128, "big")) + FIELD[130:], ServerKey(dh_bits=1024, dh_prime=prime(OAKLEY_2))),
        # a prime of 6144 bits: its length starts with the 3 of named_curve
        (
            block(b"\xff" * 768) + block(b"\x02") + block(b"\x7f" * 768),
            ServerKey(dh_bits=6144, dh_prime=prime(2**6144 - 1)),
        ),
        # an explicit curve, a hint alone, nothing, garbage
        (b"\x01\x00\x01\x17" + POINT, ServerKey()),
        (block(b"hint"), ServerKey()),
        (b"", ServerKey()),
        (b"\x03\x00\x17", ServerKey()),
        # RSA_EXPORT (RFC 2246 §7.4.3): modulus, exponent, and a signature by the longer key
        (block(b"\xc1" * 64) + block(b"\x01\x00\x01") + block(b"\x7f" * 128), ServerKey()),
    ],
)
def test_an_ephemeral_key_is_known_by_its_structure(body: bytes, key: ServerKey) -> None:
    assert read_server_key(body) == key


# What comes with a ServerHello.


def test_openssl_tells_what_it_does_beyond_suites() -> None:
    """OpenSSL does secure renegotiation, tickets and extended master secrets; encrypt-then-MAC where there is a MAC."""
    for protocol, suite, more in (("TLSv1.2", 0xC02F, set()), ("TLSv1.2", 0x002F, {22}), ("TLSv1", 0x002F, {22})):
        answer = ask_openssl(openssl_server(rsa(), newest="TLSv1.2"), protocol, suite)
        assert isinstance(answer, Chosen)
        # renegotiation_info 0xFF01, session_ticket 35, extended_master_secret 23, encrypt_then_mac 22 (IANA)
        assert set(answer.extensions) - {11} == {0xFF01, 35, 23} | more
        assert (answer.compression, answer.heartbeat, answer.staple) == (0, None, False)


def test_a_downgrade_is_told_by_the_end_of_the_random() -> None:
    # RFC 8446 §4.1.3
    for newest, protocol, told in (
        ("TLSv1.3", "TLSv1.2", "to TLSv1.2"),
        ("TLSv1.3", "TLSv1.1", "to TLSv1.1 or older"),
        ("TLSv1.2", "TLSv1.2", None),
    ):
        answer = ask_openssl(openssl_server(rsa(), newest=newest), protocol, 0xC013)
        assert isinstance(answer, Chosen)
        assert answer.downgrade == told


@pytest.mark.parametrize("scheme", [0x0804, 0x0806, 0x0401, 0x0601])
def test_the_signature_scheme_is_the_one_that_was_left_to_choose(scheme: int) -> None:
    answer = ask_openssl(openssl_server(rsa(), newest="TLSv1.2"), "TLSv1.2", 0xC02F, signature_schemes=(scheme,))
    assert isinstance(answer, Chosen)
    assert answer.scheme == scheme


def test_before_tls12_no_scheme_is_named() -> None:
    answer = ask_openssl(openssl_server(rsa()), "TLSv1.1", 0xC013)
    assert isinstance(answer, Chosen)
    assert (answer.group, answer.scheme) == (29, None)


def test_compression_heartbeat_and_staple_are_told() -> None:
    extensions = b"\x00\x0f\x00\x01\x02" + b"\x00\x12\x00\x00"  # heartbeat, peer_not_allowed_to_send; SCT
    body = b"\x03\x03" + RANDOM + b"\0" + b"\xc0\x2f" + b"\1" + len(extensions).to_bytes(2, "big") + extensions
    status = message(22, bytes.fromhex("01000003aabbcc"))
    answer = answer_to(OFFER, record(22, message(2, body), CERTIFICATE, status, DONE))
    assert isinstance(answer, Chosen)
    assert (answer.compression, answer.extensions, answer.heartbeat, answer.staple) == (1, (15, 18), 2, True)


def test_of_endless_extensions_the_first_are_kept() -> None:
    extensions = b"".join(number.to_bytes(2, "big") + b"\0\0" for number in range(1000, 9000))
    body = b"\x03\x03" + RANDOM + b"\0" + b"\xc0\x2f" + b"\0" + len(extensions).to_bytes(2, "big") + extensions
    hello = message(2, body)
    answer = answer_to(OFFER, record(22, hello[: 2**14]) + record(22, hello[2**14 :], DONE))
    assert isinstance(answer, Chosen)
    assert answer.extensions == tuple(range(1000, 1064))


@given(st.binary(max_size=80))
def test_any_server_key_exchange_is_read_without_raising(body: bytes) -> None:
    assert isinstance(read_server_key(body), ServerKey)


# For any bytes in any pieces.


@cache
def real_flights() -> tuple[bytes, ...]:
    """Flights of OpenSSL and tlslite-ng: complete, retried, encrypted after the ServerHello, refused."""
    offers = (
        OFFER,
        Offer(protocol="TLSv1.3", suites=(0x1301,)),
        Offer(protocol="TLSv1.3", suites=(0x1301,), key_shares=(29,)),
        Offer(protocol="SSLv3", suites=(0x002F,)),
    )
    context = openssl_server(rsa())
    hellos = [encode_client_hello(offer, random=RANDOM) for offer in offers]
    return tuple([openssl_flight(context, hello) for hello in hellos] + [tlslite_flight(rsa(), hellos[3])])


records = st.builds(
    lambda kind, payload, version: record(kind, payload, version=version),
    st.sampled_from((20, 21, 22, 22, 22, 23, 24)),
    st.sampled_from((server_hello(), CERTIFICATE, DONE, message(0), b"\1\x70", b"\2\x28", b""))
    | st.binary(max_size=30),
    st.sampled_from((0x0303, 0x0301, 0x0300, 0x0200)),
)
streams = (
    st.binary(max_size=100)
    | st.text(max_size=100).map(lambda text: f"220 {text}\r\n".encode())
    | st.lists(records, max_size=8).map(b"".join)
    | st.builds(lambda first, rest: first + rest, st.just(HELLO), st.lists(records, max_size=8).map(b"".join))
    | st.deferred(lambda: st.sampled_from(real_flights()))
)
any_offer = st.sampled_from((OFFER, Offer(protocol="TLSv1.3", suites=(0x1301,)), Offer(protocol="SSLv2", suites=(1,))))
endings = st.sampled_from(("eof", "reset", "timeout"))


def ended(flight: ServerFlight, how: str) -> Answer:
    if how == "timeout":
        return flight.timeout()
    return flight.end("eof" if how == "eof" else "reset")


@given(any_offer, streams, endings, st.data())
def test_pieces_do_not_change_the_answer(offer: Offer, stream: bytes, how: str, data: st.DataObject) -> None:
    whole, pieces = ServerFlight(offer), ServerFlight(offer)
    whole.feed(stream)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    for start, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        pieces.feed(stream[start:stop])
    assert ended(pieces, how) == ended(whole, how)


@pytest.mark.parametrize("number", range(5))
def test_single_bytes_do_not_change_the_answer(number: int) -> None:
    stream = real_flights()[number]
    flight = ServerFlight(OFFER)
    for at in range(len(stream)):
        flight.feed(stream[at : at + 1])
    assert flight.end("eof") == answer_to(OFFER, stream)


@given(any_offer, streams, endings, st.data())
def test_damage_never_raises_and_is_described_in_printable_ascii(
    offer: Offer, stream: bytes, how: str, data: st.DataObject
) -> None:
    damaged = bytearray(stream)
    for _ in range(data.draw(st.integers(0, 4)) if damaged else 0):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    flight = ServerFlight(offer)
    flight.feed(bytes(damaged))
    answer = ended(flight, how)
    if isinstance(answer, Garbled):
        assert answer.reason.isascii()
        assert answer.reason.isprintable()
        assert len(answer.data) <= 64
        assert damaged.startswith(answer.data)
