"""Mail servers and a name server that change while they are looked at: a world to which something happens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field

from dns.message import Message

from mxprobe.demo.name_server import NameServer, Transport
from servers.faulty_name_server import Fault, FaultyNameServer
from servers.running import RunningServer, free_port
from servers.smtp_front import Front, Script, smtp_front


@dataclass(frozen=True, slots=True, kw_only=True)
class Serves:
    """What a mail server does: SMTP by `script`, and behind STARTTLS the TLS server of this name."""

    tls: str = "ordinary"
    script: Script = field(default_factory=Script)


class MailServers:
    """Mail servers on one port of several addresses of this machine."""

    def __init__(
        self, tls: Mapping[str, Callable[[], AbstractContextManager[RunningServer]]], stack: ExitStack
    ) -> None:
        self.port = free_port("")
        self.fronts: dict[str, Front] = {}
        self._tls = tls
        self._stack = stack
        self._running: dict[str, RunningServer] = {}
        self._fronts: dict[str, ExitStack] = {}

    def become(self, address: str, serves: Serves | None) -> None:
        """From now on the server at an address is this one; None: nobody listens there."""
        if address in self._fronts:
            self._fronts.pop(address).close()
        if serves is None:
            return
        if serves.tls not in self._running:
            self._running[serves.tls] = self._stack.enter_context(self._tls[serves.tls]())
        # The stack around all of them ends those that are left.
        own = self._fronts[address] = self._stack.enter_context(ExitStack())
        front = smtp_front(self._running[serves.tls], serves.script, addresses=(address,), port=self.port)
        self.fronts[address] = own.enter_context(front)


@contextmanager
def mail_servers(tls: Mapping[str, Callable[[], AbstractContextManager[RunningServer]]]) -> Iterator[MailServers]:
    """Mail servers, of which there are none yet; `tls` starts the TLS servers behind them, each once it is needed."""
    with ExitStack() as stack:
        yield MailServers(tls, stack)


class ChangingNames(NameServer):
    """A name server whose records, and the faults beside them (`FaultyNameServer`), become others."""

    def __init__(self) -> None:
        super().__init__("")
        self.become(())

    def become(self, records: Iterable[str], faults: Mapping[str, Fault] | None = None) -> None:
        """From now on it has these records, written as in a master file, and no others."""
        text = "".join(f"{record}\n" for record in records)
        self._now = FaultyNameServer(text, faults=faults or {}, raw_mx={})

    def answer(self, query: Message, transport: Transport) -> tuple[bytes, ...]:
        return self._now.answer(query, transport)
