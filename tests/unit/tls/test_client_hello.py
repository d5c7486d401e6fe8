"""ClientHellos: ours as other implementations read them, and theirs as we do."""

from __future__ import annotations

import ssl
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from mxprobe.terms import PROTOCOLS, Protocol
from mxprobe.tls.client_hello import ClientHello, decode_client_hello, encode_client_hello
from mxprobe.tls.code_points import GROUPS, VERSIONS, group_name
from mxprobe.tls.offer import Offer
from mxprobe.tls.wire import Truncated, WireError
from servers.memory_servers import TlsliteParser, tlslite_constants, tlslite_messages

RANDOM = bytes(range(32))
CAPTURED = Path(__file__).parents[2] / "data" / "hellos"
TLS: tuple[Protocol, ...] = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")

uint16 = st.integers(0, 0xFFFF)
lists16 = st.lists(uint16, max_size=40).map(tuple)
offers = st.builds(
    Offer,
    protocol=st.sampled_from(("SSLv3", *TLS)),
    suites=lists16,
    versions=st.just(()) | st.lists(st.sampled_from(PROTOCOLS[1:]), min_size=1, unique=True).map(tuple),
    server_name=st.none() | st.from_regex(r"[a-z]{1,20}(\.[a-z]{1,20}){0,4}", fullmatch=True),
    groups=st.none() | lists16,
    signature_schemes=st.none() | lists16,
    key_shares=st.lists(st.sampled_from((29, 23, 24)), unique=True).map(tuple),
    compression=st.sampled_from(((0,), (1, 0), (1, 64, 0))),
    status_request=st.booleans(),
    # by number not one that the hello has anyway, nor one that tlslite reads as something particular
    extensions=st.dictionaries(st.integers(0x2000, 0x2FFF), st.binary(max_size=9), max_size=3).map(
        lambda found: tuple(found.items())
    ),
    legacy_version=st.none() | st.integers(0x0301, 0x0310),
    least_length=st.sampled_from((0, 300, 600, 1800)),
)


def captured(name: str) -> bytes:
    """A hello from `tests/data/hellos`; lines with # say where it is from."""
    lines = (CAPTURED / name).read_text().splitlines()
    return bytes.fromhex("".join(line for line in lines if not line.startswith("#")))


def read_by_tlslite(hello: bytes) -> Any:
    """What tlslite-ng reads in a hello of one record."""
    assert hello[0] == 22
    assert int.from_bytes(hello[3:5], "big") == len(hello) - 5
    assert hello[5] == 1
    return tlslite_messages.ClientHello().parse(TlsliteParser(bytearray(hello[6:])))


def hello_of(protocol: Protocol, **options: Any) -> bytes:
    return encode_client_hello(Offer(protocol=protocol, **{"suites": (0x002F, 0x1301)} | options), random=RANDOM)


@given(offers, st.binary(min_size=32, max_size=32))
def test_an_offer_comes_back(offer: Offer, random: bytes) -> None:
    hello = decode_client_hello(encode_client_hello(offer, random=random))

    versions = offer.versions or (offer.protocol,)
    scsv = () if versions == ("TLSv1.3",) or 0xFF in offer.suites else (0xFF,)
    assert hello.suites == offer.suites + scsv
    assert hello.random == random
    assert hello.compression == offer.compression
    assert hello.legacy_version == (offer.legacy_version or min(VERSIONS[offer.protocol], 0x0303))
    if offer.protocol == "SSLv3":
        assert (hello.record_version, hello.extensions) == (0x0300, ())
        return
    assert hello.record_version == 0x0301
    assert hello.server_name == offer.server_name
    listed = offer.versions or (("TLSv1.3",) if offer.protocol == "TLSv1.3" else None)
    assert hello.versions == (listed and tuple(VERSIONS[version] for version in listed))
    if offer.groups is not None:
        assert hello.groups == (offer.groups or None)
    if offer.signature_schemes is not None:
        assert hello.signature_schemes == (offer.signature_schemes or None)
    assert hello.key_shares == (offer.key_shares if "TLSv1.3" in versions else None)
    assert set(offer.extensions) <= set(hello.extensions)
    assert (5 in hello.extension_types) == offer.status_request


