"""`probes.toml`: what it says is what runs, and each mistake has its line."""

from __future__ import annotations

from dataclasses import fields
from inspect import get_annotations
from pathlib import Path

import pytest

from mxprobe.configuration.probes_toml import InvalidConfiguration, read_configuration
from mxprobe.configuration.sections import LimitsSection, TimeoutsSection
from mxprobe.errors import InvalidSetting
from mxprobe.mta.profile import Profile
from mxprobe.network.settings import Limits, Timeouts
from mxprobe.terms import parse_next_hop
from mxprobe.verdict.requirements import Requirement

GROUP = '[[group]]\nname = "partners"\nnext_hops = ["example.com"]\n'
PROFILE = '[profiles.outbound]\nprotocols = ["TLSv1.2"]\nsuites = ["ECDHE-RSA-AES128-GCM-SHA256"]\n'


def written(directory: Path, text: str | bytes) -> Path:
    path = directory / "probes.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def mistakes(directory: Path, text: str | bytes) -> list[str]:
    """The lines of the error, without the directory."""
    with pytest.raises(InvalidConfiguration) as caught:
        read_configuration(written(directory, text))
    assert isinstance(caught.value, InvalidSetting)
    lines = str(caught.value).split("\n")
    assert lines == [str(mistake) for mistake in caught.value.mistakes]
    return [line.removeprefix(f"{directory}/") for line in lines]


def test_everything_that_can_be_set_is_read(tmp_path: Path) -> None:
    (tmp_path / "more.txt").write_text("# partners\n\n[mx.example.net]:25   # their MX\nEXAMPLE.com\n")
    text = """
        [probe]
        ehlo = "probe.example.org"
        contact = "postmaster@example.org"
        ca_path = "/etc/ssl/certs"
        ca_file = "ca.pem"
        verify_depth = 3
        depth = "full"
        resolver = "127.0.0.1:5353"
        allow_private = true
        deadline = 60
        [probe.timeouts]
        greeting = 12.5
        [limits]
        connections = 10
        per_address = 4
        [profiles.outbound]
        protocols = ["TLSv1.2", "TLSv1.3"]
        suites = ["TLS_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256"]
        [[group]]
        name = "partners"
        next_hops = ["example.com"]
        file = "more.txt"
        profile = "outbound"
        require = ["starttls", "tls1.2", "!needs-sslv3"]
        [store]
        url = "sqlite:///results/mxprobe.db"
    """
    configuration = read_configuration(written(tmp_path, text))
    probe = configuration.probe
    assert (probe.ehlo, probe.contact) == ("probe.example.org", "postmaster@example.org")
    assert (probe.ca_path, probe.ca_file) == ("/etc/ssl/certs", str(tmp_path / "ca.pem"))
    assert (probe.verify_depth, probe.depth, probe.resolver) == (3, "full", "127.0.0.1:5353")
    assert (probe.allow_private, probe.deadline) == (True, 60)
    assert (probe.timeouts.greeting, probe.timeouts.connect) == (12.5, Timeouts().connect)
    assert (configuration.limits.connections, configuration.limits.per_address) == (10, 4)
    # 0x1301 and 0xC02F: IANA's TLS Cipher Suites registry.
    outbound = Profile(name="outbound", protocols=("TLSv1.2", "TLSv1.3"), suites=(0x1301, 0xC02F))
    assert configuration.profiles == (outbound,)
    (group,) = configuration.groups
    assert (group.name, group.profile) == ("partners", outbound)
    assert group.next_hops == tuple(map(parse_next_hop, ("example.com", "[mx.example.net]:25", "EXAMPLE.com")))
    assert group.requirements == (
        Requirement(name="starttls"),
        Requirement(name="tls1.2"),
        Requirement(name="needs-sslv3", answer="no"),
    )
    assert configuration.store_url == f"sqlite:///{tmp_path}/results/mxprobe.db"


def test_what_is_not_set_has_the_defaults_of_the_network(tmp_path: Path) -> None:
    configuration = read_configuration(written(tmp_path, ""))
    for section, defaults in ((configuration.probe.timeouts, Timeouts()), (configuration.limits, Limits())):
        for known in fields(defaults):
            assert getattr(section, known.name) == getattr(defaults, known.name)
    assert configuration.groups == ()
    assert configuration.store_url == f"sqlite:///{tmp_path}/mxprobe.db"


