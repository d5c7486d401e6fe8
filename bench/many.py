"""What many endpoints cost one command: time, CPU, peak memory, against a fast fake on as many loopback addresses.

``python bench/many.py [--endpoints 50 2000] [--depth full]``. The fake says SMTP and answers each hello of TLS 1.2 by
the first suite of its own list, with its certificates, and any other by an alert: it costs next to nothing, so that
what is measured is the probe, and the report that holds them all.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import sys
import tempfile
from ipaddress import IPv4Address
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from tools import MXPROBE, first_document, measured

from mxprobe.cli.running import run_async
from mxprobe.tls.client_hello import decode_client_hello
from mxprobe.tls.suites import suite_named
from mxprobe.tls.wire import Truncated, WireError
from servers.certificates import Authority

ACCEPTED = tuple(
    known.number
    for name in ("AES256-GCM-SHA384", "AES128-GCM-SHA256", "AES256-SHA256", "AES128-SHA256", "AES256-SHA", "AES128-SHA")
    if (known := suite_named(name)) is not None
)
FIRST_ADDRESS = IPv4Address("127.1.0.1")
REFUSAL = b"\x15\x03\x03\0\2\2\x28"
"""handshake_failure, RFC 8446 §6.2."""


class Fake(asyncio.Protocol):
    """One connection of the fake."""

    chain: tuple[bytes, ...] = ()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.said = 0
        self.hello = b""
        transport.write(b"220 mx.test ESMTP\r\n")  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self.said += 1
        if self.said == 1:
            reply = b"250-mx.test\r\n250-PIPELINING\r\n250 STARTTLS\r\n"
        elif self.said == 2:
            reply = b"220 go on\r\n"
        else:
            self.hello += data
            try:
                reply = self.flight()
            except Truncated:
                return
            except WireError:
                self.transport.close()
                return
        self.transport.write(reply)  # type: ignore[attr-defined]

    def flight(self) -> bytes:
        """The answer to the hello so far (RFC 5246 §7.4)."""
        hello = decode_client_hello(self.hello)
        picked = next((number for number in ACCEPTED if number in hello.suites), None)
        newest = max(hello.versions or (hello.legacy_version,))
        if picked is None or hello.legacy_version != 0x0303 or newest != 0x0303:
            return REFUSAL
        chosen = b"\x03\x03" + bytes(32) + b"\0" + picked.to_bytes(2, "big") + b"\0"
        certificates = b"".join(len(der).to_bytes(3, "big") + der for der in self.chain)
        body = len(certificates).to_bytes(3, "big") + certificates
        messages = b"".join(
            bytes((kind,)) + len(content).to_bytes(3, "big") + content
            for kind, content in ((2, chosen), (11, body), (14, b""))
        )
        return b"\x16\x03\x03" + len(messages).to_bytes(2, "big") + messages


def serve(port: multiprocessing.Queue[int]) -> None:
    """Serve on every loopback address until the process is ended."""

    async def forever() -> None:
        server = await asyncio.get_running_loop().create_server(Fake, "0.0.0.0", 0, backlog=4096)
        port.put(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    Fake.chain = Authority.root().leaf("mx.test").chain
    run_async(forever())


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure a probe of many endpoints at once.")
    parser.add_argument("--endpoints", type=int, nargs="+", default=[50, 2000])
    parser.add_argument("--depth", default="full")
    options = parser.parse_args()
    ports: multiprocessing.Queue[int] = multiprocessing.Queue()
    server = multiprocessing.Process(target=serve, args=(ports,), daemon=True)
    server.start()
    try:
        port = ports.get(timeout=30)
        print("| endpoints | depth | answered | connections | wall s | CPU s | CPU ms a connection | peak MB | |")
        print("|---|---|---|---|---|---|---|---|---|")
        with tempfile.TemporaryDirectory(prefix="mxprobe-bench-") as directory:
            for endpoints in options.endpoints:
                output = Path(directory) / "output"
                next_hops = [f"[{FIRST_ADDRESS + number}]:{port}" for number in range(endpoints)]
                how = ("--depth", options.depth, "--format", "json", "--deadline", "3600")
                cost = measured([MXPROBE, "probe", *next_hops, *how], output)
                document = first_document(output.read_text())
                found = [endpoint for target in document["targets"] for endpoint in target["endpoints"]]
                states = [endpoint["protocols"].get("TLSv1.2", {}).get("state") for endpoint in found]
                megabytes, most = cost["peak_bytes"] / 1e6, 150 if endpoints <= 50 else 300
                print(
                    f"| {endpoints} | {options.depth} | {states.count('accepted')} | {document['connections']} "
                    f"| {cost['seconds']:.1f} | {cost['cpu_seconds']:.1f} "
                    f"| {1000 * cost['cpu_seconds'] / document['connections']:.2f} | {megabytes:.0f} "
                    f"| under {most}: {'met' if megabytes < most else '**not met**'} |"
                )
    finally:
        server.terminate()
        server.join()
    return 0


if __name__ == "__main__":
    sys.exit(main())
