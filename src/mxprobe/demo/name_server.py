"""A small name server on loopback: the DNS of the demo's world, from master-file text.

It knows no zones: it has authority over every name, and one that is not in its records does not exist.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdtypes.ANY.CNAME
import dns.rrset
import dns.zonefile
from dns.message import Message, QueryMessage
from dns.name import Name
from dns.rdatatype import RdataType
from dns.rrset import RRset

Transport = Literal["udp", "tcp"]

DEFAULT_TTL = 300
"""Seconds, for records that do not say."""

PORT_TRIES = 20
"""UDP and TCP must have the same port; one that is free for UDP may be taken for TCP."""


@asynccontextmanager
async def name_server(records: str, *, chase: bool = True) -> AsyncIterator[NameServer]:
    """Serve records, written as in a master file (RFC 1035 §5.1) with full names, until the block is left."""
    server = NameServer(records, chase=chase)
    async with server.serving():
        yield server


class NameServer:
    """Answers over UDP and TCP from records. A subclass that overrides `answer` can answer anything.

    `address` is where it is reached while it serves. `questions` lists what was asked: name, type and
    transport. With `chase`, CNAMEs are followed within an answer as resolvers do; without, the asker has
    to ask on.
    """

    def __init__(self, records: str, *, chase: bool = True) -> None:
        self.address: tuple[str, int] = ("", 0)
        self.questions: list[tuple[str, str, Transport]] = []
        self._chase = chase
        # Its TTL and minimum let resolvers remember for DEFAULT_TTL seconds what does not exist (RFC 2308 §5).
        self._soa = dns.rrset.from_text(
            dns.name.root, DEFAULT_TTL, "IN", "SOA", f"ns. postmaster. 1 3600 600 86400 {DEFAULT_TTL}"
        )
        rrsets = dns.zonefile.read_rrsets(records, default_ttl=DEFAULT_TTL)
        self._rrsets = {(rrset.name, rrset.rdtype): rrset for rrset in rrsets}
        self._names = {name.split(depth)[1] for name, _ in self._rrsets for depth in range(1, len(name) + 1)}

    @asynccontextmanager
    async def serving(self, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[None]:
        """Listen on `port` of `host`, 0 for a free one, until the block is left."""
        loop = asyncio.get_running_loop()
        connections: set[asyncio.StreamWriter] = set()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connections.add(writer)
            try:
                await self._converse(reader, writer)
            finally:
                connections.discard(writer)
                writer.close()

        for remaining in reversed(range(PORT_TRIES)):
            udp, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self), local_addr=(host, port))
            served = udp.get_extra_info("sockname")[1]
            try:
                tcp = await asyncio.start_server(connected, host, served)
                break
            except OSError:
                udp.close()
                if not remaining:
                    raise
        self.address = (host, served)
        try:
            yield
        finally:
            udp.close()
            tcp.close()
            for writer in tuple(connections):
                writer.transport.abort()
            await tcp.wait_closed()

    def answer(self, query: Message, transport: Transport) -> tuple[bytes, ...]:
        """The messages to send back; none is silence over UDP, and closes the connection over TCP."""
        return (self.rendered(self.response(query), transport),)

    def response(self, query: Message) -> QueryMessage:
        """The true answer to a query, from the records."""
        response = dns.message.make_response(query, recursion_available=True, our_payload=4096)
        assert isinstance(response, QueryMessage)
        response.flags |= dns.flags.AA
        name, rdtype = query.question[0].name, query.question[0].rdtype
        while (cname := self._rrsets.get((name, RdataType.CNAME))) and rdtype != RdataType.CNAME:
            if cname in response.answer:  # a loop
                return response
            response.answer.append(cname)
            name = _target(cname)
            if not self._chase:
                return response
        if found := self._rrsets.get((name, rdtype)):
            response.answer.append(found)
        else:
            response.authority.append(self._soa)
            if name not in self._names:
                response.set_rcode(dns.rcode.NXDOMAIN)
        return response

    def rendered(self, response: Message, transport: Transport) -> bytes:
        """A response as it goes out: over UDP cut to what the asker takes, with the TC bit (RFC 2181 §9)."""
        size = 65535 if transport == "tcp" else response.request_payload or 512
        return response.to_wire(max_size=size, prefer_truncation=True, want_shuffle=False)

    def handle(self, wire: bytes, transport: Transport) -> tuple[bytes, ...]:
        """The messages to send back for these bytes: none, if they are no question."""
        try:
            query = dns.message.from_wire(wire)
        except dns.exception.DNSException:
            return ()
        if query.flags & dns.flags.QR or len(query.question) != 1:
            return ()
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        self.questions.append((name, RdataType.to_text(question.rdtype), transport))
        return self.answer(query, transport)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                length = int.from_bytes(await reader.readexactly(2), "big")
                replies = self.handle(await reader.readexactly(length), "tcp")
                if not replies:
                    return
                for reply in replies:
                    writer.write(len(reply).to_bytes(2, "big") + reply)
                await writer.drain()
        except (EOFError, ConnectionError):
            return


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: NameServer) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        for reply in self._server.handle(data, "udp"):
            self._transport.sendto(reply, addr)


def _target(cname: RRset) -> Name:
    rdata = cname[0]
    assert isinstance(rdata, dns.rdtypes.ANY.CNAME.CNAME)
    return rdata.target
