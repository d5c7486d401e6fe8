"""Makes `src/mxprobe/tls/openssl/*.tsv`, the catalogues of the package, out of those that `data/openssl/` keeps.

    python tools/make_openssl.py            writes the files
    python tools/make_openssl.py --check    exits 1 when a file is not what the data would make

One file for each OpenSSL, so that a command reads only the one it is about. Rows stay in the order of the data; the
TLS 1.3 suites that an OpenSSL takes only when asked follow those that it offers by itself.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "data" / "openssl"
TARGET = ROOT / "src" / "mxprobe" / "tls" / "openssl"

GENERATIONS = {"1.0.2": False, "1.1.1": True, "3.0": True}
"""Each OpenSSL, and whether it has the suites of `tls13-on-request.tsv`."""

COLUMNS = ("id", "name", "protocol", "kx", "au", "enc", "mac", "bits", "classes", "extra")


def generate(generation: str, data: Path = DATA) -> str:
    """The catalogue of one OpenSSL as the package has it.

    Raises:
        KeyError: a row without a column that the package needs.
    """
    rows = _rows(data / f"openssl-{generation}.tsv")
    if GENERATIONS[generation]:
        first = sum(row["protocol"] == "TLSv1.3" for row in rows)
        rows[first:first] = _rows(data / "tls13-on-request.tsv")
    lines = ["# Made by tools/make_openssl.py from data/openssl/; not to be edited.", "\t".join(COLUMNS)]
    lines += ["\t".join(row[column] for column in COLUMNS) for row in rows]
    return "\n".join(lines) + "\n"


def stale() -> list[Path]:
    """The files in the package that are not what the data makes."""
    return [path for generation, path in _targets() if not _is(path, generate(generation))]


def main(arguments: list[str]) -> int:
    if arguments == ["--check"]:
        for path in stale():
            print(f"{path.relative_to(ROOT)} is stale: run python tools/make_openssl.py", file=sys.stderr)
        return 1 if stale() else 0
    if arguments:
        print("usage: make_openssl.py [--check]", file=sys.stderr)
        return 2
    TARGET.mkdir(exist_ok=True)
    for generation, path in _targets():
        path.write_text(generate(generation), encoding="utf-8")
    return 0


def _targets() -> list[tuple[str, Path]]:
    return [(generation, TARGET / f"{generation}.tsv") for generation in GENERATIONS]


def _is(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


def _rows(path: Path) -> list[dict[str, str]]:
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    columns = lines[0].split("\t")
    return [dict(zip(columns, line.split("\t"), strict=True)) for line in lines[1:]]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
