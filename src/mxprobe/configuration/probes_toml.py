"""Reading `probes.toml`: all of it is right, or nothing runs; every mistake gets a line of its own."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from mxprobe.alerts.listener import ALLOWED_LISTENER, parse_listener
from mxprobe.alerts.targets import AlertTarget
from mxprobe.configuration.alert_sections import alert_mistakes, alert_targets
from mxprobe.configuration.files import beside
from mxprobe.configuration.group_section import EACH_DAY, requirements_of, rhythm_of
from mxprobe.configuration.next_hop_files import NextHopFile, mark_of, next_hops_in, read_text, taken_over
from mxprobe.configuration.notice_section import notice_settings
from mxprobe.configuration.profiles import profile_of_section
from mxprobe.configuration.rhythm import Rhythm
from mxprobe.configuration.sections import (
    ALLOWED_EHLO,
    AlertSection,
    Depth,
    GroupSection,
    LimitsSection,
    ProbeSection,
    ProfileSection,
    Sections,
    ServiceSection,
    check_sections,
    closest,
    key_path,
)
from mxprobe.configuration.store_section import url_of_store
from mxprobe.errors import InvalidNextHop, InvalidSetting, TrustStoreError
from mxprobe.mta.profile import Profile
from mxprobe.routing.ignore_list import entries_of_file, parse_ignore_list
from mxprobe.terms import NextHop, ehlo_name, parse_next_hop
from mxprobe.verdict.requirements import Requirement
from mxprobe.verdict.seen import DEFAULTS, NoticeSettings

STANDARD_INPUT = "-"
"""The `file` of a group whose next-hops come from standard input."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Next-hops that are scanned with one profile, at the same rhythm, and have to meet the same requirements.

    `listed` are those of them that stand in the configuration itself, `file` has the others, if they are from a file.
    """

    name: str
    next_hops: tuple[NextHop, ...]
    profile: Profile | None = None
    requirements: tuple[Requirement, ...] = ()
    rhythm: Rhythm = EACH_DAY
    depth: Depth = "standard"
    full_every: int = 7
    listed: tuple[NextHop, ...] = ()
    file: NextHopFile | None = None

    def with_file(self, file: NextHopFile) -> Group:
        """The group with what its file says now."""
        next_hops = {next_hop.text: next_hop for next_hop in (*self.listed, *file.next_hops)}
        return replace(self, next_hops=tuple(next_hops.values()), file=file)


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """All of a `probes.toml`, names looked up, and paths in it made relative to where it lies.

    `probe.ignore` has the entries of the `ignore_file` too. `told` is what is wrong with lines of files, where that
    was to hold up nothing else.
    """

    path: Path
    probe: ProbeSection
    limits: LimitsSection
    profiles: tuple[Profile, ...]
    groups: tuple[Group, ...]
    store_url: str
    keep_days: int | None = None
    keep_scans: int | None = None
    service: ServiceSection = field(default_factory=ServiceSection)
    notice: NoticeSettings = DEFAULTS
    alerts: tuple[AlertSection, ...] = ()
    told: tuple[InvalidSetting, ...] = ()

    def alert_targets(self) -> tuple[AlertTarget, ...]:
        """Who is told, with the secrets that the configuration names; for what sends alerts, and nobody else.

        Raises:
            InvalidConfiguration: a file or variable that cannot be read, a URL that apprise does not know, a template
                that is wrong; all mistakes are named, and none quotes a secret.
        """
        targets, mistakes = alert_targets(self.alerts, self.path)
        if mistakes:
            raise InvalidConfiguration(mistakes)
        return targets

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


def read_configuration(
    path: Path,
    *,
    standard_input: Callable[[], str] | None = None,
    pass_over: bool = False,
    asks: bool = False,
    tells: bool = False,
    keeps: bool = True,
) -> Configuration:
    """Read a `probes.toml`, and the files of next-hops that its groups name.

    Paths in it, the one in ``store.url`` too, are relative to its directory, so that it means the same under cron.
    `standard_input` gives the text of a group whose file is ``-``; without it, as for a command that needs no
    next-hops, nothing is read there. With `pass_over` a line of such a file that is no next-hop is `told` and no
    mistake, and a file may have none at all: it can be mended while a service runs.

    What is only of use to some commands is only looked at for them, as others may not be allowed to read it: with
    `asks` the certificates of CAs, with `tells` the secrets and templates of alerts, with `keeps` the password of the
    database, without which `store_url` is of no use.

    Raises:
        InvalidConfiguration: it cannot be read, is not TOML, or holds what it may not; all mistakes are named.
    """
    return _Reader(path, standard_input, pass_over=pass_over, asks=asks, tells=tells, keeps=keeps).read()


class _Reader:
    """Reads one configuration, and collects what is wrong with it on the way."""

    def __init__(
        self,
        path: Path,
        standard_input: Callable[[], str] | None,
        *,
        pass_over: bool,
        asks: bool,
        tells: bool,
        keeps: bool,
    ) -> None:
        self._path = path
        self._directory = path.parent
        self._standard_input = standard_input
        self._pass_over = pass_over
        self._asks = asks
        self._tells = tells
        self._keeps = keeps
        self._mistakes: list[InvalidSetting] = []
        self._told: list[InvalidSetting] = []

    def read(self) -> Configuration:
        sections = self._sections()
        profiles = {name: self._profile(name, section) for name, section in sections.profiles.items()}
        names: set[str] = set()
        groups = []
        for number, section in enumerate(sections.group):
            if section.name in names:
                self._wrong(f"group[{number}].name", f"another group is called {section.name!r} too")
            names.add(section.name)
            groups.append(self._group(f"group[{number}]", section, profiles, sections.probe))
        self._alerts(sections.alert, names)
        notice, wrong_notice = notice_settings(sections.notice, str(self._path))
        self._mistakes += wrong_notice
        self._metrics(sections.service)
        inputs = [number for number, section in enumerate(sections.group) if section.file == STANDARD_INPUT]
        for number in inputs[1:]:
            self._wrong(f"group[{number}].file", f"group[{inputs[0]}] reads standard input already")
        probe = self._probe(sections.probe)
        store_url, wrong_store = url_of_store(
            sections.store, str(self._path), self._directory, with_its_password=self._keeps
        )
        self._mistakes += wrong_store
        configuration = Configuration(
            path=self._path,
            probe=probe,
            limits=sections.limits,
            profiles=tuple(profile for profile in profiles.values() if profile),
            groups=tuple(groups),
            store_url=store_url,
            keep_days=sections.store.keep_days,
            keep_scans=sections.store.keep_scans,
            service=sections.service,
            notice=notice,
            alerts=sections.alert,
            told=tuple(self._told),
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
            except RecursionError:
                self._wrong("", "not TOML: too many tables or arrays within each other")
        self._stop_if_wrong()
        sections = check_sections(document)
        if isinstance(sections, tuple):
            for mistake in sections:
                self._wrong(mistake.key, mistake.problem, mistake.allowed)
            raise InvalidConfiguration(tuple(self._mistakes))
        return sections

    def _text(self, path: Path, named_at: str | None = None, *, by_line: bool = False) -> str | None:
        """A file that the user wrote; None, and a mistake, when it cannot be read.

        `named_at` is the key that names the file, if it is not the configuration itself.
        """
        try:
            return read_text(path, by_line=by_line)
        except InvalidSetting as error:
            if named_at is None or error.where != str(path):
                self._mistakes.append(error)
            else:
                self._wrong(named_at, f"{path} {error.problem}", error.allowed)
            return None

    def _probe(self, section: ProbeSection) -> ProbeSection:
        if section.ehlo is not None:
            try:
                ehlo_name(section.ehlo)
            except ValueError as error:
                self._wrong("probe.ehlo", str(error), ALLOWED_EHLO)
        if section.resolver is not None:
            # The resolver's module takes long to import, and most configurations leave it to the system.
            from mxprobe.network.resolver import parse_resolver

            try:
                parse_resolver(section.resolver, where=f"{self._path}: probe.resolver")
            except InvalidSetting as error:
                self._mistakes.append(error)
        section = replace(
            section,
            ca_path=self._beside(section.ca_path),
            ca_file=self._beside(section.ca_file),
            ignore=self._ignore(section),
        )
        if self._asks and (section.ca_path or section.ca_file):
            self._trust(section)
        return section

    def _trust(self, section: ProbeSection) -> None:
        # OpenSSL takes long to import, and most configurations leave it to the system.
        from mxprobe.trust.verification import load_trust_store

        for key, ca_file, ca_path in (("ca_file", section.ca_file, None), ("ca_path", None, section.ca_path)):
            if ca_file or ca_path:
                try:
                    load_trust_store(ca_file=ca_file, ca_path=ca_path)
                except TrustStoreError as error:
                    self._wrong(f"probe.{key}", str(error))

    def _alerts(self, sections: tuple[AlertSection, ...], groups: set[str]) -> None:
        mistakes = tuple(alert_mistakes(sections, groups, str(self._path)))
        if self._tells and not mistakes:
            _, mistakes = alert_targets(sections, self._path)
        self._mistakes += mistakes

    def _metrics(self, section: ServiceSection) -> None:
        if section.metrics is not None:
            try:
                parse_listener(section.metrics)
            except ValueError as error:
                self._wrong("service.metrics", str(error), ALLOWED_LISTENER)

    def _ignore(self, section: ProbeSection) -> tuple[str, ...]:
        """Who is left alone, by the list and by the file."""
        entries = [(f"{self._path}: probe.ignore[{index}]", entry) for index, entry in enumerate(section.ignore)]
        if section.ignore_file is not None:
            path = beside(self._directory, section.ignore_file)
            text = self._text(path, "probe.ignore_file") or ""
            entries += [(f"{path}: line {number}", entry) for number, entry in entries_of_file(text)]
        for where, entry in entries:
            try:
                parse_ignore_list((entry,), where)
            except InvalidSetting as error:
                self._mistakes.append(error)
        return tuple(dict.fromkeys(entry for _, entry in entries))

    def _beside(self, name: str | None) -> str | None:
        return None if name is None else str(beside(self._directory, name))

    def _profile(self, name: str, section: ProfileSection) -> Profile | None:
        where = f"{self._path}: {key_path(('profiles', name))}"
        profile, mistakes = profile_of_section(name, section, directory=self._directory, where=where)
        self._mistakes += mistakes
        return profile

    def _group(
        self, key: str, section: GroupSection, profiles: dict[str, Profile | None], probe: ProbeSection
    ) -> Group:
        listed: dict[str, NextHop] = {}
        before = len(self._mistakes)
        for index, text in enumerate(section.next_hops):
            self._next_hop(f"{self._path}: {key}.next_hops[{index}]", text, listed)
        file = self._file(f"{key}.file", section.file) if section.file is not None else None
        unread = section.file == STANDARD_INPUT and self._standard_input is None
        # Standard input comes once. A file that has none now may have some when it is read again.
        may_be_empty = unread or (section.file not in (None, STANDARD_INPUT) and self._pass_over)
        if not listed and not (file and file.next_hops) and not may_be_empty and len(self._mistakes) == before:
            self._wrong(key, "it has no next-hops", "next_hops, or a file with one next-hop a line")
        profile = None
        if section.profile is not None:
            profile = profiles.get(section.profile)
            if section.profile not in profiles:
                problem = f"there is no profile {section.profile!r}{closest(section.profile, tuple(profiles))}"
                self._wrong(f"{key}.profile", problem, ", ".join(profiles) or "the NAME of a [profiles.NAME]")
        rhythm, wrong_rhythm = rhythm_of(section, f"{self._path}: {key}")
        requirements, wrong_requirements = requirements_of(section, f"{self._path}: {key}", f"{key}.profile")
        self._mistakes += (*wrong_requirements, *wrong_rhythm)
        group = Group(
            name=section.name,
            next_hops=tuple(listed.values()),
            profile=profile,
            requirements=requirements,
            rhythm=rhythm,
            depth=section.depth or probe.depth,
            full_every=section.full_every or probe.full_every,
            listed=tuple(listed.values()),
        )
        return group if file is None else group.with_file(file)

    def _file(self, key: str, name: str) -> NextHopFile | None:
        """Next-hops from a file, or from standard input; None where it cannot be read."""
        if name == STANDARD_INPUT:
            file = NextHopFile(path=Path("standard input"))
            text = self._read_standard_input()
        else:
            path = beside(self._directory, name)
            # Before it is read: what is written meanwhile is another file then.
            file = NextHopFile(path=path, mark=mark_of(path))
            text = self._text(path, key, by_line=True)
        if text is None:
            return None
        if not self._pass_over:
            next_hops, mistakes = next_hops_in(text, str(file.path))
            self._mistakes += (mistake for _, mistake in mistakes)
            return replace(file, next_hops=next_hops)
        file, news = taken_over(file, text)
        if file.next_hops:
            self._told += news
        elif name == STANDARD_INPUT:
            self._mistakes += news
        else:
            self._told += (*news, InvalidSetting(str(file.path), "there is no next-hop in it"))
        return file

    def _read_standard_input(self) -> str | None:
        try:
            return self._standard_input() if self._standard_input is not None else None
        except InvalidSetting as error:
            self._mistakes.append(error)
            return None

    def _next_hop(self, where: str, text: str, next_hops: dict[str, NextHop]) -> None:
        try:
            next_hop = parse_next_hop(text.strip())
        except InvalidNextHop as error:
            self._mistakes.append(InvalidSetting(where, str(error)))
        else:
            next_hops[next_hop.text] = next_hop


_TOML_ERROR = re.compile(r"(.*) \(at (line \d+, column \d+|end of document)\)", re.DOTALL)
