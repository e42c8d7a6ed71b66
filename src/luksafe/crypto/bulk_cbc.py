"""CBC decryption of large runs of sectors with numpy: one chain over the whole run, corrected where sectors begin.

Decrypting a block gives D(C[j]) ^ C[j-1]. Inside a sector that is the plaintext. In the first block of a sector
C[j-1] is the last block of the sector before, where the sector's IV belongs: XOR with both puts it right.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from luksafe.crypto.block_cipher import CbcChain

Bytes = NDArray[np.uint8]

BATCH_BYTES = 1 << 20
"""The larger the fewer calls; nothing but the IVs is buffered."""


class BulkCbc:
    """Decrypts batches of at most ``batch_sectors`` sectors."""

    def __init__(self, chain: CbcChain, block_size: int, sector_size: int) -> None:
        self.batch_sectors = BATCH_BYTES // sector_size
        self._chain = chain
        self._block_words, self._sector_words = block_size // 8, sector_size // 8
        self._last = np.zeros(self._block_words, np.uint64)  # the chain begins with an IV of zero

    def decrypt(self, source: Bytes, target: Bytes, ivs: Bytes) -> None:
        """Decrypt as many sectors as there are IVs; ``target`` is as long as ``source`` and elsewhere."""
        self._chain(source.data, target.data)
        ciphertext = source.view(np.uint64).reshape(-1, self._sector_words)
        plaintext = target.view(np.uint64).reshape(-1, self._sector_words)
        iv_words = ivs.view(np.uint64).reshape(-1, self._block_words)
        for word in range(self._block_words):  # one by one: numpy is slow on rows as short as a block
            firsts, lasts = plaintext[:, word], ciphertext[:, word - self._block_words]
            firsts ^= iv_words[:, word]
            firsts[1:] ^= lasts[:-1]
            firsts[0] ^= self._last[word]
            self._last[word] = lasts[-1]
