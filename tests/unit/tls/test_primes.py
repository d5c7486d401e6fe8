"""Well-known primes: those of the standards by their formulas, others as the programs' own files have them."""

from __future__ import annotations

from hashlib import sha256

import pytest

from mxprobe.tls.primes import PRIMES, ffdhe_group, prime_name


def known(prime: int) -> str | None:
    return prime_name(sha256(prime.to_bytes((prime.bit_length() + 7) // 8, "big")).hexdigest())


def pi(bits: int) -> int:
    """[2^bits pi], by Machin's formula: pi/4 = 4 arctan 1/5 - arctan 1/239."""
    return (4 * (4 * _arctan(5, bits + 64) - _arctan(239, bits + 64))) >> 64


def _arctan(inverse: int, bits: int) -> int:
    power, total, divisor, sign = (1 << bits) // inverse, 0, 1, 1
    while power:
        total += sign * (power // divisor)
        power //= inverse * inverse
        divisor, sign = divisor + 2, -sign
    return total


def e(bits: int) -> int:
    """[2^bits e], by its series."""
    total = term = 1 << (bits + 64)
    divisor = 1
    while term:
        term //= divisor
        total += term
        divisor += 1
    return total >> 64


@pytest.mark.parametrize(
    ("bits", "offset", "name"),
    [
        # RFC 2409 §6.1, §6.2; RFC 3526 §2 to §7: 2^n - 2^(n-64) - 1 + 2^64 * ([2^(n-130) pi] + offset)
        (768, 149686, "Oakley group 1"),
        (1024, 129093, "Oakley group 2"),
        (1536, 741804, "MODP group 5"),
        (2048, 124476, "MODP group 14"),
        (3072, 1690314, "MODP group 15"),
        (4096, 240904, "MODP group 16"),
        (6144, 929484, "MODP group 17"),
        (8192, 4743158, "MODP group 18"),
    ],
)
def test_the_groups_of_ike_by_their_formula(bits: int, offset: int, name: str) -> None:
    assert known(2**bits - 2 ** (bits - 64) - 1 + 2**64 * (pi(bits - 130) + offset)) == name


@pytest.mark.parametrize(
    ("bits", "offset", "group"),
    [
        # RFC 7919 appendix A: the same with e
        (2048, 560316, 256),
        (3072, 2625351, 257),
        (4096, 5736041, 258),
        (6144, 15705020, 259),
        (8192, 10965728, 260),
    ],
)
def test_the_named_groups_of_tls_by_their_formula(bits: int, offset: int, group: int) -> None:
    prime = 2**bits - 2 ** (bits - 64) - 1 + 2**64 * (e(bits - 130) + offset)
    digest = sha256(prime.to_bytes(bits // 8, "big")).hexdigest()
    assert prime_name(digest) == f"ffdhe{bits}"
    assert ffdhe_group(digest) == group


def test_a_prime_that_nobody_published_has_no_name() -> None:
    assert known(2**1024 - 105) is None
    assert ffdhe_group(None) is None
    assert ffdhe_group("d66436f79bbd6b2e38c0ffbd079be904d2641415e2e67140e09448be9a60890e") is None


def test_names_are_distinct() -> None:
    assert len(set(PRIMES.values())) == len(PRIMES)
    assert all(len(digest) == 64 for digest in PRIMES)
