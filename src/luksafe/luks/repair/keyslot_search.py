"""One flipped bit in the area of a keyslot whose passphrase is known: every bit is tried, what can be kept is kept.

A flipped bit of ciphertext garbles a block of a stripe. All stripes before it give the state that they gave before;
what follows must be hashed again, but only the piece of the key in which the block lies. So flips far back are cheap,
and are tried first.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from luksafe.crypto.hashes import digest_size, new_hash
from luksafe.crypto.kdf import KdfLimits
from luksafe.crypto.sectors import sector_cipher
from luksafe.errors import DamagedInput, Unsupported
from luksafe.luks.model import Digest, Keyslot
from luksafe.luks.unlock import verify_volume_key
from luksafe.reader import Reader
from luksafe.secret import SecretBytes

SECTOR_BYTES = 512
_SECTOR_BITS = 8 * SECTOR_BYTES
_TRIAL_STEPS = 400
_FIXED_COST = 200
"""Decrypting a sector and judging a key, in stripes."""

Judge = Callable[[SecretBytes], bool]


class _Sectors(Protocol):
    def decrypt(self, data: bytes, first_sector_512: int) -> bytearray: ...


@dataclass(frozen=True, slots=True)
class FoundBit:
    """The flipped bit: its byte in the keyslot's area, the mask, the sector as it must be, and the key it gives."""

    position: int
    mask: int
    sector: bytes
    volume_key: SecretBytes


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of the key that is hashed by itself: bytes ``[start, end)``, its stripes as numbers, the states before."""

    start: int
    end: int
    prefix: bytes
    stripes: list[int]
    states: list[int]


class KeyslotSearch:
    """The search in one keyslot. Holds key material in the clear: for one use, in one process or its forks."""

    def __init__(self, reader: Reader, keyslot: Keyslot, area_key: SecretBytes, judge: Judge) -> None:
        if keyslot.af is None or keyslot.area is None:
            raise Unsupported(f"keyslot {keyslot.id} of type {keyslot.type!r} has no AF area")
        self._key_size, self._stripes = keyslot.key_size, keyslot.af.stripes
        length = -(-self._key_size * self._stripes // SECTOR_BYTES) * SECTOR_BYTES
        self._material = reader.read_at(keyslot.area.offset, length)
        if len(self._material) < length:
            raise DamagedInput(f"the device ends inside the area of keyslot {keyslot.id}")
        self._cipher: _Sectors = sector_cipher(keyslot.area.encryption, area_key)
        self._clear = bytes(self._cipher.decrypt(self._material, 0))
        self._new, self._step = new_hash(keyslot.af.hash), digest_size(keyslot.af.hash)
        self._judge = judge
        self._pieces = [self._piece(n, start) for n, start in enumerate(range(0, self._key_size, self._step))]
        self._key = bytearray(b"".join(self._finish(piece, len(piece.stripes) - 1, []) for piece in self._pieces))

    @property
    def key_as_it_is(self) -> SecretBytes:
        """The key that the undamaged rest gives: unproven."""
        return SecretBytes(self._key)

    @property
    def sectors(self) -> list[int]:
        """The sectors of the area, in the order in which they are best tried: the cheap ones first."""
        return list(range(len(self._material) // SECTOR_BYTES))[::-1]

    def cost(self, sector: int) -> int:
        """How much work a sector is, counted in stripes that must be hashed again."""
        return max(0, self._stripes - sector * SECTOR_BYTES // self._key_size) + _FIXED_COST

    def estimate_seconds(self) -> float:
        """How long it takes to try every bit, measured on a few: the most, and twice what is to be expected."""
        piece = self._pieces[0]
        begun = time.perf_counter()
        self._finish(piece, max(0, len(piece.stripes) - 1 - _TRIAL_STEPS), [])
        step = (time.perf_counter() - begun) / min(_TRIAL_STEPS, len(piece.stripes))
        begun = time.perf_counter()
        self._cipher.decrypt(self._material[:SECTOR_BYTES], 0)
        self._judge(self.key_as_it_is)
        each = time.perf_counter() - begun
        return len(self._material) * 8 * (each + step * self._stripes / 2)

    def try_sector(self, number: int) -> FoundBit | None:
        """Try the 4096 bits of one sector; the flip that gives a key which the judge takes, or None."""
        start = number * SECTOR_BYTES
        sector = self._material[start : start + SECTOR_BYTES]
        clear = self._clear[start : start + SECTOR_BYTES]
        for bit in range(_SECTOR_BITS):
            changed = bytearray(sector)
            changed[bit // 8] ^= 1 << bit % 8
            key = self._key_with(start, clear, bytes(self._cipher.decrypt(bytes(changed), number)))
            if self._judge(key):
                return FoundBit(start + bit // 8, 1 << bit % 8, bytes(changed), key)
            key.wipe()
        return None

    def _key_with(self, start: int, before: bytes, after: bytes) -> SecretBytes:
        """The key when a sector of the clear material that begins at ``start`` reads ``after`` instead."""
        differing = int.from_bytes(before, "big") ^ int.from_bytes(after, "big")
        first = start + SECTOR_BYTES - 1 - (differing.bit_length() - 1) // 8
        last = start + SECTOR_BYTES - 1 - ((differing & -differing).bit_length() - 1) // 8
        low = first // self._key_size
        high = min(last // self._key_size, self._stripes - 1)
        key = SecretBytes(self._key)
        if low >= self._stripes:
            return key
        part = bytearray(self._clear[low * self._key_size : (high + 1) * self._key_size])
        at = start - low * self._key_size
        for position in range(max(0, at), min(len(part), at + SECTOR_BYTES)):
            part[position] = after[position - at]
        made = bytearray(self._key)
        for piece in self._pieces:
            stripes = [self._number(part, n * self._key_size + piece.start, piece) for n in range(high - low + 1)]
            if stripes != piece.stripes[low : high + 1]:
                made[piece.start : piece.end] = self._finish(piece, low, stripes)
        key.wipe()
        return SecretBytes.take(made)

    def _piece(self, number: int, start: int) -> _Piece:
        end = min(start + self._step, self._key_size)
        piece = _Piece(start, end, number.to_bytes(4, "big"), [], [0])
        for stripe in range(self._stripes):
            piece.stripes.append(self._number(self._clear, stripe * self._key_size + start, piece))
        for stripe in piece.stripes[:-1]:
            piece.states.append(self._diffuse(piece, piece.states[-1], [stripe]))
        return piece

    def _finish(self, piece: _Piece, first: int, changed: list[int]) -> bytes:
        """The piece of the key when the stripes from ``first`` on are ``changed``, and then as they are."""
        *before, last = [*changed, *piece.stripes[first + len(changed) :]]
        state = self._diffuse(piece, piece.states[first], before)
        return (state ^ last).to_bytes(piece.end - piece.start, "little")

    def _diffuse(self, piece: _Piece, state: int, stripes: list[int]) -> int:
        """The state after some stripes: nearly all time of a search is spent in this loop."""
        size, new, prefix, to_int = piece.end - piece.start, self._new, piece.prefix, int.from_bytes
        for stripe in stripes:
            state = to_int(new(prefix + (state ^ stripe).to_bytes(size, "little")).digest()[:size], "little")
        return state

    @staticmethod
    def _number(clear: bytes | bytearray, at: int, piece: _Piece) -> int:
        return int.from_bytes(clear[at : at + piece.end - piece.start], "little")


def digest_judge(digest: Digest, limits: KdfLimits) -> Judge:
    """Judges a key by its digest: certain, but as slow as the digest has iterations."""
    return lambda key: verify_volume_key(digest, key, limits)
