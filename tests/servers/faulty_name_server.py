"""A name server that answers some names wrongly: everything that the DNS of a partner may do to a resolver."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Literal

import dns.flags
import dns.message
import dns.rcode
import dns.rdata
import dns.rrset
from dns.message import Message
from dns.name import Name
from dns.rdataclass import RdataClass
from dns.rdatatype import RdataType

from mxprobe.demo.name_server import NameServer, Transport

Fault = Literal[
    "servfail",
    "refused",
    "notimp",  # to everything
    "formerr-to-edns",  # as servers older than EDNS do; without EDNS the true answer
    "silent",
    "garbage",
    "wrong-id",
    "strays-then-answer",  # an answer with another id and garbage come first, as from a forger
    "other-question",
    "truncated",  # over UDP; TCP has the whole answer
    "truncated-tcp-closes",
    "truncated-tcp-servfail",
    "truncated-twice",
    "referral",
]


class FaultyNameServer(NameServer):
    """Faults by name, or by type and name ("AAAA mx.example.test"), beside a `NameServer`'s true answers.

    `raw_mx` gives names MX records of any bytes, for names that master files cannot hold.
    """

    def __init__(
        self,
        records: str,
        *,
        faults: Mapping[str, Fault],
        raw_mx: Mapping[str, tuple[bytes, ...]],
        chase: bool = True,
    ) -> None:
        super().__init__(records, chase=chase)
        self._faults = faults
        self._raw_mx = raw_mx

    def response(self, query: Message) -> dns.message.QueryMessage:
        response = super().response(query)
        raw = self._raw_mx.get(_name(query.question[0].name))
        if raw and query.question[0].rdtype == RdataType.MX:
            rdatas = [dns.rdata.GenericRdata(RdataClass.IN, RdataType.MX, rdata) for rdata in raw]
            response.set_rcode(dns.rcode.NOERROR)
            response.authority.clear()
            response.answer.append(dns.rrset.from_rdata_list(query.question[0].name, 300, rdatas))
        return response

    def answer(self, query: Message, transport: Transport) -> tuple[bytes, ...]:
        question = query.question[0]
        name = _name(question.name)
        fault = self._faults.get(f"{RdataType.to_text(question.rdtype)} {name}") or self._faults.get(name)
        response = dns.message.make_response(query, recursion_available=True)
        match fault:
            case None:
                return super().answer(query, transport)
            case "servfail" | "refused" | "notimp":
                response.set_rcode(dns.rcode.from_text(fault))
            case "formerr-to-edns":
                if query.edns < 0:
                    return super().answer(query, transport)
                response.set_rcode(dns.rcode.FORMERR)
            case "silent":
                return ()
            case "garbage":
                return (os.urandom(5),)
            case "wrong-id":
                response.id ^= 1
            case "strays-then-answer":
                response.id ^= 1
                return (self.rendered(response, transport), os.urandom(5), *super().answer(query, transport))
            case "other-question":
                other = dns.message.make_query("other.test.", question.rdtype, id=query.id)
                return (self.rendered(self.response(other), transport),)
            case "truncated" | "truncated-tcp-closes" | "truncated-tcp-servfail" | "truncated-twice":
                if transport == "udp" or fault == "truncated-twice":
                    response.flags |= dns.flags.TC
                elif fault == "truncated-tcp-closes":
                    return ()
                elif fault == "truncated-tcp-servfail":
                    response.set_rcode(dns.rcode.SERVFAIL)
                else:
                    return super().answer(query, transport)
            case "referral":
                response = dns.message.make_response(query)
                response.authority.append(dns.rrset.from_text(".", 300, "IN", "NS", "a.root.test."))
        return (self.rendered(response, transport),)


@asynccontextmanager
async def faulty_name_server(
    records: str = "",
    *,
    faults: Mapping[str, Fault] | None = None,
    raw_mx: Mapping[str, tuple[bytes, ...]] | None = None,
    chase: bool = True,
) -> AsyncIterator[FaultyNameServer]:
    """Serve records and faults until the block is left."""
    server = FaultyNameServer(records, faults=faults or {}, raw_mx=raw_mx or {}, chase=chase)
    async with server.serving():
        yield server


def _name(name: Name) -> str:
    return name.to_text(omit_final_dot=True).lower()
