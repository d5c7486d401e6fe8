"""Where a database is: the URL that the user writes, and the file or server that it means."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

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


def without_password(url: str) -> str:
    """The URL as it may be shown: a password in it is not."""
    # Up to the last @, because a password may have been written with one in it.
    shown = re.sub(r"\A([A-Za-z+0-9.]+://[^:/@?#]*):[^?#]*@", r"\1:***@", url)
    return re.sub(r"([?&]password=)[^&#]*", r"\1***", shown)
