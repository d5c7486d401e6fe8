"""Whatever a user can name is in the documentation: verdicts, settings, commands and their options, public names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from typer.main import get_command

import mxprobe
from mxprobe.cli.app import app
from mxprobe.configuration.sections import Sections
from mxprobe.probing.settings import ProbeSettings
from mxprobe.verdict.requirements import REQUIREMENTS
from mxprobe.verdict.rules import VERDICTS

ROOT = Path(__file__).resolve().parents[3]
DOCS = ROOT / "docs"


def text_of(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def headings(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"^#+ (.*)$", text, re.MULTILINE))


def setting_keys(section: type[Any] = Sections, path: str = "") -> Iterator[str]:
    """Every key of probes.toml as the documentation writes it: `profiles.NAME.suites`, `group.name`."""
    hints = get_type_hints(section)
    for field in fields(section):
        key = f"{path}{field.name}"
        kind = hints[field.name]
        inner = next((found for found in (kind, *get_args(kind)) if is_dataclass(found)), None)
        if inner is None:
            yield key
        else:
            yield from setting_keys(inner, f"{key}.NAME." if field.name == "profiles" else f"{key}.")  # type: ignore[arg-type]


def commands(group: Any = None, before: str = "") -> dict[str, tuple[str, ...]]:
    """Each command, as it is typed, with the long and short names of its options."""
    found: dict[str, tuple[str, ...]] = {}
    for name, command in (group or get_command(app)).commands.items():
        if hasattr(command, "commands"):
            found |= commands(command, f"{before}{name} ")
        else:
            found[before + name] = tuple(option for parameter in command.params for option in parameter.opts)
    return found


def part_about(command: str) -> str:
    """What the documentation of the commands says about one of them."""
    found = re.search(rf"^## `mxprobe {command}`$(.*?)(?=^## |\Z)", text_of("commands.md"), re.MULTILINE | re.DOTALL)
    assert found, f"docs/commands.md has no section on mxprobe {command}"
    return found.group(1)


@pytest.mark.parametrize("verdict", VERDICTS)
def test_every_verdict_has_a_section_with_its_question_answers_and_source(verdict: str) -> None:
    text = text_of("verdicts.md")
    found = re.search(rf"^## `{verdict}`$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"docs/verdicts.md has no section on {verdict}"
    for part in (r"\?\*", "Source: ", "Evidence: ", r"^\| yes \|", r"^\| no \|", r"^\| unknown \|"):
        assert re.search(part, found.group(1), re.MULTILINE), part


def test_no_section_is_on_a_verdict_that_is_no_more() -> None:
    named = tuple(heading.strip("`") for heading in headings(text_of("verdicts.md")) if heading.startswith("`"))
    assert named == VERDICTS


@pytest.mark.parametrize("requirement", REQUIREMENTS)
def test_every_requirement_is_named(requirement: str) -> None:
    assert f"`{requirement}`" in text_of("commands.md")


@pytest.mark.parametrize("key", tuple(setting_keys()))
def test_every_setting_has_its_row(key: str) -> None:
    assert f"\n| `{key}` |" in text_of("settings.md")


def test_no_row_is_on_a_setting_that_is_no_more() -> None:
    rows = set(re.findall(r"^\| `([a-z_.NAME]+)` \|", text_of("settings.md"), re.MULTILINE))
    assert rows == set(setting_keys())


@pytest.mark.parametrize("key", tuple(setting_keys()))
def test_every_setting_is_shown_in_the_example_configuration(key: str) -> None:
    text = (ROOT / "probes.toml").read_text(encoding="utf-8")
    assert re.search(rf"^(# )?{key.rpartition('.')[2]} = ", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("command", "option"), [(command, option) for command, options in commands().items() for option in options]
)
def test_every_option_is_described_with_its_command(command: str, option: str) -> None:
    if option.startswith("-"):
        assert re.search(rf"`{option}(?![a-z-])", part_about(command))
    else:
        assert option.upper().removesuffix("S") in part_about(command), "an argument"


def test_no_section_is_on_a_command_that_is_no_more() -> None:
    found = re.findall(r"^## `mxprobe ([a-z ]+)`$", text_of("commands.md"), re.MULTILINE)
    assert sorted(found) == sorted(commands())


def test_no_row_is_on_an_option_that_is_no_more() -> None:
    for command, options in commands().items():
        described = set(re.findall(r"^\| `(--[a-z-]+)", part_about(command), re.MULTILINE))
        assert described == {option for option in options if option.startswith("--")}, command


@pytest.mark.parametrize("name", mxprobe.__all__)
def test_every_public_name_is_listed(name: str) -> None:
    assert f"`mxprobe.{name}`" in text_of("python.md")


@pytest.mark.parametrize("field", fields(ProbeSettings), ids=lambda field: field.name)
def test_every_field_of_the_settings_of_a_probe_has_its_row(field: Any) -> None:
    assert re.search(rf"^\| [^|]*`{field.name}`[^|]*\|", text_of("python.md"), re.MULTILINE)


@pytest.mark.parametrize(
    "path",
    [path.relative_to(ROOT) for path in (*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "bench").glob("*.md"))],
    ids=str,
)
def test_every_link_to_a_file_or_heading_leads_somewhere(path: Path) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("https://", "mailto:")):
            continue
        file, _, anchor = target.partition("#")
        there = (ROOT / path).parent / file if file else ROOT / path
        assert there.exists(), target
        if anchor:
            anchors = {_anchor(heading) for heading in headings(there.read_text(encoding="utf-8"))}
            assert anchor in anchors, target


def _anchor(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
