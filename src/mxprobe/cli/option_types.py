"""The options that several commands have: how each is called, what it takes, and its line of help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Format = Annotated[str, typer.Option("--format", "-f", metavar="text|json|ndjson", help="How results are printed.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Also what is well, with evidence and sources.")]
StoreUrl = Annotated[str | None, typer.Option("--store", metavar="URL", help="The store, like sqlite:///mxprobe.db.")]
ConfigurationFile = Annotated[Path, typer.Option("--config", "-c", metavar="FILE", help="The configuration.")]

Metrics = Annotated[
    str | None, typer.Option(metavar="ADDR:PORT|off", help="Where metrics are served (default: service.metrics).")
]
Plan = Annotated[bool, typer.Option("--plan", help="Only say how many connections it would take.")]

# What a probe is told, whichever command makes it.
Depth = Annotated[str, typer.Option(metavar="quick|standard|full|everything", help="How deep to look.")]
CaPath = Annotated[str | None, typer.Option(metavar="DIR", help="Hashed CA directory, as s_client -CApath.")]
CaFile = Annotated[str | None, typer.Option(metavar="FILE", help="CA certificates, as s_client -CAfile.")]
VerifyDepth = Annotated[int, typer.Option(metavar="N", min=1, max=100, help="CA certificates above the leaf.")]
Connect = Annotated[
    list[str] | None, typer.Option(metavar="ADDR[:PORT]|NAME=ADDR", help="Dial this instead of asking the DNS.")
]
KnownAs = Annotated[str | None, typer.Option("--as", metavar="NAME", help="The host that --connect leads to.")]
NameServer = Annotated[str | None, typer.Option(metavar="ADDR:PORT", help="The name server to ask.")]
AllowPrivate = Annotated[
    bool, typer.Option("--allow-private", help="Dial private and loopback addresses that the DNS gives.")
]
Ignore = Annotated[
    list[str] | None, typer.Option(metavar="DOMAIN|ADDR|NETWORK", help="Never dial these, whatever leads there.")
]
IgnoreFile = Annotated[str | None, typer.Option(metavar="FILE", help="More of them, one a line.")]
Ehlo = Annotated[str | None, typer.Option(metavar="NAME", help="Our name in EHLO.")]
Contact = Annotated[str | None, typer.Option(metavar="MAIL", help="Told to the peer, inside TLS.")]
PerAddress = Annotated[int, typer.Option(metavar="N", min=1, max=100, help="Connections to one address.")]
PerProvider = Annotated[int | None, typer.Option(metavar="N", min=1, max=10000, help="Connections to one provider.")]
Connections = Annotated[int, typer.Option(metavar="N", min=1, max=10000, help="Connections in all.")]
PerAddressPerMinute = Annotated[
    int | None, typer.Option(metavar="N", min=1, max=100000, help="Connections to one address in any minute.")
]
PerProviderPerMinute = Annotated[
    int | None, typer.Option(metavar="N", min=1, max=100000, help="Connections to one provider in any minute.")
]
ConnectionsPerMinute = Annotated[
    int | None, typer.Option(metavar="N", min=1, max=100000, help="Connections in all in any minute.")
]
Timeout = Annotated[
    list[str] | None, typer.Option(metavar="STAGE=SECONDS", help="Patience: connect, greeting, ehlo, hello, ...")
]
Deadline = Annotated[float, typer.Option(metavar="SECONDS", min=1, max=86400, help="For one endpoint.")]
NoTwins = Annotated[
    bool, typer.Option("--no-twins", help="Sweep each address by itself, also of servers that are alike.")
]
Require = Annotated[
    list[str] | None, typer.Option(metavar="VERDICT", help="What must hold, like trusted, tls1.2, !needs-sslv3.")
]
