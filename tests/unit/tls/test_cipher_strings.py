"""Cipher lists mean what they mean to OpenSSL 1.0.2e, 1.1.1g and 3.0, as recorded from the libraries themselves."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxprobe.errors import InvalidCipherString
from mxprobe.tls.cipher_keywords import words
from mxprobe.tls.cipher_strings import LONGEST, cipher_list, ciphersuites, default_ciphersuites
from mxprobe.tls.openssl_catalogue import GENERATIONS, Generation, catalogue

RECORDED = Path(__file__).resolve().parents[2] / "data" / "openssl"


@cache
def recorded(file: str) -> tuple[dict[str, Any], ...]:
    return tuple(json.loads(line) for line in (RECORDED / file).read_text(encoding="utf-8").splitlines())


def names(text: str, openssl: Generation) -> list[str] | None:
    """What SSL_get_ciphers() would give: the suites of TLS 1.3 first, None where the list is refused."""
    try:
        found = cipher_list(text, openssl).suites
    except InvalidCipherString:
        return None
    return [catalogue(openssl)[number].name for number in (*default_ciphersuites(openssl), *found)]


def evaluated(text: str, openssl: Generation) -> tuple[tuple[int, ...], str]:
    """The suites, or the complaint."""
    try:
        return cipher_list(text, openssl).suites, ""
    except InvalidCipherString as error:
        return (), str(error)


def refusal(text: str, openssl: Generation = "3.0") -> InvalidCipherString:
    with pytest.raises(InvalidCipherString) as caught:
        cipher_list(text, openssl)
    return caught.value


@pytest.mark.parametrize("openssl", GENERATIONS)
@pytest.mark.parametrize(("file", "lists"), [("cipher-strings.jsonl", 235), ("more-cipher-strings.jsonl", 465)])
def test_every_recorded_list_has_the_suites_of_the_library_in_its_order(
    file: str, lists: int, openssl: Generation
) -> None:
    assert len(recorded(file)) == lists
    assert [each["string"] for each in recorded(file) if names(each["string"], openssl) != each[openssl]] == []


# ciphers(1): "@SECLEVEL=n"; SSL_CTX_set_security_level(3): levels 0 to 5


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("ALL", None),
        ("DEFAULT@SECLEVEL=1", 1),
        ("@SECLEVEL=0:ALL", 0),
        ("ALL:@SECLEVEL=5", 5),
        ("ALL:@SECLEVEL=2:@SECLEVEL=0", 0),
        ("ALL:@SECLEVEL=2@SECLEVEL=0", 2),  # the rest of a command is passed over
    ],
)
@pytest.mark.parametrize("openssl", ["1.1.1", "3.0"])
def test_the_last_security_level_counts_and_removes_nothing_from_the_list(
    text: str, level: int | None, openssl: Generation
) -> None:
    found = cipher_list(text, openssl)
    assert found.security_level == level
    assert found.suites == cipher_list("DEFAULT" if text.startswith("DEFAULT") else "ALL", openssl).suites


# Words that OpenSSL passes over


def test_unknown_words_are_told_once_each_in_their_order() -> None:
    found = cipher_list("AES128-SHA:!RC4:FOO+AES:AES+BAR:FOO:TLS_AES_128_GCM_SHA256", "3.0")
    assert found.unknown == ("RC4", "FOO", "BAR", "TLS")


def test_which_words_are_known_differs_by_generation() -> None:
    assert {
        word: [each for each in GENERATIONS if word in words(each)] for word in ("SSLv2", "RC4", "ARIA", "CBC")
    } == {
        "SSLv2": ["1.0.2"],
        "RC4": ["1.0.2", "1.1.1"],
        "ARIA": ["1.1.1", "3.0"],
        "CBC": ["3.0"],
    }


def test_an_unknown_word_takes_along_what_follows_it_up_to_a_separator() -> None:
    assert cipher_list("FOO_!AES$:AES128-SHA", "3.0").suites == (0x002F,)


# What is refused, and the word to blame


@pytest.mark.parametrize(
    ("text", "word", "reason"),
    [
        ("NO-SUCH-CIPHER", "NO-SUCH-CIPHER", "'NO-SUCH-CIPHER' is no cipher of OpenSSL 3.0"),
        ("FOO:BAR:BAZ", "FOO", "'FOO' is no cipher of OpenSSL 3.0, nor are 2 more words"),
        ("ALL:!ALL:AES128-SHA", "!ALL", "'!ALL' removes the last suite"),
        ("AES:-SHA:-ALL", "-ALL", "'-ALL' removes the last suite"),
        ("AES128-SHA+AES256-SHA", "AES128-SHA+AES256-SHA", "no suite of OpenSSL 3.0 is 'AES128-SHA+AES256-SHA'"),
        ("+AES", "+AES", "'+AES' only changes what other words add"),
        ("!aNULL", "!aNULL", "'!aNULL' only changes what other words add"),
        ("@STRENGTH", "@STRENGTH", "'@STRENGTH' only changes what other words add"),
        ("ALL:@SECLEVEL=9", "@SECLEVEL=9", "'@SECLEVEL=9': no security level (allowed: 0 to 5)"),
        ("ALL:@SECLEVEL=22", "@SECLEVEL=22", "'@SECLEVEL=22': no security level (allowed: 0 to 5)"),
        ("ALL:@WEAKEST", "@WEAKEST", "'@WEAKEST': no such command"),
        ("ALL:!", "!", "a word is missing after '!'"),
        ("ALL:AES+:RSA", "AES+", "a word is missing after '+'"),
        ("ALL:RSA$:AES", "RSA$", "'$' is not allowed there"),
        ("ALL:AES128-SHA_X:AES", "AES128-SHA_X", "'_' is not allowed there"),
        ("ALL:\x1b[31m", "\x1b[31m", "'\\x1b' is not allowed there"),
        ("", None, "it is empty"),
        (" :,;", None, "it is empty"),
    ],
)
def test_an_error_names_the_word(text: str, word: str | None, reason: str) -> None:
    error = refusal(text)
    assert error.word == word
    assert reason in str(error)
    assert "\n" not in str(error)
    assert "\x1b" not in str(error)


def test_openssl_1_0_2_has_no_security_levels() -> None:
    assert "OpenSSL 1.0.2 has no security levels (allowed: @STRENGTH)" in str(refusal("ALL:@SECLEVEL=1", "1.0.2"))


def test_an_error_stays_short_and_a_list_is_bounded() -> None:
    assert len(str(refusal("A" * 100_000))) < 600
    assert "longer than" in str(refusal("A" * (LONGEST + 1)))
    assert cipher_list("A" * 100_000 + ":AES128-SHA", "3.0").suites == (0x002F,)


def test_a_list_ends_at_a_nul_as_for_c() -> None:
    assert cipher_list("AES128-SHA\0:AES256-SHA$", "3.0").suites == (0x002F,)


# SSL_CTX_set_ciphersuites(3), as recorded from 1.1.1g and 3.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("TLS_AES_128_GCM_SHA256", (0x1301,)),
        (" TLS_AES_128_GCM_SHA256 :\tTLS_AES_128_CCM_8_SHA256 ", (0x1301, 0x1305)),
        ("TLS_AES_128_GCM_SHA256:TLS_AES_128_GCM_SHA256", (0x1301,)),
        ("TLS_AES_128_GCM_SHA256:TLS_RSA_WITH_AES_128_CBC_SHA", (0x1301, 0x002F)),
    ],
)
@pytest.mark.parametrize("openssl", ["1.1.1", "3.0"])
def test_a_list_for_tls_1_3_has_iana_names(text: str, expected: tuple[int, ...], openssl: Generation) -> None:
    assert ciphersuites(text, openssl) == expected


@pytest.mark.parametrize(
    "text", ["NOSUCH", ":", " ", "AES128-SHA", "tls_aes_128_gcm_sha256", "TLS_AES_128_GCM_SHA256,X"]
)
@pytest.mark.parametrize("openssl", ["1.1.1", "3.0"])
def test_a_list_for_tls_1_3_without_a_known_name_is_refused(text: str, openssl: Generation) -> None:
    with pytest.raises(InvalidCipherString, match="is no ciphersuite of OpenSSL"):
        ciphersuites(text, openssl)


@pytest.mark.parametrize("text", ["TLS_AES_128_GCM_SHA256:", "NOSUCH:TLS_AES_128_GCM_SHA256"])
def test_only_openssl_3_0_passes_over_unknown_names_in_it(text: str) -> None:
    assert ciphersuites(text, "3.0") == (0x1301,)
    with pytest.raises(InvalidCipherString):
        ciphersuites(text, "1.1.1")
    with pytest.raises(InvalidCipherString, match=r"no TLS 1\.3"):
        ciphersuites("TLS_AES_128_GCM_SHA256", "1.0.2")


# Whatever is written

WORDS = st.sampled_from(sorted({word for openssl in GENERATIONS for word in words(openssl)} | {"NOSUCH", "DEFAULT"}))
LISTS = st.lists(st.tuples(st.sampled_from(["", "+", "-", "!"]), WORDS).map("".join), max_size=12).map(":".join)


@given(st.text() | LISTS, st.sampled_from(GENERATIONS))
def test_any_text_is_a_list_or_one_line_that_says_why_not(text: str, openssl: Generation) -> None:
    found, complaint = evaluated(text, openssl)
    assert "\n" not in complaint
    assert bool(found) is (complaint == "")
    assert len(set(found)) == len(found)
    assert all(catalogue(openssl)[number].protocol != "TLSv1.3" for number in found)


@given(LISTS, WORDS, st.sampled_from(GENERATIONS))
def test_what_is_killed_never_comes_back(text: str, word: str, openssl: Generation) -> None:
    pattern = words(openssl).get(word)
    older = {number: known for number, known in catalogue(openssl).items() if known.protocol != "TLSv1.3"}
    killed = {number for number, known in older.items() if pattern and pattern.selects(known)}
    left, _ = evaluated(f"!{word}:ALL:{text}:ALL:COMPLEMENTOFALL", openssl)
    assert not killed & set(left)


@given(LISTS, st.sampled_from(GENERATIONS))
def test_strength_sorts_and_loses_nothing(text: str, openssl: Generation) -> None:
    before, _ = evaluated(f"HIGH:{text}", openssl)
    after, _ = evaluated(f"HIGH:{text}:@STRENGTH", openssl)
    assert after == tuple(sorted(before, key=lambda number: -catalogue(openssl)[number].bits))
