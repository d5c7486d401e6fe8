"""What ``[[alert]]`` sections mean: which keys go together, and the targets that they name, with their secrets.

Two steps: what a section says by itself is checked whenever `probes.toml` is read; secrets, templates and apprise only
by what sends alerts, as `mxprobe show` may well be run by somebody who may not read the secrets.
"""

from __future__ import annotations

import os
import re
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping, Set
from pathlib import Path

from mxprobe.alerts.targets import AlertTarget, Service, Webhook
from mxprobe.alerts.templates import DEFAULT, MAX_TEMPLATE, Template, parse_template
from mxprobe.alerts.urls import SHORTEST_SECRET, WEBHOOK, scheme_of, service, webhook
from mxprobe.alerts.weekly import parse_weekly
from mxprobe.configuration.files import read_at_most, secret_path
from mxprobe.configuration.sections import AlertSection, closest
from mxprobe.errors import InvalidSetting

MAX_SECRET = 4096
"""Bytes of a file with a URL or a secret."""

_ONE_URL = "exactly one of url, url_file and url_env"
_ONE_SECRET = "exactly one of secret_file and secret_env"  # noqa: S105 (words for the user)
_WEBHOOK = "webhook+https://HOST/PATH or webhook+http://HOST/PATH"
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def alert_mistakes(sections: tuple[AlertSection, ...], groups: Set[str], path: str) -> Iterator[InvalidSetting]:
    """All that is wrong with the sections by themselves; `groups` are the names of those there are."""
    names: set[str] = set()
    for number, section in enumerate(sections):
        where = f"{path}: alert[{number}]"
        if section.name in names:
            yield InvalidSetting(f"{where}.name", f"another alert is called {section.name!r} too")
        names.add(section.name)
        for index, group in enumerate(section.groups):
            if group not in groups:
                problem = f"there is no group {group!r}{closest(group, tuple(groups))}"
                yield InvalidSetting(f"{where}.groups[{index}]", problem, ", ".join(sorted(groups)) or None)
        if sum(each is not None for each in (section.url, section.url_file, section.url_env)) != 1:
            yield InvalidSetting(where, "it has not one URL", _ONE_URL)
        yield from _not_names(section, where)
        secrets = sum(each is not None for each in (section.secret_file, section.secret_env))
        is_webhook = section.url is not None and scheme_of(section.url).startswith(WEBHOOK)
        if secrets > 1 or (is_webhook and not secrets):
            yield InvalidSetting(where, "a webhook is signed with one secret", _ONE_SECRET)
        elif secrets and section.url is not None and not is_webhook:
            yield InvalidSetting(where, "a secret is for a webhook", _WEBHOOK)
        if is_webhook and section.template is not None:
            yield InvalidSetting(f"{where}.template", "a webhook gets JSON, which has no template")
        if section.digest is not None:
            try:
                parse_weekly(section.digest)
            except ValueError as error:
                yield InvalidSetting(f"{where}.digest", str(error), 'a day and a time in UTC, like "mon 07:00"')


def alert_targets(
    sections: tuple[AlertSection, ...], path: Path, environment: Mapping[str, str] = os.environ
) -> tuple[tuple[AlertTarget, ...], tuple[InvalidSetting, ...]]:
    """The targets of sections without `alert_mistakes`, and all that is wrong with what these name: files, variables,
    URLs, templates. `path` is that of the configuration, to which files are relative. No mistake quotes a secret."""
    targets, mistakes = [], []
    for number, section in enumerate(sections):
        reader = _Reader(section, f"{path}: alert[{number}]", path.parent, environment)
        target = reader.target()
        mistakes += reader.mistakes
        if target is not None:
            targets.append(target)
    return tuple(targets), tuple(mistakes)


def _not_names(section: AlertSection, where: str) -> Iterator[InvalidSetting]:
    """A URL or a secret in place of the file or variable that has it: an easy mistake, and not to be quoted."""
    for key, found in (("url_file", section.url_file), ("secret_file", section.secret_file)):
        if found is not None and "://" in found:
            yield InvalidSetting(f"{where}.{key}", "this is a URL", "the path of a file with it")
    for key, found in (("url_env", section.url_env), ("secret_env", section.secret_env)):
        if found is not None and not _VARIABLE.match(found):
            problem = "this is no name of a variable"
            yield InvalidSetting(f"{where}.{key}", problem, "letters, digits and _, like MXPROBE_URL")


