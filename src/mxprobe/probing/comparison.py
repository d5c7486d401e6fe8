"""Sharing a sweep: whether it may stand for an endpoint that has the same fingerprint, and the facts where it does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from mxprobe.facts import EndpointFacts, Natural, SweepState
from mxprobe.probing.settings import Depth
from mxprobe.terms import PROTOCOLS, Endpoint, Protocol
from mxprobe.tls.fingerprint import Swept
from mxprobe.tls.offer import Answer, Offer


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A full sweep that an endpoint is compared with: a twin's (*same-as*), or its own of an earlier time."""

    facts: EndpointFacts
    state: SweepState

    @property
    def name(self) -> str:
        """What to call it in a reason."""
        return _origin(self.facts) if self.state == "same-as" else f"on {self.facts.started_at:%Y-%m-%d %H:%M}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What comes of looking for a model: one, or the `depth` at which to ask, and why if one was compared with."""

    depth: Depth
    model: Model | None = None
    reason: str = ""


def sweep_of(facts: EndpointFacts) -> dict[Protocol, Swept]:
    """What a full sweep found, for a fingerprint; nothing unless all of it is known."""
    protocols = facts.protocols
    whole = (
        facts.sweep is not None
        and set(protocols) == set(PROTOCOLS)
        and all(each.complete and each.state != "unknown" for each in protocols.values())
        # Whoever fails long offers would fail those of a fingerprint.
        and (facts.quirks is None or facts.quirks.max_suites is None)
    )
    if not whole:
        return {}
    return {
        protocol: Swept(suites=tuple(int(suite.id, 16) for suite in each.suites), order=each.order)
        for protocol, each in protocols.items()
    }


def may_be_shared(facts: EndpointFacts, natural: Natural, server_name: str | None, depth: Depth) -> bool:
    """Whether a sweep may stand for an endpoint, as far as its complete handshake tells, without another hello.

    At the depth *everything* it has to have asked everything.
    """
    if facts.natural != natural or (facts.server_name is None) != (server_name is None):
        return False
    asked_all = facts.quirks is not None and facts.quirks.grease is not None
    return bool(sweep_of(facts)) and (depth != "everything" or asked_all)


def shared(own: EndpointFacts, model: Model, exchanges: Iterable[tuple[Offer, Answer]]) -> EndpointFacts:
    """The facts of an endpoint with those that the sweep of its model brought; what it was asked itself stays."""
    hellos = Counter(offer.protocol for offer, _ in exchanges)
    sweep = model.facts
    return replace(
        own,
        protocols={protocol: replace(facts, hellos=hellos[protocol]) for protocol, facts in sweep.protocols.items()},
        features=sweep.features,
        quirks=sweep.quirks,
        certificate_kinds=sweep.certificate_kinds,
        sweep=model.state,
        same_as=sweep.same_as or (_origin(sweep) if model.state == "same-as" else None),
        swept_at=sweep.swept_at or sweep.started_at,
    )


def _origin(facts: EndpointFacts) -> str:
    return str(Endpoint(host=facts.host, address=facts.address, port=facts.port))
