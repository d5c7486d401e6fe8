"""The demo world: mail servers on loopback, a name server that leads to them, and a configuration that scans them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from mxprobe.demo.certificates import CertificateAuthority
from mxprobe.demo.name_server import name_server
from mxprobe.demo.servers import MailServer, mail_servers
from mxprobe.demo.smtp_servers import serving
from mxprobe.terms import Protocol

DEMO_PROFILE_NAME = "ours"

DEMO_PROFILE_PROTOCOLS: tuple[Protocol, ...] = ("TLSv1.2", "TLSv1.3")

DEMO_PROFILE_SUITES: tuple[str, ...] = (
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_AES_128_GCM_SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
)
"""What "our" MTA of the demo offers, by OpenSSL's names: forward secrecy and AEAD only, as RFC 9325 §4.2 wants it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoDomain:
    """One destination of the world: the next-hop to probe, and in a few words what is to be found there."""

    next_hop: str
    expect: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoWorld:
    """The running world: its name server (address and port), its domains, and the file with its root CA."""

    resolver: tuple[str, int]
    domains: tuple[DemoDomain, ...]
    ca_file: Path

    @property
    def next_hops(self) -> tuple[str, ...]:
        """All destinations, in Postfix syntax."""
        return tuple(domain.next_hop for domain in self.domains)


@asynccontextmanager
async def demo_world() -> AsyncIterator[DemoWorld]:
    """Start the world on loopback, without root and on free ports; after the context nothing of it is left.

    Every server has its own port, and where the system allows it its own address of 127.0.0.0/8, so that limits
    per address mean in here what they mean outside.
    """
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="mxprobe-demo-")))
        servers, ca_file = await asyncio.to_thread(_prepare, directory)
        domains: list[DemoDomain] = []
        records = ["null-mx.example. MX 0 ."]
        for number, mail in enumerate(servers, start=_FIRST_ADDRESS):
            host = mail.server.name
            address, port = await stack.enter_async_context(serving(mail.server, f"127.0.0.{number}"))
            records.append(f"{host}. A {address}")
            for domain in mail.domains:
                records.append(f"{domain.name}. MX 10 {domain.alias or host}.")
                if domain.alias:
                    records.append(f"{domain.alias}. CNAME {host}.")
                domains.append(DemoDomain(next_hop=f"{domain.name}:{port}", expect=domain.expect))
        names = await stack.enter_async_context(name_server("\n".join(records) + "\n"))
        yield DemoWorld(resolver=names.address, domains=(*domains, *_WITHOUT_SERVER), ca_file=ca_file)


def demo_configuration(world: DemoWorld, database_url: str, *, depth: str = "standard") -> str:
    """The text of a `probes.toml` that scans the world into the database, as an administrator would write it."""
    host, port = world.resolver
    next_hops = "\n".join(f"    {_toml(domain.next_hop)},  # {domain.expect}" for domain in world.domains)
    return f"""\
[probe]
resolver = {_toml(f"{host}:{port}")}
allow_private = true
ca_file = {_toml(str(world.ca_file))}
depth = {_toml(depth)}
deadline = 5  # limited.example would have us wait for ever

[limits]  # all on this machine: nobody has to be spared
per_address = 8

[profiles.{DEMO_PROFILE_NAME}]
protocols = {_toml(DEMO_PROFILE_PROTOCOLS)}
suites = {_toml(DEMO_PROFILE_SUITES)}

[[group]]
name = "demo"
next_hops = [
{next_hops}
]
profile = {_toml(DEMO_PROFILE_NAME)}
require = ["starttls", "shared-cipher", "trusted", "name-matches", "not-expired"]

[store]
url = {_toml(database_url)}
"""


# 127.0.0.1 is left to what else runs on the machine.
_FIRST_ADDRESS = 10

_WITHOUT_SERVER = (
    DemoDomain(next_hop="null-mx.example", expect="takes no mail (null MX): nothing is dialled"),
    DemoDomain(next_hop="no-such-domain.example", expect="does not exist in the DNS"),
)


def _prepare(directory: Path) -> tuple[tuple[MailServer, ...], Path]:
    """Make keys, certificates and servers; in a thread, because RSA keys take their time."""
    authority = CertificateAuthority()
    ca_file = directory / "root-ca.pem"
    ca_file.write_text(authority.root_pem, encoding="ascii")
    return mail_servers(authority, directory), ca_file


def _toml(value: str | tuple[str, ...]) -> str:
    """A TOML basic string, or an array of them: JSON's are a subset of both."""
    return json.dumps(value, ensure_ascii=False)
