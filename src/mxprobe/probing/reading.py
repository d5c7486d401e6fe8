"""What answers say: from sweeps and handshakes to facts, without a connection."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from mxprobe.facts import Natural, ProfileAnswer, ProtocolFacts, Starttls, Suite
from mxprobe.mta.profile import Profile
from mxprobe.smtp.dialogue import Dialogue
from mxprobe.smtp.replies import starttls_meaning
from mxprobe.terms import PROTOCOLS, CertificateKind, Protocol, State
from mxprobe.tls.code_points import group_name
from mxprobe.tls.endings import ending_text
from mxprobe.tls.families import families_of
from mxprobe.tls.foresight import HandshakePick
from mxprobe.tls.offer import Answer, Chosen, Closed, Garbled, Offer, Reached, Refused, Silent, Throttled, Unasked
from mxprobe.tls.signing_keys import KIND_OF_SCHEME, kind_of_key
from mxprobe.tls.suites import allowed, suite, suite_named
from mxprobe.tls.sweep import SuitesFound
from mxprobe.tls.weak_suites import Weakness
from mxprobe.trust.certificate import read_certificate

UNRECOGNIZED_NAME = 112

Swept = dict[Protocol, SuitesFound]


def starttls_ended(answer: Answer, dialogue: Dialogue) -> Starttls:
    """What is known of STARTTLS when a connection ended before TLS could begin."""
    reason = ending_text(answer)
    if dialogue.starttls and starttls_meaning(dialogue.starttls) == "refused":
        return Starttls(state="refused", stage="starttls", reason=str(dialogue.starttls), reply=dialogue.starttls)
    if dialogue.starttls:
        if isinstance(answer, Throttled):
            reason = f"throttled: {dialogue.starttls}"
        return Starttls(state="unknown", stage="starttls", reason=reason, reply=dialogue.starttls)
    reply = dialogue.ehlo or dialogue.greeting
    if dialogue.lacks_starttls:
        return Starttls(state="not-offered", stage="ehlo", reason="STARTTLS is not among the capabilities", reply=reply)
    stage = None if isinstance(answer, Chosen | Refused | Unasked) else answer.stage
    if isinstance(answer, Throttled) and reply and 500 <= reply.code <= 599:
        return Starttls(state="refused", stage=stage, reason=str(reply), reply=reply)
    if isinstance(answer, Throttled):
        # Nobody is there, or nobody can be reached: that is no limit of a server.
        reason = f"{'cannot connect' if answer.stage == 'connect' else 'throttled'}: {answer.reply}"
    return Starttls(state="unknown", stage=stage, reason=reason, reply=reply)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """How the complete handshake by OpenSSL went: done and with what, or how it ended and OpenSSL's words for it.

    `server_name` is the SNI it was tried with, `chain` (DER, leaf first) what the server sent, `pick` what it picked
    out of which suites.
    """

    done: bool
    natural: Natural | None = None
    pick: HandshakePick | None = None
    chain: tuple[bytes, ...] = ()
    server_name: str | None = None
    answer: Answer | None = None
    text: str = ""

    @property
    def unrecognized_name(self) -> bool:
        """Whether the server ended it because it does not know the name in SNI (RFC 6066 §3)."""
        return isinstance(self.answer, Refused) and self.answer.alert == UNRECOGNIZED_NAME


def starttls_tried(attempt: Attempt, swept: Swept, answers: tuple[Answer, ...], dialogue: Dialogue) -> Starttls:
    """What is known of STARTTLS after the 220: whether anything behind it was TLS.

    Broken is said only where the server did something wrong or refused everything, never for silence or throttling.
    """
    reply = dialogue.starttls
    if attempt.done:
        return Starttls(state="works", stage="handshake", reason=attempt.text, reply=reply)
    best = best_of(swept)
    if best and best.protocol != "TLSv1.3":  # of TLS 1.3 only the ServerHello is in clear text
        reason = f"OpenSSL's own handshake fails ({attempt.text}), {best.protocol} by itself is answered"
        return Starttls(state="works", stage="hello", reason=reason, reply=reply)
    definite = (*answers, attempt.answer)
    cut = [found.ending for found in swept.values() if found.ending is not None and _says_nothing(found.ending)]
    cut += [answer for answer in definite if isinstance(answer, Silent | Throttled)]
    spoke = isinstance(attempt.answer, Refused | Closed | Garbled)
    # Our own reader says what came instead of TLS, where OpenSSL only says that it was not.
    heard = attempt.answer
    if isinstance(heard, Garbled):
        heard = next((answer for answer in answers if isinstance(answer, Garbled)), heard)
    reason = attempt.text if heard is None else ending_text(heard)
    if spoke and not cut and not best:
        return Starttls(state="offered-but-broken", stage="hello", reason=reason, reply=reply)
    if best:
        reason = f"OpenSSL's own handshake fails ({attempt.text}), and of {best.protocol} only the ServerHello was seen"
    elif cut:
        reason = f"{reason}; then {ending_text(cut[0])}" if spoke else ending_text(cut[0])
    return Starttls(state="unknown", stage="hello", reason=reason, reply=reply)


def protocol_facts(swept: Swept, attempt: Attempt) -> dict[Protocol, ProtocolFacts]:
    """The facts of every version that was asked, oldest first.

    What a complete handshake has shown stands, whatever a sweep found: they may differ over groups and schemes.
    """
    facts = {protocol: _one_protocol(swept[protocol]) for protocol in PROTOCOLS if protocol in swept}
    if attempt.natural and attempt.natural.protocol in facts:
        protocol = attempt.natural.protocol
        facts[protocol] = _with_natural(facts[protocol], attempt.natural, swept[protocol].undecided)
    return facts


def suite_facts(chosen: Chosen) -> Suite:
    """An accepted suite as it is reported."""
    return _suite(chosen.suite, chosen.protocol, chosen.reached)


def best_of(swept: Swept) -> Natural | None:
    """The best that was seen in plain text, where OpenSSL could not complete a handshake."""
    for protocol in reversed(PROTOCOLS):
        for chosen in swept[protocol].accepted if protocol in swept else ():
            if _finishes(chosen):
                group = group_name(chosen.group) if chosen.group is not None else None
                name = suite(chosen.suite).name
                return Natural(protocol=protocol, suite=name, group=group, reached=chosen.reached)
    return None


def chains_of(swept: Swept) -> tuple[tuple[bytes, ...], ...]:
    """The chains of the Certificate messages, newest protocol first."""
    return tuple(
        chosen.certificates
        for protocol in reversed(PROTOCOLS)
        for chosen in (swept[protocol].accepted if protocol in swept else ())
        if chosen.certificates
    )


def distinct_chains(chains: tuple[tuple[bytes, ...], ...]) -> tuple[tuple[bytes, ...], ...]:
    """One chain for each server certificate, the first that was seen of it."""
    distinct: dict[bytes, tuple[bytes, ...]] = {}
    for chain in chains:
        if chain:
            distinct.setdefault(chain[0], chain)
    return tuple(distinct.values())


def refuses_by_close(swept: Swept) -> bool:
    """Whether plain closes were found to be refusals here: they came twice, and a control was answered in between."""
    return any(found.rests_on_close and found.complete for found in swept.values())


def profile_answer(
    profile: Profile,
    offer: Offer,
    answer: Answer,
    *,
    tls13_completes: bool = True,
    refuses_by_close: bool = False,
) -> ProfileAnswer:
    """What the hello of a profile got: a session, a refusal, or nothing that we could tell.

    `tls13_completes` is false where no TLS 1.3 handshake was completed: its ServerHello alone shows no session.
    `refuses_by_close` is true where a plain close, which came twice, was found to be how the server refuses.
    """
    match answer:
        case Chosen() if answer.protocol not in profile.protocols:
            reason = f"answered with {answer.protocol}, which the profile does not have"
            return ProfileAnswer(profile=profile.name, state="no", reason=reason)
        case Chosen():
            picked = _picked(offer, answer)
            if picked is None:
                reason = f"picked {suite(answer.suite).name}, which was not offered"
                return ProfileAnswer(profile=profile.name, state="no", reason=reason)
            session = _finishes(answer) and (tls13_completes or answer.protocol != "TLSv1.3")
            state: State = "yes" if session else "no" if answer.ended_by is not None else "unknown"
            return ProfileAnswer(
                profile=profile.name,
                state=state,
                protocol=answer.protocol,
                suite=suite(picked).name,
                reason="" if state == "yes" else ending_text(answer),
                group=group_name(answer.group) if session and answer.group is not None else None,
                certificate_kind=_certificate_kind(answer) if session else None,
            )
        case Refused():
            return ProfileAnswer(profile=profile.name, state="no", reason=ending_text(answer))
        case Closed(stage="hello") if refuses_by_close:
            return ProfileAnswer(profile=profile.name, state="no", reason=ending_text(answer))
        case _:
            return ProfileAnswer(profile=profile.name, state="unknown", reason=ending_text(answer))


@lru_cache(maxsize=4096)
def _suite(number: int, protocol: Protocol, reached: Reached) -> Suite:
    """One object for all the endpoints that have it: a report holds thousands of them."""
    known = suite(number)
    return Suite(id=known.id, name=known.name, iana=known.iana, reached=reached, standard=allowed(number, protocol))


def _picked(offer: Offer, answer: Chosen) -> int | None:
    """The suite of a session; None if it is none that was offered. In SSLv2 the server lists, and the client picks."""
    if answer.protocol == "SSLv2":
        return next((kind for kind in offer.suites if kind in answer.suites), None)
    return answer.suite if answer.suite in offer.suites else None


def _certificate_kind(answer: Chosen) -> CertificateKind | None:
    """The kind of the certificate that was sent, or of the key that signed; None where neither was seen."""
    if answer.certificates:
        return kind_of_key(read_certificate(answer.certificates[0], answer.certificates).key)
    return None if answer.scheme is None else KIND_OF_SCHEME.get(answer.scheme)


def _says_nothing(answer: Answer) -> bool:
    """Whether an ending says nothing of TLS: it came before a hello was out, or nothing came at all."""
    if isinstance(answer, Unasked):
        return answer.after is None or _says_nothing(answer.after)
    if isinstance(answer, Silent | Throttled):
        return True
    return isinstance(answer, Closed | Garbled) and answer.stage in ("connect", "greeting", "ehlo")


def _finishes(chosen: Chosen) -> bool:
    """Whether nothing in what was seen speaks against the handshake: in TLS 1.3 the rest is encrypted."""
    if chosen.protocol == "TLSv1.3":
        return chosen.ended_by is None
    return chosen.reached != "selected"


def _with_natural(facts: ProtocolFacts, natural: Natural, undecided: tuple[int, ...]) -> ProtocolFacts:
    """The facts of a version beside a complete handshake in it; `undecided` is what its sweep left open."""
    number = suite_named(natural.suite)
    if number is None or any(found.name == natural.suite for found in facts.suites):
        return facts
    shown = suite_facts(
        Chosen(protocol=natural.protocol, suite=number.number, reached="handshake-complete"),
    )
    why = "" if facts.state == "accepted" else f"by itself it was {facts.state} ({facts.reason}), but "
    return replace(
        facts,
        state="accepted",
        suites=(*facts.suites, shown),
        complete=False,
        order="unknown",
        undecided=tuple(name for name in (suite(left).name for left in undecided) if name != natural.suite),
        reason=f"{why}a complete handshake got {natural.suite}" if facts.complete or why else facts.reason,
        families=_families_with(number.number, facts, natural.protocol),
    )


def _families_with(number: int, facts: ProtocolFacts, protocol: Protocol) -> dict[Weakness, State]:
    """The weak families beside one more suite; what a list leaves out that was not all is unknown."""
    shown = families_of(protocol, (number,), complete=False)
    return {
        family: "yes" if state == "yes" else "unknown" if facts.complete and before == "no" else before
        for family, state in shown.items()
        for before in (facts.families.get(family, "unknown"),)
    }


def _one_protocol(found: SuitesFound) -> ProtocolFacts:
    reason = ending_text(found.ending) if found.ending else ""
    state, complete = found.state, found.complete
    if state == "accepted":
        reason = "" if complete else reason
        if found.max_suites:
            limit = f"offers of more than {found.max_suites} suites failed"
            reason = f"{reason}; {limit}" if reason else limit
    return ProtocolFacts(
        state=state,
        reason=reason,
        complete=complete,
        suites=tuple(suite_facts(chosen) for chosen in found.accepted),
        order=found.order,
        hellos=found.hellos,
        undecided=tuple(suite(number).name for number in found.undecided) if found.accepted else (),
        families=_families(found),
    )


def _families(found: SuitesFound) -> dict[Weakness, State]:
    if not found.accepted:
        return {}
    return dict(found.families) or families_of(found.protocol, found.suites, complete=found.complete)
