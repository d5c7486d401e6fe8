"""The log of a service: a line for each thing that happened, for people or for programs."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Literal

from mxprobe.report.escape import printable
from mxprobe.schedule.telling import Line

LogFormat = Literal["text", "json"]

LONGEST = 2000
"""Characters of a line of text: it may quote a peer."""


def line_of(line: Line, at: datetime, form: LogFormat) -> str:
    """What is written of one thing; `at` is in UTC. As JSON one object in ASCII."""
    moment = f"{at:%Y-%m-%dT%H:%M:%S}"
    if form == "json":
        document = {"at": f"{moment}.{at.microsecond // 1000:03d}Z", "level": line.level, "what": line.what}
        if line.about:
            document["next_hop"] = line.about
        return json.dumps({**document, "text": line.text, **line.details})
    about = f" {line.about}" if line.about else ""
    return printable(f"{moment}Z {line.level} {line.what}{about}: {line.text}", LONGEST)
