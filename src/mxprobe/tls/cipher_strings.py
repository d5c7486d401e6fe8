"""What a cipher list (``HIGH:!aNULL:@STRENGTH``) means to OpenSSL 1.0.2, 1.1.1 and 3.0: which suites, in which order.

The steps are those of `ssl_create_cipher_list` in `ssl_ciph.c`: all suites are put into the library's own order, each
rule of the list then activates, moves, deactivates or removes those it selects, and what is active at the end is the
list. Order is kept even among what was deactivated, so that ``aNULL:-aNULL:ALL`` puts anonymous suites first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Literal

from mxprobe.errors import InvalidCipherString
from mxprobe.tls.cipher_keywords import DEFAULTS, SUITE_B, Pattern, words
from mxprobe.tls.openssl_catalogue import CatalogueSuite, Generation, catalogue

LONGEST = 1 << 20
"""Characters of a list that are read. OpenSSL has no bound; no list that anybody wrote comes near this one."""

SEPARATORS = " :,;"

Action = Literal["add", "move", "delete", "kill"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CipherList:
    """What a cipher list comes to.

    Attributes:
        suites: The code points of TLS 1.2 and older, SSLv2 kinds among them for OpenSSL 1.0.2, in the order of
            preference. What the security level or the protocol settings forbid is still among them, as for OpenSSL.
        security_level: What the last ``@SECLEVEL`` sets; None where the list says nothing.
        unknown: Words that OpenSSL does not know and silently passes over, as they stand in the list.
    """

    suites: tuple[int, ...]
    security_level: int | None = None
    unknown: tuple[str, ...] = ()


def cipher_list(text: str, openssl: Generation) -> CipherList:
    """The suites that an OpenSSL makes of a cipher list (`SSL_CTX_set_cipher_list`, ciphers(1)).

    Raises:
        InvalidCipherString: OpenSSL refuses the list, or nothing is left; it names the word to blame.
    """
    if len(text) > LONGEST:
        raise InvalidCipherString(text, openssl, f"longer than {LONGEST} characters")
    rest = text.partition("\0")[0]  # to C, that is where it ends
    for beginning, replacement in SUITE_B:
        if rest.startswith(beginning):
            rest = replacement
            break
    language = _language(openssl)
    selection = language.selection()
    if rest.startswith("DEFAULT"):
        for rule in language.rules(DEFAULTS[openssl], text):
            selection.apply(rule)
        rest = rest.removeprefix("DEFAULT").removeprefix(":")
    level: int | None = None
    unknown: dict[str, None] = {}
    for rule in language.rules(rest, text):
        selection.apply(rule)
        if rule.level is not None:
            level = rule.level
        if rule.unknown is not None:
            unknown[rule.unknown] = None
    suites = tuple(language.suites[place].number for place in selection.order if place in selection.active)
    if not suites:
        word, reason = selection.why_empty(openssl, tuple(unknown))
        raise InvalidCipherString(text, openssl, reason, word)
    return CipherList(suites=suites, security_level=level, unknown=tuple(unknown))


def ciphersuites(text: str, openssl: Generation) -> tuple[int, ...]:
    """The suites that an OpenSSL makes of a list for TLS 1.3 (`SSL_CTX_set_ciphersuites`), each once.

    An empty list leaves none. It takes IANA's names, with ``:`` between them. What names an older suite is taken
    likewise, and comes before the cipher list then: OpenSSL does not look at the version. OpenSSL 1.1.1 refuses names
    that it does not know, 3.0 passes over them.

    Raises:
        InvalidCipherString: OpenSSL refuses the list, or has no TLS 1.3.
    """
    if openssl == "1.0.2":
        raise InvalidCipherString(text, openssl, "it has no TLS 1.3")
    if len(text) > LONGEST:
        raise InvalidCipherString(text, openssl, f"longer than {LONGEST} characters")
    whole = text.partition("\0")[0]
    if not whole:
        return ()
    found: dict[int, None] = {}
    unknown: str | None = None
    for element in whole.split(":"):
        name = element.strip(" \t\n\v\f\r")
        number = _numbered(name, openssl)
        if number is not None:
            found[number] = None
        elif openssl == "1.1.1":
            raise InvalidCipherString(text, openssl, f"{_shown(name)} is no ciphersuite of OpenSSL 1.1.1", name)
        elif unknown is None:
            unknown = name
    if not found:
        raise InvalidCipherString(text, openssl, f"{_shown(unknown or '')} is no ciphersuite of OpenSSL 3.0", unknown)
    return tuple(found)


def default_ciphersuites(openssl: Generation) -> tuple[int, ...]:
    """What an OpenSSL offers in TLS 1.3 when nobody says otherwise; nothing for 1.0.2 (`TLS_DEFAULT_CIPHERSUITES`)."""
    return tuple(
        number
        for number, known in catalogue(openssl).items()
        if known.protocol == "TLSv1.3" and "NOT_DEFAULT" not in known.classes
    )


@dataclass(frozen=True, slots=True)
class _Rule:
    """One item of a list. Without a pattern it selects nothing: a command, an unknown word, a contradiction."""

    text: str
    action: Action | Literal["sort", "level"]
    pattern: Pattern | None = None
    unknown: str | None = None
    level: int | None = None


class _Selection:
    """All suites in their present order, by their places in the first one, and which of them are in the list.

    Each has a rank, and what is moved to an end gets one beyond all others: the rest need not be looked at.
    """

    __slots__ = ("_emptied", "_first", "_language", "_last", "_next", "_ranks", "active")

    def __init__(self, language: _Language, order: tuple[int, ...]) -> None:
        self._language = language
        self._ranks = {place: rank for rank, place in enumerate(order)}
        self._first, self._next = 0, len(order)
        self.active: set[int] = set()
        self._last: _Rule | None = None
        self._emptied: _Rule | None = None

    def apply(self, rule: _Rule) -> None:
        """Do what a rule says (`ssl_cipher_apply_rule`)."""
        self._last = rule
        if rule.action == "sort":
            self.sort_by_strength()
        elif rule.pattern is not None and rule.action != "level":
            before = bool(self.active)
            self.change(rule.action, self._language.selected(rule.pattern))
            if before and not self.active:
                self._emptied = rule

    def change(self, action: Action | Literal["bump"], selected: frozenset[int]) -> None:
        """Activate the selected suites, or move, deactivate, remove or advance those that are in the list."""
        if action == "kill":
            for place in selected & self._ranks.keys():
                del self._ranks[place]
            self.active -= selected
            return
        # Killed suites have no rank any more.
        moved = (selected - self.active) & self._ranks.keys() if action == "add" else selected & self.active
        moving = sorted(moved, key=self._ranks.__getitem__)
        if action in ("add", "move"):
            self._to_the_end(moving)
        else:  # what is deleted goes to the front: it is the first that a later word would add
            self._first -= len(moving)
            self._ranks.update(zip(moving, range(self._first, self._first + len(moving)), strict=True))
        if action == "add":
            self.active |= moved
        elif action == "delete":
            self.active -= moved

    def sort_by_strength(self) -> None:
        """Put the list behind what is not in it, the longest keys first, equals as they are."""
        bits, ranks = self._language.bits, self._ranks
        self._to_the_end(sorted(self.active, key=lambda place: (-bits[place], ranks[place])))

    @property
    def order(self) -> list[int]:
        """All that was not killed."""
        return sorted(self._ranks, key=self._ranks.__getitem__)

    def _to_the_end(self, moving: list[int]) -> None:
        self._ranks.update(zip(moving, range(self._next, self._next + len(moving)), strict=True))
        self._next += len(moving)

    def why_empty(self, openssl: Generation, unknown: tuple[str, ...]) -> tuple[str | None, str]:
        """The word that leaves the list empty, if it is one, and what to tell."""
        if self._emptied is not None:
            return self._emptied.text, f"nothing is left: {self._emptied.text!r} removes the last suite"
        if self._last is None:
            return None, "it is empty"
        if unknown:
            more = f", nor are {len(unknown) - 1} more words" if len(unknown) > 1 else ""
            return unknown[0], f"it selects nothing: {_shown(unknown[0])} is no cipher of OpenSSL {openssl}{more}"
        if self._last.action == "add":
            return self._last.text, f"it selects nothing: no suite of OpenSSL {openssl} is {_shown(self._last.text)}"
        return self._last.text, f"it adds nothing: {_shown(self._last.text)} only changes what other words add"


class _Language:
    """The cipher lists of one OpenSSL: its words, its commands, and its suites in the order before any rule."""

    def __init__(self, openssl: Generation) -> None:
        self.openssl = openssl
        self._words = words(openssl)
        # A later OpenSSL reads '=' as a part of a word, for @SECLEVEL=n.
        self._word = re.compile(r"[A-Za-z0-9.-]+" if openssl == "1.0.2" else r"[A-Za-z0-9.=-]+")
        self.suites: tuple[CatalogueSuite, ...] = tuple(
            sorted(
                (known for known in catalogue(openssl).values() if known.protocol != "TLSv1.3"),
                # As the tables are read: those of SSL 3.0 to TLS 1.2 backwards by number, then SSLv2 likewise.
                key=lambda known: (known.protocol == "SSLv2", -known.number),
            )
        )
        self.bits = tuple(known.bits for known in self.suites)
        self._selected: dict[Pattern, frozenset[int]] = {}

    def selection(self) -> _Selection:
        """The suites before the first rule: in the library's order, none of them in the list."""
        return _Selection(self, self._first_order)

    def selected(self, pattern: Pattern) -> frozenset[int]:
        """The places of the suites that a pattern is of."""
        known = self._selected.get(pattern)
        if known is None:
            known = frozenset(place for place, suite in enumerate(self.suites) if pattern.selects(suite))
            if len(self._selected) < 4096:  # a bound for whoever evaluates lists without end
                self._selected[pattern] = known
        return known

    def rules(self, text: str, whole: str) -> Iterator[_Rule]:
        """Read a list item by item (`ssl_cipher_process_rulestr`).

        Raises:
            InvalidCipherString: where a word should be there is none, or a command is none of OpenSSL's.
        """
        at = 0
        while at < len(text):
            start = at
            if text[at] in SEPARATORS:
                at += 1
                continue
            sign = text[at] if text[at] in "+-!@" else ""
            at += len(sign)
            if sign == "@":
                word = self._word.match(text, at)
                if word is None:
                    raise self._no_word(text, start, at, whole)
                # Whatever stands between a command and the next separator is passed over.
                at = _end_of_item(text, at)
                yield self._command(word[0], whole)
                continue
            pattern: Pattern | None = _ANY
            unknown = None
            while pattern is not None:
                word = self._word.match(text, at)
                if word is None:
                    raise self._no_word(text, start, at, whole)
                at = word.end()
                joined = text[at : at + 1] == "+"
                at += joined
                known = self._words.get(word[0])
                if known is None:
                    unknown = word[0]
                pattern = known if known is None or pattern is _ANY else pattern.narrowed(known)
                if not joined:
                    break
            if pattern is None:
                at = _end_of_item(text, at)
            yield _Rule(text[start:at], _ACTIONS[sign], pattern, unknown)

    def _command(self, word: str, whole: str) -> _Rule:
        if word == "STRENGTH":
            return _Rule("@STRENGTH", "sort")
        if self.openssl == "1.0.2":
            problem = "no security levels" if word == "SECLEVEL" else "no such command"
            reason = f"{_shown('@' + word)}: OpenSSL 1.0.2 has {problem} (allowed: @STRENGTH)"
            raise InvalidCipherString(whole, self.openssl, reason, "@" + word)
        if word.startswith("SECLEVEL="):
            level = word.removeprefix("SECLEVEL=")
            if len(level) == 1 and level in "012345":
                return _Rule("@" + word, "level", level=int(level))
            reason = f"{_shown('@' + word)}: no security level (allowed: 0 to 5)"
        else:
            reason = f"{_shown('@' + word)}: no such command (allowed: @STRENGTH, @SECLEVEL=0 to @SECLEVEL=5)"
        raise InvalidCipherString(whole, self.openssl, reason, "@" + word)

    def _no_word(self, text: str, start: int, at: int, whole: str) -> InvalidCipherString:
        """The error for a place where a word should begin and none does."""
        first = max(text.rfind(separator, 0, start) for separator in SEPARATORS) + 1
        item = text[first : max(_end_of_item(text, start), at)]
        if at >= len(text) or text[at] in SEPARATORS:
            reason = f"{_shown(item)}: a word is missing after {text[at - 1]!r}"
        else:
            reason = f"{_shown(item)}: {text[at]!r} is not allowed there (allowed: letters, digits, '-', '.')"
        return InvalidCipherString(whole, self.openssl, reason, item)

    @cached_property
    def _first_order(self) -> tuple[int, ...]:
        """The order of preference that `ssl_create_cipher_list` makes before it reads a list."""
        selection = _Selection(self, tuple(range(len(self.suites))))

        def change(action: Action | Literal["bump"], by: Callable[[str, str, str, str], bool] | None = None) -> None:
            selection.change(action, everything if by is None else self._places(by))

        everything = frozenset(selection.order)
        old = self.openssl == "1.0.2"
        # Ephemeral ECDH before other key exchanges; since 1.1.0 ECDSA first among it.
        if not old:
            change("add", lambda kx, au, enc, mac: kx == "ECDH" and au == "ECDSA")
        change("add", lambda kx, au, enc, mac: kx == "ECDH")
        change("delete", lambda kx, au, enc, mac: kx == "ECDH")
        # AES before other ciphers; since 1.1.0 GCM, then ChaCha20 before AES in other modes.
        if not old:
            change("add", lambda kx, au, enc, mac: enc.startswith("AESGCM"))
            change("add", lambda kx, au, enc, mac: enc.startswith("CHACHA20"))
        change("add", lambda kx, au, enc, mac: enc.startswith("AES"))
        change("add")
        # To the end: MD5, no authentication, no forward secrecy, RC4.
        change("move", lambda kx, au, enc, mac: mac == "MD5")
        change("move", lambda kx, au, enc, mac: au == "None")
        if old:
            change("move", lambda kx, au, enc, mac: au == "ECDH")
        change("move", lambda kx, au, enc, mac: kx in ("RSA", "RSA(512)"))
        change("move", lambda kx, au, enc, mac: kx == "PSK")
        change("move", lambda kx, au, enc, mac: enc.startswith("RC4"))
        selection.sort_by_strength()
        if not old:
            # Over strength: what is only of TLS 1.2, then AEAD, then ephemeral, then both.
            selection.change("bump", self.selected(Pattern(protocol=frozenset({"TLSv1.2"}))))
            change("bump", lambda kx, au, enc, mac: mac == "AEAD")
            change("bump", lambda kx, au, enc, mac: kx in ("DH", "ECDH"))
            change("bump", lambda kx, au, enc, mac: kx in ("DH", "ECDH") and mac == "AEAD")
        change("delete")
        return tuple(selection.order)

    def _places(self, by: Callable[[str, str, str, str], bool]) -> frozenset[int]:
        return frozenset(
            place
            for place, known in enumerate(self.suites)
            if by(known.key_exchange, known.authentication, known.encryption, known.mac)
        )


@cache
def _language(openssl: Generation) -> _Language:
    return _Language(openssl)


def _numbered(name: str, openssl: Generation) -> int | None:
    """The suite behind a name in a list for TLS 1.3: IANA's, in upper case."""
    known = catalogue(openssl)
    for number, each in known.items():
        if each.protocol == "TLSv1.3" and each.name == name:
            return number
    if not name.startswith("TLS_"):
        return None
    from mxprobe.tls.suites import suite  # a whole registry, for the rare list that names an older suite

    return next((number for number in known if suite(number).iana == name), None)


def _end_of_item(text: str, at: int) -> int:
    """Where the next separator is, or the end."""
    found = _SEPARATOR.search(text, at)
    return found.start() if found else len(text)


def _shown(word: str) -> str:
    """A word in quotes, and no longer than a line bears."""
    return repr(word if len(word) <= 60 else word[:60] + "...")


_ANY = Pattern()
_ACTIONS: dict[str, Action] = {"": "add", "+": "move", "-": "delete", "!": "kill"}
_SEPARATOR = re.compile("[ :,;]")
