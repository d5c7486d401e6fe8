"""One endpoint, end to end: connections in, facts out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from mxprobe.facts import EndpointFacts, Natural, ProfileAnswer, TranscriptEntry
from mxprobe.mta.profile import Profile
from mxprobe.network.driving import drive
from mxprobe.network.gate import Gate
from mxprobe.network.handshake import Handshake, complete_handshake
from mxprobe.network.line import Line
from mxprobe.network.session import Ended, Session
from mxprobe.network.settings import Manners
from mxprobe.probing import reading
from mxprobe.probing.reading import Attempt, Swept
from mxprobe.probing.settings import Depth
from mxprobe.terms import PROTOCOLS, Endpoint, Protocol
from mxprobe.tls.offer import Answer, Garbled, Offer
from mxprobe.tls.removal import accepted_suites, accepted_versions
from mxprobe.tls.suites import candidates
from mxprobe.tls.sweep import Sweep, both, sure_answer, together
from mxprobe.trust.certificate import fingerprint, read_certificate
from mxprobe.trust.names import match_name
from mxprobe.trust.verification import TrustStore, verify_chain

Progress = Callable[[Endpoint, int], None]
"""Told of an endpoint and the number of hellos answered so far."""

KEY_SHARES = (29, 23)
"""x25519 and secp256r1: key shares for hellos that are to get a ServerHello and no HelloRetryRequest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointTask:
    """What to find out at an endpoint, and whom to trust (`trust`, `verify_depth` as `s_client -verify`)."""

    endpoint: Endpoint
    depth: Depth
    trust: TrustStore
    verify_depth: int
    profiles: tuple[Profile, ...] = ()
    trace: bool = False

    @property
    def server_name(self) -> str | None:
        """The SNI: the MX host, unless it is named by its address."""
        return self.endpoint.host if self.endpoint.host != self.endpoint.address else None


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointProbe:
    """What one probe of an endpoint brought: the facts, the certificates (DER by SHA-256), and the transcript."""

    facts: EndpointFacts
    certificates: dict[str, bytes] = field(default_factory=dict)
    transcript: tuple[TranscriptEntry, ...] = ()


async def probe_endpoint(
    task: EndpointTask, manners: Manners, gate: Gate, progress: Progress | None = None
) -> EndpointProbe:
    """Probe one endpoint, when it is its turn. Never raises on what the peer or the network does."""
    async with gate.turn(task.endpoint.address):
        return await _probe(task, manners, gate, progress)


async def _probe(task: EndpointTask, manners: Manners, gate: Gate, progress: Progress | None) -> EndpointProbe:
    started_at, started = datetime.now(UTC), time.monotonic()
    answers: list[Answer] = []

    def watch(_: Offer, answer: Answer) -> None:
        answers.append(answer)
        if progress:
            progress(task.endpoint, len(answers))

    attempt = Attempt(done=False)
    swept: Swept = {}
    profiles: tuple[ProfileAnswer, ...] = ()
    async with Line(task.endpoint, manners, gate, trace=task.trace, watch=watch) as line:
        opened = await line.open()
        if isinstance(opened, Session):
            attempt = await _natural(task, line, manners, opened)
            swept, profiles = await _sweep(task, line, attempt)
        else:
            line.reception.answered(opened.answer)
    dialogue = opened.dialogue
    if isinstance(opened, Ended):
        starttls = reading.starttls_ended(opened.answer, dialogue)
    else:
        starttls = reading.starttls_tried(attempt, swept, tuple(answers), dialogue)
    chains = reading.distinct_chains((attempt.chain, *reading.chains_of(swept)))
    facts = EndpointFacts(
        host=task.endpoint.host,
        address=task.endpoint.address,
        port=task.endpoint.port,
        service=task.endpoint.service,
        started_at=started_at,
        connections=line.connections,
        elapsed_seconds=round(time.monotonic() - started, 3),
        greeting=dialogue.greeting,
        helo=dialogue.helo,
        capabilities=dialogue.capabilities,
        starttls=starttls,
        early_bytes=line.early_bytes.hex() or None,
        server_name=attempt.server_name,
        protocols=reading.protocol_facts(swept, attempt),
        natural=attempt.natural or reading.best_of(swept),
        handshake_error=attempt.text or None,
        certificates=tuple(read_certificate(chain[0], chain) for chain in chains),
        verification=verify_chain(chains[0], task.trust, depth_limit=task.verify_depth, time=started_at)
        if chains
        else None,
        name_match=match_name(chains[0][0], task.endpoint.host) if chains else None,
        profiles=profiles,
        endings=dict(line.reception.endings),
    )
    return EndpointProbe(
        facts=facts,
        certificates={fingerprint(der): der for chain in chains for der in chain},
        transcript=tuple(entry for transcript in line.transcripts for entry in transcript.entries),
    )


