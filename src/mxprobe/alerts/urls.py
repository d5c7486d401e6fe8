"""URLs of those who are told: which are webhooks, and which apprise knows."""

from __future__ import annotations

import ipaddress
import re
from difflib import get_close_matches
from urllib.parse import quote, urlsplit

from mxprobe.alerts.targets import Service, Webhook
from mxprobe.terms import host_name

WEBHOOK = "webhook+"
SHORTEST_SECRET = 16
"""Bytes. RFC 2104 §3 has a key no shorter than the digest; half of it is what passwords of people come to at best."""

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)


def scheme_of(url: str) -> str:
    """The scheme of a URL, in lower case; empty where it has none."""
    found = _SCHEME.match(url)
    return found.group(1).lower() if found else ""


def webhook(url: str, secret: bytes) -> Webhook:
    """The webhook at ``webhook+https://HOST[:PORT]/PATH``.

    Raises:
        ValueError: it is no such URL, or the secret is too short; the message does not have the URL in it.
    """
    scheme = scheme_of(url)
    if scheme not in ("webhook+https", "webhook+http"):
        raise ValueError("the scheme is neither webhook+https nor webhook+http")
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:  # what it says may quote a password
        raise ValueError("it names no host (in ASCII)") from None
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError("the port is no number from 1 to 65535")
    if not host or not _is_host(host):
        raise ValueError("it names no host (in ASCII)")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a user or password has no place in it: the signature says who sends")
    if parts.fragment:
        raise ValueError("a fragment (#) is not sent to a server")
    if len(secret) < SHORTEST_SECRET:
        raise ValueError(f"the secret has {len(secret)} bytes, and needs {SHORTEST_SECRET} or more")
    tls = scheme == "webhook+https"
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    query = quote(parts.query, safe="/%:@!$&'()*+,;=~-._?")
    shown = f"[{host}]" if ":" in host else host
    return Webhook(
        tls=tls,
        host=host,
        port=port or (443 if tls else 80),
        authority=f"{shown}:{port}" if port else shown,
        path=f"{path}?{query}" if query else path,
        secret=secret,
    )


def _is_host(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        try:
            host_name(text)
        except ValueError:
            return False
        return text.isascii()
    return "%" not in text


def service(url: str) -> Service:
    """The service that apprise knows by this URL.

    Raises:
        ValueError: apprise is not installed, knows no such scheme, or cannot read the URL; the message has no
            piece of it but the scheme.
    """
    try:
        from mxprobe.alerts import by_apprise
    except ImportError as error:
        raise ValueError(f"this needs apprise: pip install 'mxprobe[alerts]' ({error.name})") from error
    scheme = scheme_of(url)
    if not scheme:
        raise ValueError("it has no scheme, like mailto:// or webhook+https://")
    if scheme not in by_apprise.schemes():
        like = get_close_matches(scheme, by_apprise.schemes(), n=1, cutoff=0.75)
        meant = f"webhook+{scheme}" if scheme in ("http", "https") else "".join(like)
        raise ValueError(f"apprise knows no scheme {scheme[:40]}://" + (f"; did you mean {meant}://?" if meant else ""))
    if problem := by_apprise.problem_with(url):
        raise ValueError(f"apprise cannot read this {scheme}:// URL: {problem}")
    return Service(scheme=scheme, url=url)
