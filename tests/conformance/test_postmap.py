"""Lookup tables read from their text, next to what Postfix's own `postmap -q` finds in them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mxprobe.mta.postfix.lookup_tables import Entry, Table, TableName, lookup, open_table, table_names
from servers.running import program

TABLE = """\
# a comment
example.com         may
Upper.Example.COM   encrypt  protocols=TLSv1.2
.example.com        verify
   # a comment that begins with blanks
continued.example
    encrypt
# within a logical line

\tciphers=high
"quoted key"        none
escaped\\ key        none
[192.0.2.1]:587     secure match=a:b
trailing.example    may   \t
novalue.example
unbalanced"quote    may
duplicate.example   none
duplicate.example   may
tabbed.example\tsecure\tmatch=nexthop
last.example        fingerprint"""

KEYS = (
    "example.com",
    "EXAMPLE.com",
    "upper.example.com",
    ".example.com",
    "sub.example.com",
    "continued.example",
    '"quoted key"',
    "quoted key",
    "escaped\\ key",
    "[192.0.2.1]:587",
    "[192.0.2.1]",
    "trailing.example",
    "novalue.example",
    'unbalanced"quote',
    "duplicate.example",
    "tabbed.example",
    "last.example",
    "within",
)


@pytest.fixture(scope="module")
def configuration(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration directory, without which postmap does not start; it asks nothing of this machine's own."""
    directory = tmp_path_factory.mktemp("postfix")
    written(directory / "main.cf", "compatibility_level = 3.6\ninet_interfaces = loopback-only\n")
    return directory


def written(path: Path, text: str) -> None:
    """Write a file as if that were long ago: Postfix waits two seconds before it trusts one that just changed."""
    path.write_text(text)
    os.utime(path, (1_700_000_000, 1_700_000_000))


def postmap(configuration: Path, table: str, *keys: str) -> dict[str, str | None]:
    """What Postfix finds for each key; None where it finds nothing."""
    command = [str(program("postmap", "postfix")), "-c", str(configuration), "-q", "-", table]
    text = "".join(f"{key}\n" for key in keys)
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=30)
    assert "fatal" not in done.stderr, done.stderr
    found = dict(line.split("\t", 1) for line in done.stdout.splitlines())
    return {key: found.get(key) for key in keys}


def ours(table: str, key: str) -> str | None:
    def read(path: str) -> tuple[str, str]:
        return Path(path).read_text(), path

    found = lookup(tuple(open_table(name, read) for name in table_names(table)), key)
    assert found is None or isinstance(found, Entry), found
    return found.value if found else None


@pytest.mark.parametrize("kind", ["hash", "texthash"])
def test_a_text_gives_what_postmap_finds(kind: str, tmp_path: Path, configuration: Path) -> None:
    path = tmp_path / "tls_policy"
    # With a key twice, texthash is an error as a whole.
    written(path, TABLE if kind == "hash" else TABLE.replace("duplicate.example   may\n", ""))
    if kind == "hash":
        subprocess.run(
            [str(program("postmap", "postfix")), "-c", str(configuration), f"hash:{path}"],
            capture_output=True,
            timeout=30,
            check=True,
        )
    table = f"{kind}:{path}"

    found = {key: ours(table, key) for key in KEYS}

    assert found == postmap(configuration, table, *KEYS)
    assert found["duplicate.example"] == "none"


@pytest.mark.parametrize(
    "table",
    [
        "inline:{example.com=may}",
        "inline:{example.com=may, .example.com=none}",
        "inline:{ { example.com = encrypt protocols=TLSv1.2 }, Other.Example=may }",
        "inline:{ {example.com=secure match=a:b} {example.com=may} }",
        "static:may",
        "static:{encrypt ciphers=high}",
        "static:{  may }",
    ],
)
def test_tables_in_the_configuration_itself_give_what_postmap_finds(table: str, configuration: Path) -> None:
    keys = ("example.com", "Example.Com", ".example.com", "other.example", "absent.example")
    assert {key: ours(table, key) for key in keys} == postmap(configuration, table, *keys)


LINE = st.text(alphabet='ab.:[]# \t"\\=,\n', max_size=30)


KEYS_OF_ANY = ("a", "b", "ab", "a.b", ".b", "[a]", "[a]:b", "a:b", '"a b"', "a\\ b")


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=LINE)
def test_any_text_gives_what_postmap_finds(text: str, tmp_path: Path, configuration: Path) -> None:
    path = tmp_path / "any"
    written(path, text)
    name = TableName(type="texthash", name=str(path))
    table = open_table(name, lambda path: (Path(path).read_text(), path))
    assert isinstance(table, Table)
    if table.broken:
        return

    found = {key: ours(f"texthash:{path}", key) for key in KEYS_OF_ANY}

    assert found == postmap(configuration, f"texthash:{path}", *KEYS_OF_ANY)
