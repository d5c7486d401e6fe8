"""One combination in the words of `openssl s_client` (compared with what OpenSSL 3.0's prints)."""

from dataclasses import replace

from examples import targets
from mxprobe.report.session import Combination, session_text
from mxprobe.trust.certificate import Certificate
from mxprobe.trust.verification import VerifyStep

LEAF = replace(targets.certificate("mx1.example.test"), subject="CN = mx1.example.test", issuer="CN = Example CA")
ISSUER = Certificate(sha256="cd" * 32, subject="CN = Example CA", issuer="CN = Example CA")

ACCEPTED = Combination(
    endpoint="mx1.example.test [192.0.2.1]:25",
    protocol="TLSv1.2",
    suite_name="ECDHE-RSA-AES128-GCM-SHA256",
    state="accepted",
    reached="handshake-complete",
    chain=(LEAF, ISSUER),
    verification=replace(
        targets.verified(),
        steps=(
            VerifyStep(depth=1, code=0, text="ok", subject="CN = Example CA"),
            VerifyStep(depth=0, code=0, text="ok", subject="CN = mx1.example.test"),
        ),
    ),
)


def test_a_trusted_session_reads_as_s_client_prints_it() -> None:
    assert session_text(ACCEPTED).splitlines() == [
        "CONNECTED(mx1.example.test [192.0.2.1]:25)",
        "depth=1 CN = Example CA",
        "verify return:1",
        "depth=0 CN = mx1.example.test",
        "verify return:1",
        "---",
        "Certificate chain",
        " 0 s:CN = mx1.example.test",
        "   i:CN = Example CA",
        "   a:PKEY: RSA 2048; sigalg: sha256WithRSAEncryption",
        "   v:NotBefore: Jan  1 00:00:00 2026 GMT; NotAfter: May 29 14:00:00 2026 GMT",
        " 1 s:CN = Example CA",
        "   i:CN = Example CA",
        "---",
        "Server certificate",
        "subject=CN = mx1.example.test",
        "issuer=CN = Example CA",
        "---",
        "New, TLSv1.2, Cipher is ECDHE-RSA-AES128-GCM-SHA256",
        "---",
        "    Verify return code: 0 (ok)",
        "---",
    ]


def test_a_verify_error_is_in_openssls_words() -> None:
    text = session_text(replace(ACCEPTED, verification=targets.verified(20, "unable to get local issuer certificate")))
    assert "depth=0 CN = mx1.example.test\nverify error:num=20:unable to get local issuer certificate\n---\n" in text
    assert "verify return" not in text
    assert text.endswith("    Verify return code: 20 (unable to get local issuer certificate)\n---\n")


def test_a_refusal_has_no_cipher_and_no_verify_return_code() -> None:
    refused = Combination(
        endpoint="mx1.example.test [192.0.2.1]:25",
        protocol="TLSv1.2",
        suite_name="RC4-SHA",
        state="refused",
        reason="alert 40 (handshake_failure)",
    )
    text = session_text(refused)
    assert "CONNECTED(" in text
    assert "no peer certificate available\n" in text
    assert "New, (NONE), Cipher is (NONE)\nTLSv1.2 with RC4-SHA: refused: alert 40 (handshake_failure)\n---\n" in text
    assert "    Verify return code: unknown (no certificate was seen)\n" in text


def test_an_unknown_answer_is_neither_connected_nor_refused() -> None:
    unknown = replace(ACCEPTED, state="unknown", reached=None, reason="421 later", chain=(), verification=None)
    text = session_text(unknown)
    assert text.startswith("NO ANSWER(mx1.example.test [192.0.2.1]:25)\n")
    assert "TLSv1.2 with ECDHE-RSA-AES128-GCM-SHA256: unknown: 421 later\n" in text


def test_says_how_far_the_handshake_went() -> None:
    assert "Handshake" not in session_text(ACCEPTED)
    assert "(ServerHelloDone); it was not finished" in session_text(replace(ACCEPTED, reached="flight-complete"))
    assert "(ServerHello); more was not seen" in session_text(replace(ACCEPTED, reached="selected"))


def test_a_chain_that_was_not_verified_is_unknown() -> None:
    assert "Verify return code: unknown (the chain was not verified)" in session_text(
        replace(ACCEPTED, verification=None)
    )


def test_names_in_certificates_cannot_reach_the_terminal() -> None:
    evil = "CN = \x1b]0;owned\x07\r\n---\nVerify return code: 0 (ok)\u202e"
    chain = (replace(LEAF, subject=evil, issuer=evil, key=evil, signature=evil), Certificate(sha256="ef", error=evil))
    steps = (VerifyStep(depth=0, code=20, text=evil, subject=evil),)
    text = session_text(
        replace(
            ACCEPTED,
            endpoint=evil,
            suite_name=evil,
            chain=chain,
            verification=replace(targets.verified(20, evil), steps=steps),
        )
    )
    assert all(character.isprintable() or character == "\n" for character in text)
    assert "\n---\nVerify return code: 0" not in text
    assert "\nVerify return code" not in text
