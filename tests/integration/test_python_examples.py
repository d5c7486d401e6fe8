"""The examples of docs/python.md run as they are, against a real server."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from servers.openssl_server import openssl_server
from servers.smtp_front import smtp_front

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "python.md").read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r"^## ([^\n]*)\n(?:(?!^## ).)*?```python\n(.*?)```", PAGE, re.MULTILINE | re.DOTALL))

SAYS = {
    "Probe one next-hop": "127.0.0.1 works",
    "Say how": "yes TLS_AES_",
    "Many next-hops, as results come": "TLSv1.3",
    "Errors": "the bracket is not closed",
    "JSON": '"schema": "mxprobe/1"',
}
"""A part of what each example prints."""


@pytest.fixture(scope="module")
def ports() -> Iterator[tuple[int, int]]:
    with openssl_server() as server, smtp_front(server) as one, smtp_front(server) as other:
        yield one.port, other.port


def test_every_example_is_known_here() -> None:
    assert EXAMPLES.keys() == SAYS.keys()
    assert PAGE.count("```python") == len(SAYS)


@pytest.mark.parametrize("title", SAYS)
def test_an_example_runs_and_prints_what_it_is_for(title: str, ports: tuple[int, int]) -> None:
    program = EXAMPLES[title].replace(":2525", f":{ports[0]}").replace(":2526", f":{ports[1]}")
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert SAYS[title] in done.stdout
