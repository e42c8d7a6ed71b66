"""The bulk path of a sector cipher: batches of sectors and their IVs as numpy arrays."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from luksafe.crypto.block_cipher import Buffer
from luksafe.crypto.iv import IvGenerator, IvLayout

Bytes = NDArray[np.uint8]


class BatchDecryptor(Protocol):
    """A chaining mode that decrypts many sectors at once."""

    @property
    def batch_sectors(self) -> int:
        """The most sectors that one call takes."""
        ...

    def decrypt(self, source: Bytes, target: Bytes, ivs: Bytes) -> None:
        """Decrypt as many sectors as there are IVs."""
        ...


def decrypt_in_batches(
    mode: BatchDecryptor, ivs: IvGenerator, sector_size: int, source: Buffer, target: memoryview, first_sector_512: int
) -> None:
    """Decrypt whole sectors from ``source`` into ``target``."""
    ciphertext, plaintext = np.frombuffer(source, np.uint8), np.frombuffer(target, np.uint8)
    step = mode.batch_sectors * sector_size
    for at in range(0, len(ciphertext), step):
        batch = ciphertext[at : at + step]
        batch_ivs = iv_array(ivs, first_sector_512 + at // 512, len(batch) // sector_size, sector_size // 512)
        mode.decrypt(batch, plaintext[at : at + step], batch_ivs)


def iv_array(generator: IvGenerator, first_sector: int, count: int, step: int) -> Bytes:
    """The IVs of ``count`` sectors, as ``generator.ivs`` would give them."""
    ivs = _layout_array(generator.layout, first_sector, count, step)
    return np.frombuffer(generator.cipher.encrypt(ivs.data), np.uint8) if generator.cipher else ivs


def _layout_array(layout: IvLayout, first_sector: int, count: int, step: int) -> Bytes:
    numbers = np.arange(0, count * step, step, dtype=np.uint64)
    numbers += np.uint64(first_sector % 2**64)
    if layout.shift_right:
        numbers >>= np.uint64(layout.shift_right)
    if layout.shift_left or layout.plus:
        numbers <<= np.uint64(layout.shift_left)
        numbers += np.uint64(layout.plus)
    if layout.bits < 64:
        numbers &= np.uint64(2**layout.bits - 1)
    words = np.zeros((count, layout.size // 8), np.uint64)
    words[:, -1 if layout.big_endian else 0] = numbers.byteswap() if layout.big_endian else numbers
    return words.view(np.uint8).reshape(-1)
