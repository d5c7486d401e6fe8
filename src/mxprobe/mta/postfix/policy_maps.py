"""Postfix's TLS policy of a destination: `smtp_tls_policy_maps`, and `smtp_tls_per_site` before it.

As `smtp_tls_policy.c` of each version does it: which keys are looked up, what an entry may say, and what of it makes
Postfix defer the mail (postconf(5), TLS_README, TLS_LEGACY_README).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from mxprobe.mta.postfix.lookup_tables import (
    BLANKS,
    BrokenLookup,
    Entry,
    Tables,
    UnknownLookup,
    folded,
    lookup,
    without_braces,
    words,
)
from mxprobe.mta.profile import Tls
from mxprobe.terms import host_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What Postfix demands of one destination: a level, and what the entry says over main.cf, None where it does not.

    `match` are names or fingerprints. `entry` is where all this is from.
    """

    level: Tls
    entry: Entry
    ciphers: str | None = None
    protocols: str | None = None
    exclude: str | None = None
    match: tuple[str, ...] = ()
    trust_anchors: bool = False
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class InvalidPolicy:
    """A policy that Postfix cannot use: it defers the mail with `status`, and logs `reason`."""

    reason: str
    status: str = "4.7.5"
    entry: Entry | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownPolicy:
    """A policy that cannot be told on paper."""

    reason: str


Version = tuple[int, ...]


def policy_keys(next_hop: str) -> Iterator[str]:
    """The keys that are looked up for a next-hop, in turn: for a domain also its parents, with a dot before them; for
    anything else, such as ``[host]`` or ``host:port``, that text alone."""
    yield next_hop
    if not _is_host_name(next_hop):
        return
    dot = next_hop.find(".", 1)
    while dot != -1:
        yield next_hop[dot:]
        dot = next_hop.find(".", dot + 1)


def policy_of(tables: Tables, next_hop: str, postfix: Version) -> Policy | InvalidPolicy | UnknownPolicy | None:
    """The policy of `smtp_tls_policy_maps` for a next-hop (Postfix syntax, without a transport); None where it has
    none, and the level of main.cf holds."""
    for key in policy_keys(next_hop):
        found = lookup(tables, key)
        match found:
            case None:
                continue
            case Entry():
                return read_policy(found, postfix)
            case BrokenLookup():
                return InvalidPolicy(reason=found.reason)
            case UnknownLookup():
                return UnknownPolicy(reason=found.reason)
    return None


def read_policy(entry: Entry, postfix: Version) -> Policy | InvalidPolicy:
    """Read the value of an entry, as this version of Postfix does. Any mistake makes all of it invalid."""
    try:
        return _read_policy(entry, postfix)
    except _Malformed as mistake:
        return InvalidPolicy(reason=str(mistake), entry=entry)


def per_site_level(tables: Tables, next_hop: str, host: str, general: Tls) -> Tls | InvalidPolicy | UnknownPolicy:
    """The level by `smtp_tls_per_site`: the next-hop and the host's name are looked up, the stronger entry holds (MUST,
    MUST_NOPEERMATCH, NONE, MAY), and a MAY yields to a stronger level of main.cf (TLS_LEGACY_README)."""
    strongest = -1
    for key in dict.fromkeys((next_hop, host) if folded(next_hop) != folded(host) else (next_hop,)):
        found = lookup(tables, key)
        if isinstance(found, BrokenLookup):
            return InvalidPolicy(reason=found.reason, status="4.3.0")
        if isinstance(found, UnknownLookup):
            return UnknownPolicy(reason=found.reason)
        if found is None:
            continue
        keyword = found.value.upper()
        if keyword not in _PER_SITE:
            return InvalidPolicy(reason=f"unknown TLS policy '{found.value}' for {key}", entry=found)
        strongest = max(strongest, tuple(_PER_SITE).index(keyword))
    if strongest < 0:
        return general
    level = tuple(_PER_SITE.values())[strongest]
    return general if level == "may" and LEVELS.index(general) > LEVELS.index("may") else level


LEVELS: tuple[Tls, ...] = ("none", "may", "encrypt", "fingerprint", "dane", "dane-only", "verify", "secure")
"""The levels as Postfix counts them, the weakest first (`tls_level.c`)."""
assert set(LEVELS) == set(get_args(Tls))

_SINCE: Mapping[Tls, Version] = {"fingerprint": (2, 5), "dane": (2, 11), "dane-only": (2, 11)}

# The weakest first.
_PER_SITE: Mapping[str, Tls] = {"MAY": "may", "NONE": "none", "MUST_NOPEERMATCH": "encrypt", "MUST": "verify"}

Repeats = Literal["no", "yes", "last"]

