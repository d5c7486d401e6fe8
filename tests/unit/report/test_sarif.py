"""SARIF 2.1.0 of a gate, within the subset that GitHub code scanning takes: the shape is that of the standard."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from examples import check_reports as examples
from examples.check_reports import check, cut_off, report
from mxprobe.report import sarif
from mxprobe.report.sarif import file_uri, sarif_text
from mxprobe.verdict.checks import CheckReport, Place

# Objects of SARIF 2.1.0 as far as a gate needs them: the properties that we write, and those that have to be there.
OBJECTS: dict[str, tuple[set[str], set[str]]] = {
    "sarifLog": ({"$schema", "version", "runs"}, {"version", "runs"}),  # §3.13
    "run": ({"tool", "automationDetails", "invocations", "columnKind", "results"}, {"tool", "results"}),  # §3.14
    "tool": ({"driver"}, {"driver"}),  # §3.18
    "driver": ({"name", "version", "informationUri", "rules"}, {"name"}),  # §3.19
    "rule": (  # §3.49; GitHub wants the descriptions and the help
        {
            "id",
            "shortDescription",
            "fullDescription",
            "help",
            "helpUri",
            "defaultConfiguration",
            "properties",
        },
        {"id", "shortDescription", "fullDescription", "help"},
    ),
    "invocation": (  # §3.20
        {"executionSuccessful", "exitCode", "exitCodeDescription", "startTimeUtc", "toolExecutionNotifications"},
        {"executionSuccessful"},
    ),
    "result": (  # §3.27; GitHub wants a location and a fingerprint
        {"ruleId", "ruleIndex", "kind", "level", "message", "locations", "partialFingerprints", "properties"},
        {"ruleId", "message", "locations", "partialFingerprints"},
    ),
    "location": ({"physicalLocation", "logicalLocations"}, {"physicalLocation"}),  # §3.28
    "physicalLocation": ({"artifactLocation", "region"}, {"artifactLocation", "region"}),  # §3.29
    "logicalLocation": ({"fullyQualifiedName", "kind"}, {"fullyQualifiedName"}),  # §3.33
}

# RFC 3986 §4.1, §3.3: what a URI reference without query and fragment may consist of.
URI_REFERENCE = re.compile(r"(?:file://)?(?:[A-Za-z0-9._~/-]|%[0-9A-F]{2})+")


def is_a(kind: str, value: Any) -> Any:
    allowed, needed = OBJECTS[kind]
    assert needed <= set(value) <= allowed, kind
    return value


def run_of(about: CheckReport) -> Any:
    """The only run, having looked that all is as the standard, and GitHub, want it."""
    text = sarif_text(about)
    assert text.isascii()
    assert all(character.isprintable() or character == "\n" for character in text)
    log = is_a("sarifLog", json.loads(text))
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    rules = is_a("driver", is_a("tool", is_a("run", run)["tool"])["driver"])["rules"]
    for rule in rules:
        assert is_a("rule", rule)["shortDescription"]["text"]
        assert rule["defaultConfiguration"]["level"] in ("none", "note", "warning", "error")
    (invocation,) = run["invocations"]
    is_a("invocation", invocation)
    for result in run["results"]:
        assert is_a("result", result)["message"]["text"]
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in (("error", "warning") if result["kind"] == "fail" else ("none",))  # §3.27.10
        (location,) = result["locations"]
        physical = is_a("physicalLocation", is_a("location", location)["physicalLocation"])
        assert URI_REFERENCE.fullmatch(physical["artifactLocation"]["uri"])
        assert physical["region"]["startLine"] >= 1
        for logical in location["logicalLocations"]:
            is_a("logicalLocation", logical)
    return run


def results(about: CheckReport) -> Any:
    return run_of(about)["results"]


@pytest.mark.parametrize("name", examples.ALL)
def test_every_example_is_a_sarif_log(name: str) -> None:
    run_of(examples.ALL[name])


def test_only_what_failed_or_is_unknown_is_a_result_as_github_makes_an_alert_of_each() -> None:
    found = results(examples.FAILED)
    assert [result["kind"] for result in found] == ["fail"] * 20 + ["open"]
    assert results(examples.PASSED) == []


@pytest.mark.parametrize(("severity", "level"), [("critical", "error"), ("warning", "warning"), ("info", "warning")])
def test_the_level_of_a_failure_is_its_severity(severity: str, level: str) -> None:
    (result,) = results(report(check(outcome="failed", severity=severity)))
    assert result["level"] == level


def test_what_could_not_be_told_says_so() -> None:
    (result,) = results(examples.COULD_NOT_TELL)
    assert (result["kind"], result["level"]) == ("open", "none")
    assert result["message"]["text"].startswith("could not be told: ")


def test_a_result_is_at_the_line_of_the_configuration() -> None:
    (result,) = results(examples.PAPER)
    assert result["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "new/main.cf"},
        "region": {"startLine": 12},
    }


def test_a_check_of_a_server_has_the_endpoint_and_the_file_that_configures_the_gate() -> None:
    (result,) = results(report(examples.NO_NAME))
    (location,) = result["locations"]
    assert location["physicalLocation"]["artifactLocation"]["uri"] == "probes.toml"
    assert location["logicalLocations"] == [{"fullyQualifiedName": examples.MX1, "kind": "resource"}]


def test_a_check_of_a_configuration_as_a_whole_is_in_the_file_of_the_others() -> None:
    unplaced = replace(examples.ON_PAPER, place=None)
    found = results(replace(examples.PAPER, subject="main.cf (Postfix 3.7)", checks=(unplaced, examples.ON_PAPER)))
    uris = [result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for result in found]
    assert uris == ["new/main.cf", "new/main.cf"]


@pytest.mark.parametrize("rule", sarif.QUESTIONS)
def test_every_rule_leads_to_its_section(rule: str) -> None:
    manual = (Path(__file__).parents[3] / "docs" / "check.md").read_text(encoding="utf-8")
    assert re.search(rf"^#+ `{rule}`$", manual, re.MULTILINE)


def test_an_alert_is_known_again_when_its_line_and_words_have_changed() -> None:
    def fingerprint(**changes: Any) -> str:
        (result,) = results(report(replace(examples.ON_PAPER, **changes)))
        (value,) = result["partialFingerprints"].values()
        return str(value)

    moved = fingerprint(place=Place(file=examples.MAIN_CF, line=40), summary="other words", severity="warning")
    assert moved == fingerprint()
    assert len({fingerprint(), fingerprint(name="x"), fingerprint(subject="x"), fingerprint(endpoint="x")}) == 4


def test_no_two_results_have_one_fingerprint() -> None:
    found = results(report(cut_off("a"), cut_off("a"), cut_off("b")))
    assert len({result["partialFingerprints"]["primaryLocationLineHash"] for result in found}) == 3


def test_what_failed_comes_first_and_worst_first() -> None:
    about = report(examples.UNTOLD, examples.NO_NAME, cut_off("a"))
    assert [result["ruleId"] for result in results(about)] == ["sender", "covers", "require"]


def test_the_exit_code_is_in_it() -> None:
    assert run_of(examples.FAILED)["invocations"][0]["exitCode"] == 1
    assert run_of(examples.COULD_NOT_TELL)["invocations"][0]["exitCode"] == 3
    assert run_of(examples.PASSED)["invocations"][0]["exitCode"] == 0


def test_there_are_no_more_results_than_github_accepts_and_the_rest_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sarif.RESULTS_LIMIT == 25_000
    monkeypatch.setattr(sarif, "RESULTS_LIMIT", 30)
    run = run_of(examples.outbound(100))
    assert [result["kind"] for result in run["results"]] == ["fail"] * 30
    (notification,) = run["invocations"][0]["toolExecutionNotifications"]
    assert notification["message"]["text"] == "10 of 40 results are left out here"


@pytest.mark.parametrize(
    ("file", "uri"),
    [
        ("new/main.cf", "new/main.cf"),
        ("./main.cf", "main.cf"),
        ("/etc/postfix/main.cf", "file:///etc/postfix/main.cf"),
        ("a b/ü:%.cf", "a%20b/%C3%BC%3A%25.cf"),
        ("\udce9.cf", "%E9.cf"),
        ("", "-"),
    ],
)
def test_a_file_is_named_by_a_uri_reference(file: str, uri: str) -> None:
    assert file_uri(file) == uri


@given(examples.any_report)
def test_any_text_makes_a_sarif_log(about: CheckReport) -> None:
    outcomes = [check.outcome for check in about.checks]
    assert len(results(about)) == outcomes.count("failed") + outcomes.count("unknown")
