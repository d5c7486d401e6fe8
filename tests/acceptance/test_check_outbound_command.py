"""`mxprobe check --outbound`: who of the partners in the store would still get mail by TLS, before a reload."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from acceptance.command import Done, mxprobe
from mxprobe.facts import EndpointFacts, Starttls
from mxprobe.mta.profile import ServerProfile
from mxprobe.routing.route import MxHost, Route
from mxprobe.store import open_store
from mxprobe.terms import Endpoint, Protocol
from mxprobe.tls.suites import suite_named
from mxprobe.verdict.paper import facts_on_paper

NOW = datetime(2026, 3, 1, tzinfo=UTC)

WORDS = "aNULL, LOW, EXP, MEDIUM, ADH, AECDH, MD5, DSS, ECDSA, CAMELLIA128, 3DES, CAMELLIA256, RSA+AES, eNULL"
"""What a Postfix 2.6.6 excluded that could not agree with Gmail in 2019."""


def seen(host: str, names: str, *protocols: Protocol) -> EndpointFacts:
    """What a probe of a server with RSA that takes these suites leaves in the store."""
    found = [suite_named(name) for name in names.split()]
    profile = ServerProfile(
        name=host,
        suites=dict.fromkeys(protocols or ("TLSv1.2",), tuple(each.number for each in found if each)),
        order="server",
        certificate_kinds=("RSA",),
        groups=(29, 23),
        signature_schemes=(0x0804, 0x0401),
    )
    return replace(facts_on_paper(profile, host=host, time=NOW), address="192.0.2.1", computed_from=None)


ECDHE = seen("mx.ecdhe.example", "ECDHE-RSA-AES128-GCM-SHA256")
PARTNERS: Mapping[str, EndpointFacts] = {
    "ecdhe.example": ECDHE,
    "dhe.example": seen("mx.dhe.example", "DHE-RSA-AES128-GCM-SHA256"),
    "static.example": seen("mx.static.example", "AES128-GCM-SHA256 AES256-GCM-SHA384 AES128-SHA AES256-SHA"),
    "old.example": seen("mx.old.example", "AES128-SHA", "TLSv1"),
    "sslv3.example": seen("mx.sslv3.example", "AES128-SHA", "SSLv3"),
    "clear.example": replace(ECDHE, host="mx.clear.example", starttls=Starttls(state="not-offered", stage="ehlo")),
    "silent.example": replace(ECDHE, host="mx.silent.example", starttls=Starttls(state="unknown", stage="hello")),
}


async def _filled(path: Path, partners: Mapping[str, EndpointFacts]) -> None:
    async with open_store(f"sqlite:///{path}") as store:
        scan = await store.start_scan(NOW, (*partners, "null.example"), "digest")
        await store.save_route(scan, "null.example", Route(kind="null-mx"), ())
        for name, facts in partners.items():
            host = MxHost(name=facts.host, canonical_name=facts.host, preference=10, addresses=(facts.address,))
            endpoint = Endpoint(host=facts.host, address=facts.address, port=25)
            await store.save_route(scan, name, Route(kind="mx", hosts=(host,)), (endpoint,))
            await store.save_endpoint(scan, endpoint, facts, {})


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store of one scan of `PARTNERS` and a domain without mail."""
    path = tmp_path_factory.mktemp("store") / "mxprobe.db"
    asyncio.run(_filled(path, PARTNERS))
    return f"sqlite:///{path}"


def main_cf(directory: Path, *lines: str, name: str = "main.cf") -> Path:
    path = directory / name
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def check(path: Path, store: str, *arguments: str | Path, postfix: str = "3.7", openssl: str = "3.0") -> Done:
    given = ["--outbound", "--main-cf", path, "--postfix", postfix, "--openssl", openssl, "--store", store]
    return mxprobe("check", *given, *arguments, "--format", "json")


