"""The anti-forensic splitter: a key spread over stripes, all of which are needed to have it back.

LUKS1 specification 1.2.3, section 2.4; TKS1. Every stripe but the last is random; each is mixed in and diffused.
"""

from __future__ import annotations

from collections.abc import Callable

from luksafe.crypto.hashes import digest_size, new_hash
from luksafe.secret import SecretBytes

RandomBytes = Callable[[int], bytes]


def merge_stripes(material: bytes | bytearray | memoryview, key_size: int, stripes: int, hash_name: str) -> SecretBytes:
    """The key of ``key_size`` bytes that was split into ``stripes``. Raises Unsupported for an unknown hash.

    ``material`` holds at least ``key_size * stripes`` bytes; the rest is ignored.
    """
    view = memoryview(material)
    diffuse = _diffuser(key_size, hash_name)
    # integers make the XOR of a whole stripe one operation
    mixed = 0
    last = (stripes - 1) * key_size
    for start in range(0, last, key_size):
        mixed ^= int.from_bytes(view[start : start + key_size], "little")
        mixed = int.from_bytes(diffuse(mixed.to_bytes(key_size, "little")), "little")
    mixed ^= int.from_bytes(view[last : last + key_size], "little")
    return SecretBytes.take(bytearray(mixed.to_bytes(key_size, "little")))


def split_stripes(key: SecretBytes, stripes: int, hash_name: str, random_bytes: RandomBytes) -> bytearray:
    """Spread ``key`` over ``stripes`` stripes of its own size; ``random_bytes(n)`` gives the random ones."""
    size = len(key)
    diffuse = _diffuser(size, hash_name)
    out = bytearray(random_bytes(size * (stripes - 1)))
    mixed = 0
    for start in range(0, len(out), size):
        mixed ^= int.from_bytes(out[start : start + size], "little")
        mixed = int.from_bytes(diffuse(mixed.to_bytes(size, "little")), "little")
    out += (mixed ^ int.from_bytes(key.view, "little")).to_bytes(size, "little")
    return out


def _diffuser(size: int, hash_name: str) -> Callable[[bytes], bytes]:
    """The function H: each digest-sized piece is replaced by the hash of its number and itself (LUKS1 section 2.4)."""
    step, new = digest_size(hash_name), new_hash(hash_name)
    pieces = [(i.to_bytes(4, "big"), start, min(start + step, size)) for i, start in enumerate(range(0, size, step))]
    if len(pieces) == 1:
        prefix, _, end = pieces[0]
        return lambda block: new(prefix + block).digest()[:end]

    def diffuse(block: bytes) -> bytes:
        return b"".join(new(p + block[a:b]).digest()[: b - a] for p, a, b in pieces)

    return diffuse
