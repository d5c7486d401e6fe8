"""What OpenSSL makes of settings: ranges of versions, and what a level or a version leaves out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mxprobe.mta.openssl import Settings, accepted_suites, client_hello, group_named, usable_schemes
from mxprobe.terms import PROTOCOLS, CertificateKind, Protocol
from mxprobe.tls.cipher_strings import cipher_list, default_ciphersuites
from mxprobe.tls.openssl_catalogue import GENERATIONS, Generation


def settings(openssl: Generation, protocols: tuple[Protocol, ...], text: str = "DEFAULT", level: int = 0) -> Settings:
    return Settings(
        openssl=openssl,
        protocols=protocols,
        suites=cipher_list(text, openssl).suites,
        ciphersuites=default_ciphersuites(openssl),
        level=level,
    )


@pytest.mark.parametrize(
    ("openssl", "protocols", "offered"),
    [
        ("3.0", PROTOCOLS, ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")),
        ("3.0", ("TLSv1", "TLSv1.2", "TLSv1.3"), ("TLSv1",)),
        ("3.0", ("TLSv1.2", "TLSv1.3"), ("TLSv1.2", "TLSv1.3")),
        ("1.0.2", ("SSLv3", "TLSv1.1", "TLSv1.2"), ("SSLv3",)),
        ("1.1.1", ("SSLv3",), ()),
    ],
)
def test_a_hole_ends_the_range_of_a_hello(
    openssl: Generation, protocols: tuple[Protocol, ...], offered: tuple[Protocol, ...]
) -> None:
    assert settings(openssl, protocols).offered == offered


def test_there_is_no_hello_without_a_version_or_without_suites() -> None:
    assert client_hello(settings("3.0", ())) is None
    assert client_hello(settings("3.0", ("TLSv1",), "AESGCM")) is None


def test_a_hello_up_to_tls_1_1_has_no_signature_schemes_and_no_key_share() -> None:
    hello = client_hello(settings("1.1.1", ("TLSv1", "TLSv1.1")))
    assert hello is not None
    assert (hello.signature_schemes, hello.key_shares) == ((), ())


def test_suites_that_sign_are_abandoned_before_tls_1_2_where_their_signatures_are_too_weak() -> None:
    # ssl_security_default_callback(): MD5 with SHA-1 (RFC 4346 §7.4.3) has 67 bits to OpenSSL 3.0, and level 1 asks 80.
    hello = client_hello(settings("3.0", PROTOCOLS, "ECDHE-RSA-AES128-SHA:AES128-SHA:ECDHE+AESGCM", level=1))
    assert hello is not None
    assert [f"{number:04X}" for number in hello.abandons] == ["C013"]
    for openssl, protocols, level in (
        ("3.0", PROTOCOLS, 0),
        ("1.1.1", PROTOCOLS, 1),
        ("3.0", ("TLSv1.2", "TLSv1.3"), 1),
    ):
        other = client_hello(settings(openssl, protocols, "ECDHE-RSA-AES128-SHA:AES128-SHA", level=level))
        assert other is not None
        assert other.abandons == ()


def test_tls_1_3_takes_a_group_of_its_own() -> None:
    brainpool = replace(settings("3.0", PROTOCOLS), groups=(26, 27, 28))
    assert client_hello(brainpool) is None
    assert client_hello(replace(brainpool, protocols=PROTOCOLS[:-1])) is not None
    assert "TLSv1.3" not in accepted_suites(brainpool, ("RSA",))
    assert "TLSv1.2" in accepted_suites(brainpool, ("RSA",))


def test_a_server_needs_a_key_that_tls_1_3_can_sign_with() -> None:
    def versions(*kinds: CertificateKind) -> tuple[Protocol, ...]:
        return tuple(accepted_suites(settings("1.1.1", PROTOCOLS, "ALL"), kinds))

    assert versions("DSA")[-1] == versions()[-1] == "TLSv1.2"
    assert versions("RSA")[-1] == versions("EdDSA")[-1] == versions("RSA-PSS")[-1] == "TLSv1.3"


def test_schemes_belong_to_kinds_of_keys() -> None:
    schemes = (0x0403, 0x0807, 0x0809, 0x0804, 0x0401, 0x0402)
    assert usable_schemes(schemes, ("RSA",)) == (0x0804, 0x0401)
    assert usable_schemes(schemes, ("ECDSA", "EdDSA")) == (0x0403, 0x0807)
    assert usable_schemes(schemes, ("RSA-PSS", "DSA")) == (0x0809, 0x0402)


def test_groups_have_nist_names_short_names_and_case() -> None:
    assert [group_named(name, "3.0") for name in ("P-256", "prime256v1", "X25519", "x25519", "ffdhe2048")] == [
        23,
        23,
        29,
        None,
        256,
    ]
    assert [group_named(name, "1.0.2") for name in ("X25519", "ffdhe2048", "sect571r1")] == [None, None, 14]


@pytest.mark.parametrize("openssl", GENERATIONS)
@pytest.mark.parametrize("level", range(6))
def test_every_level_gives_something_or_nothing_but_no_error(openssl: Generation, level: int) -> None:
    hello = client_hello(settings(openssl, PROTOCOLS, "ALL", level))
    assert hello is None or hello.suites
    accepted_suites(settings(openssl, PROTOCOLS, "ALL", level), ("RSA", "ECDSA"))
