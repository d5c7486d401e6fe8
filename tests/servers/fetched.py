"""What is fetched into the cache directory, by the ordinary clients of its registries, and is not installed.

`tools/install-test-servers` brings what test servers need. What only hellos are taken from comes when it is asked for.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mxprobe"
_TOOL = Path(__file__).parents[2] / "tools" / "install-test-servers"


def installed(place: str, option: str) -> Path:
    """A place in the cache directory, filled by `tools/install-test-servers` with this option if it is not there yet.

    Raises:
        RuntimeError: it cannot be fetched; the text says why.
    """
    path = _CACHE / place
    if not path.exists():
        done = subprocess.run([_TOOL, option], capture_output=True, text=True, check=False)
        if done.returncode or not path.exists():
            raise RuntimeError(f"{_TOOL} cannot bring {place}:\n{done.stdout}{done.stderr}")
    return path


def debian_package(*packages: str) -> Path:
    """The directory in which these packages are unpacked together; the first gives it its name.

    Raises:
        RuntimeError: they cannot be fetched.
    """

    def fill(scratch: Path, files: Path) -> None:
        _run("apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", *packages, directory=scratch)
        for archive in sorted(scratch.glob("*.deb")):
            _run("dpkg", "-x", str(archive), str(files), directory=scratch)
        # Root starts what is in it; nothing is to change its rights.
        for path in files.rglob("*"):
            if path.is_file() and not path.is_symlink() and path.stat().st_mode & 0o6000:
                path.chmod(path.stat().st_mode & 0o777)

    return _filled(f"senders/{packages[0]}", fill)


def npm_package(name: str, version: str) -> Path:
    """The directory with the `node_modules` of an npm package.

    Raises:
        RuntimeError: it cannot be fetched.
    """

    def fill(_: Path, files: Path) -> None:
        _run("npm", "install", "--silent", "--ignore-scripts", f"{name}@{version}", directory=files)

    return _filled(f"senders/{name}-{version}", fill)


def wheel(requirement: str, *, python: str, abi: str, place: str) -> Path:
    """The directory in which a wheel of PyPI for Linux is unpacked, for whichever Python and ABI it is.

    Raises:
        RuntimeError: it cannot be fetched.
    """

    def fill(scratch: Path, files: Path) -> None:
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:"]
        command += ["--python-version", python, "--implementation", "cp", "--abi", abi]
        for platform in ("manylinux1_x86_64", "manylinux2014_x86_64", "manylinux_2_17_x86_64"):
            command += ["--platform", platform]
        _run(*command, requirement, directory=scratch)
        (archive,) = scratch.glob("*.whl")
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(files)

    return _filled(place, fill)


def _filled(place: str, fill: Callable[[Path, Path], None]) -> Path:
    """A directory of the cache, there as a whole or not at all: `fill` gets a scratch directory, and where files go."""
    directory = _CACHE / place
    if not directory.exists():
        directory.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=directory.parent) as scratch:
            files = Path(scratch) / "files"
            files.mkdir()
            fill(Path(scratch), files)
            files.rename(directory)
    return directory


def _run(*command: str, directory: Path) -> None:
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        raise RuntimeError(f"`{' '.join(command)}` ended with status {done.returncode}:\n{done.stdout}{done.stderr}")
