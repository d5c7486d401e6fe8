"""What a scan asks of an endpoint that was scanned before: whether it is unchanged, or all of it once more."""

from __future__ import annotations

from dataclasses import dataclass

from mxprobe.facts import EndpointFacts
from mxprobe.probing.settings import Depth


@dataclass(frozen=True, slots=True, kw_only=True)
class Recheck:
    """At which depth to ask, and the facts whose sweep is to be confirmed (None: there is none, or it is time for a
    new one)."""

    depth: Depth
    before: EndpointFacts | None = None


def recheck(depth: Depth, known: tuple[EndpointFacts, ...], full_every: int) -> Recheck:
    """What to ask where the depth of the scan is `depth`, and `known` what was found since the last full sweep.

    `known` begins with the newest, and ends with that sweep if there was one. Of `full_every` scans of an endpoint one
    sweeps it in full; *quick* never does.
    """
    if depth == "quick":
        return Recheck(depth=depth)
    since = next((n for n, facts in enumerate(known) if facts.sweep in ("swept", "same-as")), len(known))
    if since + 1 >= full_every:
        return Recheck(depth="full" if depth == "standard" else depth)
    return Recheck(depth=depth, before=next((facts for facts in known if facts.sweep is not None), None))
