"""Disks built by hand, for formats whose tools are not at hand; laid out after the published descriptions."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping

from luksafe.probe.checksums import folded_sum32
from luksafe.probe.recognise import recognise
from luksafe.probe.recognised import Recognised
from luksafe.reader import BytesReader

MIB = 1 << 20
UUID_BYTES = bytes.fromhex("6f2b1c3d0a4e4b5c8d7e9fa0b1c2d3e4")
UUID = "6f2b1c3d-0a4e-4b5c-8d7e-9fa0b1c2d3e4"
IDENTIFIER = bytes.fromhex("3bd66749292ed84a8399f6a339e3d001")


def disk(size: int, pieces: Mapping[int, bytes]) -> bytes:
    """Zeros with pieces at byte offsets; negative ones count from the end."""
    out = bytearray(size)
    for at, piece in pieces.items():
        start = at if at >= 0 else size + at
        out[start : start + len(piece)] = piece
    assert len(out) == size
    return bytes(out)


def one(data: bytes, name: str) -> Recognised:
    """The only match, which must have this name."""
    found = recognise(BytesReader(data))
    assert [match.name for match in found] == [name], found
    return found[0]


def fields(size: int, values: Mapping[int, bytes]) -> bytes:
    """A structure of ``size`` bytes with fields at byte offsets."""
    return disk(size, values)


def xdr_string(text: str) -> bytes:
    raw = text.encode()
    return struct.pack(">I", len(raw)) + raw + bytes(-len(raw) % 4)


def xdr_pair(name: str, kind: int, value: bytes) -> bytes:
    body = xdr_string(name) + struct.pack(">II", kind, 1) + value
    return struct.pack(">II", len(body) + 8, len(body) + 8) + body


def zfs_label(offset: int, *, order: str = "little", name: str = "tank") -> bytes:
    """The name-value list of a vdev label, with its checksum ("ZFS On-Disk Specification", 1.3)."""
    pairs = (
        xdr_pair("version", 8, struct.pack(">Q", 5000)),
        xdr_pair("name", 9, xdr_string(name)),
        xdr_pair("pool_guid", 8, struct.pack(">Q", 1234567890123456789)),
        xdr_pair("guid", 8, struct.pack(">Q", 42)),
    )
    body = (b"\1\1\0\0" + struct.pack(">II", 0, 1) + b"".join(pairs)).ljust((112 << 10) - 40, b"\0")
    mark = "<" if order == "little" else ">"
    body += struct.pack(mark + "Q", 0x0210DA7AB10C7A11)
    digest = hashlib.sha256(body + struct.pack(mark + "4Q", offset, 0, 0, 0)).digest()
    return body + struct.pack(mark + "4Q", *struct.unpack(">4Q", digest))


def md_superblock(sector: int, *, bitmap: int = 0, level: int = 1, devices: int = 3) -> bytes:
    """Metadata 1.x for a place given in sectors ("RAID superblock formats")."""
    head = bytearray(256 + 2 * devices)
    struct.pack_into("<IIII", head, 0, 0xA92B4EFC, 1, 1 if bitmap else 0, 0)
    head[16:32] = UUID_BYTES
    head[32:40] = b"host:0\0\0"
    struct.pack_into("<i", head, 72, level)
    struct.pack_into("<i", head, 96, bitmap)
    struct.pack_into("<QQQ", head, 128, 2048, 4096, sector)
    struct.pack_into("<I", head, 220, devices)
    padded = bytes(head) + bytes(-len(head) % 4)
    struct.pack_into("<I", head, 216, folded_sum32(padded))
    return bytes(head)


def md_090_superblock(order: str) -> bytes:
    """Metadata 0.90 in the byte order of the machine that wrote it."""
    words = [0] * 1024
    words[:6] = [0xA92B4EFC, 0, 90, 0, 0, 0x6F2B1C3D]
    words[7], words[8], words[13:16] = 5, 1000, [0x0A4E4B5C, 0x8D7E9FA0, 0xB1C2D3E4]
    total = sum(words)
    words[38] = (total & 0xFFFFFFFF) + (total >> 32)
    return struct.pack(("<" if order == "little" else ">") + "1024I", *words)


def hfsplus_header(size: int, block: int = 4096) -> bytes:
    """A volume header (TN1150) with a catalog of four blocks at block 5."""
    catalog = struct.pack(">II", 5, 4)
    return fields(
        512,
        {
            0: b"H+" + struct.pack(">HI", 4, 0) + b"10.0",
            40: struct.pack(">III", block, size // block, 7),
            272 + 16: catalog,
        },
    )


def bitlocker_boot_sector(kind: str) -> bytes:
    """The first sector of Windows Vista, Windows 7, or BitLocker To Go (libbde's description)."""
    common: dict[int, bytes] = {0: b"\xeb\x58\x90", 11: struct.pack("<HB", 512, 8), 510: b"\x55\xaa"}
    blocks = struct.pack("<3Q", 65536, 262144, 524288)
    if kind == "vista":
        return fields(512, common | {3: b"-FVE-FS-", 56: struct.pack("<Q", 16)})
    at, name = (160, b"-FVE-FS-") if kind == "7" else (424, b"MSWIN4.1")
    return fields(512, common | {3: name, at: IDENTIFIER + blocks})
