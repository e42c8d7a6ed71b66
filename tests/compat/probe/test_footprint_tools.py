"""The computed footprint against what the real tools changed in images full of known bytes."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from compat.probe.probe_images import MAKERS, MIB, FileReader, Maker, make, physical_volume, run

from luksafe.probe.footprint import Footprint, footprint
from luksafe.probe.recognise import recognise
from luksafe.probe.recognised import Recognised
from luksafe.reader import BytesReader

if TYPE_CHECKING:
    from conftest import Corpus

SECTOR = 512
# Never zero, never 0xff: whatever a tool writes differs somewhere in each sector.
FILLING = np.random.default_rng(7).integers(1, 255, MIB, dtype=np.uint8)
CERTAIN_MUST_DIFFER = 0.999


def fill(path: Path, size: int) -> None:
    with path.open("wb") as out:
        for at in range(0, size, MIB):
            out.write(FILLING[: min(MIB, size - at)].tobytes())


def changed_sectors(path: Path) -> np.ndarray:
    """Which sectors are no longer the filling."""
    after = np.memmap(path, dtype=np.uint8, mode="r")
    pattern = FILLING.reshape(-1, SECTOR)
    parts = []
    for at in range(0, len(after), MIB):
        sectors = after[at : at + MIB].reshape(-1, SECTOR)
        parts.append((sectors != pattern[: len(sectors)]).any(axis=1))
    return np.concatenate(parts)


def marked(found: Footprint, sectors: int, certain_only: bool) -> np.ndarray:
    """Which sectors the footprint touches (all of it), or covers whole with its certain ranges."""
    marks = np.zeros(sectors, dtype=bool)
    for part in found.ranges:
        if certain_only and part.certain:
            marks[-(-part.offset // SECTOR) : part.end // SECTOR] = True
        elif not certain_only:
            marks[part.offset // SECTOR : -(-part.end // SECTOR)] = True
    return marks


def ranges_of(marks: np.ndarray) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate(([0], marks.astype(np.int8), [0]))))
    return [(int(a) * SECTOR, int(b - a) * SECTOR) for a, b in zip(edges[::2], edges[1::2])]


def check(path: Path, found: Footprint, forgiven: int = 0) -> None:
    """All changes are covered (but ``forgiven`` bytes named as not covered), and what is certain has changed."""
    changed = changed_sectors(path)
    missed = changed & ~marked(found, len(changed), certain_only=False)
    assert missed.sum() * SECTOR <= forgiven, (ranges_of(missed), found)
    certain = marked(found, len(changed), certain_only=True)
    wrong = certain & ~changed
    assert wrong.sum() <= (1 - CERTAIN_MUST_DIFFER) * certain.sum(), (ranges_of(wrong), found)
    assert all(a.offset <= b.offset for a, b in pairwise(found.ranges))


def primary(path: Path, name: str) -> Recognised:
    return next(match for match in recognise(FileReader(path)) if (match.name, match.copy) == (name, "primary"))


def not_discarding(maker: Maker) -> Maker:
    """The same tool told to leave alone what it does not use, so that each write can be seen."""
    command = list(maker.command)
    if command[0].startswith(("mkfs.ext", "mke2fs")):
        command[1:1] = ["-E", "nodiscard"]
    elif command[0] in ("mkfs.xfs", "mkfs.btrfs"):
        command[1:1] = ["-K"]
    elif command[0] == "mkfs.f2fs":
        command[1:1] = ["-t", "0"]
    return Maker(maker.id, maker.name, maker.size, command, maker.stdin)


MAKERS_OF_BOTH = ("mkfs-ntfs", "mkfs-vfat", "mkfs-ext4-nodiscard", "mkswap", "pvcreate", "gpt", "mbr")
RAIDS = ("md-0.90-end", "md-1.0-end", "md-1.1-start", "md-1.2-4k")
CULPRIT_CASES = (
    "dmg-a-mkfs-btrfs",
    "dmg-b-bootcode-440",
    *(f"dmg-{base}-{name}" for base in "ab" for name in (*MAKERS_OF_BOTH, *RAIDS)),
)
COVERED = ("vfat", "exfat", "ntfs", "ext2", "ext3", "ext4", "xfs", "btrfs", "swap", "f2fs", "gpt", "dos", "crypto_LUKS")


@pytest.mark.parametrize("maker", [m for m in MAKERS if m.name in COVERED], ids=lambda m: m.id)
def test_covers_what_the_tool_changed(maker: Maker, tmp_path: Path) -> None:
    path = make(not_discarding(maker), tmp_path / "image", fill)
    check(path, footprint(FileReader(path), primary(path, maker.name)))


BIGGER = (
    Maker("ext4-1g", "ext4", 1024 * MIB, ("mkfs.ext4", "-q", "-F", "-E", "nodiscard", "IMG")),
    Maker("ext4-lazy-off", "ext4", 256 * MIB, ("mkfs.ext4", "-qF", "-E", "nodiscard,lazy_itable_init=0", "IMG")),
    Maker("ext2-4k", "ext2", 256 * MIB, ("mkfs.ext2", "-qF", "-b", "4096", "-E", "nodiscard", "IMG")),
    Maker("xfs-1g", "xfs", 1024 * MIB, ("mkfs.xfs", "-q", "-K", "-m", "rmapbt=1,reflink=1", "IMG")),
    Maker("btrfs-1g", "btrfs", 1024 * MIB, ("mkfs.btrfs", "-q", "-K", "IMG")),
    Maker("fat32-1g", "vfat", 1024 * MIB, ("mkfs.vfat", "-F", "32", "IMG")),
    Maker("exfat-1g", "exfat", 1024 * MIB, ("mkfs.exfat", "IMG")),
    Maker("ntfs-1g", "ntfs", 1024 * MIB, ("mkfs.ntfs", "-F", "-Q", "IMG")),
)


@pytest.mark.slow
@pytest.mark.parametrize("maker", BIGGER, ids=lambda m: m.id)
def test_covers_bigger_volumes(maker: Maker, tmp_path: Path) -> None:
    path = make(maker, tmp_path / "image", fill)
    check(path, footprint(FileReader(path), primary(path, maker.name)))
    path.unlink()


@pytest.mark.parametrize("case_id", CULPRIT_CASES)
def test_covers_the_differing_ranges_of_the_corpus(corpus: Corpus, case_id: str) -> None:
    reader = BytesReader(corpus.data(case_id))
    matches = [match for match in recognise(reader) if match.name != "crypto_LUKS"]
    assert matches
    written = np.zeros(reader.size_bytes, dtype=bool)
    for match in matches:
        for part in footprint(reader, match).ranges:
            written[part.offset : part.end] = True
    for start, end in corpus.cases[case_id]["damage"]["differing_ranges"]:
        assert written[start:end].all(), (start, end)


def test_covers_a_physical_volume(loop_device: Callable[..., str], tmp_path: Path) -> None:
    image = tmp_path / "disk"
    fill(image, 64 * MIB)
    physical_volume(Path(loop_device(image)), tmp_path)
    found = footprint(FileReader(image), primary(image, "LVM2_member"))
    check(image, found)
    assert any("logical volumes" in text for text in found.not_covered)


def test_whole_images_are_covered(tmp_path: Path) -> None:
    tree, image = tmp_path / "tree", tmp_path / "image"
    tree.mkdir()
    (tree / "random").write_bytes(os.urandom(100_000))
    for command, name in (
        (("genisoimage", "-quiet", "-o", "IMG", str(tree)), "iso9660"),
        (("mksquashfs", str(tree), "IMG", "-quiet", "-no-progress", "-noappend"), "squashfs"),
    ):
        run(command, tmp_path / name)
        fill(image, 4 * MIB)
        with image.open("r+b") as out:
            out.write((tmp_path / name).read_bytes())
        check(image, footprint(FileReader(image), primary(image, name)))


def test_grub_with_its_core_image(tmp_path: Path) -> None:
    boot, core, image = Path("/usr/lib/grub/i386-pc/boot.img"), tmp_path / "core.img", tmp_path / "disk"
    if not boot.exists():
        pytest.skip("grub-pc-bin is not installed")
    run(("grub-mkimage", "-O", "i386-pc", "-o", "IMG", "-p", "(hd0)/boot", "biosdisk", "part_msdos", "ext2"), core)
    fill(image, 4 * MIB)
    with image.open("r+b") as out:
        out.write(boot.read_bytes()[:440])
        out.seek(SECTOR)
        out.write(core.read_bytes())
    check(image, footprint(FileReader(image), primary(image, "grub")))


def test_a_damaged_volume_still_has_a_footprint(tmp_path: Path) -> None:
    """What the superblock leads to is gone: the rest is computed, and the gap is said."""
    wiped = (("ext4", 2048, MIB), ("ntfs", 16384, 65536), ("btrfs", 20 * MIB, 40 * MIB), ("exfat", MIB, 4 * MIB))
    for id_, first, end in wiped:
        path = make(not_discarding(next(m for m in MAKERS if m.id == id_)), tmp_path / id_)
        with path.open("r+b") as image:
            image.seek(first)
            image.write(os.urandom(end - first))
        match = next(m for m in recognise(FileReader(path)) if m.copy == "primary")
        found = footprint(FileReader(path), match)
        assert len(found.ranges) > 2
        assert any("cannot be read" in text or "the rest of" in text for text in found.not_covered), (id_, found)


def test_backup_superblocks_give_the_same_footprint(tmp_path: Path) -> None:
    for id_ in ("ext4-1k", "btrfs", "ntfs", "gpt", "exfat"):
        path = make(not_discarding(next(m for m in MAKERS if m.id == id_)), tmp_path / id_)
        reader = FileReader(path)
        first, second = (
            next(m for m in recognise(reader) if m.copy == copy and m.name != "PMBR") for copy in ("primary", "backup")
        )
        assert footprint(reader, first).ranges == footprint(reader, second).ranges, id_


@pytest.mark.parametrize("id_", ["ext4", "f2fs", "fat16", "ntfs", "swap-4k"])
def test_what_is_not_covered_was_discarded(id_: str, tmp_path: Path) -> None:
    """Run as usual: a tool that discards leaves zeros all over, one that does not leaves the rest alone."""
    path = make(next(m for m in MAKERS if m.id == id_), tmp_path / "image", fill)
    match = recognise(FileReader(path))[0]
    found = footprint(FileReader(path), match)
    outside = ~marked(found, path.stat().st_size // SECTOR, certain_only=False)
    zeroed = ~np.fromfile(path, dtype=np.uint8).reshape(-1, SECTOR).any(axis=1)
    assert outside.any()
    assert found.discards == zeroed[outside].all()
    assert found.discards or not zeroed[outside].any()