@given(offers, st.integers(1, 700))
def test_a_fragmented_hello_is_the_same_hello(offer: Offer, longest: int) -> None:
    plain = encode_client_hello(offer, random=RANDOM)
    pieces = encode_client_hello(replace(offer, record_length=longest), random=RANDOM)
    assert decode_client_hello(pieces) == decode_client_hello(plain)
    assert len(pieces) - len(plain) == 5 * (-(-(len(plain) - 5) // longest) - 1)


@given(offers)
def test_a_hello_is_as_long_as_it_should_be_at_least(offer: Offer) -> None:
    length = len(encode_client_hello(offer, random=RANDOM)) - 5
    if offer.protocol != "SSLv3":
        assert length >= offer.least_length
        assert not 256 <= length <= 511 or not decode_client_hello(encode_client_hello(offer, random=RANDOM)).extensions


def test_an_extension_that_is_there_anyway_is_replaced() -> None:
    hello = decode_client_hello(hello_of("TLSv1.2", extensions=((35, b"ticket"),)))
    assert [body for number, body in hello.extensions if number == 35] == [b"ticket"]


@given(offers)
def test_tlslite_reads_the_same_as_we_do(offer: Offer) -> None:
    hello = encode_client_hello(offer, random=RANDOM)
    theirs, ours = read_by_tlslite(hello), decode_client_hello(hello)
    assert tuple(theirs.cipher_suites) == ours.suites
    assert bytes(theirs.random) == ours.random
    assert bytes(theirs.session_id) == ours.session_id
    assert theirs.client_version == divmod(ours.legacy_version, 256)
    assert tuple(extension.extType for extension in theirs.extensions or ()) == ours.extension_types

    def field(number: int, name: str) -> Any:
        extension = theirs.getExtension(number)
        return extension and (getattr(extension, name) or ())

    versions = field(tlslite_constants.ExtensionType.supported_versions, "versions")
    assert ours.versions == (versions and tuple(major << 8 | minor for major, minor in versions))
    groups = field(tlslite_constants.ExtensionType.supported_groups, "groups")
    assert ours.groups == (groups and tuple(groups))
    schemes = field(tlslite_constants.ExtensionType.signature_algorithms, "sigalgs")
    assert ours.signature_schemes == (schemes and tuple(high << 8 | low for high, low in schemes))
    shares = theirs.getExtension(tlslite_constants.ExtensionType.key_share)
    assert ours.key_shares == (shares and tuple(share.group for share in shares.client_shares))
    names = field(tlslite_constants.ExtensionType.server_name, "hostNames")
    assert ours.server_name == (bytes(names[0]).decode() if names else None)


def test_the_usual_extensions_of_each_version() -> None:
    def types(protocol: Protocol, **options: Any) -> set[int]:
        return set(decode_client_hello(hello_of(protocol, server_name="mx.example.test", **options)).extension_types)

    # By number: server_name 0, groups 10, point formats 11, signature_algorithms 13, extended_master_secret 23,
    # supported_versions 43, psk_key_exchange_modes 45, key_share 51 (IANA); padding 21 comes by length alone.
    assert types("SSLv3") == set()
    # and heartbeat 15, signed_certificate_timestamp 18, encrypt_then_mac 22, session_ticket 35
    assert types("TLSv1") - {21} == types("TLSv1.1") - {21} == {0, 10, 11, 15, 18, 22, 23, 35}
    assert types("TLSv1.2") - {21} == {0, 10, 11, 13, 15, 18, 22, 23, 35}
    assert types("TLSv1.3") - {21} == {0, 10, 13, 43, 45, 51}
    both = ("TLSv1.3", "TLSv1.2")
    assert types("TLSv1.3", versions=both) - {21} == {0, 10, 11, 13, 22, 23, 35, 43, 45, 51}
    assert 5 in types("TLSv1.2", status_request=True)


def test_a_hello_for_tls13_alone_lists_only_what_tls13_allows() -> None:
    hello = decode_client_hello(hello_of("TLSv1.3"))
    # RFC 8446 §4.2.7 and §4.2.3.
    assert set(hello.groups or ()) <= {23, 24, 25, 29, 30, 256, 257, 258, 259, 260}
    assert not {scheme & 0xFF for scheme in hello.signature_schemes or () if scheme < 0x0700} & {2}  # no DSA
    assert not {scheme >> 8 for scheme in hello.signature_schemes or ()} & {1, 3}  # no MD5, no SHA-224


def test_older_hellos_list_every_curve_and_no_finite_field() -> None:
    # RFC 8422, RFC 7027 and RFC 4492 name 1 to 30; a listed finite field forbids the server's own (RFC 7919 §4).
    for protocol in TLS[:3]:
        assert set(decode_client_hello(hello_of(protocol)).groups or ()) == set(range(1, 31))


def test_no_name_for_an_address() -> None:
    # RFC 6066 §3: literal addresses are not permitted.
    for name in ("192.0.2.1", "2001:db8::1"):
        assert decode_client_hello(hello_of("TLSv1.2", server_name=name)).server_name is None
    # and the name has no trailing dot
    assert decode_client_hello(hello_of("TLSv1.2", server_name="mx.example.test.")).server_name == "mx.example.test"


@pytest.mark.parametrize("protocol", TLS)
def test_no_hello_is_256_to_511_bytes_long(protocol: Protocol) -> None:
    # RFC 7685 §4: the length of the record's fragment, that is of the message with its header.
    lengths = []
    for count in range(1, 300):
        hello = hello_of(protocol, suites=tuple(range(count)), server_name="mx.example.test")
        lengths.append(int.from_bytes(hello[3:5], "big"))
        assert decode_client_hello(hello).suites[:count] == tuple(range(count))
    assert not [length for length in lengths if 256 <= length <= 511]
    assert 512 in lengths


def test_a_hello_of_sslv3_is_kept_from_such_a_length_by_the_one_value_that_means_nothing_twice() -> None:
    for count in range(1, 300):
        suites = tuple(range(0x1000, 0x1000 + count))
        hello = hello_of("SSLv3", suites=suites)
        assert not 256 <= int.from_bytes(hello[3:5], "big") <= 511
        decoded = decode_client_hello(hello)
        assert decoded.suites[:count] == suites
        assert set(decoded.suites[count:]) == {0x00FF}  # RFC 5746 §3.3
        assert decoded.extensions == ()


def test_openssl_pads_to_the_same_length() -> None:
    hello = captured("openssl-1.0.1g-client-tls12.hex")
    assert int.from_bytes(hello[3:5], "big") == 512
    assert decode_client_hello(hello).extension_types[-1] == 21


def test_a_hello_beyond_a_record_goes_into_several() -> None:
    suites = tuple(range(0x4000))
    hello = encode_client_hello(Offer(protocol="TLSv1.2", suites=suites), random=RANDOM)
    assert int.from_bytes(hello[3:5], "big") == 2**14  # the most that RFC 8446 §5.1 allows
    assert decode_client_hello(hello).suites == suites


@given(st.lists(st.integers(1, 50)))
def test_a_hello_may_be_split_over_records(lengths: list[int]) -> None:
    whole = hello_of("TLSv1.2")
    rest, records = whole[5:], b""
    for length in [*lengths, len(rest)]:
        piece, rest = rest[:length], rest[length:]
        if piece:
            records += b"\x16\x03\x01" + len(piece).to_bytes(2, "big") + piece
    assert decode_client_hello(records) == decode_client_hello(whole)


def test_the_random_decides_all_that_is_not_the_offer() -> None:
    offer = Offer(protocol="TLSv1.3", suites=(0x1301,), key_shares=(29, 23))
    assert encode_client_hello(offer, random=RANDOM) == encode_client_hello(offer, random=RANDOM)
    one, other = (decode_client_hello(encode_client_hello(offer, random=bytes([n]) * 32)) for n in (1, 2))
    assert one.session_id != other.session_id
    assert len(one.session_id) == 32  # RFC 8446 §D.4
    assert one.extensions != other.extensions


def test_key_shares_are_points_of_their_curves() -> None:
    hello = decode_client_hello(hello_of("TLSv1.3", key_shares=(29, 23, 24)))
    shares = dict(hello.extensions)[51]
    # group, length, point: RFC 8446 §4.2.8
    assert shares[2:6] == bytes.fromhex("001d0020")
    p256, p384 = shares[38:], shares[38 + 4 + 65 :]
    assert p256[:4] == bytes.fromhex("00170041")
    ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), p256[4 : 4 + 65])
    assert p384[:4] == bytes.fromhex("00180061")
    ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP384R1(), p384[4:])


