"""Whether senders get TLS from a server: as was observed with their own hello, else as computed from the facts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mxprobe.facts import EndpointFacts, EvidenceValue, ProfileAnswer
from mxprobe.mta.profile import Profile
from mxprobe.verdict.checks import Check
from mxprobe.verdict.rules import endpoint_name
from mxprobe.verdict.simulation import Simulated, simulate
from mxprobe.verdict.suite_fit import Obstacle

_PARTS = ("protocol", "suite", "group", "certificate_kind")

SOURCE = "RFC 5246 §7.4.1.3, RFC 8446 §4.1.1"


def sender_checks(subject: str, facts: EndpointFacts, senders: Iterable[Profile]) -> Iterator[Check]:
    """One check for each sender, and one more, for us to mend, where the server did not do what we computed."""
    answers = {answer.profile: answer for answer in facts.profiles}
    for sender in senders:
        computed = simulate(sender, facts)
        observed = far_enough(computed, answers.get(sender.name))
        yield _judged(subject, facts, sender, computed, observed)
        if observed is not None and (difference := differs(computed, observed)):
            yield Check(
                id="simulation",
                name=sender.name,
                subject=subject,
                endpoint=endpoint_name(facts),
                outcome="noted",
                severity="warning",
                summary=f"mxprobe is wrong about {sender.name}, please report it: {difference}",
                evidence=_evidence(computed, observed),
                source=SOURCE,
            )


def differs(computed: Simulated, observed: ProfileAnswer) -> str:
    """In what the server did something else than was computed; empty where it did not, or where one is not known."""
    if "unknown" in (computed.state, observed.state):
        return ""
    told = [(getattr(computed, part), getattr(observed, part)) for part in _PARTS]
    same = computed.state == "no" or all(None in pair or pair[0] == pair[1] for pair in told)
    if computed.state == observed.state and same:
        return ""
    return f"computed was {_words(computed)}, observed {_words(observed)}"


def far_enough(computed: Simulated, observed: ProfileAnswer | None) -> ProfileAnswer | None:
    """The answer, if it came so far that it can speak against what was computed.

    By a HelloRetryRequest, or a flight that could not be read, a server of TLS 1.3 has not yet looked for a signature
    scheme: where it is known to find none, the answer is no session.
    """
    early = observed is not None and observed.protocol == "TLSv1.3" and observed.certificate_kind is None
    late = computed.state == "no" and computed.obstacle in ("signature scheme", "certificate kind")
    return None if early and late and observed is not None and observed.state == "yes" else observed


def obstacle_to(computed: Simulated, observed: ProfileAnswer | None) -> Obstacle | None:
    """What stands in the way: as was computed; where one question was open, and the server refused, it is that."""
    if computed.state == "unknown" and observed is not None and observed.state == "no":
        return computed.obstacle or computed.doubt
    return computed.obstacle


def session_words(session: Simulated | ProfileAnswer) -> str:
    """A session in words: one is known to come about even where the facts do not tell its suite."""
    words = f"{session.protocol or 'TLS'} {session.suite or 'with a suite that is not known'}"
    details = [f"group {session.group}"] if session.group else []
    details += [f"{session.certificate_kind} certificate"] if session.certificate_kind else []
    return f"{words} ({', '.join(details)})" if details else words


def _judged(
    subject: str, facts: EndpointFacts, sender: Profile, computed: Simulated, observed: ProfileAnswer | None
) -> Check:
    """What was observed counts. Only where no hello could be sent, as on paper, is it what was computed.

    Of a sender that may offer more than is known, a refusal says nothing: the hello was not quite its own.
    """
    state = computed.state if observed is None else observed.state
    session = computed if observed is None else observed
    reason = computed.reason if observed is None else observed.reason
    if observed is None and facts.computed_from is None and state == "yes":
        state = "unknown"
    if observed is not None and state == "no" and not sender.complete:
        state, reason = computed.state, computed.reason
    if state == "yes":
        summary = f"{computed.profile} gets {session_words(session)}"
    elif state == "no":
        lacking = obstacle_to(computed, observed)
        obstacle = f": no common {lacking}" if lacking else ""
        told = list(dict.fromkeys(text for text in (computed.reason if computed.state == "no" else "", reason) if text))
        summary = f"{computed.profile} gets no TLS{obstacle}" + (f" ({'; '.join(told)})" if told else "")
    else:
        summary = f"{computed.profile}: could not be told: {reason or 'its hello was not sent'}"
    return Check(
        id="sender",
        name=computed.profile,
        subject=subject,
        endpoint=endpoint_name(facts),
        outcome="passed" if state == "yes" else "failed" if state == "no" else "unknown",
        severity="ok" if state == "yes" else "critical" if state == "no" else "warning",
        summary=summary,
        evidence=_evidence(computed, observed),
        source=SOURCE,
    )


def _evidence(computed: Simulated, observed: ProfileAnswer | None) -> dict[str, EvidenceValue]:
    session = computed if observed is None else observed
    evidence: dict[str, EvidenceValue] = {part: getattr(session, part) for part in _PARTS}
    evidence["computed"] = _words(computed)
    if observed is not None:
        evidence["observed"] = _words(observed)
    if (lacking := obstacle_to(computed, observed)) is not None:
        evidence["obstacle"] = lacking
    return evidence


def _words(answer: Simulated | ProfileAnswer) -> str:
    if answer.state == "yes":
        return session_words(answer)
    return f"{'no TLS' if answer.state == 'no' else 'unknown'}" + (f" ({answer.reason})" if answer.reason else "")
