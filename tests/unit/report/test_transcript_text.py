"""The transcript of --trace: SMTP lines escaped, TLS records named and dumped, all of it bounded."""

from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from mxprobe.facts import TranscriptEntry
from mxprobe.report.transcript import MAXIMUM_ENTRIES, MAXIMUM_LINES, transcript_lines, transcript_text


def entry(
    direction: Literal[">", "<", "-"],
    layer: Literal["smtp", "tls", "note"],
    data: bytes,
    seconds: float = 0.0,
    connection: int = 0,
) -> TranscriptEntry:
    return TranscriptEntry(seconds=seconds, direction=direction, layer=layer, data=data, connection=connection)


def record(content_type: int, fragment: bytes) -> bytes:
    return bytes((content_type, 3, 3)) + len(fragment).to_bytes(2, "big") + fragment


def message(kind: int, length: int) -> bytes:
    return bytes((kind,)) + length.to_bytes(3, "big") + b"\x00" * length


def titles(*entries: TranscriptEntry) -> list[str]:
    """The lines that are not hex dump, without time and direction."""
    return [line.split("TLS ", 1)[1] for line in transcript_lines(entries) if "TLS " in line]


def test_a_dialogue_with_times_and_directions() -> None:
    text = transcript_text(
        (
            entry("-", "note", b"connected to 192.0.2.1 port 25", 0.012),
            entry("<", "smtp", b"220-mx1 ESMTP\r\n220 ready\r\n", 0.0521),
            entry(">", "smtp", b"EHLO probe.example.org\r\n", 12.3),
        )
    )
    assert text == (
        "    0.012 - connected to 192.0.2.1 port 25\n"
        "    0.052 < 220-mx1 ESMTP\n"
        "            220 ready\n"
        "   12.300 > EHLO probe.example.org\n"
    )


def test_smtp_bytes_are_escaped_and_bare_line_ends_kept_in_sight() -> None:
    text = transcript_text((entry("<", "smtp", b"220 \x1b[2J\xe9\x9b\nbare\rends\r\n"),))
    assert text == "    0.000 < 220 \\x1b[2J\\xe9\\x9b\\x0abare\\x0dends\n"


def test_a_record_has_a_title_and_a_hex_dump() -> None:
    hello = record(22, message(1, 21))
    lines = transcript_text((entry(">", "tls", hello, 0.1),)).splitlines()
    assert lines == [
        "    0.100 > TLS handshake ClientHello (30 bytes)",
        "            0000  16 03 03 00 19 01 00 00  15 00 00 00 00 00 00 00  ................",
        "            0010  00 00 00 00 00 00 00 00  00 00 00 00 00 00        ..............",
    ]


def test_a_flight_is_cut_into_its_records() -> None:
    flight = record(22, message(2, 70)) + record(22, message(11, 900)) + record(22, message(12, 40) + message(14, 0))
    assert titles(entry("<", "tls", flight)) == [
        "handshake ServerHello (79 bytes)",
        "handshake Certificate (909 bytes)",
        "handshake ServerKeyExchange, ServerHelloDone (53 bytes)",
    ]


def test_an_alert_has_its_name() -> None:
    assert titles(entry("<", "tls", record(21, b"\x02\x28"))) == ["alert fatal handshake_failure (40) (7 bytes)"]
    assert "200" in titles(entry("<", "tls", record(21, b"\x02\xc8")))[0]


def test_sslv2_messages_have_theirs() -> None:
    assert titles(entry(">", "tls", b"\x80\x05\x01\x00\x02\x00\x00")) == ["SSLv2 CLIENT-HELLO (7 bytes)"]
    assert titles(entry("<", "tls", b"\x80\x03\x00\x00\x01")) == ["SSLv2 ERROR (5 bytes)"]


def test_what_is_encrypted_is_not_guessed_at() -> None:
    data = record(20, b"\x01") + record(22, b"\x01" * 40) + record(23, b"\x02" * 10)
    assert titles(entry("<", "tls", data)) == [
        "change_cipher_spec (6 bytes)",
        "handshake encrypted (45 bytes)",
        "application_data (15 bytes)",
    ]


def test_records_may_be_cut_by_reads_anywhere() -> None:
    data = record(22, message(2, 70))
    assert titles(entry("<", "tls", data[:40]), entry("<", "tls", data[40:] + record(21, b"\x02\x28"))) == [
        "handshake ServerHello (79 bytes, 40 of them here)",
        "record, continued (39 bytes)",
        "alert fatal handshake_failure (40) (7 bytes)",
    ]
    assert titles(entry("<", "tls", data[:3]), entry("<", "tls", data[3:])) == [
        "the first 3 bytes of a record",
        "handshake ServerHello (79 bytes)",
    ]


def test_connections_and_directions_are_not_mixed_up() -> None:
    data = record(22, message(2, 70))
    entries = (
        entry("<", "tls", data[:40], connection=1),
        entry("<", "tls", data, connection=2),
        entry(">", "tls", record(22, message(1, 4)), connection=1),
        entry("<", "tls", data[40:], connection=1),
    )
    assert titles(*entries) == [
        "handshake ServerHello (79 bytes, 40 of them here)",
        "handshake ServerHello (79 bytes)",
        "handshake ClientHello (13 bytes)",
        "record, continued (39 bytes)",
    ]
    assert "    0.000 #2 < TLS" in transcript_text(entries)


def test_what_is_no_record_is_shown_as_bytes() -> None:
    assert titles(entry("<", "tls", b"500 what?\r\n")) == ["bytes that are no record (11 bytes)"]


def test_is_bounded() -> None:
    dump = transcript_text((entry("<", "tls", record(23, b"\x00" * 16000)),))
    assert len(dump.splitlines()) == 1 + 128 + 1
    assert "13957 more bytes, not shown" in dump
    assert len(transcript_text((entry("<", "smtp", b"x\r\n" * 5000),)).splitlines()) == MAXIMUM_LINES + 1
    assert len(titles(entry("<", "tls", record(23, b"") * 3000))) == MAXIMUM_LINES
    many = (entry("-", "note", b"x"),) * (MAXIMUM_ENTRIES + 7)
    assert transcript_text(many).splitlines()[-1].endswith("and 7 more events, not shown")
    assert len(transcript_text((entry("<", "smtp", b"x" * 100_000),))) < 1100


@given(st.lists(st.tuples(st.sampled_from(("smtp", "tls", "note")), st.binary(max_size=300)), max_size=8))
def test_no_bytes_break_it_or_get_through(parts: list[tuple[Literal["smtp", "tls", "note"], bytes]]) -> None:
    text = transcript_text(tuple(entry("<", layer, data) for layer, data in parts))
    assert all(" " <= character <= "~" or character == "\n" for character in text)


@given(st.binary(max_size=60), st.binary(max_size=60), st.integers(0, 80))
def test_every_byte_is_dumped_however_the_stream_was_cut(first: bytes, second: bytes, at: int) -> None:
    data = record(22, first) + record(21, second)
    entries = tuple(entry("<", "tls", part) for part in (data[:at], data[at:]) if part)
    dumped = "".join(line[18:66] for line in transcript_lines(entries) if "TLS " not in line)
    shown = bytes.fromhex(dumped.replace(" ", ""))
    # The beginning of a header is shown when it comes, and again with its record.
    repeated = at if 0 < at < 5 else max(0, at - 5 - len(first)) if at - 5 - len(first) < 5 else 0
    assert len(shown) == len(data) + repeated
