"""Reading an Exim configuration: what counts, what cannot be told from the file, what is a mistake and where."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxprobe.errors import InvalidSetting
from mxprobe.mta.exim.configuration import Configuration, Setting, literal, read_exim
from mxprobe.mta.exim.lines import Library
from mxprobe.mta.exim.server import certificate_files, exim_list


def read(text: str, files: Mapping[str, str] | None = None, library: Library = "openssl") -> Configuration:
    return read_exim(text, "/etc/exim.conf", lambda name: (files or {}).get(name), library=library)


TWO = "begin transports\none:\n driver = smtp\n tls_require_ciphers = A\ntwo:\n driver = smtp\nfile:\n driver = pipe\n"


def test_the_place_of_an_option_is_the_line_it_begins_on_in_the_file_that_has_it() -> None:
    text = "# main\ntls_dhparam = \\\n  none\n.include more/tls.conf\n"
    configuration = read(text, {"/etc/more/tls.conf": "\n\ntls_require_ciphers = HIGH\n"})
    assert configuration.main["tls_dhparam"] == Setting(value="none", where="/etc/exim.conf: line 2")
    assert configuration.main["tls_require_ciphers"].where == "/etc/more/tls.conf: line 3"


def test_the_library_decides_what_is_built_in() -> None:
    text = ".ifdef _HAVE_GNUTLS\ntls_require_ciphers = NORMAL\n.else\ntls_require_ciphers = HIGH\n.endif\n"
    assert read(text, library="gnutls").main["tls_require_ciphers"].value == "NORMAL"
    assert read(text, library="openssl").main["tls_require_ciphers"].value == "HIGH"


@pytest.mark.parametrize(
    "text",
    [
        ".ifdef _HAVE_DANE\ntls_require_ciphers = HIGH\n.endif",
        ".ifndef _OPT_MAIN_TLS_ALPN\ntls_require_ciphers = HIGH\n.endif",
        ".ifdef _HAVE_DANE\nCC = HIGH\n.else\nCC = LOW\n.endif\ntls_require_ciphers = CC",
        ".ifdef _HAVE_DANE\ntls_require_ciphers = HIGH\n.else\ntls_require_ciphers = LOW\n.endif",
    ],
)
def test_what_depends_on_how_exim_was_built_cannot_be_told(text: str) -> None:
    setting = read(text).main["tls_require_ciphers"]
    with pytest.raises(
        InvalidSetting, match=r"/etc/exim.conf: line \d: whether tls_require_ciphers is set depends on _"
    ):
        literal(setting, "tls_require_ciphers")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("${if eq{$received_port}{25}{NORMAL}{PFS}}", "'${if '"),
        ("NORMAL:$tls_sni", "'$tls_sni'"),
        ("${lookup{a}lsearch{/x}}", "'${lookup{'"),
        ("a$", "'$'"),
        ("$1", "'$1'"),
    ],
)
def test_an_expansion_that_needs_a_running_exim_is_named_with_the_ways_out(value: str, shown: str) -> None:
    with pytest.raises(InvalidSetting) as raised:
        literal(Setting(value=value, where="exim.conf: line 7"), "tls_require_ciphers")
    said = str(raised.value)
    assert said.startswith(f"exim.conf: line 7: tls_require_ciphers holds {shown}, which cannot be told from the file")
    assert "exim -be" in said


def test_one_of_several_unlike_transports_has_to_be_named() -> None:
    configuration = read(TWO)
    with pytest.raises(InvalidSetting, match=r"/etc/exim.conf: its smtp transports differ in TLS.*allowed: one, two"):
        configuration.transport()
    assert configuration.transport("two").name == "two"
    alike = TWO.replace(" tls_require_ciphers = A\n", "")
    assert read(alike).transport().name == "one"


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        (TWO, "three", "/etc/exim.conf: there is no transport 'three' (allowed: one, two)"),
        (TWO, "file", "/etc/exim.conf: line 7: transport 'file' has the driver 'pipe', and does no TLS"),
        ("", "one", "/etc/exim.conf: there is no transport 'one' (allowed: none has driver = smtp)"),
        ("", None, "/etc/exim.conf: no transport has driver = smtp"),
    ],
)
def test_a_transport_that_is_not_there_or_does_no_tls_is_a_mistake(text: str, name: str | None, said: str) -> None:
    with pytest.raises(InvalidSetting) as raised:
        read(text).transport(name)
    assert str(raised.value).startswith(said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (".include /etc/none", "line 1: it includes /etc/none, which is not there"),
        ("\n.ifdef A\n", "line 2: this condition is never closed (allowed: .endif)"),
        ("tls_require_ciphers = \"A", "line 1: the quote of 'tls_require_ciphers' is not closed"),
        ("tls_require_cipher = A", "line 1: 'tls_require_cipher' is not a main option; did you mean 'tls_require_c"),
        ("tls_dhparam = a\n\ntls_dhparam = b", "line 3: 'tls_dhparam' is set for the second time, after /etc/exim"),
        ("tls_dhparam", "line 1: there is no value after 'tls_dhparam' (allowed: tls_dhparam = value)"),
        ("A = b\nA = c", "line 2: macro 'A' is already defined (allowed: == to define it again)"),
        ("begin transport\nt:\n", "line 2: transport 't' has no driver (allowed: driver = smtp)"),
        ("a\0", "line 1: there is a NUL byte"),
        ("<html>", "line 1: an option was expected, found '<html>'"),
        (".include /etc/exim.conf", "line 1: more than 100 files include one another"),
        ("A = " + 99 * "x" + "\nB = " + 400 * "A" + "\nC = BBB\ntls_dhparam = CC", "line 3: with its macros, the li"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_file_and_line(text: str, said: str) -> None:
    with pytest.raises(InvalidSetting) as raised:
        read(text, {"/etc/exim.conf": text})
    assert str(raised.value).startswith(f"/etc/exim.conf: {said}")


def test_an_include_that_cannot_be_read_is_told_where_it_is_included() -> None:
    def unreadable(name: str) -> str | None:
        raise InvalidSetting(name, "cannot be read: Permission denied")

    with pytest.raises(InvalidSetting) as raised:
        read_exim("\n.include /etc/secret", "exim.conf", unreadable, library="gnutls")
    assert str(raised.value) == "exim.conf: line 2: it includes /etc/secret: cannot be read: Permission denied"


def test_certificates_and_keys_are_paired_as_exim_pairs_them() -> None:
    assert certificate_files(read("tls_certificate = /a.pem : /b.pem")) == (("/a.pem", "/a.pem"), ("/b.pem", "/b.pem"))
    both = "tls_certificate = /a.pem : /b.pem\ntls_privatekey = /a.key"
    assert certificate_files(read(both)) == (("/a.pem", "/a.key"), ("/b.pem", "/b.pem"))
    assert certificate_files(read("")) == ()
    with pytest.raises(InvalidSetting, match="line 2: tls_privatekey names more files"):
        certificate_files(read("tls_certificate = /a.pem\ntls_privatekey = /a.key : /b.key"))


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("a : b:c ", ("a", "b", "c")),
        ("<; ::1 ; 2001:db8::1", ("::1", "2001:db8::1")),
        ("a::b : c", ("a:b", "c")),
        ("", ()),
    ],
)
def test_a_list_has_the_items_that_exim_finds_in_it(text: str, items: tuple[str, ...]) -> None:
    assert exim_list(text) == items


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda data: data.decode("latin-1")))
def test_whatever_is_in_a_file_it_is_read_or_refused_in_one_line(text: str) -> None:
    said = "/etc/exim.conf"
    try:
        configuration = read(text)
        for name, setting in configuration.main.items():
            literal(setting, name)
        configuration.transport()
    except InvalidSetting as error:
        said = str(error)
    assert said.startswith("/etc/exim.conf")
    assert "\n" not in said
