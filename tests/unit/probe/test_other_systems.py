"""Disk labels, filesystems and RAID members of other systems, each built from its published structure."""

from __future__ import annotations

import shutil
import struct
import subprocess
import zlib
from pathlib import Path

import pytest
from unit.probe.disk import MIB, disk, one

from luksafe.probe.checksums import crc32_raw, crc32c_raw
from luksafe.probe.recognise import recognise
from luksafe.probe.recognised import Kind
from luksafe.reader import BytesReader

UUID_BYTES = bytes(range(1, 17))


def fields(size: int, values: dict[int, bytes]) -> bytearray:
    out = bytearray(size)
    for at, value in values.items():
        out[at : at + len(value)] = value
    return out


def be(value: int, width: int = 4) -> bytes:
    return value.to_bytes(width)


def le(value: int, width: int = 4) -> bytes:
    return value.to_bytes(width, "little")


def xor16(data: bytes) -> bytes:
    folded = 0
    for (word,) in struct.iter_unpack("<H", data):
        folded ^= word
    return le(folded, 2)


def sum_to_zero(block: bytearray, at: int) -> bytes:
    """The block with a big-endian word at ``at`` that makes its words add up to zero."""
    total = sum(word for (word,) in struct.iter_unpack(">I", block))
    block[at : at + 4] = be(-total & 0xFFFFFFFF)
    return bytes(block)


def bsd_label() -> bytes:
    magic = le(0x82564557)
    out = fields(148 + 32, {0: magic, 132: magic, 138: le(2, 2), 148: le(100) + le(64), 160: b"\x07"})
    out[164:176] = le(300) + le(200) + le(0)
    out[176] = 7
    out[136:138] = xor16(bytes(out))
    return bytes(out)


def mac_map() -> bytes:
    entry = {0: b"PM", 4: be(2), 8: be(1), 12: be(63), 48: b"Apple_partition_map"}
    other = {0: b"PM", 4: be(2), 8: be(64), 12: be(1000), 48: b"Apple_UNIX_SVR2"}
    return bytes(fields(512, {0: b"ER" + be(512, 2)})) + bytes(fields(512, entry)) + bytes(fields(512, other))


def amiga_disk() -> bytes:
    head = sum_to_zero(fields(256, {0: b"RDSK", 4: be(64), 16: be(512), 28: be(3)}), 8)
    part = {0: b"PART", 4: be(64), 16: be(0xFFFFFFFF), 140: be(2), 148: be(32), 164: be(2), 168: be(9), 192: b"DOS\x03"}
    return disk(MIB, {512: head, 3 * 512: sum_to_zero(fields(256, part), 8)})


def atari_disk() -> bytes:
    return disk(4 * MIB, {450: be(8192), 454: b"\x01GEM" + be(2) + be(4000), 466: b"\x01XGM" + be(4002) + be(4000)})


def ddf_header() -> bytes:
    out = fields(512, {0: be(0xDE11DE11), 4: b"\xff" * 4, 8: b"Linux-MD", 32: b"01.02.00"})
    out[4:8] = be(zlib.crc32(out))
    return bytes(out)


def silicon() -> bytes:
    out = fields(512, {0x60: le(0x2F000000), 0x10A: le(2, 2)})
    out[0x13E:0x140] = le(-sum(word for (word,) in struct.iter_unpack("<H", out[:0x13E])) & 0xFFFF, 2)
    return bytes(out)


def scoutfs(flags: int) -> bytes:
    out = fields(4096, {4: le(0x103C428B), 40: le(1, 8), 48: le(flags, 8), 56: UUID_BYTES})
    out[:4] = le(crc32c_raw(bytes(out[4:])))
    return bytes(out)


def ubifs() -> bytes:
    out = fields(4096, {0: le(0x06101831), 16: le(4096), 20: b"\x06", 36: le(126976), 40: le(10), 108: UUID_BYTES})
    out[4:8] = le(crc32_raw(bytes(out[8:]), 0xFFFFFFFF))
    return bytes(out)


def ubi() -> bytes:
    out = fields(64, {0: b"UBI#\x01", 24: be(7)})
    out[60:64] = be(crc32_raw(bytes(out[:60]), 0xFFFFFFFF))
    return bytes(out)


def ufs(order: str) -> bytes:
    word = be if order == "big" else le
    values = {48: word(16384), 52: word(2048), 56: word(8), 144: word(0xABCD) + word(1), 680: b"data"}
    return bytes(fields(1376, {**values, 1372: word(0x19540119)}))