def outcomes(done: Done) -> dict[str, tuple[str, str]]:
    """What becomes of each partner's mail, and the outcome of its check."""
    assert done.err == "", done.err
    return {
        each["subject"]: (each["evidence"]["delivery"], each["outcome"])
        for each in done.document["checks"]
        if each["name"] == "keeps-tls"
    }


def of(done: Done, partner: str) -> Any:
    (found,) = [each for each in done.document["checks"] if each["subject"] == partner]
    return found


# What happened to somebody, the other way round


def test_the_suites_that_partners_need_are_named_with_the_word_that_took_them(tmp_path: Path, store: str) -> None:
    path = main_cf(
        tmp_path,
        "smtp_tls_security_level = may",
        "smtp_tls_ciphers = export",
        "tls_export_cipherlist = ALL:+RC4:@STRENGTH",
        f"smtp_tls_exclude_ciphers = {WORDS}",
    )
    done = check(path, store, postfix="2.6.6", openssl="1.0.2")
    static = of(done, "static.example")
    assert (done.code, static["outcome"], static["severity"]) == (1, "failed", "warning")
    assert static["summary"] == (
        "static.example falls back to clear text: no common suite, needs static-RSA AES, which !RSA+AES in "
        "smtp_tls_exclude_ciphers takes away"
    )
    assert static["place"] == {"file": str(path), "line": 4}
    assert outcomes(done)["dhe.example"] == ("tls", "passed")


def test_without_tls_1_0_partners_that_have_nothing_newer_are_lost(tmp_path: Path, store: str) -> None:
    path = main_cf(tmp_path, "smtp_tls_security_level = may", "smtp_tls_protocols = !TLSv1, !SSLv2, !SSLv3")
    done = check(path, store, postfix="2.6.6", openssl="1.0.2")
    assert outcomes(done)["old.example"] == ("clear", "failed")
    assert of(done, "old.example")["summary"].endswith("no common version, it takes TLSv1")
    assert of(done, "old.example")["place"] == {"file": str(path), "line": 2}


def test_sslv3_in_the_place_of_tls_1_0_turns_off_all_that_is_newer(tmp_path: Path, store: str) -> None:
    path = main_cf(tmp_path, "smtp_tls_security_level = may", "smtp_tls_protocols = !TLSv1, !SSLv2")
    done = check(path, store, postfix="2.6.6", openssl="1.0.2")
    (hole,) = [each for each in done.document["checks"] if each["id"] == "versions"]
    assert "TLSv1 is left out between SSLv3 and TLSv1.1" in hole["summary"]
    assert "OpenSSL offers nothing newer than SSLv3 then" in hole["summary"]
    assert outcomes(done)["old.example"] == outcomes(done)["dhe.example"] == ("clear", "failed")
    assert outcomes(done)["sslv3.example"] == ("tls", "passed")


# Levels


def test_at_may_mail_falls_back_and_above_it_waits(tmp_path: Path, store: str) -> None:
    path = main_cf(tmp_path, "smtp_tls_security_level = may", "smtp_tls_mandatory_protocols = >=TLSv1")
    assert outcomes(check(path, store)) == {
        "ecdhe.example": ("tls", "passed"),
        "dhe.example": ("tls", "passed"),
        "static.example": ("tls", "passed"),
        "old.example": ("tls", "passed"),
        "sslv3.example": ("clear", "failed"),
        "clear.example": ("clear", "passed"),
        "silent.example": ("unknown", "unknown"),
        "null.example": ("no mail", "noted"),
    }
    done = check(path, store, "-o", "smtp_tls_security_level=encrypt")
    assert outcomes(done)["sslv3.example"] == outcomes(done)["clear.example"] == ("deferred", "failed")
    assert of(done, "clear.example")["severity"] == "critical"


