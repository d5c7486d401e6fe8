"""`mxprobe ciphers`: what a cipher list means, as its users meet it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from acceptance.command import PATIENCE_SECONDS, Done, command, complaint, environment, mxprobe

RECORDED = Path(__file__).resolve().parents[1] / "data" / "openssl"


def fed(*arguments: str, stdin: bytes) -> Done:
    """The command with this standard input, in a process of its own."""
    done = subprocess.run(
        command("ciphers", *arguments),
        env=environment(),
        input=stdin,
        capture_output=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    return Done(code=done.returncode, out=done.stdout.decode(), err=done.stderr.decode())


def test_text_is_what_openssl_ciphers_v_prints() -> None:
    done = mxprobe("ciphers", "ECDHE+AESGCM:AES128-SHA:@STRENGTH")
    theirs = subprocess.run(
        ["openssl", "ciphers", "-v", "ECDHE+AESGCM:AES128-SHA:@STRENGTH"], check=True, capture_output=True, text=True
    )
    assert (done.code, done.out, done.err) == (0, theirs.stdout, "")


def test_another_openssl_has_its_own_suites_and_columns() -> None:
    done = mxprobe("ciphers", "EXP-RC4-MD5:DES-CBC3-SHA", "--openssl", "1.0.2k")
    assert done.out == (
        "EXP-RC4-MD5             SSLv3 Kx=RSA(512) Au=RSA  Enc=RC4(40)   Mac=MD5  export\n"
        "EXP-RC4-MD5             SSLv2 Kx=RSA(512) Au=RSA  Enc=RC4(40)   Mac=MD5  export\n"
        "DES-CBC3-SHA            SSLv3 Kx=RSA      Au=RSA  Enc=3DES(168) Mac=SHA1\n"
    )


def test_unknown_words_and_what_the_security_level_forbids_are_said_on_standard_error() -> None:
    done = mxprobe("ciphers", "AES128-SHA:!RC4:NOSUCH:@SECLEVEL=3")
    assert done.code == 0
    assert done.err.splitlines() == [
        "mxprobe: 'RC4' is no word of OpenSSL 3.0, which passes over it; OpenSSL 1.0.2 and 1.1.1 know it",
        "mxprobe: 'NOSUCH' is no word of OpenSSL 3.0, which passes over it",
        "mxprobe: 1 of these are never used at security level 3",
    ]


@pytest.mark.parametrize("openssl", ["1.0.2", "1.1.1", "3.0"])
def test_lists_on_standard_input_come_out_as_recorded(openssl: str) -> None:
    recorded = [json.loads(line) for line in (RECORDED / "cipher-strings.jsonl").read_text().splitlines()]
    lines = "".join(each["string"] + "\n" for each in recorded).encode()
    done = fed("-", "--openssl", openssl, "--format", "ndjson", stdin=lines)
    assert (done.code, done.err) == (0, "")
    assert done.lines == [{"string": each["string"], "ciphers": each[openssl]} for each in recorded]


def test_an_empty_line_bytes_that_are_no_utf_8_and_a_last_line_without_an_end_are_lists_too() -> None:
    done = fed("-", "--format", "ndjson", "--openssl", "1.0.2", stdin=b"\nNO\xffSUCH:AES128-SHA\r\nAES256-SHA")
    assert (done.code, done.err) == (0, "")
    assert done.lines == [
        {"string": "", "ciphers": None},
        {"string": "NO\udcffSUCH:AES128-SHA", "ciphers": ["AES128-SHA"]},
        {"string": "AES256-SHA", "ciphers": ["AES256-SHA"]},
    ]


def test_standard_input_as_text_has_a_part_for_each_list() -> None:
    done = fed("-", "--openssl", "1.0.2", stdin=b"AES128-SHA\nNOSUCH\n")
    assert (done.code, done.err) == (0, "")
    assert done.out == (
        "# AES128-SHA\n"
        "AES128-SHA              SSLv3 Kx=RSA      Au=RSA  Enc=AES(128)  Mac=SHA1\n"
        "# NOSUCH\n"
        "# refused: it selects nothing: 'NOSUCH' is no cipher of OpenSSL 1.0.2\n"
    )


def test_json_has_every_suite_in_its_parts() -> None:
    document = mxprobe("ciphers", "AES128-SHA:FOO:@SECLEVEL=1", "--format", "json", "--ciphersuites", "").document
    assert document == {
        "string": "AES128-SHA:FOO:@SECLEVEL=1",
        "openssl": "3.0",
        "ciphers": ["AES128-SHA"],
        "security_level": 1,
        "unknown": ["FOO"],
        "suites": [
            {
                "number": "0x002F",
                "name": "AES128-SHA",
                "protocol": "SSLv3",
                "key_exchange": "RSA",
                "authentication": "RSA",
                "encryption": "AES(128)",
                "mac": "SHA1",
                "bits": 128,
                "export": False,
            }
        ],
        "refusal": None,
    }


def test_a_list_for_tls_1_3_comes_first() -> None:
    done = mxprobe("ciphers", "AES128-SHA", "--ciphersuites", "TLS_AES_128_CCM_8_SHA256", "--format", "ndjson")
    assert done.lines == [{"string": "AES128-SHA", "ciphers": ["TLS_AES_128_CCM_8_SHA256", "AES128-SHA"]}]


def test_two_lists_differ_in_what_one_lacks_and_in_order() -> None:
    done = mxprobe("ciphers", "AES128-SHA:AES256-SHA:NULL-SHA", "--diff", "AES256-SHA:AES128-SHA:CAMELLIA128-SHA")
    assert done.code == 0
    assert done.out == (
        "--- OpenSSL 3.0: AES128-SHA:AES256-SHA:NULL-SHA\n"
        "+++ OpenSSL 3.0: AES256-SHA:AES128-SHA:CAMELLIA128-SHA\n"
        "- NULL-SHA                       SSLv3   Kx=RSA      Au=RSA   Enc=None                   Mac=SHA1\n"
        "+ CAMELLIA128-SHA                SSLv3   Kx=RSA      Au=RSA   Enc=Camellia(128)          Mac=SHA1\n"
        "~ AES128-SHA                     place 4 -> 5\n"
    )


def test_two_openssls_differ_in_a_list() -> None:
    done = mxprobe(
        "ciphers", "SEED-SHA:AES128-SHA", "--openssl", "1.1.1", "--diff-openssl", "3.0.7", "--format", "json"
    )
    document = done.document
    assert document["first"]["openssl"] == "1.1.1"
    assert document["second"]["openssl"] == "3.0"
    assert (document["only_first"], document["only_second"], document["moved"]) == (["SEED-SHA"], [], [])


def test_lists_without_a_difference_are_said_to_be_the_same() -> None:
    done = mxprobe("ciphers", "AES128-SHA", "--diff", "AES128-SHA:!RC4", "--ciphersuites", "")
    assert done.out.splitlines()[-1] == "the same 1 suite in the same order"


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["NOSUCH"], ["'NOSUCH' is no cipher of OpenSSL 3.0"]),
        ([""], ["it is empty"]),
        (["ALL:@SECLEVEL=9"], ["'@SECLEVEL=9'", "(allowed: 0 to 5)"]),
        (["ALL:!"], ["a word is missing after '!'"]),
        (["ALL", "--diff", "NOSUCH"], ["'NOSUCH'"]),
        (["SSLv2", "--openssl", "1.0.2", "--diff-openssl", "3.0"], ["OpenSSL 3.0", "'SSLv2'"]),
        (["ALL", "--diff", "ALL", "--diff-openssl", "3.0"], ["--diff-openssl", "--diff"]),
        (["-", "--diff", "ALL"], ["--diff", "standard input"]),
        (["ALL", "--openssl", "4.0"], ["--openssl", "'4.0'", "1.0.2, 1.1.1, 3.0"]),
        (["ALL", "--diff-openssl", "2"], ["--diff-openssl", "'2'"]),
        (["ALL", "--ciphersuites", "NOSUCH"], ["'NOSUCH' is no ciphersuite"]),
        (["ALL", "--ciphersuites", "TLS_AES_128_GCM_SHA256", "--openssl", "1.0.2"], ["no TLS 1.3"]),
        (["ALL", "--format", "xml"], ["--format", "'xml'", "text, json, ndjson"]),
    ],
)
def test_what_is_wrong_is_one_line(arguments: list[str], parts: list[str]) -> None:
    line = complaint(mxprobe("ciphers", *arguments))
    assert all(part in line for part in parts), line


def test_one_refused_list_as_ndjson_is_data() -> None:
    done = mxprobe("ciphers", "NOSUCH", "--format", "ndjson")
    assert (done.code, done.lines) == (0, [{"string": "NOSUCH", "ciphers": None}])


def test_a_list_that_begins_with_a_minus_stands_behind_two() -> None:
    done = mxprobe("ciphers", "--format", "ndjson", "--openssl", "1.0.2", "--", "-AES128-SHA:AES128-SHA")
    assert done.lines[0]["ciphers"] == ["AES128-SHA"]


def test_a_line_that_would_fill_the_memory_ends_the_command() -> None:
    done = fed("-", "--format", "ndjson", stdin=b"AES128-SHA\n" + b"A" * (5 << 20))
    assert done.code == 2
    assert len(done.lines) == 1
    assert done.err == "mxprobe: standard input, line 2: longer than 4194304 bytes\n"


def test_a_closed_standard_input_is_said() -> None:
    shell = ["sh", "-c", 'exec "$@" <&-', "sh", *command("ciphers", "-")]
    done = subprocess.run(shell, env=environment(), capture_output=True, check=False, timeout=PATIENCE_SECONDS)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr == b"mxprobe: standard input: is closed\n"


def test_nothing_of_probing_is_loaded() -> None:
    script = (
        "import sys; from mxprobe.cli import run; run(['ciphers', 'ALL']);"
        "heavy = ('mxprobe.probing', 'mxprobe.network', 'mxprobe.facts', 'cryptography', 'rich');"
        "print([name for name in sys.modules if name.startswith(heavy)])"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"
