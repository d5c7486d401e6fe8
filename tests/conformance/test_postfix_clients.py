"""The hello that is computed for Postfix's client is what the real smtp(8), lmtp(8) and posttls-finger(1) send."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest

from mxprobe.errors import InvalidSetting
from mxprobe.mta.postfix.client import client_profile
from mxprobe.mta.postfix.configuration import overrides, read_main_cf
from mxprobe.mta.postfix.levels import ClientPrefix
from mxprobe.mta.postfix.version import PostfixVersion, parse_version
from mxprobe.mta.profile import NoTls, Profile
from mxprobe.terms import Protocol
from mxprobe.tls.client_hello import ClientHello, decode_client_hello
from mxprobe.tls.code_points import EMPTY_RENEGOTIATION_INFO_SCSV, PROTOCOL_OF
from servers.recorder import recorder
from servers.running import output_of, program
from servers.sending import PostfixClient, command_sends, postfix_clients_send


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A client and its `-o` settings; `plain` says that it sends no hello."""

    id: str
    settings: Mapping[str, str] = field(default_factory=dict)
    client: ClientPrefix = "smtp"
    plain: bool = False


MAY = {"smtp_tls_security_level": "may"}
ENCRYPT = {"smtp_tls_security_level": "encrypt"}
SEED_LIST = "ALL:+RC4:@STRENGTH:!aNULL:!ADH:!LOW:!EXP:!MD5:!SSLv2:!RSA+AES:!eNULL"

