"""What a fingerprint tells apart: servers of which everything is known, and ones that differ from them in one thing."""

from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxprobe.terms import PROTOCOLS, Protocol
from mxprobe.tls.fingerprint import Compared, Swept, compared, fingerprint
from mxprobe.tls.offer import Answer, Chosen, Closed, Offer, Refused, Silent, Throttled
from mxprobe.tls.suites import candidates, peculiar
from servers.model import Asked, ModelServer

TLS: tuple[Protocol, ...] = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
ORDINARY = {protocol: tuple(n for n in candidates(protocol) if peculiar(n) is None)[:100] for protocol in TLS}


@st.composite
def servers(draw: st.DrawFn, *, own: bool | None = None, at_least: int = 1) -> ModelServer:
    """A server of one to four TLS versions, each with some of its suites, that has its own order or follows ours."""
    versions = draw(st.lists(st.sampled_from(TLS), unique=True, min_size=1))
    suites = {
        version: tuple(
            draw(st.lists(st.sampled_from(candidates(version)), unique=True, min_size=at_least, max_size=14))
        )
        for version in versions
    }
    return ModelServer(suites=suites, prefers_own_order=draw(st.booleans()) if own is None else own)


def sweep(server: ModelServer) -> dict[Protocol, Swept]:
    """What a complete sweep finds of a server, by its configuration."""
    found: dict[Protocol, Swept] = {protocol: Swept() for protocol in PROTOCOLS}
    for protocol, suites in server.suites.items():
        works = [suite for suite in suites if suite not in server.poison]
        if not server.prefers_own_order:
            works.sort(key=candidates(protocol).index)
        order: Literal["server", "client"] = "server" if server.prefers_own_order else "client"
        found[protocol] = Swept(suites=tuple(works), order=order if len(works) > 1 else "unknown")
    return found


def compare(known: dict[Protocol, Swept], server: ModelServer) -> Compared:
    found: Compared = Asked(server.answer).run(compared(fingerprint(known)))
    return found


@given(server=servers())
def test_a_server_is_the_same_as_itself_after_about_ten_hellos(server: ModelServer) -> None:
    found = compare(sweep(server), server)
    assert (found.state, found.evidence) == ("same", "")
    assert found.hellos <= 12


@given(server=servers(), data=st.data())
def test_an_added_suite_is_seen_wherever_it_stands(server: ModelServer, data: st.DataObject) -> None:
    known = sweep(server)
    version = data.draw(st.sampled_from(sorted(server.suites)))
    suites = list(server.suites[version])
    added = data.draw(st.sampled_from([n for n in candidates(version) if n not in suites]))
    suites.insert(data.draw(st.integers(0, len(suites))), added)
    changed = ModelServer(suites={**server.suites, version: tuple(suites)}, prefers_own_order=server.prefers_own_order)
    found = compare(known, changed)
    assert found.state == "different"
    assert found.evidence.startswith(f"{version}: ")


@given(server=servers(), data=st.data())
def test_a_version_that_is_spoken_no_longer_is_seen(server: ModelServer, data: st.DataObject) -> None:
    gone = data.draw(st.sampled_from(sorted(server.suites)))
    left = {version: suites for version, suites in server.suites.items() if version != gone}
    changed = ModelServer(suites=left, prefers_own_order=server.prefers_own_order)
    assert compare(sweep(server), changed).state == "different"


@given(server=servers(), data=st.data())
def test_a_version_that_is_newly_spoken_is_seen(server: ModelServer, data: st.DataObject) -> None:
    missing = sorted(set(TLS) - set(server.suites))
    if missing:
        version = data.draw(st.sampled_from(missing))
        new = tuple(data.draw(st.lists(st.sampled_from(ORDINARY[version]), unique=True, min_size=1, max_size=9)))
        changed = ModelServer(suites={**server.suites, version: new}, prefers_own_order=server.prefers_own_order)
        assert compare(sweep(server), changed).state == "different"


@given(server=servers(own=False, at_least=2))
def test_a_server_that_has_come_to_prefer_its_own_order_is_seen(server: ModelServer) -> None:
    # One that has our order is no different.
    own = {
        version: tuple(sorted(suites, key=candidates(version).index, reverse=True))
        for version, suites in server.suites.items()
    }
    changed = ModelServer(suites=own, prefers_own_order=True)
    assert compare(sweep(server), changed).state == "different"


@given(server=servers(own=True, at_least=2))
def test_a_server_that_has_come_to_follow_ours_is_seen(server: ModelServer) -> None:
    changed = ModelServer(suites=server.suites, prefers_own_order=False)
    assert compare(sweep(server), changed).state == "different"


SMALL: dict[Protocol, tuple[int, ...]] = {
    "TLSv1.2": (0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA9, 0xCCA8),
    "TLSv1.3": (0x1301, 0x1302, 0x1303),
}


