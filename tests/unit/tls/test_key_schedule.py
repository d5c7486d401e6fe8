"""The key schedule and record protection of TLS 1.3, by the trace of RFC 8448 §3."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxprobe.tls.key_schedule import (
    derive_secret,
    early_secret,
    expand_label,
    finished_verify_data,
    handshake_secret,
)
from mxprobe.tls.record_protection import PROTECTIONS, RecordProtection
from mxprobe.tls.wire import WireError
from servers.rfc8448 import SIMPLE_1_RTT as TRACE

AES_128_GCM = PROTECTIONS[0x1301]


def test_the_secrets_up_to_the_handshake_are_those_of_the_trace() -> None:
    early = early_secret("sha256")
    assert early == TRACE["early secret"]
    # SHA-256 of nothing, FIPS 180-4
    nothing = bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    assert derive_secret("sha256", early, b"derived", nothing) == TRACE["derived salt of handshake"]
    assert handshake_secret("sha256", TRACE["shared secret"]) == TRACE["handshake secret"]


@pytest.mark.parametrize(("label", "side"), [(b"c hs traffic", "client"), (b"s hs traffic", "server")])
def test_the_traffic_secrets_and_keys_are_those_of_the_trace(label: bytes, side: str) -> None:
    secret = derive_secret("sha256", TRACE["handshake secret"], label, TRACE["hash of hellos"])
    assert secret == TRACE[f"{side} handshake traffic secret"]
    assert expand_label("sha256", secret, b"key", b"", 16) == TRACE[f"{side} handshake key"]
    assert expand_label("sha256", secret, b"iv", b"", 12) == TRACE[f"{side} handshake iv"]


def test_the_finished_of_the_client_is_that_of_the_trace() -> None:
    secret = TRACE["client handshake traffic secret"]
    verify_data = finished_verify_data("sha256", secret, TRACE["hash up to server Finished"])
    assert verify_data == TRACE["client Finished"][4:]
    assert (
        expand_label("sha256", TRACE["server handshake traffic secret"], b"finished", b"", 32)
        == (TRACE["server finished key"])
    )


def test_records_are_sealed_as_in_the_trace() -> None:
    ours = RecordProtection(AES_128_GCM, TRACE["client handshake traffic secret"])
    assert ours.seal(22, TRACE["client Finished"]) == TRACE["client Finished record"]
    # The second record of a direction has another nonce.
    ours = RecordProtection(AES_128_GCM, TRACE["client application traffic secret"])
    assert ours.seal(23, bytes(range(50))) == TRACE["client application record"]
    assert ours.seal(21, b"\1\0") == TRACE["client close_notify record"]


def test_records_are_opened_as_in_the_trace() -> None:
    theirs = RecordProtection(AES_128_GCM, TRACE["server handshake traffic secret"])
    assert theirs.open(TRACE["server record"][5:]) == (22, TRACE["server messages"])


@pytest.mark.parametrize("suite", PROTECTIONS)
@given(content=st.binary(max_size=300), padding=st.integers(0, 300), kind=st.sampled_from((21, 22, 23)))
def test_what_was_sealed_opens_padded_or_not(suite: int, content: bytes, padding: int, kind: int) -> None:
    secret = bytes(32 if PROTECTIONS[suite].hash_name == "sha256" else 48)
    sealing, opening = (RecordProtection(PROTECTIONS[suite], secret) for _ in range(2))
    assert opening.open(sealing.seal(kind, content)[5:]) == (kind, content)
    # Padding is zeros after the content type (RFC 8446 §5.4): sealed as if the last zero was the type.
    padded = sealing.seal(0, content + bytes((kind,)) + bytes(padding))
    assert len(padded) == 5 + len(content) + 1 + padding + 1 + PROTECTIONS[suite].tag_length
    assert opening.open(padded[5:]) == (kind, content)


@pytest.mark.parametrize("suite", PROTECTIONS)
@given(data=st.data())
def test_a_record_that_was_changed_cut_or_reordered_does_not_open(suite: int, data: st.DataObject) -> None:
    secret = bytes(32 if PROTECTIONS[suite].hash_name == "sha256" else 48)
    record = RecordProtection(PROTECTIONS[suite], secret).seal(22, b"a message")[5:]
    at, change = data.draw(st.integers(0, len(record) - 1)), data.draw(st.integers(1, 255))
    changed = record[:at] + bytes((record[at] ^ change,)) + record[at + 1 :]
    for wrong in (changed, record[:at], record + b"\0"):
        with pytest.raises(WireError):
            RecordProtection(PROTECTIONS[suite], secret).open(wrong)
    opening = RecordProtection(PROTECTIONS[suite], secret)
    opening.open(record)
    with pytest.raises(WireError, match="does not decrypt"):
        opening.open(record)


@pytest.mark.parametrize("suite", PROTECTIONS)
@given(st.binary(max_size=200))
def test_any_bytes_open_or_are_a_wire_error(suite: int, fragment: bytes) -> None:
    with pytest.raises(WireError):
        RecordProtection(PROTECTIONS[suite], bytes(32)).open(fragment)


def test_the_limits_of_a_record_hold() -> None:
    secret = bytes(32)
    sealing, opening = (RecordProtection(AES_128_GCM, secret) for _ in range(2))
    assert opening.open(sealing.seal(23, b"x" * 2**14)[5:]) == (23, b"x" * 2**14)
    # RFC 8446 §5.2, §5.4: 2^14 + 1 bytes inside, 2^14 + 256 outside.
    with pytest.raises(WireError, match="16386 bytes inside, 16385 are allowed"):
        opening.open(sealing.seal(23, b"x" * (2**14 + 1))[5:])
    with pytest.raises(WireError, match="of 16641 bytes"):
        opening.open(bytes(2**14 + 257))
    with pytest.raises(WireError, match="without a content type"):
        RecordProtection(AES_128_GCM, secret).open(RecordProtection(AES_128_GCM, secret).seal(0, bytes(20))[5:])
