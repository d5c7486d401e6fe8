"""What is computed for Postfix's server is what the real smtpd(8) accepts: versions, suites, their order, groups."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest

import mxprobe
from mxprobe import EndpointFacts, Limits, ProbeSettings
from mxprobe.mta.postfix.configuration import read_main_cf
from mxprobe.mta.postfix.server import certificate_files, server_profile
from mxprobe.mta.postfix.services import read_master_cf, server_service
from mxprobe.mta.postfix.version import PostfixVersion, parse_version
from mxprobe.mta.profile import NoTls, ServerProfile
from mxprobe.terms import CertificateKind, Protocol
from mxprobe.tls.code_points import GROUPS
from servers.certificates import Issued, make_leaf
from servers.openssl_server import EVERYTHING
from servers.postfix import postfix_server
from servers.running import certificate, free_port, output_of, program

RSA: tuple[CertificateKind, ...] = ("RSA",)
BOTH: tuple[CertificateKind, ...] = ("RSA", "ECDSA")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A server, its settings over the default of `may`, and its keys."""

    id: str
    settings: Mapping[str, str] = field(default_factory=dict)
    kinds: tuple[CertificateKind, ...] = BOTH
    everything: bool = False


OPEN = {"smtpd_tls_protocols": "!SSLv2", "tls_medium_cipherlist": EVERYTHING}
SEED = "ALL:+RC4:@STRENGTH:!aNULL:!ADH:!LOW:!EXP:!MD5:!SSLv2:!RSA+AES:!eNULL"

