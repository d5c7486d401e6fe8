"""The transcript of ``--trace``: each SMTP line and each TLS record, when it passed and in which direction.

Made to be sent to the partner as evidence: times in seconds, ``>`` what we sent, ``<`` what the server sent, ``-``
notes of our own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mxprobe.facts import TranscriptEntry
from mxprobe.report.escape import printable
from mxprobe.tls.alerts import alert_name
from mxprobe.tls.code_points import ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE

MAXIMUM_ENTRIES = 5000
"""Entries shown. A full sweep has some hundred connections with a dozen entries each."""

MAXIMUM_LINES = 200
"""SMTP lines shown of one entry, and records of one entry: a hostile server sends as many as it likes."""

MAXIMUM_DUMP = 2048
"""Bytes of one record in the hex dump: a ClientHello and most certificates in full."""

_HEADER = 5  # content type, version, length (RFC 8446 §5.1)
_LONGEST_RECORD = 2**14 + 2048  # RFC 5246 §6.2.3

_CONTENT_WORDS = {
    CHANGE_CIPHER_SPEC: "change_cipher_spec",
    ALERT: "alert",
    HANDSHAKE: "handshake",
    APPLICATION_DATA: "application_data",
    24: "heartbeat",
}

# IANA "TLS HandshakeType", those that a server or we can send in mail.
_HANDSHAKE_WORDS = {
    0: "HelloRequest",
    1: "ClientHello",
    2: "ServerHello",
    4: "NewSessionTicket",
    8: "EncryptedExtensions",
    11: "Certificate",
    12: "ServerKeyExchange",
    13: "CertificateRequest",
    14: "ServerHelloDone",
    15: "CertificateVerify",
    16: "ClientKeyExchange",
    20: "Finished",
    22: "CertificateStatus",
    23: "SupplementalData",
    24: "KeyUpdate",
}

_SSLV2_WORDS = {0: "ERROR", 1: "CLIENT-HELLO", 2: "CLIENT-MASTER-KEY", 3: "CLIENT-FINISHED", 4: "SERVER-HELLO"}
_SSLV2_HELLOS = (1, 4)
_ALERT_LEVELS = {1: "warning", 2: "fatal"}


def transcript_text(entries: tuple[TranscriptEntry, ...]) -> str:
    """The transcript, one event a line, TLS records with a hex dump beneath; peer text escaped.

    The number of the connection stands before the direction when there is more than one.
    """
    return "".join(f"{line}\n" for line in transcript_lines(entries))


def transcript_lines(entries: tuple[TranscriptEntry, ...]) -> Iterator[str]:
    """The lines of `transcript_text`, without their newline."""
    numbered = len({entry.connection for entry in entries}) > 1
    streams: dict[tuple[int, str], _Stream] = {}
    for entry in entries[:MAXIMUM_ENTRIES]:
        connection = f" #{entry.connection}" if numbered else ""
        start = f"{entry.seconds:9.3f}{connection} {entry.direction} "
        hang = " " * len(start)
        if entry.layer == "tls":
            stream = streams.setdefault((entry.connection, entry.direction), _Stream())
            for number, record in enumerate(stream.records(entry.data)):
                if number >= MAXIMUM_LINES:
                    yield f"{hang}more records, not shown"
                    break
                yield f"{start if number == 0 else hang}TLS {record.words}"
                yield from (hang + line for line in _dump(record.data))
        else:
            texts = _smtp_lines(entry.data)
            for number, text in enumerate(texts[:MAXIMUM_LINES]):
                yield (start if number == 0 else hang) + text
            if len(texts) > MAXIMUM_LINES:
                yield f"{hang}and {len(texts) - MAXIMUM_LINES} more lines"
    if len(entries) > MAXIMUM_ENTRIES:
        yield f"{'':9} - and {len(entries) - MAXIMUM_ENTRIES} more events, not shown"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    words: str
    data: bytes


class _Stream:
    """One direction of one connection: cuts it into records, wherever reads and writes happened to end.

    It describes rather than checks; what is not a record is shown as bytes.
    """

    def __init__(self) -> None:
        self._header = b""  # the beginning of a record that is too short to say what it is
        self._missing = 0  # bytes of the last record that have not come yet
        self._encrypted = False

    def records(self, data: bytes) -> Iterator[_Record]:
        if self._missing:
            part, data = data[: self._missing], data[self._missing :]
            self._missing -= len(part)
            yield _Record(words=f"record, continued ({len(part)} bytes)", data=part)
        data = self._header + data
        self._header = b""
        while data:
            if len(data) < _HEADER and _may_be_header(data):
                self._header = data
                yield _Record(words=f"the first {len(data)} bytes of a record", data=data)
                return
            words, length = self._describe(data)
            record, data = data[:length], data[length:]
            self._missing = length - len(record)
            cut = f", {len(record)} of them here" if self._missing else ""
            yield _Record(words=f"{words} ({length} bytes{cut})", data=record)

    def _describe(self, data: bytes) -> tuple[str, int]:
        """What the bytes begin with, and how long it claims to be; all of them where it is no record."""
        if data[0] in _CONTENT_WORDS and len(data) >= _HEADER and data[1] == 3:
            length = int.from_bytes(data[3:5], "big")
            if length <= _LONGEST_RECORD:
                return self._describe_record(data[0], data[_HEADER : _HEADER + length]), _HEADER + length
        if (
            len(data) >= 3
            and data[0] & 0x80
            and data[2] in _SSLV2_WORDS
            and (data[2] in _SSLV2_HELLOS or len(data) < 8)
        ):
            length = 2 + (int.from_bytes(data[:2], "big") & 0x7FFF)
            return f"SSLv2 {_SSLV2_WORDS[data[2]]}", length
        return "bytes that are no record", len(data)

    def _describe_record(self, content_type: int, fragment: bytes) -> str:
        words = _CONTENT_WORDS[content_type]
        if content_type == CHANGE_CIPHER_SPEC:
            self._encrypted = True
        elif content_type == HANDSHAKE:
            words += " encrypted" if self._encrypted else f" {_handshake_words(fragment)}"
        elif content_type == ALERT and not self._encrypted and len(fragment) == 2:
            level, description = fragment
            words += f" {_ALERT_LEVELS.get(level, f'level {level}')} {alert_name(description)} ({description})"
        return words


def _may_be_header(data: bytes) -> bool:
    return data[0] in _CONTENT_WORDS or (len(data) < 3 and bool(data[0] & 0x80))


def _handshake_words(fragment: bytes) -> str:
    """The messages that begin in one handshake record; a fragment in the middle of one names none."""
    found: list[str] = []
    at = 0
    while at + 4 <= len(fragment) and len(found) < 10:
        word = _HANDSHAKE_WORDS.get(fragment[at])
        if word is None:
            break
        found.append(word)
        at += 4 + int.from_bytes(fragment[at + 1 : at + 4], "big")
    return ", ".join(found) or "fragment"


def _smtp_lines(data: bytes) -> list[str]:
    """The lines without CR LF. A bare CR or LF stays in its line, escaped: it is evidence (RFC 5321 §2.3.8)."""
    lines = data.removesuffix(b"\r\n").split(b"\r\n")
    return [printable(line.decode("ascii", "surrogateescape"), 1000) for line in lines]


def _dump(data: bytes) -> Iterator[str]:
    """Sixteen bytes a line: offset, hexadecimal, ASCII; at most `MAXIMUM_DUMP` bytes."""
    shown = data[:MAXIMUM_DUMP]
    for at in range(0, len(shown), 16):
        row = shown[at : at + 16]
        text = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in row)
        yield f"{at:04x}  {row[:8].hex(' '):<23}  {row[8:].hex(' '):<23}  {text}"
    if len(data) > len(shown):
        yield f"{len(data) - len(shown)} more bytes, not shown"
