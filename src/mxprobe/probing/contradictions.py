"""Answers that no one server gives: what they are, and what is then still known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from mxprobe.facts import Inconsistency, ProtocolFacts
from mxprobe.probing.reading import Attempt, Swept
from mxprobe.terms import Protocol
from mxprobe.tls.endings import ending_text
from mxprobe.tls.offer import Answer, Chosen
from mxprobe.tls.suites import suite
from mxprobe.tls.sweep import Contradiction
from mxprobe.trust.certificate import fingerprint

MAX_SHOWN = 16
"""Contradictions kept of one endpoint: a few are proof enough."""


def inconsistencies(swept: Swept, attempt: Attempt) -> tuple[Inconsistency, ...]:
    """What says that more than one server answers at an address, or one that answers now this, now that."""
    found = [_told(contradiction) for result in swept.values() for contradiction in result.contradictions]
    found += _of_handshake(swept, attempt)
    found += _of_certificates(swept)
    return tuple(found[:MAX_SHOWN])


def without_what_is_in_doubt(protocols: Mapping[Protocol, ProtocolFacts]) -> dict[Protocol, ProtocolFacts]:
    """The facts of versions where several servers answer: what was accepted was so, but no list is whole, and a refusal
    was that of one of them."""
    return {protocol: _in_doubt(facts) for protocol, facts in protocols.items()}


def _in_doubt(facts: ProtocolFacts) -> ProtocolFacts:
    why = "more than one server answers at this address"
    reason = f"{facts.reason}; {why}" if facts.reason else why
    state = "unknown" if facts.state == "refused" else facts.state
    return replace(facts, state=state, complete=False, order="unknown", reason=reason)


def _told(contradiction: Contradiction) -> Inconsistency:
    number = len(contradiction.suites)
    suites = "one suite" if number == 1 else f"{number} suites"
    return Inconsistency(
        protocol=contradiction.protocol,
        summary=f"an offer of {suites}, {suite(contradiction.suites[0]).name} first, got answers that contradict",
        evidence=tuple(_answer_text(answer) for answer in contradiction.answers),
    )


def _answer_text(answer: Answer) -> str:
    if isinstance(answer, Chosen):
        return f"picked {suite(answer.suite).name} in {answer.protocol}"
    return ending_text(answer)


def _of_handshake(swept: Swept, attempt: Attempt) -> Iterator[Inconsistency]:
    """A version that is refused, though a complete handshake came to it."""
    natural = attempt.natural
    found = swept.get(natural.protocol) if natural else None
    if natural and found and found.state == "refused" and found.ending:
        yield Inconsistency(
            protocol=natural.protocol,
            summary=f"{natural.protocol} by itself was refused, though a complete handshake came to it",
            evidence=(f"complete handshake: {natural.protocol} {natural.suite}", ending_text(found.ending)),
        )


def _of_certificates(swept: Swept) -> Iterator[Inconsistency]:
    """Several certificates for suites of one version that are authenticated in one way: one server has one for all."""
    for protocol, found in swept.items():
        leaves: dict[str, dict[bytes, int]] = {}
        for chosen in found.accepted:
            if chosen.certificates:
                kind = suite(chosen.suite).authentication
                leaves.setdefault(kind, {}).setdefault(chosen.certificates[0], chosen.suite)
        for kind, shown in leaves.items():
            if len(shown) > 1:
                yield Inconsistency(
                    protocol=protocol,
                    summary=f"{len(shown)} certificates were shown for {kind}",
                    evidence=tuple(
                        f"{fingerprint(der)} with {suite(number).name}"
                        for der, number in list(shown.items())[:MAX_SHOWN]
                    ),
                )
