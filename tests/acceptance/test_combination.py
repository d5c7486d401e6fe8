"""`mxprobe probe --protocol --cipher`: one combination, with the lines and the exit code of `openssl s_client`."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from acceptance.command import Done, mxprobe
from acceptance.world import address_of, name_server
from servers.certificates import CLIENT_AUTH, Authority, Issued, make_leaf
from servers.node_server import node_server
from servers.openssl_server import openssl_server
from servers.running import RunningServer
from servers.smtp_front import Script, smtp_front
from servers.tlslite_server import tlslite_server

OPTION = {"TLSv1": "-tls1", "TLSv1.1": "-tls1_1", "TLSv1.2": "-tls1_2", "TLSv1.3": "-tls1_3"}


def s_client(port: int, ca_path: Path, protocol: str, name: str) -> Done:
    """What s_client says of one combination, and returns where the chain must verify."""
    command = ["openssl", "s_client", "-starttls", "smtp", "-connect", f"127.0.0.1:{port}", OPTION[protocol]]
    command += ["-ciphersuites", name] if protocol == "TLSv1.3" else ["-cipher", f"{name}:@SECLEVEL=0"]
    command += ["-CApath", str(ca_path), "-verify", "9", "-verify_return_error"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60)
    return Done(code=done.returncode, out=done.stdout, err=done.stderr)


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server with one certificate, and the verify code that it deserves (openssl-verification-options(1))."""

    port: int
    code: int


SHOWN: dict[str, tuple[Callable[[Authority], Issued], int]] = {
    "trusted": (lambda root: root.intermediate().leaf("mx.test"), 0),
    "self-signed": (lambda root: make_leaf("mx.test"), 18),
    "unknown issuer": (lambda root: Authority.root("private root").leaf("mx.test"), 20),
    "missing intermediate": (lambda root: replace(root.intermediate().leaf("mx.test"), issuers=()), 20),
    "expired": (lambda root: root.leaf("mx.test", not_after=datetime.now(UTC) - timedelta(hours=1)), 10),
    "wrong purpose": (lambda root: root.leaf("mx.test", eku=[CLIENT_AUTH]), 26),
}


@pytest.fixture(scope="module")
def servers(authority: Authority) -> Iterator[dict[str, Server]]:
    """A server for each of `SHOWN`, with RSA suites of TLS 1.0 to 1.3."""
    with ExitStack() as stack:
        started = {}
        for name, (make, code) in SHOWN.items():
            server = openssl_server(
                cipher="AES128-SHA:AES256-SHA:ECDHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0",
                ciphersuites="TLS_AES_128_GCM_SHA256",
                certificates=[make(authority)],
            )
            front = stack.enter_context(smtp_front(stack.enter_context(server)))
            started[name] = Server(port=front.port, code=code)
        yield started


@pytest.mark.parametrize("shown", SHOWN)
@pytest.mark.parametrize(
    ("protocol", "name", "accepted"),
    [
        ("TLSv1", "AES128-SHA", True),
        ("TLSv1.2", "ECDHE-RSA-AES128-GCM-SHA256", True),
        ("TLSv1.2", "AES128-GCM-SHA256", False),
        ("TLSv1.3", "TLS_AES_128_GCM_SHA256", True),
        ("TLSv1.3", "TLS_AES_256_GCM_SHA384", False),
    ],
)
def test_the_exit_code_and_the_lines_are_those_of_s_client(
    shown: str, protocol: str, name: str, accepted: bool, servers: dict[str, Server], ca_path: Path
) -> None:
    server = servers[shown]
    theirs = s_client(server.port, ca_path, protocol, name)
    ours = mxprobe(
        "probe", f"[127.0.0.1]:{server.port}", "--protocol", protocol, "--cipher", name, "--ca-path", ca_path
    )
    assert theirs.code == (0 if accepted and server.code == 0 else 1), theirs
    assert ours.code == theirs.code, ours
    assert ours.err == ""
    lines = ours.out.splitlines()
    assert lines[0] == f"CONNECTED(127.0.0.1:{server.port})"
    if not accepted:
        assert "New, (NONE), Cipher is (NONE)" in lines
        assert "no peer certificate available" in lines
        assert "New, (NONE), Cipher is (NONE)" in theirs.out
        return
    assert f"New, {protocol}, Cipher is {name}" in lines
    assert said_of_the_chain(ours.out) == said_of_the_chain(theirs.out)
    assert verification(ours.out) == verification(theirs.err)
    # After an error s_client, too, has no more to say of the session.
    if server.code == 0:
        # s_client names the version in which the suite was defined there, and that of the session elsewhere.
        assert re.search(rf"^New, \S+, Cipher is {name}$", theirs.out, re.MULTILINE)
        assert "Verify return code: 0 (ok)" in theirs.out
    assert re.search(rf"^ *Verify return code: {server.code} \(", ours.out, re.MULTILINE)


