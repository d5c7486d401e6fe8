"""The command line: parses, runs, prints, and says by its exit code what was found."""

from __future__ import annotations

import sys
from typing import NoReturn


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line. Every error of the user is one line on standard error, and exit code 2."""
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """The same, giving the exit code (see `mxprobe.cli.outcome`)."""
    import os

    import click

    from mxprobe.cli.app import app
    from mxprobe.errors import MxprobeError
    from mxprobe.report.escape import printable

    def complain(text: str) -> int:
        for line in text.splitlines() or [""]:
            print(f"mxprobe: {printable(line, 1000)}", file=sys.stderr)
        return 2

    try:
        return app(args=arguments, prog_name="mxprobe", standalone_mode=False) or 0
    except MxprobeError as error:
        return complain(str(error))
    except BaseExceptionGroup as group:
        ours, others = group.split(MxprobeError)
        if others is not None or ours is None:
            raise
        first: BaseException = ours
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        return complain(str(first))
    except click.ClickException as error:
        return complain(error.format_message())
    except (click.exceptions.Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:
        # The reader has gone (`| head`): nothing more to say, and nothing to say it to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
