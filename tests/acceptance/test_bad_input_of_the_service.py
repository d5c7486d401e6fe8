"""What a service is told wrongly is told by it at the start: a line for each mistake, exit code 2, and nothing is done,
nor is anything said that is a secret."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from acceptance.command import Done, complaint, mxprobe, mxprobe_process
from acceptance.world import configuration
from servers.smtp_front import Front

SECRET = "s3cr3t"
LONG_SECRET = "s3cr3t-words-0123456789"

GROUP = '[[group]]\nname = "partners"\nnext_hops = ["192.0.2.1"]\n'
HOOK = 'url = "webhook+https://hooks.example.com/x"'

FILES = {
    "short": b"s3cr3t\r\n",
    "empty": b"",
    "blank": b" \r\n",
    "two": b"s3cr3t-words-0123456789\r\ns3cr3t-words-0123456789\r\n",
    "long": b"s3cr3t" * 1000,
    "good": LONG_SECRET.encode() + b"\r\n",
    "unknown-url": b"nosuch://s3cr3t\n",
    "template": b"{subject}\n\n{sumary} {before!r}\n",
    "unclosed": b"{subject}\n{summary\n",
    "latin": b"title\n\xe9\n",
    "not.pem": b"no certificate\n",
    "utf-16": "a.example\n".encode("utf-16"),
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with files of secrets, templates and next-hops, and variables in the environment."""
    for name, data in FILES.items():
        (tmp_path / name).write_bytes(data)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EMPTY_URL", "")
    monkeypatch.setenv("UNKNOWN_URL", "nosuch://s3cr3t")
    monkeypatch.setenv("SHORT_SECRET", SECRET)
    return tmp_path


def nothing_was_done(here: Path) -> bool:
    return {path.name for path in here.iterdir()} == {*FILES, "probes.toml"}


def mistakes(done: Done) -> list[str]:
    """What each line says behind the name of the file; it is nothing but such lines, and has no secret."""
    assert (done.code, done.out) == (2, ""), done
    assert SECRET not in done.err
    lines = done.err.splitlines()
    assert all(line.startswith("mxprobe: probes.toml: ") and line.isprintable() for line in lines)
    return [line.removeprefix("mxprobe: probes.toml: ") for line in lines]


