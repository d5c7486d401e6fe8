"""What is to be done for each next-hop, whichever groups it stands in: how often, how deeply, and what for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from mxprobe.configuration.probes_toml import Group
from mxprobe.configuration.rhythm import Rhythm
from mxprobe.mta.profile import Profile
from mxprobe.probing.settings import DEPTHS, Depth
from mxprobe.terms import NextHop


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """What the groups of a next-hop come to together.

    The shortest interval counts, with its jitter; the greatest depth; the most frequent full sweep; the quiet hours of
    all groups, unless they leave no time (then those of the shortest interval). Every group's profile is asked. What is
    required stays with the `groups`, because it is about the profile of each.
    """

    next_hop: NextHop
    rhythm: Rhythm
    depth: Depth
    full_every: int
    groups: tuple[Group, ...]

    @property
    def profiles(self) -> tuple[Profile, ...]:
        """The profiles whose hellos are sent, each once."""
        return tuple(dict.fromkeys(group.profile for group in self.groups if group.profile is not None))


def visits(groups: Iterable[Group]) -> dict[str, Visit]:
    """The visits of all next-hops in these groups, by the text of the next-hop, in the order of the file."""
    found: dict[str, Visit] = {}
    for group in groups:
        for next_hop in group.next_hops:
            alone = Visit(
                next_hop=next_hop,
                rhythm=group.rhythm,
                depth=group.depth,
                full_every=group.full_every,
                groups=(group,),
            )
            before = found.get(next_hop.text)
            found[next_hop.text] = alone if before is None else _together(before, alone)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How an endpoint is to be asked, for all the next-hops that lead to it."""

    depth: Depth
    full_every: int


def wanted(visits: Iterable[Visit]) -> Wanted:
    """What these visits want of an endpoint together: the greatest depth, the most frequent full sweep.

    Raises:
        ValueError: there are none.
    """
    found = tuple(visits)
    return Wanted(depth=deepest(visit.depth for visit in found), full_every=min(visit.full_every for visit in found))


def deepest(depths: Iterable[Depth]) -> Depth:
    """The greatest of some depths: what an endpoint is asked that several next-hops lead to.

    Raises:
        ValueError: there are none.
    """
    return max(depths, key=DEPTHS.index)


def _together(first: Visit, second: Visit) -> Visit:
    often, rarely = sorted((first.rhythm, second.rhythm), key=lambda rhythm: rhythm.every)
    return replace(
        first,
        rhythm=replace(often, quiet=often.quiet.with_those_of(rarely.quiet)),
        depth=deepest((first.depth, second.depth)),
        full_every=min(first.full_every, second.full_every),
        groups=first.groups + second.groups,
    )
