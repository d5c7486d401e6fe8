"""Who is told: a webhook, or whatever apprise can reach; of which groups, from which severity on."""

from __future__ import annotations

from dataclasses import dataclass, field

from mxprobe.alerts.templates import DEFAULT, Template
from mxprobe.alerts.weekly import Weekly
from mxprobe.facts import Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """An HTTP server that takes signed JSON. `host` is without brackets, `authority` as in the Host header."""

    tls: bool
    host: str
    port: int
    authority: str
    path: str
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service of apprise, by its URL, which is a secret as a whole."""

    scheme: str
    url: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertTarget:
    """One ``[[alert]]``. No `groups` are all; `severity` is the least that is told, with its recovery; `digest` is when
    the week is told (None: never)."""

    name: str
    where: Webhook | Service
    groups: tuple[str, ...] = ()
    severity: Severity = "warning"
    template: Template = DEFAULT
    digest: Weekly | None = None
