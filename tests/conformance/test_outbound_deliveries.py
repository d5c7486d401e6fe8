"""What is told of mail on paper is what a real smtp(8) does: it delivers to the servers that were scanned before."""

from __future__ import annotations

import re
import smtplib
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import pytest

from acceptance.command import mxprobe
from acceptance.world import configuration
from servers.certificates import Authority, Issued
from servers.postfix import postfix_server
from servers.running import RunningServer, free_port, output_of, program
from servers.sending import MESSAGE, SENDER

SERVERS: Mapping[str, Mapping[str, str]] = {
    "modern": {"smtpd_tls_protocols": ">=TLSv1.2"},
    "only13": {"smtpd_tls_protocols": ">=TLSv1.3"},
    "only10": {"smtpd_tls_protocols": "TLSv1"},
    "static": {"smtpd_tls_protocols": "TLSv1.2", "tls_medium_cipherlist": "kRSA+AES"},
    "dhe": {"smtpd_tls_protocols": "TLSv1.2", "tls_medium_cipherlist": "DHE+AESGCM"},
    "ordered": {"smtpd_tls_protocols": "<=TLSv1.2", "tls_preempt_cipherlist": "yes"},
    "other": {"smtpd_tls_chain_files": "{other}"},
    "plain": {"smtpd_tls_security_level": "none"},
    "broken": {"smtpd_tls_ciphers": "heigh"},
    "refused": {"smtpd_tls_protocols": "SSLv5"},
}
"""The servers of partners, by their -o settings. The certificate of ``other`` is of a CA that nobody trusts."""

