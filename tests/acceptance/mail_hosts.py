"""Partners whose servers change: MX hosts, each with an address of its own, some domains behind each of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from acceptance.world import address_of, configuration
from servers.certificates import Authority
from servers.faulty_name_server import Fault, FaultyNameServer
from servers.openssl_server import openssl_server
from servers.running import RunningServer, loop_in_thread
from servers.smtp_front import Behind, Front, Script, smtp_front

PLAIN = Script(ehlo=("250-mx.test", "250 8BITMIME"))
"""No STARTTLS."""

BUSY = Script(banner="421 4.7.0 try again later")
"""One whose state cannot be told today."""

BROKEN = Script(after_starttls="garbage")
"""STARTTLS is offered, and what follows is no TLS."""


class Names:
    """A name server whose records and faults change; it can be stopped, and started again at the same port."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._serving = ExitStack()
        self._server: FaultyNameServer | None = None
        self._records = ""
        self.faults: dict[str, Fault] = {}
        self.address = ""

    def serve(self, *records: str) -> None:
        """Serve these records from now on."""
        self._records = "".join(f"{record}\n" for record in records)
        self.stop()
        self.start()

    def start(self) -> None:
        """Answer, where nothing else is in `faults`."""
        self._serving.enter_context(self._running())

    def stop(self) -> None:
        """Be gone: nobody takes questions at this port."""
        self._serving.close()

    def fail(self, fault: Fault, *names: str) -> None:
        """Answer in this way from now on when asked for these names."""
        self.faults.update(dict.fromkeys(names, fault))

    @contextmanager
    def _running(self) -> Iterator[None]:
        server = FaultyNameServer(self._records, faults=self.faults, raw_mx={})
        port = int(self.address.rpartition(":")[2] or 0)
        serving = server.serving("127.0.0.1", port)
        asyncio.run_coroutine_threadsafe(serving.__aenter__(), self._loop).result(10)
        self.address = address_of(server)
        try:
            yield
        finally:
            asyncio.run_coroutine_threadsafe(serving.__aexit__(None, None, None), self._loop).result(10)


class MailHosts:
    """MX hosts `mx0.test`, `mx1.test`, ..., and domains `d0.test`, `d1.test`, ... divided among them in turn.

    Each host has an address of its own, at the same port as all. What is done to one is so from the next connection on.
    """

    def __init__(self, hosts: int, domains: int, names: Names, servers: tuple[RunningServer, ...]) -> None:
        self.names = names
        self.addresses = tuple(f"127.0.1.{number + 1}" for number in range(hosts))
        self.domains = domains
        self._servers = servers
        self._behind: dict[str, Behind] = {}
        self._mx = {number: f"10 mx{number % hosts}.test." for number in range(domains)}
        self.front = Front()
        self._serve()

    def change(self, host: int, script: Script | None = None, *, certificate: int = 0) -> None:
        """From now on a host behaves like this, with the first or another certificate."""
        self._behind[self.addresses[host]] = Behind(script=script or Script(), port=self._servers[certificate].port)

    def change_mx(self, domain: int, record: str) -> None:
        """From now on a domain has this MX record."""
        self._mx[domain] = record
        self._serve()

    @contextmanager
    def serving(self) -> Iterator[None]:
        with smtp_front(self._servers[0], addresses=self.addresses, others=self._behind) as self.front:
            yield

    @property
    def addressed(self) -> tuple[str, ...]:
        """The hosts as next-hops by their addresses, for which nobody asks the DNS."""
        return tuple(f"[{address}]:{self.front.port}" for address in self.addresses)

    @property
    def next_hops(self) -> tuple[str, ...]:
        """All domains."""
        return tuple(self.next_hop(number) for number in range(self.domains))

    def next_hop(self, domain: int) -> str:
        return f"d{domain}.test:{self.front.port}"

    @property
    def all_names(self) -> tuple[str, ...]:
        """All that the DNS is asked for."""
        hosts = (f"mx{number}.test" for number in range(len(self.addresses)))
        return (*hosts, *(f"d{number}.test" for number in range(self.domains)))

    def endpoint(self, host: int) -> str:
        """A host as events name it (docs/events.md)."""
        return f"mx{host}.test[{self.addresses[host]}]:{self.front.port}"

    def behind(self, host: int) -> tuple[str, ...]:
        """The next-hops whose mail goes to a host."""
        return tuple(self.next_hop(domain) for domain in range(host, self.domains, len(self.addresses)))

    def _serve(self) -> None:
        hosts = [f"mx{number}.test. A {address}" for number, address in enumerate(self.addresses)]
        self.names.serve(*hosts, *(f"d{number}.test. MX {record}" for number, record in self._mx.items()))


@contextmanager
def mail_hosts(hosts: int, domains: int) -> Iterator[MailHosts]:
    """Run MX hosts, and the name server of their domains."""
    authority = Authority.root("root of the hosts")
    names = [f"mx{number}.test" for number in range(hosts)]
    with ExitStack() as stack:
        servers = tuple(
            stack.enter_context(openssl_server(protocols=("TLSv1.2", "TLSv1.3"), certificates=[authority.leaf(*names)]))
            for _ in range(2)
        )
        name_server = Names(stack.enter_context(loop_in_thread("name server")))
        stack.callback(name_server.stop)
        world = MailHosts(hosts, domains, name_server, servers)
        stack.enter_context(world.serving())
        yield world


def configured(
    directory: Path, next_hops: tuple[str, ...], *more: str, resolver: str | None = None, **group: object
) -> Path:
    """Write a `probes.toml` with one group of these next-hops; `more` is appended as it is."""
    # What is slow here is this machine, and never a server.
    timeouts = dict.fromkeys(("connect", "greeting", "ehlo", "starttls", "hello", "handshake", "quit"), 3600)
    path = configuration(
        directory,
        {"all": {"next_hops": next_hops, "jitter": "0%", **group}},
        resolver=resolver,
        probe={"depth": "quick"},
    )
    tables = ["[probe.timeouts]", *(f"{name} = {value}" for name, value in timeouts.items()), *more]
    path.write_text("\n".join((path.read_text(), *tables, "")))
    return path
