"""Makes `src/mxprobe/tls/suites.tsv` out of the registries that `data/` keeps; `data/README.md` says whose they are.

    python tools/make_suites.py            writes the file
    python tools/make_suites.py --check    exits 1 when the file is not what the data would make

Where sources speak of the same number, IANA's additions replace IANA's older copy, and a newer OpenSSL
replaces an older one; replaced names stay findable as aliases. Rows are in our order of plausibility:
OpenSSL 3.0's, then what only 1.1.1 has, then 1.0.2, then their NULL ciphers, then the rest by number.

`_versions` holds the rules that say in which protocol versions a standard allows a suite.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "data"
TARGET = ROOT / "src" / "mxprobe" / "tls" / "suites.tsv"

CATALOGUES = ("openssl-3.0.tsv", "openssl-1.1.1.tsv", "openssl-1.0.2.tsv")
"""OpenSSL's own lists, newest first."""

COLUMNS = ("number", "iana", "openssl", "kx", "au", "enc", "mac", "versions", "aliases", "reference")

SIGNALLING = frozenset({0x0000, 0x00FF, 0x5600})
"""No suites: TLS_NULL_WITH_NULL_NULL (RFC 5246 §A.5: "MUST NOT be negotiated"), RFC 5746 §3.3, RFC 7507 §2."""

_SSL3_TO_TLS12 = ("SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2")
_TLS10_TO_TLS12 = ("TLSv1", "TLSv1.1", "TLSv1.2")


@dataclass(slots=True)
class Row:
    """One suite while it is put together out of its sources."""

    number: int
    iana: str = ""
    openssl: str = ""
    kx: str = ""
    au: str = ""
    enc: str = ""
    mac: str = ""
    versions: tuple[str, ...] = ()
    aliases: list[str] = field(default_factory=list)
    reference: str = ""

    def line(self) -> str:
        aliases = dict.fromkeys(a for a in self.aliases if a not in (self.openssl, self.iana))
        fields = (self.iana, self.openssl, self.kx, self.au, self.enc, self.mac)
        return "\t".join((f"{self.number:06X}", *fields, ",".join(self.versions), " ".join(aliases), self.reference))


def generate(data: Path = DATA) -> str:
    """The text of `suites.tsv` as the files below `data` make it.

    Raises:
        ValueError: a name that no rule understands, or a rule that contradicts OpenSSL.
    """
    rows: dict[int, Row] = {}
    for entry in (*_table(data / "iana" / "tls-cipher-suites.tsv"), *_table(data / "iana" / "additions.tsv")):
        number = int(entry["value"], 16)
        before = rows.get(number)
        row = rows[number] = Row(number=number, iana=entry["name"], reference=_reference(entry["reference"]))
        row.aliases += entry.get("aliases", "").split()
        if before and before.iana != row.iana:
            row.aliases.append(before.iana)
        row.kx, row.au, row.enc, row.mac = _words(row.iana)
        row.versions = _versions(row)

    for entry in _table(data / "other" / "outside-iana.tsv"):
        number = int(entry["value"], 16)
        names = [entry["name"]] if entry["name"] else []
        names += entry["aliases"].split()
        if number in rows:
            row = rows[number]
            row.versions = tuple(entry["versions"].split(",")) + row.versions
            row.reference += f"; {names[0]} in {entry['reference']}"
        else:
            row = rows[number] = Row(number=number, openssl=entry["openssl"], reference=entry["reference"])
            row.kx, row.au, row.enc, row.mac = entry["kx"], entry["au"], entry["enc"], entry["mac"]
            row.versions = tuple(v for v in entry["versions"].split(",") if v)
        row.aliases += names

    for entry in _table(data / "openssl" / "other-names.tsv"):
        row = rows[int(entry["value"], 16)]
        row.openssl = entry["name"]
        row.aliases += entry["aliases"].split()

    order: dict[int, None] = {}
    for catalogue in CATALOGUES:
        for entry in _table(data / "openssl" / catalogue):
            number = int(entry["id"], 16)
            row = rows[number]
            words = (entry["kx"], entry["au"], entry["enc"], entry["mac"])
            if words != (row.kx, row.au, row.enc, row.mac):
                raise ValueError(f"{catalogue}: {entry['name']} is {words}, but its name says {row}")
            if number not in order and row.openssl:
                row.aliases.append(row.openssl)
            if number in order:
                row.aliases.append(entry["name"])
            else:
                row.openssl = entry["name"]
            order[number] = None
    # Each catalogue ends with its NULL ciphers (COMPLEMENTOFALL): they come after what any catalogue encrypts.
    ranked = sorted(order, key=lambda number: rows[number].enc == "None")
    ranked += [number for number in sorted(rows) if number not in order]

    lines = ["# Made by tools/make_suites.py from data/; not to be edited.", "\t".join(COLUMNS)]
    lines += [rows[number].line() for number in ranked]
    return "\n".join(lines) + "\n"


