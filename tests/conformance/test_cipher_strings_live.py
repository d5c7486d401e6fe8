"""Cipher lists, security levels and the output of `ciphers` equal those of the OpenSSL 3.0 of this machine."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mxprobe.errors import InvalidCipherString
from mxprobe.report.ciphers import suite_lines
from mxprobe.terms import Protocol
from mxprobe.tls.cipher_keywords import words
from mxprobe.tls.cipher_strings import cipher_list, ciphersuites, default_ciphersuites
from mxprobe.tls.openssl_catalogue import GENERATIONS, catalogue
from mxprobe.tls.security_level import at_level, in_version, usable, version_at_level
from servers.certificates import KeyType, make_leaf

KINDS: tuple[KeyType, ...] = ("RSA", "EC")
KNOWN = sorted({word for openssl in GENERATIONS for word in words(openssl)})
WORDS = st.one_of(
    st.sampled_from([word for word in KNOWN if word not in {each.name for each in catalogue("3.0").values()}]),
    st.sampled_from(KNOWN),
    st.sampled_from(["DEFAULT", "SUITEB128", "NOSUCH", "A=B", "AES-256", "aes", "SHA512"]),
)
ITEMS = st.one_of(
    st.builds(
        lambda sign, joined: sign + "+".join(joined),
        st.sampled_from(["", "", "", "+", "-", "!"]),
        st.lists(WORDS, min_size=1, max_size=4),
    ),
    st.sampled_from(["@STRENGTH", "@STRENGTH", "@SECLEVEL=0", "@SECLEVEL=2", "@SECLEVEL=6", "@FOO", "ALL", "HIGH"]),
)
LISTS = st.lists(st.tuples(ITEMS, st.sampled_from([":", ":", ":", " ", ",", ";", ""])), max_size=10).map(
    lambda items: "".join(item + separator for item, separator in items)
)
CHARACTERS = st.text(alphabet=st.sampled_from([*"AESHRCx0128+-!@:; ,.=_$\t\n%\\'\"/", "\u00e9", "\u202e"]), max_size=30)
MIXED = st.builds(lambda before, middle, after: before + middle + after, LISTS, CHARACTERS, LISTS)


def openssl(*arguments: str) -> list[str] | None:
    """The lines that `openssl ciphers` prints; None where it fails."""
    done = subprocess.run(["openssl", "ciphers", *arguments], check=False, capture_output=True)
    return done.stdout.decode().splitlines() if done.returncode == 0 else None


def theirs(text: str) -> list[str] | None:
    lines = openssl("--", text)
    return None if lines is None else lines[0].split(":")


def ours(text: str) -> list[str] | None:
    try:
        found = cipher_list(text, "3.0").suites
    except InvalidCipherString:
        return None
    return [catalogue("3.0")[number].name for number in (*default_ciphersuites("3.0"), *found)]


def test_this_machine_has_the_openssl_that_we_compare_with() -> None:
    version = subprocess.run(["openssl", "version"], check=True, capture_output=True, text=True).stdout
    assert version.startswith("OpenSSL 3.0.")
    assert ssl.OPENSSL_VERSION.startswith("OpenSSL 3.0.")


@given(LISTS)
@example("DEFAULT")
@example("DEFAULT+AES:@STRENGTH")
@example("COMPLEMENTOFDEFAULT+HIGH")
@example("AES128-SHA+AES")
@settings(max_examples=250)
def test_a_list_of_known_words_has_the_same_suites_in_the_same_order(text: str) -> None:
    assert ours(text) == theirs(text)


@given(MIXED | CHARACTERS)
@example("AES128-SHA$:AES256-SHA")
@example("NOSUCH$:AES256-SHA")
@settings(max_examples=150)
def test_hostile_text_is_refused_where_openssl_refuses_it(text: str) -> None:
    assert ours(text) == theirs(text)


@given(
    st.lists(
        st.sampled_from(
            [
                "TLS_AES_128_GCM_SHA256",
                "TLS_AES_256_GCM_SHA384",
                "TLS_CHACHA20_POLY1305_SHA256",
                "TLS_AES_128_CCM_SHA256",
                "TLS_AES_128_CCM_8_SHA256",
                "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
                "NOSUCH",
                " ",
                "",
                "x" * 90,
            ]
        ),
        unique=True,
        max_size=5,
    ).map(":".join)
)
@settings(max_examples=60)
def test_a_list_for_tls_1_3_is_taken_alike(text: str) -> None:
    lines = openssl("-ciphersuites", text, "AES128-SHA")
    try:
        found = ciphersuites(text, "3.0")
    except InvalidCipherString:
        assert lines is None
        return
    assert lines == [":".join(catalogue("3.0")[number].name for number in (*found, 0x002F))]


@pytest.mark.parametrize("text", ["ALL:COMPLEMENTOFALL", "DEFAULT", "PSK:eNULL:@STRENGTH", "AES128-SHA"])
def test_the_columns_are_those_of_openssl_ciphers_v(text: str) -> None:
    numbers = (*default_ciphersuites("3.0"), *cipher_list(text, "3.0").suites)
    assert list(suite_lines(numbers, "3.0")) == openssl("-v", text)


@pytest.mark.parametrize("level", range(6))
@pytest.mark.parametrize(("protocol", "option"), [("TLSv1", "-tls1"), ("TLSv1.1", "-tls1_1"), ("TLSv1.2", "-tls1_2")])
@pytest.mark.parametrize("text", ["ALL:COMPLEMENTOFALL", "HIGH:!aNULL:+kRSA"])
def test_a_security_level_leaves_the_same_suites_of_a_version(
    text: str, protocol: Protocol, option: str, level: int
) -> None:
    numbers = in_version(at_level(cipher_list(text, "3.0").suites, level, "3.0"), protocol, "3.0")
    left = numbers if version_at_level(protocol, level, "3.0") else ()
    lines = openssl("-s", "-psk", "-srp", option, f"{text}:@SECLEVEL={level}")
    assert [":".join(catalogue("3.0")[number].name for number in left)] == (lines or [""])


@pytest.mark.parametrize("server", [True, False], ids=["server", "client"])
@pytest.mark.parametrize("level", [0, 1, 2])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_a_side_finishes_a_handshake_with_the_suites_that_its_level_leaves(
    server: bool, level: int, tmp_path: Path
) -> None:
    versions: dict[Protocol, ssl.TLSVersion] = {
        "TLSv1": ssl.TLSVersion.TLSv1,
        "TLSv1.1": ssl.TLSVersion.TLSv1_1,
        "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    }
    pairs = [make_leaf("mx.example.net", key_type=kind).write(tmp_path, kind) for kind in KINDS]
    for protocol, version in versions.items():
        for name in ("AES128-SHA", "ECDHE-RSA-AES128-SHA", "ECDHE-ECDSA-AES128-SHA"):
            number = cipher_list(name, "3.0").suites
            levels = (level, 0) if server else (0, level)
            done = shakes_hands(name, version, levels, pairs)
            assert done == bool(usable(number, protocol, level, "3.0", server=server)), (name, protocol)


def shakes_hands(name: str, version: ssl.TLSVersion, levels: tuple[int, int], pairs: list[tuple[Path, Path]]) -> bool:
    """Whether a server and a client of these security levels finish a handshake, in memory."""
    contexts = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    contexts[1].check_hostname = False
    contexts[1].verify_mode = ssl.CERT_NONE
    for context, level in zip(contexts, levels, strict=True):
        context.set_ciphers(f"{name}:@SECLEVEL={level}")
        context.minimum_version = context.maximum_version = version
    for certificate, key in pairs:
        contexts[0].load_cert_chain(certificate, key)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        contexts[0].wrap_bio(to_server, to_client, server_side=True),
        contexts[1].wrap_bio(to_client, to_server),
    ]
    done: set[int] = set()
    for _ in range(8):  # four flights are enough, each side asked once a flight
        for place, side in reversed(list(enumerate(sides))):
            try:
                side.do_handshake()
                done.add(place)
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError:
                return False
    return len(done) == len(sides)
