"""Checksums that superblocks carry and that the standard library lacks."""

from __future__ import annotations

import zlib
from array import array
from sys import byteorder

MASK32 = 0xFFFFFFFF


def _castagnoli_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return tuple(table)


_CASTAGNOLI = _castagnoli_table()


def crc32c_raw(data: bytes, state: int = MASK32) -> int:
    """CRC-32C (Castagnoli) without the last inversion, as ext4 and EROFS store it."""
    table = _CASTAGNOLI
    for byte in data:
        state = (state >> 8) ^ table[(state ^ byte) & 0xFF]
    return state


def crc32c(data: bytes) -> int:
    """CRC-32C as iSCSI (RFC 3720), XFS and Btrfs use it."""
    return crc32c_raw(data) ^ MASK32


def crc32_raw(data: bytes, state: int) -> int:
    """CRC-32 (the polynomial of zlib) from the given state and without inversions: LVM2, F2FS, NILFS2."""
    return zlib.crc32(data, state ^ MASK32) ^ MASK32


def fletcher64(data: bytes) -> int:
    """Fletcher's checksum of APFS objects (Apple File System Reference, object checksums) over little-endian words."""
    low = high = 0
    for word in words32(data):
        low = (low + word) % MASK32
        high = (high + low) % MASK32
    first = MASK32 - (low + high) % MASK32
    second = MASK32 - (low + first) % MASK32
    return (second << 32) | first


def words32(data: bytes, order: str = "little") -> array[int]:
    """The 32-bit words of ``data``; left-over bytes at the end are not looked at."""
    words = array("I")
    words.frombytes(data[: len(data) // 4 * 4])
    if order != byteorder:
        words.byteswap()
    return words


def folded_sum32(data: bytes, order: str = "little") -> int:
    """The sum of the 32-bit words with the carry added once: the checksum of Linux MD superblocks."""
    total = sum(words32(data, order))
    return ((total & MASK32) + (total >> 32)) & MASK32


def without(data: bytes, at: int, length: int) -> bytes:
    """``data`` with ``length`` bytes at ``at`` zeroed, as checksums over their own structure want it."""
    return data[:at] + bytes(length) + data[at + length :]
