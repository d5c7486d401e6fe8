"""Chain verification by OpenSSL itself, with the codes and texts that `openssl s_client` prints."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from mxprobe.errors import TrustStoreError
from mxprobe.trust.certificate import read_certificate

if TYPE_CHECKING:
    from OpenSSL import crypto

MAX_CHAIN = 100
"""How many certificates of a chain are given to OpenSSL: as many as it would put in one chain itself
(X509_VERIFY_PARAM_set_depth(3)). `s_client` stops at 100 kB of them, which real ones fill with about as many."""

_WELL_KNOWN_DIRECTORIES = (
    "/etc/ssl/certs",  # Debian, Alpine, Arch, SUSE, FreeBSD
    "/etc/pki/ca-trust/extracted/pem/directory-hash",  # Fedora, RHEL 10
    "/etc/pki/tls/certs",  # older Fedora and RHEL
    "/etc/openssl/certs",  # NetBSD
)
_WELL_KNOWN_FILES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Alpine, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",  # Alpine, OpenBSD, macOS
    "/usr/local/share/certs/ca-root-nss.crt",  # FreeBSD
)

_HASH_LINK = re.compile(r"[0-9a-f]{8}\.[0-9]+\Z")
_PEM_BLOCK = re.compile(
    rb"-----BEGIN (TRUSTED |X509 |)CERTIFICATE-----(.*?)-----END (?:TRUSTED |X509 |)CERTIFICATE-----", re.DOTALL
)

# X509_V_ERR_UNSPECIFIED: what cannot be parsed never gets as far as a code of its own; s_client ends the handshake.
_UNSPECIFIED = 1

# The errors that OpenSSL's internal_verify() finds on its way down from the trust anchor: signature (7) and dates
# (9, 10, 13, 14). Every certificate above the failing one was found good before, and s_client says so.
_FOUND_ON_THE_WAY_DOWN = frozenset({7, 9, 10, 13, 14})

# OpenSSL 4.0 says "... or the system clock is incorrect"; users know, and grep for, the text of 0.9 to 3.x. It is the
# only one of the codes that a chain can lead to whose text differs.
_TEXTS = {0: "ok", 9: "certificate is not yet valid"}


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyStep:
    """What OpenSSL said of the certificate at one depth: 0 is the server's own."""

    depth: int
    code: int
    text: str
    subject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """The outcome of verifying a chain, as `s_client -verify N -verify_return_error -CApath DIR` says it.

    `code` and `text` are OpenSSL's (`X509_V_*`, 0 is ok); `depth` is where the first error was. `steps`
    goes from the highest depth that was reached to 0. `s_client -verify N` does not refuse a trusted chain
    for its length; `chain_depth` (the depth of the trust anchor, when the chain was built) and
    `depth_limit` are kept, so that a verdict can.
    """

    ok: bool
    code: int
    text: str
    depth: int
    ca_path: str | None
    ca_file: str | None
    depth_limit: int
    chain_depth: int | None = None
    steps: tuple[VerifyStep, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustStore:
    """Whom we trust: a CA file (read when it was loaded), a hashed CA directory (read as chains need it), or both.

    Made by `load_trust_store`. It holds no state that a verification changes, so that threads may share it.
    """

    ca_file: str | None
    ca_path: str | None
    anchors: tuple[crypto.X509, ...] = field(default=(), repr=False)


def load_trust_store(
    *, ca_file: str | None, ca_path: str | None, environment: Mapping[str, str] = os.environ
) -> TrustStore:
    """Load the certificates to trust from a PEM file, a hashed directory (as `-CAfile`, `-CApath`), or both.

    With neither, it is the system's as OpenSSL has it: SSL_CERT_FILE and SSL_CERT_DIR where they are set, else the
    directory, or else the file, where a well-known system keeps them. As in OpenSSL, a directory may be several with
    a colon between, and SSL_CERT_FILE does not keep the system's directory from being used.

    Raises:
        TrustStoreError: a file or directory cannot be read or has no certificate to trust, a directory has no hash
            links, or nothing is named and the system has nothing.
    """
    if ca_file is None and ca_path is None:
        ca_file = environment.get("SSL_CERT_FILE") or None
        ca_path = environment.get("SSL_CERT_DIR") or next(filter(_is_hashed, _WELL_KNOWN_DIRECTORIES), None)
        if ca_file is None and ca_path is None:
            ca_file = next(filter(os.path.isfile, _WELL_KNOWN_FILES), None)
        if ca_file is None and ca_path is None:
            raise TrustStoreError(
                _WELL_KNOWN_DIRECTORIES[0],
                "the system has no trusted certificates where they are looked for; name some",
            )
    if ca_path is not None:
        for directory in ca_path.split(os.pathsep):
            _check_directory(directory)
    return TrustStore(ca_file=ca_file, ca_path=ca_path, anchors=_load_file(ca_file) if ca_file is not None else ())


def verify_chain(chain: tuple[bytes, ...], store: TrustStore, *, depth_limit: int, time: datetime) -> Verification:
    """Verify the certificates that a server sent (DER, its own first) for a TLS server, at `time` (aware).

    It is what `openssl s_client -verify N -verify_return_error` does at security level 0: weak keys and digests are
    not errors, and neither is the length of the chain: see `longer_than_limit`. Never raises for what a peer sent: an
    empty chain and one that cannot be parsed are not ok with OpenSSL's code 1, unspecified.
    """

    def failed(code: int, depth: int, subject: str = "") -> Verification:
        return outcome(code, depth, (VerifyStep(depth=depth, code=code, text=_text(code), subject=subject),))

    def outcome(code: int, depth: int, steps: tuple[VerifyStep, ...], chain_depth: int | None = None) -> Verification:
        return Verification(
            ok=code == 0,
            code=code,
            text=_text(code),
            depth=depth,
            ca_path=store.ca_path,
            ca_file=store.ca_file,
            depth_limit=depth_limit,
            chain_depth=chain_depth,
            steps=steps,
        )

    if not chain:
        return outcome(_UNSPECIFIED, 0, ())
    sent: list[crypto.X509] = []
    for depth, der in enumerate(chain[:MAX_CHAIN]):
        certificate = _parse(der)
        if certificate is None:
            return failed(_UNSPECIFIED, depth)
        sent.append(certificate)

    code, depth, built = _run(_openssl_store(store, time), sent)
    subjects = tuple(_subject(certificate) for certificate in built)
    if code == 0:
        reached = range(len(built))
        anchor: int | None = len(built) - 1
    elif code in _FOUND_ON_THE_WAY_DOWN:
        reached = range(depth, len(built))
        anchor = len(built) - 1
    else:
        subject = subjects[depth] if depth < len(subjects) else ""
        return failed(code, depth, subject)
    steps = tuple(
        VerifyStep(
            depth=at, code=code if at == depth else 0, text=_text(code if at == depth else 0), subject=subjects[at]
        )
        for at in reversed(reached)
    )
    return outcome(code, depth, steps, anchor)


def longer_than_limit(verification: Verification) -> bool:
    """Whether a chain that OpenSSL accepts has more CA certificates above the server's own than the limit allows.

    This is Postfix's `smtp_tls_scert_verifydepth`: 1 allows a certificate that a trusted CA issued directly, N allows
    N CA certificates, the trust anchor included.
    """
    return verification.chain_depth is not None and verification.chain_depth > verification.depth_limit


def _is_hashed(directory: str) -> bool:
    try:
        with os.scandir(directory) as entries:
            return any(_HASH_LINK.match(entry.name) for entry in entries)
    except OSError:
        return False


def _check_directory(directory: str) -> None:
    try:
        with os.scandir(directory) as entries:
            hashed = any(_HASH_LINK.match(entry.name) for entry in entries)
    except NotADirectoryError:
        raise TrustStoreError(directory, "not a directory; a file of CA certificates is a CA file") from None
    except OSError as error:
        raise TrustStoreError(directory, f"cannot be read: {error.strerror}") from error
    if not hashed:
        raise TrustStoreError(
            directory,
            f"no hash links (like 1a2b3c4d.0), so OpenSSL finds nothing there; run: openssl rehash {directory}",
        )


def _load_file(path: str) -> tuple[crypto.X509, ...]:
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            text = file.read()
    except IsADirectoryError:
        raise TrustStoreError(path, "a directory, not a file; a directory of CA certificates is a CA path") from None
    except OSError as error:
        raise TrustStoreError(path, f"cannot be read: {error.strerror}") from error
    return _anchors(path, text)


def _without_waiting(path: str, flags: int) -> int:
    """Open as usual, but a pipe that nobody writes to is at its end, where it would be waited for without end."""
    descriptor = os.open(path, flags | os.O_NONBLOCK)
    os.set_blocking(descriptor, True)
    return descriptor


@lru_cache(maxsize=4)
def _anchors(path: str, text: bytes) -> tuple[crypto.X509, ...]:
    """The certificates in a file of this content: a system's have hundreds, which programs load again and again."""
    anchors: list[crypto.X509] = []
    for number, (kind, body) in enumerate(_PEM_BLOCK.findall(text), 1):
        if kind == b"TRUSTED ":
            # It carries for what it is trusted, and pyOpenSSL would read over that.
            raise TrustStoreError(
                path, f"certificate {number} is a TRUSTED CERTIFICATE; only plain ones (openssl x509 -in …) are read"
            )
        try:
            certificate = _parse(base64.b64decode(body))
        except ValueError:
            certificate = None
        if certificate is None:
            raise TrustStoreError(path, f"certificate {number} in it cannot be parsed")
        anchors.append(certificate)
    if not anchors:
        raise TrustStoreError(path, "no PEM certificate in it")
    return tuple(anchors)


def _parse(der: bytes) -> crypto.X509 | None:
    from OpenSSL import crypto

    try:
        certificate = crypto.load_certificate(crypto.FILETYPE_ASN1, der)
        # The parser stops where the certificate ends; what follows would be taken for a part of it.
        whole = len(crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate)) == len(der)
    except crypto.Error:
        return None
    return certificate if whole else None


