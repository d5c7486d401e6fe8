"""Weak suites are known by their names, in OpenSSL's, IANA's and SSLv2's spelling."""

from pathlib import Path

import pytest

from mxprobe.tls.weak_suites import weaknesses

CATALOGUES = Path(__file__).parents[3] / "data" / "openssl"


@pytest.mark.parametrize(
    ("name", "weak"),
    [
        ("NULL-MD5", {"NULL", "MD5"}),
        ("ECDHE-RSA-NULL-SHA", {"NULL"}),
        ("TLS_RSA_WITH_NULL_SHA256", {"NULL"}),
        ("TLS_SHA256_SHA256", {"NULL"}),
        ("ADH-AES256-GCM-SHA384", {"anonymous"}),
        ("AECDH-AES128-SHA", {"anonymous"}),
        ("TLS_DH_anon_WITH_AES_128_CBC_SHA", {"anonymous"}),
        ("TLS_ECDH_anon_WITH_RC4_128_SHA", {"anonymous", "RC4"}),
        ("EXP-RC4-MD5", {"export", "RC4", "MD5"}),
        ("EXP1024-DES-CBC-SHA", {"export", "DES"}),
        ("TLS_RSA_EXPORT_WITH_DES40_CBC_SHA", {"export", "DES"}),
        ("TLS_RSA_EXPORT1024_WITH_RC4_56_SHA", {"export", "RC4"}),
        ("RC4-SHA", {"RC4"}),
        ("DES-CBC-SHA", {"DES"}),
        ("DES-CBC3-SHA", {"3DES"}),
        ("DES-CBC3-MD5", {"3DES", "MD5"}),
        ("TLS_RSA_WITH_3DES_EDE_CBC_SHA", {"3DES"}),
        ("SSL_CK_DES_192_EDE3_CBC_WITH_MD5", {"3DES", "MD5"}),
        ("RC2-CBC-MD5", {"MD5"}),
        ("TLS_AES_256_GCM_SHA384", set()),
        ("ECDHE-ECDSA-CHACHA20-POLY1305", set()),
        ("ECDHE-RSA-AES128-SHA", set()),
        ("DHE-DSS-CAMELLIA256-SHA", set()),
        ("SRP-RSA-AES-128-CBC-SHA", set()),
        ("0x00FEFE", set()),
    ],
)
def test_by_name(name: str, weak: set[str]) -> None:
    assert set(weaknesses(name)) == weak


def test_any_name_suffices_and_none_is_no_name() -> None:
    assert weaknesses("0x000005", "TLS_RSA_WITH_RC4_128_SHA") == ("RC4",)
    assert weaknesses("0x00FEFE", None) == ()
    assert weaknesses("RC4-SHA", "TLS_RSA_WITH_RC4_128_SHA") == ("RC4",)


@pytest.mark.parametrize("catalogue", sorted(CATALOGUES.glob("openssl-*.tsv")), ids=lambda path: path.stem)
def test_names_say_what_openssl_says_of_each_suite(catalogue: Path) -> None:
    """The catalogues are SSL_CIPHER_description's own words for kx, au, enc and mac."""
    lines = [line.split("\t") for line in catalogue.read_text().splitlines() if not line.startswith("#")]
    columns, *rows = lines
    assert len(rows) > 100
    for row in rows:
        suite = dict(zip(columns, row, strict=False))
        cipher = suite["enc"].partition("(")[0]
        expected = {cipher} & {"RC4", "DES", "3DES"}
        expected |= {"NULL"} if cipher == "None" else set()
        expected |= {"anonymous"} if suite["au"] == "None" else set()
        expected |= {"MD5"} if suite["mac"] == "MD5" else set()
        expected |= {"export"} if "export" in suite.get("extra", "") else set()
        assert set(weaknesses(suite["name"])) == expected, suite["name"]