SECTIONS = [
    ("[probe]\nehlo = 'mx_1.example.org'", "probe.ehlo: 'mx_1.example.org' has an underscore"),
    ("[probe]\nehlo = '192.0.2.7'", "probe.ehlo: '192.0.2.7' is an address; in EHLO it is [192.0.2.7] (allowed: "),
    ("[probe]\nehlo = '[2001:db8::7]'", "probe.ehlo: '[2001:db8::7]' is an address; in EHLO it is [IPv6:2001:db8::7]"),
    ("[probe]\nehlo = '[300.0.2.7]'", "probe.ehlo: '[300.0.2.7]' is no address literal"),
    ("[probe]\nehlo = '[mx.example.org]'", "probe.ehlo: '[mx.example.org]' is no address literal"),
    ("[probe]\nehlo = ''", "probe.ehlo: found ''"),
    ("[probe]\nehlo = 'mx..example.org'", "probe.ehlo: '' is not a label of a host name"),
    (f"[probe]\nehlo = '{'a' * 64}.example.org'", f"probe.ehlo: '{'a' * 64}' is not a label of a host name"),
    (f"[probe]\nehlo = '{'.'.join(['a' * 60] * 5)}'", "probe.ehlo: the host name is longer than 253 characters"),
    ("[probe]\nehlo = '*.example.org'", "probe.ehlo: '*' is not a label"),
    ("[probe]\nca_file = 'nowhere.pem'", "probe.ca_file: nowhere.pem: cannot be read: No such file"),
    ("[probe]\nca_file = 'not.pem'", "probe.ca_file: not.pem: no PEM certificate in it"),
    ("[probe]\nca_path = '.'", "probe.ca_path: .: no hash links"),
    ("[probe]\nignore = ['192.0.2.1/24']", "probe.ignore[0]: 192.0.2.1/24 has host bits set (allowed: a domain"),
    ("[probe]\nignore = ['192.0.2.0/33']", "probe.ignore[0]: '192.0.2.0/33' does not appear to be an IPv4 or IPv6 net"),
    ("[probe]\nignore_file = '~nobody-is-called-so/x'", "probe.ignore_file: ~nobody-is-called-so/x cannot be read"),
    ("[limits]\nconnections = 1e3", "limits.connections: found 1000.0 (allowed: a whole number from 1 to 10000)"),
    ("[limits]\nper_minute = 3", "limits.per_minute: unknown key; did you mean 'per_address_per_minute'?"),
    ("[servce]", "servce: unknown key; did you mean 'service'?"),
    ("[alerts]", "alerts: unknown key; did you mean 'alert'?"),
    ("[service]\natonce = 3", "service.atonce: unknown key; did you mean 'at_once'?"),
    ("[service]\nat_once = 99999999999999999999", "service.at_once: found 99999999999999999999 (allowed: a whole"),
    ("[service]\nstop_within = nan", "service.stop_within: found nan (allowed: seconds, from 0 to 3600)"),
    ("[service]\nstop_within = -0.1", "service.stop_within: found -0.1"),
    ("[service]\nconfirm_after = 1979-05-27", "service.confirm_after: found '1979-05-27'"),
    (
        "[service]\nmetrics = 'localhost:9119'",
        "service.metrics: 'localhost:9119' has no IP address (allowed: ADDR:PORT",
    ),
    ("[service]\nmetrics = '::1:9119'", "service.metrics: '::1:9119': an IPv6 address, and no other, is in brackets"),
    ("[service]\nmetrics = '127.0.0.1:65536'", "service.metrics: '127.0.0.1:65536' has no port from 0 to 65535"),
    ("[store]\nkeep_days = 0", "store.keep_days: found 0"),
    ("[store]\nurl = 'sqlite://mxprobe.db'", "store.url: found 'sqlite://mxprobe.db' (allowed: sqlite:///FILE"),
    ("[store]\nurl = 'postgres://u:s3cr3t@h/db'", "store.url: found 'postgres://u:***@h/db' (allowed: "),
    (
        "[store]\nurl = 'postgresql://u:s3cr3t@127.0.0.1:99999/d'",
        "store.url: found 'postgresql://u:***@127.0.0.1:99999",
    ),
    ("[store]\nurl = 'postgresql://u:x#s3cr3t@h/db'", "store.url: found 'postgresql://u:***@h/db'"),
    ("[store]\nurl = 'postgresql://u:x?s3cr3t@h/db/x'", "store.url: found 'postgresql://u:***@h/db/x'"),
    ("[store]\nurl = ['postgresql://u:s3cr3t@h/db']", "store.url: found something else (allowed: the URL"),
    ("store = 'postgresql://u:s3cr3t@h/db'", "store: found something else (allowed: a table [store])"),
    ("alert = 'mailto://u:s3cr3t@example.com'", "alert: found something else (allowed: tables [[alert]], in double"),
    ("[alert]\nurl = 'mailto://u:s3cr3t@h'", "alert: found something else (allowed: tables [[alert]], in double"),
    (f"a{'.a' * 5000} = 1", "it has too many tables or arrays within each other"),
    (f"x = {'[' * 3000}", "not TOML: too many tables or arrays within each other"),
    (f"[{'k' * 5000}]", f"{'k' * 77}...: unknown key"),
]


@pytest.mark.parametrize(("text", "said"), SECTIONS, ids=range(len(SECTIONS)))
def test_a_mistake_anywhere_is_one_line(text: str, said: str, here: Path) -> None:
    # What stands before the first table has to come first.
    (here / "probes.toml").write_text(f"{text}\n{GROUP}")
    (found,) = mistakes(mxprobe("run", "--once"))
    assert found.startswith(said)
    assert nothing_was_done(here)


