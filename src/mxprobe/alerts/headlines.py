"""What a message is about in a few words, as the subject of a mail has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

HEADLINES: Mapping[str, str] = {
    "starttls-vanished": "STARTTLS is gone",
    "starttls-broken": "STARTTLS is broken",
    "starttls-appeared": "STARTTLS works",
    "weaker-endpoint": "worse than the others: {aspect}",
    "version-gone": "{item} is gone",
    "version-new": "{item} is accepted",
    "suite-gone": "suites of {item} are gone",
    "suite-new": "more suites of {item}",
    "shared-cipher-lost": "no TLS for profile {item}",
    "shared-cipher-regained": "TLS for profile {item} again",
    "needs-sslv3-began": "SSLv3 is all that works",
    "needs-sslv3-ended": "SSLv3 is not needed",
    "certificate-replaced": "another certificate",
    "certificate-expiring": "the certificate expires soon",
    "certificate-expired": "the certificate has expired",
    "other-issuer": "a certificate from somebody else",
    "name-lost": "the certificate does not name the host",
    "name-regained": "the certificate names the host",
    "no-longer-trusted": "the certificate is not trusted",
    "trusted-again": "the certificate is trusted",
    "null-mx": "takes no mail (null MX)",
    "domain-gone": "no way to deliver mail",
    "accepts-mail": "takes mail",
    "mx-added": "new MX {item}",
    "mx-removed": "MX {item} is gone",
    "mx-moved": "MX {item} has another preference",
    "address-changed": "{item} has other addresses",
    "unknown-for-long": "not known for days: {aspect}",
    "flapping": "changes again and again: {aspect}",
}
"""The words for each kind of event; `item` and `aspect` are those of the event."""

_ASPECTS: Mapping[str, str] = {
    "mail": "whether it takes mail",
    "mx": "its MX hosts",
    "starttls": "STARTTLS",
    "needs-sslv3": "whether it needs SSLv3",
    "trusted": "trust",
}


def headline(document: Mapping[str, Any]) -> str:
    """The headline of a message, which needs only the next-hop or provider beside it. What a peer said in it is not
    made harmless yet."""
    kind, ends = str(document.get("kind") or ""), str(document.get("recovers") or "")
    aspect = str(document.get("aspect") or "")
    words = {"item": aspect.partition(" ")[2], "aspect": _ASPECTS.get(aspect, aspect)}
    if document.get("type") == "summary" and document.get("events"):
        return f"{headline({**document['events'][0], 'endpoint': ''})} for {document.get('count')} targets"
    if kind == "digest":
        return f"the week: {document.get('summary')}"
    if kind == "recovered":
        over = {"flapping": "stable", "unknown-for-long": "known again"}.get(ends)
        text = f"{over}: {words['aspect']}" if over else f'over: "{_in_words(ends, words)}"'
    else:
        text = _in_words(kind, words)
    endpoint = str(document.get("endpoint") or "")
    return f"{text} at {endpoint}" if endpoint else text


def _in_words(kind: str, words: Mapping[str, str]) -> str:
    return HEADLINES[kind].format_map(words) if kind in HEADLINES else kind
