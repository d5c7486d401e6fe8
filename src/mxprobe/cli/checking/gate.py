"""`mxprobe check`: the gate before a change goes live. Which check is meant, what is printed, and the exit code."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from mxprobe.errors import InvalidSetting
from mxprobe.verdict.checks import CheckReport, outcome_of

if TYPE_CHECKING:
    from mxprobe.cli.checking.request import Request

CheckFormat = Literal["text", "json", "junit", "sarif", "github"]
CHECK_FORMATS: tuple[CheckFormat, ...] = get_args(CheckFormat)


def check(request: Request) -> int:
    """Run the command; the exit code says whether every condition holds."""
    from mxprobe.report.check_document import EXIT_CODES

    form = check_format(request.output, "--format")
    files = tuple(_written(text) for text in request.write)
    _stop_if_inconsistent(request)
    report = _run(request)
    for also, path in files:
        _write(path, check_text(report, also))
    if form == "text":
        from rich.console import Console

        from mxprobe.report.checks import print_checks

        print_checks(Console(highlight=False), report, verbose=request.verbose)
    else:
        sys.stdout.write(check_text(report, form))
    return EXIT_CODES[outcome_of(report.checks)]


def check_format(text: str, where: str) -> CheckFormat:
    """A format by its name."""
    for known in CHECK_FORMATS:
        if text == known:
            return known
    raise InvalidSetting(where, f"{text!r} is not a format", ", ".join(CHECK_FORMATS))


def check_text(report: CheckReport, form: CheckFormat) -> str:
    """The report in one of the formats; as text with all of it."""
    match form:
        case "text":
            from mxprobe.report.checks import text

            return text(report, verbose=True)
        case "json":
            from mxprobe.report.check_document import check_json

            return check_json(report)
        case "junit":
            from mxprobe.report.junit import junit_text

            return junit_text(report)
        case "sarif":
            from mxprobe.report.sarif import sarif_text

            return sarif_text(report)
        case "github":
            from mxprobe.report.annotations import annotations_text

            return annotations_text(report)


def _stop_if_inconsistent(request: Request) -> None:
    """Options of which one would be without any effect: whoever gave it thinks that it has some."""
    postfix = request.main_cf is not None or request.postconf is not None
    paper = postfix or request.exim is not None
    if request.main_cf is not None and request.postconf is not None:
        raise InvalidSetting("--postconf", "it stands in the place of --main-cf: give one of them")
    if postfix and request.exim is not None:
        raise InvalidSetting("--exim", "it stands in the place of --main-cf or --postconf: give one of them")
    dialled = {"--connect": request.connect, "--group": request.groups}
    of_paper = {"--openssl": request.openssl, "--cert": request.certificates}
    of_postfix = {
        "--master-cf": request.master_cf,
        "--service": request.service,
        "-o": request.overrides,
        "--postfix": request.postfix,
        "--outbound": request.outbound,
    }
    of_inbound = {
        "--as": request.known_as,
        "--require": request.require,
        "--sender": request.senders,
        "--covers": request.covers,
        "--days": request.days is not None,
        "--same-everywhere": request.same_everywhere is not None,
        "--baseline": request.baseline,
        "--baseline-store": request.baseline_store,
        "--baseline-live": request.baseline_live,
        "--cert": request.certificates,
    }
    of_outbound = {"--store": request.store, "--baseline-main-cf": request.baseline_main_cf}
    if paper:
        _only(dialled, "a configuration is judged on paper, and nothing is dialled for it")
    else:
        _only(of_postfix, "it needs a --main-cf, or --postconf")
        _only(of_paper, "it needs a --main-cf, --postconf or --exim")
    if request.exim is not None:
        _only(of_postfix, "it is about a Postfix, and goes with --main-cf or --postconf, not with --exim")
    else:
        _only({"--tls-library": request.tls_library}, "it is about an Exim, and goes with --exim")
    if request.outbound:
        _only(of_inbound, "with --outbound partners of the store are judged, and not our own server")
    else:
        _only(of_outbound, "it goes with --outbound; our own server is compared with --baseline-store and the like")
    if paper and not request.outbound:
        what = "a main.cf" if postfix else "an Exim's configuration"
        _only({"--config": request.configuration}, f"{what} is judged by itself, and not a group of probes.toml")
        if len(request.next_hops) > 1:
            raise InvalidSetting("NEXT_HOP", f"{what} is for one server, which one name is enough for")
    if request.service is not None and request.master_cf is None:
        raise InvalidSetting("--service", "it needs a --master-cf")
    baselines = [request.baseline, request.baseline_store, request.baseline_live]
    if sum(each is not None for each in baselines) > 1:
        raise InvalidSetting("--baseline", "one baseline at a time: --baseline, --baseline-store or --baseline-live")
    if (request.groups or request.configuration is not None) and (
        request.next_hops or request.connect or request.known_as is not None
    ):
        raise InvalidSetting("--group", "its next-hops are those of probes.toml; check others by themselves")


def _only(given: Mapping[str, object], problem: str) -> None:
    for name, value in given.items():
        if value:
            raise InvalidSetting(name, problem)


def _run(request: Request) -> CheckReport:
    if request.outbound:
        from mxprobe.cli.checking.outbound import check_outbound

        return check_outbound(request)
    if request.exim is not None:
        from mxprobe.cli.checking.exim_paper import check_exim

        return check_exim(request)
    if request.main_cf is not None or request.postconf is not None:
        from mxprobe.cli.checking.postfix_paper import check_paper

        return check_paper(request)
    from mxprobe.cli.checking.live import check_live

    return check_live(request)


def _written(text: str) -> tuple[CheckFormat, Path]:
    """``FORMAT=FILE``, in a directory that is there: what a long check found must not be lost for a typing mistake."""
    name, equals, file = text.partition("=")
    if not equals or not file:
        raise InvalidSetting("--write", f"{text!r} is not FORMAT=FILE", ", ".join(f"{f}=FILE" for f in CHECK_FORMATS))
    form, path = check_format(name, "--write"), Path(file)
    if path.is_dir():
        raise InvalidSetting("--write", f"{path} is a directory")
    if not path.parent.is_dir():
        raise InvalidSetting("--write", f"there is no directory {path.parent} for {path.name}")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise InvalidSetting("--write", f"{path.parent} is not a directory that we may write to")
    return form, path


def _write(path: Path, text: str) -> None:
    """The whole file or none: who reads it at the wrong time finds the old one.

    A link or a device, such as /dev/stdout, is written to and not replaced.
    """
    try:
        if path.is_symlink() or (path.exists() and not path.is_file()):
            path.write_text(text, encoding="utf-8")
            return
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as file:
            try:
                file.write(text)
                os.fchmod(file.fileno(), 0o666 & ~_umask())
                file.close()
                Path(file.name).replace(path)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise InvalidSetting("--write", f"{path} cannot be written: {error.strerror or error}") from error


def _umask() -> int:
    now = os.umask(0o077)
    os.umask(now)
    return now
