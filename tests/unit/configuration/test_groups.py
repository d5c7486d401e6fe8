"""What a group of `probes.toml` says of when and how its next-hops are visited."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxprobe.configuration.next_hop_files import read_again
from mxprobe.configuration.probes_toml import Configuration, Group, InvalidConfiguration, read_configuration
from mxprobe.configuration.quiet_hours import QuietHours
from mxprobe.configuration.rhythm import duration, interval, jitter

GROUP = '[[group]]\nname = "a"\nnext_hops = ["a.example"]\n'


def written(directory: Path, text: str) -> Path:
    path = directory / "probes.toml"
    path.write_text(text)
    return path


def group(directory: Path, text: str) -> Group:
    (found,) = read_configuration(written(directory, text)).groups
    return found


def mistakes(directory: Path, text: str) -> list[str]:
    with pytest.raises(InvalidConfiguration) as caught:
        read_configuration(written(directory, text))
    return [line.removeprefix(f"{directory}/") for line in str(caught.value).split("\n")]


def test_a_group_says_how_often_and_how_deeply(tmp_path: Path) -> None:
    found = group(
        tmp_path,
        f'{GROUP}every = "7d"\njitter = "2h"\nquiet = ["22:00-06:00", "sat-sun"]\n'
        'timezone = "Europe/Berlin"\ndepth = "full"\nfull_every = 3\n',
    )
    assert (found.rhythm.every, found.rhythm.jitter) == (7 * 86400, 7200)
    assert (found.depth, found.full_every) == ("full", 3)
    # 2026-06-01 is a Monday; 22:30 in Berlin is 20:30 in UTC then.
    assert found.rhythm.quiet.at(1_780_272_000.0 + 20.5 * 3600)
    assert not found.rhythm.quiet.at(1_780_272_000.0 + 19.5 * 3600)


def test_what_a_group_does_not_say_is_the_default_or_that_of_the_probe(tmp_path: Path) -> None:
    found = group(tmp_path, GROUP)
    assert (found.rhythm.every, found.rhythm.jitter, found.rhythm.quiet) == (86400, 8640, QuietHours())
    assert (found.depth, found.full_every) == ("standard", 7)
    found = group(tmp_path, f'[probe]\ndepth = "everything"\nfull_every = 2\n{GROUP}')
    assert (found.depth, found.full_every) == ("everything", 2)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("24h", 86400),
        ("90m", 5400),
        ("7d", 604800),
        ("1d12h", 129600),
        ("2w", 1209600),
        ("1h30m10s", 5410),
        ("60s", 60),
    ],
)
def test_a_duration_has_units(text: str, seconds: float) -> None:
    assert duration(text) == interval(text) == seconds


@pytest.mark.parametrize("text", ["", "24", "h", "-1h", "1.5h", "24 h", "1h1d", "1y", "1H", "٣h", "1" * 99 + "d"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        duration(text)


@given(st.text(max_size=30))
def test_any_text_is_a_duration_or_none(text: str) -> None:
    for read in (duration, interval, lambda found: jitter(found, 60.0)):
        try:
            found = read(text)
        except ValueError:
            continue
        assert found >= 0


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('every = "24"', "group[0].every: '24' is no duration (allowed: a duration from 1m to 365d, like 90m, 24h"),
        ('every = "59s"', "group[0].every: '59s' is less than a minute (allowed: "),
        ('every = "366d"', "group[0].every: '366d' is more than a year (allowed: "),
        ("every = 24", "group[0].every: found 24 (allowed: a duration from 1m to 365d"),
        ('jitter = "51%"', "group[0].jitter: '51%' is more than half of the interval (allowed: a part of the interval"),
        ('every = "1h"\njitter = "31m"', "group[0].jitter: '31m' is more than half of the interval"),
        ('jitter = "0.1"', "group[0].jitter: '0.1' is no duration"),
        ("jitter = 0.1", "group[0].jitter: found 0.1 (allowed: a part of the interval"),
        ('quiet = "22:00-06:00"', "group[0].quiet: found '22:00-06:00' (allowed: an array of spans like 22:00-06:00, "),
        ('quiet = ["at night"]', "group[0].quiet[0]: 'at night' is no span of hours (allowed: 22:00-06:00, "),
        ('quiet = ["mon-sun"]', "group[0].quiet: they leave less than an hour of the week to begin anything"),
        (
            'timezone = "Berlin"',
            "group[0].timezone: 'Berlin' is no time zone that this machine knows (allowed: an IANA",
        ),
        ('depth = "deep"', "group[0].depth: found 'deep' (allowed: quick, standard, full, everything)"),
        ("full_every = 0", "group[0].full_every: found 0 (allowed: a whole number from 1 to 100)"),
    ],
)
def test_a_mistake_has_one_line(tmp_path: Path, line: str, said: str) -> None:
    (found,) = mistakes(tmp_path, GROUP + line)
    assert found.startswith(f"probes.toml: {said}")


def test_all_mistakes_are_named_at_once(tmp_path: Path) -> None:
    text = f'{GROUP}every = "x"\njitter = "y"\nquiet = ["z", "22:00-06:00", "0"]\ntimezone = "Nowhere"\nrequire = ["q"]'
    assert sorted(line.split(": ")[1] for line in mistakes(tmp_path, text)) == [
        "group[0].every",
        "group[0].jitter",
        "group[0].quiet[0]",
        "group[0].quiet[2]",
        "group[0].require[0]",
        "group[0].timezone",
    ]


def for_a_service(directory: Path, text: str) -> Configuration:
    return read_configuration(written(directory, text), pass_over=True)


def test_a_service_passes_over_lines_that_are_no_next_hops_and_tells_them(tmp_path: Path) -> None:
    (tmp_path / "f.txt").write_text("b.example\nno such\nc.example\n")
    configuration = for_a_service(tmp_path, f'{GROUP}file = "f.txt"')
    (found,) = configuration.groups
    assert [hop.text for hop in found.next_hops] == ["a.example", "b.example", "c.example"]
    (told,) = configuration.told
    assert str(told).startswith(f"{tmp_path}/f.txt: line 2: not a next-hop: 'no such'")
    # It was told, and the file has not changed.
    assert found.file is not None
    assert read_again(found.file, 4e9) == (found.file, ())
    (tmp_path / "f.txt").write_text("no such\nd.example\n")
    file, news = read_again(found.file, 4e9)
    assert news == ()
    assert [hop.text for hop in found.with_file(file).next_hops] == ["a.example", "d.example"]


def test_a_service_may_begin_with_a_file_that_is_empty_but_not_without_it(tmp_path: Path) -> None:
    (tmp_path / "f.txt").write_text("# none yet\n")
    assert for_a_service(tmp_path, '[[group]]\nname = "a"\nfile = "f.txt"').groups[0].next_hops == ()
    (tmp_path / "f.txt").unlink()
    with pytest.raises(InvalidConfiguration, match=r"group\[0\]\.file: .*f\.txt cannot be read: No such file"):
        for_a_service(tmp_path, '[[group]]\nname = "a"\nfile = "f.txt"')
    with pytest.raises(InvalidConfiguration, match=r"group\[0\]\.next_hops\[0\]: not a next-hop"):
        for_a_service(tmp_path, '[[group]]\nname = "a"\nnext_hops = ["no such"]')


STDIN = '[[group]]\nname = "a"\nfile = "-"\n'


def test_next_hops_may_come_from_standard_input(tmp_path: Path) -> None:
    path = written(tmp_path, STDIN)
    (found,) = read_configuration(path, standard_input=lambda: "b.example\n# c\n").groups
    assert [hop.text for hop in found.next_hops] == ["b.example"]
    with pytest.raises(InvalidConfiguration, match=r"^standard input: line 2: not a next-hop: 'no such'"):
        read_configuration(path, standard_input=lambda: "b.example\nno such\n")
    with pytest.raises(InvalidConfiguration, match=r"group\[0\]: it has no next-hops"):
        read_configuration(path, standard_input=lambda: "# nobody\n")
    # A command that needs no next-hops does not wait for any.
    assert read_configuration(path).groups[0].next_hops == ()


def test_only_one_group_can_have_standard_input(tmp_path: Path) -> None:
    (line,) = mistakes(tmp_path, STDIN + STDIN.replace('"a"', '"b"'))
    assert line == "probes.toml: group[1].file: group[0] reads standard input already"
