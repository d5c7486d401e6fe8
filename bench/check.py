"""What a check on paper costs, next to `openssl ciphers` and `mxprobe --version` in the same minute.

``python bench/check.py [--partners 10000] [--runs 5]``, as root (Postfix needs it, for the facts of a real server).
Prints a table of promises; times are medians, and the machine's. Peak memory is that of the larger of two processes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from partners import make_store, real_facts
from tools import FIGURES, MXPROBE, figure, measured

from mxprobe.probing.settings import Depth
from mxprobe.tls.cipher_strings import cipher_list
from mxprobe.tls.openssl_catalogue import catalogue
from servers.running import certificate, program

STRING = (
    "ALL:+RC4:@STRENGTH:!aNULL:!LOW:!EXP:!MEDIUM:!ADH:!AECDH:!MD5:!DSS:!ECDSA:!CAMELLIA128:!3DES:!CAMELLIA256"
    ":!RSA+AES:!eNULL"
)
SUITES = [known.name for known in catalogue("3.0").values() if known.protocol != "TLSv1.3"]
LONG = ":".join(["ALL", *(f"{sign}{name}" for name in SUITES * 2 for sign in ("-", ""))][:500])
"""Suites are taken out, and put at the end: five hundred words."""

DEPTHS: tuple[Depth, ...] = ("full", "everything")
KINDS = (50, None)
"""Kinds of server among the partners: as many as a store has, and a new one for each."""


def seconds(work: Callable[[], object], times: int) -> float:
    """The median of what it takes."""
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return median(taken)


def strings(runs: int) -> Iterator[str]:
    openssl = str(program("openssl", "openssl"))
    for string in (STRING, LONG):
        cipher_list(string, "3.0")
        ours = seconds(partial(cipher_list, string, "3.0"), 50)
        command = [openssl, "ciphers", string]
        theirs = seconds(partial(subprocess.run, command, capture_output=True, check=False), runs)
        yield figure(
            f"a cipher string of {string.count(':') + 1} words, over a run of `openssl ciphers`",
            "under 5 ms",
            f"{ours * 1000:.2f} ms, {ours / theirs:.2f} of {theirs * 1000:.0f} ms",
            ours < 0.005,
        )


def on_paper(directory: Path, runs: int) -> Iterator[str]:
    chain = directory / "fullchain.pem"
    chain.write_bytes(certificate("RSA").chain_pem)
    main_cf = directory / "main.cf"
    main_cf.write_text(f"smtpd_tls_security_level = may\nsmtpd_tls_chain_files = {chain}\n")
    options = ["--main-cf", str(main_cf), "--postfix", "3.7", "--openssl", "3.0", "--cert", str(chain)]
    command = [MXPROBE, "check", *options, "--sender", "all"]
    spent = [measured(command, directory / "output") for _ in range(runs)]
    version = median(measured([MXPROBE, "--version"], directory / "output")["seconds"] for _ in range(runs))
    wall, cpu = median(each["seconds"] for each in spent), median(each["cpu_seconds"] for each in spent)
    yield figure(
        "`check --main-cf` with all senders, over `--version`",
        "under 0.5 s",
        f"{wall:.2f} s, {wall / version:.1f} of {version:.2f} s; {cpu:.2f} s CPU",
        wall < 0.5,
    )


def outbound(directory: Path, partners: int, runs: int) -> Iterator[str]:
    main_cf = directory / "main.cf"
    main_cf.write_text("smtp_tls_security_level = may\nsmtp_tls_exclude_ciphers = kRSA, RC4\n")
    for depth, kinds in product(DEPTHS, KINDS):
        store = directory / "partners.db"
        store.unlink(missing_ok=True)
        make_store(store, real_facts(depth), partners=partners, kinds=kinds or partners)
        options = ["--main-cf", str(main_cf), "--postfix", "3.7", "--openssl", "3.0", "--store", f"sqlite:///{store}"]
        for form in ("text", "json"):
            command = [MXPROBE, "check", "--outbound", *options, "--format", form]
            spent = [measured(command, directory / "output") for _ in range(runs)]
            wall, cpu = median(each["seconds"] for each in spent), median(each["cpu_seconds"] for each in spent)
            peak = max(each["peak_bytes"] for each in spent)
            yield figure(
                f"`check --outbound`, {partners} partners, {depth}, {kinds or 'as many'} kinds of server, {form}",
                "under 2 s and 200 MB",
                f"{wall:.2f} s, {partners / wall:.0f} partners/s; {cpu:.2f} s CPU; {peak / 1e6:.0f} MB",
                wall < 2 and 2 * peak < 200e6,
            )
        found = json.loads((directory / "output").read_text())
        assert len(found["checks"]) > partners


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--partners", type=int, default=10000)
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        print("load:", Path("/proc/loadavg").read_text().strip())
        for line in FIGURES:
            print(line)
        for lines in (
            strings(given.runs),
            on_paper(directory, given.runs),
            outbound(directory, given.partners, given.runs),
        ):
            for line in lines:
                print(line, flush=True)


if __name__ == "__main__":
    main()