class _Reader:
    def __init__(self, section: AlertSection, where: str, directory: Path, environment: Mapping[str, str]) -> None:
        self.mistakes: list[InvalidSetting] = []
        self._section = section
        self._where = where
        self._directory = directory
        self._environment = environment

    def target(self) -> AlertTarget | None:
        section = self._section
        template = self._template()
        where = self._destination()
        if self.mistakes or where is None or template is None:
            return None
        return AlertTarget(
            name=section.name,
            where=where,
            groups=section.groups,
            severity=section.severity,
            template=template,
            digest=None if section.digest is None else parse_weekly(section.digest),
        )

    def _destination(self) -> Webhook | Service | None:
        section = self._section
        url = section.url or self._given("url", section.url_file, section.url_env)
        if url is None:
            return None
        key = next(name for name in ("url", "url_file", "url_env") if getattr(section, name) is not None)
        is_webhook = scheme_of(url).startswith(WEBHOOK)
        secret = self._given("secret", section.secret_file, section.secret_env)
        if self.mistakes:
            return None
        if is_webhook and secret is None:
            self._wrong("", "a webhook is signed with one secret", _ONE_SECRET)
            return None
        if secret is not None and not is_webhook:
            self._wrong("", "a secret is for a webhook", _WEBHOOK)
            return None
        signing = b"" if secret is None else secret.encode("utf-8", "surrogateescape")
        if secret is not None and len(signing) < SHORTEST_SECRET:
            given = "secret_file" if section.secret_file is not None else "secret_env"
            self._wrong(f".{given}", f"the secret has {len(signing)} bytes", f"{SHORTEST_SECRET} or more")
            return None
        try:
            return webhook(url, signing) if is_webhook else service(url)
        except ValueError as error:
            self._wrong(f".{key}", str(error), _WEBHOOK if is_webhook else "a URL of apprise, or webhook+https://...")
            return None

    def _given(self, what: str, file: str | None, variable: str | None) -> str | None:
        """The URL or the secret that a file or a variable holds, without the blanks around it."""
        if variable is not None:
            found = self._environment.get(variable, "").strip()
            if not found:
                self._wrong(f".{what}_env", f"the environment has no {variable}")
                return None
        elif file is not None:
            data = self._read(f".{what}_file", file, MAX_SECRET)
            if data is None:
                return None
            found = data.removeprefix(BOM_UTF8).decode("utf-8", "surrogateescape").strip()
            if not found or len(found.splitlines()) != 1:
                self._wrong(f".{what}_file", "it has to have one line", f"the {what}, and nothing else")
                return None
        else:
            return None
        if what == "url" and not found.isprintable():
            self._wrong(f".url_{'env' if variable else 'file'}", "the URL has characters that no URL has")
            return None
        return found

    def _template(self) -> Template | None:
        if self._section.template is None:
            return DEFAULT
        data = self._read(".template", self._section.template, MAX_TEMPLATE)
        if data is None:
            return None
        try:
            return parse_template(data.decode())
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            self._wrong(".template", f"{self._section.template}: line {line}: not UTF-8")
        except ValueError as error:
            self._wrong(".template", f"{self._section.template}: {error}")
        return None

    def _read(self, key: str, name: str, limit: int) -> bytes | None:
        path = Path(name)
        try:
            path = secret_path(name, self._directory, self._environment)
            data = read_at_most(path, limit)
        except (OSError, ValueError, RuntimeError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            self._wrong(key, f"{path} cannot be read: {reason}")
            return None
        if len(data) > limit:
            self._wrong(key, f"{path} is longer than {limit} bytes")
            return None
        return data

    def _wrong(self, key: str, problem: str, allowed: str | None = None) -> None:
        self.mistakes.append(InvalidSetting(f"{self._where}{key}", problem, allowed))
