"""The traces of RFC 8448, from `tests/data/rfc8448`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

DIRECTORY: Final = Path(__file__).parents[1] / "data" / "rfc8448"


def _read(name: str) -> dict[str, bytes]:
    values: dict[str, str] = {}
    for line in (DIRECTORY / name).read_text().splitlines():
        if line.startswith("["):
            latest = line.strip("[]")
            values[latest] = ""
        elif not line.startswith("#"):
            values[latest] += line
    return {name: bytes.fromhex(value) for name, value in values.items()}


SIMPLE_1_RTT: Final = _read("simple-1-rtt.hex")
"""RFC 8448 §3 by the names that it gives its values: TLS_AES_128_GCM_SHA256 with x25519, without resumption."""