def version_sweep(depth: Depth, server_name: str | None) -> Sweep[Swept]:
    """What a depth asks of the versions, the longest first: it is what the whole probe waits for."""
    newer: tuple[Protocol, ...] = ("TLSv1.2", "TLSv1.3", "TLSv1.1", "TLSv1")
    offers = [Offer(protocol=version, suites=candidates(version), server_name=server_name) for version in newer]
    older: tuple[Protocol, ...] = ("SSLv3", "SSLv2")
    offers += [Offer(protocol=version, suites=candidates(version)) for version in older]
    return accepted_suites(offers) if depth == "full" else accepted_versions(offers)


def profile_offer(profile: Profile, server_name: str | None) -> Offer:
    """The one hello that stands for a profile."""
    versions = tuple(protocol for protocol in PROTOCOLS if protocol in profile.protocols)
    return Offer(
        protocol=versions[-1],
        versions=versions,
        suites=profile.suites,
        server_name=server_name if versions[-1] not in ("SSLv2", "SSLv3") else None,
        key_shares=KEY_SHARES if versions[-1] == "TLSv1.3" else (),
    )


async def _natural(task: EndpointTask, line: Line, manners: Manners, opened: Session) -> Attempt:
    """Shake hands in full; once more without SNI where the server knows no such name (RFC 6066 §3)."""
    attempt = await _shake_hands(line, manners, opened, task.server_name)
    if task.server_name and attempt.unrecognized_name:
        again = await line.open()
        if isinstance(again, Session):
            return await _shake_hands(line, manners, again, None)
        line.reception.answered(again.answer)
    return attempt


async def _shake_hands(line: Line, manners: Manners, opened: Session, server_name: str | None) -> Attempt:
    handshake = await complete_handshake(opened, manners.within(line.seconds_left), server_name=server_name)
    if isinstance(handshake, Handshake):
        line.reception.served()
        if handshake.rejected:
            ended = Garbled(stage="handshake", reason=handshake.afterwards or "")
            text = f"after the handshake: {handshake.afterwards}"
            return Attempt(done=False, answer=ended, text=text, chain=handshake.chain, server_name=server_name)
        natural = Natural(protocol=handshake.protocol, suite=handshake.suite, group=handshake.group)
        return Attempt(
            done=True,
            natural=natural,
            chain=handshake.chain,
            server_name=server_name,
            text=f"after the handshake: {handshake.afterwards}" if handshake.afterwards else "",
        )
    line.reception.answered(handshake.answer)
    return Attempt(done=False, answer=handshake.answer, text=handshake.text, server_name=server_name)


async def _sweep(task: EndpointTask, line: Line, attempt: Attempt) -> tuple[Swept, tuple[ProfileAnswer, ...]]:
    name = attempt.server_name
    offers = {profile: profile_offer(profile, name) for profile in task.profiles}
    profiles = together({profile: sure_answer(offer) for profile, offer in offers.items()})
    if task.depth == "quick" and attempt.done:
        swept, answers = Swept(), await drive(line, profiles)
    else:
        swept, answers = await drive(line, both(version_sweep(task.depth, name), profiles))
    spoken = attempt.natural.protocol if attempt.natural else None
    if spoken == "TLSv1.3" and spoken in swept and swept[spoken].state == "refused":
        # It wants a key share at once, and will not ask for one.
        offer = Offer(protocol=spoken, suites=candidates(spoken), server_name=name, key_shares=KEY_SHARES)
        swept |= await drive(line, accepted_suites([offer]))
    return swept, tuple(
        reading.profile_answer(profile, offers[profile], answer, tls13_completes=spoken == "TLSv1.3")
        for profile, answer in answers.items()
    )
