"""What tests of the store save: an endpoint or two, their facts, and the way that leads to them."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime

from mxprobe.facts import EndpointFacts, Starttls
from mxprobe.routing.route import MxHost, Route
from mxprobe.terms import Endpoint

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
ENDPOINT = Endpoint(host="mx.example", address="192.0.2.1", port=25)
OTHER = Endpoint(host="mx.example", address="2001:db8::1", port=25)
DER = b"0\x03\x02\x01\x05"
FINGERPRINT = hashlib.sha256(DER).hexdigest()


def route(*addresses: str) -> Route:
    """The route to one MX host with these addresses."""
    host = MxHost(name="mx.example", canonical_name="mx.example", preference=10, addresses=addresses)
    return Route(kind="mx", hosts=(host,))


def facts(endpoint: Endpoint = ENDPOINT, *, reason: str = "", connections: int = 1, **changes: object) -> EndpointFacts:
    """What was seen at an endpoint."""
    seen = EndpointFacts(
        host=endpoint.host,
        address=endpoint.address,
        port=endpoint.port,
        started_at=NOW,
        starttls=Starttls(state="works", reason=reason),
        connections=connections,
    )
    return replace(seen, **changes)  # type: ignore[arg-type]