GROUPS = [
    ('every = "59s"', "every: '59s' is less than a minute (allowed: a duration from 1m to 365d"),
    ('every = "366d"', "every: '366d' is more than a year"),
    ('every = "daily"', "every: 'daily' is no duration"),
    ("every = 24", "every: found 24 (allowed: a duration"),
    ('jitter = "51%"', "jitter: '51%' is more than half of the interval"),
    ('jitter = "13h"', "jitter: '13h' is more than half of the interval"),
    ('jitter = "-1%"', "jitter: '-1%' is no duration"),
    ('quiet = "22:00-06:00"', "quiet: found '22:00-06:00' (allowed: an array of spans"),
    ('quiet = ["25:00-06:00"]', "quiet[0]: 25:00 is no time of day"),
    ('quiet = ["08:00-08:00"]', "quiet[0]: '08:00-08:00' ends when it begins"),
    ('quiet = ["monday"]', "quiet[0]: 'monday' is no span of hours"),
    ('quiet = ["mon-sun"]', "quiet: they leave less than an hour of the week"),
    ('timezone = "Europe/Berlyn"', "timezone: 'Europe/Berlyn' is no time zone that this machine knows"),
    ('timezone = "../../etc/passwd"', "timezone: '../../etc/passwd' is no time zone"),
    ('file = "nowhere"', "file: nowhere cannot be read: No such file"),
    ('file = "."', "file: . cannot be read: Is a directory"),
    ('file = "~nobody-is-called-so/x"', "file: ~nobody-is-called-so/x cannot be read: No such file"),
    ('file = "/dev/zero"', "file: /dev/zero is longer than 50000000 bytes"),
    ('profile = "outbound"', "profile: there is no profile 'outbound'"),
    ('require = ["trust"]', "require[0]: 'trust' is not a requirement; did you mean 'trusted'?"),
    ('next_hop = "a.example"', "next_hop: unknown key; did you mean 'next_hops'?"),
]


@pytest.mark.parametrize(("line", "said"), GROUPS, ids=[line for line, _ in GROUPS])
def test_a_mistake_in_a_group_is_one_line(line: str, said: str, here: Path) -> None:
    (here / "probes.toml").write_text(f"{GROUP}{line}\n")
    (found,) = mistakes(mxprobe("run"))
    assert found.startswith(f"group[0].{said}")
    assert nothing_was_done(here)


ALERTS = [
    ("", ": it has not one URL (allowed: exactly one of url, url_file and url_env)"),
    ('url = "json://h"\nurl_file = "good"', ": it has not one URL"),
    ('url = "json://h"\ngroups = ["partner"]', ".groups[0]: there is no group 'partner'; did you mean 'partners'?"),
    ('url = "json://h"\nseverity = "warn"', ".severity: found 'warn' (allowed: info, warning, critical)"),
    ('url = "json://h"\ndigest = "mon 25:00"', ".digest: 'mon 25:00' is no day and time"),
    ('url = "nosuch://s3cr3t"', ".url: apprise knows no scheme nosuch:// (allowed: a URL of apprise"),
    ('url = "mailtos//s3cr3t"', ".url: it has no scheme, like mailto://"),
    ('url = "mailt://s3cr3t"', ".url: apprise knows no scheme mailt://; did you mean mailto://?"),
    ('url = "https://h/s3cr3t"', ".url: apprise knows no scheme https://; did you mean webhook+https://?"),
    ('url = "slack://s3cr3t"', ".url: apprise cannot read this slack:// URL: "),
    ('url = ["json://s3cr3t"]', ".url: found something else"),
    ('url = "json://s3cr3t\\n"', ".url: found something else"),
    ('sevrity = "info"\nurl = "json://s3cr3t"', ".sevrity: unknown key; did you mean 'severity'?"),
    ('ulr = "json://s3cr3t"', ".ulr: unknown key; did you mean 'url'?"),
    ('url_file = "nowhere"', ".url_file: nowhere cannot be read: No such file"),
    ('url_file = "empty"', ".url_file: it has to have one line (allowed: the url, and nothing else)"),
    ('url_file = "two"', ".url_file: it has to have one line"),
    ('url_file = "unknown-url"', ".url_file: apprise knows no scheme nosuch://"),
    ('url_file = "mailto://u:s3cr3t@h"', ".url_file: this is a URL (allowed: the path of a file with it)"),
    ('url_env = "NOT_SET_HERE"', ".url_env: the environment has no NOT_SET_HERE"),
    ('url_env = "EMPTY_URL"', ".url_env: the environment has no EMPTY_URL"),
    ('url_env = "UNKNOWN_URL"', ".url_env: apprise knows no scheme nosuch://"),
    ('url_env = "mailto://u:s3cr3t@h"', ".url_env: this is no name of a variable (allowed: letters"),
    (f"{HOOK}", ": a webhook is signed with one secret (allowed: exactly one of secret_file and secret_env)"),
    (f'{HOOK}\nsecret_file = "nowhere"', ".secret_file: nowhere cannot be read: No such file"),
    (f'{HOOK}\nsecret_file = "."', ".secret_file: . cannot be read: Is a directory"),
    (f'{HOOK}\nsecret_file = "empty"', ".secret_file: it has to have one line (allowed: the secret, and nothing else)"),
    (f'{HOOK}\nsecret_file = "blank"', ".secret_file: it has to have one line"),
    (f'{HOOK}\nsecret_file = "two"', ".secret_file: it has to have one line"),
    (f'{HOOK}\nsecret_file = "long"', ".secret_file: long is longer than 4096 bytes"),
    (f'{HOOK}\nsecret_file = "short"', ".secret_file: the secret has 6 bytes (allowed: 16 or more)"),
    (f'{HOOK}\nsecret_file = ["s3cr3t"]', ".secret_file: found something else"),
    (f'{HOOK}\nsecret_env = "SHORT_SECRET"', ".secret_env: the secret has 6 bytes (allowed: 16 or more)"),
    (f'{HOOK}\nsecret_env = "s3cr3t words"', ".secret_env: this is no name of a variable"),
    (f'{HOOK}\nsecret = "s3cr3t"', ".secret: unknown key; did you mean"),
    (f'{HOOK}\nsecret_file = "good"\ntemplate = "template"', ".template: a webhook gets JSON"),
    ('url = "webhook+ftp://h/"\nsecret_file = "good"', ".url: the scheme is neither webhook+https nor webhook+http"),
    ('url = "webhook+https:///x"\nsecret_file = "good"', ".url: it names no host"),
    ('url = "webhook+https://a..b/"\nsecret_file = "good"', ".url: it names no host"),
    ('url = "webhook+https://300.1.1.1/"\nsecret_file = "good"', ".url: it names no host"),
    ('url = "webhook+https://h:0/"\nsecret_file = "good"', ".url: the port is no number from 1 to 65535"),
    ('url = "webhook+https://h:65536/"\nsecret_file = "good"', ".url: the port is no number from 1 to 65535"),
    ('url = "webhook+https://u:s3cr3t@h/"\nsecret_file = "good"', ".url: a user or password has no place in it"),
    ('url = "webhook+https://u:s3cr3t@[::1/"\nsecret_file = "good"', ".url: it names no host"),
    ('url = "webhook+https://u:s3cr3t@ex\u2100mple/"\nsecret_file = "good"', ".url: it names no host"),
    ('url = "json://h"\nsecret_file = "good"', ": a secret is for a webhook"),
    ('url = "json://h"\ntemplate = "nowhere"', ".template: nowhere cannot be read: No such file"),
    (
        'url = "json://h"\ntemplate = "template"',
        ".template: template: line 3: there is no field {sumary} (allowed: level",
    ),
    ('url = "json://h"\ntemplate = "unclosed"', ".template: unclosed: line 2: "),
    ('url = "json://h"\ntemplate = "empty"', ".template: empty: line 1: no title"),
    ('url = "json://h"\ntemplate = "latin"', ".template: latin: line 2: not UTF-8"),
]


