from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from conftest import Corpus
from hypothesis import given
from hypothesis import strategies as st
from unit.view.readers import noise
from unit.view.volumes import decrypted

from luksafe.errors import DamagedInput, NotFound, UsageError
from luksafe.probe.checksums import crc32_raw
from luksafe.probe.recognise import recognise
from luksafe.reader import BytesReader
from luksafe.view.inside.lvm import logical_volumes
from luksafe.view.inside.lvm_text import parse_lvm_text
from luksafe.view.inside.volumes import InnerVolume, choose, inner_volumes

MIB = 1 << 20
CRC_SEED = 0xF597A6CF
PV_ID = "abcdef-ghij-klmn-opqr-stuv-wxyz-012345"
TEXT = """vg {
id = "x"
seqno = 3
status = ["RESIZEABLE", "READ"]
extent_size = 2048	# 1 MiB
physical_volumes {
pv0 {
id = "PV_ID"
pe_start = 2048
pe_count = 10
}
pv1 {
id = "other"
pe_start = 2048
}
}
logical_volumes {
root {
status = ["READ", "WRITE", "VISIBLE"]
segment_count = 2
segment1 {
start_extent = 0
extent_count = 2
type = "striped"
stripe_count = 1
stripes = [
"pv0", 3
]
}
segment2 {
start_extent = 2
extent_count = 1
type = "striped"
stripe_count = 1
stripes = ["pv0", 1]
}
}
spanning {
status = ["VISIBLE"]
segment1 {
start_extent = 0
extent_count = 1
type = "striped"
stripes = ["pv0", 0]
}
segment2 {
start_extent = 1
extent_count = 1
type = "striped"
stripes = ["pv1", 0]
}
}
thin {
status = ["VISIBLE"]
segment1 {
start_extent = 0
extent_count = 1
type = "thin"
}
}
wide {
status = ["VISIBLE"]
segment1 {
start_extent = 0
extent_count = 1
type = "striped"
stripes = ["pv0", 0, "pv1", 0]
}
}
empty {
status = ["VISIBLE"]
}
hidden_rmeta {
status = ["READ"]
}
}
}
contents = "Text Format Volume Group"
creation_time = 1795490062	# Tue Nov 24
description = "say \\"hi\\""
""".replace("PV_ID", PV_ID)


def physical_volume(text: str, *, at: int = 512) -> bytearray:
    """A physical volume with its metadata text at ``at`` of the ring of the metadata area."""
    image = bytearray(noise(12 * MIB))
    image[: 1 * MIB] = bytes(MIB)
    label = bytearray(512)
    label[:8], label[24:32] = b"LABELONE", b"LVM2 001"
    struct.pack_into("<Q", label, 8, 1)
    struct.pack_into("<I", label, 20, 32)
    label[32:64] = PV_ID.replace("-", "").encode()
    struct.pack_into("<Q", label, 64, len(image))
    struct.pack_into("<QQQQQQQQ", label, 72, MIB, 0, 0, 0, 4096, MIB - 4096, 0, 0)
    struct.pack_into("<I", label, 16, crc32_raw(bytes(label[20:]), CRC_SEED))
    image[512:1024] = label
    raw = text.encode() + b"\0"
    area = bytearray(MIB - 4096)
    area[4:20] = b" LVM2 x[5A%r0N*>"
    struct.pack_into("<IQQ", area, 20, 1, 4096, len(area))
    struct.pack_into("<QQII", area, 40, at, len(raw), 0, 0)
    straight = min(len(raw), len(area) - at)
    area[at : at + straight] = raw[:straight]
    area[512 : 512 + len(raw) - straight] = raw[straight:]
    image[4096:MIB] = area
    return image


def volumes_of(image: bytearray) -> dict[str, InnerVolume]:
    return {volume.name: volume for volume in inner_volumes(BytesReader(bytes(image)))}


@pytest.mark.parametrize("at", [512, 4096, MIB - 4096 - 700])
def test_linear_logical_volumes(at: int) -> None:
    image = physical_volume(TEXT, at=at)
    found = volumes_of(image)
    assert list(found) == ["vg/root", "vg/spanning", "vg/thin", "vg/wide", "vg/empty"]
    root = found["vg/root"].reader
    assert root is not None
    assert root.size_bytes == 3 * MIB
    expected = bytes(image[4 * MIB : 6 * MIB] + image[2 * MIB : 3 * MIB])
    assert root.read_at(0, 4 * MIB) == expected
    assert root.read_at(2 * MIB - 100, 200) == expected[2 * MIB - 100 : 2 * MIB + 100]


def test_parts_on_other_disks_and_other_kinds() -> None:
    image = physical_volume(TEXT)
    found = volumes_of(image)
    spanning = found["vg/spanning"].reader
    assert spanning is not None
    assert spanning.read_at(0, MIB) == image[MIB : 2 * MIB]
    with pytest.raises(OSError, match="another disk"):
        spanning.read_at(MIB - 1, 2)
    assert found["vg/thin"].why_not == "it is of type thin"
    assert found["vg/wide"].why_not == "it is striped over several disks"
    assert found["vg/empty"].why_not == "it has no segments"


