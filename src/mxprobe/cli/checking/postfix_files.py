"""The files of a Postfix that is judged on paper: main.cf or `postconf -n`, master.cf, certificates, lookup tables."""

from __future__ import annotations

import base64
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mxprobe.configuration.files import read_at_most
from mxprobe.errors import InvalidSetting
from mxprobe.mta.postfix.ciphers import check_grades
from mxprobe.mta.postfix.configuration import (
    MAX_TEXT,
    Configuration,
    Place,
    Remark,
    Setting,
    overrides,
    read_main_cf,
    read_postconf_n,
)
from mxprobe.mta.postfix.defaults import Daemon, Parameters, remarks_on
from mxprobe.mta.postfix.services import Service, client_service, of_service, read_master_cf, server_service
from mxprobe.mta.postfix.version import PostfixVersion, parse_version
from mxprobe.tls.openssl_catalogue import GENERATIONS, Generation, generation
from mxprobe.verdict import checks

if TYPE_CHECKING:
    from mxprobe.cli.checking.request import Request

MAX_FILE = 4_000_000
"""Bytes of a file that are read: a main.cf has some ten thousand, a chain too. A device or a log would be endless."""

MAX_TABLE = 50_000_000
"""Bytes of a lookup table: a policy for each of a million domains, some of which have a fingerprint."""

MAX_CERTIFICATES = 100
"""Certificates that are read of one file."""

_WHERE = re.compile(r"(?P<file>.+): line (?P<line>[0-9]+)\Z", re.DOTALL)
_CERTIFICATES_OF_CLIENTS = (
    "smtp_tls_chain_files",
    "smtp_tls_cert_file",
    "smtp_tls_eccert_file",
    "smtp_tls_dcert_file",
)
_DEFAULTS = {"config_directory": "/etc/postfix", "default_database_type": "hash"}

_PEM = re.compile(rb"-----BEGIN ([A-Z0-9. ]{1,40})-----(.*?)-----END \1-----", re.DOTALL)
_CERTIFICATES = (b"CERTIFICATE", b"X509 CERTIFICATE")


@dataclass(frozen=True, slots=True, kw_only=True)
class PostfixOnPaper:
    """A configuration with what it means nothing without: the version of its Postfix, and of the OpenSSL under it.

    `service` is the one of master.cf whose options count; None without a master.cf. `directory` is where the file is.
    """

    configuration: Configuration
    postfix: PostfixVersion
    openssl: Generation
    directory: Path
    service: Service | None = None
    remarks: tuple[Remark, ...] = ()

    @property
    def parameters(self) -> Parameters:
        """Its parameters, defaults included."""
        return Parameters(configuration=self.configuration, postfix=self.postfix, openssl=self.openssl)

    def __str__(self) -> str:
        """As in the first line of a report."""
        return f"{self.configuration.source} (Postfix {self.postfix} on OpenSSL {self.openssl})"


