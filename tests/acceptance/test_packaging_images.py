"""The images, built from their Dockerfiles as anybody builds them, and run as compose.yaml has them: by their own user,
with no capabilities, on a root that nobody can write to."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import dns.flags
import dns.message
import dns.query
import dns.rcode
import pytest

from mxprobe import __version__
from servers.image_builder import Container, ImageBuilder, image_builder
from servers.postgresql import postgresql
from servers.running import Process, free_port, started
from servers.signed_zones import signed_zones

ROOT = Path(__file__).parents[2]
PATIENCE = 30.0
"""Seconds for what a program should say soon: generous, because the machine may be busy."""

USER = 10001


@pytest.fixture(scope="module")
def builder() -> Iterator[ImageBuilder]:
    with image_builder() as builder:
        yield builder


@pytest.fixture(scope="module")
def image(builder: ImageBuilder) -> Container:
    """The image of the Dockerfile."""
    settings = builder.build("mxprobe", ROOT, PYTHON_VERSION=builder.versions["python"].removesuffix("-slim"))
    return Container(root=builder.files("mxprobe"), settings=settings)


@pytest.fixture(scope="module")
def unbound_image(builder: ImageBuilder) -> Container:
    """The image of the name server."""
    version = builder.versions["debian"].removesuffix("-slim")
    settings = builder.build("unbound", ROOT / "packaging/unbound", DEBIAN_VERSION=version)
    return Container(root=builder.files("unbound"), settings=settings, memory=("/tmp", "/run"))


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    """What is mounted as /etc/mxprobe: anybody may read it."""
    directory = tmp_path / "etc"
    directory.mkdir(mode=0o755)
    for path in (directory, *directory.parents):
        if path.stat().st_uid == os.geteuid() and path != Path("/") and "pytest" in str(path):
            path.chmod(0o755)
    return directory


def test_the_program_is_the_one_of_this_repository(image: Container) -> None:
    assert image.run("--version").out == f"mxprobe {__version__}\n"
    assert image.settings["Labels"]["org.opencontainers.image.version"] == __version__


def test_without_arguments_it_says_what_it_can(image: Container) -> None:
    done = image.run()
    assert (done.code, done.err) == (0, "")
    assert "Usage: mxprobe" in done.out


def test_nobody_has_to_know_that_its_user_is_not_root(image: Container) -> None:
    # Kubernetes' runAsNonRoot sees a number, and no name.
    assert image.settings["User"] == f"{USER}:{USER}"
    status = image.run_exec("cat", "/proc/self/status").out
    assert [line.split()[1] for line in status.splitlines() if line.startswith(("CapEff", "CapBnd"))] == ["0" * 16] * 2


def test_it_has_what_a_service_needs_and_no_more(image: Container) -> None:
    wanted = ("uvloop", "alembic", "psycopg", "procrastinate", "apprise", "prometheus_client", "tzdata")
    unwanted = ("pip", "setuptools", "pytest", "tlslite", "hatchling")
    code = "import importlib.util, sys; print(*(name for name in sys.argv[1:] if importlib.util.find_spec(name)))"
    assert image.run_exec("python", "-c", code, *wanted, *unwanted).out.split() == list(wanted)


def test_time_zones_are_known_even_where_the_base_image_has_none(image: Container) -> None:
    code = "import zoneinfo; print(zoneinfo.ZoneInfo('Europe/Berlin'))"
    done = image.run_exec("env", "PYTHONTZPATH=", "python", "-c", code)
    assert (done.out, done.err) == ("Europe/Berlin\n", "")


def test_the_service_runs_is_healthy_and_ends_when_told(image: Container, etc: Path, next_hop: str) -> None:
    port = free_port()
    (etc / "probes.toml").write_text(
        f"""
        [probe]
        depth = "quick"
        [[group]]
        name = "one"
        next_hops = ["{next_hop}"]
        quiet = ["03:00-03:01"]
        timezone = "Europe/Berlin"
        [store]
        url = "sqlite:////data/mxprobe.db"
        [service]
        metrics = "0.0.0.0:{port}"
        """
    )
    data = etc.parent / "data"
    data.mkdir()
    os.chown(data, USER, USER)
    container = replace(image, mounts={"/etc/mxprobe": etc}, writable={"/data": data})
    kind, *health = image.settings["Healthcheck"]["Test"]
    assert kind == "CMD"
    health.append(f"127.0.0.1:{port}")
    assert container.run_exec(*health).code == 1

    with running(container, "run", "--config", "/etc/mxprobe/probes.toml", "--log-format", "json") as service:
        line = said(service, '"what": "visited"')
        assert json.loads(line)["endpoints"] == 1
        done = container.run_exec(*health)
        assert (done.code, done.out) == (0, "ok\n"), done
        status = container.run("status", "--config", "/etc/mxprobe/probes.toml")
        assert status.code in (0, 1), status  # a finding is one of the server's, and not of the image
        service.popen.send_signal(signal.SIGTERM)
        assert service.popen.wait(PATIENCE) == 0, service.log.read_text()
    assert container.run_exec(*health).code == 1


def test_a_worker_runs_with_the_configuration_and_the_secret_of_compose(
    image: Container, etc: Path, next_hop: str
) -> None:
    metrics = free_port()
    secrets = etc.parent / "secrets"
    secrets.mkdir(mode=0o755)
    (secrets / "store-password").write_text("s@cret: of/the #store\n")
    (etc / "partners.txt").write_text(f"{next_hop}\n")
    with postgresql() as server:
        server.execute("CREATE ROLE mxprobe LOGIN PASSWORD 's@cret: of/the #store'")
        server.execute("CREATE DATABASE mxprobe OWNER mxprobe")
        text = (ROOT / "packaging/compose/probes.toml").read_text()
        for old, new in (
            ("@postgres/", f"@127.0.0.1:{server.port}/"),
            ("0.0.0.0:9119", f"0.0.0.0:{metrics}"),
            ('resolver = "172.30.53.53:5335"', 'depth = "quick"'),
            ('quiet = ["mon-fri 08:00-10:00"]', ""),  # it is to work whenever this is
        ):
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        (etc / "probes.toml").write_text(text)
        container = replace(image, mounts={"/etc/mxprobe": etc, "/run/secrets": secrets})
        with running(container, "worker", "--config", "/etc/mxprobe/probes.toml", "--log-format", "json") as worker:
            said(worker, '"what": "visited"')
            health = container.run_exec(*image.settings["Healthcheck"]["Test"][1:], f"127.0.0.1:{metrics}")
            assert (health.code, health.out) == (0, "ok\n"), health
            worker.popen.send_signal(signal.SIGTERM)
            assert worker.popen.wait(PATIENCE) == 0, worker.log.read_text()
        shown = container.run("show", "--config", "/etc/mxprobe/probes.toml", "--format", "json")
        assert [target["next_hop"] for target in json.loads(shown.out)["targets"]] == [next_hop], shown


def test_the_name_server_validates(unbound_image: Container, image: Container, etc: Path) -> None:
    zones = signed_zones(etc, "/etc/unbound/unbound.conf.d")
    port = free_port()
    shipped = (ROOT / "packaging/unbound/unbound.conf").read_text()
    assert shipped.count("@5335") == 1
    (etc.parent / "unbound.conf").write_text(shipped.replace("@5335", f"@{port}"))
    state = etc.parent / "state"
    state.mkdir()
    user = unbound_image.run_exec("id", "-u").out.strip()
    os.chown(state, int(user), -1)
    container = replace(
        unbound_image,
        mounts={
            "/etc/unbound/unbound.conf": etc.parent / "unbound.conf",
            "/etc/unbound/unbound.conf.d": etc,
            "/usr/share/dns/root.key": zones.trust_anchor,
        },
        writable={"/var/lib/unbound": state},
    )
    assert user != "0"
    with running(container) as server:
        said(server, "start of service")
        assert asked("mx.signed.", port) == ("NOERROR", True, 1)
        assert asked("mx.plain.", port) == ("NOERROR", False, 1)
        assert asked("none.signed.", port) == ("NXDOMAIN", True, 0)
        assert asked("mx.bogus.", port) == ("SERVFAIL", False, 0)

        # What mxprobe makes of it: a domain that fails is unknown, and one that is none at all is not.
        told = image.run("probe", "bogus", "signed", "--resolver", f"127.0.0.1:{port}", "--format", "json")
        targets = {target["next_hop"]: target for target in json.loads(told.out)["targets"]}
        assert "SERVFAIL" in json.dumps(targets["bogus"]["route"])
        assert "127.0.0.1" in json.dumps(targets["signed"]["route"])


def test_the_name_server_is_checked_by_asking_it_how_it_is(unbound_image: Container, tmp_path: Path) -> None:
    kind, *health = unbound_image.settings["Healthcheck"]["Test"]
    assert kind == "CMD"
    assert unbound_image.run_exec(*health).code != 0, "nobody runs"
    # Also the trust anchor of the image itself is one that unbound takes.
    words = "cp /usr/share/dns/root.key /tmp/ && sed s,/var/lib/unbound,/tmp, /etc/unbound/unbound.conf >/tmp/c"
    done = unbound_image.run_exec("sh", "-c", f"{words} && unbound-checkconf /tmp/c")
    assert (done.code, done.out) == (0, "unbound-checkconf: no errors in /tmp/c\n"), done


@contextmanager
def running(container: Container, *arguments: str) -> Iterator[Process]:
    """The image's program, with its output in a file beside the mounts."""
    log = next(iter(container.mounts.values())).parent / "log"
    with started("container", container.command(*arguments), log=log) as process:
        yield process


def said(process: Process, words: str) -> str:
    """The line of the log with these words, as soon as it is there."""
    deadline = time.monotonic() + PATIENCE
    while True:
        text = process.log.read_text(errors="replace")
        for line in text.splitlines(keepends=True):
            if words in line and line.endswith("\n"):
                return line
        assert process.popen.poll() is None, text
        assert time.monotonic() < deadline, text
        time.sleep(0.02)


def asked(name: str, port: int) -> tuple[str, bool, int]:
    """What a name server says of an address: code, whether it is authenticated, and how many there are."""
    question = dns.message.make_query(name, "A", want_dnssec=True)
    answer = dns.query.udp(question, "127.0.0.1", port=port, timeout=PATIENCE)
    found = [rrset for rrset in answer.answer if rrset.rdtype == dns.rdatatype.A]
    return dns.rcode.to_text(answer.rcode()), bool(answer.flags & dns.flags.AD), len(found)
