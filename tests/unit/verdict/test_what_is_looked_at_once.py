"""What suites and servers have in common is looked at once, and comes to what each would come to by itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from mxprobe.facts import EndpointFacts, Listing, ProtocolFacts, Starttls, Suite
from mxprobe.mta.offering import what_is_sent
from mxprobe.mta.profile import Profile
from mxprobe.mta.senders import senders
from mxprobe.terms import PROTOCOLS, Protocol
from mxprobe.tls.code_points import GROUPS, SCHEMES
from mxprobe.tls.free_facts import Feature, FiniteField
from mxprobe.tls.suites import candidates, suite
from mxprobe.trust.certificate import Certificate
from mxprobe.verdict import server_side, suite_fit
from mxprobe.verdict.server_side import server_version
from mxprobe.verdict.simulation import simulate
from mxprobe.verdict.suite_fit import suite_fits

STATES = st.sampled_from(["yes", "no", "unknown"])
ORDERS = st.sampled_from(["server", "client", "unknown"])
OLD: tuple[Protocol, ...] = ("SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2")


def accepted(number: int, reached: str) -> Suite:
    known = suite(number)
    return Suite(id=known.id, name=known.name, iana=known.iana, reached=reached)  # type: ignore[arg-type]


def listings(names: list[str]) -> st.SearchStrategy[Listing]:
    return st.builds(
        Listing,
        state=st.sampled_from(["accepted", "unknown"]),
        names=st.lists(st.sampled_from(names), unique=True, max_size=6).map(tuple),
        order=ORDERS,
        complete=st.booleans(),
    )


def versions(protocol: Protocol) -> st.SearchStrategy[ProtocolFacts]:
    suites = st.builds(
        accepted,
        st.sampled_from(candidates(protocol)),
        st.sampled_from(["selected", "key-exchange", "handshake-complete"]),
    )
    return st.builds(
        ProtocolFacts,
        state=st.sampled_from(["accepted", "accepted", "refused", "unknown"]),
        complete=st.booleans(),
        suites=st.lists(suites, max_size=12, unique_by=lambda each: each.id).map(tuple),
        order=ORDERS,
        groups=st.none() | listings(list(GROUPS.values())),
        schemes=st.none() | listings(list(SCHEMES.values())),
        dh=st.lists(st.builds(FiniteField, bits=st.just(2048), prime=st.just("00")), max_size=1).map(tuple),
        families=st.dictionaries(st.sampled_from(["NULL", "RC4", "anonymous"]), STATES),
    )


FACTS = st.builds(
    EndpointFacts,
    host=st.just("mx.example.test"),
    address=st.just("192.0.2.1"),
    port=st.just(25),
    started_at=st.just(datetime(2026, 3, 1, tzinfo=UTC)),
    starttls=st.just(Starttls(state="works")),
    protocols=st.fixed_dictionaries({}, optional={protocol: versions(protocol) for protocol in PROTOCOLS}),
    certificates=st.lists(
        st.builds(Certificate, sha256=st.just("00"), key=st.sampled_from(["RSA 2048", "EC secp256r1", "Ed25519"])),
        max_size=2,
    ).map(tuple),
    certificate_kinds=st.dictionaries(
        st.sampled_from(["RSA", "RSA-PSS", "ECDSA", "EdDSA", "DSA"]), st.builds(Feature, state=STATES)
    ),
)
CLIENTS = st.sampled_from([each.profile for each in senders()]) | st.builds(
    Profile,
    name=st.just("client"),
    protocols=st.lists(st.sampled_from(PROTOCOLS[1:]), min_size=1, unique=True).map(tuple),
    suites=st.lists(
        st.sampled_from((*candidates("TLSv1.2"), *candidates("TLSv1.3"), 0xFEFE)), min_size=1, max_size=30
    ).map(tuple),
    groups=st.none() | st.lists(st.sampled_from(list(GROUPS)), unique=True, max_size=5).map(tuple),
    signature_schemes=st.none() | st.lists(st.sampled_from(list(SCHEMES)), unique=True, max_size=8).map(tuple),
)


@given(client=CLIENTS, facts=FACTS, protocol=st.sampled_from(OLD))
def test_a_suite_among_others_is_as_by_itself(client: Profile, facts: EndpointFacts, protocol: Protocol) -> None:
    sent, server = what_is_sent(client), server_version(facts, protocol)
    alone = [suite_fits(replace(sent, suites=(number,)), server) for number in dict.fromkeys(sent.suites)]
    assert suite_fits(sent, server) == [fit for fits in alone for fit in fits]


@given(client=CLIENTS, facts=FACTS)
def test_a_server_after_others_is_as_the_first(client: Profile, facts: EndpointFacts) -> None:
    after_others = simulate(client, facts)
    for kept in (suite_fit._known_fits, suite_fit._fit, server_side._not_listed):
        kept.cache_clear()
    assert simulate(client, facts) == after_others


def test_a_server_that_goes_without_a_certificate_is_not_like_one_that_was_not_seen_to() -> None:
    """They differ in one suite that the client does not offer, and in what is to be expected of those that it does."""
    offered, other, ordinary = 0x0034, 0x003A, 0x002F  # ADH-AES128-SHA, ADH-AES256-SHA, AES128-SHA
    sent = what_is_sent(Profile(name="client", protocols=("TLSv1.2",), suites=(offered, ordinary)))
    risky = []
    for suites in ((ordinary,), (ordinary, other), (ordinary,)):
        version = ProtocolFacts(state="accepted", suites=tuple(accepted(each, "handshake-complete") for each in suites))
        facts = EndpointFacts(
            host="mx.example.test",
            address="192.0.2.1",
            port=25,
            started_at=datetime(2026, 3, 1, tzinfo=UTC),
            starttls=Starttls(state="works"),
            protocols={"TLSv1.2": version},
        )
        risky.append([fit.risky for fit in suite_fits(sent, server_version(facts, "TLSv1.2")) if fit.number == offered])
    assert risky == [[True], [False], [True]]
