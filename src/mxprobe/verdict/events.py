"""What is told of a target: differences between two known states, each with its evidence; `docs/events.md` lists them.

An event is told once, when `verdict/memory.py` meets it. Before anybody is woken up by it, it is asked again whether it
is so: `confirmed` compares the event with that second observation.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from mxprobe.facts import EvidenceValue, Severity
from mxprobe.terms import State
from mxprobe.verdict.seen import SETS, Aspect, Seen

EVENTS = (
    *("starttls-vanished", "starttls-broken", "starttls-appeared", "weaker-endpoint"),
    *("version-gone", "version-new", "suite-gone", "suite-new"),
    *("shared-cipher-lost", "shared-cipher-regained", "needs-sslv3-began", "needs-sslv3-ended"),
    *("certificate-replaced", "certificate-expiring", "certificate-expired", "other-issuer"),
    *("name-lost", "name-regained", "no-longer-trusted", "trusted-again"),
    *("null-mx", "domain-gone", "accepts-mail", "mx-added", "mx-removed", "mx-moved", "address-changed"),
    *("unknown-for-long", "flapping", "recovered"),
)
"""Every kind of event, in the order of the documentation."""

NOT_OF_A_VALUE = ("unknown-for-long", "flapping", "recovered")
"""Events that tell how an aspect fares in time, and not that it came to another value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that was noticed of a target.

    `before` and `after` are the values of the aspect; of a list (`suites`, `mx`) only what is gone and what is new;
    None where nothing was known, or was there. `summary` is one line that needs only next-hop and endpoint beside it.
    Where the event ends what an earlier one told, ``evidence["recovers"]`` is the kind of that one.
    """

    kind: str
    severity: Severity
    next_hop: str
    endpoint: str
    aspect: Aspect
    before: str | None
    after: str | None
    at: datetime
    summary: str
    evidence: dict[str, EvidenceValue] = field(default_factory=dict)
    source: str = ""

    @property
    def recovers(self) -> str:
        """The kind of the event that this one ends; empty where it ends none."""
        found = self.evidence.get("recovers")
        return found if isinstance(found, str) else ""


def confirmed(event: Event, seen: Iterable[Seen]) -> State:
    """Whether a second observation bears an event out.

    *No* where it has what was there before; *unknown* where it does not say, or is something else again. Another
    address of the same MX host can bear it out as well, but does not speak against it; no more does a sweep that was
    taken over from before the event.
    """
    said = {each.aspect: each for each in seen}
    aspect = remembered_aspect(event.aspect)
    own = said.get(aspect)
    if event.kind == "flapping":
        return "yes"  # it rests on all the changes before it
    if event.kind == "unknown-for-long":
        return "yes" if own is None or own.value is None else "no"
    if event.kind == "recovered" and event.after is None:
        return "yes" if own is None else "unknown"  # the DNS no longer names what it was about
    if own is not None and own.value is not None:
        return _borne_out(event, own)
    if not aspect.endpoint or event.kind == "recovered":
        return "unknown"
    host = host_of(aspect)
    others = [
        each
        for each in said.values()
        if (each.aspect.kind, each.aspect.item) == (aspect.kind, aspect.item) and host_of(each.aspect) == host
    ]
    return "yes" if any(_borne_out(event, each) == "yes" for each in others) else "unknown"


def corroborated(seen: Iterable[Seen], again: Iterable[Seen], events: Iterable[Event]) -> tuple[Seen, ...]:
    """An observation without what a second one did not bear out: what one of `events` told is unknown then.

    Remembered in place of the first observation, it gives the confirmed events alone; the others come up again with the
    next observation, if they are so.
    """
    again = tuple(again)
    doubted = {
        remembered_aspect(event.aspect): state
        for event in events
        if event.kind not in NOT_OF_A_VALUE and (state := confirmed(event, again)) != "yes"
    }
    reasons: dict[State, str] = {
        "no": "asked again, it was as before",
        "unknown": "asked again, it could not be told",
    }
    return tuple(
        replace(each, value=None, reason=f"{reasons[doubted[each.aspect]]}; at first: {each.reason or each.value}")
        if each.aspect in doubted and each.value is not None
        else each
        for each in seen
    )


def host_of(aspect: Aspect) -> str:
    """The MX host that an aspect is of; empty for the target as a whole. An address stands for itself."""
    if aspect.endpoint:
        host, _, address = aspect.endpoint.partition("[")
        return host or address.rpartition("]")[0] if address else aspect.endpoint.rpartition(":")[0]
    return aspect.item if aspect.kind in ("addresses", "mx") else ""


def remembered_aspect(aspect: Aspect) -> Aspect:
    """Under which aspect it is seen and remembered: that of an MX host is one word of the list of all."""
    return Aspect(kind="mx") if aspect.kind == "mx" else aspect


def _borne_out(event: Event, seen: Seen) -> State:
    if seen.value is None:
        return "unknown"
    if event.aspect.kind in SETS:
        found = _list_borne_out(event, seen)
        return "unknown" if found == "no" and seen.at is not None and seen.at < event.at else found
    if event.aspect.kind == "expiry" and event.after is not None:
        # Another threshold may have come; another certificate is another matter.
        return "yes" if seen.value.partition(" ")[0] == event.after.partition(" ")[0] else "no"
    if seen.value == event.after:
        return "yes"
    return "no" if seen.value == event.before else "unknown"


def _list_borne_out(event: Event, seen: Seen) -> State:
    """Every word that is new has to be there, and none that is gone; that none is there needs a complete list."""
    words = set((seen.value or "").split())
    gone, new = (set((text or "").split()) for text in (event.before, event.after))
    if gone & words or (seen.complete and new - words):
        return "no"
    return "yes" if not new - words and (seen.complete or not gone) else "unknown"