SEED_WORDS = "aNULL, LOW, EXP, MEDIUM, ADH, AECDH, MD5, DSS, ECDSA, CAMELLIA128, 3DES, CAMELLIA256, RSA+AES, eNULL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A client: its main.cf, and its table of policies by server. `unknown` are servers of which paper cannot tell, or
    ``refused``, whose 454 may be of the moment."""

    id: str
    settings: Mapping[str, str] = field(default_factory=dict)
    policies: Mapping[str, str] = field(default_factory=dict)
    unknown: frozenset[str] = frozenset({"refused"})


NOTHING: frozenset[str] = frozenset()
MAY = {"smtp_tls_security_level": "may"}
ENCRYPT = {"smtp_tls_security_level": "encrypt"}
TRUSTING = {"smtp_tls_CAfile": "{ca}"}
MAPS = {"smtp_tls_policy_maps": "texthash:{policies}"}

CASES = (
    Case(id="none", settings={"smtp_tls_security_level": "none"}, unknown=NOTHING),
    Case(id="may", settings=MAY),
    Case(id="may-narrow", settings={**MAY, "smtp_tls_protocols": ">=TLSv1.2", "smtp_tls_exclude_ciphers": "kRSA"}),
    Case(id="may-seed", settings={**MAY, "smtp_tls_exclude_ciphers": SEED_WORDS, "smtp_tls_protocols": "<=TLSv1.2"}),
    Case(id="may-hole", settings={**MAY, "smtp_tls_protocols": "!TLSv1.1"}),
    Case(id="may-off", settings={**MAY, "smtp_tls_protocols": "!SSLv2, TLSv1.5"}),
    Case(id="may-grade-of-another", settings={**MAY, "smtp_tls_ciphers": "null"}),
    Case(id="encrypt", settings=ENCRYPT),
    Case(
        id="encrypt-high",
        settings={**ENCRYPT, "smtp_tls_mandatory_ciphers": "high", "smtp_tls_mandatory_protocols": "TLSv1.2"},
    ),
    Case(id="encrypt-unset", settings={**ENCRYPT, "smtp_tls_mandatory_protocols": "$smtp_tls_protocols, !TLSv1.3"}),
    Case(id="legacy", settings={"smtp_enforce_tls": "yes", "smtp_tls_enforce_peername": "no"}),
    Case(id="verify-trusting-nobody", settings={"smtp_tls_security_level": "verify"}),
    Case(
        id="verify",
        settings={**TRUSTING, "smtp_tls_security_level": "verify", "smtp_tls_verify_cert_match": "mx.test"},
    ),
    Case(
        id="secure", settings={**TRUSTING, "smtp_tls_security_level": "secure", "smtp_tls_secure_cert_match": ".test"}
    ),
    Case(id="secure-by-default", settings={**TRUSTING, "smtp_tls_security_level": "secure"}),
    Case(
        id="fingerprint",
        settings={
            "smtp_tls_security_level": "fingerprint",
            "smtp_tls_fingerprint_digest": "sha256",
            "smtp_tls_fingerprint_cert_match": "{sha256}",
        },
        unknown=frozenset({"other", "refused"}),
    ),
    Case(id="fingerprint-of-nothing", settings={"smtp_tls_security_level": "fingerprint"}, unknown=NOTHING),
    Case(id="dane-without-dnssec", settings={"smtp_tls_security_level": "dane"}),
    Case(id="dane-only-without-dnssec", settings={"smtp_tls_security_level": "dane-only"}, unknown=NOTHING),
    Case(
        id="policies",
        settings={**MAY, **MAPS, **TRUSTING},
        policies={
            "modern": "none",
            "only13": "encrypt protocols=<=TLSv1.2",
            "only10": "may protocols=!TLSv1",
            "static": "encrypt exclude=kRSA",
            "dhe": "encrypt ciphers=high protocols=TLSv1.2:TLSv1.3",
            "ordered": "secure match=mx.test ciphers=high exclude=ECDHE+AESGCM:3DES",
            "other": "verify match=hostname:mx.test",
            "plain": "encrypt",
            "broken": "may",
            "refused": "encrypt",
        },
    ),
    Case(
        id="policies-over-encrypt",
        settings={
            "compatibility_level": "3.6",
            **ENCRYPT,
            **MAPS,
            **TRUSTING,
            "smtp_tls_mandatory_exclude_ciphers": "ECDHE",
            "smtp_tls_exclude_ciphers": "AES256",
            "smtp_tls_secure_cert_match": "nexthop",
        },
        policies={
            "modern": "may",
            "only13": "secure match=.test",
            "only10": "may ciphers=high",
            "static": "encrypt exclude= protocols=TLSv1.2",
            "dhe": "encrypt exclude=",
            "ordered": "encrypt exclude=kRSA",
            "other": "fingerprint match={other_sha256}",
            "plain": "may",
            "broken": "none",
        },
    ),
    Case(
        id="invalid-policies",
        settings={**MAY, **MAPS},
        policies={
            "modern": "mai",
            "only13": "encrypt foo=bar",
            "only10": "none foo",
            "static": "may match=mx.test",
            "dhe": "encrypt ciphers=",
            "ordered": "may ciphers=heigh",
            "other": "encrypt protocols=TLSv9",
            "plain": "encrypt protocols=TLSv1.2 protocols=TLSv1.3",
            "broken": "fingerprint",
            "refused": "may servername=-x-",
        },
        unknown=NOTHING,
    ),
    Case(
        id="table-for-all",
        settings={**MAY, "smtp_tls_policy_maps": "inline:{{ [192.0.2.1]=none }}, static:{{encrypt protocols=TLSv1.2}}"},
    ),
    Case(
        id="table-twice",
        settings={**MAY, "smtp_tls_policy_maps": "texthash:{policies}"},
        policies={"modern": "none\n[127.0.0.1]:1 may\n[127.0.0.1]:1 none"},
        unknown=NOTHING,
    ),
    Case(
        id="per-site",
        settings={"smtp_use_tls": "yes", "smtp_tls_per_site": "texthash:{policies}"},
        policies={
            "modern": "NONE",
            "only13": "MUST_NOPEERMATCH",
            "static": "MAY",
            "plain": "MUST_NOPEERMATCH",
            "broken": "NONE",
            "dhe": "MUST",
        },
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Real servers that were scanned, and what became of the mail of every case for each of them."""

    directory: Path
    ports: Mapping[str, int]
    postfix: str
    logged: Mapping[tuple[str, str], tuple[str, str | None, str | None]]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("world")
    directory.chmod(0o755)
    root = Authority.root("delivery root")
    leaf = root.leaf("mx.test")
    other = Authority.root("unknown root").leaf("mx.test")
    ports = {name: free_port() for name in SERVERS}
    (directory / "ca.pem").write_bytes(root.pem)
    (directory / "other.pem").write_bytes(other.key_pem + other.chain_pem)
    (directory / "other.pem").chmod(0o600)
    for case in CASES:
        lines = [f"[127.0.0.1]:{ports[name]} {policy}" for name, policy in case.policies.items()]
        (directory / case.id).write_text("".join(_filled(f"{line}\n", directory, case, leaf, other) for line in lines))
        settings = (
            f"{name} = {_filled(value, directory, case, leaf, other)}\n" for name, value in case.settings.items()
        )
        (directory / f"{case.id}.cf").write_text("".join(settings))
    services = [
        f"127.0.0.1:{ports[name]} inet n - n - 50 smtpd "
        + " ".join(
            f"-o {{ {key} = {_filled(value, directory, CASES[0], leaf, other)} }}" for key, value in each.items()
        )
        for name, each in SERVERS.items()
    ]
    services += [*_QUEUE, "discard unix - - n - - discard"]
    receiving = {"smtpd_relay_restrictions": "permit_mynetworks, reject", "default_transport": "discard:"}
    postfix = output_of(program("postconf", "postfix"), "-dh", "mail_version").strip()
    with ExitStack() as stack:
        stack.enter_context(postfix_server(main_cf=receiving, services=services, certificates=[leaf]))
        hops = [f"[127.0.0.1]:{port}" for port in ports.values()]
        scanned = configuration(
            directory, {"all": {"next_hops": hops}}, probe={"depth": "full", "ca_file": str(directory / "ca.pem")}
        )
        assert mxprobe("scan", "--config", scanned, "--format", "json").code in (0, 1, 3)
        sender = stack.enter_context(_sender(directory, ports))
        yield World(directory=directory, ports=ports, postfix=postfix, logged=_delivered(sender))


