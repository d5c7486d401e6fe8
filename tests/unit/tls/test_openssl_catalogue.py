"""The catalogues of three OpenSSLs: what the data makes, in the order and words of the libraries."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from mxprobe.errors import InvalidSetting
from mxprobe.tls.cipher_strings import cipher_list, default_ciphersuites
from mxprobe.tls.openssl_catalogue import GENERATIONS, Generation, catalogue, generation

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def make_openssl() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_openssl", ROOT / "tools" / "make_openssl.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "make_openssl", module)
        spec.loader.exec_module(module)
    return module


def test_the_packaged_files_are_what_the_data_makes(make_openssl: ModuleType) -> None:
    assert make_openssl.main(["--check"]) == 0


def test_check_fails_when_a_packaged_file_is_stale(
    make_openssl: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(make_openssl, "TARGET", tmp_path / "openssl")
        patch.setattr(make_openssl, "ROOT", tmp_path)
        assert make_openssl.main(["--check"]) == 1
        assert "openssl/1.0.2.tsv is stale" in capsys.readouterr().err
        assert make_openssl.main([]) == 0
        assert make_openssl.main(["--check"]) == 0
        assert make_openssl.main(["--help"]) == 2


@pytest.mark.parametrize("openssl", GENERATIONS)
def test_the_order_is_that_of_the_recorded_expansion_of_all(openssl: Generation) -> None:
    # The data was recorded as ALL:COMPLEMENTOFALL; the order of the evaluator is computed from code points alone.
    recorded = [number for number, known in catalogue(openssl).items() if known.protocol != "TLSv1.3"]
    assert list(cipher_list("ALL:COMPLEMENTOFALL", openssl).suites) == recorded


def test_a_suite_has_the_words_of_openssl_ciphers() -> None:
    known = catalogue("1.0.2")[0x0003]
    # EXP-RC4-MD5 SSLv3 Kx=RSA(512) Au=RSA Enc=RC4(40) Mac=MD5 export
    assert (known.name, known.protocol, known.export, known.bits) == ("EXP-RC4-MD5", "SSLv3", True, 40)
    words = (known.key_exchange, known.authentication, known.encryption, known.mac)
    assert words == ("RSA(512)", "RSA", "RC4(40)", "MD5")


@pytest.mark.parametrize(
    ("openssl", "known", "unknown"),
    [
        ("1.0.2", "DES-CBC3-SHA", "ECDHE-RSA-CHACHA20-POLY1305"),
        ("1.1.1", "SEED-SHA", "DES-CBC3-SHA"),
        ("3.0", "ECDHE-RSA-CHACHA20-POLY1305", "SEED-SHA"),
    ],
)
def test_each_generation_has_its_own_suites(openssl: Generation, known: str, unknown: str) -> None:
    names = {suite.name for suite in catalogue(openssl).values()}
    assert known in names
    assert unknown not in names


def test_tls_1_3_begins_with_what_is_offered_by_default_and_goes_on_with_what_is_on_request() -> None:
    for openssl in ("1.1.1", "3.0"):
        first = list(catalogue(openssl))[:5]
        assert first == [0x1302, 0x1303, 0x1301, 0x1304, 0x1305]
        assert default_ciphersuites(openssl) == (0x1302, 0x1303, 0x1301)
    assert default_ciphersuites("1.0.2") == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.0.2", "1.0.2"),
        ("1.0.2k", "1.0.2"),
        ("1.0.2zg", "1.0.2"),
        ("1.0.2k-fips", "1.0.2"),
        ("1.1.1", "1.1.1"),
        ("1.1.1g", "1.1.1"),
        ("3.0", "3.0"),
        ("3.0.7", "3.0"),
        (" 3.0.11 ", "3.0"),
    ],
)
def test_a_version_belongs_to_its_generation(text: str, expected: str) -> None:
    assert generation(text) == expected


@pytest.mark.parametrize(
    "text", ["", "3", "3.1", "3.00", "1.0.1", "1.1.0", "1.1.1.1", "0.9.8zh", "LibreSSL", "3.0.7\n4", "\u0663.0"]
)
def test_an_openssl_without_a_catalogue_is_said_with_those_that_have_one(text: str) -> None:
    with pytest.raises(InvalidSetting, match=r"--with: no OpenSSL that is known: .*1\.0\.2, 1\.1\.1, 3\.0"):
        generation(text, "--with")
