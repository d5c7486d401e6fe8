"""Parameters that are taken as they are have the values that typer itself would give them."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from typer.main import get_command

from mxprobe.cli.app import app
from mxprobe.cli.plain_parameters import PlainGroup

PLAIN: Any = get_command(app)
COMMANDS = [name for name in PLAIN.commands if not isinstance(PLAIN.commands[name], PlainGroup)]
WORDS: dict[str, list[object]] = {
    "str": ["x", "", "7", "é"],
    "int": ["7", "x", "-1", "", "100001"],
    "float": ["7", "1.5", "x", "nan", ""],
    "bool": [True, False],
    "Path": ["a/b", "", "-"],
}


def outcome(parameter: Any, context: Any, value: Any) -> object:
    """The value that a parameter takes, or what is wrong with it."""
    try:
        return parameter.process_value(context, value)
    except Exception as error:
        return type(error), str(error)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_parameter_takes_the_values_that_typer_gives_it(name: str) -> None:
    # Another of the same commands, which went through no group, is typer's own.
    usual = {each.name: each for each in get_command(app).commands[name].params}  # type: ignore[attr-defined]
    group = PLAIN.make_context("mxprobe", ["--help"], resilient_parsing=True)
    command = PLAIN.get_command(group, name)
    context = command.make_context(name, [], resilient_parsing=True)

    for parameter in command.params:
        several = parameter.multiple or parameter.nargs == -1
        annotation = parameter.type_descriptor.annotation
        kind = annotation.__args__[0] if several else annotation
        values: list[object] = [None, parameter.default, *WORDS[kind.__name__]]
        if several:
            values = [None, parameter.default, (), *[(each,) for each in WORDS[kind.__name__]], ("a", "b")]
        for value in values:
            expected = outcome(usual[parameter.name], context, value)
            found = outcome(parameter, context, value)
            assert repr(found) == repr(expected)


@pytest.mark.parametrize("arguments", [("ciphers", "HIGH", "--openssl", "3.0"), ("senders",), ("--version",)])
def test_commands_of_plain_words_import_no_library_to_read_them(arguments: tuple[str, ...]) -> None:
    code = "import sys; from mxprobe.cli import run; run(sys.argv[1:]); assert 'pydantic' not in sys.modules"
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, stdout=subprocess.DEVNULL, timeout=60)
