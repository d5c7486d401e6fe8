"""Where a database is: the URL that the user writes, and the file or server that it means."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlsplit

from mxprobe.errors import StoreError

_PREFIX = "sqlite:///"
_POSTGRESQL = "postgresql://"

ALLOWED_URL = (
    "sqlite:///FILE, or sqlite:////DIRECTORY/FILE from the root; postgresql://USER@HOST/DATABASE for many machines"
)


def sqlite_path(url: str) -> Path:
    """The file of a URL: ``sqlite:///mxprobe.db`` is relative, ``sqlite:////var/lib/mxprobe.db`` is not.

    Raises:
        StoreError: it is not the URL of a SQLite file.
    """
    name = url.removeprefix(_PREFIX)
    if name == url or not name or name.endswith("/") or name == ":memory:" or "\0" in name:
        raise StoreError(f"{without_password(url)}: not a database (allowed: {ALLOWED_URL})")
    return Path(name)


def sqlite_url(path: Path) -> str:
    """The URL of a file."""
    return f"{_PREFIX}{path}"


def is_postgresql(url: str) -> bool:
    """Whether the URL is of a database on a PostgreSQL server.

    Raises:
        StoreError: it begins like one, but names no database, or has a port that is none.
    """
    if not url.startswith(_POSTGRESQL):
        return False
    try:
        parts = urlsplit(url)
        named = bool(parts.path.strip("/")) and parts.port != 0
    except ValueError:
        named = False
    if not named or parts.path.count("/") > 1 or parts.fragment or not url.isprintable():
        raise StoreError(f"{without_password(url)}: not a database (allowed: {ALLOWED_URL})")
    return True


def with_password(url: str, password: str) -> str:
    """The URL of a database on a PostgreSQL server, with the password that goes with it.

    Raises:
        ValueError: it is of none, or has a password of its own.
    """
    if not is_postgresql(url):
        raise ValueError("only a database on a PostgreSQL server has a password")
    parts = urlsplit(url)
    if parts.password is not None or "password" in dict(parse_qsl(parts.query, keep_blank_values=True)):
        raise ValueError("store.url has a password too")
    user, at, host = parts.netloc.rpartition("@")
    if at:
        return parts._replace(netloc=f"{user}:{quote(password, safe='')}@{host}").geturl()
    # Without a user, who then is the one of libpq, the place before the @ is none for a password.
    return f"{url}{'&' if '?' in url else '?'}password={quote(password, safe='')}"


def without_password(url: str) -> str:
    """The URL as it may be shown: a password in it is not."""
    # Up to the last @ of all, because a password may have been written with an @, /, ? or # in it.
    shown = re.sub(r"\A([A-Za-z+0-9.]+://[^:/@?#]*):.*@", r"\1:***@", url, flags=re.DOTALL)
    if "@" not in url:
        # Without an @ a password stands where a port does.
        shown = re.sub(r"\A([A-Za-z+0-9.]+://[^:/?#]*):(?!\d{1,5}(?:[/?#]|\Z))[^/?#]*", r"\1:***", url)
    return re.sub(r"([?&]password=)[^&#]*", r"\1***", shown)
