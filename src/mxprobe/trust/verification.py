"""Chain verification by OpenSSL itself, with the codes and texts that `openssl s_client` prints."""

from __future__ import annotations

from dataclasses import dataclass


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
