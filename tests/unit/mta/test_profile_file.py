"""Profile files: what is written is read back, and what is wrong is said with file and key."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxprobe.errors import InvalidSetting
from mxprobe.mta.hello import profile_of_hello
from mxprobe.mta.profile import Profile
from mxprobe.mta.profile_file import MAX_FILE, MAX_TEXT, Sender, profile_text, read_profile, read_sender
from mxprobe.terms import PROTOCOLS
from mxprobe.tls.client_hello import encode_client_hello
from mxprobe.tls.offer import Offer
from mxprobe.tls.suites import registry

HELLO = encode_client_hello(
    Offer(
        protocol="TLSv1.3",
        versions=("TLSv1.2", "TLSv1.3"),
        suites=(0x1301, 0xC02F, 0x1234),
        groups=(29, 0x1234),
        signature_schemes=(0x0804, 0xFEFE),
        key_shares=(29,),
    ),
    random=bytes(range(32)),
)
RECORDED = Sender(
    name="test-1.0",
    profile=profile_of_hello("test-1.0", HELLO, "hello of Test 1.0"),
    software="Test 1.0",
    kind="recorded",
    date=date(2026, 11, 20),
    command="test --starttls",
    source="here",
    peer="::1",
    ehlo="[192.0.2.1]",
)
DOCUMENTED = Sender(
    name="told",
    profile=Profile(name="told", protocols=("TLSv1.2",), suites=(0x009C,), source="a paper, section 2", complete=False),
    software="Told",
    kind="documented",
    date=date(2019, 1, 1),
    command="",
    source="a paper, section 2",
    incomplete="groups",
)

names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,20}", fullmatch=True)
lines = st.text(st.characters(exclude_categories=("C", "Z")) | st.just(" "), max_size=40)
words = lines.filter(lambda text: bool(text.strip()))
numbers = st.lists(st.integers(0, 0xFFFF), max_size=30).map(tuple)
documented = st.builds(
    lambda name, software, source, day, protocols, suites, groups, schemes, shares, incomplete: Sender(
        name=name,
        profile=Profile(
            name=name,
            protocols=tuple(sorted(protocols, key=PROTOCOLS.index)),
            suites=suites,
            groups=groups,
            signature_schemes=schemes,
            key_shares=shares,
            source=source,
            complete=not incomplete,
        ),
        software=software,
        kind="documented",
        date=day,
        command="",
        source=source,
        incomplete=incomplete,
    ),
    names,
    words,
    words,
    st.dates(),
    st.sets(st.sampled_from(PROTOCOLS), min_size=1),
    st.lists(st.sampled_from(tuple(registry())) | st.integers(0, 0xFFFF), min_size=1).map(tuple),
    st.none() | numbers,
    st.none() | numbers,
    st.none() | numbers,
    st.just("") | words,
)


def changed(sender: Sender, **values: Any) -> str:
    """The file of a sender with other values; None takes a key away."""
    document = {**json.loads(profile_text(sender)), **values}
    return json.dumps({key: value for key, value in document.items() if value is not None})


@pytest.mark.parametrize("sender", [RECORDED, DOCUMENTED], ids=["recorded", "documented"])
def test_a_file_is_read_as_it_was_written(sender: Sender) -> None:
    text = profile_text(sender)
    assert read_sender(text, "test.json") == sender
    assert read_profile(text, "test.json") == sender.profile
    assert profile_text(read_sender(text, "test.json")) == text


@given(documented)
def test_any_documented_profile_is_read_as_it_was_written(sender: Sender) -> None:
    text = profile_text(sender)
    assert text.isascii()
    assert read_sender(text, "test.json") == sender


@given(
    st.sampled_from(PROTOCOLS[2:]),
    st.lists(st.integers(1, 0xFFFF), min_size=1, max_size=30, unique=True).map(tuple),
    numbers,
)
def test_any_recorded_profile_is_read_as_it_was_written(protocol: Any, suites: Any, groups: Any) -> None:
    offer = Offer(protocol=protocol, suites=(*suites, 0xC02F), groups=groups, signature_schemes=(0x0403,))
    hello = encode_client_hello(offer, random=bytes(32))
    sender = replace(RECORDED, profile=profile_of_hello("test-1.0", hello, "hello of Test 1.0"))
    assert read_sender(profile_text(sender), "test.json") == sender


def test_a_file_has_a_value_on_each_line_in_the_words_of_openssl_and_iana() -> None:
    lines = profile_text(RECORDED).splitlines()
    for line in (
        '  "schema": "mxprobe-profile/1",',
        '  "kind": "recorded",',
        '  "date": "2026-11-20",',
        '    "TLSv1.2",',
        '    "TLS_AES_128_GCM_SHA256",',
        '    "ECDHE-RSA-AES128-GCM-SHA256",',
        '    "0x001234"',
        '    "x25519",',
        '    "0x1234"',
        '    "rsa_pss_rsae_sha256",',
        '    "0xFEFE"',
        f'  "hello": "{HELLO.hex()}"',
    ):
        assert line in lines


def test_a_suite_whose_name_means_another_is_named_by_its_number() -> None:
    """SSLv2 and SSLv3 have an RC4-MD5 each."""
    profile = Profile(name="told", protocols=("SSLv2", "SSLv3"), suites=(0x010080, 0x0004))
    assert json.loads(profile_text(replace(DOCUMENTED, profile=profile)))["suites"] == ["0x010080", "RC4-MD5"]


def test_what_a_document_does_not_say_is_unknown_and_not_empty() -> None:
    profile = read_profile(profile_text(DOCUMENTED), "test.json")
    assert (profile.groups, profile.key_shares, profile.complete) == (None, None, False)
    assert read_profile(changed(DOCUMENTED, groups=[]), "test.json").groups == ()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("suites", ["TLS_AES_128_GCM_SHA256"]),
        ("suites", ["ECDHE-RSA-AES128-GCM-SHA256", "TLS_AES_128_GCM_SHA256", "0x001234"]),
        ("groups", []),
        ("signature_schemes", ["rsa_pss_rsae_sha256"]),
        ("key_shares", ["secp256r1"]),
    ],
)
def test_a_list_that_the_hello_does_not_bear_out_is_refused(key: str, value: list[str]) -> None:
    with pytest.raises(InvalidSetting, match=f"test.json: {key}: .*the hello is the truth"):
        read_sender(changed(RECORDED, **{key: value}), "test.json")


@pytest.mark.parametrize(
    ("sender", "key", "value"),
    [
        (RECORDED, "schema", "mxprobe-profile/2"),
        (RECORDED, "name", "../etc/passwd"),
        (RECORDED, "name", ""),
        (RECORDED, "name", "a" * 81),
        (RECORDED, "kind", "invented"),
        (RECORDED, "kind", ["recorded"]),
        (RECORDED, "software", "  "),
        (RECORDED, "software", "two\nlines"),
        (RECORDED, "software", "\x1b]0;title\x07"),
        (RECORDED, "software", "\u202eright to left"),
        (RECORDED, "software", 7),
        (RECORDED, "command", "x" * (MAX_TEXT + 1)),
        (RECORDED, "date", "20.11.2026"),
        (RECORDED, "date", "20261120"),
        (RECORDED, "date", "2026-13-01"),
        (RECORDED, "protocols", []),
        (RECORDED, "protocols", "TLSv1.2"),
        (RECORDED, "protocols", ["TLSv1.2", "TLSv1.2"]),
        (RECORDED, "protocols", ["TLSv1.4"]),
        (RECORDED, "suites", ["NOT-A-SUITE"]),
        (RECORDED, "suites", [4]),
        (RECORDED, "groups", {"x25519": 1}),
        (RECORDED, "groups", ["P-256"]),
        (RECORDED, "hello", "16030"),
        (RECORDED, "hello", "zz"),
        (RECORDED, "hello", "1603010000"),
        (RECORDED, "hello", None),
        (RECORDED, "incomplete", "some"),
        (RECORDED, "protocols", ["TLSv1.1", "TLSv1.2", "TLSv1.3"]),
        (DOCUMENTED, "hello", HELLO.hex()),
        (DOCUMENTED, "source", ""),
        (DOCUMENTED, "suites", []),
        (DOCUMENTED, "suites", None),
        (DOCUMENTED, "incomplete", ""),
        (DOCUMENTED, "without", []),
        (DOCUMENTED, "without", ["DHE", "DHE"]),
        (DOCUMENTED, "without", ["PSK"]),
        (DOCUMENTED, "without", "DHE"),
        (RECORDED, "without", ["DHE"]),
    ],
)
def test_a_wrong_value_is_named_with_file_and_key_in_one_line(sender: Sender, key: str, value: Any) -> None:
    with pytest.raises(InvalidSetting) as found:
        read_sender(changed(sender, **{key: value}), "test.json")
    first = "hello" if key == "protocols" and len(value) == 3 else key
    assert str(found.value).startswith(f"test.json: {first}: ")
    assert str(found.value).isprintable()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "test.json: line 1: not JSON"),
        ('{\n"schema": "mxprobe-profile/1",\n}', "test.json: line 3: not JSON"),
        ("[]", "test.json: not a profile file"),
        ("null", "test.json: not a profile file"),
        ('"text"', "test.json: not a profile file"),
        ("{}", "test.json: schema: "),
        ("[" * 100_000, "test.json: not JSON"),
        ("9" * 10_000, "test.json: not JSON"),
        ('{"schema": "mxprobe-profile/1", "schema": "mxprobe-profile/1"}', "test.json: key 'schema' is there twice"),
        ('{"schema": "mxprobe-profile/1", "nmae": "x"}', "test.json: unknown key 'nmae'"),
        ('{"schema": "mxprobe-profile/1", "\\u001b\\ud800": "x"}', "test.json: unknown key"),
        (" " * (MAX_FILE + 1), "test.json: 1000001 characters"),
    ],
)
def test_what_is_no_profile_file_is_said_in_one_line(text: str, said: str) -> None:
    with pytest.raises(InvalidSetting) as found:
        read_sender(text, "test.json")
    assert str(found.value).startswith(said)
    assert str(found.value).isprintable()


@given(st.text(max_size=300) | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(json.dumps))
def test_any_text_is_a_profile_or_one_line(text: str) -> None:
    with pytest.raises(InvalidSetting) as found:
        read_sender(text, "test.json")
    assert "\n" not in str(found.value)


MUTATE: tuple[Callable[[dict[str, Any], str, Any], Any], ...] = (
    lambda document, key, value: document.update({key: value}),
    lambda document, key, value: document.pop(key),
)


@given(
    st.sampled_from(tuple(json.loads(profile_text(RECORDED)))),
    st.sampled_from(MUTATE),
    st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.lists(st.text(max_size=5), max_size=3),
)
def test_a_damaged_file_is_a_profile_or_one_line(key: str, mutate: Any, value: Any) -> None:
    document = json.loads(profile_text(RECORDED))
    mutate(document, key, value)
    said = ""
    try:
        read_sender(json.dumps(document), "test.json")
    except InvalidSetting as error:
        said = str(error)
    assert "\n" not in said


def test_what_could_not_be_read_back_is_not_written() -> None:
    with pytest.raises(InvalidSetting, match="hello"):
        profile_text(replace(RECORDED, profile=replace(RECORDED.profile, hello=None)))
