"""The endpoints behind a route: each once, and no more than we want to dial for whoever wrote the records."""

from __future__ import annotations

from mxprobe.routing.route import MAX_ENDPOINTS, MAX_NAMES, MxHost, Route, endpoints_behind
from mxprobe.terms import Endpoint, parse_next_hop

HOP = parse_next_hop("smtp:example.test:587")


def host(name: str, *addresses: str) -> MxHost:
    return MxHost(name=name, canonical_name=name, preference=10, addresses=addresses)


def test_every_address_of_every_host_is_one_in_the_order_of_the_route() -> None:
    route = Route(kind="mx", hosts=(host("b.test", "192.0.2.2", "2001:db8::2"), host("a.test", "192.0.2.2")))
    assert endpoints_behind(HOP, route) == (
        Endpoint(host="b.test", address="192.0.2.2", port=587),
        Endpoint(host="b.test", address="2001:db8::2", port=587),
        Endpoint(host="a.test", address="192.0.2.2", port=587),
    )


def test_one_address_under_very_many_names_is_not_dialled_for_each() -> None:
    route = Route(kind="mx", hosts=tuple(host(f"mx{number}.test", "192.0.2.1") for number in range(100)))
    assert len(endpoints_behind(HOP, route)) == MAX_NAMES


def test_very_many_addresses_are_not_all_dialled() -> None:
    hosts = tuple(host(f"mx{n}.test", *(f"10.{n}.0.{m}" for m in range(60))) for n in range(60))
    assert len(endpoints_behind(HOP, Route(kind="mx", hosts=hosts))) == MAX_ENDPOINTS
