"""Four weeks of a small world, whose mail servers and DNS change: what `mxprobe run --once` notices every morning, and
what a mail server and webhooks are told of it."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from acceptance.command import PATIENCE_SECONDS, command, environment
from acceptance.service_process import one_pass, service
from acceptance.world import address_of, configuration
from examples import weeks
from examples.weeks import Certificates, Day, Expected
from mxprobe.store import KeptEvent, open_store
from mxprobe.verdict.events import EVENTS
from servers.certificates import hashed_directory
from servers.changing import ChangingNames, Serves, mail_servers
from servers.faked_time import shifted
from servers.openssl_server import openssl_server
from servers.receivers import MailReceiver, Post, WebhookReceiver, mail_receiver, webhook_receiver
from servers.running import RunningServer, loop_in_thread
from servers.tlslite_server import tlslite_server

ALERTS = Path(__file__).resolve().parents[2] / "docs" / "alerts.md"
SECRET = "s3cr3t-words-0123456789"
TLS12 = {
    "C030": "ECDHE-RSA-AES256-GCM-SHA384",
    "C02F": "ECDHE-RSA-AES128-GCM-SHA256",
    "C013": "ECDHE-RSA-AES128-SHA",
    "002F": "AES128-SHA",
}
"""The suites of zeta.test, with their registered numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """A mail as it came: its subject, its text, and when it says that it was written."""

    subject: str
    text: str
    date: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Morning:
    """What came of one day: what was kept of it, and what each receiver took, in order. `starttls` has the states at
    the endpoints of those next-hops of which nothing is ever told; `noise` is what a log has no place for."""

    noise: list[str]
    events: tuple[KeptEvent, ...]
    starttls: Mapping[str, tuple[str, ...]]
    mails: tuple[Mail, ...]
    posts: Mapping[str, tuple[Post, ...]]

    def documents(self, alert: str) -> list[Any]:
        return [json.loads(post.body) for post in self.posts[alert]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lived:
    """The whole time, and where everything was."""

    port: int
    probes: Path
    script: Mapping[int, Day]
    mornings: Mapping[int, Morning]

    def endpoint(self, expected: Expected) -> str:
        return f"{expected.host}[{expected.address}]:{self.port}" if expected.host else ""

    def next_hop(self, expected: Expected) -> str:
        return f"{expected.next_hop}:{self.port}"


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    """All days, one after the other."""
    directory = tmp_path_factory.mktemp("weeks")
    issued = weeks.certificates()
    ca_path = hashed_directory(directory / "trust", [issued.one, issued.other])
    script = weeks.weeks(issued)
    with ExitStack() as stack:
        names = stack.enter_context(changing_names())
        servers = stack.enter_context(mail_servers(tls_servers(issued)))
        mail = stack.enter_context(running_mail_receiver())
        hooks = {
            name: stack.enter_context(webhook_receiver(SECRET.encode()))
            for name in (weeks.ON_CALL, weeks.ARCHIVE, weeks.BANK)
        }
        probes = configured(directory, servers.port, address_of(names), ca_path, mail, hooks)
        for address, serves in weeks.SERVERS.items():
            servers.become(address, serves)
        dns = dict(weeks.DNS)
        mornings = {}
        for number in range(1, weeks.DAYS + 1):
            day = script.get(number, Day())
            dns |= day.dns
            names.become([f"{owner} {data}" for owner, every in dns.items() for data in every], day.faults)
            for address, changed in day.servers.items():
                servers.become(address, changed)
            mornings[number] = morning(number, probes, mail, hooks)
        yield Lived(port=servers.port, probes=probes, script=script, mornings=mornings)


def morning(number: int, probes: Path, mail: MailReceiver, hooks: Mapping[str, WebhookReceiver]) -> Morning:
    """Run the command as cron would on this day."""
    at = weeks.moment(number)
    mail.refuse = "451 4.3.2 not now" if number == weeks.REFUSED_ON else ""
    mail.mails.clear()
    for name, hook in hooks.items():
        hook.posts.clear()
        hook.status = partial(answer, alive=number >= weeks.ALIVE_FROM.get(name, 1))
    done = one_pass(probes, clock=shifted((at - datetime.now(UTC)).total_seconds()))
    assert done.popen.returncode == 0, (number, "".join(done.noise), done.log)
    events, starttls = asyncio.run(kept(probes, at))
    return Morning(
        noise=done.noise,
        events=events,
        starttls=starttls,
        mails=tuple(as_read(each) for each in mail.mails),
        posts={
            name: tuple(hook.posts) if number >= weeks.ALIVE_FROM.get(name, 1) else () for name, hook in hooks.items()
        },
    )


def answer(_number: int, *, alive: bool) -> int | None:
    """200, or none at all."""
    return 200 if alive else None


def as_read(message: Any) -> Mail:
    body = message.get_body(("plain",))
    assert body is not None
    return Mail(subject=str(message["Subject"]), text=body.get_content(), date=message["Date"].datetime)


async def kept(probes: Path, at: datetime) -> tuple[tuple[KeptEvent, ...], dict[str, tuple[str, ...]]]:
    """What the store has: the events since a time, and what STARTTLS was last where nothing is told."""
    async with open_store(f"sqlite:///{probes.parent}/mxprobe.db") as store:
        quiet = tuple(name for name in await store.next_hops() if name.startswith(("kappa.", "lambda.")))
        report = await store.latest(quiet)
        assert report is not None
        starttls = {
            target.next_hop.partition(".")[0]: tuple(facts.starttls.state for facts in target.endpoints)
            for target in report.targets
        }
        return await store.events(since=at), starttls


def tls_servers(issued: Certificates) -> Mapping[str, Callable[[], AbstractContextManager[RunningServer]]]:
    """What is behind the mail servers: for each certificate one, those of zeta.test, and one that has stayed behind."""

    def of_zeta(without: str = "", protocols: tuple[Any, ...] = ("TLSv1.1", "TLSv1.2", "TLSv1.3")) -> Any:
        cipher = ":".join(name for number, name in TLS12.items() if number != without)
        return partial(
            openssl_server,
            cipher=f"{cipher}:@SECLEVEL=0",
            ciphersuites="TLS_AES_256_GCM_SHA384",
            protocols=protocols,
            certificates=[issued.shown["zeta"]],
        )

    ordinary = {
        name: partial(
            openssl_server, cipher="DEFAULT", protocols=("TLSv1.2", "TLSv1.3"), certificates=[issued.shown[name]]
        )
        for name in issued.shown
    }
    return {
        **ordinary,
        "zeta": of_zeta(),
        "zeta without TLSv1.1": of_zeta(protocols=("TLSv1.2", "TLSv1.3")),
        "zeta without C02F": of_zeta("C02F"),
        "zeta without 002F": of_zeta("002F"),
        "eta with SSLv3 alone": partial(
            tlslite_server, lowest="SSLv3", highest="SSLv3", certificates=[issued.shown["eta"]]
        ),
    }


def configured(
    directory: Path, port: int, resolver: str, ca_path: Path, mail: MailReceiver, hooks: Mapping[str, WebhookReceiver]
) -> Path:
    """The `probes.toml` of this world."""
    groups: dict[str, dict[str, object]] = {
        name: {"next_hops": [f"{each}:{port}" for each in next_hops], "depth": "quick"}
        for name, next_hops in weeks.GROUPS.items()
    }
    groups["shape"] |= {"depth": "standard", "profile": "old"}
    path = configuration(
        directory,
        groups,
        resolver=resolver,
        probe={"ca_path": str(ca_path), "timeouts.greeting": 3, "timeouts.pause": 0.1},
        profiles={"old": {"protocols": ["TLSv1.2"], "suites": ["AES128-SHA"]}},
    )
    (directory / "secret").write_text(SECRET)
    (directory / "mail-url").write_text(
        f"mailto://127.0.0.1:{mail.port}?from=mxprobe@here.test&to=postmaster@here.test"
    )
    alerts: dict[str, dict[str, object]] = {
        weeks.MAIL: {"url_file": "mail-url", "severity": "warning", "digest": weeks.DIGEST},
        weeks.ON_CALL: {"severity": "critical", "groups": ["partners"]},
        weeks.ARCHIVE: {"severity": "info"},
        weeks.BANK: {"severity": "warning", "groups": ["bank"]},
    }
    for name, hook in hooks.items():
        alerts[name] |= {"url": f"webhook+http://127.0.0.1:{hook.port}/{name}", "secret_file": "secret"}
    lines = ["[service]", "confirm_after = 0"]
    for name, alert in alerts.items():
        lines += ["", "[[alert]]", *(f"{key} = {json.dumps(value)}" for key, value in {"name": name, **alert}.items())]
    path.write_text(path.read_text() + "\n".join(lines) + "\n")
    return path


@contextmanager
def changing_names() -> Iterator[ChangingNames]:
    with loop_in_thread("name server") as loop:
        names = ChangingNames()
        serving = names.serving()
        asyncio.run_coroutine_threadsafe(serving.__aenter__(), loop).result(10)
        try:
            yield names
        finally:
            asyncio.run_coroutine_threadsafe(serving.__aexit__(None, None, None), loop).result(10)


@contextmanager
def running_mail_receiver() -> Iterator[MailReceiver]:
    with loop_in_thread("mail receiver") as loop:
        running = mail_receiver()
        receiver = asyncio.run_coroutine_threadsafe(running.__aenter__(), loop).result(10)
        try:
            yield receiver
        finally:
            asyncio.run_coroutine_threadsafe(running.__aexit__(None, None, None), loop).result(10)


Noticed = tuple[str, str, str, str, str | None, str | None, str]


def test_each_morning_has_exactly_the_events_of_what_has_changed(lived: Lived) -> None:
    assert [morning.noise for morning in lived.mornings.values() if morning.noise] == []
    wrong = {}
    for number, morning in lived.mornings.items():
        noticed = Counter(
            (
                each.kind,
                each.next_hop,
                each.endpoint,
                each.item,
                each.before,
                each.after,
                each.evidence.get("recovers", ""),
            )
            for each in morning.events
        )
        expected = Counter(
            (e.kind, lived.next_hop(e), lived.endpoint(e), e.aspect, e.before, e.after, e.recovers)
            for e in lived.script.get(number, Day()).events
        )
        if noticed != expected:
            wrong[number] = {"too many": dict(noticed - expected), "missing": dict(expected - noticed)}
    assert wrong == {}


def test_what_is_no_event_was_seen_all_the_same(lived: Lived) -> None:
    seen = {number: morning.starttls for number, morning in lived.mornings.items()}
    assert {number for number, states in seen.items() if states["lambda"] != ("works",)} == {weeks.GLITCH_ON}
    assert {number for number, states in seen.items() if states["kappa"] != ("works",)} == weeks.OUTAGES
    assert seen[weeks.GLITCH_ON]["lambda"] == ("not-offered",)


def test_every_kind_of_event_happens(lived: Lived) -> None:
    assert {event.kind for day in lived.script.values() for event in day.events} == set(EVENTS)


Told = tuple[str, str, str, str, str | None]
"""A message: type, kind, of which next-hop or provider, at which endpoint, and what it has come to."""


def to_be_told(lived: Lived, number: int, alert: str) -> list[Told]:
    """What an alert is to be told of a day: what happens to several customers of one provider is one message."""
    mine = [event for event in lived.script.get(number, Day()).events if alert in event.told]
    together = Counter((event.kind, event.provider) for event in mine if event.provider)
    messages: list[Told] = [
        ("summary", kind, provider, "", None) for (kind, provider), count in together.items() if count > 1
    ]
    for event in mine:
        if together[event.kind, event.provider] < 2:
            messages.append(("event", event.kind, lived.next_hop(event), lived.endpoint(event), event.after))
    return messages


def was_told(document: Any) -> Told:
    about = document["next_hop"] or document["provider"]
    return document["type"], document["kind"], about, document["endpoint"], document["after"]


@pytest.mark.parametrize("alert", [weeks.ON_CALL, weeks.ARCHIVE, weeks.BANK])
def test_each_webhook_is_told_exactly_what_concerns_it_and_each_once(lived: Lived, alert: str) -> None:
    waiting: list[Told] = []
    for number, morning in lived.mornings.items():
        waiting += to_be_told(lived, number, alert)
        if number < weeks.ALIVE_FROM.get(alert, 1):
            continue  # it is dead, and holds up nobody
        assert Counter(map(was_told, morning.documents(alert))) == Counter(waiting), number
        waiting = []
    posts = [post for morning in lived.mornings.values() for post in morning.posts[alert]]
    assert len({post.headers["idempotency-key"] for post in posts}) == len(posts)


def test_a_webhook_that_was_dead_gets_its_messages_in_their_order_when_it_is_back(lived: Lived) -> None:
    dead_until = weeks.ALIVE_FROM[weeks.BANK]
    kept = [told for number in range(1, dead_until) for told in to_be_told(lived, number, weeks.BANK)]
    assert len(kept) > 1
    assert [was_told(each) for each in lived.mornings[dead_until].documents(weeks.BANK)][: len(kept)] == kept


def test_each_post_is_genuine_by_the_recipe_of_the_documentation(lived: Lived) -> None:
    recipe: dict[str, Any] = {}
    (text,) = re.findall(r"^```python\n(import hashlib.*?)^```$", ALERTS.read_text(), re.MULTILINE | re.DOTALL)
    exec(text, recipe)
    is_genuine = recipe["is_genuine"]
    posts = [
        (weeks.moment(number).timestamp(), {name.title(): value for name, value in post.headers.items()}, post.body)
        for number, morning in lived.mornings.items()
        for posts in morning.posts.values()
        for post in posts
    ]
    assert len(posts) > 50
    for at, headers, body in posts:
        recipe["time"] = SimpleNamespace(time=partial(float, at + 60))  # the clock of that world
        assert is_genuine(SECRET.encode(), headers, body)
        assert not is_genuine(SECRET.encode(), headers, body + b" ")
        assert not is_genuine(SECRET.encode()[1:], headers, body)
        recipe["time"] = SimpleNamespace(time=partial(float, at + 600))
        assert not is_genuine(SECRET.encode(), headers, body), "it is a replay by now"


def test_the_postmaster_has_a_mail_of_each_and_of_no_other(lived: Lived) -> None:
    waiting: list[Told] = []
    for number, morning in lived.mornings.items():
        waiting += to_be_told(lived, number, weeks.MAIL)
        if number == weeks.REFUSED_ON:
            assert morning.mails == ()
            continue
        subjects = Counter(mail.subject for mail in morning.mails if not mail.subject.startswith("[digest]"))
        assert len(list(subjects.elements())) == len(waiting), (number, subjects, waiting)
        for _, kind, about, endpoint, _ in waiting:
            assert any(is_about(mail, kind, about, endpoint) for mail in morning.mails), (number, kind, about, subjects)
        waiting = []
    keys = Counter(mail.text.split()[-1] for morning in lived.mornings.values() for mail in morning.mails)
    assert set(keys.values()) == {1}


def is_about(mail: Mail, kind: str, about: str, endpoint: str) -> bool:
    """Whether the subject says whose it is, and the first five lines what it is, and where."""
    first = "\n".join(mail.text.splitlines()[:5])
    return about in mail.subject and kind in mail.text and endpoint in first and about in first


def test_a_mail_says_when_in_the_time_of_its_world(lived: Lived) -> None:
    for number, morning in lived.mornings.items():
        for mail in morning.mails:
            assert abs(mail.date - weeks.moment(number)) < timedelta(minutes=2)


def test_the_week_is_told_every_monday_to_who_wants_it(lived: Lived) -> None:
    for number, morning in lived.mornings.items():
        digests = [mail for mail in morning.mails if mail.subject.startswith("[digest]")]
        monday = weeks.moment(number).weekday() == 0 and number > 1
        assert len(digests) == monday, number
        for digest in digests:
            events = [event for day in range(number - 7, number) for event in lived.script.get(day, Day()).events]
            targets = {event.next_hop for event in events}
            assert f"{len(events)} events at {len(targets)} targets in 7 days" in digest.text


def test_in_the_end_nothing_is_open(lived: Lived) -> None:
    at = weeks.moment(weeks.DAYS) + timedelta(minutes=5)
    done = subprocess.run(
        command("status", "-c", lived.probes),
        env={**environment(), **shifted((at - datetime.now(UTC)).total_seconds())},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("mxprobe OK: ")


# A service that is left running, an hour of which is a minute here


SPEED = 60
CUSTOMERS = weeks.CUSTOMERS[:5]


def test_a_service_that_runs_tells_its_news_once_and_what_many_share_as_one(tmp_path: Path) -> None:
    issued = weeks.certificates()
    dns = [f"{each}. MX 10 mx.bigmail.test." for each in CUSTOMERS]
    dns += [f"alpha.test. MX 10 mx.alpha.test.\nmx.alpha.test. A {weeks.ALPHA}\nmx.bigmail.test. A {weeks.BIGMAIL}"]
    with ExitStack() as stack:
        names = stack.enter_context(changing_names())
        names.become(dns)
        servers = stack.enter_context(mail_servers(tls_servers(issued)))
        hooks = {name: stack.enter_context(webhook_receiver(SECRET.encode())) for name in ("archive", "dead")}
        hooks["dead"].status = partial(answer, alive=False)

        def become(serves: Serves) -> None:
            for address in (weeks.ALPHA, weeks.BIGMAIL):
                servers.become(address, serves)

        become(Serves())
        path = hasty(tmp_path, servers.port, address_of(names), hooks)
        began = weeks.FIRST + 100 * weeks.DAY
        process = stack.enter_context(
            service(path, clock=shifted((began - datetime.now(UTC)).total_seconds(), speed=SPEED))
        )
        process.heard("visited", count=2 * (len(CUSTOMERS) + 1))
        become(Serves(script=weeks.WITHOUT))
        expected = {
            ("summary", "starttls-vanished", "bigmail.test", 5),
            ("event", "starttls-vanished", f"alpha.test:{servers.port}", 1),
        }
        assert taken(hooks["archive"], 2) == expected
        become(Serves())
        expected |= {
            ("summary", "starttls-appeared", "bigmail.test", 5),
            ("event", "starttls-appeared", f"alpha.test:{servers.port}", 1),
        }
        assert taken(hooks["archive"], 4) == expected
        hooks["dead"].status = partial(answer, alive=True)
        attempts = len(hooks["dead"].posts)
        assert attempts > 0
        assert taken(hooks["dead"], 4, since=attempts) == expected
        process.signal(signal.SIGTERM)
        assert process.ended() == 0
        assert process.noise == []
        assert taken(hooks["archive"], 4) == expected


def taken(hook: WebhookReceiver, count: int, since: int = 0) -> set[tuple[str, str, str, int]]:
    """So many messages, as soon as they are there; whoever is told twice knows that by the key."""
    until = time.monotonic() + PATIENCE_SECONDS
    while len(found := {post.headers["idempotency-key"]: post for post in hook.posts[since:]}) < count:
        assert time.monotonic() < until, [json.loads(post.body)["summary"] for post in found.values()]
        time.sleep(0.02)
    documents = [json.loads(post.body) for post in found.values()]
    assert len(documents) == count
    return {(each["type"], each["kind"], each["next_hop"] or each["provider"], each["count"]) for each in documents}


def hasty(directory: Path, port: int, resolver: str, hooks: Mapping[str, WebhookReceiver]) -> Path:
    """A configuration for a service whose clocks run fast: visits every two minutes of its own, and the patience for
    each answer as long as it is on other days."""
    stages = ("connect", "greeting", "ehlo", "starttls", "hello", "handshake", "quit")
    path = configuration(
        directory,
        {"all": {"next_hops": [f"{each}:{port}" for each in (*CUSTOMERS, "alpha.test")], "every": "2m"}},
        resolver=resolver,
        probe={"depth": "quick", "deadline": 3600, **{f"timeouts.{stage}": 15 * SPEED for stage in stages}},
    )
    (directory / "secret").write_text(SECRET)
    lines = ["[service]", "confirm_after = 10"]
    for name, hook in hooks.items():
        lines += [
            "[[alert]]",
            f'name = "{name}"',
            f'url = "webhook+http://127.0.0.1:{hook.port}/"',
            'secret_file = "secret"',
            'severity = "info"',
        ]
    path.write_text(path.read_text() + "\n".join(lines) + "\n")
    return path
