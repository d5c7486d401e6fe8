"""Four weeks of a small world, as data: what changes at which server on which day, and what is to be noticed and told.

The expectations stand beside the changes, and come from them alone: from what a server is told to do, from the
certificates that it is given, from the registered numbers of its suites.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from servers.certificates import Authority, Issued
from servers.changing import Serves
from servers.faulty_name_server import Fault
from servers.smtp_front import Script

FIRST = datetime(2031, 3, 3, 8, 0, tzinfo=UTC)
"""A Monday."""

DAYS = 28
DAY = timedelta(days=1)

ALPHA, BETA_1, BETA_2, BETA_3 = "127.0.1.11", "127.0.1.12", "127.0.1.13", "127.0.1.14"
GAMMA_1, GAMMA_2, DELTA, EPSILON = "127.0.1.15", "127.0.1.16", "127.0.1.17", "127.0.1.18"
ZETA, ETA, THETA, IOTA = "127.0.1.19", "127.0.1.20", "127.0.1.21", "127.0.1.22"
KAPPA, BIGMAIL, MU, LAMBDA = "127.0.1.23", "127.0.1.24", "127.0.1.25", "127.0.1.26"

CUSTOMERS = tuple(f"customer{number}.test" for number in range(1, 7))
"""Domains whose mail one provider takes."""

GROUPS: Mapping[str, tuple[str, ...]] = {
    "everybody": (
        *("delta.test", "epsilon.test", "eta.test", "theta.test", "iota.test", "kappa.test", "mu.test"),
        *CUSTOMERS[:5],
    ),
    "partners": ("alpha.test", "beta.test", "gamma.test", CUSTOMERS[5]),
    "bank": ("alpha.test", "epsilon.test"),
    "shape": ("zeta.test",),
    "last": ("lambda.test",),
}
"""The groups of the configuration. The last of them is none of those that are asked first whether anybody can be seen
from here, so that the first connection to it is that of its visit."""

MAIL, ON_CALL, ARCHIVE, BANK = "postmaster", "on-call", "archive", "bank"
"""Who is told: by mail of all from *warning* on, with a digest; of what is critical at partners; of everything; of the
bank from *warning* on, whose webhook is dead at first."""

ALL_BUT_BANK = (MAIL, ON_CALL, ARCHIVE)
BUT_ON_CALL = (MAIL, ARCHIVE)
BANKERS = (MAIL, ARCHIVE, BANK)

ALIVE_FROM: Mapping[str, int] = {BANK: 6}
"""The day on which a webhook begins to answer."""

REFUSED_ON = 12
"""The day on which the mail server refuses each message, for now."""

OUTAGES = {3, 5, 7, 9, 11}
"""The days on which kappa.test cannot be asked: 421, silence, a closed port, no answer for its MX, or for its A."""

GLITCH_ON = 6
"""The day on which lambda.test offers no STARTTLS on the first of its connections."""

DIGEST = "mon 07:00"

OFFERING = Script()
WITHOUT = Script(ehlo=("250-mx.test", "250 8BITMIME"))
BROKEN = Script(after_starttls="garbage")
THROTTLING = Script(banner="421 4.7.0 mx.test Error: too many connections from you, try again later")
SILENT = Script(banner_delay_seconds=3600)
GLITCH = Script(odd_connections=1, odd_ehlo=("250-mx.test", "250 8BITMIME"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """An event: of which next-hop, at which MX host and address (empty: of the whole target), from what to what, and
    who is told. `recovers` is the kind of the event that it ends; `provider` that of the summary that it is in."""

    kind: str
    next_hop: str
    host: str = ""
    address: str = ""
    aspect: str
    before: str | None
    after: str | None
    told: tuple[str, ...]
    recovers: str = ""
    provider: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """What changes on a day before it is looked at, and what is noticed then.

    `servers` are by address (None: nobody listens there any more), `dns` by owner and type, each with all its data;
    `faults` hold for this day alone.
    """

    servers: Mapping[str, Serves | None] = field(default_factory=dict)
    dns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    faults: Mapping[str, Fault] = field(default_factory=dict)
    events: tuple[Expected, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """Who issued certificates, and the certificates that servers show: each but `ordinary` at one of them."""

    one: Authority
    other: Authority
    nobody: Authority
    shown: Mapping[str, Issued]


def moment(day: int) -> datetime:
    """When it is looked at on a day, counted from 1: a minute later each time, as by hand."""
    return FIRST + (day - 1) * DAY + timedelta(minutes=day)


def certificates() -> Certificates:
    """The certificates of this world. That of delta.test ends in the night to day 24."""
    long = {"not_before": FIRST - 100 * DAY, "not_after": FIRST + 1000 * DAY}
    one, other, nobody = (
        Authority.root(name, key_type="EC", **long) for name in ("Weeks Root", "Other Root", "Unknown Root")
    )
    names = [f"mx.{each}.test" for each in ("alpha", "betamail", "theta", "iota", "kappa", "lambda", "mu", "bigmail")]
    names += ["mx1.gammamail.test", "mx2.gammamail.test"]
    year = {"not_before": FIRST - 10 * DAY, "not_after": FIRST + 400 * DAY, "key_type": "EC"}
    quarter = {"not_before": FIRST - 67 * DAY, "not_after": FIRST + 22.5 * DAY, "key_type": "EC"}
    return Certificates(
        one=one,
        other=other,
        nobody=nobody,
        shown={
            "ordinary": one.leaf(*names, **year),
            "mu": one.leaf("mx.mu.test", **{**year, "key_type": "RSA"}),
            "delta": one.leaf("mx.delta.test", **quarter),
            "delta renewed": one.leaf("mx.delta.test", **year),
            "epsilon": one.leaf("mx.epsilon.test", **year),
            "epsilon renewed": one.leaf("mx.epsilon.test", **year),
            "epsilon elsewhere": other.leaf("mx.epsilon.test", **year),
            "epsilon misnamed": other.leaf("mail.example.test", **year),
            "mu untrusted": nobody.leaf("mx.mu.test", **{**year, "key_type": "RSA"}),
            "eta": one.leaf("mx.eta.test", **{**year, "key_type": "RSA"}),
            "zeta": one.leaf("mx.zeta.test", **{**year, "key_type": "RSA"}),
        },
    )


DNS: Mapping[str, tuple[str, ...]] = {
    **{f"{name}.test. MX": (f"10 mx.{name}.test.",) for name in ("alpha", "delta", "epsilon", "zeta", "eta")},
    **{f"{name}.test. MX": (f"10 mx.{name}.test.",) for name in ("theta", "iota", "kappa", "mu", "lambda")},
    **{f"{name}. MX": ("10 mx.bigmail.test.",) for name in CUSTOMERS},
    "beta.test. MX": ("10 mx.betamail.test.",),
    "gamma.test. TXT": ("here",),
    "gamma.test. MX": ("10 mx1.gammamail.test.",),
    "mx.alpha.test. A": (ALPHA,),
    "mx.betamail.test. A": (BETA_1, BETA_2),
    "mx1.gammamail.test. A": (GAMMA_1,),
    "mx1.gammamail.test. TXT": ("here",),
    "mx2.gammamail.test. A": (GAMMA_2,),
    "mx.delta.test. A": (DELTA,),
    "mx.epsilon.test. A": (EPSILON,),
    "mx.zeta.test. A": (ZETA,),
    "mx.eta.test. A": (ETA,),
    "mx.theta.test. A": (THETA,),
    "mx.iota.test. A": (IOTA,),
    "mx.kappa.test. A": (KAPPA,),
    "mx.bigmail.test. A": (BIGMAIL,),
    "mx.mu.test. A": (MU,),
    "mx.lambda.test. A": (LAMBDA,),
}
"""The records of the first day, by owner and type."""

SERVERS: Mapping[str, Serves] = {
    **dict.fromkeys((ALPHA, BETA_1, BETA_2, GAMMA_1, GAMMA_2, THETA, IOTA, KAPPA, BIGMAIL, LAMBDA), Serves()),
    BETA_3: Serves(script=WITHOUT),
    DELTA: Serves(tls="delta"),
    EPSILON: Serves(tls="epsilon"),
    ZETA: Serves(tls="zeta"),
    ETA: Serves(tls="eta"),
    MU: Serves(script=WITHOUT),
}
"""The mail servers of the first day."""


def starttls(
    kind: str, name: str, address: str, before: str, after: str | None, told: tuple[str, ...], recovers: str = ""
) -> Expected:
    """An event of STARTTLS at the one host of a domain."""
    return Expected(
        kind=kind,
        next_hop=f"{name}.test",
        host="mx.betamail.test" if name == "beta" else f"mx.{name}.test",
        address=address,
        aspect="starttls",
        before=before,
        after=after,
        told=told,
        recovers=recovers,
    )


def vanished(name: str, address: str, told: tuple[str, ...]) -> Expected:
    return starttls("starttls-vanished", name, address, "works", "none", told)


def appeared(name: str, address: str, told: tuple[str, ...], recovers: str = "starttls-vanished") -> Expected:
    before = "broken" if recovers == "starttls-broken" else "none"
    return starttls("starttls-appeared", name, address, before, "works", told, recovers)


def of_the_dns(
    kind: str,
    name: str,
    aspect: str,
    before: str | None,
    after: str | None,
    told: tuple[str, ...] = (ARCHIVE,),
    recovers: str = "",
) -> Expected:
    """An event of a domain as a whole, by its DNS."""
    return Expected(
        kind=kind, next_hop=f"{name}.test", aspect=aspect, before=before, after=after, told=told, recovers=recovers
    )


def zeta(
    kind: str,
    aspect: str,
    before: str | None,
    after: str | None,
    told: tuple[str, ...] = BUT_ON_CALL,
    recovers: str = "",
) -> Expected:
    """An event of the TLS of zeta.test."""
    return Expected(
        kind=kind,
        next_hop="zeta.test",
        host="mx.zeta.test",
        address=ZETA,
        aspect=aspect,
        before=before,
        after=after,
        told=told,
        recovers=recovers,
    )


def at_the_provider(kind: str, before: str, after: str, recovers: str = "") -> tuple[Expected, ...]:
    """The same at each customer of a provider: one of them is a partner, of which alone those on call are told."""
    return tuple(
        Expected(
            kind=kind,
            next_hop=name,
            host="mx.bigmail.test",
            address=BIGMAIL,
            aspect="starttls",
            before=before,
            after=after,
            told=ALL_BUT_BANK if name in GROUPS["partners"] else BUT_ON_CALL,
            recovers=recovers,
            provider="bigmail.test",
        )
        for name in CUSTOMERS
    )


def weeks(issued: Certificates) -> Mapping[int, Day]:
    """All days on which something changes, or something is noticed; on those between them nothing is."""
    sha256 = {name: hashlib.sha256(each.der).hexdigest() for name, each in issued.shown.items()}

    def certificate(
        kind: str,
        name: str,
        address: str,
        aspect: str,
        before: str,
        after: str,
        told: tuple[str, ...] = (ARCHIVE,),
        recovers: str = "",
    ) -> Expected:
        return Expected(
            kind=kind,
            next_hop=f"{name}.test",
            host=f"mx.{name}.test",
            address=address,
            aspect=aspect,
            before=before,
            after=after,
            told=told,
            recovers=recovers,
        )

    def replaced(name: str, address: str, before: str, after: str, kind: str = "ECDSA") -> Expected:
        return certificate("certificate-replaced", name, address, f"certificate {kind}", sha256[before], sha256[after])

    def expiry(kind: str, before: str, after: str, recovers: str = "") -> Expected:
        then, now = (f"{sha256[text.partition(':')[0]][:16]} {text.partition(':')[2]}" for text in (before, after))
        return certificate(kind, "delta", DELTA, "expiry ECDSA", then, now, BUT_ON_CALL, recovers)

    def issuer(name: str, address: str, before: str, after: str) -> Expected:
        return certificate("other-issuer", name, address, "issuer", before, after)

    def epsilon(kind: str, aspect: str, before: str, after: str, recovers: str = "") -> Expected:
        return certificate(kind, "epsilon", EPSILON, aspect, before, after, BANKERS, recovers)

    return {
        1: Day(),
        2: Day(
            dns={"gamma.test. MX": ("10 mx1.gammamail.test.", "20 mx2.gammamail.test.")},
            events=(of_the_dns("mx-added", "gamma", "mx mx2.gammamail.test", None, "20:mx2.gammamail.test"),),
        ),
        3: Day(
            servers={
                ALPHA: Serves(script=WITHOUT),
                KAPPA: Serves(script=THROTTLING),
                THETA: Serves(script=THROTTLING),
                IOTA: Serves(script=WITHOUT),
            },
            events=(
                vanished("alpha", ALPHA, (*ALL_BUT_BANK, BANK)),
                vanished("iota", IOTA, BUT_ON_CALL),
                expiry("certificate-expiring", "delta:valid", "delta:21"),
            ),
        ),
        4: Day(
            servers={
                BETA_2: Serves(script=WITHOUT),
                KAPPA: Serves(),
                IOTA: Serves(),
                EPSILON: Serves(tls="epsilon renewed"),
            },
            events=(
                vanished("beta", BETA_2, ALL_BUT_BANK),
                appeared("iota", IOTA, BUT_ON_CALL),
                replaced("epsilon", EPSILON, "epsilon", "epsilon renewed"),
            ),
        ),
        5: Day(
            servers={
                ALPHA: Serves(),
                KAPPA: Serves(script=SILENT),
                IOTA: Serves(script=WITHOUT),
                MU: Serves(),
            },
            dns={"gamma.test. MX": ("10 mx1.gammamail.test.", "5 mx2.gammamail.test.")},
            events=(
                appeared("alpha", ALPHA, (*ALL_BUT_BANK, BANK)),
                vanished("iota", IOTA, BUT_ON_CALL),
                appeared("mu", MU, (ARCHIVE,), recovers=""),
                of_the_dns(
                    "mx-moved", "gamma", "mx mx2.gammamail.test", "20:mx2.gammamail.test", "5:mx2.gammamail.test"
                ),
            ),
        ),
        6: Day(
            servers={KAPPA: Serves(), IOTA: Serves(), LAMBDA: Serves(script=GLITCH)},
            dns={"mx.betamail.test. A": (BETA_1,)},
            events=(
                of_the_dns("address-changed", "beta", "addresses mx.betamail.test", f"{BETA_1} {BETA_2}", BETA_1),
                Expected(
                    kind="recovered",
                    next_hop="beta.test",
                    host="mx.betamail.test",
                    address=BETA_2,
                    aspect="starttls",
                    before=None,
                    after=None,
                    told=ALL_BUT_BANK,
                    recovers="starttls-vanished",
                ),
                starttls("flapping", "iota", IOTA, "none", "works", BUT_ON_CALL),
            ),
        ),
        7: Day(
            servers={KAPPA: None, IOTA: Serves(script=WITHOUT)},
            dns={"gamma.test. MX": ("10 mx1.gammamail.test.",)},
            events=(of_the_dns("mx-removed", "gamma", "mx mx2.gammamail.test", "5:mx2.gammamail.test", None),),
        ),
        8: Day(
            servers={KAPPA: Serves(), IOTA: Serves()},
            dns={"mx.betamail.test. A": (BETA_1, BETA_3)},
            events=(
                of_the_dns("address-changed", "beta", "addresses mx.betamail.test", BETA_1, f"{BETA_1} {BETA_3}"),
                starttls("weaker-endpoint", "beta", BETA_3, "works", "none", ALL_BUT_BANK),
            ),
        ),
        9: Day(
            servers={ZETA: Serves(tls="zeta without TLSv1.1")},
            dns={"gamma.test. MX": ("0 .",)},
            faults={"kappa.test": "servfail"},
            events=(
                of_the_dns("null-mx", "gamma", "mail", "yes", "null-mx", BUT_ON_CALL),
                zeta("version-gone", "version TLSv1.1", "accepted", "refused"),
            ),
        ),
        10: Day(
            servers={
                BIGMAIL: Serves(script=WITHOUT),
                ETA: Serves(tls="eta with SSLv3 alone"),
                EPSILON: Serves(tls="epsilon elsewhere"),
            },
            events=(
                *at_the_provider("starttls-vanished", "works", "none"),
                certificate("needs-sslv3-began", "eta", ETA, "needs-sslv3", "no", "yes", BUT_ON_CALL),
                certificate("version-gone", "eta", ETA, "version TLSv1.3", "accepted", "refused", BUT_ON_CALL),
                starttls("unknown-for-long", "theta", THETA, "works", None, BUT_ON_CALL),
                replaced("epsilon", EPSILON, "epsilon renewed", "epsilon elsewhere"),
                issuer("epsilon", EPSILON, "CN=Weeks Root", "CN=Other Root"),
            ),
        ),
        11: Day(
            servers={BETA_3: Serves(), ZETA: Serves(tls="zeta")},
            dns={"gamma.test. MX": ("10 mx1.gammamail.test.",)},
            faults={"mx.kappa.test": "servfail"},
            events=(
                appeared("beta", BETA_3, ALL_BUT_BANK, recovers="weaker-endpoint"),
                of_the_dns("accepts-mail", "gamma", "mail", "null-mx", "yes", BUT_ON_CALL, "null-mx"),
                zeta("version-new", "version TLSv1.1", "refused", "accepted", recovers="version-gone"),
            ),
        ),
        12: Day(
            servers={BIGMAIL: Serves(), ETA: Serves(tls="eta"), THETA: Serves(), MU: Serves(tls="mu")},
            events=(
                *at_the_provider("starttls-appeared", "none", "works", "starttls-vanished"),
                certificate(
                    "needs-sslv3-ended", "eta", ETA, "needs-sslv3", "yes", "no", BUT_ON_CALL, "needs-sslv3-began"
                ),
                certificate(
                    "version-new", "eta", ETA, "version TLSv1.3", "refused", "accepted", BUT_ON_CALL, "version-gone"
                ),
                Expected(
                    kind="recovered",
                    next_hop="theta.test",
                    host="mx.theta.test",
                    address=THETA,
                    aspect="starttls",
                    before=None,
                    after="works",
                    told=BUT_ON_CALL,
                    recovers="unknown-for-long",
                ),
                certificate("certificate-replaced", "mu", MU, "certificate-kind", "ECDSA", "RSA"),
            ),
        ),
        13: Day(
            servers={ZETA: Serves(tls="zeta without C02F")},
            events=(zeta("suite-gone", "suites TLSv1.2", "C02F", None),),
        ),
        14: Day(dns={"beta.test. MX": ()}),
        15: Day(
            servers={ZETA: Serves(tls="zeta")},
            dns={"beta.test. MX": ("10 mx.betamail.test.",)},
            events=(
                zeta("suite-new", "suites TLSv1.2", None, "C02F", recovers="suite-gone"),
                appeared("iota", IOTA, BUT_ON_CALL),
            ),
        ),
        16: Day(
            servers={EPSILON: Serves(tls="epsilon misnamed")},
            events=(
                replaced("epsilon", EPSILON, "epsilon elsewhere", "epsilon misnamed"),
                epsilon("name-lost", "name", "yes", "no"),
            ),
        ),
        17: Day(
            servers={ZETA: Serves(tls="zeta without 002F")},
            dns={"beta.test. MX": ()},
            events=(
                zeta("suite-gone", "suites TLSv1.1", "002F", None),
                zeta("suite-gone", "suites TLSv1.2", "002F", None),
                zeta("shared-cipher-lost", "shared-cipher old", "yes", "no"),
                expiry("certificate-expiring", "delta:21", "delta:7"),
            ),
        ),
        18: Day(events=(of_the_dns("domain-gone", "beta", "mail", "yes", "no-domain", ALL_BUT_BANK),)),
        19: Day(
            dns={"beta.test. MX": ("10 mx.betamail.test.",)},
            events=(of_the_dns("accepts-mail", "beta", "mail", "no-domain", "yes", ALL_BUT_BANK, "domain-gone"),),
        ),
        20: Day(
            servers={ALPHA: Serves(script=BROKEN), MU: Serves(tls="mu untrusted")},
            events=(
                starttls("starttls-broken", "alpha", ALPHA, "works", "broken", (*ALL_BUT_BANK, BANK)),
                replaced("mu", MU, "mu", "mu untrusted", "RSA"),
                issuer("mu", MU, "CN=Weeks Root", "CN=Unknown Root"),
                certificate("no-longer-trusted", "mu", MU, "trusted", "yes", "no", BUT_ON_CALL),
            ),
        ),
        21: Day(
            servers={ALPHA: Serves()},
            dns={"mx1.gammamail.test. A": ()},
            events=(appeared("alpha", ALPHA, (*ALL_BUT_BANK, BANK), recovers="starttls-broken"),),
        ),
        22: Day(
            servers={EPSILON: Serves(tls="epsilon elsewhere")},
            events=(
                of_the_dns("address-changed", "gamma", "addresses mx1.gammamail.test", GAMMA_1, "none", BUT_ON_CALL),
                replaced("epsilon", EPSILON, "epsilon misnamed", "epsilon elsewhere"),
                epsilon("name-regained", "name", "no", "yes", "name-lost"),
            ),
        ),
        23: Day(
            dns={"mx1.gammamail.test. A": (GAMMA_1,)},
            events=(
                of_the_dns(
                    "address-changed",
                    "gamma",
                    "addresses mx1.gammamail.test",
                    "none",
                    GAMMA_1,
                    BUT_ON_CALL,
                    "address-changed",
                ),
                expiry("certificate-expiring", "delta:7", "delta:1"),
            ),
        ),
        24: Day(
            dns={"gamma.test. MX": ()},
            servers={MU: Serves(tls="mu")},
            events=(
                expiry("certificate-expired", "delta:1", "delta:expired"),
                replaced("mu", MU, "mu untrusted", "mu", "RSA"),
                issuer("mu", MU, "CN=Unknown Root", "CN=Weeks Root"),
                certificate("trusted-again", "mu", MU, "trusted", "no", "yes", BUT_ON_CALL, "no-longer-trusted"),
            ),
        ),
        25: Day(events=(of_the_dns("domain-gone", "gamma", "mail", "yes", "no-domain", ALL_BUT_BANK),)),
        26: Day(
            servers={DELTA: Serves(tls="delta renewed")},
            dns={"gamma.test. MX": ("10 mx1.gammamail.test.",)},
            events=(
                replaced("delta", DELTA, "delta", "delta renewed"),
                expiry("recovered", "delta:expired", "delta renewed:valid", "certificate-expired"),
                of_the_dns("accepts-mail", "gamma", "mail", "no-domain", "yes", ALL_BUT_BANK, "domain-gone"),
            ),
        ),
        28: Day(
            servers={ZETA: Serves(tls="zeta")},
            events=(
                zeta("suite-new", "suites TLSv1.1", None, "002F", recovers="suite-gone"),
                zeta("suite-new", "suites TLSv1.2", None, "002F", recovers="suite-gone"),
                zeta("shared-cipher-regained", "shared-cipher old", "no", "yes", recovers="shared-cipher-lost"),
            ),
        ),
    }
