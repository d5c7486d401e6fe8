"""A gate's report as JUnit XML, the form in which CI systems take test results.

There is no standard. The elements and attributes are those that Jenkins's xUnit plugin validates (junit-10.xsd) and
GitLab, Azure and Bitbucket read. What could not be told is an ``error``: ``skipped`` would count as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from xml.sax.saxutils import escape, quoteattr

from mxprobe.report.check_groups import answer, place_words
from mxprobe.report.escape import printable
from mxprobe.verdict.checks import Check, CheckReport, Outcome

TEXT_LIMIT = 2000
"""Characters of one line of text, however long what a peer sent."""


def junit_text(report: CheckReport) -> str:
    """The report as one XML document: a test suite for each subject, a test case for each check.

    All partners are one suite. ``classname`` is the id of the check. A check that failed is a ``failure``, one that
    could not be told an ``error``; one that only notes something passes, with the note in ``system-out``. The text is
    ASCII.
    """
    return "".join(f"{line}\n" for line in _lines(report))


def _lines(report: CheckReport) -> Iterator[str]:
    counts = Counter(check.outcome for check in report.checks)
    suites: dict[str, list[Check]] = {}
    for check in report.checks:
        # Thousands of partners, each with one check, are one suite.
        suites.setdefault(report.subject if report.kind == "outbound" else check.subject, []).append(check)
    # A check has no time of its own; the whole run's belongs to a suite only where that is the whole run.
    seconds = f"{report.elapsed_seconds:.3f}"
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    yield f"<testsuites{_attributes(name=f'mxprobe check: {answer(report)}', time=seconds, **_totals(counts))}>"
    for subject, checks in suites.items():
        yield from _suite(report, subject, checks, seconds if len(suites) == 1 else "0")
    yield "</testsuites>"


def _suite(report: CheckReport, subject: str, checks: list[Check], seconds: str) -> Iterator[str]:
    attributes = _attributes(
        name=subject or "mxprobe check",
        **_totals(Counter(check.outcome for check in checks)),
        skipped="0",
        time=seconds,
        # Of ISO 8601, without a zone: UTC.
        timestamp=report.started_at.strftime("%Y-%m-%dT%H:%M:%S"),
    )
    yield f"  <testsuite{attributes}>"
    for name, check in zip(_names(subject, checks), checks, strict=True):
        opening = f"    <testcase{_attributes(classname=check.id, name=name, time='0')}"
        body = _body(check)
        if body:
            yield f"{opening}>"
            yield body
            yield "    </testcase>"
        else:
            yield f"{opening}/>"
    yield "  </testsuite>"


def _body(check: Check) -> str:
    match check.outcome:
        case "failed":
            return _element("failure", _details(check), type=check.severity, message=check.summary)
        case "unknown":
            words = f"could not be told: {check.summary}"
            return _element("error", _details(check), type="unknown", message=words)
        case "noted":
            return _element("system-out", [f"noted: {check.summary}", *_details(check)[1:]])
        case "passed":
            return ""


def _details(check: Check) -> list[str]:
    """What the message does not say: where, what it rests on, and why it matters."""
    lines = [check.summary]
    if check.endpoint:
        lines.append(f"endpoint: {check.endpoint}")
    if check.place is not None:
        lines.append(f"place: {place_words(check.place)}")
    for name, value in check.evidence.items():
        lines.append(f"{name} = {', '.join(value) if isinstance(value, tuple) else value}")
    if check.source:
        lines.append(f"source: {check.source}")
    return lines


def _names(suite: str, checks: Iterable[Check]) -> Iterator[str]:
    """The names of the test cases, no two alike under one id: GitLab shows only the first of those."""
    seen: set[tuple[str, str]] = set()
    for check in checks:
        name = check.name or check.id
        if check.subject != suite:
            name += f" for {check.subject}"
        if check.endpoint:
            name += f" at {check.endpoint}"
        unique, number = name, 1
        while (check.id, unique) in seen:
            number += 1
            unique = f"{name} ({number})"
        seen.add((check.id, unique))
        yield unique


def _totals(counts: Counter[Outcome]) -> dict[str, str]:
    return {"tests": str(counts.total()), "failures": str(counts["failed"]), "errors": str(counts["unknown"])}


def _element(name: str, lines: list[str], **attributes: str) -> str:
    inner = "\n".join(_ascii(escape(printable(line, TEXT_LIMIT))) for line in lines)
    return f"      <{name}{_attributes(**attributes)}>{inner}</{name}>"


def _attributes(**attributes: str) -> str:
    return "".join(f" {name}={_ascii(quoteattr(printable(value, TEXT_LIMIT)))}" for name, value in attributes.items())


def _ascii(xml: str) -> str:
    # What is printable is allowed in XML 1.0 (§2.2); as references it survives any encoding of the output.
    return xml.encode("ascii", "xmlcharrefreplace").decode("ascii")
