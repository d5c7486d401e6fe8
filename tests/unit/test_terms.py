"""The words of the field: next-hops in Postfix syntax, endpoints as Postfix logs them, host names."""

from __future__ import annotations

import ipaddress
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxprobe.errors import InvalidNextHop
from mxprobe.terms import DEFAULT_PORTS, Endpoint, NextHop, Service, ehlo_name, host_name, parse_next_hop

labels = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=20)
names = st.lists(labels, max_size=3).map(lambda first: ".".join([*first, "example"]))
ports = st.integers(1, 65535)
services = st.sampled_from(tuple(DEFAULT_PORTS))


@pytest.mark.parametrize(
    ("text", "service", "host", "port", "mx_lookup"),
    [
        # postconf(5) relayhost: MX lookups for a name, none where it is in brackets; a port may follow.
        ("example.com", "smtp", "example.com", 25, True),
        ("example.com:587", "smtp", "example.com", 587, True),
        ("[mail.example.com]", "smtp", "mail.example.com", 25, False),
        ("[mail.example.com]:2525", "smtp", "mail.example.com", 2525, False),
        ("EXAMPLE.Com.", "smtp", "example.com", 25, True),
        ("localhost", "smtp", "localhost", 25, True),
        ("mail_1.example.com", "smtp", "mail_1.example.com", 25, True),
        # An address needs no lookup, IPv4 no brackets either; IPv6 may be tagged (RFC 5321 §4.1.3) as in Postfix.
        ("192.0.2.1", "smtp", "192.0.2.1", 25, False),
        ("192.0.2.1:26", "smtp", "192.0.2.1", 26, False),
        ("[192.0.2.1]:26", "smtp", "192.0.2.1", 26, False),
        ("[2001:DB8:0::1]", "smtp", "2001:db8::1", 25, False),
        ("[IPv6:2001:db8::1]:26", "smtp", "2001:db8::1", 26, False),
        ("[ipv6:2001:db8::1]", "smtp", "2001:db8::1", 25, False),
        ("[fe80::1%eth0]", "smtp", "fe80::1%eth0", 25, False),
        # transport(5): the service stands before the next-hop, and brings its port (RFC 2033, RFC 8314).
        ("smtp:example.com", "smtp", "example.com", 25, True),
        ("lmtp:[mail.example.com]", "lmtp", "mail.example.com", 24, False),
        ("smtps:example.com", "smtps", "example.com", 465, True),
        ("SMTPS:[2001:db8::1]:4465", "smtps", "2001:db8::1", 4465, False),
        # Ports may be named as in services(5).
        ("example.com:smtp", "smtp", "example.com", 25, True),
        ("example.com:submission", "smtp", "example.com", 587, True),
        ("[example.com]:SUBMISSIONS", "smtp", "example.com", 465, False),
        ("lmtp:example.com:lmtp", "lmtp", "example.com", 24, True),
        # A service needs a next-hop behind it; before a number, its name is that of a host.
        ("smtp:25", "smtp", "smtp", 25, True),
        ("lmtp", "smtp", "lmtp", 25, True),
    ],
)
def test_reads_every_form_of_postfix(text: str, service: Service, host: str, port: int, mx_lookup: bool) -> None:
    hop = parse_next_hop(text)
    assert (hop.service, hop.host, hop.port, hop.mx_lookup) == (service, host, port, mx_lookup)
    assert hop.text == text


def test_only_an_address_has_an_address() -> None:
    assert parse_next_hop("[2001:db8::1]").address == ipaddress.ip_address("2001:db8::1")
    assert parse_next_hop("192.0.2.1").address == ipaddress.ip_address("192.0.2.1")
    assert parse_next_hop("[mail.example.com]").address is None


def test_policy_tables_get_what_was_written_without_the_blanks_around_it() -> None:
    assert parse_next_hop("[Mail.Example.com]:smtp").text == "[Mail.Example.com]:smtp"
    assert parse_next_hop(" example.com\n").text == "example.com"


