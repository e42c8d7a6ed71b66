"""What happened and what it means, in plain words, for somebody who is under stress and knows no LUKS."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from luksafe.ops.diagnosis.facts import Facts
from luksafe.ops.diagnosis.known_packets import to_offer
from luksafe.ops.diagnosis.model import Diagnosis, State, Verdict
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

VERDICTS = {
    Verdict.HEALTHY: (
        "The header is whole. Header and keyslots show no damage: if it does not open, then most likely the passphrase "
        "is another one, or it is typed with another keyboard layout."
    ),
    Verdict.REPAIRABLE: (
        "The header is damaged, but what is left of it is enough to mend it: the same information is kept twice, and "
        "checksums tell which copy is right."
    ),
    Verdict.NEEDS_BACKUP: (
        "The header is damaged so far that it cannot be mended from itself. The data are encrypted and mostly still "
        "there, but the key to them was in the part that is gone: a backup of the header brings it back."
    ),
    Verdict.NEEDS_KEY: (
        "The header can be read, but nothing opens it so far. What is missing is a key: the right passphrase, a key "
        "file, a recovery key, an escrow packet."
    ),
    Verdict.LOST: (
        "Nothing that could open the data was found so far: not at the start of the device, not in the vault. That is "
        "not the end: search the whole device; look for a header backup on other disks and machines, on paper, with "
        "whoever set the volume up."
    ),
    Verdict.NOT_LUKS: (
        "There is no LUKS header at the start of this device. Either it is another device, or the volume is elsewhere "
        "on it: when a partition table is lost, the partitions are still there, one only has to know where they begin."
    ),
    Verdict.UNSUPPORTED: "This is a kind of LUKS that luksafe does not know. It can be copied, but not judged.",
}

REENCRYPTING_LUKS1 = (
    "A reencryption was begun and has not ended. Part of the data has the old key, part the new one; both headers, and "
    "how far it came, are in the files LUKS-<UUID>.org, .new and .log, where cryptsetup was started. It can be resumed "
    "with them; do not format, restore or repair anything before."
)
FORMATTED_AGAIN = (
    "The header on it is whole, but it is not that of the volume which this device held before: it was formatted again "
    "(cryptsetup luksFormat), or another disk's header was copied here. The data of the old volume are mostly still "
    "there, and its header is in the vault."
)


def is_formatted_again(diagnosis: Diagnosis) -> bool:
    """Whether the header is that of another volume, which has taken the place of one that the vault knows."""
    return any(finding.code == "formatted-again" for finding in diagnosis.findings)


def tell(diagnosis: Diagnosis, facts: Facts, others: Sequence[Backup]) -> Iterator[str]:
    """One paragraph after the other."""
    for name in diagnosis.overwritten_by:
        yield f"What happened: {CULPRITS.get(name, f'something that blkid calls {name} was written on it')}."
    header = facts.mended.header
    if header is not None and header.is_in_reencryption:
        yield (
            "A reencryption was begun and has not ended. Part of the data has the old key, part the new one; the "
            "header knows how far it came. It can be resumed; do not format or restore anything."
        )
    yield _what_it_means(diagnosis, facts)
    destroyed = [str(k.slot) for k in diagnosis.keyslots if k.state is State.DESTROYED]
    if destroyed:
        yield (
            f"The key material of keyslot {', '.join(destroyed)} is destroyed: its passphrase cannot open this header "
            "any more, however right it is. Only a header backup has that keyslot still."
        )
    current = [b for b in facts.backups if b.is_current]
    if facts.backups:
        newest = (current or list(facts.backups))[0]
        yield f"The vault has a backup of its header, {newest.id[:12]} of {newest.created[:10] or 'an unknown date'}."
    elif others:
        yield story_of_others(facts, others)
    elif diagnosis.verdict is not Verdict.NOT_LUKS:
        yield "The vault has no backup of this header."
    if left := len(facts.packets) - len(to_offer(facts.packets)):
        yield (
            f"Whose keys the escrow packets in the vault hold, nothing tells; {left} more than are named below:"
            " 'luksafe escrow show' lists them all, and 'luksafe escrow apply' takes any of them."
        )


def _what_it_means(diagnosis: Diagnosis, facts: Facts) -> str:
    if facts.inspection.is_luks1_reencrypting:
        return REENCRYPTING_LUKS1
    return FORMATTED_AGAIN if is_formatted_again(diagnosis) else VERDICTS[diagnosis.verdict]
