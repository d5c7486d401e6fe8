"""docs/install.md: each file that it names is there, each command of mxprobe is one, each key is a setting."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command

from mxprobe.cli.app import app

ROOT = Path(__file__).resolve().parents[3]
TEXT = (ROOT / "docs/install.md").read_text(encoding="utf-8")
SHELL = "\n".join(re.findall(r"^```sh\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)).replace("\\\n", " ")


def calls() -> Iterator[list[str]]:
    """The calls of mxprobe: by its path, as the arguments of the image, or in a container."""
    for line in SHELL.splitlines():
        words = shlex.split(line, comments=True)
        for index, word in enumerate(words):
            if Path(word).name == "mxprobe" and index and words[index + 1 : index + 2]:
                following = words[index + 1]
                if following in COMMANDS:
                    yield words[index + 1 :]
        if words and Path(words[0]).name == "mxprobe":
            yield words[1:]


COMMANDS = set(getattr(get_command(app), "commands"))  # noqa: B009 (a group of typer's own click)


@pytest.mark.parametrize("call", tuple(calls()), ids=" ".join)
def test_each_command_has_the_options_that_it_is_given(call: list[str]) -> None:
    command = getattr(get_command(app), "commands")[call[0]]  # noqa: B009
    options = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in call if word.startswith("--")} <= options


def test_there_are_such_commands() -> None:
    assert {call[0] for call in calls()} == {"probe", "run", "health", "status"}


@pytest.mark.parametrize("name", sorted(set(re.findall(r"packaging/[\w./@-]*\w", TEXT))))
def test_each_file_that_it_names_is_there(name: str) -> None:
    assert (ROOT / name).exists()


def test_each_file_of_the_packaging_is_in_it_or_beside_one_that_is() -> None:
    files = [path for path in (ROOT / "packaging").rglob("*") if path.is_file()]
    unnamed = {path.name for path in files if str(path.relative_to(ROOT)) not in TEXT}
    assert unnamed == {"Dockerfile", "partners.txt"}


def test_each_extra_that_it_names_is_one() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    named = {
        extra
        for extras in re.findall(r"\.\[([a-z,]+)\]|also: ([a-z,]+)", TEXT)
        for extra in ",".join(extras).split(",")
    }
    (image,) = re.findall(r"ARG EXTRAS=(\S+)", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
    for extra in (named - {""}) | set(image.split(",")):
        assert re.search(rf"^{extra} = \[", project, re.MULTILINE), extra