def test_what_cannot_be_told_is_never_a_pass(tmp_path: Path, store: str) -> None:
    path = main_cf(tmp_path, "smtp_tls_security_level = may")
    assert check(path, store, "ecdhe.example").code == 0
    assert check(path, store, "ecdhe.example", "silent.example").code == 3


def test_a_list_of_protocols_that_is_invalid_loses_everybody(tmp_path: Path, store: str) -> None:
    path = main_cf(tmp_path, "smtp_tls_security_level = may", "smtp_tls_protocols = TLSv1.3")
    done = check(path, store, "ecdhe.example", postfix="2.6.6", openssl="1.0.2")
    assert outcomes(done) == {"ecdhe.example": ("clear", "failed")}
    assert 'does not know "TLSv1.3"' in of(done, "ecdhe.example")["summary"]


def test_without_a_level_all_mail_goes_in_clear_text(tmp_path: Path, store: str) -> None:
    done = check(main_cf(tmp_path, "myhostname = x.example"), store, "ecdhe.example")
    assert outcomes(done) == {"ecdhe.example": ("clear", "failed")}


# Policy tables


def test_policies_hold_for_whom_they_are_about(tmp_path: Path, store: str) -> None:
    (tmp_path / "tls_policy").write_text(
        "# partners\n"
        "static.example  encrypt\n"
        "  protocols=TLSv1.2 exclude=kRSA\n"
        ".example        none\n"
        "clear.example   encrypt\n"
        "dhe.example     encrypt ciphers=hihg protocols=\n"
        "old.example     sometimes\n"
    )
    path = main_cf(
        tmp_path,
        "smtp_tls_security_level = may",
        "smtp_tls_policy_maps = hash:/etc/postfix/tls_policy, inline:{ {ecdhe.example = may ciphers=high} }",
    )
    done = check(path, store)
    assert outcomes(done) | {"sslv3.example": None} == {
        "ecdhe.example": ("tls", "passed"),
        "dhe.example": ("deferred", "failed"),
        "static.example": ("deferred", "failed"),
        "old.example": ("deferred", "failed"),
        "sslv3.example": None,
        "clear.example": ("deferred", "failed"),
        "silent.example": ("clear", "unknown"),
        "null.example": ("no mail", "noted"),
    }
    assert of(done, "static.example")["place"] == {"file": str(tmp_path / "tls_policy"), "line": 2}
    assert 'invalid security level "sometimes" (4.7.5)' in of(done, "old.example")["summary"]
    assert 'invalid cipher grade: "hihg"' in of(done, "dhe.example")["summary"]


def test_an_entry_within_main_cf_has_its_line_there(tmp_path: Path, store: str) -> None:
    path = main_cf(
        tmp_path,
        "smtp_tls_security_level = may",
        "",
        "smtp_tls_policy_maps = inline:{dhe.example=none ecdhe.example=x}",
    )
    done = check(path, store, "dhe.example", "ecdhe.example")
    assert outcomes(done) == {"dhe.example": ("clear", "failed"), "ecdhe.example": ("deferred", "failed")}
    assert of(done, "dhe.example")["place"] == of(done, "ecdhe.example")["place"] == {"file": str(path), "line": 3}


def test_equal_entries_have_lines_of_their_own(tmp_path: Path, store: str) -> None:
    (tmp_path / "tls_policy").write_text("ecdhe.example encrypt exclude=ECDHE\ndhe.example none\nstatic.example none\n")
    path = main_cf(
        tmp_path,
        "smtp_tls_security_level = may",
        "smtp_tls_exclude_ciphers = aNULL",
        "smtp_tls_policy_maps = texthash:/etc/postfix/tls_policy",
    )
    done = check(path, store)
    lines = {name: of(done, name)["place"]["line"] for name in ("ecdhe.example", "dhe.example", "static.example")}
    assert lines == {"ecdhe.example": 1, "dhe.example": 2, "static.example": 3}


