"""Key expansion against the examples of FIPS-197, appendix A, and against a real AES."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st

from luksafe.memory.schedule import KEY_BITS, SBOX, SCHEDULE_BYTES, expand_key, is_schedule

# key, the last four words of its schedule
FIPS_197 = [
    ("2b7e151628aed2a6abf7158809cf4f3c", "d014f9a8c9ee2589e13f0cc8b6630ca6"),
    ("8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b", "e98ba06f448c773c8ecc720401002202"),
    ("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4", "fe4890d1e6188d0b046df344706c631e"),
]
keys = st.sampled_from(KEY_BITS).flatmap(lambda bits: st.binary(min_size=bits // 8, max_size=bits // 8))


@pytest.mark.parametrize(("key", "last"), FIPS_197)
def test_the_examples_of_the_standard(key: str, last: str) -> None:
    schedule = expand_key(bytes.fromhex(key))
    assert len(schedule) == SCHEDULE_BYTES[len(key) * 4]
    assert schedule[: len(key) // 2].hex() == key
    assert schedule[-16:].hex() == last


def _encrypt(schedule: bytes, block: bytes) -> bytes:
    """AES by the book (FIPS-197, section 5.1), with nothing but the schedule and the S-box."""
    state = bytes(a ^ b for a, b in zip(block, schedule[:16]))
    rounds = len(schedule) // 16 - 1
    for number in range(1, rounds + 1):
        state = bytes(SBOX[state[(4 * (at // 4) + 5 * (at % 4)) % 16]] for at in range(16))
        if number < rounds:
            state = b"".join(_mix(state[at : at + 4]) for at in range(0, 16, 4))
        state = bytes(a ^ b for a, b in zip(state, schedule[16 * number :]))
    return state


def _mix(column: bytes) -> bytes:
    twice = [value << 1 ^ (0x11B if value & 0x80 else 0) for value in column]
    every = column[0] ^ column[1] ^ column[2] ^ column[3]
    return bytes(column[n] ^ every ^ twice[n] ^ twice[(n + 1) % 4] for n in range(4))


@given(keys, st.binary(min_size=16, max_size=16))
def test_the_schedule_encrypts_as_the_key_does(key: bytes, block: bytes) -> None:
    aes = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    assert _encrypt(bytes(expand_key(key)), block) == aes.update(block)


@given(keys, st.data())
def test_a_schedule_is_known_and_one_with_a_flipped_bit_is_not(key: bytes, data: st.DataObject) -> None:
    schedule = expand_key(key)
    bits = len(key) * 8
    assert is_schedule(schedule + b"more", bits)
    assert not is_schedule(schedule[:-1], bits)
    at = data.draw(st.integers(0, len(schedule) - 1))
    schedule[at] ^= 1 << data.draw(st.integers(0, 7))
    assert not is_schedule(schedule, bits)
