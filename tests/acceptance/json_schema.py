"""JSON Schema (draft 2020-12), as much of it as the committed schema uses; any other keyword is an error."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

DOCUMENT = "Report"
LINE = "EndpointLine"

_SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "schema" / "mxprobe-1.json").read_text())
_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
_ANNOTATIONS = {"type", "title", "description", "default"}
"""What says nothing of a value; `type` is looked at before all others."""


def violations(value: Any, definition: str = DOCUMENT) -> list[str]:
    """Where a value is not as a definition of the committed schema wants it, and why; empty where all is well."""
    return _check(value, {"$ref": f"#/$defs/{definition}"}, "$")


def _check(value: Any, schema: dict[str, Any], where: str) -> list[str]:
    of_type = schema.get("type")
    if of_type and (not isinstance(value, _TYPES[of_type]) or (isinstance(value, bool) and of_type != "boolean")):
        return [f"{where}: {value!r} is no {of_type}"]
    wrong: list[str] = []
    for keyword, wanted in schema.items():
        match keyword:
            case "$ref":
                wrong += _check(value, _SCHEMA["$defs"][wanted.removeprefix("#/$defs/")], where)
            case "anyOf":
                if all(_check(value, each, where) for each in wanted):
                    wrong.append(f"{where}: {value!r} is none of {wanted}")
            case "enum":
                if value not in wanted:
                    wrong.append(f"{where}: {value!r} is not in {wanted}")
            case "const":
                if value != wanted:
                    wrong.append(f"{where}: {value!r} is not {wanted!r}")
            case "required":
                wrong += [f"{where}: {name} is missing" for name in wanted if name not in value]
            case "properties":
                wrong += [
                    line
                    for name, each in wanted.items()
                    if name in value
                    for line in _check(value[name], each, f"{where}.{name}")
                ]
            case "additionalProperties":
                others = value.keys() - schema.get("properties", {}).keys()
                wrong += [line for name in others for line in _check(value[name], wanted, f"{where}.{name}")]
            case "propertyNames":
                wrong += [line for name in value for line in _check(name, wanted, f"{where}, the key")]
            case "items":
                wrong += [line for n, each in enumerate(value) for line in _check(each, wanted, f"{where}[{n}]")]
            case "format":
                assert wanted == "date-time"
                if datetime.fromisoformat(value).tzinfo is None:
                    wrong.append(f"{where}: {value!r} has no zone")
            case _:
                assert keyword in _ANNOTATIONS, keyword
    return wrong
