"""A gate's report as SARIF 2.1.0 (OASIS), within what GitHub code scanning takes of it.

GitHub shows every result as an alert whatever its ``kind``, so that only what failed and what could not be told is
among the results; and it wants a line of a file for each (see `LIVE_FILE`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from hashlib import sha256
from urllib.parse import quote

from mxprobe import __version__
from mxprobe.report.check_document import EXIT_CODES
from mxprobe.report.check_groups import SEVERITIES, answer, title
from mxprobe.report.escape import printable
from mxprobe.report.json_text import safe_json
from mxprobe.verdict.checks import Check, CheckReport, outcome_of

LIVE_FILE = "probes.toml"
"""Where GitHub shows a check of a server, which has no line in any file: at the beginning of what configures it."""

RESULTS_LIMIT = 25_000
"""GitHub refuses a run with more results, and shows 5000; what failed comes first, and worst first."""

TEXT_LIMIT = 2000
"""Characters of one message, however long what a peer sent."""

QUESTIONS: Mapping[str, str] = {
    "route": "Everything that the next-hop leads to was looked at.",
    "require": "What is required of the server holds.",
    "sender": "The sender gets TLS.",
    "covers": "Every certificate names the host.",
    "lasts": "Every certificate is valid for long enough.",
    "same-everywhere": "Every address does the same.",
    "simulation": "A sender gets what was computed that it gets.",
    "baseline": "There is something to compare with.",
    "keeps": "What the server did before, it still does.",
    "gained": "What the server does, it did before.",
    "changed": "What the server does, it does as before.",
    "configuration": "Nothing in the files is odd.",
    "mandatory-tls": "Mail from senders without TLS is taken.",
    "versions": "The versions leave nobody out.",
    "outbound": "Mail to the partner still goes by TLS.",
}
"""What each check, by its id, wants to be so."""

_DOCUMENTATION = "https://github.com/mxprobe/mxprobe/blob/main/docs/check.md"
_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def sarif_text(report: CheckReport) -> str:
    """The report as one SARIF document, in ASCII, with a newline at the end.

    What failed has the kind *fail*, and the level *error* or *warning* by its severity. What could not be told is
    *open*: "the tool concluded that there was insufficient information to decide" (§3.27.9); such a result has no
    level (§3.27.10).
    """
    results = [check for check in report.checks if check.outcome in ("failed", "unknown")]
    results.sort(key=lambda check: (check.outcome == "unknown", SEVERITIES.index(check.severity)))
    rules = tuple(dict.fromkeys(check.id for check in report.checks))
    outcome = outcome_of(report.checks)
    invocation: dict[str, object] = {
        "executionSuccessful": True,
        "exitCode": EXIT_CODES[outcome],
        "exitCodeDescription": _visible(answer(report)),
        "startTimeUtc": report.started_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    if len(results) > RESULTS_LIMIT:
        words = f"{len(results) - RESULTS_LIMIT} of {len(results)} results are left out here"
        invocation["toolExecutionNotifications"] = [{"level": "warning", "message": {"text": words}}]
    run = {
        "tool": {
            "driver": {
                "name": "mxprobe check",
                "version": __version__,
                "informationUri": _DOCUMENTATION,
                "rules": [_rule(check_id) for check_id in rules],
            }
        },
        "automationDetails": {"id": f"mxprobe-check/{report.kind}/"},
        "invocations": [invocation],
        "columnKind": "unicodeCodePoints",
        "results": _results(_file(report), results[:RESULTS_LIMIT], rules),
    }
    return safe_json({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, 2) + "\n"


def file_uri(file: str) -> str:
    """A file's name as the URI reference that SARIF wants (§3.4.3): relative to the repository, or ``file:///...``."""
    path = file.removeprefix("./") or "-"
    try:
        raw = path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raw = path.encode("utf-8", "backslashreplace")
    return ("file://" if path.startswith("/") else "") + quote(raw, safe="/")


def _rule(check_id: str) -> dict[str, object]:
    words = QUESTIONS.get(check_id, f"The check {check_id}.")
    # The rule's own level is what GitHub filters by where a result has none: what could not be told.
    return {
        "id": _visible(check_id),
        "shortDescription": {"text": _visible(words)},
        "fullDescription": {"text": _visible(words)},
        "help": {"text": f"{_DOCUMENTATION} describes the check."},
        "helpUri": f"{_DOCUMENTATION}#{quote(check_id, safe='', errors='replace')}",
        "defaultConfiguration": {"level": "warning"},
        "properties": {"tags": ["mail", "tls"]},
    }


def _file(report: CheckReport) -> str:
    """Where a result is that has no line: in the first file that any has a line of."""
    return next((check.place.file for check in report.checks if check.place is not None), LIVE_FILE)


def _results(file: str, checks: list[Check], rules: tuple[str, ...]) -> list[dict[str, object]]:
    numbers = {check_id: number for number, check_id in enumerate(rules)}
    alike: Counter[str] = Counter()
    results = []
    for check in checks:
        fingerprint = _fingerprint(check)
        alike[fingerprint] += 1
        results.append(_result(file, check, numbers[check.id], f"{fingerprint}:{alike[fingerprint]}"))
    return results


def _result(file: str, check: Check, rule: int, fingerprint: str) -> dict[str, object]:
    failed = check.outcome == "failed"
    level = ("error" if check.severity == "critical" else "warning") if failed else "none"
    words = check.summary if failed else f"could not be told: {check.summary}"
    if check.endpoint and check.endpoint not in words:
        words += f" (at {check.endpoint})"
    evidence = {
        _visible(name): [_visible(each) for each in value]
        if isinstance(value, tuple)
        else _visible(value)
        if isinstance(value, str)
        else value
        for name, value in check.evidence.items()
    }
    return {
        "ruleId": _visible(check.id),
        "ruleIndex": rule,
        "kind": "fail" if failed else "open",
        "level": level,
        "message": {"text": _visible(words) or title(check)},
        "locations": [_location(file, check)],
        # The name under which GitHub looks for the only one that it uses, to know an alert again.
        "partialFingerprints": {"primaryLocationLineHash": fingerprint},
        "properties": {
            "name": _visible(check.name),
            "outcome": check.outcome,
            "severity": check.severity,
            "source": _visible(check.source),
            "evidence": evidence,
        },
    }


def _location(file: str, check: Check) -> dict[str, object]:
    line = 1
    if check.place is not None:
        file, line = check.place.file, max(check.place.line, 1)
    name = check.endpoint or check.subject
    return {
        "physicalLocation": {"artifactLocation": {"uri": file_uri(file)}, "region": {"startLine": line}},
        "logicalLocations": [{"fullyQualifiedName": _visible(name), "kind": "resource"}],
    }


def _fingerprint(check: Check) -> str:
    """The same in every run for the same condition, wherever its line has moved to and whatever its words are."""
    parts = (check.id, check.name, check.subject, check.endpoint)
    return sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _visible(text: str) -> str:
    return printable(text, TEXT_LIMIT)
