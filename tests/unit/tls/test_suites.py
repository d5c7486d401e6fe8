"""The suite registry: complete, equal to OpenSSL's catalogues, and with the version rules of the RFCs."""

from __future__ import annotations

import importlib.util
import sys
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxprobe.terms import PROTOCOLS, Protocol
from mxprobe.tls.suites import (
    FAMILIES,
    SIGNALLING,
    CipherSuite,
    allowed,
    candidates,
    peculiar,
    registry,
    suite,
    suite_named,
)

ROOT = Path(__file__).resolve().parents[3]
DATA = ROOT / "data"
CATALOGUES = ("1.0.2", "1.1.1", "3.0")


def rows(path: Path) -> list[dict[str, str]]:
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return [dict(zip(lines[0].split("\t"), line.split("\t"), strict=True)) for line in lines[1:]]


def numbers(text: str) -> list[int]:
    return [int(word, 16) for word in text.split()]


def named(name: str) -> CipherSuite:
    found = suite_named(name)
    assert found is not None, name
    return found


@pytest.fixture(scope="module")
def make_suites() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_suites", ROOT / "tools" / "make_suites.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # dataclasses look their module up by name.
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "make_suites", module)
        spec.loader.exec_module(module)
    return module


# The data


def test_the_packaged_file_is_what_the_data_makes(make_suites: ModuleType) -> None:
    assert make_suites.is_current()


