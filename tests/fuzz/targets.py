"""What is fuzzed: each target takes any bytes and must end in silence, or in one of our own errors."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress

from fuzz.more_targets import MORE_SEEDS, MORE_TARGETS
from generators.headers import PASSPHRASE, document_of, luks1_image, luks2_image, with_binary, with_document
from generators.headers import with_json_area as _sealed
from vault_samples import record_of

from luksafe.crypto.kdf_limits import KdfLimits
from luksafe.crypto.sectors import sector_cipher
from luksafe.crypto.spec import CipherSpec
from luksafe.device.crypt_table import parse_crypt_table
from luksafe.device.crypttab import parse_crypttab
from luksafe.errors import DamagedInput, LuksafeError, Refused, Unsupported, UsageError
from luksafe.luks.compact import capture
from luksafe.luks.compare import compare
from luksafe.luks.inspection import inspect
from luksafe.luks.luks2 import json_area
from luksafe.luks.luks2.validate import validate
from luksafe.luks.unlock import unlock
from luksafe.ops.describe import describe_inspection
from luksafe.reader import BytesReader
from luksafe.secret import SecretBytes
from luksafe.vault.document import encode_document, to_json
from luksafe.vault.name import Kind, Name
from luksafe.vault.record import Proof, Tombstone, decode, encode, tag_of

LUKS1, LUKS2 = luks1_image(), luks2_image()[:300_000]
LUKS1_BYTES, LUKS2_BYTES = 592, 32768
JSON_AREA_BYTES = 12288
UUID, ID = "2c5b1d66-6f54-4f0a-8a1b-0123456789ab", "0" * 32
CHEAP = KdfLimits(memory_kib=1024, time_cost=1, iterations=2000)


def look(image: bytes) -> None:
    """Everything that reading a header does, short of unlocking."""
    reader = BytesReader(image)
    seen = inspect(reader)
    json.dumps(describe_inspection(seen))
    capture(reader, seen)
    if seen.header:
        assert {change.code for change in compare(seen.header, seen.header)} <= {"parser-stopped"}


def inspect_image(data: bytes) -> None:
    """The bytes are the start of a device; the keyslot areas of a real one follow."""
    rest = LUKS1[LUKS1_BYTES:] if data[6:8] == b"\0\1" else LUKS2[LUKS2_BYTES:]
    look(data)
    look(data[:LUKS2_BYTES] + rest)


def sealed_json(data: bytes) -> None:
    """The bytes are the JSON area of both copies, under good checksums: as a hostile header has them."""
    look(_sealed(LUKS2, data[:JSON_AREA_BYTES].ljust(JSON_AREA_BYTES, b"\0")))


def json_document(data: bytes) -> None:
    """Decoding and validation alone."""
    document, findings = json_area.decode(data)
    assert document is not None or findings
    if document is not None:
        validate(document, len(data))


def unlock_keyslot(data: bytes) -> None:
    """The bytes are a keyslot as JSON; opening it stays within the limits."""
    with suppress(ValueError, RecursionError):
        raw = json.loads(data)
        image = with_document(LUKS2, lambda document: document["keyslots"].update({"0": raw}))
        reader = BytesReader(image)
        with suppress(LuksafeError):
            unlock(reader, inspect(reader).require_header(), SecretBytes(PASSPHRASE), limits=CHEAP)


def vault_document(data: bytes) -> None:
    """The bytes are a file of the vault, or its JSON before its checksum was added, of every kind that is JSON."""
    _decode_as_every_kind(data)
    with suppress(ValueError, RecursionError, UsageError):
        content = json.loads(data)
        if isinstance(content, dict):
            _decode_as_every_kind(encode_document(content))


def _decode_as_every_kind(data: bytes) -> None:
    for kind in (Kind.RECORD, Kind.TOMBSTONE, Kind.PROOF, Kind.SIGHTING):
        tag = tag_of(data) if kind in (Kind.PROOF, Kind.SIGHTING) else ""
        with suppress(DamagedInput, Unsupported):
            encode(decode(Name(UUID, ID, kind, tag), data))


def cipher(data: bytes) -> None:
    """A cipher as a header or a crypt table spells it."""
    text = data.decode("utf-8", "surrogateescape")
    with suppress(Unsupported):
        spec = CipherSpec.parse(text)
        assert CipherSpec.parse(str(spec)) == spec
    with suppress(Unsupported, DamagedInput, Refused):
        sector_cipher(text, SecretBytes(bytes(range(64)))).decrypt(bytes(512), 0)


def crypt_table(data: bytes) -> None:
    """A line of ``dmsetup table``."""
    with suppress(DamagedInput):
        json.dumps(parse_crypt_table(bytearray(data)).to_json())


def crypttab(data: bytes) -> None:
    """/etc/crypttab."""
    for entry in parse_crypttab(data.decode("utf-8", "replace")):
        str(entry.header_file)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "inspect": inspect_image,
    "sealed-json": sealed_json,
    "json": json_document,
    "unlock": unlock_keyslot,
    "vault": vault_document,
    "cipher": cipher,
    "crypt-table": crypt_table,
    "crypttab": crypttab,
    **MORE_TARGETS,
}

_JSON = json.dumps(document_of(LUKS2)).encode()
_KEYSLOT = document_of(LUKS2)["keyslots"]["0"]
_PBKDF2 = {**_KEYSLOT, "kdf": {"type": "pbkdf2", "hash": "sha256", "iterations": 1000, "salt": "AAAA"}}
_WHEN = "2026-11-24T06:44:00Z"
_TOMBSTONE = Tombstone(id=ID, when=_WHEN, why="x")
SEEDS: dict[str, list[bytes]] = {
    "inspect": [LUKS1[:LUKS1_BYTES], LUKS2[:LUKS2_BYTES], with_binary(LUKS2, seqid=7)[:LUKS2_BYTES]],
    "sealed-json": [_JSON],
    "json": [_JSON + b"\0" * 8],
    "unlock": [json.dumps(_KEYSLOT).encode(), json.dumps(_PBKDF2).encode()],
    "vault": [
        encode(_TOMBSTONE),
        json.dumps(to_json(_TOMBSTONE)).encode(),
        json.dumps(to_json(Proof(id=ID, when=_WHEN, method="passphrase", keyslot=0, digest=0))).encode(),
        json.dumps(to_json(record_of(id=ID, image_sha256=ID * 2, image_size=2000, kept=[(0, 1000)]))).encode(),
    ],
    "cipher": [b"aes-xts-plain64", b"capi:cbc(aes)-essiv:sha256", b"aes:64-cbc-lmk", b"xchacha20,aes-adiantum-plain64"],
    "crypt-table": [
        b"0 126976 crypt aes-xts-plain64 " + b"0f" * 64 + b" 0 254:0 4096 2 allow_discards sector_size:4096",
        b"0 98304 crypt aes-xts-plain64 :64:logon:cryptsetup:" + UUID.encode() + b"-d0 0 254:0 32768",
    ],
    "crypttab": [b"# a comment\naway /dev/vdd none luks,header=/boot/away.header,keyfile-timeout=5s\n"],
    **MORE_SEEDS,
}
