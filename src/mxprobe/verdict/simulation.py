"""What a client would agree on with a server, computed from the facts of the server: no connection is made.

`docs/simulation.md` says how servers choose, and where facts do not settle what they would. Nothing is guessed: what
the facts leave open is *unknown*, with the reason; a session whose suite or group they leave open is certain all the
same where every one that the server may choose leads to it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from mxprobe.facts import EndpointFacts
from mxprobe.mta.hello import is_grease
from mxprobe.mta.offering import Sent, what_is_sent
from mxprobe.mta.profile import KeyExchange, Profile
from mxprobe.terms import PROTOCOLS, CertificateKind, Protocol, State
from mxprobe.tls.code_points import FALLBACK_SCSV, group_name
from mxprobe.tls.suites import suite
from mxprobe.verdict.choice import Found, choice_before_tls13, choice_in_tls13
from mxprobe.verdict.server_side import server_version
from mxprobe.verdict.suite_fit import Obstacle

_EXCHANGES: Final[dict[str, KeyExchange]] = {"DH": "DHE", "ECDH": "ECDHE", "RSA": "RSA"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """What a client would get: a session (*yes*) and with what, or the first reason why there is none (*no*).

    None where the facts leave a part of it open, or where a suite has no such part: DHE before TLS 1.3 has no named
    group, an anonymous suite no certificate. `obstacle` is None for a session, where the facts do not tell, and where
    the server has no TLS to offer at all. `reason` is empty for a session that is known in every part.

    Of a client whose profile is not complete nothing is known but what it has: a session is certain where that leads to
    one; that there is none, where the server takes nothing but key exchanges that the client is known to be without;
    otherwise it is *unknown*, with the obstacle to what is known.
    """

    profile: str
    state: State
    protocol: Protocol | None = None
    suite: str | None = None
    group: str | None = None
    certificate_kind: CertificateKind | None = None
    obstacle: Obstacle | None = None
    reason: str = ""
    doubt: Obstacle | None = None


def simulate(client: Profile, facts: EndpointFacts) -> Simulated:
    """What this client would agree on with the server of these facts.

    Where no part of a session is left open, it is what sending the hello of the client would have been answered with.

    Raises:
        InvalidSetting: the recorded hello of the client cannot be read.
    """
    if (without := _without_tls(client, facts)) is not None:
        return without
    sent = what_is_sent(client)
    if quirk := _stumbles(sent, facts):
        return Simulated(profile=client.name, state="unknown", reason=quirk)
    version, *others = [_version(sent, facts, aware=aware) for aware in _readings(sent, facts)]
    if any((other.protocol, other.state) != (version.protocol, version.state) for other in others):
        reason = "which version is open: the server may go by the list of versions, or by the newest alone"
        return Simulated(profile=client.name, state="unknown", reason=reason)
    if version.protocol is None:
        obstacle: Obstacle | None = "version" if version.state == "no" else None
        found = Simulated(profile=client.name, state=version.state, obstacle=obstacle, reason=version.reason)
    else:
        choose = choice_in_tls13 if version.protocol == "TLSv1.3" else choice_before_tls13
        chosen = choose(sent, server_version(facts, version.protocol))
        found = _told(client, facts, version.protocol, chosen)
    return found if client.complete else _at_least(found, client, facts)


def _at_least(found: Simulated, client: Profile, facts: EndpointFacts) -> Simulated:
    """What is certain of a client that may offer more than is known of it."""
    more = "what else the client offers is not known"
    if found.obstacle == "suite" and _takes_only(client.without, facts):
        without = f"the client offers no {' and no '.join(client.without)}, and the server takes nothing else"
        return replace(found, state="no", reason=f"{found.reason}; {without}")
    if found.state != "yes":
        return replace(found, state="unknown", reason=f"{found.reason}; {more}")
    known = f"{found.protocol} {found.suite}" if found.suite else found.reason
    return Simulated(profile=found.profile, state="yes", reason=f"at least {known}; {more}")


def _takes_only(exchanges: tuple[KeyExchange, ...], facts: EndpointFacts) -> bool:
    """Whether every suite that the server takes, in any version, is of these key exchanges; false where some may be
    unknown."""
    if any(seen.state == "unknown" for seen in facts.protocols.values()) or len(facts.protocols) < len(PROTOCOLS):
        return False
    accepted = [seen for seen in facts.protocols.values() if seen.state == "accepted"]
    return all(seen.complete for seen in accepted) and all(
        known.authentication != "None" and _EXCHANGES.get(known.key_exchange.partition("(")[0]) in exchanges
        for seen in accepted
        for known in (suite(int(taken.id, 16)) for taken in seen.suites)
    )


def _told(client: Profile, facts: EndpointFacts, protocol: Protocol, found: Found) -> Simulated:
    state, reason = found.state, found.reason
    if state == "yes" and protocol == "TLSv1.3" and not _completes_tls13(facts):
        state, reason = "unknown", "of TLS 1.3 only the ServerHello was seen, and no complete handshake"
    return Simulated(
        profile=client.name,
        state=state,
        protocol=protocol,
        suite=None if found.suite is None else suite(found.suite).name,
        group=None if found.group is None else group_name(found.group),
        certificate_kind=found.kind,
        obstacle=found.obstacle,
        reason=reason,
        doubt=found.doubt if state == "unknown" else None,
    )


def _without_tls(client: Profile, facts: EndpointFacts) -> Simulated | None:
    """What is to be said where STARTTLS does not work; None where it does."""
    seen = facts.starttls
    if seen.state == "works":
        return None
    reasons = {
        "not-offered": "STARTTLS is not offered",
        "refused": "STARTTLS is refused",
        "offered-but-broken": "STARTTLS is offered, but TLS fails",
        "unknown": "could not find out whether STARTTLS works",
    }
    certain = seen.state in ("not-offered", "offered-but-broken") or (
        seen.state == "refused" and seen.stage == "starttls"
    )
    reason = reasons[seen.state] + (f": {seen.reason}" if seen.reason else "")
    return Simulated(profile=client.name, state="no" if certain else "unknown", reason=reason)


def _completes_tls13(facts: EndpointFacts) -> bool:
    """Whether there was a complete handshake in TLS 1.3, or there is nothing but paper."""
    natural = facts.natural
    complete = natural is not None and natural.protocol == "TLSv1.3" and natural.reached == "handshake-complete"
    return complete or facts.computed_from is not None


def _stumbles(sent: Sent, facts: EndpointFacts) -> str:
    """What the server was seen to stumble over that is in this hello: no answer can be told then."""
    quirks = facts.quirks
    if quirks is None:
        return ""
    if quirks.max_suites is not None and len(sent.suites) > quirks.max_suites:
        return f"the hello offers {len(sent.suites)} suites, and offers of more than {quirks.max_suites} failed"
    large = quirks.large_hello
    if large is not None and large.state == "no" and (sent.length is None or sent.length >= _SMALL):
        return f"the server fails on large hellos, as this one may be to it: {large.reason}"
    fragmented = quirks.fragmented_hello
    if fragmented is not None and fragmented.state == "no" and sent.records > 1:
        return f"the server fails on hellos of more than one record: {fragmented.reason}"
    grease = quirks.grease
    if grease is not None and grease.state == "no" and any(map(is_grease, (*sent.suites, *sent.groups))):
        return f"the server fails on values of RFC 8701, which the hello has: {grease.reason}"
    effect = quirks.server_name.effect if quirks.server_name else "same"
    if not sent.named and facts.server_name is not None and effect in ("refused", "other"):
        what = "refuses hellos" if effect == "refused" else "has another certificate for hellos"
        return f"the server {what} without a server name, and this one has none"
    return ""


_SMALL: Final = 256
"""Bytes of a hello that every server was seen to take (RFC 7685 §1)."""


# Versions


@dataclass(frozen=True, slots=True)
class _Version:
    """The version that is agreed on, or None with the reason."""

    protocol: Protocol | None
    state: State = "yes"
    reason: str = ""


def _readings(sent: Sent, facts: EndpointFacts) -> tuple[bool, ...]:
    """Whether the server goes by the list of versions in the hello: one that speaks TLS 1.3 must (RFC 8446 §4.2.1)."""
    if not sent.lists_versions:
        return (False,)
    return (True,) if _state(facts, "TLSv1.3")[0] == "yes" else (True, False)


def _version(sent: Sent, facts: EndpointFacts, *, aware: bool) -> _Version:
    """The newest version that both have. A hello without a list of versions names the newest one alone, so that a
    server may answer with an older one that the client lacks (RFC 5246 appendix E.1)."""
    if sent.protocols == ("SSLv2",) or sent.sslv2_form:
        return _sslv2_form(sent, facts)
    mine: list[Protocol] = [protocol for protocol in sent.protocols if protocol != "SSLv2"]
    if not mine:
        return _Version(None, "no", "an offer of SSLv2 beside newer versions takes a hello of its own form")
    newest = PROTOCOLS.index(mine[0])
    if not aware and sent.lists_versions:
        newest = min(newest, PROTOCOLS.index("TLSv1.2"))
    heard = mine if aware else list(reversed(PROTOCOLS[1 : newest + 1]))
    return _newest_of(heard, mine, sent, facts)


def _newest_of(heard: list[Protocol], mine: list[Protocol], sent: Sent, facts: EndpointFacts) -> _Version:
    for protocol in heard:
        state, reason = _state(facts, protocol)
        if state == "unknown":
            return _Version(None, "unknown", f"{protocol} is unknown" + (f": {reason}" if reason else ""))
        if state == "no":
            continue
        if protocol not in mine:
            return _Version(None, "no", f"the server answers with {protocol}, which the client does not have")
        if (fallback := _fallback(sent, facts)) is not None:
            return fallback
        if why := _fails_on_newer(protocol, mine, facts):
            return _Version(None, "unknown", why)
        return _Version(protocol)
    offered = ", ".join(reversed(mine))
    taken = ", ".join(protocol for protocol in PROTOCOLS if _state(facts, protocol)[0] == "yes")
    return _Version(None, "no", f"no version in common: the client has {offered}; the server takes {taken or 'none'}")


def _fails_on_newer(protocol: Protocol, mine: list[Protocol], facts: EndpointFacts) -> str:
    """Why a hello that also offers something newer may fail where one for this version alone does not.

    A server that knows the newer version, and lacks only a group for it, say, refuses all who offer it. It shows where
    OpenSSL's own hello was refused, too, and not for the version (RFC 8446 §6.2, protocol_version).
    """
    natural = facts.natural
    completes = natural is not None and natural.reached == "handshake-complete"
    if completes or not (facts.handshake_error and " alert " in facts.handshake_error):
        return ""
    newer = [newer for newer in mine if PROTOCOLS.index(newer) > PROTOCOLS.index(protocol)]
    refused = [(each, seen.reason) for each in newer if (seen := facts.protocols.get(each)) is not None]
    for each, why in refused:
        if "alert" in why and "protocol_version" not in why:
            return f"{protocol} alone is answered, but OpenSSL's own hello is refused, and so is {each}: {why}"
    return ""


def _sslv2_form(sent: Sent, facts: EndpointFacts) -> _Version:
    """A hello of SSLv2's form may be for newer versions, which servers without SSLv2 need not understand (RFC 5246
    appendix E.2); one with SSLv2 does."""
    mine: list[Protocol] = list(sent.protocols)
    state, reason = _state(facts, "SSLv2")
    if mine == ["SSLv2"]:
        if state == "yes":
            return _Version("SSLv2")
        return _Version(None, state, reason or f"SSLv2 is {'refused' if state == 'no' else 'unknown'}")
    heard = list(reversed(PROTOCOLS[: PROTOCOLS.index(mine[0]) + 1]))
    found = _newest_of(heard, mine, sent, facts)
    if found.protocol is None or state == "yes":
        return found
    return _Version(None, "unknown", "not known whether the server reads hellos of SSLv2's form for newer versions")


def _state(facts: EndpointFacts, protocol: Protocol) -> tuple[State, str]:
    """Whether the server takes a version: as was asked, else as a complete handshake with an offer of all showed."""
    seen = facts.protocols.get(protocol)
    if seen is not None and seen.state == "refused" and _agreed_all_the_same(facts, protocol):
        return "unknown", f"the suites of all questions were refused ({seen.reason}), and a sender got it"
    if seen is not None and seen.state != "unknown":
        return ("yes" if seen.state == "accepted" else "no"), seen.reason
    natural = facts.natural
    if natural is not None and natural.reached == "handshake-complete":
        if protocol == natural.protocol:
            return "yes", ""
        if seen is None and PROTOCOLS.index(protocol) > PROTOCOLS.index(natural.protocol):
            return "no", f"a complete handshake came to {natural.protocol}"
    return "unknown", "it was not asked" if seen is None else seen.reason


def _agreed_all_the_same(facts: EndpointFacts, protocol: Protocol) -> bool:
    """Whether the hello of a profile got a version. A refusal of it by itself then says nothing of the version: the
    server refuses offers for some suite in them, which it picks and cannot finish."""
    return any(answer.state == "yes" and answer.protocol == protocol for answer in facts.profiles)


def _fallback(sent: Sent, facts: EndpointFacts) -> _Version | None:
    """A client that says it fell back is turned away where the server speaks something newer (RFC 7507 §3)."""
    if FALLBACK_SCSV not in sent.suites:
        return None
    newer = PROTOCOLS[PROTOCOLS.index(sent.protocols[0]) + 1 :]
    if not any(_state(facts, protocol)[0] == "yes" for protocol in newer):
        return None
    known = facts.features.fallback_scsv if facts.features else None
    if known is not None and known.state == "no":
        return None
    if known is not None and known.state == "yes":
        return _Version(None, "no", "the client says that it fell back, and the server speaks something newer")
    return _Version(None, "unknown", "the client says that it fell back: not known whether the server minds")
