"""Profiles wherever a user names them: each kind, what it is found by, and one line for every mistake."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mxprobe.cli import options
from mxprobe.configuration import programs
from mxprobe.configuration.probes_toml import InvalidConfiguration, read_configuration
from mxprobe.configuration.profiles import KEYS_OF
from mxprobe.configuration.sections import ProfileSection
from mxprobe.errors import InvalidSetting
from mxprobe.mta.hello import profile_of_hello
from mxprobe.mta.profile import Profile
from mxprobe.mta.profile_file import Sender, profile_text
from mxprobe.mta.senders import senders
from mxprobe.tls.cipher_strings import cipher_list
from mxprobe.tls.client_hello import encode_client_hello
from mxprobe.tls.offer import Offer
from mxprobe.tls.suites import suite

LISTING = """
TLS_AES_256_GCM_SHA384      0x13, 0x02	TLS1.3
TLS_RSA_AES_128_GCM_SHA256  0x00, 0x9c	TLS1.2

Protocols: VERS-TLS1.3, VERS-TLS1.2
Groups: GROUP-X25519
PK-signatures: SIGN-RSA-SHA256
"""
MAIN_CF = """\
smtp_tls_security_level = may
smtp_tls_protocols = >=TLSv1.2
smtp_tls_ciphers = high
"""
EXIM = """\
tls_dhparam = none
begin transports
remote:
  driver = smtp
  tls_require_ciphers = AES128-SHA
