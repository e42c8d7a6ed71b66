"""From a recognised structure to the ranges that its maker wrote."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from luksafe.probe.footprint.btrfs import btrfs
from luksafe.probe.footprint.ext import ext
from luksafe.probe.footprint.fat import exfat, vfat
from luksafe.probe.footprint.images import boot_code, evidence_only, f2fs, grub, hfsplus, udf, whole_image
from luksafe.probe.footprint.layers import bcache, bitlocker, dos, gpt, luks, lvm, md, swap, zfs
from luksafe.probe.footprint.model import Footprint
from luksafe.probe.footprint.ntfs import ntfs
from luksafe.probe.footprint.xfs import xfs
from luksafe.probe.recognised import Kind, Recognised
from luksafe.probe.volume import MismatchError, Volume
from luksafe.reader import Reader
from luksafe.wall import ParserStopped, walled

FOOTPRINTS: Mapping[str, Callable[[Volume, Recognised], Footprint]] = {
    "vfat": vfat,
    "exfat": exfat,
    "ntfs": ntfs,
    "ext2": ext,
    "ext3": ext,
    "ext4": ext,
    "jbd": ext,
    "xfs": xfs,
    "btrfs": btrfs,
    "f2fs": f2fs,
    "hfsplus": hfsplus,
    "zfs_member": zfs,
    "iso9660": whole_image,
    "squashfs": whole_image,
    "squashfs3": whole_image,
    "erofs": whole_image,
    "cramfs": whole_image,
    "romfs": whole_image,
    "udf": udf,
    "swap": swap,
    "swsuspend": swap,
    "LVM2_member": lvm,
    "linux_raid_member": md,
    "crypto_LUKS": luks,
    "BitLocker": bitlocker,
    "bcache": bcache,
    "gpt": gpt,
    "dos": dos,
    "grub": grub,
}


def _stopped(_: ParserStopped, reader: Reader, found: Recognised) -> Footprint:
    return evidence_only(Volume(reader, found.start), found)


@walled("the footprint of a structure", _stopped)
def footprint(reader: Reader, found: Recognised) -> Footprint:
    """What the maker of ``found`` wrote, in bytes of ``reader``, as far as the structure and those it leads to tell.

    Ranges may reach beyond the end of ``reader`` when it holds the start of a device only.
    """
    otherwise = boot_code if found.kind is Kind.BOOT_CODE else evidence_only
    volume = Volume(reader, found.start)
    try:
        return FOOTPRINTS.get(found.name, otherwise)(volume, found)
    except MismatchError:
        return evidence_only(volume, found)
