"""master.cf: the services of a Postfix, and the parameters that `-o` overrides for each (master(5))."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from mxprobe.errors import InvalidSetting
from mxprobe.mta.postfix.configuration import (
    Configuration,
    Place,
    Remark,
    Setting,
    logical_lines,
    name_and_value,
)

TYPES: Final = ("inet", "unix", "unix-dgram", "fifo", "pass")
_BLANKS: Final = " \t\r\n"
_FIELDS: Final = ("service name", "type", "private", "unpriv", "chroot", "wakeup", "maxproc", "command")
_TAKE_A_VALUE: Final = frozenset("imnorst")
"""Options of Postfix's daemons that have an argument (`getopt` of `single_server.c` and its siblings)."""

_PORTS: Final = {"smtp": "25", "submission": "587", "smtps": "465", "submissions": "465", "lmtp": "24"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One service: what listens or delivers under a name. `command` is the daemon's program without its directory."""

    name: str
    type: str
    command: str
    overrides: tuple[Setting, ...]
    place: Place

    def __str__(self) -> str:
        """As `postconf -M` names it."""
        return f"{self.name}/{self.type}"


def read_master_cf(text: str, where: str = "master.cf") -> tuple[Service, ...]:
    """Read a master.cf, or what `postconf -M` printed; `where` names it in messages.

    Raises:
        InvalidSetting: a line at which master(8) stops.
    """
    remarks: list[Remark] = []
    return tuple(_service(line, place) for place, line in logical_lines(text, where, remarks))


def client_service(services: tuple[Service, ...], name: str, where: str = "--service") -> Service:
    """The smtp(8) or lmtp(8) client of a name: ``smtp``, ``relay``, ``relay/unix``.

    Raises:
        InvalidSetting: there is none.
    """
    return _named(services, name, ("smtp", "lmtp"), where)


def server_service(services: tuple[Service, ...], name: str = "smtpd", where: str = "--service") -> Service:
    """The smtpd(8) server of a name: ``submission``, ``587/inet``, ``192.0.2.1:25``; ``smtpd`` is that of port 25.

    Raises:
        InvalidSetting: there is none.
    """
    return _named(services, name, ("smtpd",), where)


def of_service(configuration: Configuration, services: tuple[Service, ...], service: Service) -> Configuration:
    """A main.cf as one of these services has it. Names that others of them refer to are no mistakes in it."""
    values = tuple(setting.value for each in services for setting in each.overrides)
    return replace(configuration.overridden(service.overrides), referred=(*configuration.referred, *values))


def _named(services: tuple[Service, ...], wanted: str, commands: tuple[str, ...], where: str) -> Service:
    fit = [service for service in services if service.command in commands]
    name, slash, type = wanted.rpartition("/")
    if not slash or type not in TYPES:
        name, type = wanted, ""
    found = [service for service in fit if service.name == name and type in ("", service.type)]
    found = found or [service for service in fit if _port(service) == _number(name) and type in ("", service.type)]
    if not found and wanted in commands:
        # Behind postscreen(8) the server of port 25 has no port, but the name of its program.
        found = [service for service in fit if _port(service) == "25"] or fit
    if found:
        return found[0]
    program = " or ".join(f"{command}(8)" for command in commands)
    raise InvalidSetting(
        where, f"no {program} service {wanted!r} in {_file(services)}", ", ".join(map(str, fit)) or "there is none"
    )


def _file(services: tuple[Service, ...]) -> str:
    return services[0].place.file if services else "an empty master.cf"


def _number(name: str) -> str:
    return _PORTS.get(name, name)


def _port(service: Service) -> str:
    """The port of an inet service, as a number where it is a well-known name."""
    return _number(service.name.rpartition(":")[2]) if service.type == "inet" else ""


def _service(line: str, place: Place) -> Service:
    fields = list(_words(line))
    if len(fields) < len(_FIELDS):
        raise InvalidSetting(
            str(place), f'missing "{_FIELDS[len(fields)]}" field in {line[:60]!r}', "eight fields or more"
        )
    name, type, command = fields[0], fields[1], fields[7]
    if type not in TYPES:
        raise InvalidSetting(str(place), f"bad transport type: {type}", ", ".join(TYPES))
    return Service(
        name=name,
        type=type,
        command=command.rpartition("/")[2],
        overrides=tuple(_overrides(fields[8:], place)),
        place=place,
    )


def _words(line: str) -> Iterator[str]:
    """What blanks are between, but for blanks within braces (`mystrtokq(3)` of Postfix)."""
    at = 0
    while at < len(line):
        if line[at] in _BLANKS:
            at += 1
            continue
        start, level = at, 0
        while at < len(line) and (level or line[at] not in _BLANKS):
            level += {"{": 1, "}": -1 if level else 0}.get(line[at], 0)
            at += 1
        yield line[start:at]


def _overrides(arguments: list[str], place: Place) -> Iterator[Setting]:
    """The ``-o name=value`` and ``-o { name = value }`` among the arguments of a daemon."""
    remaining = iter([_without_braces(argument, place) for argument in arguments])
    for argument in remaining:
        if not argument.startswith("-") or argument in ("-", "--"):
            return
        for at, option in enumerate(argument[1:], 1):
            if option not in _TAKE_A_VALUE:
                continue
            value = argument[at + 1 :] or next(remaining, None)
            if option == "o":
                if value is None:
                    raise InvalidSetting(str(place), "nothing follows -o", "-o name=value")
                name, text = name_and_value(value, place)
                yield Setting(name=name, value=text, place=place)
            break


def _without_braces(argument: str, place: Place) -> str:
    if not argument.startswith("{"):
        return argument
    level = 0
    for at, character in enumerate(argument):
        level += {"{": 1, "}": -1}.get(character, 0)
        if level == 0:
            if argument[at + 1 :]:
                raise InvalidSetting(str(place), f"syntax error after '}}' in {argument[:60]!r}")
            return argument[1:at].strip(_BLANKS)
    raise InvalidSetting(str(place), f"missing '}}' in {argument[:60]!r}")
