"""Whom we leave alone: the domains, addresses and networks that asked for it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from mxprobe.errors import InvalidSetting
from mxprobe.terms import IPAddress, host_name

ALLOWED_ENTRIES = "a domain like example.com (with all below it), an address, or a network like 192.0.2.0/24"

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True, kw_only=True)
class IgnoreList:
    """Domains (A-labels, lower-case), which stand for all names below them too, and networks of one address or more."""

    domains: frozenset[str] = field(default_factory=frozenset)
    networks: tuple[IPNetwork, ...] = ()

    def entry_for_name(self, *names: str) -> str | None:
        """The entry that one of these names is, or is below."""
        if self.domains:
            for name in names:
                labels = name.split(".")
                for first in range(len(labels)):
                    domain = ".".join(labels[first:])
                    if domain in self.domains:
                        return domain
        return None

    def entry_for_address(self, address: IPAddress) -> str | None:
        """The entry that an address is in; one that stands for an IPv4 address is that one too."""
        meant = (address, embedded_ipv4(address)) if isinstance(address, ipaddress.IPv6Address) else (address,)
        for network in self.networks:
            if any(each is not None and each.version == network.version and each in network for each in meant):
                return str(network.network_address) if network.prefixlen == network.max_prefixlen else str(network)
        return None


NOBODY = IgnoreList()
"""The default: nobody has asked to be left alone."""


def parse_ignore_list(entries: Iterable[str], where: str = "ignore") -> IgnoreList:
    """Read the entries of an ignore list.

    Raises:
        InvalidSetting: an entry is neither a domain nor an address nor a network; `where` says who gave it.
    """
    domains: dict[str, None] = {}
    networks: dict[IPNetwork, None] = {}
    for entry in entries:
        text = entry.strip()
        try:
            if _looks_like_an_address(text):
                networks[ipaddress.ip_network(text)] = None
            else:
                domains[host_name(text)] = None
        except ValueError as error:
            raise InvalidSetting(where, str(error), ALLOWED_ENTRIES) from error
    return IgnoreList(domains=frozenset(domains), networks=tuple(networks))


def entries_of_file(text: str) -> Iterator[tuple[int, str]]:
    """The entries of a file, one a line, each with the number of its line; ``#`` begins a comment."""
    for number, line in enumerate(text.split("\n"), start=1):
        entry = line.partition("#")[0].strip()
        if entry:
            yield number, entry


def embedded_ipv4(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 address stands for: IPv4-mapped, 6to4 (RFC 3056) or NAT64 (RFC 6052 §2.1)."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None


_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def _looks_like_an_address(text: str) -> bool:
    return ":" in text or "/" in text or text.rpartition(".")[2].isdigit()
