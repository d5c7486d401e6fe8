"""main.cf is read, and its expressions evaluated, as postconf(1) of this machine does it."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxprobe.errors import InvalidSetting
from mxprobe.mta.postfix.configuration import read_main_cf, read_postconf_n
from mxprobe.mta.postfix.defaults import READ, Parameters, default
from mxprobe.mta.postfix.services import read_master_cf
from mxprobe.mta.postfix.version import parse_version
from servers.running import output_of, program

NAMES = ("smtpd_banner", "smtp_helo_name", "mail_name")
"""Parameters that postconf(1) shows whatever they hold; names that are not set have no default of interest."""

BASE = "compatibility_level = 3.6\nmyhostname = mx.test\nmydomain = test\n"


@pytest.fixture(scope="module")
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="mxprobe-postconf-") as made:
        (Path(made) / "master.cf").write_text("")
        yield Path(made)


def printed(directory: Path, text: str, *options: str) -> str | None:
    """What postconf(1) prints for a main.cf; None where it stops."""
    file = directory / "main.cf"
    file.write_bytes(text.encode())
    # postconf(1) reads a file again while it could still be being written.
    os.utime(file, (0, 0))
    with (
        (directory / "printed").open("w+b") as output,
        subprocess.Popen(
            [program("postconf", "postfix"), "-c", directory, *options], stdout=output, stderr=subprocess.PIPE
        ) as postconf,
    ):
        assert postconf.stderr is not None
        for line in postconf.stderr:
            if b": fatal: " in line:
                # It sleeps for a second between its last word and its end.
                postconf.kill()
                return None
        postconf.wait(30)
        output.seek(0)
        return None if postconf.returncode else output.read().decode()


words = st.sampled_from(["x", "yy", "10", "9", "", " ", "{", "}", "(", ")", "?", ":", "==", "<", "$$", "a b", "3.6"])
names = st.sampled_from(["first_macro", "second_macro", "third_macro", "never_set", "9x", ""])


def _expressions(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    operators = st.sampled_from(["==", "!=", "<", "<=", ">", ">=", " == ", "=", "<level ", ">=level", "<banana"])
    gaps = st.sampled_from(["", " "])
    return st.one_of(
        names.map(lambda name: f"${name}"),
        names.map(lambda name: f"${{{name}}}"),
        names.map(lambda name: f"$({name})"),
        st.builds(lambda name, a: f"${{{name}?{a}}}", names, inner),
        st.builds(lambda name, a: f"${{{name}:{a}}}", names, inner),
        st.builds(
            lambda name, gap, a, b: f"${{{name}{gap}?{gap}{{{a}}}{gap}:{gap}{{{b}}}}}", names, gaps, inner, inner
        ),
        st.builds(
            lambda a, o, b, gap, c, d: f"${{{{{a}}}{o}{{{b}}}{gap}?{{{c}}}{gap}:{{{d}}}}}",
            inner,
            operators,
            inner,
            gaps,
            inner,
            inner,
        ),
        st.builds(lambda a, o, b: f"${{{{{a}}}{o}{{{b}}}}}", inner, operators, inner),
        st.builds(lambda a, b: a + b, inner, inner),
        st.builds(lambda a: f"${{{a}", inner),
    )


values = st.recursive(words, _expressions, max_leaves=8)


@settings(max_examples=120, deadline=None)
@given(banner=values, first=values, second=values, third=values)
def test_expressions_come_to_what_postconf_makes_of_them(
    directory: Path, banner: str, first: str, second: str, third: str
) -> None:
    macros = f"first_macro = {first}\nsecond_macro = {second}\nthird_macro = {third}\n"
    text = f"{BASE}smtpd_banner = {banner}\n{macros}"
    expected = printed(directory, text, "-xh", "smtpd_banner")
    try:
        found, problem = read_main_cf(text).get("smtpd_banner"), ""
    except InvalidSetting as error:
        found, problem = None, str(error)
    if expected is None:
        assert problem
    elif problem:
        # An expression that is never closed is an error here even where nothing refers to it.
        assert "never closed" in problem
    else:
        assert (found or "").split() == expected.split()


lines = st.one_of(
    st.builds(
        lambda name, before, after, value: f"{name}{before}={after}{value}",
        st.sampled_from(NAMES),
        st.sampled_from(["", " ", "\t "]),
        st.sampled_from(["", " ", "\t"]),
        st.sampled_from(["", "x", "x y", "a = b", "# no comment", "x \t", "x\r"]),
    ),
    st.sampled_from(
        ["", " ", "\t", "# smtpd_banner = no", "  # comment", "  more", "\tmore = text", "alone", "= x", "a"]
    ),
)


@settings(max_examples=120, deadline=None)
@given(written=st.lists(lines, max_size=8), ends=st.booleans())
def test_lines_are_read_as_postconf_reads_them(directory: Path, written: list[str], ends: bool) -> None:
    text = BASE + "\n".join(written) + ("\n" if ends and written else "")
    expected = printed(directory, text, "-h", *NAMES)
    try:
        configuration = read_main_cf(text)
    except InvalidSetting:
        assert expected is None
        return
    assert expected is not None
    shown = dict(zip(NAMES, expected.split("\n"), strict=False))
    for name in NAMES:
        value = configuration.written(name)
        if value is not None:
            # postconf(1) shows one blank for the white space before a continuation.
            assert value.split() == shown[name].split()


def test_what_postconf_n_prints_is_read_as_the_same_settings(directory: Path) -> None:
    text = (
        f"{BASE}smtpd_tls_security_level = may\nsmtpd_tls_ciphers = high\n# no\nsmtpd_banner = $myhostname\n  ESMTP\n"
    )
    folded = printed(directory, text, "-nf")
    assert folded is not None
    for shown in (printed(directory, text, "-n"), folded):
        assert shown is not None
        read = read_postconf_n(shown)
        assert read.written("smtpd_tls_ciphers") == "high"
        assert (read.written("smtpd_banner") or "").split() == ["$myhostname", "ESMTP"]


def test_the_defaults_are_those_of_this_postfix() -> None:
    version = parse_version(output_of(program("postconf", "postfix"), "-dh", "mail_version"))
    for name in dict.fromkeys(name for names in READ.values() for name in names):
        if name == "tls_ffdhe_auto_groups" and version < (3, 8, 0):
            continue
        shown = output_of(program("postconf", "postfix"), "-dh", name).strip()
        assert (default(name, version, "3.0") or "").split() == shown.split(), name


def test_references_to_defaults_are_evaluated_as_postconf_does(directory: Path) -> None:
    text = (
        f"{BASE}smtp_tls_mandatory_protocols = $smtp_tls_protocols, !TLSv1\nsmtpd_tls_key_file = x$smtpd_tls_ciphers\n"
    )
    version = parse_version(output_of(program("postconf", "postfix"), "-dh", "mail_version"))
    parameters = Parameters(configuration=read_main_cf(text), postfix=version, openssl="3.0")
    for name in ("smtp_tls_mandatory_protocols", "smtpd_tls_key_file"):
        shown = printed(directory, text, "-xh", name)
        assert shown is not None
        assert parameters.text(name) == shown.strip()


def test_services_have_the_overrides_that_postconf_shows(directory: Path) -> None:
    master_cf = (
        "smtp inet n - y - - smtpd -v -o smtpd_tls_security_level=may\n"
        "# comment\n  -o { smtpd_tls_ciphers = high }\n\n"
        "submission inet n - y - - /usr/lib/postfix/sbin/smtpd\n  -o syslog_name=postfix/submission\n"
        "  -osmtpd_tls_security_level=encrypt -o {smtpd_tls_mandatory_protocols = >=TLSv1.2, !TLSv1.3}\n"
        "relay unix - - y - - smtp\n        -o smtp_tls_security_level=$x\n"
    )
    (directory / "master.cf").write_text(master_cf)
    shown = printed(directory, BASE, "-P")
    (directory / "master.cf").write_text("")
    assert shown is not None
    expected = {}
    for line in shown.splitlines():
        name, _, value = line.partition(" = ")
        service, _, parameter = name.rpartition("/")
        expected[service, parameter] = value.strip()
    found = {
        (str(service), setting.name): setting.value
        for service in read_master_cf(master_cf)
        for setting in service.overrides
    }
    assert found == expected
