"""Where metrics are served: an address of this machine, and a port."""

from __future__ import annotations

import ipaddress

ALLOWED_LISTENER = "ADDR:PORT or [IPv6]:PORT, like 127.0.0.1:9119"


def parse_listener(text: str) -> tuple[str, int]:
    """The address and port to listen on; port 0 is a free one.

    Raises:
        ValueError: it is no address of this form.
    """
    host, _, port = text.strip().rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        raise ValueError(f"{text[:60]!r} has no IP address") from None
    if (address.version == 6) != host.startswith("["):
        raise ValueError(f"{text[:60]!r}: an IPv6 address, and no other, is in brackets")
    if not (port.isascii() and port.isdigit() and int(port) <= 65535):
        raise ValueError(f"{text[:60]!r} has no port from 0 to 65535")
    return str(address), int(port)
