"""Software that only recordings need: Debian and npm packages, fetched by their ordinary clients into the cache
directory and unpacked there, not installed."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mxprobe" / "senders"


def debian_package(*packages: str) -> Path:
    """The directory in which these packages are unpacked together; the first gives it its name.

    Raises:
        RuntimeError: they cannot be fetched.
    """
    directory = CACHE / packages[0]
    if not directory.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as text:
            scratch, files = Path(text), Path(text) / "files"
            _run("apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", *packages, directory=scratch)
            for archive in sorted(scratch.glob("*.deb")):
                _run("dpkg", "-x", str(archive), str(files), directory=scratch)
            # Root starts what is in it; nothing is to change its rights.
            for path in files.rglob("*"):
                if path.is_file() and not path.is_symlink() and path.stat().st_mode & 0o6000:
                    path.chmod(path.stat().st_mode & 0o777)
            files.rename(directory)
    return directory


def npm_package(name: str, version: str) -> Path:
    """The directory with the `node_modules` of an npm package.

    Raises:
        RuntimeError: it cannot be fetched.
    """
    directory = CACHE / f"{name}-{version}"
    if not directory.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as text:
            files = Path(text) / "files"
            files.mkdir()
            _run("npm", "install", "--silent", "--ignore-scripts", f"{name}@{version}", directory=files)
            files.rename(directory)
    return directory


def _run(*command: str, directory: Path) -> None:
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        raise RuntimeError(f"`{' '.join(command)}` ended with status {done.returncode}:\n{done.stdout}{done.stderr}")