@pytest.mark.parametrize(
    ("text", "host"),
    [
        # RFC 5891 §5; the sharp s is a letter of its own since IDNA2008 (RFC 5894 §7.2).
        ("bücher.example", "xn--bcher-kva.example"),
        ("[BÜCHER.example]:26", "xn--bcher-kva.example"),
        ("faß.example", "xn--fa-hia.example"),
        ("例え.テスト", "xn--r8jz45g.xn--zckzah"),
        # UTS #46: the full stops of other scripts are dots, at the end as well.
        ("例え。テスト。", "xn--r8jz45g.xn--zckzah"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
    ],
)
def test_internationalised_names_become_a_labels(text: str, host: str) -> None:
    assert parse_next_hop(text).host == host


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it is empty"),
        ("   ", "it is empty"),
        ("x" * 301, "it is longer than any host name"),
        ("a." * 127 + "de", "the host name is longer than 253 characters"),
        ("[example.com", "the bracket is not closed"),
        ("[example.com]25", "'25' follows the bracket"),
        ("[]", "the host name is empty"),
        (".", "the host name is empty"),
        (":25", "the host name is empty"),
        ("smtp:", "'' is not a port (1 to 65535)"),
        ("example.com:", "'' is not a port (1 to 65535)"),
        ("example.com:0", "'0' is not a port (1 to 65535)"),
        ("example.com:65536", "'65536' is not a port (1 to 65535)"),
        ("example.com:+25", "'+25' is not a port (1 to 65535)"),
        ("example.com:２５", "'２５' is not a port (1 to 65535)"),
        ("example.com:https", "'https' is not a port (1 to 65535)"),
        ("2001:db8::1", "an IPv6 address needs brackets"),
        ("[2001:db8::zz]", "'2001:db8::zz' is not an IPv6 address"),
        ("[IPv6:192.0.2.1]", "'IPv6:192.0.2.1' is not an IPv6 address"),
        ("[IPv6:mail.example.com]", "'IPv6:mail.example.com' is not an IPv6 address"),
        ("[fe80::1%\x1b[31m]", "'fe80::1%\\x1b[31m' is not an IPv6 address"),
        ("[fe80::1%eth 0]", "'fe80::1%eth 0' is not an IPv6 address"),
        ("192.0.2", "'192.0.2' is neither an IP address nor a host name"),
        ("192.0.2.256", "'192.0.2.256' is neither an IP address nor a host name"),
        ("example..com", "'' is not a label of a host name"),
        ("-a.example", "'-a' is not a label of a host name"),
        ("a-.example", "'a-' is not a label of a host name"),
        ("x" * 64 + ".example", f"{'x' * 64!r} is not a label of a host name"),
        ("user@example.com", "'user@example' is not a label of a host name"),
        ("exam ple.com", "'exam ple' is not a label of a host name"),
        ("exam\nple.com", "'exam\\nple' is not a label of a host name"),
        ("exam\x1b[31mple.com", "'exam\\x1b[31mple' is not a label of a host name"),
    ],
)
def test_what_is_not_a_next_hop_gets_one_line_that_says_why(text: str, reason: str) -> None:
    with pytest.raises(InvalidNextHop) as raised:
        parse_next_hop(text)
    assert raised.value.text == text
    assert raised.value.reason == reason
    assert "\n" not in str(raised.value)
    assert str(raised.value).startswith(f"not a next-hop: {text!r}: ")
    assert "allowed: example.com, " in str(raised.value)


@pytest.mark.parametrize(
    "text", ["☃-.example", "\ud800.example", "a\u200db.example", "ab\u0301\u0301" * 30 + ".example"]
)
def test_what_idna_forbids_is_not_a_host_name(text: str) -> None:
    with pytest.raises(InvalidNextHop, match="is not an internationalised host name"):
        parse_next_hop(text)


# Characters that mean something in the syntax come often enough to be tried.
hostile = st.text(st.one_of(st.sampled_from("[]:.%-_ \n0129aexIPv6smtp。ü"), st.characters()), max_size=60)


