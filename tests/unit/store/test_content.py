"""What of facts is kept once and what passes: alike is what differs only in time, cost and greetings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples import targets
from examples.stored import ENDPOINT, OTHER
from mxprobe.facts import EndpointFacts, Listing, ProtocolFacts, Starttls, Suite
from mxprobe.smtp.replies import Reply
from mxprobe.store import content
from mxprobe.terms import Endpoint

TEXTS = st.text(
    st.characters(exclude_categories=["Cs"]) | st.characters(categories=["Cs"], min_codepoint=0xDC80), max_size=10
)
REPLIES = st.none() | st.builds(Reply, code=st.integers(200, 599), lines=st.lists(TEXTS, max_size=2).map(tuple))
MOMENTS = st.datetimes(timezones=st.just(UTC))
SECONDS = st.floats(allow_nan=False, allow_infinity=False)
COUNTS = st.integers(0, 2**70)


@pytest.fixture(scope="module")
def plain_values() -> Iterator[None]:
    """What the fields of the facts hold: aware moments, finite numbers, any text that bytes can become."""
    given_values = ((datetime, MOMENTS, st.datetimes()), (float, SECONDS, st.floats()), (str, TEXTS, st.text()))
    for kind, ours, _ in given_values:
        st.register_type_strategy(kind, ours)
    yield
    for kind, _, usual in given_values:
        st.register_type_strategy(kind, usual)


def kept_and_read(first: EndpointFacts, then: EndpointFacts, endpoint: Endpoint) -> EndpointFacts:
    """The later facts, as they come back of the document of the first."""
    text, kept = content.document_of(first)
    _, document = content.document_of(then)
    return content.facts_of(text, content.changes(document, kept, endpoint), endpoint)


@pytest.mark.usefixtures("plain_values")
def test_facts_that_are_alike_have_one_digest_and_come_back_as_they_were() -> None:
    @given(st.from_type(EndpointFacts), st.data())
    def come_back(first: EndpointFacts, data: st.DataObject) -> None:
        then = another_time(first, data)
        assert content.digest(content.document_of(then)[1]) == content.digest(content.document_of(first)[1])
        for endpoint in (ENDPOINT, OTHER, Endpoint(host=then.host, address=then.address, port=then.port)):
            assert kept_and_read(first, then, endpoint) == then
            assert kept_and_read(first, first, endpoint) == first

    come_back()


def another_time(facts: EndpointFacts, data: st.DataObject) -> EndpointFacts:
    """The same state of an endpoint, maybe another one, as a later scan would describe it."""

    def listing(seen: Listing | None) -> Listing | None:
        return None if seen is None else replace(seen, hellos=data.draw(COUNTS))

    def protocol(seen: ProtocolFacts) -> ProtocolFacts:
        hellos = data.draw(COUNTS)
        return replace(seen, hellos=hellos, groups=listing(seen.groups), schemes=listing(seen.schemes))

    return replace(
        facts,
        host=data.draw(TEXTS),
        address=data.draw(TEXTS),
        port=data.draw(COUNTS),
        service=data.draw(st.sampled_from(["smtp", "lmtp", "smtps"])),
        started_at=data.draw(MOMENTS),
        connections=data.draw(COUNTS),
        elapsed_seconds=data.draw(SECONDS),
        greeting=data.draw(REPLIES),
        starttls=replace(facts.starttls, reply=data.draw(REPLIES)),
        protocols={name: protocol(seen) for name, seen in facts.protocols.items()},
        endings=data.draw(st.dictionaries(TEXTS, COUNTS, max_size=2)),
        sweep=data.draw(st.sampled_from([None, "swept", "same-as", "confirmed"])),
        same_as=data.draw(st.none() | TEXTS),
        swept_at=data.draw(st.none() | MOMENTS),
        sweep_reason=data.draw(TEXTS),
    )


GOOD = targets.GOOD.endpoints[0]
SUITE = Suite(id="0x00C02F", name="ECDHE-RSA-AES128-GCM-SHA256", iana=None)


@pytest.mark.parametrize(
    "other",
    [
        replace(GOOD, starttls=replace(GOOD.starttls, state="refused")),
        replace(GOOD, starttls=replace(GOOD.starttls, reason="454 not now")),
        replace(GOOD, capabilities=("PIPELINING",)),
        replace(GOOD, server_name="mx1.example.test"),
        replace(GOOD, protocols={"TLSv1.2": ProtocolFacts(state="accepted", suites=(SUITE,))}),
        replace(GOOD, certificates=()),
        replace(GOOD, verification=None),
        replace(GOOD, helo=True),
    ],
    ids=lambda facts: str(facts.starttls.reason),
)
def test_what_a_server_does_otherwise_is_other_facts(other: EndpointFacts) -> None:
    assert content.digest(content.document_of(other)[1]) != content.digest(content.document_of(GOOD)[1])


def test_an_unchanged_endpoint_takes_a_line_of_three_numbers() -> None:
    then = replace(GOOD, started_at=GOOD.started_at + timedelta(days=1), connections=5, elapsed_seconds=0.731)
    _, document = content.document_of(then)
    endpoint = Endpoint(host=GOOD.host, address=GOOD.address, port=GOOD.port)
    assert content.changes(document, content.document_of(GOOD)[1], endpoint) == "[1772416800000000,5,0.731]"


def test_the_same_server_at_another_address_takes_no_more() -> None:
    moved = replace(GOOD, host=OTHER.host, address=OTHER.address, port=OTHER.port)
    line = content.changes(content.document_of(moved)[1], content.document_of(GOOD)[1], OTHER)
    assert line == "[1772330400000000,41,1.9]"


def test_only_a_state_of_starttls_makes_an_endpoint_known() -> None:
    for state in ("works", "offered-but-broken", "refused", "not-offered", "unknown"):
        seen = replace(GOOD, starttls=Starttls(state=state))
        assert content.is_known(content.document_of(seen)[1]) is (state != "unknown")


def test_the_certificates_that_facts_name_are_those_of_every_chain() -> None:
    assert content.certificates_of(content.document_of(GOOD)[1]) == {targets.LEAF, targets.ISSUER}