@pytest.mark.parametrize(("section", "settings"), [(TimeoutsSection, Timeouts), (LimitsSection, Limits)])
def test_every_timeout_and_limit_can_be_set(section: type, settings: type) -> None:
    # Its own annotations, and not only what it inherits: they say what is allowed.
    assert get_annotations(section).keys() - {"__pydantic_config__"} == {known.name for known in fields(settings)}


def test_the_example_at_the_top_of_the_repository_is_valid() -> None:
    configuration = read_configuration(Path(__file__).parents[3] / "probes.toml")
    assert [group.name for group in configuration.groups] == ["partners"]
    for section, defaults in ((configuration.probe.timeouts, Timeouts()), (configuration.limits, Limits())):
        for known in fields(defaults):  # the example says that it shows the defaults
            assert getattr(section, known.name) == getattr(defaults, known.name)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        # keys
        ("[probe]\ndept = 'full'", "probes.toml: probe.dept: unknown key; did you mean 'depth'? (allowed: ehlo, "),
        (
            "[limits]\nper_hour = 1",
            "probes.toml: limits.per_hour: unknown key (allowed: connections, per_address, per_provider, "
            "connections_per_minute, per_address_per_minute, per_provider_per_minute)",
        ),
        (
            "[limits]\nper_provider_per_minute = 0",
            "probes.toml: limits.per_provider_per_minute: found 0 (allowed: a whole number from 1 to 100000)",
        ),
        (
            "[probe]\nignore = ['192.0.2.1/24']",
            "probes.toml: probe.ignore[0]: 192.0.2.1/24 has host bits set (allowed: a domain like example.com",
        ),
        ("[probe]\nignore = 'a.example'", "probes.toml: probe.ignore: found 'a.example' (allowed: an array of domains"),
        ("[probe]\nignore_file = 'none.txt'", "probes.toml: probe.ignore_file: "),
        ("[stroe]", "probes.toml: stroe: unknown key; did you mean 'store'? (allowed: probe, limits, profiles, "),
        ("[probe.timeouts]\ngreet = 1", "probes.toml: probe.timeouts.greet: unknown key; did you mean 'greeting'?"),
        ('"a\\nb" = 1', 'probes.toml: "a\\nb": unknown key (allowed: '),
        (
            "[[group]]\nnmae = 'a'\nnext_hops = ['a.example']",
            "probes.toml: group[0].nmae: unknown key; did you mean 'name'",
        ),
        # types, which are TOML's own
        ("probe = 1", "probes.toml: probe: found 1 (allowed: a table [probe])"),
        (
            "[group]\nname = 'a'",
            "probes.toml: group: found {'name': 'a'} (allowed: tables [[group]], in double brackets)",
        ),
        ("[probe]\nallow_private = 1", "probes.toml: probe.allow_private: found 1 (allowed: true or false)"),
        (
            "[probe]\nverify_depth = '3'",
            "probes.toml: probe.verify_depth: found '3' (allowed: a whole number from 1 to 100)",
        ),
        (
            "[probe]\nverify_depth = true",
            "probes.toml: probe.verify_depth: found True (allowed: a whole number from 1 ",
        ),
        (
            "[limits]\nconnections = 1.5",
            "probes.toml: limits.connections: found 1.5 (allowed: a whole number from 1 to ",
        ),
        (
            f"{GROUP}require = 'trusted'",
            "probes.toml: group[0].require: found 'trusted' (allowed: an array of requirements)",
        ),
        # values
        (
            "[probe]\ndepth = 'deep'",
            "probes.toml: probe.depth: found 'deep' (allowed: quick, standard, full, everything)",
        ),
        (
            "[probe]\nverify_depth = 0",
            "probes.toml: probe.verify_depth: found 0 (allowed: a whole number from 1 to 100)",
        ),
        (
            "[probe]\nverify_depth = 101",
            "probes.toml: probe.verify_depth: found 101 (allowed: a whole number from 1 to ",
        ),
        ("[probe]\ndeadline = inf", "probes.toml: probe.deadline: found inf (allowed: seconds, from 1 to 86400)"),
        (
            "[probe.timeouts]\nehlo = nan",
            "probes.toml: probe.timeouts.ehlo: found nan (allowed: seconds, from 0.1 to 3600)",
        ),
        (
            "[limits]\nper_address = 0",
            "probes.toml: limits.per_address: found 0 (allowed: a whole number from 1 to 100)",
        ),
        (
            "[probe]\nehlo = '-x.example'",
            "probes.toml: probe.ehlo: '-x' is not a label of a host name (allowed: a host ",
        ),
        (
            "[probe]\ncontact = 'post master'",
            "probes.toml: probe.contact: found 'post master' (allowed: a mail address ",
        ),
        ('[probe]\nca_file = "a\\nb"', "probes.toml: probe.ca_file: found 'a\\nb' (allowed: the path of a file"),
        ("[probe]\nresolver = 'ns.example'", "probes.toml: probe.resolver: not a name server: 'ns.example': "),
        ("[store]\nurl = 'mysql://x'", "probes.toml: store.url: found 'mysql://x' (allowed: sqlite:///FILE"),
        ("[store]\nurl = 'sqlite://'", "probes.toml: store.url: found 'sqlite://' (allowed: sqlite:///FILE"),
        (
            "[store]\nurl = 'postgresql://me@h/d'\npassword_file = 'none'",
            "probes.toml: store.password_file: ",
        ),
        # profiles
        (
            "[profiles.a]\nsuites = ['TLS_AES_128_GCM_SHA256']",
            "probes.toml: profiles.a.protocols: missing (allowed: an array",
        ),
        (
            PROFILE.replace("TLSv1.2", "TLS1.2"),
            "probes.toml: profiles.outbound.protocols[0]: found 'TLS1.2' (allowed: ",
        ),
        (
            PROFILE.replace('"TLSv1.2"', ""),
            "probes.toml: profiles.outbound.protocols: found [] (allowed: an array of one",
        ),
        (
            PROFILE.replace("SHA256", "SHA257"),
            "probes.toml: profiles.outbound.suites[0]: 'ECDHE-RSA-AES128-GCM-SHA257' is not a cipher suite that "
            "mxprobe knows",
        ),
        (
            PROFILE.replace("SHA256", 'SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256'),
            "probes.toml: profiles.outbound.suites[1]: 'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256' is there already, as "
            "'ECDHE-RSA-AES128-GCM-SHA256'",
        ),
        (
            PROFILE.replace('"TLSv1.2"', '"TLSv1.2", "TLSv1.2"').replace("outbound", "'our own'"),
            "probes.toml: profiles.\"our own\".protocols[1]: 'TLSv1.2' is there already",
        ),
        # groups
        ("[[group]]\nnext_hops = ['a.example']", "probes.toml: group[0].name: missing (allowed: a text)"),
        (
            "[[group]]\nname = 'a'",
            "probes.toml: group[0]: it has no next-hops (allowed: next_hops, or a file with one next-hop",
        ),
        (GROUP + GROUP, "probes.toml: group[1].name: another group is called 'partners' too"),
        (
            GROUP.replace("example.com", "example.com:99999"),
            "probes.toml: group[0].next_hops[0]: not a next-hop: 'example.com:99999': '99999' is not a port",
        ),
        (f"{GROUP}profile = 'x'", "probes.toml: group[0].profile: there is no profile 'x' (allowed: the NAME of a ["),
        (
            f"{GROUP}profile = 'outbond'\n{PROFILE}",
            "probes.toml: group[0].profile: there is no profile 'outbond'; did you mean 'outbound'? "
            "(allowed: outbound)",
        ),
        (
            f"{GROUP}require = ['starttls', 'trustd']",
            "probes.toml: group[0].require[1]: 'trustd' is not a requirement; did you mean 'trusted'? "
            "(allowed: starttls, ",
        ),
        (
            f"{GROUP}require = ['shared-cipher']",
            "probes.toml: group[0].require[0]: 'shared-cipher' needs a profile, with which a cipher can be shared "
            "(allowed: group[0].profile)",
        ),
        (f"{GROUP}file = 'none.txt'", "probes.toml: group[0].file: "),
        # TOML itself
        ("[probe]\nehlo = \n[limits]", "probes.toml: line 2, column 8: not TOML: Invalid value"),
        ("a = 1\na = 2", "probes.toml: line 2, at the end: not TOML: Cannot overwrite a value"),
        (b"[probe]\nehlo = '\xff'", "probes.toml: line 2: this is not UTF-8"),
    ],
)
def test_a_mistake_has_one_line_that_says_where_and_what_is_allowed(
    tmp_path: Path, text: str | bytes, line: str
) -> None:
    (found,) = mistakes(tmp_path, text)
    assert found.startswith(line)


