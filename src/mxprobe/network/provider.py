"""Who runs a mail server, as far as its name and its address tell."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from mxprobe.terms import Endpoint, IPAddress

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList

IPV4_NETWORK = 24
IPV6_NETWORK = 48
"""Bits of an address that are taken for one provider's: the longest IPv4 prefix that is routed on the Internet, and
what one site gets of IPv6 (RFC 6177 §2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """Who runs an endpoint: the registrable domain of its MX host, and its network. A connection counts for both.

    `domain` is None where the host is an address. `network` is None where the address cannot be read.
    """

    domain: str | None
    network: str | None


def provider_of(endpoint: Endpoint) -> Provider:
    """The provider of an endpoint."""
    address = _address(endpoint.address)
    domain = None if _address(endpoint.host) else registrable_domain(endpoint.host)
    return Provider(domain=domain, network=None if address is None else network_of(address))


def registrable_domain(host: str) -> str:
    """What somebody has registered under a public suffix: ``example.co.uk`` of ``mx1.mail.example.co.uk``.

    By the ICANN part of the public suffix list (docs/decisions/0013). Under a top-level domain that it does not know,
    like ``.test``, it is the last two labels. A host that has none, like ``localhost``, stands for itself.
    """
    domain: str | None = _public_suffixes().privatesuffix(host)
    return domain or host


def network_of(address: IPAddress) -> str:
    """The /24 of an IPv4 address, the /48 of an IPv6 address; one that is IPv4-mapped is an IPv4 address."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return network_of(address.ipv4_mapped)
        return str(ipaddress.IPv6Network((int(address), IPV6_NETWORK), strict=False))
    return str(ipaddress.IPv4Network((int(address), IPV4_NETWORK), strict=False))


def is_loopback(text: str) -> bool:
    """Whether an address is this machine's own."""
    address = _address(text)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address is not None and address.is_loopback


def _address(text: str) -> IPAddress | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


@cache
def _public_suffixes() -> PublicSuffixList:
    # Reading the list takes 40 ms, and a run that dials addresses alone does not need it.
    from publicsuffixlist import PublicSuffixList

    return PublicSuffixList(only_icann=True)
