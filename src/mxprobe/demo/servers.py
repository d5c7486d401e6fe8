"""The mail servers of the demo, each with one thing to find, and the domains whose mail they take."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mxprobe.demo.certificates import CertificateAuthority, Credentials
from mxprobe.demo.server_tls import ServerTls, clear_text_instead, openssl_tls, tlslite_tls
from mxprobe.demo.smtp_servers import SmtpServer


@dataclass(frozen=True, slots=True, kw_only=True)
class MailDomain:
    """A domain and in a few words what is to be found there.

    With `alias` its MX record holds that name, which is a CNAME of the server's: RFC 2181 §10.3 does not allow it, the
    world does it.
    """

    name: str
    expect: str
    alias: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    """A server and the domains whose MX it is."""

    server: SmtpServer
    domains: tuple[MailDomain, ...]


def mail_servers(authority: CertificateAuthority, directory: Path) -> tuple[MailServer, ...]:
    """All servers, with certificates of the authority. `directory` lends a place for what ssl only reads from files."""

    def modern(credentials: Credentials, *, tls12_suites: str | None = None) -> Callable[[], ServerTls]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if tls12_suites is not None:
            context.set_ciphers(tls12_suites)
        file = directory / "server.pem"
        file.touch(mode=0o600)
        file.write_text(credentials.key_pem + credentials.chain_pem, encoding="ascii")
        context.load_cert_chain(file)
        file.unlink()
        return openssl_tls(context)

    def legacy(name: str, versions: tuple[tuple[int, int], tuple[int, int]], *ciphers: str) -> Callable[[], ServerTls]:
        credentials = authority.server(name, rsa_key=True)
        return tlslite_tls(
            certificates_pem=credentials.chain_pem, key_pem=credentials.key_pem, versions=versions, ciphers=ciphers
        )

    def mail_server(
        domain: str, expect: str, tls: Callable[[], ServerTls] | None, *, starttls_refused: bool = False
    ) -> MailServer:
        return MailServer(
            server=SmtpServer(name=f"mx1.{domain}", tls=tls, starttls_refused=starttls_refused),
            domains=(MailDomain(name=domain, expect=expect),),
        )

    trusted = authority.server
    return (
        MailServer(
            server=SmtpServer(name="mx1.good.example", tls=modern(trusted("mx1.good.example"))),
            domains=(
                MailDomain(name="good.example", expect="TLS 1.2 and 1.3, a certificate that verifies"),
                MailDomain(
                    name="cname.example",
                    expect="the MX is a CNAME: the certificate has the canonical name, not the MX name",
                    alias="mail.cname.example",
                ),
            ),
        ),
        mail_server(
            "ssl3-only.example",
            "SSLv3 and nothing newer",
            legacy("mx1.ssl3-only.example", ((3, 0), (3, 0)), "aes256", "aes128", "3des", "rc4"),
        ),
        mail_server(
            "no-shared-cipher.example",
            "TLS 1.0 to 1.2 with RC4 and 3DES: no cipher in common with our profile",
            legacy("mx1.no-shared-cipher.example", ((3, 1), (3, 3)), "3des", "rc4"),
        ),
        mail_server(
            "expired.example",
            "a certificate that has expired",
            modern(authority.server("mx1.expired.example", expired=True)),
        ),
        mail_server(
            "self-signed.example",
            "a self-signed certificate",
            modern(authority.self_signed("mx1.self-signed.example")),
        ),
        mail_server("wrong-name.example", "a certificate for another name", modern(trusted("mail.elsewhere.example"))),
        mail_server(
            "incomplete-chain.example",
            "a certificate without the intermediate CA's that signed it",
            modern(authority.server("mx1.incomplete-chain.example", leaf_only=True)),
        ),
        mail_server(
            "broken-tls.example",
            "offers STARTTLS, then answers the ClientHello in clear text",
            clear_text_instead(b"500 5.5.2 Command not recognized\r\n"),
        ),
        mail_server(
            "refused-tls.example",
            "offers STARTTLS, then refuses it with 454",
            modern(trusted("mx1.refused-tls.example")),
            starttls_refused=True,
        ),
        mail_server("no-starttls.example", "does not offer STARTTLS", None),
        MailServer(
            server=SmtpServer(
                name="mx1.limited.example", tls=modern(trusted("mx1.limited.example")), connection_limit=3
            ),
            domains=(MailDomain(name="limited.example", expect="421 after 3 connections: the rest stays unknown"),),
        ),
        MailServer(
            server=SmtpServer(
                name="mx1.slow.example",
                # A suite or two: each hello waits for the greeting again.
                tls=modern(trusted("mx1.slow.example"), tls12_suites="ECDHE-ECDSA-AES128-GCM-SHA256"),
                greeting_delay_seconds=0.5,
            ),
            domains=(MailDomain(name="slow.example", expect="finishes its greeting late, otherwise good"),),
        ),
        MailServer(
            server=SmtpServer(name="mx.shared.example", tls=modern(trusted("mx.shared.example"))),
            domains=(
                MailDomain(name="customer-one.example", expect="good; shares its MX with customer-two.example"),
                MailDomain(name="customer-two.example", expect="good; its MX is only probed once"),
            ),
        ),
    )
