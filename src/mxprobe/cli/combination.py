"""`mxprobe probe --protocol --cipher`: one combination, with the words and the exit code of `s_client`."""

from __future__ import annotations

import json
import sys

from mxprobe.cli.options import Format
from mxprobe.cli.outcome import COULD_NOT_TELL, FINDING, NOTHING_TO_REPORT
from mxprobe.cli.printing import print_transcript
from mxprobe.errors import InvalidSetting
from mxprobe.probing.combination import Tried
from mxprobe.probing.prober import Prober
from mxprobe.probing.settings import ProbeSettings
from mxprobe.report.escape import printable
from mxprobe.report.session import Combination, session_text
from mxprobe.routing.route import Route, endpoints_behind
from mxprobe.terms import PROTOCOLS, Endpoint, NextHop, Protocol
from mxprobe.tls.suites import allowed, suite


async def one_combination(
    hops: tuple[NextHop, ...],
    settings: ProbeSettings,
    protocol: Protocol | None,
    number: int | None,
    output: Format,
    *,
    strict: bool,
) -> int:
    """Try one combination at every endpoint, and print what came of it.

    Exit code 0 where all accepted it, 1 where one refused it or, if `strict` (a CA was named, as with `s_client
    -verify_return_error`), its chain does not verify, 3 where one could not be told.
    """
    protocol = protocol or _newest(number)
    prober = Prober(settings)
    codes = set()
    for hop in hops:
        route = await prober.resolve(hop)
        endpoints = endpoints_behind(hop, route)
        if not endpoints and route.kind != "null-mx":
            codes.add(COULD_NOT_TELL)
        if not endpoints:
            print(printable(f"mxprobe: {hop.text}: {_why_not(route)}", 1000), file=sys.stderr)
        elif _left_alone(route):
            codes.add(COULD_NOT_TELL)
            print(printable(f"mxprobe: {hop.text}: {_left_alone(route)}", 1000), file=sys.stderr)
        for endpoint in endpoints:
            tried = await prober.combination(endpoint, protocol, number)
            _print(endpoint, tried, output)
            if tried.transcript:
                print_transcript(tried.transcript, output)
            codes.add(_code(tried, strict))
    return FINDING if FINDING in codes else max(codes, default=NOTHING_TO_REPORT)


def _newest(number: int | None) -> Protocol:
    """The newest version in which a standard allows the suite."""
    for protocol in reversed(PROTOCOLS):
        if number is not None and allowed(number, protocol):
            return protocol
    raise InvalidSetting("--protocol", "no standard says in which version that suite is used", ", ".join(PROTOCOLS))


def _code(tried: Tried, strict: bool) -> int:
    if tried.state == "unknown":
        return COULD_NOT_TELL
    verified = tried.verification is None or tried.verification.ok
    return NOTHING_TO_REPORT if tried.state == "accepted" and (verified or not strict) else FINDING


def _why_not(route: Route) -> str:
    if route.kind == "null-mx":
        return "accepts no mail (null MX); nothing was dialled"
    errors = [route.error, *(host.error for host in route.hosts)]
    return "; ".join(error.text for error in errors if error) or "there is nothing to dial"


def _left_alone(route: Route) -> str:
    """What is on the ignore list, beside what is dialled."""
    return "; ".join(host.error.text for host in route.hosts if host.error and host.error.status == "ignored")


def _print(endpoint: Endpoint, tried: Tried, output: Format) -> None:
    name = suite(tried.suite).name if tried.suite is not None else "any"
    combination = Combination(
        endpoint=str(endpoint),
        protocol=tried.protocol,
        suite_name=name,
        state=tried.state,
        reached=tried.reached,
        reason=tried.reason,
        chain=tried.chain,
        verification=tried.verification,
    )
    if output == "text":
        sys.stdout.write(session_text(combination))
        return
    from pydantic import TypeAdapter

    document = TypeAdapter(Combination).dump_python(combination, mode="json")
    print(json.dumps({"schema": "mxprobe/1", **document}, indent=2 if output == "json" else None))
