"""Which addresses of the DNS are dialled, and which the user gave in its place."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field

from mxprobe.errors import InvalidSetting
from mxprobe.routing.ignore_list import NOBODY, IgnoreList, embedded_ipv4
from mxprobe.terms import IPAddress, host_name


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingPolicy:
    """What the user allows and overrides when a next-hop is resolved.

    `allow_private` lets addresses from the DNS be dialled that are not public. `connect` maps a host name to
    the address that the user gave for it: the DNS is not asked for that host's addresses, and the address may
    be private, since the user named it. What is on the list `ignore` is not dialled, whoever named it. Names and
    addresses are brought into the form that routes have.

    Raises:
        InvalidSetting: a key of `connect` is not a host name, or a value not an IP address.
    """

    allow_private: bool = False
    connect: Mapping[str, str] = field(default_factory=dict)
    ignore: IgnoreList = NOBODY

    def __post_init__(self) -> None:
        normal = {}
        for name, address in self.connect.items():
            try:
                normal[host_name(name)] = str(ipaddress.ip_address(address))
            except ValueError as error:
                raise InvalidSetting("connect", str(error), "a host name and an IP address") from error
        object.__setattr__(self, "connect", normal)


PUBLIC_ADDRESSES = RoutingPolicy()
"""The default: what the DNS says, and public addresses only."""


# Not for hosts, though some versions of Python's ipaddress call them global.
_NOT_FOR_HOSTS = (
    ipaddress.ip_network("192.0.0.0/24"),  # IETF protocol assignments, RFC 6890 §2.1
    ipaddress.ip_network("192.88.99.0/24"),  # 6to4 relay anycast, withdrawn by RFC 7526
    ipaddress.ip_network("3fff::/20"),  # documentation, RFC 9637
)
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")  # RFC 4291 §2.4, as IANA allocates it


def is_public(address: IPAddress) -> bool:
    """Whether a host on the public Internet can have this address (IANA's special-purpose registries, RFC 6890).

    A partner's MX may point at 127.0.0.1 or into our own network: private, shared (100.64.0.0/10), loopback,
    link-local, multicast, unspecified, documentation and reserved addresses are not public. An IPv6 address that
    stands for an IPv4 address (IPv4-mapped, 6to4, NAT64) is as public as that one. Teredo is for clients, never
    public here.
    """
    if isinstance(address, ipaddress.IPv6Address):
        embedded = embedded_ipv4(address)
        if embedded is not None:
            return is_public(embedded)
        if address not in _GLOBAL_UNICAST:
            return False
    if address.is_multicast or address.is_reserved or not address.is_global:
        return False
    return not any(address in network for network in _NOT_FOR_HOSTS)
