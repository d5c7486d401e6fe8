"""Many domains on few mail servers, in a process of its own that costs little: a name server, and SMTP with TLS.

Domain ``d7.test`` has one, two or three of the MX hosts of its provider, ``mx1-p7.hosts.test`` and so on; each host has
a loopback address of its own, and all listen on one port. What is said after STARTTLS is OpenSSL's, in memory: no
thread, no file, no process for a connection. The process counts for itself how often each address was connected to.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

FIRST_ADDRESS = IPv4Address("127.1.0.1")
HOSTS_EACH = 3
"""MX hosts of a provider."""

TTL = 3600
POSTFIX_MEDIUM = "aNULL:-aNULL:ALL:+RC4:@STRENGTH"
"""The suites of a Postfix as it is shipped (``postconf -d tls_medium_cipherlist``)."""

READY_WITHIN = 30.0
_MX, _A = 15, 1
_DOMAIN = re.compile(r"d(\d+)\.test")
_HOST = re.compile(r"mx(\d+)-p(\d+)\.hosts\.test")


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What the servers have counted: connections by address, bytes that came and went, questions to the DNS."""

    connections: dict[str, int]
    received: int
    sent: int
    questions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Partners:
    """Where they are reached, and what to trust. `domains` next-hops lead to `endpoints` addresses."""

    domains: int
    endpoints: int
    port: int
    name_server: int
    trust: Path
    process: subprocess.Popen[str]

    def next_hop(self, number: int) -> str:
        """The next-hop of this number, from 0."""
        return f"d{number}.test:{self.port}"

    def endpoint(self, number: int) -> str:
        """The next-hop that has nothing but the MX host of this number, from 0."""
        provider, host = divmod(number, HOSTS_EACH)
        return f"[mx{host + 1}-p{provider}.hosts.test]:{self.port}"

    def counted(self) -> Counted:
        """What was counted so far."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return Counted(**json.loads(self.process.stdout.readline()))


def hosts_of(domain: int, endpoints: int) -> tuple[tuple[int, int], ...]:
    """The MX hosts of a domain: the number of each, from 1, and its provider."""
    providers = endpoints // HOSTS_EACH
    return tuple((host, domain % providers) for host in range(1, 2 + (domain // providers) % HOSTS_EACH))


def address_of(host: int, provider: int) -> str:
    """The address of an MX host."""
    return str(FIRST_ADDRESS + (provider * HOSTS_EACH + host - 1))


@contextmanager
def many_partners(domains: int, endpoints: int) -> Iterator[Partners]:
    """Run them.

    `endpoints` is a multiple of three, and there are at least as many domains.
    """
    assert endpoints % HOSTS_EACH == 0, "a provider has three"
    assert domains >= endpoints, "each endpoint has a domain"
    with tempfile.TemporaryDirectory(prefix="mxprobe-partners-") as directory:
        told = json.dumps({"directory": directory, "endpoints": endpoints})
        process = subprocess.Popen(
            [sys.executable, __file__, told], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            assert process.stdout is not None
            ready = json.loads(process.stdout.readline())
            yield Partners(
                domains=domains, endpoints=endpoints, process=process, trust=Path(directory) / "root.pem", **ready
            )
        finally:
            process.kill()
            process.communicate()


# The process


class Served:
    """What this process counts, and whom it speaks for."""

    def __init__(self, context: ssl.SSLContext, endpoints: int) -> None:
        self.context = context
        self.endpoints = endpoints
        self.connections: Counter[str] = Counter()
        self.received = self.sent = self.questions = 0

    def counted(self) -> str:
        """As JSON."""
        known = ("connections", "received", "sent", "questions")
        return json.dumps({name: getattr(self, name) for name in known})


class MailServer(asyncio.Protocol):
    """One connection: SMTP, and after STARTTLS what OpenSSL says."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls: ssl.SSLObject | None = None
        self._has_shaken_hands = False
        self._line = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._served.connections[transport.get_extra_info("sockname")[0]] += 1
        self._send(b"220 mx.hosts.test ESMTP Postfix\r\n")

    def data_received(self, data: bytes) -> None:
        self._served.received += len(data)
        if self._tls is None:
            self._commands(data)
            return
        self._incoming.write(data)
        over = False
        try:
            if not self._has_shaken_hands:
                self._tls.do_handshake()
                self._has_shaken_hands = True
            while data := self._tls.read(65536):
                self._commands(data)
            over = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            over = True
        self._send(self._outgoing.read())
        if over:
            self._transport.close()

    def _commands(self, data: bytes) -> None:
        self._line += data
        while b"\n" in self._line:
            line, _, self._line = self._line.partition(b"\n")
            self._command(line.strip().upper())

    def _command(self, line: bytes) -> None:
        if line.startswith(b"EHLO"):
            more = b"" if self._tls else b"250-STARTTLS\r\n"
            self._say(b"250-mx.hosts.test\r\n250-PIPELINING\r\n" + more + b"250 8BITMIME\r\n")
        elif line == b"STARTTLS" and self._tls is None:
            self._say(b"220 2.0.0 Ready to start TLS\r\n")
            self._line = b""
            self._tls = self._served.context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        elif line == b"QUIT":
            self._say(b"221 2.0.0 Bye\r\n")
            self._transport.close()
        else:
            self._say(b"502 5.5.2 Error: command not recognized\r\n")

    def _say(self, reply: bytes) -> None:
        if self._tls is None:
            self._send(reply)
        else:
            self._tls.write(reply)
            self._send(self._outgoing.read())

    def _send(self, data: bytes) -> None:
        self._served.sent += len(data)
        if data:
            self._transport.write(data)


