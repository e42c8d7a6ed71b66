"""Every tool's image is recognised as blkid recognises it: name, label, UUID."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from compat.probe.probe_images import ENVIRONMENT, MAKERS, MIB, FileReader, Maker, blkid, make, physical_volume, run

from luksafe.probe.recognise import recognise
from luksafe.probe.recognised import Confidence, Kind, Recognised
from luksafe.reader import BytesReader

if TYPE_CHECKING:
    from conftest import Corpus


def recognised(path: Path, name: str) -> Recognised:
    """The one primary match of that name; the other matches may only be its backups or what guards it."""
    found = recognise(FileReader(path))
    primary = [match for match in found if match.copy == "primary" and match.name not in ("PMBR", "boot-code")]
    assert [match.name for match in primary] == [name], found
    assert all(match.uuid == primary[0].uuid for match in found if match.name == name)
    return primary[0]


@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.id)
def test_same_as_blkid(maker: Maker, tmp_path: Path) -> None:
    path = make(maker, tmp_path / "image")
    match = recognised(path, maker.name)
    oracle = blkid(path)
    assert oracle.get("TYPE", oracle.get("PTTYPE")) == match.name
    if match.kind is Kind.PARTITION_TABLE:
        assert oracle["PTUUID"] == match.uuid
    else:
        assert (oracle.get("LABEL", ""), oracle.get("UUID", "")) == (match.label, match.uuid)
    if match.size_bytes is not None:
        assert maker.size * 0.9 - 65536 <= match.size_bytes <= maker.size + 512
    assert match.confidence is not Confidence.LIKELY or match.name in ("dos", "hfs")


CHECKED = [m for m in MAKERS if m.id in ("ext4", "ext4-1k", "btrfs", "btrfs-sha256", "gpt", "f2fs-csum")]


@pytest.mark.parametrize("maker", CHECKED, ids=lambda m: m.id)
def test_a_damaged_superblock_is_recognised_with_its_checksum_failing(maker: Maker, tmp_path: Path) -> None:
    path = make(maker, tmp_path / "image")
    match = recognised(path, maker.name)
    assert match.checksum
    last = {"ext4": 180, "btrfs": 300, "gpt": 50, "f2fs": 40}[maker.name]
    with path.open("r+b") as image:
        image.seek(match.offset + last)
        byte = image.read(1)[0]
        image.seek(match.offset + last)
        image.write(bytes([byte ^ 1]))
    again = next(found for found in recognise(FileReader(path)) if found.offset == match.offset)
    assert again.checksum is False
    assert again.confidence is Confidence.LIKELY
    assert "does NOT match" in again.evidence


@pytest.mark.parametrize("maker", [m for m in MAKERS if m.id in ("ext4", "fat32", "xfs-v5", "gpt")], ids=lambda m: m.id)
def test_found_at_an_offset(maker: Maker, tmp_path: Path) -> None:
    path = make(maker, tmp_path / "image")
    shift = 1 * MIB + 512
    whole = BytesReader(bytes(shift) + path.read_bytes())
    at_zero, shifted = recognise(FileReader(path)), recognise(whole, offset=shift)
    assert [(m.name, m.offset + shift, m.start + shift) for m in at_zero] == [
        (m.name, m.offset, m.start) for m in shifted
    ]
    for before, after in zip(at_zero, shifted):
        assert [p.offset + shift for p in before.partitions] == [p.offset for p in after.partitions]
    assert all(match.offset != 0 for match in recognise(whole))


def test_partitions_of_a_gpt(tmp_path: Path) -> None:
    maker = next(m for m in MAKERS if m.id == "gpt")
    match = recognised(make(maker, tmp_path / "image"), "gpt")
    (partition,) = match.partitions
    assert (partition.number, partition.offset, partition.size, partition.name) == (1, MIB, 3 * MIB, "name")
    assert partition.type == "0fc63daf-8483-4772-8e79-3d69d8477de4"


def test_logical_partitions_of_a_dos_table(tmp_path: Path) -> None:
    maker = next(m for m in MAKERS if m.id == "dos-logical")
    match = recognised(make(maker, tmp_path / "image"), "dos")
    shown = [(p.number, p.offset // 512, p.size // 512, p.type) for p in match.partitions]
    assert shown[:3] == [(1, 2048, 2048, "0x83"), (2, 4096, 28672, "0x05"), (5, 6144, 4096, "0x83")]
    assert [number for number, *_ in shown] == [1, 2, 5, 6, 7]


def test_backup_gpt_alone(tmp_path: Path) -> None:
    path = make(next(m for m in MAKERS if m.id == "gpt"), tmp_path / "image")
    with path.open("r+b") as image:
        image.write(bytes(64 * 512))
    (match,) = recognise(FileReader(path))
    assert (match.name, match.copy, match.offset, len(match.partitions)) == ("gpt", "backup", 8 * MIB - 512, 1)


def test_backup_superblocks_alone(tmp_path: Path) -> None:
    for name, wiped, copy_at in (
        ("ext4-1k", 4096, 8193 * 1024),
        ("btrfs", MIB, 64 * MIB),
        ("ntfs", 8192, 16 * MIB - 512),
    ):
        path = make(next(m for m in MAKERS if m.id == name), tmp_path / name)
        with path.open("r+b") as image:
            image.write(bytes(wiped))
        (match,) = recognise(FileReader(path))
        assert (match.copy, match.offset, match.start) == ("backup", copy_at, 0)


def test_iso_and_squashfs(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "file.txt").write_text("text " * 1000)
    iso, squashfs, erofs, cramfs = (tmp_path / name for name in ("iso", "squashfs", "erofs", "cramfs"))
    run(("genisoimage", "-quiet", "-J", "-R", "-V", "A Label", "-o", "IMG", str(tree)), iso)
    run(("mksquashfs", str(tree), "IMG", "-quiet", "-no-progress"), squashfs)
    for path, name in ((iso, "iso9660"), (squashfs, "squashfs")):
        match, oracle = recognised(path, name), blkid(path)
        assert (oracle["TYPE"], oracle.get("LABEL", ""), oracle.get("UUID", "")) == (name, match.label, match.uuid)
    for tool, path in (("mkfs.erofs", erofs), ("mkfs.cramfs", cramfs)):
        command = (tool, "IMG", str(tree)) if tool == "mkfs.erofs" else (tool, "-n", "label", str(tree), "IMG")
        run(command, path)
        match, oracle = recognised(path, path.name), blkid(path)
        assert (oracle["TYPE"], oracle.get("LABEL", ""), oracle.get("UUID", "")) == (path.name, match.label, match.uuid)


def test_physical_volume(loop_device: Callable[..., str], tmp_path: Path) -> None:
    image = tmp_path / "disk"
    with image.open("wb") as out:
        out.truncate(64 * MIB)
    physical_volume(Path(loop_device(image)), tmp_path, "--metadatacopies", "2")
    match, oracle = recognised(image, "LVM2_member"), blkid(image)
    assert (oracle["TYPE"], oracle["UUID"]) == (match.name, match.uuid)
    assert match.confidence is Confidence.CERTAIN
    assert match.geometry["metadata_areas"] == 2
    assert "volume group some_group" in match.evidence


@pytest.mark.parametrize(("version", "place"), [("1.0", "1.0-end"), ("1.1", "1.1-start"), ("1.2", "1.2-4k")])
def test_raid_superblocks_of_the_corpus(corpus: Corpus, version: str, place: str) -> None:
    found = recognise(BytesReader(corpus.data(f"dmg-a-md-{place}")))
    match = next(m for m in found if m.name == "linux_raid_member")
    assert (match.version, match.checksum) == (version, True)


def test_zfs_labels(tmp_path: Path) -> None:
    daemon = shutil.which("zfs-fuse", path=ENVIRONMENT["PATH"])
    if daemon is None or shutil.which("zpool", path=ENVIRONMENT["PATH"]) is None:
        pytest.skip("zfs-fuse and its zpool are not installed")
    image = tmp_path / "pool"
    with image.open("wb") as out:
        out.truncate(128 * MIB)
    process = subprocess.Popen([daemon, "--no-daemon"], env=ENVIRONMENT, stdout=-3, stderr=-3)
    try:
        time.sleep(1)
        run(("zpool", "create", "-m", str(tmp_path / "mounted"), "luksafe_test_pool", "IMG"), image)
        run(("zpool", "export", "luksafe_test_pool"), image)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
    found = recognise(FileReader(image))
    assert [match.copy for match in found] == ["primary", "backup", "backup", "backup"]
    oracle = blkid(image)
    assert {(m.name, m.label, m.uuid, m.checksum) for m in found} == {
        (oracle["TYPE"], oracle["LABEL"], oracle["UUID"], True)
    }


# What refuses a device with a signature on it needs to be told; make-bcache cannot be.
FORCE = dict.fromkeys(("mkfs.btrfs", "mkfs.xfs", "mkswap", "mkfs.f2fs", "mkfs.nilfs2"), "-f")


@pytest.fixture(scope="module")
def luks_images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The first 16 MiB of a fresh LUKS1 and a fresh LUKS2 device."""
    folder = tmp_path_factory.mktemp("luks")
    makers = [m for m in MAKERS if m.name == "crypto_LUKS"]
    return {m.id: make(m, folder / m.id).read_bytes()[: 16 * MIB] for m in makers}


@pytest.mark.parametrize("luks", ["luks1", "luks2"])
@pytest.mark.parametrize("maker", [m for m in MAKERS if m.name not in ("crypto_LUKS", "bcache")], ids=lambda m: m.id)
def test_the_culprit_over_a_luks_device(maker: Maker, luks: str, luks_images: dict[str, bytes], tmp_path: Path) -> None:
    """The tool ran by mistake: it is named, and nothing else is, but what is left of LUKS."""

    def fill(path: Path, size: int) -> None:
        with path.open("wb") as out:
            out.write(luks_images[luks][:size])
            out.truncate(size)

    tool, *rest = maker.command
    force = [FORCE[tool]] if tool in FORCE else []
    forced = Maker(maker.id, maker.name, maker.size, (tool, *force, *rest), maker.stdin)
    found = recognise(FileReader(make(forced, tmp_path / "image", fill)))
    assert {m.name for m in found} - {"crypto_LUKS", "PMBR"} == {maker.name}, found
