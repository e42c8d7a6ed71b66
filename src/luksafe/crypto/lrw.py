"""LRW (Liskov, Rivest, Wagner; IEEE P1619 draft of 2004) over runs of sectors: the IV is the number of a block.

Field elements are big-endian here: the last bit of a block is x^0.
"""

from __future__ import annotations

from luksafe.crypto.block_cipher import BlockCipher, Buffer
from luksafe.crypto.lanes import xor

_BLOCKS = 1 << 128
_POLYNOMIAL = 0x87
_GROUP = 32
"""Blocks whose numbers differ in the lowest five bits only."""


class Lrw:
    """Each block masked by its number times the second key in GF(2^128), before and after the cipher."""

    def __init__(self, cipher: BlockCipher, tweak_key: Buffer) -> None:
        self._cipher = cipher
        doublings = _doublings(int.from_bytes(tweak_key, "big"))
        # The product is linear: one table for each byte of a number, and the masks of a group differ as always.
        self._tables = [_combinations(doublings[at : at + 8]) for at in range(0, 128, 8)]
        self._within_group = b"".join([mask.to_bytes(16, "big") for mask in self._tables[0][:_GROUP]])

    def encrypt(self, data: Buffer, ivs: bytes, sector_size: int) -> bytes:
        """The ciphertext of a run."""
        masks = self._masks(ivs, sector_size)
        return xor(self._cipher.encrypt(xor(data, masks)), masks)

    def decrypt(self, data: Buffer, ivs: bytes, sector_size: int) -> bytes:
        """The plaintext of a run."""
        masks = self._masks(ivs, sector_size)
        return xor(self._cipher.decrypt(xor(data, masks)), masks)

    def _masks(self, ivs: bytes, sector_size: int) -> bytes:
        """The masks of all blocks: whole groups for each sector, of which its blocks are cut out."""
        blocks = sector_size // 16
        masks = []
        for at in range(0, len(ivs), 16):
            number = int.from_bytes(ivs[at : at + 16], "big")
            begin = number % _GROUP
            bases = range(number - begin, number + blocks, _GROUP)
            groups = b"".join([self._times(base % _BLOCKS).to_bytes(16, "big") * _GROUP for base in bases])
            masks.append(xor(groups, self._within_group * len(bases))[16 * begin : 16 * (begin + blocks)])
        return b"".join(masks)

    def _times(self, number: int) -> int:
        """The product with the second key."""
        product = 0
        for byte, table in zip(number.to_bytes(16, "little"), self._tables):
            product ^= table[byte]
        return product


def _doublings(element: int) -> list[int]:
    """element times x^k for k from 0 to 127."""
    powers = [element]
    for _ in range(127):
        doubled = powers[-1] << 1
        powers.append(doubled % _BLOCKS ^ (_POLYNOMIAL if doubled >= _BLOCKS else 0))
    return powers


def _combinations(elements: list[int]) -> list[int]:
    """The XOR of those elements whose bits are set, for each index."""
    sums = [0]
    for element in elements:
        sums += [element ^ known for known in sums]
    return sums
