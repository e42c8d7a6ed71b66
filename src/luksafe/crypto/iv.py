"""IVs: the number of a sector becomes the IV of that sector, as in the kernel's dm-crypt."""

from __future__ import annotations

from dataclasses import dataclass, replace

from luksafe.crypto.block_cipher import BlockCipher, Buffer
from luksafe.crypto.hashes import new_hash
from luksafe.crypto.provider import block_cipher
from luksafe.crypto.spec import CipherSpec
from luksafe.errors import Unsupported

_2_64 = 1 << 64


@dataclass(frozen=True, slots=True)
class IvLayout:
    """Sector number (modulo 2^64) to IV: shift right, shift left, add, cut to ``bits``, place.

    Little-endian numbers begin the IV, big-endian ones end it; the rest is zero.
    """

    size: int
    bits: int = 64
    shift_right: int = 0
    shift_left: int = 0
    plus: int = 0
    big_endian: bool = False

    def ivs(self, sectors: range) -> bytes:
        """The IVs of these sectors, one after the other."""
        rest = bytes(self.size - 8)
        before, order, after = (rest, "big", b"") if self.big_endian else (b"", "little", rest)
        return b"".join([before + self._number(at).to_bytes(8, order) + after for at in sectors])  # type: ignore[arg-type]

    def _number(self, sector: int) -> int:
        number = ((sector % _2_64 >> self.shift_right) << self.shift_left) + self.plus
        return number & ((1 << self.bits) - 1)


@dataclass(frozen=True, slots=True)
class IvGenerator:
    """A layout, and for ESSIV the cipher that the IVs then go through."""

    layout: IvLayout
    cipher: BlockCipher | None = None

    def ivs(self, sectors: range) -> bytes:
        """The IVs of these sectors, one after the other."""
        ivs = self.layout.ivs(sectors)
        return self.cipher.encrypt(ivs) if self.cipher else ivs


def iv_generator(spec: CipherSpec, key: Buffer, iv_size: int, shift_right: int) -> IvGenerator:
    """The generator that ``spec`` names, for a cipher whose blocks have ``iv_size`` bytes; ``key`` is the whole key.

    ``shift_right`` turns numbers of 512-byte sectors into those of larger ones (dm-crypt's iv_large_sectors). Raises
    Unsupported for the generators that only the kernel has.
    """
    plain64 = IvLayout(iv_size, shift_right=shift_right)
    match spec.iv:
        case "plain":
            return IvGenerator(replace(plain64, bits=32))
        case "plain64":
            return IvGenerator(plain64)
        case "plain64be":
            return IvGenerator(replace(plain64, big_endian=True))
        case "null":
            return IvGenerator(replace(plain64, bits=0))
        case "benbi":  # the number of the sector's first cipher block, counted from 1
            blocks_shift = (512 // iv_size).bit_length() - 1
            return IvGenerator(replace(plain64, shift_left=blocks_shift, plus=1, big_endian=True))
        case "essiv":
            return IvGenerator(plain64, _essiv_cipher(spec, key))
    raise Unsupported(
        f"luksafe cannot decrypt {spec}: {_ELSEWHERE.get(spec.iv, f'no IV generator called {spec.iv!r} is known')}",
        hint="Open the volume with cryptsetup on a kernel with dm-crypt.",
    )


_ELSEWHERE = {
    "lmk": "the IV generator lmk belongs to loop-AES, and LUKS has no use for it",
    "tcw": "the IV generator tcw belongs to old TrueCrypt volumes, and LUKS has no use for it",
    "eboiv": "the IV generator eboiv belongs to BitLocker, and LUKS has no use for it",
    "elephant": "the IV generator elephant belongs to BitLocker, and LUKS has no use for it",
}


def _essiv_cipher(spec: CipherSpec, key: Buffer) -> BlockCipher:
    """The same cipher, under the hash of the key."""
    salt = bytearray(_kernel_hash(spec.iv_option, key))
    try:
        return block_cipher(spec.cipher, salt)
    finally:
        salt[:] = bytes(len(salt))


def _kernel_hash(name: str, data: Buffer) -> bytes:
    """A hash under the kernel's name; wp256 and wp384 are Whirlpool cut short."""
    if name in ("wp256", "wp384", "wp512"):
        return new_hash("whirlpool")(data).digest()[: int(name[2:]) // 8]
    return new_hash(name)(data).digest()
