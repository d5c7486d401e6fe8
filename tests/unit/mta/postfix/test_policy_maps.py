"""Policies of destinations by the rules of `smtp_tls_policy.c` (Postfix 2.3 to 3.12) and TLS_LEGACY_README."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxprobe.errors import InvalidSetting
from mxprobe.mta.postfix.lookup_tables import (
    BrokenLookup,
    Entry,
    Table,
    TableName,
    Tables,
    UnknownLookup,
    UnreadTable,
    lookup,
    open_table,
    table_names,
    text_table,
)
from mxprobe.mta.postfix.policy_maps import (
    InvalidPolicy,
    Policy,
    UnknownPolicy,
    per_site_level,
    policy_keys,
    policy_of,
    read_policy,
)
from mxprobe.mta.profile import Tls

NEWEST = (3, 12, 0)


def unreadable(path: str) -> tuple[str, str]:
    raise FileNotFoundError(2, "No such file or directory", path)


def table(entries: dict[str, str]) -> Table:
    text = "".join(f"{key} {value}\n" for key, value in entries.items())
    return text_table(TableName(type="hash", name="/x"), text, "/x")


def policy(value: str, version: tuple[int, ...] = NEWEST) -> Policy | InvalidPolicy:
    return read_policy(Entry(key="example.com", value=value), version)


# Which keys are looked up


@pytest.mark.parametrize(
    ("next_hop", "keys"),
    [
        ("a.b.example.com", ["a.b.example.com", ".b.example.com", ".example.com", ".com"]),
        ("example.com", ["example.com", ".com"]),
        ("localhost", ["localhost"]),
        ("[mx.example.com]", ["[mx.example.com]"]),
        ("[mx.example.com]:587", ["[mx.example.com]:587"]),
        ("example.com:smtp", ["example.com:smtp"]),
        ("/var/run/lmtp", ["/var/run/lmtp"]),
        ("192.0.2.1", ["192.0.2.1"]),
        ("-x.example.com", ["-x.example.com"]),
        ("under_score.example.com", ["under_score.example.com", ".example.com", ".com"]),
    ],
)
def test_parents_are_looked_up_of_domains_alone(next_hop: str, keys: list[str]) -> None:
    assert list(policy_keys(next_hop)) == keys


def test_the_first_hit_ends_the_search() -> None:
    found = policy_of((table({".example.com": "encrypt", ".com": "none"}),), "a.example.com", NEWEST)
    assert isinstance(found, Policy)
    assert (found.level, found.entry.key, found.entry.line) == ("encrypt", ".example.com", 1)


def test_a_domain_does_not_stand_for_what_is_below_it_nor_the_other_way_round() -> None:
    assert policy_of((table({"example.com": "encrypt"}),), "a.example.com", NEWEST) is None
    assert policy_of((table({".example.com": "encrypt"}),), "example.com", NEWEST) is None


def test_a_port_and_its_name_and_none_are_three_keys() -> None:
    known = (table({"example.com:25": "encrypt", "example.com:smtp": "none"}),)
    assert policy_of(known, "example.com", NEWEST) is None
    assert [found.level for text in ("example.com:25", "example.com:smtp") if (found := _policy(known, text))] == [
        "encrypt",
        "none",
    ]


def _policy(known: Tables, next_hop: str) -> Policy:
    found = policy_of(known, next_hop, NEWEST)
    assert isinstance(found, Policy)
    return found


# What an entry may say


def test_attributes_stand_over_main_cf() -> None:
    found = policy("encrypt ciphers=high, protocols=!SSLv2:!SSLv3 exclude=aNULL:RC4")
    assert isinstance(found, Policy)
    assert (found.level, found.ciphers, found.protocols) == ("encrypt", "high", "!SSLv2:!SSLv3")
    assert found.exclude == "aNULL:RC4"


def test_an_empty_exclude_is_not_none() -> None:
    found = policy("may exclude=")
    assert isinstance(found, Policy)
    assert found.exclude == ""


def test_names_to_match_add_up() -> None:
    found = policy("secure match=a.example:.b.example match=hostname")
    assert isinstance(found, Policy)
    assert found.match == ("a.example", ".b.example", "hostname")


def test_fingerprints_have_colons_of_their_own() -> None:
    found = policy("fingerprint match=AA:BB|CC:DD")
    assert isinstance(found, Policy)
    assert found.match == ("AA:BB", "CC:DD")


def test_attributes_at_level_none_only_draw_a_warning() -> None:
    found = policy("NONE ciphers=high bogus")
    assert isinstance(found, Policy)
    assert (found.level, found.ciphers, len(found.warnings)) == ("none", None, 2)


@pytest.mark.parametrize(
    ("value", "version", "reason"),
    [
        ("", NEWEST, "invalid empty policy"),
        (" , ", NEWEST, "invalid empty policy"),
        ("maybe", NEWEST, 'invalid security level "maybe"'),
        ("halfdane", NEWEST, 'invalid security level "halfdane"'),
        ("dane", (2, 10, 3), 'invalid security level "dane"'),
        ("fingerprint match=aa", (2, 4, 0), 'invalid security level "fingerprint"'),
        ("may ciphers", NEWEST, "missing '=' after attribute name"),
        ("may =high", NEWEST, "missing attribute name"),
        ("may ciphers = high", NEWEST, "missing '='"),
        ("may cipher=high", NEWEST, 'invalid attribute name: "cipher"'),
        ("may ciphers=", NEWEST, 'attribute "ciphers" has empty value'),
        ("may ciphers=high ciphers=high", NEWEST, 'attribute "ciphers" is specified multiple times'),
        ("may protocols=TLSv1 protocols=TLSv1", NEWEST, "multiple times"),
        ("may exclude= exclude=", NEWEST, "multiple times"),
        ("may match=nexthop", NEWEST, 'attribute "match" invalid at security level "may"'),
        ("dane match=nexthop", NEWEST, 'attribute "match" invalid at security level "dane"'),
        ("encrypt tafile=/x", NEWEST, 'attribute "tafile" invalid at security level "encrypt"'),
        ("secure match=", NEWEST, 'attribute "match" has empty value'),
        ("may ciphers=high", (2, 5, 17), 'attribute "ciphers" invalid at security level "may"'),
        ("encrypt exclude=RC4", (2, 5, 17), 'invalid attribute name: "exclude"'),
        ("encrypt servername=hostname", (3, 3, 0), 'invalid attribute name: "servername"'),
        ("encrypt servername=a_b..c", NEWEST, "invalid hostname"),
        ("may connection_reuse=maybe", NEWEST, "bad value"),
        ("may enable_rpk=yes", (3, 8, 0), 'invalid attribute name: "enable_rpk"'),
        ("secure policy_type=sts match=a", (3, 9, 0), 'invalid attribute name: "policy_type"'),
        ("secure policy_ttl=1", NEWEST, "built-in policy has unexpected attribute"),
        ("encrypt { ciphers = high", NEWEST, "malformed attribute/value pair"),
        ("encrypt { ciphers = high }", (3, 9, 0), "malformed attribute/value pair"),
    ],
)
def test_any_mistake_makes_all_of_it_invalid(value: str, version: tuple[int, ...], reason: str) -> None:
    found = policy(value, version)
    assert isinstance(found, InvalidPolicy)
    assert (found.status, reason in found.reason) == ("4.7.5", True), found.reason


def test_attributes_in_braces_are_read_since_3_10() -> None:
    found = policy("encrypt { ciphers = high } {protocols = >=TLSv1.2}")
    assert isinstance(found, Policy)
    assert (found.ciphers, found.protocols) == ("high", ">=TLSv1.2")


def test_names_have_no_case() -> None:
    found = policy("Encrypt Ciphers=high")
    assert isinstance(found, Policy)
    assert (found.level, found.ciphers) == ("encrypt", "high")


@given(value=st.text(max_size=80))
def test_any_text_is_a_policy_or_an_invalid_one(value: str) -> None:
    assert isinstance(policy(value), Policy | InvalidPolicy)


# Tables


def test_a_list_of_tables_keeps_braces_together() -> None:
    names = table_names("hash:/a, inline:{ {b = encrypt ciphers=high}, c=may }\n\tproxy:lmdb:/d /e")
    assert [str(name) for name in names] == [
        "hash:/a",
        "inline:{ {b = encrypt ciphers=high}, c=may }",
        "lmdb:/d",
        "hash:/e",
    ]


def test_too_many_tables_are_a_mistake() -> None:
    with pytest.raises(InvalidSetting, match="at most 100"):
        table_names("hash:/a " * 101)


@pytest.mark.parametrize("name", ["pcre:/x", "ldap:/x", "regexp:/x", "hash:/x"])
def test_a_table_that_cannot_be_read_makes_keys_unknown_and_not_absent(name: str) -> None:
    first = text_table(TableName(type="hash", name="/a"), "known.example may\n", "/a")
    known = (first, *(open_table(each, unreadable) for each in table_names(name)))
    assert isinstance(known[1], UnreadTable)
    assert isinstance(lookup(known, "known.example"), Entry)
    assert isinstance(lookup(known, "other.example"), UnknownLookup)
    assert isinstance(policy_of(known, "other.example", NEWEST), UnknownPolicy)


def test_texthash_with_a_key_twice_is_an_error_for_every_key() -> None:
    broken = text_table(TableName(type="texthash", name="/a"), "a may\nb none\na none\n", "/a")
    assert isinstance(lookup((broken,), "b"), BrokenLookup)
    assert isinstance(policy_of((broken,), "c.example", NEWEST), InvalidPolicy)


def test_lines_that_postfix_ignores_are_told() -> None:
    found = text_table(TableName(type="hash", name="/a"), "  astray may\nnovalue\nx may\n", "/a")
    assert [warning.partition(": ")[0] for warning in found.warnings] == ["/a, line 1", "/a, line 2"]
    assert list(found.entries) == ["x"]


@pytest.mark.parametrize("name", ["inline:{}", "inline:x", "inline:{a}", "fail:x", "static:{may"])
def test_a_table_that_postfix_cannot_use_is_an_error_for_every_key(name: str) -> None:
    (found,) = (open_table(each, unreadable) for each in table_names(name))
    assert isinstance(lookup((found,), "a"), BrokenLookup)


# smtp_tls_per_site

LEVELS: tuple[Tls, ...] = ("none", "may", "encrypt", "verify")
PER_SITE = """\
-,-   none  may   encrypt verify
NONE,-  none  none  none  none
MAY,-   may   may   encrypt verify
NP,-    encrypt encrypt encrypt encrypt
MUST,-  verify verify verify verify
NONE,NONE none none none none
NONE,MAY  none none none none
MAY,MAY may may encrypt verify
NP,NONE encrypt encrypt encrypt encrypt
NP,MAY  encrypt encrypt encrypt encrypt
NP,NP   encrypt encrypt encrypt encrypt
MUST,NONE verify verify verify verify
MUST,MAY verify verify verify verify
MUST,NP verify verify verify verify
MUST,MUST verify verify verify verify
"""
"""What two lookups come to at each level of main.cf: `-` is not found, NP MUST_NOPEERMATCH (TLS_LEGACY_README)."""


def _outcomes() -> list[tuple[Tls, str, str, str]]:
    found = []
    for row in PER_SITE.splitlines():
        pair, *outcomes = row.split()
        first, second = pair.split(",")
        for general, expected in zip(LEVELS, outcomes, strict=True):
            found += [(general, first, second, expected), (general, second, first, expected)]
    return found


@pytest.mark.parametrize(("general", "first", "second", "expected"), _outcomes())
def test_per_site_entries_are_merged_the_stronger_first(general: Tls, first: str, second: str, expected: str) -> None:
    words = {"NP": "MUST_NOPEERMATCH"}
    entries = {"example.com": words.get(first, first), "mx.example.com": words.get(second, second)}
    known = (table({key: value for key, value in entries.items() if value != "-"}),)
    assert per_site_level(known, "example.com", "mx.example.com", general) == expected


def test_an_unknown_per_site_word_keeps_the_mail() -> None:
    found = per_site_level((table({"example.com": "MUSTARD"}),), "example.com", "mx.example.com", "may")
    assert isinstance(found, InvalidPolicy)


def test_per_site_entries_have_no_wild_cards() -> None:
    assert per_site_level((table({".example.com": "MUST"}),), "a.example.com", "mx.example.net", "may") == "may"