@pytest.mark.parametrize(("own", "seen"), [(True, 6), (False, 7)])
def test_of_nine_suites_the_loss_of_most_is_seen(own: bool, seen: int) -> None:
    known = sweep(ModelServer(suites=SMALL, prefers_own_order=own))
    noticed = 0
    for version, suites in SMALL.items():
        for gone in suites:
            left = {**SMALL, version: tuple(suite for suite in suites if suite != gone)}
            changed = ModelServer(suites=left, prefers_own_order=own)
            noticed += compare(known, changed).state == "different"
    assert noticed >= seen


@given(
    good=st.lists(st.sampled_from(ORDINARY["TLSv1.2"]), unique=True, min_size=2, max_size=20),
    own=st.booleans(),
    data=st.data(),
)
@settings(max_examples=40)
def test_suites_that_cannot_be_finished_hide_no_ordinary_one(good: list[int], own: bool, data: st.DataObject) -> None:
    poison = tuple(n for n in candidates("TLSv1.2") if peculiar(n) == "anonymous")
    server = ModelServer(suites={"TLSv1.2": (*poison, *good)}, poison=frozenset(poison), prefers_own_order=own)
    known = sweep(server)
    assert compare(known, server).state == "same"
    added = data.draw(st.sampled_from([n for n in ORDINARY["TLSv1.2"] if n not in good]))
    changed = ModelServer(suites={"TLSv1.2": (*poison, *good, added)}, poison=frozenset(poison), prefers_own_order=own)
    assert compare(known, changed).state == "different"


@pytest.mark.parametrize(
    "ending",
    [
        Silent(stage="hello", seconds=15),
        Throttled(stage="greeting", reply="421 too many"),
        Closed(stage="greeting", how="eof"),
    ],
)
@given(server=servers(), data=st.data())
@settings(max_examples=20)
def test_an_answer_that_says_nothing_neither_confirms_nor_denies(
    ending: Answer, server: ModelServer, data: st.DataObject
) -> None:
    expected = fingerprint(sweep(server))
    after = data.draw(st.integers(0, len(expected) - 1))
    count = iter(range(1000))
    found = Asked(lambda offer: server.answer(offer) if next(count) < after else ending).run(compared(expected))
    assert found.state == "unknown"
    assert found.evidence


def test_a_server_that_refuses_by_closing_is_believed_while_it_still_picks() -> None:
    closed = Closed(stage="hello", how="eof")
    server = ModelServer(suites={"TLSv1.2": SMALL["TLSv1.2"]}, refusal=closed, version_refusal=closed)
    assert compare(sweep(server), server).state == "same"


def test_a_server_that_breaks_on_the_way_is_not_confirmed() -> None:
    closed = Closed(stage="hello", how="eof")
    server = ModelServer(suites={"TLSv1.2": SMALL["TLSv1.2"]}, refusal=closed, version_refusal=closed)
    expected = fingerprint(sweep(server))
    picks = 0

    def broken(offer: Offer) -> Answer:
        nonlocal picks
        answer = server.answer(offer)
        picks += isinstance(answer, Chosen)
        return closed if picks > sum(each.pick is not None for each in expected) else answer

    assert Asked(broken).run(compared(expected)).state != "same"


def test_sslv2_kinds_are_compared_as_a_list() -> None:
    known: dict[Protocol, Swept] = {
        "SSLv2": Swept(suites=(0x010080, 0x0700C0)),
        "TLSv1.2": Swept(suites=SMALL["TLSv1.2"], order="client"),
    }
    tls = ModelServer(suites={"TLSv1.2": SMALL["TLSv1.2"]}, prefers_own_order=False)

    def answers(kinds: tuple[int, ...]) -> Compared:
        def answer(offer: Offer) -> Answer:
            if offer.protocol == "SSLv2":
                return Chosen(protocol="SSLv2", suite=kinds[0], suites=kinds) if kinds else Refused(sslv2_error=1)
            return tls.answer(offer)

        return Asked(answer).run(compared(fingerprint(known)))

    assert answers((0x0700C0, 0x010080)).state == "same"
    assert answers((0x0700C0, 0x010080, 0x020080)).state == "different"
    assert answers(()).state == "different"


def test_a_server_that_accepts_nothing_has_no_fingerprint() -> None:
    assert fingerprint({"TLSv1.2": Swept(), "TLSv1.3": Swept()}) == ()


def test_the_first_difference_ends_it() -> None:
    known = sweep(ModelServer(suites=SMALL))
    asked = Asked(ModelServer(suites={"TLSv1.2": ORDINARY["TLSv1.2"][:40]}).answer)
    assert asked.run(compared(fingerprint(known))).state == "different"
    assert len(asked.offers) < len(fingerprint(known))
