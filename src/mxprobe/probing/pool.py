"""Twins: which endpoints of a run may be one server under several addresses, and who waits for whose sweep."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator

from mxprobe.facts import EndpointFacts
from mxprobe.smtp.replies import Reply
from mxprobe.terms import Endpoint, Service

MOST_FIRSTS = 2
"""Endpoints of a pool that the others wait for, one after the other: one address may be down, but where a second one is
no model either, waiting would only add up."""

Name = tuple[str, ...]


class Pools:
    """The full sweeps of one run, by what twins have in common.

    The endpoints of one MX host are a pool: the first is swept, and the others wait until that is over or has no
    prospect; if it brought nothing to be compared with, the next one takes its place, once. A sweep is over at the
    deadline of its endpoint at the latest. Nobody waits across pools: the sweep of another host, which has the same
    certificate or greets by the same name, is used where it is there already.
    """

    def __init__(self) -> None:
        self._first: dict[tuple[str, int, Service], Endpoint] = {}
        self._settled: dict[tuple[str, int, Service], asyncio.Event] = {}
        self._firsts: Counter[tuple[str, int, Service]] = Counter()
        self._swept: set[tuple[str, int, Service]] = set()
        self._sweeps: dict[Name, EndpointFacts] = {}

    async def wait(self, endpoint: Endpoint) -> None:
        """Wait for the first of the pool; who comes first does not wait, and has to be `settled` in any case.

        To be called before the endpoint holds anything that the first may need.
        """
        pool = _pool(endpoint)
        while (first := self._first.get(pool)) != endpoint:
            if first is None or (self._settled[pool].is_set() and self._another(pool)):
                self._first[pool], self._settled[pool] = endpoint, asyncio.Event()
                self._firsts[pool] += 1
                return
            if self._settled[pool].is_set():
                return
            await self._settled[pool].wait()

    def settled(self, endpoint: Endpoint) -> None:
        """Nobody needs to wait for this endpoint: it is probed, or will not be a model for others."""
        pool = _pool(endpoint)
        if self._first.get(pool) == endpoint:
            self._settled[pool].set()

    def keep(self, endpoint: Endpoint, facts: EndpointFacts) -> None:
        """Keep a full sweep, for twins to be compared with; of those with a name in common, the first."""
        self._swept.add(_pool(endpoint))
        leaf = facts.certificates[0].sha256 if facts.certificates else None
        for name in _names(endpoint, leaf, facts.greeting):
            self._sweeps.setdefault(name, facts)

    def twins(self, endpoint: Endpoint, leaf: str | None, greeting: Reply | None) -> Iterator[EndpointFacts]:
        """The sweeps of other endpoints that may be the same server, the likeliest first, each once."""
        given: list[EndpointFacts] = []
        for name in _names(endpoint, leaf, greeting):
            facts = self._sweeps.get(name)
            own = facts is not None and (facts.host, facts.address) == (endpoint.host, endpoint.address)
            if facts is not None and not own and not any(facts is other for other in given):
                given.append(facts)
                yield facts

    def _another(self, pool: tuple[str, int, Service]) -> bool:
        """Whether the next endpoint of a pool is to be a model for the others."""
        return pool not in self._swept and self._firsts[pool] < MOST_FIRSTS


def _pool(endpoint: Endpoint) -> tuple[str, int, Service]:
    return endpoint.host, endpoint.port, endpoint.service


def _names(endpoint: Endpoint, leaf: str | None, greeting: Reply | None) -> Iterator[Name]:
    """What twins have in common: the MX host, the certificate (SHA-256 in hex), the name that they greet by."""
    if endpoint.host != endpoint.address:
        yield "host", endpoint.host, str(endpoint.port), endpoint.service
    if leaf is not None:
        yield "certificate", leaf, endpoint.service
    # RFC 5321 §4.2: the greeting begins with the server's name.
    words = greeting.lines[0].split() if greeting and greeting.lines else []
    if words and "." in words[0]:
        yield "greeting", words[0].lower(), endpoint.service
