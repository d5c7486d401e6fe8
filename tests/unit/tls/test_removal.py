"""What a removal sweep finds, against model servers of which everything is known."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxprobe.terms import Protocol
from mxprobe.tls.chain import SHOWS_BY
from mxprobe.tls.hearing import MAX_SUITES
from mxprobe.tls.offer import Answer, Chosen, Closed, Garbled, Offer, Refused, Silent, Throttled
from mxprobe.tls.removal import accepted_suites, accepted_versions
from mxprobe.tls.suites import candidates, peculiar
from mxprobe.tls.sweep import SuitesFound
from mxprobe.tls.version_sweep import FIRST_SUITES, SMALL_SUITES
from servers.model import Asked, ModelServer

VERSION: Protocol = "TLSv1.2"
ALL = candidates(VERSION)
ORDINARY = tuple(suite for suite in ALL if peculiar(suite) is None)
FAMILY = {family: tuple(s for s in ALL if peculiar(s) == family) for family in ("SRP", "PSK", "anonymous", "export")}

suite_lists = st.lists(st.sampled_from(ALL), unique=True, max_size=40).map(tuple)


def sweep(server: ModelServer, version: Protocol = VERSION) -> tuple[SuitesFound, Asked]:
    asked = Asked(server.answer)
    found = asked.run(accepted_suites([Offer(protocol=version, suites=candidates(version))]))
    return found[version], asked


@given(suites=suite_lists)
def test_finds_exactly_the_set_in_the_servers_order(suites: tuple[int, ...]) -> None:
    found, _ = sweep(ModelServer(suites={VERSION: suites}))
    assert found.complete
    assert set(found.suites) == set(suites)
    if found.order == "server":
        assert found.suites == suites


@given(suites=suite_lists)
def test_finds_exactly_the_set_of_a_server_that_follows_the_client(suites: tuple[int, ...]) -> None:
    found, _ = sweep(ModelServer(suites={VERSION: suites}, prefers_own_order=False))
    assert found.complete
    assert found.suites == tuple(sorted(suites, key=ALL.index))
    assert found.order == ("client" if len(suites) > 1 else "unknown")


@given(suites=st.lists(st.sampled_from(ALL), unique=True, min_size=2, max_size=40).map(tuple))
def test_tells_whose_order_it_is(suites: tuple[int, ...]) -> None:
    found, _ = sweep(ModelServer(suites={VERSION: suites}))
    assert found.order == "server"


@given(suites=st.lists(st.sampled_from(ORDINARY[:FIRST_SUITES]), unique=True, min_size=2, max_size=60).map(tuple))
def test_costs_n_plus_two_hellos_on_an_ordinary_server_that_follows_the_client(suites: tuple[int, ...]) -> None:
    found, asked = sweep(ModelServer(suites={VERSION: suites}, prefers_own_order=False))
    # Where the last suite is the one after which it is asked whose order counts, that hello finds nothing new.
    assert len(asked.offers) == found.hellos
    assert len(asked.offers) <= len(suites) + 2 + (len(suites) == SHOWS_BY)


@given(suites=st.lists(st.sampled_from(ORDINARY[:FIRST_SUITES]), unique=True, min_size=2, max_size=60).map(tuple))
def test_costs_n_plus_three_hellos_at_most_on_an_ordinary_server_with_its_own_order(suites: tuple[int, ...]) -> None:
    _, asked = sweep(ModelServer(suites={VERSION: suites}))
    assert len(asked.offers) <= len(suites) + 3


def test_a_refused_version_costs_one_hello() -> None:
    found, asked = sweep(ModelServer(suites={"TLSv1.3": (0x1301,)}))
    assert (found.state, found.complete, len(asked.offers)) == ("refused", True, 1)


def test_a_version_refused_by_any_other_alert_costs_two_beside_one_that_works() -> None:
    server = ModelServer(suites={VERSION: ORDINARY[:9]}, version_refusal=Refused(alert=40))
    asked = Asked(server.answer)
    found = asked.run(accepted_suites(Offer(protocol=p, suites=candidates(p)) for p in (VERSION, "SSLv3")))
    assert found["SSLv3"].state == "refused"
    assert found["SSLv3"].complete
    assert sum(offer.protocol == "SSLv3" for offer in asked.offers) == 2


def test_an_answer_in_an_older_version_refuses_the_one_that_was_asked() -> None:
    only = Chosen(protocol="SSLv3", suite=5)
    asked = Asked(lambda offer: only)
    found = asked.run(accepted_suites([Offer(protocol=VERSION, suites=ALL)]))[VERSION]
    assert (found.state, found.complete, found.ending) == ("refused", True, only)
    assert len(asked.offers) == 1


@given(
    good=st.lists(st.sampled_from(ORDINARY), unique=True, min_size=1, max_size=30),
    family=st.sampled_from(["SRP", "PSK", "anonymous"]),
    others=st.lists(st.sampled_from(FAMILY["export"]), unique=True, max_size=4),
    data=st.data(),
    own=st.booleans(),
    alert=st.sampled_from([40, 80, 115]),
)
def test_a_family_that_cannot_be_finished_does_not_hide_what_works(
    good: list[int], family: str, others: list[int], data: st.DataObject, own: bool, alert: int
) -> None:
    poison = FAMILY[family]
    order = tuple(data.draw(st.permutations([*good, *others, *poison])))
    server = ModelServer(
        suites={VERSION: order},
        poison=frozenset(poison),
        poison_answer=Refused(alert=alert),
        prefers_own_order=own,
    )
    found, _ = sweep(server)
    assert found.complete
    assert set(found.suites) == {*good, *others}
    if found.order == "server":
        assert found.suites == tuple(suite for suite in order if suite not in poison)


@given(
    good=st.lists(st.sampled_from(ORDINARY[:FIRST_SUITES]), unique=True, min_size=1, max_size=20),
    poison=st.lists(st.sampled_from(ALL), unique=True, min_size=1, max_size=4),
    data=st.data(),
    own=st.booleans(),
    alert=st.sampled_from([47, 80, 115]),
)
def test_no_suite_that_cannot_be_finished_hides_others_where_its_alert_tells_it(
    good: list[int], poison: list[int], data: st.DataObject, own: bool, alert: int
) -> None:
    first, *others = [suite for suite in good if suite not in poison] or [ORDINARY[0]]
    poison = [suite for suite in poison if suite != first]
    server = ModelServer(
        suites={VERSION: (first, *data.draw(st.permutations([*others, *poison])))},
        poison=frozenset(poison),
        poison_answer=Refused(alert=alert),
        prefers_own_order=own,
    )
    found, asked = sweep(server)
    if found.state == "accepted":  # a client's order may put the poison first
        assert found.complete
        assert set(found.suites) == {first, *others}
    assert len(asked.offers) < 150


def test_openssl_with_srp_but_no_user_is_swept_in_full() -> None:
    """Seen on OpenSSL 1.0.2: alert 115 after two suites, though 65 work."""
    order = (*ORDINARY[:2], *FAMILY["SRP"], *ORDINARY[2:65])
    server = ModelServer(suites={VERSION: order}, poison=frozenset(FAMILY["SRP"]))
    found, _ = sweep(server)
    assert found.suites == ORDINARY[:65]
    assert found.complete


@given(
    first=st.sampled_from(ORDINARY[:SMALL_SUITES]),
    others=suite_lists,
    longest=st.integers(SMALL_SUITES, FIRST_SUITES - 1),
    own=st.booleans(),
)
def test_a_server_that_fails_all_but_small_hellos_is_swept_by_such(
    first: int, others: tuple[int, ...], longest: int, own: bool
) -> None:
    suites = tuple(dict.fromkeys((*others, first)))
    server = ModelServer(suites={VERSION: suites}, longest=longest, too_long=Refused(alert=40), prefers_own_order=own)
    found, _ = sweep(server)
    assert found.complete
    assert found.max_suites
    assert found.max_suites <= longest
    assert set(found.suites) == set(suites)


@given(
    first=st.sampled_from(ORDINARY[:FIRST_SUITES]),
    others=suite_lists,
    longest=st.integers(FIRST_SUITES, 200),
    own=st.booleans(),
    silent=st.booleans(),
)
def test_a_server_that_fails_long_offers_is_swept_in_chunks(
    first: int, others: tuple[int, ...], longest: int, own: bool, silent: bool
) -> None:
    suites = tuple(dict.fromkeys((*others, first)))
    too_long: Answer = Silent(stage="hello", seconds=15) if silent else Refused(alert=50)
    server = ModelServer(suites={VERSION: suites}, longest=longest, too_long=too_long, prefers_own_order=own)
    found, asked = sweep(server)
    assert found.complete
    assert set(found.suites) == set(suites)
    assert sum(len(offer.suites) > longest for offer in asked.offers) <= 3


@pytest.mark.parametrize(
    "ending",
    [
        Silent(stage="hello", seconds=15),
        Throttled(stage="greeting", reply="421 too many"),
        Closed(stage="greeting", how="eof"),
        Garbled(stage="hello", reason="plain text"),
    ],
)
@given(suites=st.lists(st.sampled_from(ALL), unique=True, min_size=4, max_size=40).map(tuple), data=st.data())
@settings(max_examples=40)
def test_a_sweep_cut_short_says_so_and_claims_nothing(
    ending: Answer, suites: tuple[int, ...], data: st.DataObject
) -> None:
    after = data.draw(st.integers(0, len(suites) - 1))
    server = ModelServer(suites={VERSION: suites})
    count = iter(range(10_000))
    found = Asked(lambda offer: server.answer(offer) if next(count) < after else ending).run(
        accepted_suites([Offer(protocol=VERSION, suites=ALL)])
    )[VERSION]
    assert not found.complete
    assert found.state == ("accepted" if found.suites else "unknown")
    assert set(found.suites) <= set(suites)
    assert set(suites) - set(found.suites) <= set(found.undecided)


@given(first=st.sampled_from(ORDINARY[:FIRST_SUITES]), others=suite_lists)
def test_a_server_that_closes_instead_of_an_alert_is_asked_twice_before_that_counts(
    first: int, others: tuple[int, ...]
) -> None:
    suites = tuple(dict.fromkeys((*others, first)))
    found, asked = sweep(ModelServer(suites={VERSION: suites}, refusal=Closed(stage="hello", how="eof")))
    assert found.complete
    assert set(found.suites) == set(suites)
    assert asked.offers.count(asked.offers[-1]) == 1


def test_one_stray_close_loses_nothing() -> None:
    server = ModelServer(suites={VERSION: ORDINARY[:20]})
    strays = {3, 11}
    count = iter(range(1000))
    asked = Asked(lambda o: Closed(stage="hello", how="reset") if next(count) in strays else server.answer(o))
    found = asked.run(accepted_suites([Offer(protocol=VERSION, suites=ALL)]))[VERSION]
    assert found.suites == ORDINARY[:20]
    assert found.complete


def test_a_suite_that_was_not_offered_ends_the_sweep_without_a_claim() -> None:
    found = Asked(lambda offer: Chosen(protocol=VERSION, suite=0xBEEF)).run(
        accepted_suites([Offer(protocol=VERSION, suites=ALL)])
    )[VERSION]
    assert (found.state, found.complete) == ("unknown", False)
    assert isinstance(found.ending, Garbled)


def test_no_offer_is_longer_than_128_suites_before_one_was_answered() -> None:
    asked = Asked(ModelServer(suites={}, version_refusal=Refused(alert=40)).answer)
    asked.run(accepted_suites([Offer(protocol=VERSION, suites=ALL)]))
    assert max(len(offer.suites) for offer in asked.offers) <= MAX_SUITES
    assert {suite for offer in asked.offers for suite in offer.suites} == set(ALL)


@given(suites=suite_lists)
def test_asking_for_a_version_alone_claims_one_suite_and_no_more(suites: tuple[int, ...]) -> None:
    asked = Asked(ModelServer(suites={VERSION: suites}).answer)
    found = asked.run(accepted_versions([Offer(protocol=VERSION, suites=ALL)]))[VERSION]
    assert found.state == ("accepted" if suites else "refused")
    assert found.complete == (not suites)
    if set(suites) & set(asked.offers[0].suites):
        assert (len(asked.offers), len(found.suites)) == (1, 1)


def closing_after(server: ModelServer, hellos: int) -> Asked:
    """A server that answers some hellos, and then only closes: it is broken, or has had enough."""
    count = iter(range(10_000))
    return Asked(lambda offer: server.answer(offer) if next(count) < hellos else Closed(stage="hello", how="eof"))


@given(suites=suite_lists, hellos=st.integers(0, 60))
def test_a_server_that_breaks_in_mid_sweep_has_refused_nothing(suites: tuple[int, ...], hellos: int) -> None:
    server = ModelServer(suites={VERSION: suites, "TLSv1": ORDINARY[:3]})
    asked = closing_after(server, hellos)
    offers = [Offer(protocol=protocol, suites=candidates(protocol)) for protocol in (VERSION, "TLSv1")]
    found = asked.run(accepted_suites(offers))
    for protocol in (VERSION, "TLSv1"):
        accepted = set(server.suites[protocol])
        assert set(found[protocol].suites) <= accepted
        if found[protocol].complete:
            assert set(found[protocol].suites) == accepted
        assert accepted - set(found[protocol].suites) <= set(found[protocol].undecided)


def test_a_server_that_refuses_by_closing_is_believed_when_it_still_takes_what_it_took() -> None:
    server = ModelServer(
        suites={VERSION: ORDINARY[:5]},
        refusal=Closed(stage="hello", how="eof"),
        version_refusal=Closed(stage="hello", how="reset"),
    )
    offers = [Offer(protocol=protocol, suites=candidates(protocol)) for protocol in (VERSION, "SSLv3")]
    asked = Asked(server.answer)
    found = asked.run(accepted_suites(offers))
    assert found[VERSION].suites == ORDINARY[:5]
    assert found[VERSION].complete
    assert (found["SSLv3"].state, found["SSLv3"].complete) == ("refused", True)
    assert asked.offers[-1].suites == ORDINARY[:1]


def test_a_server_that_only_ever_closes_has_refused_nothing() -> None:
    offers = [Offer(protocol=protocol, suites=candidates(protocol)) for protocol in (VERSION, "SSLv3")]
    found = Asked(lambda offer: Closed(stage="hello", how="eof")).run(accepted_suites(offers))
    assert {result.state for result in found.values()} == {"unknown"}


def test_suites_of_a_server_that_knows_finite_fields_by_name_only_are_found() -> None:
    """As wolfSSL without DH parameters: DHE only for clients that list ffdhe groups (RFC 7919 §4)."""
    dhe, others = (0xCCAA, 0x009E), ORDINARY[:2]
    server = ModelServer(suites={VERSION: (*others, *dhe)}, prefers_own_order=False)
    without = ModelServer(suites={VERSION: others}, prefers_own_order=False)
    asked = Asked(lambda offer: (server if 256 in (offer.groups or ()) else without).answer(offer))
    found = asked.run(accepted_suites([Offer(protocol=VERSION, suites=ALL)]))[VERSION]
    assert set(found.suites) == {*others, *dhe}
    assert found.complete
