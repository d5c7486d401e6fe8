"""Reading `probes.toml`: all of it is right, or nothing runs; every mistake gets a line of its own."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path

from mxprobe.errors import InvalidNextHop, InvalidSetting, StoreError
from mxprobe.mta.profile import Profile
from mxprobe.routing.ignore_list import entries_of_file, parse_ignore_list
from mxprobe.schedule.files import read_at_most
from mxprobe.schedule.profiles import profile_of_section
from mxprobe.schedule.sections import (
    GroupSection,
    LimitsSection,
    ProbeSection,
    ProfileSection,
    Sections,
    brief,
    check_sections,
    closest,
    key_path,
)
from mxprobe.store import sqlite_path, sqlite_url
from mxprobe.store.location import ALLOWED_URL
from mxprobe.terms import NextHop, host_name, parse_next_hop
from mxprobe.verdict.requirements import ALLOWED_REQUIREMENTS, REQUIREMENTS, Requirement, parse_requirement

MAX_FILE = 50_000_000
"""Bytes of a file that we read: far beyond a million next-hops, and short of taking the machine's memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Next-hops that are scanned with one profile and have to meet the same requirements."""

    name: str
    next_hops: tuple[NextHop, ...]
    profile: Profile | None = None
    requirements: tuple[Requirement, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """All of a `probes.toml`, names looked up, and paths in it made relative to where it lies.

    `probe.ignore` has the entries of the `ignore_file` too.
    """

    path: Path
    probe: ProbeSection
    limits: LimitsSection
    profiles: tuple[Profile, ...]
    groups: tuple[Group, ...]
    store_url: str

    def select_groups(self, names: tuple[str, ...] = ()) -> tuple[Group, ...]:
        """The groups of these names, in the order of the file; all of them if no name is given.

        Raises:
            InvalidSetting: there is no group of that name, or none at all.
        """
        if not self.groups:
            raise InvalidSetting(f"{self.path}: group", "there is none, so there is nothing to scan", "[[group]]")
        known = tuple(group.name for group in self.groups)
        for name in names:
            if name not in known:
                problem = f"there is no group {name!r}{closest(name, known)}"
                raise InvalidSetting(str(self.path), problem, ", ".join(known))
        return tuple(group for group in self.groups if not names or group.name in names)


class InvalidConfiguration(InvalidSetting):
    """What is wrong with a configuration; ``str(error)`` has one line for each of the `mistakes`."""

    def __init__(self, mistakes: tuple[InvalidSetting, ...]) -> None:
        self.mistakes = mistakes
        super().__init__(mistakes[0].where, mistakes[0].problem, mistakes[0].allowed)
        self.args = ("\n".join(str(mistake) for mistake in mistakes),)


def read_configuration(path: Path) -> Configuration:
    """Read a `probes.toml`, and the files of next-hops that its groups name.

    Paths in it, the one in ``store.url`` too, are relative to its directory, so that it means the same under cron.

    Raises:
        InvalidConfiguration: it cannot be read, is not TOML, or holds what it may not; all mistakes are named.
    """
    return _Reader(path).read()


class _Reader:
    """Reads one configuration, and collects what is wrong with it on the way."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._directory = path.parent
        self._mistakes: list[InvalidSetting] = []

    def read(self) -> Configuration:
        sections = self._sections()
        profiles = {name: self._profile(name, section) for name, section in sections.profiles.items()}
        names: set[str] = set()
        groups = []
        for number, section in enumerate(sections.group):
            if section.name in names:
                self._wrong(f"group[{number}].name", f"another group is called {section.name!r} too")
            names.add(section.name)
            groups.append(self._group(f"group[{number}]", section, profiles))
        configuration = Configuration(
            path=self._path,
            probe=self._probe(sections.probe),
            limits=sections.limits,
            profiles=tuple(profile for profile in profiles.values() if profile),
            groups=tuple(groups),
            store_url=self._store_url(sections.store.url),
        )
        self._stop_if_wrong()
        return configuration

    def _wrong(self, key: str, problem: str, allowed: str | None = None) -> None:
        where = f"{self._path}: {key}" if key else str(self._path)
        self._mistakes.append(InvalidSetting(where, problem, allowed))

    def _stop_if_wrong(self) -> None:
        if self._mistakes:
            raise InvalidConfiguration(tuple(self._mistakes))

    def _sections(self) -> Sections:
        text = self._text(self._path)
        document = {}
        if text is not None:
            try:
                document = tomllib.loads(text)
            except tomllib.TOMLDecodeError as error:
                placed = _TOML_ERROR.fullmatch(str(error))
                said, place = placed.groups() if placed else (str(error), "")
                if not place.startswith("line"):
                    last = text.rstrip().count("\n") + 1
                    place = f"line {last}, at the end"
                self._wrong(place, f"not TOML: {said}")
        self._stop_if_wrong()
        sections = check_sections(document)
        if isinstance(sections, tuple):
            for mistake in sections:
                self._wrong(mistake.key, mistake.problem, mistake.allowed)
            raise InvalidConfiguration(tuple(self._mistakes))
        return sections

    def _text(self, path: Path, named_at: str | None = None) -> str | None:
        """A file that the user wrote; None, and a mistake, when it cannot be read.

        `named_at` is the key that names the file, if it is not the configuration itself.
        """
        where, subject = (str(path), "") if named_at is None else (f"{self._path}: {named_at}", f"{path} ")
        try:
            data = read_at_most(path, MAX_FILE)
        except OSError as error:
            self._mistakes.append(InvalidSetting(where, f"{subject}cannot be read: {error.strerror or error}"))
            return None
        if len(data) > MAX_FILE:
            self._mistakes.append(InvalidSetting(where, f"{subject}is longer than {MAX_FILE} bytes"))
            return None
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            self._mistakes.append(InvalidSetting(f"{path}: line {line}", "this is not UTF-8"))
            return None

    def _probe(self, section: ProbeSection) -> ProbeSection:
        if section.ehlo is not None:
            try:
                host_name(section.ehlo)
            except ValueError as error:
                self._wrong("probe.ehlo", str(error), "a host name that resolves back to this machine")
        if section.resolver is not None:
            # The resolver's module takes long to import, and most configurations leave it to the system.
            from mxprobe.network.resolver import parse_resolver

            try:
                parse_resolver(section.resolver, where=f"{self._path}: probe.resolver")
            except InvalidSetting as error:
                self._mistakes.append(error)
        return replace(
            section,
            ca_path=self._beside(section.ca_path),
            ca_file=self._beside(section.ca_file),
            ignore=self._ignore(section),
        )

    def _ignore(self, section: ProbeSection) -> tuple[str, ...]:
        """Who is left alone, by the list and by the file."""
        entries = [(f"{self._path}: probe.ignore[{index}]", entry) for index, entry in enumerate(section.ignore)]
        if section.ignore_file is not None:
            path = self._directory / Path(section.ignore_file).expanduser()
            text = self._text(path, "probe.ignore_file") or ""
            entries += [(f"{path}: line {number}", entry) for number, entry in entries_of_file(text)]
        for where, entry in entries:
            try:
                parse_ignore_list((entry,), where)
            except InvalidSetting as error:
                self._mistakes.append(error)
        return tuple(dict.fromkeys(entry for _, entry in entries))

    def _beside(self, name: str | None) -> str | None:
        return None if name is None else str(self._directory / Path(name).expanduser())

    def _profile(self, name: str, section: ProfileSection) -> Profile | None:
        where = f"{self._path}: {key_path(('profiles', name))}"
        profile, mistakes = profile_of_section(name, section, directory=self._directory, where=where)
        self._mistakes += mistakes
        return profile

    def _group(self, key: str, section: GroupSection, profiles: dict[str, Profile | None]) -> Group:
        next_hops: dict[str, NextHop] = {}
        before = len(self._mistakes)
        for index, text in enumerate(section.next_hops):
            self._next_hop(f"{self._path}: {key}.next_hops[{index}]", text, next_hops)
        if section.file is not None:
            self._file(f"{key}.file", section.file, next_hops)
        if not next_hops and len(self._mistakes) == before:
            self._wrong(key, "it has no next-hops", "next_hops, or a file with one next-hop a line")
        profile = None
        if section.profile is not None:
            profile = profiles.get(section.profile)
            if section.profile not in profiles:
                problem = f"there is no profile {section.profile!r}{closest(section.profile, tuple(profiles))}"
                self._wrong(f"{key}.profile", problem, ", ".join(profiles) or "the NAME of a [profiles.NAME]")
        return Group(
            name=section.name,
            next_hops=tuple(next_hops.values()),
            profile=profile,
            requirements=self._requirements(key, section),
        )

    def _requirements(self, key: str, section: GroupSection) -> tuple[Requirement, ...]:
        requirements: dict[Requirement, None] = {}
        for index, text in enumerate(section.require):
            where = f"{key}.require[{index}]"
            try:
                requirement = parse_requirement(text)
            except ValueError:
                problem = f"{brief(text)} is not a requirement{closest(text, REQUIREMENTS)}"
                self._wrong(where, problem, ALLOWED_REQUIREMENTS)
                continue
            if requirement.name == "shared-cipher" and section.profile is None:
                self._wrong(where, f"{text!r} needs a profile, with which a cipher can be shared", f"{key}.profile")
            requirements[requirement] = None
        return tuple(requirements)

    def _file(self, key: str, name: str, next_hops: dict[str, NextHop]) -> None:
        """Next-hops from a file: one a line, `#` begins a comment."""
        path = self._directory / Path(name).expanduser()
        for number, line in enumerate((self._text(path, key) or "").split("\n"), start=1):
            text = line.partition("#")[0].strip()
            if text:
                self._next_hop(f"{path}: line {number}", text, next_hops)

    def _next_hop(self, where: str, text: str, next_hops: dict[str, NextHop]) -> None:
        try:
            next_hop = parse_next_hop(text.strip())
        except InvalidNextHop as error:
            self._mistakes.append(InvalidSetting(where, str(error)))
        else:
            next_hops[next_hop.text] = next_hop

    def _store_url(self, url: str) -> str:
        try:
            return sqlite_url(self._directory / sqlite_path(url).expanduser())
        except StoreError:
            self._wrong("store.url", f"found {brief(url)}", ALLOWED_URL)
            return url


_TOML_ERROR = re.compile(r"(.*) \(at (line \d+, column \d+|end of document)\)", re.DOTALL)
