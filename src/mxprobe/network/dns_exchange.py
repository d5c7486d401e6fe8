"""One question to one name server: UDP with EDNS, TCP where the answer was truncated, and what the message says.

It imports dnspython, which takes a while: import this module where it is used.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
from dataclasses import dataclass

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdtypes.ANY.CNAME
import dns.rdtypes.ANY.MX
import dns.rdtypes.ANY.SOA
import dns.rdtypes.IN.A
import dns.rdtypes.IN.AAAA
from dns.message import Message
from dns.name import Name
from dns.rdata import Rdata
from dns.rdataclass import RdataClass
from dns.rdatatype import RdataType

from mxprobe.routing.answers import MAX_ALIASES, MxRecord, Question, Record
from mxprobe.routing.route import DnsStatus

EDNS_PAYLOAD = 1232
"""Bytes of the largest UDP answer asked for: it fits IPv6's smallest MTU and is not fragmented (DNS flag day 2020)."""

MAX_STRAYS = 16
"""Datagrams that are no answer (garbage, another id) before we give up: each may come before the true answer, and
somebody who guesses ids must not have us read for ever (RFC 5452 §9.2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerReply:
    """What one name server made of a question.

    `aliases` are the CNAME owners met in this message, `canonical_name` the name after the last one. `complete` is
    false if the message ends in a CNAME and says nothing of the name behind it. `ttl` is how many seconds all this may
    be kept. `unreachable` is a server that nothing could be sent to.
    """

    status: DnsStatus
    canonical_name: str
    records: tuple[Record, ...] = ()
    aliases: tuple[str, ...] = ()
    ttl: int = 0
    complete: bool = True
    text: str = ""
    unreachable: bool = False


async def exchange(server: tuple[str, int], question: Question, *, within: float) -> ServerReply:
    """Ask one name server, `within` so many seconds over UDP and as many again over TCP.

    Never raises on what the server does: garbage, wrong ids and unknown answer codes are `malformed`, a truncated
    answer that TCP does not complete is `truncated`.
    """
    try:
        name = dns.name.from_text(question.name)
    except (dns.exception.DNSException, UnicodeError) as error:
        return ServerReply(status="malformed", canonical_name=question.name, text=f"not a name: {error}")
    rdtype = RdataType[question.type]
    outcome = await _exchange(server, dns.message.make_query(name, rdtype, use_edns=0, payload=EDNS_PAYLOAD), within)
    if isinstance(outcome, Message) and outcome.rcode() in _NO_EDNS:
        outcome = await _exchange(server, dns.message.make_query(name, rdtype), within)
    if isinstance(outcome, Message):
        return read_answer(outcome, name, rdtype)
    return ServerReply(
        status=outcome.status, canonical_name=question.name, text=outcome.text, unreachable=outcome.unreachable
    )


_NO_EDNS = (dns.rcode.FORMERR, dns.rcode.NOTIMP, dns.rcode.BADVERS)
"""What servers that do not know EDNS answer to it; they are asked again without (RFC 6891 §7)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Unanswered:
    status: DnsStatus
    text: str
    unreachable: bool = False


class TruncatedError(Exception):
    """The answer has the TC bit (RFC 2181 §9): whatever it holds is not to be used."""


class NoAnswerError(ValueError):
    """Bytes that are not an answer to the query; the text says why."""


async def _exchange(server: tuple[str, int], query: Message, within: float) -> Message | _Unanswered:
    try:
        return await _over_udp(server, query, within)
    except TruncatedError:
        pass
    try:
        return await _over_tcp(server, query, within)
    except TimeoutError:
        reason = "timeout"
    except asyncio.IncompleteReadError:
        reason = "the connection was closed"
    except (OSError, NoAnswerError) as error:
        reason = _reason(error)
    except TruncatedError:
        reason = "truncated there too"
    return _Unanswered(status="truncated", text=f"over TCP: {reason}")


class _Datagrams(asyncio.DatagramProtocol):
    """Keeps what arrives from the one peer of a connected socket."""

    def __init__(self) -> None:
        self.arrived: asyncio.Queue[bytes | Exception] = asyncio.Queue(maxsize=MAX_STRAYS)

    def datagram_received(self, data: bytes, addr: object) -> None:
        self._keep(data)

    def error_received(self, exc: Exception) -> None:
        self._keep(exc)

    def _keep(self, item: bytes | Exception) -> None:
        if not self.arrived.full():
            self.arrived.put_nowait(item)


async def _over_udp(server: tuple[str, int], query: Message, within: float) -> Message | _Unanswered:
    loop = asyncio.get_running_loop()
    try:
        # Connected, on a port of its own: the kernel drops what others send, and tells if nobody listens there.
        transport, protocol = await loop.create_datagram_endpoint(_Datagrams, remote_addr=server)
    except OSError as error:
        return _Unanswered(status="timeout", text=_reason(error), unreachable=True)
    stray = ""
    try:
        async with asyncio.timeout(within):
            transport.sendto(query.to_wire())
            for _ in range(MAX_STRAYS):
                item = await protocol.arrived.get()
                if isinstance(item, Exception):
                    return _Unanswered(status="timeout", text=_reason(item), unreachable=True)
                try:
                    return read_message(query, item)
                except NoAnswerError as error:
                    stray = str(error)
    except TimeoutError:
        pass
    finally:
        transport.close()
    return _Unanswered(status="malformed", text=stray) if stray else _Unanswered(status="timeout", text="timeout")


