"""Footprints of hand-built structures; those of real tools are in tests/compat/probe."""

from __future__ import annotations

import struct

from unit.probe.disk import (
    MIB,
    bitlocker_boot_sector,
    disk,
    hfsplus_header,
    md_090_superblock,
    md_superblock,
    zfs_label,
)

from luksafe.probe.footprint import Footprint, Written, footprint
from luksafe.probe.footprint.model import Ranges
from luksafe.probe.recognise import recognise
from luksafe.reader import BytesReader


def first_footprint(data: bytes) -> Footprint:
    reader = BytesReader(data)
    return footprint(reader, recognise(reader)[0])


def certain(found: Footprint) -> list[tuple[int, int]]:
    return [(part.offset, part.length) for part in found.ranges if part.certain]


def possible(found: Footprint) -> list[tuple[int, int]]:
    return [(part.offset, part.length) for part in found.ranges if not part.certain]


def test_ranges_join_neighbours_and_drop_nothing() -> None:
    out = Ranges(1000)
    out.certain(0, 10, "a")
    out.certain(10, 10, "a")
    out.certain(40, 10, "a")
    out.possible(5, 5, "b")
    out.certain(50, 0, "empty")
    out.certain(-5, 10, "before the start")
    found = out.footprint("x")
    assert found.ranges == (
        Written(1000, 20, "a", True),
        Written(1005, 5, "b", False),
        Written(1040, 10, "a", True),
    )
    assert [part.what for part in found.overlapping(1015, 26)] == ["a", "a"]
    assert found.overlapping(1020, 20) == []


def test_md_with_a_bitmap() -> None:
    bitmap = b"bitm" + bytes(36) + struct.pack("<Q4xI", 65536, 65536) + bytes(8) + struct.pack("<I", 16)
    data = disk(4 * MIB, {4096: md_superblock(8, bitmap=8), 8192: bitmap})
    found = first_footprint(data)
    assert certain(found) == [(4096, 512), (8192, 256), (8448, 64)]
    assert (8192, 8192) in possible(found)
    assert (MIB, 2 * MIB) in possible(found)
    gone = first_footprint(disk(4 * MIB, {4096: md_superblock(8, bitmap=8)}))
    assert "the size of the bitmap" in gone.not_covered[0]
    outside = first_footprint(disk(4 * MIB, {4096: md_superblock(8, bitmap=1 << 20)}))
    assert "the size of the bitmap" in outside.not_covered[0]


def test_md_090() -> None:
    found = first_footprint(disk(4 * MIB, {4 * MIB - 65536: md_090_superblock("little")}))
    assert certain(found) == [(4 * MIB - 65536, 4096)]
    assert (0, 1000 * 1024) in possible(found)


def test_zfs() -> None:
    found = first_footprint(disk(2 * MIB, {16384: zfs_label(16384)}))
    assert certain(found) == [(base + 16384, 112 << 10) for base in (0, 256 << 10, 1536 << 10, 1792 << 10)]
    assert not found.discards
    assert "object sets" in found.not_covered[0]


def test_bitlocker() -> None:
    found = first_footprint(disk(MIB, {0: bitlocker_boot_sector("7")}))
    assert certain(found) == [(0, 512), (65536, 65536), (262144, 65536), (524288, 65536)]


def test_hfsplus() -> None:
    found = first_footprint(disk(MIB, {1024: hfsplus_header(MIB)}))
    assert certain(found) == [(0, 1536), (MIB - 1024, 1024)]
    assert (5 * 4096, 4 * 4096) in possible(found)


def test_luks_headers() -> None:
    header = b"LUKS\xba\xbe\0\2" + struct.pack(">QQ", 16384, 3) + bytes(4096 - 24)
    found = first_footprint(disk(65536, {0: header, 4096: b'{"config": {"keyslots_size": "8192"}}'}))
    assert certain(found) == [(0, 32768), (32768, 8192)]
    found = first_footprint(disk(65536, {0: header}))
    assert certain(found) == [(0, 32768), (32768, (16 << 20) - 32768)]
    assert "keyslots area" in found.not_covered[0]
    found = first_footprint(disk(8192, {0: header}))
    assert "keyslots area" in found.not_covered[0]
    luks1 = fields_of_luks1()
    assert certain(first_footprint(disk(65536, {0: luks1}))) == [(0, 592), (592, 4096 * 512 - 592)]


def fields_of_luks1() -> bytes:
    head = bytearray(592)
    head[:8] = b"LUKS\xba\xbe\0\1"
    head[8:11], head[40:51] = b"aes", b"xts-plain64"
    struct.pack_into(">I", head, 104, 4096)
    return bytes(head)


def test_bcache_and_what_is_known_by_its_magic_only() -> None:
    block = bytes(8) + struct.pack("<QQ", 8, 1) + bytes.fromhex("c68573f64e1a45ca8265f57f48ba6d81")
    assert certain(first_footprint(disk(65536, {4096: block}))) == [(4096, 512)]
    found = first_footprint(disk(65536, {0: b"verity\0\0"}))
    assert (certain(found), found.not_covered) == ([(0, 8)], ("all else that DM_verity_hash keeps",))


def test_boot_code() -> None:
    grub = b"\xeb\x63\x90" + bytes(89) + struct.pack("<Q", 1) + bytes(280) + b"GRUB \0Geom\0Hard Disk\0Read\0 Error\r\n"
    lists = struct.pack("<QHH", 50, 3, 0) + struct.pack("<QHH", 2, 9, 0)
    found = first_footprint(disk(65536, {0: grub, 512 + 488: lists}))
    assert certain(found) == [(0, 440), (512, 512), (1024, 9 * 512), (25600, 3 * 512)]
    assert "cannot be read" in first_footprint(disk(512, {0: grub})).not_covered[0]
    found = first_footprint(disk(65536, {0: b"\xfa" + bytes(200) + b"Missing operating system.\r\n"}))
    assert certain(found) == [(0, 440)]
