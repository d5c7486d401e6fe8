"""The signature schemes with which a server signs in one version, in its order.

In TLS 1.2 a ServerKeyExchange names its scheme (RFC 5246 §7.4.1.4.1), in TLS 1.3 the encrypted CertificateVerify does
(RFC 8446 §4.4.3), which can be read where our hello has a key share. Older versions have no choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mxprobe.tls.code_points import SIGNATURE_ALGORITHMS_CERT, TLS12_SCHEMES, TLS13_SCHEMES
from mxprobe.tls.groups import suites_with
from mxprobe.tls.key_shares import SHARED_GROUPS
from mxprobe.tls.offer import Chosen, Offer
from mxprobe.tls.preferences import Listed, Preferences, joined
from mxprobe.tls.sweep import SuitesFound, Sweep
from mxprobe.tls.wire import numbers

ML_DSA: Final = (0x0904, 0x0905, 0x0906)
"""mldsa44, mldsa65 and mldsa87 (draft-ietf-tls-mldsa)."""

_PKCS1: Final = frozenset({0x0401, 0x0501, 0x0601, 0x0201})
"""In TLS 1.3 these stand for signatures in certificates alone (RFC 8446 §4.2.3)."""

_RSA: Final = frozenset(
    {0x0101, 0x0201, 0x0301, 0x0401, 0x0501, 0x0601, 0x0804, 0x0805, 0x0806, 0x0809, 0x080A, 0x080B}
)
_DSA: Final = frozenset({0x0102, 0x0202, 0x0302, 0x0402, 0x0502, 0x0602})

# A server may ask of its certificates, too, that a listed scheme signed them: let none fail for that.
_ANY_CERTIFICATE: Final = (SIGNATURE_ALGORITHMS_CERT, numbers(2, 2, TLS12_SCHEMES))


def accepted_schemes(
    suites: SuitesFound, server_name: str | None, groups: Sequence[int] | None = None
) -> Sweep[Listed] | None:
    """The sweep for the schemes of the version in which these suites were found; None where a version has none.

    n + 1 hellos for n schemes: in TLS 1.2 for each kind of authentication apart, by the suites that sign. In TLS 1.3
    it takes a key share: `groups` are those that the server was found to take there.
    """
    if suites.protocol == "TLSv1.3":
        return _in_tls13(suites, server_name, groups)
    return _in_tls12(suites, server_name) if suites.protocol == "TLSv1.2" else None


def _in_tls13(suites: SuitesFound, server_name: str | None, groups: Sequence[int] | None) -> Sweep[Listed]:
    shared = tuple(group for group in groups or () if group in SHARED_GROUPS)[:1] or SHARED_GROUPS[:2]
    if groups and shared[0] not in groups:
        return Listed(state="unknown", complete=False, reason="it takes no group that we have a key share of", hellos=0)

    def offer_of(schemes: tuple[int, ...]) -> Offer:
        return Offer(
            protocol="TLSv1.3",
            suites=suites.suites,
            server_name=server_name,
            groups=shared,
            key_shares=shared,
            signature_schemes=schemes,
            extensions=(_ANY_CERTIFICATE,),
        )

    candidates = tuple(scheme for scheme in TLS13_SCHEMES if scheme not in _PKCS1)
    preferences = Preferences((*candidates, *ML_DSA), offer_of, _scheme)
    found = yield from preferences.find(candidates, ML_DSA)
    return found


def _in_tls12(suites: SuitesFound, server_name: str | None) -> Sweep[Listed]:
    lists: list[Listed] = []
    for authentication, schemes in (
        ("RSA", _chosen_of(_RSA)),
        ("ECDSA", tuple(scheme for scheme in TLS12_SCHEMES if scheme not in _RSA | _DSA)),
        ("DSS", _chosen_of(_DSA)),
    ):
        signing = suites_with(suites, "ECDH", authentication) + suites_with(suites, "DH", authentication)
        if signing:
            lists.append((yield from _signed_by(signing, schemes, server_name)))
    if lists:
        return joined(lists)
    return Listed(
        state="refused" if suites.complete else "unknown",
        complete=suites.complete,
        reason="no suite that signs is accepted" if suites.complete else "",
        hellos=0,
    )


def _signed_by(signing: tuple[int, ...], schemes: tuple[int, ...], server_name: str | None) -> Sweep[Listed]:
    def offer_of(listed: tuple[int, ...]) -> Offer:
        return Offer(
            protocol="TLSv1.2",
            suites=signing,
            server_name=server_name,
            signature_schemes=listed,
            extensions=(_ANY_CERTIFICATE,),
        )

    return (yield from Preferences(schemes, offer_of, _scheme).find())


def _chosen_of(schemes: frozenset[int]) -> tuple[int, ...]:
    return tuple(scheme for scheme in TLS12_SCHEMES if scheme in schemes)


def _scheme(chosen: Chosen) -> int | None:
    return chosen.scheme
