"""Adiantum (Crowley and Biggers, 2018), the kernel's wide-block mode for machines without AES instructions.

A sector is one block: all but its last 16 bytes are the left half, those are the right half. A hash of the left half
goes into the right one, the right one is encrypted and makes the nonce of a stream cipher over the left half, and
the hash of the new left half goes into the right one again. All sectors of a run are done side by side with numpy.
"""

from __future__ import annotations

import numpy as np
from cryptography.hazmat.primitives.poly1305 import Poly1305
from numpy.typing import NDArray

from luksafe.crypto.block_cipher import BlockCipher, Buffer
from luksafe.crypto.chacha import xchacha_streams
from luksafe.crypto.provider import block_cipher

IV_SIZE = 32
KEY_SIZE = 32

_RIGHT_BYTES = 16
_NH_PASSES = 4
_NH_CHUNK_BYTES = 1024
_NH_KEY_WORDS = 268
"""A chunk's 256 words, and 4 more for each pass after the first, which begins 4 words later."""

Bytes = NDArray[np.uint8]


class Adiantum:
    """Adiantum with XChaCha of ``rounds`` rounds and the given block cipher, AES-256 as a rule."""

    def __init__(self, key: Buffer, cipher: str, rounds: int) -> None:
        first_nonce = np.array([[1] + [0] * 23], np.uint8)
        derived = xchacha_streams(key, first_nonce, 32 + 16 + 16 + 4 * _NH_KEY_WORDS, rounds)[0].tobytes()
        self._stream_key, self._rounds = bytearray(key), rounds
        self._cipher: BlockCipher = block_cipher(cipher, derived[:32])
        # Poly1305 adds a nonce at the end, which these uses lack: zero.
        self._header_key = derived[32:48] + bytes(16)
        self._message_key = derived[48:64] + bytes(16)
        self._nh_key = np.frombuffer(derived, "<u4", _NH_KEY_WORDS, 64)

    def encrypt(self, data: Buffer, ivs: bytes, sector_size: int) -> bytes:
        """The ciphertext of a run."""
        left, right = _split(data, sector_size)
        headers = self._header_hashes(ivs, left.shape[1])
        middle = self._cipher.encrypt(_to_bytes(_added(right, self._hashes(left, headers))))
        left = left ^ self._streams(middle, left.shape[1])
        return _joined(left, _subtracted(_to_numbers(middle), self._hashes(left, headers)))

    def decrypt(self, data: Buffer, ivs: bytes, sector_size: int) -> bytes:
        """The plaintext of a run."""
        left, right = _split(data, sector_size)
        headers = self._header_hashes(ivs, left.shape[1])
        middle = _to_bytes(_added(right, self._hashes(left, headers)))
        left = left ^ self._streams(middle, left.shape[1])
        return _joined(left, _subtracted(_to_numbers(self._cipher.decrypt(middle)), self._hashes(left, headers)))

    def _streams(self, middle: bytes, length: int) -> Bytes:
        """The keystream of each sector: its nonce is the middle value and the number one."""
        nonces = np.zeros((len(middle) // 16, 24), np.uint8)
        nonces[:, :16] = np.frombuffer(middle, np.uint8).reshape(-1, 16)
        nonces[:, 16] = 1
        return xchacha_streams(self._stream_key, nonces, length, self._rounds)

    def _header_hashes(self, ivs: bytes, left_bytes: int) -> list[int]:
        """Poly1305 of the length in bits and the IV, for each sector."""
        length = (8 * left_bytes).to_bytes(16, "little")
        ivs_apart = (ivs[at : at + IV_SIZE] for at in range(0, len(ivs), IV_SIZE))
        return [_number(Poly1305.generate_tag(self._header_key, length + iv)) for iv in ivs_apart]

    def _hashes(self, left: Bytes, headers: list[int]) -> list[int]:
        """The hash of each left half (NH, then Poly1305) plus that of its header, modulo 2^128."""
        digests = [Poly1305.generate_tag(self._message_key, row.tobytes()) for row in self._nh(left)]
        return _added([_number(digest) for digest in digests], headers)

    def _nh(self, left: Bytes) -> NDArray[np.uint64]:
        """NH of each chunk of each row, four passes of 64 bits each: products of sums, summed up."""
        chunks = range(0, left.shape[1], _NH_CHUNK_BYTES)
        out = np.empty((len(left), len(chunks), _NH_PASSES), "<u8")
        for number, at in enumerate(chunks):
            words = np.ascontiguousarray(left[:, at : at + _NH_CHUNK_BYTES]).view("<u4").reshape(len(left), -1, 4)
            for turn in range(_NH_PASSES):
                key = self._nh_key[4 * turn : 4 * turn + words.shape[1] * 4].reshape(-1, 4)
                sums = (words + key).astype(np.uint64)
                out[:, number, turn] = (sums[:, :, :2] * sums[:, :, 2:]).sum(axis=(1, 2))
        return out


def _split(data: Buffer, sector_size: int) -> tuple[Bytes, list[int]]:
    sectors = np.frombuffer(data, np.uint8).reshape(-1, sector_size)
    return sectors[:, :-_RIGHT_BYTES], _to_numbers(sectors[:, -_RIGHT_BYTES:].tobytes())


def _joined(left: Bytes, right: list[int]) -> bytes:
    return np.hstack((left, np.frombuffer(_to_bytes(right), np.uint8).reshape(-1, _RIGHT_BYTES))).tobytes()


def _to_numbers(blocks: bytes) -> list[int]:
    return [_number(blocks[at : at + 16]) for at in range(0, len(blocks), 16)]


def _to_bytes(numbers: list[int]) -> bytes:
    return b"".join([number.to_bytes(16, "little") for number in numbers])


def _number(block: bytes) -> int:
    return int.from_bytes(block, "little")


def _added(left: list[int], right: list[int]) -> list[int]:
    return [(a + b) % 2**128 for a, b in zip(left, right)]


def _subtracted(left: list[int], right: list[int]) -> list[int]:
    return [(a - b) % 2**128 for a, b in zip(left, right)]
