"""A gate's report for a person: the answer first, one reason said once, unknown never as a pass."""

import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from rich.console import Console

from examples import check_reports as examples
from examples.check_reports import check, cut_off, report
from mxprobe.report.checks import print_checks, text
from mxprobe.verdict.checks import Check, CheckReport

GOLDEN = Path(__file__).parents[2] / "data" / "report" / "checks"


def shown(about: CheckReport, *, verbose: bool = False, width: int = 80) -> str:
    stream = io.StringIO()
    print_checks(Console(file=stream, width=width), about, verbose=verbose)
    return stream.getvalue()


@pytest.mark.parametrize("name", examples.ALL)
def test_the_text_is_the_golden_one(name: str) -> None:
    assert shown(examples.ALL[name]) == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")


def test_every_golden_file_belongs_to_an_example() -> None:
    assert {path.stem for path in GOLDEN.glob("*.txt")} == set(examples.ALL)


@pytest.mark.parametrize(
    ("about", "line"),
    [
        (examples.PASSED, "PASSED: all 3 checks passed: mx.example.org"),
        (report(check()), "PASSED: 1 check passed: mx.example.org"),
        (examples.FAILED, "FAILED: 20 of 22 checks failed, 1 could not be told, 1 noted: mx.example.org"),
        (examples.COULD_NOT_TELL, "COULD NOT TELL: 1 of 2 checks could not be told: mx.example.org"),
        (report(examples.GAINED), "PASSED: nothing was required, 1 noted: mx.example.org"),
        (report(), "PASSED: nothing was required: mx.example.org"),
    ],
)
def test_the_first_line_is_the_verdict_of_the_gate(about: CheckReport, line: str) -> None:
    assert shown(about).splitlines()[0] == line


def test_the_answer_is_in_the_first_five_lines_though_nineteen_senders_are_cut_off() -> None:
    first = "\n".join(shown(examples.FAILED).splitlines()[:5])
    assert "19 x sender" in first
    assert "no common version" in first
    assert "postfix-2.1 " in first


def test_what_failed_comes_before_what_is_unknown_before_what_is_noted_before_what_passed() -> None:
    labels = [line.split(" ", 1)[0] for line in shown(examples.FAILED).splitlines()[1:] if not line.startswith(" ")]
    assert labels == ["critical", "failed", "unknown", "noted", "passed", "judged"]


def test_what_is_in_parentheses_is_the_own_of_one_sender_and_not_told_of_all() -> None:
    assert "(it has TLSv1 (RFC 2246) only; we take TLSv1.2)" in shown(report(cut_off("a")), width=200)
    both = cut_off(
        "a", summary="a gets no TLS: no common suite (x (y)); missing overlap: ECDHE", evidence={"obstacle": "suite"}
    )
    assert "  a gets no TLS: no common suite; missing overlap: ECDHE\n" in shown(report(both, both), width=200)


def test_of_thousands_of_partners_are_told_counts_by_reason_and_the_first_names() -> None:
    lines = shown(examples.outbound(10_000)).splitlines()
    assert lines[0] == "FAILED: 3000 of 10000 checks failed, 1000 could not be told: new/main.cf"
    assert lines[1] == "critical  3000 x outbound"
    assert "and 2991 more" in "\n".join(lines)
    assert len(lines) < 20


def test_the_reason_that_most_partners_have_comes_first() -> None:
    few = check(
        id="outbound",
        name="keeps-tls",
        subject="a.example",
        outcome="failed",
        severity="critical",
        summary="a.example defers",
    )
    about = examples.outbound(10)
    assert "critical  3 x outbound" in shown(replace(about, checks=(few, *about.checks))).splitlines()[1]


def test_reasons_that_differ_in_a_host_are_one_and_those_that_differ_in_a_version_are_not() -> None:
    def partner(name: str, reason: str) -> Check:
        return check(
            id="outbound",
            name="keeps-tls",
            subject=name,
            outcome="unknown",
            severity="warning",
            summary=f"{name}: {reason}",
        )

    one = shown(
        report(partner("a.example", "mx.b.example [192.0.2.1] was silent"), partner("c.example", "d was silent"))
    )
    assert " x " not in one
    hosts = report(partner("a.example", "mx.b.example was silent"), partner("c.example", "mx7.d.example was silent"))
    assert "2 x outbound" in shown(hosts)
    versions = report(partner("a.example", "TLSv1.2 is refused"), partner("b.example", "TLSv1.3 is refused"))
    assert " x " not in shown(versions)


