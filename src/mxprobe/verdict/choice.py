"""What a server chooses out of a hello once the version is settled: suite, group, and the kind of its certificate.

Up to TLS 1.2 a suite has to fit groups, schemes and certificates (`suite_fit`). In TLS 1.3 the three are chosen apart,
and each of them can fail (RFC 8446 §4.1.1).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from mxprobe.mta.hello import is_grease
from mxprobe.mta.offering import Sent
from mxprobe.terms import CertificateKind, State
from mxprobe.tls.code_points import group_name, scheme_name
from mxprobe.tls.signing_keys import KIND_OF_SCHEME, KINDS_OF_AUTHENTICATION, NOT_IN_TLS13, SCHEME_OF_CURVE
from mxprobe.tls.suites import candidates, suite
from mxprobe.verdict.server_side import ServerVersion, Taken
from mxprobe.verdict.suite_fit import (
    MAX_NAMED,
    SCHEME,
    STAGES,
    Fit,
    curves_of,
    held_kinds,
    in_words,
    no_group,
    no_scheme,
    offered_suites,
    suite_fits,
)
from mxprobe.verdict.suite_fit import Obstacle as Obstacle

# RFC 8446 §9.1: every implementation signs by this in TLS 1.3 that has an RSA key.
_EVERY_RSA: Final = 0x0804


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What came of it. `suite` and `group` are code points, None where they are open or there is none. `doubt` is what
    would be the obstacle if an unknown one turned out to fail."""

    state: State
    suite: int | None = None
    group: int | None = None
    kind: CertificateKind | None = None
    obstacle: Obstacle | None = None
    doubt: Obstacle | None = None
    reason: str = ""


def choice_before_tls13(sent: Sent, server: ServerVersion) -> Found:
    """What a server chooses in SSLv2 to TLS 1.2."""
    offered = offered_suites(sent)
    fits = suite_fits(sent, server)
    possible = [fit for fit in fits if fit.state != "no"]
    if not possible:
        stage = max((fit.stage for fit in fits), default=0)
        reason = next((fit.reason for fit in fits if fit.stage == stage and fit.reason), "")
        reason = _no_suite(offered, server) if stage == 0 else reason
        return Found(state="no", obstacle=STAGES[stage], reason=reason)
    # Not every server looks at the schemes before it picks: some fail then, where others pass on to the next suite.
    blind = [replace(fit, state="unknown", risky=True) if fit.stage == SCHEME else fit for fit in fits]
    picks = _picks([fit for fit in blind if fit.state != "no"], server)
    for fit in picks:
        if fit.risky:
            return Found(state="unknown", doubt=_doubt((fit,)), reason=f"{suite(fit.number).name}: {fit.reason}")
    if not any(fit.state == "yes" for fit in picks):
        return Found(state="unknown", doubt=_doubt(picks), reason=_open_suites(picks))
    groups = {_group_of(fit.number, sent, server) for fit in picks}
    kinds = {_kind_of(fit.number, sent, server) for fit in picks}
    return Found(
        state="yes",
        suite=picks[0].number if len(picks) == 1 else None,
        group=groups.pop() if len(groups) == 1 else None,
        kind=kinds.pop() if len(kinds) == 1 else None,
        reason="" if len(picks) == 1 else _open_suites(picks),
    )


def choice_in_tls13(sent: Sent, server: ServerVersion) -> Found:
    """What a server chooses in TLS 1.3. It goes back to no older version if it cannot (RFC 8446 §4.1.1)."""
    offered = offered_suites(sent)
    states = server.takes_suites(offered)
    possible = [Fit(number, state) for number, state in states.items() if state != "no"]
    if not possible:
        return Found(state="no", obstacle="suite", reason=_no_suite(offered, server))
    group = _tls13_group(sent, server)
    if group.state == "no":
        return group
    scheme = _tls13_scheme(sent, server)
    if scheme.state == "no":
        return scheme
    picks = _picks(possible, server)
    if not any(fit.state == "yes" for fit in picks):
        return Found(state="unknown", reason=_open_suites(picks))
    for each in (group, scheme):
        if each.state == "unknown":
            return each
    reasons = ["" if len(picks) == 1 else _open_suites(picks), group.reason, scheme.reason]
    return Found(
        state="yes",
        suite=picks[0].number if len(picks) == 1 else None,
        group=group.group,
        kind=scheme.kind,
        reason="; ".join(reason for reason in reasons if reason),
    )


# Suites


def _picks(possible: Sequence[Fit], server: ServerVersion) -> list[Fit]:
    """All that the server may choose, as far as its order is known: one if it is known for sure."""
    order = server.suites.order
    if order == "client":
        return _until_sure(possible)
    if order != "server":
        return list(possible)
    place = {number: at for at, number in enumerate(server.suites.numbers)}
    listed = sorted((fit for fit in possible if fit.number in place), key=lambda fit: place[fit.number])
    picks = _until_sure(listed)
    # Where a suite has its place is not known unless it was accepted.
    picks += [fit for fit in possible if fit.number not in place]
    if len(picks) == 1:
        picks += _may_come_first(picks[0], listed, possible, server)
    return picks


