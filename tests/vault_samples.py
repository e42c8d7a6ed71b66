"""Small vaults for tests: made of counted bytes and a fixed clock, so that nothing depends on chance."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from luksafe.vault.config import add_store
from luksafe.vault.folder import RandomSource
from luksafe.vault.folder_store import open_home
from luksafe.vault.name import Kind, Name
from luksafe.vault.record import Device, Record
from luksafe.vault.vault import Vault

NOW = datetime(2026, 11, 24, 6, 44, tzinfo=UTC)
LATER = NOW + timedelta(days=2)
UUID = "6c1f8a52-3a0e-4f43-9c56-0b9f5f1f2a11"
OTHER_UUID = "11111111-2222-3333-4444-555555555555"


def counted(seed: str = "") -> RandomSource:
    """Bytes that look random and are the same each time."""
    counter = itertools.count()
    return lambda length: hashlib.shake_128(f"{seed}{next(counter)}".encode()).digest(length)


def image_of(text: str = "first", size: int = 5000) -> bytes:
    """A header image for the vault, which does not look into it: some bytes that do not pack, then zeros."""
    return hashlib.shake_128(text.encode()).digest(1000) + bytes(size - 1000)


def record_of(**changes: Any) -> Record:
    """A record as the caller hands it over."""
    fields: dict[str, Any] = {
        "uuid": UUID,
        "luks": "luks2",
        "seqid": 3,
        "label": "nas",
        "lineage": "digest-1",
        "kept": [(0, 1000), (2000, 500)],
        "whole": False,
        "parameters": {"cipher": "aes-xts-plain64", "key_bits": 512, "keyslots": [{"slot": 0, "salt_sha256": "ab"}]},
        "device": Device(path="/dev/sdb1", by_id="ata-DISK_1", size=1 << 30, partition={"number": 1}),
        "host": "nas",
        "why": "backup",
        "created": "2026-11-24T06:44:00Z",
        "tool": "luksafe 0.1.0",
    }
    return Record(**fields | changes)


def make_vault(folder: Path, *stores: str, seed: str = "", foreign: Collection[str] = ()) -> Vault:
    """A vault in ``folder``/home with these stores beside it, those in ``foreign`` not the user's own, opened."""
    random = counted(f"make{seed}")
    home = open_home(folder / "home", random, create=True)
    for name in stores:
        add_store(home.folder, name, folder / name, random, own=name not in foreign)
    home.close()
    return open_vault(folder, seed)


def open_vault(folder: Path, seed: str = "") -> Vault:
    """The vault that ``make_vault`` made, opened again."""
    return Vault.open(folder / "home", random=counted(f"open{seed}"))


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by relative path, but for the memory of stores."""
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {name: data for name, data in sorted(found.items()) if "seen" not in Path(name).parts}


def image_path(backup_id: str, volume: str = UUID) -> str:
    """Where the image of a backup is in a store."""
    return str(Name(volume, backup_id, Kind.IMAGE))


def record_path(backup_id: str, volume: str = UUID) -> str:
    """Where the record of a backup is in a store."""
    return str(Name(volume, backup_id, Kind.RECORD))


def flip(path: Path, at: int | None = None) -> None:
    """Change one bit in the middle of a file, or at an offset."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2 if at is None else at] ^= 1
    path.write_bytes(data)
