"""The encrypted flight of TLS 1.3: the trace of RFC 8448, OpenSSL, tlslite-ng, and servers that break the rules."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from functools import cache
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import x25519
from cryptography.x509 import ocsp
from hypothesis import given
from hypothesis import strategies as st
from OpenSSL import SSL

from mxprobe.tls.client_hello import encode_client_hello
from mxprobe.tls.encrypted_flight import EncryptedFlight
from mxprobe.tls.endings import ending_text
from mxprobe.tls.key_schedule import derive_secret, finished_verify_data, handshake_secret
from mxprobe.tls.key_shares import public_share
from mxprobe.tls.offer import Answer, Chosen, Offer
from mxprobe.tls.record_protection import PROTECTIONS, RecordProtection
from mxprobe.tls.server_flight import ServerFlight
from mxprobe.tls.wire import WireError
from servers.certificates import Authority, Issued, make_leaf
from servers.memory_servers import openssl_flight, openssl_server, tlslite_flight
from servers.rfc8448 import SIMPLE_1_RTT as TRACE

RANDOM = bytes(range(32))
OFFER = Offer(protocol="TLSv1.3", suites=(0x1301,), groups=(29, 23), key_shares=(29,), status_request=True)
HELLO = encode_client_hello(OFFER, random=RANDOM)

CHANGE_CIPHER_SPEC = bytes.fromhex("140303000101")


@cache
def rsa() -> Issued:
    return Authority.root().intermediate().leaf("mx.example.test")


def answer_to(flight: bytes, offer: Offer = OFFER, hello: bytes = HELLO) -> Answer:
    reader = ServerFlight(offer, sent=hello)
    return reader.feed(flight) or reader.end("eof")


def chosen(flight: bytes) -> Chosen:
    answer = answer_to(flight)
    assert isinstance(answer, Chosen)
    return answer


def block(width: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return len(body).to_bytes(width, "big") + body


def message(kind: int, body: bytes = b"") -> bytes:
    return bytes((kind,)) + block(3, body)


def extension(number: int, body: bytes) -> bytes:
    return number.to_bytes(2, "big") + block(2, body)


def certificate(*entries: tuple[bytes, bytes]) -> bytes:
    """RFC 8446 §4.4.2: each entry is DER and extensions."""
    return message(11, block(1) + block(3, *(block(3, der) + block(2, extensions) for der, extensions in entries)))


EXTENSIONS = message(8, block(2))
CERTIFICATE = certificate((b"leaf", b""), (b"issuer", b""))
VERIFY = message(15, b"\x08\x04" + block(2, b"signature"))


class Server:
    """A server of TLS_AES_128_GCM_SHA256 that answers `HELLO`, and says whatever it is told."""

    def __init__(self) -> None:
        key = x25519.X25519PrivateKey.from_private_bytes(bytes(31) + b"\1")
        share = b"\x00\x1d" + block(2, key.public_key().public_bytes_raw())
        extensions = extension(43, b"\x03\x04") + extension(51, share)
        hello = message(2, b"\x03\x03" + bytes(32) + b"\0" + b"\x13\x01" + b"\0" + block(2, extensions))
        self.sent = b"\x16\x03\x03" + block(2, hello)
        self.transcript = HELLO[5:] + hello
        shared = key.exchange(x25519.X25519PublicKey.from_public_bytes(public_share(29, RANDOM)))
        secret = handshake_secret("sha256", shared)
        hellos = hashlib.sha256(self.transcript).digest()
        self.secret = derive_secret("sha256", secret, b"s hs traffic", hellos)
        self.client_secret = derive_secret("sha256", secret, b"c hs traffic", hellos)
        self.records = RecordProtection(PROTECTIONS[0x1301], self.secret)

    def says(self, *messages: bytes, size: int = 2**14) -> Server:
        """Send messages together, in records of at most `size` bytes."""
        joined = b"".join(messages)
        self.transcript += joined
        for at in range(0, len(joined), size):
            self.seals(22, joined[at : at + size])
        return self

    def seals(self, kind: int, content: bytes) -> Server:
        self.sent += self.records.seal(kind, content)
        return self

    def plain(self, data: bytes) -> Server:
        self.sent += data
        return self

    def finishes(self, size: int = 2**14) -> Server:
        digest = hashlib.sha256(self.transcript).digest()
        return self.says(message(20, finished_verify_data("sha256", self.secret, digest)), size=size)


def whole(size: int = 2**14) -> bytes:
    server = Server().plain(CHANGE_CIPHER_SPEC)
    return server.says(EXTENSIONS, CERTIFICATE, VERIFY, size=size).finishes(size=size).sent


# What honest servers send.


def test_the_flight_of_the_trace_is_read_and_its_finished_verifies() -> None:
    hellos = TRACE["ClientHello record"][5:] + TRACE["ServerHello record"][5:]
    flight = EncryptedFlight(PROTECTIONS[0x1301], TRACE["shared secret"], hellos)
    assert flight.read(23, TRACE["server record"][5:])
    assert flight.finished
    assert flight.signature_scheme == 0x0804  # rsa_pss_rsae_sha256
    assert flight.certificates == (TRACE["server messages"][51 : 51 + 432],)
    assert [number for number, _ in flight.extensions] == [10, 28, 0]
    assert flight.client_certificate_schemes is None


@pytest.mark.parametrize("group", [29, 23, 24, 25, 30])
@pytest.mark.parametrize("suite", [0x1301, 0x1302, 0x1303])
def test_openssls_flight_is_read_with_every_suite_and_group(suite: int, group: int) -> None:
    offer = Offer(protocol="TLSv1.3", suites=(suite,), groups=(group,), key_shares=(group,))
    hello = encode_client_hello(offer, random=RANDOM)
    answer = answer_to(openssl_flight(openssl_server(rsa()), hello), offer, hello)
    assert isinstance(answer, Chosen)
    assert (answer.protocol, answer.suite, answer.group) == ("TLSv1.3", suite, group)
    assert (answer.reached, answer.certificates, answer.scheme) == ("flight-complete", rsa().chain, 0x0804)
    assert (answer.ended_by, answer.fault) == (None, "")


@pytest.mark.parametrize(("key_type", "scheme"), [("RSA", 0x0804), ("EC", 0x0403), ("Ed25519", 0x0807)])
def test_the_scheme_is_that_of_the_key(key_type: Any, scheme: int) -> None:
    issued = make_leaf("mx.example.test", key_type=key_type)
    flight = openssl_flight(openssl_server(issued), HELLO)
    assert (chosen(flight).certificates, chosen(flight).scheme) == (issued.chain, scheme)


def test_tlslites_flight_is_read_with_its_request_for_a_client_certificate() -> None:
    answer = chosen(tlslite_flight(rsa(), HELLO, reqCert=True, rsaSigHashes=["sha256"]))
    assert (answer.reached, answer.certificates, answer.scheme) == ("flight-complete", rsa().chain, 0x0804)


def test_openssls_staple_is_seen() -> None:
    assert not chosen(openssl_flight(openssl_server(rsa()), HELLO)).staple
    context = openssl_server(rsa())
    # OpenSSL sends nothing that is not a response.
    response = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER)
    der = response.public_bytes(serialization.Encoding.DER)
    context.set_ocsp_server_callback(lambda connection, data: der)
    answer = chosen(openssl_flight(context, HELLO))
    assert answer.staple
    assert 5 in answer.extensions


def test_the_second_of_two_shares_and_a_hello_in_pieces_are_read_too() -> None:
    offer = Offer(protocol="TLSv1.3", suites=(0x1302,), groups=(29, 23), key_shares=(29, 23), record_length=40)
    hello = encode_client_hello(offer, random=RANDOM)
    flight = tlslite_flight(rsa(), hello, eccCurves=["secp256r1"], keyShares=["secp256r1"], dhGroups=[])
    answer = answer_to(flight, offer, hello)
    assert isinstance(answer, Chosen)
    assert (answer.group, answer.reached, answer.certificates) == (23, "flight-complete", rsa().chain)


def test_without_the_hello_or_a_share_nothing_is_decrypted() -> None:
    flight = openssl_flight(openssl_server(rsa()), HELLO)
    assert answer_to(flight, hello=b"") == Chosen(protocol="TLSv1.3", suite=0x1301, group=29, extensions=(43, 51))
    bare = Offer(protocol="TLSv1.3", suites=(0x1301,), groups=(29,))
    hello = encode_client_hello(bare, random=RANDOM)
    answer = answer_to(openssl_flight(openssl_server(rsa()), hello), bare, hello)
    assert isinstance(answer, Chosen)
    assert (answer.hello_retry, answer.reached, answer.fault) == (True, "selected", "")


def test_a_retry_is_the_answer_although_a_share_was_shown() -> None:
    offer = Offer(protocol="TLSv1.3", suites=(0x1301,), groups=(24, 23), key_shares=(24,))
    hello = encode_client_hello(offer, random=RANDOM)
    flight = tlslite_flight(rsa(), hello, eccCurves=["secp256r1"], keyShares=["secp256r1"], dhGroups=[])
    answer = answer_to(flight, offer, hello)
    assert isinstance(answer, Chosen)
    assert (answer.hello_retry, answer.group, answer.reached) == (True, 23, "selected")


def test_an_older_version_is_read_as_without_the_hello() -> None:
    offer = Offer(protocol="TLSv1.3", suites=(0x1301, 0xC02F), versions=("TLSv1.3", "TLSv1.2"), key_shares=(29,))
    hello = encode_client_hello(offer, random=RANDOM)
    flight = openssl_flight(openssl_server(rsa(), newest="TLSv1.2"), hello)
    answer = answer_to(flight, offer, hello)
    assert answer == answer_to(flight, offer, b"")
    assert isinstance(answer, Chosen)
    assert (answer.protocol, answer.reached) == ("TLSv1.2", "flight-complete")


def test_what_came_with_the_flight_is_kept() -> None:
    timestamps = block(2, block(2, b"one"), block(2, b"other"))
    of_leaf = extension(5, b"\1" + block(3, b"response")) + extension(18, timestamps)
    request = message(13, block(1) + block(2, extension(13, block(2, b"\x04\x03\x08\x07"))))
    server = Server().says(message(8, block(2, extension(0, b""))), request)
    server.says(certificate((b"leaf", of_leaf), (b"issuer", extension(18, b"\xff"))), VERIFY).finishes()
    flight = opened(server)
    assert flight.finished
    assert flight.extensions == ((0, b""),)
    assert flight.extension_types == (0, 5, 18)
    assert flight.certificates == (b"leaf", b"issuer")
    assert flight.ocsp_response == b"response"
    assert flight.timestamps == (b"one", b"other")
    assert flight.client_certificate_schemes == (0x0403, 0x0807)


def opened(server: Server) -> EncryptedFlight:
    """The flight of a server, read record by record."""
    key = x25519.X25519PrivateKey.from_private_bytes(bytes(31) + b"\1")
    shared = key.exchange(x25519.X25519PublicKey.from_public_bytes(public_share(29, RANDOM)))
    rest = server.sent
    hello_length = 5 + int.from_bytes(rest[3:5], "big")
    flight = EncryptedFlight(PROTECTIONS[0x1301], shared, HELLO[5:] + rest[5:hello_length])
    rest = rest[hello_length:]
    while rest:
        length = int.from_bytes(rest[3:5], "big")
        flight.read(rest[0], rest[5 : 5 + length])
        rest = rest[5 + length :]
    return flight


# Ends and faults.


@pytest.mark.parametrize("level", [1, 2, 77])
@pytest.mark.parametrize("number", [0, 40, 80, 116, 200])
def test_an_encrypted_alert_ends_the_flight_whatever_its_level(number: int, level: int) -> None:
    answer = chosen(Server().says(EXTENSIONS, CERTIFICATE).seals(21, bytes((level, number))).sent)
    assert (answer.reached, answer.ended_by, answer.fault) == ("selected", number, "")
    assert answer.certificates == (b"leaf", b"issuer")


def test_an_alert_in_plain_text_ends_it_too() -> None:
    answer = chosen(Server().plain(bytes.fromhex("15030300020250")).sent)
    assert (answer.reached, answer.ended_by, answer.fault) == ("selected", 80, "")


def test_user_canceled_is_not_the_end() -> None:
    server = Server().seals(21, b"\1\x5a").says(EXTENSIONS, CERTIFICATE, VERIFY).finishes()
    assert chosen(server.sent).reached == "flight-complete"


@pytest.mark.parametrize("how", ["eof", "reset", "timeout"])
def test_a_flight_that_is_cut_tells_what_came(how: Any) -> None:
    reader = ServerFlight(OFFER, sent=HELLO)
    assert reader.feed(Server().says(EXTENSIONS, CERTIFICATE).sent) is None
    answer = reader.timeout() if how == "timeout" else reader.end(how)
    assert isinstance(answer, Chosen)
    assert (answer.reached, answer.certificates, answer.scheme) == ("selected", (b"leaf", b"issuer"), None)


@pytest.mark.parametrize(
    ("flight", "fault"),
    [
        (Server().plain(b"\x17\x03\x03\x00\x20" + bytes(32)), "that does not decrypt"),
        (Server().plain(b"\x17\x03\x03\x00\x10" + bytes(16)), "an encrypted record of 16 bytes"),
        (Server().plain(CHANGE_CIPHER_SPEC * 2), "the second"),
        (Server().plain(bytes.fromhex("140303000102")), "malformed"),
        (Server().plain(b"\x16\x03\x03" + block(2, EXTENSIONS)), "a record of type 22 in plain text"),
        (Server().plain(b"220 mx.test ESMTP\r\n"), "not a TLS record"),
        (Server().seals(23, b"220 mx.test ESMTP\r\n"), "an encrypted record of type 23"),
        (Server().seals(20, b"\1"), "an encrypted record of type 20"),
        (Server().seals(22, b""), "an empty encrypted handshake record"),
        (Server().seals(21, b"\2\x28\2\x28"), "an alert of 4 bytes"),
        (Server().says(CERTIFICATE), "handshake message 11 out of order"),
        (Server().says(EXTENSIONS, EXTENSIONS), "handshake message 8 out of order"),
        (Server().says(EXTENSIONS, VERIFY), "handshake message 15 out of order"),
        (Server().says(EXTENSIONS, CERTIFICATE).finishes(), "handshake message 20 out of order"),
        (Server().says(EXTENSIONS, message(25)), "handshake message 25 out of order"),
        (Server().says(EXTENSIONS, CERTIFICATE, VERIFY, message(20, bytes(32))), "malformed Finished: it does not"),
        (Server().says(EXTENSIONS, CERTIFICATE, VERIFY, message(20)), "malformed Finished: it does not verify"),
        (Server().says(message(8)), "malformed EncryptedExtensions: "),
        (Server().says(message(8, block(2, extension(0, b"") * 65))), "more than 64 extensions"),
        (Server().says(EXTENSIONS, certificate()), "malformed Certificate: it is empty"),
        (Server().says(EXTENSIONS, message(11, block(1, b"x") + block(3))), "malformed Certificate: it has a context"),
        (Server().says(EXTENSIONS, certificate(*[(b"c", b"")] * 65)), "more than 64 certificates"),
        (Server().says(EXTENSIONS, certificate((b"leaf", extension(5, b"\1")))), "malformed Certificate: "),
        (Server().says(EXTENSIONS, certificate((b"c", extension(18, block(2, bytes(80)))))), "more than 32 "),
        (Server().says(EXTENSIONS, message(13, block(1) + block(2))), "malformed CertificateRequest: "),
        (Server().says(EXTENSIONS, CERTIFICATE, message(15, b"\4")), "malformed CertificateVerify: "),
        (Server().says(b"\x0b\xff\xff\xff"), "a handshake message of 16777215 bytes"),
    ],
)
def test_what_breaks_the_rules_is_the_fault_of_what_was_chosen(flight: Server, fault: str) -> None:
    answer = chosen(flight.sent)
    assert (answer.protocol, answer.suite, answer.reached, answer.ended_by) == ("TLSv1.3", 0x1301, "selected", None)
    assert fault in answer.fault
    assert fault in ending_text(answer)


def server_hello(*extensions: bytes, suite: bytes = b"\x13\x01", behind: bytes = b"") -> bytes:
    body = b"\x03\x03" + bytes(32) + b"\0" + suite + b"\0" + block(2, extension(43, b"\x03\x04"), *extensions)
    return b"\x16\x03\x03" + block(2, message(2, body) + behind)


X25519_SHARE = extension(51, b"\x00\x1d" + block(2, b"\x09" + bytes(31)))


@pytest.mark.parametrize(
    ("hello", "fault"),
    [
        (server_hello(), "without a key share"),
        (server_hello(extension(51, b"\x00\x17" + block(2, b"\4" + bytes(64)))), "for group 23, for which none was"),
        (server_hello(extension(51, b"\x00\x1d" + block(2, bytes(32)))), "that is no public key of group 29"),
        (server_hello(X25519_SHARE, behind=EXTENSIONS), "more in the record of a ServerHello"),
    ],
)
def test_a_server_hello_that_gives_no_secret_is_chosen_with_a_fault(hello: bytes, fault: str) -> None:
    answer = chosen(hello)
    assert (answer.suite, answer.reached) == (0x1301, "selected")
    assert fault in answer.fault


def test_a_suite_that_we_cannot_decrypt_is_chosen_and_no_fault() -> None:
    # TLS_SM4_GCM_SM3, RFC 8998
    answer = chosen(server_hello(X25519_SHARE, suite=b"\x00\xc6"))
    assert (answer.suite, answer.reached, answer.fault) == (0xC6, "selected", "")


def test_endless_records_end() -> None:
    server = Server().says(EXTENSIONS)
    for _ in range(4096):
        server.seals(21, b"\1\x5a")
    assert chosen(server.sent).fault == "more than 4096 records without an end of the server's flight"


# For any bytes in any pieces.


@cache
def real_flights() -> tuple[bytes, ...]:
    return (openssl_flight(openssl_server(rsa()), HELLO), tlslite_flight(rsa(), HELLO), whole(), whole(size=7))


def ended(flight: ServerFlight, how: str) -> Answer:
    if how == "timeout":
        return flight.timeout()
    return flight.end("eof" if how == "eof" else "reset")


@given(st.integers(0, 3), st.sampled_from(("eof", "reset", "timeout")), st.data())
def test_pieces_and_truncation_do_not_change_the_answer(number: int, how: str, data: st.DataObject) -> None:
    stream = real_flights()[number]
    stream = stream[: data.draw(st.integers(0, len(stream)) | st.just(len(stream)))]
    whole_, pieces = ServerFlight(OFFER, sent=HELLO), ServerFlight(OFFER, sent=HELLO)
    whole_.feed(stream)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    for start, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        pieces.feed(stream[start:stop])
    assert ended(pieces, how) == ended(whole_, how)


@pytest.mark.parametrize("number", range(4))
def test_single_bytes_do_not_change_the_answer(number: int) -> None:
    stream = real_flights()[number]
    flight = ServerFlight(OFFER, sent=HELLO)
    for at in range(len(stream)):
        flight.feed(stream[at : at + 1])
    assert flight.end("eof") == answer_to(stream)
    assert chosen(stream).reached == "flight-complete"


@given(st.integers(1, 2**14))
def test_the_size_of_the_records_does_not_change_the_answer(size: int) -> None:
    assert answer_to(whole(size)) == answer_to(whole())


@given(st.integers(0, 3), st.data())
def test_a_changed_byte_never_raises_and_never_verifies(number: int, data: st.DataObject) -> None:
    stream = bytearray(real_flights()[number])
    at = data.draw(st.integers(0, len(stream) - 1))
    stream[at] ^= data.draw(st.integers(1, 255))
    answer = answer_to(bytes(stream))
    if isinstance(answer, Chosen) and answer.reached == "flight-complete":
        # The versions of records alone are not vouched for: RFC 8446 §5.1 says to ignore them.
        assert answer == answer_to(real_flights()[number])


anything = st.builds(
    lambda kind, body: message(kind, body),
    st.sampled_from((8, 11, 13, 15, 20, 25, 4, 0)),
    st.binary(max_size=40) | st.sampled_from([each[4:] for each in (EXTENSIONS, CERTIFICATE, VERIFY)]),
)


@given(
    st.lists(
        st.tuples(st.sampled_from((20, 21, 22, 22, 22, 23, 24)), anything | st.binary(max_size=40)),
        max_size=6,
    )
)
def test_any_encrypted_records_make_an_answer(records: list[tuple[int, bytes]]) -> None:
    server = Server()
    for kind, content in records:
        server.seals(kind, content)
    answer = chosen(server.sent)
    assert answer.reached == "selected"
    assert answer.fault.isascii()


@given(st.integers(0, 255), st.binary(max_size=60))
def test_any_record_is_read_or_is_a_wire_error(kind: int, fragment: bytes) -> None:
    flight = EncryptedFlight(PROTECTIONS[0x1303], bytes(32), HELLO[5:])
    with suppress(WireError):
        flight.read(kind, fragment)
    assert not flight.finished


# Leaving.


def test_our_farewell_is_close_notify_under_the_clients_handshake_key() -> None:
    server = Server()
    reader = ServerFlight(OFFER, sent=HELLO)
    reader.feed(server.sent)
    farewell = reader.farewell
    assert farewell is not None
    opening = RecordProtection(PROTECTIONS[0x1301], server.client_secret)
    assert farewell[:5] == b"\x17\x03\x03" + (len(farewell) - 5).to_bytes(2, "big")
    assert opening.open(farewell[5:]) == (21, b"\1\0")


def test_openssl_understands_our_farewell() -> None:
    connection = SSL.Connection(openssl_server(rsa()), None)
    connection.set_accept_state()
    connection.bio_write(HELLO)
    with pytest.raises(SSL.WantReadError):
        connection.do_handshake()
    reader = ServerFlight(OFFER, sent=HELLO)
    reader.feed(connection.bio_read(1 << 20))
    assert reader.farewell is not None
    connection.bio_write(reader.farewell)
    with pytest.raises(SSL.ZeroReturnError):
        connection.do_handshake()
    assert connection.get_shutdown() & SSL.RECEIVED_SHUTDOWN


def test_there_is_no_encrypted_farewell_where_nothing_is_encrypted() -> None:
    reader = ServerFlight(OFFER, sent=HELLO)
    assert reader.farewell is None
    reader.feed(bytes.fromhex("15030300020228"))
    assert reader.farewell is None
