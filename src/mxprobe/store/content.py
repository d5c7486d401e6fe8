"""What of an endpoint's facts lasts from scan to scan, and what passes: the facts are kept once for all that is alike.

Facts are alike when they say the same but for the time, the cost, the words of the greeting and the like (`_PASSING`),
and for which endpoint they are of. The document of the first of them is kept whole; each further one, and the first
itself, only as far as it differs, in a line like ``[1772366400123456,41,1.928,{"s":"confirmed"}]``: begun (microseconds
since 1970), connections, seconds, and the rest. Together they give back what was saved, to the byte.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from mxprobe.facts import EndpointFacts
from mxprobe.store.tables import JsonOf
from mxprobe.terms import Endpoint

Document = dict[str, Any]

REMEMBERED = 1000
"""Facts, and documents that are kept, whose content is remembered: as many as a service remembers endpoints, some 10 kB
each."""

_FACTS = JsonOf(EndpointFacts)
_EPOCH = datetime.fromtimestamp(0, UTC)
_MICROSECOND = timedelta(microseconds=1)

_SHA256 = re.compile("[0-9a-f]{64}")

_ALWAYS = ("started_at", "connections", "elapsed_seconds")
_OF_THE_ENDPOINT = ("host", "address", "port", "service")
_PASSING = {
    "host": "n",
    "address": "a",
    "port": "p",
    "service": "v",
    "greeting": "g",
    "endings": "e",
    "sweep": "s",
    "same_as": "t",
    "swept_at": "w",
    "sweep_reason": "r",
}
"""Fields that pass, by the short name of each in a line of changes."""
_REPLY = "y"
_MOMENTS = ("w",)


def document_of(facts: EndpointFacts) -> tuple[str, Document]:
    """Facts as JSON text, and what `json` makes of it."""
    text = _FACTS.text(facts)
    return text, json.loads(text)


def digest(document: Document) -> str:
    """The SHA-256, in hex, of what lasts: the same for documents that differ only in what passes."""
    lasting = json.loads(json.dumps(document))
    for part, field, _ in _passing(lasting):
        part[field] = None
    return hashlib.sha256(json.dumps(lasting, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def is_known(document: Document) -> bool:
    """Whether the endpoint told its state at all."""
    return bool(document["starttls"]["state"] != "unknown")


def certificates_of(document: Document) -> frozenset[str]:
    """The certificates that the facts name, by their SHA-256 in hex."""
    names = (name for each in document["certificates"] for name in (each["sha256"], *each["chain"]))
    return frozenset(name for name in names if _SHA256.fullmatch(name))


def changes(document: Document, kept: Document, endpoint: Endpoint) -> str:
    """In what a document differs from the one that is kept of those alike, found at this endpoint."""
    return _changes(_values(document), _values(kept), endpoint)


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What the store has to know of facts; of many next-hops with the same servers it is worked out once."""

    sha256: str
    known: bool
    certificates: frozenset[str]
    passing: Mapping[str, Any]

    def changes(self, kept: str, endpoint: Endpoint) -> str:
        """As `changes`, where the text of a document is kept."""
        return _changes(self.passing, _values_of(kept), endpoint)


def content_of(facts: EndpointFacts) -> Content:
    """What the store has to know of facts."""
    return _content_of(_Itself(facts))


def facts_of(kept: str, changed: str, endpoint: Endpoint) -> EndpointFacts:
    """The facts that were seen at an endpoint, of the document that is kept and the changes to it."""
    document = _moved(json.loads(kept), endpoint)
    started_at, connections, elapsed_seconds, *rest = json.loads(changed)
    known = dict(zip(_ALWAYS, (_moment(started_at), connections, elapsed_seconds), strict=True))
    for name, value in rest[0].items() if rest else ():
        known[name] = _moment(value) if name in _MOMENTS else value
    for part, field, name in _passing(document):
        if name in known:
            part[field] = known[name]
    facts: EndpointFacts = _FACTS.read(document)
    return facts


class _Itself:
    """Facts by which object they are: to compare all that they say would take longer than to work it out again."""

    __slots__ = ("facts",)

    def __init__(self, facts: EndpointFacts) -> None:
        self.facts = facts

    def __hash__(self) -> int:
        return id(self.facts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Itself) and other.facts is self.facts


@lru_cache(maxsize=REMEMBERED)
def _content_of(facts: _Itself) -> Content:
    _, document = document_of(facts.facts)
    return Content(
        sha256=digest(document),
        known=is_known(document),
        certificates=certificates_of(document),
        passing=_values(document),
    )


@lru_cache(maxsize=REMEMBERED)
def _values_of(text: str) -> dict[str, Any]:
    return _values(json.loads(text))


def _values(document: Document) -> dict[str, Any]:
    """The values that pass, by their names in a line of changes."""
    return {name: part[field] for part, field, name in _passing(document)}


def _changes(values: Mapping[str, Any], kept: Mapping[str, Any], endpoint: Endpoint) -> str:
    moved = {_PASSING[field]: getattr(endpoint, field) for field in _OF_THE_ENDPOINT if _PASSING[field] in kept}
    before = {**kept, **moved}
    found = {
        name: _number(value) if name in _MOMENTS else value
        for name, value in values.items()
        if name not in _ALWAYS and value != before[name]
    }
    first = [_number(values[_ALWAYS[0]]), *(values[name] for name in _ALWAYS[1:])]
    return json.dumps([*first, found] if found else first, separators=(",", ":"))


def _passing(document: Document) -> Iterator[tuple[Document, str, str]]:
    """Each value that passes: what it is part of, under which key, and its name in a line of changes."""
    for field in _ALWAYS:
        yield document, field, field
    for field, name in _PASSING.items():
        if field in document:
            yield document, field, name
    if "reply" in document["starttls"]:
        yield document["starttls"], "reply", _REPLY
    for protocol, seen in document.get("protocols", {}).items():
        for part, name in ((seen, "h"), (seen.get("groups"), "hg"), (seen.get("schemes"), "hs")):
            if part is not None and "hellos" in part:
                yield part, "hellos", f"{name}/{protocol}"


def _moved(document: Document, endpoint: Endpoint) -> Document:
    """The document as it would be of another endpoint."""
    return document | {field: getattr(endpoint, field) for field in _OF_THE_ENDPOINT if field in document}


def _number(moment: str | None) -> int | None:
    return None if moment is None else (datetime.fromisoformat(moment) - _EPOCH) // _MICROSECOND


def _moment(number: int | None) -> str | None:
    return None if number is None else (_EPOCH + number * _MICROSECOND).isoformat()
