"""What one combination of protocol and suite came to, in the words of `openssl s_client`.

For ``mxprobe probe --protocol TLSv1.2 --cipher ECDHE-RSA-AES128-GCM-SHA256``: those who know s_client find the same
lines in the same order, and scripts that look for ``Verify return code`` or ``Cipher is`` keep working. One line
differs on purpose: where no certificate was seen, the original says ``Verify return code: 0 (ok)``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from mxprobe.facts import ProtocolState
from mxprobe.report.escape import printable
from mxprobe.terms import Protocol
from mxprobe.tls.offer import Reached
from mxprobe.trust.certificate import Certificate
from mxprobe.trust.verification import Verification

MAXIMUM_CHAIN = 100
"""Certificates and verification steps shown: as many as OpenSSL takes by default (`SSL_CTX_set_verify_depth(3)`)."""

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True, kw_only=True)
class Combination:
    """What an endpoint answered to one suite in one protocol version.

    `endpoint` is as the user reads it. `reached` is None unless the combination was accepted; `reason` says why it was
    not, or why that is unknown. `chain` is the server's own certificate first, as it was sent.
    """

    endpoint: str
    protocol: Protocol
    suite_name: str
    state: ProtocolState
    reached: Reached | None = None
    reason: str = ""
    chain: tuple[Certificate, ...] = ()
    verification: Verification | None = None


def session_text(combination: Combination) -> str:
    """The session as `openssl s_client -verify N -verify_return_error` would tell it, peer text escaped."""
    return "".join(f"{line}\n" for line in _lines(combination))


def _lines(combination: Combination) -> Iterator[str]:
    # An unknown answer may be a connection that never came about.
    opening = "NO ANSWER" if combination.state == "unknown" and not combination.chain else "CONNECTED"
    yield f"{opening}({printable(combination.endpoint)})"
    if combination.verification is not None:
        yield from _verify_lines(combination.verification)
    yield "---"
    if combination.chain:
        yield "Certificate chain"
        for number, certificate in enumerate(combination.chain[:MAXIMUM_CHAIN]):
            yield from _certificate_lines(number, certificate)
        yield "---"
        yield "Server certificate"
        yield f"subject={_name(combination.chain[0].subject, combination.chain[0])}"
        yield f"issuer={_name(combination.chain[0].issuer, combination.chain[0])}"
    else:
        yield "no peer certificate available"
    yield "---"
    yield from _cipher_lines(combination)
    yield "---"
    yield f"    Verify return code: {_return_code(combination)}"
    yield "---"


def _verify_lines(verification: Verification) -> Iterator[str]:
    """The verify callback's lines (`apps/lib/s_cb.c`): highest depth first, no "verify return" after an error."""
    for step in verification.steps[:MAXIMUM_CHAIN]:
        yield f"depth={step.depth} {printable(step.subject)}"
        if step.code == 0:
            yield "verify return:1"
        else:
            yield f"verify error:num={step.code}:{printable(step.text)}"


def _certificate_lines(number: int, certificate: Certificate) -> Iterator[str]:
    yield f"{number:2d} s:{_name(certificate.subject, certificate)}"
    yield f"   i:{_name(certificate.issuer, certificate)}"
    if certificate.key or certificate.signature:
        key = printable(certificate.key or "unknown")
        yield f"   a:PKEY: {key}; sigalg: {printable(certificate.signature or 'unknown')}"
    if certificate.not_before or certificate.not_after:
        yield f"   v:NotBefore: {_date(certificate.not_before)}; NotAfter: {_date(certificate.not_after)}"


def _cipher_lines(combination: Combination) -> Iterator[str]:
    if combination.state == "accepted":
        yield f"New, {combination.protocol}, Cipher is {printable(combination.suite_name)}"
        if combination.reached == "selected":
            yield "Handshake: the server selected the suite (ServerHello); more was not seen"
        elif combination.reached == "flight-complete":
            yield "Handshake: the server's flight is complete (ServerHelloDone); it was not finished"
        return
    yield "New, (NONE), Cipher is (NONE)"
    tried = f"{combination.protocol} with {printable(combination.suite_name)}"
    reason = printable(combination.reason) or "no reason was recorded"
    yield f"{tried}: {combination.state}: {reason}"


def _return_code(combination: Combination) -> str:
    verification = combination.verification
    if verification is not None:
        return f"{verification.code} ({printable(verification.text)})"
    return "unknown (the chain was not verified)" if combination.chain else "unknown (no certificate was seen)"


def _name(text: str, certificate: Certificate) -> str:
    if certificate.error:
        return f"unknown (the certificate cannot be read: {printable(certificate.error)})"
    return printable(text)


def _date(moment: datetime | None) -> str:
    """As ASN1_TIME_print writes it: ``Jan  1 00:00:00 2026 GMT``."""
    if moment is None:
        return "unknown"
    moment = moment.astimezone(UTC)
    # Not %b, which follows the locale.
    return f"{_MONTHS[moment.month - 1]} {moment.day:2d} {moment:%H:%M:%S} {moment.year} GMT"
