"""Whether a certificate is for a host name, by RFC 9525 and by Postfix's own older rule."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from mxprobe.terms import host_name
from mxprobe.trust.certificate import MAX_NAMES, SubjectNames, subject_names

_NAMES_IN_REASON = 3
_LONGEST_IN_REASON = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class NameMatch:
    """Whether the certificate names the host: by RFC 9525 (subjectAltName only), and as Postfix does
    (subject CN where there is no DNS name; `postconf(5) smtp_tls_verify_cert_match`).

    `names` are the dNSName and iPAddress entries of the certificate; `reason` is a sentence without a full stop, with
    the peer's own text in it. `error` says what of the names could not be read: then a name that does not match may
    be among those.
    """

    host: str
    matches: bool
    postfix_matches: bool
    names: tuple[str, ...]
    reason: str
    error: str | None = None


def match_name(der: bytes, host: str) -> NameMatch:
    """Say whether a certificate (DER) is for `host`: a name (A-labels or not), or the text of an IP address.

    Never raises: a certificate that cannot be read, and a host that is no host name, match nothing.
    """
    names = subject_names(der)
    every_name = (names.dns + names.addresses)[:MAX_NAMES]
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        try:
            wanted = host_name(host)
        except ValueError as error:
            reason = _short(str(error))
            return NameMatch(host=host, matches=False, postfix_matches=False, names=every_name, reason=reason)
        match = next((name for name in names.dns if _rfc9525_matches(name, wanted)), None)
        # Where the extensions could not be read there may be DNS names, and the CN must not stand in for them.
        postfix_names = names.dns or (names.common_names if names.error is None else ())
        postfix_match = next((name for name in postfix_names if postfix_matches(name, wanted)), None)
    else:
        wanted = str(address)
        # The iPAddress entry alone counts, for Postfix too: not a dNSName or CN that looks like the address.
        match = postfix_match = next((name for name in names.addresses if name == wanted), None)
    return NameMatch(
        host=host,
        matches=match is not None,
        postfix_matches=postfix_match is not None,
        names=every_name,
        reason=_reason(names, every_name, wanted, match, postfix_match),
        error=names.error,
    )


def postfix_matches(name: str, host: str) -> bool:
    """Whether a dNSName or CN names a host by the rule that Postfix has OpenSSL apply (X509_check_host(3) with
    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS): equal but for case, or ``*`` as the whole left-most label with at least
    two labels after it, in place of exactly one label.
    """
    name, host = name.lower(), host.lower()
    if name == host:
        return True
    star, _, domain = name.partition(".")
    label, _, parent = host.partition(".")
    return star == "*" and "." in domain and label != "" and domain == parent


def _rfc9525_matches(name: str, host: str) -> bool:
    if name.isascii() and name.lower() == host:  # what most are for, without the import of a library
        return True
    from service_identity import CertificateError
    from service_identity.hazmat import DNS_ID, DNSPattern

    # One by one: an entry that cannot be used does not spoil the others (RFC 9525 §6.3).
    try:
        return DNS_ID(host).verify(DNSPattern.from_bytes(name.encode()))
    except (CertificateError, ValueError):
        return False


def _reason(
    names: SubjectNames, every_name: tuple[str, ...], host: str, match: str | None, postfix_match: str | None
) -> str:
    if match is not None:
        by = "" if match.lower() == host else f" by {_short(match)}"
        return f"certificate names {host}{by}"
    if names.error is not None and not every_name:
        return f"names of the certificate cannot be read ({_short(names.error)})"
    if every_name:
        return f"certificate names {_list(every_name)}, not {host}"
    if postfix_match is not None:
        return f"certificate names {host} only in its common name, which RFC 9525 does not count"
    if names.common_names:
        return f"certificate has no subjectAltName, and its common name is {_list(names.common_names)}, not {host}"
    return "certificate names no host"


def _list(names: tuple[str, ...]) -> str:
    shown = ", ".join(_short(name) for name in names[:_NAMES_IN_REASON])
    rest = len(names) - _NAMES_IN_REASON
    return f"{shown} and {rest} more" if rest > 0 else shown


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_IN_REASON else text[: _LONGEST_IN_REASON - 1] + "…"
