"""The options of `mxprobe check`. What it does is imported when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mxprobe.cli.option_types import (
    AllowPrivate,
    CaFile,
    CaPath,
    Connect,
    Connections,
    ConnectionsPerMinute,
    Contact,
    Deadline,
    Depth,
    Ehlo,
    Ignore,
    IgnoreFile,
    KnownAs,
    NameServer,
    PerAddress,
    PerAddressPerMinute,
    PerProvider,
    PerProviderPerMinute,
    Require,
    Timeout,
    Verbose,
    VerifyDepth,
)


def check(
    next_hops: Annotated[
        list[str] | None, typer.Argument(metavar="[NEXT_HOP]...", help="Whose MX to check, as in probe.")
    ] = None,
    connect: Connect = None,
    known_as: KnownAs = None,
    group: Annotated[list[str] | None, typer.Option("--group", "-g", metavar="NAME", help="Of probes.toml.")] = None,
    config: Annotated[Path | None, typer.Option("--config", "-c", metavar="FILE", help="Where groups are.")] = None,
    require: Require = None,
    sender: Annotated[
        list[str] | None, typer.Option(metavar="NAME|all|recorded", help="Who must get TLS (see mxprobe senders).")
    ] = None,
    covers: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="What every certificate must name, by either rule.")
    ] = None,
    days: Annotated[
        int | None, typer.Option(metavar="N", min=0, max=10000, help="How long every certificate must last.")
    ] = None,
    same_everywhere: Annotated[
        bool | None,
        typer.Option("--same-everywhere/--no-same-everywhere", help="Every address must do the same (the default)."),
    ] = None,
    baseline: Annotated[
        Path | None, typer.Option(metavar="FILE", help="JSON of probe or check: what is lost since then?")
    ] = None,
    baseline_store: Annotated[str | None, typer.Option(metavar="URL", help="The same, by a store of scans.")] = None,
    baseline_live: Annotated[
        str | None, typer.Option(metavar="NEXT_HOP", help="The same, by a server that is in use: it is probed now.")
    ] = None,
    main_cf: Annotated[str | None, typer.Option(metavar="FILE", help="Check what this would give, on paper.")] = None,
    master_cf: Annotated[str | None, typer.Option(metavar="FILE", help="Its services, with -o of their own.")] = None,
    service: Annotated[str | None, typer.Option(metavar="NAME", help="Which service of --master-cf.")] = None,
    postconf: Annotated[
        str | None, typer.Option(metavar="FILE|-", help="In place of --main-cf: what postconf -n printed.")
    ] = None,
    override: Annotated[
        list[str] | None, typer.Option("-o", metavar="NAME=VALUE", help="A parameter over that of the file.")
    ] = None,
    postfix: Annotated[str | None, typer.Option(metavar="VERSION", help="Whose defaults count, like 3.7.")] = None,
    exim: Annotated[
        str | None, typer.Option(metavar="FILE", help="In place of --main-cf: an Exim's configuration.")
    ] = None,
    tls_library: Annotated[
        str | None, typer.Option(metavar="openssl|gnutls", help="What that Exim is built with.")
    ] = None,
    openssl: Annotated[
        str | None, typer.Option(metavar="1.0.2|1.1.1|3.0", help="What that Postfix or Exim runs on.")
    ] = None,
    cert: Annotated[
        list[str] | None, typer.Option(metavar="FULLCHAIN", help="Its certificate, chain included (PEM).")
    ] = None,
    outbound: Annotated[
        bool, typer.Option("--outbound", help="On paper: to whom of the store would it still send by TLS?")
    ] = False,
    baseline_main_cf: Annotated[
        str | None, typer.Option(metavar="FILE", help="With --outbound: whose mail went by TLS with this one?")
    ] = None,
    store: Annotated[str | None, typer.Option(metavar="URL", help="The store for --outbound.")] = None,
    output: Annotated[
        str, typer.Option("--format", "-f", metavar="text|json|junit|sarif|github", help="How results are printed.")
    ] = "text",
    write: Annotated[
        list[str] | None, typer.Option(metavar="FORMAT=FILE", help="Also write them, in this format.")
    ] = None,
    verbose: Verbose = False,
    depth: Depth = "full",
    ca_path: CaPath = None,
    ca_file: CaFile = None,
    verify_depth: VerifyDepth = 9,
    resolver: NameServer = None,
    allow_private: AllowPrivate = False,
    ignore: Ignore = None,
    ignore_file: IgnoreFile = None,
    ehlo: Ehlo = None,
    contact: Contact = None,
    per_address: PerAddress = 2,
    per_provider: PerProvider = None,
    connections: Connections = 200,
    per_address_per_minute: PerAddressPerMinute = None,
    per_provider_per_minute: PerProviderPerMinute = None,
    connections_per_minute: ConnectionsPerMinute = None,
    timeout: Timeout = None,
    deadline: Deadline = 300.0,
) -> None:
    """Check our own side before a change goes live: servers, or a configuration on paper."""
    from mxprobe.cli.checking.gate import check as run
    from mxprobe.cli.checking.request import Request
    from mxprobe.cli.probing_options import ProbingOptions

    request = Request(
        next_hops=tuple(next_hops or ()),
        connect=tuple(connect or ()),
        known_as=known_as,
        groups=tuple(group or ()),
        configuration=config,
        require=tuple(require or ()),
        senders=tuple(sender or ()),
        covers=tuple(covers or ()),
        days=days,
        same_everywhere=same_everywhere,
        baseline=baseline,
        baseline_store=baseline_store,
        baseline_live=baseline_live,
        main_cf=main_cf,
        master_cf=master_cf,
        service=service,
        postconf=postconf,
        overrides=tuple(override or ()),
        postfix=postfix,
        exim=exim,
        tls_library=tls_library,
        openssl=openssl,
        certificates=tuple(cert or ()),
        outbound=outbound,
        baseline_main_cf=baseline_main_cf,
        store=store,
        output=output,
        write=tuple(write or ()),
        verbose=verbose,
        probing=ProbingOptions(
            depth=depth,
            ca_path=ca_path,
            ca_file=ca_file,
            verify_depth=verify_depth,
            resolver=resolver,
            ignore=tuple(ignore or ()),
            ignore_file=ignore_file,
            allow_private=allow_private,
            ehlo=ehlo,
            contact=contact,
            per_address=per_address,
            per_provider=per_provider,
            connections=connections,
            per_address_per_minute=per_address_per_minute,
            per_provider_per_minute=per_provider_per_minute,
            connections_per_minute=connections_per_minute,
            timeouts=tuple(timeout or ()),
            deadline=deadline,
            twins=False,  # what each address does by itself is the question
        ),
    )
    raise typer.Exit(run(request))
