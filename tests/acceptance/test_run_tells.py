"""`mxprobe run` as what others watch: its metrics, and those whom it tells of what it noticed."""

from __future__ import annotations

import signal
import socket
import urllib.request
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from acceptance.command import complaint, mxprobe
from acceptance.test_run_command import heard, service
from servers.smtp_front import Front

SECRET = "0123456789abcdef0123456789abcdef"


def configure(directory: Path, port: int, *sections: str) -> Path:
    (directory / "secret").write_text(SECRET)
    path = directory / "probes.toml"
    text = (
        '[probe]\nallow_private = true\ndepth = "quick"\ntimeouts = { pause = 0.1 }\ndeadline = 10\n'
        f'[[group]]\nname = "partners"\nnext_hops = ["[127.0.0.1]:{port}"]\n'
    )
    path.write_text("\n".join((text, *sections)))
    return path


def hook(name: str, port: int, severity: str = "warning") -> str:
    return (
        f'[[alert]]\nname = "{name}"\nurl = "webhook+http://127.0.0.1:{port}/"\nsecret_file = "secret"\n'
        f'severity = "{severity}"\n'
    )


def test_metrics_say_how_the_service_stands(tmp_path: Path, front: Front) -> None:
    path = configure(tmp_path, front.port, '[service]\nmetrics = "127.0.0.1:0"\n')
    with service(path) as process:
        url = heard(process, "metrics: ").rpartition(" ")[2].strip()
        heard(process, "info visited")
        found = read(url)
        with urllib.request.urlopen(url.replace("/metrics", "/healthz"), timeout=10) as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGTERM)
        heard(process, "info stopped")
    assert found["mxprobe_visits_total", ("kept",)] == 1
    assert found["mxprobe_next_hops", ("partners",)] == 1
    assert found["mxprobe_targets", ("yes", "starttls")] == 1
    assert found["mxprobe_connections_limit", ()] == 200
    assert found["mxprobe_configuration_up", ()] == 1
    assert found["mxprobe_vantage_up", ()] == 1


def test_an_option_says_otherwise_where_metrics_are(tmp_path: Path, front: Front) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        path = configure(tmp_path, front.port, f'[service]\nmetrics = "127.0.0.1:{taken.getsockname()[1]}"\n')
        with service(path, "--metrics", "127.0.0.1:0") as process:
            assert read(heard(process, "metrics: ").rpartition(" ")[2].strip())["mxprobe_configuration_up", ()] == 1
        with service(path, "--metrics", "off") as process:
            heard(process, "info visited")
        assert "--metrics: 'here' has no IP address" in complaint(mxprobe("run", "-c", path, "--metrics", "here"))


def read(url: str) -> dict[tuple[str, tuple[str, ...]], float]:
    """Each figure by its name and the values of its labels, as Prometheus' own parser reads them."""
    with urllib.request.urlopen(url, timeout=30) as answer:
        text = answer.read().decode()
    samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
    return {
        (sample.name, tuple(value for _, value in sorted(sample.labels.items()))): sample.value for sample in samples
    }


def test_who_is_told_can_be_changed_while_it_runs_and_a_mistake_changes_nobody(tmp_path: Path, front: Front) -> None:
    path = configure(tmp_path, front.port, hook("ops", 9, "info"), '[service]\nmetrics = "127.0.0.1:0"\n')
    with service(path) as process:
        url = heard(process, "metrics: ").rpartition(" ")[2].strip()
        heard(process, "info visited")
        good = path.read_text()
        path.write_text(good.replace('secret_file = "secret"', 'secret_file = "nowhere"'))
        process.send_signal(signal.SIGHUP)
        assert "alert[0].secret_file" in heard(process, "error configuration")
        assert "the one of before is kept" in heard(process, "error configuration")
        assert read(url)["mxprobe_configuration_up", ()] == 0
        path.write_text(good + hook("night", 9))
        process.send_signal(signal.SIGHUP)
        assert "read again: 1 next-hop" in heard(process, "info configuration")
        process.send_signal(signal.SIGTERM)
        heard(process, "info stopped")
        assert process.wait(60) == 0


def test_a_service_whose_alerts_have_a_mistake_does_not_begin(tmp_path: Path) -> None:
    path = configure(tmp_path, 25, '[[alert]]\nname = "ops"\nurl = "nowhere://user:hidden@example.com"\n')
    done = mxprobe("run", "--once", "-c", path)
    assert "alert[0].url: apprise knows no scheme nowhere://" in complaint(done)
    assert "hidden" not in done.err
    assert not (tmp_path / "mxprobe.db").exists()


def test_a_listener_that_is_taken_is_found_at_the_start(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        path = configure(tmp_path, 25, f'[service]\nmetrics = "127.0.0.1:{port}"\n')
        assert f"service.metrics: cannot listen on 127.0.0.1 port {port}" in complaint(mxprobe("run", "-c", path))
