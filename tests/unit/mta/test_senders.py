"""The senders that come with mxprobe: each as its file says, and as what is known of the software says."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

import mxprobe
from mxprobe.errors import InvalidSetting
from mxprobe.mta.hello import profile_of_hello
from mxprobe.mta.profile_file import profile_text
from mxprobe.mta.senders import Sender, sender, sender_names, senders
from mxprobe.tls.client_hello import decode_client_hello
from mxprobe.tls.suites import suite

DIRECTORY = Path(mxprobe.__file__).parent / "profiles" / "senders"
RECORDED = tuple(each for each in senders() if each.kind == "recorded")

POSTFIX = tuple(name for name in sender_names() if name.startswith("postfix-"))
SENDS_A_SERVER_NAME = ("curl", "gnutls", "jakarta-mail", "msmtp", "nodemailer", "openssl", "python", "s-nail")


def families(each: Sender) -> set[str]:
    """How the keys are agreed on and by whom they are signed: `ECDH/RSA`, `RSA/RSA`, `DH/None`."""
    return {f"{suite(number).key_exchange}/{suite(number).authentication}" for number in each.profile.suites}


@pytest.mark.parametrize("each", senders(), ids=lambda each: each.name)
def test_every_file_is_as_it_would_be_written(each: Sender) -> None:
    assert (DIRECTORY / f"{each.name}.json").read_text(encoding="ascii") == profile_text(each)


@pytest.mark.parametrize("each", RECORDED, ids=lambda each: each.name)
def test_every_recording_is_what_its_hello_says(each: Sender) -> None:
    profile = each.profile
    assert profile.hello is not None
    told = profile.protocols if each.protocols_from else None
    assert profile_of_hello(each.name, profile.hello, profile.source, protocols=told) == profile


@pytest.mark.parametrize("each", RECORDED, ids=lambda each: each.name)
def test_every_recording_says_of_what_version_when_and_by_which_command(each: Sender) -> None:
    assert each.date >= date(2026, 11, 20)
    assert any(character.isdigit() for character in each.software)
    assert each.command
    assert each.source


@pytest.mark.parametrize("each", RECORDED, ids=lambda each: each.name)
def test_the_versions_of_an_older_hello_are_known_from_elsewhere(each: Sender) -> None:
    assert each.profile.hello is not None
    assert bool(each.protocols_from) == (decode_client_hello(each.profile.hello).versions is None)


@pytest.mark.parametrize("each", senders(), ids=lambda each: each.name)
def test_what_is_documented_has_a_source_and_no_hello(each: Sender) -> None:
    if each.kind == "documented":
        assert each.source
        assert each.profile.hello is None
    assert each.profile.complete == (not each.incomplete)


def test_gmail_of_2019_is_what_its_document_says_and_no_more() -> None:
    gmail = sender("gmail-2019")
    assert gmail.kind == "documented"
    assert gmail.profile.protocols == ("TLSv1.2",)
    assert families(gmail) == {"RSA/RSA"}
    assert {suite(number).encryption for number in gmail.profile.suites} == {"AESGCM(128)", "AESGCM(256)"}
    assert (gmail.profile.groups, gmail.profile.signature_schemes) == (None, None)
    assert not gmail.profile.complete
    assert gmail.profile.without == ("DHE",)


@pytest.mark.parametrize(
    "name",
    [
        *("postfix-2.6-openssl-1.0.1", "postfix-2.11-openssl-1.0.1", "postfix-2.11-openssl-1.0.2"),
        *("postfix-3.4-openssl-1.1.1", "postfix-3.7-openssl-3.0", "postfix-3.9-openssl-3.0"),
        *("exim-4.96-gnutls-3.7", "opensmtpd-6.8-openssl-3.0", "sendmail-8.17-openssl-3.0"),
        *("python-3.11-smtplib", "nodemailer-10-node-20", "jakarta-mail-2.0-java-17", "gmail-2019"),
    ],
)
def test_the_software_of_the_world_is_there(name: str) -> None:
    assert sender(name).name == name


@pytest.mark.parametrize("name", POSTFIX)
def test_a_postfix_that_verifies_nothing_offers_anonymous_suites(name: str) -> None:
    """smtp_tls_policy(5): the levels from fingerprint up exclude aNULL; OpenSSL 3 has no anonymous suites in 1.3."""
    anonymous = any(family.endswith("/None") for family in families(sender(name)))
    assert anonymous == (not name.endswith("-secure"))


@pytest.mark.parametrize("name", POSTFIX)
def test_what_each_postfix_offers_follows_its_defaults(name: str) -> None:
    """mail_params.h: export suites and SSLv3 up to 2.11.5; from 3.8 on neither RC4 nor 3DES. Only OpenSSL 1.1.1 and
    later have TLS 1.3."""
    found = sender(name)
    version = tuple(map(int, name.split("-")[1].split(".")))
    words = {suite(number).encryption for number in found.profile.suites}
    old = name in ("postfix-2.6-openssl-1.0.1", "postfix-2.11-openssl-1.0.1")
    assert ("DES(40)" in words) == old
    assert ("SSLv3" in found.profile.protocols) == old
    assert ("TLSv1.3" in found.profile.protocols) == (version >= (3, 4))
    assert not (version >= (3, 8) and any(word.startswith(("RC4", "3DES", "SEED", "IDEA")) for word in words))


@pytest.mark.parametrize("name", [name for name in POSTFIX if name.startswith("postfix-3.")])
def test_the_groups_of_postfix_3_are_its_automatic_curves(name: str) -> None:
    """mail_params.h: X25519 X448 P-256 P-521 P-384; from 3.9 on OpenSSL 3 also ffdhe2048 and 3072; from 3.11 on OpenSSL
    3.5 a hybrid before OpenSSL's own."""
    expected: tuple[int, ...] = (29, 30, 23, 25, 24)
    if name in ("postfix-3.9-openssl-3.0", "postfix-3.10-openssl-3.5"):
        expected = (*expected, 256, 257)
    groups = sender(name).profile.groups
    assert groups is not None
    if name == "postfix-3.11-openssl-3.5":
        assert groups[0] == 4588
    else:
        assert groups == expected


@pytest.mark.parametrize("each", RECORDED, ids=lambda each: each.name)
def test_programs_send_the_name_that_they_connect_to_and_mtas_do_not(each: Sender) -> None:
    """A recording shows whether there is a server name to be replaced: RFC 6066 §3 has no address in it."""
    assert each.profile.hello is not None
    named = decode_client_hello(each.profile.hello).server_name
    assert named == ("mx.test" if each.name.startswith(SENDS_A_SERVER_NAME) else None)


def test_names_are_in_order_with_numbers_as_numbers() -> None:
    assert POSTFIX.index("postfix-2.6-openssl-1.0.1") < POSTFIX.index("postfix-2.11-openssl-1.0.1")
    assert POSTFIX.index("postfix-3.9-openssl-3.0") < POSTFIX.index("postfix-3.10-openssl-3.5")


def test_a_name_in_another_case_is_the_same() -> None:
    assert sender(" Gmail-2019 ") == sender("gmail-2019")


@pytest.mark.parametrize("name", ["postfix-3.7", "postfix", "../gmail-2019", "", "x" * 5000, "gmail\n"[:5]])
def test_an_unknown_name_is_answered_by_those_that_are_near(name: str) -> None:
    with pytest.raises(InvalidSetting) as found:
        sender(name, "--sender")
    assert str(found.value).startswith("--sender: no sender is called ")
    assert "\n" not in str(found.value)
    if name.startswith("postfix"):
        assert "postfix-3." in str(found.value)
