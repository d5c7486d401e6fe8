"""Profile files: a profile as JSON (``mxprobe-profile/1``), with where it comes from; strict reading, stable writing.

Of a recorded profile the hello is the truth, and the lists beside it are there to be read: a file in which they
disagree is refused. Of a documented one the lists are all there is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, Literal, get_args

from mxprobe.errors import InvalidSetting
from mxprobe.mta.hello import MAX_HELLO, profile_of_hello
from mxprobe.mta.profile import KeyExchange, Profile
from mxprobe.terms import PROTOCOLS, Protocol
from mxprobe.tls.code_points import GROUPS, SCHEMES, group_name, scheme_name
from mxprobe.tls.suites import suite, suite_named

SCHEMA: Final = "mxprobe-profile/1"
"""What the key `schema` of every profile file says."""

MAX_FILE: Final = 1_000_000
"""Characters of a file that are read: the longest hello takes a quarter of that, and its lists not as much again."""

MAX_TEXT: Final = 4_000
"""Characters of one value that is free text: commands are long, pages are not meant."""

_MAX_LIST = 65_536  # there are no more numbers of 16 bits
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,79}\Z")
_NUMBER = re.compile(r"0x[0-9A-Fa-f]{4}\Z")

Kind = Literal["recorded", "documented"]
"""Whether we have a hello of the software itself, or only know of it from a document."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """A profile with where it comes from.

    `software` names program, version and TLS library; `date` is the day of the recording, or the one that the document
    speaks of. `command` is what made the hello, empty where it was documented; `source` the document, or who recorded
    it where. `protocols_from` says how the versions are known where the hello does not tell (`versions_of_hello`).
    `incomplete` says what is missing of a documented profile, empty where it is complete. `peer` and `ehlo` are the
    address that the hello came from and the name that the client gave.
    """

    name: str
    profile: Profile
    software: str
    kind: Kind
    date: date
    command: str
    source: str
    protocols_from: str = ""
    incomplete: str = ""
    peer: str = ""
    ehlo: str = ""


def read_profile(text: str, where: str) -> Profile:
    """The profile of a profile file; `where` names the file in errors.

    Raises:
        InvalidSetting: the text is not such a file; one line with file and key.
    """
    return read_sender(text, where).profile


def read_sender(text: str, where: str) -> Sender:
    """The same with where it comes from."""
    return _File(where, text).sender()


def profile_text(sender: Sender) -> str:
    """The file of a profile: keys in a fixed order, a value on each line, so that two can be compared by `diff`.

    Raises:
        InvalidSetting: it is one that could not be read back, such as a recorded one without a hello.
    """
    text = json.dumps(profile_document(sender), indent=2) + "\n"
    read_sender(text, f"profile {sender.name}")
    return text


def profile_document(sender: Sender) -> dict[str, object]:
    """What the file of a profile holds, as objects of JSON."""
    profile = sender.profile
    document: dict[str, object] = {
        "schema": SCHEMA,
        "name": sender.name,
        "kind": sender.kind,
        "software": sender.software,
        "date": sender.date.isoformat(),
        "command": sender.command,
        "source": sender.source,
    }
    for key in _OPTIONAL:
        if value := getattr(sender, key):
            document[key] = value
    if profile.without:
        document["without"] = list(profile.without)
    document["protocols"] = list(profile.protocols)
    document["suites"] = [suite_word(number) for number in profile.suites]
    for key, numbers, word in (
        ("groups", profile.groups, group_name),
        ("signature_schemes", profile.signature_schemes, scheme_name),
        ("key_shares", profile.key_shares, group_name),
    ):
        if numbers is not None:
            document[key] = [word(number) for number in numbers]
    if profile.hello is not None:
        document["hello"] = profile.hello.hex()
    return document


def profile_name(text: str, where: str) -> str:
    """A text that can be the name of a profile, and of its file.

    Raises:
        InvalidSetting: it cannot.
    """
    if not _NAME.match(text):
        raise InvalidSetting(where, f"{text[:100]!r} cannot be a name", "letters, digits and ._+-, at most 80")
    return text


def one_line(text: str, where: str, longest: int = MAX_TEXT) -> str:
    """A text that can be a value of a profile file: one line that is plainly visible.

    Raises:
        InvalidSetting: it cannot.
    """
    if not text.isprintable():
        raise InvalidSetting(where, "it is not one line of plain text")
    if len(text) > longest:
        raise InvalidSetting(where, f"{len(text)} characters are too many", str(longest))
    return text


def suite_word(number: int) -> str:
    """A suite in a profile file: its name where that says which is meant, else its number."""
    known = suite(number)
    found = suite_named(known.name)
    return known.name if found is not None and found.number == number else known.id


_KINDS: tuple[Kind, ...] = get_args(Kind)
_OPTIONAL = ("protocols_from", "incomplete", "peer", "ehlo")
_LISTS = ("protocols", "suites", "groups", "signature_schemes", "key_shares")
_KEYS = frozenset(
    ("schema", "name", "kind", "software", "date", "command", "source", *_OPTIONAL, "without", *_LISTS, "hello")
)


class _File:
    """A profile file while it is read: every complaint names file and key."""

    def __init__(self, where: str, text: str) -> None:
        self._where = where
        if len(text) > MAX_FILE:
            raise InvalidSetting(where, f"{len(text)} characters are too many for a profile", str(MAX_FILE))
        try:
            document = json.loads(text.removeprefix("\ufeff"), object_pairs_hook=self._object)
        except json.JSONDecodeError as error:
            raise InvalidSetting(where, f"line {error.lineno}: not JSON: {error.msg}") from error
        except (RecursionError, ValueError) as error:
            raise InvalidSetting(where, "not JSON that a profile could be: nested or numbered beyond reason") from error
        if not isinstance(document, dict):
            raise InvalidSetting(where, "not a profile file", f"a JSON object of schema {SCHEMA}")
        self._document: Mapping[str, Any] = document
        if document.get("schema") != SCHEMA:
            raise self._wrong("schema", "it is not that of a profile", SCHEMA)
        for key in document:
            if key not in _KEYS:
                raise InvalidSetting(where, f"unknown key {key[:60]!r}", ", ".join(sorted(_KEYS)))

    def sender(self) -> Sender:
        """All of it, checked."""
        name = profile_name(self._text("name"), f"{self._where}: name")
        kind = self._kind()
        software, day = self._text("software"), self._date()
        command, source = self._text("command", empty=True), self._text("source", empty=True)
        optional = {key: self._text(key) if key in self._document else "" for key in _OPTIONAL}
        if kind == "documented" and not source:
            raise self._wrong("source", "a documented profile needs one", "the document that says so")
        if optional["incomplete"] and kind == "recorded":
            raise self._wrong("incomplete", "a recorded profile has all of its hello")
        if "without" in self._document and kind == "recorded":
            raise self._wrong("without", "a recorded profile is without all that it does not list")
        profile = self._recorded(name, software) if kind == "recorded" else self._documented(name, source)
        return Sender(
            name=name,
            profile=profile,
            software=software,
            kind=kind,
            date=day,
            command=command,
            source=source,
            **optional,
        )

    def _recorded(self, name: str, software: str) -> Profile:
        text = self._text("hello", longest=2 * MAX_HELLO)
        try:
            hello = bytes.fromhex(text)
        except ValueError as error:
            allowed = "bytes of a ClientHello, records included, in hexadecimal"
            raise self._wrong("hello", "it is not hexadecimal", allowed) from error
        protocols = self._protocols()
        try:
            profile = profile_of_hello(name, hello, f"hello of {software}", protocols=protocols)
        except InvalidSetting as error:
            raise InvalidSetting(f"{self._where}: hello", error.problem, error.allowed) from error
        for key, numbers in (
            ("suites", profile.suites),
            ("groups", profile.groups),
            ("signature_schemes", profile.signature_schemes),
            ("key_shares", profile.key_shares),
        ):
            if self._numbers(key) != numbers:
                raise self._wrong(key, "it is not what the hello says, and the hello is the truth")
        return profile

    def _documented(self, name: str, source: str) -> Profile:
        if "hello" in self._document:
            raise self._wrong("hello", "a documented profile has none", 'kind "recorded", if it was')
        protocols, suites = self._protocols(), self._numbers("suites")
        if not suites:
            raise self._wrong("suites", "there is none", "one or more")
        groups, schemes, shares = (
            self._numbers(key) if key in self._document else None
            for key in ("groups", "signature_schemes", "key_shares")
        )
        return Profile(
            name=name,
            protocols=protocols,
            suites=suites,
            groups=groups,
            signature_schemes=schemes,
            key_shares=shares,
            source=source,
            complete="incomplete" not in self._document,
            without=self._without(),
        )

    def _without(self) -> tuple[KeyExchange, ...]:
        if "without" not in self._document:
            return ()
        if "incomplete" not in self._document:
            raise self._wrong("without", "a complete profile is without all that it does not list")
        words = self._value("without")
        known = tuple(word for word in get_args(KeyExchange) if isinstance(words, list) and word in words)
        if not known or sorted(known) != sorted(words):
            raise self._wrong("without", "it is no list of key exchanges", ", ".join(get_args(KeyExchange)))
        return known

    def _kind(self) -> Kind:
        value = self._value("kind")
        for kind in _KINDS:
            if value == kind:
                return kind
        raise self._wrong("kind", "it is neither", "recorded, documented")

    def _date(self) -> date:
        text = self._text("date")
        try:
            day = date.fromisoformat(text)
        except ValueError as error:
            raise self._wrong("date", f"{text[:40]!r} is not a day", "YYYY-MM-DD") from error
        if day.isoformat() != text:
            raise self._wrong("date", f"{text[:40]!r} is not written as one", "YYYY-MM-DD")
        return day

    def _protocols(self) -> tuple[Protocol, ...]:
        found: list[Protocol] = []
        for word in self._list("protocols"):
            protocol = next((known for known in PROTOCOLS if known == word), None)
            if protocol is None or protocol in found:
                raise self._wrong("protocols", f"{word[:40]!r} is no version, or named twice", ", ".join(PROTOCOLS))
            found.append(protocol)
        if not found:
            raise self._wrong("protocols", "there is none", ", ".join(PROTOCOLS))
        return tuple(sorted(found, key=PROTOCOLS.index))

    def _numbers(self, key: str) -> tuple[int, ...]:
        """A list of code points, by the names of its registry."""
        number_of, example = _READERS[key]
        numbers: list[int] = []
        for word in self._list(key):
            number = number_of(word)
            if number is None:
                raise self._wrong(key, f"{word[:60]!r} is not known", f"names like {example}, numbers like 0xC02F")
            numbers.append(number)
        return tuple(numbers)

    def _list(self, key: str) -> tuple[str, ...]:
        value = self._value(key)
        if not isinstance(value, list) or not all(isinstance(word, str) for word in value) or len(value) > _MAX_LIST:
            raise self._wrong(key, "it is not a list of names", f"at most {_MAX_LIST} strings in brackets")
        return tuple(value)

    def _text(self, key: str, *, empty: bool = False, longest: int = MAX_TEXT) -> str:
        value = self._value(key)
        if not isinstance(value, str):
            raise self._wrong(key, "it is not text")
        if not value.strip() and not empty:
            raise self._wrong(key, "it is empty")
        return one_line(value, f"{self._where}: {key}", longest)

    def _value(self, key: str) -> Any:
        if key not in self._document:
            raise self._wrong(key, "it is missing")
        return self._document[key]

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        if twice := next((key for key in keys if keys.count(key) > 1), None) if len(keys) <= len(_KEYS) else keys[0]:
            raise InvalidSetting(self._where, f"key {twice[:60]!r} is there twice, or there are too many keys")
        return dict(pairs)

    def _wrong(self, key: str, problem: str, allowed: str | None = None) -> InvalidSetting:
        return InvalidSetting(f"{self._where}: {key}", problem, allowed)


def _suite_number(word: str) -> int | None:
    found = suite_named(word)
    return None if found is None else found.number


def _reader(names: Mapping[int, str]) -> Callable[[str], int | None]:
    numbers = {name: number for number, name in names.items()}

    def number_of(word: str) -> int | None:
        return int(word, 16) if _NUMBER.match(word) else numbers.get(word)

    return number_of


_group_number = _reader(GROUPS)
_READERS: Mapping[str, tuple[Callable[[str], int | None], str]] = {
    "suites": (_suite_number, "ECDHE-RSA-AES128-GCM-SHA256"),
    "groups": (_group_number, "x25519"),
    "signature_schemes": (_reader(SCHEMES), "rsa_pss_rsae_sha256"),
    "key_shares": (_group_number, "x25519"),
}
