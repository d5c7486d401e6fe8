"""Clients of the simulation tests: recorded hellos, and profiles that each lack what servers count on."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from mxprobe.mta.hello import profile_of_hello
from mxprobe.mta.profile import Profile
from mxprobe.mta.senders import senders
from mxprobe.terms import PROTOCOLS, Protocol
from mxprobe.tls.key_shares import SHARED_GROUPS
from mxprobe.tls.suites import suite_named

CAPTURED = Path(__file__).parents[1] / "data" / "hellos"

_TLS: tuple[Protocol, ...] = ("TLSv1", "TLSv1.1", "TLSv1.2")
_TLS13: tuple[Protocol, ...] = ("TLSv1.3",)


def suites(text: str) -> tuple[int, ...]:
    """The code points of suites by OpenSSL's names, with blanks between them."""
    found = [suite_named(name) for name in text.split()]
    assert all(found), text
    return tuple(each.number for each in found if each is not None)


_ORDINARY = suites(
    "TLS_AES_256_GCM_SHA384 TLS_CHACHA20_POLY1305_SHA256 TLS_AES_128_GCM_SHA256 ECDHE-ECDSA-AES256-GCM-SHA384"
    " ECDHE-RSA-AES256-GCM-SHA384 DHE-RSA-AES256-GCM-SHA384 ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-RSA-AES128-GCM-SHA256"
    " DHE-RSA-AES128-GCM-SHA256 ECDHE-ECDSA-AES256-SHA ECDHE-RSA-AES256-SHA DHE-RSA-AES256-SHA ECDHE-RSA-AES128-SHA"
    " DHE-RSA-AES128-SHA AES256-GCM-SHA384 AES128-GCM-SHA256 AES256-SHA AES128-SHA DES-CBC3-SHA RC4-SHA"
)
_WITHOUT_TLS13 = _ORDINARY[3:]
_IN_TLS13 = _ORDINARY[:3]

