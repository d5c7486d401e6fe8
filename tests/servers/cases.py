"""Every real server of the tests, in the configurations in which it is probed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Literal

from mxprobe.facts import Order
from servers.delay_proxy import delay_proxy
from servers.exim import exim_server
from servers.gnutls_server import EVERYTHING as EVERYTHING_OF_GNUTLS
from servers.gnutls_server import gnutls_server
from servers.node_server import ALL_SUITES, node_server
from servers.nss_server import nss_server
from servers.openssl_server import openssl_server
from servers.postfix import postfix_server
from servers.running import RunningServer
from servers.sendmail import sendmail_server
from servers.smtp_front import smtp_front
from servers.tlslite_server import tlslite_server

NODE_WITHOUT_IDEA = tuple(name for name in ALL_SUITES if not name.startswith("IDEA"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A server to probe.

    `order` is whose order of suites it goes by. `completes` is false where today's OpenSSL cannot shake hands with it.
    `refuses_by` is what it does about a hello that it does not take.
    """

    id: str
    start: Callable[[], AbstractContextManager[RunningServer]]
    order: Order
    speaks_smtp: bool = False
    completes: bool = True
    refuses_by: Literal["alert", "close"] = "alert"


# Whose order: OpenSSL and Postfix go by the client's unless told (SSL_OP_CIPHER_SERVER_PREFERENCE, postconf(5)
# tls_preempt_cipherlist), GnuTLS too (%SERVER_PRECEDENCE); NSS and tlslite have an order of their own.
CASES = (
    Case(
        id="postfix-opened-up",
        start=lambda: postfix_server(opened_up=True),
        order="client",
        speaks_smtp=True,
    ),
    Case(id="postfix-default", start=postfix_server, order="client", speaks_smtp=True),
    Case(
        id="postfix-own-order",
        start=lambda: postfix_server(main_cf={"tls_preempt_cipherlist": "yes"}),
        order="server",
        speaks_smtp=True,
    ),
    Case(id="exim", start=exim_server, order="client", speaks_smtp=True),
    Case(
        id="exim-own-order",
        start=lambda: exim_server(priority="NORMAL:%SERVER_PRECEDENCE"),
        order="server",
        speaks_smtp=True,
    ),
    Case(id="sendmail", start=sendmail_server, order="client", speaks_smtp=True),
    Case(
        id="sendmail-default",
        start=lambda: sendmail_server(cipher="DEFAULT"),
        order="client",
        speaks_smtp=True,
    ),
    Case(id="openssl", start=openssl_server, order="client"),
    Case(id="openssl-with-psk", start=lambda: openssl_server(psk=True), order="client"),
    # At its default security level OpenSSL 3 refuses TLS 1.0 with now this alert, now that, so we ask in parts.
    Case(
        id="openssl-default-level",
        start=lambda: openssl_server(cipher="DEFAULT"),
        order="client",
    ),
    Case(id="nss-sslv3-only", start=nss_server, order="server", completes=False),
    Case(id="nss-sslv3-to-tls1.2", start=lambda: nss_server(highest="TLSv1.2"), order="server"),
    Case(id="nss-tls1.0-to-tls1.3", start=lambda: nss_server(lowest="TLSv1", highest="TLSv1.3"), order="server"),
    Case(id="tlslite-sslv3-to-tls1.3", start=tlslite_server, order="server"),
    Case(id="tlslite-sslv3-only", start=lambda: tlslite_server(highest="SSLv3"), order="server", completes=False),
    # OpenSSL 1.0.1 picks IDEA in TLS 1.2 where it comes first, which RFC 5469 §2 forbids and OpenSSL 3 does not take.
    # This node closes without an alert, and a close only counts when it came twice.
    Case(
        id="openssl-1.0.1",
        start=node_server,
        order="server",
        refuses_by="close",
    ),
    Case(
        id="openssl-1.0.1-without-idea",
        start=lambda: node_server(suites=NODE_WITHOUT_IDEA),
        order="server",
        refuses_by="close",
    ),
    Case(id="gnutls", start=gnutls_server, order="client"),
    Case(
        id="gnutls-normal",
        start=lambda: gnutls_server(priority="NORMAL:+VERS-TLS1.0:+VERS-TLS1.1:+CAMELLIA-128-GCM:+CAMELLIA-256-GCM"),
        order="client",
    ),
)

# They pick suites that they cannot finish, and then refuse the whole offer.
UNFINISHED = (
    Case(
        id="gnutls-without-srp-passwords",
        start=lambda: gnutls_server(priority=f"{EVERYTHING_OF_GNUTLS}:+SRP:+SRP-RSA:+SRP-DSS"),
        order="client",
    ),
    Case(
        id="exim-without-anonymous-credentials",
        start=lambda: exim_server(
            priority="NORMAL:-KX-ALL:+ANON-DH:+ANON-ECDH:+ECDHE-RSA:+ECDHE-ECDSA:+DHE-RSA:+RSA:%SERVER_PRECEDENCE"
        ),
        order="server",
        speaks_smtp=True,
    ),
)


@contextmanager
def reachable(case: Case, server: RunningServer) -> Iterator[tuple[int, Callable[[], int]]]:
    """The port where the server speaks SMTP, and how many connections were made to it."""
    if case.speaks_smtp:
        with delay_proxy(server.port, ms=0) as proxy:
            yield proxy.port, lambda: proxy.connections
    else:
        with smtp_front(server) as front:
            yield front.port, lambda: front.connections
