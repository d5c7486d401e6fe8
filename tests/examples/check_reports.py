"""Reports of a gate, written by hand: what the tests of their formats print.

Addresses are of the documentation networks (RFC 5737), names of the documentation domains (RFC 2606).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from mxprobe.verdict.checks import Check, CheckReport, Place

STARTED_AT = datetime(2026, 3, 1, 2, 0, 0, tzinfo=UTC)
MX = "mx.example.org"
MX1 = "mx.example.org[192.0.2.1]:25"
MX2 = "mx.example.org[192.0.2.2]:25"
MAIN_CF = "new/main.cf"

OLD_SENDERS = tuple(f"postfix-2.{minor}" for minor in range(1, 20))
"""Nineteen senders that know nothing newer than TLS 1.0."""


def check(**changes: Any) -> Check:
    """A check that passed, of the host as a whole, but for the changes."""
    values: dict[str, Any] = {
        "id": "require",
        "name": "starttls",
        "subject": MX,
        "outcome": "passed",
        "severity": "ok",
        "summary": "starttls holds",
        "source": "RFC 3207",
    }
    return Check(**(values | changes))


def cut_off(sender: str, endpoint: str = MX1, **changes: Any) -> Check:
    """A sender that gets no TLS, as TLS 1.0 is off."""
    values: dict[str, Any] = {
        "id": "sender",
        "name": sender,
        "endpoint": endpoint,
        "outcome": "failed",
        "severity": "critical",
        "summary": f"{sender} gets no TLS: no common version (it has TLSv1 (RFC 2246) only; we take TLSv1.2)",
        "evidence": {"obstacle": "version", "computed": "no TLS"},
        "source": "RFC 8446 §4.1.1",
    }
    return check(**(values | changes))


NO_NAME = check(
    id="covers",
    name="smtp.example.org",
    endpoint=MX1,
    outcome="failed",
    severity="warning",
    summary="the RSA 2048 certificate of mx.example.org does not name smtp.example.org: no such dNSName",
    evidence={"names": ("mx.example.org", "www.example.org"), "rfc9525_matches": False},
    source="RFC 9525 §6",
)
UNTOLD = check(
    name="trusted",
    endpoint=MX2,
    outcome="unknown",
    severity="warning",
    summary="trusted could not be told: no answer at connect within 10 s",
    source="RFC 5280 §6",
)
GAINED = check(
    id="gained",
    name="TLSv1.3",
    endpoint=MX1,
    outcome="noted",
    severity="info",
    summary="TLSv1.3 is new",
    source="RFC 8446",
)
ON_PAPER = check(
    id="sender",
    name="postfix-2.6",
    subject=MAIN_CF,
    outcome="failed",
    severity="critical",
    summary="postfix-2.6 gets no TLS: no common suite",
    evidence={"obstacle": "suite"},
    source="postconf(5) smtpd_tls_exclude_ciphers",
    place=Place(file=MAIN_CF, line=12),
)


def report(*checks: Check, **changes: Any) -> CheckReport:
    """A report of a live gate with these checks."""
    values: dict[str, Any] = {
        "started_at": STARTED_AT,
        "subject": MX,
        "kind": "live",
        "checks": checks,
        "connections": 12,
        "elapsed_seconds": 0.84,
    }
    return CheckReport(**(values | changes))


PASSED = report(check(), check(name="trusted", summary="trusted holds"), cut_off("gmail-2019", outcome="passed"))
FAILED = report(check(), *(cut_off(sender) for sender in OLD_SENDERS), NO_NAME, UNTOLD, GAINED)
COULD_NOT_TELL = report(check(), UNTOLD)
PAPER = report(
    ON_PAPER,
    check(subject=MAIN_CF),
    check(name="tls1.2", subject=MAIN_CF, summary="tls1.2 holds"),
    subject=MAIN_CF,
    kind="paper",
    connections=0,
    elapsed_seconds=0.21,
)


def outbound(partners: int) -> CheckReport:
    """Partners behind a new client configuration: of ten, six keep TLS, three lose it and one is unknown."""
    checks = []
    for number in range(partners):
        name = f"partner{number}.example"
        common: dict[str, Any] = {"id": "outbound", "name": "keeps-tls", "subject": name}
        if number % 10 < 6:
            checks.append(check(**common, summary=f"{name} keeps TLS: TLSv1.3 TLS_AES_256_GCM_SHA384"))
        elif number % 10 < 9:
            words = f"{name} falls back to clear text: no common suite"
            evidence = {"obstacle": "suite", "level": "may"}
            checks.append(check(**common, outcome="failed", severity="critical", summary=words, evidence=evidence))
        else:
            words = f"{name}: could not be told: its sweep was cut short"
            checks.append(check(**common, outcome="unknown", severity="warning", summary=words))
    return report(*checks, subject=MAIN_CF, kind="outbound", connections=0, elapsed_seconds=1.2)


ALL = {"passed": PASSED, "failed": FAILED, "could-not-tell": COULD_NOT_TELL, "paper": PAPER, "outbound": outbound(100)}
"""Every example with a golden file of its text."""

any_text = st.text(st.characters(codec=None, categories=None), max_size=30)

any_check = st.builds(
    Check,
    id=st.sampled_from(["require", "sender", "covers", "outbound"]),
    name=any_text,
    subject=any_text,
    endpoint=any_text,
    outcome=st.sampled_from(["passed", "failed", "unknown", "noted"]),
    severity=st.sampled_from(["critical", "warning", "info", "ok"]),
    summary=any_text,
    evidence=st.dictionaries(
        any_text,
        st.one_of(any_text, st.none(), st.booleans(), st.integers(), st.lists(any_text, max_size=3).map(tuple)),
        max_size=3,
    ),
    source=any_text,
    place=st.none() | st.builds(Place, file=any_text, line=st.integers(min_value=1, max_value=10**6)),
)
"""What a hostile peer, or file, may bring into a check: texts of any code points, lone surrogates included."""

any_report = st.builds(
    CheckReport,
    started_at=st.just(STARTED_AT),
    subject=any_text,
    kind=st.sampled_from(["live", "paper", "outbound"]),
    checks=st.lists(any_check, max_size=6).map(tuple),
    connections=st.integers(min_value=0, max_value=1000),
    elapsed_seconds=st.floats(min_value=0, max_value=1000),
)
