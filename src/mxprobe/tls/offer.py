"""What one ClientHello offers, and the closed set of ways in which a server can answer it.

An *offer* is asked over one connection and gets exactly one *answer*. Only `Refused`, and `Closed` at
stage ``hello``, say anything about the offer; every other ending but `Chosen` means that we did not find
out, and a sweep that meets one is incomplete (unknown is never "no").
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from mxprobe.terms import Protocol

Stage = Literal["connect", "greeting", "ehlo", "starttls", "hello", "handshake"]
"""How far a connection had come when it ended: `hello` is after our ClientHello was written."""

Reached = Literal["selected", "flight-complete", "handshake-complete"]
"""How much a server did for a suite: ServerHello; its whole first flight; the whole handshake.

A ServerHello alone is not support: some servers pick what they can never finish.
"""

Sentinel = Literal["to TLSv1.2", "to TLSv1.1 or older"]
"""What the last bytes of a server's random say of it: that it speaks TLS 1.3 and was asked for TLS 1.2, or that it
speaks one of these and was asked for less (RFC 8446 §4.1.3)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What one ClientHello offers.

    `protocol` is the highest version offered, and the only one unless `versions` names more (a natural
    or profile hello). `suites` are code points in our order: 24 bits for SSLv2 kinds, 16 for the rest.
    `groups`, `signature_schemes` and `key_shares` are code points; None means the usual ones of the
    protocol. Key shares are empty by default, so that a TLS 1.3 server answers HelloRetryRequest.
    `server_name` is the SNI. `attempt` tells a repeated question from its first asking.

    The rest makes peculiar hellos, to see what a server does about them. `compression` are code points.
    `status_request` asks for an OCSP response. `extensions` are further ones, verbatim: type and body; one that the
    hello has anyway is replaced. `legacy_version` is written in the place of the version, and says nothing else.
    `record_length` is the most that a record holds (a fragmented hello), `least_length` how long the hello is made by
    padding, in bytes without record headers.

    `hello` is a recorded ClientHello to send again (records included); everything else then says what it offers, for
    those who read the answer. Only what must differ each time is replaced in it (`mxprobe.tls.replay`).
    """

    protocol: Protocol
    suites: tuple[int, ...]
    versions: tuple[Protocol, ...] = ()
    server_name: str | None = None
    groups: tuple[int, ...] | None = None
    signature_schemes: tuple[int, ...] | None = None
    key_shares: tuple[int, ...] = ()
    attempt: int = 1
    compression: tuple[int, ...] = (0,)
    status_request: bool = False
    extensions: tuple[tuple[int, bytes], ...] = ()
    legacy_version: int | None = None
    record_length: int | None = None
    least_length: int = 0
    hello: bytes | None = None

    # Sweeps look offers up all the time, and hundreds of suites take long to hash.
    hashed: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "hashed", hash((self.protocol, self.suites, self.attempt)))

    def __hash__(self) -> int:
        return self.hashed


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The server picked a suite. `suites` holds the list of an SSLv2 server, which picks none itself.

    `protocol` is what the server answered with and may be lower than was asked. `certificates` is the
    Certificate message, DER, leaf first. `group` is the code point of HelloRetryRequest, key_share or
    ServerKeyExchange; `dh_bits` the size of the prime of a DHE key, which names no group, and `dh_prime` the prime's
    SHA-256 in hexadecimal; `scheme` the signature scheme with which the key is signed, which versions before TLS 1.2
    do not name. `ended_by` is the alert that stopped a flight before it was complete. `fault` says why an encrypted
    flight of TLS 1.3 could not be read to its end; empty where nothing was wrong with it.

    `extensions` are the types of the extensions of the ServerHello or HelloRetryRequest, in order and bounded; after
    them come those of EncryptedExtensions and of the leaf's entry in the Certificate, where a flight was decrypted;
    `heartbeat` the mode of RFC 6520 among them, `downgrade` what the end of the random says of a server that speaks
    something newer (RFC 8446 §4.1.3), `staple` whether a CertificateStatus message came.
    """

    kind: Literal["chosen"] = "chosen"
    protocol: Protocol
    suite: int
    suites: tuple[int, ...] = ()
    reached: Reached = "selected"
    certificates: tuple[bytes, ...] = ()
    group: int | None = None
    dh_bits: int | None = None
    dh_prime: str | None = None
    scheme: int | None = None
    hello_retry: bool = False
    ended_by: int | None = None
    fault: str = ""
    extensions: tuple[int, ...] = ()
    compression: int = 0
    heartbeat: int | None = None
    downgrade: Sentinel | None = None
    staple: bool = False
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The server said no: a fatal alert (RFC 8446 §6), or an SSLv2 ERROR (`sslv2_error`)."""

    kind: Literal["refused"] = "refused"
    alert: int | None = None
    sslv2_error: int | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """The server ended the connection without a word; `how` tells FIN from RST."""

    kind: Literal["closed"] = "closed"
    stage: Stage
    how: Literal["eof", "reset"]
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Silent:
    """Nothing came before the time of this stage was over."""

    kind: Literal["silent"] = "silent"
    stage: Stage
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Garbled:
    """What came is not the protocol. `data` holds the first bytes, bounded, as evidence."""

    kind: Literal["garbled"] = "garbled"
    stage: Stage
    reason: str
    data: bytes = b""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttled:
    """The server would not serve this connection now (421, 450, 454, connection refused, no route).

    Also: a session that, other than those before it, does not offer STARTTLS. `reply` is the SMTP reply
    or the error of the operating system.
    """

    kind: Literal["throttled"] = "throttled"
    stage: Stage
    reply: str
    seconds: float = 0.0


Ending = Chosen | Refused | Closed | Silent | Garbled | Throttled
"""How a connection ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unasked:
    """We did not ask: the endpoint had stopped answering, or our own time was over. Says nothing of the offer.

    `after` is the ending after which the endpoint was left alone; None where it was our time.
    """

    kind: Literal["unasked"] = "unasked"
    reason: str
    after: Ending | None = None


Answer = Ending | Unasked
"""What a sweep is told of an offer."""
