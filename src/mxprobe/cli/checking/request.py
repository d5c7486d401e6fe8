"""What the command line of `mxprobe check` said."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mxprobe.cli.probing_options import ProbingOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the command line said, as text and numbers. `probing` are the options that a probe has, too."""

    next_hops: tuple[str, ...] = ()
    connect: tuple[str, ...] = ()
    known_as: str | None = None
    groups: tuple[str, ...] = ()
    configuration: Path | None = None
    require: tuple[str, ...] = ()
    senders: tuple[str, ...] = ()
    covers: tuple[str, ...] = ()
    days: int | None = None
    same_everywhere: bool | None = None
    baseline: Path | None = None
    baseline_store: str | None = None
    baseline_live: str | None = None
    main_cf: str | None = None
    master_cf: str | None = None
    service: str | None = None
    postconf: str | None = None
    overrides: tuple[str, ...] = ()
    postfix: str | None = None
    exim: str | None = None
    tls_library: str | None = None
    openssl: str | None = None
    certificates: tuple[str, ...] = ()
    outbound: bool = False
    baseline_main_cf: str | None = None
    store: str | None = None
    output: str = "text"
    write: tuple[str, ...] = ()
    verbose: bool = False
    probing: ProbingOptions
