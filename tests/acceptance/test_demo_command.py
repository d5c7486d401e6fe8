"""`mxprobe demo`: a world of mail servers on loopback, scanned, and what the report says of each of them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from acceptance import json_schema
from acceptance.command import Done, command, complaint, environment, mxprobe


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """One run of the demo: what it printed, and what it kept."""

    done: Done
    document: Any

    def target(self, domain: str) -> Any:
        """What was found at a domain, whatever port its servers had."""
        (found,) = [each for each in self.document["targets"] if each["next_hop"].partition(":")[0] == domain]
        return found


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    database = tmp_path_factory.mktemp("demo") / "demo.db"
    arguments = command("demo", "--database", database)
    if os.geteuid() == 0:
        # Root without its privileges: no port below 1024, no other's files.
        arguments = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", *arguments]
    ran = subprocess.run(
        arguments, env=environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=120
    )
    shown = mxprobe("show", "--store", f"sqlite:///{database}", "--format", "json")
    return Demo(done=Done(code=ran.returncode, out=ran.stdout, err=ran.stderr), document=shown.document)


def test_it_runs_without_privileges_and_ends_well(demo: Demo) -> None:
    assert (demo.done.code, demo.done.err) == (0, "")
    ports = {endpoint["port"] for target in demo.document["targets"] for endpoint in target["endpoints"]}
    assert len(ports) >= 8
    assert min(ports) > 1023
    assert json_schema.violations(demo.document) == []


# The states of verdicts that the description of each domain promises; a verdict that is not named may be anything.
EXPECTED: dict[str, dict[str, str]] = {
    "good.example": {
        "starttls": "yes",
        "needs-sslv3": "no",
        "shared-cipher": "yes",
        "trusted": "yes",
        "name-matches": "yes",
        "not-expired": "yes",
    },
    "cname.example": {"starttls": "yes", "trusted": "yes", "name-matches": "no"},
    "ssl3-only.example": {"starttls": "yes", "needs-sslv3": "yes", "shared-cipher": "no", "trusted": "yes"},
    "no-shared-cipher.example": {"starttls": "yes", "needs-sslv3": "no", "shared-cipher": "no"},
    "expired.example": {"starttls": "yes", "trusted": "no", "not-expired": "no", "name-matches": "yes"},
    "self-signed.example": {"starttls": "yes", "trusted": "no", "not-expired": "yes"},
    "wrong-name.example": {"trusted": "yes", "name-matches": "no"},
    "incomplete-chain.example": {"trusted": "no", "name-matches": "yes"},
    "broken-tls.example": {"starttls": "no", "needs-sslv3": "unknown", "shared-cipher": "unknown"},
    "refused-tls.example": {"starttls": "unknown", "needs-sslv3": "unknown", "trusted": "unknown"},
    "no-starttls.example": {"starttls": "no", "trusted": "unknown"},
    "limited.example": {"starttls": "yes", "shared-cipher": "unknown", "trusted": "yes"},
    "slow.example": {"starttls": "yes", "shared-cipher": "yes", "trusted": "yes", "name-matches": "yes"},
    "customer-one.example": {"starttls": "yes", "shared-cipher": "yes", "trusted": "yes"},
    "customer-two.example": {"starttls": "yes", "shared-cipher": "yes", "trusted": "yes"},
    "null-mx.example": {"null-mx": "yes"},
    "no-such-domain.example": {"starttls": "unknown"},
}


@pytest.mark.parametrize("domain", EXPECTED)
def test_the_verdicts_on_a_domain_are_those_that_its_servers_deserve(domain: str, demo: Demo) -> None:
    states = {verdict["id"]: verdict["state"] for verdict in demo.target(domain)["verdicts"]}
    assert states.items() >= EXPECTED[domain].items()


def test_every_domain_is_in_the_report_and_in_its_summary(demo: Demo) -> None:
    hops = [target["next_hop"] for target in demo.document["targets"]]
    assert {hop.partition(":")[0] for hop in hops} == set(EXPECTED)
    for hop in hops:
        assert re.search(rf"^{re.escape(hop)}  ", demo.done.out, re.MULTILINE)
        assert re.search(rf"^(critical|warning|unknown|info|ok) +{re.escape(hop)} ", demo.done.out, re.MULTILINE)


@pytest.mark.parametrize(
    ("domain", "words"),
    [
        ("ssl3-only.example", ["critical needs-sslv3: yes", "every TLS version is refused", "SSLv3 accepted"]),
        ("no-shared-cipher.example", ["critical shared-cipher: no", "shares no cipher with profile ours"]),
        ("expired.example", ["not-expired: no", "10 (certificate has expired)"]),
        ("self-signed.example", ["trusted: no", "18 (self-signed certificate)"]),
        ("wrong-name.example", ["name-matches: no", "certificate names mail.elsewhere.example"]),
        ("incomplete-chain.example", ["trusted: no", "20 (unable to get local issuer certificate)"]),
        ("broken-tls.example", ["critical starttls: no", "500 5.5.2 Command not recognized"]),
        ("refused-tls.example", ["starttls: unknown", "454 4.7.0 TLS not available"]),
        ("no-starttls.example", ["starttls: no", "STARTTLS is not offered"]),
        ("limited.example", ["shared-cipher: unknown", "421 4.7.0 Too many connections"]),
        ("null-mx.example", ["null MX", "nothing was dialled", "0 connections"]),
        ("cname.example", ["mail.cname.example -> CNAME mx1.good.example", "name-matches: no"]),
        ("no-such-domain.example", ["does not exist (NXDOMAIN)"]),
    ],
)
def test_the_report_says_what_is_wrong_and_quotes_the_evidence(domain: str, words: list[str], demo: Demo) -> None:
    next_hop = demo.target(domain)["next_hop"]
    following = re.search(
        rf"^{re.escape(next_hop)}  (.*?)(?=^\S+\.example\S*  |\Z)", demo.done.out, re.MULTILINE | re.DOTALL
    )
    assert following
    section = " ".join(following[1].split())
    for each in words:
        assert each in section


def test_a_server_that_limits_connections_is_unknown_and_never_refuses(demo: Demo) -> None:
    (endpoint,) = demo.target("limited.example")["endpoints"]
    states = {protocol: facts["state"] for protocol, facts in endpoint["protocols"].items()}
    assert set(states.values()) == {"accepted", "unknown"}
    assert not any(facts["complete"] for facts in endpoint["protocols"].values())
    (good,) = demo.target("good.example")["endpoints"]
    assert endpoint["connections"] < good["connections"], "it was not left alone"


def test_a_shared_mx_is_asked_once_and_what_takes_no_mail_never(demo: Demo) -> None:
    one, two = (demo.target(name)["endpoints"] for name in ("customer-one.example", "customer-two.example"))
    assert one == two
    assert demo.target("null-mx.example")["endpoints"] == []
    endpoints = {
        (each["host"], each["address"], each["port"]): each["connections"]
        for target in demo.document["targets"]
        for each in target["endpoints"]
    }
    assert demo.document["connections"] == sum(endpoints.values())


def test_an_mx_through_a_cname_keeps_both_names(demo: Demo) -> None:
    (host,) = demo.target("cname.example")["route"]["hosts"]
    assert (host["name"], host["canonical_name"]) == ("mail.cname.example", "mx1.good.example")


def test_a_database_that_exists_is_not_touched(tmp_path: Path) -> None:
    database = tmp_path / "precious.db"
    database.write_text("precious")
    assert "exists" in complaint(mxprobe("demo", "--database", database))
    assert database.read_text() == "precious"


def test_the_world_can_be_served_for_probes_of_ones_own() -> None:
    with subprocess.Popen(
        command("demo", "--serve"), env={**environment(), "PYTHONUNBUFFERED": "1"}, stdout=subprocess.PIPE, text=True
    ) as serving:
        assert serving.stdout is not None
        line = next(line for line in serving.stdout if line.startswith("serving until Ctrl-C: mxprobe "))
        arguments = line.partition("mxprobe ")[2].split()
        done = mxprobe(*arguments, "--depth", "quick")
        serving.send_signal(signal.SIGINT)
        assert serving.wait(60) == 128 + signal.SIGINT
    assert done.code == 0
    assert "STARTTLS works" in done.words
