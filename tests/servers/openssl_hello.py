"""The hello that an OpenSSL of another generation writes, with the settings that an MTA gives it; no network.

The libraries are those that the wheels of psycopg2-binary on PyPI carry: OpenSSL as its authors released it. OpenSSL
1.0.1g is in the program of node 0.10.28, which exports it, though not as a library: a few lines of C run in that
program before it starts.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from servers.fetched import wheel
from servers.node_server import old_node

WHEELS: Mapping[str, tuple[str, str, str]] = {
    "1.0.2q": ("psycopg2-binary==2.7.7", "36", "cp36m"),
    "1.1.1g": ("psycopg2-binary==2.8.6", "38", "cp38"),
    "3.5.8": ("psycopg2-binary==2.9.13", "311", "cp311"),
}
"""Which wheel has which OpenSSL: the requirement, and the Python and ABI that it is for."""
_PROGRAM = Path(__file__).with_name("library_hello.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class OpensslSettings:
    """What a program sets. `options` are bits of SSL_CTX_set_options, `groups` a list as SSL_CTX_set1_groups_list takes
    it, `security_level` and `oldest` (a version number) are there from OpenSSL 1.1.0 on; None leaves the default."""

    ciphers: str
    options: int
    groups: str | None = None
    security_level: int | None = None
    oldest: int | None = None


def openssl_hello(version: str, settings: OpensslSettings) -> bytes:
    """The hello that this OpenSSL writes: a version of `WHEELS`, ``1.0.1g``, or ``system`` for the machine's own.

    Raises:
        RuntimeError: the library cannot be fetched, or refuses the settings.
    """
    if version == "1.0.1g":
        return _by_node(settings)
    library, environment = "libssl.so.3", dict(os.environ)
    if version != "system":
        found = _library(version)
        library = str(found)
        environment["LD_LIBRARY_PATH"] = str(found.parent)
    # In a process of its own: this one has an OpenSSL already.
    return _hex_of([sys.executable, str(_PROGRAM), library, json.dumps(asdict(settings))], environment)


def _library(version: str) -> Path:
    requirement, python, abi = WHEELS[version]
    directory = wheel(requirement, python=python, abi=abi, place=f"libraries/openssl-{version}")
    # Where auditwheel puts them: beside the package, formerly in it.
    (library,) = (*directory.glob("*.libs/libssl*"), *directory.glob("*/.libs/libssl*"))
    return library


def _by_node(settings: OpensslSettings) -> bytes:
    with tempfile.TemporaryDirectory() as scratch:
        source, shim = Path(scratch) / "hello.c", Path(scratch) / "hello.so"
        source.write_text(_SHIM)
        done = subprocess.run(
            ["cc", "-shared", "-fPIC", "-w", "-o", shim, source], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"a C compiler is needed: {done.stderr}")
        environment = {"LD_PRELOAD": str(shim), "CIPHERS": settings.ciphers, "OPTIONS": str(settings.options)}
        return _hex_of([str(old_node()), "--version"], environment)


def _hex_of(command: list[str], environment: dict[str, str]) -> bytes:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode:
        raise RuntimeError(f"no hello: {done.stdout}{done.stderr}")
    return bytes.fromhex(done.stdout)


_SHIM = """
#include <stdio.h>
#include <stdlib.h>
void *SSL_CTX_new(void *), *SSLv23_client_method(void), *SSL_new(void *), *BIO_s_mem(void), *BIO_new(void *);
long SSL_CTX_ctrl(void *, int, long, void *);
__attribute__((constructor)) static void hello(void)
{
    unsigned char bytes[65536];
    int i, length;
    SSL_library_init();
    void *context = SSL_CTX_new(SSLv23_client_method());
    SSL_CTX_ctrl(context, 32, strtoul(getenv("OPTIONS"), 0, 10), 0);
    if (!SSL_CTX_set_cipher_list(context, getenv("CIPHERS"))) exit(1);
    void *ssl = SSL_new(context), *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl, in, out);
    SSL_connect(ssl);
    length = BIO_read(out, bytes, sizeof bytes);
    for (i = 0; i < length; i++) printf("%02x", bytes[i]);
    fflush(stdout);
    _exit(length > 0 ? 0 : 1);
}
"""
