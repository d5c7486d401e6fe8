"""`mxprobe senders`: the senders that mxprobe knows, with their age."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from mxprobe.cli.options import FORMATS, Format
from mxprobe.cli.outcome import NOTHING_TO_REPORT
from mxprobe.errors import InvalidSetting
from mxprobe.mta.profile_file import Sender
from mxprobe.mta.senders import sender
from mxprobe.mta.senders import senders as all_senders


def senders(names: Sequence[str], output: str) -> int:
    """Run the command; the exit code is 0."""
    chosen = senders_format(output)
    found = tuple(sender(name, "NAME") for name in names) or all_senders()
    print_senders(found, chosen, in_detail=bool(names))
    return NOTHING_TO_REPORT


def senders_format(text: str) -> Format:
    """The value of ``--format``."""
    for known in FORMATS:
        if text == known:
            return known
    raise InvalidSetting("--format", f"{text!r} is not a format", ", ".join(FORMATS))


def print_senders(found: Sequence[Sender], output: Format, *, in_detail: bool) -> None:
    """Print them to standard output; as text a line each, or all that is known with `in_detail`."""
    from mxprobe.report import senders as report

    today = datetime.now(UTC).date()
    if output == "json":
        sys.stdout.write(report.senders_json(found, today))
    elif output == "ndjson":
        sys.stdout.writelines(report.sender_json_line(each, today) for each in found)
    else:
        lines = report.senders_in_detail(found, today) if in_detail else report.senders_table(found, today)
        sys.stdout.writelines(f"{line}\n" for line in lines)