def test_a_table_that_cannot_be_read_makes_unknown_whom_it_may_be_about(tmp_path: Path, store: str) -> None:
    path = main_cf(
        tmp_path,
        "smtp_tls_security_level = may",
        "smtp_tls_policy_maps = inline:{ecdhe.example=encrypt}, ldap:/etc/postfix/ldap.cf",
    )
    done = check(path, store, "ecdhe.example", "dhe.example")
    assert outcomes(done) == {"ecdhe.example": ("tls", "passed"), "dhe.example": ("unknown", "unknown")}
    assert "ldap: tables cannot be read on paper" in of(done, "dhe.example")["summary"]


def test_old_tables_of_sites_count_where_there_are_no_policies(tmp_path: Path, store: str) -> None:
    path = main_cf(
        tmp_path,
        "smtp_use_tls = yes",
        "smtp_tls_per_site = inline:{ecdhe.example=NONE, mx.clear.example=MUST_NOPEERMATCH}",
    )
    done = check(path, store)
    assert outcomes(done)["ecdhe.example"] == ("clear", "failed")
    assert outcomes(done)["clear.example"] == ("deferred", "failed")
    assert outcomes(done)["dhe.example"] == ("tls", "passed")


def test_who_trusts_no_ca_verifies_nobody(tmp_path: Path, store: str) -> None:
    path = main_cf(tmp_path, "smtp_tls_security_level = verify")
    done = check(path, store, "ecdhe.example")
    assert outcomes(done) == {"ecdhe.example": ("unknown", "unknown")}, done.out


def test_at_dane_what_depends_on_tlsa_records_is_said(tmp_path: Path, store: str) -> None:
    dnssec = "smtp_dns_support_level = dnssec"
    done = check(main_cf(tmp_path, "smtp_tls_security_level = dane", dnssec), store, "dhe.example", "sslv3.example")
    assert outcomes(done)["dhe.example"] == ("tls", "passed")
    assert of(done, "dhe.example")["summary"].endswith("(as without TLSA records, which are not in the store)")
    assert "where it has TLSA records, mail waits" in of(done, "sslv3.example")["summary"]
    done = check(main_cf(tmp_path, "smtp_tls_security_level = dane-only", dnssec), store, "dhe.example")
    assert outcomes(done) == {"dhe.example": ("unknown", "unknown")}
    assert "TLSA records are not in the store" in of(done, "dhe.example")["summary"]


def test_signatures_that_are_too_weak_for_an_authenticated_level_end_the_session(tmp_path: Path) -> None:
    old = {
        "static.example": seen("mx.static.example", "AES128-SHA", "TLSv1"),
        "ecdhe.example": seen("mx.ecdhe.example", "ECDHE-RSA-AES128-SHA AES128-SHA", "TLSv1"),
    }
    asyncio.run(_filled(tmp_path / "old.db", old))
    store = f"sqlite:///{tmp_path}/old.db"
    at_may = outcomes(check(main_cf(tmp_path, "smtp_tls_security_level = may"), store))
    assert {at_may[name][0] for name in old} == {"tls"}
    # With security level 1, at which OpenSSL 3.0 verifies, TLS 1.0 has no signature that is strong enough.
    done = check(
        main_cf(tmp_path, "smtp_tls_security_level = encrypt", "tls_medium_cipherlist = ALL:@SECLEVEL=1"), store
    )
    assert outcomes(done)["ecdhe.example"] == ("deferred", "failed")
    assert "our security level forbids signatures of TLSv1" in of(done, "ecdhe.example")["summary"]
    assert outcomes(done)["static.example"] == ("tls", "passed")


@pytest.mark.parametrize(
    "setting", ["smtp_tls_protocols = TLSv9", "tls_medium_cipherlist = HIGH:!", "smtp_tls_exclude_ciphers = !aNULL"]
)
def test_what_turns_tls_off_is_to_blame(tmp_path: Path, store: str, setting: str) -> None:
    path = main_cf(tmp_path, "smtp_tls_security_level = may", "", setting)
    assert of(check(path, store), "ecdhe.example")["place"] == {"file": str(path), "line": 3}


