"""`mxprobe alerts test` and `mxprobe status`, as their users meet them."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from acceptance.command import complaint, mxprobe
from examples.stored import route
from mxprobe.store import TargetResult, open_store
from mxprobe.verdict.memory import Memory, Remembered
from mxprobe.verdict.memory_document import memory_document
from mxprobe.verdict.seen import Aspect
from servers.receivers import webhook_receiver

SECRET = "s3cr3t-words-0123456789"
GROUP = '[[group]]\nname = "partners"\nnext_hops = ["a.example"]\n'


def configured(tmp_path: Path, *alerts: str) -> Path:
    path = tmp_path / "probes.toml"
    path.write_text(GROUP + "".join(f"[[alert]]\n{each}\n" for each in alerts), encoding="utf-8")
    (tmp_path / "secret").write_text(SECRET, encoding="utf-8")
    return path


def hook(name: str, port: int) -> str:
    return f'name = "{name}"\nurl = "webhook+http://127.0.0.1:{port}/x"\nsecret_file = "secret"'


def test_a_test_message_goes_to_each_target(tmp_path: Path) -> None:
    with webhook_receiver(SECRET.encode()) as receiver:
        path = configured(tmp_path, hook("one", receiver.port), hook("two", receiver.port))
        done = mxprobe("alerts", "test", "--config", path)
        assert (done.code, done.out, done.err) == (0, "one: sent\ntwo: sent\n", "")
        assert mxprobe("alerts", "test", "-c", path, "two").out == "two: sent\n"
    assert all(receiver.is_signed(post) for post in receiver.posts)
    assert [json.loads(post.body)["type"] for post in receiver.posts] == ["test"] * 3
    assert len({post.headers["idempotency-key"] for post in receiver.posts}) == 3
    assert not (tmp_path / "mxprobe.db").exists()


def test_a_target_that_is_not_reached_is_a_finding_and_the_others_are_tried(tmp_path: Path) -> None:
    with webhook_receiver(SECRET.encode()) as receiver:
        secret_url = 'name = "chat"\nurl = "json://127.0.0.1:1/s3cr3t-words"'
        path = configured(tmp_path, hook("dead", 1), secret_url, hook("two", receiver.port))
        done = mxprobe("alerts", "test", "--config", path)
    assert (done.code, done.out) == (1, "two: sent\n")
    dead, chat = done.err.splitlines()
    assert dead.startswith("mxprobe: alert dead: not sent: ")
    assert chat.startswith("mxprobe: alert chat: not sent: ")
    assert "s3cr3t" not in done.err


def test_every_mistake_has_its_line_and_nothing_is_sent(tmp_path: Path) -> None:
    with webhook_receiver(SECRET.encode()) as receiver:
        path = configured(
            tmp_path, hook("one", receiver.port), 'name = "x"\nurl = "nosuch://x"', 'name = "y"\nurl_env = "UNSET_HERE"'
        )
        done = mxprobe("alerts", "test", "--config", path)
    assert (done.code, done.out, receiver.posts) == (2, "", [])
    assert [line.split(": ")[2] for line in done.err.splitlines()] == ["alert[1].url", "alert[2].url_env"]


def test_who_asks_for_nobody_is_told(tmp_path: Path) -> None:
    assert "alert: there is none, so there is nobody to tell" in complaint(
        mxprobe("alerts", "test", "--config", configured(tmp_path))
    )
    path = configured(tmp_path, 'name = "mail"\nurl = "json://127.0.0.1:1"')
    assert "there is no alert 'mial'; did you mean 'mail'?" in complaint(mxprobe("alerts", "test", "-c", path, "mial"))


async def fill(url: str, *, due_for: timedelta, open_event: str = "") -> None:
    now = datetime.now(UTC)
    known = {Aspect(kind="starttls", endpoint="e"): Remembered(value="works", open=open_event)}
    memory = Memory(next_hop="a.example", at=now.replace(microsecond=0), known=known)
    result = TargetResult(
        next_hop="a.example",
        started_at=now,
        finished_at=now,
        settings_digest="d",
        route=route(),
        memory=memory_document(memory),
    )
    async with open_store(url) as store:
        await store.plan("partners", {"a.example": now - due_for})
        await store.save_target(result)


@pytest.mark.parametrize(
    ("due_for", "open_event", "code", "word"),
    [
        (timedelta(0), "", 0, "OK"),
        (timedelta(hours=3), "", 1, "WARNING"),
        (timedelta(hours=9), "", 2, "CRITICAL"),
        (timedelta(0), "starttls-vanished", 2, "CRITICAL"),
        (timedelta(0), "name-lost", 1, "WARNING"),
    ],
)
def test_status_is_what_the_store_says(
    tmp_path: Path, due_for: timedelta, open_event: str, code: int, word: str
) -> None:
    path = configured(tmp_path)
    asyncio.run(fill(f"sqlite:///{tmp_path}/mxprobe.db", due_for=due_for, open_event=open_event))
    done = mxprobe("status", "--config", path)
    assert (done.code, done.err) == (code, "")
    first, *rest = done.out.splitlines()
    assert first.startswith(f"mxprobe {word}: ")
    assert " | open_critical=" in first
    assert any(line.startswith("group partners: 1 next-hops") for line in rest)
    if due_for:
        assert mxprobe("status", "-c", path, "--late", "100").code == 0


def test_status_without_an_answer_is_unknown_on_standard_output(tmp_path: Path) -> None:
    path = configured(tmp_path)
    for arguments in (
        ("--config", tmp_path / "nowhere.toml"),
        ("--config", path),
        ("--store", f"sqlite:///{tmp_path}/nowhere.db"),
    ):
        done = mxprobe("status", *arguments)
        (line,) = done.out.splitlines()
        assert (done.code, done.err) == (3, "")
        assert line.startswith("mxprobe UNKNOWN: ")
    assert not (tmp_path / "mxprobe.db").exists()
