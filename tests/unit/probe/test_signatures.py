"""Formats whose tools are seldom at hand, and the odd cases of the others."""

from __future__ import annotations

import os
import struct
import zlib

import pytest
from unit.probe.disk import (
    MIB,
    UUID,
    UUID_BYTES,
    bitlocker_boot_sector,
    disk,
    fields,
    hfsplus_header,
    md_090_superblock,
    md_superblock,
    one,
    zfs_label,
)

from luksafe.probe.checksums import crc32c_raw
from luksafe.probe.recognise import recognise
from luksafe.probe.recognised import Confidence, Kind
from luksafe.reader import BytesReader


@pytest.mark.parametrize("order", ["little", "big"])
def test_zfs(order: str) -> None:
    places = (16 << 10, (256 + 16) << 10, 2 * MIB + (16 << 10), 2 * MIB + ((256 + 16) << 10))
    data = disk(2 * MIB + (512 << 10) + 4096, {at: zfs_label(at, order=order) for at in places})
    found = recognise(BytesReader(data))
    assert [m.offset for m in found] == list(places)
    assert {(m.name, m.label, m.uuid, m.version) for m in found} == {
        ("zfs_member", "tank", "1234567890123456789", "5000")
    }
    assert all(m.confidence is Confidence.CERTAIN for m in found)
    moved = disk(MIB, {(256 + 16) << 10: zfs_label(16 << 10, order=order)})
    assert one(moved, "zfs_member").checksum is False


def test_zfs_needs_a_pool_name() -> None:
    assert recognise(BytesReader(disk(MIB, {16 << 10: zfs_label(16 << 10, name="")}))) == []
    assert recognise(BytesReader(disk(MIB, {16 << 10: zfs_label(16 << 10).replace(b"name", b"nome")}))) == []


@pytest.mark.parametrize(("kind", "version"), [("vista", "1"), ("7", "2"), ("to-go", "To Go")])
def test_bitlocker(kind: str, version: str) -> None:
    boot = bitlocker_boot_sector(kind)
    match = one(disk(MIB, {0: boot, 65536: b"-FVE-FS-"}), "BitLocker")
    assert (match.version, match.kind, match.confidence) == (version, Kind.CRYPTO, Confidence.STRONG)
    assert "metadata block at 65536" in match.evidence
    assert match.geometry["metadata_0_offset"] == 65536
    assert (
        "is not there"
        in one(disk(131072, {0: boot}) if kind != "vista" else disk(32768, {0: boot}), "BitLocker").evidence
    )


def test_hfsplus() -> None:
    header = hfsplus_header(MIB)
    first, second = recognise(BytesReader(disk(MIB, {1024: header, -1024: header})))
    assert (first.name, first.copy, first.size_bytes) == ("hfsplus", "primary", MIB)
    assert (second.name, second.copy, second.start) == ("hfsplus", "backup", 0)
    assert first.geometry["catalog_offset"] == 5 * 4096


