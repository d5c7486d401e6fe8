"""A DNS root of our own, signed, with a domain that is signed, one that is not, and one that is bogus, as zone files
for an unbound that takes all it knows from them (unbound.conf(5), auth-zone)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dns.dnssec
import dns.name
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.DNSKEY
import dns.rrset
import dns.zone
from cryptography.hazmat.primitives.asymmetric import ec

_DAY = timedelta(days=1)
_HEAD = "$TTL 300\n@ SOA ns.{at} root.{at} 1 3600 900 604800 300\n@ NS ns.{at}\nns.{at} A 192.0.2.53\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedZones:
    """Where they are. `configuration` is for unbound.conf, `trust_anchor` the key of the root; both name no others."""

    directory: Path
    configuration: Path
    trust_anchor: Path


def signed_zones(directory: Path, seen_at: str) -> SignedZones:
    """Write the zones; unbound sees the directory as `seen_at`.

    ``mx.signed`` and ``mx.plain`` have the address 127.0.0.1, and so has ``mx.bogus``, which nobody has signed: the
    signature is that of another address. ``signed``, ``plain`` and ``bogus`` have these as their MX hosts.
    """
    root = dns.name.root
    delegations = ""
    for name in ("signed", "bogus", "plain"):
        text = _HEAD.format(at=f"{name}.") + f"@ MX 10 mx.{name}.\nmx A 127.0.0.1\n"
        zone = dns.zone.from_text(text, origin=f"{name}.", relativize=False)
        if name != "plain":
            key = _sign(zone)
            digest = dns.dnssec.make_ds(zone.origin or root, key, "SHA256")
            delegations += f"{name}. DS {digest.to_text()}\n"
        if name == "bogus":
            changed = zone.find_rdataset(f"mx.{name}.", "A")
            other = dns.rrset.from_text(f"mx.{name}.", 300, "IN", "A", "127.0.0.2")
            changed.clear()
            changed.update(other)
        zone.to_file(str(directory / f"{name}.zone"), relativize=False)
        delegations += f"{name}. NS ns.{name}.\nns.{name}. A 192.0.2.53\n"
    top = dns.zone.from_text(_HEAD.format(at="root-servers.") + delegations, origin=".", relativize=False)
    anchor = _sign(top)
    top.to_file(str(directory / "root.zone"), relativize=False)
    trust_anchor = directory / "root.key"
    trust_anchor.write_text(f". 300 IN DNSKEY {anchor.to_text()}\n")
    configuration = directory / "zones.conf"
    configuration.write_text(
        "".join(
            f'auth-zone:\n  name: "{name}"\n  zonefile: "{seen_at}/{file}.zone"\n'
            "  for-downstream: no\n  for-upstream: yes\n  fallback-enabled: no\n"
            for name, file in ((".", "root"), ("signed.", "signed"), ("plain.", "plain"), ("bogus.", "bogus"))
        )
    )
    return SignedZones(directory=directory, configuration=configuration, trust_anchor=trust_anchor)


def _sign(zone: dns.zone.Zone) -> dns.rdtypes.ANY.DNSKEY.DNSKEY:
    """Sign a zone with one new key, from yesterday till tomorrow; its public part."""
    private = ec.generate_private_key(ec.SECP256R1())
    public = dns.dnssec.make_dnskey(private.public_key(), "ECDSAP256SHA256", flags=257)
    now = datetime.now(UTC)
    with zone.writer() as writer:
        dns.dnssec.sign_zone(
            zone, txn=writer, keys=[(private, public)], dnskey_ttl=300, inception=now - _DAY, expiration=now + _DAY
        )
    return dns.rdtypes.ANY.DNSKEY.DNSKEY(
        dns.rdataclass.IN, dns.rdatatype.DNSKEY, public.flags, public.protocol, public.algorithm, public.key
    )
