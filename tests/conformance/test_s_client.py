"""Our answers next to those of `openssl s_client -starttls smtp`: every suite of every protocol, every verify code."""

from __future__ import annotations

import asyncio
import re
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import mxprobe
from mxprobe import EndpointFacts, Limits, ProbeSettings, Target
from mxprobe.probing.settings import Depth
from mxprobe.terms import Protocol
from servers.certificates import CLIENT_AUTH, DAY, Authority, Issued, hashed_directory, make_leaf
from servers.nss_server import nss_server
from servers.openssl_server import openssl_server
from servers.postfix import postfix_server
from servers.running import RunningServer
from servers.smtp_front import smtp_front
from servers.tlslite_server import tlslite_server

NAME = "mx.example.test"
EVERYTHING = "ALL:COMPLEMENTOFALL:@SECLEVEL=0"
EVERY_TLS13_SUITE = (
    "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256:"
    "TLS_AES_128_CCM_SHA256:TLS_AES_128_CCM_8_SHA256"
)
OPTION: dict[Protocol, str] = {"TLSv1": "-tls1", "TLSv1.1": "-tls1_1", "TLSv1.2": "-tls1_2", "TLSv1.3": "-tls1_3"}

# How s_client says no: the alert of the server; or that it cannot offer the suite in this protocol, or without a key.
NO = re.compile(r"SSL alert number \d+|no ciphers available|no cipher match|unsupported protocol")


def test_every_suite_of_openssl_is_accepted_or_not_as_s_client_says(tmp_path: Path) -> None:
    suites = all_suites()
    assert len(suites) > 150
    asked = [(protocol, name) for protocol in OPTION for name, in_tls13 in suites.values() if not in_tls13]
    asked = [pair for pair in asked if pair[0] != "TLSv1.3"]
    asked += [("TLSv1.3", name) for name, in_tls13 in suites.values() if in_tls13]
    with postfix_server(opened_up=True) as server:
        ours = probe(server.port, None).endpoints[0].protocols
        with ThreadPoolExecutor(4) as pool:
            theirs = list(pool.map(lambda pair: s_client_completes(server.port, *pair), asked))

    accepted = {pair for pair, completed in zip(asked, theirs, strict=True) if completed}
    assert len(accepted) > 100
    found = {(protocol, seen.name) for protocol, facts in ours.items() for seen in facts.suites}
    assert found == accepted


def all_suites() -> dict[int, tuple[str, bool]]:
    """Name, and whether it is of TLS 1.3, of every suite that was compiled into the system's OpenSSL."""
    command = ["openssl", "ciphers", "-V", "-ciphersuites", EVERY_TLS13_SUITE, EVERYTHING]
    listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    lines = re.findall(r"0x(\w\w),0x(\w\w) - (\S+) +(\S+)", listing)
    return {int(high + low, 16): (name, since == "TLSv1.3") for high, low, name, since in lines}


