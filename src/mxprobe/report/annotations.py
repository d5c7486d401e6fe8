"""A gate's report as workflow commands of GitHub Actions, which Forgejo and Gitea read, too: ``::error file=...::...``.

GitHub shows ten annotations of each kind for a step, the first ten. Checks that came out alike for one reason share
one, what failed comes first, and the last error says what all of it comes to.
"""

from __future__ import annotations

from collections.abc import Iterator

from mxprobe.report.check_groups import Group, answer, grouped_by_reason, likewise, others, where, without_the_obvious
from mxprobe.report.escape import printable
from mxprobe.report.layout import bounded
from mxprobe.verdict.checks import CheckReport, outcome_of

ANNOTATIONS_SHOWN = 10
"""Of each kind in one step; GitHub drops the others without a word."""

NAMES_SHOWN = 20
"""Senders, partners or endpoints named in one annotation."""

TITLE_LIMIT = 200
MESSAGE_LIMIT = 4000
"""Characters; a line of the log and what GitHub keeps of an annotation are both bounded."""


def annotations_text(report: CheckReport) -> str:
    """The report as commands, one a line, in ASCII.

    What failed is an ``error``; what could not be told a ``warning``, so that it does not fall behind ten errors; what
    was noted a ``notice``. Unless all passed, an ``error`` tells the outcome: an unknown is never only a warning.
    """
    return "".join(f"{line}\n" for line in _commands(report))


def _commands(report: CheckReport) -> Iterator[str]:
    report = without_the_obvious(report)
    passed = outcome_of(report.checks) == "passed"
    failed, unknown = grouped_by_reason(report, "failed"), grouped_by_reason(report, "unknown")
    noted = grouped_by_reason(report, "noted")
    for group in failed[: ANNOTATIONS_SHOWN - 1]:
        yield _annotation("error", report, group, "")
    for group in unknown[:ANNOTATIONS_SHOWN]:
        yield _annotation("warning", report, group, "could not be told: ")
    # One notice is kept for the outcome where that is one.
    for group in noted[: ANNOTATIONS_SHOWN - 1]:
        yield _annotation("notice", report, group, "")
    left = (
        (len(failed) - ANNOTATIONS_SHOWN + 1, "failed"),
        (len(unknown) - ANNOTATIONS_SHOWN, "unknown"),
        (len(noted) - ANNOTATIONS_SHOWN + 1, "noted"),
    )
    more = "".join(f"; {count} more {outcome} not shown here" for count, outcome in left if count > 0)
    yield _command("notice" if passed else "error", {"title": "mxprobe check"}, answer(report) + more)


def _annotation(command: str, report: CheckReport, group: Group, prefix: str) -> str:
    check = group.first
    properties: dict[str, str] = {}
    if check.place is not None:
        properties = {"file": check.place.file, "line": str(check.place.line)}
    properties["title"] = f"{prefix}{check.id} {check.name}".rstrip()
    message = check.summary
    at = where(check, report)
    if at and at not in message:
        message += f" (at {at})"
    if len(group.checks) > 1:
        message += f"; {likewise(group)} {', '.join(bounded(others(group, report), NAMES_SHOWN))}"
    if check.source:
        message += f" ({check.source})"
    return _command(command, properties, message)


def _command(command: str, properties: dict[str, str], message: str) -> str:
    written = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{command} {written}::{_data(_visible(message, MESSAGE_LIMIT))}"


def _property(value: str) -> str:
    """A property ends at a comma, and all of them at a colon."""
    return _data(_visible(value, TITLE_LIMIT)).replace(":", "%3A").replace(",", "%2C")


def _data(value: str) -> str:
    """A message ends with its line; newlines have been made visible already."""
    return value.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _visible(value: str, limit: int) -> str:
    return printable(value.replace("§", "section "), limit).encode("ascii", "backslashreplace").decode("ascii")
