"""Which addresses are public, by IANA's special-purpose registries."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxprobe.errors import InvalidSetting
from mxprobe.routing.addresses import RoutingPolicy, is_public


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",  # unspecified
        "10.1.2.3",
        "100.64.0.1",  # shared with carrier-grade NAT, RFC 6598
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",  # link-local, where clouds keep their secrets
        "172.31.255.255",
        "192.0.0.9",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "203.0.113.5",
        "224.0.0.1",
        "239.1.1.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",  # IPv4-compatible, RFC 4291 §2.5.5.1
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::10.0.0.1",  # NAT64
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",  # local-use NAT64, RFC 8215
        "100::1",  # discard-only
        "2001::1",  # Teredo
        "2001:db8::1",
        "2002:7f00:1::1",  # 6to4 of 127.0.0.1
        "2002:c0a8:101::1",  # 6to4 of 192.168.1.1
        "3fff::1",
        "5f00::1",  # SRv6
        "fc00::1",
        "fd12:3456::1",
        "fe80::1",
        "fec0::1",  # site-local
        "ff02::1",
        "ff0e::1",  # multicast of global scope
    ],
)
def test_special_addresses_are_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "100.63.255.255",
        "100.128.0.1",
        "172.32.0.1",
        "193.0.0.1",
        "2606:4700::1",
        "2a00:1450::1",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
        "2002:808:808::1",
    ],
)
def test_addresses_of_the_public_internet(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@given(st.ip_addresses())
def test_what_ipaddress_calls_private_is_public_only_by_the_ipv4_address_in_it(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if address.is_private and getattr(address, "ipv4_mapped", None) is None:
        assert not is_public(address)


@given(st.ip_addresses(v=4))
def test_an_embedded_ipv4_address_is_as_public_as_itself(address: ipaddress.IPv4Address) -> None:
    assert is_public(ipaddress.IPv6Address(f"::ffff:{address}")) == is_public(address)
    assert is_public(ipaddress.IPv6Address(f"64:ff9b::{address}")) == is_public(address)
    assert is_public(ipaddress.IPv6Address(0x2002 << 112 | int(address) << 80)) == is_public(address)


def test_connect_names_and_addresses_are_normalised() -> None:
    policy = RoutingPolicy(connect={"MX.Example.Test.": "2001:DB8::0:1"})
    assert policy.connect == {"mx.example.test": "2001:db8::1"}


@pytest.mark.parametrize("connect", [{"mx.example.test": "mx2.example.test"}, {"two words": "192.0.2.1"}, {"": "::1"}])
def test_connect_takes_only_a_name_and_an_address(connect: dict[str, str]) -> None:
    with pytest.raises(InvalidSetting):
        RoutingPolicy(connect=connect)
