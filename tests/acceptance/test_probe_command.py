"""`mxprobe probe`: what an administrator sees of a server, in text and in JSON, and by the exit code."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from acceptance import json_schema
from acceptance.command import Done, mxprobe, mxprobe_process
from acceptance.world import address_of, configuration, name_server
from mxprobe.tls.suites import suite
from servers.certificates import Authority, make_leaf
from servers.openssl_server import openssl_server
from servers.running import RunningServer
from servers.smtp_front import Front, Script, smtp_front
from servers.tlslite_server import tlslite_server

CONTROL = re.compile(r"[^\n\x20-\x7e§]")
"""What no output may hold, whatever a peer sends; the section sign is ours, as in RFC 8446 §4.1.3."""


def verdict_states(target: Any) -> dict[str, str]:
    return {verdict["id"]: verdict["state"] for verdict in target["verdicts"]}


@pytest.fixture
def resolver() -> Iterator[str]:
    """A name server where example.test has the MX host mx.test, whose address is 127.0.0.1."""
    with name_server("example.test. MX 10 mx.test.", "mx.test. A 127.0.0.1", "null.test. MX 0 .") as names:
        yield address_of(names)


# What is printed


def test_the_report_has_the_route_every_protocol_and_suite_the_certificate_and_what_it_cost(
    front: Front, tls_server: RunningServer, resolver: str, ca_path: Path
) -> None:
    done = mxprobe(
        "probe", f"example.test:{front.port}", "--resolver", resolver, "--allow-private", "--ca-path", ca_path
    )
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"example.test:{front.port}  ok")
    assert "MX 10 mx.test" in done.words
    assert f"mx.test [127.0.0.1]:{front.port} STARTTLS works" in done.words
    for protocol in ("SSLv2", "SSLv3", "TLSv1", "TLSv1.1"):
        assert f" {protocol} refused" in done.words
    for protocol, numbers in tls_server.expected.items():
        assert f" {protocol} accepted {len(numbers)} suites complete" in done.words
        assert all(suite(number).name in done.words for number in numbers)
    assert "subject CN=mx.test" in done.words
    assert "issuer CN=acceptance root" in done.words
    assert "verify 0 (ok)" in done.words
    assert str(ca_path) in done.out.replace("\n", "")
    assert "matches mx.test" in done.words
    assert f"cost {front.connections} connections" in done.words


def test_output_in_a_pipe_is_plain_text_of_80_columns(next_hop: str, resolver: str) -> None:
    done = mxprobe_process("probe", next_hop, "null.test", "--resolver", resolver, "--verbose")
    assert not CONTROL.findall(done.out + done.err)
    # Words that cannot be broken may be longer.
    assert all(len(line) <= 80 or len(line.split()) == 1 for line in done.out.splitlines())


def test_json_is_one_document_by_the_committed_schema_and_the_fixed_names(
    front: Front, tls_server: RunningServer, resolver: str, ca_path: Path
) -> None:
    next_hop = f"example.test:{front.port}"
    options = ["--resolver", resolver, "--allow-private", "--ca-path", ca_path]
    document = mxprobe("probe", next_hop, "null.test", *options, "--format", "json").document
    assert json_schema.violations(document) == []

    # The names of docs/json.md, on which others build.
    assert document["schema"] == "mxprobe/1"
    assert document["started_at"].endswith("Z")
    assert document["connections"] == front.connections
    assert document["elapsed_seconds"] > 0
    target, null = document["targets"]
    assert target["next_hop"] == next_hop
    assert target["route"]["kind"] == "mx"
    (host,) = target["route"]["hosts"]
    assert (host["name"], host["canonical_name"], host["preference"]) == ("mx.test", "mx.test", 10)
    assert (host["addresses"], host["error"]) == (["127.0.0.1"], None)
    (endpoint,) = target["endpoints"]
    assert (endpoint["host"], endpoint["address"], endpoint["port"]) == ("mx.test", "127.0.0.1", front.port)
    assert endpoint["connections"] == front.connections
    assert endpoint["greeting"]["code"] == 220
    assert "STARTTLS" in endpoint["capabilities"]
    assert endpoint["starttls"]["state"] == "works"
    protocols = endpoint["protocols"]
    assert list(protocols) == ["SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]
    for protocol, facts in protocols.items():
        numbers = {int(found["id"], 16) for found in facts["suites"]}
        assert numbers == set(tls_server.expected.get(protocol, ()))
        assert (facts["state"], facts["complete"]) == ("accepted" if numbers else "refused", True)
    assert protocols["TLSv1.2"]["suites"][0].keys() >= {"id", "name", "iana"}
    assert endpoint["natural"]["protocol"] == "TLSv1.3"
    assert endpoint["natural"]["suite"] == "TLS_AES_256_GCM_SHA384"
    assert endpoint["natural"]["group"]
    (shown,) = endpoint["certificates"]
    assert (shown["subject"], shown["names"], shown["key"]) == ("CN=mx.test", ["mx.test", "127.0.0.1"], "RSA 2048")
    assert shown["chain"] == [shown["sha256"]]
    verification = endpoint["verification"]
    assert (verification["ok"], verification["code"], verification["depth"]) == (True, 0, 0)
    assert verification["ca_path"] == str(ca_path)
    states = {"starttls": "yes", "needs-sslv3": "no", "trusted": "yes", "name-matches": "yes", "not-expired": "yes"}
    assert verdict_states(target).items() >= states.items()
    assert all(verdict["source"] for verdict in target["verdicts"])
    assert (null["route"]["kind"], null["endpoints"]) == ("null-mx", [])
    assert verdict_states(null)["null-mx"] == "yes"


def test_ndjson_is_one_endpoint_a_line_and_a_line_for_a_target_without_any(tls_server: RunningServer) -> None:
    records = ("example.test. MX 10 mx.test.", "mx.test. A 127.0.0.1", "mx.test. A 127.0.0.2", "null.test. MX 0 .")
    with smtp_front(tls_server, addresses=("127.0.0.1", "127.0.0.2")) as front, name_server(*records) as names:
        options = ["--resolver", address_of(names), "--allow-private", "--depth", "quick", "--format", "ndjson"]
        done = mxprobe("probe", f"example.test:{front.port}", "null.test", *options)
    assert done.code == 0
    assert [json_schema.violations(line, json_schema.LINE) for line in done.lines] == [[], [], []]
    # As they finish: a target that nobody is asked for comes first.
    addresses = [(line["next_hop"], (line["endpoint"] or {}).get("address")) for line in done.lines]
    assert sorted(addresses, key=str) == [
        (f"example.test:{front.port}", "127.0.0.1"),
        (f"example.test:{front.port}", "127.0.0.2"),
        ("null.test", None),
    ]
    for line in (line for line in done.lines if line["endpoint"]):
        assert {verdict["endpoint"] for verdict in line["verdicts"]} <= {
            "",
            f"mx.test[{line['endpoint']['address']}]:{front.port}",
        }


def test_next_hops_that_lead_to_one_endpoint_share_its_probe(front: Front) -> None:
    records = ("one.test. MX 10 mx.test.", "two.test. MX 20 mx.test.", "mx.test. A 127.0.0.1")
    with name_server(*records) as names:
        hops = [f"one.test:{front.port}", f"two.test:{front.port}"]
        options = ["--resolver", address_of(names), "--allow-private", "--format", "json", "--depth", "standard"]
        document = mxprobe("probe", *hops, *options).document
    one, two = (target["endpoints"] for target in document["targets"])
    assert one == two
    assert one[0]["connections"] == document["connections"] == front.connections


# Exit codes

LIMITED = Script(banner="421 4.7.0 mx.test Error: too many connections")
NO_STARTTLS = Script(ehlo=("250-mx.test", "250 8BITMIME"))


@pytest.mark.parametrize(
    ("required", "code"),
    [
        ([], 0),
        (["starttls"], 0),
        (["starttls,tls1.2,tls1.3", "trusted,name-matches,not-expired"], 0),
        (["!needs-sslv3", "!tls1.0", "!tls1.1"], 0),
        (["tls1.1"], 1),
        (["starttls", "needs-sslv3"], 1),
        (["!tls1.3"], 1),
    ],
)
def test_the_exit_code_says_whether_what_is_required_holds(
    required: list[str], code: int, next_hop: str, ca_path: Path
) -> None:
    options = [word for text in required for word in ("--require", text)]
    done = mxprobe("probe", next_hop, "--depth", "standard", "--ca-path", ca_path, *options)
    assert done.code == code
    assert [line.partition(" not met")[0] for line in done.err.splitlines()] == (
        [f"mxprobe: {next_hop}: {required[-1]}"] if code else []
    )


@pytest.mark.parametrize(
    ("script", "required", "code"),
    [
        (NO_STARTTLS, [], 1),
        (NO_STARTTLS, ["--require", "trusted"], 3),
        (Script(starttls="502 5.5.1 not implemented"), [], 1),
        (Script(after_starttls="garbage"), [], 1),
        (LIMITED, [], 3),
        (LIMITED, ["--require", "!needs-sslv3"], 3),
        (Script(starttls="454 4.7.0 TLS not available"), [], 3),
        (Script(reset_at_accept=True), [], 3),
    ],
)
def test_what_is_broken_is_a_finding_and_what_was_not_seen_is_unknown(
    script: Script, required: list[str], code: int
) -> None:
    with smtp_front(script=script) as front:
        done = mxprobe("probe", f"[127.0.0.1]:{front.port}", "--depth", "quick", *required)
    assert done.code == code
    words = "not met" if code == 1 else "could not be told"
    assert re.fullmatch(rf"mxprobe: \[127.0.0.1\]:{front.port}: \S+ {words} at 127.0.0.1:{front.port}: .+\n", done.err)


def test_a_finding_wins_over_what_could_not_be_told() -> None:
    with smtp_front(script=NO_STARTTLS) as without, smtp_front(script=LIMITED) as limited:
        hops = [f"[127.0.0.1]:{limited.port}", f"[127.0.0.1]:{without.port}"]
        done = mxprobe("probe", *hops, "--depth", "quick")
    assert done.code == 1
    unknown, failed = done.err.splitlines()
    assert unknown.startswith(f"mxprobe: {hops[0]}: starttls could not be told")
    assert failed.startswith(f"mxprobe: {hops[1]}: starttls not met")


def test_a_name_that_does_not_exist_could_not_be_probed(resolver: str) -> None:
    done = mxprobe("probe", "missing.test", "--resolver", resolver)
    assert done.code == 3
    assert "does not exist (NXDOMAIN)" in done.words


@pytest.mark.parametrize("required", [[], ["--require", "starttls,trusted,tls1.3"], ["--require", "null-mx"]])
def test_a_null_mx_is_an_answer_and_nothing_is_dialled(required: list[str]) -> None:
    with name_server("null.test. MX 0 .", "null.test. A 127.0.0.1") as names:
        done = mxprobe("probe", "null.test", "--resolver", address_of(names), "--allow-private", *required)
        assert {kind for _, kind, _ in names.questions} == {"MX"}
    assert (done.code, done.err) == (0, "")
    assert "null MX" in done.words
    assert "nothing was dialled" in done.words
    assert "0 connections" in done.words


def test_mail_where_none_should_be_taken_is_a_finding(front: Front, resolver: str) -> None:
    options = ["--resolver", resolver, "--allow-private", "--depth", "quick", "--require", "null-mx"]
    assert mxprobe("probe", f"example.test:{front.port}", *options).code == 1


# --trace


def test_a_trace_has_the_dialogue_and_the_hellos_in_hex_and_nobody_logs_in(front: Front, next_hop: str) -> None:
    done = mxprobe("probe", next_hop, "--depth", "quick", "--ehlo", "probe.test", "--trace")
    report, _, trace = done.out.partition("connection 1 to ")
    assert "STARTTLS works" in " ".join(report.split())
    said = re.findall(r"^ +[0-9.]+ ([<>]) (?!TLS)(.*)", trace, re.MULTILINE)
    assert said[:3] == [("<", "220 mx.test ESMTP"), (">", "EHLO probe.test"), ("<", "250-mx.test")]
    assert (">", "STARTTLS") in said
    assert ("<", "220 2.0.0 Ready to start TLS") in said
    hello = re.search(r"> TLS handshake ClientHello \((\d+) bytes\)\n +0000  16 03 0[01] ", trace)
    assert hello, trace
    assert re.search(r"< TLS handshake ServerHello.*\n +0000  16 03 03 ", trace)
    verbs = {line.split(b" ")[0] for dialogue in front.dialogues for line in dialogue}
    assert verbs == {b"EHLO", b"STARTTLS"}
    assert not CONTROL.findall(done.out)


def test_a_trace_holds_no_secret_of_the_session(next_hop: str) -> None:
    done = mxprobe("probe", next_hop, "--depth", "quick", "--contact", "postmaster@sender.test", "--trace")
    # Told inside TLS only; what is inside appears as it went over the wire, encrypted.
    assert "postmaster" not in done.out
    assert "AUTH" not in done.out
    assert not re.search("CLIENT_RANDOM|SECRET|PRIVATE KEY", done.out)


def test_beside_json_the_trace_goes_to_standard_error(next_hop: str) -> None:
    done = mxprobe("probe", next_hop, "--depth", "quick", "--format", "json", "--trace")
    assert json_schema.violations(done.document) == []
    assert "ClientHello" in done.err


# --plan


@contextmanager
def everything_of_openssl() -> Iterator[RunningServer]:
    with openssl_server() as server:
        yield server


@contextmanager
def sslv3_only() -> Iterator[RunningServer]:
    with tlslite_server(highest="SSLv3") as server:
        yield server


@contextmanager
def one_suite() -> Iterator[RunningServer]:
    with openssl_server(cipher="ECDHE-RSA-AES128-GCM-SHA256", protocols=["TLSv1.2"]) as server:
        yield server


@pytest.mark.parametrize("serve", [everything_of_openssl, sslv3_only, one_suite])
def test_a_plan_dials_nothing_and_its_bounds_hold(serve: Callable[[], AbstractContextManager[RunningServer]]) -> None:
    options = ["--profile", "TLSv1.2,TLSv1.3:TLS_AES_128_GCM_SHA256:ECDHE-RSA-AES128-GCM-SHA256"]
    with serve() as server, smtp_front(server) as front:
        for depth in ("quick", "standard", "full", "everything"):
            arguments = ["probe", f"[127.0.0.1]:{front.port}", "--depth", depth, *options]
            before = front.connections
            plan = mxprobe(*arguments, "--plan")
            assert front.connections == before
            assert plan.code == 0
            bounds = re.search(r"at least (\d+), at most (\d+);", plan.words)
            assert bounds, plan.words
            document = mxprobe(*arguments, "--format", "json").document
            assert front.connections - before == document["connections"]
            assert int(bounds[1]) <= document["connections"] <= int(bounds[2])


def test_a_plan_says_where_each_next_hop_leads(resolver: str) -> None:
    done = mxprobe(
        "probe", "example.test:2525", "null.test", "missing.test", "--resolver", resolver, "--allow-private", "--plan"
    )
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0] == "example.test:2525: mx.test[127.0.0.1]:2525"
    assert lines[1].startswith("null.test: null MX")
    assert lines[2].startswith("missing.test: ")
    assert "NXDOMAIN" in lines[2]


# --connect, --resolver, --allow-private


def test_connect_as_dials_the_address_and_asks_no_name_server(front: Front, ca_path: Path) -> None:
    with name_server() as names:
        options = ["--resolver", address_of(names), "--ca-path", ca_path, "--depth", "quick", "--format", "json"]
        document = mxprobe("probe", "--connect", f"127.0.0.1:{front.port}", "--as", "mx.test", *options).document
        assert names.questions == []
    (target,) = document["targets"]
    (endpoint,) = target["endpoints"]
    assert (endpoint["host"], endpoint["address"], endpoint["port"]) == ("mx.test", "127.0.0.1", front.port)
    assert verdict_states(target)["name-matches"] == "yes"


def test_connect_stands_for_all_that_a_next_hop_leads_to(front: Front) -> None:
    with name_server() as names:
        options = ["--resolver", address_of(names), "--depth", "quick", "--format", "json"]
        done = mxprobe("probe", "other.test", "--connect", f"127.0.0.1:{front.port}", *options)
        assert names.questions == []
    (target,) = done.document["targets"]
    assert target["next_hop"] == "other.test"
    assert [(each["host"], each["port"]) for each in target["endpoints"]] == [("other.test", front.port)]
    assert verdict_states(target)["name-matches"] == "no"


def test_connect_gives_one_mx_host_another_address(front: Front) -> None:
    with name_server("example.test. MX 10 mx.test.", "mx.test. A 192.0.2.1") as names:
        options = ["--resolver", address_of(names), "--depth", "quick", "--format", "json"]
        done = mxprobe("probe", f"example.test:{front.port}", "--connect", "mx.test=127.0.0.1", *options)
    assert done.code == 0
    (target,) = done.document["targets"]
    assert [(each["host"], each["address"]) for each in target["endpoints"]] == [("mx.test", "127.0.0.1")]


def test_the_resolver_is_the_one_that_was_named(front: Front) -> None:
    for name in ("mx1.test", "mx2.test"):
        with name_server(f"example.test. MX 10 {name}.", f"{name}. A 127.0.0.1") as names:
            options = ["--resolver", address_of(names), "--allow-private", "--plan"]
            assert f" {name}[127.0.0.1]:25" in mxprobe("probe", "example.test", *options).out


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "169.254.0.1", "::1", "fe80::1", "::ffff:7f00:1"])
def test_an_address_from_the_dns_that_is_not_public_is_not_dialled(address: str) -> None:
    kind = "AAAA" if ":" in address else "A"
    with name_server("example.test. MX 10 mx.test.", f"mx.test. {kind} {address}") as names:
        done = mxprobe("probe", "example.test:1", "--resolver", address_of(names), "--format", "json")
    assert done.code == 3
    assert done.document["connections"] == 0
    (host,) = done.document["targets"][0]["route"]["hosts"]
    assert host["refused_addresses"] == [address]
    assert address in done.err


def test_it_is_dialled_when_that_is_allowed_and_when_the_next_hop_names_it(front: Front, resolver: str) -> None:
    options = ["--resolver", resolver, "--depth", "quick"]
    assert mxprobe("probe", f"example.test:{front.port}", *options).code == 3
    assert front.connections == 0
    assert mxprobe("probe", f"example.test:{front.port}", "--allow-private", *options).code == 0
    assert mxprobe("probe", f"[127.0.0.1]:{front.port}", *options).code == 0
    assert front.connections == 2


# --profile

PROFILES = {
    # Protocol and suite that `tls_server` has to pick, None for none.
    "TLSv1.3:TLS_AES_128_GCM_SHA256": ("TLSv1.3", "TLS_AES_128_GCM_SHA256"),
    "TLSv1.2:AES128-SHA": ("TLSv1.2", "AES128-SHA"),
    "tlsv1.0,TLSv1.2:0x0005:TLS_RSA_WITH_AES_128_CBC_SHA": ("TLSv1.2", "AES128-SHA"),
    "TLSv1.2,TLSv1.3:AES128-SHA:TLS_AES_256_GCM_SHA384": ("TLSv1.3", "TLS_AES_256_GCM_SHA384"),
    "TLSv1,TLSv1.1:AES128-SHA": None,
    "TLSv1.2:DES-CBC3-SHA:RC4-SHA": None,
    "SSLv2:RC4-MD5": None,
}


@pytest.mark.parametrize("profile", PROFILES)
def test_whether_a_profile_gets_a_session_is_observed_and_decides_the_exit_code(
    profile: str, front: Front, next_hop: str
) -> None:
    picked = PROFILES[profile]
    done = mxprobe("probe", next_hop, "--depth", "quick", "--profile", profile, "--format", "json")
    assert done.code == (0 if picked else 1)
    (target,) = done.document["targets"]
    (answer,) = target["endpoints"][0]["profiles"]
    state = "yes" if picked else "no"
    assert (answer["profile"], answer["state"]) == (profile, state)
    assert (answer["protocol"], answer["suite"]) == (picked or (None, None))
    assert verdict_states(target)["shared-cipher"] == state
    assert front.connections > 1, "the complete handshake tells nothing of the profile"


def test_a_profile_is_found_in_probes_toml_by_its_name(next_hop: str, tmp_path: Path) -> None:
    profiles = {
        "modern": {"protocols": ["TLSv1.3"], "suites": ["TLS_AES_256_GCM_SHA384"]},
        "old": {"protocols": ["TLSv1.2"], "suites": ["RC4-SHA"]},
    }
    configuration(tmp_path, {}, profiles=profiles)
    codes = {
        name: mxprobe_process("probe", next_hop, "--depth", "quick", "--profile", name, cwd=tmp_path).code
        for name in profiles
    }
    assert codes == {"modern": 0, "old": 1}
    elsewhere = ["--config", tmp_path / "probes.toml"]
    done = mxprobe("probe", next_hop, "--depth", "quick", "--profile", "old", "--profile", "modern", *elsewhere)
    assert done.code == 1
    assert "profile old: no" in done.words
    assert "profile modern: yes" in done.words


KINDS = {
    # A kind with what it is read from, what that holds, and the suite that `tls_server` has to pick, None for none.
    "postfix:main.cf": (
        "smtp_tls_security_level = may\nsmtp_tls_protocols = !TLSv1.3\n",
        "ECDHE-RSA-AES256-GCM-SHA384",
    ),
    "postfix:weak.cf": (
        "smtp_tls_security_level = encrypt\nsmtp_tls_mandatory_protocols = !TLSv1.3\nsmtp_tls_exclude_ciphers=ECDHE",
        "AES128-SHA",
    ),
    "postfix:old.cf": ("smtp_tls_security_level = may\nsmtp_tls_protocols = <=TLSv1.1\n", None),
    "gnutls:NORMAL": ("", "TLS_AES_256_GCM_SHA384"),
    "gnutls:NONE:+VERS-TLS1.2:+RSA:+AES-128-CBC:+SHA1:+SIGN-ALL:+COMP-NULL": ("", "AES128-SHA"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_profile_is_read_from_what_its_kind_names(
    kind: str, next_hop: str, tmp_path: Path, front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text, picked = KINDS[kind]
    (tmp_path / kind.partition(":")[2]).write_text(text)
    done = mxprobe("probe", next_hop, "--depth", "quick", "--profile", kind, "--format", "json")
    (answer,) = done.document["targets"][0]["endpoints"][0]["profiles"]
    assert answer["suite"] == picked
    assert done.code == (0 if picked else 1)


# Hostile peers

ESCAPES = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202egnp.exe\x00\x7f\udcff"


def test_no_escape_sequence_of_a_peer_reaches_the_terminal(tmp_path: Path, authority: Authority) -> None:
    leaf = make_leaf("mx.test", cn="mx\x1b[2J\x07\u202etest")
    script = Script(banner=f"220 {ESCAPES}", ehlo=("250-mx.test", f"250-X-{ESCAPES}", "250 STARTTLS"))
    outputs: list[Done] = []
    with openssl_server(cipher="AES128-SHA", protocols=["TLSv1.2"], certificates=[leaf]) as server:
        with smtp_front(server, script) as front:
            hop = f"[127.0.0.1]:{front.port}"
            for options in (["--verbose", "--trace"], ["--format", "json", "--trace"], ["--format", "ndjson"]):
                outputs.append(mxprobe("probe", hop, "--depth", "quick", "--require", "trusted", *options))
            outputs.append(mxprobe("probe", hop, "--protocol", "TLSv1.2", "--cipher", "AES128-SHA", "--trace"))
        for stage in ({"banner": f"554 {ESCAPES}"}, {"starttls": f"454 {ESCAPES}"}):
            with smtp_front(script=Script(**stage)) as front:
                for options in ([], ["--protocol", "TLSv1.2"]):
                    outputs.append(mxprobe("probe", f"[127.0.0.1]:{front.port}", "--depth", "quick", *options))
    for done in outputs:
        assert not CONTROL.findall(done.out + done.err), done
        assert "owned" in done.out or "mx" in done.out


def test_names_of_the_dns_are_escaped_too() -> None:
    records = (r"example.test. MX 10 mx\027[2J\007.test.", r"alias.test. CNAME \027[2J.example.test.")
    with name_server(*records) as names:
        for format in ("text", "json", "ndjson"):
            options = ["--resolver", address_of(names), "--format", format]
            done = mxprobe("probe", "example.test", "alias.test", *options)
            assert done.code == 3
            assert not CONTROL.findall(done.out + done.err)
