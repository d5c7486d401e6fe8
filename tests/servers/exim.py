"""Exim itself, with a configuration and spool of its own: a real MTA on GnuTLS."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from servers.certificates import Issued
from servers.gnutls_server import gnutls_suites
from servers.running import RunningServer, certificate, free_port, server_directory, started
from servers.unpacked import HOST_NAME, hand_over, own_world, unpacked


@contextmanager
def exim_server(
    *,
    priority: str = "NORMAL",
    options: Mapping[str, str] | None = None,
    certificates: Sequence[Issued] = (),
) -> Iterator[RunningServer]:
    """Run an Exim that only listens, on a free port of 127.0.0.1.

    `priority` is its `tls_require_ciphers`, a GnuTLS priority string whose default is Exim's own. `certificates` are
    RSA and EC unless given. `options` adds main options to its configuration, or overrides them (Exim specification
    §14), and `expected` knows nothing of them. Its limits are off, and it accepts no mail to anywhere.

    Raises:
        RuntimeError: it does not start, or this is not root.
    """
    exim = unpacked("exim4-daemon-light") / "usr/sbin/exim4"
    shown = tuple(certificates) or (certificate("RSA"), certificate("EC"))
    port = free_port()
    with server_directory("exim") as directory:
        environment = own_world(directory, "Debian-exim")
        spool, logs = directory / "spool", directory / "log"
        spool.mkdir()
        logs.mkdir()
        written = [issued.write(directory, f"certificate{number}") for number, issued in enumerate(shown)]
        hand_over(spool, logs, *(path for pair in written for path in pair))
        settings = {
            "primary_hostname": HOST_NAME,
            "local_interfaces": "127.0.0.1",
            "daemon_smtp_ports": str(port),
            "spool_directory": str(spool),
            "log_file_path": f"{logs}/%slog",
            "pid_file_path": str(spool / "exim.pid"),
            "tls_advertise_hosts": "*",
            "tls_certificate": " : ".join(str(certificate_file) for certificate_file, _ in written),
            "tls_privatekey": " : ".join(str(key_file) for _, key_file in written),
            "tls_require_ciphers": priority,
            # It would look up who comes, by DNS and by ident.
            "host_lookup": "",
            "rfc1413_hosts": "",
            "smtp_accept_max": "0",
            "keep_environment": "",
            **(options or {}),
        }
        configuration = directory / "exim.conf"
        configuration.write_text("".join(f"{name} = {value}\n" for name, value in settings.items()))
        log = logs / "mainlog"
        with started(
            "Exim",
            [exim, "-C", configuration, "-bdf"],
            log=directory / "output.log",
            other_logs=(log, logs / "paniclog"),
            environment=environment,
        ) as process:
            process.wait_until_ready(port, banner=True)
            yield RunningServer(
                name="Exim",
                port=port,
                expected=gnutls_suites(priority, certificates=shown),
                certificates=shown,
                log=log,
                process_id=process.popen.pid,
            )
