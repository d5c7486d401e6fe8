"""Who gets TLS no longer, or another session, against a baseline: for every known sender, on both sides.

What a sender got is what its own hello was answered, where it was sent, and else what is computed from the facts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mxprobe.facts import EndpointFacts, EvidenceValue
from mxprobe.mta.profile import Profile
from mxprobe.terms import Protocol, State
from mxprobe.verdict.checks import Check
from mxprobe.verdict.comparison import Pair
from mxprobe.verdict.sender_checks import SOURCE, far_enough, obstacle_to
from mxprobe.verdict.simulation import simulate
from mxprobe.verdict.suite_fit import Obstacle


def senders(pair: Pair, profiles: Iterable[Profile]) -> Iterator[Check]:
    """One check for each sender that got TLS before, and a note for each that did not and does now.

    Who gets none now, and may have got it before, is unknown.
    """
    for profile in profiles:
        before = [_session_of(profile, facts) for facts in pair.before]
        got = [each for each in before if each.state == "yes"]
        now = _session_of(profile, pair.after)
        state: State = "yes" if got else "unknown" if any(each.state == "unknown" for each in before) else "no"
        if state == "yes":
            yield _kept_or_lost(pair, profile.name, got, now)
        elif state == "unknown" and now.state == "no":
            why = next(each.reason for each in before if each.state == "unknown")
            summary = f"sender {profile.name} gets no TLS ({now.reason}); not known whether it did ({why})"
            yield pair.check("keeps", f"sender {profile.name}", "unknown", summary, source=SOURCE)
        elif state == "no" and now.state == "yes":
            summary = f"sender {profile.name} gets TLS, and did not: {now.words}"
            yield pair.check("gained", f"sender {profile.name}", "noted", summary, source=SOURCE)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Session:
    """What a sender gets. `surprising` is a refusal where a session was computed, so that the computed ones of before
    say nothing; `observed` is whether it was the answer to its own hello."""

    state: State
    protocol: Protocol | None = None
    suite: str | None = None
    obstacle: Obstacle | None = None
    reason: str = ""
    observed: bool = False
    surprising: bool = False

    @property
    def words(self) -> str:
        """Version and suite: another group or kind of certificate is no other session for who reads this."""
        return f"{self.protocol or 'TLS'} {self.suite or 'with a suite that is not known'}"

    def may_be(self, other: _Session) -> bool:
        """Whether nothing shows that it is another session."""
        known = [(self.protocol, other.protocol), (self.suite, other.suite)]
        return all(None in pair or pair[0] == pair[1] for pair in known)


def _session_of(profile: Profile, facts: EndpointFacts) -> _Session:
    computed = simulate(profile, facts)
    answer = far_enough(computed, next((each for each in facts.profiles if each.profile == profile.name), None))
    if answer is not None and answer.state == "unknown" and computed.state == "yes":
        return _Session(state="unknown", reason=answer.reason or "its hello was not answered")
    # A refusal says nothing of a sender that may offer more than is known.
    if answer is None or answer.state == "unknown" or (answer.state == "no" and not profile.complete):
        return _Session(
            state=computed.state,
            protocol=computed.protocol,
            suite=computed.suite,
            obstacle=computed.obstacle,
            reason=computed.reason,
        )
    agrees = computed.state == "no"
    told = [computed.reason] if agrees and answer.state == "no" else []
    return _Session(
        state=answer.state,
        protocol=answer.protocol,
        suite=answer.suite,
        obstacle=obstacle_to(computed, answer) if answer.state == "no" and computed.state != "yes" else None,
        reason="; ".join(text for text in dict.fromkeys((*told, answer.reason)) if text),
        observed=True,
        surprising=answer.state == "no" and computed.state == "yes",
    )


def _kept_or_lost(pair: Pair, sender: str, before: list[_Session], now: _Session) -> Check:
    sessions = tuple(dict.fromkeys(each.words for each in before))
    evidence: dict[str, EvidenceValue] = {"before": sessions}
    name = f"sender {sender}"
    why = f" ({now.reason})" if now.reason else ""
    if now.surprising and not any(each.observed for each in before):
        summary = (
            f"sender {sender} gets no TLS{why}; not known whether it did, as it was computed to get it then and now"
        )
        return pair.check("keeps", name, "unknown", summary, evidence=evidence, source=SOURCE)
    if now.state == "no":
        obstacle = f"no common {now.obstacle}" if now.obstacle else "no TLS"
        evidence["obstacle"] = now.obstacle
        summary = f"sender {sender} is cut off from TLS: {obstacle}{why}; it got {sessions[0]}"
        return pair.check("keeps", name, "failed", summary, severity="critical", evidence=evidence, source=SOURCE)
    if now.state == "unknown":
        summary = f"not known whether sender {sender} still gets TLS: {now.reason or 'not all suites are known'}"
        return pair.check("keeps", name, "unknown", summary, evidence=evidence, source=SOURCE)
    evidence["now"] = now.words
    if any(now.may_be(each) for each in before):
        summary = f"sender {sender} still gets {now.words}"
        return pair.check("keeps", name, "passed", summary, evidence=evidence, source=SOURCE)
    summary = f"sender {sender} gets {now.words}, it got {sessions[0]}"
    return pair.check("changed", name, "noted", summary, evidence=evidence, source=SOURCE)
