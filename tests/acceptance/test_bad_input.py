"""A mistake of the user is one line that says what, where and what is allowed; nothing is dialled, nothing written."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from acceptance.command import Done, command, complaint, environment, mxprobe, mxprobe_process
from acceptance.world import configuration, name_server
from servers.certificates import Authority
from servers.running import free_port
from servers.smtp_front import Front, Script, smtp_front


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


DEPTHS = "(allowed: quick, standard, full, everything)"
PROTOCOLS = "(allowed: SSLv2, SSLv3, TLSv1, TLSv1.1, TLSv1.2, TLSv1.3)"

# Arguments behind the next-hop of a server that works, and what the line has to say.
OPTIONS = [
    (["--depth", "deep"], ["--depth", "'deep'", DEPTHS]),
    (["--depth", ""], ["--depth", "''", DEPTHS]),
    (["--format", "xml"], ["--format", "'xml'", "(allowed: text, json, ndjson)"]),
    (["--timeout", "5"], ["--timeout", "'5'", "greeting"]),
    (["--timeout", "greet=5"], ["--timeout", "'greet=5'", "greeting"]),
    (["--timeout", "greeting=soon"], ["--timeout", "'greeting=soon'", "0.1 to 3600"]),
    (["--timeout", "greeting=0"], ["--timeout", "'greeting=0'", "0.1 to 3600"]),
    (["--timeout", "greeting=-1"], ["--timeout", "'greeting=-1'", "0.1 to 3600"]),
    (["--timeout", "greeting=nan"], ["--timeout", "'greeting=nan'", "0.1 to 3600"]),
    (["--timeout", "greeting=inf"], ["--timeout", "'greeting=inf'", "0.1 to 3600"]),
    (["--resolver", "ns.test"], ["--resolver", "'ns.test'", "(allowed: ADDR, ADDR:PORT, [IPv6]:PORT)"]),
    (["--resolver", "127.0.0.1:65536"], ["--resolver", "'65536'", "1 to 65535"]),
    (["--resolver", ""], ["--resolver", "''", "ADDR:PORT"]),
    (["--connect", "1.2.3"], ["--connect", "'1.2.3'", "ADDR:PORT"]),
    (["--connect", "mx.test"], ["--connect", "'mx.test'", "ADDR:PORT"]),
    (["--connect", "mx.test=there"], ["--connect", "'there'", "NAME=ADDR"]),
    (["--connect", "a b=127.0.0.1"], ["--connect", "'a b'", "host name"]),
    (["--connect", "127.0.0.1:99999"], ["--connect", "'99999'", "1 to 65535"]),
    (["--connect", ""], ["--connect", "empty"]),
    (["--connect", "127.0.0.1", "--as", "a b"], ["--as", "'a b'", "host name"]),
    (["--connect", "127.0.0.1", "--connect", "127.0.0.2"], ["--connect", "NAME=ADDR"]),
    (["--as", "mx.test"], ["--as", "--connect"]),
    (["--require", "trust"], ["--require", "'trust'", "starttls", "trusted", "tls1.2", "!"]),
    (["--require", ""], ["--require", "''", "starttls"]),
    (["--require", "trusted,,starttls"], ["--require", "''", "starttls"]),
    (["--require", "shared-cipher"], ["--require", "shared-cipher", "--profile"]),
    (["--profile", "TLSv9:AES128-SHA"], ["--profile", "'TLSv9'", PROTOCOLS]),
    (["--profile", ":AES128-SHA"], ["--profile", "''", PROTOCOLS]),
    (["--profile", "TLSv1.2:"], ["--profile", "''", "cipher suite"]),
    (["--profile", "TLSv1.2:AES128"], ["--profile", "'AES128'", "cipher suite"]),
    (["--profile", "TLSv1.2:0x010080"], ["--profile", "'0x010080'", "SSLv2"]),
    (["--profile", "SSLv2:AES128-SHA"], ["--profile", "'AES128-SHA'", "SSLv2", "RC4-MD5"]),
    (["--profile", "outbound"], ["probes.toml", "cannot be read"]),
    (["--profile", "postfix:"], ["--profile", "postfix:FILE", "postfix:live"]),
    (["--profile", "postfix:none.cf"], ["--profile", "none.cf", "cannot be read"]),
    (["--profile", "recorded:none.json"], ["--profile", "none.json", "cannot be read"]),
    (["--profile", "sender:nobody"], ["--profile", "'nobody'", "mxprobe senders"]),
    (["--profile", "gnutls:NORMAL:+NONSENSE"], ["--profile", "+NONSENSE"]),
    (["--profile", "outbound", "--config", "none.toml"], ["none.toml", "cannot be read"]),
    (["--protocol", "TLSv9"], ["--protocol", "'TLSv9'", PROTOCOLS]),
    (["--protocol", ""], ["--protocol", "''", PROTOCOLS]),
    (["--cipher", "AES128"], ["--cipher", "'AES128'", "cipher suite"]),
    (["--cipher", ""], ["--cipher", "''", "cipher suite"]),
    (["--cipher", "0x1000000"], ["--cipher", "'0x1000000'", "cipher suite"]),
    (["--cipher", "0xFFFE"], ["--protocol", PROTOCOLS]),
    (["--protocol", "TLSv1.2", "--cipher", "0x010080"], ["--cipher", "'0x010080'", "TLSv1.2"]),
    (["--protocol", "SSLv2", "--cipher", "AES128-SHA"], ["--cipher", "'AES128-SHA'", "SSLv2", "RC4-MD5"]),
    (["--ehlo", "a b"], ["--ehlo", "'a b'", "[ADDRESS]"]),
    (["--ehlo", "a\r\nMAIL FROM:<>"], ["--ehlo", r"\r\n", "[ADDRESS]"]),
    (["--ehlo", ""], ["--ehlo", "empty"]),
    (["--contact", "the postmaster"], ["--contact", "'the postmaster'", "no spaces"]),
    (["--contact", "a@b.test\r\nRSET"], ["--contact", r"\r\n"]),
    (["--contact", ""], ["--contact", "''"]),
    (["--verify-depth", "0"], ["--verify-depth", "1"]),
    (["--verify-depth", "101"], ["--verify-depth", "100"]),
    (["--verify-depth", "deep"], ["--verify-depth", "'deep'"]),
    (["--per-address", "0"], ["--per-address", "1"]),
    (["--connections", "0"], ["--connections", "1"]),
    (["--deadline", "0"], ["--deadline", "1"]),
    (["--deadline", "nan"], ["--deadline", "86400"]),
    (["--ca-path", "/none"], ["/none", "No such file or directory"]),
    (["--ca-path", ""], ["--ca-path", "empty"]),
    (["--ca-file", "/none"], ["/none", "No such file or directory"]),
    (["--ca-file", ""], ["--ca-file", "empty"]),
    (["--ca-file", "."], ["directory"]),
    (["--ca-path", "/etc/passwd"], ["/etc/passwd", "not a directory"]),
    (["--ca-file", "/etc/passwd"], ["/etc/passwd", "no PEM certificate"]),
    (["--nonsense"], ["--nonsense"]),
    (["--format"], ["--format", "argument"]),
    (["[127.0.0.1"], ["'[127.0.0.1'", "bracket"]),
    (["a b"], ["'a b'", "[host]:port"]),
]


@pytest.mark.parametrize(("arguments", "fragments"), OPTIONS, ids=lambda value: " ".join(value))
def test_a_wrong_option_is_one_line_before_anything_is_dialled(
    arguments: list[str],
    fragments: list[str],
    here: Path,
    front: Front,
    next_hop: str,
) -> None:
    line = complaint(mxprobe("probe", next_hop, *arguments))
    assert all(fragment in line for fragment in fragments), line
    assert front.connections == 0
    assert not list(here.iterdir())


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "-",
        "exa mple.test",
        "example..test",
        "example.test:0",
        "example.test:65536",
        "example.test:mail",
        "[example.test",
        "[example.test]25",
        "[]",
        "256.1.1.1",
        "::1",
        "[IPv6:::g]",
        "user@example.test",
        "https://example.test",
        "x" * 64 + ".test",
        "\x1b[2Jexample.test",
        "exa\nmple.test",
    ],
)
def test_a_mistyped_next_hop_is_quoted_with_what_is_allowed(text: str, here: Path) -> None:
    line = complaint(mxprobe("probe", "--", text))
    assert "not a next-hop: " in line
    assert "[host]:port" in line
    assert line.isprintable()
    assert not list(here.iterdir())


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        (["prob"], "'prob'"),
        (["--nonsense"], "--nonsense"),
        (["probe"], "nothing to probe"),
        (["probe", "a.test", "b.test", "--connect", "127.0.0.1"], "NAME=ADDR"),
        (["scan", "example.test"], "example.test"),
        (["scan", "--depth", "full"], "--depth"),
        (["scan", "--format", "xml"], "'xml'"),
        (["scan"], "probes.toml: cannot be read"),
        (["show"], "probes.toml: cannot be read"),
        (["show", "--store", "mysql://host/db"], "sqlite:///FILE"),
        (["show", "--store", "sqlite:///none.db"], "no such database"),
        (["show", "--format", "xml", "--store", "sqlite:///none.db"], "'xml'"),
        (["demo", "extra"], "extra"),
        (["demo", "--database", "/none/demo.db"], "/none"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_wrong_command_is_one_line(arguments: list[str], fragment: str, here: Path) -> None:
    assert fragment in complaint(mxprobe(*arguments))
    assert not list(here.iterdir())


def test_without_a_command_the_help_is_shown_and_the_exit_code_is_that_of_wrong_usage() -> None:
    done = mxprobe()
    assert done.code == 2
    assert "Usage: mxprobe" in done.out
    for name in ("probe", "scan", "show", "demo"):
        assert name in done.out


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["probe", "--help"], ["scan", "-h"], ["show", "-h"]])
def test_help_is_no_mistake(arguments: list[str]) -> None:
    done = mxprobe(*arguments)
    assert (done.code, done.err) == (0, "")
    assert "Usage: mxprobe" in done.out


def test_a_ca_path_without_hash_links_says_so_and_names_the_remedy(
    here: Path, authority: Authority, front: Front, next_hop: str
) -> None:
    (here / "certs").mkdir()
    (here / "certs" / "root.pem").write_bytes(authority.pem)
    line = complaint(mxprobe("probe", next_hop, "--ca-path", "certs"))
    assert "no hash links" in line
    assert "openssl rehash certs" in line
    assert front.connections == 0

    subprocess.run(["openssl", "rehash", "certs"], check=True)
    assert mxprobe("probe", next_hop, "--ca-path", "certs", "--require", "trusted", "--depth", "quick").code == 0


@pytest.mark.parametrize("arguments", [["scan"], ["show"], ["probe", "127.0.0.1", "--profile", "outbound"]])
@pytest.mark.parametrize(
    ("text", "place", "allowed"),
    [
        ("[probe]\ndeth = 'full'\n", "probes.toml: probe.deth: unknown key", "depth"),
        ("[prob]\n", "probes.toml: prob: unknown key", "probe, limits, profiles, group, store"),
        (
            "[probe]\ndepth = 'ful'\n",
            "probes.toml: probe.depth: found 'ful'",
            "(allowed: quick, standard, full, everything)",
        ),
        ("[probe]\nverify_depth = '3'\n", "probes.toml: probe.verify_depth: found '3'", "from 1 to 100"),
        ("[probe]\nresolver = 'ns.test'\n", "probes.toml: probe.resolver", "ADDR:PORT"),
        ("[probe]\nehlo = 'a b'\n", "probes.toml: probe.ehlo", "host name"),
        ("[probe.timeouts]\ngreeting = 0\n", "probes.toml: probe.timeouts.greeting: found 0", "from 0.1 to 3600"),
        ("[limits]\nper_address = true\n", "probes.toml: limits.per_address: found True", "from 1 to 100"),
        ("[[group]]\nnext_hops = ['a.test']\n", "probes.toml: group[0].name: missing", "text"),
        ("[[group]]\nname = 'a'\n", "probes.toml: group[0]: it has no next-hops", "file"),
        ("[[group]]\nname = 'a'\nnext_hops = ['a b']\n", "probes.toml: group[0].next_hops[0]", "[host]:port"),
        ("[[group]]\nname = 'a'\nfile = 'none'\n", "probes.toml: group[0].file: none cannot be read", ""),
        (
            "[[group]]\nname = 'a'\nnext_hops = ['a.test']\nrequire = ['trust']\n",
            "probes.toml: group[0].require[0]: 'trust' is not a requirement; did you mean 'trusted'?",
            "starttls",
        ),
        (
            "[[group]]\nname = 'a'\nnext_hops = ['a.test']\nprofile = 'outbound'\n",
            "probes.toml: group[0].profile: there is no profile 'outbound'",
            "[profiles.NAME]",
        ),
        (
            "[profiles.outbound]\nprotocols = ['TLSv1.4']\nsuites = ['AES128-SHA']\n",
            "probes.toml: profiles.outbound.protocols[0]: found 'TLSv1.4'",
            "TLSv1.3",
        ),
        (
            "[profiles.outbound]\nprotocols = ['TLSv1.2']\nsuites = ['AES128']\n",
            "probes.toml: profiles.outbound.suites[0]: 'AES128' is not a cipher suite",
            "ECDHE-RSA-AES128-GCM-SHA256",
        ),
        ("[profiles.outbound]\n", "probes.toml: profiles.outbound: it does not say what is offered", "suites, postfix"),
        (
            "[profiles.outbound]\npostfix = 'main.cf'\nsender = 'a'\n",
            "probes.toml: profiles.outbound: it has postfix and sender",
            "exactly one of",
        ),
        ("[profiles.outbound]\npostfix = 'none.cf'\n", "probes.toml: profiles.outbound.postfix: ", ""),
        ("[profiles.outbound]\nexim = 'probes.toml'\nopenssl = '3.1'\n", "probes.toml: profiles.outbound.exim: ", ""),
        (
            "[profiles.outbound]\ntls_require_ciphers = 'NOPE'\nopenssl = '3.0'\n",
            "probes.toml: profiles.outbound.tls_require_ciphers: OpenSSL 3.0 refuses",
            "NOPE",
        ),
        ("[profiles.outbound]\ngnutls = 'NORMAL:+NONSENSE'\n", "probes.toml: profiles.outbound.gnutls: ", "+NONSENSE"),
        ("[store]\nurl = 'mysql://host/db'\n", "probes.toml: store.url: found 'mysql://host/db'", "sqlite:///FILE"),
        ("[probe\n", "probes.toml: line 1, column 7: not TOML", ""),
        ("[probe]\ndepth =\n", "probes.toml: line 2, column 8: not TOML", ""),
        ("\xff", "probes.toml: line 1: this is not UTF-8", ""),
    ],
)
def test_a_mistake_in_probes_toml_names_file_and_key_and_what_is_allowed(
    text: str, place: str, allowed: str, arguments: list[str], here: Path
) -> None:
    (here / "probes.toml").write_bytes(text.encode("latin-1"))
    line = complaint(mxprobe(*arguments))
    assert line.startswith(f"mxprobe: {place}")
    assert allowed in line
    assert [path.name for path in here.iterdir()] == ["probes.toml"]


def test_each_of_several_mistakes_in_probes_toml_has_a_line(here: Path) -> None:
    (here / "probes.toml").write_text("[probe]\ndepth = 'ful'\n\n[limits]\nconnections = 0\n")
    done = mxprobe("scan")
    assert done.code == 2
    keys = [line.split(": ")[:3] for line in done.err.splitlines()]
    assert keys == [["mxprobe", "probes.toml", "probe.depth"], ["mxprobe", "probes.toml", "limits.connections"]]


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        (["scan", "--group", "customers"], "there is no group 'customers'"),
        (["probe", "127.0.0.1", "--profile", "inbound"], "'inbound'"),
    ],
)
def test_a_name_that_probes_toml_does_not_have_comes_with_those_it_has(
    arguments: list[str], fragment: str, here: Path
) -> None:
    profile = {"protocols": ["TLSv1.2"], "suites": ["AES128-SHA"]}
    configuration(here, {"partners": {"next_hops": ["a.test"]}}, profiles={"outbound": profile})
    line = complaint(mxprobe(*arguments))
    assert fragment in line
    assert ("partners" if arguments[0] == "scan" else "outbound") in line
    assert [path.name for path in here.iterdir()] == ["probes.toml"]


def test_a_scan_of_nothing_is_a_mistake(here: Path) -> None:
    (here / "probes.toml").write_text("")
    assert "[[group]]" in complaint(mxprobe("scan"))
    assert [path.name for path in here.iterdir()] == ["probes.toml"]


@pytest.mark.parametrize("name", ["scan", "show"])
def test_a_database_that_a_newer_version_wrote_is_left_as_it_is(
    name: str, here: Path, front: Front, next_hop: str
) -> None:
    configuration(here, {"a": {"next_hops": [next_hop]}})
    with sqlite3.connect(here / "mxprobe.db") as database:
        database.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        database.execute("INSERT INTO alembic_version VALUES ('9999')")
    database.close()
    before = (here / "mxprobe.db").read_bytes()

    line = complaint(mxprobe(name))
    assert "mxprobe.db" in line
    assert "9999" in line
    assert "newer mxprobe" in line
    assert (here / "mxprobe.db").read_bytes() == before
    assert front.connections == 0


@pytest.mark.parametrize("name", ["scan", "show"])
@pytest.mark.parametrize(
    ("content", "fragment"),
    [(b"From: postmaster@example.test\n" * 100, "not a database"), (b"\0" * 4096, "not a database")],
)
def test_a_file_that_is_no_database_is_left_as_it_is(
    name: str,
    content: bytes,
    fragment: str,
    here: Path,
    front: Front,
    next_hop: str,
) -> None:
    configuration(here, {"a": {"next_hops": [next_hop]}})
    (here / "mxprobe.db").write_bytes(content)
    line = complaint(mxprobe(name))
    assert "mxprobe.db" in line
    assert fragment in line
    assert (here / "mxprobe.db").read_bytes() == content
    assert front.connections == 0


def test_a_database_of_another_program_is_left_as_it_is(here: Path, front: Front, next_hop: str) -> None:
    configuration(here, {"a": {"next_hops": [next_hop]}})
    with sqlite3.connect(here / "mxprobe.db") as database:
        database.execute("CREATE TABLE mailboxes (name)")
    database.close()
    before = (here / "mxprobe.db").read_bytes()
    assert "not one of mxprobe" in complaint(mxprobe("scan"))
    assert (here / "mxprobe.db").read_bytes() == before
    assert front.connections == 0


@pytest.mark.parametrize("arguments", [[], ["--plan"], ["--protocol", "TLSv1.2"], ["--format", "json"]])
def test_a_name_server_that_cannot_be_reached_is_a_mistake_of_the_setting(arguments: list[str]) -> None:
    port = free_port()
    done = mxprobe("probe", "a.test", "b.test", "--resolver", f"127.0.0.1:{port}", *arguments)
    line = complaint(done)
    assert "no name server can be reached" in line
    assert f"127.0.0.1:{port}" in line


def test_a_scan_without_a_name_server_says_so(here: Path) -> None:
    configuration(here, {"a": {"next_hops": ["a.test", "b.test"]}}, resolver=f"127.0.0.1:{free_port()}")
    assert "no name server can be reached" in complaint(mxprobe("scan"))


@pytest.mark.parametrize("address", ["224.0.0.1", "255.255.255.255"])
def test_no_way_to_a_server_is_unknown_and_not_a_mistake(address: str) -> None:
    # No TCP goes to these addresses anywhere, so the kernel says what it says without a network.
    done = mxprobe("probe", f"[{address}]:25", "--format", "json")
    assert done.code == 3
    (endpoint,) = done.document["targets"][0]["endpoints"]
    assert endpoint["starttls"]["state"] == "unknown"
    assert "Network is unreachable" in endpoint["starttls"]["reason"]
    assert "starttls could not be told" in done.err
    assert "Network is unreachable" in done.err


@pytest.mark.parametrize(
    ("arguments", "module", "remedy"),
    [
        (["demo"], "tlslite", "pip install 'mxprobe[demo]'"),
        (["demo"], "sqlalchemy", "pip install 'mxprobe[demo]'"),
        (["scan"], "sqlalchemy", "pip install 'mxprobe[store]'"),
        (["scan"], "alembic", "pip install 'mxprobe[store]'"),
        (["show"], "alembic", "pip install 'mxprobe[store]'"),
    ],
)
def test_a_missing_extra_is_named_with_how_to_install_it(
    arguments: list[str], module: str, remedy: str, tmp_path: Path
) -> None:
    configuration(tmp_path, {"a": {"next_hops": ["[127.0.0.1]:1"]}})
    done = without(module, *arguments, cwd=tmp_path)
    assert remedy in done.err
    assert (done.code, len(done.err.splitlines())) == (2, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["probes.toml"]


def test_uvloop_and_the_extras_are_not_needed_for_a_probe(next_hop: str) -> None:
    done = without("uvloop,tlslite,sqlalchemy,alembic", "probe", next_hop, "--depth", "quick")
    assert (done.code, done.err) == (0, "")
    assert "STARTTLS works" in done.words


def without(modules: str, *arguments: str, cwd: Path | None = None) -> Done:
    """Run the command where these modules cannot be imported."""
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({modules.split(',')!r})); from mxprobe.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *arguments],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return Done(code=done.returncode, out=done.stdout, err=done.stderr)


def test_the_program_itself_ends_with_the_exit_code_and_the_line() -> None:
    assert complaint(mxprobe_process("probe", "a b")) == complaint(mxprobe_process("probe", "a b", "--format", "json"))
    assert "'prob'" in complaint(mxprobe_process("prob"))


@pytest.mark.parametrize("arguments", [["--format", "text"], ["--format", "json"], ["--trace"], ["--plan"]])
def test_a_reader_that_goes_away_is_no_finding_and_no_traceback(arguments: list[str], next_hop: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            command("probe", next_hop, "--depth", "quick", *arguments),
            env=environment(),
            stdout=writing,
            stderr=subprocess.PIPE,
            check=False,
            timeout=60,
        )
    finally:
        os.close(writing)
    # As the shell reports a program that died of SIGPIPE.
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, b"")


@pytest.mark.parametrize("arguments", [["--format", "text"], ["--format", "json"], ["--plan"]])
def test_a_full_disk_is_one_line_and_no_finding(arguments: list[str], next_hop: str) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            command("probe", next_hop, "--depth", "quick", *arguments),
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("mxprobe: ")
    assert "No space left on device" in line


@pytest.mark.parametrize("name", ["probe", "scan"])
def test_control_c_ends_a_command_without_a_traceback(name: str, tmp_path: Path) -> None:
    with smtp_front(script=Script(banner_delay_seconds=3600)) as front:
        hop = f"[127.0.0.1]:{front.port}"
        configuration(tmp_path, {"a": {"next_hops": [hop]}})
        arguments = ["scan"] if name == "scan" else ["probe", hop]
        with subprocess.Popen(
            command(*arguments),
            cwd=tmp_path,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as running:
            while not front.connections:
                assert running.poll() is None
                time.sleep(0.01)
            running.send_signal(signal.SIGINT)
            out, err = running.communicate(timeout=60)
    assert (running.returncode, out, err) == (128 + signal.SIGINT, b"", b"")


def test_nothing_is_asked_of_the_dns_when_one_of_several_next_hops_is_mistyped() -> None:
    with name_server("good.test. MX 0 .") as names:
        resolver = "{}:{}".format(*names.address)
        assert "'b d'" in complaint(mxprobe("probe", "good.test", "b d", "--resolver", resolver))
        assert names.questions == []