def _doubt(fits: Sequence[Fit]) -> Obstacle | None:
    """What all of these fail for if they fail."""
    stages = {fit.stage for fit in fits}
    stage = stages.pop() if len(stages) == 1 else len(STAGES)
    return STAGES[stage] if stage < len(STAGES) else None


def _until_sure(fits: Iterable[Fit]) -> list[Fit]:
    picks = []
    for fit in fits:
        picks.append(fit)
        if fit.state == "yes":
            break
    return picks


def _may_come_first(first: Fit, listed: Sequence[Fit], possible: Sequence[Fit], server: ServerVersion) -> list[Fit]:
    """Suites that a server with an order of its own may take before its first one all the same.

    Some hold AES-GCM and ChaCha20 to be equal, or take ChaCha20 first from a client that does (BoringSSL; OpenSSL's
    SSL_OP_PRIORITIZE_CHACHA): then the client's order decides between the two. The order that was found shows
    nothing of that where our own hellos had the two in the same order.
    """
    ours = {number: at for at, number in enumerate(candidates(server.protocol))}
    clients = {fit.number: at for at, fit in enumerate(possible)}
    last = len(ours)
    return [
        fit
        for fit in listed
        if clients[fit.number] < clients[first.number]
        and ours.get(first.number, last) < ours.get(fit.number, last)
        and {_sort_of_cipher(fit.number), _sort_of_cipher(first.number)} == {"AES-GCM", "ChaCha20"}
    ]


def _sort_of_cipher(number: int) -> str:
    encryption = suite(number).encryption
    return "ChaCha20" if encryption.startswith("CHACHA20") else "AES-GCM" if encryption.startswith("AESGCM") else ""


def _no_suite(offered: Sequence[int], server: ServerVersion) -> str:
    # Suites of the other kind of version are no offer here; what nobody has registered may be one.
    meant = [number for number in offered if number in candidates(server.protocol) or not suite(number).iana]
    ours = in_words(suite(number).name for number in meant)
    theirs = in_words(suite(number).name for number in server.suites.numbers)
    return f"no cipher suite in common in {server.protocol}: the client offers {ours}; the server takes {theirs}"


def _open_suites(picks: Sequence[Fit]) -> str:
    sure = [fit for fit in picks if fit.state == "yes"]
    unsure = [fit for fit in picks if fit.state != "yes"]
    parts = []
    if sure:
        parts.append(f"{' or '.join(suite(fit.number).name for fit in sure[:MAX_NAMED])}")
    if unsure:
        named = in_words(suite(fit.number).name for fit in unsure)
        parts.append(f"{'else ' if sure else ''}{named} ({unsure[0].reason or 'not known whether it is accepted'})")
    return f"which suite is open: {', '.join(parts)}"


# Groups


def _group_of(number: int, sent: Sent, server: ServerVersion) -> int | None:
    """The group of an ECDHE suite that is used; None for all others."""
    exchange = suite(number).key_exchange
    if "ECDH" not in exchange or "/" in exchange or server.protocol == "SSLv3":
        return None
    curves = curves_of(sent)
    return _first(curves, server.groups, {group: server.takes_group(group) for group in curves})


def _first(ours: Sequence[int], theirs: Taken, states: dict[int, State]) -> int | None:
    """What is chosen of our list by the order that counts; None where that is open."""
    common = [number for number in ours if states[number] == "yes"]
    if theirs.order == "client":
        first = next((number for number in ours if states[number] != "no"), None)
        return first if first in common else None
    if "unknown" in states.values():
        return None
    if theirs.order == "server":
        return next((number for number in theirs.numbers if number in common), None)
    return common[0] if len(common) == 1 else None


def _tls13_group(sent: Sent, server: ServerVersion) -> Found:
    if not sent.groups:
        reason = "the client lists no groups, which TLS 1.3 demands (RFC 8446 §9.2)"
        return Found(state="no", obstacle="group", reason=reason)
    if not sent.shares_key:
        reason = "the client has no key_share extension, which TLS 1.3 demands (RFC 8446 §9.2)"
        return Found(state="no", obstacle="group", reason=reason)
    states = {group: "no" if is_grease(group) else server.takes_group(group) for group in sent.groups}
    common = [group for group, state in states.items() if state == "yes"]
    if not common:
        if "unknown" in states.values():
            why = "not known whether the server takes a group of the client"
            return Found(state="unknown", doubt="group", reason=why)
        return Found(state="no", obstacle="group", reason=no_group(sent, server))
    if "unknown" in states.values():
        return Found(state="yes", reason=f"which group is open: {group_name(common[0])} is one of them")
    chosen = _possible_groups(sent, server.groups, common)
    if len(chosen) == 1:
        return Found(state="yes", group=chosen.pop())
    named = " or ".join(group_name(group) for group in common if group in chosen)
    return Found(state="yes", reason=f"which group is open: {named}")


