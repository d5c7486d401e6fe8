"""The one hello that stands for a profile: what it sends, and what a profile leaves open that the hello must say."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from mxprobe.errors import InvalidSetting
from mxprobe.mta.profile import Profile
from mxprobe.terms import PROTOCOLS, Protocol
from mxprobe.tls.client_hello import ClientHello, decode_client_hello
from mxprobe.tls.code_points import SECP256R1, SSL2, X25519
from mxprobe.tls.extensions import usual_groups, usual_schemes
from mxprobe.tls.key_shares import SHARED_GROUPS
from mxprobe.tls.offer import Offer
from mxprobe.tls.records import HEADER_LENGTH
from mxprobe.tls.wire import WireError

KEY_SHARES: Final = (X25519, SECP256R1)
"""Key shares for hellos that are to get a ServerHello and no HelloRetryRequest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What the hello of a profile says. An extension that it does not have leaves an empty tuple.

    `protocols` are newest first. `lists_versions` is whether supported_versions names them; a server that goes by the
    older field sees no holes between them. `shares_key` is whether there is a key_share extension, be it empty.
    `sslv2_form` is true for a hello that only servers which know that form understand (RFC 5246 appendix E.2).
    `named` is whether it has a server name. `length` counts bytes without record headers; None where it is our own.
    """

    protocols: tuple[Protocol, ...]
    lists_versions: bool
    suites: tuple[int, ...]
    groups: tuple[int, ...]
    signature_schemes: tuple[int, ...]
    key_shares: tuple[int, ...]
    shares_key: bool = True
    sslv2_form: bool = False
    named: bool = True
    length: int | None = None
    records: int = 1


def profile_offer(profile: Profile, server_name: str | None) -> Offer:
    """The one hello that stands for a profile: its recorded hello where it has one, else one of ours with its lists.

    Where the profile does not say groups, signature schemes or key shares, those of our own hellos stand in.

    Raises:
        InvalidSetting: the recorded hello is none.
    """
    sent = what_is_sent(profile)
    newest = sent.protocols[0]
    if profile.hello is not None:
        return Offer(
            protocol=newest,
            versions=sent.protocols,
            suites=sent.suites,
            server_name=server_name if sent.named else None,
            groups=sent.groups,
            signature_schemes=sent.signature_schemes,
            key_shares=sent.key_shares,
            hello=profile.hello,
        )
    return Offer(
        protocol=newest,
        versions=sent.protocols,
        suites=sent.suites,
        server_name=server_name if newest not in ("SSLv2", "SSLv3") else None,
        groups=profile.groups,
        signature_schemes=profile.signature_schemes,
        key_shares=sent.key_shares,
    )


@lru_cache(maxsize=256)
def what_is_sent(profile: Profile) -> Sent:
    """What the hello of a profile says, with everything that the profile itself leaves open.

    Raises:
        InvalidSetting: the recorded hello is none.
    """
    protocols = tuple(protocol for protocol in reversed(PROTOCOLS) if protocol in profile.protocols)
    if profile.hello is not None:
        try:
            said = decode_client_hello(profile.hello)
        except WireError as error:
            raise InvalidSetting(f"profile {profile.name}", f"its hello cannot be read: {error}") from error
        return _recorded(protocols, said, profile.hello)
    newest = protocols[0]
    # Kinds of SSLv2 have 24 bits, and no hello of ours holds both.
    suites = tuple(number for number in profile.suites if (number > 0xFFFF) == (newest == "SSLv2"))
    extended = newest not in ("SSLv2", "SSLv3")
    groups = usual_groups(protocols) if profile.groups is None else profile.groups
    schemes = usual_schemes(protocols) if profile.signature_schemes is None else profile.signature_schemes
    return Sent(
        protocols=protocols,
        lists_versions=extended,
        suites=suites,
        groups=groups if extended else (),
        signature_schemes=schemes if extended else (),
        key_shares=_key_shares(profile, groups) if newest == "TLSv1.3" else (),
        shares_key=newest == "TLSv1.3",
        named=extended,
    )


def _key_shares(profile: Profile, groups: tuple[int, ...]) -> tuple[int, ...]:
    """The shares of our own hello for a profile: its own, or the usual ones as far as it has their groups."""
    if profile.key_shares is not None:
        return tuple(group for group in profile.key_shares if group in SHARED_GROUPS)
    # In the order of the groups: some servers mind (RFC 8446 §4.2.8).
    usual = tuple(group for group in groups if group in KEY_SHARES)
    return usual or tuple(group for group in groups if group in SHARED_GROUPS)[:1]


def _recorded(protocols: tuple[Protocol, ...], said: ClientHello, hello: bytes) -> Sent:
    sslv2_form = said.record_version == SSL2
    records, at = 0, 0
    while not sslv2_form and at < len(hello):
        at += HEADER_LENGTH + int.from_bytes(hello[at + 3 : at + 5], "big")
        records += 1
    return Sent(
        protocols=protocols,
        lists_versions=said.versions is not None,
        suites=said.suites,
        groups=said.groups or (),
        signature_schemes=said.signature_schemes or (),
        key_shares=said.key_shares or (),
        shares_key=said.key_shares is not None,
        sslv2_form=sslv2_form,
        named=said.server_name is not None,
        length=len(hello) - HEADER_LENGTH * records,
        records=max(1, records),
    )
