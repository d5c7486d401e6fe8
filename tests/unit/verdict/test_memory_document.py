"""A memory as JSON: small, the same every time, read again as it was, and refused where it is not understood."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from examples.observations import E1, MX, START, STARTTLS, SUITES, one, run
from examples.targets import accepted, endpoint, mx, mx_host
from mxprobe.errors import InvalidMemory
from mxprobe.facts import Suite, Target
from mxprobe.tls.suites import candidates, suite
from mxprobe.verdict.aspects import aspects
from mxprobe.verdict.memory import Memory, remember
from mxprobe.verdict.memory_document import memory_document, memory_text, read_memory


def big_target(endpoints: int, suites: int) -> Target:
    """Each endpoint takes other suites, so that they have no list in common."""
    numbers = (*candidates("TLSv1.2"), *candidates("TLSv1.2"))
    found = []
    for number in range(endpoints):
        own = tuple(Suite(id=f"0x{n:06X}", name=suite(n).name, iana=suite(n).iana) for n in numbers[number:][:suites])
        server = endpoint("mx1.example.test", f"192.0.2.{number + 1}")
        found.append(replace(server, protocols={**server.protocols, "TLSv1.2": accepted(*own)}))
    route = mx(mx_host("mx1.example.test", *(each.address for each in found)))
    return Target(next_hop="example.test", route=route, endpoints=tuple(found))


def test_the_memory_of_ten_endpoints_with_a_hundred_suites_is_small() -> None:
    memory, _ = remember(Memory(next_hop="example.test"), aspects(big_target(10, 100), START), START)
    assert len(memory_text(memory)) < 20_000
    assert read_memory(memory_text(memory)) == memory


def test_a_memory_is_written_in_the_same_way_every_time() -> None:
    seen = (*one(STARTTLS, "works"), *one(SUITES, "C02F C030"), *one(MX, "10:a.test"))
    one_way, _ = run([seen])
    other_way, _ = run([seen[::-1]])
    assert memory_text(one_way) == memory_text(other_way)
    assert memory_text(one_way).isascii()
    assert json.loads(memory_text(one_way)) == memory_document(one_way)
    assert read_memory(memory_document(one_way)) == one_way


def test_an_empty_memory_is_a_memory() -> None:
    assert read_memory(memory_text(Memory(next_hop="example.test"))) == Memory(next_hop="example.test")


def test_a_memory_of_a_newer_version_is_refused_with_a_word_about_it() -> None:
    document = {**memory_document(Memory(next_hop="example.test")), "version": 2}
    with pytest.raises(InvalidMemory, match=r"the memory of example\.test cannot be read: it is of version 2.*newer"):
        read_memory(document)


KNOWN = memory_document(run([(*one(STARTTLS, "works"), *one(SUITES, "C02F C030 CCA8 1301 1302"))])[0])


def spoilt(*path: str | int, value: Any) -> Any:
    """The document with another value in one place."""
    document = json.loads(json.dumps(KNOWN))
    inner = document
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return document


@pytest.mark.parametrize(
    "document",
    [
        "",
        "[]",
        "null",
        "[" * 100_000,
        '{"version":1}',
        spoilt("version", value="1"),
        spoilt("version", value=True),
        spoilt("version", value=0),
        spoilt("mood", value="good"),
        spoilt("at", value="yesterday"),
        spoilt("at", value=-1),
        spoilt("at", value=10**30),
        spoilt("lists", value=[1]),
        spoilt("known", value=[]),
        spoilt("known", E1, "ciphers", value={}),
        spoilt("known", E1, "ciphers", value={"": ["a", 1]}),
        spoilt("known", E1, "starttls", "", value=["works"]),
        spoilt("known", E1, "starttls", "", value=[7, 1]),
        spoilt("known", E1, "starttls", "", value=[-1, 1]),
        spoilt("known", E1, "starttls", "", value=["works", 1, 1, {"mood": 1}]),
        spoilt("known", E1, "starttls", "", value=["works", 1, 1, {"flaps": 1}]),
        spoilt("known", E1, "starttls", "", value=["works", 1, 1, {"changes": 1}]),
        spoilt("gone", value={"x": None}),
    ],
    ids=lambda document: str(document)[:40],
)
def test_what_is_no_memory_is_refused_in_one_line(document: Any) -> None:
    with pytest.raises(InvalidMemory) as refused:
        read_memory(document)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 400
