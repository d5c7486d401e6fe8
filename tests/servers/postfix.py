"""Postfix itself, with a configuration and queue of its own: the real MTA, as Debian ships it or opened up."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from mxprobe.terms import PROTOCOLS, Protocol
from servers.certificates import Issued
from servers.openssl_server import EVERYTHING, OPENSSL_PROTOCOLS, authentication, openssl_suites
from servers.running import RunningServer, Suites, certificate, free_port, output_of, program, server_directory, started

OPENED_UP: Mapping[str, str] = {
    "smtpd_tls_protocols": ">=TLSv1",
    "smtpd_tls_ciphers": "medium",
    "tls_medium_cipherlist": EVERYTHING,
}
"""Everything that Debian's OpenSSL 3 can do: 23 suites at TLS 1.0 and 1.1, 77 at 1.2, 3 at 1.3."""

_PROCESSES = 200
_QUEUES = ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved", "trace")
_SERVICES = f"""\
127.0.0.1:{{port}} inet n - n - {_PROCESSES} smtpd
anvil unix - - n - 1 anvil
bounce unix - - n - 0 bounce
cleanup unix n - n - 0 cleanup
postlog unix-dgram n - n - 1 postlogd
proxymap unix - - n - - proxymap
rewrite unix - - n - - trivial-rewrite
tlsmgr unix - - n 1000? 1 tlsmgr
"""


@contextmanager
def postfix_server(
    *,
    main_cf: Mapping[str, str] | None = None,
    opened_up: bool = False,
    certificates: Sequence[Issued] = (),
    services: Sequence[str] = (),
) -> Iterator[RunningServer]:
    """Run a Postfix that only listens, on a free port of 127.0.0.1; several may run at a time.

    Opportunistic TLS with RSA and EC certificates (or those given) and, unless `opened_up`, Debian's own choice of
    protocols and suites. `main_cf` adds parameters, or overrides them, `services` lines to its `master.cf`. Its rate
    limits are off, and it accepts no mail to anywhere.

    Raises:
        RuntimeError: it does not start, or this is not root, which Postfix needs to change accounts.
    """
    if os.geteuid() != 0:
        raise RuntimeError("Postfix starts as root only: run these tests as root (in a container, say)")
    master = program("master", "postfix")
    shown = tuple(certificates) or (certificate("RSA"), certificate("EC"))
    port = free_port()
    with server_directory("postfix") as directory:
        parameters = {**(OPENED_UP if opened_up else {}), **(main_cf or {})}
        configuration = _lay_out(directory, port, shown, parameters, services)
        log = directory / "mail.log"
        # master(8) as `postfix start-fg` runs it, without the file checks of that, which take seconds.
        with started(
            "Postfix",
            [master, "-c", configuration, "-s"],
            log=directory / "output.log",
            other_logs=(log,),
            environment={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "MAIL_CONFIG": str(configuration)},
        ) as process:
            try:
                process.wait_until_ready(port, banner=True)
            except RuntimeError as error:
                # What master(8) says before it has read its configuration goes to syslog alone.
                raise RuntimeError(f"{error}\npostfix check says:\n{_check(configuration)}") from error
            yield RunningServer(
                name="Postfix",
                port=port,
                expected=_expected(configuration, shown),
                certificates=shown,
                log=log,
                process_id=process.popen.pid,
            )


