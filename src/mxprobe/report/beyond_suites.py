"""The lines of an endpoint on what it does beyond suites: finite fields, groups, signature schemes, features, quirks.

Without `verbose` only what somebody may have to do something about; what is well, and what is unknown, waits for it.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from mxprobe.facts import EndpointFacts, Features, Listing, Quirks
from mxprobe.report.layout import DETAIL_HANG, Piece, bounded, flow, piece
from mxprobe.terms import PROTOCOLS, State
from mxprobe.verdict.rules import WEAK_DH_BITS

if TYPE_CHECKING:
    from rich.console import Console

_STYLES: dict[State, str] = {"yes": "", "no": "", "unknown": "magenta"}

_WORDS = {
    "extended_master_secret": "extended master secret",
    "encrypt_then_mac": "encrypt-then-MAC",
    "secure_renegotiation": "secure renegotiation",
    "session_tickets": "session tickets",
    "heartbeat": "heartbeat",
    "certificate_timestamps": "certificate timestamps",
    "downgrade_sentinel": "downgrade sentinel",
    "compression": "compression",
    "ocsp_staple": "OCSP staple",
    "fallback_scsv": "fallback SCSV",
    "grease": "GREASE values",
    "newer_version": "a newer version",
    "large_hello": "large hellos",
    "fragmented_hello": "fragmented hellos",
}

_SERVER_NAME = {
    "same": "",
    "other": "another certificate without the server name",
    "refused": "refuses without the server name",
    "unknown": "",
}


def print_beyond_suites(console: Console, facts: EndpointFacts, *, verbose: bool) -> None:
    """Print what was found beyond suites; nothing where nothing was asked, or nothing is to be said."""
    _line(console, "  dh", _finite_fields(facts))
    for label, which in (("  groups", "groups"), ("  signatures", "schemes")):
        _print_listings(console, label, facts, which, verbose=verbose)
    if facts.features is not None:
        _line(console, "  features", _features(facts.features, verbose=verbose))
    if facts.quirks is not None:
        _line(console, "  stumbles", _quirks(facts.quirks, verbose=verbose))
    if verbose:
        kinds = facts.certificate_kinds.items()
        _line(console, "  key kinds", [piece(f"{kind}: {found.state}", _STYLES[found.state]) for kind, found in kinds])


def same_beyond_suites(one: EndpointFacts, other: EndpointFacts) -> bool:
    """Whether these lines are the same for two endpoints."""

    def shown(facts: EndpointFacts) -> object:
        lists = [(protocol, found.groups, found.schemes, found.dh) for protocol, found in facts.protocols.items()]
        return lists, facts.features, facts.quirks, facts.certificate_kinds

    return shown(one) == shown(other)


def _finite_fields(facts: EndpointFacts) -> list[Piece]:
    found = {(field.bits, field.name) for seen in facts.protocols.values() for field in seen.dh}
    return [
        piece(f"{bits} bits ({name or 'of its own'})", "yellow" if bits < WEAK_DH_BITS else "")
        for bits, name in sorted(found, key=lambda each: (each[0], each[1] or ""))
    ]


def _print_listings(console: Console, label: str, facts: EndpointFacts, which: str, *, verbose: bool) -> None:
    """One line for each version whose list differs from that of the newer one; without `verbose` only whole lists."""
    before: tuple[str, ...] | None = None
    for protocol in reversed(PROTOCOLS):
        seen = facts.protocols.get(protocol)
        listing: Listing | None = getattr(seen, which) if seen is not None else None
        if listing is None or listing.names == before or not (listing.hellos or verbose):
            continue
        if not listing.names and not verbose:
            continue
        before = listing.names
        pieces = [piece(f"{protocol}:"), piece(" ".join(bounded(listing.names, 16)) or listing.state)]
        if not listing.complete:
            pieces.append(piece(f"incomplete: {listing.reason or 'no reason was recorded'}", "magenta"))
        _line(console, label, pieces)


def _features(features: Features, *, verbose: bool) -> list[Piece]:
    pieces = []
    for name in (field.name for field in fields(features)):
        found = getattr(features, name)
        if found is None:
            continue
        bad = (name, found.state) in (("secure_renegotiation", "no"), ("compression", "yes"))
        if bad or verbose:
            why = f" ({found.reason})" if found.reason else ""
            pieces.append(piece(f"{_WORDS[name]}: {found.state}{why}", "yellow" if bad else _STYLES[found.state]))
    return pieces


def _quirks(quirks: Quirks, *, verbose: bool) -> list[Piece]:
    pieces = []
    if quirks.max_suites is not None:
        pieces.append(piece(f"fails at more than {quirks.max_suites} suites", "yellow"))
    for name in ("grease", "newer_version", "large_hello", "fragmented_hello"):
        found = getattr(quirks, name)
        if found is None or found.state == "yes":
            continue
        if found.state == "no":
            pieces.append(piece(f"fails at {_WORDS[name]}: {found.reason}", "yellow"))
        elif verbose:
            pieces.append(piece(f"{_WORDS[name]} unknown: {found.reason}", "magenta"))
    if quirks.server_name is not None:
        pieces.append(piece(_SERVER_NAME[quirks.server_name.effect]))
    return [each for each in pieces if each.text]


def _line(console: Console, label: str, pieces: list[Piece]) -> None:
    if pieces:
        flow(console, pieces, label=label, hang=DETAIL_HANG)
