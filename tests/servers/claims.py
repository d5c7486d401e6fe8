"""What facts may claim of a server whose suites are known: what is so, and of what is not said, that it is unknown."""

from __future__ import annotations

from mxprobe import EndpointFacts
from mxprobe.facts import ProtocolFacts
from mxprobe.terms import PROTOCOLS
from mxprobe.tls.suites import suite
from servers.running import Suites


def found(facts: ProtocolFacts) -> frozenset[int]:
    """The suites of a protocol, by number."""
    return frozenset(int(each.id, 16) for each in facts.suites)


def assert_nothing_untrue(facts: EndpointFacts, expected: Suites) -> None:
    """What is claimed of a server that accepts `expected` is so, whatever part of it was found out."""
    assert tuple(facts.protocols) == PROTOCOLS
    for protocol, seen in facts.protocols.items():
        accepted = expected.get(protocol, frozenset())
        assert found(seen) <= accepted
        if seen.complete:
            assert (seen.state, found(seen)) == ("accepted" if accepted else "refused", accepted)
        else:
            assert seen.state == ("accepted" if seen.suites else "unknown")
            assert seen.reason
            if seen.suites:
                assert {suite(number).name for number in accepted - found(seen)} <= set(seen.undecided)


def assert_all_is_told(facts: EndpointFacts, expected: Suites) -> None:
    """Every suite of every version was found, and nothing is left open."""
    assert {protocol: found(seen) for protocol, seen in facts.protocols.items() if seen.suites} == expected
    for protocol, seen in facts.protocols.items():
        assert (seen.state, seen.complete) == ("accepted" if protocol in expected else "refused", True)
        assert not seen.undecided
