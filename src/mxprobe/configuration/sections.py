"""The sections of `probes.toml`: every key, what it may hold, its default, and what is said when it holds something
else. pydantic checks them; the meaning of names in them is for `mxprobe.configuration.probes_toml`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from difflib import get_close_matches
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from mxprobe.alerts.weekly import ALLOWED_DIGEST
from mxprobe.configuration.quiet_hours import ALLOWED_QUIET, ALLOWED_TIMEZONE
from mxprobe.configuration.rhythm import ALLOWED_EVERY, ALLOWED_JITTER, ALLOWED_SPAN
from mxprobe.mta.profile import Tls
from mxprobe.network.settings import Limits, Manners, Timeouts
from mxprobe.terms import PROTOCOLS, Protocol

Depth = Literal["quick", "standard", "full", "everything"]
"""How much is asked of an endpoint (README, "Depths")."""

AlertSeverity = Literal["info", "warning", "critical"]
"""From which severity on somebody is told (docs/events.md)."""

ALLOWED_EXPIRY_DAYS = "an array of up to ten whole numbers from 1 to 365"

ALLOWED_EHLO = "a host name that resolves back to this machine, or [192.0.2.1], [IPv6:2001:db8::1]"

TlsLibrary = Literal["openssl", "gnutls"]
"""What an Exim is built with."""

_TIMEOUTS = Timeouts()
_LIMITS = Limits()
_MANNERS = Manners(ehlo="")

# TOML has types: "3" is not 3, and 1 is not true.
_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

Text = Annotated[str, Field(min_length=1, max_length=1000, pattern=r"\A[^\x00-\x1f\x7f]+\z", description="a text")]
File = Annotated[Text, Field(description="the path of a file; relative to the directory of probes.toml")]
Directory = Annotated[Text, Field(description="the path of a directory; relative to the directory of probes.toml")]
Seconds = Annotated[float, Field(ge=0.1, le=3600, description="seconds, from 0.1 to 3600")]
PerMinute = Annotated[int, Field(ge=1, le=100000, description="a whole number from 1 to 100000")]
Flag = Annotated[bool, Field(description="true or false")]


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeoutsSection(Timeouts):
    """``[probe.timeouts]``: patience for each stage of a connection."""

    __pydantic_config__ = _STRICT

    connect: Seconds = _TIMEOUTS.connect
    greeting: Seconds = _TIMEOUTS.greeting
    ehlo: Seconds = _TIMEOUTS.ehlo
    starttls: Seconds = _TIMEOUTS.starttls
    hello: Seconds = _TIMEOUTS.hello
    handshake: Seconds = _TIMEOUTS.handshake
    quit: Seconds = _TIMEOUTS.quit
    pause: Seconds = _TIMEOUTS.pause


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeSection:
    """``[probe]``: how every endpoint is asked. What is None is left to the program."""

    __pydantic_config__ = _STRICT

    ehlo: Annotated[Text | None, Field(description=ALLOWED_EHLO)] = None
    contact: Annotated[
        Text | None, Field(pattern=r"\A[!-~]+\z", description="a mail address or URL in ASCII, without spaces")
    ] = None
    ca_path: Directory | None = None
    ca_file: File | None = None
    verify_depth: Annotated[int, Field(ge=1, le=100, description="a whole number from 1 to 100")] = 9
    depth: Annotated[Depth, Field(description=", ".join(get_args(Depth)))] = "standard"
    resolver: Annotated[Text | None, Field(description="ADDR, ADDR:PORT, [IPv6]:PORT")] = None
    allow_private: Flag = False
    ignore: Annotated[
        tuple[Text, ...], Field(description="an array of domains, addresses and networks like 192.0.2.0/24")
    ] = ()
    ignore_file: File | None = None
    deadline: Annotated[float, Field(ge=1, le=86400, description="seconds, from 1 to 86400")] = _MANNERS.deadline
    twins: Flag = True
    full_every: Annotated[int, Field(ge=1, le=100, description="a whole number from 1 to 100")] = 7
    timeouts: Annotated[TimeoutsSection, Field(description="a table [probe.timeouts]")] = field(
        default_factory=TimeoutsSection
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsSection(Limits):
    """``[limits]``: connections at a time, and in any minute. What is None is left to the program."""

    __pydantic_config__ = _STRICT

    connections: Annotated[int, Field(ge=1, le=10000, description="a whole number from 1 to 10000")] = (
        _LIMITS.connections
    )
    per_address: Annotated[int, Field(ge=1, le=100, description="a whole number from 1 to 100")] = _LIMITS.per_address
    per_provider: Annotated[int | None, Field(ge=1, le=10000, description="a whole number from 1 to 10000")] = None
    connections_per_minute: PerMinute | None = None
    per_address_per_minute: PerMinute | None = None
    per_provider_per_minute: PerMinute | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileSection:
    """``[profiles.NAME]``: what some MTA offers. `mxprobe.configuration.profiles` knows which keys go together."""

    __pydantic_config__ = _STRICT

    protocols: Annotated[
        tuple[Protocol, ...] | None,
        Field(min_length=1, description=f"an array of one or more of {', '.join(PROTOCOLS)}"),
    ] = None
    suites: Annotated[
        tuple[Text, ...] | None,
        Field(min_length=1, description="an array of one or more OpenSSL or IANA names of cipher suites"),
    ] = None
    groups: Annotated[tuple[Text, ...] | None, Field(description="an array of IANA names of groups, like x25519")] = (
        None
    )
    signature_schemes: Annotated[
        tuple[Text, ...] | None, Field(description="an array of IANA names of signature schemes, like ed25519")
    ] = None
    postfix: Annotated[
        File | None, Field(description='the path of a main.cf, or "live" for what postconf -n prints here')
    ] = None
    master: File | None = None
    service: Annotated[Text | None, Field(description="the name of a service in master.cf, like smtp or relay")] = None
    postfix_version: Annotated[Text | None, Field(description="a version of Postfix, like 3.7")] = None
    level: Annotated[Tls | None, Field(description=", ".join(get_args(Tls)))] = None
    overrides: Annotated[dict[Text, str] | None, Field(description="a table of Postfix parameters, as texts")] = None
    exim: Annotated[File | None, Field(description="the path of an Exim configuration")] = None
    transport: Annotated[Text | None, Field(description="the name of an smtp transport of Exim")] = None
    tls_library: Annotated[TlsLibrary | None, Field(description=", ".join(get_args(TlsLibrary)))] = None
    tls_require_ciphers: Annotated[Text | None, Field(description="an OpenSSL cipher list, as Exim takes it")] = None
    openssl_options: Annotated[Text | None, Field(description="options of Exim, like +no_tlsv1 +no_tlsv1_1")] = None
    openssl: Annotated[Text | None, Field(description="a version of OpenSSL: 1.0.2, 1.1.1, 3.0")] = None
    gnutls: Annotated[Text | None, Field(description="a GnuTLS priority string, like NORMAL:-VERS-TLS1.0")] = None
    recorded: Annotated[File | None, Field(description="the path of a file of mxprobe profile record")] = None
    sender: Annotated[Text | None, Field(description="the name of a sender that mxprobe senders lists")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSection:
    """``[[group]]``: some next-hops, and what is required of them."""

    __pydantic_config__ = _STRICT

    name: Text
    next_hops: Annotated[tuple[Text, ...], Field(description="an array of next-hops in Postfix syntax")] = ()
    file: Annotated[File | None, Field(description="the path of a file; - is standard input")] = None
    profile: Annotated[Text | None, Field(description="the NAME of a [profiles.NAME]")] = None
    require: Annotated[tuple[Text, ...], Field(description="an array of requirements")] = ()
    every: Annotated[Text, Field(description=ALLOWED_EVERY)] = "24h"
    jitter: Annotated[Text, Field(description=ALLOWED_JITTER)] = "10%"
    quiet: Annotated[tuple[Text, ...], Field(description=f"an array of spans like {ALLOWED_QUIET}")] = ()
    timezone: Annotated[Text, Field(description=ALLOWED_TIMEZONE)] = "UTC"
    depth: Annotated[Depth | None, Field(description=", ".join(get_args(Depth)))] = None
    full_every: Annotated[int | None, Field(ge=1, le=100, description="a whole number from 1 to 100")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSection:
    """``[store]``: where results are kept."""

    __pydantic_config__ = _STRICT

    url: Annotated[Text, Field(description="the URL of a database, like sqlite:///mxprobe.db")] = "sqlite:///mxprobe.db"
    password_file: File | None = None
    keep_days: Annotated[int | None, Field(ge=1, le=36500, description="a whole number from 1 to 36500")] = None
    keep_scans: Annotated[int | None, Field(ge=1, le=1000000, description="a whole number from 1 to 1000000")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSection:
    """``[service]``: how `mxprobe run` works."""

    __pydantic_config__ = _STRICT

    at_once: Annotated[int, Field(ge=1, le=10000, description="a whole number from 1 to 10000")] = 200
    stop_within: Annotated[float, Field(ge=0, le=3600, description="seconds, from 0 to 3600")] = 60.0
    confirm_after: Annotated[float, Field(ge=0, le=3600, description="seconds, from 0 to 3600")] = 60.0
    metrics: Annotated[Text | None, Field(description="ADDR:PORT or [IPv6]:PORT")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeSection:
    """``[notice]``: when a difference is worth an event (`mxprobe.verdict.seen.NoticeSettings`)."""

    __pydantic_config__ = _STRICT

    expiry_days: Annotated[
        tuple[Annotated[int, Field(ge=1, le=365, description=ALLOWED_EXPIRY_DAYS)], ...],
        Field(max_length=10, description=ALLOWED_EXPIRY_DAYS),
    ] = (21, 7, 1)
    unknown_after: Annotated[Text, Field(description=ALLOWED_SPAN)] = "7d"
    flapping_changes: Annotated[int, Field(ge=3, le=100, description="a whole number from 3 to 100")] = 4
    flapping_window: Annotated[Text, Field(description=ALLOWED_SPAN)] = "14d"
    stable_after: Annotated[Text, Field(description=ALLOWED_SPAN)] = "7d"
    summary_targets: Annotated[int, Field(ge=2, le=1000000, description="a whole number from 2 to 1000000")] = 5
    forget_after: Annotated[Text, Field(description=ALLOWED_SPAN)] = "365d"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertSection:
    """``[[alert]]``: who is told of events. `mxprobe.configuration.alert_sections` knows which keys go together."""

    __pydantic_config__ = _STRICT

    name: Annotated[Text, Field(description="a text, each once")]
    url: Annotated[Text | None, Field(description="a URL of apprise, like mailto://..., or webhook+https://...")] = (
        field(default=None, repr=False)
    )
    url_file: Annotated[File | None, Field(description="the path of a file that holds the URL")] = None
    url_env: Annotated[Text | None, Field(description="the name of an environment variable with the URL")] = None
    secret_file: Annotated[File | None, Field(description="the path of a file that holds the secret")] = None
    secret_env: Annotated[Text | None, Field(description="the name of an environment variable with the secret")] = None
    groups: Annotated[tuple[Text, ...], Field(description="an array of names of groups")] = ()
    severity: Annotated[AlertSeverity, Field(description=", ".join(get_args(AlertSeverity)))] = "warning"
    template: File | None = None
    digest: Annotated[Text | None, Field(description=ALLOWED_DIGEST)] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sections:
    """All of `probes.toml`."""

    __pydantic_config__ = _STRICT

    probe: Annotated[ProbeSection, Field(description="a table [probe]")] = field(default_factory=ProbeSection)
    limits: Annotated[LimitsSection, Field(description="a table [limits]")] = field(default_factory=LimitsSection)
    profiles: Annotated[dict[str, ProfileSection], Field(description="tables [profiles.NAME]")] = field(
        default_factory=dict
    )
    group: Annotated[tuple[GroupSection, ...], Field(description="tables [[group]], in double brackets")] = ()
    store: Annotated[StoreSection, Field(description="a table [store]")] = field(default_factory=StoreSection)
    service: Annotated[ServiceSection, Field(description="a table [service]")] = field(default_factory=ServiceSection)
    notice: Annotated[NoticeSection, Field(description="a table [notice]")] = field(default_factory=NoticeSection)
    alert: Annotated[tuple[AlertSection, ...], Field(description="tables [[alert]], in double brackets")] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One thing wrong with the shape of the document: the path of the key, what was found, what is allowed."""

    key: str
    problem: str
    allowed: str | None


