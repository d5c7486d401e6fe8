"""`mxprobe profile record` and `profile show`, as their users meet them."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from acceptance.command import PATIENCE_SECONDS, command, complaint, environment, mxprobe
from mxprobe.mta.profile_file import read_sender
from servers.running import output_of
from servers.sending import command_sends


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """The command while it listens."""

    process: subprocess.Popen[str]
    first: str
    port: int

    def end(self) -> tuple[int, str, str]:
        """Exit code, standard output and standard error, once it ends."""
        out, err = self.process.communicate(timeout=PATIENCE_SECONDS)
        return self.process.returncode, out, err


@contextmanager
def recording(*arguments: str | Path) -> Iterator[Listening]:
    process = subprocess.Popen(
        command("profile", "record", *arguments),
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        said = ""
        while (found := re.search(r"listening on (\S+):(\d+)\n", said)) is None:
            line = process.stderr.readline()
            assert line, said
            said += line
        yield Listening(process=process, first=said, port=int(found[2]))
    finally:
        process.kill()
        process.communicate()


def by_openssl(port: int, *options: str) -> None:
    command_sends("openssl", "s_client", "-connect", f"127.0.0.1:{port}", *options)


def test_a_client_is_recorded_into_a_file_that_can_be_shown(tmp_path: Path) -> None:
    path = tmp_path / "ours.json"
    arguments = ("--output", path, "--software", "OpenSSL, the program", "--client", "openssl s_client -tls1_2")
    with recording(*arguments) as listening:
        by_openssl(listening.port, "-starttls", "smtp", "-tls1_2", "-cipher", "AES128-GCM-SHA256:AES256-SHA")
        code, out, err = listening.end()
    assert (code, out) == (0, "")
    assert re.search(rf"recorded \d+ bytes from 127.0.0.1 in {path}\n\Z", err)

    sender = read_sender(path.read_text(), str(path))
    assert (sender.name, sender.kind, sender.software) == ("ours", "recorded", "OpenSSL, the program")
    assert (sender.command, sender.peer) == ("openssl s_client -tls1_2", "127.0.0.1")
    # The name that s_client gives in EHLO, s_client(1).
    assert sender.ehlo == "mail.example.com"
    assert sender.profile.suites == (0x009C, 0x0035)

    shown = mxprobe("profile", "show", path)
    assert shown.code == 0
    for words in ("ours software", "OpenSSL, the program", "AES128-GCM-SHA256, AES256-SHA", "TLSv1 to TLSv1.2"):
        assert words in shown.words
    (document,) = mxprobe("profile", "show", path, "--format", "ndjson").lines
    assert document.pop("age_days") == 0
    assert document == json.loads(path.read_text())


def test_without_a_file_the_profile_is_the_output() -> None:
    with recording("--name", "test", "--minimum", "TLSv1.2") as listening:
        by_openssl(listening.port, "-starttls", "smtp", "-tls1_2")
        code, out, _ = listening.end()
    assert code == 0
    sender = read_sender(out, "output")
    assert sender.profile.protocols == ("TLSv1.2",)
    assert sender.protocols_from == "--minimum TLSv1.2"


def test_a_minimum_that_the_hello_contradicts_is_left_out_and_said() -> None:
    with recording("--minimum", "SSLv2") as listening:
        by_openssl(listening.port, "-starttls", "smtp")
        code, out, err = listening.end()
    assert code == 0
    assert read_sender(out, "output").protocols_from == ""
    assert "--minimum SSLv2 is left out: " in err


def test_tls_from_the_first_byte_is_recorded() -> None:
    with recording("--smtps") as listening:
        by_openssl(listening.port)
        code, out, _ = listening.end()
    assert code == 0
    expected = output_of("openssl", "ciphers", "-s").strip().split(":")
    assert json.loads(out)["suites"] == expected
    assert json.loads(out)["source"] == "mxprobe profile record --smtps"


def test_nobody_coming_is_could_not_tell() -> None:
    with recording("--timeout", "1") as listening:
        code, out, err = listening.end()
    assert (code, out) == (3, "")
    assert err == "no hello came: none within 1 s, or of 100 connections\n"


def test_what_a_client_says_of_itself_is_made_harmless() -> None:
    from smtplib import SMTP, SMTPServerDisconnected

    with recording() as listening:
        with SMTP("127.0.0.1", listening.port) as session:
            session.docmd("EHLO", "\x1b]0;title\x07" + "x" * 1000)
            session.docmd("STARTTLS")
            assert session.sock is not None
            session.sock.sendall(b"\x1b[2J\r\n")
            with pytest.raises(SMTPServerDisconnected):
                session.getreply()
            session.close()
        by_openssl(listening.port, "-starttls", "smtp")
        code, out, err = listening.end()
    assert code == 0
    assert "no ClientHello" in err
    assert (listening.first + err + out).replace("\n", "").isprintable()


def test_a_public_address_is_warned_about() -> None:
    with recording("--listen", "0.0.0.0:0", "--timeout", "1") as listening:
        assert listening.first.startswith("warning: 0.0.0.0 may be reached from other machines")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--listen", "mx.example.com:25"), "--listen: 'mx.example.com' is not an address"),
        (("--listen", "127.0.0.1:99999"), "--listen: '99999' is not a port"),
        (("--listen", "127.0.0.1:x"), "--listen: 'x' is not a port"),
        (("--listen", "[::1"), "--listen: '[::1' is not an address and port"),
        (("--listen", "[::1]25"), "--listen: '[::1]25' is not an address and port"),
        (("--listen", "192.0.2.1:0"), "--listen: cannot listen on 192.0.2.1 port 0"),
        (("--name", "../x"), "--name: '../x' cannot be a name"),
        (("--name", ""), "--name: '' cannot be a name"),
        (("--software", "a\nb"), "--software: it is not one line"),
        (("--client", "x" * 5000), "--client: 5000 characters are too many"),
        (("--minimum", "TLSv9"), "--minimum: 'TLSv9' is not a protocol"),
        (("--output", "/dev/null"), "--output: /dev/null exists"),
        (("--output", "/nonexistent/x.json"), "--output: /nonexistent is not a directory"),
        (("--timeout", "0"), "--timeout"),
        (("--connections", "0"), "--connections"),
    ],
)
def test_wrong_usage_is_said_before_anybody_can_connect(arguments: tuple[str, ...], said: str) -> None:
    assert said in complaint(mxprobe("profile", "record", *arguments))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read: No such file"),
        (b"\xff\xfe", "it is not UTF-8"),
        (b"{", "line 1: not JSON"),
        (b"{}", "schema: "),
    ],
)
def test_a_file_that_is_no_profile_is_said_with_its_name(content: bytes | None, said: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    if content is not None:
        path.write_bytes(content)
    line = complaint(mxprobe("profile", "show", path))
    assert line.startswith(f"mxprobe: {path}: ")
    assert said in line


def test_a_sender_can_be_shown_and_an_unknown_one_names_what_is_near() -> None:
    assert "TLSv1.2" in mxprobe("profile", "show", "gmail-2019").words
    assert "gmail-2019" in complaint(mxprobe("profile", "show", "gmail"))
    assert "--format" in complaint(mxprobe("profile", "show", "gmail-2019", "--format", "xml"))
    assert "is a directory" in complaint(mxprobe("profile", "show", "/tmp")).lower()
