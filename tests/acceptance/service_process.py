"""`mxprobe run` as a process of its own, whose log is read as it comes, line by line."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Condition, Thread
from typing import Any

from acceptance.command import command, environment
from servers.faked_time import clean_up_after

PATIENCE = 60.0
"""Seconds to wait for what a process should do soon: generous, because the machine may be busy."""

A_MOMENT = 5.0
"""Seconds in which a process makes its first visits."""

Logged = dict[str, Any]


class ServiceProcess:
    """A running service. `log` has its lines so far; whatever is no JSON, as a traceback would be, is in `noise`."""

    def __init__(self, popen: subprocess.Popen[str]) -> None:
        self.popen = popen
        self.log: list[Logged] = []
        self.noise: list[str] = []
        self._news = Condition()
        self._ended = False
        self._reader = Thread(target=self._read)
        self._reader.start()

    def heard(self, what: str, words: str = "", *, at: str = "", count: int = 1) -> Logged:
        """Wait until there are so many lines of this kind, with these words in them, of a time that begins like `at`;
        the last of them.

        Raises:
            AssertionError: the process ended, or too long passed, before that.
        """

        def is_it(line: Logged) -> bool:
            return line["what"] == what and words in line["text"] and line["at"].startswith(at)

        found = self._wait(lambda: [line for line in self.log if is_it(line)], count)
        assert len(found) >= count, (what, words, at, self.log[-10:], self.noise)
        return found[count - 1]

    def told(self, what: str) -> list[str]:
        """The texts of all lines of this kind."""
        return [line["text"] for line in self.log if line["what"] == what]

    def dies(self, *, visits: int, seconds: float) -> None:
        """kill -9, so many seconds after so many visits; where there are not as many in a moment, then."""
        self._wait(lambda: [line for line in self.log if line["what"] == "visited"], visits, A_MOMENT)
        with suppress(subprocess.TimeoutExpired):
            self.popen.wait(seconds)
        self.kill()

    def kill(self) -> None:
        """kill -9."""
        self.popen.kill()
        self.ended()

    def signal(self, number: int) -> None:
        self.popen.send_signal(number)

    def ended(self) -> int:
        """Wait for its end, and for the rest of its log; its exit code."""
        code = self.popen.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return code

    def _wait(self, found: Callable[[], list[Logged]], count: int, patience: float = PATIENCE) -> list[Logged]:
        deadline = time.monotonic() + patience
        with self._news:
            while len(found()) < count and not self._ended and (left := deadline - time.monotonic()) > 0:
                self._news.wait(left)
            return found()

    def _read(self) -> None:
        assert self.popen.stderr is not None
        for line in self.popen.stderr:
            with self._news:
                try:
                    self.log.append(json.loads(line))
                except ValueError:
                    self.noise.append(line)
                self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()


@contextmanager
def service(
    path: Path,
    *options: str,
    clock: Mapping[str, str] | None = None,
    prepare: Callable[[], None] | None = None,
) -> Iterator[ServiceProcess]:
    """Run the service with a configuration. `clock` is the environment of `servers.faked_time`; `prepare` is called in
    the new process. Whatever the test does, it is over afterwards."""
    popen = subprocess.Popen(
        command("run", "-c", path, "--log-format", "json", *options),
        env={**environment(), **(clock or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=prepare,
    )
    process = ServiceProcess(popen)
    try:
        yield process
    finally:
        popen.kill()
        process.ended()
        clean_up_after(popen.pid)
        assert popen.stderr is not None
        popen.stderr.close()


def one_pass(path: Path, *, clock: Mapping[str, str] | None = None) -> ServiceProcess:
    """One pass over what is due, to its end."""
    with service(path, "--once", clock=clock) as process:
        process.ended()
    return process
