"""The JSON contract ``mxprobe-check/1``: what a gate judged, with the facts, so that a later gate can compare.

`docs/json.md` explains the fields, `docs/schema/mxprobe-check-1.json` is `check_schema` as it was published. As with
``mxprobe/1`` the text is ASCII without control characters but newline, whatever a peer sent.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal

from mxprobe.facts import Target
from mxprobe.report.json_document import InvalidDocument, contract_schema, read_report, target_json
from mxprobe.report.json_text import safe_json
from mxprobe.verdict.checks import Check, CheckKind, CheckReport, Outcome, outcome_of

EXIT_CODES: Mapping[Outcome, int] = {"passed": 0, "failed": 1, "unknown": 3}
"""The exit code of ``mxprobe check`` for what all checks come to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckDocument:
    """The document: a `CheckReport`, what it comes to, and the exit code for that."""

    schema: Literal["mxprobe-check/1"] = "mxprobe-check/1"
    started_at: datetime
    kind: CheckKind
    subject: str
    outcome: Literal["passed", "failed", "unknown"]
    exit_code: int
    checks: tuple[Check, ...]
    targets: tuple[Target, ...]
    connections: int
    elapsed_seconds: float


def check_json(report: CheckReport) -> str:
    """The report as one JSON document, with a newline at the end."""
    return "".join(check_json_pieces(report))


def check_json_pieces(report: CheckReport) -> Iterator[str]:
    """The same piece by piece. A check takes one line, so that ten thousand can be searched with grep.

    Without targets this is done in milliseconds: nothing that describes types is imported.
    """
    outcome = outcome_of(report.checks)
    head: dict[str, object] = {
        "schema": "mxprobe-check/1",
        "started_at": report.started_at.isoformat().replace("+00:00", "Z"),
        "kind": report.kind,
        "subject": report.subject,
        "outcome": outcome,
        "exit_code": EXIT_CODES[outcome],
    }
    yield "{\n" + "".join(f'  "{name}": {safe_json(value)},\n' for name, value in head.items())
    yield from _array("checks", ("    " + safe_json(_plain(check)) for check in report.checks))
    yield from _array("targets", (target_json(target) for target in report.targets))
    yield f'  "connections": {report.connections},\n  "elapsed_seconds": {safe_json(report.elapsed_seconds)}\n}}\n'


def read_check(text: str) -> CheckReport:
    """Read a document of `check_json`, by this or any other mxprobe with the same major version of the schema.

    Raises:
        InvalidDocument: it is not JSON, or not such a document.
    """
    from pydantic import TypeAdapter, ValidationError

    from mxprobe.report.escape import printable

    try:
        read = TypeAdapter(CheckDocument).validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        at = ".".join(str(part) for part in first["loc"]) or "the document"
        raise InvalidDocument(f"not a mxprobe-check/1 document: {printable(at)}: {printable(first['msg'])}") from error
    return CheckReport(**{field.name: getattr(read, field.name) for field in fields(CheckReport)})


def read_targets(text: str) -> tuple[Target, ...]:
    """The targets of a document of either kind, ``mxprobe/1`` or ``mxprobe-check/1``: what a gate compares with.

    Raises:
        InvalidDocument: it is neither.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidDocument("not a document of mxprobe: it is no JSON") from error
    schema = document.get("schema") if isinstance(document, dict) else None
    return read_check(text).targets if schema == "mxprobe-check/1" else read_report(text).targets


def check_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a document. Further fields are allowed, because the contract grows."""
    return contract_schema(
        (CheckDocument,),
        title="mxprobe-check/1",
        description="What mxprobe check judged, and the facts behind it. docs/json.md explains the fields.",
        file="mxprobe-check-1.json",
    )


def check_schema_text() -> str:
    """The text of ``docs/schema/mxprobe-check-1.json``."""
    return json.dumps(check_schema(), indent=2, sort_keys=True) + "\n"


def _array(name: str, items: Iterator[str]) -> Iterator[str]:
    yield f'  "{name}": ['
    empty = True
    for item in items:
        yield ("\n" if empty else ",\n") + item
        empty = False
    yield ("" if empty else "\n  ") + "],\n"


def _plain(check: Check) -> dict[str, object]:
    values: dict[str, object] = {field.name: getattr(check, field.name) for field in fields(Check)}
    if check.place is not None:
        values["place"] = {"file": check.place.file, "line": check.place.line}
    return values
