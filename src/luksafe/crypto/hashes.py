"""Hash functions by the names that LUKS headers use, read as cryptsetup reads them (upper and lower case alike)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Protocol

from luksafe.crypto.block_cipher import Buffer
from luksafe.errors import Unsupported


class HashFunction(Protocol):
    """A running hash. ``digest`` is called once, at the end."""

    @property
    def digest_size(self) -> int:
        """The size in bytes of the digest."""
        ...

    def update(self, data: Buffer, /) -> None:
        """Take in more bytes."""
        ...

    def digest(self) -> bytes:
        """The digest of all that was taken in."""
        ...


HashFactory = Callable[[Buffer], HashFunction]


@dataclass(frozen=True, slots=True)
class _Known:
    """A hash under the names of the libraries: hashlib's (with a digest size where it is a choice) and libgcrypt's."""

    hashlib: str
    gcrypt: str
    digest_size: int = 0


_KNOWN: dict[str, _Known] = {
    "sha1": _Known("sha1", "sha1"),
    "sha224": _Known("sha224", "sha224"),
    "sha256": _Known("sha256", "sha256"),
    "sha384": _Known("sha384", "sha384"),
    "sha512": _Known("sha512", "sha512"),
    "sha512-224": _Known("sha512_224", "sha512_224"),
    "sha512-256": _Known("sha512_256", "sha512_256"),
    "sha3-224": _Known("sha3_224", "sha3-224"),
    "sha3-256": _Known("sha3_256", "sha3-256"),
    "sha3-384": _Known("sha3_384", "sha3-384"),
    "sha3-512": _Known("sha3_512", "sha3-512"),
    "ripemd160": _Known("ripemd160", "ripemd160"),
    "whirlpool": _Known("whirlpool", "whirlpool"),
    "blake2b-512": _Known("blake2b", "blake2b_512", 64),
    "blake2b-384": _Known("blake2b", "blake2b_384", 48),
    "blake2b-256": _Known("blake2b", "blake2b_256", 32),
    "blake2b-160": _Known("blake2b", "blake2b_160", 20),
    "blake2s-256": _Known("blake2s", "blake2s_256", 32),
    "blake2s-224": _Known("blake2s", "blake2s_224", 28),
    "blake2s-160": _Known("blake2s", "blake2s_160", 20),
    "blake2s-128": _Known("blake2s", "blake2s_128", 16),
    "sm3": _Known("sm3", "sm3"),
    "stribog256": _Known("", "stribog256"),
    "stribog512": _Known("", "stribog512"),
    "md5": _Known("md5", "md5"),
    "md4": _Known("md4", "md4"),
}

_ALIASES = {
    "sha-1": "sha1",
    "sha-224": "sha224",
    "sha2-224": "sha224",
    "sha-256": "sha256",
    "sha2-256": "sha256",
    "sha-384": "sha384",
    "sha2-384": "sha384",
    "sha-512": "sha512",
    "sha2-512": "sha512",
    "sha-512/224": "sha512-224",
    "sha2-512/224": "sha512-224",
    "sha-512/256": "sha512-256",
    "sha2-512/256": "sha512-256",
    "ripemd": "ripemd160",
    "ripemd-160": "ripemd160",
    "rmd160": "ripemd160",
    "blake2b512": "blake2b-512",
    "blake2s256": "blake2s-256",
    "streebog256": "stribog256",
    "streebog512": "stribog512",
}


def known_hashes() -> list[str]:
    """The names in the spelling that headers usually carry; whether this machine has each is another matter."""
    return sorted(_KNOWN)


def canonical_name(name: str) -> str:
    """The usual spelling of a name (``SHA-256`` gives ``sha256``); unknown names come back in lower case."""
    lower = name.lower()
    return _ALIASES.get(lower, lower)


def new_hash(name: str) -> HashFactory:
    """What makes such a hash: ``new_hash("sha256")(b"data").digest()``. Raises Unsupported for unknown names, and
    for those that neither OpenSSL nor libgcrypt has here."""
    return _factory(canonical_name(name))


def digest_size(name: str) -> int:
    """The size in bytes of its digest. Raises Unsupported as ``new_hash`` does."""
    return new_hash(name)(b"").digest_size


def gcrypt_number(name: str) -> int:
    """libgcrypt's number of the hash; 0 where there is none, or no libgcrypt."""
    from luksafe.crypto.providers import gcrypt

    canonical = canonical_name(name)
    known = _KNOWN.get(canonical)
    return gcrypt.hash_number(known.gcrypt if known else canonical)


@cache
def _factory(canonical: str) -> HashFactory:
    return _from_hashlib(canonical) or _from_gcrypt(canonical)


def _from_hashlib(canonical: str) -> HashFactory | None:
    known = _KNOWN.get(canonical)
    if known is None or not known.hashlib:
        return None
    if known.digest_size:
        blake2 = hashlib.blake2b if known.hashlib == "blake2b" else hashlib.blake2s
        return partial(blake2, digest_size=known.digest_size)
    factory: HashFactory = getattr(hashlib, known.hashlib, None) or partial(hashlib.new, known.hashlib)
    try:
        factory(b"")
    except ValueError:  # built without it
        return None
    return factory


def _from_gcrypt(canonical: str) -> HashFactory:
    from luksafe.crypto.providers import gcrypt

    number = gcrypt_number(canonical)
    if not number or gcrypt.digest_size(number) < _SHORTEST_DIGEST_BYTES:
        raise _unsupported(canonical)
    return partial(gcrypt.GcryptHash, number)


_SHORTEST_DIGEST_BYTES = 16
"""libgcrypt counts checksums such as CRC32 among the hashes; cryptsetup makes no header with those."""


def _unsupported(canonical: str) -> Unsupported:
    if canonical in _KNOWN:
        return Unsupported(
            f"the hash {canonical} is in neither this machine's OpenSSL nor its libgcrypt",
            hint="Install libgcrypt (Debian and Ubuntu: libgcrypt20; Fedora: libgcrypt) and run the command again.",
        )
    return Unsupported(
        f"no hash function is called {canonical!r}",
        hint="If the header is damaged, compare it with a backup: luksafe diff.",
    )