def _lay_out(
    directory: Path,
    port: int,
    certificates: Sequence[Issued],
    parameters: Mapping[str, str],
    services: Sequence[str],
) -> Path:
    """Make the configuration, queue and data directories; returns the first. Owners are those of postfix-files(5)."""
    chain_files = []
    for number, issued in enumerate(certificates):
        chain_files.append(directory / f"chain{number}.pem")
        # smtpd_tls_chain_files(5): the key, then the certificates from the leaf up.
        chain_files[-1].write_bytes(issued.key_pem + issued.chain_pem)
        chain_files[-1].chmod(0o600)

    configuration, queue, data = directory / "etc", directory / "queue", directory / "data"
    for made in (configuration, queue, queue / "pid", data):
        made.mkdir()
    shutil.chown(data, "postfix")
    data.chmod(0o700)
    for name in _QUEUES:
        (queue / name).mkdir(mode=0o700)
        shutil.chown(queue / name, "postfix")
    for name, mode in (("public", 0o710), ("maildrop", 0o730)):
        (queue / name).mkdir()
        shutil.chown(queue / name, "postfix", "postdrop")
        (queue / name).chmod(mode)

    settings = {
        "compatibility_level": "3.6",
        "queue_directory": str(queue),
        "data_directory": str(data),
        "maillog_file": str(directory / "mail.log"),
        "maillog_file_prefixes": str(directory),
        "myhostname": "mx.test",
        "mydestination": "mx.test",
        "inet_interfaces": "127.0.0.1",
        "inet_protocols": "ipv4",
        "mynetworks": "127.0.0.1/32",
        "alias_maps": "",
        "alias_database": "",
        "local_recipient_maps": "",
        "smtpd_relay_restrictions": "reject",
        "smtpd_peername_lookup": "no",
        "smtpd_tls_security_level": "may",
        "smtpd_tls_chain_files": ", ".join(str(path) for path in chain_files),
        "smtpd_client_connection_count_limit": "0",
        "smtpd_client_connection_rate_limit": "0",
        "smtpd_client_new_tls_session_rate_limit": "0",
        "default_process_limit": str(_PROCESSES),
        # Or a busy port would turn Postfix to its stress settings (STRESS_README).
        "smtpd_timeout": "300s",
        **parameters,
    }
    (configuration / "main.cf").write_text("".join(f"{name} = {value}\n" for name, value in settings.items()))
    (configuration / "master.cf").write_text(
        _SERVICES.format(port=port) + "".join(f"{service}\n" for service in services)
    )
    for file in configuration.iterdir():
        # Postfix reads a file again and again, 0.3 s apart, while it could still be being written.
        os.utime(file, (0, 0))
    return configuration


def _check(configuration: Path) -> str:
    """What `postfix check` says, which it says to terminals only."""
    ours, its = pty.openpty()
    try:
        subprocess.run(
            [program("postfix", "postfix"), "-c", configuration, "check"], stdout=its, stderr=its, check=False
        )
        os.set_blocking(ours, False)
        return os.read(ours, 65536).decode(errors="replace")
    except BlockingIOError:
        return "nothing"
    finally:
        os.close(its)
        os.close(ours)


def _expected(configuration: Path, certificates: Sequence[Issued]) -> Suites:
    """What the configuration accepts, by `postconf` and `openssl ciphers`."""

    def value(name: str) -> str:
        return output_of(program("postconf", "postfix"), "-c", configuration, "-xh", name).strip()

    if value("smtpd_tls_security_level") not in ("may", "encrypt"):
        return {}
    mandatory = "mandatory_" if value("smtpd_tls_security_level") == "encrypt" else ""
    grade = value(f"smtpd_tls_{mandatory}ciphers")
    excluded = value("smtpd_tls_exclude_ciphers").replace(",", " ").split()
    if mandatory:
        excluded += value("smtpd_tls_mandatory_exclude_ciphers").replace(",", " ").split()
    return openssl_suites(
        # smtpd(8) lowers the security level of its OpenSSL to 0 and lets the cipher list decide.
        ":".join([value(f"tls_{grade}_cipherlist"), *(f"!{word}" for word in excluded), "@SECLEVEL=0"]),
        protocols=_protocols(value(f"smtpd_tls_{mandatory}protocols")),
        authentications=frozenset({"None"} | {authentication(issued) for issued in certificates}),
    )


def _protocols(text: str) -> tuple[Protocol, ...]:
    """What a protocol list leaves: `>=A, <=B`, `!A`, or names of all that are meant (postconf(5))."""
    allowed = list(PROTOCOLS)
    words = text.replace(",", " ").replace(":", " ").split()
    named = [word for word in words if word[0] not in "!<>"]
    for word in words:
        bound = word.lstrip("!<>=")
        match word[0]:
            case "!":
                allowed = [protocol for protocol in allowed if protocol != bound]
            case ">":
                allowed = [protocol for protocol in allowed if PROTOCOLS.index(protocol) >= _index(bound)]
            case "<":
                allowed = [protocol for protocol in allowed if PROTOCOLS.index(protocol) <= _index(bound)]
            case _:
                allowed = [protocol for protocol in allowed if protocol in named]
    return tuple(protocol for protocol in allowed if protocol in OPENSSL_PROTOCOLS)


def _index(name: str) -> int:
    return next(number for number, protocol in enumerate(PROTOCOLS) if protocol == name)