@given(hostile)
def test_raises_nothing_but_invalid_next_hop(text: str) -> None:
    try:
        hop = parse_next_hop(text)
    except InvalidNextHop as error:
        assert len(str(error).splitlines()) == 1  # noqa: PT017
    else:
        assert hop.host
        assert hop.host.isascii()
        assert hop.host.isprintable()
        assert 1 <= hop.port <= 65535


@given(hostile)
def test_a_host_name_is_one_or_a_value_error(text: str) -> None:
    try:
        name = host_name(text)
    except ValueError:
        return
    assert host_name(name) == name


def written(hop: NextHop) -> str:
    host = f"[{hop.host}]" if hop.address or not hop.mx_lookup else hop.host
    return f"{hop.service}:{host}:{hop.port}"


@given(service=services, name=names, port=ports, bracketed=st.booleans())
def test_a_name_written_in_full_comes_back(service: Service, name: str, port: int, bracketed: bool) -> None:
    hop = parse_next_hop(f"{service}:[{name}]:{port}" if bracketed else f"{service}:{name}:{port}")
    assert (hop.service, hop.host, hop.port, hop.mx_lookup) == (service, name, port, not bracketed)
    assert parse_next_hop(written(hop)) == NextHop(
        text=written(hop), service=service, host=name, port=port, mx_lookup=not bracketed
    )


@given(address=st.ip_addresses(), port=ports)
def test_an_address_written_in_full_comes_back(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int
) -> None:
    hop = parse_next_hop(f"[{address}]:{port}")
    assert (hop.address, hop.host, hop.port, hop.mx_lookup) == (address, str(address), port, False)


@pytest.mark.parametrize(
    ("endpoint", "text"),
    [
        # As Postfix logs `relay=`.
        (Endpoint(host="mx1.example.com", address="192.0.2.1", port=25), "mx1.example.com[192.0.2.1]:25"),
        (Endpoint(host="mx1.example.com", address="2001:db8::1", port=25), "mx1.example.com[2001:db8::1]:25"),
        # An address alone stands for itself, in a form that is a next-hop again.
        (Endpoint(host="192.0.2.1", address="192.0.2.1", port=2525), "192.0.2.1:2525"),
        (Endpoint(host="2001:db8::1", address="2001:db8::1", port=25), "[2001:db8::1]:25"),
    ],
)
def test_an_endpoint_reads_as_postfix_logs_it(endpoint: Endpoint, text: str) -> None:
    assert str(endpoint) == text


@pytest.mark.parametrize("text", ["192.0.2.1:2525", "[2001:db8::1]:25"])
def test_an_endpoint_that_is_an_address_is_a_next_hop(text: str) -> None:
    hop = parse_next_hop(text)
    assert str(Endpoint(host=hop.host, address=str(hop.address), port=hop.port)) == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("MX1.example.org.", "mx1.example.org"),
        ("bücher.example", "xn--bcher-kva.example"),
        # RFC 5321 §4.1.3.
        ("[192.0.2.1]", "[192.0.2.1]"),
        ("[IPv6:2001:db8::1]", "[IPv6:2001:db8::1]"),
    ],
)
def test_ehlo_has_a_host_name_or_an_address_literal(text: str, said: str) -> None:
    assert ehlo_name(text) == said


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("mx_1.example.org", "underscore"),
        ("192.0.2.1", r"in EHLO it is \[192.0.2.1\]"),
        ("2001:db8::1", r"in EHLO it is \[IPv6:2001:db8::1\]"),
        ("[2001:db8::1]", r"in EHLO it is \[IPv6:2001:db8::1\]"),
        ("[IPv6:fe80::1%eth0]", "no address literal"),
        ("[IPv6:192.0.2.1]", "no address literal"),
        ("[192.0.2.1", "no address literal|in EHLO it is"),
        ("[mx.example.org]", "no address literal"),
        ("[]", "no address literal"),
        ("", "empty"),
        ("mx example.org", "not a label"),
        ("mx.example.org\r\nMAIL FROM:<>", "not a label"),
    ],
)
def test_what_no_server_takes_in_ehlo_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        ehlo_name(text)