def test_all_mistakes_are_named_at_once(tmp_path: Path) -> None:
    text = "[probe]\ndepth = 'deep'\nehol = 'a'\n[limits]\nconnections = 0\n"
    assert [line.split(": ")[1] for line in mistakes(tmp_path, text)] == [
        "probe.depth",
        "probe.ehol",
        "limits.connections",
    ]
    text = f"{GROUP}require = ['a', 'b']\nprofile = 'x'\n[store]\nurl = 'x'\n[probe]\nresolver = 'x'\n"
    assert sorted(line.split(": ")[1] for line in mistakes(tmp_path, text)) == [
        "group[0].profile",
        "group[0].require[0]",
        "group[0].require[1]",
        "probe.resolver",
        "store.url",
    ]


def test_a_mistake_in_a_file_of_next_hops_names_that_file_and_its_line(tmp_path: Path) -> None:
    (tmp_path / "partners.txt").write_text("ok.example\n\n# fine\nnot ok.example # mistyped\n[::1\n")
    first, second = mistakes(tmp_path, "[[group]]\nname = 'a'\nfile = 'partners.txt'")
    assert first.startswith("partners.txt: line 4: not a next-hop: 'not ok.example': ")
    assert second.startswith("partners.txt: line 5: not a next-hop: '[::1': the bracket is not closed")


def test_an_unreadable_file_of_next_hops_is_named_with_the_key_that_names_it(tmp_path: Path) -> None:
    (line,) = mistakes(tmp_path, "[[group]]\nname = 'a'\nfile = 'partners.txt'")
    assert line == f"probes.toml: group[0].file: {tmp_path}/partners.txt cannot be read: No such file or directory"


def test_an_unreadable_configuration_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match=r"^.*/none\.toml: cannot be read: No such file or directory\Z"):
        read_configuration(tmp_path / "none.toml")
    with pytest.raises(InvalidConfiguration, match=r": cannot be read: Is a directory\Z"):
        read_configuration(tmp_path)


def test_groups_are_selected_by_name_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = "".join(GROUP.replace("partners", name) for name in ("a", "b", "c"))
    configuration = read_configuration(written(tmp_path, text))
    assert [group.name for group in configuration.select_groups()] == ["a", "b", "c"]
    assert [group.name for group in configuration.select_groups(("c", "a"))] == ["a", "c"]
    with pytest.raises(InvalidSetting, match=r"probes\.toml: there is no group 'd' \(allowed: a, b, c\)"):
        configuration.select_groups(("d",))
    with pytest.raises(InvalidSetting, match=r"probes\.toml: group: there is none, so there is nothing to scan"):
        read_configuration(written(tmp_path, "")).select_groups()


def test_the_password_of_the_database_may_stand_in_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("s@cret\n")
    (tmp_path / "probes.toml").write_text(PASSWORD_FILE)
    assert read_configuration(tmp_path / "probes.toml").store_url == "postgresql://me:s%40cret@h/d"


@pytest.mark.parametrize("password", [b"", b"\n", b"one\ntwo\n", b"a\0b", b"\xff", b"x" * 5000])
def test_a_file_that_is_no_password_is_a_mistake_that_does_not_quote_it(tmp_path: Path, password: bytes) -> None:
    (tmp_path / "password").write_bytes(password)
    (line,) = mistakes(tmp_path, PASSWORD_FILE)
    assert line.startswith("probes.toml: store.password_file: ")
    assert "xxx" not in line
    assert "two" not in line


def test_a_password_is_for_a_url_that_takes_one(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret")
    (line,) = mistakes(tmp_path, PASSWORD_FILE.replace("me@", "me:other@"))
    assert line.startswith("probes.toml: store.password_file: store.url has a password too")
    (line,) = mistakes(tmp_path, "[store]\npassword_file = 'password'")
    assert line.startswith("probes.toml: store.password_file: only a database on a PostgreSQL server")


PASSWORD_FILE = "[store]\nurl = 'postgresql://me@h/d'\npassword_file = 'password'\n"


def test_who_keeps_nothing_need_not_be_allowed_to_read_the_password(tmp_path: Path) -> None:
    (tmp_path / "probes.toml").write_text(PASSWORD_FILE)
    assert read_configuration(tmp_path / "probes.toml", keeps=False).store_url == "postgresql://me@h/d"
