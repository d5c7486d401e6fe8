"""Exim's configuration beside Exim: `exim -bP`, real Exims swept, and OpenSSL's own programs for Exims on OpenSSL."""

from __future__ import annotations

import asyncio
import re
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mxprobe
from mxprobe import Limits, ProbeSettings
from mxprobe.configuration.this_machine import gnutls_listing
from mxprobe.errors import InvalidSetting
from mxprobe.mta.exim.client import openssl_strings_profile, priority_of
from mxprobe.mta.exim.configuration import Configuration, literal, read_exim
from mxprobe.mta.exim.server import gnutls_server_profile, openssl_server_profile, server_priority_of
from mxprobe.mta.gnutls import client_profile
from mxprobe.mta.hello import profile_of_hello
from mxprobe.mta.profile import Profile, ServerProfile
from mxprobe.terms import CertificateKind, Protocol
from servers.exim import exim_server
from servers.openssl_server import openssl_server
from servers.recorder import recorder
from servers.running import RunningServer, certificate
from servers.sending import command_sends, exim_sends
from servers.smtp_front import smtp_front
from servers.unpacked import own_world, unpacked

MAIN = ("tls_require_ciphers", "tls_certificate", "tls_dhparam", "tls_advertise_hosts")


class Exim:
    """The Exim of Debian, asked about configurations in a directory of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._program = unpacked("exim4-daemon-light") / "usr/sbin/exim4"
        self._environment = own_world(directory, "Debian-exim")
        self._head = f"spool_directory = {directory}\nlog_file_path = {directory}/%slog\nkeep_environment =\n"

    def says(self, text: str, *asked: str) -> tuple[dict[str, str] | None, str]:
        """What `exim -bP` prints of these options, None if it refuses the configuration, and what it said of that."""
        path = self.directory / "exim.conf"
        path.write_bytes((text + "\n").encode())
        done = subprocess.run(
            [self._program, "-C", path, "-bP", *asked],
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            return None, done.stderr + done.stdout
        return dict(line.split(" = ", 1) for line in done.stdout.splitlines() if " = " in line), done.stderr

    def expands(self, text: str) -> str:
        """What `exim -be` makes of a string."""
        command = [self._program, "-C", "/dev/null", "-be", text]
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True, check=True)
        return done.stdout.rstrip("\n")

    def agrees(self, text: str) -> bool | str:
        """Whether our reader finds what Exim does in a configuration; else what differs."""
        text = self._head + text
        theirs, said = self.says(text, *MAIN)
        try:
            ours: Configuration | None = self.read(text)
            refused = None
        except InvalidSetting as error:
            ours, refused = None, error
        if theirs is None or ours is None:
            if _LET_PASS.search(said):
                return True
            if (theirs is None) != (ours is None):
                return f"Exim: {theirs or said}; ours: {(ours and dict(ours.main)) or refused}"
            line = re.search(r"in line (\d+) of", said)
            # Exim names the last line of what was continued, and the end of the file for what is never closed.
            told = line and "exim.conf" in said and "\\" not in text and "Unexpected end" not in said
            if line and told and f"exim.conf: line {line[1]}" not in str(refused):
                return f"Exim: {said}; ours: {refused}"
            return True
        for name in MAIN:
            setting = ours.main.get(name)
            default = "*" if name == "tls_advertise_hosts" else ""
            if (default if setting is None else setting.value.strip()) != theirs[name].strip():
                return f"{name}: Exim: {theirs[name]!r}; ours: {setting}"
        for transport in ours.transports:
            if transport.driver == "smtp":
                options, _ = self.says(text, "transport", transport.name)
                found = transport.options.get("tls_require_ciphers")
                if options is None or ("" if found is None else found.value) != options["tls_require_ciphers"]:
                    return f"transport {transport.name}: Exim: {options}; ours: {found}"
        return True

    def read(self, text: str) -> Configuration:
        def included(name: str) -> str | None:
            return Path(name).read_text() if Path(name).exists() else None

        return read_exim(text, str(self.directory / "exim.conf"), included, library="gnutls")


@pytest.fixture(scope="module")
def exim(tmp_path_factory: pytest.TempPathFactory) -> Exim:
    directory = tmp_path_factory.mktemp("exim")
    directory.chmod(0o755)
    (directory / "more").write_text("tls_certificate = /from/more\nMORE = SECURE128\n")
    (directory / "itself").write_text(f".include {directory}/more\ntls_dhparam = ffdhe2048\n")
    return Exim(directory)


# We let pass what is not about TLS, whether Exim knows it or not, and a line that goes on with nothing.
_LET_PASS = re.compile(r"option \"(?!tls_|no_tls|openssl_)\w*\" unknown|option setting expected: *$", re.MULTILINE)

TRANSPORT = "begin transports\nremote:\n  driver = smtp\n"
CONFIGURATIONS = (
    "",
    "tls_require_ciphers = NORMAL",
    "  tls_require_ciphers=NORMAL:-VERS-TLS1.0   ",
    'tls_require_ciphers = "NORMAL:\\x2dVERS-TLS1.0\\\\\\"\\101"',
    'tls_require_ciphers = "NORMAL',
    'tls_require_ciphers = "NORMAL" x',
    "tls_require_ciphers = NORMAL:\\\n   -VERS-TLS1.0:\\\n # a comment\n   -VERS-TLS1.1",
    "tls_require_ciphers = NORMAL\\\n\ntls_dhparam = none",
    "tls_require_ciphers = NORMAL\ntls_require_ciphers = PFS",
    "hide tls_certificate = /a",
    "tls_require_ciphers NORMAL",
    "tls_require_ciphers",
    "no_tls_require_ciphers = NORMAL",
    "tls_require_cipher = NORMAL",
    "tls_reqire = x",
    "openssl_optons = +all",
    "AA = NORMAL\ntls_require_ciphers = AA:-VERS-TLS1.0",
    "AA = NORMAL\nBB = AA:%COMPAT\ntls_require_ciphers = BB",
    "AA = NORMAL\nBB = PFS\nAA == BB\ntls_require_ciphers = AA",
    "AA = NORMAL\nAA = PFS",
    "AA == NORMAL",
    "AA = NORMAL\nAAB = PFS",
    "ABC = NORMAL\nAB = PFS\ntls_require_ciphers = ABC:AB",
    "AA = BB\nBB = NORMAL\ntls_require_ciphers = AA",
    "BB = NORMAL\nAA = BB\nBB == PFS\ntls_require_ciphers = AA",
    "A = AA\ntls_require_ciphers = A",
    "EMPTY =\ntls_require_ciphers = EMPTY",
    "EMPTY =\nEMPTY tls_require_ciphers = NORMAL",
    ".ifdef XX\ntls_require_ciphers = NORMAL\n.endif",
    ".ifdef XX\ntls_require_ciphers = NORMAL\n.else\ntls_require_ciphers = PFS\n.endif",
    "XX = y\n.ifdef XX\ntls_require_ciphers = NORMAL\n.else\ntls_require_ciphers = PFS\n.endif",
    "XX = y\n.ifndef XX\ntls_require_ciphers = A\n.elifdef YY\ntls_require_ciphers = B\n.elifndef ZZ\n"
    "tls_require_ciphers = C\n.else\ntls_require_ciphers = D\n.endif",
    "XX = y\n.ifdef XX\n.ifdef YY\ntls_require_ciphers = A\n.else\ntls_require_ciphers = B\n.endif\n.else\n"
    "tls_require_ciphers = C\n.endif",
    ".ifdef XX\n.ifndef YY\ntls_require_ciphers = A\n.else\nnonsense\n.endif\n.endif",
    "XX = y\n.ifdef AA XX\ntls_require_ciphers = A\n.endif",
    ".ifdef _HAVE_TLS\ntls_require_ciphers = A\n.endif\n.ifdef _HAVE_OPENSSL\ntls_dhparam = none\n.endif",
    ".ifdef _HAVE_GNUTLS\ntls_require_ciphers = A\n.else\ntls_dhparam = none\n.endif",
    ".ifdef _OPT_MAIN_TLS_DHPARAM\ntls_dhparam = none\n.endif",
    ".ifdef XX\ntls_require_ciphers = A",
    ".else\n",
    ".endif",
    "\n".join([".ifndef XX"] * 10 + ["tls_dhparam = none"] + [".endif"] * 10),
    "\n".join([".ifndef XX"] * 11 + ["tls_dhparam = none"] + [".endif"] * 11),
    ".ifdefXX\ntls_dhparam = none\n.endif",
    ".include DIR/more\ntls_require_ciphers = MORE",
    ".include DIR/itself",
    ".include more\ntls_require_ciphers = MORE",
    '.include "DIR/more"',
    ".include DIR/missing",
    ".include_if_exists DIR/missing\ntls_dhparam = none",
    ".include_if_exists DIR/more",
    ".include_if_exists more",
    ".ifdef XX\n.include DIR/missing\n.endif",
    "domainlist local = @ : a.test\nhide hostlist relay = <; ::1\nlocalpartlist l = a\naddresslist a = x@y",
    "= x",
    "1 = x",
    "tls_advertise_hosts =",
    "tls_advertise_hosts = 192.0.2.0/24 : !*",
    TRANSPORT + "  tls_require_ciphers = NORMAL:${if eq{a}{b}{x}}",
    TRANSPORT + "  tls_require_ciphers = A\n  tls_require_ciphers = B",
    TRANSPORT + "  tls_require_cipher = A",
    TRANSPORT + "  no_tls_tempfail_tryclear\n  hosts_require_tls = *\n  tls_require_ciphers = \"A\\\n  B\"",
    TRANSPORT + "other :\n  driver = smtp\n  tls_require_ciphers = PFS\nfile:\n  driver = pipe\n",
    TRANSPORT + "remote:\n  driver = smtp",
    "begin transports\n  driver = smtp",
    TRANSPORT + "AA = PFS\nsecond:\n  driver = smtp\n  tls_require_ciphers = AA",
    TRANSPORT + "AA = PFS\n  tls_require_ciphers = AA",
    TRANSPORT + "  headers_add = X-A: b\n  headers_add = X-C: d\n  headers_remove = a\n  headers_remove = b",
    "begin nonsense\n",
    "BEGIN transports\nremote:\n  driver = smtp\n  tls_require_ciphers = A",
    "begin acl\n\nacl_check:\n  accept\n\nbegin routers\nr:\n  driver = accept\n  transport = remote\n\n" + TRANSPORT,
)  # fmt: skip


@pytest.mark.parametrize("text", CONFIGURATIONS)
def test_options_are_read_as_exim_reads_them_and_refused_where_it_refuses(exim: Exim, text: str) -> None:
    assert exim.agrees(text.replace("DIR", str(exim.directory))) is True


PIECES = (
    *("tls_require_ciphers = ", "tls_dhparam = ", "A = ", "AB = ", "B == ", "A", "AB", "B", "none", '"', "\\", "\\\n"),
    *("\n", "\n", "\n", "# c", ".ifdef A", ".ifndef B", ".else", ".endif", ".elifdef AB"),
    *(" ", "  ", "\\x41", "\\1", "=", ":", "begin transports\n", "t:\n", "driver = smtp\n", "hide "),
)  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
def test_whatever_is_put_together_is_read_as_exim_reads_it(exim: Exim, text: str) -> None:
    # At the end of the file Exim takes a comment after a backslash for text.
    assert exim.agrees(f"{text}\n\n") is True


EVERY_KIND: tuple[CertificateKind, ...] = ("RSA", "ECDSA")
CERTIFICATES = {"RSA": certificate("RSA"), "ECDSA": certificate("EC")}
SERVERS: tuple[tuple[str, Mapping[str, str], tuple[CertificateKind, ...]], ...] = (
    ("NORMAL", {}, EVERY_KIND),
    ("NORMAL", {}, ("RSA",)),
    ("NORMAL", {}, ("ECDSA",)),
    ("NORMAL", {"tls_dhparam": "none"}, EVERY_KIND),
    ("SECURE192:-VERS-TLS1.3:%SERVER_PRECEDENCE", {}, EVERY_KIND),
    # Exim has no credentials for either, whatever its string says.
    ("NORMAL:+ANON-ECDH:+ANON-DH", {}, ("RSA",)),
    ("NORMAL:-VERS-TLS1.3:+PSK:+DHE-PSK:+SRP", {}, EVERY_KIND),
    ("NORMAL:-VERS-ALL:+VERS-TLS1.0:+VERS-TLS1.1:+3DES-CBC", {}, EVERY_KIND),
)


def swept(port: int) -> tuple[dict[Protocol, frozenset[int]], set[str]]:
    """The suites of every version at 127.0.0.1, and whose order decides, where that could be told."""
    settings = ProbeSettings(limits=Limits(per_address=8))
    (facts,) = asyncio.run(mxprobe.probe(f"127.0.0.1:{port}", settings)).endpoints
    found = {
        name: frozenset(int(seen.id, 16) for seen in of.suites) for name, of in facts.protocols.items() if of.suites
    }
    return found, {of.order for of in facts.protocols.values() if len(of.suites) > 1} - {"unknown"}


def sets_of(profile: ServerProfile) -> dict[Protocol, frozenset[int]]:
    return {protocol: frozenset(suites) for protocol, suites in profile.suites.items()}


@pytest.mark.parametrize(("priority", "options", "kinds"), SERVERS)
def test_a_swept_exim_accepts_what_its_profile_says(
    priority: str, options: Mapping[str, str], kinds: tuple[CertificateKind, ...]
) -> None:
    told = {"tls_certificate": "/a : /b", "tls_require_ciphers": priority, **options}
    text = "".join(f"{name} = {value}\n" for name, value in told.items())
    configuration = read_exim(text, "exim.conf", lambda _: None, library="gnutls")
    listing, _ = gnutls_listing(server_priority_of(configuration)[0])
    computed = gnutls_server_profile(configuration, listing, certificate_kinds=kinds, name="exim")
    assert isinstance(computed, ServerProfile)
    with exim_server(priority=priority, options=options, certificates=[CERTIFICATES[kind] for kind in kinds]) as server:
        found, orders = swept(server.port)
    assert found == sets_of(computed)
    assert orders == {computed.order}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"tls_require_ciphers": "SECURE128:-VERS-TLS1.0:-VERS-TLS1.1"},
        {"tls_require_ciphers": "NORMAL:-VERS-TLS1.3:+ANON-ECDH:+PSK"},
        {"tls_require_ciphers": "PFS:-GROUP-ALL:+GROUP-SECP384R1:+GROUP-X25519"},
    ],
)
def test_the_hello_of_exim_is_that_of_its_transport(options: Mapping[str, str]) -> None:
    text = TRANSPORT + "".join(f"  {name} = {value}\n" for name, value in options.items())
    configuration = read_exim(text, "exim.conf", lambda _: None, library="gnutls")
    listing, _ = gnutls_listing(priority_of(configuration)[0])
    computed = client_profile(listing, name="exim")
    with recorder() as there, exim_sends(there.port, options):
        hello = there.recorded().hello
    stated = None if "TLSv1.3" in computed.protocols else computed.protocols
    assert replace(profile_of_hello("exim", hello, protocols=stated), hello=None) == computed


# What Exim hands to OpenSSL, and how OpenSSL's own programs are told the same. Exim sets the
# oldest version itself, whatever openssl.cnf says; the security level of Debian is 2, so that it is told each time.
OPTIONS = {
    "+no_tlsv1": "-no_tls1",
    "+no_tlsv1_1": "-no_tls1_1",
    "+no_tlsv1_2": "-no_tls1_2",
    "+no_tlsv1_3": "-no_tls1_3",
}
OPENSSL = (
    ("DEFAULT@SECLEVEL=1", ""),
    ("DEFAULT@SECLEVEL=2", ""),
    ("ALL:!aNULL@SECLEVEL=0", ""),
    ("ALL:@SECLEVEL=0", "+all -no_ticket"),
    ("HIGH:!aNULL:!kRSA@SECLEVEL=1", "+no_tlsv1 +no_tlsv1_1"),
    ("ECDHE+AESGCM@SECLEVEL=2", "+no_tlsv1 +no_tlsv1_1 +no_tlsv1_3"),
    ("ECDHE_RSA_AES128_GCM_SHA256:AES128_SHA:@SECLEVEL=0", "+no_tlsv1_3"),
    ("kRSA:@SECLEVEL=0", "+no_tlsv1_3"),
    ("DHE+AES:@SECLEVEL=0", "+no_tlsv1_3 +no_tlsv1"),
    ("HIGH:@SECLEVEL=1", "+no_tlsv1 +no_tlsv1_1 +no_tlsv1_2"),
    ("HIGH:@SECLEVEL=0", "+no_tlsv1_2"),
    ("HIGH@STRENGTH:@SECLEVEL=3", ""),
)


def switches(options: str) -> list[str]:
    return [OPTIONS[option] for option in options.split() if option in OPTIONS]


@pytest.mark.parametrize(("ciphers", "options"), OPENSSL)
def test_the_hello_of_openssl_told_as_exim_tells_it_is_that_of_the_profile(ciphers: str, options: str) -> None:
    computed = openssl_strings_profile(ciphers, options, openssl="3.0", name="exim")
    assert isinstance(computed, Profile)
    with recorder() as there:
        command_sends(
            *("openssl", "s_client", "-starttls", "smtp", "-connect", f"127.0.0.1:{there.port}"),
            *("-cipher", ciphers.replace("_", "-"), "-min_protocol", "None", *switches(options)),
        )
        hello = there.recorded().hello
    stated = None if "TLSv1.3" in computed.protocols else computed.protocols
    sent = replace(profile_of_hello("exim", hello, protocols=stated), hello=None)
    assert sent == replace(computed, source="", abandons=())  # what becomes of it later, no hello says


SERVED = (
    ("DEFAULT@SECLEVEL=1", "", EVERY_KIND),
    ("ALL:@SECLEVEL=0", "+cipher_server_preference", EVERY_KIND),
    ("ALL:!aNULL:@SECLEVEL=0", "+no_tlsv1", ("RSA",)),
    ("HIGH:!kRSA:@SECLEVEL=0", "+no_tlsv1_1 +no_tlsv1_3", ("ECDSA",)),
    ("ECDHE_RSA_AES128_GCM_SHA256:AES128_SHA:@SECLEVEL=0", "+no_tlsv1_3", ("RSA",)),
)  # fmt: skip


@pytest.mark.parametrize(("ciphers", "options", "kinds"), SERVED)
def test_a_swept_openssl_told_as_exim_tells_it_accepts_what_the_profile_says(
    ciphers: str, options: str, kinds: tuple[CertificateKind, ...]
) -> None:
    text = f"tls_require_ciphers = {ciphers}\nopenssl_options = {options}\ntls_certificate = /a\n"
    configuration = read_exim(text, "exim.conf", lambda _: None, library="openssl")
    computed = openssl_server_profile(configuration, openssl="3.0", certificate_kinds=kinds, name="exim")
    assert isinstance(computed, ServerProfile)
    preference = ["-serverpref"] if "+cipher_server_preference" in options else []
    server: RunningServer
    with openssl_server(
        cipher=ciphers.replace("_", "-"),
        ciphersuites="TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256",
        certificates=[CERTIFICATES[kind] for kind in kinds],
        arguments=["-min_protocol", "None", *switches(options), *preference],
    ) as server, smtp_front(server) as front:  # fmt: skip
        found, orders = swept(front.port)
    assert found == sets_of(computed)
    assert orders == {computed.order}


def test_a_literal_value_is_what_exim_expands_it_to(exim: Exim) -> None:
    configuration = exim.read("tls_require_ciphers = \\N${literal}\\N:\\$a\\x41")
    setting = configuration.main["tls_require_ciphers"]
    assert literal(setting, "tls_require_ciphers") == exim.expands(setting.value)
