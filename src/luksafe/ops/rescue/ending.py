"""When no way is left: what is true then, and what could still exist elsewhere, with the place to look for it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from luksafe.ops.diagnosis.model import Missing


@dataclass(frozen=True, slots=True)
class Hope:
    """Something that would help. ``where`` says where to look for it, and what to do with it."""

    what: str
    where: str


TRUTHS: Mapping[Missing, str] = {
    Missing.HEADER: (
        "What opens the data is not on this device any more, and luksafe knows of nothing else that has it. Without one"
        " of the things below nobody can read them: the encryption is not broken by trying longer."
    ),
    Missing.KEY: (
        "The device has what a right key needs; what is missing is the key. Without one of the things below nobody can"
        " read the data: the encryption is not broken by trying longer."
    ),
    Missing.DATA: (
        "As far as can be seen, the encrypted data themselves are not on this device any more. No header, no passphrase"
        " and no packet brings them back; only another copy of them can."
    ),
    Missing.DEVICE: (
        "Nothing on this device shows a LUKS volume, so there is nothing here to rescue. If it was another device, or"
        " if nothing of the volume is left on this one, that looks the same."
    ),
    Missing.PROGRAM: (
        "The header says that it is of a kind that luksafe does not know. That is no damage: what wrote it can read it."
    ),
    Missing.NOTHING: "The data are not encrypted: nothing has to be opened, and no header or key is missing.",
}
_PASSPHRASE = Hope(
    "another passphrase or key file",
    "old passphrases, another keyboard layout; key files in /etc/cryptsetup-keys.d, /root, /boot, named in"
    " /etc/crypttab, on a USB stick; a recovery key, written down or photographed. Then take that way again: a",
)
_BACKUP = Hope(
    "another backup of the header",
    "a file of 'cryptsetup luksHeaderBackup' or a vault of luksafe: on sticks, other machines, in backups of /root,"
    " /etc and /boot, with whoever set it up. A store that was not mounted: mount it, then luksafe sync. Then: f",
)
_PACKET = Hope(
    "an escrow packet, its shares or a sheet of paper",
    "in the safe, with its keepers, on the server of the organisation; also a file of volume_key, or the text of"
    " 'cryptsetup luksDump --dump-volume-key'. Then: f",
)
_MAPPING = Hope(
    "an open mapping",
    "a machine, also a virtual one or one asleep, on which it is still open: do not shut that down; there: luksafe"
    " mappings. A memory image or a hibernation file of it: luksafe findkeys",
)
_DEVICE = Hope(
    "another device",
    "is it the right disk, the whole disk and not a partition? lsblk shows all. A mirror in a RAID, the disk that it"
    " was cloned from or to, the old disk before the move",
)
_IMAGE = Hope(
    "an old image of the disk",
    "dd, Clonezilla, a snapshot of a virtual machine or of LVM, a backup of whole disks. The first 16 MiB are enough"
    " for a header: luksafe diagnose IMAGE, or here: f",
)
_FILES = Hope("a backup of the files", "on other disks, a server, in a cloud, on the machines that shared them")
_WHOLE_IMAGE = Hope(
    "an old image of the disk",
    "dd, Clonezilla, a snapshot of a virtual machine or of LVM, a backup of whole disks: the whole of it, not only its"
    " beginning. Look at it with: luksafe diagnose IMAGE",
)
_LABORATORY = Hope(
    "what the disk hides",
    "a disk that was only told to discard (TRIM) may hold the data still: power it off now, ask a laboratory",
)


def what_could_exist(missing: Missing, device: str) -> Sequence[Hope]:
    """What would help with what is missing, the likeliest first."""
    program = Hope(
        "a newer program",
        "the machine that made it, a newer cryptsetup or luksafe: "
        f"cryptsetup luksDump {shlex.quote(device)}, on a copy of the disk",
    )
    return {
        Missing.HEADER: (_BACKUP, _PACKET, _MAPPING, _IMAGE, _DEVICE, _PASSPHRASE),
        Missing.KEY: (_PASSPHRASE, _PACKET, _BACKUP, _MAPPING, _IMAGE, _DEVICE),
        Missing.DATA: (_FILES, _WHOLE_IMAGE, _LABORATORY, _DEVICE),
        Missing.DEVICE: (_DEVICE, _IMAGE, _BACKUP, _PACKET, _MAPPING),
        Missing.PROGRAM: (program, _BACKUP, _IMAGE, _DEVICE),
        Missing.NOTHING: (_DEVICE,),
    }[missing]