def postfix_on_paper(request: Request, *, client: bool, main_cf: str | None = None) -> PostfixOnPaper:
    """What the options of a check name. `client` is whose service of master.cf counts: that of smtp(8), or of smtpd(8).

    `main_cf` stands in the place of that of the options, and of what ``-o`` says over it: another configuration of the
    same machine.

    Raises:
        InvalidSetting: a file cannot be read or is wrong, or something is missing that nothing can be told without.
    """
    postfix = parse_version(_stated("--postfix", request.postfix, "such as 3.7, or 2.6.6"))
    openssl = generation(_stated("--openssl", request.openssl, ", ".join(GENERATIONS)))
    named = main_cf or request.main_cf
    if main_cf is None and request.main_cf is not None and request.postconf is not None:
        raise InvalidSetting("--postconf", "it stands in the place of --main-cf: only one of them can count")
    if named is not None:
        configuration, directory = read_main_cf(read_file(named, MAX_FILE), named), Path(named).parent
    elif request.postconf is not None:
        where = "standard input" if request.postconf == "-" else request.postconf
        text = _standard_input() if request.postconf == "-" else read_file(request.postconf, MAX_FILE)
        configuration, directory = read_postconf_n(text, where), Path("/etc/postfix")
    else:
        raise InvalidSetting("--main-cf", "it is missing, or --postconf", "a main.cf, or what postconf -n printed")
    services = _services(request)
    service = None
    if services is not None:
        of_kind, usual = (client_service, "smtp") if client else (server_service, "smtpd")
        service = of_kind(services, request.service or usual)
        configuration = of_service(configuration, services, service)
    if main_cf is None:
        configuration = configuration.overridden(overrides(request.overrides))
    configuration = _with_defaults(configuration)
    daemon: Daemon = "smtp" if client else "smtpd"
    parameters = Parameters(configuration=configuration, postfix=postfix, openssl=openssl, daemon=daemon)
    check_grades(parameters, daemon)
    remarks = (*remarks_on(configuration, postfix, openssl, daemon), *_files_elsewhere(parameters, daemon))
    return PostfixOnPaper(
        configuration=configuration,
        postfix=postfix,
        openssl=openssl,
        directory=directory,
        service=service,
        remarks=remarks,
    )


def read_file(name: str, limit: int) -> str:
    """The text of a file: UTF-8, with bytes that are none of it kept as they are (PEP 383).

    Raises:
        InvalidSetting: it cannot be read, or is longer than `limit` bytes.
    """
    return _decoded(_read_bytes(name, limit))


def certificate_chains(
    name: str, where: str, *, several: bool = False, mta: str = "Postfix"
) -> tuple[tuple[bytes, ...], ...]:
    """The chains of a PEM file, DER, each with its own certificate first; with `several`, each key begins another one,
    as in `smtpd_tls_chain_files`. `mta` is whose server it is.

    Raises:
        InvalidSetting: it cannot be read, or has no certificate in it.
    """
    chains: list[list[bytes]] = [[]]
    try:
        data = _read_bytes(name, MAX_FILE)
    except InvalidSetting as error:
        raise InvalidSetting(where, f"{name} {error.problem}") from error
    if b"-----BEGIN ENCRYPTED PRIVATE KEY" in data or b"Proc-Type: 4,ENCRYPTED" in data:
        raise InvalidSetting(where, f"{name} has an encrypted key, with which {mta} turns TLS off")
    for label, body in _PEM.findall(data)[: 2 * MAX_CERTIFICATES]:
        if label in _CERTIFICATES:
            try:
                chains[-1].append(base64.b64decode(b"".join(body.split()), validate=True))
            except ValueError as error:
                raise InvalidSetting(where, f"{name} has a certificate that is not whole: {error}") from error
        elif several and label.endswith(b"PRIVATE KEY") and chains[-1]:
            chains.append([])
    found = tuple(tuple(chain[:MAX_CERTIFICATES]) for chain in chains if chain)
    if not found:
        why = f", and is DER or PKCS#12, which {mta} does not read" if data.startswith(b"0") else ""
        raise InvalidSetting(
            where, f"{name} has no certificate in it{why}", "a PEM file, the server's own certificate first"
        )
    return found


def field_bits(data: bytes) -> int:
    """The size of the finite field of DH parameters (PKCS #3 in PEM), in bits.

    Raises:
        ValueError: there are none.
    """
    for label, body in _PEM.findall(data):
        if label.endswith(b"DH PARAMETERS"):
            # SEQUENCE, its length, INTEGER, its length, the prime: lengths are of one byte, or of as many as it says.
            der, at = base64.b64decode(b"".join(body.split()), validate=True), 0
            for tag in (0x30, 0x02):
                if der[at : at + 1] != bytes([tag]) or len(der) < at + 2:
                    break
                more = der[at + 1] & 0x7F if der[at + 1] & 0x80 else 0
                length = int.from_bytes(der[at + 2 : at + 2 + more]) if more else der[at + 1]
                at += 2 + more
            else:
                return int.from_bytes(der[at : at + length]).bit_length()
    raise ValueError("no DH parameters")