@pytest.mark.parametrize(("lines", "said"), ALERTS, ids=range(len(ALERTS)))
def test_a_mistake_in_an_alert_is_one_line_without_its_secrets(lines: str, said: str, here: Path) -> None:
    (here / "probes.toml").write_text(f'{GROUP}[[alert]]\nname = "mail"\n{lines}\n')
    for command in (("run", "--once"), ("alerts", "test")):
        (found,) = mistakes(mxprobe(*command))
        assert found.startswith(f"alert[0]{said}")
    assert nothing_was_done(here)


def test_a_secret_may_come_from_a_file_of_another_system(here: Path) -> None:
    """With CR LF at its end, and a byte order mark at its beginning."""
    (here / "bom").write_bytes(b"\xef\xbb\xbfwebhook+http://127.0.0.1:1/x\r\n")
    alert = '[[alert]]\nname = "hook"\nurl_file = "bom"\nsecret_file = "good"\n'
    (here / "probes.toml").write_text(GROUP + alert)
    done = mxprobe("alerts", "test")
    assert done.code == 1
    assert "alert hook: not sent: " in done.err


def test_all_mistakes_are_told_at_once(here: Path) -> None:
    (here / "probes.toml").write_text(
        f"{GROUP}{GROUP}every = '1s'\njitter = '90%'\nquiet = ['x', '25:00-26:00']\ntimezone = 'Nowhere'\n"
        "profile = 'p'\nrequire = ['x']\nfile = 'nowhere'\n"
        "[probe]\nehlo = 'a_b'\nresolver = 'x'\nca_file = 'not.pem'\n[service]\nmetrics = 'x'\n"
        "[store]\nurl = 'mysql://root:s3cr3t@h/d'\n"
        "[[alert]]\nname = 'a'\nurl = 'nosuch://s3cr3t'\n[[alert]]\nname = 'b'\nurl_file = 'nowhere'\n"
    )
    keys = [line.partition(": ")[0] for line in mistakes(mxprobe("run"))]
    assert keys == [
        "group[1].name",
        "group[1].file",
        "group[1].profile",
        "group[1].require[0]",
        "group[1].every",
        "group[1].jitter",
        "group[1].quiet[0]",
        "group[1].quiet[1]",
        "group[1].timezone",
        "alert[0].url",
        "alert[1].url_file",
        "service.metrics",
        "probe.ehlo",
        "probe.resolver",
        "probe.ca_file",
        "store.url",
    ]
    assert nothing_was_done(here)


