"""XChaCha20 and XChaCha12 keystreams (draft-irtf-cfrg-xchacha) for many nonces at once, with numpy.

No library here has the 12-round form that Adiantum volumes may use, nor makes many streams in one call.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from luksafe.crypto.block_cipher import Buffer

Words = NDArray[np.uint32]

_CONSTANT = np.frombuffer(b"expand 32-byte k", "<u4")
_TURN_1, _TURN_2, _TURN_3 = ([(at + by) % 4 for at in range(4)] for by in (1, 2, 3))


def xchacha_streams(key: Buffer, nonces: NDArray[np.uint8], length: int, rounds: int) -> NDArray[np.uint8]:
    """The first ``length`` keystream bytes for each of the 24-byte nonces, one row each; the counter begins at 0."""
    words = nonces.view("<u4")
    subkeys = _hchacha(np.frombuffer(key, "<u4"), words[:, :4], rounds)
    blocks = -(-length // 64)
    state = np.empty((16, len(words), blocks), np.uint32)
    state[:4] = _CONSTANT[:, None, None]
    state[4:12] = subkeys.T[:, :, None]
    state[12], state[13] = np.arange(blocks, dtype=np.uint32), 0
    state[14:] = words[:, 4:].T[:, :, None]
    stream = _permute(state.copy(), rounds)
    stream += state
    return np.ascontiguousarray(stream.transpose(1, 2, 0)).view(np.uint8).reshape(len(words), -1)[:, :length]


def _hchacha(key: Words, inputs: Words, rounds: int) -> Words:
    """A subkey of 8 words for each input of 4 words."""
    state = np.empty((16, len(inputs)), np.uint32)
    state[:4], state[4:12], state[12:] = _CONSTANT[:, None], key[:, None], inputs.T
    state = _permute(state, rounds)
    return np.concatenate((state[:4], state[12:])).T


def _permute(state: Words, rounds: int) -> Words:
    """ChaCha's rounds (RFC 8439, section 2.3) on states whose 16 words are the first axis."""
    a, b, c, d = (state[at : at + 4].copy() for at in range(0, 16, 4))
    for turn in range(rounds):
        _quarter_rounds(a, b, c, d)
        # Between rounds on columns and rounds on diagonals the lower rows turn, by as much to either side.
        by_b, by_d = (_TURN_1, _TURN_3) if turn % 2 == 0 else (_TURN_3, _TURN_1)
        b, c, d = b[by_b], c[_TURN_2], d[by_d]
    return np.concatenate((a, b, c, d))


def _quarter_rounds(a: Words, b: Words, c: Words, d: Words) -> None:
    """Four quarter rounds side by side (section 2.1)."""
    for left, middle, right, turn in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        left += middle
        right ^= left
        high = right << np.uint32(turn)
        right >>= np.uint32(32 - turn)
        right |= high
