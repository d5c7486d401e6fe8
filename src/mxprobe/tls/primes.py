"""The primes of finite-field Diffie-Hellman that standards and programs give out, known by their SHA-256.

A server that uses one of these shares it with many others. Up to 1024 bits that means that a precomputation which a
state can afford breaks them all at once (Logjam, https://weakdh.org).
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

PRIMES: Final = MappingProxyType(
    {
        # RFC 7919 appendix A.
        "9cd3b7f336872f46c09428d1bbc19877a4d440512cda8d1c1cf0cd6e33698966": "ffdhe2048",
        "0eaf67db3a839156d5013494a5318a772b5697d270d721f37f092efc69ea5a17": "ffdhe3072",
        "4648414224ac881b3d0dc59b466f96d06a558278776807797ecf1f66ff397b3e": "ffdhe4096",
        "227ac9066b3ddd9e193670cda2388fa884f65ba0cf98b742d1fe77a6687c79c7": "ffdhe6144",
        "770b14efaf6f049929c523113b3fa99a8d11dab1b18af3609590122075d19833": "ffdhe8192",
        # RFC 2409 §6.1, §6.2; RFC 3526 §2 to §7.
        "b52ba6a3026520a6c49d37e4587601801bee500123b3259b6bf03e7cecc3e63d": "Oakley group 1",
        "3f35a3f5f6c4376a744acad409bb22f8d897f949d2311d885adaa890981b67a0": "Oakley group 2",
        "64fcc83ec403930bf18393dbc883ccaa1fbb08ac876f77f7aa99748ca945019b": "MODP group 5",
        "d66436f79bbd6b2e38c0ffbd079be904d2641415e2e67140e09448be9a60890e": "MODP group 14",
        "48cf8b092fbce4359d9871abf74f98e25b6163379eaa15cd9087e800c6d1c55c": "MODP group 15",
        "4ee95187682bcb230ad26a95205f6920e84708f6251b3894329b09ec23919e33": "MODP group 16",
        "d1bfe6d0925ce7e4da262b62861514a7755e35831e429f343e7b864848657efd": "MODP group 17",
        "39ab4feab950a3128fb71accb9fc3965d857012e081998a85996e3ea8b3c3bcf": "MODP group 18",
        # RFC 5114 §2.
        "44c55cfee5c075927cf682da5b681bdecbd5c3eb0784c14f5dce7610f0ef133d": "RFC 5114 group 22",
        "bfe545862ca102ad1eeddb5fbfa5bf855ac4995c56a8b408ce3fe099dce93a9d": "RFC 5114 group 23",
        "0b7835722cb619827610c2549fdda5587421686c4409a13865e76225522ddcc9": "RFC 5114 group 24",
        # Postfix, src/tls/tls_dh.c: the older one until 3.0, then the other.
        "ef627d8cc44144f36a075d8dd8511bbd278cb5cf438f1052bdbdabe715232c1e": "Postfix, 1024 bits",
        "450349830c07b0225c8fd0b123ca8febdf0c28fde698258de7cab092b9045a94": "Postfix, 2048 bits",
        # Programs as ssl-dh-params.nse of Nmap names them, which lists the primes in full.
        "3cdb020b9ef298b2f3f6cf5a872af527337bf7b9f654b2e70c49da16a4d24137": "mod_ssl 2.0, 512 bits",
        "f79d1db3c955a28fdeca462670a0712efee4b588c7858e4943883f903bd1354b": "mod_ssl 2.0, 1024 bits",
        "db01e702899166da28c9bc7896af62bcdf0c96d0fb341950ba80e68bd51a57ef": "mod_ssl 2.2, 512 bits",
        "bf910d9df4e0b2e76cda7443f592aa118e33ba2c224ebc27fb8978d873c8c2e3": "mod_ssl 2.2, 1024 bits",
        "8ae47dca3d24e9b64640062686da234dcabada26b0da6f090c5449c1338d9a11": "nginx, 1024 bits",
        "f26e2403f3f07946654404909f0ff81d9354de17250411b4c04b89af73178425": "OpenSSL, 512 bits",
        "66d0bf38b0bdfacf2fdae33f35102ab6079fd5ff0feff8e436a4063745c72739": "OpenSSL, 1024 bits",
        "3166ce19180005327a6059a2e7a4ed22775ad2f0eadaee59a7481ab391fe592f": "OpenSSL, 2048 bits",
        "9e348a9471b7d123aa97071e38288379fc12a9992e8e75db2113c1ded5463ac3": "OpenSSL, 2048 bits (2)",
        "ce7728db3aed1119a82b9f17b17df9f8e370ddd7639946df09a119f924aa42e8": "OpenSSL, 4096 bits",
        "7b6551ea6ff09bd78c24bede10980a155f70b6c81e48b4dd8bec822ab3bf0e94": "HAProxy 1.5, 2048 bits",
        "bfa876fe4671a9c696c8e256c13d7fadaa05c8991660e0924604ff7b239c6d1a": "IronPort, 1024 bits",
        # Java, sun.security.provider.ParameterCache.
        "73b391ec8da33ee197aed17d7cfce1321b94e04c5b55b3c02c1c7198eb88715b": "Java, 512 bits",
        "ee5483fe4b96caa10cb5b863ec409aab2762e6bf43af4a8a0a42817fef4dd7f3": "Java, 768 bits",
        "cc21a33dd1a3edf40bf636b5496e4aede198a437a8548e0cc1a621424e42419b": "Java, 1024 bits",
        # Often seen, of unknown origin: https://weakdh.org, in Nmap's list too.
        "74a5cce5b6a93eb755e2f48250dc7cb3ea529484af916e1368034b6f70eb25fc": "weakdh.org, not a safe prime",
        "196085cb4281d1ff18efaad097bc1ec0af2581444026a6a3018b1479f6d89cdb": "weakdh.org 1",
        "80571b97f71f89727ab0c40bb73b4f01a420469abd814b7b35090c8d6dff62b0": "weakdh.org 2",
        "5f856a00120eee6d6b87ef8f596aefbbd284f8a611c8329a713d37cdec2a27b0": "weakdh.org 3",
        "deb671287187265a5383df13708d3a757735f4af22dd171265385822f5aca5b9": "weakdh.org 4",
        "bc19c041491e550f381d09415a82e1b359410e8e243744cc545a342455f5fcd8": "weakdh.org 5",
        "ac0ff7a415f003c6503d4c126f2929769e6f3f89c29efa450764212fa13e2069": "weakdh.org 6",
        "2b07d24b932aa7a015c45a3f06e75ba71cb8cff8d33980acebf628afff1c101e": "weakdh.org 7",
        "8523c72057043833089915168751620b02dd60206beaa3ddb65df468acc9584e": "weakdh.org 8",
        "52d4faa53003b8349dac3e984a6423bc1ab6ab927f1855d94757185f71b5d97d": "weakdh.org 9",
    }
)
"""What each prime is called, by the SHA-256 of its bytes (big-endian, without leading zeros) in hexadecimal."""

_FFDHE: Final = MappingProxyType(
    {"ffdhe2048": 256, "ffdhe3072": 257, "ffdhe4096": 258, "ffdhe6144": 259, "ffdhe8192": 260}
)


def prime_name(sha256: str) -> str | None:
    """What a prime is called; None for one that is not known, as any server can make."""
    return PRIMES.get(sha256)


def ffdhe_group(sha256: str | None) -> int | None:
    """The code point of the named group that a prime belongs to (RFC 7919 §2); None for all other primes."""
    return _FFDHE.get(PRIMES.get(sha256 or "", ""))
