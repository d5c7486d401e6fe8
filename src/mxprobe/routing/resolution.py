"""What to ask the DNS about a next-hop, and what the answers make of it: the rules of RFC 5321 §5.1, without a socket.

`resolve_route` is a generator: it yields questions and is sent their answers, so that one driver
(`network/resolver.py`) asks real name servers and tests play them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Generator, Iterable
from dataclasses import replace

from mxprobe.routing.addresses import PUBLIC_ADDRESSES, RoutingPolicy, is_public
from mxprobe.routing.answers import DnsAnswer, MxRecord, Question
from mxprobe.routing.route import DnsStatus, MxHost, Route, RouteError
from mxprobe.terms import IPAddress, NextHop, host_name

Resolution = Generator[tuple[Question, ...], tuple[DnsAnswer, ...], Route]
"""Yields questions that may be asked at the same time, is sent their answers in the same order."""

MAX_MX_HOSTS = 100
"""MX hosts looked at: a message of 64 KiB holds thousands, and each costs two questions and a probe."""

MAX_ADDRESSES = 64
"""Addresses of one MX host that are kept; large providers have about a dozen."""


def resolve_route(next_hop: NextHop, policy: RoutingPolicy = PUBLIC_ADDRESSES) -> Resolution:
    """Resolve a next-hop as an SMTP client does (RFC 5321 §5.1, RFC 7505, `postconf(5) relayhost`).

    An address is taken as it is, and a bracketed name has its addresses looked up but no MX. For anything else MX
    is asked; the domain itself is the (implicit) MX host only if the answer is that there are no MX records, and never
    if there was no answer or the name does not exist. MX hosts come by preference, and those of equal preference by
    name: Postfix and RFC 5321 take these in random order, but two probes of the same records should agree.

    An MX host is kept whatever happens to it, with an error that says so. An error beside addresses means
    that they may not be all: one of A and AAAA got no answer, or there were too many. An MX host that is an
    alias is resolved like any other (RFC 2181 §10.3 forbids it, and mail servers deliver to it all the same).
    Addresses that are not public are not dialled unless `policy` allows or the user named them. What is on the ignore
    list is never dialled, and the DNS is not asked about a name that is; the error says so.
    """
    if next_hop.address is not None:
        address = str(next_hop.address)
        return Route(kind="literal", hosts=(_given(address, None, address, policy),))
    if not next_hop.mx_lookup:
        return Route(kind="literal", hosts=(yield from _resolve_hosts({next_hop.host: None}, policy)))

    if entry := policy.ignore.entry_for_name(next_hop.host):
        return Route(kind="error", error=_ignored(entry))
    question = Question(name=next_hop.host, type="MX")
    (answer,) = yield (question,)
    canonical_name = answer.canonical_name if answer.aliases else None
    if canonical_name is not None and (entry := policy.ignore.entry_for_name(canonical_name)):
        return Route(kind="error", canonical_name=canonical_name, error=_ignored(entry))
    exchanges = _by_preference(record for record in answer.records if isinstance(record, MxRecord))

    if answer.status == "no-data" or (answer.status == "ok" and not exchanges):
        # RFC 5321 §5.1: "as if it were associated with an implicit MX RR, with a preference of 0".
        hosts = yield from _resolve_hosts({next_hop.host: 0}, policy)
        return Route(kind="implicit-mx", hosts=hosts, canonical_name=canonical_name)
    if answer.status != "ok":
        return Route(kind="error", canonical_name=canonical_name, error=_failure(((question, answer),)))
    if exchanges.keys() == {"."}:
        return Route(kind="null-mx", canonical_name=canonical_name)

    error = None
    if len(exchanges) > MAX_MX_HOSTS:
        error = RouteError(
            status="malformed",
            text=f"{question}: {len(exchanges)} MX hosts; only the first {MAX_MX_HOSTS} by preference are looked at",
            temporary=False,
        )
        exchanges = dict(list(exchanges.items())[:MAX_MX_HOSTS])
    hosts = yield from _resolve_hosts(exchanges, policy)
    return Route(kind="mx", hosts=hosts, canonical_name=canonical_name, error=error)


def _by_preference(records: Iterable[MxRecord]) -> dict[str, int | None]:
    """Exchanges with their lowest preference, by preference and then by name."""
    lowest: dict[str, int] = {}
    for record in records:
        lowest[record.exchange] = min(record.preference, lowest.get(record.exchange, record.preference))
    return dict(sorted(lowest.items(), key=lambda item: (item[1], item[0])))


def _resolve_hosts(
    exchanges: dict[str, int | None], policy: RoutingPolicy
) -> Generator[tuple[Question, ...], tuple[DnsAnswer, ...], tuple[MxHost, ...]]:
    """Look the addresses of all hosts up in one round of questions."""
    settled = {name: _without_dns(name, preference, policy) for name, preference in exchanges.items()}
    unsettled = [name for name, host in settled.items() if host is None]
    questions = [(Question(name=name, type="A"), Question(name=name, type="AAAA")) for name in unsettled]
    answers = iter((yield tuple(question for pair in questions for question in pair)) if questions else ())
    asked = {
        pair[0].name: tuple(zip(pair, (ipv4, ipv6), strict=True))
        for pair, ipv4, ipv6 in zip(questions, answers, answers, strict=True)
    }
    return tuple(
        host if host is not None else _answered(name, exchanges[name], asked[name], policy)
        for name, host in settled.items()
    )


def _without_dns(name: str, preference: int | None, policy: RoutingPolicy) -> MxHost | None:
    """The host if no question is to be asked about it: its address is given, its name is no host name, or ignored."""
    entry = policy.ignore.entry_for_name(name)
    error = _ignored(entry) if entry else _name_error(name)
    given = policy.connect.get(name)
    if given is not None and not entry:
        host = _given(name, preference, given, policy)
        return host if error is None or host.error is not None else replace(host, error=error)
    if error is None:
        return None
    return MxHost(name=name, canonical_name=name, preference=preference, addresses=(), error=error)


def _given(name: str, preference: int | None, address: str, policy: RoutingPolicy) -> MxHost:
    """A host at the address that the user gave."""
    entry = policy.ignore.entry_for_address(ipaddress.ip_address(address))
    return MxHost(
        name=name,
        canonical_name=name,
        preference=preference,
        addresses=() if entry else (address,),
        refused_addresses=(address,) if entry else (),
        error=_ignored(entry, address) if entry else None,
    )


def _name_error(name: str) -> RouteError | None:
    if name == ".":
        # RFC 7505 §3: a domain with a null MX must not have another MX record.
        return RouteError(status="null-mx-mixed", text="a null MX beside other MX records", temporary=False)
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        pass
    else:
        return _malformed(f"the MX record names an address, {address}, and not a host")
    try:
        if not name.isascii():
            raise ValueError(f"{name!r} is not a host name of the DNS")
        host_name(name)
    except ValueError as error:
        return _malformed(f"the MX record names no host: {error}")
    return None


def _ignored(entry: str, *addresses: str) -> RouteError:
    which = f" ({', '.join(addresses)})" if addresses else ""
    return RouteError(status="ignored", text=f"on the ignore list: {entry}{which}", temporary=False)


def _malformed(text: str) -> RouteError:
    return RouteError(status="malformed", text=text, temporary=False)


Asked = tuple[tuple[Question, DnsAnswer], ...]


def _answered(name: str, preference: int | None, asked: Asked, policy: RoutingPolicy) -> MxHost:
    """The host as the answers to A and AAAA make it."""
    found: dict[IPAddress, None] = {}  # in the order of the answers, each once
    for _, answer in asked:
        found.update(dict.fromkeys(record for record in answer.records if not isinstance(record, (MxRecord, str))))
    kept = tuple(found)[:MAX_ADDRESSES]
    # A and AAAA meet the same CNAMEs; where one was not answered the other knows them.
    aliased = next((answer for _, answer in asked if answer.aliases), None)
    names = (*aliased.aliases, aliased.canonical_name) if aliased is not None else ()
    whole = policy.ignore.entry_for_name(*names)
    ignored = {str(each): entry for each in kept if (entry := whole or policy.ignore.entry_for_address(each))}
    allowed = tuple(address for address in kept if policy.allow_private or is_public(address))
    dialled = tuple(str(address) for address in allowed if str(address) not in ignored)
    refused = tuple(str(address) for address in kept if str(address) not in dialled)
    return MxHost(
        name=name,
        canonical_name=aliased.canonical_name if aliased is not None else name,
        preference=preference,
        addresses=dialled,
        aliases=aliased.aliases if aliased is not None else (),
        refused_addresses=refused,
        error=_host_error(asked, len(found), dialled, refused, ignored),
    )


def _host_error(
    asked: Asked, found: int, dialled: tuple[str, ...], refused: tuple[str, ...], ignored: dict[str, str]
) -> RouteError | None:
    failed = tuple((question, answer) for question, answer in asked if answer.status not in _ANSWERED)
    if ignored:
        on_list = _ignored(", ".join(dict.fromkeys(ignored.values())), *ignored)
        if not failed:
            return on_list
        failure = _failure(failed)
        return replace(failure, text=f"{failure.text}; {on_list.text}")
    if failed:
        return _failure(failed)
    if found > MAX_ADDRESSES:
        return _malformed(f"{found} addresses; only the first {MAX_ADDRESSES} are kept")
    if dialled:
        return None
    if refused:
        return RouteError(
            status="forbidden-address",
            text=f"no public address: {', '.join(refused)} (private addresses are dialled with --allow-private)",
            temporary=False,
        )
    if all(answer.status == "nxdomain" for _, answer in asked):
        return _failure(asked[:1])
    # A name server that says NXDOMAIN to AAAA and has an A record is broken (RFC 4074 §4.2): the name exists.
    return RouteError(status="no-address", text="the name has no A and no AAAA record", temporary=False)


_ANSWERED: tuple[DnsStatus, ...] = ("ok", "no-data", "nxdomain")
"""The statuses of a question that was answered; after any other the truth is not known."""

_MEANING: dict[DnsStatus, str] = {
    "ok": "no records",
    "nxdomain": "the name does not exist (NXDOMAIN)",
    "no-data": "no such records",
    "servfail": "the name server failed (SERVFAIL)",
    "refused": "the name server refused to answer (REFUSED)",
    "timeout": "no answer",
    "truncated": "the answer was truncated, and not to be had over TCP",
    "loop": "the CNAME chain closes or is too long",
    "malformed": "the answer is malformed",
}


def _failure(asked: Asked) -> RouteError:
    """What questions that failed say together; the first gives the status."""
    status = asked[0][1].status
    texts = []
    for question, answer in asked:
        text = f"{question}: {_MEANING[answer.status]}"
        texts.append(f"{text}: {answer.text}" if answer.text else text)
    return RouteError(status=status, text="; ".join(texts), temporary=status not in (*_ANSWERED, "loop"))