def test_check_fails_when_the_packaged_file_is_stale(
    make_suites: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stale = tmp_path / "suites.tsv"
    stale.write_text("an older registry\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(make_suites, "TARGET", stale)
        patch.setattr(make_suites, "ROOT", tmp_path)
        assert make_suites.main(["--check"]) == 1
        assert "stale" in capsys.readouterr().err
        assert make_suites.main([]) == 0
        assert make_suites.main(["--check"]) == 0


def test_every_suite_that_iana_registered_is_known_under_its_name() -> None:
    registered = {int(row["value"], 16): row["name"] for row in rows(DATA / "iana" / "tls-cipher-suites.tsv")}
    assert len(registered) == 352
    registered |= {int(row["value"], 16): row["name"] for row in rows(DATA / "iana" / "additions.tsv")}
    assert {known.number: known.iana for known in registry().values() if known.iana} == registered


@pytest.mark.parametrize("version", CATALOGUES)
def test_every_suite_of_an_openssl_has_its_number_name_and_algorithms(version: str) -> None:
    for row in rows(DATA / "openssl" / f"openssl-{version}.tsv"):
        known = suite(int(row["id"], 16))
        words = (known.key_exchange, known.authentication, known.encryption, known.mac)
        assert words == (row["kx"], row["au"], row["enc"], row["mac"])
        assert row["name"] == known.openssl or row["name"] in known.aliases
        assert named(row["name"]).name == row["name"]
    newest = {row["id"]: row["name"] for row in rows(DATA / "openssl" / "openssl-3.0.tsv")}
    assert {id: suite(int(id, 16)).openssl for id in newest} == newest


def test_every_number_outside_iana_is_known_under_all_its_names() -> None:
    for row in rows(DATA / "other" / "outside-iana.tsv"):
        known = suite(int(row["value"], 16))
        for name in filter(None, [row["name"], *row["aliases"].split()]):
            assert named(name) == known
        if row["openssl"]:
            assert known.openssl == row["openssl"]


def test_no_suite_has_an_unknown_part_or_no_reference() -> None:
    for known in registry().values():
        assert known.reference
        assert all((known.key_exchange, known.authentication, known.encryption, known.mac))
        assert known.name != known.id or known.number not in range(0x10000)


# Names


def test_a_suite_is_called_as_openssl_calls_it() -> None:
    known = suite(0xC02F)
    assert known.name == known.openssl == "ECDHE-RSA-AES128-GCM-SHA256"
    assert known.iana == "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
    assert known.id == "0x00C02F"


def test_a_suite_that_openssl_lacks_has_its_iana_name() -> None:
    assert suite(0xC07A).name == "TLS_RSA_WITH_CAMELLIA_128_GCM_SHA256"


def test_a_suite_that_only_others_named_has_their_name() -> None:
    assert suite(0xFEFF).name == "SSL_RSA_FIPS_WITH_3DES_EDE_CBC_SHA"
    assert suite(0xFEFF).iana is None


@given(st.integers(min_value=0, max_value=0xFFFFFF).filter(lambda n: n not in registry()))
def test_an_unknown_number_survives_as_a_number(number: int) -> None:
    unknown = suite(number)
    assert unknown.number == number
    assert (unknown.iana, unknown.openssl, unknown.aliases) == (None, None, ())
    assert unknown.name == unknown.id == f"0x{number:06X}"
    assert unknown.encryption == unknown.mac == unknown.key_exchange == unknown.authentication == "unknown"
    assert unknown.versions == ()
    assert not any(allowed(number, protocol) for protocol in PROTOCOLS)
    assert peculiar(number) is None


@pytest.mark.parametrize("number", [-1, 0x1000000, 1 << 64])
def test_a_number_that_no_hello_can_carry_does_no_harm(number: int) -> None:
    assert suite(number).number == number


@given(st.integers(min_value=0, max_value=0xFFFFFF))
def test_a_number_is_found_by_its_id(number: int) -> None:
    assert named(suite(number).id) == suite(number)


@given(st.sampled_from(tuple(registry().values())), st.sampled_from([str, str.lower, str.upper]))
def test_a_suite_is_found_by_each_of_its_names_in_any_case(known: CipherSuite, write: type[str]) -> None:
    for name in filter(None, (known.openssl, known.iana, *known.aliases)):
        found = named(write(name))
        assert name in (found.openssl, found.iana, *found.aliases)
        # Only SSLv2 kinds share their names with later suites.
        assert found == known or known.number > 0xFFFF


@given(st.text(max_size=40))
def test_any_text_names_a_suite_or_none(text: str) -> None:
    found = suite_named(text)
    assert found is None or isinstance(found, CipherSuite)


@pytest.mark.parametrize("text", ["0xC02F", "0x00C02F", "0x00c02f", "C0,2F", "0xC0,0x2F", "c0,2f", " 0xC02F "])
def test_a_number_may_be_written_in_several_ways(text: str) -> None:
    assert named(text).number == 0xC02F


@pytest.mark.parametrize("text", ["", " ", "C02F", "0x", "0x1000000", "C0,2", "C0,2F,00,00", "ECDHE", "ALL"])
def test_what_is_neither_a_name_nor_a_number_names_no_suite(text: str) -> None:
    assert suite_named(text) is None


def test_sslv2_kinds_are_numbers_of_three_bytes() -> None:
    assert named("01,00,80").name == "RC4-MD5"
    assert named("01,00,80").number == 0x010080


def test_a_name_of_two_suites_means_the_later_protocol() -> None:
    assert named("RC4-MD5").number == 0x0004
    assert named("SSL_CK_RC4_128_WITH_MD5").number == 0x010080


@pytest.mark.parametrize(
    ("older", "number"),
    [
        ("DHE-RSA-DES-CBC3-SHA", 0x0016),  # OpenSSL 1.1.0 renamed EDH-RSA-DES-CBC3-SHA
        ("TLS_AEGIS_256_SHA384", 0x1306),  # IANA, before it became _SHA512
        ("GOST2012-GOST8912-GOST8912", 0xFF85),
        ("SSL_FORTEZZA_KEA_WITH_RC4_128_SHA", 0x001E),
    ],
)
def test_older_names_are_found(older: str, number: int) -> None:
    assert named(older).number == number


# Versions


def test_tls_1_3_has_its_own_suites_and_they_are_allowed_nowhere_else() -> None:
    # RFC 8446 §B.4, RFC 8998 §2, RFC 9150 §2, RFC 9367 §4.1, and AEGIS by IANA's registry.
    expected = numbers("1301 1302 1303 1304 1305 1306 1307 00C6 00C7 C0B4 C0B5 C103 C104 C105 C106")
    assert {known.number for known in registry().values() if "TLSv1.3" in known.versions} == set(expected)
    assert all(suite(number).versions == ("TLSv1.3",) for number in expected)


def test_the_suites_of_rfc_5246_a5_are_allowed_in_tls_1_2() -> None:
    # In the order of the RFC: RSA, fixed and ephemeral DH, DH_anon; NULL, RC4, 3DES, AES with SHA and SHA-256.
    rsa = "0001 0002 003B 0004 0005 000A 002F 0035 003C 003D"
    dh = "000D 0010 0013 0016 0030 0031 0032 0033 0036 0037 0038 0039 003E 003F 0040 0067 0068 0069 006A 006B"
    anonymous = "0018 001B 0034 003A 006C 006D"
    assert all(allowed(number, "TLSv1.2") for number in numbers(f"{rsa} {dh} {anonymous}"))


def test_suites_with_a_sha_256_mac_came_with_tls_1_2() -> None:
    # RFC 5246 §A.5: these are the ones that RFC 4346 lacks.
    for number in numbers("003B 003C 003D 003E 003F 0040 0067 0068 0069 006A 006B 006C 006D"):
        assert suite(number).versions == ("TLSv1.2",)


@pytest.mark.parametrize("number", numbers("009C 009F C02B C030 CCA8 C09C C0A3 C050 C07A D001"))
def test_aead_suites_need_tls_1_2(number: int) -> None:
    # RFC 5288 §4, 5289 §4, 7905 §3, 6655 §3, 6209, 6367, 8442.
    assert suite(number).mac == "AEAD"
    assert suite(number).versions == ("TLSv1.2",)


def test_export_suites_end_with_tls_1_0() -> None:
    # RFC 4346 §A.5 lists what TLS 1.1 must not negotiate: these of SSL 3.0, and Kerberos's of RFC 2712.
    ssl3 = numbers("0003 0006 0008 000B 000E 0011 0014 0017 0019")
    assert all(suite(number).versions == ("SSLv3", "TLSv1") for number in ssl3)
    kerberos = numbers("0026 0027 0028 0029 002A 002B")
    assert all(suite(number).versions == ("TLSv1",) for number in kerberos)


def test_single_des_and_idea_end_with_tls_1_1() -> None:
    # RFC 5469 §2 and §3 list them; §1: "have been removed from TLS version 1.2".
    for number in numbers("0007 0009 000C 000F 0012 0015 001A"):
        assert suite(number).versions == ("SSLv3", "TLSv1", "TLSv1.1")


@pytest.mark.parametrize(
    "number",
    [
        *numbers("002F 0035 0033 0034"),  # AES, RFC 3268
        *numbers("0041 0088"),  # Camellia, RFC 4132
        *numbers("0096 009A"),  # SEED, RFC 4162
        *numbers("008A 008D 0090 0095 002C"),  # PSK, RFC 4279 and 4785
        *numbers("C01A C021 C01F"),  # SRP, RFC 5054
        *numbers("C001 C007 C012 C013 C014 C018"),  # ECC, RFC 4492: for TLS, not for SSL 3.0
        *numbers("C033 C035 C039"),  # ECDHE_PSK, RFC 5489
    ],
)
def test_what_extends_tls_is_not_for_ssl_3_0(number: int) -> None:
    assert suite(number).versions == ("TLSv1", "TLSv1.1", "TLSv1.2")


@pytest.mark.parametrize("number", numbers("00AE 00AF 00B0 00B9 C037 C038 C03B"))
def test_psk_suites_with_cbc_and_a_longer_mac_are_allowed_from_tls_1_0_on(number: int) -> None:
    # RFC 5487 §3, RFC 5489 §3; OpenSSL gives TLSv1 as their protocol.
    assert suite(number).versions == ("TLSv1", "TLSv1.1", "TLSv1.2")


def test_the_suites_of_ssl_3_0_that_lived_on() -> None:
    for number in numbers("0001 0002 0004 0005 000A 000D 0010 0013 0016 0018 001B"):
        assert suite(number).versions == ("SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2")


def test_fortezza_is_for_ssl_3_0_and_shares_a_number_with_kerberos() -> None:
    # RFC 6101 §A.6; RFC 2712 gave 0x001E to TLS_KRB5_WITH_DES_CBC_SHA.
    assert suite(0x001C).versions == suite(0x001D).versions == ("SSLv3",)
    assert suite(0x001E).versions == ("SSLv3", "TLSv1", "TLSv1.1")


def test_the_seven_kinds_of_ssl_2_0_are_for_ssl_2_0() -> None:
    for number in numbers("010080 020080 030080 040080 050080 060040 0700C0"):
        assert suite(number).versions == ("SSLv2",)


@pytest.mark.parametrize("number", numbers("CC13 CCA0 0060 0066 0081 FEFF FF85 16B7 E410 080080"))
def test_drafts_and_vendors_are_no_standard(number: int) -> None:
    assert suite(number).versions == ()
    assert suite(number).reference


@pytest.mark.parametrize("version", CATALOGUES)
def test_openssl_offers_no_suite_above_the_versions_that_a_standard_allows(version: str) -> None:
    # OpenSSL's protocol is the lowest version. It takes SSLv3 for all that TLS 1.0 has; otherwise ours is equal.
    for row in rows(DATA / "openssl" / f"openssl-{version}.tsv"):
        lowest = suite(int(row["id"], 16)).versions[0]
        assert lowest == row["protocol"] or (row["protocol"], lowest) == ("SSLv3", "TLSv1")


# Families


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("ECDHE-RSA-AES128-GCM-SHA256", None),
        ("DHE-DSS-AES256-SHA", None),
        ("RC4-MD5", None),
        ("NULL-SHA", None),
        ("TLS_AES_128_GCM_SHA256", None),
        ("TLS_SHA256_SHA256", None),
        ("ADH-AES256-SHA", "anonymous"),
        ("AECDH-NULL-SHA", "anonymous"),
        ("SRP-RSA-AES-128-CBC-SHA", "SRP"),
        ("PSK-AES128-CBC-SHA", "PSK"),
        ("RSA-PSK-AES128-CBC-SHA", "PSK"),
        ("ECDHE-PSK-CHACHA20-POLY1305", "PSK"),
        ("EXP-RC4-MD5", "export"),
        ("EXP-EDH-RSA-DES-CBC-SHA", "export"),
        ("EXP-DH-RSA-DES-CBC-SHA", "export"),
        ("EXP-ADH-RC4-MD5", "export"),
        ("EXP1024-DES-CBC-SHA", "export"),
        ("SSL_CK_RC4_128_EXPORT40_WITH_MD5", "export"),
        ("DH-RSA-AES256-SHA", "static-DH"),
        ("ECDH-ECDSA-AES128-SHA", "static-DH"),
        ("KRB5-RC4-SHA", "Kerberos"),
        ("EXP-KRB5-RC4-SHA", "Kerberos"),
        ("GOST2001-GOST89-GOST89", "GOST"),
        ("GOST2012-NULL-GOST12", "GOST"),
        ("GOST-MD5", "GOST"),
        ("TLS_GOSTR341112_256_WITH_MAGMA_CTR_OMAC", "GOST"),
        ("SSL_FORTEZZA_KEA_WITH_NULL_SHA", "Fortezza"),
        ("TLS_ECCPWD_WITH_AES_128_GCM_SHA256", "password"),
        ("TLS_CECPQ1_RSA_WITH_AES_256_GCM_SHA384", "CECPQ1"),
        ("TLS_FALLBACK_SCSV", None),
    ],
)
def test_families_that_need_more_than_a_certificate(name: str, family: str | None) -> None:
    assert peculiar(named(name).number) == family


