"""A PostgreSQL server of our own, with its files in a temporary directory, which runs as long as it is needed."""

from __future__ import annotations

import os
import pwd
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import psycopg

from servers.running import START_SECONDS, Process, free_port, output_of, program, server_directory, started

SUPERUSER = "owner"


class Postgresql:
    """A server that takes connections now: over its socket without a password, over TCP with one."""

    def __init__(self, directory: Path, port: int) -> None:
        self.directory = directory
        self.port = port
        self._databases = 0
        self._running = ExitStack()
        self._process: Process | None = None

    def url(self, database: str) -> str:
        """The URL of a database over the socket."""
        return f"postgresql://{SUPERUSER}@/{database}?host={quote(str(self.directory))}&port={self.port}"

    def tcp_url(self, database: str, user: str, password: str) -> str:
        """The URL of a database over TCP."""
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """Make an empty database; its name."""
        self._databases += 1
        name = f"test{self._databases}"
        self.execute(f"CREATE DATABASE {name}")
        return name

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run one statement, and give the rows of its answer."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            answer = connection.execute(statement.encode())
            return answer.fetchall() if answer.description else []

    def start(self) -> None:
        """Start the server, and wait until it takes connections."""
        words = [
            *_as_unprivileged(),
            _program("postgres"),
            *("-D", self.directory / "data", "-k", self.directory, "-h", "127.0.0.1", "-p", str(self.port)),
            # What was committed need not survive a power failure of a test.
            *("-c", "fsync=off", "-c", "max_connections=60", "-c", "shared_buffers=16MB"),
        ]
        self._process = self._running.enter_context(
            started("postgresql", words, log=self.directory / "log", environment={"LC_ALL": "C.UTF-8"})
        )
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self.execute("SELECT 1")
                return
            except psycopg.OperationalError as error:
                if self._process.popen.poll() is not None or time.monotonic() > deadline:
                    raise self._process.failure("does not take connections") from error
            time.sleep(0.02)

    def stop(self, *, immediately: bool = False) -> None:
        """Stop the server, whoever is connected (`pg_ctl stop -m fast`), or as if the machine went down (`-m
        immediate`)."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.kill(self._process.popen.pid, signal.SIGQUIT if immediately else signal.SIGINT)
            self._process.popen.wait(START_SECONDS)
        self._running.close()
        self._process = None

    def restart(self) -> None:
        """Stop and start it, with all that it has."""
        self.stop()
        self.start()


@contextmanager
def postgresql() -> Iterator[Postgresql]:
    """Run a PostgreSQL server.

    Raises:
        RuntimeError: it is not installed, or does not start.
    """
    with server_directory("postgresql") as directory:
        if os.geteuid() == 0:
            account = pwd.getpwnam(_ACCOUNT)
            os.chown(directory, account.pw_uid, account.pw_gid)
        output_of(
            *_as_unprivileged(),
            _program("initdb"),
            *("--pgdata", directory / "data", "--username", SUPERUSER, "--encoding=UTF8", "--locale=C.UTF-8"),
            *("--auth-local=trust", "--auth-host=scram-sha-256", "--no-sync"),
        )
        server = Postgresql(directory, free_port())
        server.start()
        try:
            yield server
        finally:
            server.stop()


_ACCOUNT = "nobody"


def _as_unprivileged() -> list[str]:
    """PostgreSQL refuses to be run by root."""
    if os.geteuid() != 0:
        return []
    account = pwd.getpwnam(_ACCOUNT)
    return ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]


def _program(name: str) -> Path:
    """Of the newest PostgreSQL that Debian has installed, or of the PATH."""
    installed = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    return installed[-1] if installed else program(name, "postgresql")