def s_client_completes(port: int, protocol: Protocol, name: str) -> bool:
    """Whether a whole handshake with one suite comes about; a "no" for any other reason than the suite fails."""
    command = ["openssl", "s_client", "-brief", "-starttls", "smtp", "-connect", f"127.0.0.1:{port}"]
    command += [OPTION[protocol]]
    command += ["-ciphersuites", name] if protocol == "TLSv1.3" else ["-cipher", f"{name}:@SECLEVEL=0"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    said = done.stdout + done.stderr
    completed = f"Ciphersuite: {name}\n" in said
    assert completed != bool(NO.search(said)), (protocol, name, said)
    return completed


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a server shows, whom the client trusts, and the code of openssl-verification-options(1) that follows."""

    leaf: Issued
    trusted: Sequence[Issued]
    code: int
    verify_depth: int = 9


def trusted() -> Shown:
    root = Authority.root()
    return Shown(leaf=root.intermediate().leaf(NAME), trusted=[root], code=0)


def self_signed() -> Shown:
    return Shown(leaf=make_leaf(NAME), trusted=[Authority.root()], code=18)


def unknown_issuer() -> Shown:
    return Shown(leaf=Authority.root("private root").leaf(NAME), trusted=[Authority.root()], code=20)


def expired() -> Shown:
    root = Authority.root()
    leaf = root.intermediate().leaf(NAME, not_after=datetime.now(UTC) - timedelta(hours=1))
    return Shown(leaf=leaf, trusted=[root], code=10)


def expired_intermediate() -> Shown:
    root = Authority.root()
    intermediate = root.intermediate(not_after=datetime.now(UTC) - timedelta(hours=1))
    return Shown(leaf=intermediate.leaf(NAME), trusted=[root], code=10)


def not_yet_valid() -> Shown:
    root = Authority.root()
    leaf = root.leaf(NAME, not_before=datetime.now(UTC) + DAY, not_after=datetime.now(UTC) + 2 * DAY)
    return Shown(leaf=leaf, trusted=[root], code=9)


def missing_intermediate() -> Shown:
    root = Authority.root()
    return Shown(leaf=replace(root.intermediate().leaf(NAME), issuers=()), trusted=[root], code=20)


def chain_longer_than_the_depth() -> Shown:
    # s_client reports the excess and goes on; a verdict of ours says it (test below).
    root = Authority.root()
    leaf = root.intermediate("first").intermediate("second").leaf(NAME)
    return Shown(leaf=leaf, trusted=[root], code=0, verify_depth=1)


def wrong_purpose() -> Shown:
    root = Authority.root()
    return Shown(leaf=root.leaf(NAME, eku=[CLIENT_AUTH]), trusted=[root], code=26)


SHOWN = (
    trusted,
    self_signed,
    unknown_issuer,
    expired,
    expired_intermediate,
    not_yet_valid,
    missing_intermediate,
    chain_longer_than_the_depth,
    wrong_purpose,
)


@pytest.mark.parametrize("make", SHOWN)
def test_a_probe_verifies_as_s_client_does(make: Callable[[], Shown], tmp_path: Path) -> None:
    shown = make()
    trust = hashed_directory(tmp_path, shown.trusted)
    with openssl_server(certificates=[shown.leaf]) as server, smtp_front(server) as front:
        theirs = s_client_verifies(front.port, trust, shown.verify_depth)
        ours = verified(probe(front.port, trust, shown.verify_depth).endpoints[0])

    assert theirs[0] == shown.code
    assert ours == theirs


@pytest.mark.parametrize("make", [trusted, self_signed, expired, missing_intermediate])
@pytest.mark.parametrize(
    "sslv3_only",
    [lambda leaf: nss_server(certificates=[leaf]), lambda leaf: tlslite_server(highest="SSLv3", certificates=[leaf])],
    ids=["nss", "tlslite"],
)
def test_the_plain_certificate_message_of_sslv3_verifies_as_the_same_chain_over_tls(
    sslv3_only: Callable[[Issued], AbstractContextManager[RunningServer]], make: Callable[[], Shown], tmp_path: Path
) -> None:
    shown = make()
    trust = hashed_directory(tmp_path, shown.trusted)
    # s_client speaks no SSLv3 any more, so it is asked about the same chain on another server.
    with openssl_server(certificates=[shown.leaf]) as server, smtp_front(server) as front:
        theirs = s_client_verifies(front.port, trust, shown.verify_depth)
    with sslv3_only(shown.leaf) as server, smtp_front(server) as front:
        facts = probe(front.port, trust, depth="quick").endpoints[0]

    assert facts.natural is not None
    assert (facts.natural.protocol, facts.natural.reached) == ("SSLv3", "flight-complete")
    assert verified(facts) == theirs


def test_a_chain_longer_than_the_depth_is_trusted_by_s_client_and_not_by_the_verdict(tmp_path: Path) -> None:
    shown = chain_longer_than_the_depth()
    trust = hashed_directory(tmp_path, shown.trusted)
    with openssl_server(certificates=[shown.leaf]) as server, smtp_front(server) as front:
        states = {
            depth: [verdict.state for verdict in probe(front.port, trust, depth).verdicts if verdict.id == "trusted"]
            for depth in (1, 2, 3)
        }
    # The root is at depth 3.
    assert states == {1: ["no"], 2: ["no"], 3: ["yes"]}


def probe(port: int, trust: Path | None, verify_depth: int = 9, depth: Depth = "full") -> Target:
    settings = ProbeSettings(
        ca_path=str(trust) if trust else None,
        verify_depth=verify_depth,
        depth=depth,
        limits=Limits(per_address=8),
    )
    return asyncio.run(mxprobe.probe(f"[127.0.0.1]:{port}", settings))


def verified(facts: EndpointFacts) -> tuple[int, str, int]:
    """Code, text, and the depth of the first error."""
    assert facts.verification is not None
    return facts.verification.code, facts.verification.text, facts.verification.depth


def s_client_verifies(port: int, trust: Path, verify_depth: int) -> tuple[int, str, int]:
    command = ["openssl", "s_client", "-starttls", "smtp", "-connect", f"127.0.0.1:{port}", "-CApath", str(trust)]
    command += ["-verify", str(verify_depth), "-verify_return_error"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    code = re.search(r"Verify return code: (\d+) \((.*)\)", done.stdout)
    assert code, done.stdout + done.stderr
    # s_client prints the depth before what it says of the certificate there.
    error = re.search(r"^depth=(\d+) [^\n]*\nverify error:", done.stderr, re.MULTILINE)
    return int(code[1]), code[2], int(error[1]) if error else 0
