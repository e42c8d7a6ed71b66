"""Proof that a candidate is the volume key. What is not proven is not reported: a plausible key is no key.

Either a digest of the header proves it, or the mapping itself: what its device holds must decrypt to what it shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from luksafe.crypto.kdf_limits import KdfLimits
from luksafe.crypto.sectors import sector_cipher
from luksafe.errors import LuksafeError
from luksafe.luks.model import Digest
from luksafe.luks.unlock import verify_volume_key
from luksafe.memory.candidates import Candidate
from luksafe.secret import SecretBytes

Proof = Callable[[SecretBytes], bool]
"""Says whether a key is the volume key."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Whole encryption sectors as the device holds them, and the same as the mapping shows them.

    ``iv_sector_512`` is the IV number of the first: its place in the mapping, in 512-byte sectors, plus the mapping's
    IV offset. Read both past the page cache (``O_DIRECT``): it does not see what dm-crypt writes.
    """

    iv_sector_512: int
    ciphertext: bytes
    plaintext: bytes


def verify_by_digest(key: SecretBytes, digest: Digest, limits: KdfLimits | None = None) -> bool:
    """Whether the header's digest was made from this key. Raises ``Unsupported`` for a digest of unknown type."""
    return verify_volume_key(digest, key, limits)


def verify_by_data(
    key: SecretBytes,
    samples: Iterable[Sample],
    encryption: str,
    *,
    sector_size: int = 512,
    iv_large_sectors: bool = False,
) -> bool:
    """Whether any whole sector decrypts to what the mapping shows.

    One is proof: no other key gives 512 right bytes. All need not agree, for the volume may be written to meanwhile.
    Without a sample there is no proof. Raises ``Unsupported``, ``DamagedInput`` as ``sector_cipher`` does.
    """
    cipher = sector_cipher(encryption, key, sector_size=sector_size, iv_large_sectors=iv_large_sectors)
    for sample in samples:
        whole = min(len(sample.ciphertext), len(sample.plaintext)) // sector_size * sector_size
        for at in range(0, whole, sector_size):
            clear = cipher.decrypt(sample.ciphertext[at : at + sector_size], sample.iv_sector_512 + at // 512)
            if clear == sample.plaintext[at : at + sector_size]:
                return True
    return False


def data_proof(
    samples: Sequence[Sample], encryption: str, *, sector_size: int = 512, iv_large_sectors: bool = False
) -> Proof:
    """A proof by ``verify_by_data``. Raises ``LuksafeError`` where the samples are too little to prove anything."""
    if not any(min(len(s.ciphertext), len(s.plaintext)) >= sector_size for s in samples):
        raise LuksafeError(
            "there is nothing to prove a key with: no sector could be read from both the mapping and its device",
            code="unverified",
        )
    return lambda key: verify_by_data(
        key, samples, encryption, sector_size=sector_size, iv_large_sectors=iv_large_sectors
    )


def digest_proof(digests: Sequence[Digest], limits: KdfLimits | None = None) -> Proof:
    """A proof by any of the digests. Raises ``LuksafeError`` when there is none."""
    if not digests:
        raise LuksafeError("there is nothing to prove a key with: the header has no digest", code="unverified")
    return lambda key: any(verify_by_digest(key, digest, limits) for digest in digests)


def first_proven(
    candidates: Iterable[Candidate], proof: Proof, tried: Callable[[int], None] | None = None
) -> Candidate | None:
    """The first candidate that is proven, or None; the others are wiped. ``tried`` is told how many were tried."""
    for number, candidate in enumerate(candidates, 1):
        if proof(candidate.key):
            return candidate
        candidate.key.wipe()
        if tried:
            tried(number)
    return None
