"""Where a database is: the URL that the user writes, and the file that it means."""

from __future__ import annotations

from pathlib import Path

from mxprobe.errors import StoreError

_PREFIX = "sqlite:///"

ALLOWED_URL = "sqlite:///FILE, or sqlite:////DIRECTORY/FILE from the root"


def sqlite_path(url: str) -> Path:
    """The file of a URL: ``sqlite:///mxprobe.db`` is relative, ``sqlite:////var/lib/mxprobe.db`` is not.

    Raises:
        StoreError: it is not the URL of a SQLite file.
    """
    name = url.removeprefix(_PREFIX)
    if name == url or not name or name.endswith("/") or name == ":memory:" or "\0" in name:
        raise StoreError(f"{url}: not a database (allowed: {ALLOWED_URL})")
    return Path(name)


def sqlite_url(path: Path) -> str:
    """The URL of a file."""
    return f"{_PREFIX}{path}"