CASES = (
    Case(id="may", settings=MAY),
    Case(id="encrypt", settings=ENCRYPT),
    Case(id="verify", settings={"smtp_tls_security_level": "verify"}),
    Case(id="secure-high", settings={"smtp_tls_security_level": "secure", "smtp_tls_mandatory_ciphers": "high"}),
    Case(
        id="fingerprint",
        settings={"smtp_tls_security_level": "fingerprint", "smtp_tls_fingerprint_cert_match": ":".join(["AB"] * 32)},
    ),
    Case(id="legacy-use-tls", settings={"smtp_use_tls": "yes"}),
    Case(id="legacy-enforce", settings={"smtp_enforce_tls": "yes", "smtp_tls_enforce_peername": "no"}),
    Case(id="legacy-enforce-name", settings={"smtp_enforce_tls": "yes"}),
    Case(id="none", settings={"smtp_tls_security_level": "none"}, plain=True),
    Case(id="high", settings={**MAY, "smtp_tls_ciphers": "high"}),
    Case(id="low", settings={**MAY, "smtp_tls_ciphers": "LOW"}),
    Case(id="export", settings={**MAY, "smtp_tls_ciphers": "export"}),
    Case(id="null", settings={**MAY, "smtp_tls_ciphers": "null"}),
    Case(id="mandatory-null", settings={**ENCRYPT, "smtp_tls_mandatory_ciphers": "null"}, plain=True),
    Case(id="unknown-grade", settings={**MAY, "smtp_tls_ciphers": "heigh"}, plain=True),
    Case(id="own-list", settings={**MAY, "tls_medium_cipherlist": "CAMELLIA:AESGCM:@STRENGTH"}),
    Case(id="seed-list", settings={**MAY, "tls_medium_cipherlist": SEED_LIST}),
    Case(id="everything", settings={**MAY, "tls_medium_cipherlist": "ALL:COMPLEMENTOFALL"}),
    Case(id="nothing", settings={**MAY, "tls_medium_cipherlist": "!ALL"}, plain=True),
    Case(id="level-2-in-list", settings={**MAY, "tls_medium_cipherlist": "ALL:@SECLEVEL=2"}),
    Case(id="level-1-in-list", settings={**MAY, "tls_medium_cipherlist": "ALL:@SECLEVEL=1"}),
    Case(id="level-3-in-list", settings={**MAY, "tls_medium_cipherlist": "ALL:@SECLEVEL=3"}),
    Case(id="level-4-in-list", settings={**MAY, "tls_medium_cipherlist": "ALL:@SECLEVEL=4"}),
    Case(id="level-5-in-list", settings={**MAY, "tls_medium_cipherlist": "ALL:@SECLEVEL=5"}),
    Case(
        id="level-0-in-list-verify",
        settings={"smtp_tls_security_level": "verify", "tls_medium_cipherlist": "ALL:@SECLEVEL=0"},
    ),
    Case(id="exclude", settings={**MAY, "smtp_tls_exclude_ciphers": "aNULL, kRSA+AES:3DES DHE"}),
    Case(id="exclude-mandatory-at-may", settings={**MAY, "smtp_tls_mandatory_exclude_ciphers": "AES256"}),
    Case(id="exclude-mandatory", settings={**ENCRYPT, "smtp_tls_mandatory_exclude_ciphers": "AES256"}),
    Case(id="exclude-operator", settings={**MAY, "smtp_tls_exclude_ciphers": "!aNULL"}, plain=True),
    Case(id="only-1.3", settings={**MAY, "smtp_tls_protocols": ">=TLSv1.3"}),
    Case(id="only-1.2", settings={**MAY, "smtp_tls_protocols": "TLSv1.2"}),
    Case(id="no-1.3", settings={**MAY, "smtp_tls_protocols": "!TLSv1.3"}),
    Case(id="up-to-1.1", settings={**MAY, "smtp_tls_protocols": "<=TLSv1.1"}),
    Case(id="only-1.0", settings={**MAY, "smtp_tls_protocols": "TLSv1"}),
    Case(id="hole", settings={**MAY, "smtp_tls_protocols": "!TLSv1.1"}),
    Case(id="hexadecimal", settings={**MAY, "smtp_tls_protocols": ">=0303, <=303"}),
    Case(id="no-such-bound", settings={**MAY, "smtp_tls_protocols": ">=0999"}),
    Case(id="none-as-bound", settings={**MAY, "smtp_tls_protocols": ">=none"}),
    Case(id="old-style", settings={**MAY, "smtp_tls_protocols": "!SSLv2:!SSLv3"}),
    Case(id="no-protocol-left", settings={**MAY, "smtp_tls_protocols": "SSLv3"}, plain=True),
    Case(id="bad-protocol", settings={**MAY, "smtp_tls_protocols": "!SSLv2, TLSv1.4"}, plain=True),
    Case(id="mandatory-protocols", settings={**ENCRYPT, "smtp_tls_mandatory_protocols": ">=TLSv1.2"}),
    Case(
        id="no-suite-for-newest",
        settings={**MAY, "smtp_tls_protocols": "<=TLSv1", "tls_medium_cipherlist": "AESGCM"},
        plain=True,
    ),
    Case(
        id="old-suites-only-in-1.3",
        settings={**MAY, "smtp_tls_protocols": "TLSv1.3", "tls_medium_cipherlist": "AES128-SHA"},
    ),
    Case(
        id="no-ecdhe-1.2",
        settings={**MAY, "smtp_tls_protocols": "<=TLSv1.2", "smtp_tls_exclude_ciphers": "ECDHE, aECDSA, AECDH"},
    ),
    Case(id="curves", settings={**MAY, "tls_eecdh_auto_curves": "P-384, secp256k1 prime256v1 brainpoolP256r1 X448"}),
    Case(id="curves-old-first", settings={**MAY, "tls_eecdh_auto_curves": "brainpoolP256r1 sect283k1 P-521"}),
    Case(
        id="curves-1.3", settings={**MAY, "smtp_tls_protocols": "TLSv1.3", "tls_eecdh_auto_curves": "secp256k1 P-521"}
    ),
    Case(id="curves-with-fields", settings={**MAY, "tls_eecdh_auto_curves": "ffdhe3072 X25519 ffdhe8192"}),
    Case(
        id="curves-with-fields-1.2",
        settings={**MAY, "smtp_tls_protocols": "<=TLSv1.2", "tls_eecdh_auto_curves": "ffdhe3072 X25519"},
    ),
    Case(id="brainpool-alone", settings={**MAY, "tls_eecdh_auto_curves": "brainpoolP256r1"}, plain=True),
    Case(
        id="brainpool-alone-1.2",
        settings={**MAY, "tls_eecdh_auto_curves": "brainpoolP256r1", "smtp_tls_protocols": "<=TLSv1.2"},
    ),
    Case(id="a-field-alone", settings={**MAY, "tls_eecdh_auto_curves": "ffdhe2048"}),
    Case(
        id="a-field-alone-1.2",
        settings={**MAY, "tls_eecdh_auto_curves": "ffdhe2048", "smtp_tls_protocols": "<=TLSv1.2"},
    ),
    Case(
        id="no-group-at-level-5",
        settings={**MAY, "tls_medium_cipherlist": "ALL:@SECLEVEL=5", "tls_eecdh_auto_curves": "X448"},
        plain=True,
    ),
    Case(id="dane-without-dnssec", settings={"smtp_tls_security_level": "dane", "smtp_tls_ciphers": "high"}),
    Case(id="curves-unknown", settings={**MAY, "tls_eecdh_auto_curves": "x25519 nonsense"}),
    Case(id="curves-twice", settings={**MAY, "tls_eecdh_auto_curves": "P-256 prime256v1"}),
    Case(
        id="curves-level-4",
        settings={
            **MAY,
            "tls_medium_cipherlist": "ALL:@SECLEVEL=4",
            "tls_eecdh_auto_curves": "X25519 P-384 X448 ffdhe8192",
        },
    ),
    Case(id="refers-to-unset-later", settings={**MAY, "smtp_tls_ciphers": "$smtp_tls_mandatory_ciphers"}),
    Case(id="refers-to-list", settings={**MAY, "tls_medium_cipherlist": "$tls_high_cipherlist:+AES256"}),
    Case(
        id="refers-to-list-later",
        settings={**MAY, "tls_high_cipherlist": "$tls_medium_cipherlist:+AES256", "smtp_tls_ciphers": "high"},
        plain=True,
    ),
    Case(id="refers-protocols", settings={**MAY, "smtp_tls_protocols": "$smtp_tls_mandatory_protocols, !TLSv1"}),
    Case(
        id="refers-protocols-later", settings={**ENCRYPT, "smtp_tls_mandatory_protocols": "$smtp_tls_protocols, !TLSv1"}
    ),
    Case(id="lmtp-may", settings={"lmtp_tls_security_level": "may", "lmtp_tls_protocols": ">=TLSv1.2"}, client="lmtp"),
    Case(
        id="lmtp-encrypt",
        settings={"lmtp_tls_security_level": "encrypt", "lmtp_tls_mandatory_ciphers": "high"},
        client="lmtp",
    ),
)

