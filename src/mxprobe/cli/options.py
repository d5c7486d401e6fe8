"""From the text of options to settings: parsed once, here, with one clear line for what is wrong."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Literal, get_args

from mxprobe import terms
from mxprobe.errors import InvalidNextHop, InvalidSetting
from mxprobe.mta.profile import Profile
from mxprobe.network.settings import Timeouts
from mxprobe.routing.ignore_list import entries_of_file, parse_ignore_list
from mxprobe.terms import PROTOCOLS, NextHop, Protocol, host_name, parse_next_hop
from mxprobe.verdict.requirements import Requirement, parse_requirement

Format = Literal["text", "json", "ndjson"]
FORMATS: tuple[Format, ...] = get_args(Format)


def ehlo_name(text: str) -> str:
    """The value of ``--ehlo``."""
    try:
        return terms.ehlo_name(text)
    except ValueError as error:
        raise InvalidSetting("--ehlo", str(error), "a host name or [ADDRESS]") from error


def timeouts(texts: Sequence[str]) -> Timeouts:
    """``STAGE=SECONDS``, as often as wanted, over the defaults."""
    stages = tuple(field.name for field in fields(Timeouts))
    patience = Timeouts()
    for text in texts:
        stage, _, value = text.partition("=")
        if stage not in stages:
            raise InvalidSetting("--timeout", f"{text!r} is not STAGE=SECONDS", f"STAGE is {', '.join(stages)}")
        try:
            seconds = float(value)
        except ValueError:
            seconds = 0.0
        if not 0.1 <= seconds <= 3600:
            raise InvalidSetting("--timeout", f"{text!r} has no time to wait for", "SECONDS is 0.1 to 3600")
        patience = replace(patience, **{stage: seconds})
    return patience


def requirements(texts: Sequence[str], *, profiles: bool) -> tuple[Requirement, ...]:
    """What is required: as told, else that STARTTLS works and that every given profile gets a session."""
    if not texts:
        texts = ("starttls", "shared-cipher") if profiles else ("starttls",)
    try:
        required = tuple(parse_requirement(part) for text in texts for part in text.split(","))
    except ValueError as error:
        raise InvalidSetting("--require", str(error)) from error
    if not profiles and any(requirement.name == "shared-cipher" for requirement in required):
        raise InvalidSetting("--require", "shared-cipher says with whom: it needs a --profile")
    return required


def profile(text: str, configuration: Path | None) -> Profile:
    """A profile by name, by its kind and what it is read from, or on the spot.

    ``NAME`` of a profile in probes.toml; ``PROTOCOL,PROTOCOL:SUITE:SUITE`` by OpenSSL or IANA names; ``sender:NAME``,
    ``recorded:FILE``, ``postfix:FILE`` or ``postfix:live``, ``exim:FILE``, ``gnutls:PRIORITY``.

    Raises:
        InvalidSetting: it is none of these, or what it names cannot be read or is wrong.
    """
    kind, separator, rest = text.partition(":")
    if separator:
        return _PROFILE_KINDS[kind](rest, text) if kind in _PROFILE_KINDS else _inline_profile(text)
    from mxprobe.configuration.probes_toml import read_configuration

    path = configuration or Path("probes.toml")
    known = {found.name: found for found in read_configuration(path, pass_over=True, keeps=False).profiles}
    if text not in known:
        allowed = ", ".join((*sorted(known), "PROTOCOL,PROTOCOL:SUITE:SUITE", *PROFILE_KINDS))
        raise InvalidSetting("--profile", f"{path} has no profile {text!r}", allowed)
    return known[text]


def ignore_list(texts: Sequence[str], file: str | None) -> tuple[str, ...]:
    """Whom to leave alone: entries as told, several with commas, and those of a file, one a line."""
    entries = [("--ignore", entry.strip()) for text in texts for entry in text.split(",")]
    path = given_path("--ignore-file", file)
    if path is not None:
        try:
            lines = entries_of_file(Path(path).read_text(encoding="utf-8-sig"))
        except OSError as error:
            raise InvalidSetting("--ignore-file", f"{path} cannot be read: {error.strerror or error}") from error
        except UnicodeDecodeError as error:
            raise InvalidSetting("--ignore-file", f"{path} is not UTF-8") from error
        entries += [(f"{path}: line {number}", entry) for number, entry in lines]
    for where, entry in entries:
        parse_ignore_list((entry,), where)
    return tuple(entry for _, entry in entries)


def given_path(where: str, text: str | None) -> str | None:
    """A path that may be left away, but not be empty: so it is where a variable of a script was not set."""
    if text == "":
        raise InvalidSetting(where, "it is empty", "a path")
    return text


def protocol(text: str, where: str = "--protocol") -> Protocol:
    """A protocol by OpenSSL's name, in any case; TLSv1.0 is TLSv1."""
    for known in PROTOCOLS:
        if text.lower() in (known.lower(), f"{known}.0".lower()):
            return known
    raise InvalidSetting(where, f"{text!r} is not a protocol", ", ".join(PROTOCOLS))


