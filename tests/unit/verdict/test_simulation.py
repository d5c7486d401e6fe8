"""What is computed, on facts as a probe finds them and on facts that lack something."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxprobe.errors import InvalidSetting
from mxprobe.facts import EndpointFacts, Features, Listing, Natural, ProfileAnswer, ProtocolFacts, Quirks, Starttls
from mxprobe.mta.hello import profile_of_hello
from mxprobe.mta.profile import NoTls, Profile, ServerProfile
from mxprobe.terms import PROTOCOLS, Protocol
from mxprobe.tls.behaviours import NameEffect
from mxprobe.tls.client_hello import encode_client_hello
from mxprobe.tls.free_facts import Feature, FiniteField
from mxprobe.tls.offer import Answer, Chosen, Offer
from mxprobe.tls.suites import suite, suite_named
from mxprobe.trust.certificate import Certificate
from mxprobe.verdict.paper import facts_on_paper
from mxprobe.verdict.simulation import Simulated, simulate
from servers.model import ModelServer

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def suites(text: str) -> tuple[int, ...]:
    found = [suite_named(name) for name in text.split()]
    return tuple(each.number for each in found if each is not None)


RSA_AES = suites("AES256-SHA AES128-SHA")
ECDHE_RSA = suites("ECDHE-RSA-AES256-GCM-SHA384 ECDHE-RSA-AES128-GCM-SHA256")
ECDHE_ECDSA = suites("ECDHE-ECDSA-AES128-GCM-SHA256")
DHE_RSA = suites("DHE-RSA-AES256-GCM-SHA384 DHE-RSA-AES128-SHA")
TLS13 = suites("TLS_AES_256_GCM_SHA384 TLS_AES_128_GCM_SHA256")
EC_P256 = Certificate(sha256="00", key="EC secp256r1")

SERVER = ServerProfile(
    name="server",
    suites={"TLSv1.2": ECDHE_RSA + RSA_AES, "TLSv1.3": TLS13},
    order="client",
    certificate_kinds=("RSA",),
    groups=(29, 23, 24),
    signature_schemes=(0x0804, 0x0805, 0x0403, 0x0401, 0x0201),
)


def server(**changes: Any) -> EndpointFacts:
    certificates = changes.pop("certificates", ())
    return facts_on_paper(replace(SERVER, **changes), host="mx.example.test", time=NOW, certificates=certificates)


def client(offers: tuple[int, ...], *protocols: Protocol, **lists: Any) -> Profile:
    return Profile(name="client", protocols=protocols or ("TLSv1.2",), suites=offers, **lists)


@pytest.mark.parametrize(
    ("asked", "facts", "obstacle", "named"),
    [
        (client(RSA_AES, "TLSv1"), server(), "version", "the client has TLSv1; the server takes TLSv1.2, TLSv1.3"),
        (client(DHE_RSA), server(), "suite", "DHE-RSA-AES256-GCM-SHA384"),
        (client((0x1303,), "TLSv1.3"), server(), "suite", "TLS_CHACHA20_POLY1305_SHA256"),
        (client(ECDHE_RSA, groups=(30,)), server(), "group", "the client lists x448"),
        (client(TLS13, "TLSv1.3", groups=(30,)), server(), "group", "the server takes x25519"),
        (client(ECDHE_RSA, signature_schemes=(0x0501,)), server(), "signature scheme", "rsa_pkcs1_sha384"),
        (client(TLS13, "TLSv1.3", signature_schemes=(0x0806,)), server(), "signature scheme", "rsa_pss_rsae_sha512"),
        (client(TLS13, "TLSv1.3", signature_schemes=(0x0403,)), server(), "certificate kind", "the server has RSA"),
    ],
)
def test_the_first_reason_why_not_is_named(asked: Profile, facts: EndpointFacts, obstacle: str, named: str) -> None:
    found = simulate(asked, facts)
    assert (found.state, found.obstacle) == ("no", obstacle)
    assert named in found.reason
    assert found.suite is None


def test_of_several_obstacles_the_first_is_told() -> None:
    nothing_fits = client((0x1303,), "TLSv1.3", groups=(30,), signature_schemes=(0x0403,))
    assert simulate(nothing_fits, server()).obstacle == "suite"
    assert simulate(replace(nothing_fits, suites=TLS13), server()).obstacle == "group"


@pytest.mark.parametrize(
    ("asked", "facts", "session"),
    [
        (client(RSA_AES), server(), ("TLSv1.2", "AES256-SHA", None, "RSA")),
        (client(RSA_AES[::-1]), server(), ("TLSv1.2", "AES128-SHA", None, "RSA")),
        (client(RSA_AES[::-1]), server(order="server"), ("TLSv1.2", "AES256-SHA", None, "RSA")),
        (client(ECDHE_RSA, groups=(24, 23)), server(), ("TLSv1.2", ECDHE_RSA[0], "secp384r1", "RSA")),
        (client(ECDHE_RSA, groups=(24, 23)), server(order="server"), ("TLSv1.2", ECDHE_RSA[0], "secp256r1", "RSA")),
        # What its groups do not allow is passed over (RFC 8422 §5.1).
        (client(ECDHE_RSA + RSA_AES, groups=(30,)), server(), ("TLSv1.2", "AES256-SHA", None, "RSA")),
        (client(TLS13 + RSA_AES, "TLSv1.2", "TLSv1.3"), server(), ("TLSv1.3", TLS13[0], "x25519", "RSA")),
        # One without a share in common asks for it (RFC 8446 §4.1.4).
        (client(TLS13, "TLSv1.3", groups=(24,), key_shares=()), server(), ("TLSv1.3", TLS13[0], "secp384r1", "RSA")),
        (
            client(ECDHE_ECDSA + ECDHE_RSA),
            server(
                suites={"TLSv1.2": ECDHE_RSA + ECDHE_ECDSA},
                certificate_kinds=("RSA", "ECDSA"),
                certificates=(EC_P256,),
            ),
            ("TLSv1.2", ECDHE_ECDSA[0], "x25519", "ECDSA"),
        ),
        (
            client(suites("ADH-AES128-SHA")),
            server(suites={"TLSv1.2": suites("ADH-AES128-SHA")}),
            ("TLSv1.2", "ADH-AES128-SHA", None, None),
        ),
        (client((0x0700C0, 0x010080), "SSLv2"), server(suites={"SSLv2": (0x010080,)}), ("SSLv2", 0x010080, None, None)),
    ],
)
def test_a_session_is_told_in_every_part(
    asked: Profile, facts: EndpointFacts, session: tuple[Protocol, int | str, str | None, str | None]
) -> None:
    protocol, named, group, kind = session
    name = named if isinstance(named, str) else suite(named).name
    found = simulate(asked, facts)
    assert (found.state, found.protocol, found.suite, found.group) == ("yes", protocol, name, group)
    if protocol != "SSLv2":
        assert found.certificate_kind == kind
    assert (found.obstacle, found.reason) == (None, "")


def test_a_server_may_answer_an_old_hello_with_a_version_that_it_does_not_name() -> None:
    """RFC 5246 appendix E.1: the hello names the newest version alone."""
    hello = encode_client_hello(Offer(protocol="TLSv1", suites=RSA_AES), random=bytes(32))
    asked = profile_of_hello("client", hello)
    assert asked.protocols == ("TLSv1",)
    found = simulate(asked, server(suites={"SSLv3": RSA_AES}))
    assert (found.state, found.obstacle) == ("no", "version")
    assert "answers with SSLv3, which the client does not have" in found.reason


def test_a_hole_between_the_versions_is_open_where_the_server_may_not_see_it() -> None:
    asked = client(RSA_AES, "TLSv1", "TLSv1.2")
    assert simulate(asked, server(suites={"TLSv1": RSA_AES, "TLSv1.1": RSA_AES})).state == "unknown"
    assert simulate(asked, server(suites={"TLSv1": RSA_AES})).state == "yes"


@pytest.mark.parametrize("missing", [{"groups": (), "key_shares": ()}, {"signature_schemes": ()}])
def test_tls_1_3_demands_groups_and_schemes(missing: dict[str, Any]) -> None:
    """RFC 8446 §9.2."""
    found = simulate(client(TLS13, "TLSv1.3", **missing), server())
    assert (found.state, found.obstacle) == ("no", "group" if "groups" in missing else "signature scheme")


def test_a_hello_that_fell_back_is_turned_away_by_a_server_that_knows_better() -> None:
    """RFC 7507 §3."""
    asked = client((*RSA_AES, 0x5600))
    for state, expected in (("yes", "no"), ("no", "yes"), ("unknown", "unknown")):
        features = Features(fallback_scsv=Feature(state=state))  # type: ignore[arg-type]
        assert simulate(asked, replace(server(), features=features)).state == expected


# Where facts leave something open.


@pytest.mark.parametrize(
    ("starttls", "state"),
    [
        (Starttls(state="not-offered", reason="STARTTLS is not among the capabilities"), "no"),
        (Starttls(state="offered-but-broken", reason="alert 80"), "no"),
        (Starttls(state="refused", stage="starttls", reason="454 no"), "no"),
        (Starttls(state="refused", stage="greeting", reason="554 go away"), "unknown"),
        (Starttls(state="unknown", reason="timeout"), "unknown"),
    ],
)
def test_without_starttls_there_is_no_session(starttls: Starttls, state: str) -> None:
    found = simulate(client(RSA_AES), replace(server(), starttls=starttls))
    assert (found.state, found.obstacle) == (state, None)
    assert starttls.reason in found.reason


def test_without_tls_the_reason_is_told() -> None:
    facts = facts_on_paper(NoTls(name="server", reason="no certificate"), host="mx.example.test", time=NOW)
    assert simulate(client(RSA_AES), facts).reason == "STARTTLS is not offered: no certificate"


def test_a_version_that_was_not_asked_is_unknown_and_so_is_all_below() -> None:
    facts = server()
    for lost in (None, ProtocolFacts(state="unknown", reason="timeout")):
        protocols = dict(facts.protocols)
        del protocols["TLSv1.3"]
        if lost:
            protocols["TLSv1.3"] = lost
        left = replace(facts, protocols=protocols, natural=None)
        assert simulate(client(TLS13 + RSA_AES, "TLSv1.2", "TLSv1.3"), left).state == "unknown"
        assert simulate(client(RSA_AES, "TLSv1.2"), left).state == "yes"


def test_a_complete_handshake_tells_of_the_versions_above_it() -> None:
    """It was an offer of everything."""
    natural = Natural(protocol="TLSv1.2", suite="ECDHE-RSA-AES256-GCM-SHA384", group="x25519")
    quick = replace(server(), protocols={}, natural=natural, computed_from=None)
    found = simulate(client(TLS13 + ECDHE_RSA, "TLSv1.2", "TLSv1.3"), quick)
    assert (found.state, found.protocol, found.suite) == ("yes", "TLSv1.2", None)
    assert simulate(client(RSA_AES, "TLSv1.2"), quick).state == "unknown"


def test_a_server_hello_of_tls_1_3_alone_is_no_session() -> None:
    facts = replace(server(), computed_from=None, natural=None)
    assert simulate(client(TLS13, "TLSv1.3"), facts).state == "unknown"


def partial(facts: EndpointFacts, protocol: Protocol, **changes: Any) -> EndpointFacts:
    protocols = {**facts.protocols, protocol: replace(facts.protocols[protocol], **changes)}
    return replace(facts, protocols=protocols)


def test_a_suite_that_was_not_asked_for_is_not_refused() -> None:
    facts = partial(server(), "TLSv1.2", complete=False, families={})
    assert simulate(client(DHE_RSA), facts).state == "unknown"
    found = simulate(client(DHE_RSA + RSA_AES), facts)
    assert (found.state, found.suite) == ("yes", None)
    assert "AES256-SHA" in found.reason
    assert simulate(client(RSA_AES + DHE_RSA), facts).suite == "AES256-SHA"


def test_a_family_that_is_refused_is_refused_in_a_list_that_is_not_complete() -> None:
    facts = partial(server(), "TLSv1.2", complete=False, families={"RC4": "no"})
    found = simulate(client(suites("RC4-SHA")), facts)
    assert (found.state, found.obstacle) == ("no", "suite")


def test_a_suite_that_was_only_picked_is_no_session() -> None:
    seen = server().protocols["TLSv1.2"]
    picked = tuple(replace(each, reached="selected") for each in seen.suites)
    assert simulate(client(RSA_AES), partial(server(), "TLSv1.2", suites=picked)).state == "unknown"


def test_without_the_order_the_session_is_certain_and_its_suite_is_not() -> None:
    facts = partial(server(), "TLSv1.2", order="unknown")
    found = simulate(client(RSA_AES), facts)
    assert (found.state, found.suite, found.certificate_kind) == ("yes", None, "RSA")
    assert simulate(client(RSA_AES[:1]), facts).suite == "AES256-SHA"


def test_groups_that_were_not_asked_for_are_open() -> None:
    seen = Listing(state="accepted", names=("x25519",), reason="only what was chosen")
    facts = partial(partial(server(), "TLSv1.2", groups=seen), "TLSv1.3", groups=seen)
    assert simulate(client(ECDHE_RSA, groups=(23,)), facts).state == "unknown"
    assert simulate(client(TLS13, "TLSv1.3", groups=(23,)), facts).state == "unknown"
    found = simulate(client(TLS13, "TLSv1.3", groups=(23, 29)), facts)
    assert (found.state, found.group) == ("yes", None)


def test_a_client_without_groups_may_get_ecdhe_or_not() -> None:
    """RFC 8422 §4: the server is free to choose any curve; OpenSSL chooses none since 1.1.1."""
    assert simulate(client(ECDHE_RSA, groups=()), server()).state == "unknown"
    found = simulate(client(ECDHE_RSA + RSA_AES, groups=()), server())
    assert (found.state, found.suite) == ("yes", None)


def test_a_certificate_on_a_curve_that_the_client_does_not_list_is_open() -> None:
    """RFC 8422 §5.1 forbids it, and GnuTLS sends it."""
    ecdsa = server(suites={"TLSv1.2": ECDHE_ECDSA}, certificate_kinds=("ECDSA",), certificates=(EC_P256,))
    assert simulate(client(ECDHE_ECDSA, groups=(24,)), ecdsa).state == "unknown"
    assert simulate(client(ECDHE_ECDSA, groups=(24, 23)), ecdsa).state == "yes"


def test_a_list_of_finite_fields_binds_servers_that_know_rfc_7919() -> None:
    asked = client(DHE_RSA[:1], groups=(256,))
    own = server(suites={"TLSv1.2": DHE_RSA}, dh_bits=2048)
    assert simulate(asked, own).state == "yes"
    named = Listing(state="accepted", names=("ffdhe3072",), complete=True)
    field = FiniteField(bits=3072, prime="", name="ffdhe3072")
    assert simulate(asked, partial(own, "TLSv1.2", groups=named, dh=(field,))).state == "unknown"
    assert simulate(replace(asked, groups=(257,)), partial(own, "TLSv1.2", groups=named)).state == "yes"


def test_an_own_finite_field_of_a_server_that_runs_may_not_be_for_those_who_list_others() -> None:
    """GnuTLS with parameters of its own, and no group of RFC 7919, refuses who lists one; OpenSSL does not look."""
    runs = replace(server(suites={"TLSv1.2": DHE_RSA}, dh_bits=2048), computed_from=None)
    assert simulate(client(DHE_RSA[:1], groups=(256,)), runs).state == "unknown"
    assert simulate(client(DHE_RSA[:1], groups=(29,)), runs).state == "yes"


def seen_alone(*names: str) -> Listing:
    """What was seen of a list that was not asked for."""
    return Listing(state="accepted", names=names, reason="only what was chosen")


def running(key: str, protocol: Protocol, schemes: Listing | None, **changes: Any) -> EndpointFacts:
    """A server that runs, with a complete handshake in this version, which this key has signed."""
    chosen = suite(TLS13[0] if protocol == "TLSv1.3" else ECDHE_RSA[0]).name
    facts = replace(
        server(certificates=(Certificate(sha256="00", key=key),)),
        computed_from=None,
        natural=Natural(protocol=protocol, suite=chosen),
        certificate_kinds={},
    )
    return partial(facts, protocol, schemes=schemes, **changes)


@pytest.mark.parametrize(
    ("key", "ours", "state"),
    [
        # A key of RSA signs by one of three (RFC 8446 §4.2.3), a key on a curve by one.
        ("RSA 2048", (0x0804, 0x0805, 0x0806), "yes"),
        ("RSA 2048", (0x0804,), "unknown"),
        ("EC secp384r1", (0x0503,), "yes"),
        ("EC secp384r1", (0x0403,), "unknown"),
        ("RSA-PSS 2048", (0x0809, 0x080A, 0x080B), "yes"),
        ("RSA-PSS 2048", (0x0804, 0x0805, 0x0806), "unknown"),
    ],
)
def test_the_key_of_the_handshake_tells_by_what_the_server_signs(key: str, ours: tuple[int, ...], state: str) -> None:
    found = simulate(client(TLS13, "TLSv1.3", signature_schemes=ours), running(key, "TLSv1.3", None))
    assert found.state == state


def test_a_scheme_that_was_seen_does_not_vouch_for_another() -> None:
    """GnuTLS with SECURE256 signs by RSA-PSS with SHA-384, and not by that with SHA-256, in TLS 1.3."""
    facts = running("RSA 2048", "TLSv1.3", seen_alone("rsa_pss_rsae_sha384"))
    found = simulate(client(TLS13, "TLSv1.3", signature_schemes=(0x0804,)), facts)
    assert (found.state, found.doubt) == ("unknown", "signature scheme")
    assert simulate(client(TLS13, "TLSv1.3", signature_schemes=(0x0804, 0x0805)), facts).state == "yes"


@pytest.mark.parametrize(
    ("key", "seen", "state"),
    [
        ("RSA 2048", "rsa_pss_rsae_sha256", "yes"),
        # One that signs by SHA-1 though SHA-256 was listed before it does not know SHA-256.
        ("RSA 2048", "rsa_pkcs1_sha1", "unknown"),
        # A key for RSA-PSS alone cannot sign otherwise (RFC 8446 §4.2.3).
        ("RSA-PSS 2048", "rsa_pss_pss_sha256", "unknown"),
    ],
)
def test_what_every_server_signs_by_in_tls12_is_not_believed_against_what_was_seen(
    key: str, seen: str, state: str
) -> None:
    facts = running(key, "TLSv1.2", seen_alone(seen))
    assert simulate(client(ECDHE_RSA, signature_schemes=(0x0401,)), facts).state == state


def test_no_scheme_at_all_in_tls13_was_asked_in_vain() -> None:
    """The version is accepted, so that something signs: it takes no group that the questions had a key share of."""
    none = Listing(state="refused", complete=True)
    assert simulate(client(TLS13, "TLSv1.3"), running("RSA 2048", "TLSv1.3", none)).state == "yes"


@pytest.mark.parametrize(("alert", "state"), [("40 (handshake_failure)", "unknown"), ("70 (protocol_version)", "yes")])
def test_a_version_that_is_refused_for_what_it_lacks_may_cost_the_older_one(alert: str, state: str) -> None:
    """OpenSSL with a group that TLS 1.3 does not have refuses every hello that offers TLS 1.3."""
    facts = partial(server(), "TLSv1.3", state="refused", reason=f"alert {alert}", suites=())
    facts = replace(facts, computed_from=None, natural=None, handshake_error="tls alert handshake failure")
    assert simulate(client(TLS13 + RSA_AES, "TLSv1.2", "TLSv1.3"), facts).state == state
    assert simulate(client(RSA_AES), facts).state == "yes"


def test_suites_that_are_not_known_leave_the_suite_open_and_not_the_session() -> None:
    """Of a server whose suites were not all asked for: whichever it takes, it can sign for."""
    facts = partial(server(certificates=(EC_P256,)), "TLSv1.2", complete=False, families={}, schemes=None)
    facts = replace(facts, computed_from=None)
    found = simulate(client(ECDHE_ECDSA + RSA_AES), facts)
    assert (found.state, found.suite) == ("yes", None)
    # Some servers pick what they cannot sign for, and fail.
    assert simulate(client(ECDHE_ECDSA + RSA_AES, signature_schemes=(0x0401,)), facts).state == "unknown"


def test_an_anonymous_suite_is_no_risk_where_another_was_seen_to_work() -> None:
    anonymous = suites("AECDH-AES256-SHA ADH-AES128-SHA")
    seen = server(suites={"TLSv1.2": anonymous[1:] + RSA_AES})
    facts = partial(seen, "TLSv1.2", complete=False, families={})
    assert simulate(client(anonymous[:1] + RSA_AES), facts).state == "yes"
    without = partial(server(), "TLSv1.2", complete=False, families={})
    assert simulate(client(anonymous[:1] + RSA_AES), without).state == "unknown"


def test_a_version_that_a_sender_got_is_not_refused() -> None:
    """OpenSSL that signs by ECDSA alone, with an RSA certificate beside: it refuses offers that begin with RSA."""
    got = ProfileAnswer(profile="other", state="yes", protocol="TLSv1.3", suite="TLS_AES_256_GCM_SHA384")
    facts = partial(server(), "TLSv1.3", state="refused", reason="alert 40 (handshake_failure)", suites=())
    assert simulate(client(TLS13, "TLSv1.3"), facts).state == "no"
    assert simulate(client(TLS13, "TLSv1.3"), replace(facts, profiles=(got,))).state == "unknown"


def test_what_leaves_it_open_is_named() -> None:
    groups = partial(partial(server(), "TLSv1.2", groups=seen_alone("x25519")), "TLSv1.3", groups=seen_alone("x25519"))
    assert simulate(client(ECDHE_RSA, groups=(23,)), groups).doubt == "group"
    assert simulate(client(TLS13, "TLSv1.3", groups=(23,)), groups).doubt == "group"
    assert simulate(client(DHE_RSA), partial(server(), "TLSv1.2", complete=False, families={})).doubt == "suite"
    assert simulate(client(RSA_AES), server()).doubt is None


def test_only_suites_of_the_version_are_told_as_offers() -> None:
    found = simulate(client(TLS13 + DHE_RSA, "TLSv1.2", "TLSv1.3"), server(suites={"TLSv1.2": RSA_AES}))
    assert "the client offers DHE-RSA-AES256-GCM-SHA384, DHE-RSA-AES128-SHA;" in found.reason


def test_chacha20_before_aes_may_turn_an_order_of_the_servers() -> None:
    """Equal preference of BoringSSL, and SSL_OP_PRIORITIZE_CHACHA of OpenSSL."""
    chacha = suites("ECDHE-RSA-CHACHA20-POLY1305")
    facts = server(suites={"TLSv1.2": ECDHE_RSA[:1] + chacha}, order="server")
    assert simulate(client(chacha + ECDHE_RSA), facts).suite is None
    assert simulate(client(ECDHE_RSA + chacha), facts).suite == suite(ECDHE_RSA[0]).name


@pytest.mark.parametrize(
    ("quirks", "named"),
    [
        (Quirks(max_suites=1), "offers of more than 1 failed"),
        (Quirks(large_hello=Feature(state="no", reason="hangs")), "hangs"),
    ],
)
def test_what_the_server_stumbles_over_is_open(quirks: Quirks, named: str) -> None:
    found = simulate(client(RSA_AES), replace(server(), quirks=quirks))
    assert found.state == "unknown"
    assert named in found.reason


def test_a_hello_without_a_name_is_open_where_the_name_counts() -> None:
    asked = client(RSA_AES, "SSLv3")
    for effect, expected in (("refused", "unknown"), ("other", "unknown"), ("same", "yes")):
        quirks = Quirks(server_name=NameEffect(effect=effect))  # type: ignore[arg-type]
        assert simulate(asked, replace(server(suites={"SSLv3": RSA_AES}), quirks=quirks)).state == expected


def test_of_a_profile_that_is_not_complete_only_what_it_has_is_certain() -> None:
    gmail = client(suites("AES128-GCM-SHA256 AES256-GCM-SHA384"), complete=False)
    found = simulate(gmail, server())
    assert (found.state, found.obstacle) == ("unknown", "suite")
    assert "the client offers AES128-GCM-SHA256, AES256-GCM-SHA384" in found.reason
    found = simulate(gmail, server(suites={"TLSv1.2": suites("AES256-GCM-SHA384")}))
    assert (found.state, found.suite) == ("yes", None)
    assert "at least TLSv1.2 AES256-GCM-SHA384" in found.reason


def test_a_client_without_dhe_gets_nothing_from_a_server_that_has_nothing_else() -> None:
    gmail = client(suites("AES128-GCM-SHA256 AES256-GCM-SHA384"), complete=False, without=("DHE",))
    dhe = {"TLSv1.2": suites("DHE-RSA-AES128-SHA256"), "TLSv1": suites("DHE-RSA-AES128-SHA")}
    found = simulate(gmail, server(suites=dhe))
    assert (found.state, found.obstacle) == ("no", "suite")
    assert "offers no DHE" in found.reason
    # Another version, an anonymous suite, or one that was not asked, may be what it offers besides.
    for more in ("ECDHE-RSA-AES128-SHA", "ADH-AES128-SHA"):
        assert simulate(gmail, server(suites=dhe | {"TLSv1.1": suites(more)})).state == "unknown"
    assert simulate(gmail, partial(server(suites=dhe), "TLSv1", complete=False)).state == "unknown"


def test_a_recorded_hello_that_cannot_be_read_is_the_users_to_mend() -> None:
    with pytest.raises(InvalidSetting, match="its hello cannot be read"):
        simulate(client(RSA_AES, hello=b"\x16\3\1\0\1\1"), server())


# Properties.

NEGOTIABLE = (*TLS13, *ECDHE_RSA, *DHE_RSA, *RSA_AES, *suites("DES-CBC3-SHA RC4-SHA ADH-AES128-SHA"))
TLS_VERSIONS = PROTOCOLS[2:]


@st.composite
def server_profiles(draw: st.DrawFn) -> ServerProfile:
    accepted: dict[Protocol, tuple[int, ...]] = {}
    for protocol in draw(st.lists(st.sampled_from(TLS_VERSIONS), min_size=1, unique=True)):
        fitting = [n for n in NEGOTIABLE if (n in TLS13) == (protocol == "TLSv1.3")]
        accepted[protocol] = tuple(draw(st.lists(st.sampled_from(fitting), min_size=1, unique=True)))
    return ServerProfile(
        name="server",
        suites=accepted,
        order=draw(st.sampled_from(("server", "client"))),
        certificate_kinds=("RSA",),
        groups=tuple(draw(st.lists(st.sampled_from((29, 23, 24, 30)), unique=True))),
        signature_schemes=tuple(draw(st.lists(st.sampled_from((0x0804, 0x0806, 0x0401, 0x0601)), unique=True))),
        dh_bits=2048,
    )


@st.composite
def client_profiles(draw: st.DrawFn, *, any_lists: bool = True) -> Profile:
    oldest, newest = sorted((draw(st.integers(2, 5)), draw(st.integers(2, 5))))
    groups = st.lists(st.sampled_from((29, 23, 24, 30, 256)), unique=True).map(tuple)
    schemes = st.lists(st.sampled_from((0x0403, 0x0804, 0x0805, 0x0401, 0x0601)), unique=True).map(tuple)
    return Profile(
        name="client",
        protocols=PROTOCOLS[oldest : newest + 1],
        suites=tuple(draw(st.lists(st.sampled_from(NEGOTIABLE), min_size=1, unique=True))),
        groups=draw(st.none() | groups) if any_lists else None,
        signature_schemes=draw(st.none() | schemes) if any_lists else None,
    )


@given(asked=client_profiles(any_lists=False), profile=server_profiles())
def test_it_is_what_a_server_that_is_its_profile_answers(asked: Profile, profile: ServerProfile) -> None:
    """A server to which groups and schemes are all the same: one that has everything we offer."""
    everything = (0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0403, 0x0201)
    profile = replace(profile, groups=(29, 23, 24, 25, 30), signature_schemes=everything)
    found = simulate(asked, facts_on_paper(profile, host="mx.example.test", time=NOW))
    model = ModelServer(suites=dict(profile.suites), prefers_own_order=profile.order == "server")
    common = [protocol for protocol in PROTOCOLS if protocol in asked.protocols and protocol in profile.suites]
    heard: Answer | None = None
    if common:
        heard = model.answer(Offer(protocol=common[-1], suites=asked.suites))
    if isinstance(heard, Chosen):
        assert (found.state, found.protocol, found.suite) == ("yes", heard.protocol, suite(heard.suite).name)
    elif found.state != "unknown":
        assert (found.state, found.obstacle) == ("no", "suite" if common else "version")
    else:
        # Without TLS 1.3 it may not see that a client has no version between two others.
        assert "TLSv1.3" not in profile.suites


def agree(more: Simulated, less: Simulated) -> bool:
    """Whether what is known with less is what is known with more."""
    if less.state == "unknown":
        return True
    parts = ("protocol", "suite", "group", "certificate_kind")
    known = all(getattr(less, part) in (None, getattr(more, part)) for part in parts)
    return less.state == more.state and known


def forget(facts: EndpointFacts, protocol: Protocol, what: str, names: int) -> EndpointFacts:
    seen = facts.protocols[protocol]
    match what:
        case "version":
            return replace(facts, protocols={p: each for p, each in facts.protocols.items() if p != protocol})
        case "suites":
            return partial(facts, protocol, suites=seen.suites[:names], complete=False, order="unknown", families={})
        case "order":
            return partial(facts, protocol, order="unknown")
        case "groups":
            kept = seen.groups and replace(
                seen.groups, names=seen.groups.names[:names], complete=False, order="unknown", state="accepted"
            )
            return partial(facts, protocol, groups=kept)
        case _:
            return replace(facts, certificate_kinds={}, certificates=())


@given(
    asked=client_profiles(),
    profile=server_profiles(),
    forgotten=st.lists(
        st.tuples(
            st.sampled_from(TLS_VERSIONS),
            st.sampled_from(("suites", "order", "groups", "kinds", "version")),
            st.integers(0, 3),
        ),
        min_size=1,
        max_size=4,
    ),
)
def test_knowing_less_never_leads_to_another_answer(
    asked: Profile, profile: ServerProfile, forgotten: list[tuple[Protocol, str, int]]
) -> None:
    whole = facts_on_paper(profile, host="mx.example.test", time=NOW)
    facts = replace(whole, natural=None)
    for protocol, what, names in sorted(forgotten, key=lambda each: each[1] == "version"):
        if protocol in facts.protocols:
            facts = forget(facts, protocol, what, names)
    assert agree(simulate(asked, whole), simulate(asked, facts))


@given(asked=client_profiles(), profile=server_profiles())
def test_an_answer_is_whole(asked: Profile, profile: ServerProfile) -> None:
    found = simulate(asked, facts_on_paper(profile, host="mx.example.test", time=NOW))
    assert (found.obstacle is not None) == (found.state == "no")
    assert found.reason or (found.state == "yes" and found.suite)
    assert "\n" not in found.reason
    if found.state == "yes":
        assert found.protocol in asked.protocols
