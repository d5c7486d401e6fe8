"""The part of an SMTP session before TLS, as facts: greeting, EHLO, STARTTLS, and what followed the 220."""

from __future__ import annotations

from dataclasses import dataclass

from mxprobe.smtp.replies import Reply, capabilities, offers_starttls

EARLY_BYTES = 1024
"""How much of what follows the 220 is kept: evidence of response injection, not a store for the peer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialogue:
    """What was said before TLS; None is what was not reached.

    `helo` is true when EHLO was refused and HELO used. `early_bytes` came in clear text after the 220 to STARTTLS,
    where RFC 3207 §4 lets the client speak next.
    """

    greeting: Reply | None = None
    ehlo: Reply | None = None
    helo: bool = False
    starttls: Reply | None = None
    early_bytes: bytes = b""

    @property
    def capabilities(self) -> tuple[str, ...]:
        """What EHLO announced; nothing where HELO had to be used."""
        return capabilities(self.ehlo) if self.ehlo and self.ehlo.code == 250 and not self.helo else ()

    @property
    def lacks_starttls(self) -> bool:
        """Whether the server was asked what it can, answered, and did not name STARTTLS."""
        return self.ehlo is not None and self.ehlo.code == 250 and not offers_starttls(self.capabilities)
