"""Dumps that a real QEMU makes: each must show the memory that QEMU itself shows."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from compat.memory.qemu import RAM_BYTES, Qemu
from unit.memory import planted

from luksafe.memory.detect import open_memory

pytestmark = pytest.mark.skipif(not shutil.which("qemu-system-x86_64"), reason="qemu-system-x86_64 is not installed")

AT = 0x1000000
SIZE = 6 << 20
PLACES = {
    n * 0x10000 + random.Random(n).randrange(0, 0x8000, 4): random.Random(n).randbytes(16 + n % 3 * 8)
    for n in range(0, SIZE >> 16, 5)
} | {0x23000 - 100: bytes(range(32))}
EXPECTED = {AT + at: key for at, key in PLACES.items()}


@pytest.fixture(scope="module")
def dumps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Qemu]]:
    folder = tmp_path_factory.mktemp("qemu")
    memory = bytearray(random.Random(1).randbytes(SIZE))
    memory[0x200000:0x300000] = bytes(0x100000)
    (folder / "planted").write_bytes(planted.plant(memory, PLACES))
    with Qemu(folder / "planted", AT) as qemu:
        assert qemu.do("pmemsave", val=0, size=RAM_BYTES, filename=str(folder / "truth")) == ""
        yield folder, qemu


def compare(path: Path, truth: Path) -> None:
    """What the image shows at its addresses is what the raw memory holds; what it leaves out is zero."""
    image, memory = open_memory(path), bytearray(truth.read_bytes())
    page = bytearray(4096)
    seen = bytearray(RAM_BYTES)
    for offset in range(0, image.size_bytes, 4096):
        image.read_into(offset, memoryview(page))
        at = image.address_of(offset)
        if at < RAM_BYTES and not any(seen[at : at + 4096]):
            seen[at : at + 4096] = page
    assert seen[1 << 20 :] == memory[1 << 20 :]  # (below it QEMU shows the firmware in place of RAM)
    assert image.unreadable_bytes == 0 and image.notes == ()


@pytest.mark.parametrize("kind", ["elf", "kdump-zlib", "kdump-lzo", "kdump-snappy"])
def test_dump_guest_memory(kind: str, dumps: tuple[Path, Qemu]) -> None:
    folder, qemu = dumps
    path = folder / kind
    if error := qemu.do("dump-guest-memory", paging=False, protocol=f"file:{path}", format=kind):
        pytest.skip(f"this QEMU: {error}")
    assert planted.found(open_memory(path)) == EXPECTED
    compare(path, folder / "truth")


def test_pmemsave(dumps: tuple[Path, Qemu]) -> None:
    image = open_memory(dumps[0] / "truth")
    assert image.kind == "raw" and planted.found(image) == EXPECTED


def test_kdump_made_regular_by_makedumpfile(dumps: tuple[Path, Qemu]) -> None:
    if not shutil.which("makedumpfile"):
        pytest.skip("makedumpfile is not installed")
    folder, qemu = dumps
    flat, regular = folder / "flat", folder / "regular"
    assert qemu.do("dump-guest-memory", paging=False, protocol=f"file:{flat}", format="kdump-zlib") == ""
    with flat.open("rb") as source:
        subprocess.run(["makedumpfile", "-R", regular], stdin=source, check=True, capture_output=True)
    assert flat.read_bytes()[:8] == b"makedump" and regular.read_bytes()[:8] == b"KDUMP   "
    assert planted.found(open_memory(regular)) == EXPECTED
    compare(regular, folder / "truth")


def test_migration_stream(dumps: tuple[Path, Qemu]) -> None:
    folder, qemu = dumps
    path = folder / "stream"
    qemu.migrate(path)
    assert open_memory(path).kind == "qemu-stream"
    assert planted.found(open_memory(path)) == EXPECTED
    compare(path, folder / "truth")
