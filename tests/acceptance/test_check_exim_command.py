"""`mxprobe check --exim`: what an administrator learns of an Exim's configuration before any server has read it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from acceptance.command import Done, complaint, mxprobe
from servers.certificates import Authority, hashed_directory
from servers.exim import exim_server


@pytest.fixture
def chain(authority: Authority, tmp_path: Path) -> Path:
    path = tmp_path / "fullchain.pem"
    path.write_bytes(authority.leaf("mx.example.org").chain_pem)
    return path


def exim_conf(directory: Path, *lines: str) -> Path:
    path = directory / "exim.conf"
    path.write_text("".join(f"{line}\n" for line in ("primary_hostname = mx.example.org", *lines)))
    return path


def check(path: Path, *arguments: str | Path, library: tuple[str, ...] = ("--openssl", "3.0")) -> Done:
    return mxprobe("check", "--exim", path, *library, *arguments, "--format", "json")


GNUTLS = ("--tls-library", "gnutls")


def found(done: Done, id: str, name: str | None = None) -> Any:
    (check,) = [
        check for check in done.document["checks"] if check["id"] == id and (name is None or check["name"] == name)
    ]
    return check


def versions(done: Done) -> dict[str, str]:
    (target,) = done.document["targets"]
    return {name: of["state"] for name, of in target["endpoints"][0]["protocols"].items()}


# What has to hold


@pytest.mark.parametrize("library", [("--openssl", "3.0"), ("--tls-library", "openssl", "--openssl", "1.1.1"), GNUTLS])
def test_a_good_configuration_passes_as_a_good_server_does(
    tmp_path: Path, chain: Path, authority: Authority, library: tuple[str, ...]
) -> None:
    trust = hashed_directory(tmp_path / "trust", [authority])
    path = exim_conf(tmp_path, f"tls_certificate = {chain}", "tls_advertise_hosts = *")
    required = "starttls,trusted,name-matches,not-expired,tls1.2,tls1.3,!sslv3"
    conditions = ("--require", required, "--covers", "mx.example.org", "--days", "14", "--ca-path", trust)
    done = check(path, *conditions, "--sender", "postfix-3.7-openssl-3.0", library=library)
    assert (done.code, done.document["kind"], done.document["connections"]) == (0, "paper", 0), done.out
    assert {each["outcome"] for each in done.document["checks"]} <= {"passed", "noted"}


@pytest.mark.parametrize(("required", "line"), [("tls1.0", 3), ("!tls1.3", 3), ("trusted", 2)])
def test_what_fails_has_its_line(tmp_path: Path, chain: Path, required: str, line: int) -> None:
    path = exim_conf(tmp_path, f"tls_certificate = {chain}", "openssl_options = +no_tlsv1 +no_tlsv1_1")
    done = check(path, "--require", required)
    assert (done.code, found(done, "require")["place"]) == (1, {"file": str(path), "line": line})


def test_with_gnutls_the_versions_are_those_of_its_priority_string(tmp_path: Path, chain: Path) -> None:
    path = exim_conf(tmp_path, f"tls_certificate = {chain}", "tls_require_ciphers = SECURE128:-VERS-ALL:+VERS-TLS1.2")
    done = check(path, "--require", "tls1.3", library=GNUTLS)
    assert versions(done) == {
        "SSLv2": "refused",
        "SSLv3": "refused",
        "TLSv1": "refused",
        "TLSv1.1": "refused",
        "TLSv1.2": "accepted",
        "TLSv1.3": "refused",
    }
    assert (done.code, found(done, "require")["place"]) == (1, {"file": str(path), "line": 3})


def test_a_sender_without_a_common_suite_is_led_to_the_line_of_the_suites(tmp_path: Path, chain: Path) -> None:
    options = ("tls_require_ciphers = ECDHE-RSA-CHACHA20-POLY1305", "openssl_options = +no_tlsv1_3")
    path = exim_conf(tmp_path, f"tls_certificate = {chain}", *options)
    done = check(path, "--sender", "postfix-2.11-openssl-1.0.2")
    sender = found(done, "sender")
    assert (done.code, sender["outcome"], sender["place"]) == (1, "failed", {"file": str(path), "line": 3})


def test_macros_conditions_and_includes_count_as_exim_reads_them(tmp_path: Path, chain: Path) -> None:
    (tmp_path / "tls.conf").write_text("openssl_options = OPTIONS\n")
    path = exim_conf(
        tmp_path,
        "OPTIONS = +no_tlsv1 +no_tlsv1_1 +no_tlsv1_2",
        f"tls_certificate = {chain}",
        ".ifdef _HAVE_OPENSSL",
        ".include tls.conf",
        ".endif",
        f".include_if_exists {tmp_path}/absent.conf",
    )
    done = check(path, "--require", "tls1.2")
    assert (done.code, found(done, "require")["place"]) == (1, {"file": str(tmp_path / "tls.conf"), "line": 1})


@pytest.mark.parametrize(
    ("option", "library", "reason"),
    [
        ("tls_advertise_hosts =", ("--openssl", "3.0"), "STARTTLS is not offered"),
        ("tls_advertise_hosts =", GNUTLS, "STARTTLS is not offered"),
        ("tls_eccurve = no-such-curve", ("--openssl", "3.0"), "no-such-curve"),
        ("tls_dhparam = ffdhe1", ("--openssl", "3.0"), "ffdhe1"),
        ("tls_require_ciphers = NORMAL:-VERS-TLS1.3:-RSA:-ECDHE-RSA:-DHE-RSA", GNUTLS, "leaves no suite"),
    ],
)
def test_a_server_without_tls_fails_with_reason_and_place(
    tmp_path: Path, chain: Path, option: str, library: tuple[str, ...], reason: str
) -> None:
    path = exim_conf(tmp_path, f"tls_certificate = {chain}", option)
    done = check(path, library=library)
    starttls = found(done, "require", "starttls")
    assert (done.code, starttls["outcome"], starttls["place"]) == (1, "failed", {"file": str(path), "line": 3})
    assert reason in starttls["summary"]


def test_whom_tls_is_not_for_is_noted(tmp_path: Path, chain: Path) -> None:
    path = exim_conf(
        tmp_path, f"tls_certificate = {chain}", "tls_advertise_hosts = 192.0.2.0/24", "tls_verify_hosts = *"
    )
    done = check(path)
    assert done.code == 0, done.out
    assert found(done, "configuration", "tls_advertise_hosts")["place"] == {"file": str(path), "line": 3}
    assert "have to show a certificate" in found(done, "configuration", "tls_verify_hosts")["summary"]


# Certificates, and what the server is called


def test_a_certificate_that_cannot_be_read_is_one_line_and_cert_stands_for_it(tmp_path: Path, chain: Path) -> None:
    path = exim_conf(tmp_path, "tls_certificate = /nowhere/mx.pem")
    line = complaint(check(path))
    assert f"{path}: line 2: tls_certificate: /nowhere/mx.pem cannot be read" in line
    assert "--cert FULLCHAIN.pem says which certificate it is" in line
    assert check(path, "--cert", chain).code == 0


def test_a_certificate_that_depends_on_the_connection_is_stated(tmp_path: Path, chain: Path) -> None:
    path = exim_conf(tmp_path, "tls_certificate = /etc/tls/$tls_in_sni.pem")
    assert f"{path}: line 2: tls_certificate holds '$tls_in_sni'" in complaint(check(path))
    assert check(path, "--cert", chain).code == 0


def test_an_empty_certificate_is_one_line(tmp_path: Path, chain: Path) -> None:
    path = exim_conf(tmp_path, "tls_certificate =")
    assert f"{path}: line 2: tls_certificate is empty" in complaint(check(path))
    assert check(path, "--cert", chain).code == 0


def test_of_a_certificate_that_exim_makes_itself_nothing_is_told(tmp_path: Path, chain: Path) -> None:
    path = exim_conf(tmp_path, "tls_advertise_hosts = *")
    done = check(path)
    assert (done.code, found(done, "require", "starttls")["outcome"]) == (3, "passed")
    assert found(done, "require", "not-expired")["outcome"] == "unknown"
    stated = check(path, "--cert", chain)
    assert stated.code == 0
    assert f"as if {chain} were" in found(stated, "configuration", "tls_certificate")["summary"]


def test_each_certificate_of_the_list_brings_its_suites(tmp_path: Path, chain: Path, authority: Authority) -> None:
    curve = tmp_path / "ec.pem"
    curve.write_bytes(authority.leaf("mx.example.org", key_type="EC").chain_pem)
    path = exim_conf(tmp_path, f"tls_certificate = {chain} : {curve}", "tls_require_ciphers = ECDHE+AESGCM")
    suites = check(path).document["targets"][0]["endpoints"][0]["protocols"]["TLSv1.2"]["suites"]
    assert {suite["name"].split("-")[1] for suite in suites} == {"RSA", "ECDSA"}


@pytest.mark.parametrize(
    ("arguments", "host"), [((), "mx.example.org"), (("--as", "a.test"), "a.test"), (("[b.test]",), "b.test")]
)
def test_the_server_is_called_as_is_said_or_by_its_primary_host_name(
    tmp_path: Path, chain: Path, arguments: tuple[str, ...], host: str
) -> None:
    path = exim_conf(tmp_path, f"tls_certificate = {chain}")
    (endpoint,) = check(path, *arguments).document["targets"][0]["endpoints"]
    assert endpoint["host"] == host


# Against a baseline


def test_the_loss_against_another_time_is_a_failed_check(tmp_path: Path, chain: Path) -> None:
    before = tmp_path / "before.json"
    before.write_text(check(exim_conf(tmp_path, f"tls_certificate = {chain}")).out)
    path = exim_conf(tmp_path, f"tls_certificate = {chain}", "openssl_options = +no_tlsv1_2")
    done = check(path, "--baseline", before)
    lost = found(done, "keeps", "TLSv1.2")
    assert (done.code, lost["outcome"], lost["place"]) == (1, "failed", {"file": str(path), "line": 3})


@pytest.mark.parametrize("priority", ["NORMAL", "SECURE128:-VERS-ALL:+VERS-TLS1.2:+VERS-TLS1.1:%SERVER_PRECEDENCE"])
def test_nothing_of_a_real_exim_is_lost_by_its_own_configuration(tmp_path: Path, priority: str) -> None:
    before, chains = tmp_path / "before.json", list[str | Path]()
    with exim_server(priority=priority) as server:
        assert server.log is not None
        for number, issued in enumerate(server.certificates):
            shown = tmp_path / f"shown{number}.pem"
            shown.write_bytes(issued.chain_pem)
            chains += ["--cert", shown]
        limits = ("--per-address", "8")
        probed = mxprobe("probe", f"[127.0.0.1]:{server.port}", "--depth", "full", *limits, "--format", "json")
        before.write_text(probed.out)
        path = tmp_path / "exim.conf"
        path.write_bytes((server.log.parent.parent / "exim.conf").read_bytes())
    done = check(path, *chains, "--baseline", before, "--require", "starttls", library=GNUTLS)
    kept = [each for each in done.document["checks"] if each["id"] == "keeps"]
    assert {"starttls", "TLSv1.2", "TLSv1.2 suites"} <= {each["name"] for each in kept}
    assert [each for each in kept if each["outcome"] != "passed"] == []
    assert [each for each in done.document["checks"] if each["id"] == "gained"] == []
    assert done.code == 0


# What is wrong in a file or an option


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("tls_certificate = /a\n.include /nowhere/tls.conf\n", 2, "it includes /nowhere/tls.conf, which is not there"),
        ("tls_advertise_hosts = *\n\ntls_require_ciphers = ${if eq{a}{b}{HIGH}}\n", 3, "cannot be told from the file"),
        (".ifdef _HAVE_DANE\nopenssl_options = +no_tlsv1\n.endif\n", 2, "_HAVE_DANE"),
        ("tls_require_cipher = HIGH\n", 1, "did you mean 'tls_require_ciphers'?"),
        ("tls_require_ciphers = NO-SUCH-SUITE\n", 1, "NO-SUCH-SUITE"),
        ("openssl_options = +no_such\n", 1, "no_such"),
        ("tls_certificate\n", 1, "no value"),
        (".ifdef X\n", 1, "never closed"),
        ("\0\0", 1, "NUL"),
        (f".include /{'a' * 300}\n", 1, "File name too long"),
        ("primary_hostname = a..b\n", 1, "primary_hostname"),
    ],
)
def test_a_half_written_file_is_one_line_with_its_place(
    tmp_path: Path, chain: Path, text: str, line: int, problem: str
) -> None:
    path = tmp_path / "exim.conf"
    path.write_text(text)
    said = complaint(check(path, "--cert", chain))
    assert f"{path}: line {line}: " in said
    assert problem in said


def test_a_priority_string_that_gnutls_refuses_is_at_its_line(tmp_path: Path, chain: Path) -> None:
    path = exim_conf(tmp_path, f"tls_certificate = {chain}", "tls_require_ciphers = NORMAL:+NO-SUCH-WORD")
    assert f"{path}: line 3: tls_require_ciphers: the priority string" in complaint(check(path, library=GNUTLS))


def test_options_of_openssl_do_not_go_with_gnutls(tmp_path: Path, chain: Path) -> None:
    path = exim_conf(tmp_path, f"tls_certificate = {chain}", "openssl_options = +no_tlsv1")
    assert f"{path}: line 3: openssl_options is set" in complaint(check(path, library=GNUTLS))


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--openssl", "3.0", "--main-cf", "main.cf"], "--exim: it stands in the place of --main-cf"),
        (["--openssl", "3.0", "--postconf", "-"], "--exim: it stands in the place of --main-cf"),
        (["--openssl", "3.0", "--outbound"], "--outbound: it is about a Postfix"),
        (["--openssl", "3.0", "--postfix", "3.7"], "--postfix: it is about a Postfix"),
        (["--openssl", "3.0", "--master-cf", "master.cf"], "--master-cf: it is about a Postfix"),
        (["--openssl", "3.0", "-o", "a=b"], "-o: it is about a Postfix"),
        (["--openssl", "3.0", "--connect", "192.0.2.1"], "--connect: a configuration is judged on paper"),
        (["--openssl", "3.0", "a.test", "b.test"], "NEXT_HOP: an Exim's configuration is for one server"),
        (["--openssl", "3.0", "-c", "probes.toml"], "--config: an Exim's configuration is judged by itself"),
        (["--openssl", "4.9"], "no OpenSSL that is known"),
        (["--openssl", "3.0", "--tls-library", "gnutls"], "--openssl: an Exim has one TLS library"),
        (["--tls-library", "openssl"], "--openssl: it is missing"),
        (["--tls-library", "nss"], "--tls-library: 'nss' is no TLS library of Exim"),
        (["--openssl", "3.0", "--cert", "/nowhere"], "--cert: /nowhere cannot be read"),
        (["--openssl", "3.0", "--as", "a b"], "--as: "),
        (["--openssl", "3.0", "--baseline", "/nowhere"], "/nowhere"),
    ],
)
def test_what_is_missing_or_does_not_go_together_is_said_in_one_line(
    tmp_path: Path, chain: Path, arguments: list[str], problem: str
) -> None:
    path = exim_conf(tmp_path, f"tls_certificate = {chain}")
    assert problem in complaint(mxprobe("check", "--exim", path, *arguments))


def test_a_tls_library_is_that_of_an_exim() -> None:
    said = complaint(mxprobe("check", "--main-cf", "main.cf", "--tls-library", "gnutls"))
    assert "--tls-library: it is about an Exim, and goes with --exim" in said


@pytest.mark.parametrize(
    ("version", "library"),
    [("Support for: iconv() IPv6 GnuTLS DANE", "GnuTLS"), ("Support for: IPv6 OpenSSL DKIM", "OpenSSL")],
)
def test_a_library_that_is_not_stated_is_that_of_this_machine(
    tmp_path: Path, chain: Path, monkeypatch: pytest.MonkeyPatch, version: str, library: str
) -> None:
    exim = tmp_path / "exim"
    exim.write_text(f"#!/bin/sh\necho '{version}'\n")
    exim.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    done = check(exim_conf(tmp_path, f"tls_certificate = {chain}"), library=())
    assert done.code == 0, done.err
    assert f"(Exim on {library} 3." in json.loads(done.out)["subject"]


@pytest.mark.parametrize("name", ["absent.conf", ".", "/dev/zero"])
def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path, name: str) -> None:
    assert str(tmp_path / name) in complaint(check(tmp_path / name))
