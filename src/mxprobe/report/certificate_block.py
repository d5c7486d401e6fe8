"""The certificate part of the report: what the certificates say, and what OpenSSL and the names say of them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from mxprobe.facts import EndpointFacts
from mxprobe.report.layout import DETAIL_HANG, Piece, bounded, flow, piece
from mxprobe.trust.certificate import Certificate
from mxprobe.trust.names import NameMatch
from mxprobe.trust.verification import Verification
from mxprobe.verdict.rules import EXPIRES_SOON

if TYPE_CHECKING:
    from rich.console import Console

NAMES_SHOWN = 12
"""Names of a certificate shown without `verbose`: a shared certificate can carry hundreds."""

NAMES_SHOWN_VERBOSE = 100


def print_certificates(console: Console, facts: EndpointFacts, *, verbose: bool) -> None:
    """Print every certificate that the endpoint showed, then the verification and the name match.

    Days are counted from the time of the probe.
    """
    if not facts.certificates:
        flow(console, [piece("unknown: no certificate was seen", "magenta")], label="  certificate", hang=DETAIL_HANG)
    for certificate in facts.certificates:
        _print_certificate(console, certificate, facts.started_at, verbose=verbose)
    if facts.verification is not None:
        _print_verification(console, facts.verification, verbose=verbose)
    elif facts.certificates:
        flow(console, [piece("unknown: the chain was not verified", "magenta")], label="  verify", hang=DETAIL_HANG)
    if facts.name_match is not None:
        flow(console, [_name_piece(facts.name_match)], label="  name", hang=DETAIL_HANG)
    elif facts.certificates:
        flow(console, [piece("unknown: the names were not compared", "magenta")], label="  name", hang=DETAIL_HANG)


def same_certificates(one: EndpointFacts, other: EndpointFacts) -> bool:
    """Whether two endpoints showed the same certificates to the same effect, names included."""

    def match(found: NameMatch | None) -> tuple[bool, bool] | None:
        return (found.matches, found.postfix_matches) if found else None

    return (
        bool(one.certificates)
        and one.certificates == other.certificates
        and one.verification == other.verification
        and match(one.name_match) == match(other.name_match)
    )


def validity(certificate: Certificate, seen_at: datetime) -> Piece:
    """How long the certificate was still valid when it was seen, in whole days, rounded down."""
    if certificate.not_after is None:
        return piece("expiry unknown", "magenta")
    if certificate.not_before is not None and seen_at < certificate.not_before:
        return piece(f"not valid before {_day(certificate.not_before)}", "bold red")
    left = certificate.not_after - seen_at
    if left.total_seconds() < 0:
        days = -left.days - 1  # a negative timedelta rounds away from zero
        return piece(f"expired {_days(days)} ago", "bold red")
    return piece(f"{_days(left.days)} left", "yellow" if left < EXPIRES_SOON else "")


def verification_words(verification: Verification) -> str:
    """OpenSSL's code and text, and the depth of the first error, as `s_client` words them."""
    words = f"{verification.code} ({verification.text})"
    return words if verification.ok else f"{words} at depth {verification.depth}"


def _print_certificate(console: Console, certificate: Certificate, seen_at: datetime, *, verbose: bool) -> None:
    def line(label: str, *pieces: Piece | str) -> None:
        flow(console, pieces, label=f"  {label}", hang=DETAIL_HANG)

    if certificate.error:
        line("subject", piece(f"unknown: the certificate cannot be read: {certificate.error}", "magenta"))
    else:
        line("subject", certificate.subject or "empty")
        line("issuer", certificate.issuer or "empty")
        names = bounded(certificate.names, NAMES_SHOWN_VERBOSE if verbose else NAMES_SHOWN)
        line("names", *(names or ("no subjectAltName",)))
        line(
            "valid", f"{_day(certificate.not_before)} to {_day(certificate.not_after)}", validity(certificate, seen_at)
        )
        line("key", certificate.key or "unknown", f"signed with {certificate.signature or 'unknown'}")
    if verbose and certificate.serial:
        line("serial", certificate.serial)
    line("sha256", certificate.sha256)
    count = len(certificate.chain)
    line("chain", f"{count} certificate{'' if count == 1 else 's'} sent" if count else "unknown")
    if verbose:
        for depth, fingerprint in enumerate(bounded(certificate.chain, 20)):
            flow(console, [fingerprint], label=f"{depth:>{DETAIL_HANG - 2}}: ", hang=DETAIL_HANG)


def _print_verification(console: Console, verification: Verification, *, verbose: bool) -> None:
    def store(name: str, path: str | None) -> list[str]:
        return [f"{name} {path}"] if path else []

    stores = store("CA path", verification.ca_path) + store("CA file", verification.ca_file)
    depth = [f"trust anchor at depth {verification.chain_depth}"] if verification.chain_depth is not None else []
    flow(
        console,
        [
            piece(verification_words(verification), "green" if verification.ok else "bold red"),
            *(stores or ["no CA path or CA file"]),
            *depth,
            f"depth limit {verification.depth_limit}",
        ],
        label="  verify",
        hang=DETAIL_HANG,
    )
    if verbose:
        for step in verification.steps[:20]:
            flow(
                console,
                [step.subject, f"{step.code} ({step.text})"],
                label=f"{step.depth:>{DETAIL_HANG - 2}}: ",
                hang=DETAIL_HANG,
            )


def _name_piece(match: NameMatch) -> Piece:
    if match.matches:
        return piece(f"matches {match.host}", "green")
    words = f"does not match {match.host}" + (f": {match.reason}" if match.reason else "")
    if match.postfix_matches:
        return piece(f"{words} (Postfix would accept it)", "yellow")
    return piece(words, "bold red")


def _day(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d}" if moment else "unknown"


def _days(count: int) -> str:
    return f"{count} day{'' if count == 1 else 's'}"
