"""Requirements: met only by an answer that was seen at every endpoint; unknown is never a pass."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from mxprobe.facts import EndpointFacts, ProtocolFacts, Starttls, Target, Verdict
from mxprobe.routing.route import MxHost, Route, RouteError
from mxprobe.terms import State
from mxprobe.verdict.requirements import Requirement, parse_requirement, unmet

A, B = "mx.example[192.0.2.1]:25", "mx.example[192.0.2.2]:25"
TIMEOUT = RouteError(status="timeout", text="no answer in time", temporary=True)


def facts(address: str, **others: ProtocolFacts) -> EndpointFacts:
    return EndpointFacts(
        host="mx.example",
        address=address,
        port=25,
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        starttls=Starttls(state="works"),
        protocols={"TLSv1.2": others["tls12"]} if others else {},
    )


def host(*addresses: str, error: RouteError | None = None, refused: tuple[str, ...] = ()) -> MxHost:
    return MxHost(
        name="mx.example",
        canonical_name="mx.example",
        preference=10,
        addresses=addresses,
        refused_addresses=refused,
        error=error,
    )


def verdict(id: str, state: State, endpoint: str = A) -> Verdict:
    return Verdict(
        id=id, state=state, severity="ok", endpoint=endpoint, summary=f"{id} is {state}", evidence={}, source="RFC 3207"
    )


def target(*verdicts: Verdict, addresses: tuple[str, ...] = ("192.0.2.1",)) -> Target:
    return Target(
        next_hop="example",
        route=Route(kind="mx", hosts=(host(*addresses),)),
        endpoints=tuple(map(facts, addresses)),
        verdicts=verdicts,
    )


def outcomes(text: str, judged: Target) -> list[tuple[str, str]]:
    return [(one.outcome, one.endpoint) for one in unmet((parse_requirement(text),), judged)]


@pytest.mark.parametrize(
    "name", ["starttls", "needs-sslv3", "shared-cipher", "trusted", "name-matches", "null-mx", "not-expired"]
)
def test_every_fixed_verdict_can_be_required_and_forbidden(name: str) -> None:
    assert parse_requirement(name) == Requirement(name=name, answer="yes")
    assert parse_requirement(f"!{name}") == Requirement(name=name, answer="no")
    assert str(parse_requirement(f"!{name}")) == f"!{name}"
    endpoint = "" if name == "null-mx" else A
    assert outcomes(name, target(verdict(name, "yes", endpoint))) == []
    assert outcomes(name, target(verdict(name, "no", endpoint))) == [("failed", endpoint)]
    assert outcomes(f"!{name}", target(verdict(name, "no", endpoint))) == []
    assert outcomes(f"!{name}", target(verdict(name, "yes", endpoint))) == [("failed", endpoint)]


@pytest.mark.parametrize("text", ["", "!", "tls1.4", "!!trusted", "Trusted", " trusted"])
def test_another_name_is_refused_with_those_that_are_allowed(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a requirement \(allowed: starttls, .*, tls1\.3, each also with !"):
        parse_requirement(text)


@pytest.mark.parametrize("text", ["trusted", "!trusted"])
def test_unknown_meets_neither_a_requirement_nor_its_opposite(text: str) -> None:
    assert outcomes(text, target(verdict("trusted", "unknown"))) == [("unknown", A)]
    assert outcomes(text, target()) == [("unknown", A)]


def test_every_endpoint_has_to_meet_it() -> None:
    both = ("192.0.2.1", "192.0.2.2")
    assert outcomes("trusted", target(verdict("trusted", "yes"), verdict("trusted", "yes", B), addresses=both)) == []
    assert outcomes("trusted", target(verdict("trusted", "yes"), verdict("trusted", "no", B), addresses=both)) == [
        ("failed", B)
    ]
    assert outcomes("trusted", target(verdict("trusted", "yes"), addresses=both)) == [("unknown", B)]


@pytest.mark.parametrize(
    ("seen", "required", "forbidden"),
    [
        (ProtocolFacts(state="accepted"), [], [("failed", A)]),
        (ProtocolFacts(state="refused"), [("failed", A)], []),
        (ProtocolFacts(state="unknown"), [("unknown", A)], [("unknown", A)]),
    ],
)
def test_a_protocol_is_required_by_what_was_seen(
    seen: ProtocolFacts, required: list[tuple[str, str]], forbidden: list[tuple[str, str]]
) -> None:
    judged = replace(target(), endpoints=(facts("192.0.2.1", tls12=seen),))
    assert outcomes("tls1.2", judged) == required
    assert outcomes("!tls1.2", judged) == forbidden
    assert outcomes("tls1.3", judged) == [("unknown", A)]  # never asked


def test_an_address_that_was_not_probed_is_unknown() -> None:
    judged = replace(target(verdict("trusted", "yes")), route=Route(kind="mx", hosts=(host("192.0.2.1", "192.0.2.9"),)))
    (one,) = unmet((parse_requirement("trusted"),), judged)
    assert (one.outcome, one.endpoint, one.reason) == ("unknown", "mx.example", "not probed: 192.0.2.9")


@pytest.mark.parametrize(
    "behind",
    [
        host(error=TIMEOUT),
        host("192.0.2.1", error=TIMEOUT),
        host("192.0.2.1", refused=("10.0.0.1",)),
        host(
            refused=("10.0.0.1",),
            error=RouteError(status="forbidden-address", text="no public address", temporary=False),
        ),
    ],
)
def test_what_may_be_behind_the_route_and_was_not_seen_is_unknown(behind: MxHost) -> None:
    judged = replace(target(verdict("trusted", "yes")), route=Route(kind="mx", hosts=(behind,)))
    assert outcomes("trusted", judged) == [("unknown", "mx.example")]


def test_an_mx_host_that_does_not_exist_is_in_nobodys_way() -> None:
    gone = replace(host(error=RouteError(status="nxdomain", text="NXDOMAIN", temporary=False)), name="old.example")
    judged = replace(target(verdict("trusted", "yes")), route=Route(kind="mx", hosts=(host("192.0.2.1"), gone)))
    assert outcomes("trusted", judged) == []
    alone = Target(next_hop="example", route=Route(kind="mx", hosts=(gone,)))
    assert outcomes("trusted", alone) == [("unknown", "")]


def test_a_route_in_error_is_unknown() -> None:
    judged = Target(next_hop="example", route=Route(kind="error", error=TIMEOUT))
    (one,) = unmet((parse_requirement("starttls"),), judged)
    assert (one.outcome, one.endpoint, one.reason) == ("unknown", "", "no answer in time")


def test_a_null_mx_is_an_answer_and_leaves_nobody_to_require_anything_of() -> None:
    judged = Target(next_hop="example", route=Route(kind="null-mx"), verdicts=(verdict("null-mx", "yes", ""),))
    assert outcomes("null-mx", judged) == []
    assert outcomes("!null-mx", judged) == [("failed", "")]
    assert outcomes("starttls", judged) == []
    assert outcomes("tls1.2", judged) == []
