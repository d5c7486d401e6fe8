"""What is computed from facts is what the very hello of a client gets: all servers of the tests, all senders.

A computed answer that is known must be right in every part that is known. Where it is *unknown*, the reason is written
down here: a client that no sender is like, and what real servers do about it differs.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

import mxprobe
from examples.client_profiles import CAPTURED, clients, random_clients
from mxprobe import EndpointFacts, Limits, ProbeSettings
from mxprobe.facts import ProfileAnswer
from mxprobe.mta.senders import sender_names
from mxprobe.verdict.simulation import Simulated, simulate
from servers.cases import CASES, Case, reachable

NAME = "mx.test"

RANDOM_CLIENTS = random_clients(20, 40)

UNKNOWN = {
    "P-384 alone": "GnuTLS shows a certificate on P-256 to a client that does not list it, others pass it over",
    "P-384 alone, up to TLS 1.2": "the same",
    "PSS alone": "OpenSSL and GnuTLS pass over what takes an ECDSA signature, NSS picks it and fails",
    "PSS alone and static RSA first": "OpenSSL minds that it lists no older scheme, others do not",
    "ECDSA schemes alone": "the same as PSS alone, for RSA; OpenSSL does not even take static RSA then",
    "SHA-1 schemes alone": "OpenSSL without SHA-1 refuses it, even for static RSA",
    "SHA-1 schemes alone in TLS 1.2": "the same",
    "MD5 with RSA alone": "the same",
    "no schemes in TLS 1.2": "it means SHA-1; what a server without SHA-1 then does differs",
    "holes": "without TLS 1.3 some servers go by the list of versions (NSS), some by the newest alone (OpenSSL 1.0.1)",
    "a hole": "the same",
    "DHE alone with ffdhe3072": "GnuTLS that has none of the client's groups refuses; others have a field of their own",
    "DHE with all finite fields": "the same",
    "PSK alone": "whether both sides have the same secret cannot be told",
}
"""The clients for which the answer may be unknown at some server, and why."""

MOST_UNKNOWN_AT_RANDOM = 0.35
"""The part of the clients with random lists that may be unknown at one server: every third lists no scheme for a suite
that it offers, or not the curve of the certificate."""

MOST_UNKNOWN = 8
"""How many of the clients that are made up may be unknown at one server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A client at a server: what is computed, and what its hello was answered."""

    computed: Simulated
    observed: ProfileAnswer

    @property
    def differences(self) -> list[str]:
        """What of the computed answer is known, and is not what was observed."""
        computed, observed = self.computed, self.observed
        if computed.state == "unknown":
            return []
        if computed.state != observed.state:
            return ["state"]
        if computed.state == "no":
            return []
        # What an encrypted flight hides was not observed.
        always = [part for part in ("protocol", "suite") if getattr(computed, part) is not None]
        seen = [
            part
            for part in ("group", "certificate_kind")
            if getattr(computed, part) is not None and getattr(observed, part) is not None
        ]
        return [part for part in (*always, *seen) if getattr(computed, part) != getattr(observed, part)]


@pytest.fixture(scope="module", params=CASES, ids=[case.id for case in CASES])
def compared(request: pytest.FixtureRequest) -> tuple[Compared, ...]:
    case: Case = request.param
    asked = (*clients(), *RANDOM_CLIENTS)
    settings = ProbeSettings(
        depth="everything", limits=Limits(per_address=8), connect={NAME: "127.0.0.1"}, profiles=asked
    )
    with case.start() as server, reachable(case, server) as (port, _):
        (facts,) = asyncio.run(mxprobe.probe(f"[{NAME}]:{port}", settings)).endpoints
    assert len(facts.profiles) == len(asked)
    return tuple(_compared(facts, each) for each in facts.profiles)


def _compared(facts: EndpointFacts, observed: ProfileAnswer) -> Compared:
    profile = next(each for each in (*clients(), *RANDOM_CLIENTS) if each.name == observed.profile)
    return Compared(computed=simulate(profile, facts), observed=observed)


def test_a_computed_answer_is_what_the_hello_gets(compared: tuple[Compared, ...]) -> None:
    wrong = [(each.differences, each.computed, each.observed) for each in compared if each.differences]
    assert wrong == []


def test_every_hello_is_answered(compared: tuple[Compared, ...]) -> None:
    assert [each.observed for each in compared if each.observed.state == "unknown"] == []


def test_the_answer_to_a_sender_is_never_unknown(compared: tuple[Compared, ...]) -> None:
    recorded = {*sender_names(), *(path.stem for path in CAPTURED.glob("*client*.hex"))}
    incomplete = {each.name for each in clients() if not each.complete}
    answers = {each.computed.profile: each.computed for each in compared if each.computed.profile in recorded}
    assert recorded == set(answers)
    assert [each for name, each in answers.items() if each.state == "unknown" and name not in incomplete] == []


def test_an_unknown_answer_is_rare_and_has_its_reason(compared: tuple[Compared, ...]) -> None:
    unknown = [each.computed for each in compared if each.computed.state == "unknown"]
    assert all(each.reason for each in unknown)
    at_random = {profile.name for profile in RANDOM_CLIENTS}
    incomplete = {each.name for each in clients() if not each.complete}
    made_up = {each.profile for each in unknown} - at_random - incomplete
    assert made_up <= set(UNKNOWN)
    assert len(made_up) <= MOST_UNKNOWN
    assert sum(each.profile in at_random for each in unknown) <= MOST_UNKNOWN_AT_RANDOM * len(RANDOM_CLIENTS)


def test_a_session_whose_suite_is_open_is_rare(compared: tuple[Compared, ...]) -> None:
    """One without groups, one with an unregistered suite, and those that put ChaCha20 before AES."""
    incomplete = {each.name for each in clients() if not each.complete}
    made = [each.computed for each in compared if not each.computed.profile.startswith("random")]
    answers = [each for each in made if each.profile not in incomplete]
    open_suites = [each.profile for each in answers if each.state == "yes" and each.suite is None]
    assert set(open_suites) <= {
        "no groups",
        "no groups, in TLS 1.3",
        "unregistered suites first",
        "ChaCha20 first",
        "the other way round",
    }
