"""The store in a SQLite file: who else has it, what it cannot be, and what is left beside it."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from examples.stored import NOW
from mxprobe.errors import NewerDatabase, StoreError
from mxprobe.store import open_store


def url_of(path: Path) -> str:
    return f"sqlite:///{path}"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mxprobe.db"


async def test_a_database_of_a_newer_version_is_left_alone(path: Path) -> None:
    async with open_store(url_of(path)):
        pass
    database = sqlite3.connect(path)
    database.execute("update alembic_version set version_num = '9999'")
    database.commit()
    database.close()
    before = path.read_bytes()
    for read_only in (False, True):
        with pytest.raises(
            NewerDatabase, match=r"^sqlite:.*the database has schema 9999, this mxprobe knows up to \d+"
        ):
            async with open_store(url_of(path), read_only=read_only):
                pass
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


async def test_a_database_of_another_program_is_left_alone(path: Path) -> None:
    database = sqlite3.connect(path)
    database.execute("create table moz_places (id integer)")
    database.commit()
    database.close()
    before = path.read_bytes()
    for read_only in (False, True):
        with pytest.raises(StoreError, match="this is a database, but not one of mxprobe"):
            async with open_store(url_of(path), read_only=read_only):
                pass
    assert path.read_bytes() == before


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("sqlite:///{}/none/mxprobe.db", r"the directory /.*/none does not exist|there is no such database"),
        ("sqlite:///{}", r"/.* is a directory"),
        ("sqlite:///{}/text", "the file is not a database"),
        # /proc refuses new files, even to root.
        ("sqlite:////proc/mxprobe.db", r"the database cannot be opened: no permission|there is no such database"),
        ("sqlite://", r"not a database \(allowed: sqlite:///FILE"),
        ("mysql://localhost/mxprobe", r"not a database \(allowed: sqlite:///FILE"),
    ],
)
async def test_what_cannot_be_opened_is_said_in_one_line(
    tmp_path: Path, where: str, said: str, read_only: bool
) -> None:
    (tmp_path / "text").write_text("These are my notes, and they are no database at all.\n" * 20)
    url = where.format(tmp_path)
    with pytest.raises(StoreError) as caught:
        async with open_store(url, read_only=read_only):
            pass
    assert str(caught.value).startswith(f"{url}: ")
    assert "\n" not in str(caught.value)
    with pytest.raises(StoreError, match=said):
        raise caught.value


async def test_reading_needs_a_database_with_results_and_makes_none(path: Path) -> None:
    with pytest.raises(StoreError, match="there is no such database; mxprobe scan makes it"):
        async with open_store(url_of(path), read_only=True):
            pass
    assert not path.exists()
    path.touch()
    with pytest.raises(StoreError, match="the database is empty; mxprobe scan fills it"):
        async with open_store(url_of(path), read_only=True):
            pass
    assert path.read_bytes() == b""


async def test_an_older_schema_is_not_read_but_said(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_store(url_of(path)):
        pass
    monkeypatch.setattr("mxprobe.store.opening._newest", lambda: "0005")
    with pytest.raises(StoreError, match="the older schema 0004; mxprobe scan brings it up to date"):
        async with open_store(url_of(path), read_only=True):
            pass


async def test_reading_leaves_no_files_behind(path: Path) -> None:
    async with open_store(url_of(path)) as store:
        scan = await store.start_scan(NOW, ("a.example",), "digest")
    async with open_store(url_of(path), read_only=True) as store:
        assert await store.unfinished_scan("digest", since=NOW) == scan
    assert list(path.parent.iterdir()) == [path]


_WRITER = """
import asyncio, sys
from datetime import datetime, UTC
from mxprobe.store import open_store

async def main():
    sys.stdin.readline()
    async with open_store(sys.argv[1]) as store:
        for number in range(20):
            await store.start_scan(datetime.now(UTC), (f"d{number}.example",), sys.argv[2])

asyncio.run(main())
"""


def test_several_processes_make_and_fill_one_database(path: Path) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", _WRITER, url_of(path), f"digest {number}"], stdin=subprocess.PIPE
        )
        for number in range(3)
    ]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write(b"\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate(timeout=120)
        assert writer.returncode == 0
    database = sqlite3.connect(path)
    assert database.execute("select count(*), count(distinct settings_digest) from scan").fetchone() == (60, 3)
    assert database.execute("pragma integrity_check").fetchone() == ("ok",)
    database.close()


_WITHOUT_EXTRA = """
import asyncio, sys
import mxprobe.store
assert not {"sqlalchemy", "alembic"} & sys.modules.keys(), "imported before use"
sys.modules[sys.argv[1]] = None  # as if it were not installed

async def main():
    async with mxprobe.store.open_store("sqlite:///mxprobe.db"):
        pass

try:
    asyncio.run(main())
except mxprobe.store.StoreError as error:
    print(error)
"""


@pytest.mark.parametrize("missing", ["sqlalchemy", "alembic"])
def test_without_its_libraries_the_store_says_how_to_get_them(tmp_path: Path, missing: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT_EXTRA, missing], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("scan and show need the store: pip install 'mxprobe[store]'")
    assert done.stdout.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
