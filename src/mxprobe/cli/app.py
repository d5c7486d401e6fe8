"""The commands and their options. What they do is in modules of their own, imported when they run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="mxprobe",
    help="Asks mail servers what they really do with STARTTLS.",
    epilog="Exit codes: 0 nothing to report, 1 a finding, 2 wrong usage, 3 could not tell.",
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Format = Annotated[str, typer.Option("--format", "-f", metavar="text|json|ndjson", help="How results are printed.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Also what is well, with evidence and sources.")]
ConfigurationFile = Annotated[Path, typer.Option("--config", "-c", metavar="FILE", help="The configuration.")]


def _show_version(wanted: bool) -> None:
    if wanted:
        from mxprobe import __version__

        print(f"mxprobe {__version__}")
        raise typer.Exit


@app.callback()
def everything(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Asks mail servers what they really do with STARTTLS."""


@app.command()
def probe(
    next_hops: Annotated[
        list[str] | None,
        typer.Argument(metavar="NEXT_HOP...", help="example.com, [host], [host]:port; smtp:, lmtp:, smtps: before it."),
    ] = None,
    depth: Annotated[str, typer.Option(metavar="quick|standard|full|everything", help="How deep to look.")] = "full",
    ca_path: Annotated[
        str | None, typer.Option(metavar="DIR", help="Hashed CA directory, as s_client -CApath.")
    ] = None,
    ca_file: Annotated[str | None, typer.Option(metavar="FILE", help="CA certificates, as s_client -CAfile.")] = None,
    verify_depth: Annotated[int, typer.Option(metavar="N", min=1, max=100, help="CA certificates above the leaf.")] = 9,
    profile: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME|PROTOCOLS:SUITES", help="What our MTA offers: its hello is sent once."),
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", "-c", metavar="FILE", help="Where profiles are.")] = None,
    require: Annotated[
        list[str] | None, typer.Option(metavar="VERDICT", help="What must hold, like trusted, tls1.2, !needs-sslv3.")
    ] = None,
    connect: Annotated[
        list[str] | None, typer.Option(metavar="ADDR[:PORT]|NAME=ADDR", help="Dial this instead of asking the DNS.")
    ] = None,
    known_as: Annotated[
        str | None, typer.Option("--as", metavar="NAME", help="The host that --connect leads to.")
    ] = None,
    resolver: Annotated[str | None, typer.Option(metavar="ADDR:PORT", help="The name server to ask.")] = None,
    allow_private: Annotated[
        bool, typer.Option("--allow-private", help="Dial private and loopback addresses that the DNS gives.")
    ] = False,
    ignore: Annotated[
        list[str] | None, typer.Option(metavar="DOMAIN|ADDR|NETWORK", help="Never dial these, whatever leads there.")
    ] = None,
    ignore_file: Annotated[str | None, typer.Option(metavar="FILE", help="More of them, one a line.")] = None,
    protocol: Annotated[str | None, typer.Option(metavar="TLSv1.2", help="One combination only: this version.")] = None,
    cipher: Annotated[str | None, typer.Option(metavar="SUITE", help="One combination only: this suite.")] = None,
    output: Format = "text",
    verbose: Verbose = False,
    trace: Annotated[bool, typer.Option("--trace", help="SMTP transcript, and TLS records in hex.")] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Only say how many connections it would take.")] = False,
    ehlo: Annotated[str | None, typer.Option(metavar="NAME", help="Our name in EHLO.")] = None,
    contact: Annotated[str | None, typer.Option(metavar="MAIL", help="Told to the peer, inside TLS.")] = None,
    per_address: Annotated[int, typer.Option(metavar="N", min=1, max=100, help="Connections to one address.")] = 2,
    per_provider: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=10000, help="Connections to one provider.")
    ] = None,
    connections: Annotated[int, typer.Option(metavar="N", min=1, max=10000, help="Connections in all.")] = 200,
    per_address_per_minute: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=100000, help="Connections to one address in any minute.")
    ] = None,
    per_provider_per_minute: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=100000, help="Connections to one provider in any minute.")
    ] = None,
    connections_per_minute: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=100000, help="Connections in all in any minute.")
    ] = None,
    timeout: Annotated[
        list[str] | None, typer.Option(metavar="STAGE=SECONDS", help="Patience: connect, greeting, ehlo, hello, ...")
    ] = None,
    deadline: Annotated[float, typer.Option(metavar="SECONDS", min=1, max=86400, help="For one endpoint.")] = 300.0,
    no_twins: Annotated[
        bool, typer.Option("--no-twins", help="Sweep each address by itself, also of servers that are alike.")
    ] = False,
) -> None:
    """Ask mail servers now, and print what they do."""
    from mxprobe.cli import probe as command

    request = command.Request(
        next_hops=tuple(next_hops or ()),
        depth=depth,
        ca_path=ca_path,
        ca_file=ca_file,
        verify_depth=verify_depth,
        profiles=tuple(profile or ()),
        configuration=config,
        require=tuple(require or ()),
        connect=tuple(connect or ()),
        known_as=known_as,
        resolver=resolver,
        ignore=tuple(ignore or ()),
        ignore_file=ignore_file,
        allow_private=allow_private,
        protocol=protocol,
        cipher=cipher,
        output=output,
        verbose=verbose,
        trace=trace,
        plan=plan,
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
        twins=not no_twins,
    )
    raise typer.Exit(command.probe(request))


@app.command()
def scan(
    config: ConfigurationFile = Path("probes.toml"),
    group: Annotated[list[str] | None, typer.Option("--group", "-g", metavar="NAME", help="Only this group.")] = None,
    output: Format = "text",
    verbose: Verbose = False,
    plan: Annotated[bool, typer.Option("--plan", help="Only say how many connections it would take.")] = False,
) -> None:
    """Scan the next-hops of probes.toml into the store; a scan that was killed goes on where it was."""
    from mxprobe.cli import scan as command

    raise typer.Exit(command.scan(config, tuple(group or ()), output, verbose=verbose, plan=plan))


@app.command()
def show(
    next_hops: Annotated[
        list[str] | None, typer.Argument(metavar="[NEXT_HOP]...", help="As they were scanned.")
    ] = None,
    config: ConfigurationFile = Path("probes.toml"),
    store: Annotated[str | None, typer.Option(metavar="URL", help="The store, like sqlite:///mxprobe.db.")] = None,
    output: Format = "text",
    verbose: Verbose = False,
) -> None:
    """Show what the store knows, judged as of now; without a next-hop, all of it."""
    from mxprobe.cli import show as command

    raise typer.Exit(command.show(tuple(next_hops or ()), config, store, output, verbose=verbose))


@app.command()
def demo(
    database: Annotated[Path | None, typer.Option(metavar="FILE", help="Keep the results in this new file.")] = None,
    serve: Annotated[
        bool, typer.Option("--serve", help="Go on serving, for probes of your own, until Ctrl-C.")
    ] = False,
    verbose: Verbose = False,
) -> None:
    """Start a small world of mail servers on loopback, scan it, and print the report."""
    from mxprobe.cli import demo as command

    raise typer.Exit(command.demo(database, serve=serve, verbose=verbose))
