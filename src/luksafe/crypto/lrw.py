"""LRW (Liskov, Rivest, Wagner; IEEE P1619 draft, 2004) over runs of sectors: the IV is the number of the block.

Field elements are big-endian here: the last bit of the block is x^0.
"""

from __future__ import annotations

from luksafe.crypto.lanes import xor
from luksafe.crypto.provider import BlockCipher, Buffer

_BLOCKS = 1 << 128
_POLYNOMIAL = 0x87


class Lrw:
    """Each block masked by its number times the second key in GF(2^128), before and after the cipher."""

    def __init__(self, cipher: BlockCipher, tweak_key: Buffer) -> None:
        self._cipher = cipher
        self._powers = _doublings(int.from_bytes(tweak_key, "big"))
        # Counting up from an even number by 2^k-1 flips the k lowest bits: what that adds to the mask.
        self._steps = [self._times((2 << k) - 1) for k in range(128)]

    def encrypt(self, data: Buffer, ivs: bytes, sector_size: int) -> bytes:
        """The ciphertext of a run."""
        masks = self._masks(ivs, sector_size)
        return xor(self._cipher.encrypt(xor(data, masks)), masks)

    def decrypt(self, data: Buffer, ivs: bytes, sector_size: int) -> bytes:
        """The plaintext of a run."""
        masks = self._masks(ivs, sector_size)
        return xor(self._cipher.decrypt(xor(data, masks)), masks)

    def _masks(self, ivs: bytes, sector_size: int) -> bytes:
        masks = []
        for at in range(0, len(ivs), 16):
            number = int.from_bytes(ivs[at : at + 16], "big")
            mask = self._times(number)
            for _ in range(sector_size // 16):
                masks.append(mask.to_bytes(16, "big"))
                number = (number + 1) % _BLOCKS
                # The bits that counting flipped are the trailing zeros of the new number, and the one above them.
                mask ^= self._steps[(number & -number).bit_length() - 1]
        return b"".join(masks)

    def _times(self, number: int) -> int:
        product = 0
        for k, power in enumerate(self._powers):
            if number >> k & 1:
                product ^= power
        return product


def _doublings(element: int) -> list[int]:
    """element times x^k for k from 0 to 127."""
    powers = [element]
    for _ in range(127):
        doubled = powers[-1] << 1
        powers.append(doubled % _BLOCKS ^ (_POLYNOMIAL if doubled >= _BLOCKS else 0))
    return powers
