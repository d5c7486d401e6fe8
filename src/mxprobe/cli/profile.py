"""`mxprobe profile record` and `mxprobe profile show`: profiles of one's own, from the hello of a real client."""

from __future__ import annotations

import ipaddress
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mxprobe.cli.options import protocol
from mxprobe.cli.outcome import COULD_NOT_TELL, NOTHING_TO_REPORT
from mxprobe.configuration.files import read_at_most
from mxprobe.errors import InvalidSetting
from mxprobe.mta.hello import profile_of_hello
from mxprobe.mta.profile_file import MAX_FILE, Sender, one_line, profile_name, profile_text, read_sender
from mxprobe.report.escape import printable
from mxprobe.terms import PROTOCOLS, Protocol

if TYPE_CHECKING:
    from mxprobe.network.recording import Recorded


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRequest:
    """The options of `mxprobe profile record`, as they were given."""

    listen: str
    name: str | None
    output: Path | None
    software: str
    client: str
    minimum: str | None
    smtps: bool
    timeout: float
    connections: int


def record(request: RecordRequest) -> int:
    """Run the command: 0 with a profile, 3 where nobody came that brought a hello."""
    from mxprobe.cli.running import run_async
    from mxprobe.network.recording import RecordingSettings, is_loopback
    from mxprobe.network.recording import record as record_hello

    # All that may be wrong is said before anybody connects: a client may come only once.
    address, port = _listen(request.listen)
    output = request.output
    default = "recorded" if output is None else output.stem
    name = profile_name(default if request.name is None else request.name, "--name")
    one_line(request.software, "--software")
    one_line(request.client, "--client")
    minimum = None if request.minimum is None else protocol(request.minimum, "--minimum")
    if output is not None and output.exists():
        raise InvalidSetting("--output", f"{output} exists", "a new file")
    if output is not None and not output.absolute().parent.is_dir():
        raise InvalidSetting("--output", f"{output.parent} is not a directory", "a new file")

    def listening(address: str, port: int) -> None:
        if not is_loopback(address):
            _say(f"warning: {address} may be reached from other machines; everybody there can connect")
        _say(f"listening on [{address}]:{port}" if ":" in address else f"listening on {address}:{port}")

    settings = RecordingSettings(
        address=address,
        port=port,
        smtps=request.smtps,
        timeout_seconds=request.timeout,
        connections=request.connections,
    )
    recorded = run_async(record_hello(settings, listening=listening, noted=_say))
    if recorded is None:
        _say(f"no hello came: none within {request.timeout:g} s, or of {request.connections} connections")
        return COULD_NOT_TELL
    text = profile_text(_sender(request, name, recorded, minimum))
    if output is None:
        sys.stdout.write(text)
    else:
        with output.open("x", encoding="ascii") as file:
            file.write(text)
        _say(f"recorded {len(recorded.hello)} bytes from {recorded.peer} in {output}")
    return NOTHING_TO_REPORT


def show(text: str, output: str) -> int:
    """Run `mxprobe profile show`: a sender by its name, or a profile file by its path."""
    from mxprobe.cli.senders import print_senders, senders_format

    print_senders((given_profile(text),), senders_format(output), in_detail=True)
    return NOTHING_TO_REPORT


def given_profile(text: str) -> Sender:
    """A profile with where it comes from: of a file, or a sender by its name.

    Raises:
        InvalidSetting: it is neither.
    """
    path = Path(text)
    if not (path.suffix == ".json" or path.exists()):
        from mxprobe.mta.senders import sender

        return sender(text, "NAME|FILE")
    try:
        content = read_at_most(path, MAX_FILE).decode()
    except OSError as error:
        raise InvalidSetting(text, f"cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InvalidSetting(text, "it is not UTF-8") from error
    return read_sender(content, text)


def _sender(request: RecordRequest, name: str, recorded: Recorded, minimum: Protocol | None) -> Sender:
    profile = profile_of_hello(name, recorded.hello)
    protocols_from = ""
    if minimum is not None:
        newest = PROTOCOLS.index(profile.protocols[-1])
        told = PROTOCOLS[PROTOCOLS.index(minimum) : newest + 1] or (minimum,)
        try:
            profile = profile_of_hello(name, recorded.hello, protocols=told)
            protocols_from = f"--minimum {minimum}"
        except InvalidSetting as error:
            _say(f"--minimum {minimum} is left out: {error.problem}")
    return Sender(
        name=name,
        profile=profile,
        software=request.software,
        kind="recorded",
        date=datetime.now(UTC).date(),
        command=request.client,
        source="mxprobe profile record" + (" --smtps" if recorded.smtps else ""),
        protocols_from=protocols_from,
        peer=recorded.peer,
        ehlo=printable(recorded.ehlo, 255),
    )


def _listen(text: str) -> tuple[str, int]:
    """``ADDR:PORT``, ``ADDR`` or ``[IPv6]:PORT``."""
    allowed = "ADDR:PORT, [IPv6]:PORT; port 0 is a free one"
    bare, port = text.strip(), "0"
    if bare.startswith("["):
        bare, bracket, rest = bare[1:].partition("]")
        port = rest.removeprefix(":") if rest else port
        if not bracket or (rest and not rest.startswith(":")):
            raise InvalidSetting("--listen", f"{text!r} is not an address and port", allowed)
    elif bare.count(":") == 1:
        bare, _, port = bare.partition(":")
    try:
        address = str(ipaddress.ip_address(bare))
    except ValueError as error:
        raise InvalidSetting("--listen", f"{bare[:80]!r} is not an address of this machine", allowed) from error
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535):
        raise InvalidSetting("--listen", f"{port[:20]!r} is not a port", allowed)
    return address, int(port)


def _say(text: str) -> None:
    print(printable(text, 1000), file=sys.stderr, flush=True)
