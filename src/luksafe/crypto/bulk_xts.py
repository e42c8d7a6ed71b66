"""XTS decryption of large runs of sectors with numpy, at a third of the speed of the bare AES instructions.

XTS masks block j of a sector with the tweak T*x^j in GF(2^128). Libraries step from block to block and are called
once per sector, which in Python costs more than the cipher itself. Here all blocks of a batch go through the cipher
in one call, and all tweaks are made by a few operations on whole arrays:

1. one call encrypts the IVs of the batch: a tweak for each sector, and with x^32 one for each 512 bytes of it;
2. of those every eighth tweak, T, T*x^8, T*x^16, T*x^24: a shift by whole bytes is a copy from an odd address;
3. of each of those eight copies, shifted left by 0 to 7 bits.

Multiplying by x^k is a left shift by k bits; the k bits that fall out of the top come back times 0x87. Tweaks lie in
memory as IEEE 1619 orders their bytes: two little-endian 64-bit words, the low one first.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from luksafe.crypto.block_cipher import BlockCipher
from luksafe.crypto.xts import times_x_power

Words = NDArray[np.uint64]
Bytes = NDArray[np.uint8]

BATCH_BYTES = 512 << 10
"""Large enough that the cost of calling numpy vanishes, small enough to stay in the processor's caches."""

_UNIT_BYTES = 512
_GROUPS = 4
"""In each unit, of _PHASES blocks each."""
_PHASES = 8
_BLOCK = np.complex128
"""A type of 16 bytes, because numpy copies it quickly; never calculated with."""


def _times_0x87(value: Any) -> Any:
    """The carry-less product with x^7 + x^2 + x + 1, which x^128 equals in the field."""
    return value ^ value << 1 ^ value << 2 ^ value << 7


# What becomes of the top byte of a word when it is shifted out by 0 to 7 bits: from the high word it comes back into
# the lowest 15 bits of the low word, from the low word into the lowest 7 bits of the high word. A row: eight phases.
_FROM_HIGH = np.array([[_times_0x87(top >> 8 - i) for i in range(8)] for top in range(256)], np.uint16).view(_BLOCK)
_FROM_LOW = np.array([[top >> 8 - i for i in range(8)] for top in range(256)], np.uint8).view(np.uint64)


class BulkXts:
    """Decrypts batches of at most ``batch_sectors`` sectors. Owns 2 MiB of buffers, made once."""

    def __init__(self, data_cipher: BlockCipher, tweak_cipher: BlockCipher, sector_size: int) -> None:
        self.batch_sectors = BATCH_BYTES // sector_size
        self._data_cipher, self._tweak_cipher = data_cipher, tweak_cipher
        self._units_per_sector = sector_size // _UNIT_BYTES
        units = BATCH_BYTES // _UNIT_BYTES
        self._padded = np.zeros((units + 1) * 32, np.uint8)
        # Read from m bytes before, a tweak is shifted left by 8m bits; behind it stand the bytes that fell out.
        self._shifted = as_strided(self._padded[16:32].view(_BLOCK), (units, _GROUPS), (32, -1))
        self._fallen = as_strided(self._padded[32:36].view(np.uint32), (units, _GROUPS), (32, -1))
        self._bases = np.empty((units, _GROUPS, 2), np.uint64)
        self._tweaks = np.empty((units * _GROUPS, _PHASES, 2), np.uint64)
        self._shifts = np.tile(np.repeat(np.arange(_PHASES, dtype=np.uint64), 2), units * _GROUPS)
        self._masked = np.empty(BATCH_BYTES, np.uint8)

    def decrypt(self, source: Bytes, target: Bytes, ivs: Bytes) -> None:
        """Decrypt as many sectors as there are IVs of 16 bytes; ``target`` is as long as ``source``."""
        tweaks = self._all_tweaks(self._group_tweaks(self._unit_tweaks(ivs)))
        masked, words = self._masked[: len(source)], target.view(np.uint64)
        np.bitwise_xor(source.view(np.uint64), tweaks, out=masked.view(np.uint64))
        self._data_cipher.decrypt_into(masked.data, target.data)
        words ^= tweaks

    def _unit_tweaks(self, ivs: Bytes) -> int:
        """Leave the first tweak of every unit in ``_padded``, zeros before and after it; gives their number."""
        sectors, per_sector = len(ivs) // 16, self._units_per_sector
        firsts = self._tweak_cipher.encrypt(ivs.data)
        places = self._padded.view(_BLOCK)[1 : 1 + 2 * sectors * per_sector : 2].reshape(sectors, per_sector)
        places[:, 0] = np.frombuffer(firsts, _BLOCK)
        value = int.from_bytes(firsts, "little") if per_sector > 1 else 0
        for unit in range(1, per_sector):
            value = times_x_power(value, 32, sectors)
            places[:, unit] = np.frombuffer(value.to_bytes(len(ivs), "little"), _BLOCK)
        return sectors * per_sector

    def _group_tweaks(self, units: int) -> Words:
        """Every eighth tweak: those of the units, and these shifted by one, two and three bytes."""
        bases = self._bases[:units]
        bases.view(_BLOCK)[:, :, 0] = self._shifted[:units]
        lowest_32_bits = bases.view(np.uint32)[:, :, 0]
        lowest_32_bits ^= _times_0x87(self._fallen[:units].copy())
        return bases.reshape(units * _GROUPS, 2)

    def _all_tweaks(self, bases: Words) -> Words:
        """The tweaks of all blocks, as a flat array of words."""
        tweaks = self._tweaks[: len(bases)]
        tweaks.view(_BLOCK)[:, :, 0] = bases.view(_BLOCK)
        flat = tweaks.reshape(-1)
        flat <<= self._shifts[: len(flat)]
        tops = (bases >> np.uint64(56)).view(np.int64)
        lowest_16_bits = flat.view(np.uint16)[::8]
        lowest_16_bits ^= _FROM_HIGH.take(tops[:, 1], mode="clip").view(np.uint16)
        high_lowest_8_bits = flat.view(np.uint8)[8::16]
        high_lowest_8_bits ^= _FROM_LOW.take(tops[:, 0], mode="clip").view(np.uint8)
        return flat
