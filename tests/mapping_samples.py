"""Mappings as the kernel would show them, over files: plaintext in one, ciphertext in the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from generators.headers import UUID, VOLUME_KEY

from luksafe.crypto.sectors import sector_cipher
from luksafe.device.crypt_table import CryptTable, MappingKey
from luksafe.device.mappings import Mapping
from luksafe.secret import SecretBytes


def table(**changes: Any) -> CryptTable:
    """A crypt target whose data begin at 1 MiB."""
    facts: dict[str, Any] = {
        "start_sector": 0,
        "length_sectors": 2048,
        "cipher": "aes-xts-plain64",
        "key": MappingKey("table", 64, secret=SecretBytes(VOLUME_KEY)),
        "iv_offset_sectors": 0,
        "device": "7:0",
        "offset_sectors": 2048,
    }
    return CryptTable(**{**facts, **changes})


def mapping(device: Path, path: Path | None = None, **changes: Any) -> Mapping:
    """A LUKS2 mapping of one target over ``device``."""
    facts: dict[str, Any] = {
        "name": "home",
        "path": str(path or device),
        "number": (253, 0),
        "dm_uuid": f"CRYPT-LUKS2-{UUID.replace('-', '')}-home",
        "type": "LUKS2",
        "luks_uuid": UUID,
        "size_bytes": 1 << 20,
        "is_suspended": False,
        "is_read_only": False,
        "device": str(device),
        "stack": (str(device),),
        "tables": (table(),),
    }
    return Mapping(**{**facts, **changes})


def mapped_files(folder: Path, header: bytes, size: int = 1 << 20, sector_size: int = 512) -> tuple[Path, Path]:
    """A device of a header and encrypted data, and the file of what its mapping shows."""
    clear = (b"All happy families are alike; every unhappy family is unhappy in its own way.\n" * (size // 78 + 1))[
        :size
    ]
    cipher = sector_cipher("aes-xts-plain64", SecretBytes(VOLUME_KEY), sector_size=sector_size)
    device, shown = folder / "device", folder / "shown"
    device.write_bytes(header + bytes(cipher.encrypt(clear, 0)))
    shown.write_bytes(clear)
    return device, shown
