"""The encrypted part of a TLS 1.3 server's flight: EncryptedExtensions to Finished (RFC 8446 §4.3, §4.4).

It can be read where our hello showed a key share and the server took it. No sockets: records come in, as they were cut
out of the stream. What is not as it has to be is a `WireError`, and what was read until then stays.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from mxprobe.tls.alerts import CLOSE_NOTIFY, USER_CANCELED, WARNING
from mxprobe.tls.code_points import (
    ALERT,
    APPLICATION_DATA,
    CERTIFICATE,
    CERTIFICATE_REQUEST,
    CERTIFICATE_VERIFY,
    CHANGE_CIPHER_SPEC,
    ENCRYPTED_EXTENSIONS,
    FINISHED,
    HANDSHAKE,
    SERVER_HELLO,
    SIGNATURE_ALGORITHMS,
    SIGNED_CERTIFICATE_TIMESTAMP,
    STATUS_REQUEST,
)
from mxprobe.tls.key_schedule import derive_secret, finished_verify_data, handshake_secret
from mxprobe.tls.key_shares import SHARED_GROUPS, shared_secret
from mxprobe.tls.record_protection import PROTECTIONS, Protection, RecordProtection
from mxprobe.tls.records import MessageReader, RecordReader
from mxprobe.tls.server_messages import MAX_CERTIFICATES, ServerHello
from mxprobe.tls.wire import Reader, WireError, block

# A Certificate of 100 KB, the most that OpenSSL takes by default, in records of 64 bytes, the smallest limit that may
# be agreed (RFC 8449 §4), is 1600 of them.
MAX_RECORDS: Final = 4096

# EncryptedExtensions and CertificateRequest have a handful; IANA has registered some sixty in all.
MAX_EXTENSIONS: Final = 64

# Two or three logs vouch for a certificate (RFC 9162 §6.5 and the policies of browsers).
MAX_TIMESTAMPS: Final = 32

_OCSP: Final = 1

# The order of messages, RFC 8446 §2; each comes once, and only a CertificateRequest may be missing.
_FOLLOWS: Final = {
    0: (ENCRYPTED_EXTENSIONS,),
    ENCRYPTED_EXTENSIONS: (CERTIFICATE_REQUEST, CERTIFICATE),
    CERTIFICATE_REQUEST: (CERTIFICATE,),
    CERTIFICATE: (CERTIFICATE_VERIFY,),
    CERTIFICATE_VERIFY: (FINISHED,),
}


def open_flight(sent: bytes, shares: tuple[int, ...], hello: ServerHello, body: bytes) -> EncryptedFlight | None:
    """The flight that follows a ServerHello with this body; None where its suite is none that we can decrypt, or its
    group one of which we have no key, as in a recorded hello.

    `sent` is the ClientHello that it answers, in its records, and `shares` the groups whose key shares that held.

    Raises:
        WireError: the ServerHello took no share, or one that was not offered, or has none itself.
    """
    protection = PROTECTIONS.get(hello.suite)
    if protection is None:
        return None
    if hello.group is None:
        raise WireError("a ServerHello of TLS 1.3 without a key share")
    if hello.group not in shares:
        raise WireError(f"a key share for group {hello.group}, for which none was offered")
    if hello.group not in SHARED_GROUPS:
        return None
    client_hello = _message_in(sent)
    # The random stands behind the header of the message and the version.
    shared = shared_secret(hello.group, client_hello[6:38], hello.share)
    return EncryptedFlight(protection, shared, client_hello + _message(SERVER_HELLO, body))


class EncryptedFlight:
    """Reads the records that follow a ServerHello.

    `extensions` are those of EncryptedExtensions, type and body; `extension_types` the types of these and then of the
    leaf's in the Certificate. `certificates` are DER, leaf first; `ocsp_response` (RFC 6066 §8) and `timestamps`
    (RFC 6962 §3.3, each a serialized SCT) came with the leaf. `client_certificate_schemes` are the signature schemes
    of a CertificateRequest, None without one. `signature_scheme` is what the server signed the handshake with; the
    signature itself is not verified. `alert` is the one that ended the flight.
    """

    def __init__(self, protection: Protection, shared: bytes, hellos: bytes) -> None:
        """`shared` is the secret of the key exchange, `hellos` both messages, with their headers."""
        self.extensions: tuple[tuple[int, bytes], ...] = ()
        self.extension_types: tuple[int, ...] = ()
        self.certificates: tuple[bytes, ...] = ()
        self.ocsp_response: bytes | None = None
        self.timestamps: tuple[bytes, ...] = ()
        self.client_certificate_schemes: tuple[int, ...] | None = None
        self.signature_scheme: int | None = None
        self.alert: int | None = None

        self._protection = protection
        self._hash_name = protection.hash_name
        self._transcript = hashlib.new(self._hash_name, hellos)
        secret = handshake_secret(self._hash_name, shared)
        hash_of_hellos = self._transcript.digest()
        self._client_secret = derive_secret(self._hash_name, secret, b"c hs traffic", hash_of_hellos)
        self._server_secret = derive_secret(self._hash_name, secret, b"s hs traffic", hash_of_hellos)
        self._records = RecordProtection(protection, self._server_secret)
        self._messages = MessageReader()
        self._count = 0
        self._compatible = False
        self._latest = 0

    @property
    def finished(self) -> bool:
        """Whether the server's Finished came and verified, which vouches for all that was read."""
        return self._latest == FINISHED

    def read(self, content_type: int, fragment: bytes) -> bool:
        """Take the next record; whether the flight is over, by its Finished or by an alert.

        Raises:
            WireError: it does not decrypt, or is not what may come here.
        """
        self._count += 1
        if self._count > MAX_RECORDS:
            raise WireError(f"more than {MAX_RECORDS} records without an end of the server's flight")
        if content_type == CHANGE_CIPHER_SPEC:
            self._change_cipher_spec(fragment)
            return False
        if content_type == APPLICATION_DATA:
            content_type, fragment = self._records.open(fragment)
        elif content_type != ALERT:
            # An alert may come in plain text, of a server that has failed before its keys.
            raise WireError(f"a record of type {content_type} in plain text after the ServerHello")
        if content_type == ALERT:
            return self._is_end(fragment)
        if content_type != HANDSHAKE:
            raise WireError(f"an encrypted record of type {content_type} in the server's flight")
        if not fragment:
            raise WireError("an empty encrypted handshake record")
        self._messages.feed(fragment)
        while not self.finished and (message := self._messages.next_message()) is not None:
            self._take(*message)
        return self.finished

    def farewell(self) -> bytes:
        """The record to leave with: close_notify, under the client's handshake key (RFC 8446 §6.1).

        In plain text GnuTLS and NSS would log it as a record that is broken. A user_canceled before it, as the RFC has
        it for a handshake that is given up, GnuTLS would log as a fatal alert. It is the first record that we
        encrypt: send it once, and nothing else of this handshake.
        """
        return RecordProtection(self._protection, self._client_secret).seal(ALERT, bytes((WARNING, CLOSE_NOTIFY)))

    def _change_cipher_spec(self, fragment: bytes) -> None:
        """The one that a server sends to look like TLS 1.2 to middleboxes; it means nothing (RFC 8446 §5, §D.4)."""
        if fragment != b"\1" or self._compatible:
            raise WireError("a ChangeCipherSpec that is malformed, or the second")
        self._compatible = True

    def _is_end(self, fragment: bytes) -> bool:
        """Whether an alert ends the flight: all do but user_canceled, whatever their level (RFC 8446 §6)."""
        if len(fragment) != 2:
            raise WireError(f"an alert of {len(fragment)} bytes")
        if fragment[1] == USER_CANCELED:
            return False
        self.alert = fragment[1]
        return True

    def _take(self, kind: int, body: bytes) -> None:
        if kind not in _FOLLOWS[self._latest]:
            raise WireError(f"handshake message {kind} out of order")
        try:
            if kind == ENCRYPTED_EXTENSIONS:
                with Reader(body) as reader:
                    self.extensions = _extensions(reader)
                self.extension_types = tuple(number for number, _ in self.extensions)
            elif kind == CERTIFICATE_REQUEST:
                self._certificate_request(body)
            elif kind == CERTIFICATE:
                self._certificate(body)
            elif kind == CERTIFICATE_VERIFY:
                with Reader(body) as reader:
                    scheme = reader.number(2)
                    reader.block(2)
                self.signature_scheme = scheme
            else:
                expected = finished_verify_data(self._hash_name, self._server_secret, self._transcript.digest())
                if not hmac.compare_digest(body, expected):
                    raise WireError("it does not verify")
        except WireError as error:
            raise WireError(f"malformed {_NAMES[kind]}: {error}") from error
        self._transcript.update(_message(kind, body))
        self._latest = kind

    def _certificate_request(self, body: bytes) -> None:
        """RFC 8446 §4.3.2; signature_algorithms has to be in it."""
        with Reader(body) as reader:
            reader.block(1)
            extensions = dict(_extensions(reader))
        with Reader(extensions.get(SIGNATURE_ALGORITHMS, b"")) as schemes:
            self.client_certificate_schemes = schemes.numbers(2, 2)

    def _certificate(self, body: bytes) -> None:
        """RFC 8446 §4.4.2."""
        chain: list[bytes] = []
        of_leaf: tuple[tuple[int, bytes], ...] = ()
        with Reader(body) as reader:
            if reader.block(1):
                raise WireError("it has a context")
            with reader.sub(3) as entries:
                while entries.left:
                    if len(chain) == MAX_CERTIFICATES:
                        raise WireError(f"more than {MAX_CERTIFICATES} certificates")
                    chain.append(entries.block(3))
                    extensions = _extensions(entries)
                    of_leaf = of_leaf if len(chain) > 1 else extensions
        if not chain:
            raise WireError("it is empty")
        self.certificates = tuple(chain)
        self.extension_types += tuple(number for number, _ in of_leaf)
        for number, value in of_leaf:
            if number == STATUS_REQUEST:
                self.ocsp_response = _ocsp_response(value)
            elif number == SIGNED_CERTIFICATE_TIMESTAMP:
                self.timestamps = _timestamps(value)