def test_every_family_has_members() -> None:
    assert {peculiar(known.number) for known in registry().values()} == {None, *FAMILIES}


# Candidates


def test_a_full_sweep_of_sslv2_offers_its_kinds() -> None:
    offered = candidates("SSLv2")
    assert set(offered) == {known.number for known in registry().values() if known.number > 0xFFFF}
    assert offered[0] in numbers("010080 030080 050080 060040 0700C0")


def test_a_full_sweep_of_tls_1_3_offers_its_suites_only() -> None:
    assert candidates("TLSv1.3")[:3] == (0x1302, 0x1303, 0x1301)
    assert all(suite(number).versions == ("TLSv1.3",) for number in candidates("TLSv1.3"))


@pytest.mark.parametrize("protocol", ["SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2"])
def test_a_full_sweep_in_between_offers_everything_else_once(protocol: Protocol) -> None:
    offered = candidates(protocol)
    assert len(set(offered)) == len(offered)
    left_out = {known.number for known in registry().values() if known.number <= 0xFFFF} - set(offered)
    assert left_out == {0x0000, 0x00FF, 0x5600} | set(candidates("TLSv1.3"))
    assert left_out >= SIGNALLING


@pytest.mark.parametrize("protocol", ["SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2"])
def test_a_sweep_asks_for_the_plausible_first(protocol: Protocol) -> None:
    offered = candidates(protocol)
    aead = [suite(number).mac == "AEAD" for number in offered]
    if protocol != "TLSv1.2":
        # What needs TLS 1.2 comes last below it.
        assert aead == sorted(aead)
        offered = offered[: aead.index(True)]
    strange = [peculiar(number) is not None for number in offered]
    assert strange == sorted(strange)
    families = [peculiar(number) for number in offered if peculiar(number)]
    changes = sum(before != after for before, after in pairwise(families))
    assert changes + 1 == len(set(families)), "each family is asked for in one go"
    ordinary = offered[: strange.index(True)]
    usual = [bool(allowed(number, protocol) and suite(number).openssl) for number in ordinary]
    assert usual == sorted(usual, reverse=True)
    permitted = [allowed(number, protocol) for number in ordinary]
    assert permitted == sorted(permitted, reverse=True)


def test_the_order_of_openssl_is_kept_among_its_suites() -> None:
    catalogue = [int(row["id"], 16) for row in rows(DATA / "openssl" / "openssl-3.0.tsv")]
    ordinary = [n for n in catalogue if allowed(n, "TLSv1.2") and peculiar(n) is None]
    assert [n for n in candidates("TLSv1.2") if n in ordinary] == ordinary


def test_suites_that_some_servers_take_against_the_standard_are_offered() -> None:
    # Mbed TLS and wolfSSL take SHA-256 MACs below TLS 1.2; SSL 3.0 servers take AES.
    assert 0x003C in candidates("TLSv1")
    assert 0x002F in candidates("SSLv3")
    assert not allowed(0x002F, "SSLv3")
