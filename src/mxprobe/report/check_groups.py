"""The checks of a gate as a reader wants them: the answer in one line, worst first, and one reason said once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from mxprobe.facts import Severity
from mxprobe.verdict.checks import Check, CheckReport, Outcome, Place, outcome_of

SEVERITIES: tuple[Severity, ...] = ("critical", "warning", "info", "ok")
"""Worst first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Checks of one id that came out alike for one reason, such as all senders that share no version with us."""

    checks: tuple[Check, ...]

    @property
    def first(self) -> Check:
        """The check whose words stand for all."""
        return self.checks[0]

    @property
    def severity(self) -> Severity:
        """The same in every check."""
        return self.checks[0].severity

    @property
    def place(self) -> Place | None:
        """The same in every check."""
        return self.checks[0].place


def answer(report: CheckReport) -> str:
    """The verdict of the gate and what it is about: ``FAILED: 2 of 31 checks failed, ...: mx.example.org``.

    What was only noted is counted apart: nothing depends on it.
    """
    counts = Counter(check.outcome for check in report.checks)
    total = counts["failed"] + counts["unknown"] + counts["passed"]
    checks = f"{total} check{'' if total == 1 else 's'}"
    unknown = f"{counts['unknown']} could not be told"
    noted = f", {counts['noted']} noted" if counts["noted"] else ""
    match outcome_of(report.checks):
        case "failed":
            found = f"FAILED: {counts['failed']} of {checks} failed" + (f", {unknown}" if counts["unknown"] else "")
        case "unknown":
            found = f"COULD NOT TELL: {counts['unknown']} of {checks} could not be told"
        case _ if total:
            found = f"PASSED: {'all ' if total > 1 else ''}{checks} passed"
        case _:
            found = "PASSED: nothing was required"
    return f"{found}{noted}: {report.subject}"


def groups(checks: Iterable[Check], outcome: Outcome, *, largest_first: bool = False) -> tuple[Group, ...]:
    """The checks with this outcome by their reason, worst first; otherwise in their order, or the largest first.

    Two checks have one reason if they have one place, and one obstacle to a session; where no obstacle is known, if
    their words differ only in the name, endpoint or subject, or in names and addresses of hosts.
    """
    found: dict[tuple[object, ...], list[Check]] = {}
    for check in checks:
        if check.outcome == outcome:
            why = (obstacle(check), check.evidence.get("missing_overlap")) if obstacle(check) else _wording(check)
            key = (check.id, check.severity, check.source, check.place, why)
            found.setdefault(key, []).append(check)
    grouped = [Group(checks=tuple(alike)) for alike in found.values()]
    return tuple(
        sorted(
            grouped,
            key=lambda group: (SEVERITIES.index(group.severity), -len(group.checks) if largest_first else 0),
        )
    )


def grouped_by_reason(report: CheckReport, outcome: Outcome) -> tuple[Group, ...]:
    """The groups of a report. Among thousands of partners the reason that most of them have comes first."""
    return groups(report.checks, outcome, largest_first=report.kind == "outbound")


def title(check: Check) -> str:
    """Which condition it is: ``require tls1.2``; the id alone where the summary has the name."""
    return check.id if check.name == check.id or check.name in check.summary else f"{check.id} {check.name}"


def without_the_obvious(report: CheckReport) -> CheckReport:
    """The report without an endpoint or subject that all its checks share: it need not be said with each.

    On paper there is one server, which is that of the file.
    """
    paper = report.kind == "paper"
    endpoints = 1 if paper else len({check.endpoint for check in report.checks if check.endpoint})
    subjects = 1 if paper else len({check.subject for check in report.checks})
    if endpoints > 1 and subjects > 1:
        return report
    return replace(
        report,
        checks=tuple(
            replace(
                check,
                endpoint=check.endpoint if endpoints > 1 else "",
                subject=check.subject if subjects > 1 else report.subject,
            )
            for check in report.checks
        ),
    )


def where(check: Check, report: CheckReport) -> str:
    """The endpoint that it is about, or the subject where the report is about others, too; else nothing."""
    return check.endpoint or (check.subject if check.subject not in report.subject else "")


def place_words(place: Place) -> str:
    """As compilers write it, and editors understand it: ``main.cf:12``."""
    return f"{place.file}:{place.line}"


def obstacle(check: Check) -> str:
    """What the two sides do not have in common, such as ``suite``, if that is why; else empty."""
    found = check.evidence.get("obstacle")
    return found if isinstance(found, str) else ""


def words(group: Group) -> str:
    """The summary of the first check; of several with one obstacle, without what is in parentheses: that is its own."""
    if len(group.checks) == 1 or not obstacle(group.first):
        return group.first.summary
    kept, depth = [], 0
    for character in group.first.summary:
        depth += character == "("
        if not depth:
            kept.append(character)
        depth -= character == ")" and depth > 0
    return re.sub(r" +(?=[;,:]|$)| +(?= )", "", "".join(kept))


def likewise(group: Group) -> str:
    """The words between the summary of the first check and the names of the others."""
    common = obstacle(group.first)
    return f"no common {common} either:" if common else "likewise"


def others(group: Group, report: CheckReport) -> tuple[str, ...]:
    """What tells the checks of a group behind the first one from it: their names, or where they are, or both."""
    first = group.first
    words = []
    for check in group.checks[1:]:
        at = where(check, report)
        same_name, same_place = check.name == first.name, at == where(first, report)
        if same_name and at:
            words.append(at)
        elif same_place or not at:
            words.append(check.name)
        else:
            words.append(f"{check.name} at {at}")
    return tuple(dict.fromkeys(words))


_HOST = re.compile(
    r"\[[0-9A-Fa-f:.]{2,45}\]|(?<![\w.-])(?:(?:[\w-]{1,63}\.){1,127}[A-Za-z][\w-]{0,62}|\d{1,3}(?:\.\d{1,3}){3})(?![\w-])"
)
"""A host's name, by its last label, or address; no version, such as 1.2, is one."""


def _wording(check: Check) -> str:
    """The summary without what is this check's own."""
    words = check.summary
    for text in sorted((check.endpoint, check.name, check.subject), key=len, reverse=True):
        if text:
            words = words.replace(text, "\0")
    return _HOST.sub("\0", words)
