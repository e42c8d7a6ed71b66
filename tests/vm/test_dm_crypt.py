"""The kernel's dm-crypt is the judge: every cipher, mode, IV and sector size gives the bytes that luksafe gives."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path
from typing import Any

import pytest

from luksafe.crypto.sectors import sector_cipher
from luksafe.errors import Unsupported
from luksafe.secret import SecretBytes

pytestmark = pytest.mark.vm

DISK_BYTES = 256 << 10
FIRSTS = [2**32 - 64, 2**41 + 8]
"""IV offsets: across 32 bits, and beyond a petabyte."""

XTS_AND_CBC = {
    "aes-xts-plain64": 64,
    "aes-xts-plain": 32,
    "aes-xts-plain64be": 48,
    "aes-xts-essiv:sha256": 64,
    "aes-xts-essiv:wp256": 64,
    "aes-xts-benbi": 64,
    "aes-xts-null": 64,
    "aes-cbc-plain": 16,
    "aes-cbc-plain64": 24,
    "aes-cbc-plain64be": 32,
    "aes-cbc-essiv:sha256": 32,
    "aes-cbc-essiv:sha3-256": 32,
    "aes-cbc-benbi": 32,
    "aes-cbc-null": 32,
    "camellia-xts-plain64": 64,
    "serpent-xts-plain64": 64,
    "serpent-cbc-essiv:sha256": 32,
    "twofish-xts-plain64": 32,
    "twofish-cbc-plain64": 24,
    "capi:xts(aes)-plain64": 64,
    "capi:cbc(aes)-essiv:sha256": 32,
}
OTHERS = {
    "aes-ecb": 32,
    "aes-pcbc-plain64": 32,
    "aes-ctr-plain64": 32,
    "aes-lrw-benbi": 48,
    "aes-lrw-plain64": 32,
    "serpent-lrw-benbi": 32,
    "xchacha20,aes-adiantum-plain64": 32,
    "xchacha12,aes-adiantum-plain64": 32,
    "xchacha20,aes-adiantum-plain64be": 32,
    "cipher_null-ecb": 0,
    "cast5-cbc-plain": 16,
    "cast5-cbc-benbi": 16,
    "blowfish-cbc-plain64": 16,
    "des3_ede-cbc-plain64be": 24,
}

GUEST = """
import hashlib, json, os, subprocess
os.environ['DM_DISABLE_UDEV'] = '1'
answers = []
for table in json.load(open('/share/dm-crypt-tables.json')):
    made = subprocess.run(['dmsetup', 'create', 'test', '--readonly', '--table', table], capture_output=True, text=True)
    if made.returncode:
        answers.append('kernel: ' + made.stderr.strip())
        continue
    answers.append(hashlib.sha256(open('/dev/mapper/test', 'rb').read()).hexdigest())
    subprocess.run(['dmsetup', 'remove', '--retry', 'test'], check=True, capture_output=True)
print(json.dumps(answers))
"""


def key_of(encryption: str, size: int) -> bytes:
    return random.Random(encryption).randbytes(size)


def cases() -> list[tuple[str, int, int, bool, int]]:
    """Specification, key size, sector size, iv_large_sectors, IV offset."""
    found = [(spec, size, 512, False, first) for spec, size in {**XTS_AND_CBC, **OTHERS}.items() for first in FIRSTS]
    for spec, size in {**XTS_AND_CBC, **OTHERS}.items():
        for sector_size in (1024, 2048, 4096):
            large = sector_size == 2048
            found.append((spec, size, sector_size, large, FIRSTS[0]))
    return found


def table_of(encryption: str, key: bytes, sector_size: int, large: bool, first: int) -> str:
    options = [f"sector_size:{sector_size}"] * (sector_size != 512) + ["iv_large_sectors"] * large
    count = f" {len(options)} {' '.join(options)}" if options else ""
    return f"0 {DISK_BYTES // 512} crypt {encryption} {key.hex() or '-'} {first} /dev/vda 0{count}"


def ours(encryption: str, key: bytes, sector_size: int, large: bool, first: int, data: bytes) -> list[str]:
    """The digests of both paths, which are one when both are right."""
    cipher = sector_cipher(encryption, SecretBytes(key), sector_size=sector_size, iv_large_sectors=large)
    out = bytearray(len(data))
    cipher.decrypt_into(data, memoryview(out), first)
    pieces = b"".join(cipher.decrypt(data[at : at + 8192], first + at // 512) for at in range(0, len(data), 8192))
    return sorted({hashlib.sha256(out).hexdigest(), hashlib.sha256(pieces).hexdigest()})


def test_every_cipher_as_the_kernel_does_it(vm: Any, tmp_path: Path) -> None:
    data = random.Random(0).randbytes(DISK_BYTES)
    disk = tmp_path / "disk.img"
    disk.write_bytes(data)
    tables = [
        table_of(spec, key_of(spec, size), sector_size, large, first)
        for spec, size, sector_size, large, first in cases()
    ]
    (vm.share / "dm-crypt-tables.json").write_text(json.dumps(tables))
    answers = vm.python(GUEST, before="modprobe dm-crypt", disks=[disk], timeout=600)
    wrong, refused = [], []
    for case, answer in zip(cases(), answers, strict=True):
        spec, size, sector_size, large, first = case
        if answer.startswith("kernel: "):
            refused.append((spec, sector_size, answer))
            continue
        try:
            if ours(spec, key_of(spec, size), sector_size, large, first, data) != [answer]:
                wrong.append(case)
        except Unsupported as error:
            refused.append((spec, sector_size, f"luksafe: {error}"))
    assert not wrong
    # The only ones that one side lacks: libgcrypt has no Twofish with 192 bits.
    assert {spec for spec, _, _ in refused} <= {"twofish-cbc-plain64"}, refused