def test_what_cannot_be_offered_is_refused() -> None:
    with pytest.raises(WireError, match="no key share for group 256"):
        hello_of("TLSv1.3", key_shares=(256,))
    with pytest.raises(WireError, match="32 bytes of random expected, 3 given"):
        encode_client_hello(Offer(protocol="TLSv1.2", suites=(1,)), random=b"abc")
    with pytest.raises(WireError, match="does not fit in 2 bytes"):
        hello_of("TLSv1.2", suites=(0x10000,))
    with pytest.raises(WireError, match="not an A-label"):
        hello_of("TLSv1.2", server_name="bücher.example")


def test_a_hello_of_pythons_openssl_is_understood() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers("ECDHE+AESGCM:DHE-RSA-AES128-SHA")
    outgoing = ssl.MemoryBIO()
    tls = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="mx.example.test")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()

    hello = decode_client_hello(outgoing.read())
    configured = [cipher["id"] & 0xFFFF for cipher in context.get_ciphers()]
    assert [suite for suite in hello.suites if suite != 0xFF] == configured
    assert hello.server_name == "mx.example.test"
    assert hello.legacy_version == 0x0303
    assert hello.versions is not None
    assert {0x0304, 0x0303} <= set(hello.versions)
    assert hello.key_shares == (29,)  # OpenSSL 3 sends one share, of the first of its groups