def test_a_logical_volume_beyond_its_disk() -> None:
    root = volumes_of(physical_volume(TEXT)[: 5 * MIB])["vg/root"].reader
    assert root is not None
    with pytest.raises(OSError, match="beyond the end"):
        root.read_at(0, 2 * MIB)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("extent_size = 2048", 'extent_size = "x"'),
        ("extent_count = 2", "extent_count = -1"),
        ("vg {", "vg {{"),
        ("seqno = 3", "seqno 3"),
    ],
)
def test_damaged_metadata(old: str, new: str) -> None:
    found = volumes_of(physical_volume(TEXT.replace(old, new)))
    assert [volume.reader for volume in found.values()] == [None]
    assert next(iter(found.values())).why_not


def test_segments_that_do_not_fit() -> None:
    found = volumes_of(physical_volume(TEXT.replace("start_extent = 2", "start_extent = 5")))
    assert found["vg/root"].why_not == "its segments do not fit together"


def test_an_area_without_metadata() -> None:
    image = physical_volume(TEXT)
    image[4096 + 40 : 4096 + 64] = bytes(24)
    (label,) = [match for match in recognise(BytesReader(bytes(image))) if match.name == "LVM2_member"]
    with pytest.raises(DamagedInput, match="no metadata"):
        logical_volumes(BytesReader(bytes(image)), label)


def test_lvm_text() -> None:
    assert parse_lvm_text('a = 1 # x\nb { c = "d\\"e" f = [1, "g",] h = 1.5 k = word }') == {
        "a": 1,
        "b": {"c": 'd"e', "f": [1, "g"], "h": 1.5, "k": "word"},
    }
    for bad in ("a", "a {", "a = ", "a = [1", "{", "a = 1 }", "a { " * 30, "\x01"):
        with pytest.raises(DamagedInput):
            parse_lvm_text(bad)


@given(st.text(alphabet='ab1 {}[]=,"#\n\\.-', max_size=60))
def test_any_lvm_text_is_read_or_refused(text: str) -> None:
    try:
        assert isinstance(parse_lvm_text(text), dict)
    except DamagedInput:
        assert text.strip()


def test_partitions_and_filesystems_in_them(tmp_path: Path) -> None:
    if any(not shutil.which(tool) for tool in ("sfdisk", "mkfs.ext4", "mkswap")):
        pytest.skip("needs sfdisk, mkfs.ext4 and mkswap")
    disk, ext4 = tmp_path / "disk", tmp_path / "ext4"
    with disk.open("wb") as file:
        file.truncate(32 * MIB)
    table = "label: gpt\nstart=2048, size=8192\nstart=16384, size=32768\n"
    subprocess.run(["sfdisk", "-q", disk], input=table, text=True, check=True, capture_output=True)
    subprocess.run(["mkfs.ext4", "-q", "-L", "inner", ext4, "16M"], check=True)
    with disk.open("r+b") as file:
        file.seek(8 * MIB)
        file.write(ext4.read_bytes())
    found = inner_volumes(BytesReader(disk.read_bytes()))
    assert [(volume.name, volume.content, volume.label) for volume in found] == [
        ("p1", "", ""),
        ("p2", "ext4", "inner"),
    ]
    assert found[1].reader is not None
    assert found[1].reader.size_bytes == 16 * MIB
    assert choose(found, "") is found[1]
    assert choose(found, "p1") is found[0]


def test_lvm_in_a_partition(tmp_path: Path) -> None:
    if not shutil.which("sfdisk"):
        pytest.skip("needs sfdisk")
    disk = tmp_path / "disk"
    with disk.open("wb") as file:
        file.truncate(16 * MIB)
    subprocess.run(["sfdisk", "-q", disk], input="label: dos\nstart=2048\n", text=True, check=True, capture_output=True)
    with disk.open("r+b") as file:
        file.seek(MIB)
        file.write(physical_volume(TEXT))
    assert "vg/root" in [volume.name for volume in inner_volumes(BytesReader(disk.read_bytes()))]


def test_choosing() -> None:
    reader = BytesReader(b"")
    volumes = [
        InnerVolume("vg/root", reader, "ext4"),
        InnerVolume("vg/home", reader, "xfs"),
        InnerVolume("vg/thin", None, why_not="it is of type thin"),
    ]
    with pytest.raises(UsageError) as several:
        choose(volumes, "")
    assert "vg/root (ext4), vg/home (xfs)" in several.value.hint
    with pytest.raises(NotFound) as missing:
        choose(volumes, "p1")
    assert "vg/home" in missing.value.hint
    with pytest.raises(DamagedInput, match="type thin"):
        choose(volumes, "vg/thin")
    with pytest.raises(NotFound):
        choose([], "")
    assert choose(volumes[:1], "").name == "vg/root"


def test_the_corpus_has_a_physical_volume(corpus: Corpus) -> None:
    (volume,) = inner_volumes(decrypted(corpus, "pl-l1-lvm"))
    assert volume.name == "vgother/root"
    assert volume.reader is not None
    assert volume.reader.size_bytes > 0
