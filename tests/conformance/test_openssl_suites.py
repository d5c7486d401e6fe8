"""Our suite registry says what the OpenSSL and the GnuTLS of this machine say."""

from __future__ import annotations

import re
import subprocess

import pytest

from mxprobe.terms import PROTOCOLS
from mxprobe.tls.suites import suite, suite_named

# The CCM suites of TLS 1.3 are in no list unless they are named.
TLS_1_3 = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_AES_128_CCM_SHA256:TLS_AES_128_CCM_8_SHA256"
LINE = re.compile(
    r"\s*(?P<number>0x\w\w(?:,0x\w\w)+) +- (?P<name>\S+) +(?P<protocol>\S+) +"
    r"Kx=(?P<kx>\S+) +Au=(?P<au>\S+) +Enc=(?P<enc>\S+) +Mac=(?P<mac>\S+)"
)


def run(*command: str) -> list[str]:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


@pytest.mark.parametrize("tls_1_3", [(), ("-ciphersuites", TLS_1_3)], ids=["usual", "named"])
def test_numbers_names_and_algorithms_are_those_of_openssl(tls_1_3: tuple[str, ...]) -> None:
    lines = run("openssl", "ciphers", "-V", *tls_1_3, "ALL:COMPLEMENTOFALL:@SECLEVEL=0")
    assert len(lines) > 100
    for line in lines:
        match = LINE.match(line)
        assert match is not None, line
        known = suite_named(match["number"])
        assert known is not None
        assert known.name == match["name"]
        assert suite_named(match["name"]) == known
        words = (known.key_exchange, known.authentication, known.encryption, known.mac)
        assert words == (match["kx"], match["au"], match["enc"], match["mac"])


def test_standard_names_are_those_of_openssl() -> None:
    lines = run("openssl", "ciphers", "-stdname", "ALL:COMPLEMENTOFALL:@SECLEVEL=0")
    assert len(lines) > 100
    for line in lines:
        standard, dash, name = line.split()[:3]
        assert dash == "-"
        known = suite_named(name)
        assert known is not None
        assert suite_named(standard) == known
        # RFC 6655 transposes the words of these two, and the registry follows it; OpenSSL does not.
        if known.number not in (0xC0AA, 0xC0AB):
            assert known.iana == standard


def test_lowest_versions_are_those_of_gnutls() -> None:
    words = {"TLS1.0": "TLSv1", "TLS1.1": "TLSv1.1", "TLS1.2": "TLSv1.2", "TLS1.3": "TLSv1.3"}
    compared = 0
    for line in run("gnutls-cli", "--list"):
        match = re.match(r"TLS_\S+\s+0x(\w\w), 0x(\w\w)\s+(TLS1\.\d)\Z", line)
        if match is None:
            continue
        known = suite(int(match[1] + match[2], 16))
        compared += 1
        # GnuTLS has no SSL 3.0, wants TLS 1.2 for every longer MAC where RFC 5487 and 5489 do not, and
        # carries 0x0066, which is from an expired draft.
        if ("PSK" in known.key_exchange and known.mac in ("SHA256", "SHA384")) or known.number == 0x0066:
            continue
        lowest = next(version for version in known.versions if version != "SSLv3")
        assert lowest == words[match[3]], line
        assert PROTOCOLS.index(known.versions[-1]) >= PROTOCOLS.index("TLSv1.2"), line
    assert compared > 150
