"""Workflow commands of GitHub Actions: one line each, what failed first, nothing that a peer can add to them."""

import re
from urllib.parse import unquote

from hypothesis import given

from examples import check_reports as examples
from examples.check_reports import check, report
from mxprobe.report.annotations import annotations_text
from mxprobe.verdict.checks import CheckReport, Place

# The command, its properties, and the message; values have no comma, colon, or line end of their own.
COMMAND = re.compile(r"::(error|warning|notice) ((?:[a-z]+=[^,:\r\n]*)(?:,[a-z]+=[^,:\r\n]*)*)::([^\r\n]*)")


def commands(about: CheckReport) -> list[tuple[str, dict[str, str], str]]:
    """The commands as the runner reads them."""
    found = []
    for line in annotations_text(about).splitlines():
        parsed = COMMAND.fullmatch(line)
        assert parsed, line
        properties = dict(pair.split("=", 1) for pair in parsed[2].split(","))
        found.append((parsed[1], {name: unquote(value) for name, value in properties.items()}, unquote(parsed[3])))
    return found


def failing(number: int, outcome: str = "failed") -> CheckReport:
    return report(*(check(name=f"n{n}", outcome=outcome, summary=f"reason {'x' * n}") for n in range(number)))


def test_a_check_with_a_place_is_at_its_line() -> None:
    assert commands(examples.PAPER)[0] == (
        "error",
        {"file": "new/main.cf", "line": "12", "title": "sender postfix-2.6"},
        "postfix-2.6 gets no TLS: no common suite (postconf(5) smtpd_tls_exclude_ciphers)",
    )


def test_failed_unknown_and_noted_are_error_warning_and_notice_and_the_outcome_is_the_last_error() -> None:
    kinds = [(kind, properties["title"]) for kind, properties, _ in commands(examples.FAILED)]
    assert kinds == [
        ("error", "sender postfix-2.1"),
        ("error", "covers smtp.example.org"),
        ("warning", "could not be told: require trusted"),
        ("notice", "gained TLSv1.3"),
        ("error", "mxprobe check"),
    ]


def test_senders_that_fail_for_one_reason_share_an_annotation() -> None:
    message = commands(examples.FAILED)[0][2]
    assert all(sender in message for sender in examples.OLD_SENDERS)


def test_an_unknown_is_never_only_a_warning() -> None:
    assert [kind for kind, _, _ in commands(examples.COULD_NOT_TELL)] == ["warning", "error"]


def test_where_all_passed_nothing_is_an_error() -> None:
    ((kind, _, message),) = commands(examples.PASSED)
    assert kind == "notice"
    assert message == "PASSED: all 3 checks passed: mx.example.org"


def test_of_each_kind_there_are_no_more_than_github_shows_and_the_rest_is_counted() -> None:
    found = commands(failing(30))
    assert [kind for kind, _, _ in found] == ["error"] * 10
    assert found[-1][2].endswith("; 21 more failed not shown here")
    found = commands(failing(30, "unknown"))
    assert [kind for kind, _, _ in found] == ["warning"] * 10 + ["error"]
    assert found[-1][2].endswith("; 20 more unknown not shown here")
    assert [kind for kind, _, _ in commands(failing(30, "noted"))] == ["notice"] * 10


def test_what_would_end_a_property_or_a_message_is_escaped() -> None:
    hostile = check(
        name="a,file=x:y%",
        outcome="failed",
        summary="100%\r\n::stop-commands::x",
        place=Place(file="a:b,c.cf", line=3),
    )
    line = annotations_text(report(hostile)).splitlines()[0]
    assert line.startswith("::error file=a%3Ab%2Cc.cf,line=3,title=require a%2Cfile=x%3Ay%25::")
    assert r"100%25\x0d\x0a::stop-commands::x" in line


@given(examples.any_report)
def test_any_text_makes_commands_of_one_line_each(about: CheckReport) -> None:
    text = annotations_text(about)
    assert text.isascii()
    assert all(character.isprintable() or character == "\n" for character in text)
    found = commands(about)
    outcomes = {check.outcome for check in about.checks}
    assert (found[-1][0] == "error") == bool(outcomes & {"failed", "unknown"})
