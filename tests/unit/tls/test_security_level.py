"""What a security level leaves of suites and versions (SSL_CTX_set_security_level(3))."""

from __future__ import annotations

import pytest

from mxprobe.terms import Protocol
from mxprobe.tls.openssl_catalogue import Generation, catalogue
from mxprobe.tls.security_level import at_level, in_version, usable, version_at_level
from mxprobe.tls.suites import suite_named

# A suite, the OpenSSL, and the highest level that it remains at.
HIGHEST = [
    ("ADH-AES256-SHA", "3.0", 0),  # unauthenticated
    ("NULL-MD5", "3.0", 0),
    ("AES128-SHA", "3.0", 2),  # no forward secrecy
    ("AES256-GCM-SHA384", "1.1.1", 2),
    ("ECDHE-RSA-AES128-SHA", "3.0", 3),  # 128 bits
    ("ECDHE-RSA-AES256-SHA", "3.0", 3),  # a MAC of 160 bits
    ("ECDHE-RSA-AES256-GCM-SHA384", "3.0", 5),
    ("TLS_AES_128_GCM_SHA256", "3.0", 3),
    ("TLS_AES_256_GCM_SHA384", "1.1.1", 5),
    ("DHE-PSK-AES256-GCM-SHA384", "3.0", 5),
    ("DHE-PSK-AES256-GCM-SHA384", "1.1.1", 2),
]


def number_of(name: str) -> int:
    """The number of a suite, whichever OpenSSL has it."""
    known = suite_named(name)
    assert known is not None
    return known.number


@pytest.mark.parametrize(("name", "openssl", "highest"), HIGHEST)
def test_a_suite_remains_up_to_its_level(name: str, openssl: Generation, highest: int) -> None:
    number = number_of(name)
    remains = [level for level in range(6) if at_level((number,), level, openssl)]
    assert remains == list(range(highest + 1))


def test_openssl_1_0_2_has_no_levels() -> None:
    everything = tuple(catalogue("1.0.2"))
    assert at_level(everything, 5, "1.0.2") == everything
    assert version_at_level("SSLv3", 5, "1.0.2")


@pytest.mark.parametrize(
    ("protocol", "highest"), [("SSLv3", 1), ("TLSv1", 2), ("TLSv1.1", 3), ("TLSv1.2", 5), ("TLSv1.3", 5)]
)
def test_a_version_is_allowed_up_to_its_level(protocol: Protocol, highest: int) -> None:
    assert [version_at_level(protocol, level, "3.0") for level in range(6)] == [level <= highest for level in range(6)]


def test_a_version_takes_the_suites_that_are_not_younger() -> None:
    known = {name: number_of(name) for name in ("AES128-SHA", "ECDHE-RSA-AES128-SHA", "AES128-SHA256")}
    everything = tuple(known.values())
    assert in_version(everything, "SSLv3", "3.0") == (known["AES128-SHA"],)
    assert in_version(everything, "TLSv1", "3.0") == (known["AES128-SHA"], known["ECDHE-RSA-AES128-SHA"])
    assert in_version(everything, "TLSv1.2", "3.0") == everything
    assert in_version((*everything, 0x1301), "TLSv1.3", "3.0") == (0x1301,)
    assert in_version(tuple(catalogue("1.0.2")), "SSLv2", "1.0.2") == tuple(
        number for number in catalogue("1.0.2") if number > 0xFFFF
    )


def test_numbers_that_an_openssl_does_not_have_fall_away() -> None:
    assert at_level((0x0005, 0x002F, 0xFFFFFF), 0, "3.0") == (0x002F,)
    assert in_version((0x0005, 0x002F, 0xFFFFFF), "TLSv1", "3.0") == (0x002F,)


def test_below_tls_1_2_openssl_1_1_1_still_signs_with_rsa_at_level_2_but_not_with_sha_1_alone() -> None:
    rsa, ecdsa = number_of("ECDHE-RSA-AES128-SHA"), number_of("ECDHE-ECDSA-AES128-SHA")
    assert usable((rsa, ecdsa), "TLSv1", 1, "1.1.1", server=True) == (rsa, ecdsa)
    assert usable((rsa, ecdsa), "TLSv1", 2, "1.1.1", server=True) == (rsa,)
    assert usable((rsa, ecdsa), "TLSv1.2", 2, "1.1.1", server=True) == (rsa, ecdsa)
    assert usable((rsa, ecdsa), "TLSv1", 3, "1.1.1", server=True) == ()
