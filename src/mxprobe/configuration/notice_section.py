"""What ``[notice]`` means: when a difference is worth an event."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from mxprobe.configuration.rhythm import ALLOWED_SPAN, span
from mxprobe.configuration.sections import NoticeSection
from mxprobe.errors import InvalidSetting
from mxprobe.verdict.seen import DEFAULTS, NoticeSettings

_SPANS = ("unknown_after", "flapping_window", "stable_after", "forget_after")


def notice_settings(section: NoticeSection, path: str) -> tuple[NoticeSettings, tuple[InvalidSetting, ...]]:
    """The settings, and all that is wrong with the section in the configuration that is called `path`."""
    spans: dict[str, timedelta] = {}
    mistakes = []
    for key in _SPANS:
        try:
            spans[key] = timedelta(seconds=span(getattr(section, key)))
        except ValueError as error:
            mistakes.append(InvalidSetting(f"{path}: notice.{key}", str(error), ALLOWED_SPAN))
    settings = replace(
        DEFAULTS,
        expiry_days=tuple(sorted(set(section.expiry_days), reverse=True)),
        flapping_changes=section.flapping_changes,
        summary_targets=section.summary_targets,
        **spans,
    )
    return settings, tuple(mistakes)
