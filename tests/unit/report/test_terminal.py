"""The report that a person reads: the answer first, problems before evidence, unknown said as unknown."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from examples import targets
from mxprobe.facts import Natural, ProfileAnswer, ProtocolFacts, Starttls, Suite, Target
from mxprobe.report.ranking import verdict_on
from mxprobe.report.terminal import print_summary, print_target
from mxprobe.routing.route import MxHost, Route, RouteError
from mxprobe.smtp.replies import Reply
from mxprobe.trust.certificate import Certificate
from mxprobe.trust.verification import VerifyStep
from mxprobe.verdict.rules import judge

GOLDEN = Path(__file__).parents[2] / "data" / "report"

HOSTILE = "\x1b]0;owned\x07\x1b[2J\u202e\x9b31m\u2028[red]x[/red]\udc9b"


def shown(target: Target, *, verbose: bool = False, width: int = 80) -> str:
    stream = io.StringIO()
    print_target(Console(file=stream, width=width), target, verbose=verbose)
    return stream.getvalue()


def summary(*chosen: Target) -> list[str]:
    stream = io.StringIO()
    print_summary(Console(file=stream, width=80), targets.report(*chosen))
    return stream.getvalue().splitlines()


def with_endpoint(**changes: object) -> Target:
    return replace(targets.GOOD, endpoints=(targets.endpoint("mx1.example.test", **changes),))


@pytest.mark.parametrize("name", targets.ALL)
def test_the_key_lines_come_in_their_order(name: str) -> None:
    text = shown(targets.ALL[name])
    at = 0
    for line in (GOLDEN / f"{name}.txt").read_text().splitlines():
        found = text.find(line, at)
        assert found >= 0, f"{line!r} is missing, or not in its place, in:\n{text}"
        at = found + len(line)


def test_every_golden_file_belongs_to_an_example() -> None:
    assert {path.stem for path in GOLDEN.glob("*.txt")} == set(targets.ALL)


@pytest.mark.parametrize("verbose", [False, True])
@pytest.mark.parametrize("name", targets.ALL)
def test_fits_80_columns_and_a_log_file(name: str, verbose: bool) -> None:
    text = shown(targets.ALL[name], verbose=verbose)
    assert all(len(line) <= 80 and line == line.rstrip() for line in text.splitlines())
    assert text.isascii()
    assert all(character.isprintable() or character == "\n" for character in text)


@pytest.mark.parametrize("name", targets.ALL)
def test_the_first_five_lines_hold_the_endpoint_or_the_reason_for_none(name: str) -> None:
    target = targets.ALL[name]
    first = "\n".join(shown(target).splitlines()[:5])
    assert target.next_hop in first
    for facts in target.endpoints:
        assert f"{facts.host} [{facts.address}]:25" in first
        assert f"STARTTLS {facts.starttls.state}" in first


def test_a_problem_is_told_before_any_evidence() -> None:
    text = shown(targets.SSLV3_ONLY)
    assert text.index("critical  needs-sslv3") < text.index("warning   shared-cipher") < text.index("SSLv2 ")


def test_what_is_well_is_told_only_when_asked_for() -> None:
    assert "ok        starttls: yes" not in shown(targets.GOOD)
    assert "ok        starttls: yes  STARTTLS works  (RFC 3207)" in shown(targets.GOOD, verbose=True)


def test_verbose_numbers_suites_and_names_them_as_iana_does() -> None:
    text = shown(targets.GOOD, verbose=True)
    assert " 1. ECDHE-RSA-AES256-GCM-SHA384  0x00C030\n" in text
    assert "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384  seen up to ServerHelloDone\n" in text
    assert "greeting     220 mx1.example.test ESMTP" in text
    assert "ehlo         PIPELINING  SIZE 10240000  STARTTLS" in text


def test_equal_suites_of_two_protocols_are_listed_once() -> None:
    old = targets.accepted(targets.RC4_SHA, targets.TRIPLE_DES)
    text = shown(with_endpoint(protocols={"TLSv1": old, "TLSv1.1": old}))
    assert text.count("!RC4-SHA") == 1
    assert "the same suites as TLSv1, in the same order" in text
    assert "weak suites: 1 RC4, 1 3DES" in text


def test_an_unknown_number_survives_and_is_marked_as_outside_the_standards() -> None:
    text = shown(with_endpoint(protocols={"TLSv1.2": targets.accepted(targets.UNKNOWN_SUITE)}))
    assert "~0x00FEFE" in text
    assert "no standard allows the suite in this protocol version" in text


def test_a_server_hello_alone_is_not_shown_as_support() -> None:
    only_hello = replace(targets.RC4_SHA, reached="selected")
    text = shown(with_endpoint(protocols={"SSLv3": targets.accepted(only_hello)}))
    assert "all with only a ServerHello seen" in text
    assert "(only a ServerHello seen)" in shown(
        with_endpoint(natural=Natural(protocol="SSLv3", suite="RC4-SHA", reached="selected"))
    )


def test_remarks_on_what_works_are_told_too() -> None:
    limit = replace(targets.accepted(targets.ECDHE_AES256), reason="offers of more than 64 suites failed")
    text = shown(
        with_endpoint(
            starttls=Starttls(state="works", reason="OpenSSL's own handshake fails"),
            protocols={"TLSv1.2": limit},
            profiles=(
                ProfileAnswer(
                    profile="outbound", state="no", protocol="TLSv1", suite="RC4-SHA", reason="then alert 40"
                ),
            ),
        )
    )
    assert "OpenSSL's own handshake fails" in "".join(text.splitlines()[:5])
    assert "complete offers of more than 64 suites failed" in " ".join(text.split())
    assert "profile outbound: no  TLSv1 RC4-SHA  then alert 40" in text


def test_undecided_suites_are_named() -> None:
    answer = ProtocolFacts(state="unknown", reason="reset", undecided=tuple(f"SUITE-{n}" for n in range(9)))
    text = shown(with_endpoint(protocols={"TLSv1.2": answer}))
    assert "9 undecided: SUITE-0 SUITE-1 SUITE-2 SUITE-3 SUITE-4 SUITE-5" in " ".join(text.split())
    assert "and 3 more" in text


@pytest.mark.parametrize(
    ("order", "words"),
    [("server", "in the server's order"), ("client", "client's order"), ("unknown", "whose order decides is unknown")],
)
def test_whose_order_it_is(order: str, words: str) -> None:
    answer = replace(targets.accepted(targets.ECDHE_AES256, targets.ECDHE_AES128), order=order)
    assert words in shown(with_endpoint(protocols={"TLSv1.2": answer}))


@pytest.mark.parametrize(
    "changes",
    [
        {"protocols": {"TLSv1.2": ProtocolFacts(state="unknown")}},
        {"protocols": {"TLSv1.2": ProtocolFacts(state="accepted")}},
        {"protocols": {}},
        {"natural": None},
        {"verification": None},
        {"name_match": None},
        {"certificates": ()},
        {"certificates": (Certificate(sha256=targets.LEAF, error="trailing data"),)},
        {"starttls": Starttls(state="unknown")},
    ],
)
def test_what_is_not_known_is_never_blank(changes: dict[str, object]) -> None:
    assert "unknown" in shown(replace(with_endpoint(**changes), verdicts=())).partition("\n")[2]


def test_a_verdict_that_the_chain_is_too_long_overrules_openssl() -> None:
    longer = targets.verdict("trusted", "no", "warning", "the chain is longer than 1", source="postconf(5)")
    text = shown(replace(targets.GOOD, verdicts=(longer,)))
    assert "certificate not trusted: the chain is longer than 1, matches" in " ".join(text.split())


def test_endpoints_with_the_same_facts_share_one_matrix() -> None:
    second = targets.endpoint("mx1.example.test", "2001:db8::1")
    text = shown(replace(targets.GOOD, endpoints=(*targets.GOOD.endpoints, second)))
    assert text.count("TLSv1.2 accepted") == 1
    assert "mx1.example.test [2001:db8::1]:25\n  protocols    as mx1.example.test [192.0.2.1]:25" in text
    assert "  certificate  as mx1.example.test [192.0.2.1]:25" in text
    assert "in all  82 connections, 3.8 s" in text


def test_a_sweep_that_was_made_elsewhere_or_earlier_is_never_shown_as_made_here() -> None:
    swept_at = targets.SEEN_AT
    twin = shown(with_endpoint(sweep="same-as", same_as="mx2.example.test[192.0.2.2]:25", swept_at=swept_at))
    words = "not asked again, the fingerprint is that of the sweep"
    assert f"same-as: {words} of mx2.example.test[192.0.2.2]:25 of 2026-03-01 02:00" in " ".join(twin.split())
    confirmed = shown(with_endpoint(sweep="confirmed", swept_at=swept_at))
    assert f"confirmed: {words} of 2026-03-01 02:00" in " ".join(confirmed.split())
    own = shown(with_endpoint(sweep="swept", swept_at=swept_at, sweep_reason="not as mx2: TLSv1.2: it takes RC4-SHA"))
    assert words not in own
    assert "not as mx2: TLSv1.2: it takes RC4-SHA" in own


def test_weak_families_are_named_where_not_all_suites_were_asked_for() -> None:
    seen = ProtocolFacts(
        state="accepted",
        suites=(targets.ECDHE_AES256,),
        families={"NULL": "yes", "anonymous": "yes", "export": "no", "RC4": "unknown"},
    )
    text = " ".join(shown(with_endpoint(protocols={"TLSv1.2": seen})).split())
    assert "others were not asked for at this depth" in text
    assert "weak: NULL, anonymous" in text
    assert "unknown whether weak: RC4" in text
    nothing = replace(seen, families={"NULL": "no", "RC4": "no"})
    assert "no weak families" in shown(with_endpoint(protocols={"TLSv1.2": nothing}))


def test_the_same_words_on_many_endpoints_are_said_once() -> None:
    hosts = [f"mx{number}.example.test" for number in (1, 2, 3)]
    bad = tuple(targets.verdict("trusted", "no", "critical", "self-signed", host=host) for host in hosts)
    target = replace(
        targets.GOOD,
        route=targets.mx(*(targets.mx_host(host) for host in hosts)),
        endpoints=tuple(targets.endpoint(host) for host in hosts),
        verdicts=bad,
    )
    assert "at all 3 endpoints" in shown(target)
    fewer = shown(replace(target, verdicts=bad[:2]))
    assert fewer.count("critical  trusted: no") == 1
    assert "at mx1.example.test [192.0.2.1]:25, mx2.example.test [192.0.2.1]:25" in " ".join(fewer.split())
    assert fewer.startswith("good.example.test  1 critical\n")


def test_hosts_without_address_or_with_private_ones_are_told_in_the_route() -> None:
    gone = MxHost(
        name="mx1.example.test",
        canonical_name="mx1.example.test",
        preference=10,
        addresses=(),
        error=RouteError(status="nxdomain", text="mx1.example.test does not exist", temporary=False),
    )
    private = MxHost(
        name="mx2.example.test",
        canonical_name="mx2.example.test",
        preference=20,
        addresses=(),
        refused_addresses=("127.0.0.1",),
    )
    text = " ".join(shown(Target(next_hop="example.test", route=targets.mx(gone, private))).split())
    assert "10 mx1.example.test (nxdomain: mx1.example.test does not exist)" in text
    assert "20 mx2.example.test (private or local, not dialled: 127.0.0.1)" in text


def test_an_implicit_mx_is_told_from_a_literal() -> None:
    hosts = (replace(targets.mx_host("example.test"), preference=None),)
    implicit = shown(Target(next_hop="example.test", route=Route(kind="implicit-mx", hosts=hosts)))
    assert "implicit MX" in implicit
    assert "to  example.test" in shown(Target(next_hop="[example.test]", route=Route(kind="literal", hosts=hosts)))


def test_a_hostile_peer_cannot_reach_the_terminal() -> None:
    suite = Suite(id=HOSTILE, name=HOSTILE, iana=HOSTILE)
    facts = targets.endpoint(
        HOSTILE,
        address=HOSTILE,
        greeting=Reply(code=220, lines=(HOSTILE,)),
        capabilities=(HOSTILE,),
        starttls=Starttls(state="refused", reason=HOSTILE),
        early_bytes=HOSTILE,
        protocols={"TLSv1.2": replace(targets.accepted(suite), complete=False, reason=HOSTILE, undecided=(HOSTILE,))},
        natural=Natural(protocol="TLSv1.2", suite=HOSTILE),
        handshake_error=HOSTILE,
        certificates=(
            replace(
                targets.certificate(HOSTILE),
                issuer=HOSTILE,
                names=(HOSTILE,) * 200,
                serial=HOSTILE,
                key=HOSTILE,
                signature=HOSTILE,
                chain=(HOSTILE,),
            ),
            Certificate(sha256=HOSTILE, error=HOSTILE),
        ),
        verification=replace(
            targets.verified(20, HOSTILE), steps=(VerifyStep(depth=0, code=20, text=HOSTILE, subject=HOSTILE),)
        ),
        name_match=replace(targets.WRONG_NAME.endpoints[0].name_match, host=HOSTILE, reason=HOSTILE),
        endings={HOSTILE: 1},
    )
    host = MxHost(
        name=HOSTILE,
        canonical_name=HOSTILE + "x",
        preference=1,
        addresses=(HOSTILE,),
        aliases=(HOSTILE,),
        error=RouteError(status="malformed", text=HOSTILE, temporary=False),
    )
    verdict = replace(
        targets.verdict("starttls", "no", "critical", HOSTILE, source=HOSTILE),
        endpoint=HOSTILE,
        evidence={HOSTILE: HOSTILE, "names": (HOSTILE,)},
    )
    target = Target(
        next_hop=HOSTILE,
        route=replace(targets.mx(host), canonical_name=HOSTILE),
        endpoints=(facts,),
        verdicts=(verdict,),
    )
    for text in (shown(target), shown(target, verbose=True), "\n".join(summary(target))):
        assert all(character.isprintable() or character == "\n" for character in text)
        assert "\\x1b]0;owned\\x07\\x1b[2J\\u202e\\x9b31m\\u2028[red]x[/red]\\x9b" in "".join(text.split()).replace(
            "\n", ""
        )
        assert len(text.splitlines()) < 900


def test_the_summary_puts_the_worst_first_and_counts() -> None:
    lines = summary()
    ranks = [line.split()[0] for line in lines if line and not line.startswith(" ")]
    assert ranks == ["critical"] * 4 + ["warning"] * 3 + ["unknown"] * 2 + ["info"] + ["ok"] * 2
    assert "critical  old.example.test         needs-sslv3" in lines
    assert "critical  expired.example.test     not-expired, trusted" in lines
    assert "  12 targets:  4 critical, 3 warning, 2 unknown, 1 info, 2 ok" in lines
    assert lines[-1] == "  293 connections, 12.5 s"


def test_the_summary_of_an_unresolved_target_says_why() -> None:
    assert "unknown: servfail" in " ".join(summary(targets.UNRESOLVED))


def test_real_verdicts_are_recognised_whatever_the_address_family() -> None:
    facts = tuple(targets.endpoint("mx1.example.test", address) for address in ("192.0.2.1", "2001:db8::1"))
    literal = targets.endpoint("192.0.2.9", "192.0.2.9")
    target = judge("example.test", targets.GOOD.route, (*facts, literal), targets.SEEN_AT)
    assert verdict_on(target, facts[0], "trusted") is not verdict_on(target, facts[1], "trusted") is not None
    assert verdict_on(target, literal, "trusted") is not None
    assert "starttls: yes  STARTTLS works  at all 3 endpoints" in shown(target, verbose=True)
