"""XTS (IEEE 1619) over runs of sectors for any cipher with 16-byte blocks."""

from __future__ import annotations

from luksafe.crypto.block_cipher import BlockCipher, Buffer
from luksafe.crypto.lanes import repeated

BLOCK_BITS = 128


class Xts:
    """Encrypts with ``data_cipher``; each block masked by a tweak: the encrypted IV times x^j in GF(2^128)."""

    def __init__(self, data_cipher: BlockCipher, tweak_cipher: BlockCipher) -> None:
        self._data_cipher = data_cipher
        self._tweak_cipher = tweak_cipher

    def encrypt(self, data: Buffer, ivs: bytes, sector_size: int) -> bytes:
        """The ciphertext of a run."""
        tweaks = self._tweaks(ivs, sector_size)
        inner = self._data_cipher.encrypt(_to_bytes(_to_int(data) ^ tweaks, len(data)))
        return _to_bytes(_to_int(inner) ^ tweaks, len(data))

    def decrypt(self, data: Buffer, ivs: bytes, sector_size: int) -> bytes:
        """The plaintext of a run."""
        tweaks = self._tweaks(ivs, sector_size)
        inner = self._data_cipher.decrypt(_to_bytes(_to_int(data) ^ tweaks, len(data)))
        return _to_bytes(_to_int(inner) ^ tweaks, len(data))

    def _tweaks(self, ivs: bytes, sector_size: int) -> int:
        """All tweaks of the run. Those of a sector grow by doubling: n known ones times x^n are the next n."""
        sectors, gap = len(ivs) // 16, bytes(sector_size - 16)
        firsts = self._tweak_cipher.encrypt(ivs)
        tweaks = _to_int(b"".join([firsts[at : at + 16] + gap for at in range(0, len(firsts), 16)]))
        known = 1
        while known < sector_size // 16:
            following = tweaks
            for power in [min(known, 64)] * max(1, known // 64):
                following = times_x_power(following, power, sectors * sector_size // 16)
            tweaks |= following << (known * BLOCK_BITS)
            known *= 2
        return tweaks


def times_x_power(value: int, power: int, blocks: int) -> int:
    """Each 128-bit block of ``value`` times x^power modulo x^128 + x^7 + x^2 + x + 1; power at most 120."""
    low = repeated((1 << (BLOCK_BITS - power)) - 1, BLOCK_BITS, blocks)
    fallen = (value >> (BLOCK_BITS - power)) & repeated((1 << power) - 1, BLOCK_BITS, blocks)
    return ((value & low) << power) ^ fallen ^ (fallen << 1) ^ (fallen << 2) ^ (fallen << 7)


def _to_int(data: Buffer) -> int:
    return int.from_bytes(data, "little")


def _to_bytes(value: int, length: int) -> bytes:
    return value.to_bytes(length, "little")
