"""AES key schedules as the kernel keeps them: the plain byte stream of FIPS-197, section 5.2."""

from __future__ import annotations

SCHEDULE_BYTES = {128: 176, 192: 208, 256: 240}
"""The length of the encryption schedule for each key length in bits: 4 × (rounds + 1) words of 4 bytes."""

KEY_BITS = tuple(SCHEDULE_BYTES)


def _double(value: int) -> int:
    """Multiplication by x in the field of AES."""
    return value << 1 ^ (0x11B if value & 0x80 else 0)


def _make_sbox() -> bytes:
    """The S-box: the inverse in the field, then the affine map. Walks the powers of 3 and of its inverse."""
    box = bytearray(256)
    power, inverse = 1, 1
    while True:
        power ^= _double(power)
        inverse ^= inverse << 1
        inverse ^= inverse << 2
        inverse ^= inverse << 4
        inverse &= 0xFF
        if inverse & 0x80:
            inverse ^= 0x09
        turned = inverse * 0x101
        box[power] = inverse ^ (turned >> 7 ^ turned >> 6 ^ turned >> 5 ^ turned >> 4) & 0xFF ^ 0x63
        if power == 1:
            break
    box[0] = 0x63
    return bytes(box)


SBOX = _make_sbox()


def expand_key(key: bytes | bytearray | memoryview) -> bytearray:
    """The encryption key schedule of a key of 16, 24 or 32 bytes. The caller wipes it."""
    key_words = len(key) // 4
    size = SCHEDULE_BYTES[len(key) * 8]
    out = bytearray(size)
    out[: len(key)] = key
    round_constant = 1
    for word in range(key_words, size // 4):
        at = word * 4
        a, b, c, d = out[at - 4 : at]
        if word % key_words == 0:
            a, b, c, d = SBOX[b] ^ round_constant, SBOX[c], SBOX[d], SBOX[a]
            round_constant = _double(round_constant)
        elif key_words == 8 and word % 8 == 4:
            a, b, c, d = SBOX[a], SBOX[b], SBOX[c], SBOX[d]
        before = at - len(key)
        out[at] = out[before] ^ a
        out[at + 1] = out[before + 1] ^ b
        out[at + 2] = out[before + 2] ^ c
        out[at + 3] = out[before + 3] ^ d
    return out


def is_schedule(data: bytes | bytearray | memoryview, key_bits: int) -> bool:
    """Whether ``data`` begins with the whole schedule of the key that its first ``key_bits`` are."""
    size = SCHEDULE_BYTES[key_bits]
    if len(data) < size:
        return False
    expanded = expand_key(data[: key_bits // 8])
    same = expanded == data[:size]
    expanded[:] = bytes(size)
    return same
