"""Volumes from the corpus, opened with the tests' own small LUKS reader, and volumes made here."""

from __future__ import annotations

import json
import struct
from typing import Any

from conftest import Corpus
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from minimal_luks import read_volume, unlock

from luksafe.luks.model import Segment
from luksafe.reader import BytesReader
from luksafe.secret import SecretBytes
from luksafe.view.stream import DecryptedReader


def segments_of(header: bytes) -> list[Segment]:
    """The data segments of the header of either format."""
    if struct.unpack_from(">H", header, 6)[0] == 1:
        volume = read_volume(header)
        return [Segment(0, "crypt", volume.data_offset, None, 0, volume.encryption)]
    document = document_of(header)
    found = [_segment(int(number), entry) for number, entry in document["segments"].items()]
    return sorted((segment for segment in found if not segment.is_backup), key=lambda segment: segment.id)


def document_of(header: bytes) -> dict[str, Any]:
    (size,) = struct.unpack_from(">Q", header, 8)
    document: dict[str, Any] = json.loads(header[4096:size].split(b"\0")[0])
    return document


def _segment(number: int, entry: dict[str, Any]) -> Segment:
    return Segment(
        number,
        entry["type"],
        int(entry["offset"]),
        None if entry["size"] == "dynamic" else int(entry["size"]),
        int(entry.get("iv_tweak", 0)),
        entry.get("encryption", ""),
        entry.get("sector_size", 512),
        entry.get("integrity"),
        tuple(entry.get("flags", ())),
    )


def slot_key(header: bytes, slot: int, passphrase: bytes) -> SecretBytes:
    """What the keyslot gives for the passphrase: the volume key, if it is the right one."""
    return unlock(header, read_volume(header).slots[slot], passphrase)


def xts_sector(key: bytes, number: int, plaintext: bytes) -> bytes:
    """One encryption sector of aes-xts-plain64, encrypted by OpenSSL's own XTS."""
    encryptor = Cipher(algorithms.AES(key), modes.XTS(number.to_bytes(16, "little"))).encryptor()
    return encryptor.update(plaintext) + encryptor.finalize()


def encrypt_xts(key: bytes, plaintext: bytes, *, sector_size: int = 512, iv_tweak: int = 0) -> bytes:
    """A run of sectors of aes-xts-plain64 as dm-crypt writes them."""
    return b"".join(
        xts_sector(key, iv_tweak + at // 512, plaintext[at : at + sector_size])
        for at in range(0, len(plaintext), sector_size)
    )


def decrypted(corpus: Corpus, case_id: str) -> DecryptedReader:
    """The decrypted volume of a corpus case."""
    case = corpus.cases[case_id]
    header = corpus.data(case_id, "header" if "header" in case["files"] else "image")
    segments = segments_of(header)
    key = corpus_key(corpus, case_id, header)
    return DecryptedReader(BytesReader(corpus.data(case_id)), segments, {segment.id: key for segment in segments})


def corpus_key(corpus: Corpus, case_id: str, header: bytes) -> SecretBytes:
    """The volume key of a corpus case, by the first passphrase or key file that opens it."""
    attempts = corpus.cases[case_id]["unlock"]
    attempt = next(a for a in attempts if a["opens"] and not a.get("unbound") and "opened_slot" in a)
    if "keyfile" in attempt:
        passphrase = corpus.data(case_id, attempt["keyfile"])
    elif "passphrase" in attempt:
        passphrase = attempt["passphrase"].encode()
    else:
        passphrase = bytes.fromhex(attempt["passphrase_hex"])
    return slot_key(header, attempt["opened_slot"], passphrase)