_ATTRIBUTES: Mapping[str, tuple[Version, Repeats]] = {
    "ciphers": ((2, 3), "no"),
    "protocols": ((2, 3), "no"),
    "match": ((2, 3), "yes"),
    "exclude": ((2, 6), "no"),
    "tafile": ((2, 11), "yes"),
    "servername": ((3, 4), "no"),
    "connection_reuse": ((3, 4), "last"),
    "enable_rpk": ((3, 9), "last"),
    "policy_type": ((3, 10), "no"),
    "policy_domain": ((3, 10), "no"),
    "policy_string": ((3, 10), "yes"),
    "mx_host_pattern": ((3, 10), "yes"),
    "policy_failure": ((3, 10), "no"),
    "policy_ttl": ((3, 10), "no"),
}
"""Since when, and whether an attribute may come twice (`smtp_tls_policy.c` of each version)."""

_ONLY_WITH_A_TYPE = ("policy_domain", "policy_string", "mx_host_pattern", "policy_failure", "policy_ttl")
_POLICY_TYPES = ("tlsa", "sts", "no-policy-found")  # RFC 8460 §4.4


class _Malformed(Exception):
    """Why a policy is invalid, in the words of Postfix's log."""


def _read_policy(entry: Entry, postfix: Version) -> Policy:
    said = list(words(entry.value, braces=postfix >= (3, 10)))
    if not said:
        raise _Malformed("invalid empty policy")
    level = next((known for known in LEVELS if known == said[0].lower()), None)
    if level is None or postfix < _SINCE.get(level, (2, 3)):
        raise _Malformed(f'invalid security level "{said[0]}"')
    if level == "none":
        warnings = tuple(f'ignoring attribute "{word}" with TLS disabled' for word in said[1:])
        return Policy(level=level, entry=entry, warnings=warnings)
    values: dict[str, list[str]] = {}
    for word in said[1:]:
        name, value = _attribute(word, level, postfix)
        _, repeats = _ATTRIBUTES[name]
        if repeats == "no" and name in values:
            raise _Malformed(f'attribute "{name}" is specified multiple times')
        values.setdefault(name, []).append(value)
    if "policy_type" not in values and any(name in values for name in _ONLY_WITH_A_TYPE):
        raise _Malformed(
            "built-in policy has unexpected attribute policy_ttl, policy_domain, policy_string, mx_host_pattern or "
            "policy_failure"
        )

    def one(name: str) -> str | None:
        return values[name][0] if name in values else None

    by = "|" if level == "fingerprint" else ":"
    return Policy(
        level=level,
        entry=entry,
        ciphers=one("ciphers"),
        protocols=one("protocols"),
        exclude=one("exclude"),
        match=tuple(part for value in values.get("match", ()) for part in value.split(by) if part),
        trust_anchors="tafile" in values,
    )


def _attribute(word: str, level: Tls, postfix: Version) -> tuple[str, str]:
    """One attribute, its name in lower case, checked as far as it can be by itself."""
    inner = without_braces(word)
    if inner is None:
        raise _Malformed(f'malformed attribute/value pair "{word}": syntax error after braces')
    written, equals, value = inner.partition("=")
    written, value = written.strip(BLANKS), value.strip(BLANKS)
    if not written:
        raise _Malformed(f'malformed attribute/value pair "{word}": missing attribute name')
    if not equals or any(blank in written for blank in BLANKS):
        raise _Malformed(f"malformed attribute/value pair \"{word}\": missing '=' after attribute name")
    name = written.lower()
    if name not in _ATTRIBUTES or postfix < _ATTRIBUTES[name][0]:
        raise _Malformed(f'invalid attribute name: "{written}"')
    if name in ("ciphers", "protocols") and postfix < (2, 6) and level == "may":
        raise _Malformed(f'attribute "{name}" invalid at security level "{level}"')
    if name == "match" and level not in ("fingerprint", "verify", "secure"):
        raise _Malformed(f'attribute "{name}" invalid at security level "{level}"')
    if name == "tafile" and level not in ("verify", "secure"):
        raise _Malformed(f'attribute "{name}" invalid at security level "{level}"')
    if name in ("ciphers", "match", "tafile") and not value:
        raise _Malformed(f'attribute "{name}" has empty value')
    if name in ("connection_reuse", "enable_rpk") and value.lower() not in ("yes", "no"):
        raise _Malformed(f'attribute "{name}" has bad value: "{value}"')
    if name in ("servername", "policy_domain") and not _is_host_name(value):
        raise _Malformed(f'"{name}={value}" specifies an invalid hostname')
    if name == "policy_ttl" and not (value.isascii() and value.isdigit()):
        raise _Malformed(f'attribute "{name}" has a malformed value: "{value}"')
    if name == "policy_type" and value.lower() not in _POLICY_TYPES:
        raise _Malformed(f'attribute "{name}" has an unexpected value: "{value}"')
    return name, value


def _is_host_name(text: str) -> bool:
    """Whether valid_hostname() takes it: letters, digits, hyphens, underscores, dots, and not digits alone."""
    if not text.isascii():
        try:
            text = host_name(text)
        except ValueError:
            return False
    labels = text.split(".")
    return len(text) <= 255 and all(map(_is_label, labels)) and not text.replace(".", "").isdigit()


def _is_label(label: str) -> bool:
    if not 0 < len(label) <= 63 or label[0] == "-" or label[-1] == "-":
        return False
    return all(character.isalnum() or character in "-_" for character in label)
