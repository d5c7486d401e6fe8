"""TLS servers without a network: bytes of a ClientHello in, the bytes of the server's flight out."""

from __future__ import annotations

import errno
import warnings
from base64 import b64encode
from contextlib import suppress
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from OpenSSL import SSL

from servers.certificates import Issued

with warnings.catch_warnings():
    # tlslite-ng looks for asyncore, of which Python 3.11 only says that it will go.
    warnings.simplefilter("ignore", DeprecationWarning)
    from tlslite import constants as tlslite_constants
    from tlslite import extensions as tlslite_extensions
    from tlslite import messages as tlslite_messages
    from tlslite.api import HandshakeSettings, TLSConnection, X509CertChain, parsePEMKey
    from tlslite.utils.codec import Parser as TlsliteParser

__all__ = [
    "TlsliteParser",
    "openssl_flight",
    "openssl_server",
    "tlslite_constants",
    "tlslite_extensions",
    "tlslite_flight",
    "tlslite_messages",
    "with_dh_parameters",
]

VERSIONS = {
    "TLSv1": SSL.TLS1_VERSION,
    "TLSv1.1": SSL.TLS1_1_VERSION,
    "TLSv1.2": SSL.TLS1_2_VERSION,
    "TLSv1.3": SSL.TLS1_3_VERSION,
}


def openssl_server(
    issued: Issued | None = None,
    *,
    oldest: str = "TLSv1",
    newest: str = "TLSv1.3",
    ciphers: str = "ALL:COMPLEMENTOFALL",
) -> SSL.Context:
    """A server by OpenSSL at security level 0, which sends the chain of its certificate."""
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_cipher_list(f"{ciphers}:@SECLEVEL=0".encode())
    context.set_min_proto_version(VERSIONS[oldest])
    context.set_max_proto_version(VERSIONS[newest])
    if issued is not None:
        context.use_certificate(issued.certificate)
        context.use_privatekey(issued.key)
        for der in issued.chain[1:]:
            context.add_extra_chain_cert(x509.load_der_x509_certificate(der))
    return context


def with_dh_parameters(context: SSL.Context, path: Path, prime: int) -> SSL.Context:
    """Give a server a finite field of its own, with generator 2; `path` is a file to write it to."""
    # DHParameter of PKCS #3: SEQUENCE { INTEGER prime, INTEGER base }.
    integers = _der(0x02, prime.to_bytes(prime.bit_length() // 8 + 1, "big")) + _der(0x02, b"\x02")
    body = b64encode(_der(0x30, integers)).decode()
    lines = (body[at : at + 64] for at in range(0, len(body), 64))
    path.write_text("\n".join(["-----BEGIN DH PARAMETERS-----", *lines, "-----END DH PARAMETERS-----", ""]))
    context.load_tmp_dh(str(path).encode())
    return context


def _der(tag: int, value: bytes) -> bytes:
    size = len(value).to_bytes(2, "big")
    return bytes((tag,)) + (size[1:] if len(value) < 128 else b"\x82" + size) + value


def openssl_flight(context: SSL.Context, hello: bytes) -> bytes:
    """What the server writes after it read `hello`, alerts included."""
    connection = SSL.Connection(context, None)
    connection.set_accept_state()
    connection.bio_write(hello)
    with suppress(SSL.Error):  # WantReadError after a flight, another one after an alert: the bytes tell
        connection.do_handshake()
    try:
        return connection.bio_read(1 << 20)
    except SSL.WantReadError:
        return b""


class _HalfSocket:
    """Gives what it was made with, would block after that, and keeps what is sent."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.sent = b""

    def recv(self, count: int) -> bytes:
        data, self._data = self._data[:count], self._data[count:]
        if not data:
            raise BlockingIOError(errno.EWOULDBLOCK, "no more bytes")
        return data

    def send(self, data: bytes) -> int:
        self.sent += data
        return len(data)

    def sendall(self, data: bytes) -> None:
        self.sent += data

    def close(self) -> None:
        pass


def tlslite_flight(issued: Issued | None, hello: bytes, **options: Any) -> bytes:
    """What a tlslite-ng server (SSLv3 to TLS 1.3) writes after it read `hello`.

    `options` are those of TLSConnection.handshakeServerAsync, or attributes of HandshakeSettings.
    """
    settings = HandshakeSettings()
    settings.minVersion = (3, 0)
    for name in [name for name in options if hasattr(settings, name)]:
        setattr(settings, name, options.pop(name))
    half = _HalfSocket(hello)
    connection = TLSConnection(half)
    if issued is not None:
        chain = X509CertChain()
        chain.parsePemList(issued.chain_pem.decode())
        key = issued.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        options |= {"certChain": chain, "privateKey": parsePEMKey(key.decode(), private=True)}
    try:
        for state in connection.handshakeServerAsync(settings=settings, **options):
            if state == 0:  # it wants to read, and there is no more
                break
    except Exception as error:
        # It raises after it has written its alert, which the caller reads.
        if not half.sent:
            raise AssertionError("tlslite-ng failed without an alert") from error
    return half.sent
