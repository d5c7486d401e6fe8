"""Whether hostile hosts among many delay the others: ``python bench/hostile.py [--runs N]``, as root.

Probes addresses of an opened-up Postfix, alone and then among hosts that send a byte a second in their banner,
a byte a second in a TLS record, or TLS records without an end; and says when the last healthy one was finished.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from targets import addresses, faster_loops
from tools import first_document, measured

from mxprobe import Limits, ProbeSettings, probe_endpoints
from mxprobe.cli.running import run_async
from servers.delay_proxy import delay_proxy
from servers.postfix import postfix_server
from servers.smtp_front import Script, smtp_front

HEALTHY = 47
HOSTILE = {
    "127.0.2.1": Script(banner_drip=True, drip_seconds=1.0),
    "127.0.2.2": Script(after_starttls="drip", drip_seconds=1.0),
    "127.0.2.3": Script(after_starttls="hello-requests"),
}
PER_ADDRESS = 2
"""With more, what limits is a small machine that also runs the servers, and no delay is seen."""


def serve(ports: multiprocessing.Queue[list[int]], ended: multiprocessing.Event) -> None:  # type: ignore[valid-type]
    """Be the hostile hosts until the event is set."""
    with ExitStack() as fronts:
        each = [fronts.enter_context(smtp_front(None, script, addresses=(at,))) for at, script in HOSTILE.items()]
        ports.put([front.port for front in each])
        ended.wait()  # type: ignore[attr-defined]


@contextmanager
def hostile_hosts() -> Iterator[list[str]]:
    """Run them in a process of its own, which the proxy does not share; gives their next-hops."""
    ports: multiprocessing.Queue[list[int]] = multiprocessing.Queue()
    ended = multiprocessing.Event()
    process = multiprocessing.Process(target=serve, args=(ports, ended), daemon=True)
    process.start()
    try:
        yield [f"[{at}]:{port}" for at, port in zip(HOSTILE, ports.get(timeout=30), strict=True)]
    finally:
        ended.set()
        process.join(10)
        process.kill()


def probe(next_hops: list[str]) -> None:
    """Probe them all at once until every healthy one is finished; print when that was, and who was not by then."""
    settings = ProbeSettings(limits=Limits(connections=400, per_address=PER_ADDRESS), twins=False)

    async def watch() -> None:
        started = time.monotonic()
        waited_for = set(HOSTILE)
        left = sum(next_hop[1:].split("]")[0] not in HOSTILE for next_hop in next_hops)
        suites = 0
        async for facts in probe_endpoints(next_hops, settings):
            if facts.address in HOSTILE:
                waited_for.discard(facts.address)
                continue
            suites += sum(len(seen.suites) for seen in facts.protocols.values())
            left -= 1
            if not left:
                break
        seconds = time.monotonic() - started
        print(json.dumps({"seconds": seconds, "suites": suites, "waited_for": sorted(waited_for)}))

    run_async(watch())


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure how much hostile hosts delay others.")
    parser.add_argument("--runs", type=int, default=2, help="runs with and without them, of which the shorter counts")
    parser.add_argument("--probe", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.probe:
        probe(options.probe)
        return 0
    seconds: dict[bool, list[float]] = {False: [], True: []}
    waited_for: set[str] = set(HOSTILE)
    with (
        tempfile.TemporaryDirectory(prefix="mxprobe-bench-") as directory,
        hostile_hosts() as hostile,
        postfix_server(opened_up=True) as server,
        faster_loops(),
        delay_proxy(server.port, ms=20, address="0.0.0.0") as proxy,
    ):
        healthy = [f"[{address}]:{proxy.port}" for address in addresses(HEALTHY)]
        for number in range(options.runs):
            for among in (False, True):
                print(f"run {number + 1}: {'among hostile hosts' if among else 'alone'}", file=sys.stderr)
                next_hops = [*hostile, *healthy] if among else healthy
                output = Path(directory) / "output"
                measured([sys.executable, str(Path(__file__).resolve()), "--probe", *next_hops], output)
                found = first_document(output.read_text())
                if found["suites"] != HEALTHY * sum(len(suites) for suites in server.expected.values()):
                    raise RuntimeError(f"not all suites were found: {found}")
                seconds[among].append(found["seconds"])
                if among:
                    waited_for &= set(found["waited_for"])
    # What else the machine does only adds to it.
    alone, among_them = min(seconds[False]), min(seconds[True])
    print(
        f"The last of {HEALTHY} healthy addresses at 40 ms was finished after {alone:.1f} s alone, and after "
        f"{among_them:.1f} s with {len(HOSTILE)} hostile hosts before them ({among_them / alone:.2f} x), of which "
        f"{len(waited_for)} were still waited for; the shortest of {options.runs} runs each."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