def is_current() -> bool:
    """Whether the file in the package is what the data makes."""
    return TARGET.is_file() and TARGET.read_text(encoding="utf-8") == generate()


def main(arguments: list[str]) -> int:
    if arguments == ["--check"]:
        if is_current():
            return 0
        print(f"{TARGET.relative_to(ROOT)} is stale: run python tools/make_suites.py", file=sys.stderr)
        return 1
    if arguments:
        print("usage: make_suites.py [--check]", file=sys.stderr)
        return 2
    TARGET.write_text(generate(), encoding="utf-8")
    return 0


def _versions(row: Row) -> tuple[str, ...]:
    """The versions in which the standard behind a registered suite allows it.

    Only what the definition of a suite says counts: that RC4 (RFC 7465), SSL 3.0 (RFC 7568) or TLS 1.0
    (RFC 8996) as a whole were forbidden later is for verdicts to say.
    """
    if row.number in SIGNALLING:
        return ()
    # TLS 1.3 suites name no key exchange (RFC 8446 §B.4), those of RFC 8998, 9150 and 9367 included. Only these
    # can be negotiated in TLS 1.3, and they only there.
    if row.kx == "any":
        return ("TLSv1.3",)
    # AEAD needs TLS 1.2 (RFC 5246 §6.2.3.3; RFC 5288 §4, 6655 §3, 7905 §3: not in earlier versions).
    # GOST of RFC 9189 is a profile of TLS 1.2.
    if row.mac == "AEAD" or row.kx.startswith("GOST"):
        return ("TLSv1.2",)
    if row.mac in ("SHA256", "SHA384"):
        # RFC 5487 §3 and 5489 §3 (and 6367, which follows them) say what PRF the CBC and NULL suites of PSK take below
        # TLS 1.2, as OpenSSL implements. For all others SHA-256 and SHA-384 came with the PRF of TLS 1.2
        # (RFC 5246 §1.2, §A.5; RFC 5289 §3, 5932, 6209).
        return _TLS10_TO_TLS12 if "PSK" in row.kx and "ARIA" not in row.enc else ("TLSv1.2",)
    if row.kx == "KRB5":
        # RFC 2712 extends TLS 1.0; RFC 4346 §A.5 forbids its export suites in TLS 1.1.
        if "_EXPORT_" in row.iana:
            return ("TLSv1",)
        # RFC 5246 §1.2 removes DES and IDEA from TLS 1.2.
        return ("TLSv1", "TLSv1.1") if row.enc in ("DES(56)", "IDEA(128)") else _TLS10_TO_TLS12
    # RFC 4346 §A.5: implementations MUST NOT negotiate the export suites in TLS 1.1 mode.
    if "_EXPORT_" in row.iana:
        return ("SSLv3", "TLSv1")
    # RFC 5469 §1: single DES and IDEA were removed from TLS 1.2.
    if row.enc in ("DES(56)", "IDEA(128)"):
        return ("SSLv3", "TLSv1", "TLSv1.1")
    # What extended TLS, not SSL 3.0: AES (RFC 3268), Camellia (4132, 5932), SEED (4162), PSK (4279, 4785, 5489),
    # SRP (5054), ECC (4492 §1, 8422). SSL 3.0 servers that take AES all the same go beyond any standard.
    extends_tls = (
        row.enc.startswith(("AES", "Camellia", "SEED")) or "PSK" in row.kx or row.kx.startswith(("SRP", "ECDH"))
    )
    return _TLS10_TO_TLS12 if extends_tls else _SSL3_TO_TLS12


