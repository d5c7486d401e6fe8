"""What the options of a check demand, read before anything is looked at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mxprobe.errors import InvalidSetting
from mxprobe.mta.profile import Profile
from mxprobe.terms import host_name
from mxprobe.verdict.gate import DEFAULT_REQUIREMENTS, Conditions
from mxprobe.verdict.requirements import Requirement


def conditions(
    require: Sequence[str],
    senders: Sequence[str],
    covers: Sequence[str],
    days: int | None,
    *,
    same_everywhere: bool | None = None,
    profiles_too: bool = False,
) -> Conditions:
    """What ``--require``, ``--sender``, ``--covers``, ``--days`` and ``--same-everywhere`` come to.

    `profiles_too` is whether there are profiles beside those of ``--sender``, which *shared-cipher* may be about.

    Raises:
        InvalidSetting: one of them names what there is not.
    """
    profiles = sender_profiles(senders)
    return Conditions(
        requirements=_requirements(require, profiles=bool(profiles) or profiles_too),
        senders=profiles,
        covers=tuple(dict.fromkeys(_covered(name) for name in split(covers))),
        days=days,
        same_everywhere=same_everywhere,
    )


def sender_profiles(texts: Sequence[str]) -> tuple[Profile, ...]:
    """The senders of these names, each once; ``all`` of them, or all that were ``recorded`` and not only documented.

    What has a colon is a profile of one's own, as ``--profile`` of a probe takes it: ``recorded:FILE``.
    """
    if not texts:
        return ()
    from mxprobe.mta.senders import sender, senders

    found: dict[str, Profile] = {}
    for text in texts:
        if ":" in text:
            profile = _own_profile(text)
            if found.setdefault(profile.name, profile) != profile:
                raise InvalidSetting("--sender", f"another one is called {profile.name!r}, too")
            continue
        for name in split((text,)):
            if name in ("all", "recorded"):
                wanted = [known for known in senders() if name == "all" or known.kind == "recorded"]
            else:
                wanted = [sender(name)]
            found |= {known.name: known.profile for known in wanted}
    return tuple(found.values())


def known_senders(wanted: Conditions) -> tuple[Profile, ...]:
    """All whose loss against a baseline counts: those that were asked for, and every other sender that is known."""
    return tuple({each.name: each for each in (*sender_profiles(("all",)), *wanted.senders)}.values())


def _own_profile(text: str) -> Profile:
    from mxprobe.cli.options import profile

    try:
        return profile(text, None)
    except InvalidSetting as error:
        where = "--sender" if error.where == "--profile" else error.where
        raise InvalidSetting(where, error.problem, error.allowed) from error


def split(texts: Iterable[str]) -> tuple[str, ...]:
    """Words given several times or with commas between them."""
    return tuple(part.strip() for text in texts for part in text.split(","))


def _requirements(texts: Sequence[str], *, profiles: bool) -> tuple[Requirement, ...]:
    from mxprobe.cli.options import requirements

    if not texts:
        return DEFAULT_REQUIREMENTS
    words = split(texts)
    if not profiles and any(word.removeprefix("!") == "shared-cipher" for word in words):
        raise InvalidSetting("--require", "shared-cipher says with whom: it needs a --sender")
    return requirements(words, profiles=profiles)


def _covered(text: str) -> str:
    import ipaddress

    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        pass
    try:
        return host_name(text)
    except ValueError as error:
        raise InvalidSetting("--covers", str(error), "a host name or an address") from error
