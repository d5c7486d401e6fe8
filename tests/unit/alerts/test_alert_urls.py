"""Which URLs are targets, and what is said of those that are none: never a secret."""

from __future__ import annotations

import pytest

from examples.told import SECRET
from mxprobe.alerts.by_apprise import without_secrets
from mxprobe.alerts.listener import parse_listener
from mxprobe.alerts.urls import service, webhook


def test_a_webhook_is_where_its_url_says() -> None:
    found = webhook("webhook+https://hooks.example:8443/a b?c=é", SECRET)
    assert (found.tls, found.host, found.port, found.authority) == (True, "hooks.example", 8443, "hooks.example:8443")
    assert found.path == "/a%20b?c=%C3%A9"
    assert webhook("WEBHOOK+HTTP://[2001:db8::1]", SECRET).authority == "[2001:db8::1]"
    assert webhook("webhook+http://a.example", SECRET).port == 80
    assert SECRET.decode() not in repr(found)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("webhook+ftp://a.example/", "the scheme is neither"),
        ("webhook+https:///path", "it names no host"),
        ("webhook+https://bücher.example/", "it names no host"),
        ("webhook+https://a.example:99999/", "the port is no number"),
        ("webhook+https://user:s3cr3t-words@a.example/", "a user or password has no place"),
        ("webhook+https://a.example/#x", "a fragment"),
    ],
)
def test_what_is_no_webhook_is_refused_without_its_url(url: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as caught:
        webhook(url, SECRET)
    assert "s3cr3t" not in str(caught.value)


def test_a_secret_that_can_be_guessed_is_refused() -> None:
    with pytest.raises(ValueError, match="the secret has 5 bytes, and needs 16 or more"):
        webhook("webhook+https://a.example/", b"short")


def test_apprise_says_which_schemes_there_are() -> None:
    found = service("mailto://user:s3cr3t-words@mail.example")
    assert found.scheme == "mailto"
    assert "s3cr3t" not in repr(found)
    with pytest.raises(ValueError, match="apprise knows no scheme nosuch://"):
        service("nosuch://s3cr3t-words")
    with pytest.raises(ValueError, match="apprise cannot read this slack:// URL") as caught:
        service("slack://s3cr3t-words")
    assert "s3cr3t" not in str(caught.value)
    with pytest.raises(ValueError, match="it has no scheme"):
        service("mail.example")


def test_no_piece_of_a_url_is_in_what_is_said() -> None:
    url = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/%23general?pass=p%40ssword"
    said = "Failed to send to T1JJ3T3L2/A1BRTD4JD, token TIiajkdnlazkcOXrIdevi7FQ, p@ssword:\r\n error=403"
    found = without_secrets(said, url)
    assert "403" in found
    for secret in ("T1JJ3T3L2", "A1BRTD4JD", "TIiajkdnlazkcOXrIdevi7FQ", "p@ssword", "\n"):
        assert secret not in found


@pytest.mark.parametrize(
    ("text", "found"), [("127.0.0.1:9119", ("127.0.0.1", 9119)), ("[::1]:0", ("::1", 0)), ("0.0.0.0:1", ("0.0.0.0", 1))]
)
def test_metrics_are_served_at_an_address_and_port(text: str, found: tuple[str, int]) -> None:
    assert parse_listener(text) == found


@pytest.mark.parametrize(
    "text", ["", "9119", "localhost:9119", "::1:9119", "[127.0.0.1]:1", "127.0.0.1:65536", "1.2.3.4:٣"]
)
def test_nothing_else_is_an_address_and_port(text: str) -> None:
    with pytest.raises(ValueError, match=r"has no|is in brackets"):
        parse_listener(text)
