"""What a server chooses out of a hello once the version is settled: suite, group, and the kind of its certificate.

Up to TLS 1.2 a suite has to fit groups, schemes and certificates, and one that does not is passed over (RFC 5246
§7.4.1.3, RFC 8422 §5.1). In TLS 1.3 the three are chosen apart, and each of them can fail (RFC 8446 §4.1.1).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from mxprobe.mta.hello import is_grease
from mxprobe.mta.offering import Sent
from mxprobe.terms import CertificateKind, State
from mxprobe.tls.code_points import group_name, scheme_name
from mxprobe.tls.groups import FFDHE
from mxprobe.tls.signing_keys import KIND_OF_SCHEME, KINDS_OF_AUTHENTICATION, NOT_IN_TLS13, SCHEME_OF_CURVE
from mxprobe.tls.suites import SIGNALLING, candidates, peculiar, suite
from mxprobe.verdict.server_side import ServerVersion, Taken

Obstacle = Literal["version", "suite", "group", "signature scheme", "certificate kind"]
"""What stands in the way of a session, in the order in which it is looked for."""

_STAGES: Final[tuple[Obstacle, ...]] = ("suite", "group", "signature scheme", "certificate kind")
_SCHEME: Final = 2

# RFC 8446 §9.1: every implementation signs by this with an RSA key, and RSA with SHA-256 in TLS 1.2 is as common.
_EVERY_RSA_TLS13: Final = 0x0804
_EVERY_RSA_TLS12: Final = 0x0401

# RFC 5246 §7.4.1.4.1: what stands for a missing extension.
_SHA1: Final = {"RSA": 0x0201, "ECDSA": 0x0203, "DSS": 0x0202}

_NAMED: Final = 6
"""Names in a reason before the rest is only counted: a line is to stay one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What came of it. `suite` and `group` are code points, None where they are open or there is none."""

    state: State
    suite: int | None = None
    group: int | None = None
    kind: CertificateKind | None = None
    obstacle: Obstacle | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Fit:
    """Whether a suite can be used. `risky` is an unknown one that the server may choose and then not finish with."""

    number: int
    state: State
    stage: int = len(_STAGES)
    reason: str = ""
    risky: bool = False


def choice_before_tls13(sent: Sent, server: ServerVersion) -> Found:
    """What a server chooses in SSLv2 to TLS 1.2."""
    offered = _offered(sent)
    fits = [_fit(number, sent, server) for number in offered]
    possible = [fit for fit in fits if fit.state != "no"]
    if not possible:
        stage = max((fit.stage for fit in fits), default=0)
        reason = next((fit.reason for fit in fits if fit.stage == stage and fit.reason), "")
        reason = _no_suite(offered, server) if stage == 0 else reason
        return Found(state="no", obstacle=_STAGES[stage], reason=reason)
    # Not every server looks at the schemes before it picks: some fail then, where others pass on to the next suite.
    blind = [replace(fit, state="unknown", risky=True) if fit.stage == _SCHEME else fit for fit in fits]
    picks = _picks([fit for fit in blind if fit.state != "no"], server)
    for fit in picks:
        if fit.risky:
            return Found(state="unknown", reason=f"{suite(fit.number).name}: {fit.reason}")
    if not any(fit.state == "yes" for fit in picks):
        return Found(state="unknown", reason=_open_suites(picks))
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
    offered = _offered(sent)
    states = {number: server.takes_suite(number) for number in offered}
    possible = [_Fit(number, state) for number, state in states.items() if state != "no"]
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


def _offered(sent: Sent) -> tuple[int, ...]:
    """The suites that can be picked: those that signal and those that stand for nothing cannot."""
    return tuple(n for n in dict.fromkeys(sent.suites) if n not in SIGNALLING and not (n <= 0xFFFF and is_grease(n)))


def _picks(possible: Sequence[_Fit], server: ServerVersion) -> list[_Fit]:
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


def _until_sure(fits: Iterable[_Fit]) -> list[_Fit]:
    picks = []
    for fit in fits:
        picks.append(fit)
        if fit.state == "yes":
            break
    return picks


def _may_come_first(first: _Fit, listed: Sequence[_Fit], possible: Sequence[_Fit], server: ServerVersion) -> list[_Fit]:
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


def _fit(number: int, sent: Sent, server: ServerVersion) -> _Fit:
    """Whether a suite can be used in a version before TLS 1.3, and at which stage it fails if not."""
    known = suite(number)
    takes = server.takes_suite(number)
    if takes == "no":
        return _Fit(number, "no", 0)
    if takes == "unknown":
        return _Fit(number, "unknown", 0, "not known whether it is accepted", risky=peculiar(number) is not None)
    if server.protocol == "SSLv2":
        return _Fit(number, "yes")
    if number in server.selected:
        return _Fit(number, "unknown", 0, "the server picks it, and was not seen to go on", risky=True)
    fits = [_group_fit(number, sent, server), _scheme_fit(number, sent, server), _key_fit(number, sent, server)]
    for fit in fits:
        if fit.state == "no":
            return fit
    unsure = [fit for fit in fits if fit.state == "unknown"]
    if unsure:
        return next((fit for fit in unsure if fit.risky), unsure[0])
    if peculiar(number) in _NEEDS_A_SECRET:
        return _Fit(number, "unknown", 0, f"{known.name} takes a secret that both sides share", risky=True)
    return _Fit(number, "yes")


_NEEDS_A_SECRET: Final = frozenset({"PSK", "SRP", "Kerberos", "password"})


def _no_suite(offered: Sequence[int], server: ServerVersion) -> str:
    ours = _listed(suite(number).name for number in offered)
    theirs = _listed(suite(number).name for number in server.suites.numbers)
    return f"no cipher suite in common in {server.protocol}: the client offers {ours}; the server takes {theirs}"


def _open_suites(picks: Sequence[_Fit]) -> str:
    sure = [fit for fit in picks if fit.state == "yes"]
    unsure = [fit for fit in picks if fit.state != "yes"]
    parts = []
    if sure:
        parts.append(f"{' or '.join(suite(fit.number).name for fit in sure[:_NAMED])}")
    if unsure:
        named = _listed(suite(fit.number).name for fit in unsure)
        parts.append(f"{'else ' if sure else ''}{named} ({unsure[0].reason or 'not known whether it is accepted'})")
    return f"which suite is open: {', '.join(parts)}"


def _listed(names: Iterable[str]) -> str:
    names = tuple(names)
    if not names:
        return "none"
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


# Groups


def _group_fit(number: int, sent: Sent, server: ServerVersion) -> _Fit:
    exchange = suite(number).key_exchange
    if server.protocol == "SSLv3":  # it has no extensions, and servers look at none
        return _Fit(number, "yes")
    if exchange == "DH":
        return _finite_field_fit(number, sent, server)
    if "ECDH" not in exchange or "/" in exchange:
        return _Fit(number, "yes")
    if not sent.groups:
        return _Fit(number, "unknown", 1, "the client lists no groups: a server may choose any, or none (RFC 8422 §4)")
    states = {server.takes_group(group) for group in _curves(sent)}
    if "yes" in states:
        return _Fit(number, "yes")
    if "unknown" in states:
        return _Fit(number, "unknown", 1, "not known whether the server takes a group of the client")
    return _Fit(number, "no", 1, _no_group(sent, server))


def _finite_field_fit(number: int, sent: Sent, server: ServerVersion) -> _Fit:
    """A client that lists finite fields wants one of them, of a server that knows RFC 7919 (§4)."""
    wanted = [group for group in sent.groups if group in FFDHE]
    named = [group for group in server.groups.numbers if group in FFDHE]
    if not wanted or set(wanted) & set(named):
        return _Fit(number, "yes")
    if server.groups.complete and not named and server.own_field:
        return _Fit(number, "yes")
    return _Fit(number, "unknown", 1, "not known whether the server minds the finite fields that the client lists")


def _no_group(sent: Sent, server: ServerVersion) -> str:
    ours = _listed(map(group_name, sent.groups))
    theirs = _listed(map(group_name, server.groups.numbers))
    return f"no group in common in {server.protocol}: the client lists {ours}; the server takes {theirs}"


def _group_of(number: int, sent: Sent, server: ServerVersion) -> int | None:
    """The group of an ECDHE suite that is used; None for all others."""
    exchange = suite(number).key_exchange
    if "ECDH" not in exchange or "/" in exchange or server.protocol == "SSLv3":
        return None
    curves = _curves(sent)
    return _first(curves, server.groups, {group: server.takes_group(group) for group in curves})


def _curves(sent: Sent) -> tuple[int, ...]:
    """The groups that are for ECDHE before TLS 1.3: not the finite fields (RFC 7919 §2)."""
    return tuple(group for group in sent.groups if group not in FFDHE)


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
            return Found(state="unknown", reason="not known whether the server takes a group of the client")
        return Found(state="no", obstacle="group", reason=_no_group(sent, server))
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


def _scheme_fit(number: int, sent: Sent, server: ServerVersion) -> _Fit:
    known = suite(number)
    if server.protocol != "TLSv1.2":
        return _old_scheme_fit(number, sent, server)
    signs = known.key_exchange in ("ECDH", "DH") and known.authentication in _SHA1
    if not signs:
        return _unsigned_fit(number, sent, server)
    if not sent.signature_schemes:
        if server.schemes.takes(_SHA1[known.authentication]) == "yes":
            return _Fit(number, "yes")
        why = "the client lists no signature schemes, which means SHA-1 (RFC 5246 §7.4.1.4.1), and whether"
        return _Fit(number, "unknown", 2, f"{why} the server then signs so is not known", True)
    kinds = KINDS_OF_AUTHENTICATION[known.authentication]
    ours = [scheme for scheme in sent.signature_schemes if KIND_OF_SCHEME.get(scheme) in kinds]
    states = {server.schemes.takes(scheme) for scheme in ours}
    if "yes" in states:
        return _Fit(number, "yes")
    if not ours or states == {"no"}:
        return _Fit(number, "no", 2, _no_scheme(sent.signature_schemes, server))
    if known.authentication == "RSA" and _EVERY_RSA_TLS12 in ours and server.has_kind(("RSA",)) != "no":
        return _Fit(number, "yes")
    return _Fit(number, "unknown", 2, "not known whether the server signs by a scheme of the client", True)


def _unsigned_fit(number: int, sent: Sent, server: ServerVersion) -> _Fit:
    """Some servers hold a certificate to be of no use to a client that lists no scheme for its key, be it that nothing
    is signed by it (OpenSSL)."""
    kinds = KINDS_OF_AUTHENTICATION.get(suite(number).authentication, ())
    ours = [scheme for scheme in sent.signature_schemes if KIND_OF_SCHEME.get(scheme) in kinds]
    if not kinds or not sent.signature_schemes or any(server.schemes.takes(scheme) == "yes" for scheme in ours):
        return _Fit(number, "yes")
    if ours and not any(KIND_OF_SCHEME.get(scheme) in kinds for scheme in server.schemes.numbers):
        return _Fit(number, "yes")
    why = "the client lists no signature scheme for its certificate, and some servers mind, although nothing is signed"
    return _Fit(number, "unknown", 2, why, True)


def _old_scheme_fit(number: int, sent: Sent, server: ServerVersion) -> _Fit:
    """Versions before TLS 1.2 have no schemes, but some servers mind those of the hello in these versions, too."""
    if not sent.signature_schemes or server.protocol in ("SSLv2", "SSLv3"):
        return _Fit(number, "yes")
    kinds = KINDS_OF_AUTHENTICATION.get(suite(number).authentication, ())
    if not kinds or any(scheme >> 8 <= 6 and KIND_OF_SCHEME.get(scheme) in kinds for scheme in sent.signature_schemes):
        return _Fit(number, "yes")
    why = f"the client lists no signature scheme for its certificate that is as old as {server.protocol}"
    return _Fit(number, "unknown", 2, f"{why}, and some servers mind", True)


def _key_fit(number: int, sent: Sent, server: ServerVersion) -> _Fit:
    known = suite(number)
    kinds = KINDS_OF_AUTHENTICATION.get(known.authentication)
    if kinds is None or not server.kinds:
        return _Fit(number, "yes")
    if server.has_kind(kinds) == "no":
        return _Fit(number, "no", 3, f"the server has no certificate for {known.name}: {_held(server)}")
    if known.authentication not in ("ECDSA", "ECDH") or not sent.groups or server.protocol == "SSLv3":
        return _Fit(number, "yes")
    if server.kinds.get("EdDSA") == "yes" and known.authentication == "ECDSA":
        return _Fit(number, "yes")
    listed = {group_name(group) for group in sent.groups}
    if set(server.curves) & listed:
        return _Fit(number, "yes")
    if not server.curves:
        if listed >= {"secp256r1", "secp384r1", "secp521r1"}:
            return _Fit(number, "yes")
        return _Fit(number, "unknown", 3, "not known on which curve the certificate of the server is", True)
    reason = f"the certificate is on {_listed(server.curves)}, which the client does not list"
    return _Fit(number, "unknown", 3, f"{reason}, and not every server minds (RFC 8422 §5.1)", True)


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
        reason = f"no certificate for the client's signature schemes ({_listed(map(scheme_name, ours))}): "
        return Found(state="no", obstacle="certificate kind", reason=reason + _held(server))
    if not common and "unknown" not in states.values():
        reason = _no_scheme(sent.signature_schemes, server)
        return Found(state="no", obstacle="signature scheme", reason=reason)
    if not common:
        common = [scheme for scheme in held if _surely_signs(scheme, server)]
        if not common:
            return Found(state="unknown", reason="not known whether the server signs by a scheme of the client")
        kinds = {KIND_OF_SCHEME[scheme] for scheme in held if scheme in KIND_OF_SCHEME}
    elif server.schemes.complete:
        first = _first(ours, server.schemes, states)
        if first is not None and first in KIND_OF_SCHEME:
            return Found(state="yes", kind=KIND_OF_SCHEME[first])
        kinds = {KIND_OF_SCHEME[scheme] for scheme in common if scheme in KIND_OF_SCHEME}
    else:
        kinds = {KIND_OF_SCHEME[scheme] for scheme in held if scheme in KIND_OF_SCHEME}
    return Found(state="yes", kind=kinds.pop() if len(kinds) == 1 else None)


def _surely_signs(scheme: int, server: ServerVersion) -> bool:
    """Whether a server with its keys cannot but sign by this in TLS 1.3: that of RSA is obligatory, and a curve has
    no other."""
    if scheme == _EVERY_RSA_TLS13:
        return server.kinds.get("RSA") == "yes"
    return server.kinds.get("ECDSA") == "yes" and scheme in {SCHEME_OF_CURVE.get(curve) for curve in server.curves}


def _no_scheme(ours: Sequence[int], server: ServerVersion) -> str:
    theirs = _listed(map(scheme_name, server.schemes.numbers))
    listed = _listed(map(scheme_name, ours))
    both = f"the client lists {listed}; the server signs by {theirs}"
    return f"no signature scheme in common in {server.protocol}: {both}"


def _held(server: ServerVersion) -> str:
    held = [kind for kind, state in server.kinds.items() if state == "yes"]
    return f"the server has {' and '.join(held)}" if held else "none is known of the server"
