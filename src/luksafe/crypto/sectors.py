"""Encryption sectors as dm-crypt writes them: a cipher specification and a key become something that decrypts runs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Protocol

from luksafe.crypto.block_cipher import BlockCipher, Buffer, CbcChain, WritableBuffer
from luksafe.crypto.iv import IvGenerator, iv_generator
from luksafe.crypto.lrw import Lrw
from luksafe.crypto.modes import Cbc, Ctr, Ecb, Mode, Pcbc
from luksafe.crypto.provider import block_cipher, cbc_chain
from luksafe.crypto.spec import CipherSpec
from luksafe.crypto.xts import Xts
from luksafe.errors import DamagedInput, Unsupported
from luksafe.secret import SecretBytes
from luksafe.wall import walled

if TYPE_CHECKING:  # numpy is imported only where it pays
    from luksafe.crypto.bulk import BatchDecryptor

    BulkFactory = Callable[[], BatchDecryptor]

_PIECE_BYTES = 32 << 10
"""How much is done at a time: the pieces' temporaries stay in the processor's cache."""

_HAS_BULK = sys.byteorder == "little"
"""The bulk path calculates with words as they lie in memory, and the formats are little-endian."""

_BULK_LEAST_BYTES = 64 << 10
"""From here on the bulk path is faster."""

_NUMPY_PAYS_BYTES = 4 << 20
"""From here on it is faster even when numpy must first be imported (some 60 ms)."""

_MODES = frozenset({"ecb", "cbc", "pcbc", "ctr", "xts", "lrw", "adiantum"})
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

    def decrypt_into(self, source: Buffer, target: WritableBuffer, first_sector_512: int) -> None:
        """Decrypt whole sectors into ``target``, as long and elsewhere; the fast way for much data."""
        ...


@walled("a cipher")
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
    if spec.key_count != 1:
        raise Unsupported(f"{spec} has several keys: it is loop-AES, and no LUKS volume uses it", hint=_USE_KERNEL)
    if "random" in (spec.chain_mode, spec.iv):
        raise Unsupported(
            f"{spec} encrypts with random IVs, which stand in the integrity metadata between the sectors: only the "
            "kernel's dm-integrity reads those",
            hint=_USE_KERNEL,
        )
    if spec.chain_mode not in _MODES:
        raise Unsupported(f"the chaining mode {spec.chain_mode!r} of {spec} is not known here", hint=_USE_KERNEL)
    large_shift = sector_size.bit_length() - 10 if iv_large_sectors else 0
    return _mode_cipher(spec, key.view, sector_size, large_shift)


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

    def decrypt_into(self, source: Buffer, target: WritableBuffer, first_sector_512: int) -> None:
        """A copy."""
        memoryview(target).cast("B")[:] = memoryview(source).cast("B")


class ModeCipher:
    """A chaining mode over a block cipher, with its IVs; ``bulk`` makes its form for much data, where it has one."""

    def __init__(self, mode: Mode, ivs: IvGenerator | None, sector_size: int, bulk: BulkFactory | None) -> None:
        self.sector_size = sector_size
        self._mode, self._ivs = mode, ivs
        self._bulk_factory = bulk
        self._bulk: BatchDecryptor | None = None

    def decrypt(self, data: Buffer, first_sector_512: int) -> bytearray:
        """The plaintext of whole sectors."""
        out = bytearray(len(data))
        least = _BULK_LEAST_BYTES if "numpy" in sys.modules else _NUMPY_PAYS_BYTES
        self._decrypt_into(data, memoryview(out), first_sector_512, least)
        return out

    def encrypt(self, data: Buffer, first_sector_512: int) -> bytearray:
        """The ciphertext of whole sectors."""
        view, out = memoryview(data).cast("B"), bytearray()
        self._check_length(len(view))
        for at, end, ivs in self._pieces(len(view), first_sector_512):
            out += self._mode.encrypt(view[at:end], ivs, self.sector_size)
        return out

    def decrypt_into(self, source: Buffer, target: WritableBuffer, first_sector_512: int) -> None:
        """Decrypt whole sectors into ``target``, as long and elsewhere."""
        self._decrypt_into(source, memoryview(target).cast("B"), first_sector_512, _BULK_LEAST_BYTES)

    def _decrypt_into(self, source: Buffer, target: memoryview, first_sector_512: int, bulk_least: int) -> None:
        view = memoryview(source).cast("B")
        self._check_length(len(view))
        if target.nbytes != len(view):
            raise ValueError(f"a target of {target.nbytes} bytes is not for the whole sectors of {len(view)} bytes")
        if _HAS_BULK and self._bulk_factory and self._ivs and len(view) >= bulk_least:
            from luksafe.crypto.bulk import decrypt_in_batches

            self._bulk = self._bulk or self._bulk_factory()
            decrypt_in_batches(self._bulk, self._ivs, self.sector_size, view, target, first_sector_512)
            return
        for at, end, ivs in self._pieces(len(view), first_sector_512):
            target[at:end] = self._mode.decrypt(view[at:end], ivs, self.sector_size)

    def _check_length(self, length: int) -> None:
        if length % self.sector_size:
            raise ValueError(f"{length} bytes are not whole sectors of {self.sector_size}")

    def _pieces(self, length: int, first_sector_512: int) -> Iterator[tuple[int, int, bytes]]:
        """Where each piece begins and ends, and its IVs."""
        for at in range(0, length, _PIECE_BYTES):
            end = min(at + _PIECE_BYTES, length)
            sectors = range(first_sector_512 + at // 512, first_sector_512 + end // 512, self.sector_size // 512)
            yield at, end, self._ivs.ivs(sectors) if self._ivs else b""


def _mode_cipher(spec: CipherSpec, key: memoryview, sector_size: int, large_shift: int) -> ModeCipher:
    """Every chaining mode. What is needed of the key is taken now: it may be wiped afterwards."""
    if spec.chain_mode == "adiantum":
        return _adiantum_cipher(spec, key, sector_size, large_shift)
    data_key, mode_key = _split_key(spec, key)
    cipher = block_cipher(spec.cipher, data_key)
    if spec.chain_mode == "ecb":  # takes no IV, whatever the specification says
        return ModeCipher(Ecb(cipher), None, sector_size, None)
    if spec.chain_mode in ("xts", "lrw") and cipher.block_size != 16:
        raise Unsupported(f"{spec} cannot be: {spec.chain_mode} wants a cipher of 16-byte blocks", hint=_COMPARE)
    ivs = iv_generator(spec, key, cipher.block_size, large_shift)
    match spec.chain_mode:
        case "xts":
            tweak_cipher = block_cipher(spec.cipher, mode_key)
            bulk_xts = partial(_bulk_xts, cipher, tweak_cipher, sector_size)
            return ModeCipher(Xts(cipher, tweak_cipher), ivs, sector_size, bulk_xts)
        case "cbc":
            bulk_cbc = partial(_bulk_cbc, cbc_chain(spec.cipher, data_key), cipher.block_size, sector_size)
            return ModeCipher(Cbc(cipher), ivs, sector_size, bulk_cbc)
        case "lrw":
            return ModeCipher(Lrw(cipher, mode_key), ivs, sector_size, None)
        case "pcbc":
            return ModeCipher(Pcbc(cipher), ivs, sector_size, None)
        case _:
            return ModeCipher(Ctr(cipher), ivs, sector_size, None)


def _adiantum_cipher(spec: CipherSpec, key: memoryview, sector_size: int, large_shift: int) -> ModeCipher:
    """A stream cipher and a block cipher are named, as in ``xchacha20,aes-adiantum-plain64``."""
    from luksafe.crypto import adiantum

    stream, _, cipher = spec.cipher.partition(",")
    if stream not in ("xchacha12", "xchacha20") or not cipher:
        raise Unsupported(f"{spec} cannot be: Adiantum wants xchacha12 or xchacha20 and a cipher", hint=_USE_KERNEL)
    if len(key) != adiantum.KEY_SIZE:
        raise DamagedInput(f"{spec} takes no key of {8 * len(key)} bits", hint=_COMPARE)
    ivs = iv_generator(spec, key, adiantum.IV_SIZE, large_shift)
    return ModeCipher(adiantum.Adiantum(key, cipher, int(stream[7:])), ivs, sector_size, None)


def _bulk_xts(cipher: BlockCipher, tweak_cipher: BlockCipher, sector_size: int) -> BatchDecryptor:
    from luksafe.crypto.bulk_xts import BulkXts

    return BulkXts(cipher, tweak_cipher, sector_size)


def _bulk_cbc(chain: CbcChain, block_size: int, sector_size: int) -> BatchDecryptor:
    from luksafe.crypto.bulk_cbc import BulkCbc

    return BulkCbc(chain, block_size, sector_size)


def _split_key(spec: CipherSpec, key: memoryview) -> tuple[memoryview, memoryview]:
    """The cipher's key, and that of the mode: XTS has as much again, LRW one block, the others nothing."""
    if spec.chain_mode == "xts" and len(key) % 2:
        raise DamagedInput(f"{spec} takes two keys of one size: {len(key)} bytes cannot be", hint=_COMPARE)
    at = {"xts": len(key) // 2, "lrw": max(0, len(key) - 16)}.get(spec.chain_mode, len(key))
    return key[:at], key[at:]
