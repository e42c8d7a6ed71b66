"""Each kind of image: the same planted memory must come out of all of them, at its physical addresses."""

from __future__ import annotations

import os
import random
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from unit.memory import planted
from unit.memory.planted import PAGE

from luksafe.errors import DamagedInput, NotFound, Unsupported, UsageError
from luksafe.memory.detect import open_memory
from luksafe.memory.image import MemoryImage

# 64 pages at 1 MiB, and 16 at 4 GiB; the third key lies across a page and a range border of some of the images.
LOW, HIGH = 0x100000, 0x100000000
KEYS = {bits: random.Random(bits).randbytes(bits // 8) for bits in (128, 192, 256)}
PLACES = {0x1004: KEYS[128], 0x8008: KEYS[192], 0x20000 - 120: KEYS[256]}


def low_memory() -> bytes:
    memory = bytearray(random.Random(3).randbytes(64 * PAGE))
    memory[0x10000:0x1C000] = bytes(0xC000)
    return bytes(planted.plant(memory, PLACES))


def high_memory() -> bytes:
    return bytes(planted.plant(bytearray(16 * PAGE), {0x3000: KEYS[256]}))


EXPECTED = {LOW + at: key for at, key in PLACES.items()} | {HIGH + 0x3000: KEYS[256]}


def lime() -> bytes:
    low = low_memory()
    # Two neighbouring ranges, the second one first.
    return (
        planted.lime_range(LOW + 0x20000, low[0x20000:])
        + planted.lime_range(LOW, low[:0x20000])
        + planted.lime_range(HIGH, high_memory())
    )


def elf() -> bytes:
    low = low_memory()
    return planted.elf_core([(HIGH, high_memory()), (LOW + 0x20000, low[0x20000:]), (LOW, low[:0x20000])])


def many_headers_elf() -> bytes:
    return planted.elf_core([(LOW, low_memory()), (HIGH, high_memory())], many=True)


def kdump() -> bytes:
    # (The bitmap of one block reaches to 128 MiB, so the high memory is put right there.)
    return planted.kdump(planted.zlib_pages(low_memory(), LOW // PAGE) | planted.zlib_pages(high_memory(), 0x7000))


def flattened() -> bytes:
    return planted.flatten(kdump())


def qemu() -> bytes:
    pages = planted.pages_of(low_memory(), LOW) | planted.pages_of(high_memory(), HIGH)
    return planted.qemu_stream({"pc.ram": pages, "pc.rom": planted.pages_of(bytes(2 * PAGE))}, sections=3)


def libvirt() -> bytes:
    xml = b"<domain/>\0"
    return b"LibvirtQemudSave" + struct.pack("<5I", 2, len(xml), 1, 0, 0) + bytes(56) + xml + qemu()


def expected_at(low: int, high: int) -> dict[int, bytes]:
    return {low + at: key for at, key in PLACES.items()} | {high + 0x3000: KEYS[256]}


CASES: list[tuple[str, Callable[[], bytes], dict[int, bytes]]] = [
    ("raw", lambda: low_memory() + high_memory(), expected_at(0, 64 * PAGE)),
    ("lime", lime, EXPECTED),
    ("elf-core", elf, EXPECTED),
    ("elf-core", many_headers_elf, EXPECTED),
    ("kdump", kdump, expected_at(LOW, 0x7000 * PAGE)),
    ("kdump", flattened, expected_at(LOW, 0x7000 * PAGE)),
    ("qemu-stream", qemu, EXPECTED),
    ("qemu-stream", libvirt, EXPECTED),
]


def opened(folder: Path, data: bytes) -> MemoryImage:
    path = folder / "image"
    path.write_bytes(data)
    return open_memory(path)


@pytest.mark.parametrize(("kind", "make", "expected"), CASES, ids=lambda value: getattr(value, "__name__", None))
def test_keys_come_out_at_their_addresses(
    kind: str, make: Callable[[], bytes], expected: dict[int, bytes], tmp_path: Path
) -> None:
    image = opened(tmp_path, make())
    assert image.kind == kind
    assert planted.found(image) == expected
    assert image.unreadable_bytes == 0 and image.notes == ()


@pytest.mark.parametrize("make", [kdump, flattened, qemu, lime])
def test_every_stretch_reads_the_same_as_the_whole(make: Callable[[], bytes], tmp_path: Path) -> None:
    image = opened(tmp_path, make())
    whole = bytearray(image.size_bytes + 100)
    image.read_into(0, memoryview(whole))
    assert whole[-100:] == bytes(100)
    source = random.Random(5)
    for _ in range(100):
        start, length = source.randrange(image.size_bytes), source.randrange(1, 40000)
        piece = bytearray(b"\xaa" * length)
        image.read_into(start, memoryview(piece))
        assert piece == whole[start : start + length].ljust(length, b"\0")


@pytest.mark.parametrize("make", [lime, elf, kdump, qemu])
def test_a_dump_that_is_cut_short_gives_what_is_there_and_says_so(make: Callable[[], bytes], tmp_path: Path) -> None:
    whole = make()
    image = opened(tmp_path, whole[: len(whole) * 9 // 10])
    assert KEYS[128] in planted.found(image).values()
    assert image.notes or image.unreadable_bytes
    if image.notes:
        assert "short" in image.notes[0] or "left out" in image.notes[0]


def test_what_follows_a_lime_range_without_a_header_is_left_out(tmp_path: Path) -> None:
    image = opened(tmp_path, planted.lime_range(LOW, low_memory()) + bytes(100))
    assert image.size_bytes == 64 * PAGE and "left out" in image.notes[0]


def test_an_elf_file_without_program_headers_is_searched_whole(tmp_path: Path) -> None:
    data = planted.elf_core([]).ljust(PAGE, b"\0") + low_memory()
    assert set(planted.found(opened(tmp_path, data)).values()) == set(KEYS.values())


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_32_bit_elf_core_of_either_byte_order(order: str, tmp_path: Path) -> None:
    ident = (b"\x7fELF\x01" + (b"\x01" if order == "<" else b"\x02")).ljust(16, b"\0")
    head = ident + struct.pack(order + "HHIIIIIHHHHHH", 4, 3, 1, 0, 52, 0, 0, 52, 32, 2, 0, 0, 0)
    note = struct.pack(order + "8I", 4, 116, 0, 0, 0, 0, 0, 0)
    load = struct.pack(order + "8I", 1, 116, 0, LOW, 64 * PAGE, 64 * PAGE, 0, 0)
    assert planted.found(opened(tmp_path, head + note + load + low_memory())) == {LOW + a: k for a, k in PLACES.items()}


def test_a_kdump_page_that_is_damaged_is_counted_and_hides_no_other(tmp_path: Path) -> None:
    pages = planted.zlib_pages(low_memory())
    pages[0x12] = (1, b"no zlib")
    pages[0x13] = (0, b"short")
    pages[0x14] = (1 | 8, pages[0x14][1])
    pages[0x15] = (0, bytes(2 * PAGE))
    image = opened(tmp_path, planted.kdump(pages))
    assert set(planted.found(image).values()) == set(KEYS.values())
    assert image.unreadable_bytes == 4 * PAGE


@pytest.mark.parametrize(("name", "flag"), [("zstd", 0x20), ("lzo", 0x02), ("snappy", 0x04)])
def test_kdump_pages_of_other_codecs(name: str, flag: int, tmp_path: Path) -> None:
    from unit.memory.codecs import compressor

    compress = compressor(name)
    memory = low_memory()
    pages = {at // PAGE: (flag, compress(memory[at : at + PAGE])) for at in range(0, len(memory), PAGE)}
    pages = {n: page if len(page[1]) <= PAGE else (0, memory[n * PAGE :][:PAGE]) for n, page in pages.items()}
    assert any(page[0] for page in pages.values())
    assert planted.found(opened(tmp_path, planted.kdump(pages))) == PLACES


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from luksafe.memory.sources import codecs

    monkeypatch.setitem(codecs._LIBRARIES, "lzo", ("liblzo2.so.none", "lzo1x_decompress_safe"))
    codecs._foreign.cache_clear()
    image = opened(tmp_path, planted.kdump({1: (2, b"packed")}))
    with pytest.raises(Unsupported, match=r"liblzo2\.so\.none is not installed"):
        planted.found(image)
    codecs._foreign.cache_clear()


@pytest.mark.parametrize(
    ("start", "what", "hint"),
    [
        (b"AVML", "AVML", "avml-convert"),
        (b"QFI\xfb", "qcow2", "dump-guest-memory"),
        (b"\x1f\x8b", "gzip", "gzip -dk"),
        (b"\xfd7zXZ\0", "xz", "xz -dk"),
        (b"LibvirtQemudPart", "unfinished", "again"),
        (b"DISKDUMP", "diskdump", "makedumpfile"),
    ],
)
def test_other_kinds_are_named_with_the_way_out(start: bytes, what: str, hint: str, tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match=what) as caught:
        opened(tmp_path, start.ljust(PAGE, b"\1"))
    assert hint in caught.value.hint
    assert open_memory(tmp_path / "image", as_raw=True).size_bytes == PAGE


@pytest.mark.parametrize(("method", "hint"), [(1, "gzip -d"), (5, "zstd -d"), (6, "virsh dump")])
def test_a_compressed_libvirt_image_says_how_to_unpack_it(method: int, hint: str, tmp_path: Path) -> None:
    data = b"LibvirtQemudSave" + struct.pack("<5I", 2, 10, 1, method, 0) + bytes(56)
    with pytest.raises(Unsupported) as caught:
        opened(tmp_path, data + bytes(100))
    assert hint in caught.value.hint


@pytest.mark.parametrize("flags", [0x40 | 0x20, 0x100 | 0x20])
def test_a_compressed_qemu_stream_says_what_to_do(flags: int, tmp_path: Path) -> None:
    good = planted.qemu_stream({"pc.ram": planted.pages_of(low_memory())})
    at = good.index(struct.pack(">Q", PAGE | 0x28))
    with pytest.raises(Unsupported) as caught:
        opened(tmp_path, good[:at] + struct.pack(">Q", PAGE | flags) + good[at + 8 :])
    assert "--memory-only" in caught.value.hint


def test_a_qemu_stream_that_begins_with_another_section_is_refused(tmp_path: Path) -> None:
    good = planted.qemu_stream({"pc.ram": planted.pages_of(low_memory())})
    with pytest.raises(Unsupported, match="'dsk'"):
        opened(tmp_path, good.replace(b"\x03ram", b"\x03dsk"))
    with pytest.raises(Unsupported, match="version 3"):
        opened(tmp_path, b"QEVM" + bytes(100))
    with pytest.raises(Unsupported, match="unknown part"):
        opened(tmp_path, good.replace(b"configuration/uuid", b"configuration/more"))


@pytest.mark.parametrize(
    "data",
    [
        b"EMiL".ljust(PAGE, b"\0"),
        b"\x7fELF\x07".ljust(PAGE, b"\0"),
        planted.elf_core([(0, bytes(8))])[:54] + b"\x01\0" + planted.elf_core([(0, bytes(8))])[56:],
        b"KDUMP   ".ljust(PAGE, b"\0"),
        b"makedumpfile".ljust(PAGE, b"\0") + struct.pack(">qq", 5, -7),
        b"LibvirtQemudSave",
        b"QEVM\0\0\0\x03\x07",
        b"QEVM\0\0\0\x03\x09".ljust(100, b"\0"),
    ],
)
def test_a_damaged_header_is_one_error_of_ours(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(DamagedInput):
        opened(tmp_path, data)


def test_a_flattened_file_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="no compressed dump") as caught:
        opened(tmp_path, planted.flatten(elf()))
    assert "makedumpfile -R" in caught.value.hint


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(UsageError, match="neither a file nor a block device"):
            open_memory(path)
    with pytest.raises(NotFound):
        open_memory(tmp_path / "absent")
