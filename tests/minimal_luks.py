"""Just enough of LUKS to take keys and data out of corpus images with the crypto package alone."""

from __future__ import annotations

import base64
import json
import struct
from dataclasses import dataclass
from typing import Any

from luksafe.crypto.hashes import new_hash
from luksafe.crypto.kdf import argon2, pbkdf2
from luksafe.crypto.sectors import sector_cipher
from luksafe.secret import SecretBytes


@dataclass(frozen=True)
class Slot:
    """One keyslot, in LUKS2's words."""

    key_size: int
    stripes: int
    af_hash: str
    area_offset: int
    area_encryption: str
    area_key_size: int
    kdf: dict[str, Any]


@dataclass(frozen=True)
class Volume:
    """A volume: its keyslots and where its data is."""

    slots: dict[int, Slot]
    encryption: str
    sector_size: int
    data_offset: int
    data_size: int | None


def text(field: bytes) -> str:
    return field.split(b"\0")[0].decode()


def read_volume(image: bytes) -> Volume:
    return read_luks1(image) if struct.unpack_from(">H", image, 6)[0] == 1 else read_luks2(image)


def read_luks1(image: bytes) -> Volume:
    cipher, mode, hash_name = text(image[8:40]), text(image[40:72]), text(image[72:104])
    payload, key_size = struct.unpack_from(">II", image, 104)
    slots = {}
    for n in range(8):
        active, iterations, salt, offset, stripes = struct.unpack_from(">II32sII", image, 208 + 48 * n)
        if active == 0x00AC71F3:
            kdf = {"type": "pbkdf2", "hash": hash_name, "salt": salt, "iterations": iterations}
            slots[n] = Slot(key_size, stripes, hash_name, offset * 512, f"{cipher}-{mode}", key_size, kdf)
    return Volume(slots, f"{cipher}-{mode}", 512, payload * 512, None)


def read_luks2(image: bytes) -> Volume:
    (header_size,) = struct.unpack_from(">Q", image, 8)
    document = json.loads(text(image[4096:header_size]))
    slots = {}
    for n, slot in document["keyslots"].items():
        if slot["type"] != "luks2":
            continue
        kdf = {**slot["kdf"], "salt": base64.b64decode(slot["kdf"]["salt"])}
        area, af = slot["area"], slot["af"]
        slots[int(n)] = Slot(
            slot["key_size"], af["stripes"], af["hash"], int(area["offset"]), area["encryption"], area["key_size"], kdf
        )
    segment = document["segments"]["0"]
    size = None if segment["size"] == "dynamic" else int(segment["size"])
    return Volume(slots, segment["encryption"], segment["sector_size"], int(segment["offset"]), size)


def unlock(image: bytes, slot: Slot, passphrase: bytes) -> SecretBytes:
    """The key that the keyslot holds, if the passphrase is right."""
    kdf = slot.kdf
    if kdf["type"] == "pbkdf2":
        key = pbkdf2(kdf["hash"], SecretBytes(passphrase), kdf["salt"], kdf["iterations"], slot.area_key_size)
    else:
        key = argon2(
            kdf["type"],
            SecretBytes(passphrase),
            kdf["salt"],
            time=kdf["time"],
            memory_kib=kdf["memory"],
            lanes=kdf["cpus"],
            length=slot.area_key_size,
        )
    length = slot.key_size * slot.stripes
    area = image[slot.area_offset : slot.area_offset + -(-length // 512) * 512]
    split = sector_cipher(slot.area_encryption, key).decrypt(area, 0)[:length]
    return SecretBytes(merge(split, slot.stripes, slot.af_hash))


def merge(split: bytes | bytearray, stripes: int, hash_name: str) -> bytes:
    hasher, size, digest = new_hash(hash_name), len(split) // stripes, new_hash(hash_name)(b"").digest_size
    block = bytes(size)
    for at in range(0, len(split), size):
        block = bytes(a ^ b for a, b in zip(block, split[at : at + size]))
        if at + size < len(split):
            block = b"".join(
                hasher(struct.pack(">I", i) + block[i * digest : (i + 1) * digest]).digest()[
                    : len(block[i * digest : (i + 1) * digest])
                ]
                for i in range(-(-size // digest))
            )
    return block
