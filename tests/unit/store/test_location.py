"""What the URL of a store means, and how it is shown."""

from __future__ import annotations

import pytest
from psycopg.conninfo import conninfo_to_dict

from mxprobe.errors import StoreError
from mxprobe.store.location import is_postgresql, sqlite_path, with_password, without_password


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://host/db",
        "postgresql:///db",
        "postgresql://me@/db?host=/run/postgresql",
        "postgresql://me:secret@[2001:db8::1]:5433/db?sslmode=require",
    ],
)
def test_a_database_on_a_server_is_named_as_libpq_names_it(url: str) -> None:
    assert is_postgresql(url)


@pytest.mark.parametrize("url", ["sqlite:///x.db", "mysql://host/db", "postgres://host/db", "PostgreSQL://host/db", ""])
def test_others_are_not_on_a_server(url: str) -> None:
    assert not is_postgresql(url)


@pytest.mark.parametrize(
    "url", ["postgresql://", "postgresql://h", "postgresql://h/a/b", "postgresql://h:x/d", "postgresql://h/d#x"]
)
def test_one_that_names_no_database_is_refused(url: str) -> None:
    with pytest.raises(StoreError, match="allowed: sqlite:///FILE"):
        is_postgresql(url)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:secret@host/db", "postgresql://me:***@host/db"),
        ("postgresql://me:se@cr:et/@host/db", "postgresql://me:***@host/db"),
        ("postgresql://:secret@host/db", "postgresql://:***@host/db"),
        (
            "postgresql://host/db?user=me&password=secret&sslmode=require",
            "postgresql://host/db?user=me&password=***&sslmode=require",
        ),
        ("mysql://me:secret@host/db", "mysql://me:***@host/db"),
        ("postgresql://me@host:5432/db", "postgresql://me@host:5432/db"),
        ("postgresql://host:5432/db", "postgresql://host:5432/db"),
        ("postgresql://me:secret/db", "postgresql://me:***/db"),
        ("postgresql://me:sec#ret@host/db", "postgresql://me:***@host/db"),
        ("postgresql://me:sec?ret@host/db", "postgresql://me:***@host/db"),
        ("sqlite:////a/b:c@d.db", "sqlite:////a/b:c@d.db"),
    ],
)
def test_a_password_is_never_shown(url: str, shown: str) -> None:
    assert without_password(url) == shown


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me@host:5433/db?sslmode=require", "postgresql://me:***@host:5433/db?sslmode=require"),
        ("postgresql://me@/db?host=/run/postgresql", "postgresql://me:***@/db?host=/run/postgresql"),
        ("postgresql://host/db", "postgresql://host/db?password=***"),
        ("postgresql:///db?host=/run/postgresql", "postgresql:///db?host=/run/postgresql&password=***"),
    ],
)
@pytest.mark.parametrize("password", ["secret", "s@cr:e/t?&#% +ü"])
def test_a_password_of_its_own_file_goes_with_the_url_as_libpq_reads_it(url: str, shown: str, password: str) -> None:
    whole = with_password(url, password)
    assert without_password(whole) == shown
    assert conninfo_to_dict(whole) == conninfo_to_dict(url) | {"password": password}


def test_a_url_that_has_a_password_gets_no_other() -> None:
    for url in ("postgresql://me:one@host/db", "postgresql://me:@host/db", "postgresql://host/db?password=one"):
        with pytest.raises(ValueError, match=r"^store\.url has a password too$"):
            with_password(url, "two")


def test_a_file_has_no_password() -> None:
    with pytest.raises(ValueError, match="only a database on a PostgreSQL server"):
        with_password("sqlite:///mxprobe.db", "two")


def test_the_url_of_a_file_is_refused_with_its_password_hidden() -> None:
    with pytest.raises(StoreError, match=r"^mysql://me:\*\*\*@host/db: not a database"):
        sqlite_path("mysql://me:secret@host/db")
