"""The options of a probe that several commands have, and the settings that they come to."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from mxprobe.errors import InvalidSetting

if TYPE_CHECKING:
    from mxprobe.mta.profile import Profile
    from mxprobe.probing.settings import Depth, ProbeSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbingOptions:
    """How deep to look, whom to trust, whom to leave alone, and how to behave, as the command line said it."""

    depth: str = "full"
    ca_path: str | None = None
    ca_file: str | None = None
    verify_depth: int = 9
    resolver: str | None = None
    ignore: tuple[str, ...] = ()
    ignore_file: str | None = None
    allow_private: bool = False
    ehlo: str | None = None
    contact: str | None = None
    per_address: int = 2
    per_provider: int | None = None
    connections: int = 200
    per_address_per_minute: int | None = None
    per_provider_per_minute: int | None = None
    connections_per_minute: int | None = None
    timeouts: tuple[str, ...] = ()
    deadline: float = 300.0
    twins: bool = True
    trace: bool = False


def probe_settings(
    given: ProbingOptions, connect: Mapping[str, str], profiles: tuple[Profile, ...] = ()
) -> ProbeSettings:
    """What a `Prober` is told.

    Raises:
        InvalidSetting: an option has a value that is not allowed.
    """
    from mxprobe.cli import options
    from mxprobe.network.resolver import parse_resolver
    from mxprobe.network.settings import Limits
    from mxprobe.probing.settings import ProbeSettings

    return ProbeSettings(
        contact=_contact(given.contact),
        ca_file=options.given_path("--ca-file", given.ca_file),
        ca_path=options.given_path("--ca-path", given.ca_path),
        verify_depth=given.verify_depth,
        depth=_depth(given.depth),
        profiles=profiles,
        resolver=parse_resolver(given.resolver) if given.resolver is not None else None,
        connect=connect,
        ignore=options.ignore_list(given.ignore, given.ignore_file),
        allow_private=given.allow_private,
        limits=Limits(
            connections=given.connections,
            per_address=given.per_address,
            per_provider=given.per_provider,
            connections_per_minute=given.connections_per_minute,
            per_address_per_minute=given.per_address_per_minute,
            per_provider_per_minute=given.per_provider_per_minute,
        ),
        timeouts=options.timeouts(given.timeouts),
        deadline=_deadline(given.deadline),
        twins=given.twins,
        trace=given.trace,
        **({"ehlo": options.ehlo_name(given.ehlo)} if given.ehlo is not None else {}),
    )


def settings_over(settings: ProbeSettings, given: ProbingOptions) -> ProbeSettings:
    """The settings of a probes.toml, under the options that are not as they are without being given.

    The depth, and whether twins are looked for, are always those of the options.
    """
    told, usual = probe_settings(given, {}), ProbingOptions()
    own_trust = told.ca_file is not None or told.ca_path is not None
    limits = replace(
        settings.limits,
        **{
            each.name: getattr(told.limits, each.name)
            for each in fields(told.limits)
            if getattr(given, each.name) != getattr(usual, each.name)
        },
    )
    return replace(
        settings,
        ehlo=told.ehlo if given.ehlo is not None else settings.ehlo,
        contact=told.contact or settings.contact,
        ca_file=told.ca_file if own_trust else settings.ca_file,
        ca_path=told.ca_path if own_trust else settings.ca_path,
        verify_depth=told.verify_depth if given.verify_depth != usual.verify_depth else settings.verify_depth,
        depth=told.depth,
        resolver=told.resolver or settings.resolver,
        ignore=(*settings.ignore, *told.ignore),
        allow_private=told.allow_private or settings.allow_private,
        limits=limits,
        timeouts=told.timeouts if given.timeouts else settings.timeouts,
        deadline=told.deadline if given.deadline != usual.deadline else settings.deadline,
        twins=told.twins,
    )


def _depth(text: str) -> Depth:
    from mxprobe.probing.settings import DEPTHS

    for known in DEPTHS:
        if text == known:
            return known
    raise InvalidSetting("--depth", f"{text!r} is not a depth", ", ".join(DEPTHS))


def _deadline(seconds: float) -> float:
    if math.isnan(seconds):  # which no comparison finds too large
        raise InvalidSetting("--deadline", "'nan' is no number of seconds", "1 to 86400")
    return seconds


def _contact(text: str | None) -> str | None:
    if text is not None and not (text.isascii() and text.isprintable() and " " not in text and 0 < len(text) <= 200):
        raise InvalidSetting("--contact", f"{text!r} is not a contact", "a mail address or URL in ASCII, no spaces")
    return text
