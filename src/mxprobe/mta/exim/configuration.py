"""Exim's configuration file: main options and transports, after macros, conditions and includes.

Options that do not concern TLS are let pass. Options are kept as text with their place. A value that needs a running
Exim (``${if ...}``, ``$host``) cannot be told from the file, and is not guessed. Exim specification chapters 6 ("The
runtime configuration file") and 11 ("String expansions").
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType
from typing import Final

from mxprobe.errors import InvalidSetting
from mxprobe.mta.exim.lines import SPACE, Library, Line, Read, Reader

MAIN_OPTIONS: Final = frozenset(
    {
        "gnutls_allow_auto_pkcs11",
        "gnutls_compat_mode",
        "gnutls_require_kx",
        "gnutls_require_mac",
        "gnutls_require_protocols",
        "openssl_options",
        "tls_advertise_hosts",
        "tls_alpn",
        "tls_certificate",
        "tls_crl",
        "tls_dh_max_bits",
        "tls_dhparam",
        "tls_early_banner_hosts",
        "tls_eccurve",
        "tls_ocsp_file",
        "tls_on_connect_ports",
        "tls_privatekey",
        "tls_remember_esmtp",
        "tls_require_ciphers",
        "tls_resumption_hosts",
        "tls_try_verify_hosts",
        "tls_verify_certificates",
        "tls_verify_hosts",
    }
)
"""The main options that concern TLS, of Exim 4.70 to 4.99. Another one that begins in ``tls_`` is a mistake."""

TRANSPORT_OPTIONS: Final = frozenset(
    {
        "gnutls_require_kx",
        "gnutls_require_mac",
        "gnutls_require_protocols",
        "tls_alpn",
        "tls_certificate",
        "tls_crl",
        "tls_dh_min_bits",
        "tls_privatekey",
        "tls_require_ciphers",
        "tls_resumption_hosts",
        "tls_sni",
        "tls_tempfail_tryclear",
        "tls_try_verify_hosts",
        "tls_verify_cert_hostnames",
        "tls_verify_certificates",
        "tls_verify_hosts",
    }
)
"""The private options of the smtp transport that concern TLS and begin in ``tls_`` or ``gnutls_``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """The value of an option as it stands in the file, macros replaced, and where that is: ``FILE: line N``.

    `doubt` names the condition that decides whether it is set at all, where that cannot be told from the file.
    """

    value: str
    where: str
    doubt: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transport:
    """A transport: its name, the driver, its options, and where it begins."""

    name: str
    where: str
    options: Mapping[str, Setting]

    @property
    def driver(self) -> str:
        """What kind of transport it is, such as ``smtp``; empty where the file does not say."""
        return self.options["driver"].value if "driver" in self.options else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What an Exim configuration says: its main options, and its transports in the order of the file."""

    where: str
    library: Library
    main: Mapping[str, Setting]
    transports: tuple[Transport, ...]

    def transport(self, name: str | None = None) -> Transport:
        """The smtp transport of this name; without a name, the one that there is.

        Raises:
            InvalidSetting: there is none of that name, it is no smtp transport, or several could be meant.
        """
        smtp = tuple(transport for transport in self.transports if transport.driver == "smtp")
        names = ", ".join(transport.name for transport in smtp)
        if name is not None:
            for transport in self.transports:
                if transport.name == name:
                    if transport in smtp:
                        return transport
                    problem = f"transport {name!r} has the driver {transport.driver!r}, and does no TLS"
                    raise InvalidSetting(transport.where, problem, names or "a transport with driver = smtp")
            raise InvalidSetting(self.where, f"there is no transport {name!r}", names or "none has driver = smtp")
        if not smtp:
            raise InvalidSetting(self.where, "no transport has driver = smtp, so this Exim sends no mail by SMTP")
        # The TLS of two that were told the same is the same.
        if len({_tls_of(transport) for transport in smtp}) > 1:
            raise InvalidSetting(self.where, "its smtp transports differ in TLS, so one has to be named", names)
        return smtp[0]


def literal(setting: Setting, option: str) -> str:
    """What an expanded option always comes to, whatever the connection.

    Raises:
        InvalidSetting: that depends on something that only a running Exim knows.
    """
    if setting.doubt:
        problem = f"whether {option} is set depends on {setting.doubt}, which cannot be told from the file"
        raise InvalidSetting(setting.where, problem, _WAY_OUT)
    text, position, end = [], 0, len(setting.value)
    value = setting.value
    while position < end:
        character = value[position]
        if character == "\\" and value.startswith("\\N", position):
            stop = value.find("\\N", position + 2)
            text.append(value[position + 2 : stop if stop >= 0 else end])
            position = stop + 2 if stop >= 0 else end
        elif character == "\\":
            escape = _ESCAPE.match(value, position)
            assert escape is not None, "a backslash, and whatever follows"
            text.append(_unescaped(escape[1]))
            position = escape.end()
        elif character == "$":
            word = _EXPANSION.match(value, position)
            found = word[0] if word else "$"
            problem = f"{option} holds {found!r}, which cannot be told from the file"
            raise InvalidSetting(setting.where, problem, _WAY_OUT)
        else:
            text.append(character)
            position += 1
    return "".join(text)


def read_exim(text: str, where: str, read: Read, *, library: Library) -> Configuration:
    """Read an Exim configuration. `where` is its path, as messages name it; `read` gives the files it includes.

    Raises:
        InvalidSetting: Exim would refuse it, or it is no Exim configuration; with file and line number.
    """
    reader = Reader(where, read, library)
    main: dict[str, Setting] = {}
    transports: list[Transport] = []
    options: dict[str, Setting] | None = None
    section, sections = "", set[str]()
    for line in reader.lines(text):
        if line.text[:6].lower() == "begin ":
            section, options = line.text[6:].strip(SPACE).lower().removesuffix("s") + "s", None
            if section not in _SECTIONS:
                problem = f"there is no section {line.text[6:66].strip(SPACE)!r}"
                raise InvalidSetting(line.where, problem, ", ".join(_SECTIONS))
            if section in sections:
                raise InvalidSetting(line.where, f"there is a section {section!r} already")
            sections.add(section)
        elif reader.defines(line, anything=not section):
            # A macro ends the transport before it.
            options = None
        elif not section:
            _main_option(main, line)
        elif section == "transports":
            if match := _DRIVER.match(line.text):
                if any(known.name == match[1] for known in transports):
                    raise InvalidSetting(line.where, f"there are two transports called {match[1]!r}")
                options = {}
                transports.append(Transport(name=match[1], where=line.where, options=MappingProxyType(options)))
            elif options is None:
                raise InvalidSetting(line.where, "a transport's name is missing before this option", "name:")
            else:
                _set(options, line, repeated=_REPEATED_OF_TRANSPORTS)
    for transport in transports:
        if not transport.driver:
            raise InvalidSetting(transport.where, f"transport {transport.name!r} has no driver", "driver = smtp")
        if transport.driver == "smtp":
            _refuse_unknown(transport.options, TRANSPORT_OPTIONS, "an option of the smtp transport")
    _refuse_unknown(main, MAIN_OPTIONS, "a main option")
    return Configuration(where=where, library=library, main=MappingProxyType(main), transports=tuple(transports))


_WAY_OUT = "a plain value; what `exim -be 'STRING'` makes of it, written out; or a profile of lists or of a recording"

_SECTIONS = ("acls", "authenticators", "local_scans", "retrys", "rewrites", "routers", "transports")
_DRIVER = re.compile(r"([A-Za-z0-9_]+)\s*:\s*\Z", re.ASCII)
_NAME = re.compile(r"(hide\s+)?([A-Za-z][A-Za-z0-9_]*)\s*", re.ASCII)
_NAMED_LIST = re.compile(r"(hide\s+)?(domain|host|address|localpart)list\b")
_ESCAPE = re.compile(r"\\([0-7]{1,3}|x[0-9A-Fa-f]{0,2}|.|\Z)", re.DOTALL)
_EXPANSION = re.compile(r"\$(\{[^{}\s]{0,40}[{\s]?|[A-Za-z_][A-Za-z0-9_]{0,60}|.)?", re.DOTALL)

# Options of transports that may be told several times; no main option may.
_REPEATED_OF_TRANSPORTS = frozenset({"headers_add", "headers_remove", "set"})


def _main_option(main: dict[str, Setting], line: Line) -> None:
    if not _NAMED_LIST.match(line.text):
        _set(main, line, repeated=frozenset())


def _set(options: dict[str, Setting], line: Line, *, repeated: frozenset[str]) -> None:
    """One line of options: ``name = value``, or a boolean, which may have ``no_`` before it."""
    match = _NAME.match(line.text)
    if match is None:
        raise InvalidSetting(line.where, f"an option was expected, found {line.text[:60]!r}", "name = value")
    name, rest = match[2], line.text[match.end() :]
    if rest.startswith("=") and name.startswith(("no_", "not_")):
        raise InvalidSetting(line.where, f"{name!r} has a value, and no_ is for options without one", "name = value")
    if rest.startswith("="):
        value = _string(rest[1:].lstrip(SPACE), name, line.where)
    elif rest or name == "hide":
        raise InvalidSetting(line.where, f"there is no '=' after {name!r}", "name = value")
    else:
        value, name = _boolean(name, line.where)
    earlier = options.get(name)
    if earlier is not None and name not in repeated and not (earlier.doubt or line.doubt):
        raise InvalidSetting(line.where, f"{name!r} is set for the second time, after {earlier.where}")
    options[name] = Setting(value=value, where=line.where, doubt=line.doubt or (earlier.doubt if earlier else ""))


def _boolean(name: str, where: str) -> tuple[str, str]:
    """The value and the name of an option that stands alone on its line."""
    bare = re.sub(r"\Anot?_", "", name)
    if (bare.startswith("tls_") and bare not in _BOOLEANS) or bare == "openssl_options":
        raise InvalidSetting(where, f"there is no value after {name!r}", f"{bare} = value")
    return ("true", name) if bare == name else ("false", bare)


_BOOLEANS = frozenset({"tls_remember_esmtp", "tls_tempfail_tryclear"})


def _string(text: str, name: str, where: str) -> str:
    """A value: the rest of the line, or what is in quotes, with its escapes (specification §6.17)."""
    if not text.startswith('"'):
        return text
    value, position = [], 1
    while position < len(text) and text[position] != '"':
        escape = _ESCAPE.match(text, position)
        if escape is None:
            value.append(text[position])
            position += 1
        else:
            value.append(_unescaped(escape[1]))
            position = escape.end()
    if position >= len(text):
        raise InvalidSetting(where, f"the quote of {name!r} is not closed", '"value"')
    if text[position + 1 :].strip():
        raise InvalidSetting(where, f"something follows the quoted value of {name!r}: {text[position + 1 :][:60]!r}")
    return "".join(value)


def _unescaped(code: str) -> str:
    """What stands for a backslash and these characters (`string_interpret_escape` of Exim)."""
    if code[:1].isdigit() and code[0] in "01234567":
        return chr(int(code, 8) & 0xFF)
    if code[:1] == "x" and len(code) > 1:
        return chr(int(code[1:], 16))
    return {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}.get(code, code)


def _refuse_unknown(options: Mapping[str, Setting], known: frozenset[str], what: str) -> None:
    """Exim dies of an option that it does not know. Of those that begin as these do, all that there are are known."""
    for name, setting in options.items():
        if name.startswith(("tls_", "gnutls_", "openssl_")) and name not in known:
            near = "".join(f"; did you mean {close!r}?" for close in get_close_matches(name, known, n=1))
            raise InvalidSetting(setting.where, f"{name!r} is not {what}{near}", ", ".join(sorted(known)))


def _tls_of(transport: Transport) -> str:
    found = transport.options.get("tls_require_ciphers")
    return "" if found is None else f"={found.value}"
