"""The words of the field as types: protocol, next-hop, endpoint. `docs/glossary.md` says what they mean."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Literal, get_args

from mxprobe.errors import InvalidNextHop

Protocol = Literal["SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]
"""A protocol version under the name that OpenSSL and Postfix give it."""

PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)
"""All protocol versions, oldest first."""

State = Literal["yes", "no", "unknown"]
"""The answer of a verdict. *unknown* means that it was not seen, and is never a "no"."""

Service = Literal["smtp", "lmtp", "smtps"]
"""How the dialogue goes: SMTP, LMTP (RFC 2033), or SMTP inside TLS from the first byte (RFC 8314)."""

CertificateKind = Literal["RSA", "RSA-PSS", "ECDSA", "EdDSA", "DSA"]
"""The kind of a certificate's key, which decides the suites and signature schemes that it is good for."""

DEFAULT_PORTS: dict[Service, int] = {"smtp": 25, "lmtp": 24, "smtps": 465}

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True, kw_only=True)
class NextHop:
    """A destination in Postfix syntax, parsed (`postconf(5) relayhost`, `transport(5)`).

    `text` is what the user wrote, without blanks around it: policy tables look it up verbatim. `mx_lookup` is false for
    bracketed names and for addresses. `host` is a lower-case A-label name without a final dot, or the
    textual form of an IP address (then `address` is set).
    """

    text: str
    service: Service
    host: str
    port: int
    mx_lookup: bool
    address: IPAddress | None = None


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Endpoint:
    """One address and port of one MX host: what is dialled, once a run."""

    host: str
    address: str
    port: int
    service: Service = "smtp"

    def __str__(self) -> str:
        """As Postfix logs it: ``mx1.example.com[192.0.2.1]:25``; an address alone stands for itself."""
        if self.host == self.address:
            return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"
        return f"{self.host}[{self.address}]:{self.port}"


_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)\Z")
_ZONE = re.compile(r"[A-Za-z0-9._~-]+\Z")  # RFC 6874 §2; the ipaddress module takes anything
_NAMED_PORTS: dict[str, int] = {"smtp": 25, "lmtp": 24, "smtps": 465, "submissions": 465, "submission": 587}


def parse_next_hop(text: str) -> NextHop:
    """Read a next-hop in Postfix syntax.

    `example.com` and `example.com:port` look MX records up; `[host]` and `[host]:port` do not. An
    IPv4 address needs no brackets; an IPv6 address does, with or without Postfix's `IPv6:` before it.
    Ports are numbers or one of smtp, submission, submissions, smtps, lmtp. Internationalised names become
    A-labels (RFC 5891).

    Raises:
        InvalidNextHop: the text is none of these.
    """

    def invalid(reason: str) -> InvalidNextHop:
        return InvalidNextHop(text, reason)

    rest = written = text.strip()
    service: Service = "smtp"
    for name in DEFAULT_PORTS:
        # "smtp:example.com" names a service, "smtp:25" would be a host called smtp.
        prefix, separator, after = rest.partition(":")
        if separator and prefix.lower() == name and after and not after.isdigit():
            service, rest = name, after
            break
    if not rest:
        raise invalid("it is empty")
    if len(rest) > 300:
        raise invalid("it is longer than any host name")

    if rest.startswith("["):
        inner, bracket, after = rest[1:].partition("]")
        if not bracket:
            raise invalid("the bracket is not closed")
        if after and not after.startswith(":"):
            raise invalid(f"{after!r} follows the bracket")
        host_text, port_text, bracketed = inner, after[1:] if after else None, True
    else:
        host_text, separator, port = rest.partition(":")
        if ":" in port:
            raise invalid("an IPv6 address needs brackets")
        host_text, port_text, bracketed = host_text, port if separator else None, False

    number = DEFAULT_PORTS[service] if port_text is None else _port(port_text)
    if number is None:
        raise invalid(f"{port_text!r} is not a port (1 to 65535)")

    address = _address(host_text)
    if address is not None:
        return NextHop(text=written, service=service, host=str(address), port=number, mx_lookup=False, address=address)
    if host_text.lower().startswith("ipv6:") or ":" in host_text:
        raise invalid(f"{host_text!r} is not an IPv6 address")
    try:
        host = host_name(host_text)
    except ValueError as error:
        raise invalid(str(error)) from error
    return NextHop(text=written, service=service, host=host, port=number, mx_lookup=not bracketed)


def host_name(text: str) -> str:
    """The lower-case A-label form of a host name, without the final dot (RFC 1123 §2.1, RFC 5891).

    Underscores are let through: they are not host names, but they are in the DNS and Postfix dials them.

    Raises:
        ValueError: it is not a host name; the text says why.
    """
    name = text.removesuffix(".")
    if not name:
        raise ValueError("the host name is empty")
    if not name.isascii():
        import idna

        try:
            # The final dot may be one of other scripts, which is ASCII only now.
            name = idna.encode(name, uts46=True).decode("ascii").removesuffix(".")
        except idna.IDNAError as error:
            raise ValueError(f"{text!r} is not an internationalised host name: {error}") from error
    name = name.lower()
    if len(name) > 253:
        raise ValueError("the host name is longer than 253 characters")
    for label in name.split("."):
        if not _LABEL.match(label):
            raise ValueError(f"{label!r} is not a label of a host name")
    if name.rpartition(".")[2].isdigit():
        raise ValueError(f"{text!r} is neither an IP address nor a host name")
    return name


def ehlo_name(text: str) -> str:
    """The argument of EHLO: a host name as A-labels, or an address literal, ``[192.0.2.1]`` or ``[IPv6:2001:db8::1]``
    (RFC 5321 §4.1.1.1, §4.1.3).

    Unlike `host_name` it has no underscores: Postfix, for one, refuses them (``reject_invalid_helo_hostname``).

    Raises:
        ValueError: it is neither; the text says why.
    """
    bare = text.removeprefix("[").removesuffix("]")
    is_literal = text == f"[{bare}]"
    tag, colon, tagged = bare.partition(":")
    try:
        if is_literal and tag.lower() == "ipv6" and colon and "%" not in tagged:
            ipaddress.IPv6Address(tagged)
            return text
        address = ipaddress.ip_address(bare)
    except ValueError:
        if text.startswith("["):
            raise ValueError(f"{text[:100]!r} is no address literal") from None
    else:
        if is_literal and address.version == 4:
            return text
        literal = f"[{address}]" if address.version == 4 else f"[IPv6:{address}]"
        raise ValueError(f"{text[:100]!r} is an address; in EHLO it is {literal}")
    name = host_name(text)
    if "_" in name:
        raise ValueError(f"{text[:100]!r} has an underscore, which is in no host name")
    return name


def _port(text: str) -> int | None:
    if text.lower() in _NAMED_PORTS:
        return _NAMED_PORTS[text.lower()]
    if text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= 65535:
        return int(text)
    return None


def _address(text: str) -> IPAddress | None:
    bare = text[5:] if text.lower().startswith("ipv6:") else text
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        return None
    if address.version == 4:
        return None if bare is not text else address
    return address if address.scope_id is None or _ZONE.match(address.scope_id) else None
