"""One endpoint, end to end: connections in, facts out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from mxprobe.facts import EndpointFacts, Natural, ProfileAnswer, TranscriptEntry
from mxprobe.mta.offering import KEY_SHARES, profile_offer
from mxprobe.mta.profile import Profile
from mxprobe.network.driving import MadeReady, drive
from mxprobe.network.gate import Gate
from mxprobe.network.handshake import Handshake, complete_handshake
from mxprobe.network.line import Line
from mxprobe.network.session import Ended, Session
from mxprobe.network.settings import Manners
from mxprobe.probing import beyond_suites, contradictions, reading
from mxprobe.probing.comparison import Comparison, Model, may_be_shared, shared, sweep_of
from mxprobe.probing.pool import Pools
from mxprobe.probing.reading import Attempt, Swept
from mxprobe.probing.settings import Depth
from mxprobe.smtp.dialogue import Dialogue
from mxprobe.terms import PROTOCOLS, Endpoint, Protocol
from mxprobe.tls.everything import Everything, everything
from mxprobe.tls.families import weak_families
from mxprobe.tls.fingerprint import compared
from mxprobe.tls.fingerprint import fingerprint as fingerprint_of
from mxprobe.tls.foresight import HandshakePick
from mxprobe.tls.free_facts import facts_free
from mxprobe.tls.offer import Answer, Garbled, Offer
from mxprobe.tls.removal import accepted_suites, accepted_versions
from mxprobe.tls.suites import candidates, suite_named
from mxprobe.tls.sweep import Sweep, both, sure_answer, together
from mxprobe.trust.certificate import fingerprint, read_certificate
from mxprobe.trust.names import match_name
from mxprobe.trust.verification import TrustStore, verify_chain

Progress = Callable[[Endpoint, int], None]
"""Told of an endpoint and the number of hellos answered so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointTask:
    """What to find out at an endpoint, and whom to trust (`trust`, `verify_depth` as `s_client -verify`).

    `before` is what an earlier sweep of it found, which is taken over where it is still the same; `pools` has the
    sweeps of other endpoints that may be its twins.
    """

    endpoint: Endpoint
    depth: Depth
    trust: TrustStore
    verify_depth: int
    profiles: tuple[Profile, ...] = ()
    trace: bool = False
    before: EndpointFacts | None = None
    pools: Pools | None = None

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
    async with gate.turn(task.endpoint):
        return await _probe(task, manners, gate, progress)


async def _probe(task: EndpointTask, manners: Manners, gate: Gate, progress: Progress | None) -> EndpointProbe:
    started_at, started = datetime.now(UTC), time.monotonic()
    exchanges: list[tuple[Offer, Answer]] = []

    def watch(offer: Offer, answer: Answer) -> None:
        exchanges.append((offer, answer))
        if progress:
            progress(task.endpoint, len(exchanges))

    attempt = Attempt(done=False)
    swept: Swept = {}
    profiles: tuple[ProfileAnswer, ...] = ()
    beyond: Everything | None = None
    comparison = Comparison(depth=task.depth)
    async with Line(task.endpoint, manners, gate, trace=task.trace, watch=watch) as line:
        opened = await line.open()
        if isinstance(opened, Session):
            with MadeReady(line, len(PROTOCOLS) if task.depth != "quick" else len(task.profiles)) as made_ready:
                attempt = await _natural(task, line, manners, opened)
                if not attempt.done and task.pools:
                    task.pools.settled(task.endpoint)
                comparison = await _compare(task, line, attempt, opened.dialogue, made_ready)
                swept, profiles = await _sweep(task, line, attempt, comparison, made_ready)
            if comparison.depth == "everything" and comparison.model is None:
                beyond = await drive(line, everything(swept, attempt.server_name))
        else:
            line.reception.answered(opened.answer)
    dialogue = opened.dialogue
    if isinstance(opened, Ended):
        starttls = reading.starttls_ended(opened.answer, dialogue)
    else:
        starttls = reading.starttls_tried(attempt, swept, tuple(answer for _, answer in exchanges), dialogue)
    chains = reading.distinct_chains(
        (attempt.chain, *reading.chains_of(swept), *beyond_suites.chains_of(exchanges, attempt.server_name))
    )
    certificates = tuple(read_certificate(chain[0], chain) for chain in chains)
    free = facts_free(exchanges)
    protocols = reading.protocol_facts(swept, attempt)
    inconsistencies = contradictions.inconsistencies(swept, attempt)
    if inconsistencies:
        protocols = contradictions.without_what_is_in_doubt(protocols)
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
        protocols=beyond_suites.with_groups_and_schemes(protocols, free, beyond),
        natural=attempt.natural or reading.best_of(swept),
        handshake_error=attempt.text or None,
        certificates=certificates,
        verification=verify_chain(chains[0], task.trust, depth_limit=task.verify_depth, time=started_at)
        if chains
        else None,
        name_match=match_name(chains[0][0], task.endpoint.host) if chains else None,
        profiles=profiles,
        endings=dict(line.reception.endings),
        inconsistencies=inconsistencies,
        features=beyond_suites.features_of(free, beyond),
        quirks=beyond_suites.quirks_of(swept, beyond),
        certificate_kinds=beyond_suites.certificate_kinds(swept, beyond, certificates),
        sweep="swept" if swept and comparison.depth in ("full", "everything") else None,
        swept_at=started_at if swept and comparison.depth in ("full", "everything") else None,
        sweep_reason=comparison.reason,
    )
    return EndpointProbe(
        facts=shared(facts, comparison.model, exchanges) if comparison.model else facts,
        certificates={fingerprint(der): der for chain in chains for der in chain},
        transcript=tuple(entry for transcript in line.transcripts for entry in transcript.entries),
    )


