"""Whether a suite of a version before TLS 1.3 can be used: by the groups, schemes and certificates of both sides.

One that cannot is passed over (RFC 5246 §7.4.1.3, RFC 8422 §5.1).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from mxprobe.mta.hello import is_grease
from mxprobe.mta.offering import Sent
from mxprobe.terms import State
from mxprobe.tls.code_points import group_name, scheme_name
from mxprobe.tls.groups import FFDHE
from mxprobe.tls.signing_keys import KIND_OF_SCHEME, KINDS_OF_AUTHENTICATION
from mxprobe.tls.suites import SIGNALLING, peculiar, suite
from mxprobe.verdict.server_side import ServerVersion

Obstacle = Literal["version", "suite", "group", "signature scheme", "certificate kind"]
"""What stands in the way of a session, in the order in which it is looked for."""

STAGES: Final[tuple[Obstacle, ...]] = ("suite", "group", "signature scheme", "certificate kind")
"""The obstacles to a suite, as they are looked for."""

SCHEME: Final = STAGES.index("signature scheme")

# SHA-256 in TLS 1.2 is what every implementation signs by that has such a key.
_EVERY_RSA: Final = 0x0401
_USUAL: Final = {"RSA": _EVERY_RSA, "ECDSA": 0x0403, "DSS": 0x0402}

# SHA-224, SHA-1 and MD5.
_LAST_OF_RSA: Final = frozenset({0x0301, 0x0201, 0x0101})

# RFC 5246 §7.4.1.4.1: what stands for a missing extension.
_SHA1: Final = {"RSA": 0x0201, "ECDSA": 0x0203, "DSS": 0x0202}

_NEEDS_A_SECRET: Final = frozenset({"PSK", "SRP", "Kerberos", "password"})

MAX_NAMED: Final = 6
"""Names in a reason before the rest is only counted: a line is to stay one."""


@dataclass(frozen=True, slots=True)
class Fit:
    """Whether a suite can be used; `stage` is that of `STAGES` at which it fails, or may fail.

    A `risky` one is unknown, and the server may choose it and then not finish.
    """

    number: int
    state: State
    stage: int = len(STAGES)
    reason: str = ""
    risky: bool = False


@lru_cache(maxsize=256)
def offered_suites(sent: Sent) -> tuple[int, ...]:
    """The suites that can be picked: those that signal and those that stand for nothing cannot."""
    return tuple(n for n in dict.fromkeys(sent.suites) if n not in SIGNALLING and not (n <= 0xFFFF and is_grease(n)))


def suite_fits(sent: Sent, server: ServerVersion) -> list[Fit]:
    """What can be said of the suites of a hello in a version before TLS 1.3; those that the server lacks are left out.

    Servers have much in common, and suites too: what is the same is looked at once.
    """
    known = _known_fits(sent, server.beside_suites)
    states, selected = server.takes_suites(offered_suites(sent)), server.selected
    fits = []
    for (number, alike), takes in zip(_with_alike(offered_suites(sent)), states.values(), strict=True):
        if takes == "no":
            continue
        key = alike, takes, number in selected
        fit = known.get(key)
        if fit is None:
            fit = known[key] = _suite_fit(number, takes, sent, server)
        fits.append(_fit(number, fit.state, fit.stage, fit.reason, fit.risky))
    return fits


_fit = lru_cache(maxsize=4096)(Fit)
"""There are few different ones, and many of each."""


@lru_cache(maxsize=1024)
def _known_fits(_sent: Sent, _beside_suites: Hashable) -> dict[tuple[int, State, bool], Fit]:
    """What was said before of the suites of a hello, with servers that differ in nothing but their suites."""
    return {}


@lru_cache(maxsize=256)
def _with_alike(numbers: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """Each suite with the first of those that are like it in all that counts here."""
    first: dict[tuple[str, str, str | None], int] = {}
    known = [(number, suite(number)) for number in numbers]
    return tuple(
        (number, first.setdefault((each.key_exchange, each.authentication, peculiar(number)), number))
        for number, each in known
    )


def _suite_fit(number: int, takes: State, sent: Sent, server: ServerVersion) -> Fit:
    """Whether a suite can be used in a version before TLS 1.3, and at which stage it fails if not."""
    if server.protocol == "SSLv2":
        return Fit(number, takes, 0, "" if takes == "yes" else "not known whether it is accepted")
    fits = [_group_fit(number, sent, server), _scheme_fit(number, sent, server), _key_fit(number, sent, server)]
    if takes == "unknown":
        # Whatever else stands against it may not even be asked.
        # A server that has it signs by what all do with such a key.
        signs = _USUAL.get(suite(number).authentication) in sent.signature_schemes
        risky = any(fit.stage == SCHEME and fit.state == "no" for fit in fits)
        risky = risky or any(fit.risky and not (fit.stage == SCHEME and signs) for fit in fits)
        why = "not known whether it is accepted"
        return Fit(number, "unknown", 0, why, risky=risky or not _can_be_finished(number, server))
    if number in server.selected:
        return Fit(number, "unknown", 0, "the server picks it, and was not seen to go on", risky=True)
    for fit in fits:
        if fit.state == "no":
            return fit
    unsure = [fit for fit in fits if fit.state == "unknown"]
    if unsure:
        return next((fit for fit in unsure if fit.risky), unsure[0])
    if peculiar(number) in _NEEDS_A_SECRET:
        return Fit(number, "unknown", 0, "it takes a secret that both sides share", risky=True)
    return Fit(number, "yes")


def curves_of(sent: Sent) -> tuple[int, ...]:
    """The groups that are for ECDHE before TLS 1.3: not the finite fields (RFC 7919 §2)."""
    return tuple(group for group in sent.groups if group not in FFDHE)


def no_group(sent: Sent, server: ServerVersion) -> str:
    """Why there is no group in common."""
    ours = in_words(map(group_name, sent.groups))
    theirs = in_words(map(group_name, server.groups.numbers))
    return f"no group in common in {server.protocol}: the client lists {ours}; the server takes {theirs}"


def no_scheme(ours: Sequence[int], server: ServerVersion) -> str:
    """Why there is no signature scheme in common."""
    theirs = in_words(map(scheme_name, server.schemes.numbers))
    both = f"the client lists {in_words(map(scheme_name, ours))}; the server signs by {theirs}"
    return f"no signature scheme in common in {server.protocol}: {both}"


def held_kinds(server: ServerVersion) -> str:
    """Which keys the server has."""
    held = [kind for kind, state in server.kinds.items() if state == "yes"]
    return f"the server has {' and '.join(held)}" if held else "none is known of the server"


def in_words(names: Iterable[str]) -> str:
    """Names in a row; from some number on the rest is counted."""
    names = tuple(names)
    if not names:
        return "none"
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return ", ".join(names[:MAX_NAMED]) + more


def _group_fit(number: int, sent: Sent, server: ServerVersion) -> Fit:
    exchange = suite(number).key_exchange
    if server.protocol == "SSLv3":  # it has no extensions, and servers look at none
        return Fit(number, "yes")
    if exchange == "DH":
        return _finite_field_fit(number, sent, server)
    if "ECDH" not in exchange or "/" in exchange:
        return Fit(number, "yes")
    if not sent.groups:
        return Fit(number, "unknown", 1, "the client lists no groups: a server may choose any, or none (RFC 8422 §4)")
    states = {server.takes_group(group) for group in curves_of(sent)}
    if "yes" in states:
        return Fit(number, "yes")
    if "unknown" in states:
        return Fit(number, "unknown", 1, "not known whether the server takes a group of the client")
    return Fit(number, "no", 1, no_group(sent, server))


def _finite_field_fit(number: int, sent: Sent, server: ServerVersion) -> Fit:
    """A client that lists finite fields wants one of them, of a server that knows RFC 7919 (§4)."""
    wanted = [group for group in sent.groups if group in FFDHE]
    if not wanted or set(wanted) & set(server.groups.numbers) or server.own_field:
        return Fit(number, "yes")
    return Fit(number, "unknown", 1, "not known whether the server minds the finite fields that the client lists")


def _scheme_fit(number: int, sent: Sent, server: ServerVersion) -> Fit:
    known = suite(number)
    if server.protocol != "TLSv1.2":
        return _old_scheme_fit(number, sent, server)
    signs = known.key_exchange in ("ECDH", "DH") and known.authentication in _SHA1
    if not signs:
        return _unsigned_fit(number, sent, server)
    if not sent.signature_schemes:
        if server.schemes.takes(_SHA1[known.authentication]) == "yes":
            return Fit(number, "yes")
        why = "the client lists no signature schemes, which means SHA-1 (RFC 5246 §7.4.1.4.1), and whether"
        return Fit(number, "unknown", 2, f"{why} the server then signs so is not known", True)
    kinds = KINDS_OF_AUTHENTICATION[known.authentication]
    ours = [scheme for scheme in sent.signature_schemes if KIND_OF_SCHEME.get(scheme) in kinds]
    states = {server.schemes.takes(scheme) for scheme in ours}
    if "yes" in states:
        return Fit(number, "yes")
    if not ours or states == {"no"}:
        return Fit(number, "no", 2, no_scheme(sent.signature_schemes, server))
    if known.authentication == "RSA" and _EVERY_RSA in ours and _signs_by_every_rsa(server):
        return Fit(number, "yes")
    return Fit(number, "unknown", 2, "not known whether the server signs by a scheme of the client", True)


def _can_be_finished(number: int, server: ServerVersion) -> bool:
    """Whether a server that picks this suite has all that it takes: without certificates, if it was seen to do so."""
    family = peculiar(number)
    return server.finishes_anonymous if family == "anonymous" else family is None


def _signs_by_every_rsa(server: ServerVersion) -> bool:
    """Whether a server of whose schemes not all are known can be taken to sign by what all sign by with a key of RSA.

    Not where it signed by SHA-1 or MD5 alone: our hellos put these last.
    """
    seen = [scheme for scheme in server.schemes.numbers if KIND_OF_SCHEME.get(scheme) == "RSA"]
    if seen and all(scheme in _LAST_OF_RSA for scheme in seen):
        return False
    return server.kinds.get("RSA") == "yes"


def _unsigned_fit(number: int, sent: Sent, server: ServerVersion) -> Fit:
    """Some servers hold a certificate to be of no use to a client that lists no scheme for its key, be it that nothing
    is signed by it (OpenSSL)."""
    kinds = KINDS_OF_AUTHENTICATION.get(suite(number).authentication, ())
    ours = [scheme for scheme in sent.signature_schemes if KIND_OF_SCHEME.get(scheme) in kinds]
    if not kinds or not sent.signature_schemes or any(server.schemes.takes(scheme) == "yes" for scheme in ours):
        return Fit(number, "yes")
    if ours and not any(KIND_OF_SCHEME.get(scheme) in kinds for scheme in server.schemes.numbers):
        return Fit(number, "yes")
    why = "the client lists no signature scheme for its certificate, and some servers mind, although nothing is signed"
    return Fit(number, "unknown", 2, why, True)


def _old_scheme_fit(number: int, sent: Sent, server: ServerVersion) -> Fit:
    """Versions before TLS 1.2 have no schemes, but some servers mind those of the hello in these versions, too."""
    if not sent.signature_schemes or server.protocol in ("SSLv2", "SSLv3"):
        return Fit(number, "yes")
    kinds = KINDS_OF_AUTHENTICATION.get(suite(number).authentication, ())
    if not kinds or any(scheme >> 8 <= 6 and KIND_OF_SCHEME.get(scheme) in kinds for scheme in sent.signature_schemes):
        return Fit(number, "yes")
    why = f"the client lists no signature scheme for its certificate that is as old as {server.protocol}"
    return Fit(number, "unknown", 2, f"{why}, and some servers mind", True)


def _key_fit(number: int, sent: Sent, server: ServerVersion) -> Fit:
    known = suite(number)
    kinds = KINDS_OF_AUTHENTICATION.get(known.authentication)
    if kinds is None or not server.kinds:
        return Fit(number, "yes")
    if server.has_kind(kinds) == "no":
        return Fit(
            number, "no", 3, f"the server has no certificate for {known.authentication} suites: {held_kinds(server)}"
        )
    if known.authentication not in ("ECDSA", "ECDH") or not sent.groups or server.protocol == "SSLv3":
        return Fit(number, "yes")
    if server.kinds.get("EdDSA") == "yes" and known.authentication == "ECDSA":
        return Fit(number, "yes")
    listed = {group_name(group) for group in sent.groups}
    if set(server.curves) & listed:
        return Fit(number, "yes")
    if not server.curves:
        if listed >= {"secp256r1", "secp384r1", "secp521r1"}:
            return Fit(number, "yes")
        return Fit(number, "unknown", 3, "not known on which curve the certificate of the server is", True)
    reason = f"the certificate is on {in_words(server.curves)}, which the client does not list"
    return Fit(number, "unknown", 3, f"{reason}, and not every server minds (RFC 8422 §5.1)", True)
