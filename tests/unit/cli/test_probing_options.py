"""The options of a probe beside a probes.toml: what was given counts, and what was not is as the file has it."""

from __future__ import annotations

import pytest

from mxprobe.cli.probing_options import ProbingOptions, probe_settings, settings_over
from mxprobe.errors import InvalidSetting
from mxprobe.network.settings import Limits
from mxprobe.probing.settings import ProbeSettings

FILE = ProbeSettings(
    ehlo="file.test",
    contact="postmaster@file.test",
    ca_path="/etc/ssl/file",
    depth="quick",
    ignore=("file.test",),
    limits=Limits(per_address=1, connections=50),
    deadline=60.0,
)


def test_the_file_counts_where_nothing_was_given_but_for_depth_and_twins() -> None:
    settings = settings_over(FILE, ProbingOptions(twins=False))
    assert (settings.ehlo, settings.contact, settings.ca_path) == ("file.test", "postmaster@file.test", "/etc/ssl/file")
    assert (settings.limits, settings.deadline, settings.ignore) == (FILE.limits, 60.0, ("file.test",))
    assert (settings.depth, settings.twins) == ("full", False)


def test_what_was_given_counts() -> None:
    given = ProbingOptions(
        ehlo="given.test",
        ca_file="given.pem",
        depth="everything",
        per_address=4,
        deadline=30.0,
        timeouts=("connect=3",),
        ignore=("given.test",),
        allow_private=True,
    )
    settings = settings_over(FILE, given)
    assert (settings.ehlo, settings.ca_file, settings.ca_path) == ("given.test", "given.pem", None)
    assert (settings.limits.per_address, settings.limits.connections) == (4, 50)
    assert (settings.deadline, settings.timeouts.connect, settings.allow_private) == (30.0, 3.0, True)
    assert settings.ignore == ("file.test", "given.test")


@pytest.mark.parametrize("wrong", [{"depth": "deep"}, {"contact": "a b"}, {"timeouts": ("hello",)}, {"ca_path": ""}])
def test_what_is_not_allowed_is_named(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidSetting, match=f"--{next(iter(wrong)).removesuffix('s').replace('_', '-')}"):
        probe_settings(ProbingOptions(**wrong), {})  # type: ignore[arg-type]
