"""What a server sends after our ClientHello, read as far as we can: the answer to an offer.

No sockets: bytes come in by `feed` in any pieces, and the answer does not depend on the pieces. Nothing a server sends
raises. Until its ServerHello, what is not the protocol makes a `Garbled`. After it the server has picked a suite, so
whatever follows, the answer is `Chosen`: its `reached` says how far the flight went, and `ended_by` which alert cut it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from mxprobe.tls import sslv2
from mxprobe.tls.alerts import CLOSE_NOTIFY, FATAL, WARNING
from mxprobe.tls.code_points import (
    ALERT,
    CERTIFICATE,
    CERTIFICATE_REQUEST,
    CERTIFICATE_STATUS,
    HANDSHAKE,
    HELLO_REQUEST,
    MIXED_GROUPS,
    SERVER_HELLO,
    SERVER_HELLO_DONE,
    SERVER_KEY_EXCHANGE,
    SUPPLEMENTAL_DATA,
)
from mxprobe.tls.offer import Chosen, Closed, Ending, Garbled, Offer, Reached, Refused, Silent
from mxprobe.tls.records import HEADER_LENGTH, MessageReader, RecordReader, is_record_header
from mxprobe.tls.server_messages import (
    ServerHello,
    ServerKey,
    read_certificate,
    read_server_hello,
    read_server_key,
)
from mxprobe.tls.wire import WireError

if TYPE_CHECKING:
    from mxprobe.tls.encrypted_flight import EncryptedFlight

MAX_EVIDENCE: Final = 64
"""How many bytes of a garbled reply are kept: enough to tell what spoke, small enough to store."""

# Warnings and HelloRequests do nothing. An honest server sends one unrecognized_name, if any.
_MAX_IGNORED = 16

# The order of messages after the ServerHello, RFC 5246 §7.3 and RFC 4680 §2; each may come once.
_ORDER: Final = {
    SUPPLEMENTAL_DATA: 1,
    CERTIFICATE: 2,
    CERTIFICATE_STATUS: 3,
    SERVER_KEY_EXCHANGE: 4,
    CERTIFICATE_REQUEST: 5,
    SERVER_HELLO_DONE: 6,
}

_TEXT: Final = frozenset((*b"\t\r\n", *range(0x20, 0x7F)))


class ServerFlight:
    """Reads the reply to one offer.

    Give it the bytes as they come until it has the answer, or tell it how the connection ended. `seconds` of the
    answer is left for those who have a clock. `sent` is the hello of the offer, as it was written: with it, the flight
    of a TLS 1.3 server that took a key share is read to its Finished; without it, that ends with the ServerHello.
    """

    __slots__ = (
        "_alert",
        "_answer",
        "_certificates",
        "_encrypted",
        "_evidence",
        "_fault",
        "_hello",
        "_ignored",
        "_key",
        "_messages",
        "_offer",
        "_order",
        "_records",
        "_sent",
        "_sslv2",
        "_staple",
        "_warning",
    )

    def __init__(self, offer: Offer, *, sent: bytes = b"") -> None:
        self._offer = offer
        self._sent = sent
        self._answer: Ending | None = None
        self._evidence = b""
        self._records = RecordReader()
        self._messages = MessageReader()
        self._alert = b""
        self._sslv2: sslv2.ReplyReader | None = None
        self._ignored = 0
        self._warning: int | None = None
        self._hello: ServerHello | None = None
        self._order = 0
        self._certificates: tuple[bytes, ...] = ()
        self._key = ServerKey()
        self._staple = False
        self._encrypted: EncryptedFlight | None = None
        self._fault = ""

    @property
    def farewell(self) -> bytes | None:
        """The bytes to leave with where they have to be encrypted; None where an alert in plain text is understood."""
        return None if self._encrypted is None else self._encrypted.farewell()

    def feed(self, data: bytes) -> Ending | None:
        """Take bytes as they came; the answer once it is known, until then None.

        What comes after the answer is ignored.
        """
        if self._answer is not None:
            return self._answer
        if len(self._evidence) < MAX_EVIDENCE:
            self._evidence += data[: MAX_EVIDENCE - len(self._evidence)]
        try:
            if self._sslv2 is not None:
                self._answer = self._sslv2.feed(data)
            else:
                self._records.feed(data)
                self._answer = self._read()
        except WireError as error:
            self._answer = self._broken(str(error))
        return self._answer

    def end(self, how: Literal["eof", "reset"]) -> Ending:
        """The answer, now that the server has ended the connection.

        Before the ServerHello that is `Closed`, or `Refused` if an alert of warning level is all that the server
        said; within a record or message it is `Garbled`.
        """
        if self._answer is None:
            if (chosen := self._cut()) is not None:
                self._answer = chosen
            elif rest := self._rest():
                self._answer = self._unfinished_line() or self._garbled(f"truncated in {rest}")
            elif self._warning is not None:
                self._answer = Refused(alert=self._warning)
            else:
                self._answer = Closed(stage="hello", how=how)
        return self._answer

    def timeout(self) -> Ending:
        """The answer, now that the time is over.

        Before the ServerHello that is `Silent`, be it within a record; only what cannot be TLS is `Garbled`.
        """
        if self._answer is None:
            self._answer = self._cut() or self._unfinished_line() or Silent(stage="hello")
        return self._answer

    # Records

    def _read(self) -> Ending | None:
        while True:
            if self._hello is None and self._records.held >= HEADER_LENGTH:
                start = self._records.peek(HEADER_LENGTH)
                if not is_record_header(start):
                    if self._is_sslv2(start):
                        self._sslv2 = sslv2.ReplyReader()
                        return self._sslv2.feed(self._records.peek(self._records.held))
                    if _TEXT.issuperset(start):
                        return self._line()
            record = self._records.next_record()
            if record is None:
                return None
            content_type, fragment = record
            if self._encrypted is not None:
                answer = self._decrypt(self._encrypted, content_type, fragment)
            elif content_type == HANDSHAKE:
                answer = self._handshake(fragment)
            elif content_type == ALERT:
                answer = self._alerts(fragment)
            else:
                raise WireError(f"a record of type {content_type} in the server's flight")
            if answer is not None:
                return answer

    def _alerts(self, fragment: bytes) -> Ending | None:
        # Several alerts in a record and alerts split over records are allowed before TLS 1.3 (RFC 5246 §6.2.1).
        self._alert += fragment
        while len(self._alert) >= 2:
            level, alert = self._alert[0], self._alert[1]
            self._alert = self._alert[2:]
            if level not in (WARNING, FATAL):
                raise WireError(f"an alert {alert} of level {level}")
            if level == FATAL or alert == CLOSE_NOTIFY:
                return self._cut(alert) or Refused(alert=alert)
            self._warning = alert
            self._ignore("warning alerts")
        return None

    def _ignore(self, what: str) -> None:
        self._ignored += 1
        if self._ignored > _MAX_IGNORED:
            raise WireError(f"more than {_MAX_IGNORED} {what}")

    # Handshake messages

    def _handshake(self, fragment: bytes) -> Ending | None:
        self._messages.feed(fragment)
        while (message := self._messages.next_message()) is not None:
            kind, body = message
            if kind == HELLO_REQUEST:
                self._ignore("HelloRequests")
            elif self._hello is not None:
                if (answer := self._after_hello(kind, body)) is not None:
                    return answer
            elif kind == SERVER_HELLO:
                if (answer := self._server_hello(body)) is not None:
                    return answer
            else:
                raise WireError(f"handshake message {kind} in the place of a ServerHello")
        return None

    def _server_hello(self, body: bytes) -> Ending | None:
        try:
            hello = read_server_hello(body)
        except WireError as error:
            raise WireError(f"malformed ServerHello: {error}") from error
        if hello.hello_retry and hello.group is not None and hello.group not in self._groups():
            raise WireError(f"a HelloRetryRequest for group {hello.group}, which was not offered")
        self._hello = hello
        if hello.protocol != "TLSv1.3":
            return None
        # All that follows is encrypted, or a second ServerHello after our second hello.
        if self._sent and self._offer.key_shares and not hello.hello_retry:
            if self._messages.held:
                raise WireError("more in the record of a ServerHello of TLS 1.3")
            from mxprobe.tls.encrypted_flight import open_flight  # few runs need it

            self._encrypted = open_flight(self._sent, self._offer.key_shares, hello, body)
        return self._chosen("selected") if self._encrypted is None else None

    def _decrypt(self, flight: EncryptedFlight, content_type: int, fragment: bytes) -> Ending | None:
        if not flight.read(content_type, fragment):
            return None
        return self._chosen("flight-complete") if flight.finished else self._cut(flight.alert)

    def _after_hello(self, kind: int, body: bytes) -> Ending | None:
        order = _ORDER.get(kind, 0)
        if order <= self._order:
            raise WireError(f"handshake message {kind} out of order")
        self._order = order
        if kind == CERTIFICATE:
            self._certificates = read_certificate(body)
        elif kind == CERTIFICATE_STATUS:
            # An empty one is no response (RFC 6066 §8: the response is 1 to 2^24-1 bytes).
            self._staple = len(body) > 4
        elif kind == SERVER_KEY_EXCHANGE:
            self._key = read_server_key(body)
        elif kind == SERVER_HELLO_DONE:
            if body:
                raise WireError("a ServerHelloDone that is not empty")
            return self._chosen("flight-complete")
        return None

    def _groups(self) -> tuple[int, ...]:
        """The groups that a HelloRetryRequest may ask for (RFC 8446 §4.1.4): offered, and without a key share."""
        offered = MIXED_GROUPS if self._offer.groups is None else self._offer.groups
        return tuple(group for group in offered if group not in self._offer.key_shares)

    # Endings

    def _chosen(self, reached: Reached, ended_by: int | None = None) -> Chosen:
        assert self._hello is not None
        encrypted = self._encrypted
        return Chosen(
            protocol=self._hello.protocol,
            suite=self._hello.suite,
            reached=reached,
            certificates=self._certificates if encrypted is None else encrypted.certificates,
            group=self._hello.group if self._hello.group is not None else self._key.group,
            dh_bits=self._key.dh_bits,
            dh_prime=self._key.dh_prime,
            hello_retry=self._hello.hello_retry,
            ended_by=ended_by,
            scheme=self._key.scheme if encrypted is None else encrypted.signature_scheme,
            staple=self._staple if encrypted is None else bool(encrypted.ocsp_response),
            extensions=self._hello.extensions + (() if encrypted is None else encrypted.extension_types),
            compression=self._hello.compression,
            heartbeat=self._hello.heartbeat,
            downgrade=self._hello.downgrade,
            fault=self._fault,
        )

    def _cut(self, alert: int | None = None) -> Chosen | None:
        """What a server has chosen whose flight ends here; None before its ServerHello."""
        return None if self._hello is None else self._chosen("selected", alert)

    def _broken(self, reason: str) -> Chosen | Garbled:
        consumed = self._sslv2.consumed if self._sslv2 is not None else self._records.consumed
        if self._hello is not None and self._hello.protocol == "TLSv1.3":
            self._fault = reason
        return self._cut() or self._garbled(reason, self._evidence[:consumed])

    def _garbled(self, reason: str, data: bytes | None = None) -> Garbled:
        return Garbled(stage="hello", reason=reason, data=self._evidence if data is None else data)

    def _rest(self) -> str:
        """Where an end of the stream would be in the middle of something; empty if it would not."""
        if self._sslv2 is not None:
            return "an SSLv2 message"
        if self._records.held:
            return "a record"
        if self._messages.held:
            return "a handshake message"
        return "an alert" if self._alert else ""

    # What is not TLS

    def _line(self) -> Ending | None:
        """A line of text in the place of a record; its end tells more than its start, unless it fills our evidence."""
        line, newline, _ = self._records.peek(MAX_EVIDENCE).partition(b"\n")
        if not newline and len(line) < MAX_EVIDENCE:
            return None
        return self._text(line + newline)

    def _unfinished_line(self) -> Ending | None:
        """The same when no more will come; None if what came could have become a record."""
        rest = b"" if self._sslv2 is not None else self._records.peek(MAX_EVIDENCE)
        return self._text(rest) if rest and _TEXT.issuperset(rest[:HEADER_LENGTH]) else None

    def _text(self, line: bytes) -> Ending:
        if line[:3].isdigit() and line[3:4] in (b" ", b"-", b"\r", b"\n", b""):
            kind = "plain SMTP text"
        elif line.lstrip()[:5].upper() in (b"<HTML", b"<!DOC", b"HTTP/"):
            kind = "HTTP or HTML"
        else:
            kind = "plain text"
        # ascii() escapes whatever is not printable.
        shown = ascii(line.rstrip(b"\r\n").decode("latin-1"))
        consumed = self._records.consumed + len(line)
        return self._garbled(f"{kind} where TLS was expected: {shown}", self._evidence[:consumed])

    def _is_sslv2(self, start: bytes) -> bool:
        """Whether this is a reply in SSLv2, which only may come first.

        A server that speaks nothing newer may answer a later hello by NO-CIPHER-ERROR or its like.
        """
        if self._records.consumed:
            return False
        recorded = self._offer.hello is not None and "SSLv2" in self._offer.versions
        if self._offer.protocol == "SSLv2" or recorded:
            return sslv2.starts_reply(start)
        return start[:3] == b"\x80\x03\x00"