CASES = (
    Case(id="default", everything=True),
    Case(id="rsa", kinds=RSA),
    Case(id="ecdsa", kinds=("ECDSA",)),
    Case(id="dsa", settings=OPEN, kinds=("DSA",)),
    Case(id="ed25519", kinds=("EdDSA",)),
    Case(id="everything", settings=OPEN),
    Case(id="everything-preferred", settings={**OPEN, "tls_preempt_cipherlist": "yes"}, kinds=("RSA", "ECDSA", "DSA")),
    Case(id="high-preferred", settings={"smtpd_tls_ciphers": "high", "tls_preempt_cipherlist": "YES"}),
    Case(id="low", settings={"smtpd_tls_ciphers": "low"}),
    Case(id="export", settings={"smtpd_tls_ciphers": "export"}),
    Case(id="null", settings={"smtpd_tls_ciphers": "null"}),
    Case(id="unknown-grade", settings={"smtpd_tls_ciphers": "middling"}),
    Case(
        id="own-list",
        settings={"tls_medium_cipherlist": "AES128:CAMELLIA:AESGCM:+kRSA", "tls_preempt_cipherlist": "yes"},
    ),
    Case(id="camellia-and-anonymous", settings={"tls_medium_cipherlist": "CAMELLIA:aNULL"}),
    Case(id="seed-list", settings={"tls_medium_cipherlist": SEED}),
    Case(id="level-0-in-list", settings={"tls_medium_cipherlist": "ALL:@SECLEVEL=0"}),
    Case(id="level-1-in-list", settings={"tls_medium_cipherlist": "ALL:@SECLEVEL=1"}),
    Case(id="level-2-in-list", settings={"tls_medium_cipherlist": "ALL:@SECLEVEL=2"}),
    Case(id="exclusions", settings={"smtpd_tls_exclude_ciphers": "aNULL, kRSA+AES : CAMELLIA ARIA"}),
    Case(id="exclusion-with-operator", settings={"smtpd_tls_exclude_ciphers": "+aNULL"}),
    Case(id="no-ecdhe-grade", settings={"smtpd_tls_eecdh_grade": "none"}, everything=True),
    Case(
        id="curves",
        settings={"tls_eecdh_auto_curves": "secp384r1 X25519 brainpoolP256r1", "tls_preempt_cipherlist": "yes"},
        everything=True,
    ),
    Case(id="only-1.3", settings={"smtpd_tls_protocols": ">=TLSv1.3"}),
    Case(id="only-1.2", settings={"smtpd_tls_protocols": "TLSv1.2"}),
    Case(id="up-to-1.1", settings={"smtpd_tls_protocols": "<=0302"}),
    Case(id="hole", settings={"smtpd_tls_protocols": "!TLSv1.1, !TLSv1.2"}),
    Case(id="unknown-protocol", settings={"smtpd_tls_protocols": "!SSLv2, TLSv1.5"}),
    Case(id="no-protocol-left", settings={"smtpd_tls_protocols": "SSLv3"}),
    Case(
        id="mandatory",
        settings={
            "smtpd_tls_security_level": "encrypt",
            "smtpd_tls_mandatory_ciphers": "high",
            "smtpd_tls_mandatory_exclude_ciphers": "DHE",
            "smtpd_tls_mandatory_protocols": ">=TLSv1.2",
            "smtpd_tls_ciphers": "null",
        },
    ),
    Case(id="verify-is-encrypt", settings={"smtpd_tls_security_level": "verify", "smtpd_tls_ciphers": "null"}),
    Case(id="legacy-enforce", settings={"smtpd_tls_security_level": "", "smtpd_enforce_tls": "yes"}),
    Case(id="legacy-use", settings={"smtpd_tls_security_level": "", "smtpd_use_tls": "yes"}),
    Case(id="level-none", settings={"smtpd_tls_security_level": "none", "smtpd_use_tls": "yes"}),
    Case(id="level-empty", settings={"smtpd_tls_security_level": ""}),
    Case(
        id="client-certificates-required",
        settings={"smtpd_tls_security_level": "encrypt", "smtpd_tls_req_ccert": "yes", "tls_medium_cipherlist": "ALL"},
    ),
    Case(id="client-certificates-asked-for", settings={"smtpd_tls_ask_ccert": "yes", "tls_medium_cipherlist": "ALL"}),
    Case(
        id="client-certificates-not-required-at-may",
        settings={"smtpd_tls_req_ccert": "yes", "tls_medium_cipherlist": "ALL"},
    ),
    Case(id="brainpool-alone", settings={"tls_eecdh_auto_curves": "brainpoolP384r1"}, everything=True),
    Case(id="a-field-alone", settings={"tls_eecdh_auto_curves": "ffdhe2048"}, everything=True),
    Case(id="a-field-and-a-curve", settings={"tls_eecdh_auto_curves": "ffdhe2048 X448"}, everything=True),
    Case(id="curve-unknown", settings={"tls_eecdh_auto_curves": "nonsense"}, everything=True),
    Case(id="curve-twice", settings={"tls_eecdh_auto_curves": "P-256, prime256v1"}, everything=True),
    Case(
        id="recommended-in-2014",
        settings={
            "smtpd_tls_ciphers": "high",
            "tls_high_cipherlist": "EDH+CAMELLIA:EDH+aRSA:EECDH+aRSA+AESGCM:EECDH+aRSA+SHA256:EECDH:+CAMELLIA128:"
            "+AES128:+SSLv3:!aNULL:!eNULL:!LOW:!3DES:!MD5:!EXP:!PSK:!DSS:!RC4:!SEED:!IDEA:!ECDSA:kEDH:"
            "CAMELLIA128-SHA:AES128-SHA",
            "smtpd_tls_protocols": "!SSLv2,!SSLv3",
            "smtpd_tls_eecdh_grade": "ultra",
        },
    ),
    Case(
        id="exclusions-of-a-mail-suite",
        settings={
            "smtpd_tls_exclude_ciphers": "aNULL, eNULL, EXPORT, DES, RC4, MD5, PSK, aECDH, EDH-DSS-DES-CBC3-SHA, "
            "EDH-RSA-DES-CBC3-SHA, KRB5-DES, CBC3-SHA",
            "tls_ssl_options": "NO_COMPRESSION, NO_RENEGOTIATION, 0x20000000",
            "tls_disable_workarounds": "0xFFFFFFFF",
        },
    ),
    Case(id="anonymous", settings={"smtpd_tls_cert_file": "none"}, kinds=()),
    Case(id="anonymous-asking", settings={"smtpd_tls_cert_file": "none", "smtpd_tls_ask_ccert": "yes"}, kinds=()),
    Case(id="no-certificate", kinds=()),
)


def key_of(kind: CertificateKind) -> Issued:
    if kind == "EdDSA":
        return make_leaf("mx.test", key_type="Ed25519")
    return certificate("EC" if kind == "ECDSA" else "DSA" if kind == "DSA" else "RSA")