def said_of_the_chain(text: str) -> list[str]:
    """The lines with names and dates, the same in all versions of OpenSSL but for blanks around =."""
    lines = re.findall(r"^(?: *\d+ s:| +i:| +v:).*", text, re.MULTILINE)
    assert lines
    return [line.replace(" = ", "=") for line in lines]


def verification(text: str) -> list[str]:
    """What the verify callback says of each certificate."""
    lines = re.findall(r"^(?:depth=|verify error:num=|verify return:).*", text, re.MULTILINE)
    assert lines
    return [line.replace(" = ", "=") for line in lines if not line.startswith("verify return:0")]


@pytest.mark.parametrize("shown", ["trusted", "self-signed", "expired"])
def test_without_a_ca_the_chain_is_shown_and_does_not_decide(shown: str, servers: dict[str, Server]) -> None:
    hop = f"[127.0.0.1]:{servers[shown].port}"
    done = mxprobe("probe", hop, "--protocol", "TLSv1.2", "--cipher", "AES128-SHA")
    assert done.code == 0
    assert "Verify return code: " in done.out
    assert "Verify return code: 0" not in done.out
    assert mxprobe("probe", hop, "--protocol", "TLSv1.2", "--cipher", "AES128-GCM-SHA256").code == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--protocol", "tlsv1.1"], "New, TLSv1.1, Cipher is AES"),
        (["--protocol", "TLSv1.0", "--cipher", "TLS_RSA_WITH_AES_256_CBC_SHA"], "New, TLSv1, Cipher is AES256-SHA"),
        (["--cipher", "0xC02F"], "New, TLSv1.2, Cipher is ECDHE-RSA-AES128-GCM-SHA256"),
        (["--cipher", "TLS_AES_128_GCM_SHA256"], "New, TLSv1.3, Cipher is TLS_AES_128_GCM_SHA256"),
    ],
)
def test_protocol_or_suite_may_be_left_away_and_go_by_other_names(
    arguments: list[str], said: str, servers: dict[str, Server]
) -> None:
    done = mxprobe("probe", f"[127.0.0.1]:{servers['trusted'].port}", *arguments)
    assert done.code == 0
    assert said in done.out


def test_json_holds_the_combination_and_what_came_of_it(servers: dict[str, Server], ca_path: Path) -> None:
    hop = f"[127.0.0.1]:{servers['expired'].port}"
    options = ["--protocol", "TLSv1.2", "--cipher", "AES128-SHA", "--ca-path", ca_path]
    done = mxprobe("probe", hop, *options, "--format", "json")
    assert done.code == 1
    document = done.document
    assert document["schema"] == "mxprobe/1"
    assert (document["protocol"], document["suite_name"], document["state"]) == ("TLSv1.2", "AES128-SHA", "accepted")
    assert document["verification"]["code"] == 10
    (line,) = mxprobe("probe", hop, *options, "--format", "ndjson").lines
    assert line == document


# What no OpenSSL of today can say


@pytest.fixture(scope="module")
def sslv2_server(authority: Authority) -> Iterator[RunningServer]:
    with node_server(certificate_shown=authority.leaf("mx.test")) as server:
        yield server


@pytest.fixture(scope="module")
def sslv3_server(authority: Authority) -> Iterator[RunningServer]:
    with tlslite_server(highest="SSLv3", ciphers=["rc4", "3des"], certificates=[authority.leaf("mx.test")]) as server:
        yield server


