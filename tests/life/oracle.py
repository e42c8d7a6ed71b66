"""What cryptsetup and an independent AES-XTS say: which header opens which data with which passphrase."""

from __future__ import annotations

import gzip
import hashlib
import json
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import XTS

SECTOR_BYTES = 512
DATA_OFFSET_BYTES = 3 << 20
LOOKED_AT = (0, 2, 3, 8, 100, 1000, 2047)
"""The sectors of the data that are compared; all data are written at once, so these stand for all."""
PBKDF = ("--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000")


def cryptsetup(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run cryptsetup without a terminal."""
    return subprocess.run(
        ["cryptsetup", "-q", *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True, text=True
    )


def crypt_data(volume_key: bytes, data: bytes, *, decrypt: bool = False, first_sector: int = 0) -> bytes:
    """AES-XTS-plain64 over 512-byte sectors, by OpenSSL one sector at a time."""
    out = []
    for number in range(len(data) // SECTOR_BYTES):
        cipher = Cipher(AES(volume_key), XTS((first_sector + number).to_bytes(16, "little")))
        context = cipher.decryptor() if decrypt else cipher.encryptor()
        out.append(context.update(data[number * SECTOR_BYTES : (number + 1) * SECTOR_BYTES]))
    return b"".join(out)


_KEYS: dict[tuple[bytes, str], frozenset[bytes]] = {}
"""What is known already: cryptsetup's answer depends on nothing but the header area and the passphrase."""


def volume_keys(header: Path, passphrases: Iterable[Path], scratch: Path) -> set[bytes]:
    """All volume keys that cryptsetup takes out of a header with these passphrases, from any keyslot."""
    area = header.read_bytes()[:DATA_OFFSET_BYTES]
    content = hashlib.sha256(area).digest()
    found: set[bytes] = set()
    for passphrase in passphrases:
        known = (content, passphrase.read_text())
        if known not in _KEYS:
            _KEYS[known] = _take_keys(area, passphrase, scratch)
        found |= _KEYS[known]
    return found


def _take_keys(area: bytes, passphrase: Path, scratch: Path) -> frozenset[bytes]:
    """From a copy: cryptsetup writes when it looks. In reencryption every keyslot may hold another key."""
    if not (area[:4] == b"LUKS" or any(area[at : at + 4] == b"SKUL" for at in range(0x4000, 0x400000, 0x4000))):
        return frozenset()
    copy, key_file = scratch / "looked-at", scratch / "volume-key"
    copy.write_bytes(area.ljust(4 << 20, b"\0"))
    found = set()
    for slot in (None, *range(8)) if b"reencrypt" in area[:0x8000] else (None,):
        key_file.unlink(missing_ok=True)
        where = ["--key-file", passphrase, "--volume-key-file", key_file]
        if slot is not None:
            where += ["--key-slot", str(slot)]
        if cryptsetup("luksDump", "--dump-volume-key", *where, copy).returncode == 0:
            found.add(key_file.read_bytes())
    return frozenset(found)


def is_in_reencryption(header: Path, scratch: Path) -> bool:
    """Whether LUKS2 metadata say that a reencryption is going on."""
    copy = scratch / "looked-at"
    copy.write_bytes(header.read_bytes()[: 4 << 20].ljust(4 << 20, b"\0"))
    dumped = cryptsetup("luksDump", "--dump-json-metadata", copy)
    return dumped.returncode == 0 and "mandatory" in json.loads(dumped.stdout)["config"].get("requirements", {})


def opens_data(keys: Iterable[bytes], ciphertext: bytes, plaintext: bytes) -> bool:
    """Whether one of the keys decrypts the data to what was written."""
    return any(_is_key(key, ciphertext, plaintext) for key in keys)


def _is_key(key: bytes, ciphertext: bytes, plaintext: bytes) -> bool:
    for number in LOOKED_AT:
        at = slice(number * SECTOR_BYTES, (number + 1) * SECTOR_BYTES)
        if crypt_data(key, ciphertext[at], decrypt=True, first_sector=number) != plaintext[at]:
            return False
    return True


def data_of(image: Path) -> bytes:
    """The encrypted data of an image."""
    with image.open("rb") as opened:
        opened.seek(DATA_OFFSET_BYTES)
        return opened.read()


def stored_headers(places: Sequence[Path], scratch: Path) -> Iterator[tuple[Path, Path]]:
    """Every stored header of these vault folders, unpacked: where it stands, and the unpacked file."""
    for place in places:
        for packed in sorted(place.glob("*/*.hdr.gz")):
            unpacked = scratch / "stored-header"
            unpacked.write_bytes(gzip.decompress(packed.read_bytes()))
            yield packed, unpacked
