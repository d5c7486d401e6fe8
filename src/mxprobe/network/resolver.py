"""The resolver: which name servers are asked, in what order, how patiently, and what is remembered of it."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import ipaddress
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from mxprobe.errors import InvalidSetting, ResolverError
from mxprobe.routing.addresses import PUBLIC_ADDRESSES, RoutingPolicy
from mxprobe.routing.answers import MAX_ALIASES, DnsAnswer, Question
from mxprobe.routing.resolution import resolve_route
from mxprobe.routing.route import DnsStatus, Route
from mxprobe.terms import NextHop

if TYPE_CHECKING:
    from mxprobe.network.dns_exchange import ServerReply

NameServerAddress = tuple[str, int]

MAX_NAME_SERVERS = 3
"""Name servers used of a longer list, as in resolv.conf(5) (MAXNS): each dead one costs its timeout."""

MAX_QUESTIONS = 32
"""Questions on their way at a time: a route may need two hundred, and name servers limit rates."""

MAX_REMEMBERED = 10_000
"""Answers kept; beyond it the oldest are forgotten."""

FAILURE_TTL = 30
"""Seconds for which a failure is remembered (RFC 9520 §3.2: at least 1, at most 300): many partners share
MX hosts, and a dead name server should cost its timeout once."""


class Resolver:
    """Asks name servers, and remembers what they said for as long as they allow.

    One instance serves one run in one event loop. A question that is asked while the same one is on its way waits for
    that one. Search domains are not applied: next-hops and MX hosts are full names.

    `nameservers` are (address, port) pairs, by default those of `resolv_conf`. `timeout` is the seconds that one name
    server has for one answer, `attempts` how often the list is gone through while nobody answers, as in resolv.conf(5).

    Raises:
        ResolverError: there is no name server to ask.
    """

    def __init__(
        self,
        *,
        nameservers: tuple[NameServerAddress, ...] | None = None,
        timeout: float = 5.0,
        attempts: int = 2,
        resolv_conf: str = "/etc/resolv.conf",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        chosen = _configured(resolv_conf) if nameservers is None else nameservers
        if not chosen:
            raise ResolverError("no name server is given (allowed: ADDR, ADDR:PORT, [IPv6]:PORT)")
        self.nameservers = chosen[:MAX_NAME_SERVERS]
        self._timeout = timeout
        self._attempts = max(1, attempts)
        self._clock = clock
        self._gate = asyncio.Semaphore(MAX_QUESTIONS)
        self._remembered: dict[Question, tuple[float, ServerReply]] = {}  # with the clock's time of expiry
        self._on_their_way: dict[Question, asyncio.Task[ServerReply]] = {}
        self._answered = False

    async def route(self, next_hop: NextHop, policy: RoutingPolicy = PUBLIC_ADDRESSES) -> Route:
        """Resolve a next-hop. What the DNS says, or fails to say, is in the route.

        Raises:
            ResolverError: no name server could be reached, and none ever was.
        """
        resolution = resolve_route(next_hop, policy)
        try:
            questions = next(resolution)
            while True:
                answers = await asyncio.gather(*(self.ask(question) for question in questions))
                questions = resolution.send(tuple(answers))
        except StopIteration as end:
            route: Route = end.value
            return route

    async def ask(self, question: Question) -> DnsAnswer:
        """Ask one question, and on along its CNAMEs; from memory what was asked before.

        Raises:
            ResolverError: no name server could be reached, and none ever was.
        """
        aliases: tuple[str, ...] = ()
        name = question.name
        while True:
            reply = await self._reply(Question(name=name, type=question.type))
            aliases += reply.aliases
            name = reply.canonical_name
            status = reply.status
            if name in aliases or len(aliases) > MAX_ALIASES:
                status = "loop"
            if status != "no-data" or reply.complete:
                break
        return DnsAnswer(
            status=status,
            canonical_name=question.name if status == "loop" else name,
            records=reply.records if status == "ok" else (),
            aliases=aliases[: MAX_ALIASES + 1],
            text=reply.text,
        )

    async def _reply(self, question: Question) -> ServerReply:
        """What the name servers reply: remembered, on its way already, or asked now."""
        remembered = self._remembered.get(question)
        if remembered is not None and remembered[0] > self._clock():
            return remembered[1]
        task = self._on_their_way.get(question)
        if task is None:
            task = asyncio.create_task(self._any_server(question))
            task.add_done_callback(functools.partial(self._settle, question))
            self._on_their_way[question] = task
        # Others may wait for the same reply when this caller is cancelled.
        return await asyncio.shield(task)

    def _settle(self, question: Question, task: asyncio.Task[ServerReply]) -> None:
        del self._on_their_way[question]
        if task.cancelled() or task.exception() is not None:
            return
        reply = task.result()
        ttl = reply.ttl if reply.status in _ANSWERED else FAILURE_TTL
        self._remembered.pop(question, None)
        if ttl > 0:
            if len(self._remembered) >= MAX_REMEMBERED:
                del self._remembered[next(iter(self._remembered))]
            self._remembered[question] = (self._clock() + ttl, reply)

    async def _any_server(self, question: Question) -> ServerReply:
        """The first usable reply of the name servers, or else the most telling failure.

        A server that failed is not asked again, one that was silent is.
        """
        from mxprobe.network.dns_exchange import exchange

        failures: dict[NameServerAddress, ServerReply] = {}
        for _ in range(self._attempts):
            for server in self.nameservers:
                if server in failures and (failures[server].status != "timeout" or failures[server].unreachable):
                    continue
                async with self._gate:
                    reply = await exchange(server, question, within=self._timeout)
                if reply.status in (*_ANSWERED, "loop"):
                    self._answered = True
                    return reply
                failures[server] = reply
        unreachable = [f"{_show(server)}: {reply.text}" for server, reply in failures.items() if reply.unreachable]
        if len(unreachable) < len(failures):
            self._answered |= any(reply.status != "timeout" for reply in failures.values())
        elif not self._answered:
            raise ResolverError(f"no name server can be reached: {'; '.join(unreachable)}")
        server, reply = min(failures.items(), key=lambda item: _TELLING.index(item[1].status))
        return dataclasses.replace(reply, text=f"{_show(server)}: {reply.text}".removesuffix(": "))


_ANSWERED: tuple[DnsStatus, ...] = ("ok", "no-data", "nxdomain")
_TELLING: tuple[DnsStatus, ...] = ("servfail", "refused", "truncated", "malformed", "timeout")


def parse_resolver(text: str, *, where: str = "--resolver") -> NameServerAddress:
    """Read the address of a name server: `ADDR`, `ADDR:PORT`, `[IPv6]:PORT`; the port is 53 if none is given.

    Raises:
        InvalidSetting: it is none of these; `where` says to whom it was given.
    """
    address_text, port_text = text.strip(), None
    if address_text.startswith("["):
        address_text, bracket, rest = address_text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise _no_name_server(text, where, "the brackets do not hold an address")
        port_text = rest[1:] if rest else None
    elif address_text.count(":") == 1:
        address_text, _, port_text = address_text.partition(":")
    try:
        address = ipaddress.ip_address(address_text)
    except ValueError as error:
        raise _no_name_server(text, where, f"{address_text!r} is not an IP address") from error
    if port_text is None:
        return str(address), 53
    if not (port_text.isascii() and port_text.isdigit() and len(port_text) <= 5 and 1 <= int(port_text) <= 65535):
        raise _no_name_server(text, where, f"{port_text!r} is not a port (1 to 65535)")
    return str(address), int(port_text)


def _no_name_server(text: str, where: str, problem: str) -> InvalidSetting:
    return InvalidSetting(where, f"not a name server: {text!r}: {problem}", "ADDR, ADDR:PORT, [IPv6]:PORT")


def _configured(resolv_conf: str) -> tuple[NameServerAddress, ...]:
    """The name servers of the system (resolv.conf(5))."""
    import dns.exception
    import dns.resolver

    try:
        system = dns.resolver.Resolver(filename=resolv_conf)
    except (dns.exception.DNSException, ValueError) as error:
        raise ResolverError(f"{resolv_conf}: {error} (a name server can be given with --resolver ADDR:PORT)") from error
    return tuple((server, system.port) for server in system.nameservers if isinstance(server, str))


def _show(server: NameServerAddress) -> str:
    address, port = server
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
