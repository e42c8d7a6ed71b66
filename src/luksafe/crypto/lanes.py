"""Whole runs of sectors as one big Python integer: how XOR and GF(2^128) doubling become a few operations.

An integer is the little-endian value of the run, so that block i is bits 128*i to 128*i+127.
"""

from __future__ import annotations

from functools import lru_cache

from luksafe.crypto.block_cipher import Buffer


def xor(left: Buffer, right: Buffer) -> bytes:
    """The XOR of two runs of the same length."""
    return (int.from_bytes(left, "little") ^ int.from_bytes(right, "little")).to_bytes(len(left), "little")


@lru_cache(maxsize=64)
def repeated(pattern: int, period_bits: int, count: int) -> int:
    """``count`` copies of ``pattern`` side by side, each ``period_bits`` wide."""
    return int.from_bytes(pattern.to_bytes(period_bits // 8, "little") * count, "little")
