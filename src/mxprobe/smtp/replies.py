"""SMTP replies: what they are, what EHLO announces, and what a reply at each stage means for a probe."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One SMTP reply (RFC 5321 §4.2): its code and its lines without code, CR and LF."""

    code: int
    lines: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.code} {' / '.join(self.lines)}".rstrip()


Meaning = Literal["ok", "throttled", "refused", "garbled"]
"""What a reply means for the probe: go on; try again later; this server does not serve us; not SMTP."""


def greeting_meaning(reply: Reply) -> Meaning:
    """What a greeting means (RFC 5321 §3.1, §4.3.2). 4xx is throttling; 554 and other 5xx a refusal."""
    return _meaning(reply, ok=220)


def ehlo_meaning(reply: Reply) -> Meaning:
    """What the reply to EHLO, HELO or LHLO means (RFC 5321 §4.1.1.1)."""
    return _meaning(reply, ok=250)


def starttls_meaning(reply: Reply) -> Meaning:
    """What the reply to STARTTLS means (RFC 3207 §4): 220 go on, 454 later, 501/5xx refused."""
    return _meaning(reply, ok=220)


def helo_may_work(reply: Reply) -> bool:
    """Whether a refused EHLO asks for HELO instead: 500, 501, 502, 550 (RFC 5321 §4.1.4), 504 (§4.3.2), and 554, by
    which older servers say that they have no extensions to list (RFC 1869 §4.3)."""
    return reply.code in (500, 501, 502, 504, 550, 554)


def capabilities(reply: Reply) -> tuple[str, ...]:
    """The keyword lines of an EHLO reply, keyword in upper case (RFC 5321 §4.1.1.1).

    The first line is a greeting, whatever it says: a `250-STARTTLS` there is not an offer.
    """
    found = []
    for line in reply.lines[1:]:
        keyword, space, arguments = line.strip().partition(" ")
        if keyword:
            found.append(keyword.upper() + space + arguments)
    return tuple(found)


def offers_starttls(announced: tuple[str, ...]) -> bool:
    """Whether STARTTLS is among the capabilities (RFC 3207 §2)."""
    return any(line.partition(" ")[0] == "STARTTLS" for line in announced)


@lru_cache(64)
def announces_starttls(reply: Reply) -> bool:
    """Whether a reply to EHLO lists STARTTLS. A server gives the same reply to each connection."""
    return offers_starttls(capabilities(reply))


def _meaning(reply: Reply, ok: int) -> Meaning:
    if reply.code == ok:
        return "ok"
    if 400 <= reply.code <= 499:
        return "throttled"
    if 500 <= reply.code <= 599:
        return "refused"
    return "garbled"
