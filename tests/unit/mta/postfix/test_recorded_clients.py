"""A computed client profile is the hello that was recorded from the OpenSSL itself, generation by generation.

The recordings (`docs/senders.md`) come from real libraries to which Postfix's settings of that version were given, so
neither side knows of the other.
"""

from __future__ import annotations

import pytest

from mxprobe.mta.postfix.client import client_profile
from mxprobe.mta.postfix.configuration import read_main_cf
from mxprobe.mta.postfix.version import parse_version
from mxprobe.mta.profile import Profile
from mxprobe.mta.senders import sender
from mxprobe.tls.openssl_catalogue import Generation

RECORDED: tuple[tuple[str, str, Generation], ...] = (
    ("postfix-2.11-openssl-1.0.2", "2.11.11", "1.0.2"),
    ("postfix-3.4-openssl-1.1.1", "3.4", "1.1.1"),
    ("postfix-3.7-openssl-3.0", "3.7", "3.0"),
    ("postfix-3.9-openssl-3.0", "3.9", "3.0"),
)


@pytest.mark.parametrize(("name", "postfix", "openssl"), RECORDED, ids=[row[0] for row in RECORDED])
def test_the_defaults_of_a_postfix_make_the_hello_that_its_openssl_was_recorded_with(
    name: str, postfix: str, openssl: Generation
) -> None:
    recorded = sender(name).profile
    configuration = read_main_cf("smtp_tls_security_level = may\n", "main.cf")
    computed = client_profile(configuration, postfix=parse_version(postfix, "--postfix"), openssl=openssl)
    assert isinstance(computed, Profile)
    assert computed.protocols == recorded.protocols
    assert computed.suites == recorded.suites
    assert computed.groups == recorded.groups
    assert computed.signature_schemes == recorded.signature_schemes
    assert computed.key_shares == (recorded.key_shares or ())
