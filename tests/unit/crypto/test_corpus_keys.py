"""The corpus' volume keys and decrypted data, with nothing but this package and a minimal reader of headers."""

from __future__ import annotations

import hashlib
from typing import Any

import minimal_luks
import pytest

from luksafe.crypto.sectors import sector_cipher

CASES = [
    "conv-l1-to-l2-cbc128",
    "g1-cbc-essiv-sha1-128",
    "g1-kcipher-cast5-cbc",
    "g1-kcipher-null",
    "g1-kcipher-serpent-xts-plain",
    "g1-kcipher-twofish-cbc-essiv",
    "g1-xts-plain",
    "qemu-cast5-cbc",
    "qemu-serpent-cbc-essiv",
    "cs-luks1-aes-xts-essiv-wp256-whirlpool",
    "cs-luks1-serpent-xts-plain64-whirlpool",
    "cs-luks1-twofish-xts-plain64-sha256",
    "df-luks1-aes-ecb",
    "g2-cipher-cbc-plain",
    "g2-cipher-xts-plain64be",
    "g2-kcipher-adiantum",
    "g2-kcipher-lrw-benbi",
    "g2-kcipher-null",
    "g2-kcipher-serpent-xts",
    "g2-kcipher-twofish-cbc-plain",
    "g2-kdf-hashes",
    "pl-l2-vfat",
]


def passphrase_of(corpus: Any, case_id: str, entry: dict[str, Any]) -> bytes:
    if "keyfile" in entry:
        start = entry.get("keyfile_offset", 0)
        return corpus.data(case_id, entry["keyfile"])[start:][: entry.get("keyfile_size")]
    return entry["passphrase"].encode() if "passphrase" in entry else bytes.fromhex(entry["passphrase_hex"])


@pytest.mark.parametrize("case_id", CASES)
def test_volume_key_and_data(corpus: Any, case_id: str) -> None:
    case = corpus.cases[case_id]
    image = corpus.data(case_id)
    volume = minimal_luks.read_volume(image)
    opening = [entry for entry in case["unlock"] if entry["opens"] and not entry.get("unbound")]
    assert opening
    for entry in opening:
        passphrase = passphrase_of(corpus, case_id, entry)
        key = minimal_luks.unlock(image, volume.slots[entry["opened_slot"]], passphrase)
        assert hashlib.sha256(key.view).hexdigest() == case["volume_key_sha256"]
    payload = case.get("payload", {})
    if "decrypted_sha256" in payload:
        size = payload.get("size") or volume.data_size or len(image) - volume.data_offset
        data = image[volume.data_offset : volume.data_offset + size]
        plain = sector_cipher(volume.encryption, key, sector_size=volume.sector_size).decrypt(data, 0)
        assert hashlib.sha256(plain).hexdigest() == payload["decrypted_sha256"]