def check_sections(document: dict[str, Any]) -> Sections | tuple[Mistake, ...]:
    """The sections of a TOML document, or all that is wrong with their keys and the types of their values."""
    try:
        # By way of JSON, where an array may become a tuple although types are strict; dates become text.
        return TypeAdapter(Sections).validate_json(json.dumps(document, default=str))
    except RecursionError:
        return (Mistake(key="", problem="it has too many tables or arrays within each other", allowed=None),)
    except ValidationError as error:
        return tuple(_mistakes(error))


def key_path(location: tuple[str | int, ...]) -> str:
    """A place in the document as a reader finds it: ``group[0].require[1]``."""
    path = ""
    for step in location:
        if isinstance(step, int):
            path += f"[{step}]"
        else:
            bare = step.isascii() and step.replace("-", "").replace("_", "").isalnum()
            shown = step if len(step) <= 80 else f"{step[:77]}..."
            path += ("." if path else "") + (shown if bare else json.dumps(shown))
    return path


def closest(found: str, allowed: tuple[str, ...]) -> str:
    """A question for the end of a message, if one of the allowed names looks much like the one that was found."""
    return "".join(f"; did you mean {name!r}?" for name in get_close_matches(found, allowed, n=1))


def brief(value: object) -> str:
    """A value of the document on one line of bounded length."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _mistakes(error: ValidationError) -> Iterator[Mistake]:
    errors = error.errors(include_url=False)
    places = [wrong["loc"] for wrong in errors]
    unknown: dict[tuple[str | int, ...], tuple[str, ...]] = {}
    meant: set[tuple[str | int, ...]] = set()
    for wrong in errors:
        if wrong["type"] == "unexpected_keyword_argument":
            *section, name = wrong["loc"]
            names = tuple(known.name for known in fields(_look_up(tuple(section))[0]))
            unknown[wrong["loc"]] = names
            meant.update((*section, close) for close in get_close_matches(str(name), names, n=1))
    for wrong in errors:
        place = wrong["loc"]
        key = key_path(place)
        if place in unknown:
            problem = f"unknown key{closest(str(place[-1]), unknown[place])}"
            yield Mistake(key=key, problem=problem, allowed=", ".join(unknown[place]))
        elif wrong["type"] == "missing":
            # Where a mistyped key was meant for it, that is the mistake.
            if place not in meant:
                yield Mistake(key=key, problem="missing", allowed=_look_up(place)[1])
        elif not any(len(other) > len(place) and other[: len(place)] == place for other in places):
            found = "something else" if _may_be_secret(place) else brief(wrong["input"])
            yield Mistake(key=key, problem=f"found {found}", allowed=_look_up(place)[1])


def _may_be_secret(place: tuple[str | int, ...]) -> bool:
    """Whether what stands there may have a password in it, whatever else is wrong with it: URLs of alerts and of the
    store, secrets, and the tables around them."""
    section, *keys = place
    if section == "alert":
        return not keys[1:] or str(keys[1]).startswith(("url", "secret"))
    return section == "store" and (not keys or str(keys[0]).startswith(("url", "password")))


def _look_up(location: tuple[str | int, ...]) -> tuple[Any, str | None]:
    """The type at a place in the document, and the words for what is allowed there or around it."""
    found: Any = Sections
    words = None
    for step in location:
        if is_dataclass(found):
            found = get_type_hints(found, include_extras=True)[str(step)]
        else:
            # The items of tuple[X, ...], the values of dict[str, X]; a key of that is wrong itself at "[key]".
            if not (arguments := get_args(found)):
                break
            found = arguments[0 if isinstance(step, int) else 1]
        found, own = _bare(found)
        words = own or words
    return found, words


def _bare(found: Any) -> tuple[Any, str | None]:
    """A type without Annotated and None, and its description: the outermost, and the last of those on a level."""
    words = None
    while True:
        if get_origin(found) is Annotated:
            found, *notes = get_args(found)
            descriptions = [note.description for note in notes if getattr(note, "description", None)]
            words = words or (descriptions[-1] if descriptions else None)
        elif type(None) in get_args(found):
            found = next(kind for kind in get_args(found) if kind is not type(None))
        else:
            return found, words