def _filled(text: str, directory: Path, case: Case, leaf: Issued, other: Issued) -> str:
    return (
        text.replace("{{", "{").replace("}}", "}")
        if "{{" in text
        else text.format(
            ca=directory / "ca.pem",
            policies=directory / case.id,
            other=directory / "other.pem",
            sha256=_fingerprint(leaf),
            other_sha256=_fingerprint(other),
        )
    )


def _fingerprint(issued: Issued) -> str:
    return sha256(issued.der).digest().hex(":").upper()


_QUEUE = (
    "qmgr unix n - n 300 1 qmgr",
    "retry unix - - n - - error",
    "error unix - - n - - error",
    "defer unix - - n - 0 bounce",
    "trace unix - - n - 0 bounce",
)


def _sender(directory: Path, ports: Mapping[str, int]) -> AbstractContextManager[RunningServer]:
    """A Postfix with a client for each case, that has a route to each server."""
    services, transports = list(_QUEUE), []
    for case in CASES:
        options = {**_settings(directory / f"{case.id}.cf"), "syslog_name": case.id, "smtp_tls_loglevel": "1"}
        said = " ".join(f"-o {{ {name} = {value} }}" for name, value in options.items())
        services.append(f"{case.id} unix - - n - - smtp {said}")
        transports += [f"{{ {case.id}.{name}.test = {case.id}:[127.0.0.1]:{port} }}" for name, port in ports.items()]
    parameters = {
        "transport_maps": f"inline:{{{', '.join(transports)}}}",
        "smtpd_relay_restrictions": "permit_mynetworks, reject",
        "smtpd_tls_security_level": "none",
        # A handshake that fails leads to clear text when the mail is as old as that.
        "minimal_backoff_time": "1s",
        "maximal_backoff_time": "1s",
        "queue_run_delay": "1s",
        # What hangs is tried again.
        **dict.fromkeys(("smtp_connect_timeout", "smtp_helo_timeout", "smtp_starttls_timeout"), "10s"),
        "default_destination_concurrency_failed_cohort_limit": "0",
    }
    return postfix_server(main_cf=parameters, services=services)


def _settings(path: Path) -> dict[str, str]:
    pairs = (line.partition(" = ") for line in path.read_text().splitlines())
    return {name: value for name, _, value in pairs}


_SESSION = re.compile(r"(\S+)/smtp\[(\d+)\]: \w+ TLS connection established to \S+:(\d+): (\S+) with cipher (\S+)")
_STATUS = re.compile(r"(\S+)/smtp\[(\d+)\]: \w+: to=<\w+@([\w-]+)\.(\w+)\.test>.*status=(\w+)")


def _delivered(sender: RunningServer) -> dict[tuple[str, str], tuple[str, str | None, str | None]]:
    """Wait until each mail was sent, or deferred again when its time for clear text had come."""
    wanted = {(case.id, server) for case in CASES for server in SERVERS}
    with smtplib.SMTP("127.0.0.1", sender.port, "mx.test") as session:
        # Each in a message of its own: one that takes long holds up no other.
        for case, server in sorted(wanted):
            session.sendmail(SENDER, [f"postmaster@{case}.{server}.test"], MESSAGE)
    deadline = time.monotonic() + 90
    while True:
        sent: dict[tuple[str, str], tuple[str, str | None, str | None]] = {}
        deferred: dict[tuple[str, str], int] = {}
        established: dict[str, tuple[str, str]] = {}
        for line in sender.log_text().splitlines():
            if found := _SESSION.search(line):
                established[found[2]] = (found[4], found[5])
            elif found := _STATUS.search(line):
                _, process, case, server, status = found.groups()
                protocol, suite = established.pop(process, (None, None))
                if status == "sent":
                    sent[case, server] = ("tls" if protocol else "clear", protocol, suite)
                else:
                    deferred[case, server] = deferred.get((case, server), 0) + 1
        if all(each in sent or deferred.get(each, 0) >= 3 for each in wanted):
            return {each: sent.get(each, ("deferred", None, None)) for each in wanted}
        if time.monotonic() > deadline:
            raise AssertionError({each for each in wanted if each not in sent and deferred.get(each, 0) < 3})
        time.sleep(0.2)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_what_is_told_is_what_becomes_of_the_mail(case: Case, world: World) -> None:
    done = mxprobe(
        *("check", "--outbound", "--main-cf", world.directory / f"{case.id}.cf", "--postfix", world.postfix),
        *("--openssl", "3.0", "--store", f"sqlite:///{world.directory}/mxprobe.db", "--format", "json"),
    )
    assert done.err == "", done.err
    told = {
        each["subject"]: (
            each["evidence"]["delivery"],
            each["evidence"].get("protocol"),
            each["evidence"].get("suite"),
        )
        for each in done.document["checks"]
        if each["name"] == "keeps-tls"
    }
    real = {server: world.logged[case.id, server] for server in SERVERS}
    computed = {server: told[f"[127.0.0.1]:{port}"] for server, port in world.ports.items()}
    unknown = {server for server, found in computed.items() if found[0] == "unknown"}
    assert unknown == case.unknown
    assert {name: found for name, found in computed.items() if name not in unknown} == {
        name: found for name, found in real.items() if name not in unknown
    }
