"""Files that a user names: all kinds of them come to an end."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from mxprobe.configuration import files
from mxprobe.configuration.files import read_at_most, secret_path


def test_a_file_is_read_to_one_byte_over_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 10)
    assert (len(read_at_most(path, 20)), len(read_at_most(path, 10)), len(read_at_most(path, 4))) == (10, 10, 5)


def test_an_endless_device_ends_at_the_limit() -> None:
    assert read_at_most("/dev/zero", 3_000_000) == bytes(3_000_001)


def test_what_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(OSError, match="directory"):
            read_at_most(path, 10)
    with pytest.raises(ValueError, match="null"):
        read_at_most("a\0b", 10)


def test_a_pipe_without_a_writer_is_at_its_end(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(BrokenPipeError, match="nobody writes to it"):
        read_at_most(path, 10)


def test_a_pipe_is_read_until_it_is_closed() -> None:
    reading, writing = os.pipe()
    first = threading.Event()

    def write() -> None:
        os.write(writing, b"one ")
        first.set()
        os.write(writing, b"two" * 100_000)
        os.close(writing)

    writer = threading.Thread(target=write)
    writer.start()
    first.wait()
    try:
        assert read_at_most(f"/dev/fd/{reading}", 1_000_000) == b"one " + b"two" * 100_000
    finally:
        writer.join()
        os.close(reading)


def test_a_writer_who_writes_nothing_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "PATIENCE_SECONDS", 0.01)
    reading, writing = os.pipe()
    try:
        with pytest.raises(TimeoutError, match="nothing came from it"):
            read_at_most(f"/dev/fd/{reading}", 10)
    finally:
        os.close(reading)
        os.close(writing)


def test_a_secret_may_be_where_systemd_puts_the_credentials_of_a_unit(tmp_path: Path) -> None:
    unit = {"CREDENTIALS_DIRECTORY": "/run/credentials/mxprobe.service"}
    assert secret_path("$CREDENTIALS_DIRECTORY/url", tmp_path, unit) == Path("/run/credentials/mxprobe.service/url")
    assert secret_path("secrets/url", tmp_path, unit) == tmp_path / "secrets/url"
    assert secret_path("/etc/url", tmp_path, unit) == Path("/etc/url")


def test_without_credentials_that_is_what_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the environment has no CREDENTIALS_DIRECTORY"):
        secret_path("$CREDENTIALS_DIRECTORY/url", tmp_path, {})
