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


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Connections at a time: in all, and to one address, whatever names lead to it."""

    connections: int = 200
    per_address: int = 2


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
