"""What software this machine would record, with versions: asked of the programs, or read in their packages."""

from __future__ import annotations

import gzip
import platform
import ssl
from collections.abc import Callable
from pathlib import Path

from servers.fetched import debian_package
from servers.running import output_of, program
from servers.sending import NODEMAILER, jakarta_mail_directory
from servers.unpacked import unpacked


def openssl() -> str:
    """The `openssl` of this machine."""
    return " ".join(output_of(program("openssl", "openssl"), "version").split()[:2])


def gnutls() -> str:
    """The GnuTLS of `gnutls-cli`."""
    return f"GnuTLS {output_of('gnutls-cli', '--version').split()[1]}"


def debian(directory: Path, package: str) -> str:
    """The version of a Debian package that is unpacked there, by its changelog."""
    with gzip.open(directory / "usr/share/doc" / package / "changelog.Debian.gz", "rt", encoding="utf-8") as changes:
        return changes.readline().partition("(")[2].partition(")")[0]


def postfix() -> str:
    """The Postfix of this machine."""
    version = output_of(program("postconf", "postfix"), "-h", "mail_version").strip()
    return f"Postfix {version} with {openssl()}, Debian 12"


def exim() -> str:
    """The Exim that `tools/install-test-servers` unpacks."""
    version = debian(unpacked("exim4-daemon-light"), "exim4-daemon-light")
    return f"Exim {version} with {gnutls()}, Debian 12"


def sendmail() -> str:
    """The Sendmail that `tools/install-test-servers` unpacks."""
    return f"Sendmail {debian(unpacked('sendmail-bin'), 'sendmail-bin')} with {openssl()}, Debian 12"


def of_debian(what: str, package: str, library: Callable[[], str], *others: str) -> Callable[[], str]:
    """A program of a fetched package, with the library that it has TLS from; `others` are packages unpacked with it."""
    return lambda: f"{what} {debian(debian_package(package, *others), package)} with {library()}, Debian 12"


def python_smtplib() -> str:
    """The Python that runs this."""
    return f"Python {platform.python_version()} smtplib with {' '.join(ssl.OPENSSL_VERSION.split()[:2])}"


def nodemailer() -> str:
    """The fetched Nodemailer on the Node.js of this machine."""
    node, openssl = output_of("node", "-p", "process.version + ' ' + process.versions.openssl").split()
    return f"Nodemailer {NODEMAILER} on Node.js {node.removeprefix('v')} with OpenSSL {openssl}"


def jakarta_mail() -> str:
    """The fetched Jakarta Mail on the Java of this machine."""
    version = output_of("java", "--version").split()[1]
    mail = debian(jakarta_mail_directory(), "libjakarta-mail-java")
    return f"Jakarta Mail {mail} on OpenJDK {version} (JSSE), Debian 12"


def curl() -> str:
    """The curl of this machine."""
    words = output_of("curl", "--version").split()
    (library,) = (word.replace("/", " ") for word in words if word.startswith("OpenSSL/"))
    return f"curl {words[1]} with {library}, Debian 12"
