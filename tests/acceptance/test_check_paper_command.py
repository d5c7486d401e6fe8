"""`mxprobe check --main-cf`: what an administrator learns of a main.cf before any server has read it."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from acceptance.command import Done, mxprobe, mxprobe_process
from servers.certificates import Authority, Issued, hashed_directory

STRING = (
    "ALL:+RC4:@STRENGTH:!aNULL:!LOW:!EXP:!MEDIUM:!ADH:!AECDH:!MD5:!DSS:!ECDSA:!CAMELLIA128:!3DES:!CAMELLIA256"
    ":!RSA+AES:!eNULL"
)
"""With which a Postfix 2.6.6 told Gmail "no shared cipher" in 2019."""

WORDS = "aNULL, LOW, EXP, MEDIUM, ADH, AECDH, MD5, DSS, ECDSA, CAMELLIA128, 3DES, CAMELLIA256, RSA+AES, eNULL"


@pytest.fixture
def leaf(authority: Authority) -> Issued:
    return authority.leaf("mx.example.org")


@pytest.fixture
def chain(leaf: Issued, tmp_path: Path) -> Path:
    path = tmp_path / "fullchain.pem"
    path.write_bytes(leaf.chain_pem)
    return path


def main_cf(directory: Path, *lines: str) -> Path:
    path = directory / "main.cf"
    path.write_text("".join(f"{line}\n" for line in ("myhostname = mx.example.org", *lines)))
    return path


def check(path: Path, *arguments: str | Path, postfix: str = "3.7", openssl: str = "3.0") -> Done:
    return mxprobe(
        "check", "--main-cf", path, "--postfix", postfix, "--openssl", openssl, *arguments, "--format", "json"
    )


def found(done: Done, id: str, name: str | None = None) -> Any:
    (check,) = [
        check for check in done.document["checks"] if check["id"] == id and (name is None or check["name"] == name)
    ]
    return check


# What happened to somebody


def test_the_missing_overlap_with_gmail_is_static_rsa_aes_and_the_word_is_named(tmp_path: Path, chain: Path) -> None:
    path = main_cf(
        tmp_path,
        "smtpd_tls_security_level = may",
        "smtpd_tls_ciphers = export",
        "tls_export_cipherlist = ALL:+RC4:@STRENGTH",
        f"smtpd_tls_exclude_ciphers = {WORDS}",
        f"smtpd_tls_cert_file = {chain}",
    )
    done = check(path, "--sender", "gmail-2019", postfix="2.6.6", openssl="1.0.2")
    sender = found(done, "sender")
    assert (done.code, sender["outcome"]) == (1, "failed")
    assert (
        "missing overlap: static-RSA AES (AES128-GCM-SHA256, AES256-GCM-SHA384), excluded by "
        "!RSA+AES in smtpd_tls_exclude_ciphers" in sender["summary"]
    )
    assert sender["place"] == {"file": str(path), "line": 5}


def test_the_word_is_found_within_a_cipher_list_too(tmp_path: Path, chain: Path) -> None:
    path = main_cf(
        tmp_path,
        "smtpd_tls_security_level = may",
        f"tls_export_cipherlist = {STRING}",
        f"smtpd_tls_cert_file = {chain}",
    )
    done = check(path, "--sender", "gmail-2019", postfix="2.6.6", openssl="1.0.2")
    assert "excluded by !RSA+AES in tls_export_cipherlist" in found(done, "sender")["summary"]
    assert found(done, "sender")["place"] == {"file": str(path), "line": 3}


def test_without_tls_1_0_its_senders_fail_and_sslv3_would_not_help(tmp_path: Path, chain: Path) -> None:
    path = main_cf(
        tmp_path,
        "smtpd_tls_security_level = may",
        "smtpd_tls_protocols = !TLSv1, !SSLv2, !SSLv3",
        f"smtpd_tls_cert_file = {chain}",
    )
    done = check(path, postfix="2.6.6", openssl="1.0.2")
    said = found(done, "versions")
    assert said["summary"] == (
        "senders that speak nothing newer than TLS 1.0 get no TLS; to allow SSLv3 without TLSv1 would only make them "
        "look SSLv3-only"
    )
    assert (said["outcome"], said["place"]) == ("noted", {"file": str(path), "line": 3})


def test_with_sslv3_in_the_place_of_tls_1_0_senders_look_sslv3_only(tmp_path: Path, chain: Path) -> None:
    path = main_cf(
        tmp_path,
        "smtpd_tls_security_level = may",
        "smtpd_tls_protocols = !TLSv1, !SSLv2",
        f"smtpd_tls_cert_file = {chain}",
    )
    said = found(check(path, postfix="2.6.6", openssl="1.0.2"), "versions")
    assert "TLS 1.0 is off between SSLv3 and TLSv1.1" in said["summary"]
    assert "only look SSLv3-only" in said["summary"]
    assert said["severity"] == "warning"


def test_a_protocol_that_this_version_has_no_name_for_turns_tls_off(tmp_path: Path, chain: Path) -> None:
    path = main_cf(
        tmp_path,
        "smtpd_tls_security_level = may",
        "smtpd_tls_protocols = TLSv1.2, TLSv1.1, !TLSv1",
        f"smtpd_tls_cert_file = {chain}",
    )
    done = check(path, postfix="2.6.6", openssl="1.0.2")
    starttls = found(done, "require", "starttls")
    assert (done.code, starttls["outcome"], starttls["place"]) == (1, "failed", {"file": str(path), "line": 3})
    assert 'Postfix 2.6.6 does not know "TLSv1.2"' in starttls["summary"]
    assert check(path, postfix="3.7", openssl="1.1.1").code == 0


# What has to hold


def test_a_good_configuration_passes_as_a_good_server_does(tmp_path: Path, chain: Path, authority: Authority) -> None:
    trust = hashed_directory(tmp_path / "trust", [authority])
    path = main_cf(
        tmp_path,
        "smtpd_tls_security_level = may",
        f"smtpd_tls_chain_files = {chain}",
        "smtpd_tls_protocols = >=TLSv1.2",
    )
    required = "starttls,trusted,name-matches,not-expired,tls1.2,tls1.3,!tls1.0,!sslv3"
    done = check(path, "--require", required, "--covers", "mx.example.org", "--days", "14", "--ca-path", trust)
    assert (done.code, done.document["kind"], done.document["connections"]) == (0, "paper", 0), done.out
    assert {each["outcome"] for each in done.document["checks"]} <= {"passed", "noted"}


@pytest.mark.parametrize(("required", "line"), [("tls1.0", 4), ("!tls1.3", 4), ("trusted", 3)])
def test_what_fails_has_its_line(tmp_path: Path, chain: Path, required: str, line: int) -> None:
    path = main_cf(
        tmp_path,
        "smtpd_tls_security_level = may",
        f"smtpd_tls_cert_file = {chain}",
        "smtpd_tls_protocols = >=TLSv1.2",
    )
    done = check(path, "--require", required)
    assert (done.code, found(done, "require")["place"]) == (1, {"file": str(path), "line": line})


def test_a_sender_gets_what_it_would_from_the_server(tmp_path: Path, chain: Path) -> None:
    path = main_cf(tmp_path, "smtpd_tls_security_level = may", f"smtpd_tls_cert_file = {chain}")
    done = check(path, "--sender", "postfix-3.7-openssl-3.0")
    assert (done.code, found(done, "sender")["outcome"]) == (0, "passed")
    assert "TLSv1.3 TLS_AES_256_GCM_SHA384" in found(done, "sender")["summary"]


@pytest.mark.parametrize(("protocols", "code"), [(">=TLSv1.2", 0), (">=TLSv1.3", 1)])
def test_shared_cipher_is_about_what_was_computed_for_the_senders(
    tmp_path: Path, chain: Path, protocols: str, code: int
) -> None:
    path = main_cf(
        tmp_path,
        "smtpd_tls_security_level = may",
        f"smtpd_tls_protocols = {protocols}",
        f"smtpd_tls_cert_file = {chain}",
    )
    done = check(path, "--require", "shared-cipher", "--sender", "postfix-2.11-openssl-1.0.2")
    assert (done.code, found(done, "require")["place"]) == (code, None), done.out


def test_mandatory_tls_on_port_25_is_noted_and_on_submission_is_not(tmp_path: Path, chain: Path) -> None:
    path = main_cf(tmp_path, "smtpd_tls_security_level = encrypt", f"smtpd_tls_cert_file = {chain}")
    services = tmp_path / "master.cf"
    services.write_text("smtp inet n - y - - smtpd\nsubmission inet n - y - - smtpd\n  -o smtpd_tls_ciphers=high\n")
    assert found(check(path), "mandatory-tls")["source"] == "RFC 3207 §4"
    done = check(path, "--master-cf", services, "--service", "submission")
    assert not [each for each in done.document["checks"] if each["id"] == "mandatory-tls"]


def test_options_of_a_service_and_of_the_command_line_count_over_the_file(tmp_path: Path, chain: Path) -> None:
    path = main_cf(
        tmp_path,
        "smtpd_tls_security_level = may",
        "smtpd_tls_protocols = >=TLSv1",
        f"smtpd_tls_cert_file = {chain}",
    )
    services = tmp_path / "master.cf"
    services.write_text("smtp inet n - y - - smtpd\n  -o smtpd_tls_protocols=>=TLSv1.3\n")
    assert check(path, "--require", "tls1.2").code == 0
    assert check(path, "--require", "tls1.2", "--master-cf", services).code == 1
    assert check(path, "--require", "tls1.2", "-o", "smtpd_tls_protocols=>=TLSv1.3").code == 1


def test_the_loss_against_another_time_is_a_failed_check(tmp_path: Path, chain: Path) -> None:
    path = main_cf(tmp_path, "smtpd_tls_security_level = may", f"smtpd_tls_cert_file = {chain}")
    before = tmp_path / "before.json"
    before.write_text(check(path, "-o", "smtpd_tls_protocols=>=TLSv1").out)
    assert check(path, "-o", "smtpd_tls_protocols=>=TLSv1", "--baseline", before).code == 0
    done = check(path, "-o", "smtpd_tls_protocols=>=TLSv1.3", "--baseline", before)
    assert done.code == 1
    assert any(each["outcome"] == "failed" and "TLSv1.2" in each["name"] for each in done.document["checks"])


def test_what_postconf_printed_stands_for_the_file(tmp_path: Path, chain: Path) -> None:
    printed = tmp_path / "postconf"
    printed.write_text(f"smtpd_tls_security_level = may\nsmtpd_tls_cert_file = {chain}\n")
    done = mxprobe("check", "--postconf", printed, "--postfix", "3.7", "--openssl", "3.0", "--require", "starttls")
    assert done.code == 0, done.out + done.err


# Certificates


def test_a_certificate_that_is_named_stands_for_the_one_of_the_file(tmp_path: Path, chain: Path) -> None:
    path = main_cf(tmp_path, "smtpd_tls_security_level = may", "smtpd_tls_cert_file = /nowhere/mx.pem")
    done = check(path)
    assert (done.code, done.out) == (2, "")
    assert f"{path}: line 3: smtpd_tls_cert_file: /nowhere/mx.pem cannot be read" in done.err
    assert "--cert FULLCHAIN.pem says which certificate it is" in done.err
    assert check(path, "--cert", chain).code == 0


def test_that_the_file_names_no_certificate_is_said(tmp_path: Path, chain: Path) -> None:
    path = main_cf(tmp_path, "smtpd_tls_security_level = may")
    assert check(path).code == 1
    done = check(path, "--cert", chain)
    assert "no certificate is set, which means no TLS at all" in found(done, "configuration")["summary"]


def test_the_kind_of_the_key_decides_the_suites(tmp_path: Path, authority: Authority) -> None:
    curve = tmp_path / "ec.pem"
    curve.write_bytes(authority.leaf("mx.example.org", key_type="EC").chain_pem)
    path = main_cf(tmp_path, "smtpd_tls_security_level = may", f"smtpd_tls_cert_file = {curve}")
    done = check(path)
    suites = done.document["targets"][0]["endpoints"][0]["protocols"]["TLSv1.2"]["suites"]
    assert suites
    assert all("ECDSA" in suite["name"] for suite in suites if not suite["name"].startswith(("ADH", "AECDH")))


def test_an_expired_certificate_fails(tmp_path: Path, authority: Authority) -> None:
    yesterday = datetime.now(UTC) - timedelta(days=1)
    old = tmp_path / "old.pem"
    old.write_bytes(authority.leaf("mx.example.org", not_after=yesterday).chain_pem)
    path = main_cf(tmp_path, "smtpd_tls_security_level = may", f"smtpd_tls_cert_file = {old}")
    assert (check(path).code, found(check(path), "require", "not-expired")["outcome"]) == (1, "failed")


# What is wrong in a file or an option


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("smtpd_tls_security_level = may\nsmtpd_tls_ciphers\n", 2, "missing '='"),
        ("smtpd_tls_security_level = may\nsmtpd_tls_protocols = ${x", 2, "never closed"),
        ("smtpd_tls_security_level = maybe\n", 1, '"maybe"'),
        ("a = b\n\nsmtpd_tls_protocol = !SSLv2\n", 3, "smtpd_tls_protocol"),
        ("smtpd_tls_ask_ccert = perhaps\nsmtpd_tls_security_level=may\n", 1, "bad boolean"),
        ("smtpd_tls_security_level = may\n\0\0\0", 2, "NUL"),
    ],
)
def test_a_half_written_file_is_one_line_with_its_place(
    tmp_path: Path, chain: Path, text: str, line: int, problem: str
) -> None:
    path = tmp_path / "main.cf"
    path.write_text(text)
    done = check(path, "--cert", chain)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1), done.err
    assert f"{path}: line {line}: " in done.err
    assert problem in done.err


def test_parameters_that_are_not_about_tls_are_ignored_and_so_is_what_is_no_utf_8(tmp_path: Path, chain: Path) -> None:
    path = tmp_path / "main.cf"
    path.write_bytes(
        b"# caf\xe9\nmyorigin = \xff\xfe\nno_such_parameter = yes\nsmtpd_tls_security_level = may\n"
        + f"smtpd_tls_cert_file = {chain}\n".encode()
    )
    assert check(path).code == 0


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--openssl", "3.0"], "--postfix: it is missing"),
        (["--postfix", "3.7"], "--openssl: it is missing"),
        (["--postfix", "2.2", "--openssl", "3.0"], "too old"),
        (["--postfix", "3.7", "--openssl", "4.9"], "no OpenSSL that is known"),
        (["--postfix", "3.7", "--openssl", "3.0", "--service", "smtpd"], "--service: it needs a --master-cf"),
        (["--postfix", "3.7", "--openssl", "3.0", "-o", "x"], "missing '='"),
        (["--postfix", "3.7", "--openssl", "3.0", "--cert", "/nowhere"], "--cert: /nowhere cannot be read"),
        (["--postfix", "3.7", "--openssl", "3.0", "--cert", "/dev/null"], "has no certificate in it"),
        (["--postfix", "3.7", "--openssl", "3.0", "--sender", "gmial-2019"], "gmail-2019"),
    ],
)
def test_what_is_missing_or_wrong_is_said_in_one_line(tmp_path: Path, arguments: list[str], problem: str) -> None:
    path = main_cf(tmp_path, "smtpd_tls_security_level = may")
    done = mxprobe("check", "--main-cf", path, *arguments)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1), done.err
    assert problem in done.err


@pytest.mark.parametrize("name", ["absent.cf", ".", "/dev/zero"])
def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path, name: str) -> None:
    done = check(tmp_path / name)
    assert (done.code, done.err.count("\n")) == (2, 1), done.err
    assert str(tmp_path / name) in done.err


def test_nothing_that_dials_or_stores_is_imported(tmp_path: Path, chain: Path) -> None:
    path = main_cf(tmp_path, "smtpd_tls_security_level = may", f"smtpd_tls_cert_file = {chain}")
    script = (
        "import sys, json; from mxprobe.cli import run; code = run(sys.argv[1:]);"
        "names = ('asyncio', 'sqlalchemy', 'uvloop', 'aiosmtplib', 'dns.resolver');"
        "print(json.dumps([code, [name for name in names if name in sys.modules]]), file=sys.stderr)"
    )
    command = [sys.executable, "-c", script, "check", "--main-cf", str(path), "--postfix", "3.7", "--openssl", "3.0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stderr) == [0, []]


def test_the_command_as_such_says_it_with_its_exit_code(tmp_path: Path, chain: Path) -> None:
    path = main_cf(tmp_path, "smtpd_tls_security_level = may", f"smtpd_tls_cert_file = {chain}")
    done = mxprobe_process("check", "--main-cf", path, "--postfix", "3.7", "--openssl", "3.0")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("PASSED")
