"""What ``[store]`` says of where the database is, with the password that it does not say."""

from __future__ import annotations

from pathlib import Path

from mxprobe.configuration.files import beside, read_at_most, secret_path
from mxprobe.configuration.sections import StoreSection, brief
from mxprobe.errors import InvalidSetting, StoreError
from mxprobe.store import sqlite_path, sqlite_url
from mxprobe.store.location import ALLOWED_URL, is_postgresql, with_password, without_password

MAX_PASSWORD = 4096
"""Bytes of a file with the password of a database."""


def url_of_store(
    section: StoreSection, where: str, directory: Path, *, with_its_password: bool
) -> tuple[str, tuple[InvalidSetting, ...]]:
    """The URL of the database, paths in it relative to `directory`, and what is wrong with it in the configuration
    that is called `where`. No mistake quotes a password."""
    url = section.url
    try:
        if section.password_file is not None and with_its_password:
            return _with_password(url, section.password_file, f"{where}: store.password_file", directory)
        if is_postgresql(url):
            return url, ()
        return sqlite_url(beside(directory, str(sqlite_path(url)))), ()
    except StoreError:
        return url, (InvalidSetting(f"{where}: store.url", f"found {brief(without_password(url))}", ALLOWED_URL),)


def _with_password(url: str, name: str, where: str, directory: Path) -> tuple[str, tuple[InvalidSetting, ...]]:
    """The URL with the password that a file of one line holds."""
    path = Path(name)
    try:
        path = secret_path(name, directory)
        data = read_at_most(path, MAX_PASSWORD)
        password = data.removesuffix(b"\n").removesuffix(b"\r").decode()
    except UnicodeDecodeError:
        return url, (InvalidSetting(where, f"{path} is not UTF-8"),)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return url, (InvalidSetting(where, f"{path} cannot be read: {reason}"),)
    if not password or len(data) > MAX_PASSWORD or not password.isprintable():
        return url, (InvalidSetting(where, f"{path} has to have one line", "the password, and nothing else"),)
    try:
        return with_password(url, password), ()
    except ValueError as error:
        return url, (InvalidSetting(where, str(error), "store.url = postgresql://USER@HOST/DATABASE"),)