END = 4 * MIB
CASES = {
    "bsd": disk(END, {512: bsd_label()}),
    "mac": disk(END, {0: mac_map()}),
    "amiga": amiga_disk(),
    "atari": atari_disk(),
    "ufs": disk(END, {65536: ufs("little")}),
    "reiser4": disk(END, {65536: b"ReIsEr4".ljust(16, b"\0") + bytes(4) + UUID_BYTES + b"four"}),
    "vxfs": disk(END, {1024: le(0xA501FCF5) + le(7)}),
    "nss": disk(END, {4096: b"SPB5" + le(5, 2) + le(0, 2) + le(9, 2)}),
    "scoutfs_data": disk(END, {65536: scoutfs(0)}),
    "scoutfs_meta": disk(END, {65536: scoutfs(1)}),
    "hpfs": disk(END, {8192: bytes.fromhex("49e895f9"), 8704: bytes.fromhex("491891f9")}),
    "ubi": disk(END, {0: ubi()}),
    "ubifs": disk(END, {0: ubifs()}),
    "isw_raid_member": disk(END, {END - 1024: b"Intel Raid ISM Cfg Sig. 1.1.00"}),
    "ddf_raid_member": disk(END, {END - 512: ddf_header()}),
    "adaptec_raid_member": disk(END, {END - 512: be(0x37FC4D1E), END - 256: b"DPTM"}),
    "lsi_mega_raid_member": disk(END, {END - 512: b"$XIDE$"}),
    "nvidia_raid_member": disk(END, {END - 1024: b"NVIDIA  " + le(30)}),
    "promise_fasttrack_raid_member": disk(END, {END - 255 * 512: b"Promise Technology, Inc."}),
    "silicon_medley_raid_member": disk(END, {END - 512: silicon()}),
}


@pytest.mark.parametrize("name", CASES)
def test_it_is_named_as_blkid_names_it(name: str) -> None:
    assert [match.name for match in recognise(BytesReader(CASES[name]))] == [name]


@pytest.mark.parametrize("name", ["ufs", "vxfs", "nss"])
def test_the_other_byte_order_and_places(name: str) -> None:
    other = {"ufs": {8192: ufs("big")}, "vxfs": {8192: be(0xA501FCF5) + be(6)}, "nss": {4096: b"SPB5"}}[name]
    assert one(disk(END, other), name).kind is Kind.FILESYSTEM


def test_labels_and_uuids() -> None:
    assert one(CASES["ufs"], "ufs").label == "data"
    assert one(CASES["ufs"], "ufs").uuid == "0000abcd00000001"
    assert one(CASES["reiser4"], "reiser4").label == "four"
    assert one(disk(END, {0: b"dmvdo001", 40: UUID_BYTES}), "vdo").uuid == "01020304-0506-0708-090a-0b0c0d0e0f10"
    vmfs = disk(END, {2 * MIB: b"\x5e\xf1\xab\x2f" + le(4) + b"\x05" + UUID_BYTES + le(0) + b"store"})
    assert one(vmfs, "VMFS").uuid == "04030201-08070605-0a09-0b0c0d0e0f10"
    assert one(vmfs, "VMFS").label == "store"


def test_partitions_of_the_labels() -> None:
    places = {name: [(p.offset, p.size) for p in one(CASES[name], name).partitions] for name in ("bsd", "mac", "amiga")}
    assert places["bsd"] == [(64 * 512, 100 * 512), (200 * 512, 300 * 512)]
    assert places["mac"][1] == (64 * 512, 1000 * 512)
    assert places["amiga"] == [(2 * 64 * 512, 8 * 64 * 512)]


@pytest.mark.parametrize("label", ["sun", "sgi"])
def test_labels_that_sfdisk_writes(tmp_path: Path, label: str) -> None:
    image = tmp_path / "disk.img"
    image.write_bytes(bytes(64 * MIB))
    subprocess.run(["sfdisk", "-q", image], input=f"label: {label}\n,20M\n", text=True, check=True, capture_output=True)
    match = one(image.read_bytes(), label)
    assert match.kind is Kind.PARTITION_TABLE
    assert match.partitions


@pytest.mark.parametrize("version", ["1", "2", "3"])
def test_minix_as_mkfs_makes_it(tmp_path: Path, version: str) -> None:
    if shutil.which("mkfs.minix") is None:
        pytest.skip("needs mkfs.minix")
    for kib in (100, 1440, 40000):
        image = tmp_path / "minix.img"
        image.write_bytes(bytes(kib * 1024))
        subprocess.run(["mkfs.minix", f"-{version}", image], check=True, capture_output=True)
        assert one(image.read_bytes(), "minix").version == version


def test_a_hibernated_system_is_no_swap() -> None:
    swap = fields(4096, {0: bytes.fromhex("edc302e99856e50c"), 1024: le(1), 4086: b"SWAPSPACE2"})
    match = one(disk(MIB, {0: bytes(swap)}), "swsuspend")
    assert match.version == "tuxonice"