def check_place(place: Place | None) -> checks.Place | None:
    """A place as checks have it; None for what was said on the command line, which has no line to look at."""
    return None if place is None or place.file.startswith("-") else checks.Place(file=place.file, line=place.line)


def place_said(where: str) -> checks.Place | None:
    """The place in words such as ``main.cf: line 3``; None where there is no line in them."""
    match = _WHERE.match(where)
    return checks.Place(file=match["file"], line=int(match["line"])) if match else None


class TableFiles:
    """Where the texts of lookup tables are. A path below /etc/postfix (or `config_directory`) is first looked for
    beside the main.cf that is judged: a new one mostly comes with its tables."""

    def __init__(self, paper: PostfixOnPaper) -> None:
        self._directory = paper.directory
        self._configured = Path(paper.configuration.get("config_directory") or "/etc/postfix")

    def read(self, name: str) -> tuple[str, str]:
        """The text of a table's source, and the file that it is from.

        Raises:
            OSError: there is none that can be read.
            InvalidSetting: it is far too long.
        """
        path = Path(name)
        if "\0" in name:
            raise OSError(0, "a NUL byte in its name")
        if path.is_relative_to(self._configured):
            beside = self._directory / path.relative_to(self._configured)
            if beside.is_file():
                path = beside
        elif not path.is_absolute() and (self._directory / path).is_file():
            path = self._directory / path
        if not path.is_file():
            raise OSError(2, "there is no such file")
        data = read_at_most(path, MAX_TABLE)
        if len(data) > MAX_TABLE:
            raise InvalidSetting(str(path), f"it is longer than {MAX_TABLE} bytes")
        return _decoded(data), str(path)


def _with_defaults(configuration: Configuration) -> Configuration:
    """With what paths of tables mostly refer to, which has defaults that are not about TLS (postconf(5))."""
    missing = [(name, value) for name, value in _DEFAULTS.items() if configuration.written(name) is None]
    place = Place(file=configuration.source)
    more = (Setting(name=name, value=value, place=place) for name, value in missing)
    return configuration.overridden((*more, *configuration.settings.values()))


def _files_elsewhere(parameters: Parameters, daemon: Daemon) -> Iterator[Remark]:
    """Files that a daemon has to read to do any TLS, and that are not on this machine. Those with the certificates of a
    server are not among them: they are read here."""
    for name in (f"{daemon}_tls_CAfile", *(_CERTIFICATES_OF_CLIENTS if daemon == "smtp" else ())):
        place = parameters.place(name)
        for path in parameters.words(name) if place is not None else ():
            if place is not None and path.startswith("/") and not os.path.exists(path):
                text = f"{name}: {path} is not on this machine; where it is not on the MTA's either, that turns TLS off"
                yield Remark(text=text, place=place)


def _stated(option: str, value: str | None, allowed: str) -> str:
    if value is None:
        raise InvalidSetting(option, "it is missing: what a main.cf means depends on it", allowed)
    return value


def _services(request: Request) -> tuple[Service, ...] | None:
    if request.master_cf is None:
        if request.service is not None:
            raise InvalidSetting("--service", "it names a service of --master-cf, which is missing")
        return None
    return read_master_cf(read_file(request.master_cf, MAX_FILE), request.master_cf)


def _standard_input() -> str:
    data = sys.stdin.buffer.read(MAX_TEXT + 1)
    if len(data) > MAX_TEXT:
        raise InvalidSetting("--postconf", f"standard input is longer than {MAX_TEXT} bytes")
    return _decoded(data)


def _read_bytes(name: str, limit: int) -> bytes:
    try:
        data = read_at_most(name, limit)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise InvalidSetting(name, f"cannot be read: {reason or error}") from error
    if len(data) > limit:
        raise InvalidSetting(name, f"it is longer than {limit} bytes")
    return data


def _decoded(data: bytes) -> str:
    return data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
