"""A canary: known plaintext encrypted with a volume's parameters, so that wrong ones are noticed before a write.

The plaintext is one encryption sector of ``TEXT``, over and over, at IV number ``IV_NUMBER`` plus the segment's tweak.
The number is above 2^32, so that ``plain`` and ``plain64`` differ. Kept is the SHA-256 of the ciphertext
(spec/escrow-packet.md section 5).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations, product
from typing import Self

from luksafe.crypto.sectors import sector_cipher
from luksafe.errors import DamagedInput, LuksafeError, Unsupported
from luksafe.escrow.json_members import Json, Members
from luksafe.escrow.parameters import VolumeParameters
from luksafe.secret import SecretBytes

TEXT = b"luksafe canary, "
IV_NUMBER = (1 << 33) + 0x1000
SECTOR_SIZES = (512, 1024, 2048, 4096)
IV_MODES = ("plain", "plain64", "plain64be", "essiv:sha256", "essiv:sha1", "essiv:sha512", "benbi", "null")


@dataclass(frozen=True, slots=True)
class CipherParameters:
    """All that decides what a sector's ciphertext is, besides the key. ``iv_tweak`` counts 512-byte sectors."""

    encryption: str
    sector_size: int = 512
    iv_tweak: int = 0

    @classmethod
    def of(cls, volume: VolumeParameters) -> Self:
        """Those of a volume; raises Unsupported where its sectors are not ciphertext alone (integrity, no cipher)."""
        if not volume.cipher or "integrity" in volume.segment:
            raise Unsupported("a volume that is not encrypted, or with integrity tags, has no canary")
        return cls(volume.cipher, volume.sector_size, volume.iv_tweak)


@dataclass(frozen=True, slots=True)
class Canary:
    """The IV number (in 512-byte sectors, before the tweak) and the SHA-256 of the encrypted sector, in hexadecimal."""

    iv_number: int
    ciphertext_sha256: str

    def to_json(self) -> Json:
        """The member ``canary``."""
        return {"iv_number": self.iv_number, "ciphertext_sha256": self.ciphertext_sha256}

    @classmethod
    def from_json(cls, document: Json) -> Self:
        """Read what ``to_json`` wrote; raises DamagedInput."""
        members = Members(document, "the canary")
        iv_number = members.integer("iv_number", most=2**48)
        if iv_number % (max(SECTOR_SIZES) // 512):
            raise DamagedInput("the canary stands at no sector")
        return cls(iv_number, members.hexadecimal("ciphertext_sha256").hex())


@dataclass(frozen=True, slots=True)
class CanaryVerdict:
    """Whether the parameters fit. If not: the nearest ones that do (None: most likely the key is another)."""

    fits: bool
    misfits: tuple[str, ...] = ()
    right: CipherParameters | None = None


def make_canary(parameters: CipherParameters, key: SecretBytes) -> Canary:
    """The canary of a volume. Raises Unsupported where its cipher cannot be had, DamagedInput: the key does not fit."""
    return Canary(IV_NUMBER, _fingerprint(parameters, key, IV_NUMBER))


def check_canary(canary: Canary, parameters: CipherParameters, key: SecretBytes) -> CanaryVerdict:
    """Whether these parameters and this key made the canary; else which parameters, changed, would fit.

    Raises Unsupported where the cipher cannot be had, DamagedInput where the key does not fit it.
    """
    if _fits(canary, parameters, key):
        return CanaryVerdict(fits=True)
    for names, candidate in _neighbours(parameters):
        try:
            if _fits(canary, candidate, key):
                return CanaryVerdict(fits=False, misfits=names, right=candidate)
        except LuksafeError:  # a neighbour may be a cipher that cannot be
            continue
    return CanaryVerdict(fits=False)


def _fits(canary: Canary, parameters: CipherParameters, key: SecretBytes) -> bool:
    return hmac.compare_digest(_fingerprint(parameters, key, canary.iv_number), canary.ciphertext_sha256)


def _fingerprint(parameters: CipherParameters, key: SecretBytes, iv_number: int) -> str:
    cipher = sector_cipher(parameters.encryption, key, sector_size=parameters.sector_size)
    plaintext = TEXT * (parameters.sector_size // len(TEXT))
    return hashlib.sha256(cipher.encrypt(plaintext, iv_number + parameters.iv_tweak)).hexdigest()


def _neighbours(parameters: CipherParameters) -> Iterator[tuple[tuple[str, ...], CipherParameters]]:
    """Parameters that differ in one thing, then in two, then in three."""
    cipher, _, iv_mode = parameters.encryption.rpartition("-")
    others: dict[str, tuple[object, ...]] = {
        "sector_size": tuple(size for size in SECTOR_SIZES if size != parameters.sector_size),
        "iv_tweak": (0,) if parameters.iv_tweak else (),
        "encryption": tuple(f"{cipher}-{mode}" for mode in IV_MODES if cipher and mode != iv_mode),
    }
    for count in range(1, len(others) + 1):
        for names in combinations(others, count):
            for values in product(*(others[name] for name in names)):
                yield names, replace(parameters, **dict(zip(names, values, strict=True)))  # type: ignore[arg-type]