"""

Install = Callable[[str, str], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """A machine on which nothing is installed but what a test puts there: a name, and lines of sh."""
    directory = tmp_path / "bin"
    directory.mkdir()
    monkeypatch.setenv("PATH", str(directory))
    monkeypatch.setattr(programs, "_SYSTEM_DIRECTORIES", str(directory))

    def put(name: str, script: str) -> None:
        path = directory / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    return put


def read(directory: Path, section: str) -> Profile:
    """The profile of a section, in a directory that has a file of each kind."""
    (directory / "main.cf").write_text(MAIN_CF)
    (directory / "exim.conf").write_text(EXIM)
    (directory / "master.cf").write_text("relay unix - - n - - smtp\n  -o smtp_tls_exclude_ciphers=AES128\n")
    path = directory / "probes.toml"
    path.write_text(f"[profiles.ours]\n{section}\n")
    (profile,) = read_configuration(path).profiles
    return profile


def mistake(directory: Path, section: str) -> str:
    with pytest.raises(InvalidConfiguration) as raised:
        read(directory, section)
    (only,) = raised.value.mistakes
    return str(only).replace(f"{directory}/", "")


def recorded(name: str) -> str:
    """The file of a profile whose hello was recorded."""
    hello = encode_client_hello(Offer(protocol="TLSv1.2", suites=(0xC02F, 0x009C)), random=bytes(32))
    return profile_text(
        Sender(
            name=name,
            profile=profile_of_hello(name, hello),
            software="a test",
            kind="recorded",
            date=datetime(2026, 1, 2, tzinfo=UTC).date(),
            command="none",
            source="here",
            protocols_from="a test",
        )
    )


def test_every_key_of_a_section_is_one_of_a_kind() -> None:
    of_kinds = {key for kind, others in KEYS_OF.items() for key in (kind, *others)}
    assert of_kinds == set(ProfileSection.__dataclass_fields__)


def test_lists_may_name_groups_and_signature_schemes_by_iana_names(tmp_path: Path) -> None:
    profile = read(
        tmp_path,
        'protocols = ["TLSv1.3"]\nsuites = ["TLS_AES_128_GCM_SHA256"]\ngroups = ["x25519", "ffdhe2048", "0x11EC"]\n'
        'signature_schemes = ["rsa_pss_rsae_sha256", "Ed25519"]',
    )
    assert profile == Profile(
        name="ours",
        protocols=("TLSv1.3",),
        suites=(0x1301,),
        groups=(29, 256, 4588),
        signature_schemes=(0x0804, 0x0807),
    )


def test_postfix_is_read_from_its_files_with_stated_versions(tmp_path: Path, install: Install) -> None:
    stated = 'postfix = "main.cf"\npostfix_version = "3.7"\nopenssl = "3.0"\n'
    profile = read(tmp_path, stated)
    assert profile.protocols == ("TLSv1.2", "TLSv1.3")
    fewer = read(tmp_path, f'{stated}service = "relay"\nlevel = "may"')
    overridden = read(tmp_path, f'{stated}overrides = {{ smtp_tls_exclude_ciphers = "AES128" }}')
    assert fewer.suites == overridden.suites
    assert set(profile.suites) - set(fewer.suites) == {
        number for number in profile.suites if "AES128" in suite(number).name
    }


def test_versions_are_found_on_a_machine_that_has_postfix(tmp_path: Path, install: Install) -> None:
    install("postconf", "echo 3.7.11")
    install("openssl", "echo OpenSSL 1.1.1w  11 Sep 2023")
    found = read(tmp_path, 'postfix = "main.cf"')
    assert found.suites == read(tmp_path, 'postfix = "main.cf"\npostfix_version = "3.7.11"\nopenssl = "1.1.1"').suites


def test_live_is_what_postconf_says(tmp_path: Path, install: Install) -> None:
    install(
        "postconf",
        f"""case $1 in
        -n) printf '%s' '{MAIN_CF}';;
        -M) echo 'relay unix - - n - - smtp -o smtp_tls_exclude_ciphers=AES128';;
        *) echo 3.7.11;;
        esac""",
    )
    install("openssl", "echo OpenSSL 3.0.22 25 Aug 2026")
    live = read(tmp_path, 'postfix = "live"')
    assert live.suites == read(tmp_path, 'postfix = "main.cf"').suites
    service = read(tmp_path, 'postfix = "live"\nservice = "relay"')
    assert service.suites == read(tmp_path, 'postfix = "main.cf"\nservice = "relay"').suites


def test_exim_on_openssl_is_read_from_its_file_or_from_its_strings(tmp_path: Path, install: Install) -> None:
    profile = read(tmp_path, 'exim = "exim.conf"\nopenssl = "1.0.2"\ntransport = "remote"')
    assert profile.protocols == ("TLSv1", "TLSv1.1", "TLSv1.2")
    assert profile.suites == cipher_list("AES128-SHA", "1.0.2").suites
    strings = read(tmp_path, 'tls_require_ciphers = "AES128-SHA"\nopenssl_options = "+no_tlsv1"\nopenssl = "1.0.2"')
    assert strings.protocols == ("TLSv1.1", "TLSv1.2")
    assert strings.suites == profile.suites


def test_priority_strings_are_resolved_by_gnutls_cli(tmp_path: Path, install: Install) -> None:
    install(
        "gnutls-cli",
        f'[ "$1" = --version ] && echo "gnutls-cli 3.9.1" && exit\necho "$*" >{tmp_path}/asked\ncat <<E{LISTING}E',
    )
    install("cat", "exec /bin/cat")
    profile = read(tmp_path, 'gnutls = "NORMAL:-VERS-TLS1.0"')
    assert profile.suites == (0x1302, 0x009C)
    assert profile.source == "GnuTLS priority string, by GnuTLS 3.9.1"
    assert (tmp_path / "asked").read_text() == "--list --priority=NORMAL:-VERS-TLS1.0\n"
    text = EXIM.replace("AES128-SHA", "SECURE128")
    (tmp_path / "gnutls.conf").write_text(text)
    assert read(tmp_path, 'exim = "gnutls.conf"\ntls_library = "gnutls"').suites == profile.suites
    assert (tmp_path / "asked").read_text() == "--list --priority=SECURE128\n"


def test_the_library_of_exim_is_found_on_a_machine_that_has_exim(tmp_path: Path, install: Install) -> None:
    install("exim4", "echo 'Exim version 4.96'; echo 'Support for: crypteq IPv6 OpenSSL TLS_resume'")
    install("openssl", "echo OpenSSL 3.0.22 25 Aug 2026")
    assert 0x002F in read(tmp_path, 'exim = "exim.conf"').suites


def test_a_recording_and_a_sender_have_the_name_of_their_section(tmp_path: Path, install: Install) -> None:
    (tmp_path / "theirs.json").write_text(recorded("theirs"))
    profile = read(tmp_path, 'recorded = "theirs.json"')
    assert (profile.name, profile.suites) == ("ours", (0xC02F, 0x009C))
    assert profile.hello is not None
    first = senders()[0]
    assert read(tmp_path, f'sender = "{first.name}"') == replace(first.profile, name="ours")


KINDS = "(allowed: exactly one of suites, postfix, exim, tls_require_ciphers, gnutls, recorded, sender)"
POSTFIX = 'postfix = "main.cf"\npostfix_version = "3.7"\nopenssl = "3.0"\n'


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("", f": it does not say what is offered {KINDS}"),
        ("level = 'may'", f": it does not say what is offered {KINDS}"),
        ("postfix = 'main.cf'\ngnutls = 'NORMAL'", f": it has postfix and gnutls {KINDS}"),
        ("protocols = ['TLSv1.2']", ".suites: missing (allowed: an array of one or more OpenSSL or IANA names"),
        ("suites = ['AES128-SHA']", ".protocols: missing (allowed: an array of one or more of SSLv2, SSLv3,"),
        (f"{POSTFIX}transport = 'a'", ".transport: it means nothing beside 'postfix' (allowed: master, service,"),
        ("sender = 'a'\nopenssl = '3.0'", ".openssl: it means nothing beside 'sender' (allowed: nothing e"),
        ("protocols = ['TLSv1.2']\nsuites = ['AES128-SHA']\ngroups = ['p256']",
         ".groups[0]: 'p256' is not known (allowed: IANA names like x25519, secp256r1, ffdhe2048, numbers like "),
        ("protocols = ['TLSv1.2']\nsuites = ['AES128-SHA']\nsignature_schemes = ['ed25519', '0x0807']",
         ".signature_schemes[1]: '0x0807' is there already, as 'ed25519'"),
        # Postfix
        ("postfix = 'main.cf'", ".postfix_version: it is missing, and there is no postconf on this machine"),
        ("postfix = 'main.cf'\npostfix_version = '3.7'", ".openssl: it is missing: what Postfix offers depends"),
        ("postfix = 'live'", ".postfix: postconf: it is not installed on this machine (allowed: the path of a main"),
        ("postfix = 'none.cf'\npostfix_version = '3.7'", ".postfix: none.cf: cannot be read: No such file or dir"),
        (f"{POSTFIX}service = 'nix'", ".service: no smtp(8) or lmtp(8) service 'nix' in "),
        (f"{POSTFIX}master = 'master.cf'", ".master: no service of it is named (allowed: service, such as sm"),
        (f"{POSTFIX}service = 'relay'\nmaster = 'main.cf'", ".postfix: main.cf: line 1: missing"),
        (f"{POSTFIX}level = 'sometimes'", ".level: found 'sometimes' (allowed: none, may, encrypt, dane, "),
        (f"{POSTFIX}level = 'none'", ".postfix: main.cf: line 1: no TLS comes of it: smtp_tls_security_level = n"),
        (f"{POSTFIX}overrides = {{ smtp_tls_protocols = 'TLSv9' }}", ".postfix: overrides: no TLS comes"),
        (POSTFIX.replace("3.7", "two"), ".postfix_version: 'two' is not a version of Postfix"),
        (POSTFIX.replace("3.0", "0.9.8"), ".openssl: no OpenSSL that is known: '0.9.8' (allowed: 1.0.2, 1.1.1"),
        # Exim
        ("exim = 'exim.conf'", ".tls_library: it is missing, and there is no exim on this machine"),
        ("exim = 'exim.conf'\ntls_library = 'openssl'", ".openssl: it is missing: what Exim offers depends on"),
        ("exim = 'exim.conf'\ntls_library = 'gnutls'", ".exim: gnutls: a GnuTLS priority string is resolved by gnutls"),
        ("exim = 'exim.conf'\ntls_library = 'gnutls'\nopenssl = '3.0'", ".openssl: an Exim has one TLS library, and"),
        ("exim = 'exim.conf'\nopenssl = '3.0'\ntransport = 'x'", ".exim: exim.conf: there is no transport 'x'"),
        ("exim = 'main.cf'\nopenssl = '3.0'\n", ".exim: main.cf: no transport has driver = smtp"),
        ("tls_require_ciphers = 'AES128-SHA'", ".openssl: it is missing: what Exim offers depends on"),
        ("tls_require_ciphers = 'NOPE'\nopenssl = '3.0'", ".tls_require_ciphers: OpenSSL 3.0 r"),
        ("tls_require_ciphers = 'ALL'\nopenssl = '3.0'\nopenssl_options = 'x'", ".openssl_options: openssl_options"),
        # others
        ("gnutls = 'NORMAL'", ".gnutls: a GnuTLS priority string is resolved by gnutls-cli, which is not installed"),
        ("recorded = 'main.cf'", ".recorded: main.cf: line 1: not JSON: "),
        ("recorded = '.'", ".recorded: "),
        ("sender = 'nobody-at-all'", ".sender: no sender is called 'nobody-at-all'"),
        ("sender = ''", ".sender: found '' (allowed: the name of a sender"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_key(tmp_path: Path, install: Install, section: str, said: str) -> None:
    line = mistake(tmp_path, section)
    assert line.startswith(f"probes.toml: profiles.ours{said}")
    assert "\n" not in line


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo 'Syntax error at: +FOO' >&2; exit 1", "gnutls-cli: the priority string 'NORMAL:+FOO' cannot be res"),
        ("/bin/cat /dev/zero", "gnutls-cli: `"),
        ("exit 0", "gnutls-cli: the priority string 'NORMAL:+FOO' cannot be resolved: gnutls-cli lists no Protocols"),
    ],
)  # fmt: skip
def test_what_gnutls_cli_says_is_told_in_one_line(tmp_path: Path, install: Install, script: str, said: str) -> None:
    install("gnutls-cli", script)
    assert mistake(tmp_path, "gnutls = 'NORMAL:+FOO'").startswith(f"probes.toml: profiles.ours.gnutls: {said}")


def test_a_program_that_does_not_end_is_given_up(
    tmp_path: Path, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "TIMEOUT", 0.05)
    install("gnutls-cli", "while :; do :; done")
    assert "did not end within" in mistake(tmp_path, "gnutls = 'NORMAL'")


@pytest.mark.parametrize("version", ["LibreSSL 3.9.2", "", "OpenSSL"])
def test_an_openssl_that_is_none_is_told(tmp_path: Path, install: Install, version: str) -> None:
    install("postconf", "echo 3.7.11")
    install("openssl", f"echo '{version}'")
    assert ".openssl: it is missing, and `openssl version` says" in mistake(tmp_path, "postfix = 'main.cf'")


def test_on_the_command_line_the_kind_stands_before_a_colon(
    tmp_path: Path, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    install("postconf", "echo 3.7.11")
    install("openssl", "echo OpenSSL 3.0.22 25 Aug 2026")
    (tmp_path / "theirs.json").write_text(recorded("theirs"))
    expected = read(tmp_path, 'postfix = "main.cf"')
    found = options.profile("postfix:main.cf", None)
    assert found == replace(expected, name="postfix:main.cf", source=found.source)
    assert options.profile("recorded:theirs.json", None).name == "theirs"
    first = senders()[0]
    assert options.profile(f"sender:{first.name}", None) == first.profile
    assert options.profile("ours", None).suites == expected.suites


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("postfix:", "--profile: it names no file (allowed: postfix:FILE, postfix:live)"),
        ("recorded:none.json", "--profile: none.json: cannot be read: No such file or directory"),
        ("gnutls:NORMAL", "--profile: a GnuTLS priority string is resolved by gnutls"),
        ("exim:exim.conf", "--profile: tls_library: it is missing"),
        ("sender:nobody-at-all", "--profile: no sender is called 'nobody-at-all'"),
        ("Postfix:main.cf", "--profile: 'Postfix' is not a protocol"),
    ],
)
def test_a_mistake_on_the_command_line_is_told(tmp_path: Path, install: Install, text: str, said: str) -> None:
    with pytest.raises(InvalidSetting) as raised:
        options.profile(text, None)
    assert str(raised.value).startswith(said)


def test_a_scan_tells_recorded_hellos_apart(tmp_path: Path, install: Install) -> None:
    from mxprobe.schedule.scan import _Run

    (tmp_path / "theirs.json").write_text(recorded("theirs"))
    path = tmp_path / "probes.toml"
    digests = set()
    for kind in ('recorded = "theirs.json"', 'protocols = ["TLSv1.2"]\nsuites = ["0xC02F", "0x009C"]'):
        path.write_text(f'[profiles.p]\n{kind}\n[[group]]\nname = "a"\nnext_hops = ["a.test"]\nprofile = "p"\n')
        configuration = read_configuration(path)
        run = _Run(configuration.groups, configuration, None, lambda _progress: None)  # type: ignore[arg-type]
        digests.add(run.digest)
    assert len(digests) == 2
