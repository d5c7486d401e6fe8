"""Our own errors: what the *user* has to mend. What a peer does is data, never one of these.

    MxprobeError
    ├── InvalidNextHop      a destination that is not Postfix next-hop syntax
    ├── InvalidSetting      a value on the command line or in probes.toml
    ├── InvalidCipherString a cipher list that OpenSSL refuses
    ├── TrustStoreError     a CA file or CA path that cannot be used
    ├── ResolverError       no usable name server
    └── StoreError          a database that cannot be opened, or is of a newer version
        ├── NewerDatabase
        ├── EmptyDatabase
        └── InvalidMemory   what is remembered of a target is of a newer version, or spoilt

Each carries one line for the user (``str(error)``) that says what, where, and what is allowed; the
command line prints it and exits with 2.
"""

from __future__ import annotations


class MxprobeError(Exception):
    """Base of every error that mxprobe raises on purpose; ``str(error)`` is one line for the user."""


class InvalidNextHop(MxprobeError):
    """A destination that is not Postfix next-hop syntax (`postconf(5) relayhost`)."""

    def __init__(self, text: str, reason: str) -> None:
        self.text = text
        self.reason = reason
        shown = text if len(text) <= 400 else f"{text[:397]}..."
        super().__init__(
            f"not a next-hop: {shown!r}: {reason} "
            "(allowed: example.com, example.com:port, [host], [host]:port, "
            "[192.0.2.1]:port, [IPv6:2001:db8::1]:port, with smtp:, lmtp: or smtps: before it)"
        )


class InvalidSetting(MxprobeError):
    """A setting with a value that is not allowed, or a name that does not exist."""

    def __init__(self, where: str, problem: str, allowed: str | None = None) -> None:
        self.where = where
        self.problem = problem
        self.allowed = allowed
        super().__init__(f"{where}: {problem}" + (f" (allowed: {allowed})" if allowed else ""))


class InvalidCipherString(MxprobeError):
    """A cipher list that OpenSSL refuses, or that leaves nothing.

    Attributes:
        text: The list.
        reason: What is wrong with it, with the word in it.
        word: The word to blame, as it stands in the list; None when it is not one word.
    """

    def __init__(self, text: str, openssl: str, reason: str, word: str | None = None) -> None:
        self.text = text
        self.openssl = openssl
        self.reason = reason
        self.word = word
        shown = text if len(text) <= 200 else text[:200] + "..."
        super().__init__(f"OpenSSL {openssl} refuses the cipher list {shown!r}: {reason}")


class TrustStoreError(MxprobeError):
    """A CA file or CA path that cannot be used."""

    def __init__(self, path: str, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"{path}: {reason}")


class ResolverError(MxprobeError):
    """There is no name server to ask, or the one given cannot be used."""


class StoreError(MxprobeError):
    """A result database that cannot be used."""


class EmptyDatabase(StoreError):
    """There is no database yet to read from, or nothing has been written to it."""


class NewerDatabase(StoreError):
    """The database was written by a newer mxprobe; nothing was changed in it."""

    def __init__(self, url: str, found: str, known: str) -> None:
        self.url = url
        self.found = found
        self.known = known
        super().__init__(
            f"{url}: the database has schema {found}, this mxprobe knows up to {known}; "
            "use a newer mxprobe or another database"
        )


class InvalidMemory(StoreError):
    """What was remembered of a target cannot be read; nothing was changed in it."""

    def __init__(self, next_hop: str, reason: str) -> None:
        self.next_hop = next_hop
        self.reason = reason
        super().__init__(f"the memory of {next_hop} cannot be read: {reason}")
