"""Whether mail servers can be seen from here: judged by how a few connections and questions went."""

from __future__ import annotations

import errno
import ipaddress
import os
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxprobe.facts import EndpointFacts, Starttls
from mxprobe.network.provider import Provider
from mxprobe.routing.route import MxHost, Route, RouteError
from mxprobe.schedule.vantage import Contact, How, Question, contact_of, how_of, question_of, vantage
from mxprobe.smtp.replies import Reply
from mxprobe.terms import parse_next_hop


def contact(number: int, how: How, *, port: int = 25, domain: str | None = "", ipv6: bool = False) -> Contact:
    """Of the provider of this number; addresses are public ones."""
    address = f"2a00:{number:x}::25" if ipv6 else f"5.6.{number}.25"
    network = f"2a00:{number:x}::/48" if ipv6 else f"5.6.{number}.0/24"
    assert ipaddress.ip_address(address).is_global
    name = f"provider{number}.example" if domain == "" else domain
    return Contact(address=address, port=port, provider=Provider(domain=name, network=network), how=how)


@pytest.mark.parametrize(
    ("how", "words"),
    [("silent", "all time out"), ("refused", "all are refused"), ("unreachable", "all end with no route to the host")],
)
def test_port_25_is_blocked_where_three_providers_fail_in_the_same_way(how: How, words: str) -> None:
    found = vantage([contact(number, how) for number in range(3)])
    assert (found.state, found.ports) == ("blocked", (25,))
    assert found.summary == f"port 25 is blocked here: connections to port 25 of 3 providers {words}"
    assert found.evidence[0] == f"provider0.example, 5.6.0.25:25: {how}"


def test_one_that_is_reached_shows_that_nothing_is_blocked() -> None:
    silent = [contact(number, "silent") for number in range(50)]
    assert vantage([*silent, contact(99, "connected")]).state == "fine"


def test_two_providers_may_be_down_on_the_same_day() -> None:
    assert vantage([contact(0, "silent"), contact(1, "silent")]).state == "cannot-tell"
    assert vantage([]).state == "cannot-tell"


def test_hosts_of_one_provider_count_once_by_domain_and_by_network() -> None:
    assert vantage([contact(number, "silent", domain="outlook.example") for number in range(9)]).state == "cannot-tell"
    alike = [
        Contact(
            address=f"5.6.7.{number}",
            port=25,
            provider=Provider(domain=f"{number}.example", network="5.6.7.0/24"),
            how="refused",
        )
        for number in range(9)
    ]
    assert vantage(alike).state == "cannot-tell"
    assert vantage([contact(number, "silent", domain=None) for number in range(3)]).state == "blocked"


def test_each_failing_in_its_own_way_says_nothing() -> None:
    ways: tuple[How, ...] = ("silent", "silent", "refused", "refused", "unreachable", "other", "other", "other")
    assert vantage([contact(number, how) for number, how in enumerate(ways)]).state == "cannot-tell"


def test_a_port_is_judged_by_itself() -> None:
    found = vantage([*(contact(number, "silent") for number in range(3)), contact(7, "connected", port=465)])
    assert (found.state, found.ports) == ("blocked", (25,))
    found = vantage([contact(number, "refused", port=port) for number in range(3) for port in (25, 465)])
    assert found.ports == (25, 465)
    assert found.summary.startswith("port 25 and port 465 are blocked here: ")


def test_a_machine_without_ipv6_is_fine_but_for_that() -> None:
    ipv6 = [contact(number, "unreachable", ipv6=True) for number in range(3)]
    found = vantage([*ipv6, contact(0, "connected")])
    assert (found.state, found.without) == ("fine", ("IPv6",))
    assert found.summary == "mail servers are reached from here, but nobody with IPv6"
    # Families fail each in their own way where all is blocked.
    blocked = vantage([*ipv6, *(contact(number, "silent") for number in range(3))])
    assert blocked.state == "blocked"
    ways: tuple[How, ...] = ("silent", "refused", "other")
    assert vantage([*ipv6, *(contact(number, how) for number, how in enumerate(ways))]).state == "cannot-tell"


def test_that_a_machine_reaches_itself_says_nothing_of_the_way_out() -> None:
    own = Contact(address="127.0.0.1", port=25, provider=Provider(domain=None, network="127.0.0.0/24"), how="connected")
    assert vantage([own, *(contact(number, "silent") for number in range(3))]).state == "blocked"
    assert vantage([own, contact(0, "silent")]).state == "cannot-tell"
    assert vantage([own]).state == "fine", "where there are only such addresses, they are what matters"


