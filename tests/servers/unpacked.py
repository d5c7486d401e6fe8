"""Mail servers that Debian does not install beside Postfix: unpacked, with accounts and a host name of their own.

`tools/install-test-servers` unpacks them once. What they want of the system, accounts and a host name with a dot,
`nss_wrapper(1)` shows to them alone.
"""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from servers.fetched import installed

HOST_NAME = "mx.test"


def unpacked(package: str) -> Path:
    """The directory that a package is unpacked in, by `tools/install-test-servers` if it is not there yet.

    Raises:
        RuntimeError: it cannot be fetched; the text says why.
    """
    return installed(f"debian/{package}", "--unpacked-only")


def own_world(directory: Path, *accounts: str) -> dict[str, str]:
    """The environment in which a program sees `accounts`, all of them nobody in truth, and that it runs on mx.test.

    Without its account Exim does not start; Sendmail waits a minute where the host's name has no dot. `directory` takes
    the files that say so.

    Raises:
        RuntimeError: this is not root, whose rights these servers give up for those of an account.
    """
    if os.geteuid() != 0:
        raise RuntimeError("MTAs start as root only: run these tests as root (in a container, say)")
    nobody = pwd.getpwnam("nobody")
    passwd, group, hosts = directory / "passwd", directory / "group", directory / "hosts"
    ids = f"{nobody.pw_uid}:{nobody.pw_gid}"
    passwd.write_text(
        "root:x:0:0::/root:/bin/sh\n" + "".join(f"{name}:x:{ids}::/:/bin/false\n" for name in ("nobody", *accounts))
    )
    group.write_text("root:x:0:\n" + "".join(f"{name}:x:{nobody.pw_gid}:\n" for name in ("nogroup", *accounts)))
    hosts.write_text(f"127.0.0.1 {HOST_NAME} localhost\n")
    (wrapper,) = unpacked("libnss-wrapper").glob("usr/lib/*/libnss_wrapper.so")
    return {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "LD_PRELOAD": str(wrapper),
        "NSS_WRAPPER_PASSWD": str(passwd),
        "NSS_WRAPPER_GROUP": str(group),
        "NSS_WRAPPER_HOSTS": str(hosts),
        "NSS_WRAPPER_HOSTNAME": HOST_NAME,
    }


def hand_over(*paths: Path) -> None:
    """Give files to the one that all the accounts of `own_world` are."""
    nobody = pwd.getpwnam("nobody")
    for path in paths:
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
