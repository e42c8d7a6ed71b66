"""A volume key alone in a file, as ``--volume-key-file`` writes it: raw bytes, or the same in hexadecimal."""

from __future__ import annotations

import re

from luksafe.errors import DamagedInput
from luksafe.escrow.import_.model import ImportedSecret
from luksafe.secret import SecretBytes
from luksafe.wall import walled

# AES, XTS and LRW keys; longer ones carry the key of an integrity algorithm behind the cipher's
KEY_BYTES = (16, 24, 32, 40, 48, 64, 72, 80, 96, 112, 128)
_HEX = re.compile(rb"[0-9a-fA-F]+[ \t\r\n]*")


def is_raw_key(data: bytes) -> bool:
    """Whether the size of a file is that of a volume key."""
    return len(data) in KEY_BYTES or (_HEX.fullmatch(data) is not None and len(data.strip()) // 2 in KEY_BYTES)


@walled("a volume key file")
def read_raw_key(data: bytes) -> ImportedSecret:
    """The volume key; raises DamagedInput when no volume key has such a size."""
    if _HEX.fullmatch(data) and len(data.strip()) % 2 == 0 and len(data.strip()) // 2 in KEY_BYTES:
        secret = SecretBytes(bytes.fromhex(data.decode()))
    elif len(data) in KEY_BYTES:
        secret = SecretBytes(data)
    else:
        raise DamagedInput(f"a file of {len(data)} bytes is no volume key", hint="most volume keys have 32 or 64 bytes")
    return ImportedSecret("volume-key", secret, source="volume key file", key_bits=len(secret) * 8)