_KEY_EXCHANGES = {
    "RSA": ("RSA", "RSA"),
    "RSA_EXPORT": ("RSA(512)", "RSA"),
    "DH_DSS": ("DH/DSS", "DH"),
    "DH_DSS_EXPORT": ("DH/DSS", "DH"),
    "DH_RSA": ("DH/RSA", "DH"),
    "DH_RSA_EXPORT": ("DH/RSA", "DH"),
    "DHE_DSS": ("DH", "DSS"),
    "DHE_DSS_EXPORT": ("DH(512)", "DSS"),
    "DHE_RSA": ("DH", "RSA"),
    "DHE_RSA_EXPORT": ("DH(512)", "RSA"),
    "DH_anon": ("DH", "None"),
    "DH_anon_EXPORT": ("DH(512)", "None"),
    "KRB5": ("KRB5", "KRB5"),
    "KRB5_EXPORT": ("KRB5", "KRB5"),
    "PSK": ("PSK", "PSK"),
    "DHE_PSK": ("DHEPSK", "PSK"),
    "PSK_DHE": ("DHEPSK", "PSK"),
    "RSA_PSK": ("RSAPSK", "RSA"),
    "ECDHE_PSK": ("ECDHEPSK", "PSK"),
    "ECDH_ECDSA": ("ECDH/ECDSA", "ECDH"),
    "ECDH_RSA": ("ECDH/RSA", "ECDH"),
    "ECDHE_ECDSA": ("ECDH", "ECDSA"),
    "ECDHE_RSA": ("ECDH", "RSA"),
    "ECDH_anon": ("ECDH", "None"),
    "SRP_SHA": ("SRP", "SRP"),
    "SRP_SHA_RSA": ("SRP", "RSA"),
    "SRP_SHA_DSS": ("SRP", "DSS"),
    "ECCPWD": ("ECCPWD", "ECCPWD"),
}
"""IANA's words for key exchange and authentication in OpenSSL's words; ECCPWD (RFC 8492) is ours, in their manner."""

_CIPHERS = {
    "NULL": "None",
    "RC4_40": "RC4(40)",
    "RC4_128": "RC4(128)",
    "RC2_CBC_40": "RC2(40)",
    "IDEA_CBC": "IDEA(128)",
    "DES40_CBC": "DES(40)",
    "DES_CBC_40": "DES(40)",
    "DES_CBC": "DES(56)",
    "3DES_EDE_CBC": "3DES(168)",
    "SEED_CBC": "SEED(128)",
    "CHACHA20_POLY1305": "CHACHA20/POLY1305(256)",
    "SM4_GCM": "SM4GCM(128)",
    "SM4_CCM": "SM4CCM(128)",
    "AEGIS_128L": "AEGIS128L(128)",
    "AEGIS_256": "AEGIS256(256)",
}
_BLOCK_CIPHER = re.compile(r"(AES|CAMELLIA|ARIA)_(128|256)_(CBC|GCM|CCM_8|CCM)\Z")
_HASH = re.compile(r"_(SHA512|SHA384|SHA256|SHA|MD5|SM3)\Z")

