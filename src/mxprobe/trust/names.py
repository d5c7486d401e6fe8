"""Whether a certificate is for a host name, by RFC 9525 and by Postfix's own older rule."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class NameMatch:
    """Whether the certificate names the host: by RFC 9525 (subjectAltName only), and as Postfix does
    (subject CN where there is no DNS name; `postconf(5) smtp_tls_verify_cert_match`)."""

    host: str
    matches: bool
    postfix_matches: bool
    names: tuple[str, ...]
    reason: str
