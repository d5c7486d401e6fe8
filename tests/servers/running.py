"""A started server: what a test needs to know of it, and how a foreign program is started, awaited and stopped."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal

from mxprobe.terms import Protocol
from servers.certificates import Authority, Issued

START_SECONDS = 20.0
"""How long a server may take until it answers: generous, because the machine may be busy."""

STOP_SECONDS = 5.0
"""How long a server may take to go after SIGTERM, before SIGKILL."""

Suites = Mapping[Protocol, frozenset[int]]
"""The suites of each protocol, by code point (24 bits for SSLv2); a protocol that is not spoken is absent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningServer:
    """A server that accepts connections now.

    `expected` is what it accepts by its *configuration*, worked out without connecting. `certificates` are
    those it shows. `log` is the file that it writes, as long as it runs.
    """

    name: str
    port: int
    expected: Suites
    address: str = "127.0.0.1"
    certificates: tuple[Issued, ...] = ()
    log: Path | None = None
    process_id: int | None = None

    def log_text(self) -> str:
        """What the server has logged until now."""
        return self.log.read_text(errors="replace") if self.log and self.log.exists() else ""


@dataclass(slots=True, kw_only=True)
class Process:
    """A foreign program that runs, with the file that its output goes to."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path
    other_logs: tuple[Path, ...] = field(default=())

    def wait_until_ready(self, port: int, *, banner: bool = False, address: str = "127.0.0.1") -> None:
        """Return as soon as `port` takes a connection and, with `banner`, greets.

        Raises:
            RuntimeError: it ended, or did not answer in time; the text has the end of its log.
        """
        deadline = time.monotonic() + START_SECONDS
        while True:
            if self.popen.poll() is not None:
                raise self.failure(f"ended with status {self.popen.returncode}")
            try:
                with socket.create_connection((address, port), timeout=1) as connection:
                    if not banner or connection.recv(1):
                        return
            except OSError:
                pass
            if time.monotonic() > deadline:
                raise self.failure(f"does not answer on port {port} within {START_SECONDS:.0f} s")
            time.sleep(0.01)

    def failure(self, what: str) -> RuntimeError:
        """The error that says what went wrong, with the last lines of the logs."""
        logs = [log.read_text(errors="replace") for log in (self.log, *self.other_logs) if log.exists()]
        tail = "\n".join("\n".join(logs).splitlines()[-30:])
        return RuntimeError(f"{self.name} {what}; its log ends:\n{tail}")


@contextmanager
def started(
    name: str,
    command: Sequence[str | Path],
    *,
    log: Path,
    environment: Mapping[str, str] | None = None,
    other_logs: tuple[Path, ...] = (),
    ready: int | None = None,
) -> Iterator[Process]:
    """Run `command` with its output in `log`, and end it on the way out.

    With `ready`, enter only once that port of 127.0.0.1 takes connections. The program leads its own session, so that
    signals meant for the tests do not reach it, nor those it sends to its group the tests.

    Raises:
        RuntimeError: the program is missing or does not start.
    """
    with log.open("wb") as output:
        try:
            popen = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            raise RuntimeError(f"{name} cannot be started: {error}") from error
    process = Process(name=name, popen=popen, log=log, other_logs=other_logs)
    try:
        if ready is not None:
            process.wait_until_ready(ready)
        yield process
    finally:
        popen.terminate()
        try:
            popen.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            popen.kill()
            popen.wait()
        with suppress(ProcessLookupError):
            # What it started itself and left behind is still in its group.
            os.killpg(popen.pid, signal.SIGKILL)


def program(name: str, package: str) -> Path:
    """Where a program is, also in the directories that are not in everybody's PATH.

    Raises:
        RuntimeError: it is not installed; the text names the Debian package.
    """
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/lib/postfix/sbin")
    if found is None:
        raise RuntimeError(f"{name} is not installed: run tools/install-test-servers (Debian package {package})")
    return Path(found)


def output_of(*command: str | Path) -> str:
    """What a command prints.

    Raises:
        RuntimeError: it failed; the text has what it said.
    """
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if done.returncode:
        words = " ".join(str(word) for word in command)
        raise RuntimeError(f"`{words}` ended with status {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def free_port(address: str = "127.0.0.1") -> int:
    """A port that nobody listens on, for programs that cannot say which port 0 gave them.

    Below Linux's ephemeral range (32768 and up), so that no outgoing connection takes it meanwhile.
    """
    for _ in range(200):
        port = random.randrange(20000, 32000)
        with closing(socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)) as trial:
            try:
                trial.bind((address, port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port between 20000 and 32000")


@contextmanager
def server_directory(name: str) -> Iterator[Path]:
    """A directory for one server's files: gone afterwards, and open to the accounts that servers change to."""
    with tempfile.TemporaryDirectory(prefix=f"mxprobe-{name}-", ignore_cleanup_errors=True) as text:
        directory = Path(text)
        directory.chmod(0o755)
        yield directory


@cache
def certificate(key_type: Literal["RSA", "EC", "DSA"]) -> Issued:
    """The certificate for mx.test and 127.0.0.1 that servers show unless they are given others."""
    return _authority().leaf("mx.test", "127.0.0.1", cn=f"mx.test with {key_type}", key_type=key_type)


def counted(count: Callable[[], int], expected: int) -> int:
    """What a server counts, once it has come to connections that were made and not accepted yet: a moment at most."""
    until = time.monotonic() + 5
    while count() < expected and time.monotonic() < until:
        time.sleep(0.005)
    return count()


@contextmanager
def loop_in_thread(name: str) -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop that runs in its own thread: a server in it serves tests that block as well as those that await."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name=name, daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        asyncio.run_coroutine_threadsafe(_cancel_all(), loop).result(STOP_SECONDS)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(STOP_SECONDS)
        loop.close()


async def _cancel_all() -> None:
    # A connection that was just accepted gets its task in one of the turns after; transports close in them too.
    for _ in range(10):
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)


@cache
def _authority() -> Authority:
    return Authority.root()