def suite_number(text: str, where: str = "--cipher", protocols: tuple[Protocol, ...] = ()) -> int:
    """A cipher suite by OpenSSL name, IANA name or number; numbers that nobody knows may be asked for too.

    SSLv2 has suites of its own, some under names that later suites have too: `protocols`, those that it is to be
    offered in, tell which is meant. Without them it may be of any.
    """
    from mxprobe.tls.suites import fits_hello_of, suite_named

    found = suite_named(text, protocols)
    if found is None:
        allowed = "an OpenSSL name like ECDHE-RSA-AES128-GCM-SHA256, an IANA name, a number like 0xC02F"
        raise InvalidSetting(where, f"{text!r} is not a cipher suite", allowed)
    if protocols and not fits_hello_of(found.number, protocols):
        allowed = "in SSLv2 its own kinds, like RC4-MD5 or 0x010080; elsewhere numbers up to 0xFFFF"
        raise InvalidSetting(where, f"{text!r} is not of {', '.join(protocols)}", allowed)
    return found.number


def destinations(
    texts: Sequence[str], connect: Sequence[str], known_as: str | None
) -> tuple[tuple[NextHop, ...], Mapping[str, str]]:
    """The next-hops to probe, and the addresses to dial for host names.

    ``--connect NAME=ADDR`` dials ADDR for a host. ``--connect ADDR[:PORT]`` dials it in place of all that the one
    next-hop leads to, which then counts as the host ``--as NAME`` (default: the next-hop itself); nothing is looked up.
    """
    hops = tuple(parse_next_hop(text) for text in texts)
    mapped: dict[str, str] = {}
    direct: list[NextHop] = []
    for text in connect:
        name, equals, address = text.partition("=")
        if equals:
            mapped[_host(name)] = _address(address)
        else:
            direct.append(_direct(text))
    if known_as is not None and not direct:
        raise InvalidSetting("--as", "it names what --connect ADDR[:PORT] leads to, which is missing")
    if direct:
        if len(direct) > 1 or len(hops) > 1:
            raise InvalidSetting("--connect", "ADDR[:PORT] stands for one next-hop; for more use NAME=ADDR")
        hops = (_redirected(hops, direct[0], known_as, connect),)
        if hops[0].host != str(direct[0].address):
            mapped[hops[0].host] = str(direct[0].address)
    if not hops:
        raise InvalidSetting("NEXT_HOP", "there is nothing to probe", "example.com, [host]:port, ...")
    return hops, mapped


def _redirected(hops: tuple[NextHop, ...], there: NextHop, known_as: str | None, connect: Sequence[str]) -> NextHop:
    port_given = connect[0].endswith(f":{there.port}")
    if hops:
        port = there.port if port_given else hops[0].port
        host = _host(known_as) if known_as else hops[0].host
        address = None if known_as else hops[0].address
        return replace(hops[0], host=host, port=port, mx_lookup=False, address=address)
    host = _host(known_as) if known_as else there.host
    return replace(parse_next_hop(f"[{host}]:{there.port}"), text=f"[{host}]:{there.port}")


def _direct(text: str) -> NextHop:
    bare = f"[{text}]" if text.count(":") > 1 and not text.startswith("[") else text
    try:
        there = parse_next_hop(bare)
    except InvalidNextHop as error:
        raise InvalidSetting("--connect", error.reason, "ADDR, ADDR:PORT, [IPv6]:PORT, NAME=ADDR") from error
    if there.address is None:
        raise InvalidSetting("--connect", f"{text!r} is not an address", "ADDR, ADDR:PORT, [IPv6]:PORT, NAME=ADDR")
    return there


def _host(text: str) -> str:
    try:
        return host_name(text)
    except ValueError as error:
        raise InvalidSetting("--connect/--as", str(error), "a host name") from error


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text.strip("[]")))
    except ValueError as error:
        raise InvalidSetting("--connect", f"{text!r} is not an IP address", "NAME=ADDR") from error


def _sender(name: str, _text: str) -> Profile:
    from mxprobe.configuration import profiles

    return profiles.sender_profile(None, name, where="--profile")


def _recorded(file: str, _text: str) -> Profile:
    from mxprobe.configuration import profiles

    return profiles.recorded_profile(None, _path(file, "recorded:FILE"), where="--profile")


def _postfix(file: str, text: str) -> Profile:
    from mxprobe.configuration import profiles

    return profiles.postfix_profile(_shown(text), _path(file, "postfix:FILE, postfix:live"), where="--profile")


def _exim(file: str, text: str) -> Profile:
    from mxprobe.configuration import profiles

    return profiles.exim_profile(_shown(text), _path(file, "exim:FILE"), where="--profile")


def _gnutls(priority: str, text: str) -> Profile:
    from mxprobe.configuration import profiles

    return profiles.gnutls_profile(_shown(text), priority, where="--profile")


PROFILE_KINDS = ("sender:NAME", "recorded:FILE", "postfix:FILE", "exim:FILE", "gnutls:PRIORITY")
"""How profiles are named on the command line that are read from somewhere else than probes.toml."""

_PROFILE_KINDS: dict[str, Callable[[str, str], Profile]] = {
    "sender": _sender,
    "recorded": _recorded,
    "postfix": _postfix,
    "exim": _exim,
    "gnutls": _gnutls,
}


def _path(text: str, allowed: str) -> str:
    """A path behind the kind of a profile: not empty, as it is where a variable of a script was not set."""
    if not text:
        raise InvalidSetting("--profile", "it names no file", allowed)
    return text


def _shown(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."


def _inline_profile(text: str) -> Profile:
    versions, *suites = text.split(":")
    protocols = tuple(protocol(name, "--profile") for name in versions.split(","))
    return Profile(
        name=_shown(text),
        protocols=protocols,
        suites=tuple(suite_number(name, "--profile", protocols) for name in suites),
    )
