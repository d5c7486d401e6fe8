"""`$name` expressions come to what postconf(5) says of them."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxprobe.mta.postfix.expansion import MAX_LENGTH, ExpansionError, expand, unclosed

NAMES = {"name": "value", "empty": "", "level": "3.10", "refers": "<$name>", "loop": "$pool", "pool": "$loop"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$name", "value"),
        ("${name}", "value"),
        ("$(name)", "value"),
        ("a $name.b", "a value.b"),
        ("$$name", "$name"),
        ("$unknown", ""),
        ("$refers", "<value>"),
        ("${name?yes $name}", "yes value"),
        ("${empty?yes}", ""),
        ("${unknown:no}", "no"),
        ("${name:no}", ""),
        ("${name?{yes}:{no}}", "yes"),
        ("${ empty ? {yes} : {no} }", "no"),
        ("${name??foo:{b}ar}", "?foo:{b}ar"),
        ("${{$name} == {value}?same}", "same"),
        ("${{9} < {10} ? {number} : {text}}", "number"),
        ("${{9x} < {10} ? {number} : {text}}", "text"),
        ("${{a} == {a}}", "true"),
        ("${{a} != {a}}", ""),
        ("${{$level} <level {3.9} ? {old} : {new}}", "new"),
        ("${{$level} >=level {3.10.0} ? {{$name}} : {}}", "{value}"),
        ("${name?${empty:{inner}}}", "inner"),
    ],
)
def test_an_expression_comes_to_its_value(text: str, value: str) -> None:
    assert expand(text, NAMES.get) == value


@pytest.mark.parametrize(
    "text",
    [
        "$",
        "${",
        "${}",
        "${name",
        "$(name",
        "${na me}",
        "${na-me}",
        "${name?{a}",
        "${name?{a}b}",
        "${name?{a}:{b}c}",
        "${{a}}",
        "${{a} = {a}}",
        "${{a} == a}",
        "${{a} ==level {b}}",
        "${{a} ==mail {b}}",
        "$loop",
    ],
)
def test_what_postfix_stops_at_is_an_error(text: str) -> None:
    with pytest.raises(ExpansionError):
        expand(text, NAMES.get)


def test_only_the_branch_that_is_taken_is_evaluated() -> None:
    assert expand("${name?{good}:{$loop}}", NAMES.get) == "good"


def test_doublings_end_at_a_bound() -> None:
    doubled = {f"a{number}": f"$a{number - 1}$a{number - 1}" for number in range(1, 60)}
    for first in ("x", ""):
        with pytest.raises(ExpansionError):
            expand("$a59", {**doubled, "a0": first}.get)


def test_a_value_that_ends_within_an_expression_is_told() -> None:
    assert unclosed("a ${name?b") == "'${name?b' is never closed"
    assert unclosed("$${name") is None
    assert unclosed("${name?(b} $(c)") is None
    assert unclosed("x$") is None


@given(st.text(alphabet="${}()?: ab=<>", max_size=60), st.text(alphabet="${}()?: ab=<>", max_size=30))
def test_whatever_is_written_there_is_a_value_or_the_one_error(text: str, a: str) -> None:
    unclosed(text)
    with suppress(ExpansionError):
        assert len(expand(text, {"a": a, "b": "$a$a"}.get)) <= MAX_LENGTH
