"""The JSON contract: stable, readable back, safe to show, described by a committed schema and by the manual."""

import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples import targets
from mxprobe.facts import Report, Target, Verdict
from mxprobe.report.json_document import (
    InvalidDocument,
    read_report,
    report_schema,
    schema_text,
    to_json,
    to_ndjson_line,
    to_ndjson_lines,
)
from mxprobe.routing.route import Route

DOCS = Path(__file__).parents[3] / "docs"
SCHEMA = DOCS / "schema" / "mxprobe-1.json"

any_text = st.text(st.characters(codec=None, categories=None), max_size=40)


def saying(text: str) -> Report:
    return Report(
        started_at=datetime(2026, 3, 1, tzinfo=UTC),
        targets=(Target(next_hop=text, route=Route(kind="null-mx")),),
        connections=0,
        elapsed_seconds=0.0,
    )


def test_a_document_reads_back_as_it_was() -> None:
    assert read_report(to_json(targets.report())) == targets.report()


@pytest.mark.parametrize("number", [0, 1, 3])
def test_it_is_written_as_one_document_though_target_by_target(number: int) -> None:
    text = to_json(targets.report(*[targets.GOOD, targets.SSLV3_ONLY, targets.GOOD][:number]))
    if number == 0:
        text = to_json(replace(targets.report(), targets=()))
    assert text == json.dumps(json.loads(text), indent=2) + "\n"
    assert len(json.loads(text)["targets"]) == number


def test_evidence_keeps_its_types() -> None:
    verdict = replace(
        targets.verdict("trusted", "no", "critical", "s"),
        evidence={"text": "1", "number": 1, "share": 0.5, "flag": True, "nothing": None, "names": ("a", "b")},
    )
    document = targets.report(replace(targets.GOOD, verdicts=(verdict,)))
    read = read_report(to_json(document)).targets[0].verdicts[0]
    assert read == verdict
    assert [type(value) for value in read.evidence.values()] == [str, int, float, bool, type(None), tuple]


def test_the_names_that_others_build_on() -> None:
    document = json.loads(to_json(targets.report(targets.SSLV3_ONLY)))
    assert list(document) == ["schema", "started_at", "targets", "connections", "elapsed_seconds"]
    assert document["schema"] == "mxprobe/1"
    assert document["started_at"] == "2026-03-01T02:00:00Z"
    (target,) = document["targets"]
    assert list(target) == ["next_hop", "route", "endpoints", "verdicts"]
    assert target["route"]["hosts"][0]["preference"] == 10
    (endpoint,) = target["endpoints"]
    assert endpoint["starttls"]["state"] == "works"
    assert endpoint["protocols"]["SSLv3"]["suites"][0] == {
        "id": "0x000005",
        "name": "RC4-SHA",
        "iana": "TLS_RSA_WITH_RC4_128_SHA",
        "reached": "flight-complete",
        "standard": True,
    }
    assert endpoint["verification"]["ca_path"] == "/etc/ssl/certs"
    assert target["verdicts"][2]["id"] == "needs-sslv3"


def test_is_indented_by_two_and_ends_with_a_newline() -> None:
    text = to_json(saying("a"))
    assert text.startswith('{\n  "schema": "mxprobe/1",\n')
    assert text.endswith("}\n")


@pytest.mark.parametrize(
    "raw", ["\x1b[2J", "\x7f", "\x9b", "\u202e", "\u2028", "\ue000", "é", "郵", "\U0001f600", "\x00"]
)
def test_what_a_terminal_may_act_upon_is_escaped_and_not_lost(raw: str) -> None:
    text = to_json(saying(raw))
    assert text.isascii()
    assert all(character.isprintable() or character == "\n" for character in text)
    assert json.loads(text)["targets"][0]["next_hop"] == raw


def test_a_byte_that_is_not_utf_8_comes_out_as_an_escape_in_the_text() -> None:
    text = to_json(saying(b"caf\xe9 \\".decode("ascii", "surrogateescape")))
    assert r'"caf\\xe9 \\"' in text
    assert read_report(text).targets[0].next_hop == r"caf\xe9" + " \\"


@given(any_text)
def test_any_peer_text_makes_a_safe_document_for_strict_readers(raw: str) -> None:
    text = to_json(saying(raw))
    assert text.isascii()
    assert all(character.isprintable() or character == "\n" for character in text)
    read = read_report(text).targets[0].next_hop
    if not any("\ud800" <= character <= "\udfff" for character in raw):
        assert read == raw


@given(any_text)
def test_names_within_the_document_are_safe_too(raw: str) -> None:
    facts = targets.endpoint("mx1.example.test", endings={raw: 1})
    (line,) = to_ndjson_lines(replace(targets.GOOD, endpoints=(facts,)))
    assert line.isascii()
    assert line.removesuffix("\n").isprintable()
    json.loads(line)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a mxprobe/1 document: the document: Invalid JSON"),
        ("{", "not a mxprobe/1 document: the document: Invalid JSON"),
        ("[" * 100_000, "not a mxprobe/1 document: the document: Invalid JSON"),
        ("[]", "not a mxprobe/1 document: the document:"),
        ("{}", "not a mxprobe/1 document: started_at: "),
        (to_json(targets.report()).replace("mxprobe/1", "mxprobe/2"), "not a mxprobe/1 document: schema: "),
        (
            to_json(targets.report()).replace('"null-mx"', '"nul-mx"'),
            "not a mxprobe/1 document: targets.8.route.kind: ",
        ),
        ("\ud800", "not a mxprobe/1 document: the document: Input should be a valid string"),
        (r'{"started_at": "\ud800"}', "not a mxprobe/1 document: the document: Invalid JSON"),
    ],
)
def test_what_is_no_document_gets_one_clear_line(text: str, message: str) -> None:
    with pytest.raises(InvalidDocument) as caught:
        read_report(text)
    assert str(caught.value).startswith(message)
    assert str(caught.value).isprintable()


