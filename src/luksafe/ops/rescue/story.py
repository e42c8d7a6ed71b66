"""What happened and what it means, in plain words, for somebody who is under stress and knows no LUKS."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from luksafe.ops.diagnosis.facts import Facts
from luksafe.ops.diagnosis.known_packets import to_offer
from luksafe.ops.diagnosis.model import Diagnosis, Verdict
from luksafe.ops.rescue.other_backups import story as story_of_others
from luksafe.vault.backup import Backup

CULPRITS = {
    "vfat": "a FAT filesystem was made on it (mkfs.vfat, a camera, an EFI partition)",
    "exfat": "an exFAT filesystem was made on it",
    "ntfs": "an NTFS filesystem was made on it (Windows)",
    "ext4": "an ext4 filesystem was made on it (mkfs.ext4, an installer)",
    "ext3": "an ext3 filesystem was made on it",
    "ext2": "an ext2 filesystem was made on it",
    "xfs": "an XFS filesystem was made on it",
    "btrfs": "a Btrfs filesystem was made on it",
    "swap": "it was made a swap area (mkswap)",
    "LVM2_member": "it was made an LVM physical volume (pvcreate)",
    "linux_raid_member": "it was made a member of a RAID (mdadm)",
    "zfs_member": "it was made a member of a ZFS pool",
    "gpt": "a new partition table (GPT) was written",
    "dos": "a new partition table (MBR) was written",
    "PMBR": "a new partition table (GPT) was written",
    "crypto_LUKS": "it was formatted with LUKS again (luksFormat)",
    "BitLocker": "BitLocker was set up on it",
    "iso9660": "an ISO image was written to it (dd, a USB stick writer)",
    "zeros": "parts of it were overwritten with zeros (dd, TRIM, wipefs)",
    "ff": "parts of it were overwritten with 0xff bytes",
    "text": "text was written over parts of it",
    "random": "random bytes were written over parts of it",
}


def tell(diagnosis: Diagnosis, facts: Facts, others: Sequence[Backup]) -> Iterator[str]:
    """One paragraph after the other; what it means is told by the rule that fired."""
    names = () if diagnosis.verdict is Verdict.NOT_LUKS else diagnosis.overwritten_by
    for name in names:
        yield f"What happened: {CULPRITS.get(name, f'something that blkid calls {name} was written on it')}."
    yield diagnosis.story
    if others:
        yield story_of_others(facts, others)
    if left := len(facts.packets) - len(to_offer(facts.packets)):
        yield (
            f"Whose keys the escrow packets in the vault hold, nothing tells; {left} more than are named below:"
            " 'luksafe escrow show' lists them all, and 'luksafe escrow apply' takes any of them."
        )
