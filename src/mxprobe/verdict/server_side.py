"""What facts say of one version of a server, as numbers: what it takes, what it refuses, and what is open."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from mxprobe.facts import EndpointFacts, Listing, Order, ProtocolFacts
from mxprobe.terms import CertificateKind, Protocol, State
from mxprobe.tls.code_points import GROUPS, SCHEMES, TLS12_GROUPS, TLS13_GROUPS
from mxprobe.tls.families import weaknesses_of
from mxprobe.tls.groups import FFDHE, HYBRIDS, OTHER_TLS13_GROUPS
from mxprobe.tls.signing_keys import KIND_OF_SCHEME, NOT_IN_TLS13, SCHEME_OF_CURVE, kind_of_key
from mxprobe.tls.suites import candidates, peculiar, suite, suite_named
from mxprobe.tls.weak_suites import Weakness

_GROUP_NUMBERS: Final = {name: number for number, name in GROUPS.items()}
_SCHEME_NUMBERS: Final = {name: number for number, name in SCHEMES.items()}
_ASKED_TLS13: Final = frozenset((*HYBRIDS, *TLS13_GROUPS, *OTHER_TLS13_GROUPS))
_ASKED_BEFORE: Final = frozenset((*TLS12_GROUPS, *FFDHE))


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A list of the server: the code points that it takes, whose `order` it goes by, and whether that is `complete`.

    `in_its_order` is whether they stand in an order of the server's own, whether or not it goes by that.
    """

    numbers: tuple[int, ...] = ()
    order: Order = "unknown"
    complete: bool = False
    in_its_order: bool = False

    def takes(self, number: int) -> State:
        """Whether the server takes this one."""
        if number in self.numbers:
            return "yes"
        return "no" if self.complete else "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerVersion:
    """What is known of a server in one version that it accepts.

    `suites` are those that it takes; `selected` those of them that it was not seen to go on with. `kinds` are the kinds
    of its keys; `curves` those of its certificates on an elliptic curve, as far as certificates were seen. `own_field`
    is whether it is known to have a finite field for DHE that no list of the client's decides: on paper alone, as
    GnuTLS refuses who lists others. By one scheme at least of `signed_by_one_of` it signs; empty where none is known.
    """

    protocol: Protocol
    suites: Taken
    selected: frozenset[int]
    groups: Taken
    schemes: Taken
    kinds: Mapping[CertificateKind, State]
    curves: tuple[str, ...]
    own_field: bool
    signed_by_one_of: frozenset[int] = frozenset()
    weak: Mapping[Weakness, State]

    @property
    def beside_suites(self) -> Hashable:
        """All that it takes but its suites, of which only this is said: whether it goes without a certificate. Many
        servers have it in common."""
        kinds = tuple(self.kinds.items())
        others = self.curves, self.own_field, self.signed_by_one_of, self.finishes_anonymous
        return self.protocol, self.groups, self.schemes, kinds, others

    @property
    def finishes_anonymous(self) -> bool:
        """Whether it was seen to go on with a suite that needs no certificate."""
        return any(peculiar(each) == "anonymous" for each in self.suites.numbers if each not in self.selected)

    def takes_suites(self, numbers: tuple[int, ...]) -> dict[int, State]:
        """Whether the server takes each of these suites in this version."""
        lacks = frozenset(family for family, state in self.weak.items() if state == "no")
        states = _not_listed(self.protocol, numbers, self.suites.complete, lacks)
        return states | dict.fromkeys(states.keys() & self.suites.numbers, "yes")

    def takes_group(self, number: int) -> State:
        """Whether the server agrees on keys in a group; one that is not for this version is never taken."""
        if self.protocol != "TLSv1.3" and number not in _ASKED_BEFORE:
            return "no"
        if self.protocol == "TLSv1.3" and number not in _ASKED_TLS13:
            return "no" if number in GROUPS else "unknown"
        return self.groups.takes(number)

    def has_kind(self, kinds: Iterable[CertificateKind]) -> State:
        """Whether the server has a key of one of these kinds."""
        states = {self.kinds.get(kind, "unknown") for kind in kinds}
        return "yes" if "yes" in states else "unknown" if "unknown" in states else "no"