_MADE = (
    Profile(name="ordinary", protocols=(*_TLS, "TLSv1.3"), suites=_ORDINARY),
    Profile(name="the other way round", protocols=(*_TLS, "TLSv1.3"), suites=_ORDINARY[::-1]),
    Profile(name="no groups", protocols=_TLS, suites=_WITHOUT_TLS13, groups=()),
    Profile(name="no groups, in TLS 1.3", protocols=(*_TLS, "TLSv1.3"), suites=_ORDINARY, groups=(), key_shares=()),
    Profile(name="P-384 alone", protocols=(*_TLS, "TLSv1.3"), suites=_ORDINARY, groups=(24,)),
    Profile(name="P-384 alone, up to TLS 1.2", protocols=_TLS, suites=_WITHOUT_TLS13, groups=(24,)),
    Profile(name="secp192r1 alone", protocols=_TLS, suites=_WITHOUT_TLS13, groups=(19,)),
    Profile(
        name="secp192r1 alone and ECDHE alone", protocols=_TLS, suites=suites("ECDHE-RSA-AES128-SHA"), groups=(19,)
    ),
    Profile(name="x448 alone in TLS 1.3", protocols=_TLS13, suites=_IN_TLS13, groups=(30,)),
    Profile(name="no key share in TLS 1.3", protocols=_TLS13, suites=_IN_TLS13, groups=(25, 24, 23), key_shares=()),
    Profile(name="ML-KEM alone in TLS 1.3", protocols=_TLS13, suites=_IN_TLS13, groups=(4588,), key_shares=()),
    Profile(
        name="ECDSA alone",
        protocols=_TLS,
        suites=suites("ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-ECDSA-AES128-SHA"),
        signature_schemes=(0x0403, 0x0203),
    ),
    Profile(name="ECDSA schemes alone in TLS 1.3", protocols=_TLS13, suites=_IN_TLS13, signature_schemes=(0x0403,)),
    Profile(name="ECDSA schemes alone", protocols=_TLS, suites=_WITHOUT_TLS13, signature_schemes=(0x0403, 0x0203)),
    Profile(name="P-521 ECDSA scheme alone", protocols=_TLS13, suites=_IN_TLS13, signature_schemes=(0x0603,)),
    Profile(name="PSS alone", protocols=("TLSv1.2",), suites=_WITHOUT_TLS13, signature_schemes=(0x0804, 0x0805)),
    Profile(
        name="PSS alone and static RSA first",
        protocols=_TLS,
        suites=suites("AES128-SHA ECDHE-RSA-AES128-SHA"),
        signature_schemes=(0x0804,),
    ),
    Profile(name="PSS with PSS keys alone", protocols=_TLS13, suites=_IN_TLS13, signature_schemes=(0x0809,)),
    Profile(name="SHA-1 schemes alone", protocols=_TLS, suites=_WITHOUT_TLS13, signature_schemes=(0x0201, 0x0203)),
    Profile(
        name="SHA-1 schemes alone in TLS 1.2",
        protocols=("TLSv1.2",),
        suites=_WITHOUT_TLS13[:6],
        signature_schemes=(0x0201, 0x0203),
    ),
    Profile(name="MD5 with RSA alone", protocols=("TLSv1.2",), suites=_WITHOUT_TLS13[:6], signature_schemes=(0x0101,)),
    Profile(name="no schemes in TLS 1.2", protocols=_TLS, suites=_WITHOUT_TLS13, signature_schemes=()),
    Profile(name="no schemes in TLS 1.3", protocols=_TLS13, suites=_IN_TLS13, signature_schemes=()),
    Profile(name="TLS 1.0 alone", protocols=("TLSv1",), suites=_WITHOUT_TLS13),
    Profile(name="TLS 1.1 alone", protocols=("TLSv1.1",), suites=_WITHOUT_TLS13),
    Profile(name="SSLv3 alone", protocols=("SSLv3",), suites=suites("AES128-SHA DES-CBC3-SHA RC4-SHA RC4-MD5")),
    Profile(name="SSLv3 to TLS 1.0", protocols=("SSLv3", "TLSv1"), suites=_WITHOUT_TLS13),
    Profile(name="a hole", protocols=("SSLv3", "TLSv1", "TLSv1.2"), suites=_WITHOUT_TLS13),
    Profile(name="holes", protocols=("TLSv1", "TLSv1.3"), suites=_ORDINARY, groups=(29, 23, 24)),
    Profile(name="SSLv2 alone", protocols=("SSLv2",), suites=(0x010080, 0x0700C0, 0x060040)),
    Profile(name="static RSA alone", protocols=_TLS, suites=suites("AES256-SHA AES128-GCM-SHA256 AES128-SHA")),
    Profile(name="static RSA AEAD alone", protocols=_TLS, suites=suites("AES128-GCM-SHA256 AES256-GCM-SHA384")),
    Profile(name="DHE alone", protocols=_TLS, suites=suites("DHE-RSA-AES128-SHA DHE-RSA-AES256-GCM-SHA384")),
    Profile(name="DHE alone with ffdhe3072", protocols=_TLS, suites=suites("DHE-RSA-AES256-GCM-SHA384"), groups=(257,)),
    Profile(
        name="DHE with all finite fields",
        protocols=_TLS,
        suites=suites("DHE-RSA-AES256-SHA"),
        groups=(29, 23, 256, 257, 258, 259, 260),
    ),
    Profile(name="DSA alone", protocols=_TLS, suites=suites("DHE-DSS-AES128-SHA DHE-DSS-AES256-GCM-SHA384")),
    Profile(name="anonymous alone", protocols=_TLS, suites=suites("AECDH-AES128-SHA ADH-AES128-SHA")),
    Profile(name="anonymous first", protocols=_TLS, suites=suites("AECDH-AES256-SHA ADH-AES256-SHA") + _WITHOUT_TLS13),
    Profile(name="RC4 and 3DES alone", protocols=_TLS, suites=suites("RC4-SHA DES-CBC3-SHA RC4-MD5")),
    Profile(
        name="ChaCha20 first",
        protocols=_TLS,
        suites=suites("ECDHE-RSA-CHACHA20-POLY1305 ECDHE-RSA-AES256-GCM-SHA384 ECDHE-RSA-AES128-GCM-SHA256"),
    ),
    Profile(name="no suite of TLS 1.3 in it", protocols=(*_TLS, "TLSv1.3"), suites=_WITHOUT_TLS13),
    Profile(name="CCM alone in TLS 1.3", protocols=_TLS13, suites=(0x1304, 0x1305)),
    Profile(name="static ECDH alone", protocols=_TLS, suites=suites("ECDH-ECDSA-AES128-SHA ECDH-RSA-AES128-SHA")),
    Profile(name="PSK alone", protocols=_TLS, suites=suites("PSK-AES128-CBC-SHA ECDHE-PSK-AES128-CBC-SHA")),
    Profile(name="unregistered suites first", protocols=_TLS, suites=(0x0A0A, 0xFFF0, *_WITHOUT_TLS13)),
)


def clients() -> tuple[Profile, ...]:
    """All of them: captured hellos, the senders that come with mxprobe, and those that are made up."""
    captured = tuple(_captured(path) for path in sorted(CAPTURED.glob("*client*.hex")))
    return (*captured, *(each.profile for each in senders()), *_MADE)


def random_clients(seed: int, count: int) -> tuple[Profile, ...]:
    """Clients with lists at random, the same for the same seed."""
    chance = random.Random(seed)

    def some(values: Sequence[int], most: int) -> tuple[int, ...]:
        return tuple(chance.sample(values, chance.randint(1, most)))

    made = []
    for number in range(count):
        newest = chance.choice((2, 3, 4, 5, 5, 5))
        protocols = PROTOCOLS[chance.randint(2, newest) : newest + 1]
        groups = some(_GROUPS, 4) if chance.random() < 0.7 else None
        shares = None
        if groups is not None and chance.random() < 0.5:
            shares = tuple(group for group in groups if group in SHARED_GROUPS and chance.random() < 0.5)
        suites = some(_WITHOUT_TLS13, 12) + (some(_IN_TLS13, 3) if newest == 5 else ())
        made.append(
            Profile(
                name=f"random {seed}.{number}",
                protocols=protocols,
                suites=suites,
                groups=groups,
                signature_schemes=some(_SCHEMES, 8) if chance.random() < 0.6 else None,
                key_shares=shares,
            )
        )
    return tuple(made)


_GROUPS = (29, 23, 24, 25, 30, 256, 257)
_SCHEMES = (0x0403, 0x0503, 0x0603, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0203, 0x0201)


def _captured(path: Path) -> Profile:
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    return profile_of_hello(path.stem, bytes.fromhex("".join(lines)))