@pytest.fixture(scope="module")
def postfix() -> PostfixVersion:
    """The Postfix of this machine."""
    return parse_version(output_of(program("postconf", "postfix"), "-dh", "mail_version"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """Servers of all cases, by port, as services of one master.cf."""

    ports: Mapping[str, int]
    master_cf: str


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One Postfix with a service for each case, whose settings are its -o options."""
    directory = tmp_path_factory.mktemp("keys")
    services, ports = [], {}
    for case in CASES:
        files = []
        for kind in case.kinds:
            path = directory / f"{kind}.pem"
            issued = key_of(kind)
            path.write_bytes(issued.key_pem + issued.chain_pem)
            path.chmod(0o600)
            files.append(str(path))
        settings = {
            "smtpd_tls_security_level": "may",
            "smtpd_tls_chain_files": ", ".join(files),
            "smtpd_tls_protocols": ">=TLSv1",
            **case.settings,
        }
        ports[case.id] = free_port()
        options = " ".join(f"-o {{ {name} = {value} }}" for name, value in settings.items())
        services.append(f"127.0.0.1:{ports[case.id]} inet n - n - 50 smtpd {options}")
    with ExitStack() as stack:
        stack.enter_context(postfix_server(services=services))
        yield Running(ports=ports, master_cf="\n".join(services) + "\n")


def computed(case: Case, running: Running, postfix: PostfixVersion) -> ServerProfile | NoTls:
    service = server_service(read_master_cf(running.master_cf), f"127.0.0.1:{running.ports[case.id]}")
    configuration = read_main_cf("").overridden(service.overrides)
    assert bool(certificate_files(configuration, postfix)) == bool(case.kinds)
    return server_profile(configuration, postfix=postfix, openssl="3.0", certificate_kinds=case.kinds)


def probed(case: Case, running: Running) -> EndpointFacts:
    settings = ProbeSettings(
        depth="everything" if case.everything else "full",
        limits=Limits(per_address=8),
        connect={"mx.test": "127.0.0.1"},
    )
    (facts,) = asyncio.run(mxprobe.probe(f"[mx.test]:{running.ports[case.id]}", settings)).endpoints
    if facts.starttls.state == "unknown" or any(each.state == "unknown" for each in facts.protocols.values()):
        # What a busy machine has held up is asked once more: the result says of itself that it is none.
        (facts,) = asyncio.run(mxprobe.probe(f"[mx.test]:{running.ports[case.id]}", settings)).endpoints
    return facts


def groups_in(profile: ServerProfile, protocol: Protocol) -> tuple[int, ...]:
    """RFC 8446 §4.2.7: TLS 1.3 has no Brainpool curves of the older numbers; RFC 7919 groups are no curves."""
    brainpool = (26, 27, 28)
    groups = profile.groups or ()
    return tuple(group for group in groups if (group not in brainpool if protocol == "TLSv1.3" else group < 256))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_the_server_accepts_the_computed_profile(case: Case, running: Running, postfix: PostfixVersion) -> None:
    profile, facts = computed(case, running, postfix), probed(case, running)
    found = {
        protocol: tuple(int(seen.id, 16) for seen in of_version.suites)
        for protocol, of_version in facts.protocols.items()
        if of_version.suites
    }
    if isinstance(profile, NoTls):
        assert not found, (profile, facts.starttls)
        # smtpd(8) answers STARTTLS with 454 where its TLS is off, which may be of the moment to who asks.
        said = "refused" if facts.starttls.stage == "starttls" else facts.starttls.state
        assert profile.starttls == said
        return
    assert {protocol: set(suites) for protocol, suites in profile.suites.items()} == {
        protocol: set(suites) for protocol, suites in found.items()
    }
    for protocol, of_version in facts.protocols.items():
        if of_version.order != "unknown":
            assert of_version.order == profile.order
        if of_version.order == "server":
            assert found[protocol] == profile.suites[protocol]
        if case.everything:
            assert of_version.groups is not None or of_version.state != "accepted"
        if case.everything and of_version.groups is not None:
            assert of_version.groups.complete
            usable = tuple(GROUPS[group] for group in groups_in(profile, protocol))
            assert set(of_version.groups.names) == set(usable)
            if of_version.groups.order == "server":
                assert of_version.groups.names == usable
