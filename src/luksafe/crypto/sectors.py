"""Encryption sectors as dm-crypt writes them: a cipher specification and a key become something that decrypts runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from luksafe.crypto.iv import MASK_64, IvGenerator, iv_generator
from luksafe.crypto.lrw import Lrw
from luksafe.crypto.modes import Cbc, Ctr, Ecb, Mode, Pcbc
from luksafe.crypto.provider import Buffer, block_cipher
from luksafe.crypto.spec import CipherSpec
from luksafe.crypto.xts import Xts
from luksafe.errors import DamagedInput, Unsupported
from luksafe.secret import SecretBytes

_PIECE_BYTES = 64 << 10
"""How much is done at a time: the pieces' temporaries stay in the processor's cache."""

_MODES = frozenset({"ecb", "cbc", "pcbc", "ctr", "xts", "lrw"})
_WIDE_ONLY = frozenset({"xts", "lrw"})
_COMPARE = "The header is damaged or not meant for LUKS: compare it with a backup."
_USE_KERNEL = "Open the volume with cryptsetup on a kernel with dm-crypt."


class SectorCipher(Protocol):
    """Decrypts and encrypts whole encryption sectors. One object is for one thread at a time.

    ``first_sector_512`` is the IV number of the first sector: 512-byte sectors since the start of the segment, plus
    the segment's ``iv_tweak``.
    """

    @property
    def sector_size(self) -> int:
        """The size in bytes of an encryption sector."""
        ...

    def decrypt(self, data: Buffer, first_sector_512: int) -> bytearray:
        """The plaintext of whole sectors."""
        ...

    def encrypt(self, data: Buffer, first_sector_512: int) -> bytearray:
        """The ciphertext of whole sectors."""
        ...

    def decrypt_into(self, source: Buffer, target: memoryview, first_sector_512: int) -> None:
        """Decrypt whole sectors into ``target`` (as long, writable); the fast way for much data."""
        ...


def sector_cipher(
    encryption: str, key: SecretBytes, *, sector_size: int = 512, iv_large_sectors: bool = False
) -> SectorCipher:
    """What decrypts sectors of ``encryption`` (dm-crypt's spelling) under ``key``.

    The IV counts 512-byte sectors, or with ``iv_large_sectors`` encryption sectors. Raises Unsupported for what
    nothing here can do, DamagedInput for a key or sector size that does not fit.
    """
    spec = CipherSpec.parse(encryption)
    if sector_size not in (512, 1024, 2048, 4096):
        raise DamagedInput(f"an encryption sector of {sector_size} bytes does not exist", hint=_COMPARE)
    if spec.cipher == "cipher_null":
        return NullCipher(sector_size)
    mode, ivs = _mode_and_ivs(spec, key.view)
    return ModeCipher(mode, ivs, sector_size, iv_large_sectors)


class NullCipher:
    """cipher_null: the data stands there in the clear."""

    def __init__(self, sector_size: int) -> None:
        self.sector_size = sector_size

    def decrypt(self, data: Buffer, first_sector_512: int) -> bytearray:
        """A copy."""
        return bytearray(data)

    def encrypt(self, data: Buffer, first_sector_512: int) -> bytearray:
        """A copy."""
        return bytearray(data)

    def decrypt_into(self, source: Buffer, target: memoryview, first_sector_512: int) -> None:
        """A copy."""
        target[:] = source


class ModeCipher:
    """A chaining mode over a block cipher, with its IVs."""

    def __init__(self, mode: Mode, ivs: IvGenerator, sector_size: int, iv_large_sectors: bool) -> None:
        self.sector_size = sector_size
        self._mode, self._ivs = mode, ivs
        self._shift = sector_size.bit_length() - 10 if iv_large_sectors else 0
        self._step = 1 if iv_large_sectors else sector_size // 512

    def decrypt(self, data: Buffer, first_sector_512: int) -> bytearray:
        """The plaintext of whole sectors."""
        out = bytearray(len(data))
        self.decrypt_into(data, memoryview(out), first_sector_512)
        return out

    def encrypt(self, data: Buffer, first_sector_512: int) -> bytearray:
        """The ciphertext of whole sectors."""
        view, out = memoryview(data), bytearray()
        for at, end, ivs in self._pieces(len(view), first_sector_512):
            out += self._mode.encrypt(view[at:end], ivs, self.sector_size)
        return out

    def decrypt_into(self, source: Buffer, target: memoryview, first_sector_512: int) -> None:
        """Decrypt whole sectors into ``target``."""
        view = memoryview(source)
        for at, end, ivs in self._pieces(len(view), first_sector_512):
            target[at:end] = self._mode.decrypt(view[at:end], ivs, self.sector_size)

    def _pieces(self, length: int, first_sector_512: int) -> Iterator[tuple[int, int, bytes]]:
        """Where each piece begins and ends, and its IVs."""
        if length % self.sector_size:
            raise ValueError(f"{length} bytes are not whole sectors of {self.sector_size}")
        for at in range(0, length, _PIECE_BYTES):
            end = min(at + _PIECE_BYTES, length)
            first = ((first_sector_512 + at // 512) & MASK_64) >> self._shift
            numbers = range(first, first + (end - at) // self.sector_size * self._step, self._step)
            yield at, end, self._ivs(numbers)


def _mode_and_ivs(spec: CipherSpec, key: memoryview) -> tuple[Mode, IvGenerator]:
    if spec.key_count != 1:
        raise Unsupported(f"{spec} has several keys: it is loop-AES, and no LUKS volume uses it", hint=_USE_KERNEL)
    if spec.chain_mode not in _MODES:
        raise Unsupported(f"the chaining mode {spec.chain_mode!r} of {spec} is not known here", hint=_USE_KERNEL)
    data_key, mode_key = _split_key(spec, key)
    cipher = block_cipher(spec.cipher, data_key)
    if spec.chain_mode == "ecb":  # takes no IV, whatever the specification says
        return Ecb(cipher), lambda _numbers: b""
    if spec.chain_mode in _WIDE_ONLY and cipher.block_size != 16:
        raise Unsupported(f"{spec} cannot be: {spec.chain_mode} wants 16-byte blocks", hint=_COMPARE)
    ivs = iv_generator(spec, key, cipher.block_size)
    match spec.chain_mode:
        case "xts":
            return Xts(cipher, block_cipher(spec.cipher, mode_key)), ivs
        case "lrw":
            return Lrw(cipher, mode_key), ivs
        case "cbc":
            return Cbc(cipher), ivs
        case "pcbc":
            return Pcbc(cipher), ivs
        case _:
            return Ctr(cipher), ivs


def _split_key(spec: CipherSpec, key: memoryview) -> tuple[memoryview, memoryview]:
    """The cipher's key, and that of the mode: XTS has as much again, LRW one block, the others nothing."""
    if spec.chain_mode == "xts" and len(key) % 2:
        raise DamagedInput(f"{spec} takes two keys of one size: {len(key)} bytes cannot be", hint=_COMPARE)
    at = {"xts": len(key) // 2, "lrw": max(0, len(key) - 16)}.get(spec.chain_mode, len(key))
    return key[:at], key[at:]