async def _over_tcp(server: tuple[str, int], query: Message, within: float) -> Message:
    async with asyncio.timeout(within):
        reader, writer = await asyncio.open_connection(*server)
        try:
            wire = query.to_wire()
            writer.write(len(wire).to_bytes(2, "big") + wire)
            length = int.from_bytes(await reader.readexactly(2), "big")
            return read_message(query, await reader.readexactly(length))
        finally:
            writer.close()


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno)
    return str(error) or type(error).__name__


def read_message(query: Message, wire: bytes) -> Message:
    """The answer to `query` that these bytes are.

    Raises:
        NoAnswerError: they are not one; nothing else is raised on any bytes.
        TruncatedError: they are one, with the TC bit.
    """
    truncated = False
    try:
        message = dns.message.from_wire(wire, one_rr_per_rrset=True, raise_on_truncation=True)
    except dns.message.Truncated as error:
        message, truncated = error.message(), True  # type: ignore[no-untyped-call]
    except Exception as error:  # dnspython promises no closed set of errors for a peer's bytes
        raise NoAnswerError(f"not a DNS message ({type(error).__name__})") from error
    if not query.is_response(message):
        raise NoAnswerError("an answer to another question" if message.id == query.id else "an answer with another id")
    if truncated:
        raise TruncatedError
    return message


def read_answer(message: Message, name: Name, rdtype: RdataType) -> ServerReply:
    """What an answer says about a name, after the CNAMEs in it (RFC 1034 §4.3.2, RFC 2181 §10.1)."""
    rcode = message.rcode()
    asked = _text(name)
    if rcode not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        if rcode in _STATUS:
            return ServerReply(status=_STATUS[rcode], canonical_name=asked)
        return ServerReply(status="malformed", canonical_name=asked, text=f"answered {dns.rcode.to_text(rcode)}")

    status: DnsStatus
    aliases: list[Name] = []
    ttls: list[int] = []
    while not (found := _of(message, name, rdtype)) and (cname := _of(message, name, RdataType.CNAME)):
        ttl, rdata = cname[0]
        assert isinstance(rdata, dns.rdtypes.ANY.CNAME.CNAME)
        aliases.append(name)
        ttls.append(ttl)
        name = rdata.target
        if name in aliases or len(aliases) > MAX_ALIASES:
            return ServerReply(status="loop", canonical_name=asked, aliases=tuple(map(_text, aliases)))

    denial = _denial(message, name)
    complete = True
    if found:
        status = "ok"
        ttls += [ttl for ttl, _ in found]
    elif rcode == dns.rcode.NXDOMAIN:  # of the last name in the chain (RFC 6604 §3)
        status = "nxdomain"
        ttls.append(denial or 0)  # without an SOA record a denial must not be kept (RFC 2308 §5)
    elif denial is None and aliases:
        status = "no-data"
        complete = False
    elif denial is None and _is_referral(message):
        text = "a referral: this name server does not resolve names for others"
        return ServerReply(status="refused", canonical_name=asked, text=text)
    else:
        status = "no-data"
        ttls.append(denial or 0)
    return ServerReply(
        status=status,
        canonical_name=_text(name),
        records=tuple(_record(rdata) for _, rdata in found),
        aliases=tuple(map(_text, aliases)),
        ttl=min(ttls),
        complete=complete,
    )


_STATUS: dict[dns.rcode.Rcode, DnsStatus] = {dns.rcode.SERVFAIL: "servfail", dns.rcode.REFUSED: "refused"}


def _of(message: Message, name: Name, rdtype: RdataType) -> list[tuple[int, Rdata]]:
    """Records of a name in the answer section, with their TTL."""
    return [
        (rrset.ttl, rdata)
        for rrset in message.answer
        if rrset.name == name and rrset.rdtype == rdtype and rrset.rdclass == RdataClass.IN
        for rdata in rrset
    ]


def _denial(message: Message, name: Name) -> int | None:
    """For how many seconds the SOA record says that something about the name does not exist (RFC 2308 §5)."""
    for rrset in message.authority:
        if rrset.rdtype == RdataType.SOA and name.is_subdomain(rrset.name):
            for rdata in rrset:
                assert isinstance(rdata, dns.rdtypes.ANY.SOA.SOA)
                return min(rrset.ttl, rdata.minimum)
    return None


def _is_referral(message: Message) -> bool:
    """Whether a server that does not recurse points to others: this says nothing about the name (RFC 2308 §2.1)."""
    recursive = bool(message.flags & (dns.flags.RA | dns.flags.AA))
    return not recursive and any(rrset.rdtype == RdataType.NS for rrset in message.authority)


def _record(rdata: Rdata) -> Record:
    match rdata:
        case dns.rdtypes.ANY.MX.MX():
            return MxRecord(preference=rdata.preference, exchange=_text(rdata.exchange))
        case dns.rdtypes.IN.A.A() | dns.rdtypes.IN.AAAA.AAAA():
            return ipaddress.ip_address(rdata.address)
        case dns.rdtypes.ANY.CNAME.CNAME():
            return _text(rdata.target)
    raise AssertionError(rdata)  # only these types are asked for


def _text(name: Name) -> str:
    return name.to_text(omit_final_dot=True).lower()