_NAMES: Final = {
    ENCRYPTED_EXTENSIONS: "EncryptedExtensions",
    CERTIFICATE_REQUEST: "CertificateRequest",
    CERTIFICATE: "Certificate",
    CERTIFICATE_VERIFY: "CertificateVerify",
    FINISHED: "Finished",
}


def _extensions(reader: Reader) -> tuple[tuple[int, bytes], ...]:
    found: list[tuple[int, bytes]] = []
    with reader.sub(2) as extensions:
        while extensions.left:
            if len(found) == MAX_EXTENSIONS:
                raise WireError(f"more than {MAX_EXTENSIONS} extensions")
            found.append((extensions.number(2), extensions.block(2)))
    return tuple(found)


def _ocsp_response(value: bytes) -> bytes | None:
    """The response of a CertificateStatus (RFC 6066 §8); None for one that is not OCSP."""
    reader = Reader(value)
    if reader.number(1) != _OCSP:
        return None
    response = reader.block(3)
    reader.finish()
    return response


def _timestamps(value: bytes) -> tuple[bytes, ...]:
    found: list[bytes] = []
    with Reader(value) as reader, reader.sub(2) as timestamps:
        while timestamps.left:
            if len(found) == MAX_TIMESTAMPS:
                raise WireError(f"more than {MAX_TIMESTAMPS} certificate timestamps")
            found.append(timestamps.block(2))
    return tuple(found)


def _message_in(sent: bytes) -> bytes:
    """The handshake message that these records hold, with its header."""
    records = RecordReader()
    records.feed(sent)
    message = bytearray()
    while (record := records.next_record()) is not None:
        message += record[1]
    return bytes(message)


def _message(kind: int, body: bytes) -> bytes:
    return bytes((kind,)) + block(3, body)
