"""Which weak families of suites are found at servers of which everything is known."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxprobe.terms import Protocol, State
from mxprobe.tls.families import families_in, families_of, weak_families, weaknesses_of
from mxprobe.tls.offer import Answer, Chosen, Closed, Offer, Refused, Silent, Throttled
from mxprobe.tls.removal import accepted_versions
from mxprobe.tls.suites import candidates, peculiar
from mxprobe.tls.sweep import SuitesFound, Sweep
from mxprobe.tls.weak_suites import Weakness
from servers.model import Asked, ModelServer

VERSION: Protocol = "TLSv1.2"
ALL = candidates(VERSION)
GOOD = (0xC02F, 0xC030)
WEAK = tuple(number for number in ALL if weaknesses_of(number))

weak_lists = st.lists(st.sampled_from(WEAK), unique=True, max_size=12).map(tuple)


def standard(offers: list[Offer]) -> Sweep[dict[Protocol, SuitesFound]]:
    found = yield from accepted_versions(offers)
    return (yield from weak_families(offers, found))


def families(server: ModelServer, version: Protocol = VERSION) -> tuple[SuitesFound, Asked]:
    asked = Asked(server.answer)
    found = asked.run(standard([Offer(protocol=version, suites=candidates(version))]))
    return found[version], asked


def configured(suites: tuple[int, ...], version: Protocol = VERSION) -> dict[Weakness, State]:
    return {
        family: "yes" if any(family in weaknesses_of(number) for number in suites) else "no"
        for family in families_in(version)
    }


@given(weak=weak_lists, own=st.booleans(), data=st.data())
def test_finds_exactly_the_families_of_the_configuration(weak: tuple[int, ...], own: bool, data: st.DataObject) -> None:
    suites = tuple(data.draw(st.permutations([*GOOD, *weak])))
    found, asked = families(ModelServer(suites={VERSION: suites}, prefers_own_order=own))
    assert found.families == configured(suites)
    assert set(found.suites) <= set(suites)
    assert not found.complete
    assert len(asked.offers) <= 1 + 7 + 4


@given(
    weak=weak_lists,
    family=st.sampled_from(["anonymous", "PSK", "SRP"]),
    own=st.booleans(),
    alert=st.sampled_from([40, 80, 115]),
)
def test_a_family_that_cannot_be_finished_hides_no_other(
    weak: tuple[int, ...], family: str, own: bool, alert: int
) -> None:
    poison = tuple(number for number in ALL if peculiar(number) == family)
    works = (*GOOD, *(number for number in weak if number not in poison))
    server = ModelServer(
        suites={VERSION: (*poison, *works)},
        poison=frozenset(poison),
        poison_answer=Refused(alert=alert),
        prefers_own_order=own,
    )
    found, _ = families(server)
    assert found.families == configured(works)


def test_a_server_without_weak_suites_costs_a_hello_for_each_part_that_is_asked_apart() -> None:
    found, asked = families(ModelServer(suites={VERSION: GOOD}))
    assert set(found.families.values()) == {"no"}
    assert len(asked.offers) == 1 + 4


@pytest.mark.parametrize("ending", [Silent(stage="hello", seconds=15), Throttled(stage="greeting", reply="421 later")])
@given(weak=weak_lists, after=st.integers(0, 8))
@settings(max_examples=40)
def test_what_an_answer_does_not_say_is_unknown(ending: Answer, weak: tuple[int, ...], after: int) -> None:
    server = ModelServer(suites={VERSION: (*GOOD, *weak)})
    count = iter(range(1000))
    asked = Asked(lambda offer: server.answer(offer) if next(count) <= after else ending)
    found = asked.run(standard([Offer(protocol=VERSION, suites=ALL)]))[VERSION]
    for family, state in configured((*GOOD, *weak)).items():
        assert found.families[family] in (state, "unknown")


def test_closing_is_a_refusal_while_the_server_still_takes_what_it_took() -> None:
    closed = Closed(stage="hello", how="eof")
    found, _ = families(ModelServer(suites={VERSION: (*GOOD, 0x0004)}, refusal=closed))
    assert found.families == configured((0x0004,))


def test_a_server_that_breaks_has_refused_no_family() -> None:
    server = ModelServer(suites={VERSION: GOOD})
    count = iter(range(1000))
    asked = Asked(lambda offer: server.answer(offer) if next(count) < 1 else Closed(stage="hello", how="eof"))
    found = asked.run(standard([Offer(protocol=VERSION, suites=ALL)]))[VERSION]
    assert set(found.families.values()) == {"unknown"}


def test_a_pick_that_was_not_offered_shows_nothing() -> None:
    asked = Asked(lambda offer: Chosen(protocol=VERSION, suite=GOOD[0] if GOOD[0] in offer.suites else 0xBEEF))
    found = asked.run(standard([Offer(protocol=VERSION, suites=ALL)]))[VERSION]
    assert set(found.families.values()) == {"unknown"}


def test_a_list_of_all_suites_names_the_families_that_are_not_taken_too() -> None:
    assert families_of("SSLv3", (0x0003, 0x002F), complete=True) == {
        "NULL": "no",
        "anonymous": "no",
        "export": "yes",
        "RC4": "yes",
        "DES": "no",
        "3DES": "no",
        "MD5": "yes",
    }
    assert set(families_of("SSLv3", (), complete=False).values()) == {"unknown"}


def test_tls13_has_no_weak_suites_but_those_without_encryption() -> None:
    # RFC 9150; all others of RFC 8446 §B.4 encrypt and authenticate.
    assert families_in("TLSv1.3") == ("NULL",)
