"""The command line: parses, runs, prints, and says by its exit code what was found."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import NoReturn


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line. Every error of the user is one line on standard error, and exit code 2."""
    _leave(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """The same, giving the exit code (see `mxprobe.cli.outcome`)."""
    import os

    import typer

    from mxprobe.cli.app import app
    from mxprobe.errors import MxprobeError

    if arguments is None:
        arguments = sys.argv[1:]
    if not arguments:
        app(args=["--help"], prog_name="mxprobe", standalone_mode=False)
        return 2
    try:
        code = app(args=arguments, prog_name="mxprobe", standalone_mode=False) or 0
        sys.stdout.flush()
        return code
    except MxprobeError as error:
        return _complain(str(error))
    except BaseExceptionGroup as group:
        ours, others = group.split(MxprobeError)
        if ours is None or others is not None:
            raise
        return _complain(str(_first(ours)))
    except typer.Abort:
        return 130
    except KeyboardInterrupt:
        return 130
    except (BrokenPipeError, SystemExit):
        # The reader has gone (`| head`): nothing more to say, and nothing to say it to. typer and rich leave with 1
        # then, which here would mean a finding; 141 is what the shell makes of SIGPIPE.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        # A disk that is full, say. With 1, which Python would end with, it would look like a finding.
        return _complain(str(error))
    except Exception as error:
        # typer has a click of its own and names only the leaf of BadParameter < UsageError < ClickException.
        if isinstance(error, typer.BadParameter.__mro__[2]):
            said = getattr(error, "format_message")()  # noqa: B009
            if type(error).__name__ == "NoArgsIsHelpError":  # as for mxprobe alone
                print(said)
                return 2
            return _unknown(said) if arguments[0] == "status" else _complain(said)
        raise


def _leave(code: int) -> NoReturn:
    """End the process. Python would wait for each thread; one in which apprise waits for a mail server that hangs would
    hold up the end by more than a service manager may allow. All that was to be kept is kept by now."""
    import os
    import threading

    if any(not each.daemon for each in threading.enumerate() if each is not threading.main_thread()):
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                with suppress(OSError, ValueError):
                    stream.flush()
        os._exit(code)
    sys.exit(code)


def _complain(text: str) -> int:
    from mxprobe.report.escape import printable

    for line in text.splitlines() or [""]:
        print(f"mxprobe: {printable(line, 1000)}", file=sys.stderr)
    return 2


def _unknown(text: str) -> int:
    """For Nagios, to which 2 is CRITICAL and standard error nothing, wrong usage is UNKNOWN too."""
    from mxprobe.report.status import unknown

    found = unknown(" ".join(text.split()))
    print(*found.lines, sep="\n")
    return found.exit_code


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner
