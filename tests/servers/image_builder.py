"""Images from Dockerfiles, built by buildah without a daemon, and programs run in them as a container runtime would.

They begin with an image of this Debian (`tools/install-test-servers --base-image-only`), which has the names that the
Dockerfiles begin with for this version of Debian and Python. What pip is told on this machine, files included, it is
told in the build too, by mounts; the Dockerfiles know nothing of it.
"""

from __future__ import annotations

import ast
import configparser
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import Any
from urllib.parse import unquote, urlsplit

from servers.fetched import installed
from servers.running import program, server_directory

BUILD_SECONDS = 600.0
"""For one Dockerfile: what it installs is fetched."""

_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What a program in a container left behind."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """The files of an image, as a container with a read-only root sees them.

    `settings` is what the image says of how it is run, `mounts` are files and directories of this machine by the place
    where they are seen, read-only but for those in `writable`; `memory` are empty directories that can be written to.
    """

    root: Path
    settings: dict[str, Any]
    mounts: Mapping[str, Path] = field(default_factory=dict)
    writable: Mapping[str, Path] = field(default_factory=dict)
    memory: tuple[str, ...] = ("/tmp",)

    def command(self, *arguments: str | Path) -> list[str]:
        """How the image's program is run with these arguments in place of the ones that it has by itself.

        As its user, who has no capabilities and can get none, on a root that nobody can write to: `read_only`,
        `cap_drop: [ALL]` and `no-new-privileges` of compose. The process is the one that is started.
        """
        words = arguments or tuple(self.settings.get("Cmd") or ())
        return self.exec(*(self.settings.get("Entrypoint") or ()), *words)

    def exec(self, *words: str | Path) -> list[str]:
        """The same for any program of the image, as `docker exec` runs it."""
        mounts = []
        root = quote(str(self.root))
        for place in self.memory:
            mounts.append(f"mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs {quote(str(self._seen(place)))}")
        for place, source in (*self.mounts.items(), *self.writable.items()):
            seen = quote(str(self._seen(place, is_file=source.is_file())))
            mounts.append(f"mount --bind {quote(str(source))} {seen}")
            if place in self.mounts:
                mounts.append(f"mount -o remount,bind,ro {seen}")
        script = "\n".join(
            (
                "set -e",
                f"mount --bind {root} {root}",
                f"mount --rbind /proc {root}/proc",
                f"mount --rbind /dev {root}/dev",
                *mounts,
                f"mount -o remount,bind,ro {root}",
                f'exec chroot {root} "$@"',
            )
        )
        user, _, group = self._user().partition(":")
        rights = [f"--reuid={user}", f"--regid={group}", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]
        return [
            *("unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh"),
            *("/usr/bin/setpriv", *rights, "--no-new-privs", "/usr/bin/env", "-i", *self.settings.get("Env", ())),
            *("sh", "-c", 'cd "$0" && exec "$@"', self.settings.get("WorkingDir") or "/"),
            *(str(word) for word in words),
        ]

    def run(self, *arguments: str | Path) -> Ran:
        """Run the image's program to its end."""
        return _ran(self.command(*arguments))

    def run_exec(self, *words: str | Path) -> Ran:
        """Run any program of the image to its end."""
        return _ran(self.exec(*words))

    def _user(self) -> str:
        """Number and group of the image's user, which may be a name of its own."""
        name, _, group = (self.settings.get("User") or "0:0").partition(":")
        if name.isdigit():
            return f"{name}:{group or name}"
        lines = (self.root / "etc/passwd").read_text().splitlines()
        _, _, number, group, *_ = next(line.split(":") for line in lines if line.startswith(f"{name}:"))
        return f"{number}:{group}"

    def _seen(self, place: str, *, is_file: bool = False) -> Path:
        """Where a mount goes, which is made as a container runtime makes it."""
        seen = self.root / place.lstrip("/")
        if is_file:
            seen.parent.mkdir(parents=True, exist_ok=True)
            seen.touch()
        else:
            seen.mkdir(parents=True, exist_ok=True)
        return seen


class ImageBuilder:
    """Builds images in a storage of its own."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._base = installed("base-image", "--base-image-only")
        # That of the storage that it is in: layers, or copies where the file system takes no layers.
        self._driver = "overlay" if (self._base / "overlay").is_dir() else "vfs"
        self._volumes = _pip_volumes(directory)
        names = self._buildah("images", "--format", "{{.Name}}:{{.Tag}}").split()
        self.versions = {name.rpartition("/")[2].split(":")[0]: name.rpartition(":")[2] for name in names}
        """The tags that the base image has, by its names."""

    def build(self, name: str, context: Path, **arguments: str) -> dict[str, Any]:
        """Build the Dockerfile of a directory; what the image says of how it is run."""
        told = [f"--build-arg={key}={value}" for key, value in arguments.items()]
        volumes = [f"--volume={place}:{seen}:ro" for seen, place in self._volumes.items()]
        self._buildah(
            *("bud", "--isolation=chroot", "--network=host", "--pull-never", "--format=docker", "--tag", name),
            *(*told, *volumes, str(context)),
        )
        found: dict[str, Any] = json.loads(self._buildah("inspect", "--type=image", name))["Docker"]["config"]
        return found

    def files(self, name: str) -> Path:
        """The files of a new container of an image."""
        container = self._buildah("from", "--pull-never", name).strip()
        return Path(self._buildah("mount", container).strip())

    def close(self) -> None:
        """Let go of all containers, which may be mounted."""
        self._buildah("rm", "--all")

    def _buildah(self, *arguments: str) -> str:
        words = [
            *(str(program("buildah", "buildah")), "--root", str(self._directory / "storage")),
            *("--runroot", str(self._directory / "run"), "--storage-driver", self._driver),
            *("--storage-opt", f"{self._driver}.imagestore={self._base}", *arguments),
        ]
        environment = os.environ | {"TMPDIR": str(self._directory)}
        done = subprocess.run(
            words, env=environment, capture_output=True, text=True, check=False, timeout=BUILD_SECONDS
        )
        if done.returncode:
            said = "\n".join((done.stdout + done.stderr).splitlines()[-60:])
            raise RuntimeError(f"buildah {arguments[0]} ended with status {done.returncode}:\n{said}")
        return done.stdout


@contextmanager
def image_builder() -> Iterator[ImageBuilder]:
    """A builder, whose images go with it.

    Raises:
        RuntimeError: there is no buildah, no base image, or this is not root.
    """
    if os.geteuid() != 0:
        raise RuntimeError("images are built by root only: run these tests as root (in a container, say)")
    with server_directory("images") as directory, closing(ImageBuilder(directory)) as builder:
        yield builder


def _ran(words: list[str]) -> Ran:
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60)
    return Ran(code=done.returncode, out=done.stdout, err=done.stderr)


def _pip_volumes(directory: Path) -> dict[str, Path]:
    """What of this machine a build has to see so that pip does there what it does here, by the place where it is seen:
    its settings, from files and the environment, and the files and directories that these name."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    ).stdout
    settings = configparser.RawConfigParser()
    settings.add_section("global")
    volumes: dict[str, Path] = {}
    # Variables of the environment come last, as they count most.
    for line in sorted(listed.splitlines(), key=lambda line: line.startswith(":env:")):
        key, _, quoted = line.partition("=")
        section, _, option = key.rpartition(".")
        if option == "cache-dir":
            continue
        section = "global" if section == ":env:" else section
        if not settings.has_section(section):
            settings.add_section(section)
        value = str(ast.literal_eval(quoted))
        settings.set(section, option, " ".join(value.split()))
        for word in value.split():
            path = Path(unquote(urlsplit(word).path) if word.startswith("file:") else word)
            if path.is_absolute() and path.exists():
                # The pages of an index link to files beside it (Simple Repository API).
                seen = path.parent if option.endswith("index-url") and len(path.parts) > 2 else path
                volumes[str(seen)] = seen
    file = directory / "pip.conf"
    with file.open("w") as opened:
        settings.write(opened)
    volumes["/etc/pip.conf"] = file
    # Whom this machine trusts.
    trusted = Path(os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("SSL_CERT_FILE") or _CERTIFICATES)
    if trusted.is_file():
        volumes[str(_CERTIFICATES)] = trusted
    return volumes
