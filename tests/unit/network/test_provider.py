"""Who runs a server: by the public suffix list (publicsuffix.org), and by the network of its address."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxprobe.network.provider import is_loopback, provider_of, registrable_domain
from mxprobe.terms import Endpoint


def endpoint(host: str, address: str) -> Endpoint:
    return Endpoint(host=host, address=address, port=25)


# The cases are those of the list's own test data (test_psl.txt), as far as hosts can be named so.
@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("example.com", "example.com"),
        ("a.b.example.com", "example.com"),
        ("b.c.mm", "b.c.mm"),  # *.mm
        ("a.b.c.mm", "b.c.mm"),
        ("www.test.k12.ak.us", "test.k12.ak.us"),
        ("www.city.kobe.jp", "city.kobe.jp"),  # an exception, !city.kobe.jp
        ("a.b.ide.kyoto.jp", "b.ide.kyoto.jp"),
        ("www.xn--85x722f.xn--55qx5d.cn", "xn--85x722f.xn--55qx5d.cn"),
        ("mx1.mail.example.co.uk", "example.co.uk"),
        # Who rents out names below its own still runs the servers: not the private part of the list.
        ("inbound-smtp.eu-west-1.amazonaws.com", "amazonaws.com"),
        ("example-org.mail.protection.outlook.com", "outlook.com"),
        # RFC 6761: not in the list, and so the last two labels.
        ("mx1.partner.test", "partner.test"),
        ("partner.test", "partner.test"),
        ("_mx.partner.test", "partner.test"),
        # Nothing registrable: it stands for itself.
        ("localhost", "localhost"),
        ("co.uk", "co.uk"),
    ],
)
def test_the_domain_is_what_somebody_has_registered(host: str, domain: str) -> None:
    assert registrable_domain(host) == domain
    assert provider_of(endpoint(host, "192.0.2.1")).domain == domain


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.0/24"),
        ("192.0.2.255", "192.0.2.0/24"),
        ("192.0.3.0", "192.0.3.0/24"),
        ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ("2001:db8:1:ffff::3", "2001:db8:1::/48"),
        ("2001:db8:2::3", "2001:db8:2::/48"),
        ("::ffff:192.0.2.7", "192.0.2.0/24"),
        ("fe80::1%eth0", "fe80::/48"),
    ],
)
def test_the_network_is_a_24_or_a_48(address: str, network: str) -> None:
    assert provider_of(endpoint("mx.partner.test", address)).network == network


def test_a_host_that_is_an_address_has_a_network_alone() -> None:
    for address, network in (("192.0.2.1", "192.0.2.0/24"), ("2001:db8::1", "2001:db8::/48")):
        provider = provider_of(endpoint(address, address))
        assert (provider.domain, provider.network) == (None, network)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1", True),
        ("127.255.0.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("10.0.0.1", False),
        ("192.0.2.1", False),
        ("2001:db8::1", False),
        ("mx.partner.test", False),
    ],
)
def test_loopback_is_this_machine(address: str, expected: bool) -> None:
    assert is_loopback(address) is expected


@given(st.from_regex(r"[a-z0-9_-]{1,9}(\.[a-z0-9_-]{1,9}){0,5}", fullmatch=True))
def test_any_name_ends_with_its_provider(host: str) -> None:
    domain = registrable_domain(host)
    assert domain
    assert f".{host}".endswith(f".{domain}")


def test_the_list_is_read_without_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def dialled(*_: object) -> None:
        raise AssertionError("the network was used")

    from mxprobe.network import provider

    monkeypatch.setattr(socket.socket, "connect", dialled)
    provider._public_suffixes.cache_clear()
    assert registrable_domain("mx.example.co.uk") == "example.co.uk"
