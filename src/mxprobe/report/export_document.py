"""What a store holds as JSON, target after target, so that all of it need not be in memory at once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from mxprobe.facts import Target
from mxprobe.report.json_text import safe_json

if TYPE_CHECKING:
    from pydantic import TypeAdapter

SCHEMA: Literal["mxprobe-export/1"] = "mxprobe-export/1"

HEAD = f'{{"schema":"{SCHEMA}","targets":[\n'
TAIL = "\n]}\n"
"""What stands before and behind the lines, with commas between them, in the one document of ``--format json``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedTarget:
    """What one scan found at one next-hop. `target` is as in a document ``mxprobe/1``, judged as of `started_at`.

    `finished_at` is null for a scan that was cut short, `complete` false where an endpoint was not asked.
    """

    schema: Literal["mxprobe-export/1"] = SCHEMA
    started_at: datetime
    finished_at: datetime | None
    complete: bool
    target: Target


def export_line(exported: ExportedTarget) -> str:
    """One target of one scan as a line of JSON, without a newline."""
    return safe_json(_adapter().dump_python(exported, mode="json"))


_ADAPTERS: list[TypeAdapter[Any]] = []


def _adapter() -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    if not _ADAPTERS:
        _ADAPTERS.append(TypeAdapter(ExportedTarget))
    return _ADAPTERS[0]
