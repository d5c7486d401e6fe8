"""Who gets TLS no longer, or another session, against a baseline: computed on both sides, for every known sender."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mxprobe.facts import EvidenceValue
from mxprobe.mta.profile import Profile
from mxprobe.terms import State
from mxprobe.verdict.checks import Check
from mxprobe.verdict.comparison import Pair
from mxprobe.verdict.sender_checks import SOURCE
from mxprobe.verdict.simulation import Simulated, simulate


def senders(pair: Pair, profiles: Iterable[Profile]) -> Iterator[Check]:
    """One check for each sender that got TLS before, and a note for each that did not and does now.

    Who gets none now, and may have got it before, is unknown.
    """
    for profile in profiles:
        before = [simulate(profile, facts) for facts in pair.before]
        got = [each for each in before if each.state == "yes"]
        now = simulate(profile, pair.after)
        state: State = "yes" if got else "unknown" if any(each.state == "unknown" for each in before) else "no"
        if state == "yes":
            yield _kept_or_lost(pair, got, now)
        elif state == "unknown" and now.state == "no":
            why = next(each.reason for each in before if each.state == "unknown")
            summary = f"sender {profile.name} gets no TLS ({now.reason}); not known whether it did ({why})"
            yield pair.check("keeps", f"sender {profile.name}", "unknown", summary, source=SOURCE)
        elif state == "no" and now.state == "yes":
            summary = f"sender {profile.name} gets TLS, and did not: {_session(now)}"
            yield pair.check("gained", f"sender {profile.name}", "noted", summary, source=SOURCE)


def _kept_or_lost(pair: Pair, before: list[Simulated], now: Simulated) -> Check:
    sessions = tuple(dict.fromkeys(_session(each) for each in before))
    evidence: dict[str, EvidenceValue] = {"before": sessions}
    name = f"sender {now.profile}"
    if now.state == "no":
        obstacle = f"no common {now.obstacle}" if now.obstacle else "no TLS"
        why = f" ({now.reason})" if now.reason else ""
        evidence["obstacle"] = now.obstacle
        summary = f"sender {now.profile} is cut off from TLS: {obstacle}{why}; it got {sessions[0]}"
        return pair.check("keeps", name, "failed", summary, severity="critical", evidence=evidence, source=SOURCE)
    if now.state == "unknown":
        summary = f"not known whether sender {now.profile} still gets TLS: {now.reason or 'not all suites are known'}"
        return pair.check("keeps", name, "unknown", summary, evidence=evidence, source=SOURCE)
    session = _session(now)
    evidence["now"] = session
    if session in sessions or now.suite is None:
        return pair.check(
            "keeps", name, "passed", f"sender {now.profile} still gets {session}", evidence=evidence, source=SOURCE
        )
    summary = f"sender {now.profile} gets {session}, it got {sessions[0]}"
    return pair.check("changed", name, "noted", summary, evidence=evidence, source=SOURCE)


def _session(got: Simulated) -> str:
    """Version and suite: another group or kind of certificate is no other session for who reads this."""
    return f"{got.protocol or 'TLS'} {got.suite or 'with a suite that is not known'}"