def version_sweep(depth: Depth, server_name: str | None, handshake: HandshakePick | None = None) -> Sweep[Swept]:
    """What a depth asks of the versions, the longest first: it is what the whole probe waits for."""
    newer: tuple[Protocol, ...] = ("TLSv1.2", "TLSv1.3", "TLSv1.1", "TLSv1")
    offers = [Offer(protocol=version, suites=candidates(version), server_name=server_name) for version in newer]
    older: tuple[Protocol, ...] = ("SSLv3", "SSLv2")
    offers += [Offer(protocol=version, suites=candidates(version)) for version in older]
    if depth in ("full", "everything"):
        return accepted_suites(offers, handshake)
    return _versions_and_families(offers) if depth == "standard" else _versions_until_one_works(offers)


def _versions_until_one_works(offers: list[Offer]) -> Sweep[Swept]:
    """SSLv2, of which nothing follows where another version works, only where none does."""
    found = yield from accepted_versions(offer for offer in offers if offer.protocol != "SSLv2")
    if not any(result.accepted for result in found.values()):
        found |= yield from accepted_versions(offer for offer in offers if offer.protocol == "SSLv2")
    return found


def _versions_and_families(offers: list[Offer]) -> Sweep[Swept]:
    found = yield from accepted_versions(offers)
    return (yield from weak_families(offers, found))


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
        agreed = suite_named(handshake.suite)
        return Attempt(
            done=True,
            natural=natural,
            pick=HandshakePick(handshake.protocol, handshake.offered, agreed.number)
            if agreed and agreed.number in handshake.offered
            else None,
            chain=handshake.chain,
            server_name=server_name,
            text=f"after the handshake: {handshake.afterwards}" if handshake.afterwards else "",
        )
    line.reception.answered(handshake.answer)
    return Attempt(done=False, answer=handshake.answer, text=handshake.text, server_name=server_name)


async def _compare(
    task: EndpointTask, line: Line, attempt: Attempt, dialogue: Dialogue, made_ready: MadeReady
) -> Comparison:
    """Look for a sweep that may stand for this endpoint: its own of an earlier time, or that of a twin."""
    depth, reason = task.depth, ""
    for model in _models(task, attempt, dialogue):
        offers = fingerprint_of(sweep_of(model.facts), attempt.server_name)
        found = await drive(line, compared(offers), made_ready)
        if found.state == "same":
            return Comparison(depth=depth, model=model)
        reason = f"{'not known whether' if found.state == 'unknown' else 'not'} as {model.name}: {found.evidence}"
        if found.state == "unknown":
            break
        # What has changed is asked in full, so that there is something to compare with again.
        depth = "full" if depth == "standard" else depth
    return Comparison(depth=depth, reason=reason)


def _models(task: EndpointTask, attempt: Attempt, dialogue: Dialogue) -> Iterator[Model]:
    """What to compare with, where the complete handshake was the same: no more than one of each kind."""
    if attempt.natural is None or not attempt.done:
        return
    leaf = fingerprint(attempt.chain[0]) if attempt.chain else None
    twins = task.pools.twins(task.endpoint, leaf, dialogue.greeting) if task.pools else ()
    before = (task.before,) if task.before else ()
    earlier = (Model(facts=facts, state="confirmed") for facts in before)
    others = (Model(facts=facts, state="same-as") for facts in twins)
    for models in (earlier, others):
        for model in models:
            if may_be_shared(model.facts, attempt.natural, attempt.server_name, task.depth):
                yield model
                break


async def _sweep(
    task: EndpointTask, line: Line, attempt: Attempt, comparison: Comparison, made_ready: MadeReady
) -> tuple[Swept, tuple[ProfileAnswer, ...]]:
    name, depth = attempt.server_name, comparison.depth
    offers = {profile: profile_offer(profile, name) for profile in task.profiles}
    profiles = together({profile: sure_answer(offer) for profile, offer in offers.items()})
    if comparison.model or (depth == "quick" and attempt.done):
        swept, answers = Swept(), await drive(line, profiles, made_ready)
    else:
        swept, answers = await drive(line, both(version_sweep(depth, name, attempt.pick), profiles), made_ready)
    spoken = attempt.natural.protocol if attempt.natural else None
    if spoken == "TLSv1.3" and spoken in swept and swept[spoken].state == "refused":
        # It wants a key share at once, and will not ask for one.
        offer = Offer(protocol=spoken, suites=candidates(spoken), server_name=name, key_shares=KEY_SHARES)
        swept |= await drive(line, accepted_suites([offer]))
    completes, closes = spoken == "TLSv1.3", reading.refuses_by_close(swept)
    return swept, tuple(
        reading.profile_answer(profile, offers[profile], answer, tls13_completes=completes, refuses_by_close=closes)
        for profile, answer in answers.items()
    )