def test_who_only_reads_the_store_needs_neither_certificates_nor_secrets(here: Path) -> None:
    alert = '[[alert]]\nname = "mail"\nurl_file = "nowhere"\n'
    (here / "probes.toml").write_text(f"[probe]\nca_file = 'nowhere.pem'\n{GROUP}{alert}")
    for command in (("show",), ("history", "192.0.2.1"), ("export",)):
        assert "no such database" in complaint(mxprobe(*command))


@pytest.mark.parametrize("command", [("run", "--once"), ("status",), ("export",), ("history", "a.example"), ("scan",)])
@pytest.mark.parametrize(
    ("url", "said"),
    [
        (
            "postgresql://u:s3cr3t@127.0.0.1:{closed}/db",
            "postgresql://u:***@127.0.0.1:{closed}/db: connection to server",
        ),
        ("postgresql://u:s3cr3t@127.0.0.1/db?connect_timeout=x", "bad value for connect_timeout"),
        ("postgresql://u:s3cr3t@127.0.0.1/db?sslmode=bogus", 'invalid sslmode value: "bogus"'),
        ("postgresql://u@/db?host=/nowhere&password=s3cr3t", 'socket "/nowhere/.s.PGSQL.5432": No such file'),
        ("sqlite:///nowhere/mxprobe.db", ""),
        ("sqlite:///.", ". is a directory"),
        ("sqlite:///probes.toml", "the file is not a database"),
    ],
)
def test_a_store_that_cannot_be_used_is_one_line(url: str, said: str, command: tuple[str, ...], here: Path) -> None:
    with socket.socket() as bound:  # and not listening
        bound.bind(("127.0.0.1", 0))
        closed = str(bound.getsockname()[1])
        (here / "probes.toml").write_text(f'{GROUP}[store]\nurl = "{url.replace("{closed}", closed)}"\n')
        done = mxprobe(*command)
    assert SECRET not in done.err + done.out
    (line,) = (done.out if command == ("status",) else done.err).splitlines()
    assert line.startswith("mxprobe UNKNOWN: " if command == ("status",) else "mxprobe: ")
    assert done.code == (3 if command == ("status",) else 2)
    assert said.replace("{closed}", closed) in line
    assert nothing_was_done(here)