@pytest.mark.parametrize(("minor", "offset"), [(0, ((2 * MIB // 512 - 16) // 8) * 8 * 512), (1, 0), (2, 4096)])
@pytest.mark.parametrize("devices", [2, 3])
def test_md_1(minor: int, offset: int, devices: int) -> None:
    data = disk(2 * MIB, {offset: md_superblock(offset // 512, bitmap=8, devices=devices)})
    match = one(data, "linux_raid_member")
    assert (match.version, match.uuid, match.label, match.checksum) == (f"1.{minor}", UUID, "host:0", True)
    assert match.geometry["bitmap_sectors"] == 8
    assert (
        one(disk(2 * MIB, {offset: md_superblock(offset // 512, bitmap=-8)}), match.name).geometry["bitmap_sectors"]
        == -8
    )
    assert recognise(BytesReader(disk(2 * MIB, {offset: md_superblock(offset // 512 + 8)}))) == []


@pytest.mark.parametrize("order", ["little", "big"])
def test_md_090(order: str) -> None:
    match = one(disk(MIB + 5000, {MIB - 65536: md_090_superblock(order)}), "linux_raid_member")
    assert (match.version, match.uuid, match.checksum) == ("0.90.0", UUID, True)


@pytest.mark.parametrize(("magic", "version", "uuid_at"), [(0x8374026B, "v08", 40), (0x8374026D, "v09", 48)])
def test_drbd(magic: int, version: str, uuid_at: int) -> None:
    head = {0: struct.pack(">Q", 100), uuid_at: b"\x11" * 8, 60: struct.pack(">II", magic, 8)}
    block = fields(4096, head | {80: struct.pack(">I", 4096)})
    match = one(disk(MIB, {-4096: block}), "drbd")
    assert (match.version, match.uuid, match.size_bytes) == (version, "11" * 8, 51200)


def test_vmfs() -> None:
    volume = {MIB: b"\x0d\xd0\x01\xc0" + struct.pack("<I", 3)}
    filesystem = {2 * MIB: b"\x5e\xf1\xab\x2f" + struct.pack("<I", 14) + bytes(21) + b"label"}
    assert one(disk(3 * MIB, volume), "VMFS_volume_member").version == "3"
    assert one(disk(3 * MIB, filesystem), "VMFS").label == "label"


@pytest.mark.parametrize("magic", ["c68573f666ce90a9d96a60cf803df7ef", "c68573f64e1a45ca8265f57f48ba6d81"])
def test_bcachefs(magic: str) -> None:
    block = fields(1024, {24: bytes.fromhex(magic), 56: UUID_BYTES, 72: b"label", 104: struct.pack("<Q", 8)})
    match = one(disk(MIB, {4096: block}), "bcachefs")
    assert (match.uuid, match.label) == (UUID, "label")


@pytest.mark.parametrize(
    ("name", "offset", "magic"),
    [
        ("DM_integrity", 0, b"integrt\0"),
        ("DM_verity_hash", 0, b"verity\0\0"),
        ("DM_snapshot_cow", 0, b"SnAp\1\0\0\0\1\0\0\0"),
        ("stratis", 516, b"!Stra0tis\x86\xff\x02^\x41rh"),
        ("ceph_bluestore", 0, b"bluestore block device"),
        ("vdo", 0, b"dmvdo001"),
        ("ReFS", 0, b"\0\0\0ReFS\0"),
        ("romfs", 0, b"-rom1fs-"),
    ],
)
def test_plain_magics(name: str, offset: int, magic: bytes) -> None:
    assert one(disk(65536, {offset: magic}), name).confidence in (Confidence.STRONG, Confidence.CERTAIN)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("page", [4096, 65536])
def test_swap_of_other_machines(order: str, page: int) -> None:
    header = struct.pack(order + "III", 1, 99, 0) + UUID_BYTES + b"label"
    match = one(disk(MIB, {1024: header, page - 10: b"SWAPSPACE2"}), "swap")
    assert (match.version, match.uuid, match.label, match.size_bytes) == ("1", UUID, "label", 100 * page)
    assert one(disk(MIB, {page - 10: b"SWAP-SPACE"}), "swap").version == "0"
    assert one(disk(MIB, {1024: header, page - 10: b"S1SUSPEND\0"}), "swsuspend").uuid == UUID


def test_seldom_filesystems() -> None:
    ocfs2 = fields(512, {0: b"OCFSV2", 248: struct.pack("<I", 12), 272: b"label", 336: UUID_BYTES})
    match = one(disk(MIB, {8192: ocfs2}), "ocfs2")
    assert (match.label, match.uuid) == ("label", UUID)
    gfs2 = fields(
        512, {0: b"\x01\x16\x19\x70" + struct.pack(">I", 1), 36: struct.pack(">I", 4096), 160: b"a:b", 256: UUID_BYTES}
    )
    match = one(disk(MIB, {65536: gfs2}), "gfs2")
    assert (match.label, match.uuid) == ("a:b", UUID)


@pytest.mark.parametrize("order", ["<", ">"])
def test_squashfs_3(order: str) -> None:
    block = fields(
        119,
        {
            0: b"hsqs" if order == "<" else b"sqsh",
            28: struct.pack(order + "HH", 3, 1),
            51: struct.pack(order + "I", 131072),
            63: struct.pack(order + "Q", 70000),
        },
    )
    match = one(disk(MIB, {0: block}), "squashfs3")
    assert (match.version, match.size_bytes) == ("3.1", 70000)


@pytest.mark.parametrize(("order", "offset"), [("<", 0), (">", 0), ("<", 512)])
def test_cramfs(order: str, offset: int) -> None:
    block = struct.pack(order + "II", 0x28CD3D45, 5000) + bytes(8) + b"Compressed ROMFS" + bytes(16) + b"label"
    match = one(disk(MIB, {offset: block}), "cramfs")
    assert (match.label, match.size_bytes) == ("label", 5000)


def test_erofs_without_checksum() -> None:
    block = fields(128, {0: b"\xe2\xe1\xf5\xe0", 12: b"\x0c", 36: struct.pack("<I", 9), 48: UUID_BYTES})
    match = one(disk(MIB, {1024: block}), "erofs")
    assert (match.checksum, match.uuid, match.size_bytes) == (None, UUID, 9 * 4096)
    summed = fields(3072, {0: block, 8: b"\1"})
    summed = summed[:4] + struct.pack("<I", crc32c_raw(summed)) + summed[8:]
    assert one(disk(MIB, {1024: summed}), "erofs").checksum is True


def test_luks2_whose_checksum_cannot_be_computed() -> None:
    header = fields(
        4096,
        {0: b"LUKS\xba\xbe\0\2", 8: struct.pack(">QQ", 16384, 3), 72: b"whirlpool", 168: UUID.encode(), 448: b"x" * 64},
    )
    match = one(disk(65536, {0: header}), "crypto_LUKS")
    assert (match.checksum, match.uuid, match.confidence) == (None, UUID, Confidence.STRONG)
    assert "not computed" in match.evidence
    assert "cut short" in one(disk(8192, {0: header}), "crypto_LUKS").evidence
    secondary = fields(4096, {0: header, 256: struct.pack(">Q", 32768)}).replace(b"LUKS", b"SKUL")
    match = one(disk(65536, {32768: secondary}), "crypto_LUKS")
    assert (match.copy, match.offset) == ("backup", 32768)
    assert recognise(BytesReader(disk(65536, {16384: secondary}))) == []


WINDOWS_MESSAGES = b"Invalid partition table\0Error loading operating system\0Missing operating system"
BOOT_CODES = (
    ("grub", b"\xeb\x63\x90" + bytes(380) + b"GRUB \0Geom\0Hard Disk\0Read\0 Error\r\n"),
    (
        "windows-boot",
        b"\x33\xc0" + bytes(300) + b"Invalid partition table\0Error loading operating system\0Missing operating system",
    ),
    ("syslinux", b"\xfa\xfc" + bytes(200) + b"Missing operating system.\r\n"),
    ("isolinux", b"\x45\x52" + bytes(200) + b"isolinux.bin missing or corrupt.\r\n"),
    ("boot-code", b"\xeb\x63\x90" + b"\xed" * 437),
)


@pytest.mark.parametrize(("name", "code"), BOOT_CODES, ids=[name for name, _ in BOOT_CODES])
def test_boot_code(name: str, code: bytes) -> None:
    assert one(disk(65536, {0: code}), name).kind is Kind.BOOT_CODE


def test_a_jump_alone_is_no_boot_code() -> None:
    assert recognise(BytesReader(b"\xeb\x63\x90" + os.urandom(5000))) == []


class TestDosTable:
    """Two fixed bytes are no proof."""

    @staticmethod
    def sector(*entries: tuple[int, int, int, int]) -> bytes:
        table = b"".join(
            struct.pack("<B3xB3xII", flag, kind, first, length) for flag, kind, first, length in entries
        ).ljust(64, b"\0")
        return fields(512, {446: table, 510: b"\x55\xaa"})

    def test_a_table(self) -> None:
        match = one(disk(8 * MIB, {0: self.sector((0x80, 0x83, 2048, 4096), (0, 0x82, 6144, 4096))}), "dos")
        assert [(p.offset, p.size, p.type) for p in match.partitions] == [
            (MIB, 2 * MIB, "0x83"),
            (3 * MIB, 2 * MIB, "0x82"),
        ]

    @pytest.mark.parametrize(
        "entries",
        [
            (),
            ((0x80, 0x83, 2048, 4096), (0x80, 0x82, 6144, 4096)),  # two active
            ((0x17, 0x83, 2048, 4096),),  # no flag
            ((0, 0x83, 2048, 4096), (0, 0x82, 4096, 4096)),  # overlap
            ((0, 0x83, 0, 4096),),  # starts on the table
            ((0, 0x83, 2048, 0),),
            ((0, 0, 2048, 4096),),
            ((0, 0xEE, 63, 4096),),  # protective, but not from sector 1
        ],
    )
    def test_no_table(self, entries: tuple[tuple[int, int, int, int], ...]) -> None:
        assert recognise(BytesReader(disk(8 * MIB, {0: self.sector(*entries)}))) == []

    def test_a_table_of_a_bigger_disk_is_recognised_in_its_first_part(self) -> None:
        match = one(disk(65536, {0: self.sector((0, 0x83, 2048, 1 << 30))}), "dos")
        assert "reaches to sector" in match.evidence

    def test_four_random_entries_need_luck(self) -> None:
        """With random entries the boot flags alone have 28 bits; it is the sum that makes the bound."""
        match = one(disk(65536, {0: self.sector(*((0, 7, 2048 + n * 99, 99) for n in range(4)))}), "dos")
        assert match.bits >= 48

    def test_a_chain_of_logical_partitions_that_bites_its_tail_ends(self) -> None:
        table = self.sector((0, 5, 2048, 8192))
        record = self.sector((0, 0x83, 8, 8), (0, 5, 0, 8))
        loop = self.sector((0, 0x83, 8, 8), (0, 5, 16, 8))
        data = disk(8 * MIB, {0: table, 2048 * 512: loop, 2064 * 512: record})
        assert [p.number for p in one(data, "dos").partitions] == [1, 5, 6]
        assert one(disk(65536, {0: table}), "dos").partitions[0].number == 1


def gpt(sector: int, last: int, *, damaged: bool = False) -> bytes:
    places = struct.pack("<QQQQ", sector, last, 34, last - 34)
    entries = struct.pack("<QIII", 2, 128, 128, zlib.crc32(bytes(128 * 128)))
    head = bytearray(struct.pack("<8sIIII", b"EFI PART", 0x10000, 92, 0, 0) + places + UUID_BYTES + entries)
    struct.pack_into("<I", head, 16, zlib.crc32(bytes(head)) ^ damaged)
    return bytes(head)


@pytest.mark.parametrize("sector_size", [512, 4096])
def test_gpt(sector_size: int) -> None:
    last = MIB // sector_size - 1
    match = one(disk(MIB, {sector_size: gpt(1, last)}), "gpt")
    assert (match.size_bytes, match.checksum, match.partitions) == (MIB, True, ())
    assert one(disk(MIB, {sector_size: gpt(1, last, damaged=True)}), "gpt").checksum is False
    assert recognise(BytesReader(disk(MIB, {sector_size: gpt(2, last)}))) == []
    assert "not readable" in one(disk(sector_size * 2, {sector_size: gpt(1, last)}), "gpt").evidence


def test_an_external_journal_in_the_place_of_a_backup_superblock() -> None:
    superblock = fields(1024, {24: b"\0", 56: b"\x53\xef", 96: struct.pack("<I", 8)})
    assert recognise(BytesReader(disk(16 * MIB, {8193 * 1024: superblock}))) == []


class BrokenReader:
    """Refuses to read behind a place; what lies before is an LVM2 label sector's worth of nothing."""

    def __init__(self, data: bytes, good: int) -> None:
        self._data, self._good = data, good
        self.size_bytes = len(data)

    def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        if offset_bytes + length_bytes > self._good:
            raise OSError(5, "Input/output error")
        return self._data[offset_bytes : offset_bytes + length_bytes]


class LyingReader(BrokenReader):
    """Claims more bytes than it has."""

    def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        return self._data[:1000][offset_bytes : offset_bytes + length_bytes]


def test_unreadable_places_do_not_hide_the_rest() -> None:
    data = disk(4 * MIB, {0: b"verity\0\0"})
    assert [m.name for m in recognise(BrokenReader(data, MIB))] == ["DM_verity_hash"]
    assert recognise(BrokenReader(data, 0)) == []
    assert [m.name for m in recognise(LyingReader(data, 0))] == ["DM_verity_hash"]


def test_an_offset_beyond_the_end() -> None:
    assert recognise(BytesReader(bytes(100)), offset=1000) == []
