"""``[[alert]]``: every mistake is named with its key, and none quotes a secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from mxprobe.alerts.targets import Service, Webhook
from mxprobe.alerts.templates import DEFAULT
from mxprobe.alerts.weekly import Weekly
from mxprobe.configuration.alert_sections import alert_targets
from mxprobe.configuration.probes_toml import InvalidConfiguration, read_configuration

GROUP = '[[group]]\nname = "partners"\nnext_hops = ["a.example"]\n'
SECRET = "s3cr3t-words-0123456789"


def written(tmp_path: Path, alerts: str) -> Path:
    path = tmp_path / "probes.toml"
    path.write_text(f"{GROUP}{alerts}", encoding="utf-8")
    return path


def mistakes(tmp_path: Path, alerts: str, **environment: str) -> list[str]:
    """What is wrong, without the path before it."""
    path = written(tmp_path, alerts)
    try:
        configuration = read_configuration(path)
    except InvalidConfiguration as error:
        found = list(error.mistakes)
    else:
        found = list(alert_targets(configuration.alerts, path, environment)[1])
    return [str(each).removeprefix(f"{path}: ").replace(str(tmp_path), "DIR") for each in found]


def test_targets_are_as_their_sections_say(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{SECRET}\n", encoding="utf-8")
    (tmp_path / "short.txt").write_text("{level} {subject}\n{summary}\n", encoding="utf-8")
    alerts = """
        [[alert]]
        name = "hook"
        url = "webhook+https://hooks.example/mx"
        secret_file = "secret"
        severity = "critical"
        [[alert]]
        name = "mail"
        url_env = "MAIL_URL"
        groups = ["partners"]
        template = "short.txt"
        digest = "mon 07:00"
    """
    path = written(tmp_path, alerts)
    environment = {"MAIL_URL": "mailto://mail.example?from=mx@a.example&to=ops@a.example"}
    (hook, mail), wrong = alert_targets(read_configuration(path).alerts, path, environment)
    assert wrong == ()
    assert isinstance(hook.where, Webhook)
    assert (hook.where.secret, hook.severity, hook.template, hook.groups) == (SECRET.encode(), "critical", DEFAULT, ())
    assert isinstance(mail.where, Service)
    assert (mail.where.scheme, mail.groups, mail.digest) == ("mailto", ("partners",), Weekly(day=0, hour=7, minute=0))
    assert mail.template.title == (("", "level"), (" ", "subject"))


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ('url = "nosuch://x"', "alert[0].url: apprise knows no scheme nosuch://"),
        ('url = "slack://x"', "alert[0].url: apprise cannot read this slack:// URL"),
        ("", "alert[0]: it has not one URL"),
        ('url = "json://h"\nurl_env = "U"', "alert[0]: it has not one URL"),
        ('url_env = "NONE"', "alert[0].url_env: the environment has no NONE"),
        ('url_file = "nowhere"', "alert[0].url_file: DIR/nowhere cannot be read: No such file or directory"),
        ('url_file = "."', "alert[0].url_file: DIR cannot be read: Is a directory"),
        ('url_file = "two"', "alert[0].url_file: it has to have one line"),
        ('url = "webhook+https://h/"', "alert[0]: a webhook is signed with one secret"),
        ('url = "webhook+https://h/"\nsecret_file = "no"', "alert[0].secret_file: DIR/no cannot be read: No such file"),
        (
            'url = "webhook+https://h/"\nsecret_env = "SHORT"',
            "alert[0].secret_env: the secret has 3 bytes (allowed: 16 or more)",
        ),
        ('url_env = "HOOK"', "alert[0]: a webhook is signed with one secret"),
        ('url = "json://h"\nsecret_env = "LONG"', "alert[0]: a secret is for a webhook"),
        ('url_env = "JSON"\nsecret_env = "LONG"', "alert[0]: a secret is for a webhook"),
        ('url = "json://h"\ngroups = ["partner"]', "alert[0].groups[0]: there is no group 'partner'; did you mean"),
        ('url = "json://h"\nseverity = "loud"', "alert[0].severity: found 'loud' (allowed: info, warning, critical)"),
        ('url = "json://h"\ndigest = "monday"', "alert[0].digest: 'monday' is no day and time"),
        ('url = "json://h"\ntemplate = "bad"', "alert[0].template: bad: line 2: there is no field {sumary} (allowed:"),
        ('url = "json://h"\ntemplate = "latin"', "alert[0].template: latin: line 2: not UTF-8"),
        ('url = "json://h"\ncolour = 1', "alert[0].colour: unknown key (allowed: name, url, url_file"),
    ],
)
def test_every_mistake_is_named(tmp_path: Path, lines: str, expected: str) -> None:
    (tmp_path / "two").write_text(f"json://{SECRET}\nanother\n", encoding="utf-8")
    (tmp_path / "bad").write_text("title\n{sumary}\n", encoding="utf-8")
    (tmp_path / "latin").write_bytes(b"title\n\xe9\n")
    environment = {"SHORT": "abc", "LONG": SECRET, "HOOK": "webhook+https://h/", "JSON": "json://h"}
    (found,) = mistakes(tmp_path, f'[[alert]]\nname = "a"\n{lines}\n', **environment)
    assert found.startswith(expected)
    assert SECRET not in found


def test_all_mistakes_are_named_at_once(tmp_path: Path) -> None:
    alerts = '[[alert]]\nname = "a"\nurl = "nosuch://x"\n[[alert]]\nname = "b"\nurl_env = "NONE"\n'
    assert len(mistakes(tmp_path, alerts)) == 2
    (twice,) = mistakes(tmp_path, alerts.replace('"b"', '"a"'))
    assert twice == "alert[1].name: another alert is called 'a' too"


@pytest.mark.parametrize(
    "value", ['["mailto://u:s3cr3t-words@h"]', '"mailto://u:s3cr3t-words@h\\u0007"', '"nosuch://s3cr3t-words"']
)
def test_no_mistake_and_no_repr_quotes_a_url(tmp_path: Path, value: str) -> None:
    (found,) = mistakes(tmp_path, f'[[alert]]\nname = "a"\nurl = {value}\n')
    assert found.startswith("alert[0].url: ")
    assert "s3cr3t" not in found
    path = written(tmp_path, '[[alert]]\nname = "a"\nurl = "json://s3cr3t-words"\n')
    assert "s3cr3t" not in repr(read_configuration(path))
    assert "s3cr3t" not in repr(read_configuration(path).alert_targets())


def test_who_only_reads_the_store_needs_no_secret(tmp_path: Path) -> None:
    path = written(tmp_path, '[[alert]]\nname = "a"\nurl_file = "/nowhere"\n')
    assert [each.name for each in read_configuration(path).alerts] == ["a"]


def test_metrics_need_an_address(tmp_path: Path) -> None:
    (found,) = mistakes(tmp_path, '[service]\nmetrics = "localhost:9119"\n')
    assert found.startswith("service.metrics: 'localhost:9119' has no IP address (allowed: ADDR:PORT")
