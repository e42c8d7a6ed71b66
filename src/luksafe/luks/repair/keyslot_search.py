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
SECTOR_BITS = 8 * SECTOR_BYTES

Judge = Callable[[SecretBytes], bool]


class _Sectors(Protocol):
    def decrypt(self, data: bytes | bytearray, first_sector_512: int) -> bytearray: ...


@dataclass(frozen=True, slots=True)
class FoundBit:
    """The flipped bit: its byte in the keyslot's area, the mask, the sector as it must be, and the key it gives."""

    position: int
    mask: int
    sector: bytes
    volume_key: SecretBytes


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of the key that is hashed by itself: bytes ``[start, end)``, its stripes as numbers, the states before.

    Before each stripe stands the piece's own number, as it is hashed: so that nothing has to be put together later.
    """

    number: bytes
    start: int
    end: int
    stripes: list[int]
    states: list[int]

    @property
    def size(self) -> int:
        """The bytes of a stripe that are the piece's."""
        return self.end - self.start

    def stripe(self, clear: bytes | bytearray, at: int) -> int:
        """The piece of the stripe that begins at ``at``, behind the piece's number."""
        return int.from_bytes(self.number + clear[at + self.start : at + self.end], "big")


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

    def work(self, sector: int) -> float:
        """The part of the stripes, 0 to 1, that must be hashed again for a bit of this sector."""
        return max(0.0, 1 - sector * SECTOR_BYTES / (self._key_size * self._stripes))

    def seconds_per_bit(self, sector: int, seconds: float) -> float:
        """What a bit of this sector costs here and now, measured on real candidates for so long."""
        begun, number = time.perf_counter(), 0
        while (taken := time.perf_counter() - begun) < seconds or number == 0:
            self._try_bit(sector, number % SECTOR_BITS)
            number += 1
        return taken / number

    def try_sector(self, number: int) -> FoundBit | None:
        """Try the 4096 bits of one sector; the flip that gives a key which the judge takes, or None."""
        return next((found for bit in range(SECTOR_BITS) if (found := self._try_bit(number, bit))), None)

    def _try_bit(self, number: int, bit: int) -> FoundBit | None:
        start, mask = number * SECTOR_BYTES, 1 << bit % 8
        changed = bytearray(self._material[start : start + SECTOR_BYTES])
        changed[bit // 8] ^= mask
        key = self._key_with(start, bytes(self._cipher.decrypt(changed, number)))
        if self._judge(key):
            return FoundBit(start + bit // 8, mask, bytes(changed), key)
        key.wipe()
        return None

    def _key_with(self, start: int, after: bytes) -> SecretBytes:
        """The key when a sector of the clear material that begins at ``start`` reads ``after`` instead."""
        before = self._clear[start : start + SECTOR_BYTES]
        differing = int.from_bytes(before, "big") ^ int.from_bytes(after, "big")
        first = start + SECTOR_BYTES - 1 - (differing.bit_length() - 1) // 8
        last = start + SECTOR_BYTES - 1 - ((differing & -differing).bit_length() - 1) // 8
        low, high = first // self._key_size, min(last // self._key_size, self._stripes - 1)
        made = bytearray(self._key)
        if low < self._stripes:
            part = bytearray(self._clear[low * self._key_size : (high + 1) * self._key_size])
            at = low * self._key_size
            here = slice(max(at, start), min(at + len(part), start + SECTOR_BYTES))
            part[here.start - at : here.stop - at] = after[here.start - start : here.stop - start]
            for piece in self._pieces:
                stripes = [piece.stripe(part, at) for at in range(0, len(part), self._key_size)]
                if stripes != piece.stripes[low : high + 1]:
                    made[piece.start : piece.end] = self._finish(piece, low, stripes)
        return SecretBytes.take(made)

    def _piece(self, number: int, start: int) -> _Piece:
        piece = _Piece(number.to_bytes(4, "big"), start, min(start + self._step, self._key_size), [], [0])
        for stripe in range(self._stripes):
            piece.stripes.append(piece.stripe(self._clear, stripe * self._key_size))
        for number_and_stripe in piece.stripes[:-1]:
            piece.states.append(self._diffuse(piece, piece.states[-1], [number_and_stripe]))
        return piece

    def _finish(self, piece: _Piece, first: int, changed: list[int]) -> bytes:
        """The piece of the key when the stripes from ``first`` on are ``changed``, and then as they are."""
        *before, last = [*changed, *piece.stripes[first + len(changed) :]]
        state = self._diffuse(piece, piece.states[first], before)
        return (state ^ last).to_bytes(len(piece.number) + piece.size, "big")[len(piece.number) :]

    def _diffuse(self, piece: _Piece, state: int, stripes: list[int]) -> int:
        """The state after some stripes: nearly all time of a search is spent in one of these loops."""
        length, new, to_int = len(piece.number) + piece.size, self._new, int.from_bytes
        if piece.size == self._step:
            for stripe in stripes:
                state = to_int(new((state ^ stripe).to_bytes(length, "big")).digest(), "big")
            return state
        for stripe in stripes:
            state = to_int(new((state ^ stripe).to_bytes(length, "big")).digest()[: piece.size], "big")
        return state


def digest_judge(digest: Digest, limits: KdfLimits) -> Judge:
    """Judges a key by its digest: certain, but as slow as the digest has iterations."""
    return lambda key: verify_volume_key(digest, key, limits)
