"""Chaining modes over the sectors of a run, built from the bare block cipher so that every cipher has every mode.

Each mode takes a run of whole sectors with their IVs one after the other, and does all sectors in a few calls.
"""

from __future__ import annotations

from typing import Protocol

from luksafe.crypto.block_cipher import BlockCipher, Buffer
from luksafe.crypto.lanes import xor


class Mode(Protocol):
    """A way to encrypt the sectors of a run, given one IV for each."""

    def encrypt(self, data: Buffer, ivs: bytes, sector_size: int) -> bytes:
        """The ciphertext of a run of whole sectors."""
        ...

    def decrypt(self, data: Buffer, ivs: bytes, sector_size: int) -> bytes:
        """The plaintext of a run of whole sectors."""
        ...


class Ecb:
    """Each block for itself; no IV."""

    def __init__(self, cipher: BlockCipher) -> None:
        self._cipher = cipher

    def encrypt(self, data: Buffer, ivs: bytes, sector_size: int) -> bytes:
        """The ciphertext of a run."""
        return self._cipher.encrypt(data)

    def decrypt(self, data: Buffer, ivs: bytes, sector_size: int) -> bytes:
        """The plaintext of a run."""
        return self._cipher.decrypt(data)


class Cbc:
    """Cipher block chaining, begun anew with each sector (NIST SP 800-38A)."""

    def __init__(self, cipher: BlockCipher) -> None:
        self._cipher = cipher

    def encrypt(self, data: Buffer, ivs: bytes, sector_size: int) -> bytes:
        """Block j of all sectors at once, then block j+1: a chain allows no more at a time."""
        block = self._cipher.block_size
        columns = []
        previous = ivs
        for column in _columns(bytes(data), sector_size, block):
            previous = self._cipher.encrypt(xor(column, previous))
            columns.append(previous)
        return _from_columns(columns, block)

    def decrypt(self, data: Buffer, ivs: bytes, sector_size: int) -> bytes:
        """All blocks at once, then the XOR with the block before, which is the IV for the first of each sector."""
        block = self._cipher.block_size
        before = b"".join(
            [
                part
                for iv_at, at in zip(range(0, len(ivs), block), range(0, len(data), sector_size))
                for part in (ivs[iv_at : iv_at + block], data[at : at + sector_size - block])
            ]
        )
        return xor(self._cipher.decrypt(data), before)


class Pcbc:
    """Propagating CBC: the plaintext goes into the chain as well."""

    def __init__(self, cipher: BlockCipher) -> None:
        self._cipher = cipher

    def encrypt(self, data: Buffer, ivs: bytes, sector_size: int) -> bytes:
        """Block j of all sectors at once."""
        columns, chain = [], ivs
        for column in _columns(bytes(data), sector_size, self._cipher.block_size):
            columns.append(self._cipher.encrypt(xor(column, chain)))
            chain = xor(column, columns[-1])
        return _from_columns(columns, self._cipher.block_size)

    def decrypt(self, data: Buffer, ivs: bytes, sector_size: int) -> bytes:
        """Block j of all sectors at once."""
        columns, chain = [], ivs
        for column in _columns(bytes(data), sector_size, self._cipher.block_size):
            columns.append(xor(self._cipher.decrypt(column), chain))
            chain = xor(column, columns[-1])
        return _from_columns(columns, self._cipher.block_size)


class Ctr:
    """Counter mode: the IV is the first counter, big-endian (NIST SP 800-38A)."""

    def __init__(self, cipher: BlockCipher) -> None:
        self._cipher = cipher

    def encrypt(self, data: Buffer, ivs: bytes, sector_size: int) -> bytes:
        """The XOR with the encrypted counters."""
        block = self._cipher.block_size
        modulus = 1 << (8 * block)
        starts = [int.from_bytes(ivs[at : at + block], "big") for at in range(0, len(ivs), block)]
        counters = b"".join(
            [((start + i) % modulus).to_bytes(block, "big") for start in starts for i in range(sector_size // block)]
        )
        return xor(data, self._cipher.encrypt(counters))

    def decrypt(self, data: Buffer, ivs: bytes, sector_size: int) -> bytes:
        """The same as encrypting."""
        return self.encrypt(data, ivs, sector_size)


def _columns(data: bytes, sector_size: int, block: int) -> list[bytes]:
    """Block j of every sector joined, for each j."""
    return [
        b"".join([data[at + offset : at + offset + block] for at in range(0, len(data), sector_size)])
        for offset in range(0, sector_size, block)
    ]


def _from_columns(columns: list[bytes], block: int) -> bytes:
    """The sectors again, from what ``_columns`` gave."""
    return b"".join([column[at : at + block] for at in range(0, len(columns[0]), block) for column in columns])
