"""Groups, schemes and behaviours against model servers, whose answers follow from their configuration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxprobe.terms import Protocol
from mxprobe.tls.behaviours import copes, features, stumbles
from mxprobe.tls.code_points import TLS12_GROUPS, TLS12_SCHEMES, TLS13_GROUPS
from mxprobe.tls.everything import everything
from mxprobe.tls.groups import FFDHE, HYBRIDS, accepted_groups
from mxprobe.tls.offer import Answer, Chosen, Closed, Garbled, Offer, Refused, Silent, Throttled
from mxprobe.tls.preferences import Preferences
from mxprobe.tls.primes import PRIMES, ffdhe_group
from mxprobe.tls.schemes import accepted_schemes
from mxprobe.tls.sweep import SuitesFound
from servers.model import Asked

ECDHE_RSA, ECDHE_ECDSA, DHE_RSA, RSA = 0xC02F, 0xC02B, 0x009E, 0x009C
NO = Refused(alert=40)
HANGS = Silent(stage="hello", seconds=15.0)
CLOSES = Closed(stage="hello", how="eof")

PRIME_OF = {ffdhe_group(digest): digest for digest in PRIMES if ffdhe_group(digest)}


@dataclass(frozen=True, kw_only=True)
class Server:
    """Takes `groups` and `schemes` in that order, or in the client's.

    `certificate_curve` has to be listed up to TLS 1.2 where the suite is ECDHE-ECDSA. `own_field` is a finite field
    that it uses whatever is listed; without one it takes the named ones among its groups.
    """

    groups: tuple[int, ...] = (29, 23)
    schemes: tuple[int, ...] = (0x0804, 0x0401)
    own_order: bool = True
    certificate_curve: int | None = None
    own_field: str | None = None
    refusal: Answer = field(default_factory=lambda: NO)

    def answer(self, offer: Offer) -> Answer:
        """What it says to one hello."""
        suite = offer.suites[0]
        listed = (
            (TLS12_GROUPS if offer.groups is None else offer.groups)
            if offer.protocol != "TLSv1.3"
            else (offer.groups or TLS13_GROUPS)
        )
        chosen = Chosen(protocol=offer.protocol, suite=suite, reached="flight-complete")
        if suite == DHE_RSA and self.own_field:
            chosen = replace(chosen, dh_bits=2048, dh_prime=self.own_field)
        else:
            group = self._pick(self.groups, listed)
            if group is None or (suite == ECDHE_ECDSA and self.certificate_curve not in listed):
                return self.refusal
            named = {"dh_bits": 2048, "dh_prime": PRIME_OF[group]} if suite == DHE_RSA else {"group": group}
            chosen = replace(chosen, hello_retry=offer.protocol == "TLSv1.3" and not offer.key_shares, **named)
        if offer.signature_schemes is not None:
            scheme = self._pick(self.schemes, offer.signature_schemes)
            return self.refusal if scheme is None else replace(chosen, scheme=scheme)
        return chosen

    def _pick(self, own: tuple[int, ...], theirs: tuple[int, ...]) -> int | None:
        common = (
            [each for each in own if each in theirs] if self.own_order else [each for each in theirs if each in own]
        )
        return common[0] if common else None


def found(protocol: Protocol, *suites: int, complete: bool = True) -> SuitesFound:
    """What a suite sweep found."""
    accepted = tuple(Chosen(protocol=protocol, suite=suite, hello_retry=protocol == "TLSv1.3") for suite in suites)
    return SuitesFound(
        protocol=protocol, state="accepted", accepted=accepted, complete=complete, hellos=len(suites) + 1
    )


def some_of(numbers: tuple[int, ...]) -> st.SearchStrategy[tuple[int, ...]]:
    """Any selection in any order."""
    return st.lists(st.sampled_from(numbers), unique=True, max_size=8).map(tuple)


# Groups.


@given(some_of((*HYBRIDS, *TLS13_GROUPS, 31, 512)), st.booleans())
def test_groups_of_tls13_are_exactly_those_of_the_server(groups: tuple[int, ...], own_order: bool) -> None:
    asked = Asked(Server(groups=groups, own_order=own_order).answer)
    listed = asked.run(accepted_groups(found("TLSv1.3", 0x1301), "mx.test"))
    assert set(listed.accepted) == set(groups)
    assert listed.complete
    assert len(asked.offers) == listed.hellos <= max(len(groups) + 2, 4)
    if own_order and listed.order != "unknown":
        assert (listed.order, listed.accepted) == ("server", groups)
    if not own_order and len(groups) > 1:
        assert listed.order == "client"
    assert all(not offer.key_shares for offer in asked.offers)


@given(some_of(TLS12_GROUPS), st.booleans(), st.sampled_from(("TLSv1", "TLSv1.1", "TLSv1.2")))
def test_curves_before_tls13_are_exactly_those_of_the_server(
    groups: tuple[int, ...], own_order: bool, protocol: Protocol
) -> None:
    asked = Asked(Server(groups=groups, own_order=own_order, certificate_curve=23).answer)
    listed = asked.run(accepted_groups(found(protocol, RSA, ECDHE_ECDSA, ECDHE_RSA), None))
    assert set(listed.accepted) == set(groups)
    assert listed.complete
    assert len(asked.offers) <= len(groups) + 2
    assert {offer.suites for offer in asked.offers} == {(ECDHE_RSA,)}


@given(some_of(TLS12_GROUPS), st.booleans(), st.sampled_from((23, 24, 25)))
def test_the_curve_of_a_certificate_hides_no_group(groups: tuple[int, ...], own_order: bool, curve: int) -> None:
    """With ECDSA suites alone: what is said is true, and what is not said is undecided."""
    asked = Asked(Server(groups=groups, own_order=own_order, certificate_curve=curve).answer)
    listed = asked.run(accepted_groups(found("TLSv1.2", ECDHE_ECDSA), None))
    assert set(listed.accepted) <= set(groups)
    assert set(groups) <= set(listed.accepted) | set(listed.undecided)
    assert listed.complete == (not listed.undecided)
    if not own_order and len(groups) > 1:
        assert set(listed.accepted) == set(groups)
    assert len(asked.offers) <= len(groups) + 5


@given(some_of(FFDHE))
def test_named_finite_fields_are_those_of_the_server(groups: tuple[int, ...]) -> None:
    listed = Asked(Server(groups=groups).answer).run(accepted_groups(found("TLSv1.2", DHE_RSA), None))
    assert (set(listed.accepted), listed.complete) == (set(groups), True)


def test_a_server_with_a_finite_field_of_its_own_has_no_named_one() -> None:
    asked = Asked(Server(own_field="ab" * 32).answer)
    listed = asked.run(accepted_groups(found("TLSv1.2", DHE_RSA), None))
    assert (listed.accepted, listed.state, listed.complete) == ((), "refused", True)
    assert len(asked.offers) == 1


def test_without_ephemeral_suites_there_is_nothing_to_ask() -> None:
    for complete, state in ((True, "refused"), (False, "unknown")):
        asked = Asked(Server().answer)
        listed = asked.run(accepted_groups(found("TLSv1.2", RSA, complete=complete), None))
        assert (listed.state, listed.complete, asked.offers) == (state, complete, [])


def test_a_server_that_refuses_a_hello_for_a_group_it_does_not_know_is_asked_in_parts() -> None:
    server = Server(groups=(29, 23, 256))

    def answer(offer: Offer) -> Answer:
        return server.answer(offer) if set(offer.groups or ()) <= set(TLS13_GROUPS) else Refused(alert=47)

    listed = Asked(answer).run(accepted_groups(found("TLSv1.3", 0x1301), None))
    assert set(listed.accepted) == {29, 23, 256}
    assert listed.order == "unknown"


# What is not an answer to the question.


@pytest.mark.parametrize(
    "ending", [HANGS, Throttled(stage="greeting", reply="421 later"), Garbled(stage="hello", reason="x")]
)
def test_a_sweep_that_is_cut_short_leaves_the_rest_undecided(ending: Answer) -> None:
    server = Server(groups=(29, 23, 24))

    def answer(offer: Offer) -> Answer:
        return server.answer(offer) if 29 in (offer.groups or ()) else ending

    listed = Asked(answer).run(accepted_groups(found("TLSv1.2", ECDHE_RSA), None))
    assert (listed.state, listed.accepted, listed.complete) == ("accepted", (29,), False)
    assert set(listed.undecided) == set(TLS12_GROUPS) - {29}
    assert listed.ending == ending


def test_a_plain_close_is_believed_only_after_a_control() -> None:
    server = Server(groups=(29, 23), refusal=CLOSES)
    asked = Asked(server.answer)
    assert asked.run(accepted_groups(found("TLSv1.2", ECDHE_RSA), None)).complete
    dead = Asked(lambda offer: CLOSES)
    listed = dead.run(accepted_groups(found("TLSv1.2", ECDHE_RSA), None))
    assert (listed.state, listed.complete) == ("unknown", False)


@given(some_of((1, 2, 3, 4, 5, 6)), st.lists(st.sampled_from((*range(8), "no", "cut", "gone")), max_size=12))
def test_any_server_whatever_ends_the_sweep(groups: tuple[int, ...], says: list[int | str]) -> None:
    """Also one that contradicts itself, or chooses what was not listed."""
    answers = iter(says)

    def answer(offer: Offer) -> Answer:
        match next(answers, "no"):
            case int(number):
                return Chosen(protocol="TLSv1.2", suite=1, group=number or None)
            case "no":
                return NO
            case "cut":
                return HANGS
            case _:
                return CLOSES

    def offer_of(listed: tuple[int, ...]) -> Offer:
        return Offer(protocol="TLSv1.2", suites=(1,), groups=listed)

    asked = Asked(answer)
    listed = asked.run(Preferences(groups, offer_of, lambda chosen: chosen.group).find(groups[:3], groups[3:]))
    assert set(listed.accepted) | set(listed.undecided) <= set(groups)
    assert len(set(listed.accepted)) == len(listed.accepted)
    assert len(asked.offers) <= 2 * len(groups) + 8


# Signature schemes.

RSA_SCHEMES = (0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0201)
ECDSA_SCHEMES = (0x0403, 0x0503, 0x0603, 0x0807, 0x0203)


@given(some_of(RSA_SCHEMES), st.booleans())
def test_schemes_of_tls12_are_exactly_those_of_the_server(schemes: tuple[int, ...], own_order: bool) -> None:
    asked = Asked(Server(schemes=schemes, own_order=own_order).answer)
    sweep = accepted_schemes(found("TLSv1.2", ECDHE_RSA, RSA), "mx.test")
    assert sweep is not None
    listed = asked.run(sweep)
    assert (set(listed.accepted), listed.complete) == (set(schemes), True)
    assert listed.hellos <= len(schemes) + 2
    # signature_algorithms_cert (50) always lists everything: no certificate fails for what is asked of the key
    assert all(dict(offer.extensions).keys() == {50} for offer in asked.offers)


def test_each_authentication_is_asked_apart() -> None:
    server = Server(schemes=(0x0804, 0x0403), certificate_curve=23)
    sweep = accepted_schemes(found("TLSv1.2", ECDHE_ECDSA, ECDHE_RSA), None)
    assert sweep is not None
    asked = Asked(server.answer)
    assert asked.run(sweep).accepted == (0x0804, 0x0403)
    assert {offer.suites for offer in asked.offers} == {(ECDHE_ECDSA,), (ECDHE_RSA,)}


@given(some_of((0x0403, 0x0804, 0x0807, 0x0904)))
def test_schemes_of_tls13_take_a_key_share_that_the_server_takes(schemes: tuple[int, ...]) -> None:
    asked = Asked(Server(groups=(24,), schemes=schemes).answer)
    sweep = accepted_schemes(found("TLSv1.3", 0x1301), None, (4588, 24, 29))
    assert sweep is not None
    listed = asked.run(sweep)
    assert (set(listed.accepted), listed.complete) == (set(schemes), True)
    assert all(offer.key_shares == offer.groups == (24,) for offer in asked.offers)
    # RFC 8446 §4.2.3: PKCS #1 signs certificates alone.
    assert not {0x0401, 0x0201} & {scheme for offer in asked.offers for scheme in offer.signature_schemes or ()}


def test_a_flight_that_could_not_be_read_leaves_the_schemes_unknown() -> None:
    sweep = accepted_schemes(found("TLSv1.3", 0x1301), None, (29,))
    assert sweep is not None
    listed = Asked(lambda offer: Chosen(protocol="TLSv1.3", suite=0x1301, hello_retry=True)).run(sweep)
    assert (listed.state, listed.complete) == ("unknown", False)


def test_versions_before_tls12_have_no_schemes() -> None:
    assert accepted_schemes(found("TLSv1.1", ECDHE_RSA), None) is None


# Behaviours.

PLAIN = Offer(protocol="TLSv1.2", suites=(ECDHE_RSA,))
LARGE = replace(PLAIN, least_length=1800)
YES = Chosen(protocol="TLSv1.2", suite=ECDHE_RSA, reached="flight-complete")


def is_large(offer: Offer) -> bool:
    return offer.least_length > 0


@pytest.mark.parametrize(
    ("to_large", "to_plain", "state", "hellos"),
    [
        (YES, YES, "yes", 1),
        (NO, YES, "no", 2),
        (CLOSES, YES, "no", 3),
        (HANGS, YES, "no", 3),
        (Garbled(stage="hello", reason="text"), YES, "no", 2),
        (NO, NO, "unknown", 2),
        (HANGS, HANGS, "unknown", 2),
        (CLOSES, CLOSES, "unknown", 3),
        (Throttled(stage="greeting", reply="421"), YES, "unknown", 2),
        (Silent(stage="greeting"), YES, "unknown", 2),
    ],
)
def test_a_no_takes_a_control(
    to_large: Answer, to_plain: Answer, state: Literal["yes", "no", "unknown"], hellos: int
) -> None:
    asked = Asked(lambda offer: to_large if is_large(offer) else to_plain)
    assert asked.run(copes(LARGE, PLAIN)).state == state
    assert len(asked.offers) == hellos


def test_two_silences_never_follow_each_other() -> None:
    """Between the two comes the control, so that the endpoint is not left alone for them."""
    asked = Asked(lambda offer: HANGS if is_large(offer) else YES)
    found_out = asked.run(copes(LARGE, PLAIN))
    assert "hangs" in found_out.reason
    assert [is_large(offer) for offer in asked.offers] == [True, False, True]


def test_one_silence_is_forgiven() -> None:
    silences = iter((HANGS,))
    asked = Asked(lambda offer: next(silences, YES) if is_large(offer) else YES)
    assert asked.run(copes(LARGE, PLAIN)).state == "yes"


def test_a_suite_that_means_nothing_is_no_answer() -> None:
    grease = replace(PLAIN, suites=(0x0A0A, ECDHE_RSA))
    assert Asked(lambda offer: replace(YES, suite=offer.suites[0])).run(copes(grease, PLAIN)).state == "no"


ALL: dict[Protocol, SuitesFound] = {"TLSv1.1": found("TLSv1.1", 0xC013), "TLSv1.2": found("TLSv1.2", ECDHE_RSA)}


def picks_first(offer: Offer) -> Answer:
    real = next(suite for suite in offer.suites if suite in (0xC013, ECDHE_RSA, 0x1301))
    return Chosen(protocol=offer.protocol, suite=real, reached="flight-complete", certificates=(b"one",))


Refuses = Callable[[Offer], bool]


@pytest.mark.parametrize(
    ("what", "refuses"),
    [
        ("grease", lambda offer: 0x0A0A in offer.suites),
        ("newer_version", lambda offer: offer.legacy_version == 0x0305),
        ("newer_version", lambda offer: offer.legacy_version == 0x0304),
        ("large_hello", lambda offer: offer.least_length >= 1700),
        ("fragmented_hello", lambda offer: offer.record_length is not None),
    ],
)
def test_each_stumble_is_found_and_nothing_else(what: str, refuses: Refuses) -> None:
    coped = Asked(lambda offer: Refused(alert=70) if refuses(offer) else picks_first(offer)).run(
        stumbles(ALL, "mx.test")
    )
    names = ("grease", "newer_version", "large_hello", "fragmented_hello")
    assert {name: getattr(coped, name).state for name in names} == {
        name: "no" if name == what else "yes" for name in names
    }


def test_features_with_hellos_of_their_own() -> None:
    def server(offer: Offer) -> Answer:
        if 0x5600 in offer.suites:
            assert offer.protocol == "TLSv1.1"
            return Refused(alert=86)
        answer = picks_first(offer)
        assert isinstance(answer, Chosen)
        name = b"one" if offer.server_name else b"other"
        compression = 1 if 1 in offer.compression else 0
        return replace(answer, compression=compression, staple=offer.status_request, certificates=(name,))

    asked = Asked(server)
    own = asked.run(features(ALL, "mx.test"))
    assert (own.compression.state, own.ocsp_staple.state, own.fallback_scsv.state) == ("yes", "yes", "yes")
    assert own.server_name is not None
    assert own.server_name.effect == "other"
    assert len(asked.offers) <= 6


@pytest.mark.parametrize(
    ("without", "effect"), [(NO, "refused"), (CLOSES, "refused"), (HANGS, "unknown"), (YES, "unknown")]
)
def test_what_a_hello_without_server_name_gets(without: Answer, effect: str) -> None:
    own = Asked(lambda offer: picks_first(offer) if offer.server_name else without).run(features(ALL, "mx.test"))
    assert own.server_name is not None
    assert own.server_name.effect == effect


def test_where_no_name_was_sent_there_is_none_to_leave_out() -> None:
    assert Asked(picks_first).run(features(ALL, None)).server_name is None


@pytest.mark.parametrize("silent", [HANGS, NO, Throttled(stage="connect", reply="connection refused")])
def test_of_a_server_that_answers_nothing_any_more_nothing_is_said(silent: Answer) -> None:
    all_unknown = Asked(lambda offer: silent).run(everything(ALL, "mx.test"))
    coped = all_unknown.coped
    for found_out in (coped.grease, coped.newer_version, coped.large_hello, coped.fragmented_hello):
        assert found_out.state == "unknown"
    for feature in (all_unknown.asked.compression, all_unknown.asked.ocsp_staple, all_unknown.asked.fallback_scsv):
        assert feature.state == "unknown"


def test_everything_of_nothing_asks_nothing() -> None:
    asked = Asked(picks_first)
    nothing = asked.run(everything({}, "mx.test"))
    assert (nothing.groups, nothing.schemes, asked.offers) == ({}, {}, [])


def test_every_scheme_has_its_place_in_the_lists() -> None:
    assert set(RSA_SCHEMES) | set(ECDSA_SCHEMES) <= set(TLS12_SCHEMES)
