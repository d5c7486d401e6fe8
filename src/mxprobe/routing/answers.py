"""What is asked of the DNS, and what an answer to it is, whoever carries the question."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mxprobe.routing.route import DnsStatus
from mxprobe.terms import IPAddress

RecordType = Literal["A", "AAAA", "CNAME", "MX"]

MAX_ALIASES = 16
"""CNAMEs followed from one name. A hostile zone can make a chain of any length; resolvers give up between 8
and 17 links, so longer ones do not work for anybody's mail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One DNS question in class IN. `name` is lower-case, without the final dot."""

    name: str
    type: RecordType

    def __str__(self) -> str:
        return f"{self.type} of {self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MxRecord:
    """An MX record (RFC 1035 §3.3.9).

    `exchange` is in presentation form (RFC 4343 §2.1: bytes that do not print are ``\\DDD``), lower-case, without
    the final dot; ``.`` is the root, which makes a null MX (RFC 7505).
    """

    preference: int
    exchange: str


Record = MxRecord | IPAddress | str
"""A record of an answer: of MX, of A and AAAA, and the name that a CNAME leads to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsAnswer:
    """How a question ended. `records` are of the type asked, and there are some if and only if `status` is ok.

    `canonical_name` is the name that the CNAMEs of the name asked lead to, as far as they were followed; `aliases` the
    names on the way, the name asked first, and empty if it is no alias. `text` says more about the
    status, for the user.
    """

    status: DnsStatus
    canonical_name: str
    records: tuple[Record, ...] = ()
    aliases: tuple[str, ...] = ()
    text: str = ""
