"""Guessing what comes next: it changes how many offers are out at a time, and nothing of what is found."""

from __future__ import annotations

from itertools import cycle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxprobe.terms import PROTOCOLS, Protocol
from mxprobe.tls.foresight import Foresight, HandshakePick
from mxprobe.tls.hearing import MAX_SUITES
from mxprobe.tls.offer import Answer, Chosen, Offer, Refused
from mxprobe.tls.removal import accepted_suites
from mxprobe.tls.suites import allowed, candidates, openssl_order, peculiar, suite
from mxprobe.tls.sweep import SuitesFound
from mxprobe.tls.version_sweep import FIRST_SUITES
from servers.model import Asked, ModelServer

VERSIONS: tuple[Protocol, ...] = ("TLSv1.2", "TLSv1.3", "TLSv1.1", "TLSv1")

EVERYTHING: dict[Protocol, tuple[int, ...]] = {
    version: tuple(
        number
        for number in openssl_order()
        if allowed(number, version)
        and peculiar(number) in (None, "anonymous")
        and suite(number).authentication != "DSS"
    )
    for version in VERSIONS
}
"""What a server of OpenSSL with an RSA and an EC certificate takes at the most."""


def offers(*versions: Protocol) -> list[Offer]:
    return [Offer(protocol=version, suites=candidates(version)) for version in versions]


def handshake_with(server: ModelServer) -> HandshakePick | None:
    """What a handshake by OpenSSL comes to, in the newest version of the server."""
    for version in reversed(PROTOCOLS):
        if server.suites.get(version):
            offered = tuple(each for each in openssl_order() if allowed(each, version) and peculiar(each) is None)
            answer = server.answer(Offer(protocol=version, suites=offered))
            return HandshakePick(version, offered, answer.suite) if isinstance(answer, Chosen) else None
    return None


def servers(orders: st.SearchStrategy[bool]) -> st.SearchStrategy[ModelServer]:
    def of_version(version: Protocol) -> st.SearchStrategy[tuple[int, ...]]:
        everything = EVERYTHING[version]
        half = st.lists(st.sampled_from(everything), unique=True).map(
            lambda chosen: tuple(sorted(chosen, key=everything.index))
        )
        any_order = st.lists(st.sampled_from(candidates(version)), unique=True, max_size=30).map(tuple)
        return st.one_of(st.just(everything), half, any_order)

    return st.builds(
        ModelServer,
        suites=st.fixed_dictionaries({version: of_version(version) for version in VERSIONS}),
        prefers_own_order=orders,
    )


@settings(max_examples=60)
@given(server=servers(st.booleans()), width=st.integers(2, 8), data=st.data())
def test_offers_side_by_side_find_what_a_serial_chain_finds(
    server: ModelServer, width: int, data: st.DataObject
) -> None:
    chance = data.draw(st.randoms(use_true_random=False))
    handshake = handshake_with(server) if data.draw(st.booleans()) else None
    serial = Asked(server.answer).run(accepted_suites(offers(*VERSIONS), handshake))
    ahead = Asked(server.answer).run_ahead(accepted_suites(offers(*VERSIONS), handshake), width, chance.randrange)
    for version in VERSIONS:
        found = ahead[version]
        assert found.complete
        assert set(found.suites) == set(server.suites[version])
        assert (found.order, found.suites) == (serial[version].order, serial[version].suites) or len(found.suites) < 2


@settings(max_examples=60)
@given(server=servers(st.booleans()))
def test_the_order_is_known_wherever_there_is_one(server: ModelServer) -> None:
    found = Asked(server.answer).run_ahead(accepted_suites(offers(*VERSIONS), handshake_with(server)), 8)
    for version in VERSIONS:
        suites = server.suites[version]
        if len(suites) < 2:
            assert found[version].order == "unknown"
        elif server.prefers_own_order:
            assert (found[version].order, found[version].suites) == ("server", suites)
        else:
            assert found[version].order == "client"
            assert found[version].suites == tuple(sorted(suites, key=candidates(version).index))