@pytest.mark.parametrize("status", ["timeout", "servfail", "refused"])
def test_there_is_no_dns_where_no_question_for_three_domains_is_answered(status: str) -> None:
    asked = [Question(name=f"{name}.example", status=status) for name in "abc"]  # type: ignore[arg-type]
    found = vantage([contact(0, "connected")], asked)
    assert found.state == "no-dns"
    assert found.summary == "there is no DNS here: 3 domains were asked for, and none was answered"
    assert found.evidence[0] == f"a.example: {status}"
    assert vantage([contact(0, "connected")], asked[:2]).state == "cannot-tell"


def test_names_under_one_domain_fail_together() -> None:
    asked = [Question(name=f"{name}.one.example", status="servfail") for name in "abcdef"]
    assert vantage([], asked).state == "cannot-tell"


@pytest.mark.parametrize("status", ["ok", "nxdomain", "no-data"])
def test_any_answer_shows_that_there_is_a_dns(status: str) -> None:
    asked = [Question(name=f"{name}.example", status="timeout") for name in "abc"]
    asked.append(Question(name="d.example", status=status))  # type: ignore[arg-type]
    assert vantage([contact(0, "connected")], asked).state == "fine"


hows = st.sampled_from(("connected", "silent", "refused", "unreachable", "other"))
contacts = st.builds(contact, st.integers(0, 6), hows, port=st.sampled_from((25, 465)), ipv6=st.booleans())


@given(st.lists(contacts, max_size=12))
def test_the_order_does_not_matter_and_one_connection_to_a_port_is_proof(found: list[Contact]) -> None:
    judged = vantage(found)
    assert vantage(reversed(found)).state == judged.state
    for port in judged.ports:
        assert not any(each.how == "connected" for each in found if each.port == port)


def facts(starttls: Starttls, *, connections: int = 1, greeting: Reply | None = None) -> EndpointFacts:
    return EndpointFacts(
        host="mx.example",
        address="192.0.2.1",
        port=25,
        started_at=datetime(2026, 3, 1, tzinfo=UTC),
        connections=connections,
        greeting=greeting,
        starttls=starttls,
    )


@pytest.mark.parametrize(
    ("reason", "how"),
    [
        ("silent while connecting for 15 s", "silent"),
        (f"cannot connect: {os.strerror(errno.ECONNREFUSED)}", "refused"),
        (f"cannot connect: {os.strerror(errno.ENETUNREACH)}", "unreachable"),
        (f"cannot connect: {os.strerror(errno.EHOSTUNREACH)}", "unreachable"),
        ("the server reset the connection while connecting", "other"),
    ],
)
def test_facts_tell_how_the_connection_went(reason: str, how: How) -> None:
    provider = Provider(domain="example", network="192.0.2.0/24")
    found = contact_of(facts(Starttls(state="unknown", stage="connect", reason=reason)), provider)
    assert found == Contact(address="192.0.2.1", port=25, provider=provider, how=how)


def test_a_server_that_spoke_or_kept_silent_after_it_was_reached_was_reached() -> None:
    provider = Provider(domain="example", network="192.0.2.0/24")
    for known in (
        facts(Starttls(state="works", stage="handshake")),
        facts(Starttls(state="unknown", stage="greeting", reason="silent before the greeting for 30 s")),
    ):
        found = contact_of(known, provider)
        assert found is not None
        assert found.how == "connected"
    assert contact_of(facts(Starttls(state="unknown", reason="not asked: ..."), connections=0), provider) is None


def test_errors_of_the_operating_system_tell_how_a_connection_went() -> None:
    assert [how_of(number) for number in (None, errno.ETIMEDOUT, errno.ECONNREFUSED, errno.ENETUNREACH)] == [
        "silent",
        "silent",
        "refused",
        "unreachable",
    ]
    assert how_of(errno.ECONNRESET) == "other"


def test_a_route_tells_how_the_dns_answered() -> None:
    hop = parse_next_hop("example.com")
    failed = RouteError(status="servfail", text="", temporary=True)
    assert question_of(hop, Route(kind="error", error=failed)) == Question(name="example.com", status="servfail")
    ignored = RouteError(status="ignored", text="", temporary=False)
    assert question_of(hop, Route(kind="error", error=ignored)) == Question(name="example.com", status="ok")
    assert question_of(hop, Route(kind="null-mx")) == Question(name="example.com", status="ok")
    assert question_of(parse_next_hop("[192.0.2.1]"), Route(kind="literal")) is None
    one, other = (
        MxHost(name=name, canonical_name=name, preference=10, addresses=addresses, error=error)
        for name, addresses, error in (("a", (), failed), ("b", ("192.0.2.1",), None))
    )
    assert question_of(hop, Route(kind="mx", hosts=(one, other))) == Question(name="example.com", status="ok")
    assert question_of(parse_next_hop("[a.example]"), Route(kind="literal", hosts=(one,))) == Question(
        name="a.example", status="servfail"
    )
