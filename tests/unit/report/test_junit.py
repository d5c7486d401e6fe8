"""JUnit XML of a gate: what CI systems read, whatever a peer sent; an unknown is an error and never a pass."""

from xml.etree import ElementTree

import pytest
from hypothesis import given

from examples import check_reports as examples
from examples.check_reports import check, report
from mxprobe.report.junit import junit_text
from mxprobe.verdict.checks import CheckReport

# Elements with their children and attributes, as the schema junit-10.xsd of Jenkins's xUnit plugin has them.
ALLOWED: dict[str, tuple[set[str], set[str]]] = {
    "testsuites": ({"testsuite"}, {"name", "time", "tests", "failures", "errors"}),
    "testsuite": (
        {"testcase"},
        {"name", "tests", "failures", "errors", "skipped", "time", "timestamp"},
    ),
    "testcase": ({"failure", "error", "system-out"}, {"name", "classname", "time"}),
    "failure": (set(), {"type", "message"}),
    "error": (set(), {"type", "message"}),
    "system-out": (set(), set()),
}


def document(about: CheckReport) -> ElementTree.Element:
    return ElementTree.fromstring(junit_text(about))


def only(about: CheckReport, path: str) -> ElementTree.Element:
    (found,) = document(about).findall(f".//{path}")
    return found


def test_every_check_is_a_test_case_under_its_id() -> None:
    cases = document(examples.FAILED).findall("./testsuite/testcase")
    assert len(cases) == len(examples.FAILED.checks)
    assert {case.get("classname") for case in cases} == {"require", "sender", "covers", "gained"}
    assert cases[1].get("name") == "postfix-2.1 at mx.example.org[192.0.2.1]:25"


def test_what_failed_is_a_failure_with_its_evidence_and_source() -> None:
    failure = only(report(examples.NO_NAME), "failure")
    assert failure.get("message") == examples.NO_NAME.summary
    assert failure.text is not None
    assert failure.text.splitlines()[1:] == [
        "endpoint: mx.example.org[192.0.2.1]:25",
        "names = mx.example.org, www.example.org",
        "rfc9525_matches = False",
        "source: RFC 9525 §6",
    ]


def test_the_line_of_the_configuration_is_in_the_text() -> None:
    assert "place: new/main.cf:12" in (only(examples.PAPER, "failure").text or "")


def test_what_could_not_be_told_is_an_error() -> None:
    error = only(examples.COULD_NOT_TELL, "error")
    assert error.get("type") == "unknown"
    assert (error.get("message") or "").startswith("could not be told: ")


def test_what_is_noted_passes_and_says_so() -> None:
    case = only(report(examples.GAINED), "testcase")
    assert [child.tag for child in case] == ["system-out"]
    assert "noted: TLSv1.3 is new" in (case.findtext("system-out") or "")


def test_what_passed_is_an_empty_test_case() -> None:
    assert len(only(report(check()), "testcase")) == 0


@pytest.mark.parametrize("element", ["testsuites", "testsuite"])
def test_the_totals_are_those_of_the_cases(element: str) -> None:
    found = next(document(examples.FAILED).iter(element))
    assert (found.get("tests"), found.get("failures"), found.get("errors")) == ("23", "20", "1")


def test_every_subject_has_a_suite() -> None:
    suites = document(report(check(), check(subject="b.example"), check(name="trusted"))).findall("testsuite")
    assert [(suite.get("name"), suite.get("tests")) for suite in suites] == [
        ("mx.example.org", "2"),
        ("b.example", "1"),
    ]


def test_partners_are_the_cases_of_one_suite() -> None:
    (suite,) = document(examples.outbound(10)).findall("testsuite")
    assert suite[0].get("name") == "keeps-tls for partner0.example"
    assert suite.get("name") == "new/main.cf"


def test_it_says_when_and_how_long() -> None:
    root = document(examples.FAILED)
    assert root.get("time") == "0.840"
    assert root[0].get("timestamp") == "2026-03-01T02:00:00"


def test_no_two_cases_have_one_name_as_some_would_show_only_one() -> None:
    names = [
        case.get("name") for case in document(report(check(), check(), check(name="starttls (2)"))).iter("testcase")
    ]
    assert len(set(names)) == 3


def test_characters_that_xml_does_not_have_and_its_own_are_written_out() -> None:
    hostile = check(outcome="failed", summary='<x a="1">&amp;]]>\x00\x1b\u202e\ufffe\udc9b\n')
    text = junit_text(report(hostile))
    assert text.isascii()
    assert only(report(hostile), "failure").get("message") == r'<x a="1">&amp;]]>\x00\x1b\u202e\ufffe\x9b\x0a'


@given(examples.any_report)
def test_any_text_makes_a_document_of_known_elements(about: CheckReport) -> None:
    text = junit_text(about)
    assert text.isascii()
    root = ElementTree.fromstring(text)
    assert root.tag == "testsuites"
    for element in root.iter():
        children, attributes = ALLOWED[element.tag]
        assert {child.tag for child in element} <= children
        assert set(element.keys()) <= attributes
    cases = [(case.get("classname"), case.get("name")) for case in root.iter("testcase")]
    assert len(cases) == len(about.checks)
    outcomes = [check.outcome for check in about.checks]
    assert len(list(root.iter("failure"))) == outcomes.count("failed")
    assert len(list(root.iter("error"))) == outcomes.count("unknown")


def test_ten_thousand_partners_are_a_few_megabytes() -> None:
    assert len(junit_text(examples.outbound(10_000))) < 8_000_000
