"""The JSON contract of a gate: the outcome and every check, readable back, safe to show, in pieces."""

import json
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from examples import check_reports as examples
from examples import targets
from examples.check_reports import check, report
from mxprobe.cli.outcome import COULD_NOT_TELL, FINDING, NOTHING_TO_REPORT
from mxprobe.report.check_document import (
    EXIT_CODES,
    check_json,
    check_json_pieces,
    check_schema,
    check_schema_text,
    read_check,
    read_targets,
)
from mxprobe.report.json_document import InvalidDocument, to_json
from mxprobe.verdict.checks import CheckReport

DOCS = Path(__file__).parents[3] / "docs"

WITH_TARGETS = replace(examples.FAILED, targets=(targets.GOOD, targets.SSLV3_ONLY))


@pytest.mark.parametrize("about", [*examples.ALL.values(), WITH_TARGETS, report()])
def test_a_document_reads_back_as_it_was(about: CheckReport) -> None:
    assert read_check(check_json(about)) == about


def test_the_names_that_others_build_on() -> None:
    document = json.loads(check_json(WITH_TARGETS))
    assert list(document) == [
        "schema",
        "started_at",
        "kind",
        "subject",
        "outcome",
        "exit_code",
        "checks",
        "targets",
        "connections",
        "elapsed_seconds",
    ]
    assert document["schema"] == "mxprobe-check/1"
    assert document["started_at"] == "2026-03-01T02:00:00Z"
    assert (document["outcome"], document["exit_code"]) == ("failed", 1)
    (paper, *_) = json.loads(check_json(examples.PAPER))["checks"]
    assert paper == {
        "id": "sender",
        "name": "postfix-2.6",
        "subject": "new/main.cf",
        "endpoint": "",
        "outcome": "failed",
        "severity": "critical",
        "summary": "postfix-2.6 gets no TLS: no common suite",
        "evidence": {"obstacle": "suite"},
        "source": "postconf(5) smtpd_tls_exclude_ciphers",
        "place": {"file": "new/main.cf", "line": 12},
    }


def test_the_exit_code_is_that_of_the_command() -> None:
    assert EXIT_CODES == {"passed": NOTHING_TO_REPORT, "failed": FINDING, "unknown": COULD_NOT_TELL}
    assert json.loads(check_json(examples.COULD_NOT_TELL))["exit_code"] == 3
    assert json.loads(check_json(examples.PASSED))["exit_code"] == 0


def test_its_targets_have_the_shape_of_a_probe_and_serve_as_its_do() -> None:
    probed = targets.report(targets.GOOD, targets.SSLV3_ONLY)
    assert json.loads(check_json(WITH_TARGETS))["targets"] == json.loads(to_json(probed))["targets"]
    assert read_targets(check_json(WITH_TARGETS)) == read_targets(to_json(probed)) == probed.targets


def test_a_check_takes_one_line() -> None:
    lines = check_json(examples.FAILED).splitlines()
    assert sum(line.startswith('    {"id":') for line in lines) == len(examples.FAILED.checks)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a document of mxprobe: it is no JSON"),
        ("[" * 100_000, "not a document of mxprobe: it is no JSON"),
        ("[]", "not a mxprobe/1 document: the document:"),
        ('{"schema": "mxprobe-check/1"}', "not a mxprobe-check/1 document: started_at:"),
        ('{"schema": "mxprobe-check/2"}', "not a mxprobe/1 document: "),
        ('{"schema": ["mxprobe-check/1"]}', "not a mxprobe/1 document: "),
    ],
)
def test_what_is_no_document_gets_one_clear_line(text: str, message: str) -> None:
    with pytest.raises(InvalidDocument) as caught:
        read_targets(text)
    assert str(caught.value).startswith(message)
    assert str(caught.value).isprintable()


def test_fields_that_a_newer_mxprobe_writes_are_passed_over() -> None:
    document: dict[str, Any] = json.loads(check_json(examples.PAPER)) | {"later": 1}
    document["checks"][0]["later"] = [1]
    assert read_check(json.dumps(document)) == examples.PAPER


def test_the_committed_schema_is_what_the_code_says() -> None:
    assert (DOCS / "schema" / "mxprobe-check-1.json").read_text(encoding="utf-8") == check_schema_text()


def test_a_target_is_described_as_in_the_schema_of_a_probe() -> None:
    probe = json.loads((DOCS / "schema" / "mxprobe-1.json").read_text(encoding="utf-8"))["$defs"]
    ours = check_schema()["$defs"]
    assert ours["Target"] == probe["Target"]
    assert ours["EndpointFacts"] == probe["EndpointFacts"]


@pytest.mark.parametrize("kind", ["CheckDocument", "Check", "Place"])
def test_the_manual_explains_every_field(kind: str) -> None:
    manual = (DOCS / "json.md").read_text(encoding="utf-8")
    assert all(f"`{field}`" in manual for field in check_schema()["$defs"][kind]["properties"])


@given(examples.any_report)
def test_any_text_makes_a_safe_document_for_strict_readers(about: CheckReport) -> None:
    text = check_json(about)
    assert text.isascii()
    assert all(character.isprintable() or character == "\n" for character in text)
    assert len(read_check(text).checks) == len(about.checks)


def test_ten_thousand_partners_are_never_in_memory_as_text() -> None:
    about = examples.outbound(10_000)
    tracemalloc.start()
    size = sum(len(piece) for piece in check_json_pieces(about))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert size > 2_000_000
    assert peak < 1_000_000


def test_checks_without_targets_need_nothing_that_describes_types() -> None:
    code = (
        "import sys; from datetime import datetime, UTC; from mxprobe.verdict.checks import CheckReport\n"
        "from mxprobe.report.check_document import check_json\n"
        "check_json(CheckReport(started_at=datetime.now(UTC), subject='x', kind='outbound', checks=()))\n"
        "print('pydantic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_evidence_keeps_its_types() -> None:
    evidence = {"text": "1", "number": 1, "share": 0.5, "flag": True, "nothing": None, "names": ("a", "b")}
    (read,) = read_check(check_json(report(check(evidence=evidence)))).checks
    assert read.evidence == evidence
    assert [type(value) for value in read.evidence.values()] == [str, int, float, bool, type(None), tuple]
