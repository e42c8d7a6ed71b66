"""IV generators: the IV number of a sector becomes the IV of that sector, as in the kernel's dm-crypt."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import partial

from luksafe.crypto.hashes import new_hash
from luksafe.crypto.provider import BlockCipher, Buffer, block_cipher
from luksafe.crypto.spec import CipherSpec
from luksafe.errors import Unsupported

IvGenerator = Callable[[range], bytes]
"""The IVs, one after the other, of the sectors with these IV numbers."""

MASK_32, MASK_64 = 2**32 - 1, 2**64 - 1

_NO_LUKS = "no LUKS volume uses it"
_NEEDS_KERNEL = {
    "random": "its IVs stand in the integrity metadata beside each sector",
    "lmk": f"it is loop-AES; {_NO_LUKS}",
    "tcw": f"it is TrueCrypt's old scheme; {_NO_LUKS}",
    "eboiv": f"it is BitLocker's scheme; {_NO_LUKS}",
    "elephant": f"it is BitLocker's diffuser; {_NO_LUKS}",
}


def iv_generator(spec: CipherSpec, key: Buffer, iv_size: int) -> IvGenerator:
    """The generator that ``spec`` names, for IVs of ``iv_size`` bytes, which is the cipher's block size;
    ``key`` is the whole key. Raises Unsupported for those that only the kernel has."""
    simple = {"plain": _plain, "plain64": _plain64, "plain64be": _plain64be, "null": _null}
    if spec.iv in simple:
        return partial(simple[spec.iv], iv_size)
    if spec.iv == "benbi":
        return partial(_benbi, 10 - iv_size.bit_length(), iv_size)
    if spec.iv == "essiv":
        return _Essiv(spec, key, iv_size)
    why = _NEEDS_KERNEL.get(spec.iv, "no such IV generator is known")
    raise Unsupported(
        f"luksafe cannot decrypt {spec}: the IV mode {spec.iv!r} is not done here ({why})",
        hint="Open the volume with cryptsetup on a kernel with dm-crypt.",
    )


def _plain(iv_size: int, numbers: range) -> bytes:
    return _little_endian(iv_size, numbers, MASK_32)


def _plain64(iv_size: int, numbers: range) -> bytes:
    return _little_endian(iv_size, numbers, MASK_64)


def _little_endian(iv_size: int, numbers: range, mask: int) -> bytes:
    pack, rest = struct.Struct("<Q").pack, bytes(iv_size - 8)
    return b"".join([pack(number & mask) + rest for number in numbers])


def _plain64be(iv_size: int, numbers: range) -> bytes:
    pack, rest = struct.Struct(">Q").pack, bytes(iv_size - 8)
    return b"".join([rest + pack(number & MASK_64) for number in numbers])


def _null(iv_size: int, numbers: range) -> bytes:
    return bytes(iv_size * len(numbers))


def _benbi(shift: int, iv_size: int, numbers: range) -> bytes:
    """The number of the sector's first cipher block, counted from 1, big-endian."""
    pack, rest = struct.Struct(">Q").pack, bytes(iv_size - 8)
    return b"".join([rest + pack(((number << shift) + 1) & MASK_64) for number in numbers])


class _Essiv:
    """The sector number, encrypted with the same cipher under the hash of the key."""

    def __init__(self, spec: CipherSpec, key: Buffer, iv_size: int) -> None:
        salt = bytearray(_kernel_hash(spec.iv_option, key))
        self._cipher: BlockCipher = block_cipher(spec.cipher, salt)
        salt[:] = bytes(len(salt))
        self._iv_size = iv_size

    def __call__(self, numbers: range) -> bytes:
        return self._cipher.encrypt(_plain64(self._iv_size, numbers))


def _kernel_hash(name: str, data: Buffer) -> bytes:
    """A hash under the kernel's name; wp256 and wp384 are Whirlpool cut short."""
    if name in ("wp256", "wp384", "wp512"):
        return new_hash("whirlpool")(data).digest()[: int(name[2:]) // 8]
    return new_hash(name)(data).digest()
