"""What a ``[[group]]`` says of when its next-hops are visited, and of what is required of them."""

from __future__ import annotations

from dataclasses import replace

from mxprobe.configuration.quiet_hours import quiet_hours
from mxprobe.configuration.rhythm import ALLOWED_EVERY, ALLOWED_JITTER, Rhythm, interval, jitter
from mxprobe.configuration.sections import GroupSection, brief, closest
from mxprobe.errors import InvalidSetting
from mxprobe.verdict.requirements import ALLOWED_REQUIREMENTS, REQUIREMENTS, Requirement, parse_requirement

EACH_DAY = Rhythm(every=24 * 3600.0, jitter=2.4 * 3600)
"""How often next-hops are visited of which nothing is said."""


def rhythm_of(section: GroupSection, where: str) -> tuple[Rhythm, tuple[InvalidSetting, ...]]:
    """How often, and when; that of nobody where there is a mistake in it. `where` names the section."""
    rhythm = EACH_DAY
    mistakes: list[InvalidSetting] = []
    try:
        rhythm = Rhythm(every=interval(section.every))
    except ValueError as error:
        mistakes.append(InvalidSetting(f"{where}.every", str(error), ALLOWED_EVERY))
    try:
        rhythm = replace(rhythm, jitter=jitter(section.jitter, rhythm.every))
    except ValueError as error:
        mistakes.append(InvalidSetting(f"{where}.jitter", str(error), ALLOWED_JITTER))
    quiet, wrong = quiet_hours(
        section.quiet, section.timezone, where=f"{where}.quiet", where_timezone=f"{where}.timezone"
    )
    return replace(rhythm, quiet=quiet), (*mistakes, *wrong)


def requirements_of(
    section: GroupSection, where: str, key_of_profile: str
) -> tuple[tuple[Requirement, ...], tuple[InvalidSetting, ...]]:
    """What is required, each once, and what of it means nothing. `where` names the section."""
    requirements: dict[Requirement, None] = {}
    mistakes: list[InvalidSetting] = []
    for index, text in enumerate(section.require):
        here = f"{where}.require[{index}]"
        try:
            requirement = parse_requirement(text)
        except ValueError:
            problem = f"{brief(text)} is not a requirement{closest(text, REQUIREMENTS)}"
            mistakes.append(InvalidSetting(here, problem, ALLOWED_REQUIREMENTS))
            continue
        if requirement.name == "shared-cipher" and section.profile is None:
            problem = f"{text!r} needs a profile, with which a cipher can be shared"
            mistakes.append(InvalidSetting(here, problem, key_of_profile))
        requirements[requirement] = None
    return tuple(requirements), tuple(mistakes)
