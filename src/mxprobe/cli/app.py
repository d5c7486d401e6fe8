"""The commands and their options. What they do is in modules of their own, imported when they run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mxprobe.cli.checking.command import check
from mxprobe.cli.option_types import (
    AllowPrivate,
    CaFile,
    CaPath,
    ConfigurationFile,
    Connect,
    Connections,
    ConnectionsPerMinute,
    Contact,
    Deadline,
    Depth,
    Ehlo,
    Format,
    Ignore,
    IgnoreFile,
    KnownAs,
    Metrics,
    NameServer,
    NoTwins,
    PerAddress,
    PerAddressPerMinute,
    PerProvider,
    PerProviderPerMinute,
    Plan,
    Require,
    StoreUrl,
    Timeout,
    Verbose,
    VerifyDepth,
)

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
    depth: Depth = "full",
    ca_path: CaPath = None,
    ca_file: CaFile = None,
    verify_depth: VerifyDepth = 9,
    profile: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME|PROTOCOLS:SUITES|KIND:WHAT", help="What our MTA offers: its hello is sent once."),
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", "-c", metavar="FILE", help="Where profiles are.")] = None,
    require: Require = None,
    connect: Connect = None,
    known_as: KnownAs = None,
    resolver: NameServer = None,
    allow_private: AllowPrivate = False,
    ignore: Ignore = None,
    ignore_file: IgnoreFile = None,
    protocol: Annotated[str | None, typer.Option(metavar="TLSv1.2", help="One combination only: this version.")] = None,
    cipher: Annotated[str | None, typer.Option(metavar="SUITE", help="One combination only: this suite.")] = None,
    output: Format = "text",
    verbose: Verbose = False,
    trace: Annotated[bool, typer.Option("--trace", help="SMTP transcript, and TLS records in hex.")] = False,
    plan: Plan = False,
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
    no_twins: NoTwins = False,
) -> None:
    """Ask mail servers now, and print what they do."""
    from mxprobe.cli import probe as command
    from mxprobe.cli.probing_options import ProbingOptions

    request = command.Request(
        next_hops=tuple(next_hops or ()),
        profiles=tuple(profile or ()),
        configuration=config,
        require=tuple(require or ()),
        connect=tuple(connect or ()),
        known_as=known_as,
        protocol=protocol,
        cipher=cipher,
        output=output,
        verbose=verbose,
        plan=plan,
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
            twins=not no_twins,
            trace=trace,
        ),
    )
    raise typer.Exit(command.probe(request))


app.command()(check)


@app.command()
def scan(
    config: ConfigurationFile = Path("probes.toml"),
    group: Annotated[list[str] | None, typer.Option("--group", "-g", metavar="NAME", help="Only this group.")] = None,
    output: Format = "text",
    verbose: Verbose = False,
    plan: Plan = False,
) -> None:
    """Scan the next-hops of probes.toml into the store; a scan that was killed goes on where it was."""
    from mxprobe.cli import scan as command

    raise typer.Exit(command.scan(config, tuple(group or ()), output, verbose=verbose, plan=plan))


@app.command()
def run(
    config: ConfigurationFile = Path("probes.toml"),
    group: Annotated[list[str] | None, typer.Option("--group", "-g", metavar="NAME", help="Only this group.")] = None,
    once: Annotated[bool, typer.Option("--once", help="Only what is due now, and end: for cron.")] = False,
    log_format: Annotated[
        str, typer.Option("--log-format", metavar="text|json", help="How the log on standard error is written.")
    ] = "text",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Log only warnings and errors: for cron.")] = False,
    metrics: Metrics = None,
) -> None:
    """Run as a service: visit the next-hops of probes.toml when they are due, and notice what changes."""
    from mxprobe.cli import serve as command

    groups = tuple(group or ())
    request = command.Request(
        configuration=config, groups=groups, once=once, log_format=log_format, quiet=quiet, metrics=metrics
    )
    raise typer.Exit(command.serve(request))


@app.command()
def worker(
    group: Annotated[list[str] | None, typer.Argument(metavar="[GROUP]...", help="Only these groups.")] = None,
    config: ConfigurationFile = Path("probes.toml"),
    at_once: Annotated[
        int | None,
        typer.Option("--at-once", metavar="N", min=1, max=10000, help="Visits at a time (default: service.at_once)."),
    ] = None,
    log_format: Annotated[
        str, typer.Option("--log-format", metavar="text|json", help="How the log on standard error is written.")
    ] = "text",
    metrics: Metrics = None,
) -> None:
    """Make visits together with others on the same PostgreSQL, on any number of machines."""
    from mxprobe.cli import serve as command

    request = command.Request(
        configuration=config,
        groups=tuple(group or ()),
        log_format=log_format,
        worker=True,
        at_once=at_once,
        metrics=metrics,
    )
    raise typer.Exit(command.serve(request))


@app.command()
def show(
    next_hops: Annotated[
        list[str] | None, typer.Argument(metavar="[NEXT_HOP]...", help="As they were scanned.")
    ] = None,
    config: ConfigurationFile = Path("probes.toml"),
    store: StoreUrl = None,
    at: Annotated[str | None, typer.Option(metavar="TIME", help="As it was known, and judged, at this time.")] = None,
    output: Format = "text",
    verbose: Verbose = False,
) -> None:
    """Show what the store knows, judged as of now; without a next-hop, all of it."""
    from mxprobe.cli import show as command

    raise typer.Exit(command.show(tuple(next_hops or ()), config, store, output, verbose=verbose, at=at))


@app.command()
def history(
    next_hop: Annotated[str, typer.Argument(metavar="NEXT_HOP", help="As it was scanned.")],
    config: ConfigurationFile = Path("probes.toml"),
    store: StoreUrl = None,
    output: Format = "text",
) -> None:
    """Show what changed at a next-hop from scan to scan, a line each."""
    from mxprobe.cli import history as command

    raise typer.Exit(command.history(next_hop, config, store, output))


@app.command()
def diff(
    next_hop: Annotated[str, typer.Argument(metavar="NEXT_HOP", help="As it was scanned.")],
    since: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="The last known state by then; else the one before.")
    ] = None,
    until: Annotated[str | None, typer.Option("--to", metavar="TIME", help="The last known state by then.")] = None,
    config: ConfigurationFile = Path("probes.toml"),
    store: StoreUrl = None,
    output: Format = "text",
) -> None:
    """Show what is different between two known states of a next-hop."""
    from mxprobe.cli import history as command

    raise typer.Exit(command.diff(next_hop, config, store, output, since, until))


@app.command()
def export(
    since: Annotated[str | None, typer.Option(metavar="TIME", help="Only scans that began then or later.")] = None,
    config: ConfigurationFile = Path("probes.toml"),
    store: StoreUrl = None,
    output: Annotated[
        str, typer.Option("--format", "-f", metavar="ndjson|json", help="A line for each target, or one document.")
    ] = "ndjson",
) -> None:
    """Write all that the store holds, scan after scan, as JSON."""
    from mxprobe.cli import export as command

    raise typer.Exit(command.export(config, store, output, since))


@app.command()
def senders(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Only these, with all that is known of them.")
    ] = None,
    output: Format = "text",
) -> None:
    """List the senders that mxprobe knows: hellos of sending mail software, with their age."""
    from mxprobe.cli import senders as command

    raise typer.Exit(command.senders(tuple(names or ()), output))


@app.command()
def status(
    config: ConfigurationFile = Path("probes.toml"),
    store: StoreUrl = None,
    late: Annotated[
        float, typer.Option(metavar="HOURS", min=0.01, max=8760, help="How long next-hops may be due before it warns.")
    ] = 2.0,
) -> None:
    """Say how the service stands, by the store alone; exit codes 0, 1, 2 and 3 as Nagios has them."""
    from mxprobe.cli import status as command

    raise typer.Exit(command.status(config, store, late))


@app.command()
def health(
    where: Annotated[
        str, typer.Argument(metavar="[WHERE]", help="ADDR:PORT, the service.metrics of the service.")
    ] = "127.0.0.1:9119",
) -> None:
    """Ask a service whether it is alive: exit code 0 if it is, 1 if not. For container runtimes."""
    from mxprobe.cli import health as command

    raise typer.Exit(command.health(where))


alerts_app = typer.Typer(no_args_is_help=True, help="Who is told of events.")
app.add_typer(alerts_app, name="alerts")


@alerts_app.command("test")
def alerts_test(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Only these alerts.")] = None,
    config: ConfigurationFile = Path("probes.toml"),
) -> None:
    """Send a test message to each target of alerts."""
    from mxprobe.cli import alerts as command

    raise typer.Exit(command.test(config, tuple(names or ())))


profile_app = typer.Typer(no_args_is_help=True, help="Profiles of one's own, from the hello of a real client.")
app.add_typer(profile_app, name="profile")


@profile_app.command("record")
def profile_record(
    listen: Annotated[
        str, typer.Option(metavar="ADDR:PORT", help="Where the client is to connect; port 0 is a free one.")
    ] = "127.0.0.1:0",
    name: Annotated[str | None, typer.Option(metavar="NAME", help="What the profile is called.")] = None,
    file: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="The new file that takes it, not standard output.")
    ] = None,
    software: Annotated[
        str, typer.Option(metavar="TEXT", help="What the client is, with versions.")
    ] = "unknown software",
    client: Annotated[str, typer.Option(metavar="TEXT", help="The command that the client was started by.")] = "",
    minimum: Annotated[
        str | None, typer.Option(metavar="TLSv1", help="The oldest version of a client whose hello cannot tell.")
    ] = None,
    smtps: Annotated[bool, typer.Option("--smtps", help="TLS from the first byte, without a greeting.")] = False,
    timeout: Annotated[float, typer.Option(metavar="SECONDS", min=1, max=86400, help="How long to listen.")] = 300.0,
    connections: Annotated[
        int, typer.Option(metavar="N", min=1, max=10000, help="How many may connect without a hello.")
    ] = 100,
) -> None:
    """Listen, let a client start TLS, and save its hello as a profile. No mail is taken."""
    from mxprobe.cli import profile as command

    request = command.RecordRequest(
        listen=listen,
        name=name,
        output=file,
        software=software,
        client=client,
        minimum=minimum,
        smtps=smtps,
        timeout=timeout,
        connections=connections,
    )
    raise typer.Exit(command.record(request))


@profile_app.command("show")
def profile_show(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE", help="A sender, or a profile file.")],
    output: Format = "text",
) -> None:
    """Show a sender or a profile file: what it offers, and where that is from."""
    from mxprobe.cli import profile as command

    raise typer.Exit(command.show(name, output))


@app.command()
def ciphers(
    string: Annotated[
        str,
        typer.Argument(metavar="STRING", help="A cipher list, like HIGH:!aNULL; - reads lists from stdin, one a line."),
    ],
    openssl: Annotated[str, typer.Option(metavar="1.0.2|1.1.1|3.0", help="What it is to mean something to.")] = "3.0",
    ciphersuites: Annotated[
        str | None, typer.Option(metavar="STRING", help="The list for TLS 1.3, in place of the default one.")
    ] = None,
    diff: Annotated[str | None, typer.Option(metavar="STRING", help="What differs from this list.")] = None,
    diff_openssl: Annotated[
        str | None, typer.Option(metavar="1.0.2|1.1.1|3.0", help="What differs where this OpenSSL reads the list.")
    ] = None,
    output: Format = "text",
) -> None:
    """Show what a cipher list means to an OpenSSL, as `openssl ciphers -v` of that OpenSSL would."""
    from mxprobe.cli import ciphers as command

    command.run(
        command.Request(
            string=string,
            openssl=openssl,
            ciphersuites=ciphersuites,
            diff=diff,
            diff_openssl=diff_openssl,
            output=output,
        )
    )


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