@pytest.mark.parametrize("width", [1, 2, 4, 8])
@pytest.mark.parametrize("own_order", [False, True])
def test_hardly_anything_is_asked_in_vain(own_order: bool, width: int) -> None:
    server = ModelServer(suites=EVERYTHING, prefers_own_order=own_order)
    asked = Asked(server.answer)
    asked.run_ahead(accepted_suites(offers(*PROTOCOLS), handshake_with(server)), width)
    bound = sum(len(EVERYTHING.get(version, ())) + 1 for version in PROTOCOLS)
    # The complete handshake is one connection more.
    assert len(asked.offers) + 1 <= 1.05 * bound + 2


@pytest.mark.parametrize("own_order", [False, True])
def test_a_long_chain_is_asked_several_offers_at_a_time(own_order: bool) -> None:
    server = ModelServer(suites=EVERYTHING, prefers_own_order=own_order)
    most = 0
    sweep = accepted_suites(offers(*VERSIONS), handshake_with(server))
    try:
        wanted = next(sweep)
        while True:
            most = max(most, sum(offer.protocol == "TLSv1.2" for offer in (*wanted.sure, *wanted.guessed)))
            wanted = sweep.send((wanted.sure[-1], server.answer(wanted.sure[-1])))
    except StopIteration:
        assert most > 1


def test_the_window_grows_on_hits_shrinks_on_misses_and_recovers() -> None:
    foresight = Foresight()
    for _ in range(200):
        foresight.asked()
    assert foresight.window == 1
    for _ in range(20):
        foresight.hit()
    assert foresight.window == 4
    foresight.miss()
    assert foresight.window == 2
    foresight.miss()
    foresight.miss()
    assert foresight.window == 0
    for _ in range(4):
        foresight.foretold()
    assert foresight.window == 1


def test_no_guess_is_worth_more_than_a_twentieth_of_all_hellos() -> None:
    foresight = Foresight()
    foresight.accepted("TLSv1.2", 0xC02F)
    assert foresight.window == 0
    for _ in range(80):
        foresight.asked()
    assert foresight.window == 1


# Several servers behind one address


def pool(*servers: ModelServer) -> Asked:
    """A pool of which the members take turns."""
    turn = cycle(servers)
    return Asked(lambda offer: next(turn).answer(offer))


MORE, FEWER = EVERYTHING["TLSv1.2"][:9], EVERYTHING["TLSv1.2"][:5]


WITH_CURVES = [number for number in EVERYTHING["TLSv1.2"] if suite(number).key_exchange == "ECDH"][:20]
"""A finite field that is taken only when it is named would explain a refusal too (RFC 7919 §4)."""


def test_a_pool_of_which_one_member_accepts_what_another_refuses_is_never_complete() -> None:
    server = ModelServer(suites={"TLSv1.2": FEWER})
    other = ModelServer(suites={"TLSv1.2": MORE})
    found = pool(server, other).run(accepted_suites(offers("TLSv1.2")))["TLSv1.2"]
    assert found.state == "accepted"
    assert set(found.suites) == set(MORE)
    assert not found.complete
    (contradiction, *_) = found.contradictions
    assert {type(answer) for answer in contradiction.answers} == {Chosen, Refused}
    assert any(answer.suite in contradiction.suites for answer in contradiction.answers if isinstance(answer, Chosen))


@settings(max_examples=200)
@given(
    members=st.lists(
        st.lists(st.sampled_from(WITH_CURVES), unique=True, max_size=12).map(tuple),
        min_size=2,
        max_size=3,
    ),
    own=st.booleans(),
    width=st.integers(1, 4),
    data=st.data(),
)
def test_what_is_found_of_a_pool_is_what_some_member_takes_and_complete_only_if_no_answer_contradicts_it(
    members: list[tuple[int, ...]], own: bool, width: int, data: st.DataObject
) -> None:
    chance = data.draw(st.randoms(use_true_random=False))
    servers = [ModelServer(suites={"TLSv1.2": suites}, prefers_own_order=own) for suites in members]
    exchanges: list[tuple[Offer, Answer]] = []

    def answer(offer: Offer) -> Answer:
        exchanges.append((offer, chance.choice(servers).answer(offer)))
        return exchanges[-1][1]

    found = Asked(answer).run_ahead(accepted_suites(offers("TLSv1.2")), width, chance.randrange)["TLSv1.2"]
    assert set(found.suites) <= set().union(*members)
    if found.complete and not found.max_suites:
        # Where none of the long offers was answered, their length explains why.
        reads = any(isinstance(answer, Chosen) and len(offer.suites) > MAX_SUITES for offer, answer in exchanges)
        disputed = [
            (offer, answer)
            for offer, answer in exchanges
            if isinstance(answer, Refused)
            and not set(found.suites).isdisjoint(offer.suites)
            and (reads or len(offer.suites) <= FIRST_SUITES)
        ]
        # A refusal that an acceptance contradicts was asked again, and came again, as with a suite that is no use.
        assert not disputed or any(offer.attempt > 3 for offer, _ in disputed)


