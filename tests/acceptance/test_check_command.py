"""`mxprobe check` of servers that run: what a postmaster learns before a change goes live, and the exit code."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from acceptance.command import Done, complaint, mxprobe
from acceptance.world import address_of, configuration, name_server
from servers.certificates import Authority
from servers.openssl_server import openssl_server
from servers.postfix import postfix_server
from servers.running import RunningServer, free_port
from servers.smtp_front import Front, Script, smtp_front

RSA_ONLY = "TLSv1.2:ECDHE-RSA-AES128-GCM-SHA256:AES128-SHA"
"""A sender whose hello has no suite for ECDSA, and static RSA beside ECDHE."""

SENDER = "postfix-3.7-openssl-3.0"


def checks(done: Done, id: str, outcome: str | None = None) -> list[Any]:
    """The checks of one kind in the JSON of a run."""
    return [
        check
        for check in done.document["checks"]
        if check["id"] == id and (outcome or check["outcome"]) == check["outcome"]
    ]


def named(done: Done, id: str, name: str) -> Any:
    """The one check of this name."""
    (check,) = [check for check in checks(done, id) if check["name"] == name]
    return check


def check_as(front: Front, *arguments: str | Path, name: str = "mx.test") -> Done:
    """Check a server that is not in the DNS, in JSON."""
    return mxprobe("check", "--connect", f"127.0.0.1:{front.port}", "--as", name, *arguments, "--format", "json")


# What has to hold


def test_a_good_mx_that_is_not_in_the_dns_yet_passes(front: Front, ca_path: Path) -> None:
    arguments = ["--ca-path", ca_path, "--require", "starttls,trusted,name-matches,tls1.2,tls1.3,!sslv3"]
    done = check_as(front, *arguments, "--covers", "mx.test", "--days", "14", "--sender", SENDER)
    assert (done.code, done.document["outcome"]) == (0, "passed"), done.out
    assert {check["outcome"] for check in done.document["checks"]} == {"passed"}
    assert named(done, "sender", SENDER)["summary"].startswith(f"{SENDER} gets TLSv1.3 TLS_AES_256_GCM_SHA384")


def test_the_text_says_so_in_its_first_line(front: Front) -> None:
    done = mxprobe("check", "--connect", f"127.0.0.1:{front.port}", "--as", "mx.test")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[0].startswith("PASSED")


def test_what_is_required_and_does_not_hold_fails(front: Front) -> None:
    done = check_as(front, "--require", "!tls1.3")
    assert done.code == 1
    assert named(done, "require", "!tls1.3")["outcome"] == "failed"


def test_a_server_with_an_ecdsa_certificate_alone_fails_a_sender_that_knows_only_rsa(authority: Authority) -> None:
    shown = authority.leaf("mx.test", key_type="EC")
    with openssl_server(certificates=[shown], protocols=("TLSv1.2",)) as server, smtp_front(server) as front:
        done = check_as(front, "--sender", RSA_ONLY)
    assert done.code == 1
    sender = named(done, "sender", RSA_ONLY)
    assert sender["outcome"] == "failed"
    assert sender["evidence"]["obstacle"] in ("certificate kind", "suite")
    assert checks(done, "simulation") == []


def test_a_name_that_one_of_two_certificates_does_not_cover_fails(authority: Authority) -> None:
    shown = [authority.leaf("mx.test", "mail.test"), authority.leaf("mx.test", key_type="EC")]
    with openssl_server(certificates=shown, protocols=("TLSv1.2",)) as server, smtp_front(server) as front:
        done = check_as(front, "--covers", "mx.test", "--covers", "mail.test")
    assert done.code == 1
    covers = {(check["name"], check["outcome"]): check["summary"] for check in checks(done, "covers")}
    assert set(covers) == {("mx.test", "passed"), ("mail.test", "passed"), ("mail.test", "failed")}
    assert covers["mail.test", "failed"].startswith("the EC secp256r1 certificate of mx.test does not name mail.test")


def test_a_server_that_speaks_only_tls_1_3_has_to_show_both_of_its_certificates(authority: Authority) -> None:
    """OpenSSL prefers ECDSA there, so that a usual client never sees the other."""
    shown = [authority.leaf("other.test"), authority.leaf("mx.test", key_type="EC")]
    with openssl_server(certificates=shown, protocols=("TLSv1.3",)) as server, smtp_front(server) as front:
        done = check_as(front, "--covers", "mx.test")
    assert done.code == 1
    assert [check["outcome"] for check in checks(done, "covers")] == ["passed", "failed"]
    (target,) = done.document["targets"]
    assert target["endpoints"][0]["profiles"] == []


def test_a_common_name_alone_is_not_enough(authority: Authority) -> None:
    """Postfix would take it (postconf(5) smtp_tls_verify_cert_match), RFC 9525 §6.3 does not."""
    with openssl_server(certificates=[authority.leaf(cn="mx.test")]) as server, smtp_front(server) as front:
        done = check_as(front, "--covers", "mx.test")
    assert done.code == 1
    assert "by RFC 9525" in named(done, "covers", "mx.test")["summary"]


def test_a_certificate_that_ends_too_soon_fails(authority: Authority) -> None:
    shown = authority.leaf("mx.test", not_after=datetime.now(UTC) + timedelta(days=5, hours=1))
    with openssl_server(certificates=[shown]) as server, smtp_front(server) as front:
        long, short = check_as(front, "--days", "14"), check_as(front, "--days", "5")
    assert (long.code, short.code) == (1, 0)
    assert "5 days, and not 14" in named(long, "lasts", "14 days")["summary"]


# What could not be told


def test_a_server_behind_a_rate_limit_could_not_be_told(tls_server: RunningServer) -> None:
    with smtp_front(tls_server, Script(greeted_connections=1)) as front:
        done = check_as(front, "--sender", RSA_ONLY, "--deadline", "2", "--timeout", "pause=0.1")
    assert done.code == 3, done.out
    assert named(done, "sender", RSA_ONLY)["outcome"] == "unknown"
    assert checks(done, "sender", "passed") == []


def test_an_address_where_nobody_answers_could_not_be_told() -> None:
    done = mxprobe(
        "check", "--connect", f"127.0.0.1:{free_port()}", "--as", "mx.test", "--covers", "mx.test", "--format", "json"
    )
    assert done.code == 3
    outcomes = {(check["id"], check["outcome"]) for check in done.document["checks"]}
    assert {("require", "unknown"), ("covers", "unknown")} <= outcomes
    assert not {("require", "passed"), ("covers", "passed")} & outcomes


def test_a_null_mx_takes_no_mail_and_is_not_taken_for_well() -> None:
    with name_server("null.test. MX 0 .") as names:
        arguments = ["check", "null.test", "--resolver", address_of(names), "--format", "json"]
        done, wanted = mxprobe(*arguments), mxprobe(*arguments, "--require", "null-mx")
    assert (done.code, wanted.code) == (3, 0)


def test_a_private_address_that_the_dns_gives_is_not_dialled(front: Front) -> None:
    with name_server("example.test. MX 10 mx.test.", "mx.test. A 127.0.0.1") as names:
        done = mxprobe("check", f"example.test:{front.port}", "--resolver", address_of(names), "--format", "json")
    assert (done.code, front.connections) == (3, 0)
    assert named(done, "route", "route")["outcome"] == "unknown"


# Every address


@pytest.fixture
def two_addresses(tls_server: RunningServer, authority: Authority) -> Iterator[tuple[Front, str]]:
    """mx.test on two addresses, of which one has another certificate and no TLS 1.3; and their name server."""
    with (
        openssl_server(certificates=[authority.leaf("mx.test")], protocols=("TLSv1.2",)) as other,
        smtp_front(tls_server) as first,
        smtp_front(other, addresses=("127.0.0.2",), port=first.port),
        name_server("example.test. MX 10 mx.test.", "mx.test. A 127.0.0.1", "mx.test. A 127.0.0.2") as names,
    ):
        yield first, address_of(names)


def test_two_addresses_that_differ_fail_and_what_differs_is_named(two_addresses: tuple[Front, str]) -> None:
    front, resolver = two_addresses
    arguments = ["check", f"example.test:{front.port}", "--resolver", resolver, "--allow-private", "--format", "json"]
    done, lenient = mxprobe(*arguments), mxprobe(*arguments, "--no-same-everywhere")
    assert (done.code, lenient.code) == (1, 0)
    outcomes = {check["name"]: check["outcome"] for check in checks(done, "same-everywhere")}
    assert outcomes == {
        "starttls": "passed",
        "versions": "failed",
        "suites": "failed",
        "certificates": "failed",
        "capabilities": "passed",
    }
    assert (
        f"TLSv1.3: accepted at mx.test[127.0.0.1]:{front.port} and not at mx.test[127.0.0.2]:{front.port}"
        in named(done, "same-everywhere", "versions")["summary"]
    )


def test_a_server_on_two_addresses_is_the_same_everywhere(tls_server: RunningServer) -> None:
    with (
        smtp_front(tls_server, addresses=("127.0.0.1", "127.0.0.2")) as front,
        name_server("example.test. MX 10 mx.test.", "mx.test. A 127.0.0.1", "mx.test. A 127.0.0.2") as names,
    ):
        done = mxprobe(
            *("check", f"example.test:{front.port}", "--resolver", address_of(names), "--allow-private"),
            *("--format", "json"),
        )
    assert done.code == 0, done.out
    assert len(checks(done, "same-everywhere", "passed")) == 5


def test_a_group_is_checked_at_all_its_addresses_by_what_it_requires(
    two_addresses: tuple[Front, str], tmp_path: Path
) -> None:
    front, resolver = two_addresses
    path = configuration(
        tmp_path,
        {"ours": {"next_hops": [f"example.test:{front.port}"], "require": ["tls1.3"]}},
        resolver=resolver,
        probe={"ehlo": "gate.test"},
    )
    done = mxprobe("check", "--group", "ours", "--config", path, "--no-same-everywhere", "--format", "json")
    assert done.code == 1
    required = {check["endpoint"]: check["outcome"] for check in checks(done, "require")}
    assert required == {f"mx.test[127.0.0.1]:{front.port}": "passed", f"mx.test[127.0.0.2]:{front.port}": "failed"}
    assert b"EHLO gate.test" in front.dialogues[0]


def test_a_group_that_requires_a_shared_cipher_is_judged_by_its_own_profile(
    two_addresses: tuple[Front, str], tmp_path: Path
) -> None:
    front, resolver = two_addresses
    path = configuration(
        tmp_path,
        {
            "ours": {
                "next_hops": [f"example.test:{front.port}"],
                "require": ["shared-cipher"],
                "profile": "ours",
            }
        },
        resolver=resolver,
        profiles={"ours": {"protocols": ["TLSv1.2"], "suites": ["AES128-SHA"]}},
    )
    arguments = ["check", "--config", path, "--no-same-everywhere", "--sender", SENDER, "--format", "json"]
    done = mxprobe(*arguments)
    assert done.code == 0, done.out
    assert len(checks(done, "require", "passed")) == 2
    assert len(checks(done, "sender", "passed")) == 2


# Against a baseline


@pytest.fixture(scope="module")
def modern(authority: Authority) -> Iterator[RunningServer]:
    """A server as administrators harden them: no static RSA any more."""
    with openssl_server(
        cipher="ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256",
        protocols=("TLSv1.2", "TLSv1.3"),
        certificates=[authority.leaf("mx.test", "127.0.0.1")],
    ) as server:
        yield server


STATIC_RSA_ONLY = "TLSv1.2:AES128-SHA"


@pytest.fixture
def before(front: Front, tmp_path: Path, ca_path: Path) -> Path:
    """What a probe said of the server that is in use."""
    done = mxprobe(
        *("probe", "--connect", f"127.0.0.1:{front.port}", "--as", "mx.test"),
        *("--ca-path", ca_path, "--format", "json"),
    )
    path = tmp_path / "before.json"
    path.write_text(done.out)
    return path


def test_against_the_document_of_the_same_server_nothing_is_lost(front: Front, before: Path, ca_path: Path) -> None:
    done = check_as(front, "--baseline", before, "--ca-path", ca_path)
    assert done.code == 0, done.out
    assert checks(done, "keeps", "passed")
    assert [check for check in done.document["checks"] if check["id"] in ("gained", "changed")] == []


def test_suites_that_are_lost_fail_and_are_named(modern: RunningServer, before: Path, ca_path: Path) -> None:
    with smtp_front(modern) as front:
        done = check_as(front, "--baseline", before, "--ca-path", ca_path)
    assert done.code == 1
    lost = named(done, "keeps", "TLSv1.2 suites")
    assert (lost["outcome"], lost["evidence"]) == ("failed", {"lost": ["AES128-SHA"]})
    assert named(done, "gained", "TLSv1.3 suites")["evidence"] == {
        "gained": ["TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_CCM_SHA256", "TLS_AES_128_CCM_8_SHA256"]
    }


def test_senders_that_are_cut_off_are_named(authority: Authority, tmp_path: Path) -> None:
    """Whoever does not speak TLS 1.3 has nothing left."""
    document = tmp_path / "before.json"
    old_suites = "AES128-GCM-SHA256:AES256-GCM-SHA384"
    rsa, ec = authority.leaf("mx.test"), authority.leaf("mx.test", key_type="EC")
    with (
        openssl_server(cipher=old_suites, protocols=("TLSv1.2",), certificates=[rsa]) as old,
        smtp_front(old) as front,
    ):
        document.write_text(mxprobe("probe", f"[127.0.0.1]:{front.port}", "--format", "json").out)
    with openssl_server(protocols=("TLSv1.3",), certificates=[ec]) as new, smtp_front(new) as front:
        done = mxprobe("check", f"[127.0.0.1]:{front.port}", "--baseline", document, "--format", "json")
    assert done.code == 1
    lost = named(done, "keeps", "sender postfix-2.11-openssl-1.0.2")
    assert (lost["outcome"], lost["severity"], lost["evidence"]["obstacle"]) == ("failed", "critical", "version")
    assert lost["summary"].startswith("sender postfix-2.11-openssl-1.0.2 is cut off from TLS: no common version")
    # Of what Gmail offered in 2019 only a part is known.
    assert named(done, "keeps", "sender gmail-2019")["outcome"] == "unknown"


def test_a_sender_that_needs_static_rsa_is_cut_off_where_it_is_switched_off(
    modern: RunningServer, before: Path, ca_path: Path
) -> None:
    with smtp_front(modern) as front:
        done = check_as(front, "--baseline", before, "--ca-path", ca_path, "--sender", "TLSv1.2:AES128-SHA")
    assert done.code == 1
    lost = named(done, "keeps", "sender TLSv1.2:AES128-SHA")
    assert (lost["outcome"], lost["evidence"]["obstacle"]) == ("failed", "suite")
    # Computed or observed, it is the same.
    assert named(done, "sender", "TLSv1.2:AES128-SHA")["outcome"] == "failed"


def test_the_server_in_use_is_a_baseline_too(modern: RunningServer, front: Front) -> None:
    with smtp_front(modern) as new:
        done = check_as(new, "--baseline-live", f"[127.0.0.1]:{front.port}")
    assert done.code == 1
    assert named(done, "keeps", "TLSv1.2 suites")["outcome"] == "failed"
    assert done.document["connections"] == front.connections + new.connections


def test_a_store_of_scans_is_a_baseline_by_the_mx_host(
    modern: RunningServer, front: Front, tmp_path: Path, authority: Authority
) -> None:
    with name_server("example.test. MX 10 mx.test.", "mx.test. A 127.0.0.1") as names:
        path = configuration(
            tmp_path,
            {"ours": {"next_hops": [f"example.test:{front.port}"]}},
            resolver=address_of(names),
            probe={"depth": "full"},
        )
        assert mxprobe("scan", "--config", path).code == 0
    store = f"sqlite:///{tmp_path / 'mxprobe.db'}"
    with smtp_front(modern) as new:
        done = check_as(new, "--baseline-store", store)
        other = check_as(new, "--baseline-store", store, name="other.test")
    assert done.code == 1
    assert named(done, "keeps", "TLSv1.2 suites")["outcome"] == "failed"
    # Of another name the store knows nothing, which is no pass.
    assert other.code == 3
    assert len(checks(other, "baseline", "unknown")) == 1


def test_a_check_is_a_baseline_for_the_next(modern: RunningServer, front: Front, tmp_path: Path) -> None:
    document = tmp_path / "check.json"
    assert check_as(front, "--write", f"json={document}").code == 0
    assert json.loads(document.read_text())["schema"] == "mxprobe-check/1"
    with smtp_front(modern) as new:
        assert check_as(new, "--baseline", document).code == 1


def test_starttls_that_is_gone_is_the_one_loss_that_counts(front: Front, before: Path) -> None:
    with smtp_front(None, Script(ehlo=("250-mx.test", "250 SIZE 10240000"))) as new:
        done = check_as(new, "--baseline", before)
    assert done.code == 1
    assert named(done, "keeps", "starttls")["severity"] == "critical"


def test_a_server_that_is_not_reached_now_has_not_lost_anything_for_certain(before: Path) -> None:
    done = mxprobe(
        *("check", "--connect", f"127.0.0.1:{free_port()}", "--as", "mx.test", "--baseline", before),
        *("--format", "json"),
    )
    assert done.code == 3
    assert checks(done, "keeps", "failed") == []


def test_postfix_with_tls_1_2_switched_off_loses_it(tmp_path: Path) -> None:
    document = tmp_path / "before.json"
    with postfix_server() as old:
        document.write_text(mxprobe("probe", f"[127.0.0.1]:{old.port}", "--format", "json").out)
    with postfix_server(main_cf={"smtpd_tls_protocols": ">=TLSv1.3"}) as new:
        done = mxprobe("check", f"[127.0.0.1]:{new.port}", "--baseline", document, "--format", "json")
    assert done.code == 1
    assert named(done, "keeps", "TLSv1.2")["outcome"] == "failed"
    assert named(done, "keeps", "sender postfix-2.11-openssl-1.0.2")["evidence"]["obstacle"] == "version"


# Reports


@pytest.mark.parametrize("form", ["json", "junit", "sarif", "github", "text"])
def test_every_format_is_printed_and_written(front: Front, tmp_path: Path, form: str) -> None:
    file = tmp_path / "report"
    arguments = ["check", f"[127.0.0.1]:{front.port}", "--depth", "quick", "--format", form]
    done = mxprobe(*arguments, "--write", f"{form}={file}", "--write", f"json={tmp_path / 'also'}")
    assert done.code == 0, done
    assert bool(file.read_text()) or form == "github"
    assert json.loads((tmp_path / "also").read_text())["outcome"] == "passed"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["also", "report"]


def test_a_link_is_written_through_and_not_replaced(front: Front, tmp_path: Path) -> None:
    file, link = tmp_path / "file", tmp_path / "link"
    link.symlink_to(file)
    assert mxprobe("check", f"[127.0.0.1]:{front.port}", "--depth", "quick", "--write", f"json={link}").code == 0
    assert link.is_symlink()
    assert json.loads(file.read_text())["outcome"] == "passed"


# Wrong usage: one line, exit 2, and nobody is dialled


@pytest.mark.parametrize(
    ("arguments", "named_in_it"),
    [
        (("--sender", "gmial-2019"), "--sender"),
        (("--sender", "TLSv1.2:NONSENSE"), "--sender"),
        (("--sender", "recorded:there-is-none.json"), "there-is-none.json"),
        (("--covers", "not a name"), "--covers"),
        (("--days", "-1"), "--days"),
        (("--require", "startls"), "--require"),
        (("--require", "shared-cipher"), "--sender"),
        (("--baseline", "there-is-none.json"), "there-is-none.json"),
        (("--baseline", "a.json", "--baseline-live", "[127.0.0.1]"), "one baseline"),
        (("--baseline-live", "[127.0.0.1"), "next-hop"),
        (("--baseline-store", "sqlite:////there/is/none.db"), "none.db"),
        (("--cert", "fullchain.pem"), "--main-cf"),
        (("--postfix", "3.7"), "--main-cf"),
        (("--outbound",), "--main-cf"),
        (("--store", "sqlite:///mxprobe.db"), "--outbound"),
        (("--main-cf", "main.cf", "--connect", "192.0.2.1"), "nothing is dialled"),
        (("--main-cf", "main.cf", "--outbound", "--covers", "mx.test"), "partners of the store"),
        (("--group", "ours"), "--group"),
        (("--format", "xml"), "--format"),
        (("--write", "json"), "FORMAT=FILE"),
        (("--write", "xml=report.xml"), "--write"),
        (("--write", "json=/there/is/none/report.json"), "/there/is/none"),
        (("--depth", "deep"), "--depth"),
    ],
)
def test_wrong_usage_is_one_line_and_opens_no_connection(
    front: Front, arguments: tuple[str, ...], named_in_it: str
) -> None:
    line = complaint(mxprobe("check", f"[127.0.0.1]:{front.port}", *arguments))
    assert named_in_it in line
    assert front.connections == 0


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"schema": "mxprobe/2"}', '{"schema": "mxprobe-check/9"}', '{"schema": "mxprobe/1"}', "\0\xff"],
)
def test_a_baseline_that_is_no_document_is_named(front: Front, tmp_path: Path, text: str) -> None:
    path = tmp_path / "before.json"
    path.write_bytes(text.encode("latin-1"))
    line = complaint(mxprobe("check", f"[127.0.0.1]:{front.port}", "--baseline", path))
    assert str(path) in line
    assert front.connections == 0


@pytest.mark.parametrize(
    ("old", "new"), [("0x00C030", "0xTLS"), ('"id": "0x00C030"', '"id": ""'), ("T00:00:00Z", "T00:00:00")]
)
def test_a_baseline_that_was_tampered_with_is_named(front: Front, before: Path, old: str, new: str) -> None:
    text = before.read_text()
    text = re.sub(r"(not_after\": \"\d{4}-\d\d-\d\d)T[\d:.]+Z", r"\1T00:00:00Z", text)
    assert old in text
    before.write_text(text.replace(old, new))
    spent = front.connections
    assert str(before) in complaint(mxprobe("check", f"[127.0.0.1]:{front.port}", "--baseline", before))
    assert front.connections == spent


def test_a_baseline_without_endpoints_is_named(front: Front, tmp_path: Path) -> None:
    path = tmp_path / "before.json"
    with name_server("null.test. MX 0 .") as names:
        path.write_text(mxprobe("probe", "null.test", "--resolver", address_of(names), "--format", "json").out)
    assert "no endpoint" in complaint(mxprobe("check", f"[127.0.0.1]:{front.port}", "--baseline", path))
