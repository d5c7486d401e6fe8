"""The report's lines beyond suites: what is well stays away, what is weak or fails is named."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO

from rich.console import Console

from examples.targets import ECDHE_AES256, endpoint
from mxprobe.facts import EndpointFacts, Features, Listing, ProtocolFacts, Quirks
from mxprobe.report.beyond_suites import print_beyond_suites, same_beyond_suites
from mxprobe.tls.behaviours import NameEffect
from mxprobe.tls.free_facts import Feature, FiniteField

YES, NO = Feature(state="yes"), Feature(state="no")
GROUPS = Listing(state="accepted", names=("x25519", "secp256r1"), order="server", complete=True, hellos=3)
TLS12 = ProtocolFacts(state="accepted", suites=(ECDHE_AES256,), complete=True, groups=GROUPS)
PLAIN = endpoint("mx1.example.test")


def lines(facts: EndpointFacts, *, verbose: bool = False) -> list[str]:
    text = StringIO()
    print_beyond_suites(Console(file=text, width=120), facts, verbose=verbose)
    return text.getvalue().splitlines()


def with_tls12(**more: object) -> EndpointFacts:
    return replace(PLAIN, protocols={"TLSv1.2": replace(TLS12, **more)})  # type: ignore[arg-type]


def test_nothing_is_printed_where_nothing_was_asked() -> None:
    assert lines(PLAIN) == lines(PLAIN, verbose=True) == []


def test_the_sizes_of_finite_fields_are_named_once() -> None:
    dh = (FiniteField(bits=2048, prime="ab" * 32, name="MODP group 14"), FiniteField(bits=1024, prime="cd" * 32))
    older = replace(TLS12, dh=dh[:1], groups=None)
    facts = replace(PLAIN, protocols={"TLSv1.2": replace(TLS12, dh=dh, groups=None), "TLSv1": older})
    assert lines(facts) == ["  dh           1024 bits (of its own)  2048 bits (MODP group 14)"]


def test_lists_that_are_the_same_in_an_older_version_are_printed_once() -> None:
    facts = replace(PLAIN, protocols={"TLSv1.2": TLS12, "TLSv1.1": TLS12})
    assert lines(facts) == ["  groups       TLSv1.2:  x25519 secp256r1"]


def test_groups_that_were_only_seen_wait_for_verbose() -> None:
    seen = Listing(state="accepted", names=("x25519",), reason="only what was chosen")
    assert lines(with_tls12(groups=seen)) == []
    assert lines(with_tls12(groups=seen), verbose=True) == [
        "  groups       TLSv1.2:  x25519  incomplete: only what was chosen"
    ]


def test_what_is_well_waits_for_verbose() -> None:
    well = replace(
        PLAIN,
        features=Features(secure_renegotiation=YES, compression=NO, heartbeat=NO),
        quirks=Quirks(grease=YES, large_hello=YES, server_name=NameEffect(effect="same")),
        certificate_kinds={"RSA": YES, "DSA": NO},
    )
    assert lines(well) == []
    assert lines(well, verbose=True) == [
        "  features     secure renegotiation: yes  heartbeat: no  compression: no",
        "  key kinds    RSA: yes  DSA: no",
    ]


def test_what_fails_is_named_with_its_reason() -> None:
    hangs = Feature(state="no", reason="hangs: twice silent")
    facts = replace(
        PLAIN,
        features=Features(secure_renegotiation=NO, compression=YES),
        quirks=Quirks(max_suites=128, large_hello=hangs, server_name=NameEffect(effect="other")),
    )
    assert lines(facts) == [
        "  features     secure renegotiation: no  compression: yes",
        "  stumbles     fails at more than 128 suites  fails at large hellos: hangs: twice silent",
        "               another certificate without the server name",
    ]


def test_unknown_is_said_to_those_who_want_to_know() -> None:
    unknown = Feature(state="unknown", reason="silent")
    facts = replace(PLAIN, quirks=Quirks(grease=unknown))
    assert lines(facts) == []
    assert lines(facts, verbose=True) == ["  stumbles     GREASE values unknown: silent"]


def test_endpoints_that_differ_in_this_are_not_the_same() -> None:
    assert same_beyond_suites(PLAIN, PLAIN)
    assert not same_beyond_suites(PLAIN, replace(PLAIN, quirks=Quirks(max_suites=1)))
    assert not same_beyond_suites(PLAIN, with_tls12())
