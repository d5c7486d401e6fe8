"""Sendmail itself, with a configuration and queue of its own: a real MTA that sets OpenSSL up in its own way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from servers.certificates import Issued
from servers.openssl_server import EVERYTHING, authentication, openssl_suites
from servers.running import RunningServer, certificate, free_port, server_directory, started
from servers.unpacked import HOST_NAME, own_world, unpacked

_MAILERS = """\
Sparse=0
Mlocal, P=/bin/true, F=lsDFMAw5:/|@qSPfhn9, S=0, R=0, T=DNS/RFC822/X-Unix, A=true
Mprog, P=/bin/true, F=lsDFMoqeu9, S=0, R=0, T=X-Unix/X-Unix/X-Unix, A=true
"""


@contextmanager
def sendmail_server(
    *,
    cipher: str = EVERYTHING,
    options: Mapping[str, str] | None = None,
    certificates: Sequence[Issued] = (),
) -> Iterator[RunningServer]:
    """Run a Sendmail that only listens, on a free port of 127.0.0.1.

    `cipher` is its `CipherList`, as OpenSSL's. `certificates` are RSA and EC unless given; it takes two at most.
    `options` adds options to its configuration, or overrides them (Sendmail Installation and Operation Guide §5.6),
    and `expected` knows nothing of them. It never refuses for load, and accepts no mail to anywhere.

    Raises:
        RuntimeError: it does not start, or this is not root.
    """
    sendmail = unpacked("sendmail-bin") / "usr/libexec/sendmail/sendmail"
    shown = tuple(certificates) or (certificate("RSA"), certificate("EC"))
    port = free_port()
    with server_directory("sendmail") as directory:
        environment = own_world(directory, "smmsp", "mail")
        queue, switch, log = directory / "queue", directory / "switch", directory / "sessions.log"
        queue.mkdir(mode=0o700)
        # Names come from files, or it would ask the DNS who comes.
        switch.write_text("hosts files\naliases files\n")
        written = [issued.write(directory, f"certificate{number}") for number, issued in enumerate(shown)]
        settings = {
            "DaemonPortOptions": f"Name=MTA, Addr=127.0.0.1, Port={port}",
            "ServiceSwitchFile": str(switch),
            "QueueDirectory": str(queue),
            "PidFile": str(directory / "sendmail.pid"),
            "StatusFile": str(directory / "statistics"),
            "ServerCertFile": ",".join(str(certificate_file) for certificate_file, _ in written),
            "ServerKeyFile": ",".join(str(key_file) for _, key_file in written),
            # Without an authority to trust it has no STARTTLS.
            "CACertFile": str(written[0][0]),
            "CACertPath": str(directory),
            "CipherList": cipher,
            # The directory is in that of temporary files, which is everybody's.
            "DontBlameSendmail": "TrustStickyBit",
            "RefuseLA": "10000",
            "QueueLA": "10000",
            "DelayLA": "10000",
            "DontProbeInterfaces": "true",
            "DefaultUser": "nobody",
            "Timeout.ident": "0",
            "SmtpGreetingMessage": "$j ESMTP Sendmail",
            **(options or {}),
        }
        configuration = directory / "sendmail.cf"
        configuration.write_text(
            f"V10/Berkeley\nCw{HOST_NAME}\nDj{HOST_NAME}\nDnMAILER-DAEMON\nTroot\n"
            + "".join(f"O {name}={value}\n" for name, value in settings.items())
            + _MAILERS
        )
        with started(
            "Sendmail",
            [sendmail, "-bD", f"-C{configuration}", "-X", log],
            log=directory / "output.log",
            other_logs=(log,),
            environment=environment,
        ) as process:
            process.wait_until_ready(port, banner=True)
            yield RunningServer(
                name="Sendmail",
                port=port,
                expected=openssl_suites(
                    cipher, authentications=frozenset({"None"} | {authentication(issued) for issued in shown})
                ),
                certificates=shown,
                log=log,
                process_id=process.popen.pid,
            )