POOLED = (0xC02C, 0xC030, 0xCCA9, 0xCCA8, 0xC0AF, 0xC0AD, 0xC05D, 0xC061, 0xC02B, 0xC02F, 0xC0AE, 0xC05C)
"""Suites of which the first offer picks one that tells little of whose order counts, so that all are offered once."""


def test_a_refusal_of_all_suites_is_doubted_though_none_was_as_long() -> None:
    """A member of the pool that takes nothing answers once: the last offer, of what is left and what was accepted."""
    server, nothing = (ModelServer(suites={"TLSv1.2": suites}, prefers_own_order=False) for suites in (POOLED, ()))
    longest = len(offers("TLSv1.2")[0].suites)
    asked: list[Answer] = []

    def answer(offer: Offer) -> Answer:
        first_of_all = len(offer.suites) == longest and offer.attempt == 1
        asked.append((nothing if first_of_all else server).answer(offer))
        return asked[-1]

    found = Asked(answer).run_ahead(accepted_suites(offers("TLSv1.2")), 1, lambda _: 0)["TLSv1.2"]
    assert any(isinstance(each, Refused) for each in asked)
    assert found.contradictions
    assert not found.complete


def test_versions_that_differ_in_what_all_of_them_have_are_asked_again() -> None:
    """The first is asked of one member by chance, the second of the other."""
    one, other = (ModelServer(suites=dict.fromkeys(VERSIONS, suites)) for suites in (LEGACY, LEGACY[:4]))

    def answer(offer: Offer) -> Answer:
        first = offer.protocol == "TLSv1" and offer.attempt == 1
        return (other if first else one).answer(offer)

    found = Asked(answer).run(accepted_suites(offers("TLSv1", "TLSv1.1")))
    assert found["TLSv1.1"].complete
    assert not found["TLSv1"].complete
    assert found["TLSv1"].contradictions


LEGACY = tuple(number for number in EVERYTHING["TLSv1"] if suite(number).authentication == "RSA")[:8]


def test_a_member_without_the_version_is_no_refusal_of_it() -> None:
    asked = pool(
        ModelServer(suites={"TLSv1.2": MORE, "TLSv1.3": (0x1301, 0x1302, 0x1303)}),
        ModelServer(suites={"TLSv1.2": MORE}),
    )
    found = asked.run(accepted_suites(offers("TLSv1.3")))["TLSv1.3"]
    assert (found.state, found.complete) == ("accepted", False)
    assert found.contradictions


def test_one_server_contradicts_itself_nowhere() -> None:
    server = ModelServer(suites=EVERYTHING)
    found: dict[Protocol, SuitesFound] = Asked(server.answer).run(accepted_suites(offers(*PROTOCOLS)))
    assert not any(each.contradictions for each in found.values())


def test_a_suite_that_cannot_be_finished_is_no_contradiction() -> None:
    """A refusal by poison comes every time; that of a pool does not."""
    poison = tuple(number for number in candidates("TLSv1.2") if peculiar(number) == "SRP")
    server = ModelServer(suites={"TLSv1.2": (*MORE[:3], *poison, *MORE[3:])}, poison=frozenset(poison))
    found = Asked(server.answer).run(accepted_suites(offers("TLSv1.2")))["TLSv1.2"]
    assert (found.complete, found.contradictions, found.suites) == (True, (), MORE)


def answer_of_nobody(offer: Offer) -> Answer:
    return Refused(alert=70)


def test_a_handshake_that_contradicts_the_sweep_is_no_crash() -> None:
    handshake = HandshakePick("TLSv1.3", (0x1301,), 0x1301)
    found = Asked(answer_of_nobody).run(accepted_suites(offers(*PROTOCOLS), handshake))
    assert all(each.state == "refused" for each in found.values())