@pytest.mark.parametrize("name", ["openssl-1.0.1g-client-tls12.hex", "openssl-1.0.1g-client-ssl3.hex"])
def test_a_captured_hello_is_read_as_tlslite_reads_it(name: str) -> None:
    theirs, ours = read_by_tlslite(captured(name)), decode_client_hello(captured(name))
    assert ours.suites == tuple(theirs.cipher_suites)
    assert ours.random == bytes(theirs.random)
    assert ours.extension_types == tuple(extension.extType for extension in theirs.extensions or ())
    assert ours.suites[-1] == 0xFF  # OpenSSL puts the SCSV of RFC 5746 last


def test_unknown_extensions_and_numbers_survive() -> None:
    # A hello with GREASE (RFC 8701): suite 0x0A0A, group 0x1A1A, extension 0x2A2A with a body.
    body = (
        "0303"
        + "00" * 32
        + "00"
        + "0004"
        + "0a0a1301"
        + "0100"
        + "0011"
        + "2a2a0003616263"
        + "000a0006"
        + "00041a1a001d"
    )
    message = "010000" + f"{len(body) // 2:02x}" + body
    hello = decode_client_hello(bytes.fromhex(f"160301{len(message) // 2:04x}" + message))
    assert hello == ClientHello(
        record_version=0x0301,
        legacy_version=0x0303,
        random=bytes(32),
        session_id=b"",
        suites=(0x0A0A, 0x1301),
        groups=(0x1A1A, 29),
        extensions=((0x2A2A, b"abc"), (10, bytes.fromhex("00041a1a001d"))),
    )


def test_a_beginning_is_truncated() -> None:
    hello = hello_of("TLSv1.2", server_name="mx.example.test")
    for length in range(len(hello)):
        with pytest.raises(Truncated):
            decode_client_hello(hello[:length])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"EHLO probe.example\r\n", "not a TLS record"),
        (bytes.fromhex("15030100020228"), "record of type 21"),
        (bytes.fromhex("160301000402000000"), "handshake message 2"),
        (bytes.fromhex("1603010004010000000a"), "malformed ClientHello|left over"),
        (bytes.fromhex("160301000401000000"), "malformed ClientHello: 2 bytes expected, 0 left"),
        (hello_of("TLSv1.2") + b"x", "1 bytes left over"),
    ],
)
def test_what_is_no_hello_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(WireError, match=reason) as refused:
        decode_client_hello(data)
    assert not isinstance(refused.value, Truncated)


def complaint(data: bytes) -> str:
    """Why the reader refuses these bytes; empty if it does not."""
    try:
        decode_client_hello(data)
    except WireError as error:
        return str(error)
    return ""


@given(st.binary() | st.binary().map(lambda data: b"\x16\x03\x01" + len(data).to_bytes(2, "big") + data))
def test_any_bytes_raise_nothing_but_wire_error(data: bytes) -> None:
    text = complaint(data)
    assert text.isascii()
    assert text.isprintable()


@given(offers, st.data())
def test_any_damage_raises_nothing_but_wire_error(offer: Offer, data: st.DataObject) -> None:
    hello = bytearray(encode_client_hello(offer, random=RANDOM))
    for _ in range(data.draw(st.integers(1, 4))):
        hello[data.draw(st.integers(0, len(hello) - 1))] = data.draw(st.integers(0, 255))
    assert complaint(bytes(hello)).isprintable()


def test_groups_are_called_as_tlslite_calls_them() -> None:
    theirs = {
        number: name
        for name, number in vars(tlslite_constants.GroupName).items()
        if isinstance(number, int) and number < 0xFE00
    }
    shared = theirs.keys() & GROUPS.keys()
    assert len(shared) >= 30
    assert {number: group_name(number).lower() for number in shared} == {
        number: theirs[number].replace("_", "").lower() for number in shared
    }
    assert group_name(0x1A1A) == "0x1A1A"
