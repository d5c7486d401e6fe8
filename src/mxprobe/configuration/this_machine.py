"""What the MTAs and TLS libraries of this machine are, by their own programs: asked where it was not stated."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mxprobe.configuration.programs import last_line, output_of, program
from mxprobe.errors import InvalidSetting

if TYPE_CHECKING:
    from mxprobe.mta.exim.lines import Library
    from mxprobe.mta.gnutls import Listing
    from mxprobe.mta.postfix.version import PostfixVersion
    from mxprobe.tls.openssl_catalogue import Generation


def postconf(*options: str) -> str:
    """What `postconf` prints on this machine.

    Raises:
        InvalidSetting: it is not installed, or fails.
    """
    found = program("postconf")
    if found is None:
        raise InvalidSetting("postconf", "it is not installed on this machine", "the path of a main.cf")
    status, printed, said = output_of((found, *options), "postconf")
    if status:
        raise InvalidSetting(f"postconf {' '.join(options)}", last_line(said or printed))
    return printed


def version_of_postfix(stated: str | None, *, live: bool) -> tuple[PostfixVersion, bool]:
    """The version that was stated, else that of the Postfix of this machine; and whether it was found there.

    Raises:
        InvalidSetting: it is no version, or is stated nowhere and cannot be found.
    """
    from mxprobe.mta.postfix.version import parse_version

    if stated is not None:
        return parse_version(stated, "postfix_version"), live
    if program("postconf") is None:
        problem = "it is missing, and there is no postconf on this machine to find it by"
        raise InvalidSetting("postfix_version", problem, "a version like 3.7")
    return parse_version(postconf("-d", "-h", "mail_version").strip(), "postconf -d mail_version"), True


def openssl_generation(stated: str | None, *, of: str, here: bool) -> Generation:
    """The OpenSSL that was stated, else that of this machine, if the MTA `of` that name was itself found `here`.

    Raises:
        InvalidSetting: it is not one of those known, or is stated nowhere and cannot be found.
    """
    from mxprobe.tls.openssl_catalogue import GENERATIONS, generation

    if stated is not None:
        return generation(stated, "openssl")
    allowed = ", ".join(GENERATIONS)
    found = program("openssl")
    if not here:
        raise InvalidSetting("openssl", f"it is missing: what {of} offers depends on its OpenSSL", allowed)
    if found is None:
        problem = "it is missing, and there is no openssl on this machine to find it by"
        raise InvalidSetting("openssl", problem, allowed)
    status, printed, said = output_of((found, "version"), "openssl")
    words = printed.split()
    if status or len(words) < 2 or words[0] != "OpenSSL":
        problem = f"it is missing, and `openssl version` says {last_line(printed or said)!r}"
        raise InvalidSetting("openssl", problem, allowed)
    return generation(words[1], "openssl")


def exim_library() -> Library:
    """The TLS library of the Exim of this machine, by `exim -bV`.

    Raises:
        InvalidSetting: there is none.
    """
    found = program("exim", "exim4")
    if found is not None:
        _, printed, _ = output_of((found, "-bV"), "exim -bV")
        if match := re.search(r"^Support for:.*\b(OpenSSL|GnuTLS)\b", printed, re.MULTILINE):
            return "openssl" if match[1] == "OpenSSL" else "gnutls"
    problem = "it is missing, and there is no exim on this machine to find it by"
    raise InvalidSetting("tls_library", problem, "openssl (with openssl = VERSION), gnutls")


def gnutls_listing(priority: str) -> tuple[Listing, str]:
    """What the `gnutls-cli` of this machine makes of a priority string, and which GnuTLS that is.

    Raises:
        InvalidSetting: there is no gnutls-cli, or it refuses the string.
    """
    from mxprobe.mta import gnutls

    found = program("gnutls-cli")
    if found is None:
        problem = "a GnuTLS priority string is resolved by gnutls-cli, which is not installed (Debian: gnutls-bin)"
        raise InvalidSetting("gnutls", problem, "a machine that has it; suites as a list; a recording")
    if len(priority) > gnutls.MAX_PRIORITY:
        raise InvalidSetting("gnutls", f"the priority string is longer than {gnutls.MAX_PRIORITY} characters")
    _, version, _ = output_of((found, "--version"), "gnutls-cli")
    _, printed, said = output_of((found, "--list", f"--priority={priority}"), "gnutls-cli")
    listing = gnutls.read_listing(f"{said}\n{printed}", priority, "gnutls-cli")
    return listing, version.split("\n", 1)[0].replace("gnutls-cli", "GnuTLS").strip()[:60] or "GnuTLS"