def test_reasons_without_end_are_bounded_and_counted() -> None:
    many = [check(name=str(n), outcome="failed", severity="warning", summary=f"reason {'x' * n}") for n in range(200)]
    text_of_many = shown(report(*many))
    assert "175 more for 175 other reasons" in text_of_many
    assert text_of_many.count("failed    require ") == 25


def test_checks_of_several_endpoints_say_which() -> None:
    both = shown(report(cut_off("postfix-2.6"), cut_off("postfix-2.6", examples.MX2)), width=200)
    assert "2 x sender  postfix-2.6 gets no TLS: no common version  at mx.example.org[192.0.2.1]:25" in both
    assert "no common version either: mx.example.org[192.0.2.2]:25" in both
    other = shown(report(cut_off("postfix-2.6"), cut_off("postfix-2.7", examples.MX2)), width=200)
    assert "no common version either: postfix-2.7 at mx.example.org[192.0.2.2]:25" in other


def test_the_only_endpoint_is_said_once() -> None:
    lines = shown(report(cut_off("postfix-2.6"), examples.NO_NAME)).splitlines()
    assert [examples.MX1 in line for line in lines] == [False] * (len(lines) - 1) + [True]


def test_on_paper_no_host_is_named_as_there_is_only_the_file() -> None:
    checks = (
        replace(examples.ON_PAPER, subject="[mx.example.org]", endpoint="mx.example.org:25"),
        *examples.PAPER.checks,
    )
    assert "mx.example.org" not in shown(replace(examples.PAPER, checks=checks))


def test_what_differs_in_more_than_its_name_is_told_apart() -> None:
    lost = cut_off("a")
    other = cut_off("b", evidence={"obstacle": "suite"}, summary="b gets no TLS: no common suite")
    assert " x " not in shown(report(lost, other))


def test_a_check_names_the_line_of_the_configuration() -> None:
    assert "new/main.cf:12" in shown(examples.PAPER)


def test_every_check_is_told_with_evidence_and_source_when_asked_for() -> None:
    full = shown(examples.FAILED, verbose=True)
    for each in examples.FAILED.checks:
        assert each.summary in " ".join(full.split())
    assert "    rfc9525_matches = False" in full
    assert "names = mx.example.org, www.example.org" in full
    assert "(RFC 9525 §6)" in full
    assert "(RFC 9525 §6)" not in shown(examples.FAILED)


@pytest.mark.parametrize("name", examples.ALL)
@pytest.mark.parametrize("verbose", [False, True])
@pytest.mark.parametrize("width", [60, 80, 120])
def test_fits_the_width_and_a_log_file(name: str, verbose: bool, width: int) -> None:
    lines = shown(examples.ALL[name], verbose=verbose, width=width).splitlines()
    assert all(len(line) <= width and line == line.rstrip() for line in lines)


def test_there_are_colours_on_a_terminal_only() -> None:
    stream = io.StringIO()
    print_checks(
        Console(file=stream, width=80, force_terminal=True, color_system="standard"), examples.FAILED, verbose=False
    )
    assert stream.getvalue().startswith("\x1b[1;31mFAILED")
    assert "\x1b" not in shown(examples.FAILED)


def test_the_text_for_a_file_is_the_same_as_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = shown(examples.FAILED), shown(examples.FAILED, verbose=True)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert (text(examples.FAILED), text(examples.FAILED, verbose=True)) == wanted


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_the_text_suits_the_encoding_of_the_terminal(encoding: str) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    about = report(check(outcome="failed", summary="the certificate of 郵 is not valid (§4)"))
    print_checks(Console(file=stream, width=80), about, verbose=True)


@given(examples.any_report)
def test_nothing_that_a_peer_sends_reaches_the_terminal_raw(about: CheckReport) -> None:
    for verbose in (False, True):
        out = shown(about, verbose=verbose)
        assert all(character.isprintable() or character == "\n" for character in out)
        assert re.match(r"(FAILED|COULD NOT TELL|PASSED): ", out)
