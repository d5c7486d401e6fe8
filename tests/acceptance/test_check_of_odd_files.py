"""`mxprobe check` with files as found: pipes, encrypted keys, macros of other services, words that are none."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from acceptance.command import Done, complaint, mxprobe, mxprobe_process
from acceptance.world import configuration
from servers.certificates import Authority, Issued

STATED = ("--postfix", "3.7", "--openssl", "3.0")
MAY = "smtpd_tls_security_level = may\n"


@pytest.fixture
def leaf(authority: Authority) -> Issued:
    return authority.leaf("mx.example.org")


@pytest.fixture
def chain(leaf: Issued, tmp_path: Path) -> Path:
    path = tmp_path / "fullchain.pem"
    path.write_bytes(leaf.chain_pem)
    return path


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    """A pipe that nobody writes to: who opened it as a file would wait without end."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return path


def check(text: str, directory: Path, *arguments: str | Path) -> Done:
    path = directory / "main.cf"
    path.write_text(text)
    return mxprobe("check", "--main-cf", path, *STATED, *arguments)


def found(done: Done, id: str, name: str) -> Any:
    (check,) = [each for each in done.document["checks"] if (each["id"], each["name"]) == (id, name)]
    return check


# Words that are none


@pytest.mark.parametrize("name", ["smtpd_tls_ciphers", "smtpd_tls_mandatory_ciphers"])
def test_a_grade_that_is_none_is_one_line_whether_the_level_uses_it_or_not(
    tmp_path: Path, chain: Path, name: str
) -> None:
    line = complaint(check(f"{MAY}# grades\n{name} = heigh\n", tmp_path, "--cert", chain))
    assert f'{tmp_path}/main.cf: line 3: {name}: invalid cipher grade: "heigh"' in line
    assert "high, medium, low, export, null" in line


def test_grades_of_the_other_side_are_not_looked_at(tmp_path: Path, chain: Path) -> None:
    text = f"{MAY}smtp_tls_ciphers = heigh\nlmtp_tls_mandatory_ciphers = heigh\nsmtp_tls_security_level = maybe\n"
    assert check(text, tmp_path, "--cert", chain).code == 0


@pytest.mark.parametrize("version", ["4.0", "3.99", "latest", "\u0663.\u0667", "1.1", "3"])
def test_a_postfix_that_is_not_known_is_one_line(tmp_path: Path, version: str) -> None:
    path = tmp_path / "main.cf"
    path.write_text(MAY)
    assert "--postfix: " in complaint(mxprobe("check", "--main-cf", path, "--postfix", version, "--openssl", "3.0"))


@pytest.mark.parametrize("option", ["smtpd_tls_cipher=high", "smtpd_tls_ciphers=heigh", "a=b\nc", "smtpd_tls_ciphers="])
def test_what_an_option_says_has_no_line(tmp_path: Path, chain: Path, option: str) -> None:
    line = complaint(check(MAY, tmp_path, "--cert", chain, "-o", option))
    assert line.startswith("mxprobe: -o: ")
    assert "line 1" not in line


def test_suite_b_is_not_guessed_at(tmp_path: Path, chain: Path) -> None:
    line = complaint(check(f"{MAY}tls_medium_cipherlist = SUITEB128\n", tmp_path, "--cert", chain))
    assert "line 2: tls_medium_cipherlist: " in line


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ("tls_medium_cipherlist = HIGH:!", "refuses the cipher list 'HIGH:!'"),
        ("smtpd_tls_exclude_ciphers = !aNULL", "invalid unary"),
    ],
)
def test_what_leaves_no_cipher_list_has_its_line(tmp_path: Path, chain: Path, setting: str, reason: str) -> None:
    done = check(f"{MAY}\n{setting}\n", tmp_path, "--cert", chain, "--format", "json")
    starttls = found(done, "require", "starttls")
    assert (done.code, starttls["place"]) == (1, {"file": f"{tmp_path}/main.cf", "line": 3})
    assert reason in starttls["summary"]


# References


def test_a_reference_that_is_empty_for_the_daemon_is_noted(tmp_path: Path, chain: Path) -> None:
    text = f"{MAY}smtpd_tls_protocols = $smtpd_tls_mandatory_protocols\n"
    done = check(text, tmp_path, "--cert", chain, "--format", "json")
    noted = found(done, "configuration", "smtpd_tls_protocols")
    assert "$smtpd_tls_mandatory_protocols is empty for smtpd(8)" in noted["summary"]
    assert (noted["outcome"], noted["place"]["line"]) == ("noted", 2)


def test_a_reference_to_no_parameter_is_noted(tmp_path: Path, chain: Path) -> None:
    text = f"{MAY}smtpd_tls_exclude_ciphers = $smtpd_tls_excluded_ciphers\n"
    done = check(text, tmp_path, "--cert", chain, "--format", "json")
    summary = found(done, "configuration", "smtpd_tls_exclude_ciphers")["summary"]
    assert "$smtpd_tls_excluded_ciphers is empty, because it is not set, and no parameter" in summary


def test_a_name_to_which_another_service_refers_is_a_macro(tmp_path: Path, chain: Path) -> None:
    services = tmp_path / "master.cf"
    services.write_text(
        "smtp inet n - n - - smtpd\nsubmission inet n - n - - smtpd\n  -o smtpd_tls_ciphers=$smtpd_tls_mua_ciphers\n"
    )
    text = f"{MAY}smtpd_tls_mua_ciphers = high\n"
    assert "smtpd_tls_mua_ciphers" in complaint(check(text, tmp_path, "--cert", chain))
    for service in ("smtp", "submission"):
        assert check(text, tmp_path, "--cert", chain, "--master-cf", services, "--service", service).code == 0


