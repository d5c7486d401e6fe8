"""`mxprobe health`: whether a service turns, by its `/healthz`; for what restarts containers that are stuck.

It is asked every minute and imports little: neither the configuration, which may have a mistake that the running
service has not read, nor the store, which may be away without any fault of the service.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import time

from mxprobe.alerts.listener import ALLOWED_LISTENER, parse_listener
from mxprobe.cli.outcome import FINDING, NOTHING_TO_REPORT
from mxprobe.errors import InvalidSetting

PATIENCE_SECONDS = 5.0
"""For the connection and the whole answer; a loop that needs longer for a few bytes does not turn."""

_MAX_ANSWER = 4096
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([0-9]{3})(?: [^\r\n]*)?\r\n")


def health(where: str) -> int:
    """Run the command: one line, and 0 where the service answers that it is well, else 1.

    Raises:
        InvalidSetting: `where` is no address and port.
    """
    try:
        host, port = parse_listener(where)
    except ValueError as error:
        raise InvalidSetting("WHERE", str(error), f"the service.metrics of the service: {ALLOWED_LISTENER}") from error
    address = ipaddress.ip_address(host)
    if address.is_unspecified:
        # Who listens everywhere can be reached on loopback.
        host = "::1" if address.version == 6 else "127.0.0.1"
    try:
        status = _status(host, port)
    except (OSError, ValueError) as error:
        words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        print(f"{where}: {words}")
        return FINDING
    print("ok" if status == 200 else f"{where}: HTTP status {status}")
    return NOTHING_TO_REPORT if status == 200 else FINDING


def _status(host: str, port: int) -> int:
    until = time.monotonic() + PATIENCE_SECONDS
    shown = f"[{host}]" if ":" in host else host
    request = f"GET /healthz HTTP/1.1\r\nHost: {shown}:{port}\r\nConnection: close\r\n\r\n".encode("ascii")
    answer = b""
    with socket.create_connection((host, port), timeout=PATIENCE_SECONDS) as connection:
        connection.sendall(request)
        while b"\n" not in answer and len(answer) < _MAX_ANSWER:
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"no answer within {PATIENCE_SECONDS:.0f} seconds")
            connection.settimeout(left)
            part = connection.recv(_MAX_ANSWER)
            if not part:
                break
            answer += part
    found = _STATUS_LINE.match(answer)
    if found is None:
        raise ValueError("what it answered is not HTTP" if answer else "it closed the connection without an answer")
    return int(found.group(1))
