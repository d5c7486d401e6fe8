"""What a hello costs a process that is warm: ``python bench/warm.py --port PORT``, which prints JSON.

A process of its own that probes one address of loopback again and again, and says of each probe what CPU time it took
(user and system, `getrusage(2)`), over how many hellos and connections, and how often its speculation hit and missed.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
from dataclasses import asdict, dataclass

from mxprobe import Limits, ProbeSettings, probe
from mxprobe.cli.running import run_async
from mxprobe.tls import foresight, removal

# The command knows nothing of this: a miss costs a connection, which is counted, and changes no fact.
KEPT: list[foresight.Foresight] = []


class KeptForesight(foresight.Foresight):
    """One that can be asked afterwards."""

    def __init__(self, handshake: foresight.HandshakePick | None = None) -> None:
        super().__init__(handshake)
        KEPT.append(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Warm:
    """One probe. `hits` and `misses` are guesses that were asked and held, or were in vain."""

    cpu_seconds: float
    hellos: int
    connections: int
    hits: int
    misses: int


async def probes(port: int, per_address: int, times: int) -> list[Warm]:
    settings = ProbeSettings(limits=Limits(per_address=per_address))
    found = []
    for _ in range(times):
        KEPT.clear()
        before = _cpu_seconds()
        target = await probe(f"[127.0.0.1]:{port}", settings)
        after = _cpu_seconds()
        (endpoint,) = target.endpoints
        found.append(
            Warm(
                cpu_seconds=after - before,
                hellos=sum(protocol.hellos for protocol in endpoint.protocols.values()),
                connections=endpoint.connections,
                hits=sum(kept.hits for kept in KEPT),
                misses=sum(kept.misses for kept in KEPT),
            )
        )
    return found


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> int:
    parser = argparse.ArgumentParser(description="Probe one address again and again in one process.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--per-address", type=int, default=2)
    parser.add_argument("--times", type=int, default=1)
    options = parser.parse_args()
    vars(removal)["Foresight"] = KeptForesight
    found = run_async(probes(options.port, options.per_address, options.times))
    print(json.dumps([asdict(warm) for warm in found]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