@pytest.mark.parametrize(
    ("protocol", "name", "code"),
    [
        ("SSLv2", "RC4-MD5", 0),
        ("SSLv2", "DES-CBC3-MD5", 0),
        ("SSLv2", "EXP-RC4-MD5", 0),
        ("SSLv2", "EXP-RC2-CBC-MD5", 0),
        ("SSLv2", "SSL_CK_DES_64_CBC_WITH_MD5", 0),
        ("SSLv2", "0x040080", 0),
        ("SSLv2", "RC4-64-MD5", 1),
        ("SSLv3", "RC4-MD5", 0),
        ("SSLv3", "DES-CBC-SHA", 0),
        ("SSLv3", "EXP-RC4-MD5", 1),
        ("SSLv3", "EXP-DES-CBC-SHA", 1),
        ("SSLv3", "EXP1024-RC4-SHA", 1),
        ("TLSv1.2", "RC4-SHA", 0),
    ],
)
def test_sslv2_sslv3_and_export_suites_can_still_be_asked_for(
    protocol: str, name: str, code: int, sslv2_server: RunningServer, ca_path: Path
) -> None:
    with smtp_front(sslv2_server) as front:
        options = ["--protocol", protocol, "--cipher", name, "--ca-path", ca_path]
        done = mxprobe("probe", f"[127.0.0.1]:{front.port}", *options)
    assert done.code == code, done
    said = f"New, {protocol}, Cipher is " if code == 0 else "New, (NONE), Cipher is (NONE)"
    assert said in done.out
    assert ("Verify return code: 0 (ok)" in done.out) == (code == 0)


@pytest.mark.parametrize(
    ("protocol", "name", "code"),
    [("SSLv3", "RC4-SHA", 0), ("SSLv3", "DES-CBC3-SHA", 0), ("SSLv3", "AES128-SHA", 1), ("TLSv1", "RC4-SHA", 1)],
)
def test_the_chain_of_a_server_that_only_speaks_sslv3_decides_as_that_of_any_other(
    protocol: str, name: str, code: int, sslv3_server: RunningServer, ca_path: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.pem"
    other.write_bytes(Authority.root("somebody else").pem)
    with smtp_front(sslv3_server) as front:
        arguments = ["probe", f"[127.0.0.1]:{front.port}", "--protocol", protocol, "--cipher", name]
        assert mxprobe(*arguments, "--ca-path", ca_path).code == code
        assert mxprobe(*arguments, "--ca-file", other).code == 1


# What was not seen


@pytest.mark.parametrize(
    "script",
    [
        Script(banner="421 4.7.0 mx.test Error: too many connections"),
        Script(starttls="454 4.7.0 TLS not available"),
        Script(reset_at_accept=True),
        Script(after_starttls="hang"),
    ],
)
def test_an_answer_that_is_none_is_unknown_and_never_a_no(script: Script) -> None:
    with smtp_front(script=script) as front:
        options = ["--protocol", "TLSv1.2", "--cipher", "AES128-SHA", "--timeout", "hello=0.3", "--timeout", "quit=0.1"]
        done = mxprobe("probe", f"[127.0.0.1]:{front.port}", *options, "--timeout", "handshake=0.3")
    assert done.code == 3
    assert "TLSv1.2 with AES128-SHA: unknown: " in done.out


def test_a_route_in_error_is_unknown_and_a_null_mx_is_not_dialled() -> None:
    with name_server("null.test. MX 0 .") as names:
        options = ["--protocol", "TLSv1.2", "--resolver", address_of(names)]
        missing = mxprobe("probe", "missing.test", *options)
        null = mxprobe("probe", "null.test", *options)
    assert (missing.code, missing.out) == (3, "")
    assert "NXDOMAIN" in missing.err
    assert (null.code, null.out) == (0, "")
    assert "null MX" in null.err


def test_a_trace_shows_the_one_hello_that_was_sent(servers: dict[str, Server]) -> None:
    hop = f"[127.0.0.1]:{servers['trusted'].port}"
    done = mxprobe("probe", hop, "--protocol", "TLSv1.2", "--cipher", "AES128-SHA", "--trace")
    assert done.code == 0
    assert done.out.count("> TLS handshake ClientHello") == 1
    assert done.out.count("< TLS handshake ServerHello") == 1
    assert "> STARTTLS" in done.out