class NameServer(asyncio.DatagramProtocol):
    """The DNS (RFC 1035 §4), by hand: a question costs some microseconds, for any number of names."""

    def __init__(self, served: Served) -> None:
        self._served = served

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._served.questions += 1
        labels, at = [], 12
        while length := data[at]:
            labels.append(data[at + 1 : at + 1 + length].decode())
            at += 1 + length
        question, wanted = data[12 : at + 5], int.from_bytes(data[at + 1 : at + 3])
        answers = self._answers(".".join(labels).lower(), wanted)
        records = b"".join(
            b"\xc0\x0c" + wanted.to_bytes(2) + b"\0\1" + TTL.to_bytes(4) + len(each).to_bytes(2) + each
            for each in answers or ()
        )
        soa = b"" if answers else _soa()
        flags = b"\x85\x80" if answers is not None else b"\x85\x83"
        counts = b"\0\1" + len(answers or ()).to_bytes(2) + (b"\0\0" if answers else b"\0\1") + b"\0\0"
        self._transport.sendto(data[:2] + flags + counts + question + records + soa, addr)

    def _answers(self, name: str, wanted: int) -> list[bytes] | None:
        """The data of the records; None is a name that does not exist."""
        if found := _DOMAIN.fullmatch(name):
            hosts = hosts_of(int(found[1]), self._served.endpoints) if wanted == _MX else ()
            return [(10 * host).to_bytes(2) + _name(f"mx{host}-p{provider}.hosts.test") for host, provider in hosts]
        if found := _HOST.fullmatch(name):
            return [IPv4Address(address_of(int(found[1]), int(found[2]))).packed] if wanted == _A else []
        return None


def _name(text: str) -> bytes:
    return b"".join(len(label).to_bytes(1) + label.encode() for label in text.split(".")) + b"\0"


def _soa() -> bytes:
    """The SOA record beside an answer that there is nothing (RFC 2308 §3)."""
    data = _name("ns.test") + _name("postmaster.test") + b"".join(n.to_bytes(4) for n in (1, 3600, 600, 86400, TTL))
    return _name("test") + b"\0\6\0\1" + TTL.to_bytes(4) + len(data).to_bytes(2) + data


async def _serve(directory: Path, endpoints: int) -> None:
    from servers.certificates import Authority

    root = Authority.root()
    (directory / "root.pem").write_bytes(root.pem)
    certificate, key = root.intermediate().leaf("*.hosts.test").write(directory, "leaf")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers(POSTFIX_MEDIUM)
    context.load_cert_chain(certificate, key)
    served = Served(context, endpoints)
    loop = asyncio.get_running_loop()
    mail = await loop.create_server(lambda: MailServer(served), "0.0.0.0", 0, backlog=4096)
    names, _ = await loop.create_datagram_endpoint(lambda: NameServer(served), ("127.0.0.1", 0))
    ready = {"port": mail.sockets[0].getsockname()[1], "name_server": names.get_extra_info("sockname")[1]}
    print(json.dumps(ready), flush=True)
    while await loop.run_in_executor(None, sys.stdin.readline):  # one line asks for the counts; its end is ours
        print(served.counted(), flush=True)


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    asyncio.run(_serve(Path(asked["directory"]), asked["endpoints"]))