@lru_cache(maxsize=1024)
def _not_listed(
    protocol: Protocol, numbers: tuple[int, ...], complete: bool, lacks: frozenset[Weakness]
) -> dict[int, State]:
    """What is to be said of suites that are not in the list of a server. What nobody has registered was not asked."""

    def taken(number: int) -> State:
        if number not in candidates(protocol):
            # A suite of the other kind of version is picked by nobody here.
            return "no" if suite(number).iana or suite(number).openssl else "unknown"
        return "no" if complete or not lacks.isdisjoint(weaknesses_of(number)) else "unknown"

    return {number: taken(number) for number in numbers}


def server_version(facts: EndpointFacts, protocol: Protocol) -> ServerVersion:
    """What the facts say of this version, which they show to be accepted."""
    seen = facts.protocols.get(protocol) or ProtocolFacts(state="accepted")
    numbers = [_code_point(each.id) for each in seen.suites]
    natural = facts.natural if facts.natural and facts.natural.protocol == protocol else None
    finished = natural is not None and natural.reached == "handshake-complete"
    shown = suite_named(natural.suite) if natural else None
    if shown is not None and shown.number not in numbers:
        numbers.append(shown.number)
    group = _GROUP_NUMBERS.get(natural.group or "") if natural else None
    on_paper = facts.computed_from is not None
    groups = _taken(seen.groups, _GROUP_NUMBERS, () if group is None else (group,), on_paper)
    return ServerVersion(
        protocol=protocol,
        suites=Taken(numbers=tuple(numbers), order=seen.order, complete=seen.complete),
        selected=frozenset(
            _code_point(each.id)
            for each in seen.suites
            if each.reached == "selected" and not (finished and natural and each.name == natural.suite)
        ),
        groups=_credible(groups, facts, protocol),
        schemes=_credible(_taken(seen.schemes, _SCHEME_NUMBERS), facts, protocol),
        kinds=_kinds(facts),
        curves=tuple(each.key[3:] for each in facts.certificates if each.key.startswith("EC ")),
        own_field=on_paper and any(not (field.name or "").startswith("ffdhe") for field in seen.dh),
        signed_by_one_of=_signed_in_tls13(facts) if protocol == "TLSv1.3" and finished else frozenset(),
        weak=seen.families,
    )


@lru_cache(maxsize=4096)
def _code_point(id: str) -> int:
    return int(id, 16)


def _signed_in_tls13(facts: EndpointFacts) -> frozenset[int]:
    """By what the key of the complete handshake, whose certificate is the first, may have signed it in TLS 1.3."""
    key = facts.certificates[0].key if facts.certificates else ""
    if key.startswith("EC "):
        scheme = SCHEME_OF_CURVE.get(key[3:])
        return frozenset() if scheme is None else frozenset({scheme})
    kind = kind_of_key(key)
    return frozenset(
        scheme for scheme, signer in KIND_OF_SCHEME.items() if signer == kind and scheme not in NOT_IN_TLS13
    )


def _credible(found: Taken, facts: EndpointFacts, protocol: Protocol) -> Taken:
    """None at all in TLS 1.3, which is accepted, was asked in a way that the server does not take."""
    if protocol == "TLSv1.3" and not found.numbers and facts.computed_from is None:
        return replace(found, complete=False)
    return found


def _taken(
    listing: Listing | None, numbers: Mapping[str, int], shown: tuple[int, ...] = (), on_paper: bool = False
) -> Taken:
    if listing is None:
        return Taken(numbers=shown)
    listed = tuple([number for name in listing.names if (number := _number(name, numbers)) is not None])
    more = tuple([number for number in shown if number not in listed])
    complete = listing.complete and listing.state != "unknown"
    return Taken(
        numbers=listed + more,
        order="unknown" if more else listing.order,
        complete=complete and not more,
        in_its_order=on_paper or listing.order == "server",
    )


def _number(name: str, numbers: Mapping[str, int]) -> int | None:
    """The code point of a name; one that has none goes by its number, such as ``0x1234``."""
    known = numbers.get(name)
    if known is not None:
        return known
    try:
        return int(name, 16) if name.startswith("0x") else None
    except ValueError:
        return None


def _kinds(facts: EndpointFacts) -> dict[CertificateKind, State]:
    """Of which kinds the server has keys: as was asked, else those of the certificates that were seen."""
    found: dict[CertificateKind, State] = {kind: seen.state for kind, seen in facts.certificate_kinds.items()}
    for certificate in facts.certificates:
        if (kind := kind_of_key(certificate.key)) is not None:
            found[kind] = "yes"
    return found
