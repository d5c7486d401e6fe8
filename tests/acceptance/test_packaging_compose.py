"""compose.yaml and what it mounts: each name in it is one that exists, and the parts agree with each other."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from acceptance.command import complaint, mxprobe
from mxprobe.configuration.probes_toml import Configuration, read_configuration
from servers.postgresql import Postgresql, postgresql

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if service["image"] == "mxprobe"]
PASSWORD = "s@cret: of/the #store"


@pytest.fixture(scope="module")
def server() -> Iterator[Postgresql]:
    """A PostgreSQL with the account and the database of compose.yaml."""
    environment = SERVICES["postgres"]["environment"]
    with postgresql() as server:
        server.execute(f"CREATE ROLE {environment['POSTGRES_USER']} LOGIN PASSWORD '{PASSWORD}'")
        server.execute(f"CREATE DATABASE {environment['POSTGRES_DB']} OWNER {environment['POSTGRES_USER']}")
        yield server


def local(tmp_path: Path, *changes: tuple[str, str], password: str = PASSWORD) -> Path:
    """The configuration of compose.yaml, as it would be without containers: with its secret, and these changes."""
    for file in (ROOT / "packaging/compose").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    secret = tmp_path / "store-password"
    secret.write_text(f"{password}\n")
    text = (tmp_path / "probes.toml").read_text()
    for old, new in (("/run/secrets/store-password", str(secret)), *changes):
        assert old in text, old
        text = text.replace(old, new)
    (tmp_path / "probes.toml").write_text(text)
    return tmp_path / "probes.toml"


@pytest.fixture
def configuration(tmp_path: Path) -> Configuration:
    return read_configuration(local(tmp_path))


@pytest.mark.parametrize("name", SERVICES)
def test_no_container_can_do_more_than_it_has_to(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] == "unless-stopped"
    assert service.get("user", "") not in ("root", "0")
    assert not {"ports", "privileged", "cap_add", "network_mode", "pid", "devices"} & set(service)


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_built_mounted_and_waited_for_is_there(name: str) -> None:
    service = SERVICES[name]
    if "build" in service:
        assert (ROOT / service["build"] / "Dockerfile").is_file()
    for volume in service.get("volumes", ()):
        source, place, *mode = re.sub(r"\$\{[A-Z_]+:-([^}]*)\}", r"\1", volume).split(":")
        if source.startswith("."):
            assert (ROOT / source).is_dir()
            assert mode == ["ro"]
        else:
            assert source in COMPOSE["volumes"]
        assert place.startswith("/")
    assert set(service.get("secrets", ())) <= set(COMPOSE["secrets"])
    assert set(service["networks"]) <= set(COMPOSE["networks"])
    for other, wanted in service.get("depends_on", {}).items():
        assert wanted == {"condition": "service_healthy"}
        has_its_own = "healthcheck" in SERVICES[other]
        build = SERVICES[other].get("build")
        assert has_its_own or "HEALTHCHECK" in (ROOT / build / "Dockerfile").read_text()


def test_every_volume_secret_and_network_has_a_use() -> None:
    used = [name for service in SERVICES.values() for name in (*service["networks"], *service.get("secrets", ()))]
    assert set(used) == {*COMPOSE["networks"], *COMPOSE["secrets"]}
    mounted = " ".join(str(service.get("volumes", "")) for service in SERVICES.values())
    assert all(f"{volume}:" in mounted for volume in COMPOSE["volumes"])


@pytest.mark.parametrize("name", OURS)
def test_the_command_is_one_of_mxprobe_and_its_configuration_is_mounted(name: str) -> None:
    command, *options = SERVICES[name]["command"]
    told = mxprobe(command, "--help")
    assert told.code == 0, told
    assert all(option in told.out for option in options if option.startswith("--"))
    file = Path(options[options.index("--config") + 1])
    mount = next(volume for volume in SERVICES[name]["volumes"] if f":{file.parent}:" in volume)
    (source,) = re.findall(r":-(.*)\}", mount.rpartition(f":{file.parent}:")[0])
    assert (ROOT / source / file.name).is_file()


def test_the_configuration_has_no_mistake_and_all_that_it_names_is_in_a_container(configuration: Configuration) -> None:
    assert [next_hop.text for next_hop in configuration.groups[0].next_hops] == ["example.com", "[mx.example.net]:25"]
    assert configuration.told == ()
    text = (ROOT / "packaging/compose/probes.toml").read_text()
    secrets = re.findall(r'^password_file = "/run/secrets/(.*)"$', text, re.MULTILINE)
    assert secrets == SERVICES["service"]["secrets"] == SERVICES["worker"]["secrets"]


def test_what_is_under_way_may_end_before_it_is_killed(configuration: Configuration) -> None:
    for name in OURS:
        assert int(SERVICES[name]["stop_grace_period"].removesuffix("s")) > configuration.service.stop_within


def test_the_name_server_is_the_one_of_the_network(configuration: Configuration) -> None:
    assert configuration.probe.resolver is not None
    address, _, port = configuration.probe.resolver.rpartition(":")
    assert SERVICES["unbound"]["networks"]["outside"]["ipv4_address"] == address
    (network,) = COMPOSE["networks"]["outside"]["ipam"]["config"]
    assert ipaddress.ip_address(address) in ipaddress.ip_network(network["subnet"])
    settings = (ROOT / "packaging/unbound/unbound.conf").read_text()
    assert f"interface: 0.0.0.0@{port}\n" in settings
    allowed = re.findall(r"access-control: (\S+) allow", settings)
    assert any(ipaddress.ip_network(network["subnet"]).subnet_of(ipaddress.ip_network(each)) for each in allowed)


def test_the_health_check_asks_where_the_service_listens(configuration: Configuration) -> None:
    assert 'CMD ["mxprobe", "health"]' in (ROOT / "Dockerfile").read_text()
    assert configuration.service.metrics == "0.0.0.0:9119"
    assert "[default: 127.0.0.1:9119]" in mxprobe("health", "--help").words


def test_the_database_is_the_one_of_the_server_of_that_name(configuration: Configuration) -> None:
    environment = SERVICES["postgres"]["environment"]
    url = f"postgresql://{environment['POSTGRES_USER']}:[^@]*@postgres/{environment['POSTGRES_DB']}"
    assert re.fullmatch(url, configuration.store_url)
    assert environment["POSTGRES_PASSWORD_FILE"] == "/run/secrets/store-password"
    assert SERVICES["postgres"]["secrets"] == ["store-password"]
    test = SERVICES["postgres"]["healthcheck"]["test"]
    assert f"--username={environment['POSTGRES_USER']}" in test
    assert f"--dbname={environment['POSTGRES_DB']}" in test
    assert COMPOSE["networks"]["store"] == {"internal": True}
    assert SERVICES["postgres"]["networks"] == ["store"]


def test_the_password_gets_from_its_secret_to_the_server(server: Postgresql, tmp_path: Path) -> None:
    path = local(tmp_path, ("@postgres/", f"@127.0.0.1:{server.port}/"))
    (tmp_path / "partners.txt").write_text("")
    done = mxprobe("run", "--once", "--config", path)
    assert done.code == 0, done
    assert server.execute("SELECT count(*) FROM alembic_version", "mxprobe") == [(1,)]


def test_a_wrong_password_is_one_line_that_does_not_have_it(server: Postgresql, tmp_path: Path) -> None:
    path = local(tmp_path, ("@postgres/", f"@127.0.0.1:{server.port}/"), password="another")
    (tmp_path / "partners.txt").write_text("")
    line = complaint(mxprobe("run", "--once", "--config", path))
    assert "password authentication failed" in line
    assert "another" not in line