def test_a_server_of_a_port_of_its_own_may_demand_tls(tmp_path: Path, chain: Path) -> None:
    services = tmp_path / "master.cf"
    services.write_text("smtp inet n - n - - smtpd\n10587 inet n - n - - smtpd\n")
    given = ("--cert", chain, "--master-cf", services)
    text = "smtpd_tls_security_level = encrypt\n"
    assert "mandatory-tls" in check(text, tmp_path, *given).out
    assert "mandatory-tls" not in check(text, tmp_path, *given, "--service", "10587").out


# Pipes, devices, and files that are elsewhere


def test_a_pipe_that_nobody_writes_to_is_one_line(tmp_path: Path, chain: Path, pipe: Path) -> None:
    good = tmp_path / "good.cf"
    good.write_text(MAY)
    named = f"{MAY}smtpd_tls_cert_file = {pipe}\n"
    for done in (
        mxprobe("check", "--main-cf", pipe, *STATED),
        mxprobe("check", "--main-cf", good, *STATED, "--master-cf", pipe),
        mxprobe("check", "--main-cf", good, *STATED, "--cert", pipe),
        mxprobe("check", "--main-cf", good, *STATED, "--cert", chain, "--baseline", pipe),
        mxprobe("check", "--main-cf", good, *STATED, "--cert", chain, "--ca-file", pipe),
        check(named, tmp_path),
        mxprobe("probe", "mx.example.org", "--profile", f"recorded:{pipe}"),
        mxprobe("scan", "--config", pipe),
        mxprobe("profile", "show", pipe),
    ):
        assert str(pipe) in complaint(done)


def test_a_pipe_is_read_until_its_writer_has_closed_it(tmp_path: Path, chain: Path) -> None:
    reading, writing = os.pipe()

    def write() -> None:
        with os.fdopen(writing, "w") as file:
            file.write(MAY)
            file.flush()
            file.write(f"smtpd_tls_cert_file = {chain}\nsmtpd_tls_protocols = >=TLSv1.3\n")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        done = mxprobe("check", "--postconf", f"/dev/fd/{reading}", *STATED, "--require", "!tls1.2,tls1.3")
    finally:
        writer.join()
        os.close(reading)
    assert (done.code, done.err) == (0, "")


def test_files_of_another_machine_are_noted(tmp_path: Path, chain: Path) -> None:
    done = check(f"{MAY}smtpd_tls_CAfile = /nowhere/ca.pem\n", tmp_path, "--cert", chain, "--format", "json")
    noted = found(done, "configuration", "smtpd_tls_CAfile")
    assert (done.code, noted["outcome"], noted["place"]["line"]) == (0, "noted", 2)
    assert "/nowhere/ca.pem is not on this machine" in noted["summary"]


# Certificates and keys


def test_an_encrypted_key_and_what_is_no_pem_are_one_line(tmp_path: Path, leaf: Issued) -> None:
    secret = tmp_path / "secret.pem"
    key = subprocess.run(
        ["openssl", "pkey", "-aes128", "-passout", "pass:sesame"], input=leaf.key_pem, capture_output=True, check=True
    )
    secret.write_bytes(key.stdout + leaf.chain_pem)
    binary = tmp_path / "leaf.der"
    binary.write_bytes(leaf.der)
    for path, reason in ((secret, "encrypted key"), (binary, "DER or PKCS#12")):
        line = complaint(check(f"{MAY}smtpd_tls_chain_files = {path}\n", tmp_path))
        assert f"{tmp_path}/main.cf: line 2: smtpd_tls_chain_files: {path} " in line
        assert reason in line


@pytest.mark.parametrize(
    "command",
    [
        ("dhparam", "-dsaparam", "1024"),
        ("genpkey", "-genparam", "-algorithm", "DHX", "-pkeyopt", "pbits:1024", "-pkeyopt", "qbits:160"),
    ],
)
def test_the_size_of_the_field_is_that_of_the_file(tmp_path: Path, chain: Path, command: tuple[str, ...]) -> None:
    parameters = tmp_path / "dh.pem"
    parameters.write_bytes(subprocess.run(["openssl", *command], capture_output=True, check=True).stdout)
    path = tmp_path / "main.cf"
    path.write_text(f"{MAY}smtpd_tls_dh1024_param_file = {parameters}\nsmtpd_tls_cert_file = {chain}\n")
    done = mxprobe_process("check", "--main-cf", path, *STATED, "--format", "json")
    assert (done.code, done.err) == (0, "")
    (endpoint,) = done.document["targets"][0]["endpoints"]
    assert [field["bits"] for field in endpoint["protocols"]["TLSv1.2"]["dh"]] == [1024]


# probes.toml


@pytest.mark.parametrize(
    ("overrides", "problem"),
    [
        ({"smtp_tls_cipher": "high"}, "Postfix has no TLS parameter smtp_tls_cipher"),
        ({"": "high"}, "found ''"),
        ({"smtp_tls_ciphers": "a\nb"}, "a line break"),
    ],
)
def test_a_mistake_in_an_override_has_its_key(tmp_path: Path, overrides: dict[str, str], problem: str) -> None:
    (tmp_path / "main.cf").write_text("smtp_tls_security_level = may\n")
    path = configuration(tmp_path, {"all": {"next_hops": ["mx.example.org"], "profile": "ours"}})
    table = ", ".join(f"{json.dumps(name)} = {json.dumps(value)}" for name, value in overrides.items())
    section = f'postfix = "main.cf"\npostfix_version = "3.7"\nopenssl = "3.0"\noverrides = {{ {table} }}\n'
    path.write_text(f"[profiles.ours]\n{section}\n{path.read_text()}")
    line = complaint(mxprobe("scan", "--config", path))
    assert "profiles.ours.overrides" in line
    assert problem in line