def _openssl_store(store: TrustStore, time: datetime) -> crypto.X509Store:
    # A new one for each chain: the time is set on the store. The file is parsed already, and the directory is read
    # when an issuer is looked for, so this costs a tenth of a millisecond for a system's CA file.
    from OpenSSL import crypto
    from OpenSSL._util import lib

    made = crypto.X509Store()
    for anchor in store.anchors:
        made.add_cert(anchor)
    if store.ca_path is not None:
        made.load_locations(None, store.ca_path)
    made.set_time(time.astimezone(UTC))
    # s_client verifies for the purpose sslserver, without which a client's certificate would do. pyOpenSSL sets
    # purposes only inside handshakes, and has no public call for it.
    lib.X509_STORE_set_purpose(made._store, lib.X509_PURPOSE_SSL_SERVER)
    return made


def _run(store: crypto.X509Store, sent: list[crypto.X509]) -> tuple[int, int, list[crypto.X509]]:
    """Verify; returns the code, the depth of the first error (0 where there is none), and the chain that was built.

    It is `X509StoreContext.get_verified_chain()`, except that the chain is there after an error too, and OpenSSL's
    error queue is left empty: a leftover in it would be taken for an error of the thread's next TLS connection.
    """
    from OpenSSL import crypto
    from OpenSSL._util import ffi, lib

    leaf = sent[0]
    untrusted = crypto.X509StoreContext(store, leaf, sent)._chain
    context = ffi.gc(lib.X509_STORE_CTX_new(), lib.X509_STORE_CTX_free)
    try:
        if lib.X509_STORE_CTX_init(context, store._store, leaf._x509, untrusted) != 1:
            raise MemoryError("OpenSSL has no memory to verify a certificate")
        verified = lib.X509_verify_cert(context) == 1
        # A failure of OpenSSL itself, as without memory, need not leave a code.
        code = 0 if verified else lib.X509_STORE_CTX_get_error(context) or _UNSPECIFIED
        depth = 0 if verified else max(lib.X509_STORE_CTX_get_error_depth(context), 0)
        built: list[crypto.X509] = []
        stack = lib.X509_STORE_CTX_get1_chain(context)
        if stack != ffi.NULL:
            # The members are freed by their X509 objects, the stack here.
            built = [
                crypto.X509._from_raw_x509_ptr(lib.sk_X509_value(stack, index))
                for index in range(lib.sk_X509_num(stack))
            ]
            lib.sk_X509_free(stack)
        return code, depth, built
    finally:
        lib.ERR_clear_error()


def _text(code: int) -> str:
    if code in _TEXTS:
        return _TEXTS[code]
    from OpenSSL._util import ffi, lib

    return str(ffi.string(lib.X509_verify_cert_error_string(code)).decode())


def _subject(certificate: crypto.X509) -> str:
    from OpenSSL import crypto

    return read_certificate(crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate)).subject
