"""What a probe is told: how deep to look, whom to trust, which profiles to try, and how to behave."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from mxprobe.errors import InvalidSetting
from mxprobe.mta.profile import Profile
from mxprobe.network.settings import Limits, Timeouts

Depth = Literal["quick", "standard", "full", "everything"]
"""How deep a probe looks. *quick*: one complete handshake, and one hello a profile; versions only where that handshake
fails. *standard*: every version too. *full*: every suite of every version, in the server's order, and what the same
hellos tell beyond suites. *everything*: also what takes hellos of its own, such as groups and signature schemes."""

DEPTHS: tuple[Depth, ...] = get_args(Depth)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeSettings:
    """Everything that a probe can be told; the defaults are those of the command line.

    `ehlo` should resolve back to this machine; `contact` is told to the peer, inside TLS only. `ca_file` and
    `ca_path` are as in `openssl s_client`; without either, the system's. `resolver` is an (address, port); without
    it, those of the system. `connect` maps a host name to the address that is dialled for it. `ignore` names
    domains, addresses and networks that are never dialled, whatever leads to them. `allow_private` lets
    DNS lead to private, loopback and link-local addresses. `deadline` bounds one endpoint, in seconds. `twins` lets
    endpoints that have the same fingerprint share a full sweep. `trace` keeps transcripts.

    Raises:
        InvalidSetting: `ehlo` or `contact` is not something that can be said in SMTP.
    """

    ehlo: str = field(default_factory=socket.gethostname)
    contact: str | None = None
    ca_file: str | None = None
    ca_path: str | None = None
    verify_depth: int = 9
    depth: Depth = "full"
    profiles: tuple[Profile, ...] = ()
    resolver: tuple[str, int] | None = None
    connect: Mapping[str, str] = field(default_factory=dict)
    ignore: tuple[str, ...] = ()
    allow_private: bool = False
    limits: Limits = field(default_factory=Limits)
    timeouts: Timeouts = field(default_factory=Timeouts)
    deadline: float = 300.0
    twins: bool = True
    trace: bool = False

    def __post_init__(self) -> None:
        for where, text in (("ehlo", self.ehlo), ("contact", self.contact or "none")):
            if not (text.isascii() and text.isprintable() and " " not in text and 0 < len(text) <= 255):
                raise InvalidSetting(where, f"{text!r} cannot be said in SMTP", "printable ASCII without spaces")