def test_a_newer_document_of_the_same_major_version_is_read() -> None:
    document = json.loads(to_json(targets.report(targets.GOOD)))
    document["added_later"] = {"a": 1}
    document["targets"][0]["endpoints"][0]["added_later"] = [1]
    assert read_report(json.dumps(document)) == targets.report(targets.GOOD)


def test_an_older_document_of_the_same_major_version_is_read() -> None:
    document = json.loads(to_json(targets.report(targets.GOOD)))
    del document["targets"][0]["endpoints"][0]["early_bytes"]
    assert read_report(json.dumps(document)) == targets.report(targets.GOOD)


def test_an_endpoint_is_one_line_with_its_target() -> None:
    (text,) = to_ndjson_lines(targets.GOOD)
    assert text.count("\n") == 1
    assert text.endswith("}\n")
    line = json.loads(text)
    assert list(line) == ["schema", "next_hop", "route", "endpoint", "verdicts"]
    assert line["next_hop"] == "good.example.test"
    assert line["endpoint"]["host"] == "mx1.example.test"
    assert len(line["verdicts"]) == 5


def test_a_line_holds_the_verdicts_on_its_endpoint_and_on_the_whole_target() -> None:
    whole = targets.verdict("null-mx", "no", "ok", "takes mail", host=None)
    first = targets.verdict("trusted", "yes", "ok", "trusted", host="mx1.example.test")
    second = targets.verdict("trusted", "no", "critical", "self-signed", host="mx2.example.test")
    target = Target(
        next_hop="example.test",
        route=targets.mx(targets.mx_host("mx1.example.test"), targets.mx_host("mx2.example.test")),
        endpoints=(targets.endpoint("mx1.example.test"), targets.endpoint("mx2.example.test")),
        verdicts=(whole, first, second),
    )

    def summaries(line: str) -> list[str]:
        return [verdict["summary"] for verdict in json.loads(line)["verdicts"]]

    assert [summaries(line) for line in to_ndjson_lines(target)] == [
        ["trusted", "takes mail"],
        ["self-signed", "takes mail"],
    ]


@pytest.mark.parametrize("target", [targets.NULL_MX, targets.UNRESOLVED])
def test_a_target_without_endpoints_gets_a_line_too(target: Target) -> None:
    (text,) = to_ndjson_lines(target)
    line = json.loads(text)
    assert line["endpoint"] is None
    assert line["route"]["kind"] == target.route.kind
    assert len(line["verdicts"]) == len(target.verdicts)


def test_a_line_can_be_written_before_the_target_is_done() -> None:
    facts = targets.endpoint("mx1.example.test")
    verdicts: tuple[Verdict, ...] = ()
    line = json.loads(to_ndjson_line("good.example.test", targets.GOOD.route, facts, verdicts))
    assert line["endpoint"]["connections"] == 41


def test_the_committed_schema_is_the_one_of_the_code() -> None:
    assert json.loads(SCHEMA.read_text()) == json.loads(schema_text()), (
        "the JSON contract has changed; if fields were only added, write it again with: "
        "python -c 'from mxprobe.report.json_document import schema_text; print(schema_text(), end=\"\")' "
        "> docs/schema/mxprobe-1.json"
    )


def test_the_schema_requires_what_tells_documents_apart_and_allows_growth() -> None:
    schema = report_schema()
    assert schema["$ref"] == "#/$defs/Report"
    assert "schema" in schema["$defs"]["Report"]["required"]
    assert "schema" in schema["$defs"]["EndpointLine"]["required"]
    assert "early_bytes" not in schema["$defs"]["EndpointFacts"]["required"]
    assert not any(definition.get("additionalProperties") is False for definition in schema["$defs"].values())


def test_every_field_of_the_schema_is_in_the_manual() -> None:
    manual = (DOCS / "json.md").read_text()
    fields = {name for definition in report_schema()["$defs"].values() for name in definition.get("properties", {})}
    assert {name for name in fields if f"`{name}`" not in manual} == set()


def test_every_word_of_the_schema_is_in_the_manual() -> None:
    manual = (DOCS / "json.md").read_text()

    def words(schema: object) -> set[str]:
        if isinstance(schema, dict):
            found = {word for word in schema.get("enum", ()) if isinstance(word, str)}
            return found.union(*(words(value) for value in schema.values()))
        if isinstance(schema, list):
            return set().union(*(words(value) for value in schema))
        return set()

    assert {word for word in words(report_schema()) if f"`{word}`" not in manual} == set()


def test_pydantic_and_rich_are_imported_only_when_they_are_needed() -> None:
    modules = ["json_document", "terminal", "session", "transcript", "progress"]
    code = "; ".join(f"import mxprobe.report.{module}" for module in modules)
    code += "; import sys; print([name for name in ('pydantic', 'rich') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
