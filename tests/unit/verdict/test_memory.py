"""What is remembered, and what a new observation makes of it: only two known values that differ are an event."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

import pytest

from examples.observations import (
    CERTIFICATE,
    DAY,
    E1,
    E2,
    EXPIRY,
    MAIL,
    MX,
    START,
    STARTTLS,
    SUITES,
    Observation,
    addresses,
    at,
    one,
    run,
    told,
    values,
)
from mxprobe.tls.suites import candidates
from mxprobe.verdict.memory import Memory, remember
from mxprobe.verdict.seen import Aspect, AspectKind

# Known and unknown


def test_the_first_sight_of_a_target_makes_no_event_however_bad_it_is() -> None:
    seen = (*one(STARTTLS, "none"), *one(EXPIRY, "aa expired"), *one(MAIL, "null-mx"), *one(SUITES, "0005"))
    assert run([seen])[1] == []


def test_a_difference_between_two_known_values_is_one_event() -> None:
    memory, events = run(values(STARTTLS, "works", "works", "none", "none"))
    assert told(events) == [(2, "starttls-vanished", "works", "none")]
    assert memory.known[STARTTLS].value == "none"
    assert memory.known[STARTTLS].since == START + 2 * DAY
    assert memory.known[STARTTLS].known_at == START + 3 * DAY


def test_unknown_makes_no_event_and_keeps_what_was_known_with_its_time() -> None:
    memory, events = run(values(STARTTLS, "works", None, None))
    assert events == []
    assert (memory.known[STARTTLS].value, memory.known[STARTTLS].known_at) == ("works", START)
    assert memory.known[STARTTLS].unknown_since == START + DAY


def test_what_was_not_asked_stays_as_it_is_remembered_and_is_not_unknown() -> None:
    memory, events = run([one(STARTTLS, "works"), *[()] * 30])
    assert events == []
    assert memory.known[STARTTLS].unknown_since is None


def test_unknown_for_long_is_told_once_and_so_is_its_end() -> None:
    _, events = run(values(STARTTLS, "works", *[None] * 20, "works", "works"))
    assert told(events) == [(8, "unknown-for-long", "works", None), (21, "recovered", None, "works")]
    assert events[0].evidence["unknown_since"] == (START + DAY).isoformat()
    assert events[1].recovers == "unknown-for-long"


def test_the_time_before_the_first_unknown_observation_does_not_count() -> None:
    # Nobody looked for a month: that alone makes nothing unknown for a month.
    memory, _ = run(values(STARTTLS, "works"))
    _, events = run(values(STARTTLS, None, None), memory=memory, start=START + 30 * DAY)
    assert events == []


def test_what_was_never_known_can_be_unknown_for_long_as_well() -> None:
    _, events = run(values(STARTTLS, *[None] * 9, "works"))
    assert told(events) == [(7, "unknown-for-long", None, None), (9, "recovered", None, "works")]


def test_a_change_that_comes_after_a_long_silence_is_the_one_event_that_ends_it() -> None:
    _, events = run(values(STARTTLS, "works", *[None] * 10, "none"))
    assert told(events)[1:] == [(11, "starttls-vanished", "works", "none")]
    assert events[1].evidence["unknown_since"] == (START + DAY).isoformat()


# What each difference is called


@pytest.mark.parametrize(
    ("kind", "item", "before", "after", "event", "severity"),
    [
        ("mail", "", "yes", "null-mx", "null-mx", "warning"),
        ("mail", "", "null-mx", "yes", "accepts-mail", "info"),
        ("addresses", "mx1.example.test", "192.0.2.1", "192.0.2.9", "address-changed", "info"),
        ("addresses", "mx1.example.test", "192.0.2.1", "none", "address-changed", "warning"),
        ("starttls", "", "works", "none", "starttls-vanished", "critical"),
        ("starttls", "", "broken", "none", "starttls-vanished", "critical"),
        ("starttls", "", "works", "broken", "starttls-broken", "critical"),
        ("starttls", "", "none", "broken", "starttls-broken", "critical"),
        ("starttls", "", "none", "works", "starttls-appeared", "info"),
        ("starttls", "", "broken", "works", "starttls-appeared", "info"),
        ("version", "TLSv1.2", "accepted", "refused", "version-gone", "warning"),
        ("version", "TLSv1.3", "refused", "accepted", "version-new", "info"),
        ("version", "SSLv3", "accepted", "refused", "version-gone", "info"),  # RFC 7568: nobody should miss it
        ("version", "SSLv2", "refused", "accepted", "version-new", "warning"),  # RFC 6176
        ("suites", "TLSv1.2", "C02F C030", "C030", "suite-gone", "warning"),
        ("suites", "TLSv1.2", "0005 C030", "C030", "suite-gone", "info"),  # RC4, RFC 7465
        ("suites", "TLSv1.2", "C030", "C02F C030", "suite-new", "info"),
        ("suites", "TLSv1.2", "C030", "0005 C030", "suite-new", "warning"),
        ("shared-cipher", "outbound", "yes", "no", "shared-cipher-lost", "critical"),
        ("shared-cipher", "outbound", "no", "yes", "shared-cipher-regained", "info"),
        ("needs-sslv3", "", "no", "yes", "needs-sslv3-began", "critical"),
        ("needs-sslv3", "", "yes", "no", "needs-sslv3-ended", "info"),
        ("certificate", "RSA", "aa", "bb", "certificate-replaced", "info"),
        ("certificate-kind", "", "RSA", "ECDSA", "certificate-replaced", "info"),
        ("expiry", "RSA", "aa valid", "aa 21", "certificate-expiring", "warning"),
        ("expiry", "RSA", "aa 1", "aa expired", "certificate-expired", "critical"),
        ("issuer", "", "Let's Encrypt", "Example CA", "other-issuer", "info"),
        ("name", "", "yes", "no", "name-lost", "warning"),
        ("name", "ECDSA", "no", "yes", "name-regained", "info"),
        ("trusted", "", "yes", "no", "no-longer-trusted", "critical"),
        ("trusted", "", "no", "yes", "trusted-again", "info"),
    ],
)
def test_each_difference_has_its_name_and_severity(
    kind: AspectKind, item: str, before: str, after: str, event: str, severity: str
) -> None:
    target_wide = kind in ("mail", "mx", "addresses")
    aspect = Aspect(kind=kind, endpoint="" if target_wide else E1, item=item)
    _, events = run(values(aspect, before, after))
    assert [(each.kind, each.severity, each.aspect, each.endpoint) for each in events] == [
        (event, severity, aspect, aspect.endpoint)
    ]
    assert events[0].summary


def test_a_domain_that_does_not_exist_is_believed_when_it_was_seen_twice_in_a_row() -> None:
    gone = one(MAIL, "no-domain", doubtful=True)
    yes, unknown = one(MAIL, "yes"), one(MAIL, None)
    assert run([yes, gone, yes, gone, yes])[1] == []
    assert told(run([yes, gone, unknown, gone, gone, yes])[1]) == [
        (3, "domain-gone", "yes", "no-domain"),
        (5, "accepts-mail", "no-domain", "yes"),
    ]
    assert told(run([gone, yes])[1]) == [], "a slip at the first sight is nothing that could end"


def test_mx_hosts_come_go_and_move_each_by_itself() -> None:
    _, events = run(values(MX, "10:a.test 20:b.test", "10:a.test 30:b.test", "10:c.test 30:b.test"))
    assert told(events) == [
        (1, "mx-moved", "20:b.test", "30:b.test"),
        (2, "mx-removed", "10:a.test", None),
        (2, "mx-added", None, "10:c.test"),
    ]


def test_of_a_list_of_mx_hosts_that_is_not_all_nothing_is_gone() -> None:
    part = one(MX, "10:a.test", complete=False)
    assert run([one(MX, "10:a.test 20:b.test"), part])[1] == []
    assert run([part, one(MX, "10:a.test 20:b.test")])[1] == [], "it may have been there before"


# Suites


def test_all_suites_of_a_version_that_are_gone_are_one_event() -> None:
    many = " ".join(f"{number:04X}" for number in candidates("TLSv1.2")[:60])
    _, (event,) = run(values(SUITES, f"{many} C030", "C030"))
    assert event.kind == "suite-gone"
    assert len(str(event.before).split()) == 60 - many.split().count("C030")
    assert len(event.summary) <= 300


def test_suites_that_are_gone_and_new_at_once_are_one_event() -> None:
    _, (event,) = run(values(SUITES, "C02F C030", "C030 CCA8"))
    assert (event.kind, event.before, event.after) == ("suite-gone", "C02F", "CCA8")
    assert event.evidence["gone"] == ("ECDHE-RSA-AES128-GCM-SHA256",)
    assert event.evidence["new"] == ("ECDHE-RSA-CHACHA20-POLY1305",)


def test_a_suite_is_only_gone_from_a_complete_list_and_only_new_to_one() -> None:
    part = one(SUITES, "C030", complete=False)
    whole = one(SUITES, "C02F C030")
    assert run([whole, part, whole])[1] == []
    assert run([part, whole])[1] == [], "nobody had asked for it"
    more = one(SUITES, "0035", complete=False)
    memory, events = run([whole, more])
    assert told(events) == [(1, "suite-new", None, "0035")]
    assert memory.known[SUITES].value == "0035 C02F C030"
    assert told(run([whole, more, whole])[1])[1:] == [(2, "suite-gone", "0035", None)]


def test_what_an_earlier_sweep_found_says_nothing_against_what_was_found_since() -> None:
    first, second = one(SUITES, "C02F C030"), one(SUITES, "C030")
    taken_over = one(SUITES, "C02F C030", at=START)
    assert told(run([first, second, taken_over])[1]) == [(1, "suite-gone", "C02F", None)]
    again = one(SUITES, "C02F C030", at=START + timedelta(hours=30))
    assert told(run([first, second, again])[1])[1:] == [(2, "suite-new", None, "C02F")]


def test_suites_are_back_when_all_that_are_missed_are() -> None:
    _, events = run(values(SUITES, "0005 C02F C030", "C030", "C02F C030"))
    assert [(event.kind, event.recovers) for event in events] == [("suite-gone", ""), ("suite-new", "suite-gone")]


def test_a_weak_suite_that_came_and_went_is_over() -> None:
    _, events = run(values(SUITES, "C030", "0005 C030", "C030"))
    assert [(event.kind, event.recovers) for event in events] == [("suite-new", ""), ("suite-gone", "suite-new")]


# Certificates


def test_each_threshold_is_told_once_for_each_certificate() -> None:
    stages = ["aa valid", "aa 21", "aa 21", "aa 7", "aa 21", "aa 7", "aa 1", "aa expired", "aa expired"]
    _, events = run(values(EXPIRY, *stages))
    assert [(event.kind, event.after) for event in events] == [
        ("certificate-expiring", "aa 21"),
        ("certificate-expiring", "aa 7"),
        ("certificate-expiring", "aa 1"),
        ("certificate-expired", "aa expired"),
    ]


def test_a_certificate_that_was_told_to_expire_is_over_when_another_is_shown() -> None:
    _, events = run(values(EXPIRY, "aa 21", "aa 7", "bb valid", "cc valid"))
    assert [(event.kind, event.recovers) for event in events] == [
        ("certificate-expiring", ""),
        ("recovered", "certificate-expiring"),
    ]


def test_one_that_was_replaced_in_time_has_no_word_about_its_end() -> None:
    assert run(values(EXPIRY, "aa valid", "bb valid"))[1] == []
    assert run(values(EXPIRY, "aa 21", "bb valid"))[1] == [], "it was so at the first sight, and never told"


def test_another_certificate_that_ends_soon_as_well_is_told_for_itself() -> None:
    assert told(run(values(EXPIRY, "aa valid", "aa 7", "bb 21"))[1])[1:] == [
        (2, "certificate-expiring", "aa 7", "bb 21")
    ]


def test_the_certificates_of_each_kind_of_key_are_told_apart() -> None:
    rsa, ecdsa = CERTIFICATE, Aspect(kind="certificate", endpoint=E1, item="ECDSA")
    _, events = run([(*one(rsa, "aa"), *one(ecdsa, "ee")), one(rsa, "bb"), (*one(rsa, "bb"), *one(ecdsa, "ee"))])
    assert [event.aspect for event in events] == [rsa]


# Recovery


def test_a_return_to_what_it_was_is_one_recovery() -> None:
    _, events = run(values(STARTTLS, "works", "none", None, "broken", "works", "works"))
    assert [(event.kind, event.recovers) for event in events] == [
        ("starttls-vanished", ""),
        ("starttls-broken", ""),
        ("starttls-appeared", "starttls-broken"),
    ]


def test_what_was_wrong_from_the_first_and_is_mended_ends_nothing() -> None:
    _, (event,) = run(values(STARTTLS, "none", "works"))
    assert (event.kind, event.recovers) == ("starttls-appeared", "")


def test_any_address_ends_that_there_was_none() -> None:
    host = Aspect(kind="addresses", item="mx1.example.test")
    _, events = run(values(host, "192.0.2.1", "none", "192.0.2.7"))
    assert [event.recovers for event in events] == ["", "address-changed"]


# Flapping


def test_the_changes_of_an_aspect_that_flaps_are_one_event_until_it_is_stable() -> None:
    found = ["works", "none"] * 5 + ["works"] * 9
    _, events = run(values(STARTTLS, *found))
    assert told(events) == [
        (1, "starttls-vanished", "works", "none"),
        (2, "starttls-appeared", "none", "works"),
        (3, "starttls-vanished", "works", "none"),
        (4, "flapping", "none", "works"),
        # The last change is on day 10; told last was that there is none.
        (17, "starttls-appeared", "none", "works"),
    ]
    assert events[-1].recovers == "starttls-vanished"


def test_what_is_stable_at_what_was_told_last_has_recovered() -> None:
    found = ["works", "none", "works", "none", "works"] + ["none"] * 9
    _, events = run(values(STARTTLS, *found))
    assert told(events)[3:] == [(4, "flapping", "none", "works"), (12, "recovered", None, "none")]
    assert events[-1].recovers == "flapping"


def test_flapping_is_as_severe_as_the_change_that_it_stands_for() -> None:
    _, gone = run(values(STARTTLS, "none", "works", "none", "works", "none"))
    _, back = run(values(STARTTLS, "works", "none", "works", "none", "works"))
    assert [(events[-1].kind, events[-1].severity) for events in (gone, back)] == [
        ("flapping", "critical"),
        ("flapping", "warning"),
    ]


def test_what_is_stable_and_still_wrong_is_told_as_a_warning() -> None:
    _, gone = run(values(STARTTLS, "works", "none", "works", "none", "works", *["none"] * 9))
    _, back = run(values(STARTTLS, "none", "works", "none", "works", "none", *["works"] * 9))
    assert [(events[-1].kind, events[-1].severity) for events in (gone, back)] == [
        ("recovered", "warning"),
        ("recovered", "info"),
    ]


def test_an_event_says_when_it_was_last_known_to_be_as_before_and_since_when_it_had_been_so() -> None:
    _, events = run(values(STARTTLS, "works", "works", None, "none", "none", "works"))
    assert [(each.evidence["before_since"], each.evidence["before_until"]) for each in events] == [
        (START.isoformat(), (START + DAY).isoformat()),
        ((START + 3 * DAY).isoformat(), (START + 4 * DAY).isoformat()),
    ]


def test_changes_that_are_far_apart_do_not_flap() -> None:
    _, events = run(values(STARTTLS, *["works", "none"] * 5), step=6 * DAY)
    assert "flapping" not in {event.kind for event in events}
    assert len(events) == 9


def test_a_name_server_that_gives_addresses_in_turn_flaps_once() -> None:
    host = Aspect(kind="addresses", item="mx1.example.test")
    _, events = run([one(host, f"192.0.2.{number % 7}") for number in range(100)])
    assert Counter(event.kind for event in events) == {"address-changed": 3, "flapping": 1}


def test_after_flapping_it_takes_as_many_changes_to_flap_again() -> None:
    found = ["works", "none", "works", "none", "works"] + ["none"] * 8 + ["works", "none", "works", "none"]
    _, events = run(values(STARTTLS, *found))
    assert [event.kind for event in events][-4:] == [
        "starttls-appeared",
        "starttls-vanished",
        "starttls-appeared",
        "flapping",
    ]


# Endpoints that come and go


def test_a_host_that_moved_to_another_address_has_not_lost_starttls() -> None:
    before = (*addresses("192.0.2.1"), *at(E1, "works"))
    _, events = run([before, (*addresses("192.0.2.2"), *at(E2, "works")), (*addresses("192.0.2.2"), *at(E2, "works"))])
    assert [event.kind for event in events] == ["address-changed"]


def test_that_there_is_less_at_the_new_address_is_told_as_that() -> None:
    before = (*addresses("192.0.2.1"), *at(E1, "works"))
    there = (*addresses("192.0.2.2"), *at(E2, None))
    _, events = run([before, there, (*addresses("192.0.2.2"), *at(E2, "none"))])
    assert [(event.kind, event.endpoint, event.before, event.after) for event in events] == [
        ("address-changed", "", "192.0.2.1", "192.0.2.2"),
        ("weaker-endpoint", E2, "works", "none"),
    ]
    _, (_, _, mended) = run([before, there, at(E2, "none"), at(E2, "works")])
    assert (mended.kind, mended.recovers) == ("starttls-appeared", "weaker-endpoint")


def test_an_endpoint_is_held_against_what_was_there_and_not_against_what_comes_with_it() -> None:
    assert run([(*at(E1, "works"), *at(E2, "none"))])[1] == [], "the first sight"
    assert run([at(E1, "none"), (*at(E1, "none"), *at(E2, "none"))])[1] == [], "no worse than the other"


def test_what_was_wrong_with_an_endpoint_is_over_when_the_dns_no_longer_names_it() -> None:
    both = addresses("192.0.2.1", "192.0.2.2")
    good, bad = (*both, *at(E1, "works"), *at(E2, "works")), (*both, *at(E1, "works"), *at(E2, "none"))
    less = (*addresses("192.0.2.1"), *at(E1, "works"))
    _, events = run([good, bad, less, less, bad])
    assert [(event.kind, event.recovers) for event in events if event.aspect.endpoint == E2] == [
        ("starttls-vanished", ""),
        ("recovered", "starttls-vanished"),
        ("starttls-vanished", ""),
    ]


def test_a_version_that_is_gone_is_not_told_again_when_its_address_comes_back() -> None:
    version = Aspect(kind="version", endpoint=E2, item="TLSv1")
    both, less = addresses("192.0.2.1", "192.0.2.2"), addresses("192.0.2.1")
    there = (*both, *one(version, "refused"))
    _, events = run([(*both, *one(version, "accepted")), there, less, there])
    assert [event.kind for event in events if event.aspect == version] == ["version-gone"]


@pytest.mark.parametrize("dns", [(), one(MAIL, None), one(Aspect(kind="addresses", item="mx1.example.test"), None)])
def test_where_the_dns_does_not_answer_nobody_is_gone(dns: Observation) -> None:
    memory, events = run([(*addresses("192.0.2.1"), *at(E1, "works")), at(E1, "none"), dns])
    assert [event.kind for event in events] == ["starttls-vanished"]
    assert memory.gone == {}


def test_with_a_null_mx_all_endpoints_are_gone() -> None:
    first = (*one(MAIL, "yes"), *addresses("192.0.2.1"), *at(E1, "works"))
    memory, events = run([first, one(MAIL, "null-mx")])
    assert [event.kind for event in events] == ["null-mx"]
    assert set(memory.gone) == {E1, "mx1.example.test"}


def test_who_is_gone_is_forgotten_after_a_year() -> None:
    first = (*addresses("192.0.2.1"), *at(E1, "works"))
    memory, _ = run([first, addresses("192.0.2.2")])
    assert STARTTLS in memory.known
    memory, events = run([addresses("192.0.2.2")], memory=memory, start=START + 367 * DAY)
    assert STARTTLS not in memory.known
    assert memory.gone == {}
    assert events == []


def test_of_all_that_are_gone_a_hundred_are_remembered() -> None:
    turns = [f"10.0.{number // 200}.{number % 200}" for number in range(500)]
    observations = [(*addresses(turn), *at(f"mx1.example.test[{turn}]:25", "works")) for turn in turns]
    memory, _ = run(observations)
    assert len(memory.gone) == 100
    assert sum(aspect.kind == "starttls" for aspect in memory.known) == 101


# The clock


def test_a_clock_that_was_a_day_ahead_makes_no_event_and_holds_nothing_up() -> None:
    memory, events = run(values(STARTTLS, "works", None), step=400 * DAY)
    later, more = run(values(STARTTLS, *[None] * 9), memory=memory, start=START + 2 * DAY)
    assert told([*events, *more]) == [(9, "unknown-for-long", "works", None)]
    assert later.known[STARTTLS].unknown_since == START + 2 * DAY


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        remember(Memory(next_hop="example.test"), (), datetime(2026, 1, 1))
