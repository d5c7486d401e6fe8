"""The jobs of examples/: their command is one that mxprobe takes, and leaves the file that the job hands on."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from xml.etree import ElementTree

import pytest

from acceptance.command import Done, mxprobe_process
from servers.certificates import Authority

ROOT = Path(__file__).parents[2]

GOOD = "smtpd_tls_security_level = may\nsmtpd_tls_chain_files = /etc/postfix/key.pem, /etc/postfix/fullchain.pem\n"
"""A main.cf that TLS 1.2 senders get on with."""

NO_TLS12 = GOOD + "smtpd_tls_protocols = TLSv1\n"
"""One that would cut them off, by its third line."""


def command_of(file: str) -> list[str]:
    """The arguments of mxprobe in a file with one call of it, folded over lines that end with its last --write."""
    found = re.search(
        r"mxprobe (check (?:(?!mxprobe check).)*?--write \S+)", (ROOT / file).read_text(encoding="utf-8"), re.DOTALL
    )
    assert found
    return shlex.split(found[1])


@pytest.fixture
def checkout(tmp_path: Path, authority: Authority) -> Path:
    """A repository with postfix/main.cf and the certificate of mx.example.org."""
    (tmp_path / "postfix").mkdir()
    (tmp_path / "postfix" / "fullchain.pem").write_bytes(authority.leaf("mx.example.org").chain_pem)
    return tmp_path


def run(file: str, checkout: Path, main_cf: str) -> Done:
    (checkout / "postfix" / "main.cf").write_text(main_cf)
    return mxprobe_process(*command_of(file), cwd=checkout)


@pytest.mark.parametrize("file", ["examples/github-actions.yml", "examples/gitlab-ci.yml", "README.md"])
def test_the_command_of_the_job_lets_a_good_file_pass(file: str, checkout: Path) -> None:
    done = run(file, checkout, GOOD)
    assert (done.code, done.err) == (0, ""), done


def test_on_github_what_would_be_lost_is_annotated_in_the_file_and_uploaded(checkout: Path) -> None:
    done = run("examples/github-actions.yml", checkout, NO_TLS12)
    assert done.code == 1, done
    assert "::error file=postfix/main.cf,line=3," in done.out
    results = json.loads((checkout / "check.sarif").read_text())["runs"][0]["results"]
    places = [result["locations"][0]["physicalLocation"] for result in results]
    assert {"artifactLocation": {"uri": "postfix/main.cf"}, "region": {"startLine": 3}} in places


def test_on_gitlab_what_would_be_lost_is_a_failed_test(checkout: Path) -> None:
    done = run("examples/gitlab-ci.yml", checkout, NO_TLS12)
    assert done.code == 1, done
    assert done.out.startswith("FAILED: ")
    failed = [case.get("classname") for case in ElementTree.parse(checkout / "check.xml").iterfind(".//failure/..")]
    assert {"require", "sender"} <= set(failed)