STOPS = {
    "level": ({"smtp_tls_security_level": "mei"}, 'Invalid TLS level "mei"'),
    "boolean": ({"smtp_use_tls": "si"}, "bad boolean configuration: smtp_use_tls = si"),
    "empty-grade": ({**MAY, "smtp_tls_mandatory_ciphers": ""}, "bad string length 0 < 1: smtp_tls_mandatory_ciphers ="),
    "unset": ({**MAY, "smtp_tls_mandatory_ciphers": "$smtp_tls_ciphers"}, "bad string length 0 < 1"),
    "empty-list": ({**MAY, "tls_high_cipherlist": ""}, "bad string length 0 < 1: tls_high_cipherlist ="),
}
"""Clients that end at their settings, and what of it they log."""


@pytest.fixture(scope="module")
def postfix() -> PostfixVersion:
    """The Postfix of this machine."""
    return parse_version(output_of(program("postconf", "postfix"), "-dh", "mail_version"))


@pytest.fixture(scope="module")
def hellos() -> Iterator[Mapping[str, ClientHello | None]]:
    """What each client of the table sent, by its id; None of one that came and sent no hello."""
    with ExitStack() as stack:
        recorders = [stack.enter_context(recorder(connections=1)) for _ in CASES]
        clients = [
            PostfixClient(port=each.port, settings=case.settings, program=case.client)
            for case, each in zip(CASES, recorders, strict=True)
        ]
        stack.enter_context(postfix_clients_send(*clients))
        ended = [each.ended() for each in recorders]
        yield {case.id: found and decode_client_hello(found.hello) for case, found in zip(CASES, ended, strict=True)}


