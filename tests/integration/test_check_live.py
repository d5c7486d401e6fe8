"""The gate before real servers: what senders get there is what was computed, and every endpoint is probed once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mxprobe.cli.checking.live import check_live
from mxprobe.cli.checking.request import Request
from mxprobe.cli.probing_options import ProbingOptions
from mxprobe.mta.senders import senders
from mxprobe.report.check_document import check_json
from mxprobe.verdict.checks import CheckReport
from servers.certificates import Authority
from servers.openssl_server import openssl_server
from servers.postfix import postfix_server
from servers.running import RunningServer, certificate
from servers.smtp_front import smtp_front


@pytest.fixture(scope="module")
def postfix() -> Iterator[RunningServer]:
    with postfix_server() as server:
        yield server


def checked(port: int, **others: object) -> CheckReport:
    """A check of the server on a port of loopback, which counts as mx.test."""
    request = Request(connect=(f"127.0.0.1:{port}",), known_as="mx.test", probing=ProbingOptions(twins=False))
    return check_live(replace(request, **others))  # type: ignore[arg-type]


def test_every_sender_gets_from_postfix_what_was_computed_for_it(postfix: RunningServer) -> None:
    report = checked(postfix.port, senders=("all",))
    judged = {check.name: check.outcome for check in report.checks if check.id == "sender"}
    assert set(judged) == {sender.name for sender in senders()}
    assert [check.summary for check in report.checks if check.id == "simulation"] == []
    # Debian's Postfix refuses nobody who was recorded from real software of our time.
    assert judged["postfix-3.7-openssl-3.0"] == "passed"


def test_a_check_of_itself_against_itself_finds_nothing_lost(postfix: RunningServer) -> None:
    report = checked(postfix.port, baseline_live=f"[127.0.0.1]:{postfix.port}")
    assert {check.outcome for check in report.checks if check.id == "keeps"} == {"passed"}
    assert [check for check in report.checks if check.id in ("gained", "changed", "baseline")] == []


def test_against_a_baseline_every_known_sender_is_asked_and_no_other_condition_is_about_it(
    postfix: RunningServer, tmp_path: Path
) -> None:
    path = tmp_path / "before.json"
    before = checked(postfix.port)
    path.write_text(check_json(before))
    settings = {"smtpd_tls_exclude_ciphers": "kRSA, kDHE, aRSA", "smtpd_tls_protocols": ">=TLSv1.2"}
    with postfix_server(main_cf=settings) as after:
        plain = checked(after.port)
        report = checked(after.port, baseline=path)
    kept = {check.name: check.outcome for check in report.checks if check.id == "keeps" and "sender" in check.name}
    judged = {check.name.removeprefix("sender ") for check in report.checks if check.name.startswith("sender ")}
    assert judged == {sender.name for sender in senders()}
    incomplete = {f"sender {sender.name}" for sender in senders() if not sender.profile.complete}
    assert {name for name, outcome in kept.items() if outcome == "unknown"} <= incomplete
    assert report.connections == plain.connections + len(senders())
    (target,) = report.targets
    assert [verdict for verdict in target.verdicts if verdict.id == "shared-cipher"] == []
    assert not any(check.id == "sender" for check in report.checks)


def test_the_issuers_in_a_chain_are_looked_at_too() -> None:
    issued = Authority.root().intermediate().leaf("mx.test")
    with openssl_server(certificates=[issued]) as server, smtp_front(server) as front:
        report = checked(front.port, days=10_000)
    names = sorted(check.name for check in report.checks if check.id == "lasts")
    assert names == ["10000 days", "10000 days, of the chain"]


def test_a_server_of_two_groups_is_probed_once_and_judged_for_both(tmp_path: Path) -> None:
    shown = [certificate("RSA")]
    with openssl_server(certificates=shown, protocols=("TLSv1.2",)) as server, smtp_front(server) as front:
        path = tmp_path / "probes.toml"
        path.write_text(
            f"""
            [[group]]
            name = "one"
            next_hops = ["[127.0.0.1]:{front.port}"]
            require = ["tls1.2"]

            [[group]]
            name = "two"
            next_hops = ["[127.0.0.1]:{front.port}"]
            require = ["tls1.3"]
            """
        )
        both = check_live(Request(configuration=path, probing=ProbingOptions()))
        spent = front.counted(both.connections)
        one = check_live(Request(configuration=path, groups=("one",), probing=ProbingOptions()))
    required = {check.name: check.outcome for check in both.checks if check.id == "require"}
    assert required == {"tls1.2": "passed", "tls1.3": "failed"}
    assert len(both.targets) == 1
    assert spent == both.connections == one.connections
    assert {check.name for check in one.checks if check.id == "require"} == {"tls1.2"}
