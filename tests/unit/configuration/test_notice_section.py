"""`[notice]`: when a difference is worth an event."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from mxprobe.configuration.probes_toml import InvalidConfiguration, read_configuration
from mxprobe.verdict.seen import DEFAULTS, NoticeSettings


def settings(directory: Path, *lines: str) -> NoticeSettings:
    path = directory / "probes.toml"
    path.write_text("\n".join(("[notice]", *lines)))
    return read_configuration(path).notice


def test_without_keys_it_is_as_documented(tmp_path: Path) -> None:
    assert settings(tmp_path) == DEFAULTS


def test_every_key_is_read(tmp_path: Path) -> None:
    found = settings(
        tmp_path,
        "expiry_days = [7, 30, 30]",
        'unknown_after = "36h"',
        "flapping_changes = 3",
        'flapping_window = "2w"',
        'stable_after = "1d12h"',
        "summary_targets = 20",
        'forget_after = "90d"',
    )
    assert found == NoticeSettings(
        expiry_days=(30, 7),
        unknown_after=timedelta(hours=36),
        flapping_changes=3,
        flapping_window=timedelta(days=14),
        stable_after=timedelta(days=1, hours=12),
        summary_targets=20,
        forget_after=timedelta(days=90),
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("expiry_days = [0]", "notice.expiry_days[0]: found 0"),
        ("expiry_days = 21", "notice.expiry_days: found 21"),
        ('unknown_after = "soon"', "notice.unknown_after: 'soon' is no duration"),
        ('stable_after = "1s"', "notice.stable_after: '1s' is less than a minute"),
        ('forget_after = "4000d"', "notice.forget_after: '4000d' is more than ten years"),
        ("summary_targets = 1", "notice.summary_targets: found 1"),
        ("flapping_change = 3", "notice.flapping_change: unknown key; did you mean 'flapping_changes'?"),
    ],
)
def test_what_is_wrong_has_its_line(tmp_path: Path, line: str, said: str) -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        settings(tmp_path, line)
    assert str(caught.value).startswith(f"{tmp_path / 'probes.toml'}: {said}")
    assert "\n" not in str(caught.value)
