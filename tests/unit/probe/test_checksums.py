from __future__ import annotations

import zlib

from luksafe.probe.checksums import (
    crc32_raw,
    crc32c,
    crc32c_raw,
    fletcher64,
    folded_sum32,
    without,
    words32,
)


def test_crc32c_check_values() -> None:
    """RFC 3720, appendix B.4, and the check value of the CRC catalogue."""
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E
    assert crc32c_raw(b"6789", crc32c_raw(b"12345")) ^ 0xFFFFFFFF == 0xE3069283


def test_crc32_raw_is_zlib_without_inversions() -> None:
    assert crc32_raw(b"123456789", 0xFFFFFFFF) ^ 0xFFFFFFFF == zlib.crc32(b"123456789")
    assert crc32_raw(b"", 0x12345678) == 0x12345678


def test_fletcher64() -> None:
    """The checksum makes the sums over the words and itself come out as zero."""
    data = b"".join(n.to_bytes(4, "little") for n in (1, 2, 0xFFFFFFFF, 77))
    checked = data + fletcher64(data).to_bytes(8, "little")
    low = high = 0
    for word in words32(checked):
        low = (low + word) % 0xFFFFFFFF
        high = (high + low) % 0xFFFFFFFF
    assert (low, high) == (0, 0)


def test_words_and_sums_in_both_orders() -> None:
    assert list(words32(b"\1\0\0\0\2\0\0\0\3")) == [1, 2]
    assert list(words32(b"\0\0\0\1", "big")) == [1]
    assert folded_sum32(b"\xff" * 8) == 0xFFFFFFFF
    assert folded_sum32(b"\0\0\0\1\0\0\0\2", "big") == 3


def test_without() -> None:
    assert without(b"abcdef", 2, 3) == b"ab\0\0\0f"
