"""One protocol and one suite against one endpoint, as `openssl s_client` does it, also where it no longer can."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from mxprobe.facts import ProtocolState, TranscriptEntry
from mxprobe.mta.offering import KEY_SHARES
from mxprobe.network.driving import drive
from mxprobe.network.gate import Gate
from mxprobe.network.handshake import Handshake, can_complete, complete_handshake
from mxprobe.network.line import Line
from mxprobe.network.session import Ended
from mxprobe.network.settings import Manners
from mxprobe.probing.endpoint import EndpointTask
from mxprobe.terms import Protocol
from mxprobe.tls.endings import ending_text
from mxprobe.tls.offer import Chosen, Closed, Offer, Reached, Refused
from mxprobe.tls.removal import accepted_versions
from mxprobe.tls.suites import candidates, suite
from mxprobe.tls.sweep import sure_answer
from mxprobe.trust.certificate import Certificate, read_certificate
from mxprobe.trust.verification import Verification, verify_chain


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What one combination came to. `suite` is the number that was agreed, or the one that was asked for."""

    protocol: Protocol
    suite: int | None
    state: ProtocolState
    reason: str = ""
    reached: Reached | None = None
    chain: tuple[Certificate, ...] = ()
    verification: Verification | None = None
    transcript: tuple[TranscriptEntry, ...] = ()


async def try_combination(
    task: EndpointTask, manners: Manners, gate: Gate, protocol: Protocol, number: int | None
) -> Tried:
    """Offer one suite (or, with None, all) in one protocol version.

    OpenSSL completes the handshake where it knows both; our own hello asks where it does not, or where it failed
    for a reason of its own, which would say nothing of the server.
    """
    tried = None
    async with Line(task.endpoint, manners, gate, trace=task.trace) as line:
        if number is not None and can_complete(protocol):
            tried = await _complete(task, manners, line, protocol, number)
        if tried is None:
            tried = await _ask(task, manners, line, protocol, number)
    chosen, state, reason, reached, chain = tried
    return Tried(
        protocol=protocol,
        suite=chosen,
        state=state,
        reason=reason,
        reached=reached,
        chain=tuple(read_certificate(der, chain[n:]) for n, der in enumerate(chain)),
        verification=verify_chain(chain, task.trust, depth_limit=task.verify_depth, time=datetime.now(UTC))
        if chain
        else None,
        transcript=tuple(entry for transcript in line.transcripts for entry in transcript.entries),
    )


_Outcome = tuple[int | None, ProtocolState, str, Reached | None, tuple[bytes, ...]]


async def _complete(
    task: EndpointTask, manners: Manners, line: Line, protocol: Protocol, number: int
) -> _Outcome | None:
    name = suite(number).openssl
    if name is None or not can_complete(protocol, name):
        return None
    opened = await line.open()
    if isinstance(opened, Ended):
        return number, "unknown", ending_text(opened.answer), None, ()
    outcome = await complete_handshake(
        opened, manners.within(line.seconds_left), server_name=task.server_name, protocol=protocol, suite=name
    )
    if isinstance(outcome, Handshake):
        return number, "accepted", "", "handshake-complete", outcome.chain
    if isinstance(outcome.answer, Refused):
        return number, "refused", ending_text(outcome.answer), None, ()
    return None


async def _ask(task: EndpointTask, manners: Manners, line: Line, protocol: Protocol, number: int | None) -> _Outcome:
    name = task.server_name if protocol not in ("SSLv2", "SSLv3") else None
    if number is None:
        return await _any_suite(line, Offer(protocol=protocol, suites=candidates(protocol), server_name=name))
    # A plain close counts only when it comes twice, as in a sweep.
    answer = await drive(line, sure_answer(Offer(protocol=protocol, suites=(number,), server_name=name)))
    match answer:
        case Chosen(ended_by=int()):
            return number, "refused", ending_text(answer), None, answer.certificates
        case Chosen() if answer.protocol != protocol:
            return number, "refused", ending_text(answer), None, ()
        case Chosen() if number == answer.suite or number in answer.suites:
            return number, "accepted", "", answer.reached, answer.certificates
        case Chosen():
            return number, "refused", f"it picked {suite(answer.suite).name}, which was not offered", None, ()
        case Refused() | Closed(stage="hello"):
            return number, "refused", ending_text(answer), None, ()
        case _:
            return number, "unknown", ending_text(answer), None, ()


async def _any_suite(line: Line, offer: Offer) -> _Outcome:
    """Whether a version is spoken at all, by the question that a probe of standard depth asks."""
    found = (await drive(line, accepted_versions([offer])))[offer.protocol]
    if found.state == "refused" and offer.protocol == "TLSv1.3":
        # It may want a key share at once.
        found = (await drive(line, accepted_versions([replace(offer, key_shares=KEY_SHARES)])))[offer.protocol]
    reason = ending_text(found.ending) if found.ending else ""
    if not found.accepted:
        return None, found.state, reason, None, ()
    first = found.accepted[0]
    if first.ended_by is not None:
        return first.suite, "refused", ending_text(first), None, first.certificates
    return first.suite, "accepted", "", first.reached, first.certificates
