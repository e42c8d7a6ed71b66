"""Memory with AES key schedules at known places, and images of it."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

from luksafe.memory.image import FileImage, MemoryImage
from luksafe.memory.schedule import expand_key
from luksafe.memory.search import find_schedules
from luksafe.memory.sources.raw import open_raw

PAGE = 4096


def plant(memory: bytearray, keys: Mapping[int, bytes]) -> bytearray:
    """Write the schedule of each key at its place."""
    for at, key in keys.items():
        schedule = expand_key(key)
        assert at + len(schedule) <= len(memory)
        memory[at : at + len(schedule)] = schedule
    return memory


def raw_image(folder: Path, memory: bytes | bytearray) -> FileImage:
    path = folder / "memory.raw"
    path.write_bytes(memory)
    return open_raw(path)


def found(image: MemoryImage, processes: int | None = 1) -> dict[int, bytes]:
    """Address and key of every schedule in the image."""
    return {hit.address: hit.key.reveal() for hit in find_schedules(image, processes=processes)}


def lime_range(address: int, data: bytes) -> bytes:
    return struct.pack("<4sIQQ8x", b"EMiL", 1, address, address + len(data) - 1) + data


def elf_core(loads: list[tuple[int, bytes]], *, many: bool = False) -> bytes:
    """A 64-bit core with one PT_LOAD for each physical address and its bytes."""
    at = 64 + 56 * len(loads) + (64 if many else 0)
    headers, body = b"", b""
    for address, data in loads:
        headers += struct.pack("<II6Q", 1, 0, at + len(body), 0, address, len(data), len(data), 0)
        body += data
    section = 64 + len(headers)
    count = 0xFFFF if many else len(loads)
    ident = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    start = ident + struct.pack("<HHIQQQI6H", 4, 62, 1, 0, 64, section if many else 0, 0, 64, 56, count, 64, 1, 0)
    table = (bytes(44) + struct.pack("<I", len(loads))).ljust(64, b"\0") if many else b""
    return start + headers + table + body


def kdump(pages: Mapping[int, tuple[int, bytes]], *, page_bytes: int = PAGE) -> bytes:
    """A kdump file: frame number → flags of the compression, and the page's bytes in the file."""
    bitmap = bytearray(page_bytes)
    for frame in pages:
        bitmap[frame // 8] |= 1 << frame % 8
    header = bytearray(page_bytes)
    header[:12] = b"KDUMP   \x06\0\0\0"
    struct.pack_into("<iiI", header, 428, page_bytes, 1, 2)
    at = 4 * page_bytes + 24 * len(pages)
    table, body = b"", b""
    for _, (flags, data) in sorted(pages.items()):
        table += struct.pack("<QIIQ", at + len(body), len(data), flags, 0)
        body += data
    return bytes(header) + bytes(page_bytes) + bytes(bitmap) * 2 + table + body


def zlib_pages(memory: bytes, first_frame: int = 0) -> dict[int, tuple[int, bytes]]:
    """The pages of ``memory`` as a kdump file keeps them; pages that do not shrink are stored."""
    out = {}
    for at in range(0, len(memory), PAGE):
        page = bytes(memory[at : at + PAGE])
        packed = zlib.compress(page)
        out[first_frame + at // PAGE] = (1, packed) if len(packed) < PAGE else (0, page)
    return out


def flatten(data: bytes, record_bytes: int = 3000) -> bytes:
    """The flattened form of a file, its records in an order that is not theirs."""
    starts = list(range(0, len(data), record_bytes))
    out = b"makedumpfile".ljust(16, b"\0") + struct.pack(">QQ", 1, 1)
    out = out.ljust(PAGE, b"\0")
    for start in starts[1::2] + starts[::2]:
        piece = data[start : start + record_bytes]
        out += struct.pack(">qq", start, len(piece)) + piece
    return out + struct.pack(">qq", -1, -1)


def qemu_stream(blocks: Mapping[str, Mapping[int, bytes]], *, sections: int = 1) -> bytes:
    """A migration stream: the pages of each block of RAM by address, all-zero ones as one byte."""
    pages = [(name, at, page) for name, block in blocks.items() for at, page in block.items()]
    out = b"QEVM" + struct.pack(">I", 3) + b"\x07" + struct.pack(">I", 2) + b"pc"
    out += b"\x05" + b"\x1econfiguration/target-page-bits" + struct.pack(">II", 1, 12)
    out += b"\x05" + b"\x1aconfiguration/capabilities" + struct.pack(">II", 1, 1) + b"\x05xbzrl"
    out += b"\x05" + b"\x12configuration/uuid" + struct.pack(">I", 1) + bytes(16)
    out += b"\x01" + struct.pack(">I", 2) + b"\x03ram" + struct.pack(">II", 0, 4)
    sizes = {name: PAGE * len(block) for name, block in blocks.items()}
    out += struct.pack(">Q", sum(sizes.values()) | 0x04)
    for name, size in sizes.items():
        out += bytes([len(name)]) + name.encode() + struct.pack(">Q", size)
    out += struct.pack(">Q", 0x10) + b"\x7e" + struct.pack(">I", 2)
    share = -(-len(pages) // sections)
    for number in range(sections):
        out += (b"\x03" if number == sections - 1 else b"\x02") + struct.pack(">I", 2)
        last_name = ""
        for name, at, page in pages[number * share : (number + 1) * share]:
            same = 0x20 if name == last_name else 0
            last_name = name
            fill = page.count(page[:1]) == len(page)
            out += struct.pack(">Q", at | same | (0x02 if fill else 0x08))
            out += b"" if same else bytes([len(name)]) + name.encode()
            out += page[:1] if fill else page
        out += struct.pack(">Q", 0x10) + b"\x7e" + struct.pack(">I", 2)
    return out + b"\x04" + bytes(100)


def pages_of(memory: bytes, first: int = 0) -> dict[int, bytes]:
    return {first + at: bytes(memory[at : at + PAGE]) for at in range(0, len(memory), PAGE)}
