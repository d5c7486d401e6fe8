"""The JSON contract ``mxprobe/1``: one document, one endpoint a line, reading a document back, and the JSON Schema.

`docs/json.md` explains the fields, `docs/schema/mxprobe-1.json` is `report_schema` as it was published. The text is
ASCII without control characters but newline, whatever a peer sent, so it can be shown on a terminal as it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from textwrap import indent
from typing import TYPE_CHECKING, Any, Literal

from mxprobe.errors import MxprobeError
from mxprobe.facts import EndpointFacts, Report, Target, Verdict
from mxprobe.report.escape import printable
from mxprobe.report.json_text import safe_json
from mxprobe.routing.route import Route
from mxprobe.verdict.rules import endpoint_name

if TYPE_CHECKING:
    from pydantic import TypeAdapter


class InvalidDocument(MxprobeError):
    """A text that is not a document ``mxprobe/1``; the message names the first place where it is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointLine:
    """One line of ``--format ndjson``: an endpoint with the next-hop and route that led to it.

    `endpoint` is null where nothing was dialled (null MX, an error of the route). `verdicts` are those on this
    endpoint and those on the whole target.
    """

    schema: Literal["mxprobe/1"] = "mxprobe/1"
    next_hop: str
    route: Route
    endpoint: EndpointFacts | None
    verdicts: tuple[Verdict, ...] = ()


def to_json(report: Report) -> str:
    """The report as one JSON document, indented by 2, fields in the order of the contract, newline at the end."""
    return "".join(json_pieces(report))


def json_pieces(report: Report) -> Iterator[str]:
    """The same piece by piece, one for each target: the text of thousands need not be in memory at once."""
    head, tail = _dump(_adapter(Report), replace(report, targets=()), 2).split(_NO_TARGETS, 1)
    yield head + '"targets": ['
    for number, target in enumerate(report.targets):
        yield ("," if number else "") + "\n" + target_json(target)
    yield ("\n  ]" if report.targets else "]") + tail + "\n"


def target_json(target: Target) -> str:
    """One target as it stands among ``targets`` in a document, indented by 4."""
    # Strings have no newlines in JSON, so that each is a line of the document.
    return indent(_dump(_adapter(Target), target, 2), "    ")


def to_ndjson_line(
    next_hop: str, route: Route, endpoint: EndpointFacts | None, verdicts: tuple[Verdict, ...] = ()
) -> str:
    """One endpoint, or a target without any, as one line of JSON with its newline."""
    line = EndpointLine(next_hop=next_hop, route=route, endpoint=endpoint, verdicts=verdicts)
    return _dump(_adapter(EndpointLine), line, None) + "\n"


def to_ndjson_lines(target: Target) -> tuple[str, ...]:
    """The lines of a whole target: one for each endpoint, or a single one when it has none."""
    if not target.endpoints:
        return (to_ndjson_line(target.next_hop, target.route, None, target.verdicts),)
    names = {endpoint_name(facts) for facts in target.endpoints}
    common = tuple(verdict for verdict in target.verdicts if verdict.endpoint not in names)
    return tuple(
        to_ndjson_line(
            target.next_hop,
            target.route,
            facts,
            tuple(verdict for verdict in target.verdicts if verdict.endpoint == endpoint_name(facts)) + common,
        )
        for facts in target.endpoints
    )


def read_report(text: str) -> Report:
    """Read a document of `to_json`, by this or any other mxprobe with the same major version of the schema.

    Fields that we do not know are passed over, and those that an older mxprobe did not write get their
    defaults: within ``mxprobe/1`` fields are only added.

    Raises:
        InvalidDocument: it is not JSON, or not such a document.
    """
    from pydantic import ValidationError

    try:
        report: Report = _adapter(Report).validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the document"
        raise InvalidDocument(f"not a mxprobe/1 document: {printable(where)}: {printable(first['msg'])}") from error
    return report


def report_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a document; ``$defs.EndpointLine`` is the schema of one ndjson line.

    Required is what every document of ``mxprobe/1`` has: the fields without a default, and constants such as
    `schema` by which documents are told apart. Further fields are allowed, because the contract grows.
    """
    return contract_schema(
        (Report, EndpointLine),
        title="mxprobe/1",
        description="What mxprobe saw at mail servers, and what it makes of it. docs/json.md explains the fields.",
        file="mxprobe-1.json",
    )


def contract_schema(types: tuple[type, ...], *, title: str, description: str, file: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) of documents of the first type, with the others among its definitions.

    Constants are required although they have a default: they are always written. `file` is its name in
    ``docs/schema``.
    """
    from pydantic import TypeAdapter
    from pydantic.json_schema import GenerateJsonSchema
    from pydantic_core import core_schema

    class ContractJsonSchema(GenerateJsonSchema):
        """Makes constants required although they have a default: they are always written."""

        def field_is_required(
            self,
            field: core_schema.ModelField | core_schema.DataclassField | core_schema.TypedDictField,
            total: bool,
        ) -> bool:
            inner = field["schema"]
            while inner["type"] == "default":
                inner = inner["schema"]
            if inner["type"] == "literal" and len(inner["expected"]) == 1:
                return True
            return super().field_is_required(field, total)

    _, schema = TypeAdapter.json_schemas(
        [(of.__name__, "serialization", _adapter(of)) for of in types],
        schema_generator=ContractJsonSchema,
        title=title,
        description=description,
    )
    for definition in schema["$defs"].values():
        # Docstrings may be reworded; what is left changes only when the contract does.
        definition.pop("description", None)
    return {
        "$schema": ContractJsonSchema.schema_dialect,
        "$id": f"https://github.com/mxprobe/mxprobe/blob/main/docs/schema/{file}",
        "$ref": f"#/$defs/{types[0].__name__}",
        **schema,
    }


def schema_text() -> str:
    """The text of ``docs/schema/mxprobe-1.json``."""
    return json.dumps(report_schema(), indent=2, sort_keys=True) + "\n"


_ADAPTERS: dict[type, TypeAdapter[Any]] = {}

_NO_TARGETS = '"targets": []'


def _adapter(of: type) -> TypeAdapter[Any]:
    """The pydantic adapter of a type, made once; pydantic is imported only when JSON is wanted."""
    from pydantic import TypeAdapter

    if of not in _ADAPTERS:
        _ADAPTERS[of] = TypeAdapter(of)
    return _ADAPTERS[of]


def _dump(adapter: TypeAdapter[Any], value: object, width: int | None) -> str:
    # pydantic's own writer refuses lone surrogates and lets DEL through.
    return safe_json(adapter.dump_python(value, mode="json"), width)
