"""What a Postfix demands of each partner: its level for all, and the policy tables that say otherwise for some."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from mxprobe.cli.checking.postfix_files import PostfixOnPaper, TableFiles, check_place, place_said
from mxprobe.mta.openssl import PROTOCOLS_OF
from mxprobe.mta.postfix.client import client_level, client_profile, has_dnssec
from mxprobe.mta.postfix.configuration import Place as PostfixPlace
from mxprobe.mta.postfix.configuration import Setting
from mxprobe.mta.postfix.exclusions import exclusions_of
from mxprobe.mta.postfix.lookup_tables import Entry, Table, Tables, open_table, table_names, table_warnings
from mxprobe.mta.postfix.policy_maps import InvalidPolicy, Policy, UnknownPolicy, per_site_level, policy_of
from mxprobe.mta.postfix.protocols import UnknownProtocol, read_protocol_list
from mxprobe.mta.profile import NoTls, Profile, Tls
from mxprobe.terms import DEFAULT_PORTS, State
from mxprobe.verdict.checks import Check, Place
from mxprobe.verdict.outbound import Demand, NoDemand
from mxprobe.verdict.outbound_checks import hole_checks

if TYPE_CHECKING:
    from mxprobe.mta.postfix.configuration import Configuration
    from mxprobe.verdict.choice import Obstacle

MAX_POLICIES = 4096
"""Different policies of which the offer is kept; tables have few kinds of them, however many destinations."""

_Key = tuple[Tls, str | None, str | None, str | None]


class Demands:
    """What one configuration demands: each different policy is computed once.

    `need_trust` is whether any partner may have to show a certificate that verifies.

    Raises:
        InvalidSetting: a table, or what Postfix stops at.
    """

    def __init__(self, paper: PostfixOnPaper) -> None:
        self.paper = paper
        parameters = paper.parameters
        self._level = client_level(paper.configuration, paper.postfix)
        self._wrapped = parameters.flag("smtp_tls_wrappermode")
        read = TableFiles(paper).read
        default_type = parameters.text("default_database_type") or "hash"

        def tables(name: str) -> Tables:
            return tuple(open_table(each, read) for each in table_names(parameters.text(name), default_type))

        self._policies = tables("smtp_tls_policy_maps")
        self._per_site: Tables = () if self._policies else tables("smtp_tls_per_site")
        self.need_trust = self._needs_trust()
        self._kept: dict[_Key, Demand] = {}
        self._numbers = 0
        self._general: Demand | NoDemand | None = None

    def of(self, next_hop: str) -> Callable[[str], Demand | NoDemand]:
        """What is demanded of each MX host of a partner, by the host's name."""
        destination = _destination(next_hop)
        if self._wrapped:
            reason = "smtp_tls_wrappermode is set: TLS from the first byte was not probed at this port"
            return lambda _host: NoDemand(outcome="unknown", reason=reason)
        if self._policies:
            found = self._by_policy(destination)
            return lambda _host: found
        if self._per_site:
            return lambda host: self._by_site(destination, host)
        return self._general_of

    def _general_of(self, _host: str) -> Demand | NoDemand:
        if self._general is None:
            self._general = self._demand(self._level, None)
        return self._general

    def hole(self, subject: str) -> Iterator[Check]:
        """Whether the versions of main.cf have a hole, and what comes of it."""
        demand = self._demand(self._level, None)
        if isinstance(demand, NoDemand) or demand.offer is None:
            return
        name = f"smtp_tls_{'' if demand.level == 'may' else 'mandatory_'}protocols"
        try:
            listed = read_protocol_list(self.paper.parameters.text(name), self.paper.postfix)
        except UnknownProtocol:
            return
        allowed = [protocol for protocol in PROTOCOLS_OF[self.paper.openssl] if listed.allows(protocol)]
        yield from hole_checks(subject, allowed, demand.offer, check_place(self.paper.parameters.place(name)))

    def notes(self, subject: str) -> Iterator[Check]:
        """What is odd about the tables, and what of the way of mail is not looked at."""
        parameters = self.paper.parameters
        warnings = table_warnings((*self._policies, *self._per_site))
        tables = parameters.place("smtp_tls_policy_maps" if self._policies else "smtp_tls_per_site")
        said: list[tuple[str, str, PostfixPlace | None]] = [("lookup table", warning, tables) for warning in warnings]
        if parameters.text("smtp_tls_policy_maps") and parameters.text("smtp_tls_per_site"):
            ignored = "smtp_tls_per_site is ignored when smtp_tls_policy_maps is not empty"
            said.append(("smtp_tls_per_site", ignored, parameters.place("smtp_tls_per_site")))
        for name in ("relayhost", "transport_maps"):
            if self.paper.configuration.get(name):
                text = f"{name} is set: where it sends mail elsewhere, partners are judged as if it did not"
                said.append((name, text, parameters.place(name)))
        if self._level in ("dane", "dane-only") and not self._has_dnssec():
            text = f"level {self._level} needs smtp_dns_support_level = dnssec, and is not that without it"
            said.append(("smtp_dns_support_level", text, parameters.place("smtp_tls_security_level")))
        for name, summary, place in said:
            yield Check(
                id="configuration",
                name=name,
                subject=subject,
                outcome="noted",
                severity="warning",
                summary=summary,
                source="postconf(5)",
                place=check_place(place),
            )

    def _by_policy(self, destination: str) -> Demand | NoDemand:
        found = policy_of(self._policies, destination, self.paper.postfix)
        match found:
            case None:
                return self._demand(self._level, None)
            case Policy():
                return self._demand(found.level, found)
        return self._no_demand(found)

    def _by_site(self, destination: str, host: str) -> Demand | NoDemand:
        level = per_site_level(self._per_site, destination, host, self._level)
        if isinstance(level, InvalidPolicy | UnknownPolicy):
            return self._no_demand(level)
        return self._demand(level, None)

    def _demand(self, level: Tls, policy: Policy | None) -> Demand | NoDemand:
        place = self.paper.parameters.place("smtp_tls_security_level")
        if policy is not None:
            place = self._place_of(policy.entry)
        if level in ("dane", "dane-only") and not self._has_dnssec():
            if level == "dane-only":
                reason = "our configuration is invalid: dane-only without smtp_dns_support_level = dnssec (4.7.5)"
                return NoDemand(outcome="deferred", reason=reason, place=check_place(place))
            level = "may"  # Postfix warns and goes on so (dane_incompat() in smtp_tls_policy.c)
        match = policy.match if policy is not None else ()
        match = match or self._match(level)
        if level == "fingerprint" and not match:
            reason = "our configuration is invalid: level fingerprint, with no fingerprints to match (4.7.5)"
            return NoDemand(outcome="deferred", reason=reason, place=check_place(place))
        key: _Key = (
            level,
            policy.ciphers if policy else None,
            policy.protocols if policy else None,
            policy.exclude if policy else None,
        )
        found = self._kept.get(key)
        if found is None:
            found = self._computed(level, policy)
            if len(self._kept) >= MAX_POLICIES:
                self._kept.clear()
            self._kept[key] = found
        blamed = place_said(found.offer.where) if isinstance(found.offer, NoTls) else None
        return replace(found, match=match, trusts=self._trusts(policy), place=blamed or check_place(place))

    def _no_demand(self, found: InvalidPolicy | UnknownPolicy) -> NoDemand:
        if isinstance(found, UnknownPolicy):
            return NoDemand(outcome="unknown", reason=found.reason)
        reason = f"its policy is invalid: {found.reason} ({found.status})"
        return NoDemand(outcome="deferred", reason=reason, place=check_place(self._place_of(found.entry)))

    def _place_of(self, entry: Entry | None) -> PostfixPlace | None:
        """The line of an entry, or that of the tables where it is in main.cf itself, or the whole table is to blame."""
        if entry is not None and entry.file:
            return PostfixPlace(file=entry.file, line=entry.line)
        return self.paper.parameters.place("smtp_tls_policy_maps" if self._policies else "smtp_tls_per_site")

    def _computed(self, level: Tls, policy: Policy | None) -> Demand:
        number = self._numbers
        self._numbers += 1
        if level == "none":
            return Demand(number=number, level=level, offer=None)
        configuration = self.paper.configuration.overridden(_over(policy, level))
        mandatory = "" if level == "may" else "mandatory_"
        versions = check_place(configuration.place(f"smtp_tls_{mandatory}protocols"))
        suites = check_place(configuration.place(f"smtp_tls_{mandatory}ciphers"))
        places: dict[Obstacle, Place] = {}
        if versions is not None:
            places["version"] = versions
        if suites is not None:
            places["suite"] = suites

        def profile_of(changed: Configuration) -> Profile | NoTls:
            return client_profile(changed, postfix=self.paper.postfix, openssl=self.paper.openssl, level=level)

        parameters = type(self.paper.parameters)(
            configuration=configuration, postfix=self.paper.postfix, openssl=self.paper.openssl
        )
        return Demand(
            number=number,
            level=level,
            offer=profile_of(configuration),
            sha256=parameters.text("smtp_tls_fingerprint_digest").lower() == "sha256",
            exclusions=cache(lambda: exclusions_of(parameters, "smtp", profile_of, mandatory=bool(mandatory))),
            places=places,
        )

    def _match(self, level: Tls) -> tuple[str, ...]:
        """The names or fingerprints of main.cf for a level."""
        parameters = self.paper.parameters
        match level:
            case "verify":
                text = parameters.text("smtp_tls_verify_cert_match") or "hostname"
            case "secure":
                text = parameters.text("smtp_tls_secure_cert_match") or "nexthop, dot-nexthop"
            case "fingerprint":
                return parameters.words("smtp_tls_fingerprint_cert_match")
            case _:
                return ()
        return tuple(text.replace(",", " ").replace(":", " ").split())

    def _trusts(self, policy: Policy | None) -> State:
        parameters = self.paper.parameters
        if (policy is not None and policy.trust_anchors) or parameters.text("smtp_tls_trust_anchor_file"):
            return "unknown"
        if parameters.text("smtp_tls_CAfile") or parameters.text("smtp_tls_CApath"):
            return "yes"
        return "yes" if parameters.text("tls_append_default_CA").lower() == "yes" else "no"

    def _needs_trust(self) -> bool:
        authenticated = ("verify", "secure", "fingerprint", "MUST")
        if self._level in authenticated:
            return True
        return any(
            table.every_key is not None or any(_begins_with(entry, authenticated) for entry in table.entries.values())
            for table in (*self._policies, *self._per_site)
            if isinstance(table, Table)
        )

    def _has_dnssec(self) -> bool:
        return has_dnssec(self.paper.parameters)


def _begins_with(entry: Entry, words: tuple[str, ...]) -> bool:
    return entry.value.lower().startswith(tuple(word.lower() for word in words))


def _over(policy: Policy | None, level: Tls) -> tuple[Setting, ...]:
    """What a policy says over main.cf, as settings of it."""
    if policy is None:
        return ()
    place = PostfixPlace(file="-policy", line=0)  # the line of the entry, which others may be equal to
    mandatory = "" if level == "may" else "mandatory_"
    said: dict[str, str | None] = {
        f"smtp_tls_{mandatory}ciphers": policy.ciphers,
        f"smtp_tls_{mandatory}protocols": policy.protocols,
        "smtp_tls_exclude_ciphers": policy.exclude,
        "smtp_tls_mandatory_exclude_ciphers": None if policy.exclude is None else "",
    }
    return tuple(
        Setting(name=name, value=value.replace("$", "$$"), place=place)
        for name, value in said.items()
        if value is not None
    )


def _destination(next_hop: str) -> str:
    """The next-hop as Postfix's transport(5) has it: the service before it is ours."""
    for name in DEFAULT_PORTS:
        prefix, colon, after = next_hop.partition(":")
        if colon and prefix.lower() == name and after and not after.isdigit():
            return after
    return next_hop
