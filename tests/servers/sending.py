"""Real mail software that sends: each starts TLS with a port of this machine, where a recorder takes its hello.

None of them gets a message through, and what they say of that is of no interest.
"""

from __future__ import annotations

import os
import smtplib
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from servers.fetched import debian_package, npm_package
from servers.postfix import postfix_server
from servers.running import RunningServer, free_port, server_directory, started
from servers.unpacked import HOST_NAME, hand_over, own_world, unpacked

SENDER, RECIPIENT = "postmaster@mx.test", "postmaster@recorder.test"
MESSAGE = f"From: {SENDER}\r\nTo: {RECIPIENT}\r\nSubject: a recording\r\n\r\nNobody gets this.\r\n"
NODEMAILER = "10.6.0"
"""The version of Nodemailer that is fetched."""

_SOON_SECONDS = 15.0
_PATIENCE_SECONDS = 60
_POSTFIX_QUEUE = (
    "qmgr unix n - n 300 1 qmgr",
    "retry unix - - n - - error",
    "error unix - - n - - error",
    "defer unix - - n - 0 bounce",
    "trace unix - - n - 0 bounce",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PostfixClient:
    """A smtp(8) or lmtp(8) with `-o` settings of its own, that connects to a port of 127.0.0.1."""

    port: int
    settings: Mapping[str, str] = field(default_factory=dict)
    program: Literal["smtp", "lmtp"] = "smtp"


@contextmanager
def postfix_clients_send(*clients: PostfixClient) -> Iterator[RunningServer]:
    """A Postfix with one message, that each of these clients tries to deliver once."""
    services, transports = list(_POSTFIX_QUEUE), []
    for number, client in enumerate(clients):
        options = " ".join(f"-o {{ {name} = {value} }}" for name, value in client.settings.items())
        services.append(f"client{number} unix - - n - - {client.program} {options}")
        transports.append(f"{{ {number}.test = client{number}:[127.0.0.1]:{client.port} }}")
    parameters = {
        "transport_maps": f"inline:{{{', '.join(transports)}}}",
        "smtpd_relay_restrictions": "permit_mynetworks, reject",
        "smtpd_tls_security_level": "none",
        # What cannot be delivered stays until the directory goes, and is not bounced.
        "minimal_backoff_time": "1000s",
        "queue_run_delay": "1000s",
    }
    with postfix_server(main_cf=parameters, services=services) as postfix:
        with smtplib.SMTP("127.0.0.1", postfix.port, "mx.test") as session:
            session.sendmail(SENDER, [f"postmaster@{number}.test" for number in range(len(clients))], MESSAGE)
        yield postfix


@contextmanager
def postfix_sends(port: int, settings: Mapping[str, str] | None = None) -> Iterator[None]:
    """A Postfix whose smtp(8) has these settings."""
    with postfix_clients_send(PostfixClient(port=port, settings=settings or {})):
        yield


@contextmanager
def exim_sends(port: int, transport: Mapping[str, str] | None = None) -> Iterator[None]:
    """An Exim that takes a message into its queue and delivers it by a transport with these options.

    Unless they are given, nothing is set that concerns TLS.
    """
    try:
        _exim_delivers(port, transport, _SOON_SECONDS)
    except subprocess.TimeoutExpired:
        # Now and then one waits for ever before it has said anything; another one does not.
        _exim_delivers(port, transport, _PATIENCE_SECONDS)
    yield


def _exim_delivers(port: int, transport: Mapping[str, str] | None, patience: float) -> None:
    exim = unpacked("exim4-daemon-light") / "usr/sbin/exim4"
    with server_directory("exim") as directory:
        environment = own_world(directory, "Debian-exim")
        spool, logs = directory / "spool", directory / "log"
        spool.mkdir()
        logs.mkdir()
        hand_over(spool, logs)
        configuration = directory / "exim.conf"
        options = "".join(f"\n  {name} = {value}" for name, value in (transport or {}).items())
        text = _EXIM.format(host=HOST_NAME, port=f"{port}{options}", spool=spool, logs=logs)
        configuration.write_text(text)
        command = (str(exim), "-C", str(configuration))
        command_sends(*command, "-odq", "-f", SENDER, RECIPIENT, given=MESSAGE, environment=environment)
        (header,) = (spool / "input").glob("*-H")
        # Exim would start itself by its installed path for each delivery, but for -Mc.
        deliver = (*command, "-Mc", header.name.removesuffix("-H"))
        command_sends(*deliver, environment=environment, patience=patience)


@contextmanager
def sendmail_sends(port: int) -> Iterator[None]:
    """A Sendmail with nothing set that concerns TLS, that delivers a message."""
    sendmail = unpacked("sendmail-bin") / "usr/libexec/sendmail/sendmail"
    with server_directory("sendmail") as directory:
        environment = own_world(directory, "smmsp", "mail")
        (directory / "queue").mkdir(mode=0o700)
        (directory / "switch").write_text("hosts files\naliases files\n")
        configuration = directory / "sendmail.cf"
        configuration.write_text(_SENDMAIL.format(host=HOST_NAME, port=port, directory=directory))
        command = (str(sendmail), f"-C{configuration}", "-odi", "-f", SENDER, RECIPIENT)
        command_sends(*command, given=MESSAGE, environment=environment)
        yield


@contextmanager
def opensmtpd_sends(port: int) -> Iterator[None]:
    """An OpenSMTPD that relays a message, TLS as it does it by default.

    Its accounts, queue and sockets are at fixed paths: it runs where others are mounted there (mount_namespaces(7)).
    """
    smtpd = debian_package("opensmtpd") / "usr/sbin/smtpd"
    with server_directory("opensmtpd") as directory:
        own_port = free_port()
        for made in ("spool", "run", "lib/opensmtpd/empty"):
            (directory / made).mkdir(parents=True)
        (directory / "passwd").write_text(_OPENSMTPD_PASSWD)
        (directory / "group").write_text(_OPENSMTPD_GROUP)
        (directory / "hosts").write_text(f"127.0.0.1 localhost {HOST_NAME}\n")
        configuration = directory / "smtpd.conf"
        configuration.write_text(_OPENSMTPD.format(host=HOST_NAME, own_port=own_port, port=port))
        command: Sequence[str | Path] = ("unshare", "-m", "sh", "-ec", _OPENSMTPD_WORLD, "sh", directory, smtpd)
        with started("OpenSMTPD", command, log=directory / "output.log") as process:
            process.wait_until_ready(own_port, banner=True)
            with smtplib.SMTP("127.0.0.1", own_port, "mx.test") as session:
                session.sendmail(SENDER, [RECIPIENT], MESSAGE)
            yield


@contextmanager
def python_sends(port: int) -> Iterator[None]:
    """Python's smtplib, as a program uses it: `starttls()` without a context of its own."""
    with program_sends(sys.executable, "-c", _PYTHON, str(port)):
        yield


@contextmanager
def nodemailer_sends(port: int) -> Iterator[None]:
    """Nodemailer on the machine's Node.js."""
    modules = npm_package("nodemailer", NODEMAILER) / "node_modules"
    with program_sends("node", "-e", _NODEMAILER, str(port), environment={"NODE_PATH": str(modules)}):
        yield


@contextmanager
def jakarta_mail_sends(port: int) -> Iterator[None]:
    """Jakarta Mail of Debian on the machine's Java."""
    jars = jakarta_mail_directory() / "usr/share/java"
    with server_directory("java") as directory:
        source = directory / "Send.java"
        source.write_text(_JAVA)
        classes = f"{jars}/jakarta-mail.jar:{jars}/jakarta-activation.jar"
        with program_sends("java", "-cp", classes, str(source), str(port)):
            yield


def jakarta_mail_directory() -> Path:
    """The directory of Jakarta Mail."""
    return debian_package("libjakarta-mail-java", "libjakarta-activation-java")


@contextmanager
def program_sends(*command: str, given: str = "", environment: Mapping[str, str] | None = None) -> Iterator[None]:
    """A program that sends to a port of mx.test, which is this machine: some name no server without a dot."""
    with server_directory("program") as directory:
        command_sends(*command, given=given, environment={**own_world(directory), **(environment or {})})
        yield


def command_sends(
    *command: str, given: str = "", environment: Mapping[str, str] | None = None, patience: float | None = None
) -> None:
    """A program that is started, sends and ends, well or not."""
    inherited = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LANG": "C.UTF-8"}
    subprocess.run(
        command,
        input=given,
        env={**inherited, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=_PATIENCE_SECONDS if patience is None else patience,
    )


_EXIM = """\
primary_hostname = {host}
spool_directory = {spool}
log_file_path = {logs}/%slog
host_lookup =
rfc1413_hosts =
keep_environment =
begin routers
recorder:
  driver = manualroute
  route_list = * {host}
  self = send
  transport = recorder
begin transports
recorder:
  driver = smtp
  port = {port}
begin retry
* * F,1h,10m
"""

_SENDMAIL = """\
V10/Berkeley
Cwlocalhost
Dj{host}
DnMAILER-DAEMON
Troot
O ServiceSwitchFile={directory}/switch
O QueueDirectory={directory}/queue
O StatusFile={directory}/statistics
O DontBlameSendmail=TrustStickyBit
O DontProbeInterfaces=true
O DefaultUser=nobody
O RefuseLA=10000
O QueueLA=10000
O DelayLA=10000
S0
R$*\t$#esmtp $@ [127.0.0.1] $: $1
Sparse=0
R$*\t$#esmtp $@ [127.0.0.1] $: $1
Mlocal, P=/bin/true, F=lsDFMAw5:/|@qSPfhn9, S=0, R=0, T=DNS/RFC822/X-Unix, A=true
Mprog, P=/bin/true, F=lsDFMoqeu9, S=0, R=0, T=X-Unix/X-Unix/X-Unix, A=true
Mesmtp, P=[IPC], F=mDFMuXa, S=0, R=0, E=\\r\\n, L=990, T=DNS/RFC822/SMTP, A=TCP $h {port}
"""

_OPENSMTPD = """\
listen on 127.0.0.1 port {own_port} hostname {host}
action "relay" relay host smtp://127.0.0.1:{port} helo {host}
match from any for any action "relay"
"""
_OPENSMTPD_PASSWD = """\
root:x:0:0::/root:/bin/sh
opensmtpd:x:65534:65534::/var/lib/opensmtpd/empty:/bin/false
opensmtpq:x:65533:65533::/var/lib/opensmtpd/empty:/bin/false
"""
_OPENSMTPD_GROUP = "root:x:0:\nopensmtpd:x:65534:\nopensmtpq:x:65533:\n"
_OPENSMTPD_WORLD = """\
for file in passwd group hosts; do mount --bind "$1/$file" "/etc/$file"; done
mount --bind "$1/spool" /var/spool
mount --bind "$1/lib" /var/lib
mount --bind "$1/run" /run
exec "$2" -d -f "$1/smtpd.conf"
"""

_PYTHON = """
import smtplib, sys
with smtplib.SMTP('mx.test', int(sys.argv[1])) as session:
    session.starttls()
"""

_NODEMAILER = """
const transport = require('nodemailer').createTransport({ host: 'mx.test', port: +process.argv[1] });
transport.sendMail({ from: 'postmaster@mx.test', to: 'postmaster@recorder.test', text: 'x' }, () => {});
"""

_JAVA = """
import jakarta.mail.*;
import jakarta.mail.internet.*;
import java.util.Properties;
public class Send {
    public static void main(String[] arguments) throws Exception {
        Properties properties = new Properties();
        properties.put("mail.smtp.host", "mx.test");
        properties.put("mail.smtp.port", arguments[0]);
        properties.put("mail.smtp.starttls.enable", "true");
        MimeMessage message = new MimeMessage(Session.getInstance(properties));
        message.setFrom(new InternetAddress("postmaster@mx.test"));
        message.setRecipients(Message.RecipientType.TO, "postmaster@recorder.test");
        message.setText("x");
        Transport.send(message);
    }
}
"""
