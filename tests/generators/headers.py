"""Headers made for tests: valid ones, and ones with a single fault whose checksums are right again."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from dataclasses import replace

from luksafe.crypto.sectors import sector_cipher
from luksafe.luks.create import KdfChoice, Parameters, create_header
from luksafe.luks.luks2.binary_header import BINARY_BYTES, BinaryHeader, seal
from luksafe.luks.luks2.json_area import decode, encode
from luksafe.luks.model import Json
from luksafe.secret import SecretBytes

UUID = "2c5b1d66-6f54-4f0a-8a1b-0123456789ab"
PASSPHRASE = b"correct horse"
VOLUME_KEY = bytes(range(64))
CHEAP_PBKDF2 = KdfChoice("pbkdf2", iterations=1000)
CHEAP_ARGON2 = KdfChoice("argon2id", time=1, memory_kib=32, cpus=1)


def seeded_bytes(seed: int = 1) -> Callable[[int], bytes]:
    """A random source that gives the same bytes every time."""
    return random.Random(seed).randbytes


def luks2_image(**changes: object) -> bytes:
    """A LUKS2 header of 1 MiB with one keyslot."""
    parameters = Parameters("luks2", UUID, "aes-xts-plain64", 1 << 20, label="test")
    parameters = replace(parameters, **changes)  # type: ignore[arg-type]
    return create_header(parameters, SecretBytes(VOLUME_KEY), SecretBytes(PASSPHRASE), CHEAP_ARGON2, seeded_bytes())


def luks1_image(passphrase: bytes = PASSPHRASE, **changes: object) -> bytes:
    """A LUKS1 header with data offset 2 MiB and one keyslot; the gap before the data is part of it."""
    parameters = replace(Parameters("luks1", UUID, "aes-xts-plain64", 2 << 20), **changes)  # type: ignore[arg-type]
    header = create_header(parameters, SecretBytes(VOLUME_KEY), SecretBytes(passphrase), CHEAP_PBKDF2, seeded_bytes())
    return header.ljust(parameters.data_offset, b"\0")


def encrypted(plain: bytes, sector_size: int = 512) -> bytes:
    """The ciphertext of a volume that ``luks1_image`` or ``luks2_image`` stands before."""
    cipher = sector_cipher("aes-xts-plain64", SecretBytes(VOLUME_KEY), sector_size=sector_size)
    return bytes(cipher.encrypt(plain, 0))


def document_of(image: bytes, offset: int = 0) -> Json:
    """The JSON of a header copy."""
    binary = BinaryHeader.parse(image[offset:])
    document, findings = decode(image[offset + BINARY_BYTES : offset + binary.hdr_size])
    assert document is not None, findings
    return document


def with_document(image: bytes, change: Callable[[Json], None], copies: tuple[int, ...] = (0, 1)) -> bytes:
    """The image with its JSON changed in some copies, sequence ids as before, checksums made right."""
    size = BinaryHeader.parse(image).hdr_size
    document = copy.deepcopy(document_of(image))
    change(document)
    return with_json_area(image, encode(document, size - BINARY_BYTES), copies)


def with_json_area(image: bytes, area: bytes, copies: tuple[int, ...] = (0, 1)) -> bytes:
    """The image with these bytes as JSON area of some copies, checksums made right."""
    out = bytearray(image)
    size = BinaryHeader.parse(image).hdr_size
    for number in copies:
        start = number * size
        out[start : start + size] = seal(BinaryHeader.parse(image[start:]), area)
    return bytes(out)


def with_binary(image: bytes, copies: tuple[int, ...] = (0, 1), **changes: object) -> bytes:
    """The image with fields of the binary header changed in some copies, checksums made right."""
    out = bytearray(image)
    size = BinaryHeader.parse(image).hdr_size
    for number in copies:
        start = number * size
        binary = replace(BinaryHeader.parse(image[start:]), **changes)  # type: ignore[arg-type]
        area = image[start + BINARY_BYTES : start + size]
        out[start : start + size] = seal(replace(binary, hdr_size=size), area)
        if "hdr_size" in changes:
            out[start + 8 : start + 16] = int(str(changes["hdr_size"])).to_bytes(8, "big")
    return bytes(out)