# Against another configuration


def test_only_what_another_configuration_had_is_lost(tmp_path: Path, store: str) -> None:
    before = main_cf(tmp_path, "smtp_tls_security_level = may", "smtp_tls_protocols = >=TLSv1.2", name="old.cf")
    after = main_cf(
        tmp_path, "smtp_tls_security_level = may", "smtp_tls_protocols = >=TLSv1.2", "smtp_tls_exclude_ciphers = kRSA"
    )
    assert outcomes(check(after, store))["old.example"] == ("clear", "failed")
    done = check(after, store, "--baseline-main-cf", before)
    assert outcomes(done)["old.example"] == ("clear", "passed")
    assert outcomes(done)["static.example"] == ("clear", "failed")
    assert check(before, store, "--baseline-main-cf", before, "old.example", "static.example").code == 0


# What a reader sees


def test_the_text_counts_and_then_names_those_that_are_lost_by_reason(tmp_path: Path) -> None:
    path = tmp_path / "many.db"
    asyncio.run(_filled(path, {f"p{n}.example": replace(ECDHE, host=f"mx{n}.example") for n in range(40)}))
    configuration = main_cf(
        tmp_path, "smtp_tls_security_level = may", "smtp_tls_ciphers = high", "smtp_tls_exclude_ciphers = ECDHE"
    )
    done = mxprobe(
        "check",
        "--outbound",
        "--main-cf",
        configuration,
        "--postfix",
        "3.7",
        "--openssl",
        "3.0",
        "--store",
        f"sqlite:///{path}",
    )
    assert done.code == 1
    assert "41 partners: 40 get clear text, 1 take no mail" in done.words
    assert "40 x outbound p0.example falls back to clear text: no common suite, needs ECDHE-RSA AES" in done.words
    assert done.words.count("needs ECDHE-RSA AES") == 1
    assert "no connection was made" in done.words


@pytest.mark.parametrize("form", ["json", "junit", "sarif", "github"])
def test_every_format_has_it(tmp_path: Path, store: str, form: str) -> None:
    path = main_cf(tmp_path, "smtp_tls_security_level = may")
    given = ["--outbound", "--main-cf", path, "--postfix", "3.7", "--openssl", "3.0", "--store", store]
    done = mxprobe("check", *given, "--format", form)
    assert (done.code, "sslv3.example" in done.out) == (1, True)
    if form in ("json", "sarif"):
        json.loads(done.out)


# What is wrong in an option


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--store", "sqlite:////nowhere/x.db"], "there is no such database"),
        (["--store", "mysql://x"], "not a database"),
        (["--store", "postgresql://owner:s3cret@127.0.0.1:1/mail"], "postgresql://owner:***@127.0.0.1:1/mail: "),
        ([], "--store: it is missing"),
    ],
)
def test_a_store_that_cannot_be_used_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], problem: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = main_cf(tmp_path, "smtp_tls_security_level = may")
    done = mxprobe("check", "--outbound", "--main-cf", path, "--postfix", "3.7", "--openssl", "3.0", *arguments)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1), done.err
    assert problem in done.err


def test_a_partner_that_was_never_scanned_is_an_error(tmp_path: Path, store: str) -> None:
    done = check(main_cf(tmp_path, "smtp_tls_security_level = may"), store, "ecdhe.example", "stranger.example")
    assert (done.code, "never scanned: stranger.example" in done.err) == (2, True)


def test_an_unknown_level_is_one_line_with_its_place(tmp_path: Path, store: str) -> None:
    path = main_cf(tmp_path, "", "smtp_tls_security_level = maybe")
    done = check(path, store)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert f'{path}: line 2: smtp_tls_security_level: Postfix 3.7 has no TLS level "maybe"' in done.err