@pytest.fixture(scope="module")
def log() -> Iterator[Callable[[str], bool]]:
    """Whether a text comes into the log of a Postfix that has the clients which stop, with a message for each."""
    clients = [PostfixClient(port=9, settings=settings) for settings, _ in STOPS.values()]
    with postfix_clients_send(*clients) as server:

        def comes(text: str) -> bool:
            deadline = time.monotonic() + 20
            while text not in server.log_text():
                if time.monotonic() > deadline:
                    return False
                time.sleep(0.05)
            return True

        yield comes


def computed(case: Case, postfix: PostfixVersion) -> Profile | NoTls:
    settings = overrides(f"{name}={value}" for name, value in case.settings.items())
    return client_profile(
        read_main_cf("").overridden(settings), postfix=postfix, openssl="3.0", prefix=case.client, name=case.id
    )


def versions(hello: ClientHello) -> tuple[Protocol, ...]:
    """The versions of a hello, oldest first; without the extension all up to the highest that this OpenSSL has."""
    if hello.versions is None:
        return tuple(
            protocol for number, protocol in sorted(PROTOCOL_OF.items()) if 0x0301 <= number <= hello.legacy_version
        )
    return tuple(PROTOCOL_OF[number] for number in sorted(hello.versions))


def assert_equal(profile: Profile | NoTls, hello: ClientHello) -> None:
    assert isinstance(profile, Profile), profile
    assert profile.suites == tuple(number for number in hello.suites if number != EMPTY_RENEGOTIATION_INFO_SCSV)
    assert profile.groups == (hello.groups or ())
    assert profile.signature_schemes == (hello.signature_schemes or ())
    assert profile.key_shares == (hello.key_shares or ())
    if hello.versions is not None:
        assert profile.protocols == versions(hello)
    else:
        # Without the extension a hello names the highest version alone.
        assert profile.protocols[-1] == versions(hello)[-1]


@pytest.mark.parametrize("case", [case for case in CASES if not case.plain], ids=lambda case: case.id)
def test_the_hello_of_the_client_is_the_computed_profile(
    case: Case, hellos: Mapping[str, ClientHello | None], postfix: PostfixVersion
) -> None:
    hello = hellos[case.id]
    assert hello is not None
    assert_equal(computed(case, postfix), hello)


@pytest.mark.parametrize("case", [case for case in CASES if case.plain], ids=lambda case: case.id)
def test_a_client_without_tls_is_computed_as_one(
    case: Case, hellos: Mapping[str, ClientHello | None], postfix: PostfixVersion
) -> None:
    assert hellos[case.id] is None
    assert isinstance(computed(case, postfix), NoTls)


@pytest.mark.parametrize("name", STOPS)
def test_what_stops_the_client_is_an_error_here(name: str, log: Callable[[str], bool], postfix: PostfixVersion) -> None:
    settings, message = STOPS[name]
    assert log(message)
    with pytest.raises(InvalidSetting):
        computed(Case(id=name, settings=settings), postfix)


FINGERS = (
    ("may", "medium", {}),
    ("may", "high", {"tls_high_cipherlist": "HIGH:!kRSA:@STRENGTH"}),
    ("may", "medium", {"tls_medium_cipherlist": "CAMELLIA:+AES:3DES"}),
    ("encrypt", "medium", {"tls_eecdh_auto_curves": "P-521 X25519"}),
    ("secure", "high", {}),
)


@pytest.mark.parametrize(("level", "grade", "settings"), FINGERS)
def test_posttls_finger_sends_the_computed_profile(
    level: str, grade: str, settings: Mapping[str, str], postfix: PostfixVersion
) -> None:
    options = [part for name, value in settings.items() for part in ("-o", f"{name}={value}")]
    with recorder() as there:
        command_sends(
            *(str(program("posttls-finger", "postfix")), "-c", "-l", level, "-g", grade, "-t", "10"),
            *("-o", "myhostname=finger.test", *options, f"[127.0.0.1]:{there.port}"),
        )
        hello = decode_client_hello(there.recorded().hello)
    case = Case(
        id="finger",
        settings={
            "smtp_tls_security_level": level,
            "smtp_tls_ciphers": grade,
            "smtp_tls_mandatory_ciphers": grade,
            **settings,
        },
    )
    assert_equal(computed(case, postfix), hello)