def _possible_groups(sent: Sent, theirs: Taken, common: Sequence[int]) -> set[int]:
    """What servers may choose among these groups, by what is known of their order.

    Some take the first key share that they can use, in the client's order (OpenSSL up to 3.4) or in their own; some
    insist on their first group, or on the client's, and ask for a key share of it (RFC 8446 §4.1.4).
    """
    shared = [group for group in sent.key_shares if group in common]
    by_client, by_server = list(common), [group for group in theirs.numbers if group in common]
    chosen = set(shared[:1])
    if theirs.order != "server":
        chosen |= set(by_client[:1])
    if theirs.order != "client":
        chosen |= set([group for group in by_server if group in shared][:1])
        chosen |= set(by_server[:1] if theirs.in_its_order else by_server)
    return chosen


# Signature schemes and certificates


def _kind_of(number: int, sent: Sent, server: ServerVersion) -> CertificateKind | None:
    """The kind of key that serves a suite before TLS 1.3."""
    known = suite(number)
    kinds = KINDS_OF_AUTHENTICATION.get(known.authentication)
    if kinds is None:
        return None
    if known.key_exchange.startswith("RSA") and "PSK" not in known.key_exchange:
        return "RSA"
    signing = server.protocol == "TLSv1.2" and known.key_exchange in ("ECDH", "DH") and sent.signature_schemes
    held = [kind for kind in kinds if server.kinds.get(kind, "unknown" if server.kinds else "yes") != "no"]
    if signing:
        ours = [s for s in sent.signature_schemes if KIND_OF_SCHEME.get(s) in held]
        if server.schemes.complete:
            first = _first(ours, server.schemes, {scheme: server.schemes.takes(scheme) for scheme in ours})
            if first is not None:
                return KIND_OF_SCHEME[first]
            ours = [scheme for scheme in ours if server.schemes.takes(scheme) == "yes"]
        held = [kind for kind in held if kind in {KIND_OF_SCHEME[scheme] for scheme in ours}]
    if len(held) == 1:
        return held[0]
    sure = [kind for kind in held if server.kinds.get(kind) == "yes"]
    if not server.kinds and not signing:
        return kinds[0]
    return sure[0] if len(sure) == 1 and all(server.kinds.get(k) == "no" for k in held if k != sure[0]) else None


def _tls13_scheme(sent: Sent, server: ServerVersion) -> Found:
    """By which scheme the server can sign its CertificateVerify; `kind` is that of its key."""
    if not sent.signature_schemes:
        reason = "the client lists no signature schemes, which TLS 1.3 demands (RFC 8446 §9.2)"
        return Found(state="no", obstacle="signature scheme", reason=reason)
    ours = [s for s in sent.signature_schemes if s not in NOT_IN_TLS13 and not is_grease(s)]
    held = [s for s in ours if server.kinds.get(KIND_OF_SCHEME.get(s, "RSA"), "unknown") != "no"]
    states = {scheme: server.schemes.takes(scheme) for scheme in ours}
    common = [scheme for scheme in ours if states[scheme] == "yes"]
    if not common and ours and not held and server.kinds:
        reason = f"no certificate for the client's signature schemes ({in_words(map(scheme_name, ours))}): "
        return Found(state="no", obstacle="certificate kind", reason=reason + held_kinds(server))
    if not common and "unknown" not in states.values():
        reason = no_scheme(sent.signature_schemes, server)
        return Found(state="no", obstacle="signature scheme", reason=reason)
    if not common:
        if not _surely_signs(held, server):
            why = "not known whether the server signs by a scheme of the client"
            return Found(state="unknown", doubt="signature scheme", reason=why)
        kinds = {KIND_OF_SCHEME[scheme] for scheme in held if scheme in KIND_OF_SCHEME}
    elif server.schemes.complete:
        first = _first(ours, server.schemes, states)
        if first is not None and first in KIND_OF_SCHEME:
            return Found(state="yes", kind=KIND_OF_SCHEME[first])
        kinds = {KIND_OF_SCHEME[scheme] for scheme in common if scheme in KIND_OF_SCHEME}
    else:
        kinds = {KIND_OF_SCHEME[scheme] for scheme in held if scheme in KIND_OF_SCHEME}
    return Found(state="yes", kind=kinds.pop() if len(kinds) == 1 else None)


def _surely_signs(ours: Sequence[int], server: ServerVersion) -> bool:
    """Whether a server of which no scheme is known cannot but sign by one of these in TLS 1.3.

    On paper that of RSA is obligatory, and a key on a curve has no other.
    """
    if server.schemes.numbers:
        return False
    if server.signed_by_one_of:
        return server.signed_by_one_of <= set(ours)
    if server.kinds.get("RSA") == "yes" and _EVERY_RSA in ours:
        return True
    return server.kinds.get("ECDSA") == "yes" and not {
        SCHEME_OF_CURVE.get(curve) for curve in server.curves
    }.isdisjoint(ours)
