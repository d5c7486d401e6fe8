"""Printing a report in the format that was asked for."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from mxprobe.cli.options import FORMATS, Format
from mxprobe.errors import InvalidSetting
from mxprobe.facts import Report, Target, TranscriptEntry


def output_format(text: str) -> Format:
    """The value of ``--format``."""
    for known in FORMATS:
        if text == known:
            return known
    raise InvalidSetting("--format", f"{text!r} is not a format", ", ".join(FORMATS))


def print_report(report: Report, output: Format, *, verbose: bool, summary: bool = False) -> None:
    """Print to standard output; as text every target in turn, or one line for each with `summary`."""
    if output == "text":
        from rich.console import Console

        from mxprobe.report.terminal import print_summary, print_target

        console = Console(highlight=False)
        if summary:
            print_summary(console, report)
            return
        for number, target in enumerate(report.targets):
            if number:
                console.print()
            print_target(console, target, verbose=verbose)
        return
    if output == "json":
        from mxprobe.report.json_document import json_pieces

        sys.stdout.writelines(json_pieces(report))
        return
    for target in report.targets:
        print_lines(target)


def print_lines(target: Target) -> None:
    """Print a target as ndjson, one endpoint a line, at once."""
    from mxprobe.report.json_document import to_ndjson_lines

    for line in to_ndjson_lines(target):
        sys.stdout.write(line)
    sys.stdout.flush()


def print_transcript(entries: Iterable[TranscriptEntry], output: Format) -> None:
    """Print a transcript behind a report in text; beside JSON it goes to standard error."""
    from mxprobe.report.transcript import transcript_text

    print(transcript_text(tuple(entries)), file=sys.stdout if output == "text" else sys.stderr)
