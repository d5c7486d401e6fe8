"""What evaluating a cipher list costs, in runs of `openssl ciphers`, and whether both say the same.

    .venv/bin/python bench/ciphers.py

The lists are the recorded ones of the tests. Ours is timed in one process, for each generation; what the first list
costs on top, reading the catalogue, is told apart. Both commands are timed from start to end, on one list.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from tools import MXPROBE

from mxprobe.errors import InvalidCipherString
from mxprobe.tls.cipher_strings import cipher_list, default_ciphersuites
from mxprobe.tls.openssl_catalogue import GENERATIONS, Generation, catalogue

LISTS = Path(__file__).resolve().parent.parent / "tests" / "data" / "openssl"


def main() -> None:
    strings = [
        json.loads(line)["string"]
        for file in ("cipher-strings.jsonl", "more-cipher-strings.jsonl")
        for line in (LISTS / file).read_text(encoding="utf-8").splitlines()
    ]
    first = {openssl: _milliseconds(lambda openssl=openssl: _ours("ALL", openssl)) for openssl in GENERATIONS}
    times = {openssl: [_milliseconds(lambda s=s, o=openssl: _ours(s, o)) for s in strings] for openssl in GENERATIONS}
    theirs = [_milliseconds(lambda s=s: _theirs(s)) for s in strings]
    same = sum(_ours(string, "3.0") == _theirs(string) for string in strings)
    print(f"{len(strings)} lists; {same} of them as `openssl ciphers` has them\n")
    print("| OpenSSL | first list ms | median ms | slowest ms | lists a run of openssl ciphers |")
    print("|---|---|---|---|---|")
    for openssl in GENERATIONS:
        typical = median(times[openssl])
        print(
            f"| {openssl} | {first[openssl]:.1f} | {typical:.3f} | {max(times[openssl]):.2f} "
            f"| {median(theirs) / typical:.0f} |"
        )
    commands = {name: median(_milliseconds(lambda c=c: _run(c)) for _ in range(9)) for name, c in _COMMANDS.items()}
    ratio = commands["mxprobe ciphers"] / commands["openssl ciphers"]
    print(f"\nmxprobe ciphers ALL: {commands['mxprobe ciphers']:.0f} ms, {ratio:.0f} x openssl ciphers ALL")


def _ours(string: str, openssl: Generation) -> list[str] | None:
    try:
        found = cipher_list(string, openssl).suites
    except InvalidCipherString:
        return None
    return [catalogue(openssl)[number].name for number in (*default_ciphersuites(openssl), *found)]


def _theirs(string: str) -> list[str] | None:
    done = subprocess.run(["openssl", "ciphers", "--", string], check=False, capture_output=True, text=True)
    return done.stdout.rstrip("\n").split(":") if done.returncode == 0 else None


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True)


def _milliseconds(what: Callable[[], object]) -> float:
    begun = time.perf_counter()
    what()
    return (time.perf_counter() - begun) * 1000


_COMMANDS = {"mxprobe ciphers": [MXPROBE, "ciphers", "ALL"], "openssl ciphers": ["openssl", "ciphers", "ALL"]}


if __name__ == "__main__":
    main()
