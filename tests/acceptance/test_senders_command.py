"""`mxprobe senders`: what it lists, in every format."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

import mxprobe as package
from acceptance.command import complaint, mxprobe

FILES = {path.stem: path for path in (Path(package.__file__).parent / "profiles" / "senders").glob("*.json")}


def age_days(day: str) -> int:
    return (datetime.now(UTC).date() - date.fromisoformat(day)).days


def test_every_sender_is_listed_with_kind_age_versions_and_numbers() -> None:
    done = mxprobe("senders")
    assert done.code == 0
    heading, *lines = done.out.splitlines()
    assert heading.split() == ["sender", "kind", "age", "versions", "suites", "groups"]
    assert {line.split()[0] for line in lines if not line.startswith("+")} == set(FILES)
    (postfix,) = (line for line in lines if line.startswith("postfix-3.7-openssl-3.0 "))
    assert "recorded" in postfix
    assert "TLSv1 to TLSv1.3" in postfix
    (gmail,) = (line for line in lines if line.startswith("gmail-2019 "))
    # How many more there are is not known, nor anything of groups.
    assert gmail.split()[1] == "documented"
    assert gmail.split()[-2:] == ["2+", "?"]
    assert "years" in gmail


def test_one_in_detail_has_all_that_its_file_says() -> None:
    done = mxprobe("senders", "exim-4.96-gnutls-3.7")
    document = json.loads(FILES["exim-4.96-gnutls-3.7"].read_text())
    assert done.code == 0
    for key in ("software", "command", "source"):
        assert document[key] in done.words
    for key in ("suites", "groups", "signature_schemes", "key_shares"):
        assert ", ".join(document[key]) in done.words


@pytest.mark.parametrize("output", ["json", "ndjson"])
def test_as_json_each_is_its_file_with_its_age(output: str) -> None:
    done = mxprobe("senders", "--format", output)
    assert done.code == 0
    if output == "json":
        assert done.document["schema"] == "mxprobe-senders/1"
        found = done.document["senders"]
    else:
        found = done.lines
    assert {each["name"] for each in found} == set(FILES)
    for each in found:
        assert each.pop("age_days") == age_days(each["date"])
        assert each == json.loads(FILES[each["name"]].read_text())


def test_several_are_shown_in_the_order_asked_for() -> None:
    done = mxprobe("senders", "gmail-2019", "POSTFIX-3.7-openssl-3.0", "--format", "ndjson")
    assert [each["name"] for each in done.lines] == ["gmail-2019", "postfix-3.7-openssl-3.0"]


def test_wrong_usage_is_one_line() -> None:
    line = complaint(mxprobe("senders", "postfix-3.7"))
    assert "no sender is called 'postfix-3.7'" in line
    assert "postfix-3.7-openssl-3.0" in line
    assert "'xml' is not a format" in complaint(mxprobe("senders", "--format", "xml"))