_NAMED = {
    "TLS_NULL_WITH_NULL_NULL": ("None", "None", "None", "None"),
    "TLS_EMPTY_RENEGOTIATION_INFO_SCSV": ("None", "None", "None", "None"),
    "TLS_FALLBACK_SCSV": ("None", "None", "None", "None"),
    "TLS_SHA256_SHA256": ("any", "any", "None", "SHA256"),
    "TLS_SHA384_SHA384": ("any", "any", "None", "SHA384"),
    # Key exchange by GOST R 34.10-2012 ("GOST18" is OpenSSL's for that of 0xC100 and 0xC101), RFC 9189 §4.
    "TLS_GOSTR341112_256_WITH_KUZNYECHIK_CTR_OMAC": ("GOST18", "GOST12", "KUZNYECHIK(256)", "KUZNYECHIKOMAC"),
    "TLS_GOSTR341112_256_WITH_MAGMA_CTR_OMAC": ("GOST18", "GOST12", "MAGMA(256)", "MAGMAOMAC"),
    "TLS_GOSTR341112_256_WITH_28147_CNT_IMIT": ("GOST", "GOST12", "GOST89(256)", "GOST89"),
    # TLS 1.3 suites, whatever their names say (RFC 9367 §4.1).
    "TLS_GOSTR341112_256_WITH_KUZNYECHIK_MGM_L": ("any", "any", "KUZNYECHIKMGM(256)", "AEAD"),
    "TLS_GOSTR341112_256_WITH_MAGMA_MGM_L": ("any", "any", "MAGMAMGM(256)", "AEAD"),
    "TLS_GOSTR341112_256_WITH_KUZNYECHIK_MGM_S": ("any", "any", "KUZNYECHIKMGM(256)", "AEAD"),
    "TLS_GOSTR341112_256_WITH_MAGMA_MGM_S": ("any", "any", "MAGMAMGM(256)", "AEAD"),
}
"""Names that do not follow the pattern."""


def _words(name: str) -> tuple[str, str, str, str]:
    """Key exchange, authentication, encryption and MAC of an IANA name, as `openssl ciphers -v` would put them."""
    if name in _NAMED:
        return _NAMED[name]
    exchange, separator, rest = name.removeprefix("TLS_").partition("_WITH_")
    if not separator:  # RFC 8446 §B.4: TLS_AEAD_HASH
        exchange, rest = "", exchange
    digest = _HASH.search(rest)
    cipher = rest[: digest.start()] if digest else rest
    if block := _BLOCK_CIPHER.match(cipher):
        algorithm = {"CAMELLIA": "Camellia"}.get(block[1], block[1])
        mode = {"CBC": "", "CCM_8": "CCM8"}.get(block[3], block[3])
        enc, aead = f"{algorithm}{mode}({block[2]})", mode != ""
    elif cipher in _CIPHERS:
        enc, aead = _CIPHERS[cipher], cipher.startswith(("CHACHA20", "SM4", "AEGIS"))
    else:
        raise ValueError(f"{name}: no rule knows the cipher {cipher!r}")
    if exchange and exchange not in _KEY_EXCHANGES:
        raise ValueError(f"{name}: no rule knows the key exchange {exchange!r}")
    kx, au = _KEY_EXCHANGES[exchange] if exchange else ("any", "any")
    if not digest and not aead:
        raise ValueError(f"{name}: no rule knows its MAC")
    mac = "AEAD" if aead or digest is None else {"SHA": "SHA1"}.get(digest[1], digest[1])
    return kx, au, enc, mac


def _reference(text: str) -> str:
    """IANA's ``[RFC5246][RFC6347]`` as ``RFC 5246, RFC 6347``."""
    return re.sub(r"\bRFC(?=\d)", "RFC ", text.removeprefix("[").removesuffix("]").replace("][", ", "))


def _table(path: Path) -> Iterator[dict[str, str]]:
    """The rows of a tab-separated file whose first line that is no comment names the columns."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    columns = lines[0].split("\t")
    for line in lines[1:]:
        yield dict(zip(columns, line.split("\t"), strict=True))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
