"""How patient, how polite and under which name we speak: settings of everything that dials out."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds for each stage of a connection. The greeting has Postfix-like patience, because postscreen and
    greylisting servers wait on purpose (`postconf(5) postscreen_greet_wait`). `pause` is the first wait after being
    turned away in mid-sweep; it doubles each time, up to a minute."""

    connect: float = 15.0
    greeting: float = 30.0
    ehlo: float = 30.0
    starttls: float = 30.0
    hello: float = 15.0
    handshake: float = 30.0
    quit: float = 3.0
    pause: float = 2.0


PER_PROVIDER = 20
PER_MINUTE = 300
"""What a provider is asked for at a time, and an address or a provider in a minute, where nothing else is said. Half of
a minute's connections may come at once: that is a full probe of one server, which is not to be slowed down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Connections at a time, and in any minute: in all, to one address, and to one provider.

    An address counts whatever names lead to it. A provider is the registrable domain of the MX host, and also the
    network (/24, /48) of its address: a connection counts for both. None leaves it to the program: 20 at a time to a
    provider (or `per_address`, if that is more), 300 a minute to an address and to a provider, without limit on
    loopback, which is nobody else's; and no limit in a minute in all.
    """

    connections: int = 200
    per_address: int = 2
    per_provider: int | None = None
    connections_per_minute: int | None = None
    per_address_per_minute: int | None = None
    per_provider_per_minute: int | None = None

    def provider_places(self, *, loopback: bool) -> int | None:
        """Connections at a time to one provider; None is no limit."""
        if self.per_provider is None:
            return None if loopback else max(PER_PROVIDER, self.per_address)
        return self.per_provider

    def provider_rate(self, *, loopback: bool) -> int | None:
        """Connections in any minute to one provider; None is no limit."""
        if self.per_provider_per_minute is None:
            return None if loopback else PER_MINUTE
        return self.per_provider_per_minute

    def address_rate(self, *, loopback: bool) -> int | None:
        """Connections in any minute to one address; None is no limit."""
        if self.per_address_per_minute is None:
            return None if loopback else PER_MINUTE
        return self.per_address_per_minute


@dataclass(frozen=True, slots=True, kw_only=True)
class Manners:
    """How we present ourselves and how much we ask: shown to every peer, kept by every connection.

    `ehlo` should resolve back to this machine; `contact` is told inside TLS only. `deadline` bounds one endpoint, in
    seconds.
    """

    ehlo: str
    contact: str | None = None
    timeouts: Timeouts = field(default_factory=Timeouts)
    limits: Limits = field(default_factory=Limits)
    deadline: float = 300.0

    def within(self, seconds: float) -> Manners:
        """The same, with no stage longer than so many seconds (and none shorter than a moment)."""
        stages = self.timeouts
        if seconds >= max(stages.connect, stages.greeting, stages.ehlo, stages.starttls, stages.handshake):
            return self
        bounded = {stage.name: min(getattr(stages, stage.name), max(seconds, 0.1)) for stage in fields(stages)}
        return replace(self, timeouts=Timeouts(**bounded))