def test_a_server_that_takes_connections_and_says_nothing_is_no_postgresql(here: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"postgresql://u:s3cr3t@127.0.0.1:{silent.getsockname()[1]}/db?connect_timeout=2"
        (here / "probes.toml").write_text(f'{GROUP}[store]\nurl = "{url}"\n')
        line = complaint(mxprobe("run"))
    assert "timeout expired" in line
    assert SECRET not in line


def test_metrics_where_another_program_listens_are_a_mistake(here: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        (here / "probes.toml").write_text(
            f'{GROUP}[service]\nmetrics = "127.0.0.1:{other.getsockname()[1]}"\n',
        )
        line = complaint(mxprobe("run"))
    assert line.startswith("mxprobe: service.metrics: cannot listen on 127.0.0.1 port ")


@pytest.mark.parametrize("text", [b"", b"# none yet\n", b"not one\nnor this\n"])
def test_standard_input_without_a_next_hop_is_a_mistake(
    text: bytes, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes once: a service would have nothing to do for years."""
    (here / "stdin").write_bytes(text)
    (here / "probes.toml").write_text('[[group]]\nname = "piped"\nfile = "-"\n')
    with (here / "stdin").open() as stream:
        monkeypatch.setattr("sys.stdin", stream)
        done = mxprobe("run")
    lines = done.err.splitlines()
    assert done.code == 2
    if b"not one" in text:
        assert [line.split(": ")[1:3] for line in lines] == [["standard input", f"line {n}"] for n in (1, 2)]
    else:
        assert lines == [
            "mxprobe: probes.toml: group[0]: it has no next-hops "
            "(allowed: next_hops, or a file with one next-hop a line)"
        ]
    assert not (here / "mxprobe.db").exists()


def test_lines_of_a_file_that_are_no_next_hops_are_told_with_their_number_and_the_others_go_on(
    tmp_path: Path, front: Front
) -> None:
    good = f"127.0.0.1:{front.port}"
    lines = [
        b"\xef\xbb\xbf# partners",
        b"no such",
        good.encode() + b"\r",
        b"caf\xe9.example",
        b"x" * 1_000_000,
        b"user@example.com  # a person",
        b"\x1b[31mred.example",
        b"[::1",
    ]
    (tmp_path / "names").write_bytes(b"\n".join(lines))
    path = configuration(tmp_path, {"all": {"file": "names"}})
    done = mxprobe_process("run", "--once", "-c", path, "--log-format", "text")
    assert done.code == 0
    told = [line.partition(" warning next-hops: ")[2] for line in done.err.splitlines() if "next-hops: " in line]
    assert [line.split(": ")[1] for line in told] == [f"line {number}" for number in (2, 4, 5, 6, 7, 8)]
    assert told[1].endswith(": this is not UTF-8")
    assert all(len(line) < 1000 and line.isprintable() for line in told)
    assert f" info visited {good}: 1 endpoint" in done.err
    # Nor do these lines hold up who looks at the results.
    assert mxprobe("status", "-c", path).code == 0
    assert mxprobe("history", good, "-c", path).out.startswith(good)
    assert mxprobe("export", "-c", path).lines[0]["target"]["next_hop"] == good


def test_a_file_that_is_no_text_is_a_mistake_and_not_a_thousand(here: Path) -> None:
    (here / "probes.toml").write_text('[[group]]\nname = "a"\nfile = "utf-16"\n')
    assert "utf-16: line 1: this is not UTF-8, but UTF-16 or no text at all" in complaint(mxprobe("run"))


def test_a_file_without_a_next_hop_is_told(here: Path) -> None:
    (here / "probes.toml").write_text('[[group]]\nname = "a"\nfile = "empty"\n')
    done = mxprobe_process("run", "--once", "--quiet", cwd=here)
    assert done.code == 0
    (line,) = done.err.splitlines()
    assert line.endswith(" warning next-hops: empty: there is no next-hop in it")


def test_what_is_as_it_should_be_is_nothing_to_mail(tmp_path: Path, front: Front) -> None:
    path = configuration(tmp_path, {"all": {"next_hops": [f"127.0.0.1:{front.port}"]}})
    done = mxprobe_process("run", "--once", "--quiet", "-c", path)
    assert (done.code, done.out, done.err) == (0, "", "")
    again = mxprobe_process("run", "--once", "-c", path)
    assert again.err.endswith(" info stopped: 0 visits made\n")


@pytest.mark.parametrize("arguments", [("--late", "soon"), ("--late", "0"), ("--nonsense",), ("extra",)])
def test_to_nagios_wrong_usage_is_unknown_and_nothing_critical(arguments: tuple[str, ...], here: Path) -> None:
    """The Monitoring Plugins' guidelines: "Invalid command line arguments" are UNKNOWN, and 2 is CRITICAL."""
    done = mxprobe("status", *arguments)
    assert (done.code, done.err) == (3, "")
    (line,) = done.out.splitlines()
    assert line.startswith("mxprobe UNKNOWN: ")


@pytest.mark.parametrize("command", ["alerts", "profile"])
def test_a_command_without_its_second_word_shows_what_there_is(command: str) -> None:
    done = mxprobe(command)
    assert (done.code, done.err) == (2, "")
    assert done.out.startswith(f"Usage: mxprobe {command} ")


def test_a_mail_that_cannot_be_sent_has_its_reason_without_its_password(here: Path) -> None:
    with socket.socket() as bound:  # and not listening
        bound.bind(("127.0.0.1", 0))
        url = f"mailto://u:s3cr3t@127.0.0.1:{bound.getsockname()[1]}?from=a@example.com&to=b@example.com"
        (here / "probes.toml").write_text(f'{GROUP}[[alert]]\nname = "mail"\nurl = "{url}"\n')
        done = mxprobe("alerts", "test")
    assert done.code == 1
    assert SECRET not in done.err
    # As apprise logs it: "Connection error while submitting email to ...".
    assert done.err.startswith("mxprobe: alert mail: not sent: Connection error")
